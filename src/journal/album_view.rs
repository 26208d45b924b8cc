//! Views of albums in the journal: which files lie in which, and which links of ours stand.

use std::path::PathBuf;

use rusqlite::{Connection, Row, named_params};

use crate::journal::Journal;
use crate::journal::Reader;
use crate::journal::album_paths;
use crate::journal::error::Error;
use crate::model::ids::{AccountId, AssetName, FileId};
use crate::model::views::{AlbumFile, LinkId, LinkKind};

/// A link of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Relative to the view's folder.
    pub path: String,
    /// The file it leads to.
    pub file: FileId,
    /// Where that file stood when the link was made.
    pub media: String,
    /// How it was made.
    pub kind: LinkKind,
    /// What it is known by; nothing before it is made.
    pub id: Option<LinkId>,
}

/// One line of the membership of albums.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The library's zone.
    pub library: String,
    /// The names of the album's folders, and then its own.
    pub album: Vec<String>,
    /// The album's record name: names are not unique.
    pub album_record: String,
    /// The asset's record name.
    pub asset: String,
    /// The name that the person knows the asset by; `None` if it is not listed.
    pub filename: Option<String>,
    /// The path of its original, if that is verified.
    pub path: Option<String>,
}

impl Reader {
    /// Every verified file of every album of an account, in a stable order.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn album_members(&self, account: AccountId) -> Result<Vec<AlbumFile>, Error> {
        members(&*self.pool.get()?, account)
    }

    /// What lies in which album of an account, whether it is here or not.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn memberships(&self, account: AccountId) -> Result<Vec<Membership>, Error> {
        memberships(&*self.pool.get()?, account)
    }

    /// The views in which links of ours stand: the folder, and how the links were made.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn album_views(&self, account: AccountId) -> Result<Vec<(PathBuf, LinkKind)>, Error> {
        views(&*self.pool.get()?, account)
    }

    /// The hard links of ours to a file, each with the folder of its view.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn hard_links(&self, file: FileId) -> Result<Vec<(PathBuf, Link)>, Error> {
        hard_links(&*self.pool.get()?, file)
    }

    /// Whether links in a view of an account are to be made again, or were never made.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn has_links_to_make(&self, account: AccountId) -> Result<bool, Error> {
        has_due(&*self.pool.get()?, account)
    }

    /// The links of ours in a view.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn album_links(&self, account: AccountId, directory: &str) -> Result<Vec<Link>, Error> {
        links(&*self.pool.get()?, account, directory)
    }
}

impl Journal {
    /// Remembers links that stand in a view, or are about to, and forgets those that are gone.
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
        self.writer.run(move |c| record(c, account, &directory, &made, &gone)).await
    }

    /// Says that the links which share the bytes of a file are to be made again, because it gets others.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn make_links_again(&self, file: FileId) -> Result<(), Error> {
        self.writer.run(move |c| make_again(c, file)).await
    }
}

/// Every verified file of every album of an account, in a stable order.
pub(super) fn members(connection: &Connection, account: AccountId) -> Result<Vec<AlbumFile>, Error> {
    let mut statement = connection.prepare(
        "SELECT f.file_id, f.path, a.record_name
         FROM album_asset m JOIN asset a INDEXED BY asset_by_name
             ON substr(a.record_name, -6) = substr(m.asset_name, -6) AND a.record_name = m.asset_name
                AND a.library_id = :library
         JOIN asset_file f USING (asset_id)
         WHERE m.album_id = :album AND m.removed_at IS NULL AND a.removed_at IS NULL AND f.state = 'verified'
           AND f.superseded_at IS NULL AND f.released_at IS NULL AND f.excluded_by IS NULL
         ORDER BY f.file_id",
    )?;
    let mut members = Vec::new();
    for place in album_paths::places(connection, account)? {
        let values = named_params! { ":library": place.library.0, ":album": place.album_id };
        let mut rows = statement.query(values)?;
        while let Some(found) = rows.next()? {
            members.push(AlbumFile {
                album: place.album_id,
                names: place.names.clone(),
                file: FileId(found.get(0)?),
                media: found.get(1)?,
                asset: AssetName(found.get(2)?),
            });
        }
    }
    Ok(members)
}

/// What lies in which album, whether it is here or not.
pub(super) fn memberships(connection: &Connection, account: AccountId) -> Result<Vec<Membership>, Error> {
    let mut statement = connection.prepare(
        "SELECT l.zone_name, b.record_name AS album_record, m.asset_name, a.filename,
                (SELECT f.path FROM asset_file f WHERE f.asset_id = a.asset_id AND f.state = 'verified'
                     AND f.superseded_at IS NULL ORDER BY f.rendition <> 'original', f.file_id LIMIT 1) AS path
         FROM album_asset m JOIN album b USING (album_id) JOIN library l USING (library_id)
         LEFT JOIN asset a INDEXED BY asset_by_name
             ON substr(a.record_name, -6) = substr(m.asset_name, -6) AND a.record_name = m.asset_name
                AND a.library_id = l.library_id
         WHERE m.album_id = :album AND m.removed_at IS NULL
         ORDER BY m.position, m.asset_name",
    )?;
    let mut lines = Vec::new();
    for place in album_paths::places(connection, account)? {
        let mut rows = statement.query(named_params! { ":album": place.album_id })?;
        while let Some(found) = rows.next()? {
            lines.push(Membership {
                library: found.get("zone_name")?,
                album: place.names.clone(),
                album_record: found.get("album_record")?,
                asset: found.get("asset_name")?,
                filename: found.get("filename")?,
                path: found.get("path")?,
            });
        }
    }
    Ok(lines)
}

/// The views in which links of ours stand.
pub(super) fn views(connection: &Connection, account: AccountId) -> Result<Vec<(PathBuf, LinkKind)>, Error> {
    let mut statement = connection.prepare(
        "SELECT directory, max(kind) FROM album_link WHERE account_id = :account GROUP BY directory",
    )?;
    let mut rows = statement.query(named_params! { ":account": account.0 })?;
    let mut views = Vec::new();
    while let Some(found) = rows.next()? {
        let (directory, word): (String, String) = (found.get(0)?, found.get(1)?);
        let kind = LinkKind::parse(&word).ok_or(Error::UnknownWord { what: "kind of link", value: word })?;
        views.push((PathBuf::from(directory), kind));
    }
    Ok(views)
}

/// The links of ours in a view.
pub(super) fn links(
    connection: &Connection,
    account: AccountId,
    directory: &str,
) -> Result<Vec<Link>, Error> {
    let mut statement = connection.prepare(
        "SELECT path, file_id, media, kind, inode, modified_ns FROM album_link
         WHERE account_id = :account AND directory = :directory",
    )?;
    let mut rows = statement.query(named_params! { ":account": account.0, ":directory": directory })?;
    let mut links = Vec::new();
    while let Some(found) = rows.next()? {
        links.push(link(found)?);
    }
    Ok(links)
}

fn link(found: &Row<'_>) -> Result<Link, Error> {
    let word: String = found.get("kind")?;
    let inode: Option<i64> = found.get("inode")?;
    let modified_ns: Option<i64> = found.get("modified_ns")?;
    let id = inode.zip(modified_ns);
    Ok(Link {
        path: found.get("path")?,
        file: FileId(found.get("file_id")?),
        media: found.get("media")?,
        kind: LinkKind::parse(&word).ok_or(Error::UnknownWord { what: "kind of link", value: word })?,
        id: id.map(|(inode, modified_ns)| LinkId { inode: inode.cast_unsigned(), modified_ns }),
    })
}

/// The hard links of ours to a file.
pub(super) fn hard_links(connection: &Connection, file: FileId) -> Result<Vec<(PathBuf, Link)>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT directory, path, file_id, media, kind, inode, modified_ns FROM album_link
         WHERE file_id = :file AND kind <> 'symlink' AND kind = 'hardlink'",
    )?;
    let mut rows = statement.query(named_params! { ":file": file.0 })?;
    let mut links = Vec::new();
    while let Some(found) = rows.next()? {
        links.push((PathBuf::from(found.get::<_, String>("directory")?), link(found)?));
    }
    Ok(links)
}

/// Says that what shares the bytes of a file is to be made again.
pub(super) fn make_again(connection: &Connection, file: FileId) -> Result<(), Error> {
    let mut statement = connection
        .prepare_cached("UPDATE album_link SET media = '' WHERE file_id = :file AND kind <> 'symlink'")?;
    statement.execute(named_params! { ":file": file.0 })?;
    Ok(())
}

/// Whether links of an account are to be made again.
pub(super) fn has_due(connection: &Connection, account: AccountId) -> Result<bool, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM album_link WHERE account_id = :account AND (media = '' OR inode IS NULL))",
    )?;
    Ok(statement.query_row(named_params! { ":account": account.0 }, |row| row.get(0))?)
}

/// Remembers links that stand, or are about to, and forgets those that are gone.
pub(super) fn record(
    connection: &Connection,
    account: AccountId,
    directory: &str,
    made: &[Link],
    gone: &[String],
) -> Result<(), Error> {
    for path in gone {
        let mut statement = connection.prepare_cached(
            "DELETE FROM album_link WHERE account_id = :account AND directory = :directory AND path = :path",
        )?;
        statement.execute(named_params! { ":account": account.0, ":directory": directory, ":path": path })?;
    }
    for link in made {
        let mut statement = connection.prepare_cached(
            "INSERT OR REPLACE INTO album_link
                 (account_id, directory, path, file_id, media, kind, inode, modified_ns)
             VALUES (:account, :directory, :path, :file, :media, :kind, :inode, :modified)",
        )?;
        statement.execute(named_params! {
            ":account": account.0, ":directory": directory, ":path": link.path, ":file": link.file.0,
            ":media": link.media, ":kind": link.kind.as_str(),
            ":inode": link.id.map(|id| id.inode.cast_signed()), ":modified": link.id.map(|id| id.modified_ns),
        })?;
    }
    Ok(())
}
