//! The program under test, run the way splunkd runs it, and what it writes, read the way splunkd reads it.

pub mod benchmark;
pub mod child;
pub mod launch;
pub mod stream;

use std::path::PathBuf;

use crate::Simulator;
use crate::splunkd::Stanza;

/// What a run of the program needs to know of the instance it belongs to.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The program: `bin/defender` of the app.
    pub program: PathBuf,
    /// Where splunkd listens.
    pub server_uri: String,
    /// The key of `splunk-system-user`.
    pub session_key: String,
    /// The scheme's folder for positions.
    pub checkpoint_dir: PathBuf,
    /// `$SPLUNK_HOME`.
    pub splunk_home: PathBuf,
}

impl Instance {
    /// The instance that the simulator plays.
    pub fn of(simulator: &Simulator, program: PathBuf) -> Self {
        Self {
            program,
            server_uri: simulator.splunkd_url().to_string(),
            session_key: simulator.session_key().to_string(),
            checkpoint_dir: simulator.checkpoint_dir(),
            splunk_home: simulator.splunk_home(),
        }
    }

    /// Tries an input out (`--validate-arguments`); the refusal, if there is one.
    ///
    /// # Errors
    /// When the program cannot be run.
    pub fn refusal(&self, name: &str, params: &Stanza) -> Result<Option<String>, String> {
        let xml = format!("<items>{}<item name=\"{}\">{}</item></items>", self.service(), escape(name), params_xml(params));
        let run = child::run(&self.program, &["--validate-arguments"], &xml, &self.splunk_home)?;
        if run.code == Some(0) {
            return Ok(None);
        }
        let said = stream::first(&run.stdout, &["error", "message"]);
        // splunkd's own words where the program gives none.
        Ok(Some(said.unwrap_or_else(|| format!("script running failed (exited with code {}).", run.code.unwrap_or(-1)))))
    }

    /// Runs an input once.
    ///
    /// # Errors
    /// When the program cannot be run.
    pub fn poll(&self, name: &str, params: &Stanza) -> Result<child::Run, String> {
        child::run(&self.program, &[], &self.definition(name, params), &self.splunk_home)
    }

    /// What the program reads on stdin when it runs an input.
    pub fn definition(&self, name: &str, params: &Stanza) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<input>{}<configuration><stanza name=\"defender://{}\" app=\"TA_defender\">{}</stanza></configuration></input>\n",
            self.service(),
            escape(name),
            params_xml(params)
        )
    }

    fn service(&self) -> String {
        format!(
            "<server_host>splunk.example.com</server_host><server_uri>{}</server_uri><session_key>{}</session_key><checkpoint_dir>{}</checkpoint_dir>",
            self.server_uri,
            self.session_key,
            self.checkpoint_dir.display()
        )
    }
}

fn params_xml(params: &Stanza) -> String {
    params.iter().map(|(name, value)| format!("<param name=\"{}\">{}</param>", escape(name), escape(value))).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
