//! Choosing: each row learns whether it is wanted, and by which rule not.
//!
//! The rules are pure ([`crate::model::selection`], [`crate::model::renditions`]); here they are given
//! the facts of rows. A row is judged when its asset is new or changed, and all rows are when the choice
//! is another than last time. So a wider choice is a pass over the journal and not over Apple's list.
//!
//! Nothing is lost by a narrower one: a verified file keeps its state, and is named by the rule.

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use crate::journal::error::Error;
use crate::journal::row;
use crate::journal::{Journal, Reader};
use crate::model::asset::MediaKind;
use crate::model::choices::Choices;
use crate::model::ids::{AccountId, AssetId, LibraryId};
use crate::model::renditions::Has;
use crate::model::selection::{Facts, Recent};
use std::sync::Arc;

/// What became of the rows that were judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Judged {
    /// Files that are no longer waited for, less those that are again.
    pub(super) files: i64,
    /// Bytes of those files.
    pub(super) bytes: i64,
    /// Assets that are complete with that, less those that are no longer.
    pub(super) assets_done: i64,
}

/// A file row, as far as a rule needs it.
struct File {
    id: i64,
    has: Has,
    size_bytes: i64,
    is_open: bool,
    is_verified: bool,
    excluded_by: Option<String>,
}

/// A judgement that differs from what the row says.
struct Verdict {
    file: i64,
    excluded_by: Option<&'static str>,
}

// `a.captured_ms` becomes the camera's wall clock: a day is the day where the picture was taken.
const FACTS: &str = "
    SELECT a.asset_id, a.record_name, a.library_id, l.zone_name, a.filename, a.kind, a.subtype,
           a.captured_ms, a.captured_ms + coalesce(a.captured_offset_s, 0) * 1000 AS wall_ms, a.added_ms,
           a.favorite, a.hidden, f.file_id, f.rendition, f.uti, f.size_bytes, f.is_open,
           f.state = 'verified' AS is_verified, f.excluded_by
    FROM asset a JOIN library l USING (library_id) JOIN asset_file f USING (asset_id)
    WHERE f.superseded_at IS NULL";

impl Journal {
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
        self.writer.run(move |c| apply(c, account, &choices, now)).await
    }
}

impl Reader {
    /// Whether nobody asked yet which camera took some asset of a library. Reads up to all of its assets.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn lacks_cameras(&self, library: LibraryId) -> Result<bool, Error> {
        lacks_cameras(&*self.pool.get()?, library)
    }
}

/// Judges the files of some assets of a library.
pub(super) fn judge(
    connection: &Connection,
    choices: &Choices,
    now: i64,
    library: LibraryId,
    assets: &[AssetId],
) -> Result<Judged, Error> {
    let mut judged = Judged::default();
    if !choices.restrict() || assets.is_empty() {
        return Ok(judged);
    }
    let threshold = threshold(connection, choices, library)?;
    for asset in assets {
        let sql = format!("{FACTS} AND a.asset_id = :id");
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(named_params! { ":id": asset.0 })?;
        let mut facts = None;
        let mut files = Vec::new();
        while let Some(row) = rows.next()? {
            if facts.is_none() {
                facts = Some(read_facts(connection, choices, threshold, row)?);
            }
            files.push(read_file(row)?);
        }
        let Some(facts) = facts else { continue };
        let was_open = files.iter().any(|file| file.is_open);
        for verdict in verdicts(choices, now, &facts, &files) {
            let file = files.iter().find(|file| file.id == verdict.file).expect("a verdict on a file");
            if !file.is_verified {
                let sign = i64::from(verdict.excluded_by.is_some()) - i64::from(file.excluded_by.is_some());
                judged.files += sign;
                judged.bytes += sign * file.size_bytes;
            }
            carry_out(connection, &verdict)?;
        }
        let is_open: bool = connection
            .prepare_cached("SELECT files_open > 0 FROM asset WHERE asset_id = :id")?
            .query_row(named_params! { ":id": asset.0 }, |row| row.get(0))?;
        judged.assets_done += i64::from(was_open) - i64::from(is_open);
    }
    Ok(judged)
}

/// Applies a choice to all rows of an account, if it is another than last time.
///
/// Whoever wants the smaller copies for the first time gets the libraries listed anew: nobody else's
/// journal holds them. So does who wants the cameras, where some are not known.
pub(super) fn apply(
    connection: &Connection,
    account: AccountId,
    choices: &Choices,
    now: i64,
) -> Result<(), Error> {
    let libraries = libraries(connection, account)?;
    let mut digest = choices.digest(now);
    let mut thresholds = Vec::new();
    for library in &libraries {
        let threshold = threshold(connection, choices, *library)?;
        if let Some(at_ms) = threshold {
            digest.push_str(&format!("/{at_ms}"));
        }
        thresholds.push((*library, threshold));
    }
    let (previews, cameras) = (choices.renditions.previews(), choices.layout.uses_camera());
    let known: Option<(String, bool, bool)> = connection
        .query_row(
            "SELECT digest, previews, cameras FROM choice WHERE account_id = :account",
            named_params! { ":account": account.0 },
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let is_same =
        known.as_ref().is_some_and(|(was, _, had_cameras)| *was == digest && *had_cameras == cameras);
    if is_same || (known.is_none() && !choices.restrict() && !cameras) {
        return Ok(());
    }
    let (_, had_previews, had_cameras) = known.unwrap_or_default();
    for (library, threshold) in thresholds {
        apply_to(connection, choices, now, library, threshold)?;
        if (previews && !had_previews) || (cameras && !had_cameras && lacks_cameras(connection, library)?) {
            connection.execute(
                "UPDATE library SET sync_token = NULL WHERE library_id = :library",
                named_params! { ":library": library.0 },
            )?;
        }
    }
    connection.execute(
        "INSERT INTO choice (account_id, digest, previews, cameras, applied_at)
         VALUES (:account, :digest, :previews, :cameras, :now)
         ON CONFLICT (account_id) DO UPDATE
         SET digest = excluded.digest, previews = excluded.previews, cameras = excluded.cameras,
             applied_at = excluded.applied_at",
        named_params! {
            ":account": account.0, ":digest": digest, ":previews": previews, ":cameras": cameras,
            ":now": now,
        },
    )?;
    Ok(())
}

/// Judges all rows of a library: one pass over them, and one write for each that changes.
fn apply_to(
    connection: &Connection,
    choices: &Choices,
    now: i64,
    library: LibraryId,
    threshold: Option<i64>,
) -> Result<(), Error> {
    let mut changes = Vec::new();
    let sql = format!("{FACTS} AND a.library_id = :library ORDER BY a.asset_id");
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(named_params! { ":library": library.0 })?;
    let mut current: Option<(i64, Facts, Vec<File>)> = None;
    while let Some(row) = rows.next()? {
        let asset: i64 = row.get("asset_id")?;
        if current.as_ref().is_none_or(|(id, ..)| *id != asset) {
            if let Some((_, facts, files)) = current.take() {
                changes.extend(verdicts(choices, now, &facts, &files));
            }
            current = Some((asset, read_facts(connection, choices, threshold, row)?, Vec::new()));
        }
        if let Some((.., files)) = &mut current {
            files.push(read_file(row)?);
        }
    }
    if let Some((_, facts, files)) = current {
        changes.extend(verdicts(choices, now, &facts, &files));
    }
    drop(rows);
    changes.iter().try_for_each(|verdict| carry_out(connection, verdict))
}

fn verdicts(choices: &Choices, now: i64, facts: &Facts, files: &[File]) -> Vec<Verdict> {
    let there: Vec<Has> = files.iter().map(|file| file.has.clone()).collect();
    let of_asset = choices.selection.rule(facts, now);
    let judge = |file: &File| {
        let of_file = || choices.renditions.rule(file.has.rendition, facts.kind, &there);
        let excluded_by = of_asset.or_else(of_file);
        (excluded_by != file.excluded_by.as_deref()).then_some(Verdict { file: file.id, excluded_by })
    };
    files.iter().filter_map(judge).collect()
}

fn carry_out(connection: &Connection, verdict: &Verdict) -> Result<(), Error> {
    let values = named_params! { ":file": verdict.file, ":rule": verdict.excluded_by };
    connection
        .prepare_cached("UPDATE asset_file SET excluded_by = :rule WHERE file_id = :file")?
        .execute(values)?;
    if verdict.excluded_by.is_some() {
        // Its address would only grow old. A wider choice gets a fresh one by renewal.
        connection
            .prepare_cached("DELETE FROM signed_url WHERE file_id = :file")?
            .execute(named_params! { ":file": verdict.file })?;
    }
    Ok(())
}

fn read_facts(
    connection: &Connection,
    choices: &Choices,
    threshold: Option<i64>,
    row: &Row<'_>,
) -> Result<Facts, Error> {
    let albums = if choices.selection.albums.is_empty() {
        Vec::new()
    } else {
        let record: String = row.get("record_name")?;
        albums_of(connection, LibraryId(row.get("library_id")?), &record)?
    };
    let captured_ms: Option<i64> = row.get("captured_ms")?;
    let kind: String = row.get("kind")?;
    Ok(Facts {
        zone: row.get("zone_name")?,
        filename: row.get("filename")?,
        kind: if kind == MediaKind::Video.as_str() { MediaKind::Video } else { MediaKind::Photo },
        subtype: row.get("subtype")?,
        captured_ms: row.get("wall_ms")?,
        added_ms: row.get("added_ms")?,
        favorite: row.get("favorite")?,
        hidden: row.get("hidden")?,
        albums,
        is_recent: threshold.is_none_or(|threshold| captured_ms.is_some_and(|at_ms| at_ms >= threshold)),
    })
}

fn read_file(row: &Row<'_>) -> Result<File, Error> {
    Ok(File {
        id: row.get("file_id")?,
        has: Has { rendition: row::rendition(row, "rendition")?, uti: row.get("uti")? },
        size_bytes: row.get("size_bytes")?,
        is_open: row.get("is_open")?,
        is_verified: row.get("is_verified")?,
        excluded_by: row.get("excluded_by")?,
    })
}

/// The capture time of the oldest of the newest assets that are asked for; `None` if all are. What is
/// hidden does not count: Apple lists it apart, after all others.
fn threshold(connection: &Connection, choices: &Choices, library: LibraryId) -> Result<Option<i64>, Error> {
    let Some(Recent::Count(count)) = choices.selection.recent else { return Ok(None) };
    let mut statement = connection.prepare_cached(
        "SELECT captured_ms FROM asset INDEXED BY asset_by_capture
         WHERE library_id = :library AND removed_at IS NULL AND hidden = 0 AND captured_ms IS NOT NULL
         ORDER BY captured_ms DESC LIMIT 1 OFFSET :before",
    )?;
    let before = i64::try_from(count - 1).unwrap_or(i64::MAX);
    let values = named_params! { ":library": library.0, ":before": before };
    Ok(statement.query_row(values, |row| row.get(0)).optional()?)
}

/// The albums that an asset lies in, each with the folders above it, in the order of their names.
pub(super) fn albums_of(
    connection: &Connection,
    library: LibraryId,
    record: &str,
) -> Result<Vec<String>, Error> {
    // Folders lie at most twenty deep: a circle of them ends.
    let mut statement = connection.prepare_cached(
        "WITH RECURSIVE place (path, parent, depth) AS (
             SELECT al.name, al.parent_name, 0
             FROM album_asset m INDEXED BY album_asset_of JOIN album al USING (album_id)
             WHERE m.asset_name = :asset AND m.removed_at IS NULL
               AND al.library_id = :library AND al.removed_at IS NULL
             UNION ALL
             SELECT above.name || '/' || path, above.parent_name, depth + 1
             FROM place JOIN album above ON above.record_name = parent AND above.library_id = :library
             WHERE depth < 20)
         SELECT path FROM place p WHERE NOT EXISTS (
             SELECT 1 FROM album WHERE library_id = :library AND record_name = p.parent)
         ORDER BY path",
    )?;
    let values = named_params! { ":asset": record, ":library": library.0 };
    let albums = statement.query_map(values, |row| row.get(0))?;
    Ok(albums.collect::<Result<_, _>>()?)
}

/// The assets of some names, judged again: what lies in an album has changed.
pub(super) fn judge_named<'a>(
    connection: &Connection,
    choices: &Choices,
    now: i64,
    library: LibraryId,
    names: impl Iterator<Item = &'a str>,
) -> Result<Judged, Error> {
    if choices.selection.albums.is_empty() {
        return Ok(Judged::default());
    }
    let mut ids = Vec::new();
    for name in names {
        let mut statement = connection.prepare_cached(
            "SELECT asset_id FROM asset INDEXED BY asset_by_name
             WHERE substr(record_name, -6) = substr(:record, -6) AND record_name = :record
               AND library_id = :library",
        )?;
        let values = named_params! { ":library": library.0, ":record": name };
        ids.extend(statement.query_row(values, |row| row.get(0).map(AssetId)).optional()?);
    }
    judge(connection, choices, now, library, &ids)
}

fn lacks_cameras(connection: &Connection, library: LibraryId) -> Result<bool, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM asset
                        WHERE library_id = :library AND camera IS NULL AND removed_at IS NULL)",
    )?;
    Ok(statement.query_row(named_params! { ":library": library.0 }, |row| row.get(0))?)
}

fn libraries(connection: &Connection, account: AccountId) -> Result<Vec<LibraryId>, Error> {
    let mut statement = connection
        .prepare_cached("SELECT library_id FROM library WHERE account_id = :account ORDER BY library_id")?;
    let libraries =
        statement.query_map(named_params! { ":account": account.0 }, |row| row.get(0).map(LibraryId))?;
    Ok(libraries.collect::<Result<_, _>>()?)
}
