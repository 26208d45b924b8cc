//! SRP-6a as Apple's identity service speaks it: proof of a password without sending it.
//!
//! Group 2048 of RFC 5054, SHA-256 throughout. Three things differ from the textbook: the
//! password is stretched by PBKDF2 first, x leaves out the account name, and A and B enter the
//! proofs without padding. The salt stays bytes: as a number it would lose its leading zeros,
//! and the right password would be refused.

use num_bigint::BigUint;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::model::secret::Secret;

/// RFC 5054, appendix A, the 2048-bit group; its generator is 2.
const MODULUS: &[u8] = b"AC6BDB41324A9A9BF166DE5E1389582FAF72B6651987EE07FC3192943DB56050\
A37329CBB4A099ED8193E0757767A13DD52312AB4B03310DCD7F48A9DA04FD50\
E8083969EDB767B0CF6095179A163AB3661A05FBD5FAAAE82918A9962F0B93B8\
55F97993EC975EEAA80D740ADBF4FF747359D041D5C33EA71D281E446B14773B\
CA97B43A23FB801676BD207A436C6481F1D2B9078717461A5B9D32E688F87748\
544523B524B0D57D5EA77A2775D2ECFA032CFBDBF52FB3786160279004E57AE6\
AF874E7303CE53299CCC041C7BC308D82A5698F3A8D0C38271AE35F8E9DBFBB6\
94B5C803D89F7AE435DE236D525F54759B65E372FCD68EF20FA7111F9E4AFF73";
/// Length of the modulus, and so of a padded public value.
const GROUP_BYTES: usize = 256;
/// Length of our secret exponent.
const EXPONENT_BYTES: usize = 32;
/// The most rounds a server may ask of us: fifty times what Apple asks, half a second of work.
const ROUNDS_MAX: u32 = 1_000_000;

/// How the password enters the key derivation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// The 32 bytes of its digest.
    S2k,
    /// The 64 hex digits of its digest.
    S2kFo,
}

impl Protocol {
    /// Reads the name on the wire.
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "s2k" => Some(Self::S2k),
            "s2k_fo" => Some(Self::S2kFo),
            _ => None,
        }
    }
}

/// What the server answers to our public value.
pub(super) struct Challenge<'a> {
    /// The salt, as bytes.
    pub(super) salt: &'a [u8],
    /// Rounds of PBKDF2.
    pub(super) rounds: u32,
    /// How the password enters.
    pub(super) protocol: Protocol,
    /// The server's public value, big-endian.
    pub(super) public: &'a [u8],
}

/// Why a challenge cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadChallenge {
    #[error("the server asks for an absurd number of rounds")]
    Rounds,
    #[error("the server's public value is not safe to use")]
    Public,
}

/// The two proofs: ours, and the one only a server that knows the password's verifier can give.
pub(super) struct Proofs {
    pub(super) m1: [u8; 32],
    pub(super) m2: [u8; 32],
}

/// Our side of one exchange: a secret exponent and its public value.
pub(super) struct Exchange {
    secret: Zeroizing<[u8; EXPONENT_BYTES]>,
    public: Vec<u8>,
}

impl Exchange {
    /// Draws a secret whose public value fills all 256 bytes.
    ///
    /// One in 256 does not, and what Apple makes of a leading zero is not known.
    /// # Errors
    /// When the system has no randomness to give.
    pub(super) fn begin() -> std::io::Result<Self> {
        loop {
            let mut secret = Zeroizing::new([0; EXPONENT_BYTES]);
            getrandom::fill(secret.as_mut()).map_err(std::io::Error::other)?;
            let exchange = Self::with(secret);
            if exchange.public.len() == GROUP_BYTES {
                return Ok(exchange);
            }
        }
    }

    fn with(secret: Zeroizing<[u8; EXPONENT_BYTES]>) -> Self {
        let exponent = BigUint::from_bytes_be(secret.as_ref());
        let public = BigUint::from(2_u8).modpow(&exponent, &modulus()).to_bytes_be();
        Self { secret, public }
    }

    /// The public value A.
    pub(super) fn public(&self) -> &[u8] {
        &self.public
    }

    /// Computes both proofs.
    ///
    /// Takes tens of milliseconds at Apple's number of rounds.
    pub(super) fn prove(
        &self,
        account: &str,
        password: &Secret,
        challenge: &Challenge<'_>,
    ) -> Result<Proofs, BadChallenge> {
        if challenge.rounds == 0 || challenge.rounds > ROUNDS_MAX {
            return Err(BadChallenge::Rounds);
        }
        let (n, g) = (modulus(), BigUint::from(2_u8));
        let b = BigUint::from_bytes_be(challenge.public);
        if (&b % &n) == BigUint::ZERO || b >= n {
            return Err(BadChallenge::Public);
        }
        let b_bytes = b.to_bytes_be();
        let n_bytes = n.to_bytes_be();
        let g_padded = padded(&[2]);
        let k = number(sha256(&[&n_bytes, &g_padded]));
        let u = number(sha256(&[&padded(&self.public), &padded(&b_bytes)]));
        if u == BigUint::ZERO {
            return Err(BadChallenge::Public);
        }
        let key = stretched(password, challenge);
        let inner = Zeroizing::new(sha256(&[b":", key.as_ref()]));
        let x = number(sha256(&[challenge.salt, inner.as_ref()]));

        // B - k·g^x may be negative: add a multiple of N first.
        let blinded = (k * g.modpow(&x, &n)) % &n;
        let base = ((b + &n) - blinded) % &n;
        let exponent = BigUint::from_bytes_be(self.secret.as_ref()) + u * x;
        let shared = Zeroizing::new(base.modpow(&exponent, &n).to_bytes_be());
        let session = Zeroizing::new(sha256(&[&shared]));

        let mut mixed = sha256(&[&n_bytes]);
        for (byte, other) in mixed.iter_mut().zip(sha256(&[&g_padded])) {
            *byte ^= other;
        }
        let account = sha256(&[account.as_bytes()]);
        let m1 = sha256(&[&mixed, &account, challenge.salt, &self.public, &b_bytes, session.as_ref()]);
        let m2 = sha256(&[&self.public, &m1, session.as_ref()]);
        Ok(Proofs { m1, m2 })
    }
}

fn stretched(password: &Secret, challenge: &Challenge<'_>) -> Zeroizing<[u8; 32]> {
    let digest = Zeroizing::new(sha256(&[password.expose().as_bytes()]));
    let mut key = Zeroizing::new([0; 32]);
    let mut stretch =
        |input: &[u8]| pbkdf2::pbkdf2_hmac::<Sha256>(input, challenge.salt, challenge.rounds, key.as_mut());
    match challenge.protocol {
        Protocol::S2k => stretch(digest.as_ref()),
        Protocol::S2kFo => stretch(hex(digest.as_ref()).as_bytes()),
    }
    key
}

fn modulus() -> BigUint {
    BigUint::parse_bytes(MODULUS, 16).expect("the modulus is hex")
}

fn number(digest: [u8; 32]) -> BigUint {
    BigUint::from_bytes_be(&digest)
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut padded = vec![0; GROUP_BYTES.saturating_sub(bytes.len())];
    padded.extend_from_slice(bytes);
    padded
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().into()
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Vector {
        protocol: Protocol,
        lead: u8,
        key: &'static str,
        m1: &'static str,
        m2: &'static str,
    }

    /// The vectors of the protocol notes, cross-checked there with an independent library.
    const VECTORS: [Vector; 3] = [
        Vector {
            protocol: Protocol::S2k,
            lead: 0x10,
            key: "dc85853d8398c8d0494e44d4e633aa184e15a4e40f74c0b99a93e5f8558fc2d8",
            m1: "10590df2000558422e350202c3860cc5dfd80123c1b559a85f28749330e5b8f6",
            m2: "a8d49b7365cae78aabac76650dc7fef975cf5f66717e80c5764a4df477044fcb",
        },
        Vector {
            protocol: Protocol::S2kFo,
            lead: 0x10,
            key: "1b6db0caa55317a1265fe7a22426b6d159d485415192f6a4d884b2e5bf6c6e2f",
            m1: "204ba0ad6d17511da3014721c2f12d7a48c0940cfd4e25caac0d18935ae1539e",
            m2: "ce0c96eca874bd4947a1b962338bf5e272c230771a3e5b495d9c58bf101ede6d",
        },
        Vector {
            protocol: Protocol::S2k,
            lead: 0x00,
            key: "4c27cd02aeaec3adc7abbb2f1e12b4b8e7a125ef5d613c8957050d480394623e",
            m1: "30179b589c02c0cdba23adc503ed2ad4222467a5c3accf5fd28a819253056143",
            m2: "30750b7381f4c25a129f738940ed88c7ba14018628e7e8c54d36ad7e711777dd",
        },
    ];

    /// The server's half: B = k·v + g^b, with b the bytes 0x21 to 0x40.
    fn server_public(salt: &[u8], key: &[u8]) -> Vec<u8> {
        let (n, g) = (modulus(), BigUint::from(2_u8));
        let k = number(sha256(&[&n.to_bytes_be(), &padded(&[2])]));
        let x = number(sha256(&[salt, &sha256(&[b":", key])]));
        let b: Vec<u8> = (0x21..=0x40).collect();
        ((k * g.modpow(&x, &n) + g.modpow(&BigUint::from_bytes_be(&b), &n)) % &n).to_bytes_be()
    }

    #[test]
    fn the_known_proofs_come_out_also_with_a_salt_that_starts_with_zero() {
        let secret: Vec<u8> = (0x01..=0x20).collect();
        let exchange = Exchange::with(Zeroizing::new(secret.try_into().expect("32 bytes")));
        assert_eq!(
            *hex(&sha256(&[exchange.public()])),
            "1deb90a9791476498029d9d5ef6b16021584b8f369c29140f551e502481c236e"
        );
        for vector in VECTORS {
            let mut salt: Vec<u8> = (0x10..=0x1f).collect();
            salt[0] = vector.lead;
            let mut challenge =
                Challenge { salt: &salt, rounds: 1000, protocol: vector.protocol, public: &[] };
            let password = Secret::new("secret");
            let key = stretched(&password, &challenge);
            assert_eq!(*hex(key.as_ref()), vector.key);
            let public = server_public(&salt, key.as_ref());
            challenge.public = &public;
            let proofs = exchange.prove("user@example.com", &password, &challenge).expect("a fair challenge");
            assert_eq!(*hex(&proofs.m1), vector.m1);
            assert_eq!(*hex(&proofs.m2), vector.m2);
        }
    }

    #[test]
    fn an_unfair_challenge_is_refused() {
        let exchange = Exchange::begin().expect("randomness");
        assert_eq!(exchange.public().len(), GROUP_BYTES);
        let n = modulus().to_bytes_be();
        let ask = |rounds, public: &[u8]| {
            let challenge = Challenge { salt: b"salt", rounds, protocol: Protocol::S2k, public };
            exchange.prove("a", &Secret::new("b"), &challenge).err()
        };
        assert_eq!(ask(ROUNDS_MAX + 1, &[5]), Some(BadChallenge::Rounds));
        assert_eq!(ask(0, &[5]), Some(BadChallenge::Rounds));
        assert_eq!(ask(1, &[0]), Some(BadChallenge::Public));
        assert_eq!(ask(1, &n), Some(BadChallenge::Public));
        assert_eq!(ask(1, &[5]), None);
    }
}
