//! The stand-ins behind sockets, for tests and for the program.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::accounts::{self, Account, Addresses, Roles};
use crate::certificates;
use crate::event_hubs::{self, EventHubs};
use crate::faults::{Fault, Route};
use crate::generate;
use crate::model::{Transfer, World};
use crate::preload::{Plan, Preload};
use crate::proxy::{Access, Proxy};
use crate::run::Instance;
use crate::server::{Encoding, Handler, Listener};
use crate::splunkd::inputs::trial;
use crate::splunkd::persist::{Handlers, Setup, admit};
use crate::splunkd::schedule::Schedule;
use crate::splunkweb::{self, Site};
use crate::throttle::Limits;
use crate::time::Time;
use crate::traffic::Exchange;
use crate::wire::{Request, Response, Service};

/// Ports to listen on; 0 takes a free one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// The token endpoint.
    pub login: u16,
    /// Graph.
    pub graph: u16,
    /// The Defender APIs.
    pub defender: u16,
    /// splunkd.
    pub splunkd: u16,
    /// Event Hubs.
    pub event_hubs: u16,
    /// The storage account.
    pub storage: u16,
}

/// What to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The seed the objects follow from.
    pub seed: u64,
    /// How many alerts there are.
    pub alerts: usize,
    /// How many incidents they belong to.
    pub incidents: usize,
    /// How far back the objects reach from now.
    pub span: Duration,
    /// HTTPS for the Microsoft hosts (a fresh CA each time, see [`Simulator::ca_bundle`]).
    pub tls: bool,
    /// HTTPS for splunkd, with a certificate like Splunk's default.
    pub splunkd_tls: bool,
    /// Requests allowed per minute and hour.
    pub limits: Limits,
    /// Seconds a token lasts.
    pub token_life: i64,
    /// Where to listen.
    pub ports: Ports,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            seed: 1,
            alerts: 60,
            incidents: 15,
            span: Duration::from_secs(20 * 86_400),
            tls: false,
            splunkd_tls: false,
            limits: Limits::Documented,
            token_life: 3599,
            ports: Ports::default(),
        }
    }
}

/// A certificate an application may sign in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate, PEM.
    pub certificate: String,
    /// The private key, PKCS#8 PEM.
    pub key: String,
    /// The certificate, DER.
    pub der: Vec<u8>,
}

/// Running stand-ins. They stop when this is dropped.
pub struct Simulator {
    world: Arc<Mutex<World>>,
    listeners: Vec<Listener>,
    event_hubs: EventHubs,
    addresses: Addresses,
    folder: TempDir,
    ca_bundle: PathBuf,
    certificate: Certificate,
    handlers: Arc<OnceLock<Handlers>>,
}

impl Simulator {
    /// Starts the stand-ins.
    ///
    /// # Panics
    /// When a port is taken or the temporary folder cannot be written; a test cannot go on without. See
    /// [`Simulator::try_start`].
    pub fn start(config: Config) -> Self {
        match Self::try_start(config) {
            Ok(simulator) => simulator,
            Err(error) => panic!("the simulator did not start: {error}"),
        }
    }

    /// Starts the stand-ins, or says why not.
    pub fn try_start(config: Config) -> io::Result<Self> {
        let microsoft = certificates::microsoft().map_err(io::Error::other)?;
        let splunkd = certificates::splunkd().map_err(io::Error::other)?;
        let (certificate, key, der) = certificates::client(false).map_err(io::Error::other)?;

        let mut world = World::empty();
        world.throttle.limits = config.limits.clone();
        world.entra.token_life = config.token_life;
        generate::fill(
            &mut world,
            config.seed,
            config.incidents,
            config.alerts,
            Time::from_system(SystemTime::now()),
            config.span,
        );
        let world = Arc::new(Mutex::new(world));

        let handlers = Arc::new(OnceLock::new());
        let start = |service: Service, port: u16, tls| {
            Listener::start(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), tls, handler(&world, service, &handlers))
        };
        let tls = || config.tls.then(|| Arc::clone(&microsoft.config));
        let listeners = vec![
            start(Service::Login, config.ports.login, tls())?,
            start(Service::Graph, config.ports.graph, tls())?,
            start(Service::Defender, config.ports.defender, tls())?,
            start(Service::Splunkd, config.ports.splunkd, config.splunkd_tls.then(|| Arc::clone(&splunkd.config)))?,
            start(Service::Storage, config.ports.storage, tls())?,
        ];
        let event_hubs = EventHubs::start(config.ports.event_hubs, tls(), &world)?;
        let url = |at: usize, secure: bool| format!("{}://{}", if secure { "https" } else { "http" }, listeners[at].address());
        let addresses = Addresses {
            login: url(0, config.tls),
            graph: url(1, config.tls),
            defender: url(2, config.tls),
            splunkd: url(3, config.splunkd_tls),
            storage: url(4, config.tls),
        };

        let folder = tempfile::Builder::new().prefix("simulator-").tempdir()?;
        let ca_bundle = folder.path().join("ca.pem");
        fs::write(&ca_bundle, &microsoft.trust_pem)?;
        let home = folder.path().join("splunk");
        for part in
            ["etc/auth", "var/log/splunk", "var/spool/splunk", "var/lib/splunk/modinputs/defender", "var/run/splunk/dispatch"]
        {
            fs::create_dir_all(home.join(part))?;
        }
        fs::write(home.join("etc/auth/server.pem"), &splunkd.leaf_pem)?;
        fs::write(home.join("etc/auth/cacert.pem"), &splunkd.trust_pem)?;

        let simulator = Simulator {
            world,
            listeners,
            event_hubs,
            addresses,
            folder,
            ca_bundle,
            certificate: Certificate { certificate, key, der },
            handlers,
        };
        let bundle = config.tls.then(|| simulator.ca_bundle.display().to_string());
        simulator.world(|world| accounts::furnish(world, Some(&simulator.addresses), bundle.as_deref()));
        Ok(simulator)
    }

    /// Base of the token endpoint.
    pub fn login_url(&self) -> &str {
        &self.addresses.login
    }

    /// Base of Graph.
    pub fn graph_url(&self) -> &str {
        &self.addresses.graph
    }

    /// Base of the Defender APIs.
    pub fn defender_url(&self) -> &str {
        &self.addresses.defender
    }

    /// Base of splunkd: the `server_uri` to hand over.
    pub fn splunkd_url(&self) -> &str {
        &self.addresses.splunkd
    }

    /// The namespace of Event Hubs.
    pub fn event_hubs(&self) -> &EventHubs {
        &self.event_hubs
    }

    /// Base of the storage account's blob service.
    pub fn storage_url(&self) -> &str {
        &self.addresses.storage
    }

    /// The session key of `splunk-system-user`, who may do everything.
    pub fn session_key(&self) -> &str {
        accounts::SESSION_KEY
    }

    /// The CA of the Microsoft hosts, PEM. With `tls` it already stands in `defender_settings`.
    pub fn ca_bundle(&self) -> &Path {
        &self.ca_bundle
    }

    /// A `$SPLUNK_HOME` with splunkd's certificate in `etc/auth/server.pem` and the folders a program may write to.
    pub fn splunk_home(&self) -> PathBuf {
        self.folder.path().join("splunk")
    }

    /// A folder to hand over as `checkpoint_dir`.
    pub fn checkpoint_dir(&self) -> PathBuf {
        self.splunk_home().join("var/lib/splunk/modinputs/defender")
    }

    /// A certificate no application knows yet; see [`Account::certificate`].
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Looks at the objects, or changes them. Requests wait meanwhile, and so would any other call to this simulator: make none
    /// inside.
    pub fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut lock(&self.world))
    }

    /// Lets Graph serve these pages from now on, and nothing else in their place; see [`preload`](crate::preload).
    pub fn preload(&self, plan: Plan) -> Arc<Preload> {
        let preload = Arc::new(Preload::new(plan, Time::from_system(SystemTime::now()), self.graph_url()));
        self.world(|world| world.preload = Some(Arc::clone(&preload)));
        preload
    }

    /// The faults that wait for their request.
    pub fn faults(&self) -> FaultQueue<'_> {
        FaultQueue(&self.world)
    }

    /// Adds an account that points at the stand-ins.
    pub fn add_account(&self, account: &Account) {
        self.world(|world| accounts::add(world, account, Some(&self.addresses)));
    }

    /// Adds an account that points at the stand-ins and signs in with [`Simulator::certificate`] in place of a secret.
    pub fn add_certificate_account(&self, account: &Account) {
        let account = Account { certificate: Some(self.certificate.der.clone()), secret: None, ..account.clone() };
        let Certificate { certificate, key, .. } = &self.certificate;
        self.world(|world| {
            accounts::add(world, &account, Some(&self.addresses));
            accounts::use_certificate(&mut world.splunkd, &account.name, certificate, key);
        });
    }

    /// The same with a certificate that has lapsed.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn add_lapsed_account(&self, account: &Account) {
        let (certificate, key, der) = certificates::client(true).unwrap_or_else(|error| panic!("no certificate: {error}"));
        let account = Account { certificate: Some(der), secret: None, ..account.clone() };
        self.world(|world| {
            accounts::add(world, &account, Some(&self.addresses));
            accounts::use_certificate(&mut world.splunkd, &account.name, &certificate, &key);
        });
    }

    /// Adds an account that points at its cloud's own hosts; only [`Simulator::proxy`] leads from there to here.
    pub fn add_cloud_account(&self, account: &Account) {
        self.world(|world| accounts::add(world, account, None));
    }

    /// Everything that was asked so far.
    pub fn requests(&self) -> Vec<Exchange> {
        self.world(|world| world.traffic.exchanges().to_vec())
    }

    /// Forgets what was asked so far.
    pub fn forget_requests(&self) {
        self.world(|world| world.traffic.clear());
    }

    /// Lets splunkd answer with the persistent REST handlers of a `restmap.conf`, whose drivers are in `bin`. Once only.
    pub fn install_handlers(&self, restmap: &Path, bin: &Path, limit: Duration) -> io::Result<()> {
        let setup = Setup { restmap, bin, home: &self.splunk_home(), rest_uri: self.splunkd_url(), limit };
        self.handlers.set(Handlers::new(&setup)?).map_err(|_| io::Error::other("there are handlers already"))
    }

    /// Installs the program: splunkd tries inputs out with it before it saves them, and runs those that are enabled until the
    /// returned schedule is dropped.
    pub fn install_program(&self, program: &Path) -> Schedule {
        let instance = Instance::of(self, program.to_path_buf());
        self.world(|world| world.splunkd.instance = Some(instance));
        Schedule::start(&self.world)
    }

    /// Installs the app of this repository with its program, and opens Splunk Web for it. The page has to be built before.
    pub fn open_app(&self, program: &Path, handler: bool, port: u16) -> io::Result<App> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
        let statics = vec![root.join("target/page"), root.join("app/appserver/static")];
        if handler {
            let bin = program.parent().unwrap_or(Path::new("."));
            self.install_handlers(&root.join("default/restmap.conf"), bin, Duration::from_secs(30))?;
        }
        self.furnish_settings(&fs::read_to_string(root.join("default/defender_settings.conf"))?);
        let schedule = self.install_program(program);
        let web = self.open_web(Site { default: root.join("default"), statics }, port)?;
        Ok(App { web, _schedule: schedule })
    }

    /// What the app ships in a conf file is there from the start; what is set already goes before it.
    fn furnish_settings(&self, conf: &str) {
        self.world(|world| {
            let mut stanza = String::new();
            for line in conf.lines() {
                if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                    stanza = name.to_string();
                } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#'))
                    && world.splunkd.conf("defender_settings", &stanza, key.trim()).is_none()
                {
                    world.splunkd.set_conf("defender_settings", &stanza, &[(key.trim(), value.trim())]);
                }
            }
        });
    }

    /// Accounts that do not work, and a saved search that uses one, for the app's page to tell of.
    pub fn furnish_page(&self) {
        self.add_account(&Account { secret_is_right: false, ..Account::new("wrong_secret") });
        self.add_account(&Account { roles: Roles::None, ..Account::new("no_permission") });
        self.add_certificate_account(&Account::new("by_certificate"));
        let search = [
            ("action.defender_alert_update", "1"),
            ("action.defender_alert_update.param.account", "by_certificate"),
            ("search", "search sourcetype=ms:defender:atp:alerts"),
        ];
        let search = search.map(|(key, value)| (key.to_string(), value.to_string())).into();
        self.world(|world| world.splunkd.saved_searches.insert("Close test alerts".to_string(), search));
    }

    /// Opens Splunk Web for an app; port 0 takes a free one. It closes when what is returned is dropped.
    pub fn open_web(&self, site: Site, port: u16) -> io::Result<splunkweb::SplunkWeb> {
        splunkweb::SplunkWeb::open(&self.world, &self.handlers, site, port)
    }

    /// The handlers that were installed.
    pub fn handlers(&self) -> Option<&Handlers> {
        self.handlers.get()
    }

    /// The services' clock; see [`World::clock_ahead`].
    pub fn now(&self) -> Time {
        clock(&lock(&self.world))
    }

    /// How to point a real Splunk at the stand-ins, for a person to read.
    pub fn directions(&self) -> String {
        let Addresses { login, graph, defender, splunkd, storage } = &self.addresses;
        let (tenant, client_id, secret) = (accounts::TENANT, accounts::CLIENT_ID, accounts::CLIENT_SECRET);
        let bundle = if graph.starts_with("https") {
            format!("\n  defender_settings.conf:\n    [tls]\n    ca_bundle = {}\n", self.ca_bundle.display())
        } else {
            String::new()
        };
        // The add-on speaks plain AMQP to a loopback address alone; with TLS the way in is a proxy.
        let hubs: Vec<String> = if graph.starts_with("https") { Vec::new() } else { self.event_hubs.hubs() };
        let streams: String = hubs
            .iter()
            .map(|hub| {
                let at = self.event_hubs.address();
                format!(
                    "    [defender://demo_{hub}]\n    feed = event_hub\n    account = demo\n    event_hub_namespace = {at}\n    event_hub_name = {hub}\n    start = earliest\n"
                )
            })
            .collect();
        format!(
            "Stand-ins are up:
  Entra ID   {login}
  Graph      {graph}
  Defender   {defender}
  splunkd    {splunkd}   (Authorization: Splunk {})
  Storage    {storage}
  Event Hubs {}

To point a real Splunk on this host at them, install the app and put into its local folder:
  defender_account.conf:
    [demo]
    cloud = commercial
    tenant_id = {tenant}
    client_id = {client_id}
    client_secret = {secret}
    login_url = {login}
    graph_url = {graph}
    defender_url = {defender}
{bundle}
  inputs.conf:
    [defender://demo_incidents]
    feed = incidents
    account = demo
    [defender://demo_alerts]
    feed = alerts
    account = demo
{streams}",
            self.session_key(),
            self.event_hubs.address(),
        )
    }

    /// Starts a proxy through which Microsoft's own host names lead to the stand-ins.
    pub fn proxy(&self, access: Access) -> io::Result<Proxy> {
        let port = |service: Service| match service {
            Service::Login => self.listeners[0].address(),
            Service::Graph => self.listeners[1].address(),
            Service::Defender => self.listeners[2].address(),
            Service::Splunkd => self.listeners[3].address(),
            Service::Storage => self.listeners[4].address(),
        };
        let mut hosts: BTreeMap<_, _> =
            certificates::MICROSOFT_HOSTS.iter().map(|(host, service)| (format!("{host}:443"), port(*service))).collect();
        for host in event_hubs::HOSTS {
            hosts.extend(["5671", "443"].map(|port| (format!("{host}:{port}"), self.event_hubs.socket())));
        }
        Proxy::start(access, hosts)
    }
}

/// The app at the stand-ins: its inputs run and its page is open until this is dropped.
pub struct App {
    web: splunkweb::SplunkWeb,
    _schedule: Schedule,
}

impl App {
    /// The address of the page.
    pub fn url(&self) -> String {
        self.web.url()
    }
}

/// The faults of running stand-ins.
pub struct FaultQueue<'a>(&'a Mutex<World>);

impl FaultQueue<'_> {
    /// Sets a fault.
    pub fn push(&self, fault: Fault) {
        lock(self.0).faults.push(fault);
    }

    /// Removes all that are set.
    pub fn clear(&self) {
        lock(self.0).faults.clear();
    }

    /// How many happened so far.
    pub fn happened(&self) -> usize {
        lock(self.0).faults.happened().len()
    }

    /// How many still wait.
    pub fn waiting(&self) -> usize {
        lock(self.0).faults.waiting().len()
    }
}

pub(crate) fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    // A test that failed while it looked at the world has left it whole enough.
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn clock(world: &World) -> Time {
    let now = Time::from_system(SystemTime::now());
    Time(now.0 + world.clock_ahead * 10_000_000)
}

/// What a persistent handler of splunkd answers; `None` when the request is for none.
fn handled(world: &Mutex<World>, handlers: &Handlers, request: &Request) -> Option<Response> {
    let endpoint = handlers.find(request)?;
    let (admitted, now) = {
        let mut world = lock(world);
        let now = clock(&world);
        (admit(&mut world, endpoint, request, now), now)
    };
    let response = match admitted {
        Ok(admitted) => handlers.run(endpoint, &admitted, request, now),
        Err(refused) => refused,
    };
    let response = response.dated(now);
    lock(world).traffic.record(Service::Splunkd, Route::of(Service::Splunkd, request), request, &response, now);
    Some(response)
}

/// What splunkd answers while other requests go on: a handler's process or the program on trial may ask it meanwhile.
pub(crate) fn answer_unlocked(
    world: &Mutex<World>,
    handlers: &OnceLock<Handlers>,
    service: Service,
    request: &Request,
) -> Option<Response> {
    if service != Service::Splunkd {
        return None;
    }
    if let Some(response) = handlers.get().and_then(|handlers| handled(world, handlers, request)) {
        return Some(response);
    }
    let trial = trial(&lock(world).splunkd, request)?;
    trial.refusal(request)
}

fn handler(world: &Arc<Mutex<World>>, service: Service, handlers: &Arc<OnceLock<Handlers>>) -> Handler {
    let (world, handlers) = (Arc::clone(world), Arc::clone(handlers));
    Arc::new(move |request| {
        if let Some(response) = answer_unlocked(&world, &handlers, service, request) {
            return (response, Transfer::Length, Encoding::Identity);
        }
        let mut world = lock(&world);
        let now = clock(&world);
        let preload = world.preload.clone().filter(|_| service == Service::Graph);
        if let Some(response) = preload.and_then(|preload| preload.answer(request)) {
            return (response.dated(now), Transfer::Chunked, Encoding::Identity);
        }
        let response = crate::answer(&mut world, service, request, now);
        let lists = matches!(service, Service::Graph | Service::Defender);
        let transfer = if lists { world.behaviour.transfer } else { Transfer::Length };
        let encoding = if lists { Encoding::Gzip } else { Encoding::Identity };
        (response, transfer, encoding)
    })
}
