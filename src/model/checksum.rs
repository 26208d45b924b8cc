//! Apple's checksum of a file, and the proof that bytes match it.
//!
//! `fileChecksum` is base64. Every recorded answer holds 21 bytes: `0x01`, then SHA-1 over a
//! fixed salt followed by the file (`SALT`; verified on whole recorded files). Three further
//! shapes are accepted; anything else is *unknown*: such a file is checked by its length, and its
//! row says so. SHA-256 is computed in the same pass, for the journal.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// What Apple hashes before the file's own bytes.
const SALT: &[u8] = b"com.apple.XattrObjectSalt\0com.apple.DataObjectSalt\0";

/// The service sends 28 characters without need for padding; other lengths come either way.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A SHA-256 digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sha256Digest(pub [u8; 32]);

/// How a file was proved to be what Apple holds. Its text form stands in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Apple's own signature of the bytes matched.
    AppleSignature,
    /// A SHA-256 that Apple gave matched.
    Sha256,
    /// The checksum has an unknown shape; only the length could be compared.
    Length,
}

impl Proof {
    /// The word in the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AppleSignature => "apple-signature",
            Self::Sha256 => "sha256",
            Self::Length => "length",
        }
    }
}

/// A checksum as the record gave it, and what it can prove.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AppleChecksum {
    text: String,
    expected: Expected,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Expected {
    Signature([u8; 20]),
    Sha256([u8; 32]),
    Unknown,
}

impl AppleChecksum {
    /// Reads a checksum. Never fails: an unknown shape proves by length only.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let bytes = BASE64.decode(text).unwrap_or_default();
        let expected = match (bytes.len(), bytes.first()) {
            (21, Some(0x01)) => tail(&bytes).map_or(Expected::Unknown, Expected::Signature),
            // The same without its lead byte: seen in one client's notes.
            (20, _) => tail(&bytes).map_or(Expected::Unknown, Expected::Signature),
            (32 | 33, _) => tail(&bytes).map_or(Expected::Unknown, Expected::Sha256),
            _ => Expected::Unknown,
        };
        Self { text: text.to_owned(), expected }
    }

    /// The checksum as the record gave it: part of a file's identity.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Compares the digests of a whole file of the right length with this checksum.
    ///
    /// `None` means the bytes are wrong.
    #[must_use]
    pub fn prove(&self, digests: &Digests) -> Option<Proof> {
        match &self.expected {
            Expected::Signature(signature) => {
                (digests.signature == *signature).then_some(Proof::AppleSignature)
            }
            Expected::Sha256(sha256) => (digests.sha256.0 == *sha256).then_some(Proof::Sha256),
            Expected::Unknown => Some(Proof::Length),
        }
    }
}

/// The last `N` bytes, dropping a lead byte where there is one.
fn tail<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.last_chunk().copied()
}

/// Computes the SHA-256 alone: for reading back what was proved before.
#[derive(Clone, Default)]
pub struct Rehasher(Sha256);

impl Rehasher {
    /// Takes the next bytes of the file.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes taken.
    #[must_use]
    pub fn finish(self) -> Sha256Digest {
        Sha256Digest(self.0.finalize().into())
    }
}

/// Both digests of a whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    /// Plain SHA-256, kept in the journal for every verified file.
    pub sha256: Sha256Digest,
    signature: [u8; 20],
}

impl Digests {
    /// Digests that were computed before and kept.
    #[must_use]
    pub fn kept(sha256: Sha256Digest, signature: [u8; 20]) -> Self {
        Self { sha256, signature }
    }

    /// The digest that Apple's signature of the bytes would hold.
    #[must_use]
    pub fn signature(&self) -> [u8; 20] {
        self.signature
    }
}

/// Computes both digests in one pass over the bytes.
#[derive(Clone)]
pub struct Hasher {
    sha256: Sha256,
    signature: Sha1,
}

impl Default for Hasher {
    fn default() -> Self {
        Self { sha256: Sha256::new(), signature: Sha1::new_with_prefix(SALT) }
    }
}

impl Hasher {
    /// Takes the next bytes of the file.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.signature.update(bytes);
    }

    /// The SHA-256 of the bytes so far; the hasher goes on. Serves the prefix promise of a part file.
    #[must_use]
    pub fn prefix_sha256(&self) -> Sha256Digest {
        Sha256Digest(self.sha256.clone().finalize().into())
    }

    /// The digests of all bytes taken.
    #[must_use]
    pub fn finish(self) -> Digests {
        Digests {
            sha256: Sha256Digest(self.sha256.finalize().into()),
            signature: self.signature.finalize().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(bytes: &[u8]) -> Digests {
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        hasher.finish()
    }

    /// Both vectors come from the protocol notes; the first is the signature of no bytes at all.
    #[test]
    fn apples_signature_is_recognised() {
        let empty = AppleChecksum::parse("AW2cWT2PxzWixMKuuNMTHJ8CJ3sH");
        let hello = AppleChecksum::parse("AcW96XzA8CMFcrVWfJyAAy8aWWE6");
        assert_eq!(empty.prove(&digests(b"")), Some(Proof::AppleSignature));
        assert_eq!(hello.prove(&digests(b"hello")), Some(Proof::AppleSignature));
        assert_eq!(hello.prove(&digests(b"hellp")), None);
    }

    #[test]
    fn every_known_shape_proves_and_an_unknown_one_says_length() {
        let right = digests(b"hello");
        let sha = right.sha256.0;
        let with_lead = |lead: u8| [&[lead][..], &sha].concat();
        let encode = |bytes: &[u8]| AppleChecksum::parse(&BASE64.encode(bytes));
        assert_eq!(encode(&sha).prove(&right), Some(Proof::Sha256));
        assert_eq!(encode(&with_lead(1)).prove(&right), Some(Proof::Sha256));
        assert_eq!(encode(&with_lead(9)).prove(&digests(b"other")), None);
        assert_eq!(encode(&right.signature).prove(&right), Some(Proof::AppleSignature));
        for unknown in ["", "not base64 !", "AAAA"] {
            assert_eq!(AppleChecksum::parse(unknown).prove(&right), Some(Proof::Length));
        }
    }
}
