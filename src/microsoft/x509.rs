//! The two things that are read of a certificate: its public key and its end. A walk over its DER, no parser of X.509.

use crate::time::Ticks;

/// What is read of a certificate. Its signature and extensions do not matter here: Entra ID decides what it trusts.
pub(super) struct X509<'a> {
    /// The RSAPublicKey, in the very bytes that ring gives for a private key; `None` for other algorithms.
    pub(super) rsa_key: Option<&'a [u8]>,
    /// When it expires; `None` when it does not say so readably.
    pub(super) not_after: Option<Ticks>,
}

pub(super) const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0] EXPLICIT`, around the version.
const VERSION: u8 = 0xa0;
/// 1.2.840.113549.1.1.1, rsaEncryption.
const RSA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

impl<'a> X509<'a> {
    /// Walks RFC 5280's Certificate: two levels in, seven members on. `None` when it is not one.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let mut outer = Der(der).inside(SEQUENCE)?;
        let mut certificate = outer.inside(SEQUENCE)?;
        if certificate.0.first() == Some(&VERSION) {
            certificate.next()?;
        }
        certificate.next()?; // serial number
        certificate.next()?; // signature algorithm
        certificate.next()?; // issuer
        let mut validity = certificate.inside(SEQUENCE)?;
        validity.next()?; // not before
        let (tag, end) = validity.next()?;
        certificate.next()?; // subject
        let mut key = certificate.inside(SEQUENCE)?;
        let algorithm = key.inside(SEQUENCE)?;
        let (_, bits) = key.next().filter(|(tag, _)| *tag == BIT_STRING)?;
        // The first byte of a bit string counts the bits that its last byte lacks.
        let rsa_key = algorithm.0.starts_with(RSA).then(|| bits.get(1..)).flatten();
        Some(Self { rsa_key, not_after: time(tag, end) })
    }
}

/// What is left of a row of DER values.
pub(super) struct Der<'a>(pub(super) &'a [u8]);

impl<'a> Der<'a> {
    /// The next value's tag and content.
    pub(super) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// Into the next value, which must have this tag.
    pub(super) fn inside(&mut self, tag: u8) -> Option<Self> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| Self(content))
    }
}

/// RFC 5280's two spellings: `YYMMDDHHMMSSZ` for 1950 to 2049, `YYYYMMDDHHMMSSZ` from 2050 on.
fn time(tag: u8, content: &[u8]) -> Option<Ticks> {
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let text = match tag {
        UTC_TIME if text.len() == 12 => format!("{}{text}", if text < "50" { "20" } else { "19" }),
        GENERALIZED_TIME if text.len() == 14 => text.to_owned(),
        _ => return None,
    };
    let part = |range: std::ops::Range<usize>| text.get(range);
    let (date, clock) =
        ([part(0..4)?, part(4..6)?, part(6..8)?].join("-"), [part(8..10)?, part(10..12)?, part(12..14)?].join(":"));
    Ticks::parse(&format!("{date}T{clock}Z"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;

    #[test]
    fn expiry_in_both_spellings() {
        let table = [
            (UTC_TIME, "271122205959Z", Some("2027-11-22T20:59:59Z")),
            (UTC_TIME, "500101000000Z", Some("1950-01-01T00:00:00Z")),
            (GENERALIZED_TIME, "20991231235959Z", Some("2099-12-31T23:59:59Z")),
            (UTC_TIME, "2711222059Z", None),
            (GENERALIZED_TIME, "20991331235959Z", None),
            (GENERALIZED_TIME, "2099é1312359Z", None),
            (SEQUENCE, "271122205959Z", None),
        ];
        for (tag, text, expected) in table {
            assert_eq!(time(tag, text.as_bytes()), expected.and_then(Ticks::parse), "{text}");
        }
    }

    #[test]
    fn a_damaged_certificate_is_refused_or_read_but_never_a_panic() {
        let der = CertificateDer::from_pem_slice(include_bytes!("testdata/rsa-certificate.pem")).unwrap().to_vec();
        for end in 0..der.len() {
            assert!(X509::read(&der[..end]).is_none());
        }
        let unread = (0..der.len()).filter(|at| {
            let mut changed = der.clone();
            changed[*at] ^= 0x80;
            X509::read(&changed).is_some()
        });
        // Names, numbers and the signature are not read; the bytes that shape the structure are.
        assert!((1..der.len()).contains(&unread.count()));
    }
}
