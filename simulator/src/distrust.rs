//! Hosts that no caller should believe: what a handshake meets whose certificate, or whose TLS, is wrong.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use crate::certificates::Failure;
use crate::server::Listener;

/// What is wrong with a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Nothing, but for the authority, which the caller is not told of.
    Authority,
    /// The certificate signed itself.
    SelfSigned,
    /// Its time is over.
    Expired,
    /// Its time has not begun.
    NotValidYet,
    /// It is for another host.
    OtherHost,
    /// A web page answers, without TLS.
    NoTls,
    /// It knows no version of TLS that is in use, and says so.
    OldTls,
}

/// A host that runs; it stops when dropped.
pub struct Distrusted {
    listener: Listener,
    folder: TempDir,
}

impl Distrusted {
    /// Starts one.
    pub fn start(wrong: Wrong) -> io::Result<Self> {
        let folder = TempDir::new()?;
        let config = match wrong {
            Wrong::NoTls | Wrong::OldTls => None,
            _ => {
                let (config, trust) = served(wrong).map_err(io::Error::other)?;
                fs::write(folder.path().join("ca.pem"), trust)?;
                Some(config)
            }
        };
        let listener = Listener::serve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), move |stream, _| {
            // A caller that breaks off is what is wanted.
            let _ = answer(stream, wrong, config.as_ref());
        })?;
        Ok(Self { listener, folder })
    }

    /// `https://127.0.0.1:port`
    pub fn url(&self) -> String {
        format!("https://{}", self.listener.address())
    }

    /// The authority of its certificate, to trust it; a file that does not exist where it shows none.
    pub fn ca_bundle(&self) -> PathBuf {
        Path::join(self.folder.path(), "ca.pem")
    }
}

fn answer(mut stream: TcpStream, wrong: Wrong, config: Option<&Arc<ServerConfig>>) -> io::Result<()> {
    stream.set_read_timeout(Some(std::time::Duration::from_secs(5)))?;
    let mut hello = [0; 4096];
    match (wrong, config) {
        (_, Some(config)) => {
            let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
            let mut stream = StreamOwned::new(connection, stream);
            let _ = stream.read(&mut hello)?;
            Ok(())
        }
        (Wrong::OldTls, None) => {
            let _ = stream.read(&mut hello)?;
            // An alert: fatal, protocol_version.
            stream.write_all(&[0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46])
        }
        (_, None) => {
            let _ = stream.read(&mut hello)?;
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<html><title>Sign in</title>")
        }
    }
}

fn served(wrong: Wrong) -> Result<(Arc<ServerConfig>, String), Failure> {
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "Another CA");
    let ca_key = KeyPair::generate()?;
    let trust = ca.self_signed(&ca_key)?.pem();
    let issuer = Issuer::new(ca, ca_key);

    let name = if wrong == Wrong::OtherHost { "other.example" } else { "127.0.0.1" };
    let mut leaf = CertificateParams::new(vec![name.to_string()])?;
    match wrong {
        Wrong::Expired => (leaf.not_before, leaf.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1)),
        Wrong::NotValidYet => (leaf.not_before, leaf.not_after) = (date_time_ymd(2090, 1, 1), date_time_ymd(2091, 1, 1)),
        _ => {}
    }
    let key = KeyPair::generate()?;
    let certificate = if wrong == Wrong::SelfSigned { leaf.self_signed(&key)? } else { leaf.signed_by(&key, &issuer)? };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok((Arc::new(config), trust))
}
