//! The journal: a SQLite file, and the only door to it.
//!
//! Every file of every asset is a row of `asset_file` with a state. Nothing else holds work: no
//! channel, no list in memory. So the retry pass, crash recovery and the progress of a run are
//! queries, and what a crash leaves is what the last commit said.
//!
//! # Promises
//! - An answered write is durable: WAL with `synchronous = FULL`, in groups (`writer`).
//! - One file moves states (`moves`), and the schema refuses what it would not do.
//! - Anyone may read with `sqlite3` while a run is on; the views of `migrations/` are the contract.
//!
//! # Locking
//! One process writes, guarded by the run lock that the caller holds. Readers never wait for it.
//! A person's open write transaction in `sqlite3` is waited for ten seconds, then named.
//!
//! # Where things are
//! Each file holds its questions and writes as methods of [`Reader`] and [`Journal`], above the SQL that
//! they run. This is the only module that says `rusqlite` or `r2d2`.

mod absence;
mod adopt;
mod album;
mod album_paths;
mod album_view;
mod asset_change;
mod catalogue;
mod changes;
mod choose;
mod claim;
mod destination;
mod doubt;
mod emptied;
mod error;
mod health;
mod kept_record;
mod kit;
mod leftover;
mod moves;
mod new_asset;
mod place;
#[cfg(test)]
mod plans;
mod pulse;
mod query;
mod reading;
mod redate;
mod relayout;
mod roll;
mod row;
mod runs;
mod salvage;
mod schema;
mod scrub;
mod seen;
mod sidecar;
mod snapshot;
mod story;
mod trash;
mod writer;

use std::path::{Path, PathBuf};

use r2d2_sqlite::SqliteConnectionManager;

pub use absence::{Expected, FoundElsewhere, Learned, Missing, Refetched, Sweep, Wanted};
pub use adopt::{Adoption, Known, KnownLocal};
pub use album::AlbumListing;
pub use album_paths::AlbumPaths;
pub use album_view::{Link, Membership};
pub use catalogue::CatalogueLine;
pub use changes::{DatabaseToken, Followed, Recount};
pub use claim::{Claim, Claimed, ClaimedFile, URL_LIFE_MIN_S};
pub use destination::KnownDestination;
pub use doubt::MISMATCHES_MIN;
pub use error::{Error, Trouble};
pub use health::{Examination, Flaw, examine};
pub use kit::KitPage;
pub use leftover::Leftover;
pub use moves::Requeue;
pub use pulse::{Attempt, Pulse};
pub use query::{Expired, Library, Problem, Run, Summary, Tally};
pub use redate::{DateLook, Rewrite, Undated};
pub use relayout::{Planned, Relocation};
pub use roll::{AssetCount, KnownPath, RollRow, UnusableRecord};
pub use runs::{Enumerated, Reading, Verb};
pub use salvage::{Salvaged, salvage, start_anew};
pub use scrub::{Damage, DamageKind, DueFile, Line, Turn};
pub use seen::{Place, Seen};
pub use sidecar::{DueSidecar, SidecarPage, WrittenSidecar};
pub use snapshot::{Contents, copy_out};
pub use story::{Happening, MATCHES_MAX, StoryFile, StoryOf, Which};
pub use trash::Trashed;
pub use writer::PAGES_MAX;

use crate::model::checksum::{Proof, Sha256Digest};
use crate::model::ids::{AccountId, RunId};

/// Connections that read: the bar, `status`, renewal and a watcher may ask at once, and no more.
const READERS_MAX: u32 = 4;

/// A journal that is only read: `status` and its kin, at any time, beside a run.
#[derive(Clone, Debug)]
pub struct Reader {
    pool: r2d2::Pool<SqliteConnectionManager>,
}

impl Reader {
    /// Opens an existing journal for reading.
    ///
    /// # Errors
    /// [`Error::Open`] if there is none, [`Error::Empty`], [`Error::NotAJournal`], [`Error::NewerSchema`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        schema::check_readable(path)?;
        let manager = SqliteConnectionManager::file(path)
            .with_flags(schema::reader_flags())
            .with_init(schema::prepare_reader);
        let pool = r2d2::Pool::builder()
            .max_size(READERS_MAX)
            .min_idle(Some(0))
            // Kept for the whole run. With an end to their life, a thread would look after them for
            // half a minute longer than the run, and a process that runs again and again gather them.
            .max_lifetime(None)
            .idle_timeout(None)
            .connection_timeout(std::time::Duration::from_secs(10))
            .build(manager)?;
        Ok(Self { pool })
    }
}

/// The journal of a run: everything a [`Reader`] can ask, and every write.
///
/// Dropping it waits until all that was handed over is durable.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    writer: writer::Writer,
    reader: Reader,
}

impl Journal {
    /// Opens or creates the journal at `path`, and brings its schema up to date.
    ///
    /// # Errors
    /// [`Error::NotAJournal`], [`Error::NewerSchema`], [`Error::OldSqlite`], or what SQLite says.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let connection = schema::open_writer(path)?;
        let writer = writer::Writer::start(connection)
            .map_err(|e| Error::WriterStopped { reason: e.to_string(), trouble: Trouble::Other })?;
        Ok(Self { path: path.to_owned(), writer, reader: Reader::open(path)? })
    }

    /// Where it stands.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its reading side.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Opens a run for an account. Claims, renewals and retries of the run are that account's.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn begin_run(&self, account: AccountId, now: i64) -> Result<RunId, Error> {
        self.begin_run_for(account, Verb::Sync, now).await
    }

    /// Records that one file stands, as [`Journal::verified_all`] does.
    ///
    /// # Errors
    /// [`Error::LostClaim`] if the row is no longer ours.
    pub async fn verified(
        &self,
        claim: Claim,
        now: i64,
        sha256: Sha256Digest,
        proof: Proof,
    ) -> Result<bool, Error> {
        let complete = self.verified_all(vec![(claim, sha256, proof)], now).await?;
        Ok(complete.first().copied().unwrap_or(false))
    }

    /// Forgets that a person took files back out, where the asset is in iCloud again.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn forget_kept(&self) -> Result<(), Error> {
        self.writer.run(trash::forget_kept).await
    }
}
