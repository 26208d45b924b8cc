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
//! This is the only module that says `rusqlite` or `r2d2`.

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
mod doubt;
mod error;
mod health;
mod kit;
mod leftover;
mod moves;
mod place;
#[cfg(test)]
mod plans;
mod pulse;
mod query;
mod reading;
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

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use r2d2_sqlite::SqliteConnectionManager;

pub use absence::{Expected, FoundElsewhere, Missing, Sweep, Wanted};
pub use adopt::{Adoption, Known, KnownLocal};
pub use album_paths::AlbumPaths;
pub use album_view::{Link, Membership};
pub use catalogue::CatalogueLine;
pub use changes::{DatabaseToken, Followed, Recount};
pub use claim::{Claim, Claimed, ClaimedFile, URL_LIFE_MIN_S};
pub use doubt::MISMATCHES_MIN;
pub use error::{Error, Trouble};
pub use health::{Examination, Flaw, examine};
pub use kit::KitPage;
pub use leftover::Leftover;
pub use moves::Requeue;
pub use pulse::{Attempt, Pulse};
pub use query::{Expired, Library, Problem, Run, Summary, Tally};
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

use crate::model::adoption::{Candidate, Finding};
use crate::model::asset::{Album, Database, Page, Rendition, Zone};
use crate::model::backoff;
use crate::model::change::{Changes, Counts, Member};
use crate::model::checksum::{Proof, Sha256Digest};
use crate::model::choices::Choices;
use crate::model::failure::Failure;
use crate::model::ids::{AccountId, AssetId, AssetName, FileId, LibraryId, RunId};
use crate::model::layout::Layout;
use crate::model::signed_url::SignedUrl;
use crate::model::views::AlbumFile;

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

    /// Files and bytes by standing, of one account or of all.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn summary(&self, username: Option<&str>) -> Result<Summary, Error> {
        query::summary(&*self.pool.get()?, username)
    }

    /// Every library and its numbers.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn libraries(&self) -> Result<Vec<Library>, Error> {
        query::libraries(&*self.pool.get()?)
    }

    /// Up to `limit` rows of `v_problem`.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn problems(&self, limit: usize) -> Result<Vec<Problem>, Error> {
        query::problems(&*self.pool.get()?, limit)
    }

    /// The last run that asked Apple for photos, if there was one.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn last_run(&self) -> Result<Option<Run>, Error> {
        query::last_run(&*self.pool.get()?, "sync,plan")
    }

    /// The last run for `verb`, if there was one.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn last_run_for(&self, verb: Verb) -> Result<Option<Run>, Error> {
        query::last_run(&*self.pool.get()?, verb.as_str())
    }

    /// Until when Apple asked this account to wait, in Unix seconds.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn next_allowed_at(&self, username: &str, now: i64) -> Result<Option<i64>, Error> {
        // Longer than any wait we note: the clock was wrong then, or is now, and Apple says so again.
        let longest = i64::try_from(backoff::RETRY_AFTER_MAX.as_secs()).unwrap_or(i64::MAX);
        let noted = runs::next_allowed_at(&*self.pool.get()?, username)?;
        Ok(noted.filter(|at| *at <= now.saturating_add(longest)))
    }

    /// When an account last got somewhere, and how its last attempt ended.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn pulse(&self, username: &str) -> Result<Pulse, Error> {
        pulse::pulse(&*self.pool.get()?, username)
    }

    /// The row of an account, if there is one.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn account_id(&self, username: &str) -> Result<Option<AccountId>, Error> {
        runs::account_id(&*self.pool.get()?, username)
    }

    /// How far the look at whether files still stand has come.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn sweep(&self, account: AccountId) -> Result<Sweep, Error> {
        absence::sweep(&*self.pool.get()?, account)
    }

    /// Up to `limit` files that should stand somewhere, behind `after`.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn expected(&self, account: AccountId, after: FileId, limit: usize) -> Result<Vec<Expected>, Error> {
        absence::expected(&*self.pool.get()?, account, after, limit)
    }

    /// Those of `paths` under which no verified file of the account is known.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn unknown_paths(&self, account: AccountId, paths: Vec<String>) -> Result<Vec<String>, Error> {
        absence::unknown_paths(&*self.pool.get()?, account, paths)
    }

    /// Files whose asset is gone from iCloud and that are not in the trash.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn due_for_trash(&self, account: AccountId) -> Result<Vec<Trashed>, Error> {
        trash::due(&*self.pool.get()?, account)
    }

    /// Everything in the trash or in motion, oldest first.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn trash(&self, account: AccountId) -> Result<Vec<Trashed>, Error> {
        trash::list(&*self.pool.get()?, account)
    }

    /// Those of the trash that are named.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn named_in_trash(&self, account: AccountId, wanted: &Wanted) -> Result<Vec<Trashed>, Error> {
        trash::named(&*self.pool.get()?, account, wanted)
    }

    /// The names of all accounts.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn usernames(&self) -> Result<Vec<String>, Error> {
        pulse::usernames(&*self.pool.get()?)
    }

    /// Before when nobody of this journal may sign in with a password, in Unix seconds.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn sign_in_allowed_at(&self) -> Result<Option<i64>, Error> {
        runs::sign_in_allowed_at(&*self.pool.get()?)
    }

    /// The id of the destination that an account's files go to, if it has one.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn destination(&self, username: &str) -> Result<Option<String>, Error> {
        runs::destination(&*self.pool.get()?, username)
    }

    /// The account, and whether every library of it was listed from end to end at least once.
    ///
    /// # Errors
    /// If the journal cannot be read; so for every question below.
    pub fn known_account(&self, username: &str) -> Result<Option<(AccountId, bool)>, Error> {
        runs::known_account(&*self.pool.get()?, username)
    }

    /// Which albums each asset of an account lies in.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn album_paths(&self, account: AccountId) -> Result<AlbumPaths, Error> {
        album_paths::paths(&*self.pool.get()?, account)
    }

    /// Up to `limit` assets behind `after`, with their verified files, for the exit kit.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn kit_page(
        &self,
        account: AccountId,
        albums: &AlbumPaths,
        after: AssetId,
        limit: usize,
    ) -> Result<KitPage, Error> {
        kit::page(&*self.pool.get()?, account, albums, after, limit)
    }

    /// Every verified file of every album of an account, in a stable order.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn album_members(&self, account: AccountId) -> Result<Vec<AlbumFile>, Error> {
        album_view::members(&*self.pool.get()?, account)
    }

    /// What lies in which album of an account, whether it is here or not.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn memberships(&self, account: AccountId) -> Result<Vec<Membership>, Error> {
        album_view::memberships(&*self.pool.get()?, account)
    }

    /// The links of ours in a view.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn album_links(&self, account: AccountId, directory: &str) -> Result<Vec<Link>, Error> {
        album_view::links(&*self.pool.get()?, account, directory)
    }

    /// Looks through up to `limit` verified files behind `after` for sidecars that are due.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn sidecars_due(
        &self,
        account: AccountId,
        albums: &AlbumPaths,
        after: FileId,
        limit: usize,
    ) -> Result<SidecarPage, Error> {
        sidecar::page(&*self.pool.get()?, account, albums, after, limit)
    }

    /// The files of an account that have one of these lengths.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn of_sizes(&self, account: AccountId, sizes: &HashSet<u64>) -> Result<Vec<Candidate>, Error> {
        adopt::of_sizes(&*self.pool.get()?, account, sizes)
    }

    /// The files of an account that are still to come, of assets with one of these names, in lower case.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn open_of_names(
        &self,
        account: AccountId,
        names: &HashSet<String>,
    ) -> Result<Vec<Candidate>, Error> {
        adopt::open_of_names(&*self.pool.get()?, account, names)
    }

    /// Paths of what is ours in the destination `root` beside photos: sidecars, and links of albums.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn own_paths(&self, account: AccountId, root: &str) -> Result<HashSet<String>, Error> {
        adopt::own_paths(&*self.pool.get()?, account, root)
    }

    /// Digests of local files that earlier runs of `adopt` read.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn known_locals(&self, account: AccountId) -> Result<Known, Error> {
        adopt::known(&*self.pool.get()?, account)
    }

    /// Up to `limit` local files of a run of `adopt` that a person should look at.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn adoptions(&self, run: RunId, limit: usize) -> Result<Vec<Adoption>, Error> {
        adopt::to_look_at(&*self.pool.get()?, run, limit)
    }

    /// How far each library of an account was followed, own library first.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn followed(&self, account: AccountId) -> Result<Vec<Followed>, Error> {
        changes::followed(&*self.pool.get()?, account)
    }

    /// Where a database of an account was last asked which libraries changed.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn database_token(
        &self,
        account: AccountId,
        database: Database,
    ) -> Result<Option<DatabaseToken>, Error> {
        changes::database_token(&*self.pool.get()?, account, database)
    }

    /// Part files of an account that nobody waits for, and that earlier runs did not get to.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn leftovers(&self, account: AccountId) -> Result<Vec<Leftover>, Error> {
        leftover::of_account(&*self.pool.get()?, account)
    }

    /// The assets of a library that point to some masters, by name.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn assets_of_masters(&self, library: LibraryId, masters: &[String]) -> Result<Vec<String>, Error> {
        changes::assets_of_masters(&*self.pool.get()?, library, masters)
    }

    /// The assets of a library that are not removed and that `met` does not know, by name.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn unmet(&self, library: LibraryId, met: impl Fn(AssetId) -> bool) -> Result<Vec<String>, Error> {
        changes::unmet(&*self.pool.get()?, library, met)
    }

    /// Up to `limit` rows of a library that want a fresh URL.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub async fn expired(&self, library: LibraryId, limit: usize) -> Result<Vec<Expired>, Error> {
        let pool = self.pool.clone();
        let read = move || query::expired(&*pool.get()?, library, limit);
        tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| Ok(Vec::new()))
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
    /// If the journal cannot be written; so for every write below.
    pub async fn begin_run(&self, account: AccountId, now: i64) -> Result<RunId, Error> {
        self.begin_run_for(account, Verb::Sync, now).await
    }

    /// The same for another purpose.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn begin_run_for(&self, account: AccountId, verb: Verb, now: i64) -> Result<RunId, Error> {
        self.writer.run(move |c| runs::begin(c, account, verb, now)).await
    }

    /// Closes a run that read files back.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn end_reading(
        &self,
        run: RunId,
        now: i64,
        outcome: &'static str,
        read: Reading,
    ) -> Result<(), Error> {
        self.writer.run(move |c| runs::end_reading(c, run, now, outcome, read)).await
    }

    /// Records that verified files were read back and are right.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn checked(&self, files: Vec<(FileId, Sha256Digest)>, now: i64) -> Result<(), Error> {
        self.writer.run(move |c| scrub::checked(c, &files, now)).await
    }

    /// Records what was found wrong with a verified file. Unless it only could not be read, it is
    /// lost, and wanted again.
    ///
    /// # Errors
    /// [`Error::LostClaim`] if the row is not verified any more.
    pub async fn damaged(&self, run: RunId, file: FileId, now: i64, damage: Damage) -> Result<(), Error> {
        self.writer.run(move |c| scrub::damaged(c, run, file, now, &damage)).await
    }

    /// Closes a run: what came of it, files verified, bytes fetched.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn end_run(
        &self,
        run: RunId,
        now: i64,
        outcome: &'static str,
        done: Tally,
    ) -> Result<(), Error> {
        self.writer.run(move |c| runs::end(c, run, now, outcome, done.files, done.bytes)).await
    }

    /// Finds or makes the row of an account.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn account(&self, username: &str, dsid: &str, now: i64) -> Result<AccountId, Error> {
        let (username, dsid) = (username.to_owned(), dsid.to_owned());
        self.writer.run(move |c| runs::account(c, &username, &dsid, now)).await
    }

    /// Remembers until when Apple asked this account to wait.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn wait_until(&self, username: &str, at: i64, now: i64) -> Result<(), Error> {
        let username = username.to_owned();
        self.writer.run(move |c| runs::wait_until(c, &username, at, now)).await
    }

    /// Notes how an attempt to sync an account ended, one that never came to a run too.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn attempted(&self, username: &str, attempt: Attempt) -> Result<(), Error> {
        let username = username.to_owned();
        self.writer.run(move |c| pulse::attempted(c, &username, &attempt)).await
    }

    /// Remembers until when Apple put off signing in with a password, for all accounts.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn put_off_sign_ins(&self, at: i64) -> Result<(), Error> {
        self.writer.run(move |c| runs::put_off_sign_ins(c, at)).await
    }

    /// Finds or makes the row of a library, and stores what Apple says it holds.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn library(
        &self,
        account: AccountId,
        zone: &Zone,
        apple_count: Option<u64>,
    ) -> Result<LibraryId, Error> {
        let zone = zone.clone();
        self.writer.run(move |c| runs::library(c, account, &zone, apple_count)).await
    }

    /// Remembers an account's destination by the id in its marker.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn add_destination(
        &self,
        account: AccountId,
        id: &str,
        directory: &Path,
        now: i64,
    ) -> Result<(), Error> {
        let (id, directory) = (id.to_owned(), directory.to_string_lossy().into_owned());
        self.writer.run(move |c| runs::add_destination(c, account, &id, &directory, now)).await
    }

    /// Applies a choice to all rows of an account, if it is another than last time.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn apply_choices(
        &self,
        account: AccountId,
        choices: Arc<Choices>,
        now: i64,
    ) -> Result<(), Error> {
        self.writer.run(move |c| choose::apply(c, account, &choices, now)).await
    }

    /// Plans the moves of up to `limit` assets after `after` to the places of a layout, and records them
    /// as intents.
    ///
    /// # Errors
    /// If the journal cannot be written; so for all that follows here about moves.
    pub async fn plan_moves(
        &self,
        account: AccountId,
        layout: Layout,
        after: AssetId,
        limit: usize,
    ) -> Result<Planned, Error> {
        self.writer.run(move |c| relayout::plan(c, account, &layout, after, limit)).await
    }

    /// Plans all moves of an account, and records nothing.
    ///
    /// # Errors
    /// See [`Journal::plan_moves`].
    pub async fn plan_moves_dry(&self, account: AccountId, layout: Layout) -> Result<Planned, Error> {
        self.writer.run(move |c| relayout::plan_dry(c, account, &layout)).await
    }

    /// Moves that were begun and that no commit has ended.
    ///
    /// # Errors
    /// See [`Journal::plan_moves`].
    pub async fn unfinished_moves(&self, account: AccountId) -> Result<Vec<Relocation>, Error> {
        self.writer.run(move |c| relayout::unfinished(c, account)).await
    }

    /// Another target for a file whose own is taken by a stranger's. `refused` are the targets tried.
    ///
    /// # Errors
    /// See [`Journal::plan_moves`].
    pub async fn move_elsewhere(
        &self,
        account: AccountId,
        file: FileId,
        refused: Vec<String>,
    ) -> Result<String, Error> {
        self.writer.run(move |c| relayout::again(c, account, file, &refused)).await
    }

    /// Ends moves: these files have their new path, and the others keep the old one. Call after the names
    /// are durable.
    ///
    /// # Errors
    /// See [`Journal::plan_moves`].
    pub async fn finish_moves(&self, moved: Vec<FileId>, left: Vec<FileId>) -> Result<(), Error> {
        self.writer.run(move |c| relayout::finish(c, &moved, &left)).await
    }

    /// Makes rows of pages, all in one transaction. They are claimable when this returns.
    ///
    /// # Errors
    /// If the journal cannot be written; then nothing of them is there.
    pub async fn record_pages(
        &self,
        at: Place,
        choices: Arc<Choices>,
        pages: Vec<Page>,
    ) -> Result<Vec<Seen>, Error> {
        let record = move |c: &_| pages.iter().map(|page| seen::record_page(c, at, &choices, page)).collect();
        self.writer.run_alone(record).await
    }

    /// Makes rows of one page.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn record_page(&self, at: Place, choices: Arc<Choices>, page: Page) -> Result<Seen, Error> {
        let mut seen = self.record_pages(at, choices, vec![page]).await?;
        Ok(seen.pop().unwrap_or_default())
    }

    /// Records that a library was listed from end to end.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn enumerated(&self, at: Place, found: Enumerated) -> Result<(), Error> {
        self.writer.run(move |c| runs::enumerated(c, at.run, at.library, at.now, &found)).await
    }

    /// Makes rows of changes, and keeps the token behind them, at once.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn record_changes(
        &self,
        at: Place,
        choices: Arc<Choices>,
        changes: Changes,
    ) -> Result<Seen, Error> {
        self.writer.run(move |c| changes::record(c, at, &choices, &changes)).await
    }

    /// Makes rows of all albums of a library and of what lies in them; others are gone.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn record_albums(&self, at: Place, albums: Vec<(Album, Vec<Member>)>) -> Result<(), Error> {
        self.writer.run(move |c| album::record_all(c, at, &albums)).await
    }

    /// Stores Apple's counts of a library, and compares them with ours.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn recounted(&self, at: Place, counts: Counts) -> Result<Recount, Error> {
        self.writer.run(move |c| changes::recounted(c, at, counts)).await
    }

    /// Forgets leftovers that are removed.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn cleared(&self, account: AccountId, leftovers: Vec<Leftover>) -> Result<(), Error> {
        self.writer.run(move |c| leftover::cleared(c, account, &leftovers)).await
    }

    /// Stores Apple's counts of a library, and judges nothing.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn counted(&self, library: LibraryId, counts: Counts) -> Result<(), Error> {
        self.writer.run(move |c| changes::counted(c, library, counts)).await
    }

    /// Keeps the token of a database. Call when all changes that it named are rows.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn keep_database_token(
        &self,
        account: AccountId,
        database: Database,
        token: String,
        now: i64,
    ) -> Result<(), Error> {
        self.writer.run(move |c| changes::keep_database_token(c, account, database, &token, now)).await
    }

    /// Claims up to `limit` rows with live URLs.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn claim(&self, run: RunId, limit: usize, now: i64) -> Result<Claimed, Error> {
        self.writer.run(move |c| claim::claim(c, run, limit, now)).await
    }

    /// Takes over up to `limit` claims of dead runs. Empty when none is left.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn take_over_dead(&self, run: RunId, limit: usize) -> Result<Vec<Claim>, Error> {
        self.writer.run(move |c| claim::take_over_dead(c, run, limit)).await
    }

    /// Gives a claim back, the row as it is. Burns no attempt.
    ///
    /// # Errors
    /// [`Error::LostClaim`] if it was not ours.
    pub async fn release(&self, claim: Claim) -> Result<(), Error> {
        self.writer.run(move |c| claim::release(c, &claim)).await
    }

    /// Records that the part file is durable up to `offset_bytes`, with the digest of that prefix.
    ///
    /// # Errors
    /// [`Error::LostClaim`] if the row is no longer ours: stop writing.
    pub async fn progressed(
        &self,
        mut claim: Claim,
        now: i64,
        offset_bytes: u64,
        prefix: Sha256Digest,
        etag: Option<String>,
    ) -> Result<Claim, Error> {
        self.writer
            .run(move |c| {
                moves::progressed(c, &claim, now, offset_bytes, prefix, etag.as_deref())?;
                let file = claim.file_mut();
                file.state = crate::model::state::State::Partial;
                (file.offset_bytes, file.prefix, file.etag) = (offset_bytes, Some(prefix), etag);
                Ok(claim)
            })
            .await
    }

    /// Records that files stand, proved and durable, under their final names: all of them, or none.
    ///
    /// Says of each whether its asset is complete with it.
    ///
    /// # Errors
    /// [`Error::LostClaim`] if one of the rows is no longer ours.
    pub async fn verified_all(
        &self,
        files: Vec<(Claim, Sha256Digest, Proof)>,
        now: i64,
    ) -> Result<Vec<bool>, Error> {
        self.writer
            .run(move |c| {
                let verified = files.iter().map(|(claim, sha256, proof)| {
                    moves::verified(c, claim, now, *sha256, *proof)?;
                    seen::is_complete(c, claim.file().asset)
                });
                verified.collect()
            })
            .await
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

    /// Records a failed attempt. The promised prefix is kept only if `keep_part`.
    ///
    /// # Errors
    /// [`Error::LostClaim`] if the row is no longer ours.
    pub async fn failed(
        &self,
        claim: Claim,
        now: i64,
        failure: Failure,
        keep_part: bool,
    ) -> Result<(), Error> {
        self.writer.run(move |c| moves::failed(c, &claim, now, &failure, keep_part)).await
    }

    /// Records that renewal found nothing to fetch any more. `false`: the row was no longer waiting
    /// for a URL, and stays as it is.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn failed_at_rest(
        &self,
        run: RunId,
        file: FileId,
        now: i64,
        failure: Failure,
    ) -> Result<bool, Error> {
        self.writer.run(move |c| moves::failed_at_rest(c, run, file, now, &failure)).await
    }

    /// Records that the URL of a claimed row has run out. Burns no attempt. `refused` says that the
    /// host refused it, which is counted: a file whose fresh URLs are refused again and again fails.
    ///
    /// # Errors
    /// [`Error::LostClaim`] if the row is no longer ours.
    pub async fn url_expired(&self, claim: Claim, now: i64, refused: bool) -> Result<(), Error> {
        self.writer.run(move |c| moves::url_expired(c, &claim, now, refused)).await
    }

    /// Gives expired rows their fresh URLs and puts them back in line. A row that is no longer
    /// waiting for one stays as it is: enumeration brings fresh URLs too.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn urls_renewed(
        &self,
        run: RunId,
        now: i64,
        renewed: Vec<(FileId, SignedUrl)>,
    ) -> Result<(), Error> {
        self.writer
            .run(move |c| {
                renewed
                    .iter()
                    .try_for_each(|(file, url)| moves::url_renewed(c, run, *file, now, url).map(|_| ()))
            })
            .await
    }

    /// Puts failed rows back in line; says how many.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn requeue(&self, run: RunId, now: i64, which: Requeue) -> Result<usize, Error> {
        self.writer.run(move |c| moves::requeued(c, run, now, which)).await
    }

    /// Records that the part file is not what was promised. The claim goes on from the start.
    ///
    /// # Errors
    /// [`Error::LostClaim`] if the row is no longer ours.
    pub async fn restarted(&self, mut claim: Claim, now: i64) -> Result<Claim, Error> {
        self.writer
            .run(move |c| {
                moves::restarted(c, &claim, now)?;
                let file = claim.file_mut();
                file.state = crate::model::state::State::Pending;
                (file.offset_bytes, file.prefix, file.etag) = (0, None, None);
                Ok(claim)
            })
            .await
    }

    /// Weighs whether checksums of a rendition prove anything, after one that did not match. `true`
    /// if doubt begins with it.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn weigh_doubt(&self, run: RunId, rendition: Rendition, now: i64) -> Result<bool, Error> {
        self.writer.run(move |c| doubt::weigh(c, run, rendition, now)).await
    }

    /// The renditions whose checksums prove nothing, in the account of a run.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub async fn doubted(&self, run: RunId) -> Result<Vec<Rendition>, Error> {
        self.writer.run(move |c| doubt::doubted(c, run)).await
    }

    /// Ends the doubt about a rendition: one of its checksums matched.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn end_doubt(&self, run: RunId, rendition: Rendition) -> Result<(), Error> {
        self.writer.run(move |c| doubt::end(c, run, rendition)).await
    }

    /// Records that a verified file is gone from its place.
    ///
    /// # Errors
    /// [`Error::LostClaim`] if the row is not verified.
    pub async fn lost(&self, run: RunId, file: FileId, now: i64) -> Result<(), Error> {
        self.writer.run(move |c| moves::lost(c, run, file, now)).await
    }

    /// Records what `adopt` found, and makes the adopted files ours, where they stand. Call after they
    /// are durable. Gives what really became of each.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn record_findings(
        &self,
        account: AccountId,
        run: RunId,
        now: i64,
        findings: Vec<Finding>,
    ) -> Result<Vec<Finding>, Error> {
        self.writer.run(move |c| adopt::record(c, account, run, now, findings)).await
    }

    /// Remembers links that stand in a view, and forgets those that are gone.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn record_links(
        &self,
        account: AccountId,
        directory: String,
        made: Vec<Link>,
        gone: Vec<String>,
    ) -> Result<(), Error> {
        self.writer.run(move |c| album_view::record(c, account, &directory, &made, &gone)).await
    }

    /// Remembers sidecars that stand. Call after they are durable.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn sidecars_written(&self, now: i64, sidecars: Vec<WrittenSidecar>) -> Result<(), Error> {
        self.writer.run(move |c| sidecar::written(c, now, &sidecars)).await
    }

    /// Forgets local files below `prefix` that a run of `adopt` did not meet any more.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn forget_gone(&self, account: AccountId, run: RunId, prefix: String) -> Result<(), Error> {
        self.writer.run(move |c| adopt::forget_gone(c, account, run, &prefix)).await
    }

    /// Remembers how far the sweep has come.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn swept(&self, account: AccountId, sweep: Sweep) -> Result<(), Error> {
        self.writer.run(move |c| absence::swept(c, account, sweep)).await
    }

    /// Learns where files were moved to; says how many.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn relocated(
        &self,
        account: AccountId,
        run: RunId,
        now: i64,
        files: Vec<FoundElsewhere>,
    ) -> Result<usize, Error> {
        self.writer.run(move |c| absence::relocated(c, account, run, now, &files)).await
    }

    /// Does with files that are gone what the person chose.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn missing(
        &self,
        run: RunId,
        now: i64,
        files: Vec<FileId>,
        policy: Missing,
    ) -> Result<(), Error> {
        self.writer.run(move |c| absence::missing(c, run, now, &files, policy)).await
    }

    /// Takes released files back that stand in their places again.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn returned(&self, run: RunId, now: i64, files: Vec<FileId>) -> Result<(), Error> {
        self.writer.run(move |c| absence::returned(c, run, now, &files)).await
    }

    /// Wants released files back; says how many.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn refetch(&self, username: &str, wanted: Wanted, now: i64) -> Result<usize, Error> {
        let username = username.to_owned();
        self.writer.run(move |c| absence::refetch(c, &username, &wanted, now)).await
    }

    /// Says where files are to go in the trash, before they go.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn intend_trash(&self, now: i64, files: Vec<(FileId, String)>) -> Result<(), Error> {
        self.writer.run(move |c| trash::intend(c, now, &files)).await
    }

    /// Says that files of the trash are to come back, before they do.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn intend_back(&self, files: Vec<FileId>) -> Result<(), Error> {
        self.writer.run(move |c| trash::intend_back(c, &files)).await
    }

    /// Gives a file that is to come back another path than those that are taken.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn another_path(
        &self,
        account: AccountId,
        file: FileId,
        asset: AssetName,
        taken: Vec<String>,
    ) -> Result<String, Error> {
        self.writer.run(move |c| trash::another_path(c, account, file, &asset, &taken)).await
    }

    /// Records that files stand in the trash.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn trashed(&self, run: Option<RunId>, now: i64, files: Vec<FileId>) -> Result<(), Error> {
        self.writer.run(move |c| trash::trashed(c, run, now, &files)).await
    }

    /// Records that files stand in their places as photos; `kept`: because a person said so.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn in_place(
        &self,
        run: Option<RunId>,
        now: i64,
        files: Vec<FileId>,
        kept: bool,
    ) -> Result<(), Error> {
        self.writer.run(move |c| trash::in_place(c, run, now, &files, kept)).await
    }

    /// Forgets that a person took files back out, where the asset is in iCloud again.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn forget_kept(&self) -> Result<(), Error> {
        self.writer.run(trash::forget_kept).await
    }

    /// Wants files again that are no longer in the trash.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn refetch_trashed(&self, now: i64, files: Vec<FileId>) -> Result<(), Error> {
        self.writer.run(move |c| files.iter().try_for_each(|file| moves::refetched(c, *file, now))).await
    }

    /// Records that files of the trash are no more.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn purged(&self, run: RunId, now: i64, files: Vec<FileId>) -> Result<(), Error> {
        self.writer.run(move |c| trash::purged(c, run, now, &files)).await
    }

    /// Moves a claimed row to another name; `refused` are the names found taken on disk, the
    /// wanted one first.
    ///
    /// # Errors
    /// [`Error::LostClaim`] if the row is no longer ours.
    pub async fn rename(&self, mut claim: Claim, refused: Vec<String>) -> Result<Claim, Error> {
        self.writer
            .run(move |c| {
                place::rename(c, &mut claim, &refused)?;
                Ok(claim)
            })
            .await
    }
}
