//! Signed addresses of content: `/B/{locator}/${f}?…&e={expiry}…&s={signature}`.
//!
//! The `o` parameter says which file is meant and `r` which generation of addresses this one is of,
//! so a request needs no table, and an address outlives the process that made it.

use crate::encode::{base64url, from_base64url};
use crate::library::{FileKey, Rendition};
use crate::sign::Signer;

/// Makes addresses for one answer.
pub(crate) struct UrlMaker<'a> {
    pub(crate) signer: &'a Signer,
    /// Scheme, host and port in front of `/B/`.
    pub(crate) base: &'a str,
    /// Unix seconds at which the address dies.
    pub(crate) expires_s: u64,
    /// Addresses of older generations are dead.
    pub(crate) generation: u32,
}

impl UrlMaker<'_> {
    pub(crate) fn make(&self, key: &FileKey, locator: &str, wrapping_key: &str, zone: &str) -> String {
        let object = base64url(&key.to_bytes());
        let (expires, generation) = (self.expires_s, self.generation);
        let signature = signature(self.signer, locator, &object, expires, generation);
        // The literal `${f}` is how the service leaves room for a file name.
        format!(
            "{}/B/{locator}/${{f}}?o={object}&v=1&x=3&a=CAoga&e={expires}&k={wrapping_key}&fl=&r={generation}\
             &ckc=com.apple.photos.cloud&ckz={zone}&y=1&p=10&s={signature}",
            self.base
        )
    }
}

/// Why an address is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Forged,
    Expired,
}

/// Finds the file an address names.
pub(crate) fn check(
    signer: &Signer,
    locator: &str,
    parameter: impl Fn(&str) -> Option<String>,
    now_s: u64,
    generation: u32,
) -> Result<FileKey, Refusal> {
    let text = |name: &str| parameter(name).ok_or(Refusal::Forged);
    let object = text("o")?;
    let expires: u64 = text("e")?.parse().map_err(|_| Refusal::Forged)?;
    let issued: u32 = text("r")?.parse().map_err(|_| Refusal::Forged)?;
    if text("s")? != signature(signer, locator, &object, expires, issued) {
        return Err(Refusal::Forged);
    }
    if expires <= now_s || issued < generation {
        return Err(Refusal::Expired);
    }
    from_base64url(&object).and_then(|bytes| FileKey::from_bytes(&bytes)).ok_or(Refusal::Forged)
}

fn signature(signer: &Signer, locator: &str, object: &str, expires_s: u64, generation: u32) -> String {
    let signed = format!("{locator} {object} {expires_s} {generation}");
    base64url(&signer.mac("url", signed.as_bytes())[..20])
}

impl FileKey {
    fn to_bytes(self) -> [u8; 13] {
        let mut out = [0; 13];
        out[..4].copy_from_slice(&self.zone.to_be_bytes());
        out[4..8].copy_from_slice(&self.entry.to_be_bytes());
        out[8] = self.rendition as u8;
        out[9..].copy_from_slice(&self.edits.to_be_bytes());
        out
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let rendition = *Rendition::ALL.get(usize::from(*bytes.get(8)?))?;
        Some(Self { zone: word(0)?, entry: word(4)?, rendition, edits: word(9)? })
    }
}
