#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::accounts::{CLIENT_ID, TENANT, furnish};
use crate::entra::Resource;
use crate::wire::Service;

const NOON: Time = Time(17_953_488_000_000_000);

fn world() -> World {
    let mut world = World::empty();
    furnish(&mut world, None, None);
    for hour in [0, 1, 25] {
        let at = NOON.minus(Duration::from_secs(3600 * hour));
        world.storage.deliver("AlertInfo", TENANT, at, &["{\"a\":1}".to_string(), "{\"b\":2}".to_string()], NOON);
    }
    world.storage.append("other", "loose", b"x", NOON);
    world
}

/// Asks with a good token.
fn ask(world: &mut World, target: &str, headers: &[(&str, &str)]) -> Response {
    let token = world.entra.issue(TENANT, CLIENT_ID, Resource::Storage, NOON).unwrap();
    let mut request = Request::get(target).bearer(&token).header("x-ms-version", "2021-12-02");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    crate::answer(world, Service::Storage, &request, NOON)
}

/// What stands between a tag and its end, each time.
fn all<'a>(text: &'a str, tag: &str) -> Vec<&'a str> {
    text.split(&format!("<{tag}>")).skip(1).filter_map(|rest| rest.split(&format!("</{tag}>")).next()).collect()
}

#[test]
fn lists_go_on_where_they_ended() {
    let mut world = world();
    world.storage.page = 2;
    let mut names = Vec::new();
    let mut marker = String::new();
    loop {
        let target = format!("/{}?restype=container&comp=list&prefix=tenantId%3D&marker={marker}", container("AlertInfo"));
        let text = ask(&mut world, &target, &[]).text();
        names.extend(all(&text, "Name").into_iter().map(str::to_string));
        match all(&text, "NextMarker")[..] {
            [next] => marker = crate::wire::percent_encode(next),
            _ => break,
        }
    }
    let expected: Vec<String> = [25, 1, 0].map(|hour| blob_name(TENANT, NOON.minus(Duration::from_secs(3600 * hour)))).into();
    assert_eq!(names, expected);
    assert!(names[2].ends_with("/y=2026/m=11/d=22/h=12/m=00/PT1H.json"), "{}", names[2]);
    let text = ask(&mut world, "/?comp=list&prefix=insights-logs-", &[]).text();
    assert_eq!(all(&text, "Name"), [container("AlertInfo")]);
    let target = format!("/{}?restype=container&comp=list&prefix=&delimiter=/", container("AlertInfo"));
    assert_eq!(all(&ask(&mut world, &target, &[]).text(), "Name"), [format!("tenantId={TENANT}/")]);
}

#[test]
fn ranges_of_a_blob() {
    let mut world = world();
    let target = format!("/{}/{}", container("AlertInfo"), blob_name(TENANT, NOON));
    let table = [
        ("bytes=0-6", 206, "{\"a\":1}", "bytes 0-6/18"),
        ("bytes=9-999", 206, "{\"b\":2}\r\n", "bytes 9-17/18"),
        ("bytes=17-", 206, "\n", "bytes 17-17/18"),
    ];
    for (range, status, body, content_range) in table {
        let response = ask(&mut world, &target, &[("x-ms-range", range)]);
        assert_eq!((response.status, response.text().as_str()), (status, body), "{range}");
        assert_eq!(response.header_value("content-range"), Some(content_range));
    }
    assert_eq!(ask(&mut world, &target, &[]).status, 200);
    let beyond = ask(&mut world, &target, &[("x-ms-range", "bytes=18-20")]);
    assert_eq!((beyond.status, beyond.header_value("x-ms-error-code")), (416, Some("InvalidRange")));
}

#[test]
fn who_may_read_and_who_may_not() {
    let mut world = world();
    let list = "/?comp=list";
    let blob = format!("/{}/{}", container("AlertInfo"), blob_name(TENANT, NOON));
    let good = Signature { permissions: "rl", resource_types: "sco", expires: NOON.plus(Duration::from_secs(60)) };
    let cases = [
        (good.sign(), 200, 200),
        (good.sign().replace("sp=rl", "sp=rwl"), 403, 403),
        (Signature { expires: NOON, ..good.clone() }.sign(), 403, 403),
        (Signature { permissions: "r", ..good.clone() }.sign(), 403, 200),
        (Signature { resource_types: "co", ..good }.sign(), 403, 200),
    ];
    for (query, listing, reading) in cases {
        let statuses = [format!("{list}&{query}"), format!("{blob}?{query}")]
            .map(|target| crate::answer(&mut world, Service::Storage, &Request::get(&target), NOON).status);
        assert_eq!(statuses, [listing, reading], "{query}");
    }
    assert_eq!(crate::answer(&mut world, Service::Storage, &Request::get(list), NOON).status, 401);
    assert_eq!(ask(&mut world, &blob, &[]).status, 200);
    world.storage.closed.push(container("AlertInfo"));
    assert_eq!(ask(&mut world, &blob, &[]).status, 403);
    world.entra.application(TENANT, CLIENT_ID).unwrap().grant(Resource::Storage, &[]);
    assert_eq!(ask(&mut world, list, &[]).header_value("x-ms-error-code"), Some("AuthorizationPermissionMismatch"));
    for (target, status, code) in [
        ("/insights-logs-nothing?restype=container&comp=list", 404, "ContainerNotFound"),
        ("/other/nothing", 404, "BlobNotFound"),
        ("/A_b?restype=container&comp=list", 400, "InvalidResourceName"),
    ] {
        world.entra.application(TENANT, CLIENT_ID).unwrap().grant(Resource::Storage, &[READER_ROLE]);
        let response = ask(&mut world, target, &[]);
        assert_eq!((response.status, response.header_value("x-ms-error-code")), (status, Some(code)), "{target}");
    }
}
