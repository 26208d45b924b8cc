//! What the commands that look at what is here ask of a [`Reader`]: audit, verify, explain, log, export.

use std::collections::BTreeMap;

use crate::journal::catalogue::{self, CatalogueLine};
use crate::journal::error::Error;
use crate::journal::query::Tally;
use crate::journal::roll::{self, AssetCount, KnownPath, RollRow, UnusableRecord};
use crate::journal::scrub::{self, DueFile, Line, Turn};
use crate::journal::story::{self, Happening, StoryFile, StoryOf, Which};
use crate::journal::{Reader, place, query};
use crate::model::file_system::FileSystem;
use crate::model::ids::{AccountId, LibraryId};

impl Reader {
    /// How many rows `v_problem` has.
    ///
    /// # Errors
    /// If the journal cannot be read; so for every question below.
    pub fn problems_total(&self) -> Result<u64, Error> {
        query::problems_total(&*self.pool.get()?)
    }

    /// Up to `limit` verified files of a library that were not read back since `before`, the oldest
    /// check first, behind `after` in the line.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn due(
        &self,
        library: LibraryId,
        before: i64,
        after: Option<Turn>,
        limit: usize,
    ) -> Result<Vec<DueFile>, Error> {
        scrub::due(&*self.pool.get()?, library, before, after, limit)
    }

    /// How the line of files to read back stands in a library: due are those not checked since
    /// `before`.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn line(&self, library: LibraryId, before: i64) -> Result<Line, Error> {
        scrub::line(&*self.pool.get()?, library, before)
    }

    /// Calls `each` for every file row of an account; ends early when it says `false`.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn roll_call(&self, account: AccountId, each: impl FnMut(RollRow) -> bool) -> Result<(), Error> {
        roll::roll(&*self.pool.get()?, account, each)
    }

    /// Counts the assets of each library of an account anew.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn assets_counted(&self, account: AccountId) -> Result<BTreeMap<LibraryId, AssetCount>, Error> {
        roll::assets(&*self.pool.get()?, account)
    }

    /// Calls `each` for every asset in iCloud that has no file row and no problem that explains it:
    /// its library, its record and its file name.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn assets_without_files(
        &self,
        account: AccountId,
        each: impl FnMut(LibraryId, String, String),
    ) -> Result<(), Error> {
        roll::without_files(&*self.pool.get()?, account, each)
    }

    /// Calls `each` for every record of an account that cannot be used.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn unusable_records(
        &self,
        account: AccountId,
        each: impl FnMut(UnusableRecord),
    ) -> Result<(), Error> {
        roll::unusable(&*self.pool.get()?, account, each)
    }

    /// What the tally counts in a library, by standing.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn tally(&self, library: LibraryId) -> Result<BTreeMap<String, Tally>, Error> {
        roll::tally(&*self.pool.get()?, library)
    }

    /// What the journal knows of a path below an account's destination, as `told_by` tells names.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn known_path(
        &self,
        account: AccountId,
        path: &str,
        told_by: &FileSystem,
    ) -> Result<Option<KnownPath>, Error> {
        let connection = self.pool.get()?;
        let known = roll::known_path(&connection, place::key(account, path), path, told_by)?;
        // A sidecar is called after its file, with an extension more.
        let media = path.rsplit_once('.').map(|(media, _)| media).filter(|_| known.is_none());
        let Some(media) = media else { return Ok(known) };
        let is_sidecar = roll::is_sidecar(&connection, place::key(account, media), path, told_by)?;
        Ok(is_sidecar.then_some(KnownPath::Sidecar))
    }

    /// The folders that hold links of albums of an account.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn album_folders(&self, account: AccountId) -> Result<Vec<String>, Error> {
        roll::album_folders(&*self.pool.get()?, account)
    }

    /// Whether a link of ours stands at `path` below a folder of albums.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn is_album_link(&self, account: AccountId, folder: &str, path: &str) -> Result<bool, Error> {
        roll::is_album_link(&*self.pool.get()?, account, folder, path)
    }

    /// Whether assets came to a library or left it at or after a moment.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn changed_since(&self, library: LibraryId, at: i64) -> Result<bool, Error> {
        roll::changed_since(&*self.pool.get()?, library, at)
    }

    /// The last run of an account that listed its libraries.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn last_listing(&self, account: AccountId) -> Result<Option<i64>, Error> {
        roll::last_listing(&*self.pool.get()?, account)
    }

    /// The assets that a name may mean: a record, a path below a destination, or a file name.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn find_assets(&self, name: &str) -> Result<Vec<StoryOf>, Error> {
        let connection = self.pool.get()?;
        let accounts = query::accounts(&connection)?;
        let keys: Vec<i64> = accounts.into_iter().map(|account| place::key(account, name)).collect();
        story::find(&connection, name, &keys)
    }

    /// The files of an asset.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn files_of(&self, asset_id: i64) -> Result<Vec<StoryFile>, Error> {
        story::files(&*self.pool.get()?, asset_id)
    }

    /// What is wrong with these records: name, kind and detail.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn record_problems(&self, names: &[String]) -> Result<Vec<(String, String, String)>, Error> {
        story::record_problems(&*self.pool.get()?, names)
    }

    /// What happened, oldest first.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn happenings(&self, which: &Which) -> Result<Vec<Happening>, Error> {
        story::happenings(&*self.pool.get()?, which)
    }

    /// Up to `limit` runs between two moments, oldest first.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn runs(&self, which: &Which) -> Result<Vec<query::Run>, Error> {
        query::runs(&*self.pool.get()?, which)
    }

    /// Calls `each` for every file of an account, in the order of their paths; with `here`, only for
    /// those that must be on the disk. Ends early when it says `false`.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn catalogue(
        &self,
        username: &str,
        here: bool,
        each: impl FnMut(CatalogueLine) -> bool,
    ) -> Result<(), Error> {
        catalogue::lines(&*self.pool.get()?, username, here, each)
    }
}
