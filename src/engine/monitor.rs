//! What the engine tells whoever watches. One way: it counts and names, and never asks back.
//!
//! The engine never prints and never knows a terminal. Numbers are absolute, so a late listener
//! is right at the next call.

use crate::model::asset::Rendition;
use crate::model::failure::Failure;

/// How far the run is. `assets_done` never exceeds `assets_total`: the renditions of an asset
/// count towards it, and it is done when all of them are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Assets known or announced by Apple, whichever is more.
    pub assets_total: u64,
    /// Assets whose every file in scope is verified.
    pub assets_done: u64,
    /// Bytes this run means to fetch, as far as it knows yet.
    pub bytes_total: u64,
    /// Bytes that are home, of those.
    pub bytes_done: u64,
    /// Files verified in this run.
    pub files_verified: u64,
    /// Files that failed in this run so far.
    pub files_failed: u64,
    /// Whether enumeration has ended, so that the totals are final.
    pub enumerated: bool,
}

/// What the run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Repairing what a crash left.
    Recovering,
    /// Listing the library and fetching files.
    Syncing,
    /// Reading local files, to see which are ours. The counts are of files, not of assets.
    Adopting,
    /// The second attempt of files that failed, with fresh URLs.
    Retrying,
}

/// Something a person may want to read while it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A file failed; it will be tried again if the row says so.
    FileFailed {
        /// Its path. A stranger's text: sanitise before showing.
        path: String,
        /// Why.
        failure: Failure,
    },
    /// Apple no longer offers a file that was still to come.
    NoLongerOffered {
        /// Its path.
        path: String,
    },
    /// A name was taken by a file that is not ours; ours goes elsewhere.
    NameTaken {
        /// The path that is taken.
        taken: String,
        /// Where the file goes.
        instead: String,
    },
    /// A part file did not hold what the journal promised, and was begun again.
    Restarted {
        /// The path of the file.
        path: String,
        /// What was wrong with the part.
        why: String,
    },
    /// Not one checksum of this kind of file matches: from now on its length has to do.
    ChecksumsDoubted {
        /// Which kind of file.
        rendition: Rendition,
    },
    /// A word of the selection names no library and no album.
    NothingMeant {
        /// The flag, and the word.
        word: String,
    },
    /// One library cannot be listed; the others go on.
    LibrarySkipped {
        /// Its zone.
        library: String,
        /// Why.
        why: String,
    },
    /// Changes will not do for one library: it is listed from end to end, which takes longer.
    ListedAgain {
        /// Its zone.
        library: String,
        /// Why.
        why: String,
    },
    /// Files that were moved here were found where they are now.
    Relocated {
        /// How many.
        files: u64,
    },
    /// Files were deleted here.
    Missing {
        /// How many.
        files: u64,
        /// They come again; else they stay away.
        refetched: bool,
    },
    /// Files cannot be looked at, because their folder cannot be entered.
    Closed {
        /// How many.
        files: u64,
        /// Why; it names the folder.
        why: String,
    },
    /// Files whose asset is gone from iCloud went to the trash.
    Trashed {
        /// How many.
        files: u64,
    },
    /// Files are known to be in the trash again, which the journal had forgotten.
    StillInTrash {
        /// How many.
        files: u64,
    },
    /// Files came back from the trash, because iCloud has them again.
    PutBack {
        /// How many.
        files: u64,
    },
    /// Files were removed from the trash for good, as the person wished.
    Purged {
        /// How many.
        files: u64,
    },
    /// A file of the trash is due to be removed, and its bytes are not those that came.
    ChangedInTrash {
        /// Where it stands.
        path: String,
    },
    /// Files that were to go to the trash, to come back from it or to be removed from it stay where they are.
    Stay {
        /// Where they stand.
        paths: Vec<String>,
        /// Why, the same for all of them.
        why: String,
    },
    /// So many assets are gone from iCloud at once that a person is asked first.
    ManyDeleted {
        /// Files that would go to the trash.
        files: u64,
        /// How many may.
        most: u64,
    },
    /// Waiting because Apple asked to, or the network is away.
    Waiting {
        /// For how many seconds.
        seconds: u64,
        /// Why.
        why: String,
    },
    /// Not all that is still to come fits. What fits comes.
    NoRoomForAll {
        /// Bytes that are still to come.
        open_bytes: u64,
        /// Bytes that files of ours may fill.
        room_bytes: u64,
        /// Bytes that stay free beside them.
        kept_bytes: u64,
        /// The destination.
        directory: std::path::PathBuf,
    },
    /// The disk does not take the time of capture as a file's modification time.
    Untimed {
        /// Why.
        why: String,
    },
    /// Files get no date of capture, because they cannot be read. The next run looks again.
    Undated {
        /// How many.
        files: u64,
        /// Why.
        why: String,
    },
    /// A view of albums that nobody asked this run for cannot be brought in line.
    ViewStays {
        /// Why.
        why: String,
    },
    /// Anything else worth a line.
    Note(String),
}

/// Watches a run.
pub trait Monitor: Send + Sync {
    /// The run went on to another phase.
    fn phase(&self, phase: Phase);
    /// The counts changed. Called often: must be cheap.
    fn progress(&self, progress: Progress);
    /// Something happened.
    fn notice(&self, notice: Notice);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Monitor for Silent {
    fn phase(&self, _: Phase) {}
    fn progress(&self, _: Progress) {}
    fn notice(&self, _: Notice) {}
}
