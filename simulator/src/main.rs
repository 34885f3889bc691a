//! The stand-ins as a program: for pointing a real Splunk at them, and for trying requests by hand.

// What this program prints is its purpose.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io;
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
  --no-limits           no throttling";

/// What the command line asks for.
struct Options {
    config: Config,
    port_file: Option<String>,
    change_every: Option<Duration>,
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
    let mut options = Options { config: Config::default(), port_file: None, change_every: None };
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
            "--port-file" => options.port_file = Some(value()?),
            "--change-every" => options.change_every = Some(duration(&value()?)?),
            "--ports" => {
                let text = value()?;
                let ports: Vec<u16> = text.split(',').filter_map(|port| port.trim().parse().ok()).collect();
                let [login, graph, defender, splunkd] = ports[..] else {
                    return Err(format!("--ports: {text} is not four port numbers"));
                };
                config.ports = simulator::Ports { login, graph, defender, splunkd };
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
    if let Some(path) = &options.port_file {
        let lines = format!(
            "login={}\ngraph={}\ndefender={}\nsplunkd={}\nsession_key={}\nca_bundle={}\nsplunk_home={}\n",
            simulator.login_url(),
            simulator.graph_url(),
            simulator.defender_url(),
            simulator.splunkd_url(),
            simulator.session_key(),
            simulator.ca_bundle().display(),
            simulator.splunk_home().display(),
        );
        // Readers wait for the file to appear; it must be whole when it does.
        let unfinished = format!("{path}.new");
        std::fs::write(&unfinished, lines)?;
        std::fs::rename(&unfinished, path)?;
    }
    print!("{}", simulator.directions());
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
