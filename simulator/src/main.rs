//! The stand-ins as a program: for pointing a real Splunk at them, and for trying requests by hand.

// What this program prints is its purpose.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use simulator::chance::Chance;
use simulator::{Config, Simulator, Time, accounts, generate};

const USAGE: &str = "usage: simulator [options]
  --seed N              the seed the objects follow from (1)
  --alerts N            how many alerts there are (60)
  --incidents N         how many incidents they belong to (15)
  --tls                 HTTPS everywhere: a fresh CA for the Microsoft hosts, a certificate like Splunk's default for splunkd
  --ports L,G,D,S       ports of login, Graph, Defender and splunkd (free ones)
  --port-file FILE      write the addresses there, as name=address lines, once they are open
  --change-every TIME   a new alert, or a changed one, every so often: 500ms, 10s, 2m
  --no-limits           no throttling
  --web PROGRAM         Splunk Web with the app's page, inputs tried out and run with that program (needs ./build.sh page)
  --web-port PORT       its port (a free one)
  --first-run           splunkd as right after the installation: no account, no input
  --no-handler          the app's REST handler is missing";

/// What the command line asks for.
struct Options {
    config: Config,
    port_file: Option<String>,
    change_every: Option<Duration>,
    web: Option<PathBuf>,
    web_port: u16,
    first_run: bool,
    handler: bool,
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
        web: None,
        web_port: 0,
        first_run: false,
        handler: true,
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
            "--first-run" => options.first_run = true,
            "--no-handler" => options.handler = false,
            "--port-file" => options.port_file = Some(value()?),
            "--change-every" => options.change_every = Some(duration(&value()?)?),
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
    let web = options.web.as_deref().map(|program| simulator.open_app(program, options.handler, options.web_port)).transpose()?;
    if let Some(path) = &options.port_file {
        let mut lines = format!(
            "login={}\ngraph={}\ndefender={}\nsplunkd={}\nstorage={}\nsession_key={}\nca_bundle={}\nsplunk_home={}\n",
            simulator.login_url(),
            simulator.graph_url(),
            simulator.defender_url(),
            simulator.splunkd_url(),
            simulator.storage_url(),
            simulator.session_key(),
            simulator.ca_bundle().display(),
            simulator.splunk_home().display(),
        );
        if let Some(web) = &web {
            lines.push_str(&format!("web={}\n", web.url()));
        }
        // Readers wait for the file to appear; it must be whole when it does.
        let unfinished = format!("{path}.new");
        std::fs::write(&unfinished, lines)?;
        std::fs::rename(&unfinished, path)?;
    }
    print!("{}", simulator.directions());
    if let Some(web) = &web {
        println!("\nThe app's page: {}", web.url());
    }
    println!("\nCtrl-C stops.");

    let Some(every) = options.change_every else {
        signals.forever().next();
        return Ok(());
    };
    let mut chance = Chance::new(options.config.seed ^ 0x00c0_ffee);
    loop {
        std::thread::sleep(every);
        if signals.pending().next().is_some() {
            return Ok(());
        }
        let id = simulator.world(|world| change(world, &mut chance));
        println!("{} changed {id}", Time::from_system(SystemTime::now()));
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
