//! What a walk through a listing has met: which assets, how many records that nobody can use, and whether so
//! many in a row were here already that it may end.

use crate::model::ids::AssetId;
use crate::model::roll::Roll;

/// The assets that a walk has met, each counted once: ranks shift, so some come twice.
#[derive(Clone, Debug, Default)]
pub(super) struct Met {
    roll: Roll,
    unusable: u64,
    /// Assets in a row that were here already, and how many of them are enough.
    found: u64,
    until_found: Option<u64>,
}

impl Met {
    /// Nothing yet, for a walk that is to end after so many assets in a row that are here already.
    pub(super) fn until(found: Option<u64>) -> Self {
        Self { until_found: found, ..Self::default() }
    }

    pub(super) fn add(&mut self, asset: AssetId) {
        self.roll.call(asset.0);
    }

    pub(super) fn add_unusable(&mut self, records: u64) {
        self.unusable += records;
    }

    /// Counts, in the order of the listing, which assets were here already.
    pub(super) fn count_found(&mut self, already_here: &[bool]) {
        for here in already_here {
            if self.is_enough() {
                return;
            }
            self.found = if *here { self.found + 1 } else { 0 };
        }
    }

    /// Whether the walk may be told to end early.
    pub(super) fn may_be_enough(&self) -> bool {
        self.until_found.is_some()
    }

    /// Whether the walk is to end early: so many in a row are here that older ones will be too.
    pub(super) fn is_enough(&self) -> bool {
        self.until_found.is_some_and(|enough| self.found >= enough)
    }

    /// Whether the walk has met the asset.
    pub(super) fn has(&self, asset: AssetId) -> bool {
        self.roll.was_called(asset.0)
    }

    /// How many assets it has met.
    pub(super) fn count(&self) -> u64 {
        self.roll.count()
    }

    /// Records that could not be used: Apple may count them.
    pub(super) fn unusable(&self) -> u64 {
        self.unusable
    }
}
