//! What splunkd hands over: definition XML, validation XML, alert payload, results file.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use simulator::Simulator;

use simulator::run::child::{self, Run};

/// An input of the story.
pub(crate) struct Input {
    /// The name behind `defender://`.
    pub(crate) name: &'static str,
    pub(crate) feed: &'static str,
    pub(crate) api: &'static str,
}

/// splunkd, as far as the program can tell.
pub(crate) struct Splunk<'a> {
    pub(crate) program: PathBuf,
    pub(crate) simulator: &'a Simulator,
}

impl Splunk<'_> {
    pub(crate) fn scheme(&self) -> Result<Run, String> {
        self.run(&["--scheme"], "")
    }

    pub(crate) fn validate(&self, feed: &str, account: &str) -> Result<Run, String> {
        let params = params(&[("feed", feed), ("account", account), ("interval", "60"), ("index", "default"), ("start", "")]);
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<items>{}<item name=\"demo\">{params}</item></items>",
            self.service()
        );
        self.run(&["--validate-arguments"], &xml)
    }

    pub(crate) fn stream(&self, input: &Input) -> Result<Run, String> {
        self.stream_of(input.name, &[("api", input.api), ("feed", input.feed)])
    }

    /// Runs an input of that name with these parameters and those that splunkd merges in.
    pub(crate) fn stream_of(&self, name: &str, own: &[(&str, &str)]) -> Result<Run, String> {
        let merged = [
            ("account", "demo"),
            ("disabled", "0"),
            ("host", "$decideOnStartup"),
            ("index", "default"),
            ("interval", "60"),
            ("start_by_shell", "false"),
        ];
        let params = params(&[&merged[..], own].concat());
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<input>\n{}<configuration>\n<stanza name=\"defender://{}\" app=\"TA_defender\">{params}</stanza>\n</configuration>\n</input>\n",
            self.service(),
            name
        );
        self.run(&[], &xml)
    }

    /// What splunkd writes to an input that it starts.
    pub(crate) fn definition(&self, name: &str, pairs: &[(&str, &str)]) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<input>{}<configuration><stanza name=\"defender://{name}\" app=\"TA_defender\">{}</stanza></configuration></input>\n",
            self.service(),
            params(pairs)
        )
    }

    /// Runs an alert action on rows of a search, given as columns and values.
    pub(crate) fn execute(
        &self,
        action: &str,
        api: &str,
        settings: &[(&str, &str)],
        rows: &[Vec<(String, String)>],
    ) -> Result<Run, String> {
        let path = self.results_file(action, rows).map_err(|error| format!("the results file cannot be written: {error}"))?;
        let mut configuration = serde_json::Map::new();
        for (key, value) in [("account", "demo"), ("api", api), ("id_field", "id"), ("index", "main")].iter().chain(settings) {
            configuration.insert(key.to_string(), (*value).into());
        }
        let result: serde_json::Map<_, _> =
            rows.first().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone().into())).collect();
        let payload = serde_json::json!({
            "app": "TA_defender",
            "owner": "admin",
            "results_file": path,
            "results_link": "http://splunk.example.com:8000/app/search/@go?sid=scheduler__admin__search__1",
            "search_uri": "/servicesNS/nobody/TA_defender/saved/searches/Close+what+is+known",
            "server_host": "splunk.example.com",
            "server_uri": self.simulator.splunkd_url(),
            "session_key": self.simulator.session_key(),
            "sid": "scheduler__admin__search__RMD5_at_1763836800_1",
            "search_name": "Close what is known",
            "configuration": configuration,
            "result": result,
        });
        self.run(&["--execute", action], &payload.to_string())
    }

    /// Gzip CSV with a header row, and a twin column for multivalues as splunkd writes one.
    fn results_file(&self, action: &str, rows: &[Vec<(String, String)>]) -> std::io::Result<PathBuf> {
        let path = self.simulator.splunk_home().join(format!("var/run/splunk/dispatch/{action}.results.csv.gz"));
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        {
            let mut csv = csv::Writer::from_writer(&mut gzip);
            let names = rows.first().into_iter().flatten().flat_map(|(name, _)| [name.clone(), format!("__mv_{name}")]);
            csv.write_record(names)?;
            for row in rows {
                csv.write_record(row.iter().flat_map(|(_, value)| [value.as_str(), ""]))?;
            }
            csv.flush()?;
        }
        File::create(&path)?.write_all(&gzip.finish()?)?;
        Ok(path)
    }

    fn service(&self) -> String {
        format!(
            "<server_host>splunk.example.com</server_host><server_uri>{}</server_uri><session_key>{}</session_key><checkpoint_dir>{}</checkpoint_dir>",
            self.simulator.splunkd_url(),
            self.simulator.session_key(),
            self.simulator.checkpoint_dir().display()
        )
    }

    fn run(&self, arguments: &[&str], stdin: &str) -> Result<Run, String> {
        child::run(&self.program, arguments, stdin, &self.simulator.splunk_home())
    }
}

fn params(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(name, value)| format!("<param name=\"{name}\">{value}</param>")).collect()
}
