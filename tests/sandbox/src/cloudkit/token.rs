//! Sync tokens: a signed point in a zone's history, 48 characters long.

use crate::library::Zone;
use crate::sign::Signer;

/// A point in one zone's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ZoneToken {
    pub(super) zone: u32,
    /// Events that were served.
    pub(super) position: u64,
    /// Empty pages that were served since.
    pub(super) empty_pages: u32,
    /// Events whose masters were served, and whose assets were not yet.
    pub(super) half: u32,
    /// See `Zone::token_generation`.
    pub(super) generation: u32,
}

impl ZoneToken {
    /// The point where nothing is left to serve.
    pub(super) fn now(zone: &Zone) -> Self {
        Self::at(zone, zone.history.len() as u64)
    }

    /// A point of a zone.
    pub(super) fn at(zone: &Zone, position: u64) -> Self {
        let generation = zone.token_generation;
        Self { zone: zone.number, position, empty_pages: 0, half: 0, generation }
    }

    pub(super) fn seal(self, signer: &Signer) -> String {
        let mut payload = [0; 24];
        payload[..4].copy_from_slice(&self.zone.to_be_bytes());
        payload[4..12].copy_from_slice(&self.position.to_be_bytes());
        payload[12..16].copy_from_slice(&self.empty_pages.to_be_bytes());
        payload[16..20].copy_from_slice(&self.half.to_be_bytes());
        payload[20..].copy_from_slice(&self.generation.to_be_bytes());
        signer.seal("zone sync", &payload)
    }

    /// The point a token names, if it is one of this zone and not of its future.
    pub(super) fn open(signer: &Signer, token: &str, zone: &Zone) -> Option<Self> {
        let payload = signer.open("zone sync", token)?;
        let token = Self {
            zone: u32::from_be_bytes(payload.get(..4)?.try_into().ok()?),
            position: u64::from_be_bytes(payload.get(4..12)?.try_into().ok()?),
            empty_pages: u32::from_be_bytes(payload.get(12..16)?.try_into().ok()?),
            half: u32::from_be_bytes(payload.get(16..20)?.try_into().ok()?),
            generation: u32::from_be_bytes(payload.get(20..24)?.try_into().ok()?),
        };
        let is_valid = token.zone == zone.number && token.generation == zone.token_generation;
        (is_valid && token.position <= zone.history.len() as u64).then_some(token)
    }
}
