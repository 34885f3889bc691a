//! The documents splunkd writes to the program's standard input.

use std::fmt::Write as _;
use std::path::Path;

/// One input as splunkd hands it over: with Splunk's own values merged in.
#[derive(Clone, Debug)]
pub(crate) struct Stanza {
    pub(crate) name: String,
    pub(crate) app: Option<String>,
    pub(crate) params: Vec<(String, String)>,
}

impl Stanza {
    /// A stanza as `inputs.conf` and splunkd make it, without a parameter of our own.
    pub(crate) fn new(name: &str) -> Self {
        let merged = [
            ("disabled", "0"),
            ("host", "$decideOnStartup"),
            ("index", "default"),
            ("interval", "60"),
            ("sourcetype", "defender"),
            ("start_by_shell", "false"),
        ];
        let params = merged.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self { name: name.to_owned(), app: Some("TA_defender".to_owned()), params }
    }

    /// Sets a parameter, in place of the value it has.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.params.retain(|(known, _)| known != name);
        self.params.push((name.to_owned(), value.to_owned()));
    }

    fn params(&self, out: &mut String) {
        for (name, value) in &self.params {
            let _ = writeln!(out, "      <param name=\"{}\">{}</param>", escaped(name), escaped(value));
        }
    }
}

/// What goes around the stanzas.
#[derive(Clone, Debug)]
pub(crate) struct Definition<'a> {
    pub(crate) server_uri: &'a str,
    pub(crate) session_key: &'a str,
    pub(crate) checkpoint_dir: &'a Path,
}

impl Definition<'_> {
    /// `<input>`: what a run collects.
    pub(crate) fn input(&self, stanzas: &[Stanza]) -> String {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<input>\n");
        self.head(&mut out);
        out.push_str("  <configuration>\n");
        for stanza in stanzas {
            let app = stanza.app.as_ref().map_or_else(String::new, |app| format!(" app=\"{}\"", escaped(app)));
            let _ = writeln!(out, "    <stanza name=\"defender://{}\"{app}>", escaped(&stanza.name));
            stanza.params(&mut out);
            out.push_str("    </stanza>\n");
        }
        out.push_str("  </configuration>\n</input>\n");
        out
    }

    /// `<items>`: the one input that is being saved.
    pub(crate) fn items(&self, stanza: &Stanza) -> String {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<items>\n");
        self.head(&mut out);
        let _ = writeln!(out, "    <item name=\"{}\">", escaped(&stanza.name));
        stanza.params(&mut out);
        out.push_str("    </item>\n</items>\n");
        out
    }

    fn head(&self, out: &mut String) {
        for (name, value) in [
            ("server_host", "splunk.example.com"),
            ("server_uri", self.server_uri),
            ("session_key", self.session_key),
            ("checkpoint_dir", self.checkpoint_dir.to_str().unwrap()),
        ] {
            let _ = writeln!(out, "  <{name}>{}</{name}>", escaped(value));
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
