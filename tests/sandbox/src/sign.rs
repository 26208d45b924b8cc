//! Signatures: sessions, trust, sync tokens and URLs are all a payload with an HMAC behind it.
//!
//! The key comes from the seed alone, so a sandbox started again with the same seed honours what
//! the one before it issued. That is what lets a demo run twice without a second sign-in.

use crate::encode::{base64url, from_base64url};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Bytes of the HMAC that are kept. Nobody attacks a sandbox.
const MAC_LEN: usize = 12;

/// Signs and checks, by purpose.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    key: [u8; 32],
}

impl Signer {
    pub(crate) fn new(seed: u64) -> Self {
        let key = Sha256::new().chain_update(b"rollbook-sandbox").chain_update(seed.to_be_bytes()).finalize();
        Self { key: key.into() }
    }

    /// The signature of `payload` for one purpose.
    pub(crate) fn mac(&self, purpose: &str, payload: &[u8]) -> [u8; 32] {
        let mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.chain_update(purpose).chain_update([0]).chain_update(payload).finalize().into_bytes().into()
    }

    /// A token that carries `payload`.
    pub(crate) fn seal(&self, purpose: &str, payload: &[u8]) -> String {
        let mac = self.mac(purpose, payload);
        base64url(&[payload, &mac[..MAC_LEN]].concat())
    }

    /// The payload of a token sealed for the same purpose.
    pub(crate) fn open(&self, purpose: &str, token: &str) -> Option<Vec<u8>> {
        let mut payload = from_base64url(token)?;
        let mac = payload.split_off(payload.len().checked_sub(MAC_LEN)?);
        (self.mac(purpose, &payload)[..MAC_LEN] == mac[..]).then_some(payload)
    }
}
