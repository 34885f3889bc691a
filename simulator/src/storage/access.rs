//! Who may read: a token of Entra ID with the role, or an account SAS signed with the account's key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use super::{ACCOUNT, READER_ROLE, Refused};
use crate::entra::{self, Resource};
use crate::model::World;
use crate::time::Time;
use crate::wire::{Request, percent_encode};

/// The account's key.
const KEY: &[u8] = b"simulated, not a key of anybody's";

/// An account SAS before it is signed, by the names of its query parameters.
#[derive(Clone, Debug)]
pub struct Signature<'a> {
    /// `sp`, such as `rl`.
    pub permissions: &'a str,
    /// `srt`: service, container and object are `sco`.
    pub resource_types: &'a str,
    /// `se`.
    pub expires: Time,
}

impl Signature<'_> {
    /// The query that lets a request in.
    pub fn sign(&self) -> String {
        let expires = Time::from_unix(self.expires.unix()).to_string();
        let (permissions, types) = (self.permissions, self.resource_types);
        let signature = signed([permissions, "b", types, "", &expires, "", "", "2022-11-02", ""]);
        let (expires, signature) = (percent_encode(&expires), percent_encode(&signature));
        format!("sv=2022-11-02&ss=b&srt={types}&sp={permissions}&se={expires}&sig={signature}")
    }

    /// The connection string as the portal shows it.
    pub fn connection_string(&self, endpoint: &str) -> String {
        format!("BlobEndpoint={endpoint}/;SharedAccessSignature={}", self.sign())
    }
}

/// The signature over permissions, services, resource types, start, expiry, addresses, protocols, version and scope.
fn signed(fields: [&str; 9]) -> String {
    let text = format!("{ACCOUNT}\n{}\n", fields.join("\n"));
    STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, KEY), text.as_bytes()))
}

/// Lets a request in, or says why not.
pub(super) fn check(
    world: &World,
    request: &Request,
    container: Option<&str>,
    is_blob: bool,
    is_list: bool,
    now: Time,
) -> Result<(), Refused> {
    if request.query_value("sig").is_some() {
        return by_signature(request, container.is_some(), is_blob, is_list, now);
    }
    if request.header_value("authorization").is_none() {
        return Err((401, "NoAuthenticationInformation"));
    }
    // Tokens are known to versions from 2017-11-09 on.
    if request.header_value("x-ms-version").is_none_or(|version| version < "2017-11-09") {
        return Err((403, "AuthenticationFailed"));
    }
    match world.entra.check(request, Resource::Storage, &[READER_ROLE], now) {
        Ok(_) if container.is_some_and(|name| world.storage.closed.iter().any(|closed| closed == name)) => {
            Err((403, "AuthorizationPermissionMismatch"))
        }
        Ok(_) => Ok(()),
        Err(entra::Refused::Role(_)) => Err((403, "AuthorizationPermissionMismatch")),
        Err(_) => Err((401, "InvalidAuthenticationInfo")),
    }
}

fn by_signature(request: &Request, in_container: bool, is_blob: bool, is_list: bool, now: Time) -> Result<(), Refused> {
    let value = |name: &str| request.query_value(name).unwrap_or_default();
    let [sp, ss, srt, st, se, sip, spr, sv, ses] = ["sp", "ss", "srt", "st", "se", "sip", "spr", "sv", "ses"].map(value);
    if value("sig") != signed([&sp, &ss, &srt, &st, &se, &sip, &spr, &sv, &ses]) {
        return Err((403, "AuthenticationFailed"));
    }
    if Time::parse(&se).is_none_or(|end| end <= now) || Time::parse(&st).is_some_and(|start| start > now) {
        return Err((403, "AuthenticationFailed"));
    }
    if !ss.contains('b') {
        return Err((403, "AuthorizationServiceMismatch"));
    }
    let kind = if is_blob {
        'o'
    } else if in_container {
        'c'
    } else {
        's'
    };
    if !srt.contains(kind) {
        return Err((403, "AuthorizationResourceTypeMismatch"));
    }
    if !sp.contains(if is_list { 'l' } else { 'r' }) {
        return Err((403, "AuthorizationPermissionMismatch"));
    }
    Ok(())
}
