//! Changes become rows: a page of them, and the token behind it, in one operation.
//!
//! So a crash leaves either both or neither, and the next run asks on from exactly where the rows
//! end. Replaying a page that is here already changes nothing.

use rusqlite::{Connection, OptionalExtension as _, named_params};

use crate::journal::Journal;
use crate::journal::Reader;
use crate::journal::asset_change::{self, Removal};
use crate::journal::error::Error;
use crate::journal::seen::{self, Place, Seen};
use crate::journal::{album, choose, row};
use crate::model::asset::{Database, Zone};
use crate::model::change::{Changes, Counts, Member};
use crate::model::choices::Choices;
use crate::model::ids::{AccountId, AssetId, LibraryId};
use std::sync::Arc;

impl Reader {
    /// How far each library of an account was followed, own library first.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn followed(&self, account: AccountId) -> Result<Vec<Followed>, Error> {
        followed(&*self.pool.get()?, account)
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
        database_token(&*self.pool.get()?, account, database)
    }

    /// The assets of a library that point to some masters, by name.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn assets_of_masters(&self, library: LibraryId, masters: &[String]) -> Result<Vec<String>, Error> {
        assets_of_masters(&*self.pool.get()?, library, masters)
    }

    /// How many of some records are assets of a library that are not removed, by name.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn present_among(&self, library: LibraryId, names: &[String]) -> Result<u64, Error> {
        present_among(&*self.pool.get()?, library, names)
    }

    /// The assets of a library that are not removed and that `met` does not know, by name.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn unmet(&self, library: LibraryId, met: impl Fn(AssetId) -> bool) -> Result<Vec<String>, Error> {
        unmet(&*self.pool.get()?, library, met)
    }
}

impl Journal {
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
        self.writer.run(move |c| record(c, at, &choices, &changes)).await
    }

    /// Stores Apple's counts of a library, and compares them with ours.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn recounted(&self, at: Place, counts: Counts) -> Result<Recount, Error> {
        self.writer.run(move |c| recounted(c, at, counts)).await
    }

    /// Stores Apple's counts of a library, and judges nothing.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn counted(&self, library: LibraryId, counts: Counts) -> Result<(), Error> {
        self.writer.run(move |c| counted(c, library, counts)).await
    }

    /// Remembers that a library changed while it was left out, or that it was caught up with since.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn set_behind(&self, library: LibraryId, since: Option<i64>) -> Result<(), Error> {
        self.writer.run(move |c| set_behind(c, library, since)).await
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
        self.writer.run(move |c| keep_database_token(c, account, database, &token, now)).await
    }
}

/// Brings the rows in line with some changes. With a token, they are a page of the library's own
/// history, and what comes after it is asked for from there.
pub(super) fn record(
    connection: &Connection,
    at: Place,
    choices: &Choices,
    changes: &Changes,
) -> Result<Seen, Error> {
    for asset in &changes.page.assets {
        resolve(connection, at, asset.name.as_str())?;
    }
    for name in &changes.purged {
        resolve(connection, at, name)?;
    }
    let mut seen = seen::record_page(connection, at, choices, &changes.page)?;
    for album in &changes.albums {
        album::record(connection, at, album)?;
    }
    for member in &changes.members {
        album::set_member(connection, at, member)?;
    }
    for name in &changes.purged {
        if let Some(known) = asset_change::known(connection, at.library, name)? {
            seen::remove(connection, at, &known, Removal::Purged, &mut seen)?;
        } else if let Some(member) = Member::gone(name) {
            album::set_member(connection, at, &member)?;
        } else {
            album::remove(connection, at, name)?;
        }
    }
    let gone: Vec<Member> = changes.purged.iter().filter_map(|name| Member::gone(name)).collect();
    let moved = changes.members.iter().chain(&gone).map(|member| member.asset.as_str());
    seen.judge(choose::judge_named(connection, choices, at.now, at.library, moved)?);
    if let Some(token) = &changes.page.sync_token {
        let mut statement = connection
            .prepare_cached("UPDATE library SET sync_token = :token WHERE library_id = :library")?;
        statement.execute(named_params! { ":token": token, ":library": at.library.0 })?;
    }
    Ok(seen)
}

/// A record that could not be used is here again, or gone: what was wrong with it is past.
fn resolve(connection: &Connection, at: Place, record: &str) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "UPDATE record_problem SET resolved_at = :now
         WHERE library_id = :library AND record_name = :record AND resolved_at IS NULL",
    )?;
    statement.execute(named_params! { ":now": at.now, ":library": at.library.0, ":record": record })?;
    Ok(())
}

/// How far a library was followed.
#[derive(Clone, Debug)]
pub struct Followed {
    /// The row.
    pub id: LibraryId,
    /// Its zone.
    pub zone: Zone,
    /// From where its changes are asked for; `None` before it was listed from end to end.
    pub sync_token: Option<String>,
    /// When Apple's count was last compared with ours, in Unix seconds.
    pub recounted_at: Option<i64>,
    /// It changed while it was left out by choice: its changes are to be asked for.
    pub is_behind: bool,
    /// Records of it could not be used, and another version of the program listed it.
    pub wants_another_reading: bool,
}

/// Reads how far each library of an account was followed, own library first.
pub(super) fn followed(connection: &Connection, account: AccountId) -> Result<Vec<Followed>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT library_id, database, zone_name, zone_owner, zone_type, sync_token, recounted_at,
                behind_at IS NOT NULL AS is_behind,
                listed_by <> :version AND EXISTS (
                    SELECT 1 FROM record_problem p
                    WHERE p.library_id = library.library_id AND p.resolved_at IS NULL
                ) AS wants_another_reading
         FROM library WHERE account_id = :account ORDER BY library_id",
    )?;
    let version = env!("CARGO_PKG_VERSION");
    let mut rows = statement.query(named_params! { ":account": account.0, ":version": version })?;
    let mut libraries = Vec::new();
    while let Some(row) = rows.next()? {
        libraries.push(Followed {
            id: LibraryId(row.get("library_id")?),
            zone: Zone {
                database: row::database(row, "database")?,
                name: row.get("zone_name")?,
                owner: row.get("zone_owner")?,
                kind: row.get("zone_type")?,
            },
            sync_token: row.get("sync_token")?,
            recounted_at: row.get("recounted_at")?,
            is_behind: row.get("is_behind")?,
            wants_another_reading: row.get::<_, Option<bool>>("wants_another_reading")?.unwrap_or(false),
        });
    }
    Ok(libraries)
}

/// Remembers since when a library is behind, or that it no longer is.
pub(super) fn set_behind(
    connection: &Connection,
    library: LibraryId,
    since: Option<i64>,
) -> Result<(), Error> {
    connection.execute(
        "UPDATE library SET behind_at = :since WHERE library_id = :library",
        named_params! { ":since": since, ":library": library.0 },
    )?;
    Ok(())
}

/// Where a database was last asked which libraries changed, and when.
#[derive(Clone, Debug)]
pub struct DatabaseToken {
    /// What to ask with.
    pub sync_token: String,
    /// In Unix seconds.
    pub asked_at: i64,
}

/// Reads the token of a database.
pub(super) fn database_token(
    connection: &Connection,
    account: AccountId,
    database: Database,
) -> Result<Option<DatabaseToken>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT sync_token, asked_at FROM database_token WHERE account_id = :account AND database = :database",
    )?;
    let values = named_params! { ":account": account.0, ":database": database.as_str() };
    let token = statement
        .query_row(values, |row| Ok(DatabaseToken { sync_token: row.get(0)?, asked_at: row.get(1)? }))
        .optional()?;
    Ok(token)
}

/// Keeps the token of a database. Call when all changes that it named are rows.
pub(super) fn keep_database_token(
    connection: &Connection,
    account: AccountId,
    database: Database,
    token: &str,
    now: i64,
) -> Result<(), Error> {
    connection.execute(
        "INSERT INTO database_token (account_id, database, sync_token, asked_at)
         VALUES (:account, :database, :token, :now)
         ON CONFLICT (account_id, database) DO UPDATE
         SET sync_token = excluded.sync_token, asked_at = excluded.asked_at",
        named_params! {
            ":account": account.0, ":database": database.as_str(), ":token": token, ":now": now,
        },
    )?;
    Ok(())
}

/// Stores Apple's counts of a library, and says whether they are what ours lead to expect.
///
/// Apple may count more for good: records that cannot be used. By how many, the last complete
/// enumeration found out.
pub(super) fn recounted(connection: &Connection, at: Place, counts: Counts) -> Result<Recount, Error> {
    let apple = row::int(counts.total());
    let here = present(connection, at.library)?;
    let ahead: i64 = connection.query_row(
        "SELECT count_ahead FROM library WHERE library_id = :library",
        named_params! { ":library": at.library.0 },
        |row| row.get(0),
    )?;
    connection.execute(
        "UPDATE library SET apple_count = :count, recounted_at = :now WHERE library_id = :library",
        named_params! { ":count": apple, ":now": at.now, ":library": at.library.0 },
    )?;
    Ok(Recount { apple: counts.total(), here: here.unsigned_abs(), agrees: apple - ahead == here })
}

/// Assets of a library that are not removed: two rows of the tally.
pub(super) fn present(connection: &Connection, library: LibraryId) -> Result<i64, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT coalesce(sum(iif(standing = 'assets', files, -files)), 0) FROM tally
         WHERE library_id = :library AND standing IN ('assets', 'assets-removed')",
    )?;
    Ok(statement.query_row(named_params! { ":library": library.0 }, |row| row.get(0))?)
}

/// Stores Apple's counts of a library, and judges nothing: right after a change they may lag behind.
pub(super) fn counted(connection: &Connection, library: LibraryId, counts: Counts) -> Result<(), Error> {
    connection.execute(
        "UPDATE library SET apple_count = :count WHERE library_id = :library",
        named_params! { ":count": row::int(counts.total()), ":library": library.0 },
    )?;
    Ok(())
}

/// What a recount found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recount {
    /// Assets as Apple counts them, hidden ones among them.
    pub apple: u64,
    /// Assets in the journal that are not removed.
    pub here: u64,
    /// Whether they differ by no more than they did after the last complete enumeration.
    pub agrees: bool,
}

/// The assets that point to some masters, by name.
pub(super) fn assets_of_masters(
    connection: &Connection,
    library: LibraryId,
    masters: &[String],
) -> Result<Vec<String>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT record_name FROM asset INDEXED BY asset_by_master
         WHERE substr(master_name, 2, 6) = substr(:master, 2, 6)
           AND master_name = :master AND library_id = :library",
    )?;
    let mut names = Vec::new();
    for master in masters {
        let values = named_params! { ":master": master, ":library": library.0 };
        let found = statement.query_map(values, |row| row.get(0))?;
        names.extend(found.collect::<Result<Vec<String>, _>>()?);
    }
    Ok(names)
}

/// How many of some records are assets of a library that are not removed, by name.
pub(super) fn present_among(
    connection: &Connection,
    library: LibraryId,
    names: &[String],
) -> Result<u64, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT 1 FROM asset INDEXED BY asset_by_name
         WHERE substr(record_name, -6) = substr(:name, -6) AND record_name = :name
           AND library_id = :library AND removed_at IS NULL",
    )?;
    let mut count = 0;
    for name in names {
        count += u64::from(statement.exists(named_params! { ":library": library.0, ":name": name })?);
    }
    Ok(count)
}

/// The assets of a library that are not removed and that `met` does not know, by name.
pub(super) fn unmet(
    connection: &Connection,
    library: LibraryId,
    met: impl Fn(AssetId) -> bool,
) -> Result<Vec<String>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT asset_id, record_name FROM asset WHERE library_id = :library AND removed_at IS NULL",
    )?;
    let mut rows = statement.query(named_params! { ":library": library.0 })?;
    let mut names = Vec::new();
    while let Some(row) = rows.next()? {
        if !met(AssetId(row.get(0)?)) {
            names.push(row.get(1)?);
        }
    }
    Ok(names)
}
