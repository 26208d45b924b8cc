//! What a person chose for files that vanish, here or in iCloud, and the brake on it.

use crate::journal::Missing;

/// Most files that may vanish at once, unless the person says.
const FILES_MAX: u64 = 50;
/// The same, of a hundred files.
const PERCENT_MAX: u64 = 5;
/// So few are never too many: in a library of fifty, three are more than five percent.
const FILES_MIN: u64 = 5;

/// What becomes of files whose asset is gone from iCloud.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deleted {
    /// They stay where they are.
    #[default]
    Kept,
    /// They go to the trash of the destination.
    Trashed,
}

/// What becomes of files that vanish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Files that the person deleted here.
    pub missing_files: Missing,
    /// How many of those at once; `None` for the usual.
    pub allow_missing: Option<u64>,
    /// Look whether every file still stands, however long it takes.
    pub check_files: bool,
    /// Files whose asset is gone from iCloud.
    pub deleted: Deleted,
    /// Days in the trash after which files are removed for good; `None` for never.
    pub trash_days: Option<u32>,
    /// How many may go to the trash at once; `None` for the usual.
    pub allow_deletions: Option<u64>,
}

/// How many files may vanish at once: what the person allowed; else fifty, or five percent of
/// `verified` if that is less.
pub(super) fn brake(allowed: Option<u64>, verified: u64) -> u64 {
    let share = (verified * PERCENT_MAX / 100).max(FILES_MIN);
    allowed.unwrap_or_else(|| share.min(FILES_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_files_or_five_percent_are_many_and_five_never_are() {
        for (allowed, verified, most) in [
            (None, 0, 5),
            (None, 60, 5),
            (None, 400, 20),
            (None, 1_000_000, 50),
            (Some(3), 1_000_000, 3),
            (Some(900), 10, 900),
        ] {
            assert_eq!(brake(allowed, verified), most);
        }
    }
}
