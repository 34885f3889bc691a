//! The stand-ins as a program: for pointing a real Splunk at them, and for trying requests by hand.

// What this program prints is its purpose.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use simulator::chance::Chance;
use simulator::faults::{Fault, FaultKind, Route, When};
use simulator::preload::{self, Evidence, Kind, Plan};
use simulator::splunkd::schedule::PROGRAM;
use simulator::{Config, Simulator, Time, accounts, generate};

const USAGE: &str = "usage: simulator [options]
  --seed N              the seed the objects follow from (1)
  --alerts N            how many alerts there are (60)
  --incidents N         how many incidents they belong to (15)
  --tls                 HTTPS everywhere: a fresh CA for the Microsoft hosts, a certificate like Splunk's default for splunkd
  --ports L,G,D,S       ports of login, Graph, Defender and splunkd (free ones)
  --port-file FILE      write the addresses there, as name=address lines, once they are open
  --change-every TIME   a new alert, or a changed one, every so often: 500ms, 10s, 2m
  --hub NAME[:N]        an event hub of so many partitions (2); may be given several times
  --publish-every TIME  an event with records of any table into each partition of each hub, every so often
  --hub-port PORT       the port of Event Hubs (a free one)
  --no-limits           no throttling
  --web PROGRAM         Splunk Web with the app's page, inputs tried out and run with that program; the page is the one that
                        ./build.sh demo --keep, test or package built last
  --web-port PORT       its port (a free one)
  --pages KIND,ROWS,PAGES
                        Graph serves so many pages that are ready, of alerts or incidents, for measurements
  --first-run           splunkd as right after the installation: no account, no input
  --no-handler          the app's REST handler is missing
  --silent-handler      it takes requests and never answers
  --log FILE            what inputs wrote before, a line each: seconds ago, level, text";

/// What the command line asks for.
struct Options {
    config: Config,
    port_file: Option<String>,
    change_every: Option<Duration>,
    hubs: Vec<(String, usize)>,
    publish_every: Option<Duration>,
    web: Option<PathBuf>,
    web_port: u16,
    first_run: bool,
    handler: bool,
    silent: bool,
    log: Option<PathBuf>,
    pages: Option<Plan>,
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the simulator stopped: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        config: Config::default(),
        port_file: None,
        change_every: None,
        hubs: Vec::new(),
        publish_every: None,
        web: None,
        web_port: 0,
        first_run: false,
        handler: true,
        silent: false,
        log: None,
        pages: None,
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|_| format!("{argument}: {text} is not a number"));
        let config = &mut options.config;
        match argument.as_str() {
            "--seed" => config.seed = number(value()?)?,
            "--alerts" => config.alerts = number(value()?)? as usize,
            "--incidents" => config.incidents = number(value()?)? as usize,
            "--tls" => (config.tls, config.splunkd_tls) = (true, true),
            "--no-limits" => config.limits = simulator::throttle::Limits::Off,
            "--web" => options.web = Some(value()?.into()),
            "--web-port" => options.web_port = number(value()?)? as u16,
            "--pages" => options.pages = Some(plan(&value()?)?),
            "--first-run" => options.first_run = true,
            "--no-handler" => options.handler = false,
            "--silent-handler" => options.silent = true,
            "--log" => options.log = Some(value()?.into()),
            "--port-file" => options.port_file = Some(value()?),
            "--change-every" => options.change_every = Some(duration(&value()?)?),
            "--hub" => options.hubs.push(hub(&value()?)?),
            "--publish-every" => options.publish_every = Some(duration(&value()?)?),
            "--hub-port" => config.ports.event_hubs = number(value()?)? as u16,
            "--ports" => {
                let text = value()?;
                let ports: Vec<u16> = text.split(',').filter_map(|port| port.trim().parse().ok()).collect();
                let [login, graph, defender, splunkd] = ports[..] else {
                    return Err(format!("--ports: {text} is not four port numbers"));
                };
                config.ports = simulator::Ports { login, graph, defender, splunkd, ..config.ports };
            }
            other => return Err(format!("{other} is not an option")),
        }
    }
    Ok(options)
}

/// `alerts,1000,20`
fn plan(text: &str) -> Result<Plan, String> {
    let wrong = || format!("--pages: {text} is not like alerts,1000,20 or incidents,50,20");
    let parts: Vec<&str> = text.split(',').collect();
    let [kind, rows, pages] = parts[..] else { return Err(wrong()) };
    let kind = match kind {
        "alerts" => Kind::Alerts,
        "incidents" => Kind::Incidents,
        _ => return Err(wrong()),
    };
    let (Ok(rows @ 2..), Ok(pages @ 1..)) = (rows.parse(), pages.parse()) else { return Err(wrong()) };
    Ok(Plan { kind, evidence: Evidence::Some, rows, pages })
}

/// A hub's name and how many partitions it has.
fn hub(text: &str) -> Result<(String, usize), String> {
    let (name, partitions) = text.split_once(':').unwrap_or((text, "2"));
    match partitions.parse() {
        Ok(partitions @ 1..=1024) if !name.is_empty() => Ok((name.to_string(), partitions)),
        _ => Err(format!("--hub: {text} is not a name, a colon and a number of partitions")),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| format!("{text} is not a duration such as 10s"))?;
    match &text[digits.len()..] {
        "ms" => Ok(Duration::from_millis(number)),
        "" | "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number * 60)),
        "h" => Ok(Duration::from_secs(number * 3600)),
        unit => Err(format!("{unit} is not a unit of time; use ms, s, m or h")),
    }
}

fn serve(options: &Options) -> io::Result<()> {
    // Before the sockets are open, so that a signal right after start is not lost.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let simulator = Simulator::try_start(options.config.clone())?;
    furnish(&simulator, options);
    if options.silent {
        simulator.faults().push(Fault::new(Route::SplunkHandler, When::Always, FaultKind::Silent));
    }
    if let Some(path) = &options.log {
        let text = fs::read_to_string(path)?;
        simulator.world(|world| write_log(world, &text)).map_err(|line| io::Error::other(format!("{line}: no line of a log")))?;
    }
    let preload = options.pages.map(|plan| simulator.preload(plan));
    for (hub, partitions) in &options.hubs {
        simulator.event_hubs().create(hub, *partitions);
    }
    publish(&simulator, &options.hubs, &mut Chance::new(options.config.seed));
    let web = options.web.as_deref().map(|program| simulator.open_app(program, options.handler, options.web_port)).transpose()?;
    if let Some(path) = &options.port_file {
        let mut lines = format!(
            "login={}\ngraph={}\ndefender={}\nsplunkd={}\nstorage={}\nsession_key={}\nca_bundle={}\nsplunk_home={}\nevent_hubs={}\nconnection_string={}\n",
            simulator.login_url(),
            simulator.graph_url(),
            simulator.defender_url(),
            simulator.splunkd_url(),
            simulator.storage_url(),
            simulator.session_key(),
            simulator.ca_bundle().display(),
            simulator.splunk_home().display(),
            simulator.event_hubs().address(),
            simulator.event_hubs().connection_string(None),
        );
        if let Some(web) = &web {
            lines.push_str(&format!("web={}\n", web.url()));
        }
        // Readers wait for the file to appear; it must be whole when it does.
        let unfinished = format!("{path}.new");
        fs::write(&unfinished, lines)?;
        fs::rename(&unfinished, path)?;
    }
    print!("{}", simulator.directions());
    if let Some(web) = &web {
        println!("\nThe app's page: {}", web.url());
    }
    if let Some(preload) = preload {
        println!(
            "\nGraph serves {} objects in pages that are ready, {} MB of JSON, {} MB compressed:
  by links    {}/pages/0
  by windows  an input with start = {}, lookback = {}",
            preload.rows().len(),
            preload.bytes() / 1_000_000,
            preload.gzip_bytes() / 1_000_000,
            simulator.graph_url(),
            preload.start(),
            preload::LOOKBACK,
        );
    }
    println!("\nCtrl-C stops.");

    let mut chance = Chance::new(options.config.seed ^ 0x00c0_ffee);
    let tasks = [(options.change_every, Task::Change), (options.publish_every, Task::Publish)];
    let mut due: Vec<_> =
        tasks.into_iter().filter_map(|(every, task)| every.map(|every| (Instant::now() + every, every, task))).collect();
    loop {
        let Some((at, every, task)) = due.iter_mut().min_by_key(|(at, ..)| *at) else {
            signals.forever().next();
            return Ok(());
        };
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        if signals.pending().next().is_some() {
            return Ok(());
        }
        *at += *every;
        match task {
            Task::Change => {
                let id = simulator.world(|world| change(world, &mut chance));
                println!("{} changed {id}", Time::from_system(SystemTime::now()));
            }
            Task::Publish => publish(&simulator, &options.hubs, &mut chance),
        }
    }
}

/// What happens every so often.
#[derive(Clone, Copy)]
enum Task {
    Change,
    Publish,
}

/// An event into each partition.
fn publish(simulator: &Simulator, hubs: &[(String, usize)], chance: &mut Chance) {
    for (hub, partitions) in hubs {
        for partition in 0..*partitions {
            let records = 1 + chance.below(20) as usize;
            simulator.event_hubs().publish_records(hub, partition, chance, records);
        }
    }
}

/// Accounts and searches that the app's page has something to say about.
fn furnish(simulator: &Simulator, options: &Options) {
    if options.first_run {
        simulator.world(|world| {
            world.splunkd.remove_conf("defender_account", accounts::ACCOUNT);
            world.splunkd.remove_password("defender_account", &format!("{}.client_secret", accounts::ACCOUNT));
        });
        return;
    }
    if options.web.is_some() {
        simulator.furnish_page();
    }
}

/// Puts lines such as `600 ERROR defender://x: …` into the log, that long ago; the line that cannot be read otherwise.
fn write_log(world: &mut simulator::World, text: &str) -> Result<(), String> {
    for line in text.lines() {
        let (ago, said) = line.split_once(' ').ok_or(line)?;
        let ago = Duration::from_secs(ago.parse().map_err(|_| line)?);
        world.splunkd.journal.log(said, PROGRAM, Time::from_system(SystemTime::now() - ago));
    }
    Ok(())
}

/// Half of the changes are new alerts, the others touch one that is there.
fn change(world: &mut simulator::World, chance: &mut Chance) -> String {
    let now = Time::from_system(SystemTime::now());
    let ids: Vec<String> = world.alerts().map(|alert| alert.id.clone()).collect();
    if ids.is_empty() || chance.percent(50) {
        return generate::arrive(world, chance, now);
    }
    let id = chance.pick(&ids).clone();
    world.change_alert(&id, now, |alert| alert.assigned_to = Some(format!("{}@{}", chance.hex(4), accounts::DOMAIN)));
    id
}
