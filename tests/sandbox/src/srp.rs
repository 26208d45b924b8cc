//! The server's half of the sign-in proof: SRP-6a as the identity service speaks it.
//!
//! Promises: the password never has to cross the wire, both proofs are computed from the same
//! transcript the client sees, and the salt stays bytes from end to end (a salt that starts with
//! zero bytes is a salt like any other). The group is RFC 5054's 2048-bit one with g = 2 and
//! SHA-256. HTTP lives in [`crate::auth`].

use hmac::{Hmac, KeyInit, Mac};
use num_bigint::BigUint;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// RFC 5054, appendix A: the 2048-bit prime.
const PRIME_HEX: &str = "AC6BDB41324A9A9BF166DE5E1389582FAF72B6651987EE07FC3192943DB56050\
A37329CBB4A099ED8193E0757767A13DD52312AB4B03310DCD7F48A9DA04FD50\
E8083969EDB767B0CF6095179A163AB3661A05FBD5FAAAE82918A9962F0B93B8\
55F97993EC975EEAA80D740ADBF4FF747359D041D5C33EA71D281E446B14773B\
CA97B43A23FB801676BD207A436C6481F1D2B9078717461A5B9D32E688F87748\
544523B524B0D57D5EA77A2775D2ECFA032CFBDBF52FB3786160279004E57AE6\
AF874E7303CE53299CCC041C7BC308D82A5698F3A8D0C38271AE35F8E9DBFBB6\
94B5C803D89F7AE435DE236D525F54759B65E372FCD68EF20FA7111F9E4AFF73";

/// Bytes of the prime, and of a padded number.
const WIDTH: usize = 256;

/// How the password is prepared before it is stretched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Protocol {
    /// SHA-256 of the password, as 32 bytes.
    #[default]
    S2k,
    /// SHA-256 of the password, as 64 lower-case hex digits.
    S2kFo,
}

impl Protocol {
    /// The name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::S2k => "s2k",
            Self::S2kFo => "s2k_fo",
        }
    }
}

/// What the service stores instead of a password.
#[derive(Clone, Debug)]
pub(crate) struct Verifier {
    pub(crate) salt: Vec<u8>,
    v: BigUint,
}

impl Verifier {
    pub(crate) fn new(password: &str, protocol: Protocol, salt: &[u8], iterations: u32) -> Self {
        let key = stretch(password, protocol, salt, iterations);
        let inner = Sha256::new().chain_update(b":").chain_update(key).finalize();
        let x = Sha256::new().chain_update(salt).chain_update(inner).finalize();
        let v = generator().modpow(&BigUint::from_bytes_be(&x), &prime());
        Self { salt: salt.to_vec(), v }
    }
}

/// Both proofs of one handshake: the client's, and the one that answers it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Proofs {
    pub(crate) m1: [u8; 32],
    pub(crate) m2: [u8; 32],
}

/// One handshake between `signin/init` and `signin/complete`.
#[derive(Clone, Debug)]
pub(crate) struct Handshake {
    account: String,
    verifier: Verifier,
    a_public: BigUint,
    b: BigUint,
    b_public: BigUint,
}

impl Handshake {
    /// Answers the client's public number; `None` if that number is zero modulo the prime.
    pub(crate) fn open(
        account: &str,
        a_public: &[u8],
        verifier: &Verifier,
        secret: &[u8; 32],
    ) -> Option<Self> {
        let prime = prime();
        let a_public = BigUint::from_bytes_be(a_public);
        if &a_public % &prime == BigUint::ZERO {
            return None;
        }
        let b = BigUint::from_bytes_be(secret);
        let b_public = (multiplier() * &verifier.v + generator().modpow(&b, &prime)) % &prime;
        Some(Self { account: account.into(), verifier: verifier.clone(), a_public, b, b_public })
    }

    pub(crate) fn b_public(&self) -> Vec<u8> {
        self.b_public.to_bytes_be()
    }

    /// The proofs a client that knows the password computes.
    pub(crate) fn proofs(&self) -> Proofs {
        let prime = prime();
        let (a, b) = (self.a_public.to_bytes_be(), self.b_public.to_bytes_be());
        let u = Sha256::new()
            .chain_update(padded(&self.a_public))
            .chain_update(padded(&self.b_public))
            .finalize();
        let base = &self.a_public * self.verifier.v.modpow(&BigUint::from_bytes_be(&u), &prime);
        let shared = base.modpow(&self.b, &prime);
        let key = Sha256::digest(shared.to_bytes_be());

        let hash_prime = Sha256::digest(prime.to_bytes_be());
        let hash_generator = Sha256::digest(padded(&generator()));
        let group: Vec<u8> = hash_prime.iter().zip(hash_generator).map(|(n, g)| n ^ g).collect();
        let m1 = Sha256::new()
            .chain_update(group)
            .chain_update(Sha256::digest(self.account.as_bytes()))
            .chain_update(&self.verifier.salt)
            .chain_update(&a)
            .chain_update(&b)
            .chain_update(key)
            .finalize();
        let m2 = Sha256::new().chain_update(&a).chain_update(m1).chain_update(key).finalize();
        Proofs { m1: m1.into(), m2: m2.into() }
    }
}

fn stretch(password: &str, protocol: Protocol, salt: &[u8], iterations: u32) -> [u8; 32] {
    let digest = Sha256::digest(password.as_bytes());
    let prepared = match protocol {
        Protocol::S2k => digest.to_vec(),
        Protocol::S2kFo => crate::encode::hex(&digest).into_bytes(),
    };
    // One block of PBKDF2 is all 32 bytes need: U1 = HMAC(salt ‖ 1), then the xor of the chain.
    let mac = Hmac::<Sha256>::new_from_slice(&prepared).expect("HMAC takes a key of any length");
    let mut link: [u8; 32] =
        mac.clone().chain_update(salt).chain_update(1u32.to_be_bytes()).finalize().into_bytes().into();
    let mut key = link;
    for _ in 1..iterations {
        link = mac.clone().chain_update(link).finalize().into_bytes().into();
        key.iter_mut().zip(link).for_each(|(sum, byte)| *sum ^= byte);
    }
    key
}

fn prime() -> BigUint {
    BigUint::parse_bytes(PRIME_HEX.as_bytes(), 16).expect("the prime is written in hex digits")
}

fn generator() -> BigUint {
    BigUint::from(2u8)
}

fn multiplier() -> BigUint {
    let hash =
        Sha256::new().chain_update(prime().to_bytes_be()).chain_update(padded(&generator())).finalize();
    BigUint::from_bytes_be(&hash)
}

fn padded(number: &BigUint) -> Vec<u8> {
    let bytes = number.to_bytes_be();
    let mut out = vec![0; WIDTH.saturating_sub(bytes.len())];
    out.extend_from_slice(&bytes);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::hex;

    fn range(from: u8, to: u8) -> Vec<u8> {
        (from..=to).collect()
    }

    fn handshake(protocol: Protocol, salt: &[u8]) -> (String, Proofs) {
        let a = BigUint::from_bytes_be(&range(0x01, 0x20));
        let a_public = generator().modpow(&a, &prime()).to_bytes_be();
        assert_eq!(
            hex(&Sha256::digest(&a_public)),
            "1deb90a9791476498029d9d5ef6b16021584b8f369c29140f551e502481c236e"
        );
        let b: [u8; 32] = range(0x21, 0x40).try_into().expect("32 bytes");
        let verifier = Verifier::new("secret", protocol, salt, 1000);
        let open = Handshake::open("user@example.com", &a_public, &verifier, &b).expect("a is not zero");
        (hex(&Sha256::digest(open.b_public())), open.proofs())
    }

    #[test]
    fn s2k_gives_the_known_proofs() {
        let salt = range(0x10, 0x1f);
        let key = stretch("secret", Protocol::S2k, &salt, 1000);
        assert_eq!(hex(&key), "dc85853d8398c8d0494e44d4e633aa184e15a4e40f74c0b99a93e5f8558fc2d8");
        let (b_hash, proofs) = handshake(Protocol::S2k, &salt);
        assert!(b_hash.starts_with("4460537c") && b_hash.ends_with("39a9d7"));
        assert_eq!(hex(&proofs.m1), "10590df2000558422e350202c3860cc5dfd80123c1b559a85f28749330e5b8f6");
        assert_eq!(hex(&proofs.m2), "a8d49b7365cae78aabac76650dc7fef975cf5f66717e80c5764a4df477044fcb");
    }

    #[test]
    fn s2k_fo_gives_the_known_proofs() {
        let salt = range(0x10, 0x1f);
        let key = stretch("secret", Protocol::S2kFo, &salt, 1000);
        assert_eq!(hex(&key), "1b6db0caa55317a1265fe7a22426b6d159d485415192f6a4d884b2e5bf6c6e2f");
        let (b_hash, proofs) = handshake(Protocol::S2kFo, &salt);
        assert!(b_hash.starts_with("6736a9fc") && b_hash.ends_with("9b603b"));
        assert_eq!(hex(&proofs.m1), "204ba0ad6d17511da3014721c2f12d7a48c0940cfd4e25caac0d18935ae1539e");
        assert_eq!(hex(&proofs.m2), "ce0c96eca874bd4947a1b962338bf5e272c230771a3e5b495d9c58bf101ede6d");
    }

    #[test]
    fn a_salt_that_starts_with_a_zero_byte_keeps_it() {
        let mut salt = range(0x10, 0x1f);
        salt[0] = 0;
        let key = stretch("secret", Protocol::S2k, &salt, 1000);
        assert_eq!(hex(&key), "4c27cd02aeaec3adc7abbb2f1e12b4b8e7a125ef5d613c8957050d480394623e");
        let (b_hash, proofs) = handshake(Protocol::S2k, &salt);
        assert!(b_hash.starts_with("85e70ef3") && b_hash.ends_with("1612f0"));
        assert_eq!(hex(&proofs.m1), "30179b589c02c0cdba23adc503ed2ad4222467a5c3accf5fd28a819253056143");
        assert_eq!(hex(&proofs.m2), "30750b7381f4c25a129f738940ed88c7ba14018628e7e8c54d36ad7e711777dd");
    }

    #[test]
    fn a_public_number_of_zero_is_refused() {
        let verifier = Verifier::new("secret", Protocol::S2k, &[1], 1);
        assert!(Handshake::open("u", &prime().to_bytes_be(), &verifier, &[1; 32]).is_none());
    }
}
