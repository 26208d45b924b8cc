//! Check: the bytes are compared with Apple's own checksum. Pure: both digests were computed while
//! the bytes came in.

use crate::engine::doubts::Doubts;
use crate::engine::held::{Held, Sink};
use crate::engine::setback::{Setback, Unfinished};
use crate::engine::transfer::Whole;
use crate::journal::Claim;
use crate::model::checksum::{Digests, Proof};
use crate::model::failure::FailureKind;

/// Bytes that are proved. Only these can be published.
pub(super) struct Checked {
    pub(super) claim: Claim,
    pub(super) held: Held,
    pub(super) digests: Digests,
    pub(super) proof: Proof,
}

/// Proves the bytes, or says why not. Those that fail are worth nothing, and their part goes.
pub(super) fn check(doubts: &Doubts, whole: Whole) -> Result<Checked, Unfinished> {
    let Whole { claim, sink } = whole;
    let Sink { held, hasher } = *sink;
    let size_bytes = claim.file().size_bytes;
    if held.len() != size_bytes {
        let detail = format!("{} bytes came, the record says {size_bytes}", held.len());
        return Err(Unfinished::new(claim, Setback::spoiled(FailureKind::WrongLength, detail)));
    }
    let digests = hasher.finish();
    match doubts.prove(claim.file().rendition, &claim.file().checksum, &digests) {
        Some(proof) => Ok(Checked { claim, held, digests, proof }),
        None => {
            let detail = format!(
                "{size_bytes} bytes came, as the record says, but they do not match Apple's checksum {}",
                claim.file().checksum.as_str()
            );
            Err(Unfinished::new(claim, Setback::spoiled(FailureKind::WrongBytes, detail)))
        }
    }
}
