//! Gzip made without a compressor, which would take most of the time.

use flate2::Crc;

/// One gzip member of stored blocks.
pub(crate) fn packed(text: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];
    for block in text.chunks(0xFFFF) {
        let length = u16::try_from(block.len()).expect("at most 65,535");
        bytes.push(0);
        bytes.extend(length.to_le_bytes());
        bytes.extend((!length).to_le_bytes());
        bytes.extend(block);
    }
    bytes.extend([1, 0, 0, 0xFF, 0xFF]);
    let mut checksum = Crc::new();
    checksum.update(text);
    bytes.extend(checksum.sum().to_le_bytes());
    bytes.extend(checksum.amount().to_le_bytes());
    bytes
}
