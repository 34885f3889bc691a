//! Where each of Microsoft's clouds answers, under which scope, and how much it may be asked.
//!
//! Hosts and limits are from Microsoft's pages on US government clouds and on each API's limits; the token audiences of
//! the Defender APIs in government clouds are inferred from their hosts.

use std::fmt;
use std::str::FromStr;

pub use super::resource::{PageSize, Rate, Resource, What};
use crate::http;
use crate::masking::admin_text;

/// A national cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Cloud {
    /// The public cloud.
    #[default]
    Commercial,
    /// US Government Community Cloud: the public Entra ID and Graph, Defender hosts of its own.
    Gcc,
    /// US Government Community Cloud High (L4).
    GccHigh,
    /// US Department of Defense (L5).
    Dod,
}

impl Cloud {
    /// Every cloud, in the order people list them.
    pub const ALL: [Self; 4] = [Self::Commercial, Self::Gcc, Self::GccHigh, Self::Dod];

    /// The name in `defender_account.conf`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Commercial => "commercial",
            Self::Gcc => "gcc",
            Self::GccHigh => "gcc_high",
            Self::Dod => "dod",
        }
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Cloud {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|cloud| cloud.name().eq_ignore_ascii_case(text.trim()))
            .ok_or_else(|| format!("`{}` is unknown: write commercial, gcc, gcc_high or dod", admin_text(text)))
    }
}

/// One of the three services; each wants a token of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// Microsoft Graph, `/v1.0/security`.
    Graph,
    /// The Microsoft 365 Defender incidents API, `/api/incidents`.
    Xdr,
    /// The Defender for Endpoint alerts API, `/api/alerts`.
    Endpoint,
}

impl Api {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Graph, Self::Xdr, Self::Endpoint];

    /// The name people know it by, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Graph => "Microsoft Graph",
            Self::Xdr => "Microsoft 365 Defender API",
            Self::Endpoint => "Defender for Endpoint API",
        }
    }

    /// Under which heading the Entra portal's *API permissions* page lists its permissions.
    pub fn permission_group(self) -> &'static str {
        match self {
            Self::Graph => "Microsoft Graph",
            Self::Xdr => "Microsoft Threat Protection",
            Self::Endpoint => "WindowsDefenderATP",
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whom a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// One of the three REST services.
    Api(Api),
    /// Every namespace of Event Hubs.
    EventHubs,
    /// Every storage account.
    Storage,
}

impl Audience {
    /// The scope that makes Entra ID issue a token for it. Those of Event Hubs and of Storage are the same in all clouds
    /// (Microsoft's pages on authenticating an application with each).
    pub fn scope(self, cloud: Cloud) -> &'static str {
        match self {
            Self::Api(api) => scope(cloud, api),
            Self::EventHubs => "https://eventhubs.azure.net/.default",
            Self::Storage => "https://storage.azure.com/.default",
        }
    }
}

impl From<Api> for Audience {
    fn from(api: Api) -> Self {
        Self::Api(api)
    }
}

/// The hosts of an account: its cloud's, or those that replace them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts {
    /// Entra ID.
    pub login: String,
    /// Microsoft Graph.
    pub graph: String,
    /// Microsoft 365 Defender.
    pub xdr: String,
    /// Defender for Endpoint.
    pub endpoint: String,
}

/// The account's `login_url`, `graph_url` and `defender_url`; an empty text is no override.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overrides<'a> {
    /// Replaces Entra ID's host.
    pub login_url: Option<&'a str>,
    /// Replaces Graph's host.
    pub graph_url: Option<&'a str>,
    /// Replaces the hosts of both Defender APIs.
    pub defender_url: Option<&'a str>,
}

impl Hosts {
    /// The cloud's own hosts.
    pub fn of(cloud: Cloud) -> Self {
        let (login, graph, xdr, endpoint) = match cloud {
            // Defender for Endpoint's pages name api.security.microsoft.com since 2025; the audience stayed the old host.
            Cloud::Commercial => {
                ("login.microsoftonline.com", "graph.microsoft.com", "api.security.microsoft.com", "api.security.microsoft.com")
            }
            Cloud::Gcc => (
                "login.microsoftonline.com",
                "graph.microsoft.com",
                "api-gcc.security.microsoft.us",
                "api-gcc.securitycenter.microsoft.us",
            ),
            Cloud::GccHigh => (
                "login.microsoftonline.us",
                "graph.microsoft.us",
                "api-gov.security.microsoft.us",
                "api-gov.securitycenter.microsoft.us",
            ),
            Cloud::Dod => (
                "login.microsoftonline.us",
                "dod-graph.microsoft.us",
                "api-gov.security.microsoft.us",
                "api-gov.securitycenter.microsoft.us",
            ),
        };
        let https = |host: &str| format!("https://{host}");
        Self { login: https(login), graph: https(graph), xdr: https(xdr), endpoint: https(endpoint) }
    }

    /// The cloud's hosts with the account's overrides.
    ///
    /// # Errors
    /// A sentence that names the parameter and what is wrong with its URL.
    pub fn new(cloud: Cloud, overrides: Overrides<'_>) -> Result<Self, String> {
        let given = |name: &str, url: Option<&str>| -> Result<Option<String>, String> {
            match url.map(str::trim).filter(|url| !url.is_empty()) {
                Some(url) => http::base_url(url).map(Some).map_err(|fault| format!("{name}: {fault}")),
                None => Ok(None),
            }
        };
        let mut hosts = Self::of(cloud);
        if let Some(url) = given("login_url", overrides.login_url)? {
            hosts.login = url;
        }
        if let Some(url) = given("graph_url", overrides.graph_url)? {
            hosts.graph = url;
        }
        if let Some(url) = given("defender_url", overrides.defender_url)? {
            hosts.xdr.clone_from(&url);
            hosts.endpoint = url;
        }
        Ok(hosts)
    }

    /// Where a tenant's tokens are issued. The tenant must have passed [`check_tenant`].
    pub fn token_url(&self, tenant_id: &str) -> String {
        format!("{}/{tenant_id}/oauth2/v2.0/token", self.login)
    }

    /// The base that an API's paths are appended to, without a trailing slash.
    pub fn base(&self, api: Api) -> &str {
        match api {
            Api::Graph => &self.graph,
            Api::Xdr => &self.xdr,
            Api::Endpoint => &self.endpoint,
        }
    }
}

/// The scope that makes Entra ID issue a token for an API: the cloud's own, whatever hosts the account overrides.
pub fn scope(cloud: Cloud, api: Api) -> &'static str {
    match (api, cloud) {
        (Api::Graph, Cloud::Commercial | Cloud::Gcc) => "https://graph.microsoft.com/.default",
        (Api::Graph, Cloud::GccHigh) => "https://graph.microsoft.us/.default",
        (Api::Graph, Cloud::Dod) => "https://dod-graph.microsoft.us/.default",
        (Api::Xdr, Cloud::Commercial) => "https://api.security.microsoft.com/.default",
        (Api::Xdr, Cloud::Gcc) => "https://api-gcc.security.microsoft.us/.default",
        (Api::Xdr, Cloud::GccHigh | Cloud::Dod) => "https://api-gov.security.microsoft.us/.default",
        (Api::Endpoint, Cloud::Commercial) => "https://api.securitycenter.microsoft.com/.default",
        (Api::Endpoint, Cloud::Gcc) => "https://api-gcc.securitycenter.microsoft.us/.default",
        (Api::Endpoint, Cloud::GccHigh | Cloud::Dod) => "https://api-gov.securitycenter.microsoft.us/.default",
    }
}

/// Checks a `tenant_id`: a GUID or a verified domain. `common`, `organizations` and `consumers` stand for no tenant, and
/// Entra ID refuses them for an app that signs in as itself (AADSTS9001023).
///
/// # Errors
/// A sentence that says what to write.
pub fn check_tenant(tenant_id: &str) -> Result<(), String> {
    let shape = !tenant_id.is_empty() && tenant_id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    let placeholder = ["common", "organizations", "consumers"].iter().any(|name| tenant_id.eq_ignore_ascii_case(name));
    if !shape || placeholder || tenant_id.starts_with('.') || !(guid_shaped(tenant_id) || tenant_id.contains('.')) {
        return Err(format!(
            "tenant_id `{}` names no tenant: write the Directory (tenant) ID or a verified domain",
            admin_text(tenant_id)
        ));
    }
    Ok(())
}

/// Checks a `client_id`: a GUID.
///
/// # Errors
/// A sentence that says what to write.
pub fn check_client(client_id: &str) -> Result<(), String> {
    if guid_shaped(client_id) {
        return Ok(());
    }
    Err(format!(
        "client_id `{}` is not an Application (client) ID: a GUID such as 00000000-0000-0000-0000-000000000000",
        admin_text(client_id)
    ))
}

fn guid_shaped(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn clouds_by_name() {
        for cloud in Cloud::ALL {
            assert_eq!(cloud.name().parse::<Cloud>(), Ok(cloud));
        }
        assert_eq!(" GCC_High".parse::<Cloud>(), Ok(Cloud::GccHigh), "case and blanks make no difference");
        for text in ["", "gcc-high", "china"] {
            let error = text.parse::<Cloud>().unwrap_err();
            assert!(error.contains("commercial, gcc, gcc_high or dod"), "{error}");
        }
    }

    #[test]
    fn hosts_and_scopes_of_every_cloud() {
        // (cloud, login, graph, xdr, endpoint), then the three scopes' hosts, from Microsoft's tables.
        let table = [
            (
                Cloud::Commercial,
                ["login.microsoftonline.com", "graph.microsoft.com", "api.security.microsoft.com", "api.security.microsoft.com"],
                ["graph.microsoft.com", "api.security.microsoft.com", "api.securitycenter.microsoft.com"],
            ),
            (
                Cloud::Gcc,
                [
                    "login.microsoftonline.com",
                    "graph.microsoft.com",
                    "api-gcc.security.microsoft.us",
                    "api-gcc.securitycenter.microsoft.us",
                ],
                ["graph.microsoft.com", "api-gcc.security.microsoft.us", "api-gcc.securitycenter.microsoft.us"],
            ),
            (
                Cloud::GccHigh,
                [
                    "login.microsoftonline.us",
                    "graph.microsoft.us",
                    "api-gov.security.microsoft.us",
                    "api-gov.securitycenter.microsoft.us",
                ],
                ["graph.microsoft.us", "api-gov.security.microsoft.us", "api-gov.securitycenter.microsoft.us"],
            ),
            (
                Cloud::Dod,
                [
                    "login.microsoftonline.us",
                    "dod-graph.microsoft.us",
                    "api-gov.security.microsoft.us",
                    "api-gov.securitycenter.microsoft.us",
                ],
                ["dod-graph.microsoft.us", "api-gov.security.microsoft.us", "api-gov.securitycenter.microsoft.us"],
            ),
        ];
        for (cloud, hosts, scopes) in table {
            let ours = Hosts::of(cloud);
            assert_eq!([ours.login, ours.graph, ours.xdr, ours.endpoint], hosts.map(|host| format!("https://{host}")), "{cloud}");
            let ours = [Api::Graph, Api::Xdr, Api::Endpoint].map(|api| scope(cloud, api).to_owned());
            assert_eq!(ours, scopes.map(|host| format!("https://{host}/.default")), "{cloud}");
        }
    }

    #[test]
    fn overrides_replace_hosts_and_are_checked() {
        let overrides =
            Overrides { login_url: Some("http://127.0.0.1:1/"), graph_url: Some(" "), defender_url: Some("https://d.example") };
        let hosts = Hosts::new(Cloud::Dod, overrides).unwrap();
        assert_eq!(hosts.token_url("t.example"), "http://127.0.0.1:1/t.example/oauth2/v2.0/token");
        assert_eq!(hosts.base(Api::Graph), "https://dod-graph.microsoft.us");
        assert_eq!((hosts.base(Api::Xdr), hosts.base(Api::Endpoint)), ("https://d.example", "https://d.example"));
        for (name, overrides) in [
            ("login_url", Overrides { login_url: Some("http://login.example"), ..Overrides::default() }),
            ("graph_url", Overrides { graph_url: Some("graph.example"), ..Overrides::default() }),
            ("defender_url", Overrides { defender_url: Some("https://u:p@host"), ..Overrides::default() }),
        ] {
            let fault = Hosts::new(Cloud::Commercial, overrides).unwrap_err();
            assert!(fault.starts_with(&format!("{name}: ")), "{fault}");
        }
    }

    #[test]
    fn tenants_and_clients() {
        for tenant in ["22222222-2222-2222-2222-222222222222", "contoso.onmicrosoft.com"] {
            assert_eq!(check_tenant(tenant), Ok(()));
        }
        for tenant in
            ["", "common", "Organizations", "consumers", "contoso", "a/b.example", "a b.c", "../x", "t?x.y", "2222-2222"]
        {
            assert!(check_tenant(tenant).unwrap_err().contains("Directory (tenant) ID"), "{tenant}");
        }
        assert_eq!(check_client("11111111-1111-1111-1111-11111111abCD"), Ok(()));
        for client in ["", "my app", "11111111-1111-1111-1111-1111111111111", "{11111111-1111-1111-1111-111111111111}"] {
            assert!(check_client(client).unwrap_err().contains("a GUID"), "{client}");
        }
    }
}
