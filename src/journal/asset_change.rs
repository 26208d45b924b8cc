//! What happens to an asset in iCloud: told in its own history, which is only ever added to.
//!
//! The row says what is; `asset_history` says what changed since the asset was first listed. A
//! removed asset keeps its row, its files and their states: only what never came home is no longer
//! waited for.

use rusqlite::{Connection, OptionalExtension as _, named_params};

use crate::journal::error::Error;
use crate::journal::seen::Place;
use crate::model::asset::{Asset, Rendition};
use crate::model::events::AssetEvent;
use crate::model::ids::{AssetId, LibraryId};
use crate::model::reconcile::{KnownFile, Step};

/// What the row of an asset says before a change.
pub(super) struct KnownAsset {
    pub(super) id: AssetId,
    pub(super) change_tag: String,
    pub(super) filename: String,
    pub(super) captured_ms: Option<i64>,
    pub(super) favorite: bool,
    pub(super) hidden: bool,
    pub(super) removed_as: Option<String>,
    /// Nobody asked which camera took it.
    pub(super) lacks_camera: bool,
}

/// How an asset left the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removal {
    /// It lies in Recently Deleted, for a month.
    RecentlyDeleted,
    /// It is gone for good.
    Purged,
}

pub(super) const KNOWN: &str = "
    SELECT asset_id, change_tag, filename, captured_ms, favorite, hidden, removed_as, camera IS NULL
    FROM asset INDEXED BY asset_by_name
    WHERE substr(record_name, -6) = substr(:record, -6) AND record_name = :record AND library_id = :library";

/// Reads the row of an asset by its record name.
pub(super) fn known(
    connection: &Connection,
    library: LibraryId,
    record: &str,
) -> Result<Option<KnownAsset>, Error> {
    let mut statement = connection.prepare_cached(KNOWN)?;
    let known = statement
        .query_row(named_params! { ":library": library.0, ":record": record }, |row| {
            Ok(KnownAsset {
                id: AssetId(row.get(0)?),
                change_tag: row.get(1)?,
                filename: row.get(2)?,
                captured_ms: row.get(3)?,
                favorite: row.get(4)?,
                hidden: row.get(5)?,
                removed_as: row.get(6)?,
                lacks_camera: row.get(7)?,
            })
        })
        .optional()?;
    Ok(known)
}

/// Adds a line to an asset's history.
pub(super) fn tell(
    connection: &Connection,
    at: Place,
    asset: AssetId,
    event: AssetEvent,
    detail: Option<&str>,
) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO asset_history (asset_history_id, asset_id, run_id, at, event, detail)
         VALUES (1 + max(coalesce((SELECT max(history_id) FROM history), 0),
                         coalesce((SELECT max(asset_history_id) FROM asset_history), 0)),
                 :asset, :run, :now, :event, :detail)",
    )?;
    statement.execute(named_params! {
        ":asset": asset.0, ":run": at.run.0, ":now": at.now, ":event": event.as_str(), ":detail": detail,
    })?;
    Ok(())
}

/// Tells what an asset's records say otherwise than its row.
pub(super) fn tell_differences(
    connection: &Connection,
    at: Place,
    known: &KnownAsset,
    asset: &Asset,
) -> Result<(), Error> {
    if known.removed_as.is_some() {
        tell(connection, at, known.id, AssetEvent::Restored, None)?;
    }
    if known.filename != asset.filename {
        let detail = format!("{} -> {}", known.filename, asset.filename);
        tell(connection, at, known.id, AssetEvent::Renamed, Some(&detail))?;
    }
    let captured_ms = asset.captured.map(|captured| captured.at_ms);
    if known.captured_ms != captured_ms {
        let detail = [known.captured_ms, captured_ms].map(|at_ms| moment(connection, at_ms));
        tell(connection, at, known.id, AssetEvent::Redated, Some(&detail.join(" -> ")))?;
    }
    let flags = [
        (known.favorite, asset.favorite, [AssetEvent::Unfavorited, AssetEvent::Favorited]),
        (known.hidden, asset.hidden, [AssetEvent::Unhidden, AssetEvent::Hidden]),
    ];
    for (was, is, events) in flags {
        if was != is {
            tell(connection, at, known.id, events[usize::from(is)], None)?;
        }
    }
    Ok(())
}

/// Tells what became of an asset's files at Apple, read off the steps that follow it here.
pub(super) fn tell_versions(
    connection: &Connection,
    at: Place,
    known: &KnownAsset,
    asset: &Asset,
    files: &[KnownFile],
    steps: &[Step],
) -> Result<(), Error> {
    let is_edit = |rendition| matches!(rendition, Rendition::Edited | Rendition::EditedVideo);
    let mut came = [false; 2];
    let mut went = [false; 2];
    for step in steps {
        match *step {
            Step::Insert { offer } | Step::Change { offer, .. } => {
                came[usize::from(is_edit(asset.offers[offer].rendition))] = true;
            }
            Step::Supersede { file } | Step::Reinstate { file } => {
                let Some(known) = files.iter().find(|known| known.id == file) else { continue };
                let which = usize::from(is_edit(known.rendition));
                match step {
                    Step::Reinstate { .. } => came[which] = true,
                    _ => went[which] = true,
                }
            }
            Step::Renew { .. } => {}
        }
    }
    let [original_came, edit_came] = came;
    let [original_went, edit_went] = went;
    // What comes back with a restored asset is no edit.
    let restored = known.removed_as.is_some();
    let event = match (edit_came, edit_went) {
        (true, _) if !restored => Some(AssetEvent::Edited),
        (false, true) => Some(AssetEvent::Reverted),
        _ => None,
    };
    if let Some(event) = event {
        tell(connection, at, known.id, event, None)?;
    }
    if (original_came || original_went) && !restored {
        tell(connection, at, known.id, AssetEvent::Replaced, None)?;
    }
    Ok(())
}

/// A capture time in words, for the history.
fn moment(connection: &Connection, at_ms: Option<i64>) -> String {
    let Some(at_ms) = at_ms else { return "no date".to_owned() };
    let said: Result<Option<String>, _> = connection
        .prepare_cached("SELECT strftime('%Y-%m-%dT%H:%M:%SZ', :at, 'unixepoch')")
        .and_then(|mut s| s.query_row(named_params! { ":at": at_ms.div_euclid(1000) }, |row| row.get(0)));
    // Cameras write absurd years, for which SQLite has no date.
    said.ok().flatten().unwrap_or_else(|| format!("{at_ms} ms"))
}

/// Marks an asset as gone from iCloud's library. Its files stay; what never came home is no longer
/// waited for, though a worker that holds it ends what it began.
///
/// What is gone for good while another library of the account holds the same photo has moved.
pub(super) fn remove(
    connection: &Connection,
    at: Place,
    known: &KnownAsset,
    removal: Removal,
) -> Result<(), Error> {
    let elsewhere = match removal {
        Removal::RecentlyDeleted => None,
        Removal::Purged => lives_in(connection, at.library, known.id)?,
    };
    let (word, event) = match (removal, &elsewhere) {
        (Removal::RecentlyDeleted, _) => ("recently-deleted", AssetEvent::Deleted),
        (Removal::Purged, None) => ("purged", AssetEvent::Purged),
        (Removal::Purged, Some(_)) => ("moved", AssetEvent::Moved),
    };
    let was = known.removed_as.as_deref();
    // Said already; and nothing comes back from a purge but by a record.
    if was == Some(word) || (was == Some("moved") && removal == Removal::Purged) {
        return Ok(());
    }
    set_removed(connection, at, known.id, word)?;
    let detail = elsewhere.map(|zone| format!("to {zone}"));
    tell(connection, at, known.id, event, detail.as_deref())?;
    let mut statement = connection.prepare_cached(
        "UPDATE asset_file SET superseded_at = :now
         WHERE asset_id = :asset AND state <> 'verified' AND superseded_at IS NULL",
    )?;
    statement.execute(named_params! { ":now": at.now, ":asset": known.id.0 })?;
    Ok(())
}

/// Says of assets that were purged from other libraries of the account that they moved here: the
/// same master came up in this one.
pub(super) fn moved_here(connection: &Connection, at: Place, asset: &Asset) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "SELECT a.asset_id, here.zone_name FROM asset a INDEXED BY asset_by_master
         JOIN library l USING (library_id) JOIN library here ON here.library_id = :library
         WHERE substr(a.master_name, 2, 6) = substr(:master, 2, 6) AND a.master_name = :master
           AND a.library_id <> :library AND a.removed_as = 'purged'
           AND l.account_id = here.account_id",
    )?;
    let values = named_params! { ":master": asset.master.as_str(), ":library": at.library.0 };
    let moved = statement.query_map(values, |row| Ok((AssetId(row.get(0)?), row.get::<_, String>(1)?)))?;
    for (id, zone) in moved.collect::<Result<Vec<_>, _>>()? {
        set_removed(connection, at, id, "moved")?;
        tell(connection, at, id, AssetEvent::Moved, Some(&format!("to {zone}")))?;
    }
    Ok(())
}

fn set_removed(connection: &Connection, at: Place, asset: AssetId, word: &str) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "UPDATE asset SET removed_at = coalesce(removed_at, :now), removed_as = :word
         WHERE asset_id = :asset",
    )?;
    statement.execute(named_params! { ":now": at.now, ":word": word, ":asset": asset.0 })?;
    Ok(())
}

/// The zone of another library of the account that holds the same photo.
fn lives_in(connection: &Connection, library: LibraryId, asset: AssetId) -> Result<Option<String>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT l.zone_name FROM asset gone
         JOIN asset a INDEXED BY asset_by_master
           ON substr(a.master_name, 2, 6) = substr(gone.master_name, 2, 6) AND a.master_name = gone.master_name
         JOIN library l ON l.library_id = a.library_id
         JOIN library here ON here.library_id = :library
         WHERE gone.asset_id = :asset AND a.library_id <> :library AND a.removed_at IS NULL
           AND l.account_id = here.account_id LIMIT 1",
    )?;
    let values = named_params! { ":asset": asset.0, ":library": library.0 };
    Ok(statement.query_row(values, |row| row.get(0)).optional()?)
}

/// Whether an asset that comes up now is news: its library was listed before.
pub(super) fn is_news(connection: &Connection, library: LibraryId) -> Result<bool, Error> {
    let mut statement = connection
        .prepare_cached("SELECT enumerated_at IS NOT NULL FROM library WHERE library_id = :library")?;
    Ok(statement.query_row(named_params! { ":library": library.0 }, |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::schema;

    #[test]
    fn an_asset_is_known_by_its_whole_name_in_its_own_library() {
        let connection = schema::blank(1).unwrap();
        let frame = "INSERT INTO account (account_id, username, created_at) VALUES (1, 'u', 0);
                     INSERT INTO library (library_id, account_id, database, zone_name, zone_owner, zone_type)
                     VALUES (1, 1, 'private', '', '', ''), (2, 1, 'shared', '', '', '')";
        connection.execute_batch(frame).unwrap();
        let id =
            |library: i64, name: &str| known(&connection, LibraryId(library), name).unwrap().map(|k| k.id);
        // Names that are looked for by the same letters.
        for name in ["", "-A", "123456", "0123456", "00123456", "é123456", "12345é", "3456\0", "3456"] {
            for library in [1, 2] {
                assert_eq!(id(library, name), None, "{name}");
                let sql =
                    "INSERT INTO asset (library_id, record_name, master_name, change_tag, filename, kind,
                               favorite, hidden) VALUES (?1, ?2, 'M', 't', 'a.jpg', 'photo', 0, 0)";
                connection.execute(sql, rusqlite::params![library, name]).unwrap();
                assert_eq!(id(library, name), Some(AssetId(connection.last_insert_rowid())), "{name}");
            }
        }
    }
}
