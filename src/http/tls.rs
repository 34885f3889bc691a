//! Whose certificates are believed.

use std::path::PathBuf;
use std::sync::Arc;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::HttpError;

/// Whose certificates are believed.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Mozilla's root certificates, compiled in.
    PublicRoots,
    /// The certificates of a PEM file, and no others.
    Bundle(PathBuf),
    /// Anything. For splunkd on a loopback address only: its default certificate is X.509 v1 without a subject
    /// alternative name, which rustls cannot verify at all, and nothing but this machine can answer there.
    Anything,
}

/// The client's settings for it.
///
/// # Errors
/// [`HttpError::Setup`] for a CA bundle that cannot be used.
pub(super) fn config(trust: &Trust) -> Result<TlsConfig, HttpError> {
    Ok(match trust {
        Trust::PublicRoots => TlsConfig::builder().root_certs(RootCerts::WebPki).build(),
        Trust::Anything => TlsConfig::builder().disable_verification(true).build(),
        Trust::Bundle(path) => {
            let wrong = |reason: String| HttpError::Setup(format!("ca_bundle {}: {reason}", path.display()));
            let pem = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
            let mut certificates: Vec<Certificate<'static>> = Vec::new();
            for item in parse_pem(&pem) {
                if let PemItem::Certificate(certificate) = item.map_err(|e| wrong(e.to_string()))? {
                    certificates.push(certificate);
                }
            }
            if certificates.is_empty() {
                return Err(wrong("no certificate in it; a PEM file with the CA's certificates is expected".to_owned()));
            }
            TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(certificates))).build()
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_must_hold_certificates() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        std::fs::write(&path, "no pem").unwrap();
        assert!(config(&Trust::Bundle(path)).unwrap_err().to_string().contains("no certificate in it"));
    }
}
