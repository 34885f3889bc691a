//! The tenant, application and session every stand-in starts with, and further ones for tests.

use crate::entra::{Application, Cloud, Resource, Tenant};
use crate::model::World;
use crate::splunkd::Splunkd;

/// The tenant's GUID.
pub const TENANT: &str = "b3c1b5fc-828c-45fa-a1e1-10d74f6d6e9c";
/// The tenant's domain.
pub const DOMAIN: &str = "contoso.onmicrosoft.com";
/// The application's GUID.
pub const CLIENT_ID: &str = "4e7a1f0c-95d2-4c1b-9f5e-2d9a6c1b7f31";
/// The application's secret, of the length and alphabet of real ones.
pub const CLIENT_SECRET: &str = "dEm8Q~simulated.not.a.secret-0123456789ab";
/// The application's display name, which signs its comments.
pub const APPLICATION: &str = "Splunk Defender Add-on";
/// The account in `defender_account.conf`.
pub const ACCOUNT: &str = "demo";
/// The session key of `splunk-system-user`.
pub const SESSION_KEY: &str = "wQ3kDq8Fz1nXb7Lr5Ts0Hy2Jc4Vm6Pa9";
/// The session key of `admin`, who is logged in to Splunk Web.
pub const ADMIN_SESSION_KEY: &str = "admin0Lr5Ts0Hy2Jc4Vm6Pa9wQ3kDq8Fz";
/// The session key of `analyst`, who may not read stored passwords.
pub const ANALYST_SESSION_KEY: &str = "analyst0Vm6Pa9wQ3kDq8Fz1nXb7Lr5T";

/// An account to add: conf stanza, tenant and application in one.
#[derive(Clone, Debug)]
pub struct Account {
    /// The stanza in `defender_account.conf`.
    pub name: String,
    /// The cloud of tenant and stanza.
    pub cloud: Cloud,
    /// The tenant; added when it is new.
    pub tenant: String,
    /// The application; added when it is new.
    pub client_id: String,
    /// The secret the stanza has, if any.
    pub secret: Option<String>,
    /// Whether Entra knows that secret.
    pub secret_is_right: bool,
    /// A certificate (DER) Entra knows the application by.
    pub certificate: Option<Vec<u8>>,
    /// The roles granted.
    pub roles: Roles,
}

/// Which roles an application holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roles {
    /// All that the add-on can use.
    All,
    /// All for reading.
    Read,
    /// None.
    None,
}

impl Account {
    /// An account that works, in an application of its own.
    pub fn new(name: &str) -> Self {
        let number = crate::odata::id_hash(name);
        Account {
            name: name.to_string(),
            cloud: Cloud::Commercial,
            tenant: TENANT.to_string(),
            client_id: crate::chance::Chance::new(number).guid(),
            secret: Some(format!("{name}8Q~simulated.not.a.secret-{:012x}", number & 0xffff_ffff_ffff)),
            secret_is_right: true,
            certificate: None,
            roles: Roles::All,
        }
    }
}

/// Where the stand-ins answer.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// Base of the token endpoint.
    pub login: String,
    /// Base of Graph.
    pub graph: String,
    /// Base of the Defender APIs.
    pub defender: String,
    /// Base of splunkd.
    pub splunkd: String,
    /// Base of the storage account's blob service.
    pub storage: String,
}

/// Adds an account. With addresses its stanza points at the stand-ins; without, at the cloud's own hosts.
pub fn add(world: &mut World, account: &Account, addresses: Option<&Addresses>) {
    let (cloud, name) = match account.cloud {
        Cloud::Commercial => (Cloud::Commercial, "commercial"),
        Cloud::Gcc => (Cloud::Gcc, "gcc"),
        Cloud::GccHigh => (Cloud::GccHigh, "gcc_high"),
        Cloud::Dod => (Cloud::Dod, "dod"),
    };
    if world.entra.tenant(&account.tenant).is_none() {
        let domain = if account.tenant == TENANT { DOMAIN.to_string() } else { format!("{}.onmicrosoft.com", account.name) };
        world.entra.tenants.push(Tenant { id: account.tenant.clone(), domain, cloud, applications: Vec::new() });
    }
    let known = account
        .secret
        .clone()
        .filter(|_| account.secret_is_right)
        .unwrap_or_else(|| "another~secret.that.nobody.was.told-0000".to_string());
    let mut application = Application {
        client_id: account.client_id.clone(),
        name: if account.name == ACCOUNT { APPLICATION.to_string() } else { account.name.clone() },
        secrets: vec![(known, None)],
        certificates: account.certificate.iter().cloned().collect(),
        ..Application::default()
    };
    grant(&mut application, account.roles);
    if let Some(tenant) = world.entra.tenant(&account.tenant) {
        tenant.applications.retain(|other| other.client_id != application.client_id);
        tenant.applications.push(application);
    }
    let splunkd = &mut world.splunkd;
    splunkd.set_conf(
        "defender_account",
        &account.name,
        &[("cloud", name), ("tenant_id", &account.tenant), ("client_id", &account.client_id)],
    );
    if let Some(at) = addresses {
        splunkd.set_conf(
            "defender_account",
            &account.name,
            &[("login_url", &at.login), ("graph_url", &at.graph), ("defender_url", &at.defender)],
        );
    }
    if let Some(secret) = &account.secret {
        splunkd.set_password("defender_account", &format!("{}.client_secret", account.name), secret);
    }
}

/// The longest piece a stored secret is cut into.
const PIECE: usize = 250;

/// Lets an account sign in with a certificate: its PEM in the conf, its key in stored passwords, in pieces because it is long.
pub fn use_certificate(splunkd: &mut Splunkd, account: &str, certificate: &str, key: &str) {
    splunkd.set_conf("defender_account", account, &[("auth", "certificate"), ("certificate", certificate)]);
    // The first piece begins with the number of pieces, which counts as part of what is cut.
    let cut = |count: usize| format!("{count}:{key}").as_bytes().chunks(PIECE).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let guess = cut(1).len();
    for (at, piece) in cut(cut(guess).len()).iter().enumerate() {
        let user = format!("{account}.certificate_key.{}", at + 1);
        splunkd.set_password("defender_account", &user, &String::from_utf8_lossy(piece));
    }
}

/// Grants an application what the add-on needs.
pub fn grant(application: &mut Application, roles: Roles) {
    let table: [(Resource, &[&str], &[&str]); 5] = [
        (
            Resource::Graph,
            &["SecurityAlert.Read.All", "SecurityIncident.Read.All"],
            &["SecurityAlert.ReadWrite.All", "SecurityIncident.ReadWrite.All"],
        ),
        (Resource::Endpoint, &["Alert.Read.All"], &["Alert.ReadWrite.All"]),
        (Resource::Defender, &["Incident.Read.All"], &["Incident.ReadWrite.All"]),
        (Resource::EventHubs, &[crate::event_hubs::RECEIVER_ROLE], &[]),
        (Resource::Storage, &[crate::storage::READER_ROLE], &[]),
    ];
    for (resource, read, write) in table {
        match roles {
            Roles::All => application.grant(resource, &[read, write].concat()),
            Roles::Read => application.grant(resource, read),
            Roles::None => application.grant(resource, &[]),
        }
    }
}

/// The account, sessions and settings every stand-in starts with.
pub fn furnish(world: &mut World, addresses: Option<&Addresses>, ca_bundle: Option<&str>) {
    let account = Account { client_id: CLIENT_ID.to_string(), secret: Some(CLIENT_SECRET.to_string()), ..Account::new(ACCOUNT) };
    add(world, &account, addresses);
    let splunkd = &mut world.splunkd;
    splunkd.add_session(
        SESSION_KEY,
        "splunk-system-user",
        &["list_storage_passwords", "edit_storage_passwords", "admin_all_objects"],
    );
    splunkd.add_session(
        ADMIN_SESSION_KEY,
        "admin",
        &["list_storage_passwords", "edit_storage_passwords", "admin_all_objects", "search"],
    );
    splunkd.add_session(ANALYST_SESSION_KEY, "analyst", &["search"]);
    if let Some(path) = ca_bundle {
        splunkd.set_conf("defender_settings", "tls", &[("ca_bundle", path)]);
    }
}
