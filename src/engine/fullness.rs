//! What a run knows of a destination that fills up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::disk;
use crate::journal::Claim;

/// Files that may be put aside. Their claims are held in memory until the run ends; with so many, a
/// person has to make room before the rest is worth a look.
const ASIDE_MAX: usize = 10_000;

/// What a run knows of a destination that is full.
#[derive(Default)]
pub(super) struct Fullness {
    /// Nothing more is begun.
    is_full: AtomicBool,
    /// What the system said first.
    said: Mutex<Option<disk::Error>>,
    /// Files that do not fit.
    aside: Mutex<Vec<Claim>>,
}

impl Fullness {
    /// The system says that the disk is full. The first word of it is kept.
    pub(super) fn fill(&self, error: disk::Error) {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.is_full.store(true, Ordering::SeqCst);
    }

    /// Whether nothing more is begun.
    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::SeqCst)
    }

    /// Holds a claim on a file that does not fit, so that it is not asked for again in this run.
    pub(super) fn put_aside(&self, claim: Claim) {
        let mut aside = self.aside.lock().unwrap_or_else(PoisonError::into_inner);
        aside.push(claim);
        if aside.len() >= ASIDE_MAX {
            self.is_full.store(true, Ordering::SeqCst);
        }
    }

    /// What the system said, if it did, and the claims on what did not fit.
    pub(super) fn take(&self) -> (Option<disk::Error>, Vec<Claim>) {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).take();
        (said, std::mem::take(&mut *self.aside.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
