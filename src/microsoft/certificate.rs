//! The app's certificate and private key, and the assertion signed with them.
//!
//! The assertion is a JWT signed with PS256 that names the certificate by `x5t#S256`, as Entra ID's page on certificate
//! credentials asks for.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{KeyPair, RSA_PSS_SHA256, RsaKeyPair};
use rustls_pki_types::pem::{PemObject, SectionKind};
use serde::Serialize;
use std::time::Duration;

use super::guid;
use super::token_error::TokenError;
use super::x509::X509;
use crate::secret::Secret;
use crate::time::{PER_SECOND, Ticks};

/// How long an assertion is good for; Microsoft recommends 5 to 10 minutes.
const LIFE: Duration = Duration::from_secs(600);

/// A certificate with its private key; `Debug` shows the thumbprint alone.
pub struct Certificate {
    key: RsaKeyPair,
    thumbprint: String,
    not_after: Option<Ticks>,
}

/// Which part is wrong, and how. Never holds any of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// No PEM in the certificate's place.
    #[error("the account's certificate is not PEM: it starts with -----BEGIN CERTIFICATE-----")]
    CertificateNotPem,
    /// A key where the certificate belongs.
    #[error("the account's certificate holds a private key: put the key into certificate_key and the certificate alone here")]
    KeyInCertificate,
    /// PEM around something that is no X.509 certificate.
    #[error("the account's certificate is damaged: it is not X.509")]
    CertificateDamaged,
    /// A certificate of another algorithm.
    #[error("the account's certificate is not for an RSA key: Entra ID takes RSA certificates only")]
    CertificateNotRsa,
    /// No PEM in the key's place.
    #[error("the account's certificate_key is not PEM: it starts with -----BEGIN PRIVATE KEY-----")]
    KeyNotPem,
    /// A key that needs a pass phrase.
    #[error("the account's certificate_key is encrypted: write it without pass phrase (openssl pkey -in key.pem -out plain.pem)")]
    KeyEncrypted,
    /// A certificate or public key where the private key belongs.
    #[error("the account's certificate_key holds no private key: a certificate or public key was put there")]
    NoPrivateKey,
    /// A key of another algorithm.
    #[error("the account's certificate_key is not an RSA key: Entra ID takes RSA only")]
    KeyNotRsa,
    /// An RSA key that cannot be used.
    #[error("the account's certificate_key cannot be used: an RSA key of 2048 to 4096 bits in PKCS#8 or PKCS#1 form is expected")]
    KeyUnusable,
    /// Two halves of different pairs.
    #[error("the account's certificate_key does not belong to its certificate")]
    NotAPair,
}

impl From<CertificateError> for TokenError {
    fn from(error: CertificateError) -> Self {
        Self::Setup(error.to_string())
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("thumbprint", &self.thumbprint).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'static str,
    #[serde(rename = "x5t#S256")]
    thumbprint: &'a str,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: &'a str,
    nbf: i64,
    iat: i64,
    exp: i64,
}

impl Certificate {
    /// Reads a certificate (with others of its chain, in any order) and its private key, both PEM. Line breaks may be
    /// missing, spaces, or the two characters `\n`: conf files and forms do that to PEM.
    ///
    /// # Errors
    /// Which of the two is wrong, and how.
    pub fn from_pem(certificate: &str, key: &Secret) -> Result<Self, CertificateError> {
        let key = private_key(key.expose())?;
        let chain = certificates(certificate)?;
        let parsed =
            chain.iter().map(|der| X509::read(der).ok_or(CertificateError::CertificateDamaged)).collect::<Result<Vec<_>, _>>()?;
        let own = parsed.iter().position(|x509| x509.rsa_key == Some(key.public_key().as_ref()));
        let Some(own) = own else {
            let rsa = parsed.iter().any(|x509| x509.rsa_key.is_some());
            return Err(if rsa { CertificateError::NotAPair } else { CertificateError::CertificateNotRsa });
        };
        let thumbprint = BASE64URL.encode(digest(&SHA256, &chain[own]));
        Ok(Self { key, thumbprint, not_after: parsed[own].not_after })
    }

    /// When the certificate expires; `None` when it does not say so readably.
    pub fn not_after(&self) -> Option<Ticks> {
        self.not_after
    }

    /// What to log about a certificate that expires within 30 days, or has; Entra ID's own refusal names no date.
    pub fn expiry_warning(&self, now: Ticks) -> Option<String> {
        let end = self.not_after.filter(|end| *end < now.plus(Duration::from_secs(30 * 86_400)))?;
        let verb = if end < now { "expired" } else { "expires" };
        Some(format!("the account's certificate {verb} at {end}: register a new one with the app and put it into the account"))
    }

    /// The SHA-256 thumbprint, base64url, as it stands in the assertion.
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// A signed assertion for one token request.
    ///
    /// # Errors
    /// [`TokenError::Setup`] when the machine has no randomness to sign with.
    pub fn assertion(&self, client_id: &str, token_url: &str, now: Ticks) -> Result<Secret, TokenError> {
        let failed = |what: &str| TokenError::Setup(format!("the assertion could not be {what}"));
        let at = now.0.div_euclid(PER_SECOND);
        let jti = guid::random().map_err(|_| failed("numbered"))?;
        let header = Header { alg: "PS256", typ: "JWT", thumbprint: &self.thumbprint };
        let life = LIFE.as_secs().cast_signed();
        let claims = Claims { aud: token_url, iss: client_id, sub: client_id, jti: &jti, nbf: at, iat: at, exp: at + life };
        let header = serde_json::to_vec(&header).map_err(|_| failed("written"))?;
        let claims = serde_json::to_vec(&claims).map_err(|_| failed("written"))?;
        let mut jwt = format!("{}.{}", BASE64URL.encode(header), BASE64URL.encode(claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), jwt.as_bytes(), &mut signature).map_err(|_| failed("signed"))?;
        jwt.push('.');
        jwt.push_str(&BASE64URL.encode(signature));
        Ok(Secret::new(jwt))
    }
}

fn private_key(text: &str) -> Result<RsaKeyPair, CertificateError> {
    // The library passes over labels it does not know, this one among them.
    if text.contains("ENCRYPTED") {
        return Err(CertificateError::KeyEncrypted);
    }
    let sections = sections(text).ok_or(CertificateError::KeyNotPem)?;
    for (kind, der) in &sections {
        let key = match kind {
            SectionKind::PrivateKey => RsaKeyPair::from_pkcs8(der),
            SectionKind::RsaPrivateKey => RsaKeyPair::from_der(der),
            SectionKind::EcPrivateKey => return Err(CertificateError::KeyNotRsa),
            _ => continue,
        };
        // ring's reasons are words of its own; this is the one that means another algorithm.
        return key.map_err(|e| match e.to_string().as_str() {
            "WrongAlgorithm" => CertificateError::KeyNotRsa,
            _ => CertificateError::KeyUnusable,
        });
    }
    Err(CertificateError::NoPrivateKey)
}

fn certificates(text: &str) -> Result<Vec<Vec<u8>>, CertificateError> {
    let sections = sections(text).ok_or(CertificateError::CertificateNotPem)?;
    // A key pasted here would lie in clear text in a conf file: say so rather than use the certificate beside it.
    if sections
        .iter()
        .any(|(kind, _)| matches!(kind, SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey))
    {
        return Err(CertificateError::KeyInCertificate);
    }
    let chain: Vec<_> = sections.into_iter().filter(|(kind, _)| *kind == SectionKind::Certificate).map(|(_, der)| der).collect();
    if chain.is_empty() { Err(CertificateError::CertificateNotPem) } else { Ok(chain) }
}

/// All PEM sections; `None` when there is none or one is damaged.
fn sections(text: &str) -> Option<Vec<(SectionKind, Vec<u8>)>> {
    let text = text.replace("\\r", "").replace("\\n", "\n");
    let mut lines = String::new();
    for part in text.split("-----BEGIN ").skip(1) {
        let (label, rest) = part.split_once("-----")?;
        let (content, _) = rest.split_once("-----END ")?;
        let content: Vec<&str> = content.split_whitespace().collect();
        lines.push_str(&format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", content.join("\n")));
    }
    let found: Vec<_> = <(SectionKind, Vec<u8>)>::pem_slice_iter(lines.as_bytes()).collect::<Result<_, _>>().ok()?;
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;
    use crate::microsoft::x509::{Der, SEQUENCE};
    use ring::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::{Value, json};

    const KEY: &str = include_str!("testdata/rsa-key.pem");
    const CERTIFICATE: &str = include_str!("testdata/rsa-certificate.pem");
    const OTHER: &str = include_str!("testdata/other-certificate.pem");
    const EC_KEY: &str = include_str!("testdata/ec-key.pem");
    const EC_CERTIFICATE: &str = include_str!("testdata/ec-certificate.pem");
    const SMALL_KEY: &str = include_str!("testdata/small-key.pem");
    /// By `openssl x509 -fingerprint -sha256`.
    const FINGERPRINT: &str = "CB:08:43:F3:AA:AB:76:9D:87:5E:FD:E6:0A:06:58:9D:A5:CE:A2:2E:F5:E2:AD:41:97:24:0C:3B:87:F6:1F:0F";

    fn read(certificate: &str, key: &str) -> Result<Certificate, CertificateError> {
        Certificate::from_pem(certificate, &Secret::new(key))
    }

    /// A certificate with its key, for other tests.
    pub(in crate::microsoft) fn pair() -> Certificate {
        read(CERTIFICATE, KEY).unwrap()
    }

    #[test]
    fn the_assertion_is_what_entra_id_documents_and_verifies() {
        let (client, url) = ("11111111-1111-1111-1111-111111111111", "https://login.microsoftonline.com/t/oauth2/v2.0/token");
        let certificate = pair();
        let now = Ticks::parse("2026-11-22T12:00:00.9Z").unwrap();
        let assertion = certificate.assertion(client, url, now).unwrap();
        let (signed, signature) = assertion.expose().rsplit_once('.').unwrap();
        let part = |text: &str| -> Value { serde_json::from_slice(&BASE64URL.decode(text).unwrap()).unwrap() };
        let (header, claims) = signed.split_once('.').unwrap();

        let bytes: Vec<u8> = FINGERPRINT.split(':').map(|hex| u8::from_str_radix(hex, 16).unwrap()).collect();
        assert_eq!(part(header), json!({"alg": "PS256", "typ": "JWT", "x5t#S256": BASE64URL.encode(bytes)}));
        let mut claims = part(claims);
        let jti = claims.as_object_mut().unwrap().remove("jti").unwrap();
        assert_eq!(jti.as_str().unwrap().len(), 36);
        assert_eq!(
            claims,
            json!({"aud": url, "iss": client, "sub": client, "nbf": 1_795_348_800, "iat": 1_795_348_800, "exp": 1_795_349_400})
        );
        let der = &certificates(CERTIFICATE).unwrap()[0];
        let key = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, X509::read(der).unwrap().rsa_key.unwrap());
        key.verify(signed.as_bytes(), &BASE64URL.decode(signature).unwrap()).unwrap();
        assert!(key.verify(&signed.as_bytes()[1..], &BASE64URL.decode(signature).unwrap()).is_err());
        // Random parts differ, so that no assertion can be taken for a repeated one.
        let claims_of = |jwt: &Secret| jwt.expose().split('.').nth(1).unwrap().to_owned();
        assert_ne!(claims_of(&certificate.assertion(client, url, now).unwrap()), claims_of(&assertion));
    }

    #[test]
    fn expiry() {
        // By `openssl x509 -enddate`.
        assert_eq!(pair().not_after(), Ticks::parse("2099-12-29T21:11:52Z"));
        let warned = |now: &str| pair().expiry_warning(Ticks::parse(now).unwrap()).unwrap_or_default();
        assert_eq!(warned("2099-11-29T21:11:52Z"), "");
        assert!(warned("2099-11-29T21:11:53Z").starts_with("the account's certificate expires at 2099-12-29T21:11:52Z: "));
        assert!(warned("2100-01-01T00:00:00Z").contains("expired at"));
    }

    #[test]
    fn pem_as_conf_files_and_forms_leave_it() {
        let spaced = |pem: &str| pem.trim().replace('\n', " ");
        let escaped = |pem: &str| pem.replace('\n', "\\n");
        let crlf = |pem: &str| pem.replace('\n', "\r\n");
        let bare = |pem: &str| pem.replace('\n', "");
        for change in [spaced, escaped, crlf, bare] {
            assert_eq!(read(&change(CERTIFICATE), &change(KEY)).unwrap().thumbprint(), pair().thumbprint());
        }
        // A chain in any order, with text around it.
        let chain = format!("Bag Attributes\n{OTHER}subject=x\n{CERTIFICATE}");
        assert_eq!(read(&chain, KEY).unwrap().thumbprint(), pair().thumbprint());
    }

    #[test]
    fn the_older_key_form() {
        // PKCS#8 wraps PKCS#1 in an octet string behind version and algorithm.
        let (_, der) = sections(KEY).unwrap().remove(0);
        let mut inside = Der(&der).inside(SEQUENCE).unwrap();
        inside.next().unwrap();
        inside.next().unwrap();
        let (_, pkcs1) = inside.next().unwrap();
        let text = base64::prelude::BASE64_STANDARD.encode(pkcs1);
        let pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{text}\n-----END RSA PRIVATE KEY-----\n");
        assert_eq!(read(CERTIFICATE, &pem).unwrap().thumbprint(), pair().thumbprint());
    }

    #[test]
    fn each_mistake_is_named() {
        use CertificateError as E;
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIE\n-----END ENCRYPTED PRIVATE KEY-----";
        let old_encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIE\n-----END RSA PRIVATE KEY-----";
        let damaged = CERTIFICATE.replacen("MII", "MIM", 1);
        let both = format!("{CERTIFICATE}{KEY}");
        let table = [
            ("", KEY, E::CertificateNotPem),
            ("MIIDazCCAlOg", KEY, E::CertificateNotPem),
            (&CERTIFICATE[..CERTIFICATE.len() / 2], KEY, E::CertificateNotPem),
            (KEY, KEY, E::KeyInCertificate),
            (&both, KEY, E::KeyInCertificate),
            (&damaged, KEY, E::CertificateDamaged),
            (EC_CERTIFICATE, KEY, E::CertificateNotRsa),
            (OTHER, KEY, E::NotAPair),
            (CERTIFICATE, "", E::KeyNotPem),
            (CERTIFICATE, "s3cr3t", E::KeyNotPem),
            (CERTIFICATE, &KEY[..200], E::KeyNotPem),
            (CERTIFICATE, encrypted, E::KeyEncrypted),
            (CERTIFICATE, old_encrypted, E::KeyEncrypted),
            (CERTIFICATE, CERTIFICATE, E::NoPrivateKey),
            (CERTIFICATE, EC_KEY, E::KeyNotRsa),
            (CERTIFICATE, SMALL_KEY, E::KeyUnusable),
        ];
        for (certificate, key, expected) in table {
            assert_eq!(read(certificate, key).map(|_| ()), Err(expected));
        }
    }

    #[test]
    fn nothing_of_the_key_is_printed() {
        let printed = format!("{:?}", pair());
        assert_eq!(printed, format!("Certificate {{ thumbprint: \"{}\", .. }}", pair().thumbprint()));
    }
}
