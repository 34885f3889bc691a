//! What a token says about itself, for people to see. Nothing is decided by it: Microsoft promises the form of a token to
//! the API it is for alone, and only the API's answer shows what the token is good for.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::secret::Secret;

/// The application permissions of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roles {
    /// These; none at all where an administrator has consented to none.
    Told(BTreeSet<String>),
    /// The token is encrypted, or no JWT.
    Opaque,
}

/// Longer tokens are not looked into. One with all permissions of an API has some kilobytes.
const LIMIT: usize = 256 << 10;

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    roles: BTreeSet<String>,
}

/// Reads the `roles` of a token. Its signature is not checked.
pub fn roles(token: &Secret) -> Roles {
    let parts: Vec<&str> = token.expose().split('.').collect();
    // Five parts are an encrypted token.
    let [_, claims, _] = parts[..] else { return Roles::Opaque };
    if claims.len() > LIMIT {
        return Roles::Opaque;
    }
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok();
    match claims.and_then(|json| serde_json::from_slice::<Claims>(&json).ok()) {
        Some(claims) => Roles::Told(claims.roles),
        None => Roles::Opaque,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told<const N: usize>(names: [&str; N]) -> Roles {
        Roles::Told(names.map(str::to_owned).into())
    }

    #[test]
    fn what_a_token_tells() {
        let jwt = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        let table = [
            (jwt(r#"{"roles":["b","a"],"appid":"x"}"#), told(["a", "b"])),
            (jwt(r#"{"appid":"x"}"#), told([])),
            (jwt(r#"{"roles":[]}"#), told([])),
            (format!("e30.{}==.c2ln", URL_SAFE_NO_PAD.encode(r#"{"roles":["ab"]}"#)), told(["ab"])),
            (jwt(r#"{"roles":"a"}"#), Roles::Opaque),
            (jwt(r#"[1]"#), Roles::Opaque),
            (jwt("\u{fffd}"), Roles::Opaque),
            ("e30.***.c2ln".to_owned(), Roles::Opaque),
            ("opaque".to_owned(), Roles::Opaque),
            (String::new(), Roles::Opaque),
            ("a.b.c.d.e".to_owned(), Roles::Opaque),
            (jwt(&format!(r#"{{"roles":["{}"]}}"#, "x".repeat(LIMIT))), Roles::Opaque),
        ];
        for (token, expected) in table {
            assert_eq!(roles(&Secret::new(token)), expected);
        }
    }
}
