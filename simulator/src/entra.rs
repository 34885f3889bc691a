//! The token endpoint of Entra ID (v2.0), client credentials only, for any number of tenants and clouds.

mod assertion;
mod errors;

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

pub use errors::error;

use crate::chance::Chance;
use crate::model::World;
use crate::object;
use crate::time::Time;
use crate::wire::{Request, Response};

/// A national cloud.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cloud {
    /// Commercial.
    #[default]
    Commercial,
    /// US government, on the commercial authority.
    Gcc,
    /// US government, L4.
    GccHigh,
    /// US government, L5.
    Dod,
}

/// What a token is for. Graph, the Endpoint API, the incidents API and Event Hubs are four resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// Microsoft Graph.
    Graph,
    /// The Defender for Endpoint API.
    Endpoint,
    /// The Microsoft 365 Defender API.
    Defender,
    /// Event Hubs. Its roles are Azure's, assigned on the namespace, and not in the token; kept here all the same.
    EventHubs,
    /// Storage. Its roles are Azure's, assigned on the account, and not in the token; kept here all the same.
    Storage,
}

impl Cloud {
    /// The host of the authority.
    pub const fn authority(self) -> &'static str {
        match self {
            Cloud::Commercial | Cloud::Gcc => "login.microsoftonline.com",
            Cloud::GccHigh | Cloud::Dod => "login.microsoftonline.us",
        }
    }

    /// The names a resource goes by in a scope, without `/.default`; the first is the token's audience.
    pub const fn audiences(self, resource: Resource) -> &'static [&'static str] {
        match (resource, self) {
            (Resource::Graph, Cloud::Commercial | Cloud::Gcc) => &["https://graph.microsoft.com"],
            (Resource::Graph, Cloud::GccHigh) => &["https://graph.microsoft.us"],
            (Resource::Graph, Cloud::Dod) => &["https://dod-graph.microsoft.us"],
            (Resource::Endpoint, Cloud::Commercial) => {
                &["https://api.securitycenter.microsoft.com", "https://securitycenter.onmicrosoft.com/windowsatpservice"]
            }
            (Resource::Endpoint, Cloud::Gcc) => &["https://api-gcc.securitycenter.microsoft.us"],
            (Resource::Endpoint, Cloud::GccHigh | Cloud::Dod) => &["https://api-gov.securitycenter.microsoft.us"],
            (Resource::Defender, Cloud::Commercial) => &["https://api.security.microsoft.com"],
            (Resource::Defender, Cloud::Gcc) => &["https://api-gcc.security.microsoft.us"],
            (Resource::Defender, Cloud::GccHigh | Cloud::Dod) => &["https://api-gov.security.microsoft.us"],
            (Resource::EventHubs, _) => &["https://eventhubs.azure.net"],
            (Resource::Storage, _) => &["https://storage.azure.com"],
        }
    }

    /// The resource a scope asks for in this cloud.
    fn resource(self, scope: &str) -> Option<Resource> {
        let name = scope.strip_suffix("/.default")?;
        [Resource::Graph, Resource::Endpoint, Resource::Defender, Resource::EventHubs, Resource::Storage]
            .into_iter()
            .find(|resource| self.audiences(*resource).contains(&name))
    }
}

/// A directory.
#[derive(Clone, Debug, Default)]
pub struct Tenant {
    /// Its GUID.
    pub id: String,
    /// Its domain, which serves as well as the GUID.
    pub domain: String,
    /// Where it lives.
    pub cloud: Cloud,
    /// The applications registered in it.
    pub applications: Vec<Application>,
}

/// An application registration.
#[derive(Clone, Debug, Default)]
pub struct Application {
    /// Its GUID.
    pub client_id: String,
    /// Its display name, which signs its comments.
    pub name: String,
    /// Client secrets, with their ends.
    pub secrets: Vec<(String, Option<Time>)>,
    /// Certificates (DER).
    pub certificates: Vec<Vec<u8>>,
    /// The roles granted per resource.
    pub roles: BTreeMap<Resource, Vec<String>>,
    /// Resources whose service principal is missing: no licence.
    pub missing: Vec<Resource>,
    /// A disabled application gets no token.
    pub disabled: bool,
}

impl Application {
    /// Grants roles, replacing those the resource had.
    pub fn grant(&mut self, resource: Resource, roles: &[&str]) {
        self.roles.insert(resource, roles.iter().map(|role| role.to_string()).collect());
    }
}

/// What a token says.
#[derive(Clone, Debug)]
pub struct Token {
    /// The tenant's GUID.
    pub tenant: String,
    /// The application's GUID.
    pub client_id: String,
    /// The application's display name.
    pub name: String,
    /// The resource it is for.
    pub resource: Resource,
    /// The roles granted when it was issued.
    pub roles: Vec<String>,
    /// When it ends.
    pub expires: Time,
}

/// Why an API turns a request away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No `Authorization: Bearer`.
    Missing,
    /// Not one of our tokens, or one that was revoked.
    Invalid,
    /// Past its end.
    Expired,
    /// For another resource.
    Audience,
    /// None of the roles that would do.
    Role(Vec<String>),
}

/// Tenants and the tokens given out.
#[derive(Clone, Debug)]
pub struct Entra {
    /// The directories.
    pub tenants: Vec<Tenant>,
    /// How long a token lasts, in seconds. Real ones last 3599 and a little jitter.
    pub token_life: i64,
    tokens: BTreeMap<String, Token>,
}

impl Default for Entra {
    fn default() -> Self {
        Entra { tenants: Vec::new(), token_life: 3599, tokens: BTreeMap::new() }
    }
}

impl Entra {
    /// A tenant by GUID or domain.
    pub fn tenant(&mut self, name: &str) -> Option<&mut Tenant> {
        self.tenants.iter_mut().find(|tenant| tenant.id.eq_ignore_ascii_case(name) || tenant.domain.eq_ignore_ascii_case(name))
    }

    /// An application by tenant and GUID.
    pub fn application(&mut self, tenant: &str, client_id: &str) -> Option<&mut Application> {
        self.tenant(tenant)?.applications.iter_mut().find(|application| application.client_id.eq_ignore_ascii_case(client_id))
    }

    /// Makes every token given out so far invalid.
    pub fn revoke_all(&mut self) {
        self.tokens.clear();
    }

    /// The tokens given out that are still known.
    pub fn tokens(&self) -> impl Iterator<Item = (&str, &Token)> {
        self.tokens.iter().map(|(text, token)| (text.as_str(), token))
    }

    /// Issues a token without asking: for calls in-process. `None` when there is no such application.
    pub fn issue(&mut self, tenant: &str, client_id: &str, resource: Resource, now: Time) -> Option<String> {
        let life = self.token_life;
        let found = self.tenant(tenant)?;
        let (id, cloud) = (found.id.clone(), found.cloud);
        let application = self.application(tenant, client_id)?;
        let token = Token {
            tenant: id,
            client_id: application.client_id.clone(),
            name: application.name.clone(),
            resource,
            roles: application.roles.get(&resource).cloned().unwrap_or_default(),
            expires: Time::from_unix(now.unix() + life),
        };
        // Looks like a JWT, and its claims are readable; what it is worth is known here alone, as in Graph, whose tokens
        // callers are told not to read.
        let claims = object! {
            "aud" => cloud.audiences(resource)[0],
            "iss" => format!("https://sts.windows.net/{}/", token.tenant),
            "exp" => token.expires.unix(),
            "appid" => token.client_id.as_str(),
            "roles" => if matches!(resource, Resource::EventHubs | Resource::Storage) { Vec::new() } else { token.roles.clone() },
            "tid" => token.tenant.as_str(),
        };
        let header = object! { "typ" => "JWT", "alg" => "RS256", "kid" => "simulator" };
        let signature = Chance::new(now.0 as u64 ^ self.tokens.len() as u64).hex(342);
        let text = format!("{}.{}.{signature}", URL_SAFE_NO_PAD.encode(header.render()), URL_SAFE_NO_PAD.encode(claims.render()));
        self.tokens.insert(text.clone(), token);
        Some(text)
    }

    /// Checks the bearer token of a request against the resource asked and the roles of which one is enough.
    pub fn check(&self, request: &Request, resource: Resource, roles: &[&str], now: Time) -> Result<&Token, Refused> {
        self.check_text(request.credential("Bearer").ok_or(Refused::Missing)?, resource, roles, now)
    }

    /// The same for a token that comes another way.
    pub(crate) fn check_text(&self, text: &str, resource: Resource, roles: &[&str], now: Time) -> Result<&Token, Refused> {
        let token = self.tokens.get(text).ok_or(Refused::Invalid)?;
        if token.resource != resource {
            return Err(Refused::Audience);
        }
        if token.expires <= now {
            return Err(Refused::Expired);
        }
        if token.roles.iter().any(|held| roles.contains(&held.as_str())) {
            Ok(token)
        } else {
            Err(Refused::Role(token.roles.clone()))
        }
    }
}

/// Answers a token request.
pub fn answer(world: &mut World, request: &Request, now: Time) -> Response {
    match grant(world, request, now) {
        Ok(token) => {
            let life = world.entra.token_life;
            let body =
                object! { "token_type" => "Bearer", "expires_in" => life, "ext_expires_in" => life, "access_token" => token };
            Response::json(200, &body).header("Cache-Control", "no-store, no-cache").header("Pragma", "no-cache")
        }
        Err((0, _)) => Response::empty(404),
        Err((code, detail)) => error(code, &detail, now),
    }
}

/// The checks in the order Entra makes them; an error is its AADSTS number and the thing its text names (0: no such page).
fn grant(world: &mut World, request: &Request, now: Time) -> Result<String, (u32, String)> {
    let no = |code: u32, detail: &str| Err((code, detail.to_string()));
    let segments = request.segments();
    let [tenant, "oauth2", "v2.0", "token"] = segments.iter().map(String::as_str).collect::<Vec<_>>()[..] else {
        return no(0, "");
    };
    if request.method != "POST" {
        return no(900_561, &request.method);
    }
    if ["common", "consumers", "organizations"].contains(&tenant) {
        return no(9_001_023, tenant);
    }
    if !plausible_tenant(tenant) {
        return no(900_023, tenant);
    }
    let form = match request.content_type().as_str() {
        "application/x-www-form-urlencoded" => request.form(),
        _ => Vec::new(),
    };
    let field = |name: &str| form.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.clone());
    let needed = |name: &str| field(name).ok_or((900_144, name.to_string()));
    let grant_type = needed("grant_type")?;
    if grant_type != "client_credentials" {
        return no(70_003, &grant_type);
    }
    let basic =
        request.credential("Basic").and_then(|text| STANDARD.decode(text).ok()).and_then(|bytes| String::from_utf8(bytes).ok());
    let (basic_id, basic_secret) = basic
        .as_deref()
        .and_then(|pair| pair.split_once(':'))
        .map_or((None, None), |(id, secret)| (Some(crate::wire::percent_decode(id)), Some(crate::wire::percent_decode(secret))));
    let client_id = field("client_id").or(basic_id).ok_or((900_144, "client_id".to_string()))?;
    let scope = needed("scope")?;
    let Some(found) = world.entra.tenant(tenant) else {
        return no(90_002, tenant);
    };
    let (tenant_id, cloud) = (found.id.clone(), found.cloud);
    if wrong_authority(request, cloud) {
        return no(900_382, tenant);
    }
    let Some(application) = world.entra.application(&tenant_id, &client_id).cloned() else {
        return no(700_016, &format!("{client_id}|{tenant}"));
    };
    if application.disabled {
        return no(70_001, &client_id);
    }
    if scope.split_whitespace().count() != 1 || !scope.ends_with("/.default") {
        return no(70_011, &scope);
    }
    let Some(resource) = cloud.resource(&scope).filter(|resource| !application.missing.contains(resource)) else {
        return no(500_011, scope.trim_end_matches("/.default"));
    };
    match (field("client_secret").or(basic_secret), field("client_assertion")) {
        (_, Some(jwt)) => {
            if field("client_assertion_type").as_deref() != Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer") {
                return no(900_144, "client_assertion_type");
            }
            let audiences = assertion::audiences(request, cloud, tenant, &tenant_id);
            assertion::check(&jwt, &application, &audiences, now)?;
        }
        (Some(secret), None) => match application.secrets.iter().find(|(value, _)| *value == secret) {
            None => return no(7_000_215, &client_id),
            Some((_, Some(end))) if *end <= now => return no(7_000_222, &client_id),
            Some(_) => {}
        },
        (None, None) => return no(7_000_218, ""),
    }
    world.entra.issue(&tenant_id, &client_id, resource, now).ok_or((50_000, String::new()))
}

/// What the text of an error names, taken from the request it answers.
pub(crate) fn named(code: u32, request: &Request) -> String {
    let form = request.form();
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap_or_default();
    let tenant = request.segments().first().cloned().unwrap_or_default();
    match code {
        90_002 | 900_023 | 90_038 | 9_001_023 => tenant,
        500_011 | 50_001 | 70_011 | 28_002 => field("scope").trim_end_matches("/.default").to_string(),
        700_016 | 700_011 => format!("{}|{tenant}", field("client_id")),
        900_144 => "client_id".to_string(),
        _ => field("client_id"),
    }
}

/// A GUID or a domain name.
fn plausible_tenant(tenant: &str) -> bool {
    let guid = tenant.len() == 36
        && tenant.bytes().enumerate().all(
            |(at, byte)| {
                if [8, 13, 18, 23].contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() }
            },
        );
    let domain = tenant.contains('.') && tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    guid || domain
}

/// True when the host asked is Microsoft's authority of another cloud. Any other host is a stand-in of all of them.
fn wrong_authority(request: &Request, cloud: Cloud) -> bool {
    let host = request.header_value("host").unwrap_or_default().split(':').next().unwrap_or_default();
    [Cloud::Commercial, Cloud::GccHigh].iter().any(|other| other.authority() == host) && host != cloud.authority()
}
