//! The short hash that identifies a text wherever a decision or a span refers to it, such as the
//! file of a policy or the text of a prompt. The hashes of the ledger's hash chain are in `ledger`.

use sha2::{Digest, Sha256};

/// The first 64 bits of the SHA-256 of a text, as 16 hex digits.
pub fn short_hash(text: &str) -> String {
    hex::encode(&Sha256::digest(text.as_bytes())[..8])
}
