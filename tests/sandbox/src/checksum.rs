//! `fileChecksum`: the value a record states about the bytes of a rendition.
//!
//! The service signs with 0x01 and a salted SHA-1. The other forms exist because a client must
//! survive the day that assumption fails; [`ChecksumForm`] chooses what the sandbox states.

use crate::media::Content;
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The 51 bytes hashed before the file.
const SALT: &[u8; 51] = b"com.apple.XattrObjectSalt\0com.apple.DataObjectSalt\0";

/// Bytes hashed at a time, so that a large video is never whole in memory.
const CHUNK_BYTES: usize = 64 * 1024;

/// Which form `fileChecksum` has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum ChecksumForm {
    /// 0x01 and the salted SHA-1: what every recorded answer has.
    #[default]
    Signature21,
    /// A bare SHA-256.
    Sha256_32,
    /// 0x01 and a SHA-256.
    Sha256_33,
}

/// The checksum of `content` in the given form, as raw bytes.
pub(crate) fn of(content: &Content, form: ChecksumForm) -> Vec<u8> {
    match form {
        ChecksumForm::Signature21 => {
            let mut hasher = Sha1::new_with_prefix(SALT);
            feed(content, |chunk| hasher.update(chunk));
            [&[1], &hasher.finalize()[..]].concat()
        }
        ChecksumForm::Sha256_32 => sha256(content).to_vec(),
        ChecksumForm::Sha256_33 => [&[1], &sha256(content)[..]].concat(),
    }
}

/// The plain SHA-256 of `content`.
pub(crate) fn sha256(content: &Content) -> [u8; 32] {
    let mut hasher = Sha256::new();
    feed(content, |chunk| hasher.update(chunk));
    hasher.finalize().into()
}

fn feed(content: &Content, mut update: impl FnMut(&[u8])) {
    let size = content.len();
    let mut chunk = vec![0; CHUNK_BYTES.min(usize::try_from(size).unwrap_or(CHUNK_BYTES))];
    let mut at = 0;
    while at < size {
        let take = chunk.len().min(usize::try_from(size - at).unwrap_or(usize::MAX));
        content.read(at, &mut chunk[..take]);
        update(&chunk[..take]);
        at += take as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::base64;

    #[test]
    fn the_signature_gives_the_known_values() {
        let of_text = |text: &str| base64(&of(&Content::from_bytes(text), ChecksumForm::Signature21));
        assert_eq!(of_text(""), "AW2cWT2PxzWixMKuuNMTHJ8CJ3sH");
        assert_eq!(of_text("hello"), "AcW96XzA8CMFcrVWfJyAAy8aWWE6");
    }
}
