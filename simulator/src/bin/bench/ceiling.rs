//! How fast the stand-in serves when nobody looks at what it serves: a caller cannot be bound by it below that.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use simulator::Simulator;
use simulator::preload::Preload;

/// Bytes in which the answers are read.
const BLOCK: usize = 128 * 1024;

/// All pages over one connection, read and thrown away.
pub(crate) struct Ceiling {
    /// Bytes of JSON in what was read.
    pub(crate) bytes: usize,
    /// How long it took.
    pub(crate) took: Duration,
}

/// Reads all pages once for warmth and once for the clock.
pub(crate) fn measure(simulator: &Simulator, preload: &Preload) -> Result<Ceiling, String> {
    let fault = |error: &dyn std::fmt::Display| format!("the stand-in's ceiling: {error}");
    let pem = std::fs::read(simulator.ca_bundle()).map_err(|error| fault(&error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate.map_err(|error| fault(&error))?).map_err(|error| fault(&error))?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| fault(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = simulator.graph_url().trim_start_matches("https://").to_string();
    let name = ServerName::try_from("127.0.0.1").map_err(|error| fault(&error))?;
    let socket = TcpStream::connect(&host).map_err(|error| fault(&error))?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(|error| fault(&error))?;
    let mut stream = StreamOwned::new(connection, socket);
    let mut pass = || -> std::io::Result<()> {
        for page in 0..preload.plan().pages {
            let request = format!("GET /pages/{page} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: gzip\r\n\r\n");
            stream.write_all(request.as_bytes())?;
            drain(&mut stream)?;
        }
        Ok(())
    };
    pass().map_err(|error| fault(&error))?;
    let started = Instant::now();
    pass().map_err(|error| fault(&error))?;
    Ok(Ceiling { bytes: preload.bytes(), took: started.elapsed() })
}

/// Reads one chunked answer. The last chunk and the empty line behind it end it, and nothing follows before the next request.
fn drain(stream: &mut impl Read) -> std::io::Result<()> {
    let mut block = vec![0; BLOCK];
    let mut tail = [0; 7];
    loop {
        let read = stream.read(&mut block)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let kept = read.min(tail.len());
        tail.rotate_left(kept);
        let at = tail.len() - kept;
        tail[at..].copy_from_slice(&block[read - kept..read]);
        if &tail == b"\r\n0\r\n\r\n" {
            return Ok(());
        }
    }
}
