//! The answer of a token endpoint: the token and how long it lasts. Written for what other libraries were seen to stumble over:
//! numbers as text, members that are missing or null, a byte order mark.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderMap;
use serde_json::value::RawValue;

use super::answer;
use super::token_error::{TokenError, refusal};
use crate::secret::Secret;
use crate::time::{PER_SECOND, Ticks};

/// A token, and how long it is good for from now on.
#[derive(Debug)]
pub struct Issued {
    /// The token; visible ASCII.
    pub token: Secret,
    /// At most a day.
    pub life: Duration,
}

/// What does not say how long it lasts, or says it wrongly, is renewed this soon.
const LIFE_UNSAID: Duration = Duration::from_secs(600);
/// No token is kept longer without asking anew, whatever it says.
const LONGEST: Duration = Duration::from_secs(86_400);

/// The members of a JSON object, as they stand there.
pub(super) type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Reads an answer.
///
/// # Errors
/// See [`TokenError`]: everything but a bearer token.
pub fn read(status: u16, headers: &HeaderMap, body: &[u8], scope: &str, now: Ticks) -> Result<Issued, TokenError> {
    let refused = || refusal(status, headers, body, scope, now);
    // A token beside an error is none.
    let members = members(body).filter(|members| status == 200 && !is_said(members, "error")).ok_or_else(refused)?;
    let Some(token) = member(&members, "access_token") else { return Err(refused()) };
    let is_bearer = member(&members, "token_type").is_none_or(|kind| kind.trim().eq_ignore_ascii_case("bearer"));
    let fit = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
    if !fit || !is_bearer || !members["access_token"].get().starts_with('"') {
        return Err(TokenError::Garbled { status, what: "the answer holds no bearer token", retry_after: None });
    }
    let left = |name: &str| member(&members, name).and_then(|text| text.trim().parse::<f64>().ok());
    let since = answer::date(headers).unwrap_or(now).0 as f64 / PER_SECOND as f64;
    let seconds = [left("expires_in"), left("expires_on").map(|end| end - since)].into_iter().flatten();
    let life = seconds.filter(|seconds| *seconds >= 1.0).map(|seconds| seconds.min(LONGEST.as_secs_f64())).next();
    Ok(Issued { token: Secret::new(token), life: life.map_or(LIFE_UNSAID, Duration::from_secs_f64) })
}

/// The members of a body that is a JSON object, behind a byte order mark if there is one.
pub(super) fn members(body: &[u8]) -> Option<Members<'_>> {
    serde_json::from_slice(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)).ok()
}

/// A member that is a text or a number, as text.
pub(super) fn member(members: &Members<'_>, name: &str) -> Option<String> {
    text(members.get(name)?)
}

/// A text or a number, as text.
pub(super) fn text(raw: &RawValue) -> Option<String> {
    match raw.get().as_bytes().first()? {
        b'"' => serde_json::from_str(raw.get()).ok(),
        b'-' | b'0'..=b'9' => Some(raw.get().to_owned()),
        _ => None,
    }
}

/// Whether a member is there and says anything.
pub(super) fn is_said(members: &Members<'_>, name: &str) -> bool {
    members.get(name).is_some_and(|raw| !matches!(raw.get(), "null" | "\"\"" | "false"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn life(body: &str) -> Result<u64, String> {
        let now = Ticks::parse("2026-11-22T12:00:00Z").unwrap();
        let issued = read(200, &HeaderMap::new(), body.as_bytes(), "S", now).map_err(|error| error.to_string())?;
        assert_eq!(issued.token.expose(), "t");
        Ok(issued.life.as_secs())
    }

    #[test]
    fn a_life_in_every_spelling() {
        // 2026-11-22T12:00:00Z is 1795348800.
        for (members, seconds) in [
            (r#""expires_in":3599"#, 3599),
            (r#""expires_in":"3599""#, 3599),
            (r#""expires_in":" 3599 ""#, 3599),
            (r#""expires_in":3599.0"#, 3599),
            (r#""expires_in":"3599.9""#, 3599),
            (r#""expires_in":3.599e3"#, 3599),
            (r#""expires_in":null"#, 600),
            (r#""expires_in":"""#, 600),
            (r#""expires_in":"soon""#, 600),
            (r#""expires_in":[3599]"#, 600),
            (r#""expires_in":{"a":1}"#, 600),
            (r#""expires_in":true"#, 600),
            (r#""expires_in":0"#, 600),
            (r#""expires_in":-1"#, 600),
            (r#""expires_in":1e-300"#, 600),
            (r#""expires_in":"NaN""#, 600),
            (r#""expires_in":86399"#, 86_399),
            (r#""expires_in":1e400"#, 86_400),
            (r#""expires_in":18446744073709551616"#, 86_400),
            (r#""expires_in":3599,"ext_expires_in":"x""#, 3599),
            (r#""expires_in":3599,"expires_in":3600"#, 3600),
            (r#""expires_on":"1795352399""#, 3599),
            (r#""expires_on":1795352399"#, 3599),
            (r#""expires_on":1795340000"#, 600),
            (r#""expires_in":null,"expires_on":1795352399"#, 3599),
            (r#""expires_in":60,"expires_on":1795352399"#, 60),
            (r#""error":null"#, 600),
        ] {
            let body = format!(r#"{{"token_type":"Bearer",{members},"access_token":"t"}}"#);
            assert_eq!(life(&body), Ok(seconds), "{members}");
            assert_eq!(life(&format!("\u{feff}{body}\r\n")), Ok(seconds), "{members}");
        }
        for kind in [r#""token_type":"bearer","#, r#""token_type":"BEARER","#, r#""token_type":null,"#, ""] {
            assert_eq!(life(&format!(r#"{{{kind}"access_token":"t","expires_in":60}}"#)), Ok(60), "{kind}");
        }
    }

    #[test]
    fn what_is_no_token() {
        for (body, part) in [
            (r#"{"token_type":"mac","access_token":"t"}"#, "no bearer token"),
            (r#"{"token_type":"pop","access_token":"t"}"#, "no bearer token"),
            (r#"{"access_token":""}"#, "no bearer token"),
            (r#"{"access_token":7}"#, "no bearer token"),
            (r#"{"access_token":"a b"}"#, "no bearer token"),
            (r#"{"access_token":null}"#, "neither a token nor an error"),
            (r#"{"access_token":{"a":1}}"#, "neither a token nor an error"),
            (r#"{"access_token":"t","error":"invalid_client"}"#, "gave no token: invalid_client"),
            (r#"{"access_token":"t","error":{"code":"x","message":"No."}}"#, "gave no token: No"),
            (r#"["t"]"#, "not JSON"),
            (r#"{"access_token":"t""#, "not JSON"),
        ] {
            let said = life(body).unwrap_err();
            assert!(said.contains(part), "{body}: {said}");
        }
        assert!(read(400, &HeaderMap::new(), br#"{"access_token":"t"}"#, "S", Ticks(0)).is_err());
    }
}
