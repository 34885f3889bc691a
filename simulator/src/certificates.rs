//! Certificates: a CA and a leaf for the Microsoft hosts, one for an application, and for splunkd one like Splunk's own
//! default, X.509 v1 without extensions, which no TLS library writes any more.

mod der;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use ring::rand::SystemRandom;
use ring::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring::{default_provider, sign::any_supported_type};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Throw-away RSA keys, made for this folder and used nowhere else: neither `ring` nor `rcgen` makes RSA keys.
const SPLUNKD_KEY: &str = include_str!("../keys/splunkd.pem");
const SPLUNK_CA_KEY: &str = include_str!("../keys/splunk_ca.pem");
const CLIENT_KEY: &str = include_str!("../keys/client.pem");

/// Every Microsoft host of `microsoft-apis`, and a storage account's: a test that goes through the proxy may use the real
/// names.
pub(crate) const MICROSOFT_HOSTS: [(&str, crate::wire::Service); 15] = {
    use crate::wire::Service::{Defender, Graph, Login, Storage};
    [
        ("login.microsoftonline.com", Login),
        ("login.microsoftonline.us", Login),
        ("graph.microsoft.com", Graph),
        ("graph.microsoft.us", Graph),
        ("dod-graph.microsoft.us", Graph),
        ("api.securitycenter.microsoft.com", Defender),
        ("api.security.microsoft.com", Defender),
        ("api-gcc.securitycenter.microsoft.us", Defender),
        ("api-gov.securitycenter.microsoft.us", Defender),
        ("api-gcc.security.microsoft.us", Defender),
        ("api-gov.security.microsoft.us", Defender),
        ("api-us.securitycenter.microsoft.com", Defender),
        ("api-eu.securitycenter.microsoft.com", Defender),
        ("api-uk.securitycenter.microsoft.com", Defender),
        (crate::storage::HOST, Storage),
    ]
};

/// What went wrong while making certificates, in words.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A server's TLS set-up and the PEM a caller needs to trust it.
pub(crate) struct Served {
    pub(crate) config: Arc<ServerConfig>,
    /// The certificate callers are told to trust.
    pub(crate) trust_pem: String,
    /// The certificate sent.
    pub(crate) leaf_pem: String,
}

/// A fresh CA and a leaf for loopback and the Microsoft hosts. A CA as its own leaf is refused by rustls, hence two.
pub(crate) fn microsoft() -> Result<Served, Failure> {
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "Simulator CA");
    let ca_key = KeyPair::generate()?;
    let ca_certificate = ca.self_signed(&ca_key)?;
    let issuer = Issuer::new(ca, ca_key);

    let mut names = vec!["localhost".to_string(), "127.0.0.1".to_string(), "::1".to_string()];
    names.extend(MICROSOFT_HOSTS.iter().map(|(host, _)| host.to_string()));
    names.extend(crate::event_hubs::HOSTS.map(str::to_string));
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name.push(DnType::CommonName, "Simulator");
    let leaf_key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&leaf_key, &issuer)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok(Served { config: Arc::new(config), trust_pem: ca_certificate.pem(), leaf_pem: certificate.pem() })
}

/// splunkd's: X.509 v1, no SAN, subject and issuer as Splunk ships them.
pub(crate) fn splunkd() -> Result<Served, Failure> {
    let (ca_key, key_der) = (rsa(SPLUNK_CA_KEY)?, pkcs8(SPLUNKD_KEY)?);
    let key = RsaKeyPair::from_pkcs8(&key_der).map_err(|error| error.to_string())?;
    let ca_name = [("C", "US"), ("ST", "CA"), ("L", "San Francisco"), ("O", "Splunk"), ("CN", "SplunkCommonCA")];
    let name = [("CN", "SplunkServerDefaultCert"), ("O", "SplunkUser")];
    let leaf = version_one(&name, key.public_key().as_ref(), &ca_name, &ca_key)?;
    let root = version_one(&ca_name, ca_key.public_key().as_ref(), &ca_name, &ca_key)?;

    // The usual way to hand rustls a certificate parses it, and it cannot parse version 1.
    let signer = any_supported_type(&PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key_der)))?;
    let certified = CertifiedKey::new(vec![CertificateDer::from(leaf.clone())], signer);
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Always(Arc::new(certified))));
    Ok(Served { config: Arc::new(config), trust_pem: pem("CERTIFICATE", &root), leaf_pem: pem("CERTIFICATE", &leaf) })
}

/// A certificate for an application, and its private key, both PEM, and the certificate as DER; it may have lapsed.
pub(crate) fn client(has_lapsed: bool) -> Result<(String, String, Vec<u8>), Failure> {
    let mut params = CertificateParams::new(Vec::new())?;
    // As long as a secret or certificate usually lasts; rcgen's own end is in the year 4096.
    params.not_after =
        if has_lapsed { date_time_ymd(2025, 12, 31) } else { (SystemTime::now() + Duration::from_secs(180 * 86_400)).into() };
    params.distinguished_name.push(DnType::CommonName, "Defender Add-on");
    let key = PrivatePkcs8KeyDer::from(pkcs8(CLIENT_KEY)?);
    let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &rcgen::PKCS_RSA_SHA256)?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), CLIENT_KEY.to_string(), certificate.der().to_vec()))
}

/// The RSA public key of a certificate in the form `ring` checks signatures with; `None` when it holds none.
pub(crate) fn rsa_public_key(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate, _) = der::read(certificate)?;
    let (_, mut rest, _) = der::read(certificate)?;
    if rest.first() == Some(&der::EXPLICIT_0) {
        rest = der::read(rest)?.2;
    }
    // serial, algorithm, issuer, validity, subject
    for _ in 0..5 {
        rest = der::read(rest)?.2;
    }
    let (_, key_info, _) = der::read(rest)?;
    let (_, _, bits) = der::read(key_info)?;
    let (tag, bits, _) = der::read(bits)?;
    (tag == der::BIT_STRING && bits.first() == Some(&0)).then(|| bits[1..].to_vec())
}

/// PEM of some DER.
fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn pkcs8(pem: &str) -> Result<Vec<u8>, Failure> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    Ok(STANDARD.decode(body)?)
}

fn rsa(pem: &str) -> Result<RsaKeyPair, Failure> {
    RsaKeyPair::from_pkcs8(&pkcs8(pem)?).map_err(|error| error.to_string().into())
}

/// A certificate without version and extensions, signed with RSA and SHA-256.
fn version_one(
    subject: &[(&str, &str)],
    public_key: &[u8],
    issuer: &[(&str, &str)],
    issuer_key: &RsaKeyPair,
) -> Result<Vec<u8>, Failure> {
    let algorithm = der::sequence(&[der::oid(&[1, 2, 840, 113_549, 1, 1, 11]), der::NULL.to_vec()]);
    let key_algorithm = der::sequence(&[der::oid(&[1, 2, 840, 113_549, 1, 1, 1]), der::NULL.to_vec()]);
    let signed = der::sequence(&[
        der::integer(&[0x00, 0xc9, 0x2a, 0x54, 0x6e, 0x1b, 0x7f, 0x03]),
        algorithm.clone(),
        der::name(issuer),
        der::sequence(&[der::utc_time("200101000000Z"), der::utc_time("491231235959Z")]),
        der::name(subject),
        der::sequence(&[key_algorithm, der::bit_string(public_key)]),
    ]);
    let mut signature = vec![0; issuer_key.public().modulus_len()];
    issuer_key
        .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &signed, &mut signature)
        .map_err(|_| "signing splunkd's certificate failed")?;
    Ok(der::sequence(&[signed, algorithm, der::bit_string(&signature)]))
}

/// One certificate for every name asked.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn splunkds_certificate_is_version_one_and_holds_its_key() {
        let served = splunkd().unwrap();
        let der = pkcs8(&served.leaf_pem).unwrap();
        let (_, certificate, _) = der::read(&der).unwrap();
        let (_, signed, _) = der::read(certificate).unwrap();
        assert_ne!(signed[0], der::EXPLICIT_0, "a version means 2 or 3");
        assert_eq!(rsa_public_key(&der).unwrap(), rsa(SPLUNKD_KEY).unwrap().public_key().as_ref());
    }

    #[test]
    fn the_key_of_a_version_three_certificate_is_found() {
        let (_, _, der) = client(false).unwrap();
        assert_eq!(rsa_public_key(&der).unwrap(), rsa(CLIENT_KEY).unwrap().public_key().as_ref());
        assert_eq!(rsa_public_key(&der[..40]), None);
    }
}
