//! How a saved password is encrypted: ChaCha20-Poly1305, with a key from the key file. Pure.
//!
//! The account is part of what is authenticated, so the file of one account does not open as that
//! of another. The password is filled up to a multiple of [`BLOCK`], so its length is not told.
//! The cipher is that of ring, which the network needs anyway.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;
use zeroize::Zeroizing;

use crate::model::secret::Secret;

/// The head of a sealed file, and the name of its format.
const HEAD: &[u8] = b"rollbook sealed password 1\n";
/// Passwords are filled up with zeros to a multiple of this: longer than most, short for a file.
const BLOCK: usize = 128;
/// Least bytes of a key file. Fewer cannot hold a key of 256 bits, and a word is no key.
pub(super) const KEY_BYTES_MIN: usize = 32;

/// A key, made from what a key file holds: 32 random bytes in any spelling, or more.
pub(super) struct Key(LessSafeKey);

impl Key {
    /// `None` when the material is too short for a key.
    pub(super) fn new(material: &[u8]) -> Option<Self> {
        let material = match material.strip_suffix(b"\n") {
            // Text, as an editor saves it. Of 32 bytes at random the last may look like a line end.
            Some(line) if line.len() >= KEY_BYTES_MIN => line.strip_suffix(b"\r").unwrap_or(line),
            _ => material,
        };
        if material.len() < KEY_BYTES_MIN {
            return None;
        }
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, HEAD).extract(material);
        let key = extracted.expand(&[b"key"], &CHACHA20_POLY1305).ok()?;
        Some(Self(LessSafeKey::new(UnboundKey::from(key))))
    }

    /// Encrypts a password. The nonce is random, and has to be new for every call.
    pub(super) fn seal(&self, username: &str, password: &Secret, nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        let text = password.expose().as_bytes();
        let filled = text.len().next_multiple_of(BLOCK).max(BLOCK);
        // Sized once: a buffer that grows leaves copies of the secret behind.
        let mut body = Zeroizing::new(Vec::with_capacity(filled + CHACHA20_POLY1305.tag_len()));
        body.extend_from_slice(text);
        body.resize(filled, 0);
        let sealed =
            self.0.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad(username), &mut *body);
        sealed.expect("a password is shorter than the cipher's limit of 256 GB");
        [HEAD, &nonce, &body].concat()
    }

    /// Decrypts what [`Self::seal`] made. `None`: damaged, or of another key or account.
    pub(super) fn open(&self, username: &str, sealed: &[u8]) -> Option<Secret> {
        let (nonce, body) = sealed.strip_prefix(HEAD)?.split_first_chunk::<NONCE_LEN>()?;
        let mut body = Zeroizing::new(body.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let text: &[u8] = self.0.open_in_place(nonce, aad(username), &mut body).ok()?;
        let end = text.iter().rposition(|byte| *byte != 0)? + 1;
        Some(Secret::new(std::str::from_utf8(&text[..end]).ok()?))
    }
}

fn aad(username: &str) -> Aad<Vec<u8>> {
    Aad::from([HEAD, username.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MATERIAL: &[u8] = b"0123456789abcdef0123456789abcdef\n";

    #[test]
    fn a_sealed_password_opens_with_its_key_and_account_and_with_nothing_else() {
        let key = Key::new(MATERIAL).unwrap();
        for password in ["q7#!", "hunter2 and a pass phrase – é", &"x".repeat(BLOCK), &"y".repeat(BLOCK + 1)]
        {
            let secret = Secret::new(password);
            let sealed = key.seal("a@b.c", &secret, [7; NONCE_LEN]);
            assert!(!sealed.windows(password.len()).any(|window| window == password.as_bytes()));
            assert_eq!(key.open("a@b.c", &sealed), Some(secret));
            assert_eq!(key.open("d@e.f", &sealed), None);
            assert_eq!(Key::new(&[9; KEY_BYTES_MIN]).unwrap().open("a@b.c", &sealed), None);
            for place in [0, HEAD.len(), HEAD.len() + NONCE_LEN, sealed.len() - 1] {
                let mut damaged = sealed.clone();
                damaged[place] ^= 1;
                assert_eq!(key.open("a@b.c", &damaged), None, "byte {place}");
            }
            assert_eq!(key.open("a@b.c", &sealed[..sealed.len() - 1]), None);
        }
    }

    #[test]
    fn a_key_may_end_with_a_line_and_may_not_be_short() {
        let sealed = Key::new(MATERIAL).unwrap().seal("a", &Secret::new("p"), [0; NONCE_LEN]);
        assert!(Key::new(MATERIAL.trim_ascii_end()).unwrap().open("a", &sealed).is_some());
        assert!(Key::new(&MATERIAL[..31]).is_none() && Key::new(&[b'\n'; KEY_BYTES_MIN]).is_some());
    }

    #[test]
    fn passwords_of_different_length_look_alike() {
        let key = Key::new(MATERIAL).unwrap();
        let length = |password: &str| key.seal("a", &Secret::new(password), [0; NONCE_LEN]).len();
        assert_eq!(length("p"), length("a rather long password"));
    }
}
