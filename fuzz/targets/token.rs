//! What a token endpoint answers. What `serde_json` finds a bearer token in gives that token with a life of at most a day, and
//! nothing else does; every refusal is one line, and the token of an answer is in none.

#![no_main]

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use ta_defender::microsoft::token_answer::read;
use ta_defender::time::Ticks;

/// 2026-03-01.
const NOW: Ticks = Ticks(17_723_232_000_000_000);

/// The token that is to be found: of an object without an error, as text, by its kind a bearer token or of none.
fn expected(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)).ok()?;
    let silent = matches!(value.get("error"), None | Some(Value::Null | Value::Bool(false))) || value["error"] == "";
    let bearer = match value.get("token_type") {
        Some(Value::String(kind)) => kind.trim().eq_ignore_ascii_case("bearer"),
        Some(Value::Number(_)) => false,
        _ => true,
    };
    let token = value.as_object()?.get("access_token")?.as_str()?;
    let fit = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
    (silent && bearer && fit).then(|| token.to_owned())
}

fuzz_target!(|input: (u16, bool, &[u8])| {
    let (status, html, body) = input;
    let status = if status % 2 == 0 { 200 } else { 100 + status % 500 };
    let mut headers = HeaderMap::new();
    if html {
        headers.insert("content-type", HeaderValue::from_static("text/html"));
    }
    let expected = expected(body).filter(|_| status == 200);
    match read(status, &headers, body, "https://graph.microsoft.com/.default", NOW) {
        Ok(issued) => {
            // Members that do not matter are not looked into: a number too large for `serde_json` may stand there.
            let unread = serde_json::from_slice::<Value>(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)).is_err();
            assert!(unread && status == 200 || Some(issued.token.expose()) == expected.as_deref(), "{expected:?}");
            assert!(!issued.life.is_zero() && issued.life.as_secs() <= 86_400, "{issued:?}");
        }
        Err(error) => {
            assert_eq!(expected, None, "{error}");
            let said = format!("{error}; {}", error.remedy().unwrap_or_default());
            assert!(said.len() < 8000 && !said.chars().any(char::is_control), "{said}");
        }
    }
});
