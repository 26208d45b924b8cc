//! Places: choosing a path that no other row has, once.
//!
//! The candidates come from [`crate::model::layout`]; here the first free one is taken, in the
//! same operation that stores it.

use rusqlite::{Connection, OptionalExtension as _, named_params};

use crate::journal::Journal;
use crate::journal::choose;
use crate::journal::claim::Claim;
use crate::journal::error::Error;
use crate::model::asset::{Asset, Offer};
use crate::model::ids::{AccountId, AssetId, AssetName, FileId, LibraryId};
use crate::model::layout::{self, Layout};

/// A path and its folded key.
pub(super) struct FreePath {
    pub(super) text: String,
    pub(super) key: i64,
}

/// Whose files are given places.
pub(super) struct Owner {
    account: AccountId,
    library: LibraryId,
    /// The library's zone, as it may stand in a path.
    zone: String,
}

impl Owner {
    /// Finds the owner of a library's files.
    pub(super) fn of(connection: &Connection, library: LibraryId) -> Result<Self, Error> {
        let (account, zone) = (account_of(connection, library)?, zone_of(connection, library)?);
        Ok(Self { account, library, zone })
    }
}

impl Journal {
    /// Moves a claimed row to another name; `refused` are the names found taken on disk, the
    /// wanted one first.
    ///
    /// # Errors
    /// [`Error::LostClaim`] if the row is no longer ours.
    pub async fn rename(&self, mut claim: Claim, refused: Vec<String>) -> Result<Claim, Error> {
        self.writer
            .run(move |c| {
                rename(c, &mut claim, &refused)?;
                Ok(claim)
            })
            .await
    }
}

/// The first stem in the asset's folder whose every file name is free, and the paths of the asset's
/// offers in their order: its files share the stem.
pub(super) fn free_stem(
    connection: &Connection,
    owner: &Owner,
    asset: &Asset,
    layout: &Layout,
) -> Result<(String, Vec<FreePath>), Error> {
    let album = album_of(connection, owner.library, asset, layout)?;
    let (folder, stems) = layout.stems(asset, &owner.zone, album.as_deref());
    for stem in stems {
        let stem = if folder.is_empty() { stem } else { format!("{folder}/{stem}") };
        let mut paths: Vec<FreePath> = Vec::with_capacity(asset.offers.len());
        for offer in &asset.offers {
            let text = layout.file_name(&stem, asset, offer);
            let key = key(owner.account, &text);
            if !is_free(connection, key)? {
                break;
            }
            if paths.iter().any(|path| path.key == key) {
                // Two offers of one name: the second is tagged.
                let others = layout::other_paths(&text, &asset.name);
                let taken: Vec<i64> = paths.iter().map(|path| path.key).collect();
                paths.push(first_free(connection, owner.account, others, &taken)?);
            } else {
                paths.push(FreePath { text, key });
            }
        }
        if paths.len() == asset.offers.len() {
            return Ok((stem, paths));
        }
    }
    unreachable!("candidates never end")
}

/// Whether the path of its original says the stem of an asset, so that the row need not: see [`stem`].
pub(super) fn says_stem(stem: &str, original: &str) -> bool {
    original.rsplit_once('.').is_some_and(|(before, _)| before == stem)
}

/// The folder and stem that the files of an asset share.
///
/// # Errors
/// [`Error::NoStem`] if neither the asset nor its original says it: no rollbook leaves that behind.
pub(super) fn stem(connection: &Connection, asset: AssetId) -> Result<String, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT record_name, coalesce(stem, (
             SELECT substr(path, 1, length(rtrim(path, replace(path, '.', ''))) - 1) FROM asset_file f
             WHERE f.asset_id = a.asset_id AND rendition = 'original' ORDER BY file_id LIMIT 1)) AS stem
         FROM asset a WHERE asset_id = :asset",
    )?;
    let (name, stem) = statement.query_row(named_params! { ":asset": asset.0 }, |row| {
        Ok((AssetName(row.get("record_name")?), row.get::<_, Option<String>>("stem")?))
    })?;
    stem.ok_or(Error::NoStem(name))
}

/// A free path for one offer under the asset's stem.
pub(super) fn free_path(
    connection: &Connection,
    library: LibraryId,
    asset: &Asset,
    layout: &Layout,
    stem: &str,
    offer: &Offer,
) -> Result<FreePath, Error> {
    let wanted = layout.file_name(stem, asset, offer);
    let others = layout::other_paths(&wanted, &asset.name);
    let account = account_of(connection, library)?;
    first_free(connection, account, std::iter::once(wanted.clone()).chain(others), &[])
}

/// Moves a claimed row to another name, because a stranger's file holds its own.
///
/// `refused` are names found taken on disk in this attempt. Returns the new path.
pub(super) fn rename(connection: &Connection, claim: &mut Claim, refused: &[String]) -> Result<(), Error> {
    let file = claim.file();
    let others = layout::other_paths(&refused[0], &file.asset_name).filter(|path| !refused.contains(path));
    let account = account_of(connection, file.library)?;
    let free = first_free(connection, account, others, &[])?;
    let mut statement = connection.prepare_cached(
        "UPDATE asset_file SET path = :path, path_key = :key
         WHERE file_id = :file AND claim_run_id = :run AND claim_worker = :worker",
    )?;
    let moved = statement.execute(named_params! {
        ":path": free.text, ":key": free.key, ":file": file.id.0,
        ":run": claim.run.0, ":worker": claim.worker,
    })?;
    if moved != 1 {
        return Err(Error::LostClaim(file.id));
    }
    claim.file_mut().path = free.text;
    Ok(())
}

/// Another row that has a path.
pub(super) struct Holder {
    pub(super) id: FileId,
    /// As it is written there.
    pub(super) path: String,
    pub(super) name: AssetName,
    pub(super) is_verified: bool,
    /// Whether some of it is here, or is being fetched.
    pub(super) is_half_here: bool,
}

/// The row, other than that of `file`, that has `path`.
pub(super) fn holder(
    connection: &Connection,
    account: AccountId,
    file: FileId,
    path: &str,
) -> Result<Option<Holder>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT f.file_id, f.path, f.state = 'verified' AS is_verified, a.record_name,
                f.offset_bytes > 0 OR f.claim_run_id IS NOT NULL AS is_half_here
         FROM asset_file f JOIN asset a USING (asset_id) WHERE f.path_key = :key AND f.file_id <> :file",
    )?;
    let holder = statement.query_row(named_params! { ":key": key(account, path), ":file": file.0 }, |r| {
        Ok(Holder {
            id: FileId(r.get("file_id")?),
            path: r.get("path")?,
            name: AssetName(r.get("record_name")?),
            is_verified: r.get("is_verified")?,
            is_half_here: r.get("is_half_here")?,
        })
    });
    Ok(holder.optional()?)
}

/// Frees `path` for a file that stands there: another row that was promised it, and has nothing yet, is
/// given another. Says why not, if the path is not to be had.
pub(super) fn make_way(
    connection: &Connection,
    account: AccountId,
    file: FileId,
    path: &str,
) -> Result<Option<String>, Error> {
    let Some(Holder { id, path: held, name, is_verified, is_half_here }) =
        holder(connection, account, file, path)?
    else {
        return Ok(None);
    };
    if is_verified {
        return Ok(Some(format!("{held} is another file of ours, and no file system tells the names apart")));
    }
    if is_half_here {
        return Ok(Some(format!("{held} is promised to a file that is half here")));
    }
    another(connection, account, id, &name, &[held])?;
    Ok(None)
}

/// Lets go of a row's path until it is given one by [`stand_at`], in the same operation: so rows can change
/// places with each other.
pub(super) fn step_aside(connection: &Connection, account: AccountId, file: FileId) -> Result<(), Error> {
    // No name of a file has a NUL.
    let nowhere = key(account, &format!("\0{file}"));
    let mut statement =
        connection.prepare_cached("UPDATE asset_file SET path_key = :key WHERE file_id = :file")?;
    statement.execute(named_params! { ":key": nowhere, ":file": file.0 })?;
    Ok(())
}

/// Gives a row another path, because files of others hold those in `taken`, its own first.
pub(super) fn another(
    connection: &Connection,
    account: AccountId,
    file: FileId,
    asset: &AssetName,
    taken: &[String],
) -> Result<String, Error> {
    let others = layout::other_paths(&taken[0], asset).filter(|path| !taken.contains(path));
    let free = first_free(connection, account, others, &[])?;
    set(connection, file, &free)?;
    Ok(free.text)
}

/// Says that a row's file stands at `path`, which [`make_way`] has freed.
pub(super) fn stand_at(
    connection: &Connection,
    account: AccountId,
    file: FileId,
    path: &str,
) -> Result<(), Error> {
    set(connection, file, &FreePath { text: path.to_owned(), key: key(account, path) })
}

/// Chooses another path for a row that has nothing on the disk yet: `wanted`, or one like it.
pub(super) fn choose(
    connection: &Connection,
    account: AccountId,
    file: FileId,
    wanted: &str,
    name: &AssetName,
) -> Result<(), Error> {
    let others = layout::other_paths(wanted, name);
    let free = first_free(connection, account, std::iter::once(wanted.to_owned()).chain(others), &[])?;
    set(connection, file, &free)
}

fn set(connection: &Connection, file: FileId, free: &FreePath) -> Result<(), Error> {
    let mut statement = connection
        .prepare_cached("UPDATE asset_file SET path = :path, path_key = :key WHERE file_id = :file")?;
    statement.execute(named_params! { ":path": free.text, ":key": free.key, ":file": file.0 })?;
    Ok(())
}

fn first_free(
    connection: &Connection,
    account: AccountId,
    mut candidates: impl Iterator<Item = String>,
    taken: &[i64],
) -> Result<FreePath, Error> {
    loop {
        let text = candidates.next().expect("candidates never end");
        let key = key(account, &text);
        if !taken.contains(&key) && is_free(connection, key)? {
            return Ok(FreePath { text, key });
        }
    }
}

/// The key of a path within its account: each account has a directory of its own.
pub(super) fn key(account: AccountId, path: &str) -> i64 {
    layout::path_key(&format!("{account}/{path}"))
}

fn account_of(connection: &Connection, library: LibraryId) -> Result<AccountId, Error> {
    let mut statement =
        connection.prepare_cached("SELECT account_id FROM library WHERE library_id = :library")?;
    Ok(AccountId(statement.query_row(named_params! { ":library": library.0 }, |row| row.get(0))?))
}

/// The name of a library's zone.
pub(super) fn zone_of(connection: &Connection, library: LibraryId) -> Result<String, Error> {
    let mut statement =
        connection.prepare_cached("SELECT zone_name FROM library WHERE library_id = :library")?;
    Ok(statement.query_row(named_params! { ":library": library.0 }, |row| row.get(0))?)
}

/// The album that stands for an asset in a path, if a path names one.
pub(super) fn album_of(
    connection: &Connection,
    library: LibraryId,
    asset: &Asset,
    layout: &Layout,
) -> Result<Option<String>, Error> {
    if !layout.uses_album() {
        return Ok(None);
    }
    Ok(choose::albums_of(connection, library, asset.name.as_str())?.into_iter().next())
}

pub(super) const IS_FREE: &str = "SELECT NOT EXISTS (SELECT 1 FROM asset_file WHERE path_key = :key)";

fn is_free(connection: &Connection, key: i64) -> Result<bool, Error> {
    let mut statement = connection.prepare_cached(IS_FREE)?;
    Ok(statement.query_row(named_params! { ":key": key }, |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::schema;

    #[test]
    fn a_stem_that_the_original_says_is_not_kept_until_the_original_goes_elsewhere() {
        let connection = schema::blank(1).unwrap();
        let frame = "INSERT INTO account (account_id, username, created_at) VALUES (1, 'u', 0);
                     INSERT INTO library (library_id, account_id, database, zone_name, zone_owner, zone_type)
                     VALUES (1, 1, 'private', '', '', '')";
        connection.execute_batch(frame).unwrap();
        let asset =
            "INSERT INTO asset (asset_id, library_id, record_name, master_name, change_tag, filename, kind,
                         favorite, hidden, stem) VALUES (?1, 1, ?1, '', '', '', 'photo', 0, 0, ?2)";
        let file = "INSERT INTO asset_file (asset_id, library_id, rendition, checksum, size_bytes, uti, path, path_key)
                    VALUES (?1, 1, ?2, ?3, 0, '', ?3, random())";
        let say = [
            ("2024/05/IMG_1", "2024/05/IMG_1.HEIC"),
            ("Größe/été 1.2", "Größe/été 1.2.jpg"),
            ("a..", "a...x"),
            ("...", "...."),
            ("", ".jpg"),
        ];
        let do_not = [("a", "a (1).jpg"), ("a.b", "a.b"), ("a", "a"), ("a.b/c", "a.b/c"), ("a", "a.jpg.jpg")];
        let all = say.iter().map(|of| (of, true)).chain(do_not.iter().map(|of| (of, false)));
        for (id, ((stem, original), says)) in (1..).zip(all) {
            assert_eq!(says_stem(stem, original), says, "{original}");
            let kept = (!says).then_some(stem);
            connection.execute(asset, rusqlite::params![id, kept]).unwrap();
            for (rendition, path) in
                [("edited", "first.jpg"), ("original", *original), ("original", "later.jpg")]
            {
                connection.execute(file, rusqlite::params![id, rendition, path]).unwrap();
            }
            for gone_to in [None, Some(("later.jpg", "x")), Some((*original, "y")), Some(("first.jpg", "z"))]
            {
                if let Some((from, to)) = gone_to {
                    let go = "UPDATE asset_file SET path = ?3 WHERE asset_id = ?1 AND path = ?2";
                    assert_eq!(connection.execute(go, rusqlite::params![id, from, to]).unwrap(), 1);
                }
                assert_eq!(super::stem(&connection, AssetId(id)).unwrap(), *stem, "{original}: {gone_to:?}");
            }
        }
    }
}
