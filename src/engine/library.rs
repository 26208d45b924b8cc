//! A library of a run, and what is to be done for it.

use crate::model::asset::Zone;
use crate::model::ids::LibraryId;

/// A library of this run.
#[derive(Clone, Debug)]
pub(super) struct Library {
    pub(super) id: LibraryId,
    pub(super) zone: Zone,
    /// What there is to do for it.
    pub(super) need: Need,
    /// Whether Apple's count is to be compared with ours.
    pub(super) recount: bool,
    /// Whether it changed earlier, while it was left out by choice.
    pub(super) behind: bool,
}

/// What a library needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// To be listed from end to end.
    Listing,
    /// Its changes, from a token on.
    Changes(String),
    /// Nothing: it did not change.
    Nothing,
}
