//! How an advertiser signs, made without the tracker's own code.

use sha2::{Digest, Sha256};

/// HMAC-SHA256, by the letter of [RFC 2104](https://www.rfc-editor.org/rfc/rfc2104#section-2).
pub(super) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    assert!(key.len() <= BLOCK);
    let padded =
        |with: u8| -> Vec<u8> { (0..BLOCK).map(|at| key.get(at).copied().unwrap_or_default() ^ with).collect() };
    let inner = Sha256::digest([&padded(0x36), message].concat());
    Sha256::digest([&padded(0x5C), inner.as_slice()].concat()).into()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
