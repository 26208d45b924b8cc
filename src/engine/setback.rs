//! How a claim ends when the file did not come home, and what the row is told.

use crate::disk::{self, Place};
use crate::engine::error::Error;
use crate::engine::monitor::Notice;
use crate::engine::place::place;
use crate::engine::run::{Run, now};
use crate::fault;
use crate::journal::{self, Claim};
use crate::model::failure::{Failure, FailureKind};

/// Why a worker let go of its file.
#[derive(Debug)]
pub(super) enum Setback {
    /// The URL ran out. Not a failure. `refused`: the host said so, not our clock.
    UrlExpired { refused: bool },
    /// An attempt failed. The promised prefix is good for another one only if `keep_part`.
    Failed { failure: Failure, keep_part: bool },
    /// Someone asked to stop, or the run pauses. The row stays as it is.
    Released,
    /// This file does not fit. Others may.
    NoRoom,
    /// The disk is full: nothing more is begun.
    Full(disk::Error),
    /// The run cannot go on.
    Halted(Box<Error>),
}

impl Setback {
    /// The end of the run.
    pub(super) fn halted(error: impl Into<Error>) -> Self {
        Self::Halted(Box::new(error.into()))
    }

    /// What an error of the disk means: for this file, or for all of them.
    pub(super) fn of_disk(error: disk::Error, keep_part: bool) -> Self {
        match error {
            disk::Error::NoRoom { .. } => Self::NoRoom,
            error if error.is_full() => Self::Full(error),
            error if error.ends_the_run() => Self::halted(error),
            error => Self::Failed { failure: Failure::new(FailureKind::Disk, error.to_string()), keep_part },
        }
    }

    /// A failure after which the part file is still good.
    pub(super) fn failed(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self::Failed { failure: Failure::new(kind, detail), keep_part: true }
    }

    /// A failure after which the bytes so far are worth nothing.
    pub(super) fn spoiled(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self::Failed { failure: Failure::new(kind, detail), keep_part: false }
    }
}

/// A claim that comes back without its file. `claim` is `None` when the journal itself took it.
#[derive(Debug)]
pub(super) struct Unfinished {
    claim: Option<Claim>,
    setback: Setback,
}

impl Unfinished {
    pub(super) fn new(claim: Claim, setback: Setback) -> Self {
        Self { claim: Some(claim), setback }
    }

    /// The journal did not take a move, and the claim went with it.
    pub(super) fn lost(error: journal::Error) -> Self {
        Self { claim: None, setback: Setback::halted(error) }
    }

    /// The claim, if it is still there, and the setback.
    pub(super) fn into_parts(self) -> (Option<Claim>, Setback) {
        (self.claim, self.setback)
    }

    /// A setback whose claim the journal took.
    pub(super) fn without_claim(setback: Setback) -> Self {
        Self { claim: None, setback }
    }

    /// Tells the row, and halts the run where the setback is everybody's.
    pub(super) async fn settle(self, run: &Run) {
        let Some(claim) = self.claim else {
            match self.setback {
                Setback::Halted(error) => run.halt(*error),
                Setback::Full(error) => run.fullness.fill(error),
                _ => {}
            }
            return;
        };
        let path = claim.file().path.clone();
        // Nothing was promised of such a part, and nobody may ever come back for it.
        if claim.file().offset_bytes == 0 && !matches!(self.setback, Setback::Halted(_)) {
            remove_part(run, place(claim.file())).await;
        }
        let told = match self.setback {
            Setback::UrlExpired { refused } => run.journal.url_expired(claim, now(), refused).await,
            Setback::Released => run.journal.release(claim).await,
            Setback::NoRoom => {
                run.fullness.put_aside(claim);
                Ok(())
            }
            Setback::Full(error) => {
                run.fullness.fill(error);
                run.journal.release(claim).await
            }
            Setback::Halted(error) => {
                run.halt(*error);
                run.journal.release(claim).await
            }
            Setback::Failed { failure, keep_part } => {
                if !keep_part {
                    remove_part(run, place(claim.file())).await;
                }
                let (rendition, kind) = (claim.file().rendition, failure.kind);
                let mut told = run.journal.failed(claim, now(), failure.clone(), keep_part).await;
                run.board.failed(Notice::FileFailed { path, failure });
                if told.is_ok() && kind == FailureKind::WrongBytes {
                    let doubted = run.doubts.mismatched(&run.journal, run.id, rendition, now()).await;
                    if let Ok(true) = doubted {
                        run.board.notice(Notice::ChecksumsDoubted { rendition });
                    }
                    told = doubted.map(|_| ());
                }
                told
            }
        };
        fault::point("settled");
        if let Err(error) = told {
            run.halt(error);
        }
    }
}

/// A part that cannot be removed does no harm: the next attempt begins by removing it.
async fn remove_part(run: &Run, place: Place) {
    let _ = run.on_disk(move |destination| destination.folder(&place)?.remove_part()).await;
}
