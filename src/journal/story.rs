//! The story of an asset, for `explain`: which asset is meant, and everything the journal knows of it.

use rusqlite::{Connection, Row, named_params};

use crate::journal::error::Error;
use crate::journal::row;

/// Most assets that one name is looked up for: past this the list helps nobody.
pub const MATCHES_MAX: usize = 50;

/// An asset that a name may mean.
#[derive(Clone, Debug)]
pub struct StoryOf {
    /// The row.
    pub asset_id: i64,
    /// The account it belongs to.
    pub username: String,
    /// The zone of its library.
    pub library: String,
    /// Apple's name for it.
    pub asset: String,
    /// The person's name for it.
    pub filename: String,
    /// `photo` or `video`.
    pub kind: String,
    /// When it was taken, in Unix seconds.
    pub captured_at: Option<i64>,
    /// When it came to iCloud, in Unix seconds.
    pub added_at: Option<i64>,
    /// Whether it is a favourite.
    pub favorite: bool,
    /// Whether it is hidden.
    pub hidden: bool,
    /// When it was gone from iCloud.
    pub removed_at: Option<i64>,
    /// Apple's names for both of its records.
    pub records: Vec<String>,
    /// Where it went: `recently-deleted`, `purged` or `moved`.
    pub removed_as: Option<String>,
}

/// One of its files.
#[derive(Clone, Debug)]
pub struct StoryFile {
    /// Which file of the asset.
    pub rendition: String,
    /// Where it stands, or will.
    pub path: String,
    /// Its state.
    pub state: String,
    /// Its state, or why it is out of scope.
    pub standing: String,
    /// How long it is.
    pub size_bytes: u64,
    /// How much of it is durable in a part file.
    pub offset_bytes: u64,
    /// How it was proved.
    pub verified_by: Option<String>,
    /// When.
    pub verified_at: Option<i64>,
    /// When its bytes were last read back and right.
    pub checked_at: Option<i64>,
    /// Failed attempts in a row.
    pub attempts: u64,
    /// Why the last one failed: kind and detail.
    pub error: Option<(String, String)>,
    /// When it is tried again; `None` on a failed file: given up.
    pub retry_at: Option<i64>,
    /// The rule that leaves it out.
    pub excluded_by: Option<String>,
    /// When the person moved or deleted it here.
    pub released_at: Option<i64>,
    /// When Apple had another version in its place.
    pub superseded_at: Option<i64>,
    /// Where it lies in the trash.
    pub trash_path: Option<String>,
    /// Since when; nothing while it is on its way.
    pub trashed_at: Option<i64>,
    /// The run that is fetching it now.
    pub claimed_by_run: Option<i64>,
}

/// Something that happened: a line of the history.
#[derive(Clone, Debug)]
pub struct Happening {
    /// Its place among all happenings.
    pub number: i64,
    /// When, in Unix seconds.
    pub at: i64,
    /// In which run.
    pub run_id: Option<i64>,
    /// Apple's name for the asset.
    pub asset: String,
    /// The person's name for it.
    pub filename: String,
    /// The file it is about; `None` where it is about the asset in iCloud.
    pub path: Option<String>,
    /// Which file of the asset that is.
    pub rendition: Option<String>,
    /// What happened.
    pub event: String,
    /// The state before.
    pub from_state: Option<String>,
    /// The state after.
    pub to_state: Option<String>,
    /// More about it.
    pub detail: Option<String>,
}

const ASSET: &str = "
    SELECT a.asset_id, c.username, l.zone_name, a.record_name, a.filename, a.kind,
           a.captured_ms / 1000 AS captured_at, a.added_ms / 1000 AS added_at, a.favorite, a.hidden,
           a.removed_at, a.removed_as, a.master_name
    FROM asset a JOIN library l USING (library_id) JOIN account c USING (account_id)";

/// Finds the assets that `name` may mean. The first way of naming that finds one decides: a record, a
/// path, a file name, and at last either of those in any letter case.
pub(super) fn find(connection: &Connection, name: &str, path_keys: &[i64]) -> Result<Vec<StoryOf>, Error> {
    let keys = serde_json::to_string(path_keys).unwrap_or_default();
    for condition in [
        "substr(a.record_name, -6) = substr(:name, -6) AND a.record_name = :name",
        "a.asset_id IN (SELECT asset_id FROM asset_file WHERE path_key IN (SELECT value FROM json_each(:keys)))",
        "substr(a.master_name, 2, 6) = substr(:name, 2, 6) AND a.master_name = :name",
        "a.filename = :name",
        "a.filename = :name COLLATE NOCASE OR a.asset_id IN (
             SELECT asset_id FROM asset_file
             WHERE substr(path, -length(:name) - 1) = '/' || :name COLLATE NOCASE)",
    ] {
        let sql = format!(
            "{ASSET} WHERE ({condition}) AND :keys IS NOT NULL AND :name IS NOT NULL
            ORDER BY a.captured_ms, a.asset_id LIMIT {MATCHES_MAX}"
        );
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query(named_params! { ":name": name, ":keys": keys })?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(asset(row)?);
        }
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

fn asset(row: &Row<'_>) -> Result<StoryOf, Error> {
    Ok(StoryOf {
        asset_id: row.get("asset_id")?,
        username: row.get("username")?,
        library: row.get("zone_name")?,
        asset: row.get("record_name")?,
        records: vec![row.get("record_name")?, row.get("master_name")?],
        filename: row.get("filename")?,
        kind: row.get("kind")?,
        captured_at: row.get("captured_at")?,
        added_at: row.get("added_at")?,
        favorite: row.get("favorite")?,
        hidden: row.get("hidden")?,
        removed_at: row.get("removed_at")?,
        removed_as: row.get("removed_as")?,
    })
}

/// Reads the files of an asset, in the order they came.
pub(super) fn files(connection: &Connection, asset_id: i64) -> Result<Vec<StoryFile>, Error> {
    let mut statement = connection.prepare(
        "SELECT rendition, path, state, standing, size_bytes, offset_bytes, verified_by, verified_at,
                checked_at, attempts, error_kind, error_detail, retry_at, excluded_by, released_at,
                superseded_at, trash_path, trashed_at, claim_run_id
         FROM asset_file WHERE asset_id = :asset ORDER BY file_id",
    )?;
    let mut rows = statement.query(named_params! { ":asset": asset_id })?;
    let mut files = Vec::new();
    while let Some(row) = rows.next()? {
        let error: (Option<String>, Option<String>) = (row.get("error_kind")?, row.get("error_detail")?);
        files.push(StoryFile {
            rendition: row.get("rendition")?,
            path: row.get("path")?,
            state: row.get("state")?,
            standing: row.get("standing")?,
            size_bytes: row::bytes(row, "size_bytes")?,
            offset_bytes: row::bytes(row, "offset_bytes")?,
            verified_by: row.get("verified_by")?,
            verified_at: row.get("verified_at")?,
            checked_at: row.get("checked_at")?,
            attempts: row::bytes(row, "attempts")?,
            error: error.0.map(|kind| (kind, error.1.unwrap_or_default())),
            retry_at: row.get("retry_at")?,
            excluded_by: row.get("excluded_by")?,
            released_at: row.get("released_at")?,
            superseded_at: row.get("superseded_at")?,
            trash_path: row.get("trash_path")?,
            trashed_at: row.get("trashed_at")?,
            claimed_by_run: row.get("claim_run_id")?,
        });
    }
    Ok(files)
}

/// Reads the names and words of what is wrong with the records that `name` may mean.
pub(super) fn record_problems(
    connection: &Connection,
    names: &[String],
) -> Result<Vec<(String, String, String)>, Error> {
    let names = serde_json::to_string(names).unwrap_or_default();
    let mut statement = connection.prepare(
        "SELECT record_name, kind, detail FROM record_problem
         WHERE resolved_at IS NULL AND record_name IN (SELECT value FROM json_each(:names))
         ORDER BY seen_at",
    )?;
    let rows = statement
        .query_map(named_params! { ":names": names }, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Which happenings are asked for.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// Of this run.
    pub run: Option<i64>,
    /// Of these assets, by row; empty for all.
    pub assets: Option<Vec<i64>>,
    /// Not before, in Unix seconds.
    pub since: Option<i64>,
    /// Not after, in Unix seconds.
    pub until: Option<i64>,
    /// The latest so many.
    pub limit: usize,
}

const OF_FILES: &str = "
    SELECT h.history_id AS number, h.at, h.run_id, a.record_name, a.filename, f.path, f.rendition, h.event, h.from_state,
           h.to_state, h.detail
    FROM history h JOIN asset_file f USING (file_id) JOIN asset a ON a.asset_id = f.asset_id
    WHERE (:run IS NULL OR h.run_id = :run) AND (:since IS NULL OR h.at >= :since)
      AND (:until IS NULL OR h.at <= :until)";

const OF_ASSETS: &str = "
    SELECT h.asset_history_id AS number, h.at, h.run_id, a.record_name, a.filename, NULL AS path, NULL AS rendition, h.event,
           NULL AS from_state, NULL AS to_state, h.detail
    FROM asset_history h JOIN asset a USING (asset_id)
    WHERE (:run IS NULL OR h.run_id = :run) AND (:since IS NULL OR h.at >= :since)
      AND (:until IS NULL OR h.at <= :until)";

/// Reads the latest happenings, oldest first. Each of the two histories is read from its end by its
/// own key, so the first lines come at once at any size.
pub(super) fn happenings(connection: &Connection, which: &Which) -> Result<Vec<Happening>, Error> {
    let assets = which.assets.as_ref().map(|ids| serde_json::to_string(ids).unwrap_or_default());
    let (of_file, of_asset) = match assets {
        Some(_) => (
            " AND h.file_id IN (SELECT file_id FROM asset_file WHERE asset_id IN (
                 SELECT value FROM json_each(:assets)))",
            " AND h.asset_id IN (SELECT value FROM json_each(:assets))",
        ),
        None => (" AND :assets IS NULL", " AND :assets IS NULL"),
    };
    let mut all = Vec::new();
    for sql in [
        format!("{OF_FILES}{of_file} ORDER BY h.history_id DESC LIMIT :limit"),
        format!("{OF_ASSETS}{of_asset} ORDER BY h.asset_history_id DESC LIMIT :limit"),
    ] {
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query(named_params! {
            ":run": which.run, ":since": which.since, ":until": which.until, ":assets": assets,
            ":limit": i64::try_from(which.limit).unwrap_or(i64::MAX),
        })?;
        while let Some(row) = rows.next()? {
            all.push(happening(row)?);
        }
    }
    // Both count on with one number: seconds are too coarse, and a clock may be set back.
    all.sort_by_key(|of| of.number);
    let extra = all.len().saturating_sub(which.limit);
    Ok(all.split_off(extra))
}

fn happening(row: &Row<'_>) -> Result<Happening, Error> {
    Ok(Happening {
        number: row.get("number")?,
        at: row.get("at")?,
        run_id: row.get("run_id")?,
        asset: row.get("record_name")?,
        filename: row.get("filename")?,
        path: row.get("path")?,
        rendition: row.get("rendition")?,
        event: row.get("event")?,
        from_state: row.get("from_state")?,
        to_state: row.get("to_state")?,
        detail: row.get("detail")?,
    })
}
