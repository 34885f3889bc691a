//! Client assertions: a JWT signed with the application's certificate (PS256 with `x5t#S256`, or RS256 with `x5t`).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

use super::{Application, Cloud};
use crate::certificates::rsa_public_key;
use crate::time::Time;
use crate::wire::Request;

/// Seconds a clock may be off.
const SKEW: i64 = 300;

/// The token URLs an assertion may be addressed to: the one asked, and Microsoft's own for that tenant.
pub(super) fn audiences(request: &Request, cloud: Cloud, tenant: &str, tenant_id: &str) -> Vec<String> {
    let host = request.header_value("host").unwrap_or_default();
    let mut all = vec![format!("https://{host}{}", request.path), format!("http://{host}{}", request.path)];
    for name in [tenant, tenant_id] {
        all.push(format!("https://{}/{name}/oauth2/v2.0/token", cloud.authority()));
    }
    all
}

/// Checks an assertion; an error is the AADSTS number and what its text names.
pub(super) fn check(jwt: &str, application: &Application, audiences: &[String], now: Time) -> Result<(), (u32, String)> {
    let malformed = |what: &str| (50_013, format!("[Reason - {what}]"));
    let [header, payload, signature] = jwt.split('.').collect::<Vec<_>>()[..] else {
        return Err(malformed("The token is not a JWT."));
    };
    let object = |part: &str| -> Option<Value> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok() };
    let head = object(header).ok_or_else(|| malformed("The header is not JSON in base64url."))?;
    let claims = object(payload).ok_or_else(|| malformed("The payload is not JSON in base64url."))?;
    let signature_bytes = URL_SAFE_NO_PAD.decode(signature).map_err(|_| malformed("The signature is not base64url."))?;

    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_string();
    let (thumbprint, hash, algorithm): (_, _, &dyn ring::signature::VerificationAlgorithm) = match text(&head, "alg").as_str() {
        "PS256" => (text(&head, "x5t#S256"), &digest::SHA256, &RSA_PSS_2048_8192_SHA256),
        "RS256" => (text(&head, "x5t"), &digest::SHA1_FOR_LEGACY_USE_ONLY, &RSA_PKCS1_2048_8192_SHA256),
        other => {
            return Err(malformed(&format!("The algorithm '{other}' is not supported.")));
        }
    };
    let wanted = application.certificates.iter().find(|der| URL_SAFE_NO_PAD.encode(digest::digest(hash, der)) == thumbprint);
    let key = wanted.and_then(|der| rsa_public_key(der)).ok_or_else(|| (700_027, thumbprint.clone()))?;
    let signed = format!("{header}.{payload}");
    UnparsedPublicKey::new(algorithm, key)
        .verify(signed.as_bytes(), &signature_bytes)
        .map_err(|_| malformed("The provided signature value did not match the expected signature value."))?;

    if !audiences.contains(&text(&claims, "aud")) {
        return Err((50_012, format!("[Reason - The audience '{}' is not the token endpoint.]", text(&claims, "aud"))));
    }
    for name in ["iss", "sub"] {
        if !text(&claims, name).eq_ignore_ascii_case(&application.client_id) {
            return Err((50_012, format!("[Reason - The claim '{name}' is not the client id.]")));
        }
    }
    if text(&claims, "jti").is_empty() {
        return Err((50_012, "[Reason - The claim 'jti' is missing.]".to_string()));
    }
    let (from, until) = (claims["nbf"].as_i64().unwrap_or(0), claims["exp"].as_i64().unwrap_or(0));
    if now.unix() + SKEW < from || now.unix() - SKEW > until {
        let (from, until) = (Time::from_unix(from), Time::from_unix(until));
        return Err((700_024, format!("assertion valid from {from}, expiry time of assertion {until}")));
    }
    Ok(())
}
