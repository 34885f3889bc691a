//! Who may do what: Entra's tokens and shared access signatures, as `$cbs` and SASL take them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use super::amqp::{Failure, condition};
use super::hubs::path;
use crate::entra::{Refused, Resource};
use crate::model::World;
use crate::time::Time;
use crate::wire::percent_decode;

/// Azure's role for reading.
pub const RECEIVER_ROLE: &str = "Azure Event Hubs Data Receiver";
/// The kinds of token `$cbs` takes.
pub(crate) const JWT: &str = "jwt";
pub(crate) const SAS: &str = "servicebus.windows.net:sastoken";

/// A shared access policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Its key, as it stands in a connection string.
    pub key: String,
    /// The hub it belongs to; the whole namespace without.
    pub hub: Option<String>,
    /// Whether it has the right to listen.
    pub listen: bool,
}

/// What a token that was put grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The path it was put for, in lower case.
    audience: String,
    /// Whether it allows to listen, or says nothing of it: a role that is missing is noticed at the link.
    pub(crate) listen: bool,
    /// When it ends; a connection that signed in with a key never does.
    expires: Option<Time>,
}

impl Grant {
    /// Everything a policy allows.
    pub(crate) fn of_policy(policy: &Policy) -> Self {
        let audience = policy.hub.clone().unwrap_or_default().to_ascii_lowercase();
        Grant { audience, listen: policy.listen, expires: None }
    }

    /// Whether it is about that resource and holds at that time.
    pub(crate) fn covers(&self, resource: &str, now: Time) -> bool {
        self.expires.is_none_or(|end| end > now) && lies_in(resource, &self.audience)
    }

    /// Whether it has been put for the same.
    pub(crate) fn replaces(&self, other: &Grant) -> bool {
        self.audience == other.audience
    }
}

/// Whether a path is another one or lies below it.
fn lies_in(resource: &str, audience: &str) -> bool {
    let resource = resource.to_ascii_lowercase();
    match resource.strip_prefix(audience) {
        Some(rest) => audience.is_empty() || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

fn refused(description: impl Into<String>) -> Failure {
    Failure::new(condition::UNAUTHORIZED, description)
}

/// Checks an Entra token that is put for an audience.
pub(crate) fn of_jwt(world: &World, text: &str, audience: &str, now: Time) -> Result<Grant, Failure> {
    let grant = |listen, expires| Grant { audience: path(audience).to_ascii_lowercase(), listen, expires: Some(expires) };
    match world.entra.check_text(text, Resource::EventHubs, &[RECEIVER_ROLE], now) {
        Ok(token) => Ok(grant(true, token.expires)),
        Err(Refused::Role(_)) => {
            let end = world.entra.tokens().find(|(known, _)| *known == text).map_or(now, |(_, token)| token.expires);
            Ok(grant(false, end))
        }
        Err(Refused::Expired) => Err(refused("ExpiredToken: The token is expired.")),
        Err(Refused::Audience) => Err(refused("InvalidAudience: Invalid authorization token audience.")),
        Err(_) => Err(refused("InvalidSignature: The token has an invalid signature.")),
    }
}

/// Checks a shared access signature that is put for an audience.
pub(crate) fn of_sas(policies: &[Policy], text: &str, audience: &str, now: Time) -> Result<Grant, Failure> {
    let malformed = || refused("MalformedToken: The token is malformed.");
    let fields = text.strip_prefix("SharedAccessSignature ").ok_or_else(malformed)?;
    let field = |name: &str| {
        fields.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let all = (field("sr"), field("sig"), field("se"), field("skn"));
    let (Some(resource), Some(signature), Some(end), Some(name)) = all else { return Err(malformed()) };
    let name = percent_decode(name);
    let policy = policies.iter().find(|policy| policy.name == name);
    let policy = policy.ok_or_else(|| refused(format!("InvalidSignature: The key name '{name}' was not found.")))?;
    let signature = STANDARD.decode(percent_decode(signature)).map_err(|_| malformed())?;
    // What is signed is the resource as the token spells it.
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, policy.key.as_bytes()), format!("{resource}\n{end}").as_bytes(), &signature)
        .map_err(|_| refused("InvalidSignature: The token has an invalid signature."))?;
    let end = Time::from_unix(end.parse().map_err(|_| malformed())?);
    if end <= now {
        return Err(refused(format!("ExpiredToken: The token is expired. Expiration time: {end}, Current time: {now}")));
    }
    let (resource, audience) = (percent_decode(resource), path(audience).to_ascii_lowercase());
    let signed = path(&resource).to_ascii_lowercase();
    let policy_hub = policy.hub.clone().unwrap_or_default().to_ascii_lowercase();
    if !lies_in(&audience, &signed) || !lies_in(&audience, &policy_hub) {
        return Err(refused("InvalidAudience: The authorization header contains a token with a wrong audience."));
    }
    Ok(Grant { audience, listen: policy.listen, expires: Some(end) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::percent_encode;

    fn policy() -> Policy {
        Policy { name: "listen".to_string(), key: "c2VjcmV0".to_string(), hub: None, listen: true }
    }

    fn token(resource: &str, end: i64, name: &str) -> String {
        let resource = percent_encode(resource);
        let key = hmac::Key::new(hmac::HMAC_SHA256, policy().key.as_bytes());
        let signature = STANDARD.encode(hmac::sign(&key, format!("{resource}\n{end}").as_bytes()));
        format!("SharedAccessSignature sr={resource}&sig={}&se={end}&skn={name}", percent_encode(&signature))
    }

    #[test]
    fn signatures() {
        let audience = "sb://localhost:1/hub/ConsumerGroups/$Default/Partitions/0";
        let check = |text: &str| of_sas(&[policy()], text, audience, Time::from_unix(1000));
        for resource in
            ["sb://localhost/", "sb://localhost", "https://localhost/HUB", "sb://localhost/hub/consumergroups/$default"]
        {
            let grant = check(&token(resource, 2000, "listen")).unwrap();
            assert!(grant.covers("hub/ConsumerGroups/$Default/Partitions/0", Time::from_unix(1999)), "{resource}");
            assert!(!grant.covers("hub/ConsumerGroups/$Default/Partitions/0", Time::from_unix(2000)));
            assert!(!grant.covers("hub/ConsumerGroups/$Default/Partitions/01", Time::from_unix(1999)));
        }
        for (text, part) in [
            (token("sb://localhost/hub2", 2000, "listen"), "InvalidAudience"),
            (token("sb://localhost/hu", 2000, "listen"), "InvalidAudience"),
            (token("sb://localhost/hub", 1000, "listen"), "ExpiredToken"),
            (token("sb://localhost/hub", 2000, "other"), "key name 'other'"),
            (token("sb://localhost/hub", 2000, "listen").replace("se=2000", "se=2001"), "InvalidSignature"),
            ("SharedAccessSignature sr=a&sig=b&se=1".to_string(), "MalformedToken"),
            ("Bearer x".to_string(), "MalformedToken"),
        ] {
            let failure = check(&text).unwrap_err();
            assert!(failure.description.contains(part), "{text}: {failure:?}");
        }
    }
}
