use std::time::Duration;

use super::*;
use crate::microsoft::cloud::{Audience, Cloud, Hosts, Overrides};
use crate::microsoft::stand_in::{StandIn, http};
use crate::microsoft::token::{Account, Credential, TokenSource};
use crate::secret::Secret;

const SIGNATURE: &str = "sv=2022-11-02&sp=rl&se=2026-01-01T00:00:00Z&sig=s3cr3t";
const EMPTY: &str = "<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>";

fn signed(url: &str) -> Storage {
    Storage::new(http(), url, Access::from_connection_string(&Secret::new(SIGNATURE), url).unwrap())
}

fn with_token(url: &str) -> Storage {
    let hosts = Hosts::new(Cloud::Commercial, Overrides { login_url: Some(url), ..Overrides::default() }).unwrap();
    let client_id = "11111111-1111-1111-1111-111111111111";
    let account = Account { cloud: Cloud::Commercial, hosts: &hosts, tenant_id: "contoso.example", client_id };
    let tokens = TokenSource::new(http(), account, Audience::Storage, Credential::Secret(Secret::new("s3cr3t"))).unwrap();
    Storage::new(http(), url, Access::Token(Box::new(tokens)))
}

fn token(name: &str) -> (&'static str, String) {
    ("200 OK\nContent-Type: application/json", format!(r#"{{"token_type":"Bearer","expires_in":3599,"access_token":"{name}"}}"#))
}

fn ok(body: &str) -> (&'static str, String) {
    ("200 OK\nDate: Sun, 22 Nov 2026 12:00:00 GMT", body.to_owned())
}

#[test]
fn requests_as_the_service_wants_them() {
    let range = "206 Partial Content\nContent-Range: bytes 5-7/90\nx-ms-creation-time: Sun, 22 Nov 2026 08:00:00 GMT";
    let service = StandIn::new(vec![
        token("t1"),
        ok("<EnumerationResults><Containers/><NextMarker/></EnumerationResults>"),
        ok(EMPTY),
        (range, "abc".to_owned()),
    ]);
    let mut storage = with_token(&service.url);
    storage.containers("insights-logs-", "").unwrap();
    let blobs = storage.blobs("logs", "tenantId=t/y=2026/", true, "2!9 6").unwrap();
    assert_eq!(blobs.at, Ticks::parse("2026-11-22T12:00:00Z"));
    let piece = storage.read("logs", "tenantId=t/a b/PT1H#.json", 5, 4).unwrap();
    assert_eq!((piece.bytes.as_slice(), piece.created), (&b"abc"[..], Ticks::parse("2026-11-22T08:00:00Z")));
    let heard = service.heard();
    assert!(heard[0].contains("&scope=https%3A%2F%2Fstorage.azure.com%2F.default&"), "{}", heard[0]);
    for (request, line) in heard[1..].iter().zip([
        "GET /?comp=list&prefix=insights-logs- HTTP/1.1",
        "GET /logs?restype=container&comp=list&prefix=tenantId%3Dt/y%3D2026/&delimiter=/&marker=2%219%206 HTTP/1.1",
        "GET /logs/tenantId=t/a%20b/PT1H%23.json HTTP/1.1",
    ]) {
        assert_eq!(request.lines().next(), Some(line));
        let head = request.to_ascii_lowercase();
        assert!(head.contains("authorization: bearer t1\r\n") && head.contains("x-ms-version: 2021-12-02\r\n"), "{head}");
        assert!(head.contains("x-ms-client-request-id: "), "{head}");
    }
    assert!(heard[3].contains("x-ms-range: bytes=5-8\r\n"), "{}", heard[3]);
}

#[test]
fn a_signature_goes_into_the_query_alone() {
    let service = StandIn::new(vec![ok(EMPTY), ("206 Partial Content\nContent-Range: bytes 0-1/2", "ab".to_owned())]);
    let mut storage = signed(&service.url);
    storage.blobs("logs", "", false, "").unwrap();
    assert_eq!(storage.read("logs", "b", 0, 2).unwrap().created, None);
    let heard = service.heard();
    assert!(
        heard[0].starts_with(&format!("GET /logs?restype=container&comp=list&prefix=&{SIGNATURE} HTTP/1.1\r\n")),
        "{}",
        heard[0]
    );
    assert!(heard[1].starts_with(&format!("GET /logs/b?{SIGNATURE} HTTP/1.1\r\n")), "{}", heard[1]);
    assert!(heard.iter().all(|request| !request.to_ascii_lowercase().contains("authorization")));
    // Nobody listens any more.
    let error = storage.read("logs", "b", 0, 2).unwrap_err();
    assert!(matches!(error.failure, Failure::Unreachable(_)));
    assert!(!format!("{error} {error:?} {storage:?}").contains("s3cr3t"));
}

#[test]
fn a_withdrawn_token_is_renewed_once() {
    let refused = || ("401 Unauthorized\nx-ms-request-id: r", String::new());
    let service =
        StandIn::new(vec![token("t1"), ok(EMPTY), refused(), token("t2"), ok(EMPTY), refused(), token("t3"), refused()]);
    let mut storage = with_token(&service.url);
    storage.blobs("logs", "", false, "").unwrap();
    storage.blobs("logs", "", false, "").unwrap();
    let error = storage.blobs("logs", "", false, "").unwrap_err();
    assert!(matches!(error.failure, Failure::Unauthorized) && error.is_permanent(), "{error:?}");
    service.heard();
}

#[test]
fn a_piece_is_the_one_that_was_asked_for() {
    let other = "206 Partial Content\nContent-Range: bytes 0-2/90";
    let (status, long) = ("206 Partial Content\nContent-Range: bytes 5-9/90", "abcde");
    let service = StandIn::new(vec![
        (other, "abc".to_owned()),
        ("200 OK", "all".to_owned()),
        (status, long.to_owned()),
        (status, String::new()),
        (status, long.to_owned()),
    ]);
    let mut storage = signed(&service.url);
    for offset in [5, 0, 5, 5] {
        let error = storage.read("logs", "b", offset, 3).unwrap_err();
        assert!(matches!(error.failure, Failure::Unreadable(_)) && !error.is_permanent(), "{error}");
    }
    assert_eq!(storage.read("logs", "b", 5, 50).unwrap().bytes, b"abcde");
    service.heard();
}

fn classified(access: &Access, status: u16, headers: &[(&'static str, &str)], body: &str) -> Result<(), Box<StorageError>> {
    let mut answer = http::Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    let answer = answer.body(body.as_bytes().to_vec()).unwrap();
    error::classify(Asked::new("List Blobs", "c"), access, &answer, Ticks::parse("2025-11-22T12:00:00Z").unwrap())
}

#[test]
fn every_refusal_has_its_kind_and_its_remedy() {
    let said = |code: &str| {
        format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>This failed.\nRequestId:r-1\nTime:2026\
             </Message></Error>"
        )
    };
    let id = [("x-ms-request-id", "r-1")];
    let late = [("x-ms-request-id", "r-1"), ("date", "Thu, 01 Jan 2026 00:00:01 GMT")];
    let busy = [("x-ms-request-id", "r-1"), ("retry-after", "7")];
    let token = with_token("http://127.0.0.1:9").access;
    let signature = signed("http://127.0.0.1:9").access;
    // (access, status, headers, code, how the message goes on after the status, permanent, how the remedy begins)
    type Row<'a> = (&'a Access, u16, &'a [(&'static str, &'a str)], &'a str, &'a str, bool, &'a str);
    let table: [Row<'_>; 11] = [
        (
            &token,
            403,
            &id,
            "AuthorizationPermissionMismatch",
            "not permitted",
            true,
            "give the app the role Storage Blob Data Reader",
        ),
        (&token, 403, &late, "AuthorizationFailure", "not permitted", true, "give the app the role Storage Blob Data Reader"),
        (&token, 401, &id, "InvalidAuthenticationInfo", "the token was not accepted", true, "check that the account's tenant"),
        (
            &signature,
            403,
            &id,
            "AuthorizationPermissionMismatch",
            "the shared access signature does not permit this",
            true,
            "make a shared access signature",
        ),
        (
            &signature,
            403,
            &late,
            "AuthenticationFailed",
            "the shared access signature expired at 2026-01-01T00:00:00Z",
            true,
            "make a shared access signature",
        ),
        (
            &token,
            404,
            &id,
            "ContainerNotFound",
            "there is no such container",
            false,
            "Defender makes it with the table's first record",
        ),
        (&token, 404, &id, "BlobNotFound", "there is no such blob", false, ""),
        (&token, 416, &id, "InvalidRange", "the blob is shorter than it was", false, ""),
        (
            &token,
            400,
            &id,
            "InvalidResourceName",
            "the request was refused",
            true,
            "check the input's storage_account and tables",
        ),
        (&token, 500, &id, "OperationTimedOut", "the service failed", false, ""),
        (&token, 503, &busy, "ServerBusy", "asked to wait", false, ""),
    ];
    for (access, status, headers, code, what, permanent, remedy) in table {
        let error = classified(access, status, headers, &said(code)).unwrap_err();
        let message = format!("Azure Storage: List Blobs c: HTTP {status}: {what}: {code}: This failed. (request id r-1)");
        assert_eq!(error.to_string(), message);
        assert_eq!(error.is_permanent(), permanent, "{message}");
        let told = error.remedy().unwrap_or_default();
        assert!(told.starts_with(remedy) && told.is_empty() == remedy.is_empty(), "{message}: {told}");
        assert_eq!(error.retry_after(), (status == 503).then_some(Duration::from_secs(7)), "{message}");
        // A HEAD-like answer has the code in a header alone.
        let bare = [&[("x-ms-error-code", code)][..], headers].concat();
        assert_eq!(classified(access, status, &bare, "").unwrap_err().code.as_deref(), Some(code));
    }
}

#[test]
fn what_is_the_fault_of_one_blob_is_told_from_what_is_not() {
    let access = with_token("http://127.0.0.1:9").access;
    let failed = |status: u16, code: &str| {
        let answer = http::Response::builder().status(status).header("x-ms-error-code", code).header("x-ms-request-id", "r-1");
        let answer = answer.body(Vec::new()).unwrap();
        error::classify(Asked::blob("c/b"), &access, &answer, Ticks(0)).unwrap_err()
    };
    // (status, code, about the blob, as if the service failed, the beginning of the remedy)
    let table = [
        (409, "BlobArchived", true, false, "rehydrate it"),
        (409, "BlobBeingRehydrated", true, false, "rehydrate it"),
        (409, "BlobUsesCustomerSpecifiedEncryption", true, false, "write it without a customer-provided key"),
        (403, "KeyVaultEncryptionKeyNotFound", true, false, "enable the storage account's key"),
        (403, "AuthorizationPermissionMismatch", true, true, "give the app the role"),
        (401, "InvalidAuthenticationInfo", true, true, "check that the account's tenant"),
        (412, "LeaseIdMissing", true, false, "check the input's storage_account"),
        (409, "InvalidBlobType", true, false, "check the input's storage_account"),
        (404, "BlobNotFound", true, false, ""),
        (404, "ResourceNotFound", true, false, ""),
        (404, "ContainerNotFound", false, false, "Defender makes it"),
        (416, "InvalidRange", true, false, ""),
        (500, "InternalError", true, true, ""),
        (503, "ServerBusy", false, true, ""),
    ];
    for (status, code, about_blob, of_the_way, remedy) in table {
        let error = failed(status, code);
        assert_eq!((error.is_about_blob(), error.is_of_the_way()), (about_blob, of_the_way), "{error}");
        let told = error.remedy().unwrap_or_default();
        assert!(told.starts_with(remedy) && told.is_empty() == remedy.is_empty(), "{error}: {told}");
    }
}

#[test]
fn a_list_that_is_a_part_or_old_is_no_answer() {
    let access = with_token("http://127.0.0.1:9").access;
    let warned = [("warning", "110 proxy \"Response is Stale\"")];
    assert!(classified(&access, 200, &warned, EMPTY).unwrap_err().to_string().contains("came with a warning"));
    let part = classified(&access, 206, &[], EMPTY).unwrap_err();
    assert!(part.to_string().ends_with("the list is a part of one (206)") && !part.is_permanent(), "{part}");
}

#[test]
fn names_that_a_url_cannot_carry_are_never_asked_for() {
    let service = StandIn::new(Vec::new());
    let mut storage = signed(&service.url);
    for container in ["..", "a?b", "a#b", "$logs", "UPPER", "a/../b", "a%2f..", "a\r\nb"] {
        let error = storage.blobs(container, "", false, "").unwrap_err();
        assert!(matches!(error.failure, Failure::Unfit(_)) && !error.to_string().contains(['\r', '\n']), "{error}");
    }
    for blob in ["..", "a/../../b", "./x", ""] {
        assert!(matches!(storage.read("logs", blob, 0, 1).unwrap_err().failure, Failure::Unfit(_)), "{blob}");
    }
    assert!(service.heard().is_empty());
}

#[test]
fn answers_have_the_size_of_their_kind() {
    let range = "206 Partial Content\nContent-Range: bytes 0-3/9000000";
    let long = "x".repeat(1 << 20);
    let service = StandIn::new(vec![
        ("409 Conflict\nx-ms-error-code: BlobArchived", long.clone()),
        (range, long),
        ("200 OK", format!("<EnumerationResults>{}", " ".repeat(LIST_LIMIT))),
    ]);
    let mut storage = signed(&service.url);
    let archived = storage.read("logs", "b", 0, 4).unwrap_err();
    assert!(matches!(archived.failure, Failure::Obstacle(Obstacle::Archived)), "{archived}");
    assert!(matches!(storage.read("logs", "b", 0, 4).unwrap_err().failure, Failure::Unreadable(_)));
    let error = storage.blobs("logs", "", false, "").unwrap_err();
    assert!(error.to_string().ends_with("the list is larger than 16 MB"), "{error}");
}

#[test]
fn a_page_titled_with_the_signed_url_does_not_tell_the_signature() {
    let signature = "sv=2022-11-02&sp=rl&se=2099-01-01T00%3A00%3A00Z&sig=Zm9yLXRlc3RzLW9ubHktbm90LWEta2V5%2Babc%3D";
    let url = "http://127.0.0.1:9";
    let access = Access::from_connection_string(&Secret::new(signature), url).unwrap();
    for shown in [signature.to_owned(), signature.replace('%', "%25"), signature.replace('&', "&amp;")] {
        let page = format!("<html><head><title>Blocked: {url}/c?{shown}</title></head></html>");
        let error = classified(&access, 403, &[], &page).unwrap_err();
        assert!(error.to_string().contains("Blocked") && !error.to_string().contains("Zm9yLXRlc3Rz"), "{error}");
        let said = format!("<Error><Code>No</Code><Message>{}</Message></Error>", shown.replace('&', "&amp;"));
        let error = classified(&access, 403, &[("x-ms-request-id", &shown)], &said).unwrap_err();
        assert!(!error.to_string().contains("Zm9yLXRlc3Rz"), "{error}");
    }
}

#[test]
fn somebody_elses_answers_are_not_azures() {
    let token = with_token("http://127.0.0.1:9").access;
    for status in [200, 403, 404] {
        let error = classified(&token, status, &[], "<html><head><title>Sign in</title>").unwrap_err();
        assert!(error.to_string().ends_with(&format!("HTTP {status}: a page titled \"Sign in\" answered")), "{error}");
        assert!(error.is_permanent() && error.remedy().unwrap().starts_with("a proxy or sign-in page"));
    }
    let error = classified(&token, 302, &[("location", "https://portal.example/x?y")], "").unwrap_err();
    assert!(error.to_string().ends_with("HTTP 302: a redirect to portal.example was not followed"), "{error}");
    assert!(classified(&token, 502, &[], "<html>").unwrap_err().remedy().is_none());
    assert!(classified(&token, 200, &[], EMPTY).is_ok());
}
