//! Random identifiers (RFC 9562 version 4), as Microsoft's services expect request and assertion ids.

use ring::error::Unspecified;
use ring::rand::{SecureRandom, SystemRandom};

/// A fresh identifier in its usual form of five groups.
pub(super) fn random() -> Result<String, Unspecified> {
    let mut bytes = [0_u8; 16];
    SystemRandom::new().fill(&mut bytes)?;
    let bits = u128::from_be_bytes(bytes) & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn version_and_variant_are_set() {
        for _ in 0..64 {
            let guid = random().unwrap();
            assert_eq!(guid.len(), 36);
            assert_eq!(&guid[14..15], "4", "{guid}");
            assert!("89ab".contains(&guid[19..20]), "{guid}");
        }
        assert_ne!(random().unwrap(), random().unwrap());
    }
}
