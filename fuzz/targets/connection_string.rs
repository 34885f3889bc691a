//! Connection strings, as an admin may paste them. What is made of parts is read back part by part, in whatever order and
//! spelling; what is secret in it is in no message, whatever else is wrong.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ta_defender::microsoft::event_hubs::{ConnectionString, Namespace};
use ta_defender::microsoft::storage::{Access, AccessError};
use ta_defender::secret::Secret;
use ta_defender::time::Ticks;

/// 2026-03-01.
const NOW: Ticks = Ticks(17_723_232_000_000_000);
const KEY: &str = "bm9ib2R5LWtub3dzLXRoaXM9";
const BASE: &str = "https://contoso.blob.core.windows.net";

/// Everything that may be done with a text, and all that is said of it.
fn said(text: &str) -> String {
    let secret = Secret::new(text);
    let hub = match ConnectionString::read(&secret) {
        Ok(string) => {
            let token = string.token(&Namespace::uri(string.namespace(), string.hub().unwrap_or_default()), NOW);
            format!("{string:?} {token:?} {:?} {:?}", string.check("contoso.servicebus.windows.net", "hub"), string.check("127.0.0.1:1", "hub"))
        }
        Err(error) => format!("{error} {error:?}"),
    };
    let endpoint = Access::endpoint(&secret);
    let storage = Access::from_connection_string(&secret, BASE);
    let own = Access::from_connection_string(&secret, endpoint.as_deref().unwrap_or(BASE));
    assert!(endpoint.is_none() || !matches!(own, Err(AccessError::OtherAccount { .. })), "{own:?}");
    let of = |access: Result<Access, AccessError>| match access {
        Ok(access) => format!("{access:?} {:?}", access.expires()),
        Err(error) => format!("{error} {error:?}"),
    };
    format!("{hub} {} {}", of(storage), of(own))
}

/// A value as it can stand in a string: no separator, nothing that is trimmed, not the key.
fn value(text: &str) -> Option<&str> {
    let fits = !text.is_empty() && text.trim() == text && !text.contains([';', '\n']) && !KEY.contains(text) && !text.contains(KEY);
    fits.then_some(text)
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = said(text);
    // The first letter says in which order and spelling, then come host, policy and hub, a line each.
    let mut lines = text.splitn(4, '\n');
    let mut next = || value(lines.next()?);
    let (Some(how), Some(host), Some(policy), hub) = (next(), next(), next(), next()) else { return };
    let how = how.as_bytes()[0];
    let is_host = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    if !is_host {
        return;
    }
    let mut parts = vec![format!("Endpoint=sb://{host}/"), format!("SharedAccessKeyName={policy}"), format!("SharedAccessKey={KEY}")];
    parts.extend(hub.map(|hub| format!("EntityPath={hub}")));
    let turn = usize::from(how) % parts.len();
    parts.rotate_left(turn);
    if how & 8 != 0 {
        for part in &mut parts {
            let (name, value) = part.split_once('=').expect("it has one");
            *part = format!(" {} = {value} ", name.to_ascii_uppercase());
        }
    }
    let text = parts.join(";");
    let string = ConnectionString::read(&Secret::new(text.as_str())).expect("it has all its parts");
    assert_eq!((string.namespace(), string.hub()), (host.to_ascii_lowercase().as_str(), hub));
    assert_eq!(string.check(string.namespace(), hub.unwrap_or("any")), Ok(()));
    let said = said(&text);
    assert!(!said.contains(KEY), "{said}");
    let signature = format!("sv=2022-11-02&sig={KEY}&se=2027-01-01T00:00:00Z");
    for text in [
        format!("BlobEndpoint=https://{host}/;SharedAccessSignature={signature}"),
        format!("https://{host}/{policy}?{signature}"),
        format!("{policy}?{signature}{policy}"),
        format!("Endpoint=sb://{host};SharedAccessSignature={signature}"),
        format!("{policy}={host};AccountName={host};AccountKey={KEY}"),
    ] {
        let said = self::said(&text);
        assert!(!said.contains(KEY), "{said}");
    }
});
