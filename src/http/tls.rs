//! Whose certificates are believed.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::HttpError;
use crate::masking::{admin_text, foreign_text};
use crate::pem;

/// Whose certificates are believed.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Mozilla's root certificates, compiled in.
    PublicRoots,
    /// The certificates of a file, PEM or DER, and no others.
    Bundle(PathBuf),
    /// Anything. For splunkd on a loopback address only: its default certificate is X.509 v1 without a subject
    /// alternative name, which rustls cannot verify at all, and nothing but this machine can answer there.
    Anything,
}

/// A bundle of all authorities there are has some 200 kB.
const LARGEST: u64 = 16 << 20;

/// The client's settings for it.
///
/// # Errors
/// [`HttpError::Setup`] for a CA bundle that cannot be used.
pub(super) fn config(trust: &Trust) -> Result<TlsConfig, HttpError> {
    Ok(match trust {
        Trust::PublicRoots => TlsConfig::builder().root_certs(RootCerts::WebPki).build(),
        Trust::Anything => TlsConfig::builder().disable_verification(true).build(),
        Trust::Bundle(path) => {
            let wrong = |reason: String| HttpError::Setup(format!("ca_bundle {}: {reason}", admin_text(&path.to_string_lossy())));
            let certificates = bundle(path).map_err(wrong)?;
            let certificates = certificates.iter().map(|der| Certificate::from_der(der).to_owned()).collect::<Vec<_>>();
            TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(certificates))).build()
        }
    })
}

/// The certificates of a CA bundle.
///
/// # Errors
/// What is wrong with the file, as one clause that says what belongs there.
pub(crate) fn bundle(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    // Before it is opened: opening a FIFO waits for whoever writes to it.
    if !std::fs::metadata(path).map_err(|e| e.to_string())?.is_file() {
        return Err("it is no file; a PEM file with the CA's certificates is expected".to_owned());
    }
    let file = File::open(path).map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it is larger than {} MB; a PEM file with the CA's certificates is expected", LARGEST >> 20));
    }
    let found = certificates(&bytes)?;
    let mut store = RootCertStore::empty();
    let (mut usable, mut reason) = (Vec::new(), String::new());
    for certificate in found {
        match store.add(certificate.clone()) {
            Ok(()) => usable.push(certificate),
            Err(error) => reason = foreign_text(&error.to_string()),
        }
    }
    match (usable.is_empty(), reason.is_empty()) {
        (true, _) => Err(format!("none of its certificates can be used: {reason}")),
        (false, true) => Ok(usable),
        (false, false) => {
            log::warn!("ca_bundle {}: a certificate in it cannot be used and is left out: {reason}", path.display());
            Ok(usable)
        }
    }
}

/// The certificates of a file's bytes.
fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    const EXPECTED: &str = "a PEM file with the CA's certificates is expected";
    if bytes.trim_ascii().is_empty() {
        return Err(format!("it is empty; {EXPECTED}"));
    }
    // Every DER file here is a SEQUENCE of more than 127 bytes.
    if let [0x30, 0x80..=0x84, ..] = bytes {
        return der(bytes).map(|certificate| vec![certificate]).ok_or_else(|| {
            format!(
                "it is a binary file and no certificate in DER form (a PKCS#7 or PKCS#12 file, or a key?); {EXPECTED}: openssl pkcs7 \
                 -inform DER -print_certs, or openssl pkcs12 -nokeys, writes one"
            )
        });
    }
    let sections = pem::sections(&pem::text(bytes));
    let is_certificate = |label: &str| matches!(label, "CERTIFICATE" | "X509 CERTIFICATE");
    let mut found = Vec::new();
    for section in sections.iter().filter(|section| is_certificate(&section.label)) {
        match &section.der {
            Some(der) => found.push(CertificateDer::from(der.clone())),
            None => return Err(format!("certificate {} in it is cut off or damaged", found.len() + 1)),
        }
    }
    if !found.is_empty() {
        return Ok(found);
    }
    let has = |part: &str| sections.iter().any(|section| section.label.contains(part));
    let what = if has("TRUSTED CERTIFICATE") {
        "no certificate in it but one in OpenSSL's own form (TRUSTED CERTIFICATE): openssl x509 -in FILE -out NEW converts it"
    } else if has("PKCS7") || has("CMS") {
        "no certificate in it but a PKCS#7 container: openssl pkcs7 -in FILE -print_certs -out NEW converts it"
    } else if has("PRIVATE KEY") {
        "no certificate in it but a private key, which belongs nowhere near here"
    } else if has("REQUEST") {
        "no certificate in it but a request for one"
    } else if has("CRL") {
        "no certificate in it but a revocation list"
    } else {
        "no certificate in it"
    };
    Err(format!("{what}; {EXPECTED}"))
}

/// A certificate in DER form: a SEQUENCE of three whose first is a SEQUENCE. PKCS#7 begins with an identifier, PKCS#12 and keys
/// with a version.
fn der(bytes: &[u8]) -> Option<CertificateDer<'static>> {
    let inside = bytes.get(2 + usize::from(bytes[1] & 0x7f)..)?;
    let is_certificate = inside.first() == Some(&0x30) && RootCertStore::empty().add(CertificateDer::from(bytes)).is_ok();
    is_certificate.then(|| CertificateDer::from(bytes.to_vec()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = include_str!("../microsoft/testdata/rsa-certificate.pem");
    const KEY: &str = include_str!("../microsoft/testdata/rsa-key.pem");

    fn read(bytes: &[u8]) -> Result<usize, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        std::fs::write(&path, bytes).unwrap();
        let usable = bundle(&path);
        assert_eq!(config(&Trust::Bundle(path)).is_ok(), usable.is_ok());
        usable.map(|found| found.len())
    }

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn a_bundle_in_any_dress() {
        let der = pem::sections(CERTIFICATE).remove(0).der.unwrap();
        let (two, dos) = (format!("# one\n{CERTIFICATE}\n# two\n{CERTIFICATE}"), CERTIFICATE.replace('\n', "\r\n"));
        for (bytes, count) in [
            (CERTIFICATE.as_bytes().to_vec(), 1),
            (two.into_bytes(), 2),
            (format!("\u{feff}{CERTIFICATE}").into_bytes(), 1),
            (format!("\u{feff}{dos}").into_bytes(), 1),
            (wide(&format!("\u{feff}{dos}")), 1),
            (wide(CERTIFICATE), 1),
            (der, 1),
            (format!("{KEY}{CERTIFICATE}").into_bytes(), 1),
            (CERTIFICATE.replace("BEGIN ", "BEGIN X509 ").into_bytes(), 1),
        ] {
            assert_eq!(read(&bytes), Ok(count), "{}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn what_is_no_bundle_says_what_it_is() {
        let labelled = |label: &str| format!("-----BEGIN {label}-----\nAQID\n-----END {label}-----\n").into_bytes();
        let key = pem::sections(KEY).remove(0).der.unwrap();
        // SEQUENCE, its length, and the identifier of signed data.
        let pkcs7 =
            [&[0x30, 0x82, 0x01, 0x00, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02][..], &[0; 245]].concat();
        for (bytes, part) in [
            (b"no pem".to_vec(), "no certificate in it; a PEM file with the CA's certificates is expected"),
            (Vec::new(), "it is empty; a PEM file"),
            (b" \r\n".to_vec(), "it is empty"),
            ("\u{feff}".as_bytes().to_vec(), "no certificate in it"),
            (KEY.as_bytes().to_vec(), "but a private key"),
            (key, "a binary file and no certificate"),
            (pkcs7, "a binary file and no certificate in DER form (a PKCS#7"),
            (labelled("PKCS7"), "a PKCS#7 container: openssl pkcs7"),
            (labelled("TRUSTED CERTIFICATE"), "openssl x509 -in FILE"),
            (labelled("CERTIFICATE REQUEST"), "but a request for one"),
            (labelled("X509 CRL"), "but a revocation list"),
            (labelled("CERTIFICATE"), "none of its certificates can be used: "),
            (CERTIFICATE.as_bytes()[..300].to_vec(), "certificate 1 in it is cut off or damaged"),
            (vec![0x30, 0x84], "a binary file"),
        ] {
            let said = read(&bytes).unwrap_err();
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(bundle(Path::new("/dev/zero")).unwrap_err().starts_with("it is no file"));
        assert!(bundle(Path::new("/")).unwrap_err().starts_with("it is no file"));
        assert!(bundle(Path::new("/nonexistent")).unwrap_err().starts_with("No such file"));
    }

    #[test]
    fn one_bad_certificate_hurts_no_other() {
        let bad = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
        assert_eq!(read(format!("{bad}{CERTIFICATE}").as_bytes()), Ok(1));
    }
}
