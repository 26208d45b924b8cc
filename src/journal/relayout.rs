//! Relayout: files get other paths, because the layout is another.
//!
//! The intent comes first: a row of `relocation` for each file that is to move. Then the file is
//! renamed, and then its row gets the new path and the intent goes. What a crash leaves is an intent,
//! and the next run, or the next relayout, ends it either way. One whose file cannot be looked at is
//! kept as it is until it can be: its target may be where the file stands.

use rusqlite::{Connection, named_params};

use crate::journal::Journal;
use crate::journal::error::Error;
use crate::journal::row;
use crate::journal::{choose, emptied, place};
use crate::model::asset::{Asset, Captured, MediaKind, Offer, Rendition};
use crate::model::checksum::AppleChecksum;
use crate::model::ids::{AccountId, AssetId, AssetName, FileId, LibraryId, MasterName};
use crate::model::layout::{self, Layout};
use crate::model::state::State;
use crate::model::xmp;

/// Names of a kind that are taken for the one that was wanted: with a tag, when that was taken.
const TAGGED_MAX: usize = 3;

/// A file that is to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// The row.
    pub file: FileId,
    /// Where it is.
    pub from: String,
    /// Where it is to be.
    pub to: String,
    /// The tag in the name of its part file.
    pub tag: String,
    /// Whether it stands under its final name; else it is a part file.
    pub is_whole: bool,
    /// Whether a sidecar of ours goes with it.
    pub has_sidecar: bool,
}

/// What a plan found, for some assets.
#[derive(Clone, Debug, Default)]
pub struct Planned {
    /// Files to move, with their intents recorded.
    pub moves: Vec<Relocation>,
    /// Files that are still to come, and will come to another path.
    pub promised: u64,
    /// Files that a dead run held: they are looked at by the next sync, and moved after it.
    pub held: u64,
    /// Files whose place goes by a camera that nobody asked for yet: a sync with this layout does.
    pub camera_unasked: u64,
    /// The same, of assets that no sync asks about: they are gone from iCloud, or left out by choice.
    pub camera_unknown: u64,
    /// The last asset looked at; `None` when there are no more.
    pub last: Option<AssetId>,
}

impl Journal {
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
        self.writer.run(move |c| plan(c, account, &layout, after, limit)).await
    }

    /// Plans all moves of an account, and records nothing.
    ///
    /// # Errors
    /// See [`Journal::plan_moves`].
    pub async fn plan_moves_dry(&self, account: AccountId, layout: Layout) -> Result<Planned, Error> {
        self.writer.run(move |c| plan_dry(c, account, &layout)).await
    }

    /// Moves that were begun and that no commit has ended.
    ///
    /// # Errors
    /// See [`Journal::plan_moves`].
    pub async fn unfinished_moves(&self, account: AccountId) -> Result<Vec<Relocation>, Error> {
        self.writer.run(move |c| unfinished(c, account)).await
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
        self.writer.run(move |c| again(c, account, file, &refused)).await
    }

    /// Ends moves: these files have their new path, and the others keep the old one. Call after the names
    /// are durable.
    ///
    /// # Errors
    /// See [`Journal::plan_moves`].
    pub async fn finish_moves(&self, moved: Vec<FileId>, left: Vec<FileId>) -> Result<(), Error> {
        self.writer.run(move |c| finish(c, &moved, &left)).await
    }
}

/// Plans the moves of up to `limit` assets after `after`, and records their intents.
pub(super) fn plan(
    connection: &Connection,
    account: AccountId,
    layout: &Layout,
    after: AssetId,
    limit: usize,
) -> Result<Planned, Error> {
    let mut planned = Planned::default();
    for (id, library, zone) in assets(connection, account, after, limit)? {
        planned.last = Some(id);
        let files = files(connection, id)?;
        let asset = asset(connection, id, &files)?;
        if layout.uses_camera() && asset.camera.is_none() {
            let (left_out, wanted): (Vec<_>, Vec<_>) =
                files.iter().partition(|file| asset.deleted || file.excluded);
            planned.camera_unasked += wanted.len() as u64;
            planned.camera_unknown += left_out.len() as u64;
            continue;
        }
        let stem = stem(connection, account, id, library, &zone, &asset, layout)?;
        for file in &files {
            relocate(connection, account, layout, &stem, &asset, file, &mut planned)?;
        }
    }
    Ok(planned)
}

/// Plans all moves of an account, and records nothing.
pub(super) fn plan_dry(
    connection: &Connection,
    account: AccountId,
    layout: &Layout,
) -> Result<Planned, Error> {
    connection.execute_batch("SAVEPOINT dry")?;
    let planned = plan(connection, account, layout, AssetId(0), usize::MAX);
    connection.execute_batch("ROLLBACK TO dry; RELEASE dry")?;
    planned
}

/// Intents of an account that no commit has ended.
pub(super) fn unfinished(connection: &Connection, account: AccountId) -> Result<Vec<Relocation>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT r.file_id, f.path, r.to_path, a.record_name, f.checksum, f.state,
                s.sha256 IS NOT NULL AS has_sidecar
         FROM relocation r JOIN asset_file f USING (file_id) JOIN asset a USING (asset_id)
         JOIN library l ON l.library_id = a.library_id LEFT JOIN sidecar s USING (file_id)
         WHERE l.account_id = :account",
    )?;
    let mut rows = statement.query(named_params! { ":account": account.0 })?;
    let mut moves = Vec::new();
    while let Some(row) = rows.next()? {
        let (name, checksum): (String, String) = (row.get("record_name")?, row.get("checksum")?);
        moves.push(Relocation {
            file: FileId(row.get("file_id")?),
            from: row.get("path")?,
            to: row.get("to_path")?,
            tag: layout::part_tag(&AssetName(name), &AppleChecksum::parse(&checksum)),
            is_whole: row::state(row, "state")? == State::Verified,
            has_sidecar: row.get("has_sidecar")?,
        });
    }
    Ok(moves)
}

/// Ends intents: `moved` files have their new path, the others keep the old one.
///
/// Call after the names are durable.
pub(super) fn finish(connection: &Connection, moved: &[FileId], left: &[FileId]) -> Result<(), Error> {
    for file in moved {
        let mut statement = connection.prepare_cached(
            "UPDATE asset_file SET (path, path_key) =
                 (SELECT to_path, to_key FROM relocation r WHERE r.file_id = :file)
             -- An intent that had to wait may have lost its path to a new file: what stands there is that.
             WHERE file_id = :file AND EXISTS (
                 SELECT 1 FROM relocation r WHERE r.file_id = :file AND NOT EXISTS (
                     SELECT 1 FROM asset_file o WHERE o.path_key = r.to_key AND o.file_id <> :file))",
        )?;
        statement.execute(named_params! { ":file": file.0 })?;
        let mut statement = connection.prepare_cached(
            "UPDATE sidecar SET path = (SELECT path FROM asset_file f WHERE f.file_id = :file) || :suffix
             WHERE file_id = :file",
        )?;
        statement.execute(named_params! { ":file": file.0, ":suffix": xmp::SUFFIX })?;
    }
    for file in moved.iter().chain(left) {
        let mut statement = connection.prepare_cached("DELETE FROM relocation WHERE file_id = :file")?;
        statement.execute(named_params! { ":file": file.0 })?;
    }
    Ok(())
}

/// Another target for a file, because a stranger's file has the one that was meant.
pub(super) fn again(
    connection: &Connection,
    account: AccountId,
    file: FileId,
    refused: &[String],
) -> Result<String, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT a.record_name FROM asset_file f JOIN asset a USING (asset_id) WHERE f.file_id = :file",
    )?;
    let name = AssetName(statement.query_row(named_params! { ":file": file.0 }, |row| row.get(0))?);
    let others = layout::other_paths(&refused[0], &name).filter(|path| !refused.contains(path));
    let (to, key) = first_free(connection, account, file, others)?;
    intend(connection, file, &to, key)?;
    Ok(to)
}

struct File {
    id: FileId,
    offer: Offer,
    path: String,
    state: State,
    offset_bytes: u64,
    held: bool,
    superseded: bool,
    excluded: bool,
    has_sidecar: bool,
    /// The target of a move that was begun, and that nobody could end.
    begun: Option<String>,
}

type AssetPlace = (AssetId, LibraryId, String);

fn assets(
    connection: &Connection,
    account: AccountId,
    after: AssetId,
    limit: usize,
) -> Result<Vec<AssetPlace>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT asset_id, library_id, zone_name FROM asset JOIN library USING (library_id)
         WHERE account_id = :account AND asset_id > :after ORDER BY asset_id LIMIT :limit",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = named_params! { ":account": account.0, ":after": after.0, ":limit": limit };
    let found =
        statement.query_map(values, |row| Ok((AssetId(row.get(0)?), LibraryId(row.get(1)?), row.get(2)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn files(connection: &Connection, asset: AssetId) -> Result<Vec<File>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT file_id, rendition, checksum, size_bytes, uti, f.path, state, offset_bytes,
                claim_run_id IS NOT NULL AS held, superseded_at IS NOT NULL AS superseded,
                excluded_by IS NOT NULL AS excluded, s.sha256 IS NOT NULL AS has_sidecar,
                r.to_path AS begun
         FROM asset_file f LEFT JOIN sidecar s USING (file_id) LEFT JOIN relocation r USING (file_id)
         -- What lies in the trash has its place there, and the old one only should it come back.
         WHERE asset_id = :asset AND f.trash_path IS NULL ORDER BY file_id",
    )?;
    let mut rows = statement.query(named_params! { ":asset": asset.0 })?;
    let mut files = Vec::new();
    while let Some(row) = rows.next()? {
        let checksum: String = row.get("checksum")?;
        files.push(File {
            id: FileId(row.get("file_id")?),
            offer: Offer {
                rendition: row::rendition(row, "rendition")?,
                checksum: AppleChecksum::parse(&checksum),
                size_bytes: row::bytes(row, "size_bytes")?,
                uti: row.get("uti")?,
                url: None,
            },
            path: row.get("path")?,
            state: row::state(row, "state")?,
            offset_bytes: row::bytes(row, "offset_bytes")?,
            held: row.get("held")?,
            superseded: row.get("superseded")?,
            excluded: row.get("excluded")?,
            has_sidecar: row.get("has_sidecar")?,
            begun: row.get("begun")?,
        });
    }
    Ok(files)
}

/// An asset as a page would bring it, as far as its path depends on it.
fn asset(connection: &Connection, id: AssetId, files: &[File]) -> Result<Asset, Error> {
    let mut offers: Vec<Offer> = files.iter().filter(|f| !f.superseded).map(|f| f.offer.clone()).collect();
    offers.sort_by_key(|offer| Rendition::ALL.iter().position(|known| *known == offer.rendition));
    let mut statement = connection.prepare_cached(
        "SELECT record_name, filename, kind, captured_ms, captured_offset_s, added_ms, camera,
                removed_at IS NOT NULL AS is_removed
         FROM asset WHERE asset_id = :asset",
    )?;
    Ok(statement.query_row(named_params! { ":asset": id.0 }, |row| {
        let kind: String = row.get("kind")?;
        let captured_ms: Option<i64> = row.get("captured_ms")?;
        let offset_seconds = row.get("captured_offset_s")?;
        Ok(Asset {
            name: AssetName(row.get("record_name")?),
            master: MasterName(String::new()),
            change_tag: String::new(),
            filename: row.get("filename")?,
            kind: if kind == MediaKind::Video.as_str() { MediaKind::Video } else { MediaKind::Photo },
            captured: captured_ms.map(|at_ms| Captured { at_ms, offset_seconds }),
            added_at_ms: row.get("added_ms")?,
            subtype: None,
            favorite: false,
            hidden: false,
            deleted: row.get("is_removed")?,
            camera: row.get("camera")?,
            offers,
            provider_record: Vec::new(),
        })
    })?)
}

/// The stem that an asset's files shall share: the one they have, if that is as the layout wants it.
fn stem(
    connection: &Connection,
    account: AccountId,
    id: AssetId,
    library: LibraryId,
    zone: &str,
    asset: &Asset,
    layout: &Layout,
) -> Result<String, Error> {
    let album = if layout.uses_album() {
        choose::albums_of(connection, library, asset.name.as_str())?.into_iter().next()
    } else {
        None
    };
    let now = place::stem(connection, id)?;
    let (folder, candidates) = layout.stems(asset, zone, album.as_deref());
    let mut candidates =
        candidates.map(|stem| if folder.is_empty() { stem } else { format!("{folder}/{stem}") }).peekable();
    let mut tried = Vec::new();
    while tried.len() < TAGGED_MAX {
        tried.extend(candidates.next());
    }
    let is_free = |stem: &str| -> Result<bool, Error> {
        for offer in &asset.offers {
            let key = place::key(account, &layout.file_name(stem, asset, offer));
            if !is_free(connection, key, |holder| of_asset(connection, holder, id))? {
                return Ok(false);
            }
        }
        Ok(true)
    };
    // One with a tag under which another's file stands is chosen anew: its files would get a second tag.
    if now == tried[0] || (tried.contains(&now) && is_free(&now)?) {
        return Ok(now);
    }
    for stem in tried.into_iter().chain(candidates) {
        if is_free(&stem)? {
            let mut statement =
                connection.prepare_cached("UPDATE asset SET stem = :stem WHERE asset_id = :asset")?;
            statement.execute(named_params! { ":stem": stem, ":asset": id.0 })?;
            return Ok(stem);
        }
    }
    unreachable!("candidates never end")
}

/// Gives one file its place under the stem: at once if nothing of it is on the disk, else by an intent.
fn relocate(
    connection: &Connection,
    account: AccountId,
    layout: &Layout,
    stem: &str,
    asset: &Asset,
    file: &File,
    planned: &mut Planned,
) -> Result<(), Error> {
    let wanted = layout.file_name(stem, asset, &file.offer);
    let others = || layout::other_paths(&wanted, &asset.name);
    let same_place = |path: &String| place::key(account, path) == place::key(account, &file.path);
    if std::iter::once(wanted.clone()).chain(others().take(TAGGED_MAX)).any(|path| same_place(&path)) {
        return Ok(());
    }
    if file.held {
        planned.held += 1;
        return Ok(());
    }
    let is_whole = file.state == State::Verified;
    let relocation = |to| Relocation {
        file: file.id,
        from: file.path.clone(),
        to,
        tag: layout::part_tag(&asset.name, &file.offer.checksum),
        is_whole,
        has_sidecar: file.has_sidecar,
    };
    if let Some(to) = &file.begun {
        planned.moves.push(relocation(to.clone()));
        return Ok(());
    }
    let (to, key) =
        first_free(connection, account, file.id, std::iter::once(wanted.clone()).chain(others()))?;
    if !is_whole && file.offset_bytes == 0 {
        let mut statement = connection
            .prepare_cached("UPDATE asset_file SET path = :path, path_key = :key WHERE file_id = :file")?;
        statement.execute(named_params! { ":path": to, ":key": key, ":file": file.id.0 })?;
        planned.promised += 1;
        return Ok(());
    }
    intend(connection, file.id, &to, key)?;
    emptied::note(connection, account, &file.path)?;
    planned.moves.push(relocation(to));
    Ok(())
}

fn intend(connection: &Connection, file: FileId, to: &str, key: i64) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO relocation (file_id, to_path, to_key) VALUES (:file, :to, :key)
         ON CONFLICT (file_id) DO UPDATE SET to_path = excluded.to_path, to_key = excluded.to_key",
    )?;
    statement.execute(named_params! { ":file": file.0, ":to": to, ":key": key })?;
    Ok(())
}

fn first_free(
    connection: &Connection,
    account: AccountId,
    file: FileId,
    candidates: impl Iterator<Item = String>,
) -> Result<(String, i64), Error> {
    for path in candidates {
        let key = place::key(account, &path);
        if is_free(connection, key, |holder| Ok(holder == file))? {
            return Ok((path, key));
        }
    }
    unreachable!("candidates never end")
}

/// Whether a path is free, or held by a file that may give it up.
fn is_free(
    connection: &Connection,
    key: i64,
    may: impl Fn(FileId) -> Result<bool, Error>,
) -> Result<bool, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT file_id FROM asset_file WHERE path_key = :key
         UNION SELECT file_id FROM relocation WHERE to_key = :key",
    )?;
    let holders = statement.query_map(named_params! { ":key": key }, |row| row.get(0).map(FileId))?;
    for holder in holders {
        if !may(holder?)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn of_asset(connection: &Connection, file: FileId, asset: AssetId) -> Result<bool, Error> {
    let mut statement =
        connection.prepare_cached("SELECT asset_id = :asset FROM asset_file WHERE file_id = :file")?;
    Ok(statement.query_row(named_params! { ":file": file.0, ":asset": asset.0 }, |row| row.get(0))?)
}
