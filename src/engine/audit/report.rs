//! What an audit says: a sheet for each library, and a line for every difference and note.

use std::collections::BTreeMap;

use crate::journal::{AssetCount, Reading, Tally};

/// What a difference is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Apple counts more or fewer assets than the journal holds, or changed some that it did not see.
    Count,
    /// A library that was never listed to its end.
    NotListed,
    /// A record of Apple's that cannot be used, so that a file may be hidden behind it.
    Record,
    /// A file in scope that is not here yet.
    NotHere,
    /// A verified file that is not there.
    Missing,
    /// A verified file of another length.
    Size,
    /// Something that is no file stands under the name of a verified one.
    Replaced,
    /// A verified file whose bytes are others now.
    Damaged,
    /// A verified file that the system cannot read.
    Unreadable,
    /// The journal contradicts itself: somebody changed it past its triggers.
    Journal,
    /// A note: a file that Apple stopped offering before it was here.
    Gone,
    /// A note: a master record that no asset points to.
    Orphan,
    /// A note: Apple's remembered count is older than what the journal knows.
    CountOld,
    /// A note: a library that the account no longer has.
    Left,
    /// A note: what would be a difference, of a library that `--library` leaves out.
    LeftOut,
    /// A note: a file that is not ours.
    Stranger,
    /// A note: a file under the name of one that is still to come.
    Unverified,
    /// A note: a part file that no row waits for.
    LeftOverPart,
    /// A note: a damaged file that was set aside.
    SetAside,
    /// A note: a file in the trash that no row names, or the row of one that is not there any more.
    Trash,
}

impl Kind {
    /// The word for a program.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::NotListed => "not-listed",
            Self::Record => "record",
            Self::NotHere => "not-here",
            Self::Missing => "missing",
            Self::Size => "size",
            Self::Replaced => "replaced",
            Self::Damaged => "damaged",
            Self::Unreadable => "unreadable",
            Self::Journal => "journal",
            Self::Gone => "gone",
            Self::Orphan => "orphan",
            Self::CountOld => "count-old",
            Self::Left => "left",
            Self::LeftOut => "left-out",
            Self::Stranger => "stranger",
            Self::Unverified => "unverified",
            Self::LeftOverPart => "left-over-part",
            Self::SetAside => "set-aside",
            Self::Trash => "trash",
        }
    }

    /// Whether it is about what iCloud holds, and not about files that are here.
    pub(super) fn is_of_listing(self) -> bool {
        matches!(self, Self::Count | Self::NotListed | Self::Record)
    }

    /// Whether it unbalances the sheet, or is only worth knowing.
    #[must_use]
    pub fn unbalances(self) -> bool {
        self < Self::Gone
    }
}

/// One difference, or one note.
#[derive(Clone, Debug)]
pub struct Difference {
    /// What it is about.
    pub kind: Kind,
    /// The zone of the library, where it is about one.
    pub library: Option<String>,
    /// The record name of the asset, where it is about one.
    pub asset: Option<String>,
    /// A path, or the name of a record or library. A stranger's text.
    pub name: String,
    /// The reason, in a sentence.
    pub reason: String,
}

/// The balance of one library.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    /// Its zone.
    pub library: String,
    /// `private` or `shared`.
    pub database: &'static str,
    /// Whether `--library` leaves it out: its list need not balance, its files are looked at.
    pub left_out: bool,
    /// What Apple counts; `None` if it did not say.
    pub apple_count: Option<u64>,
    /// Whether that was asked now, or is what the last run was told.
    pub asked_now: bool,
    /// What the last complete enumeration found, and when.
    pub enumerated: Option<(u64, i64)>,
    /// Assets in the journal.
    pub assets: AssetCount,
    /// Records that cannot be used, or not wholly.
    pub unusable: u64,
    /// Files by standing, counted anew.
    pub standings: BTreeMap<String, Tally>,
    /// Files that are verified and not let go, in scope or not: they must be on the disk.
    pub kept: Tally,
    /// Of those, the ones that are there and right.
    pub on_disk: Tally,
    /// Differences that unbalance it.
    pub differences: u64,
}

/// The whole audit of one account.
#[derive(Clone, Debug, Default)]
pub struct Audited {
    /// Every library.
    pub sheets: Vec<Sheet>,
    /// Differences that unbalance, of all libraries and of none.
    pub differences: u64,
    /// Notes.
    pub notes: u64,
    /// Files looked at, bytes read back.
    pub read: Reading,
    /// Someone asked to stop: the sheet is not whole.
    pub interrupted: bool,
}
