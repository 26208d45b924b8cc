//! Doubts: the renditions of this account whose checksums prove nothing, as the journal found
//! ([`journal::MISMATCHES_MIN`]). Their files are checked by length.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::monitor::Notice;
use crate::engine::run::{Run, now};
use crate::journal;
use crate::model::asset::Rendition;
use crate::model::checksum::{AppleChecksum, Digests, Proof};

/// The renditions in doubt.
#[derive(Default)]
pub(super) struct Doubts(Mutex<HashSet<Rendition>>);

impl Doubts {
    pub(super) fn of(doubted: Vec<Rendition>) -> Self {
        Self(Mutex::new(doubted.into_iter().collect()))
    }

    /// What the digests of a whole file of the right length prove. `None`: the bytes are wrong.
    pub(super) fn prove(
        &self,
        rendition: Rendition,
        checksum: &AppleChecksum,
        digests: &Digests,
    ) -> Option<Proof> {
        checksum.prove(digests).or_else(|| self.lock().contains(&rendition).then_some(Proof::Length))
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Rendition>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file came whole and does not match: perhaps none of its kind does.
pub(super) async fn mismatched(run: &Run, rendition: Rendition) -> Result<(), journal::Error> {
    if run.journal.weigh_doubt(run.id, rendition, now()).await? {
        run.doubts.lock().insert(rendition);
        run.board.notice(Notice::ChecksumsDoubted { rendition });
    }
    Ok(())
}

/// A file matched: the doubt about its kind, if there was one, is over.
pub(super) async fn matched(run: &Run, rendition: Rendition) -> Result<(), journal::Error> {
    let doubted = run.doubts.lock().remove(&rendition);
    if doubted { run.journal.end_doubt(run.id, rendition).await } else { Ok(()) }
}
