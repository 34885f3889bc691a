//! The same against Azurite, Microsoft's own stand-in for Storage, where it is installed: `./build.sh test` does that, with
//! npm and `build/azurite/`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use simulator::accounts;
use simulator::storage::{blob_name, container};

use super::{record, say, stage, texts};
use crate::support::List;

/// The account that Azurite has from the start; its key is published with it.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A running Azurite.
struct Azurite {
    process: Child,
    url: String,
    signature: String,
    _folder: tempfile::TempDir,
}

impl Drop for Azurite {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Azurite {
    /// `None`, with the reason printed, where it is not installed.
    fn start() -> Option<Self> {
        let installed = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/azurite/node_modules/.bin/azurite-blob");
        let program = std::env::var_os("TA_DEFENDER_AZURITE").map_or_else(installed, PathBuf::from);
        if !program.exists() {
            say(&format!("skipped: {} is absent", program.display()));
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut process = Command::new(program)
            .args(["--skipApiVersionCheck", "--disableTelemetry", "--blobPort", "0", "--location"])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let url = said.find_map(|line| line.split_once(" successfully listens on ").map(|(_, url)| url.to_owned()));
        // From here on it says a line for each request; they are read, or it would wait for a reader.
        std::thread::spawn(move || said.for_each(drop));
        let mut azurite = Self { process, url: String::new(), signature: sign("rwlca"), _folder: folder };
        azurite.url = format!("{}/{ACCOUNT}", url.expect("Azurite ended before it listened"));
        Some(azurite)
    }

    fn put(&self, path: &str, query: &str, headers: &[(&str, &str)], body: &[u8]) {
        let url = format!("{}/{path}?{query}{}", self.url, self.signature);
        let mut request = ureq::put(url).header("x-ms-version", "2021-12-02");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send(body).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    fn append(&self, blob: &str, text: &str) {
        self.put(blob, "comp=appendblock&", &[], text.as_bytes());
    }
}

/// An account SAS, as Microsoft's page on it says.
fn sign(permissions: &str) -> String {
    let expires = "2099-01-01T00:00:00Z";
    let text = format!("{ACCOUNT}\n{permissions}\nb\nsco\n\n{expires}\n\n\n2021-12-02\n\n");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(KEY).unwrap());
    let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
    let signature: String = percent_encoding::utf8_percent_encode(&signature, percent_encoding::NON_ALPHANUMERIC).to_string();
    format!("sv=2021-12-02&ss=b&srt=sco&sp={permissions}&se={expires}&sig={signature}")
}

#[test]
fn append_blobs_of_azurite() {
    let Some(azurite) = Azurite::start() else { return };
    let stage = stage();
    stage.account("auth", "connection_string");
    stage.secret("connection_string", &format!("BlobEndpoint={};SharedAccessSignature={}", azurite.url, sign("rl")));
    let input =
        stage.input(List::GraphAlerts).set("feed", "storage").set("start", "earliest").set("storage_account", &azurite.url);
    let alerts = container("AlertInfo");
    azurite.put(&alerts, "restype=container&", &[], b"");
    let blob = format!("{alerts}/{}", blob_name(accounts::TENANT, stage.sim.now()));
    azurite.put(&blob, "", &[("x-ms-blob-type", "AppendBlob")], b"");
    input.validate().exits(0).quietly();
    azurite.append(&blob, &format!("{}\r\n{}\r\n{}", record(1), record(2), &record(3)[..30]));
    assert_eq!(texts(&input.run().exits(0).quietly().events()), [record(1), record(2)]);
    assert_eq!(input.run().exits(0).quietly().text(), "");
    azurite.append(&blob, &format!("{}\r\n", &record(3)[30..]));
    assert_eq!(texts(&input.run().exits(0).quietly().events()), [record(3)]);
    // Other tenants' beside it.
    for n in 4..8 {
        let blob = format!("{alerts}/{}", blob_name(&format!("t{n}"), stage.sim.now()));
        azurite.put(&blob, "", &[("x-ms-blob-type", "AppendBlob")], b"");
        azurite.append(&blob, &format!("{}\r\n", record(n)));
    }
    assert_eq!(texts(&input.run().exits(0).quietly().events()), (4..8).map(record).collect::<Vec<_>>());
}
