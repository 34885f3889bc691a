//! Who is measured: this add-on in its two forms, three peers, and a program that only downloads.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use simulator::preload::{Kind, LOOKBACK, LOOKBACK_BEFORE, Preload};
use simulator::{Fault, FaultKind, Route, Simulator};

use simulator::run::launch::Start;

/// One program in one form.
#[derive(Clone, Debug)]
pub(crate) enum Contestant {
    /// This add-on's program and its parameter `events`.
    Ours(PathBuf, Form),
    /// A peer: what runs it, its script, and its name.
    Peer(PathBuf, PathBuf, &'static str),
    /// The client library this add-on uses, reading all pages and doing nothing with them.
    Download(PathBuf),
}

/// The parameter `events`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Verbatim,
    Compact,
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Form::Verbatim => "verbatim",
            Form::Compact => "compact",
        }
    }
}

impl Contestant {
    /// As the table calls it.
    pub(crate) fn name(&self) -> String {
        match self {
            Contestant::Ours(_, form) => format!("**defender, {}**", form.name()),
            Contestant::Peer(_, _, name) => (*name).to_string(),
            Contestant::Download(_) => "*download, TLS and inflate alone*".to_string(),
        }
    }

    /// Whether its numbers are JavaScript's: integers above 2^53 are not kept, which the check has to know.
    pub(crate) fn rounds(&self) -> bool {
        matches!(self, Contestant::Peer(_, script, _) if script.extension().is_some_and(|extension| extension == "js"))
    }

    /// What leaves a position at the oldest row in an empty `checkpoint_dir`, if it keeps one: a run that gets no token.
    pub(crate) fn begin(&self, simulator: &Simulator, preload: &Preload, checkpoint_dir: &Path) -> Result<Option<Start>, String> {
        if !matches!(self, Contestant::Ours(..)) {
            return Ok(None);
        }
        let mut start = self.collect(simulator, preload, checkpoint_dir)?;
        let named = |value: &str| format!("<param name=\"lookback\">{value}</param>");
        start.stdin = start.stdin.replace(&named(LOOKBACK), &named(LOOKBACK_BEFORE));
        simulator.faults().push(Fault::once(Route::Token, FaultKind::Entra(7_000_215)));
        Ok(Some(start))
    }

    /// How it reads all pages, from the position in `checkpoint_dir`, if it keeps one.
    pub(crate) fn collect(&self, simulator: &Simulator, preload: &Preload, checkpoint_dir: &Path) -> Result<Start, String> {
        let pages = preload.plan().pages;
        let url = format!("{}/pages", simulator.graph_url());
        Ok(match self {
            Contestant::Ours(program, form) => {
                let (feed, page_size) = match preload.plan().kind {
                    Kind::Alerts => ("alerts", preload.plan().rows.min(1000)),
                    Kind::Incidents => ("incidents", preload.plan().rows.min(50)),
                };
                let params = [
                    ("feed", feed),
                    ("events", form.name()),
                    ("start", &preload.start().to_string()),
                    ("lookback", LOOKBACK),
                    ("page_size", &page_size.to_string()),
                ];
                ours(program, simulator, checkpoint_dir, &params)
            }
            Contestant::Peer(runner, script, _) => {
                let template = script.with_file_name("config.xml.in");
                let template = fs::read_to_string(&template).map_err(|error| format!("{}: {error}", template.display()))?;
                let folder = checkpoint_dir.display().to_string();
                let stdin = template.replace("@URL@", &url).replace("@PAGES@", &pages.to_string()).replace("@CKPT@", &folder);
                let mut start = peer(runner, script, &[], stdin);
                start.environment.extend([
                    ("REQUESTS_CA_BUNDLE", simulator.ca_bundle().into()),
                    ("NODE_EXTRA_CA_CERTS", simulator.ca_bundle().into()),
                    ("CKPT", checkpoint_dir.into()),
                ]);
                start
            }
            Contestant::Download(program) => Start {
                program: program.clone(),
                arguments: vec![url, pages.to_string(), simulator.ca_bundle().display().to_string()],
                environment: Vec::new(),
                stdin: String::new(),
            },
        })
    }

    /// `--scheme`, and `--validate-arguments` without a network: our refusal of a feed that does not exist, the peers' look at
    /// their one argument.
    pub(crate) fn start_up(&self, mode: &str, validate: &str) -> Option<Start> {
        let stdin = |text: &str| if mode == "--validate-arguments" { text.to_string() } else { String::new() };
        match self {
            Contestant::Ours(program, _) => Some(Start {
                program: program.clone(),
                arguments: vec![mode.to_string()],
                environment: Vec::new(),
                stdin: stdin(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<items><server_host>localhost</server_host>\
                     <server_uri>https://127.0.0.1:8089</server_uri><session_key>none</session_key>\
                     <checkpoint_dir>/tmp</checkpoint_dir><item name=\"prod\"><param name=\"feed\">emails</param>\
                     <param name=\"account\">demo</param></item></items>\n",
                ),
            }),
            Contestant::Peer(runner, script, _) => Some(peer(runner, script, &[mode], stdin(validate))),
            Contestant::Download(_) => None,
        }
    }
}

/// Our program as an input of splunkd.
pub(crate) fn ours(program: &Path, simulator: &Simulator, checkpoint_dir: &Path, params: &[(&str, &str)]) -> Start {
    let params: String = [("account", "demo"), ("interval", "300"), ("index", "main")]
        .iter()
        .chain(params)
        .map(|(name, value)| format!("<param name=\"{name}\">{value}</param>"))
        .collect();
    let stdin = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<input><server_host>localhost</server_host><server_uri>{}</server_uri>\
         <session_key>{}</session_key><checkpoint_dir>{}</checkpoint_dir><configuration>\
         <stanza name=\"defender://prod\" app=\"TA_defender\">{params}</stanza></configuration></input>\n",
        simulator.splunkd_url(),
        simulator.session_key(),
        checkpoint_dir.display(),
    );
    let environment = vec![("SPLUNK_HOME", OsString::from(simulator.splunk_home()))];
    Start { program: program.to_path_buf(), arguments: Vec::new(), environment, stdin }
}

fn peer(runner: &Path, script: &Path, arguments: &[&str], stdin: String) -> Start {
    let script = script.display().to_string();
    let arguments = std::iter::once(script).chain(arguments.iter().map(|argument| (*argument).to_string())).collect();
    let environment = vec![("PATH", std::env::var_os("PATH").unwrap_or_default())];
    Start { program: runner.to_path_buf(), arguments, environment, stdin }
}
