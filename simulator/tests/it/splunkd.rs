//! splunkd's REST.

use serde_json::Value;
use simulator::splunkd::{Edits, KvStore, Masking};
use simulator::wire::percent_encode;
use simulator::{Fault, FaultKind, Request, Route, Service, accounts};

use crate::support::Desk;

const APP: &str = "/servicesNS/nobody/TA_defender";

fn call(desk: &mut Desk, request: Request) -> (u16, Value) {
    let request = request.header("authorization", &format!("Splunk {}", accounts::SESSION_KEY));
    let response = desk.ask(Service::Splunkd, &request);
    (response.status, serde_json::from_slice(&response.body).unwrap_or(Value::Null))
}

fn get(desk: &mut Desk, path: &str) -> (u16, Value) {
    call(desk, Request::get(&format!("{APP}/{path}?output_mode=json&count=-1")))
}

fn post(desk: &mut Desk, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let body: Vec<_> =
        form.iter().chain(&[("output_mode", "json")]).map(|(name, value)| format!("{name}={}", percent_encode(value))).collect();
    call(desk, Request::new("POST", &format!("{APP}/{path}")).body("application/x-www-form-urlencoded", body.join("&")))
}

#[test]
fn a_stranger_is_turned_away() {
    let mut desk = Desk::empty();
    let request = Request::get(&format!("{APP}/configs/conf-defender_account?output_mode=json"));
    let response = desk.ask(Service::Splunkd, &request);
    assert_eq!(response.status, 401);
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(body["messages"][0]["text"], "call not properly authenticated");
    assert_eq!(desk.ask(Service::Splunkd, &request.header("authorization", "Splunk nobody")).status, 401);
}

#[test]
fn without_output_mode_it_speaks_xml() {
    let mut desk = Desk::empty();
    let request = Request::get(&format!("{APP}/configs/conf-defender_account/demo"))
        .header("authorization", &format!("Splunk {}", accounts::SESSION_KEY));
    let response = desk.ask(Service::Splunkd, &request);
    assert!(response.text().starts_with("<?xml") && response.text().contains(accounts::TENANT));
    assert_eq!(response.header_value("content-type"), Some("text/xml; charset=UTF-8"));
}

#[test]
fn confs_are_read_made_and_edited() {
    let mut desk = Desk::empty();
    let (status, one) = get(&mut desk, "configs/conf-defender_account/demo");
    assert_eq!((status, one["entry"][0]["content"]["tenant_id"].as_str()), (200, Some(accounts::TENANT)));
    assert_eq!(post(&mut desk, "configs/conf-defender_account", &[("name", "two"), ("cloud", "gcc")]).0, 201);
    assert_eq!(post(&mut desk, "configs/conf-defender_account", &[("name", "two")]).0, 409);
    let (status, edited) = post(&mut desk, "configs/conf-defender_account/two", &[("client_secret", "")]);
    assert_eq!((status, edited["entry"][0]["content"]["cloud"].as_str()), (200, Some("gcc")));
    assert_eq!(desk.world.splunkd.conf("defender_account", "two", "client_secret"), Some(""));
    assert_eq!(get(&mut desk, "configs/conf-defender_account").1["entry"].as_array().unwrap().len(), 2);
    assert_eq!(get(&mut desk, "configs/conf-defender_settings/proxy").0, 404);
    desk.world.splunkd.edits = Edits::Vanish;
    assert_eq!(post(&mut desk, "configs/conf-defender_account/two", &[("cloud", "dod")]).0, 200);
    assert_eq!(desk.world.splunkd.conf("defender_account", "two", "cloud"), Some("gcc"));
    desk.world.splunkd.edits = Edits::Forbidden;
    assert_eq!(post(&mut desk, "configs/conf-defender_account/two", &[("cloud", "dod")]).0, 403);
}

#[test]
fn passwords_have_all_their_answers() {
    let mut desk = Desk::empty();
    let path = "storage/passwords";
    let (status, made) = post(&mut desk, path, &[("name", "a:b\\c"), ("realm", "defender_account"), ("password", "s3cret")]);
    assert_eq!((status, made["entry"][0]["name"].as_str()), (201, Some("defender_account:a\\:b\\\\c:")));
    assert_eq!(post(&mut desk, path, &[("name", "a:b\\c"), ("realm", "defender_account"), ("password", "x")]).0, 409);
    let name = percent_encode("defender_account:a\\:b\\\\c:");
    let (status, read) = get(&mut desk, &format!("{path}/{name}"));
    assert_eq!((status, read["entry"][0]["content"]["clear_password"].as_str()), (200, Some("s3cret")));
    assert_eq!(post(&mut desk, &format!("{path}/{name}"), &[("password", "new")]).0, 200);
    assert_eq!(post(&mut desk, &format!("{path}/{name}"), &[("password", "new"), ("realm", "x")]).0, 400);
    assert_eq!(desk.world.splunkd.password("defender_account", "a:b\\c"), Some("new"));
    assert_eq!(get(&mut desk, &format!("{path}/defender_account:nobody:")).0, 404);
    assert_eq!(post(&mut desk, path, &[("name", "long"), ("password", &"x".repeat(256))]).0, 400);
    assert_eq!(post(&mut desk, path, &[("name", "empty"), ("password", "")]).0, 400);
    let (_, all) = get(&mut desk, path);
    assert_eq!(all["entry"].as_array().unwrap().len(), 2);
    let delete = Request::new("DELETE", &format!("{APP}/{path}/{name}?output_mode=json"));
    assert_eq!(call(&mut desk, delete.clone()).0, 200);
    assert_eq!(call(&mut desk, delete).0, 404);
    desk.world.splunkd.masking = Masking::Masked;
    let (_, masked) = get(&mut desk, &format!("{path}/defender_account:demo.client_secret:"));
    assert_eq!(masked["entry"][0]["content"]["clear_password"], "********");
}

#[test]
fn who_may_not_read_passwords_is_told_which_capability_is_missing() {
    let mut desk = Desk::empty();
    let request = Request::get(&format!("{APP}/storage/passwords?output_mode=json"))
        .header("authorization", &format!("Splunk {}", accounts::ANALYST_SESSION_KEY));
    let response = desk.ask(Service::Splunkd, &request);
    assert!(response.status == 403 && response.text().contains("list_storage_passwords"), "{}", response.text());
}

#[test]
fn a_list_has_thirty_entries_unless_more_are_asked_for() {
    let mut desk = Desk::empty();
    for number in 0..40 {
        desk.world.splunkd.set_password("r", &format!("u{number}"), "x");
    }
    let (_, page) = call(&mut desk, Request::get(&format!("{APP}/storage/passwords?output_mode=json")));
    assert_eq!((page["entry"].as_array().unwrap().len(), &page["paging"]["total"]), (30, &Value::from(41)));
    let (_, found) = call(&mut desk, Request::get(&format!("{APP}/storage/passwords?output_mode=json&count=0&search=realm%3Dr")));
    assert_eq!(found["entry"].as_array().unwrap().len(), 41, "the search finds more than the realm asked for");
}

#[test]
fn the_kv_store_keeps_documents() {
    let mut desk = Desk::empty();
    desk.world.splunkd.add_collection("positions");
    let path = format!("{APP}/storage/collections/data/positions");
    let send = |desk: &mut Desk, method: &str, path: &str, body: &str| {
        call(desk, Request::new(method, path).body("application/json", body))
    };
    let (status, made) = send(&mut desk, "POST", &path, "{\"_key\":\"a\",\"n\":9007199254740993}");
    assert_eq!((status, &made["_key"]), (201, &Value::from("a")));
    assert_eq!(send(&mut desk, "POST", &path, "{\"_key\":\"a\"}").0, 409);
    let (_, read) = call(&mut desk, Request::get(&format!("{path}/a")));
    assert_eq!(read["n"], 9_007_199_254_740_993_i64);
    assert_eq!(send(&mut desk, "POST", &format!("{path}/a"), "{\"m\":1}").0, 200);
    assert_eq!(call(&mut desk, Request::get(&format!("{path}/a"))).1.get("n"), None, "a document is replaced whole");
    assert_eq!(send(&mut desk, "POST", &format!("{path}/b"), "{}").0, 404);
    assert_eq!(
        send(&mut desk, "POST", &format!("{path}/batch_save"), "[{\"_key\":\"b\",\"m\":1},{\"_key\":\"c\",\"m\":2}]").0,
        200
    );
    let (_, found) = call(&mut desk, Request::get(&format!("{path}?query=%7B%22m%22%3A1%7D")));
    assert_eq!(found.as_array().unwrap().len(), 2);
    assert_eq!(call(&mut desk, Request::new("DELETE", &format!("{path}/c"))).0, 200);
    assert_eq!(call(&mut desk, Request::get(&format!("{path}/c"))).0, 404);
    desk.world.splunkd.kv_store = KvStore::Starting;
    let (status, body) = call(&mut desk, Request::get(&path));
    assert_eq!((status, body["messages"][0]["text"].as_str()), (503, Some("KV Store is initializing. Please try again later.")));
}

#[test]
fn info_inputs_messages_and_strange_addresses() {
    let mut desk = Desk::empty();
    let (_, info) = call(&mut desk, Request::get("/services/server/info?output_mode=json"));
    assert_eq!(info["entry"][0]["content"]["server_roles"][0], "indexer");
    assert_eq!(post(&mut desk, "data/inputs/defender", &[("name", "a"), ("feed", "alerts")]).0, 201);
    let (_, input) = get(&mut desk, "data/inputs/defender/a");
    assert_eq!(input["entry"][0]["content"]["feed"], "alerts");
    post(&mut desk, "messages", &[("name", "m"), ("value", "look")]);
    assert_eq!(desk.world.splunkd.messages(), [("m".to_string(), "look".to_string())]);
    let (status, _) =
        call(&mut desk, Request::get("/servicesNS/nobody/another_app/configs/conf-defender_account/demo?output_mode=json"));
    assert_eq!(status, 404);
    assert_eq!(get(&mut desk, "nothing/here").0, 404);
}

#[test]
fn faults_speak_splunkds_way() {
    for status in [401, 403, 404, 500, 503] {
        let mut desk = Desk::empty();
        desk.world.faults.push(Fault::once(Route::Splunk, FaultKind::Status(status)));
        let (found, body) = get(&mut desk, "configs/conf-defender_account/demo");
        assert_eq!(found, status);
        assert!(body["messages"][0]["text"].is_string(), "{body}");
        assert_eq!(get(&mut desk, "configs/conf-defender_account/demo").0, 200);
    }
}

#[test]
fn a_long_secret_is_kept_in_pieces() {
    for length in [300, 495, 498, 499, 500, 2475, 2487, 2500, 10_000] {
        let mut desk = Desk::empty();
        let key: String = (0..length).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
        accounts::use_certificate(&mut desk.world.splunkd, "demo", "PEM", &key);
        let piece = |number: usize| desk.world.splunkd.password("defender_account", &format!("demo.certificate_key.{number}"));
        let (count, start) = piece(1).unwrap().split_once(':').unwrap();
        let rest: String = (2..=count.parse().unwrap()).map(|number| piece(number).unwrap()).collect();
        assert_eq!(format!("{start}{rest}"), key);
        assert!(desk.world.splunkd.passwords().all(|(_, _, password)| password.len() <= 250));
        assert_eq!(piece(count.parse::<usize>().unwrap() + 1), None);
    }
}
