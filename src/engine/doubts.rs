//! Doubts: the renditions of this account whose checksums prove nothing, as the journal found
//! ([`journal::MISMATCHES_MIN`]). Their files are checked by length.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::journal::{self, Journal};
use crate::model::asset::Rendition;
use crate::model::checksum::{AppleChecksum, Digests, Proof};
use crate::model::ids::RunId;

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

    /// A file came whole and does not match: perhaps none of its kind does. `true`: so it is, from now on.
    pub(super) async fn mismatched(
        &self,
        journal: &Journal,
        run: RunId,
        rendition: Rendition,
        at: i64,
    ) -> Result<bool, journal::Error> {
        let doubted = journal.weigh_doubt(run, rendition, at).await?;
        if doubted {
            self.lock().insert(rendition);
        }
        Ok(doubted)
    }

    /// A file matched: the doubt about its kind, if there was one, is over.
    pub(super) async fn matched(
        &self,
        journal: &Journal,
        run: RunId,
        rendition: Rendition,
    ) -> Result<(), journal::Error> {
        let doubted = self.lock().remove(&rendition);
        if doubted { journal.end_doubt(run, rendition).await } else { Ok(()) }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Rendition>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
