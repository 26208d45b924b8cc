//! The catalogue, streamed: every file row of an account in the order of its paths, for `export`.

use rusqlite::{Connection, named_params};

use crate::journal::error::Error;
use crate::journal::row;

/// A line of the catalogue. Field names are the contract of `export`; they are added to, never
/// renamed. Times are Unix seconds, UTC.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CatalogueLine {
    /// The account it belongs to.
    pub account: String,
    /// The zone of its library.
    pub library: String,
    /// Apple's name for its asset.
    pub asset: String,
    /// The person's name for it.
    pub filename: String,
    /// `photo` or `video`.
    pub kind: String,
    /// Which file of the asset.
    pub rendition: String,
    /// Where it stands, or will, relative to the destination.
    pub path: String,
    /// Its state, or why it is out of scope.
    pub standing: String,
    /// Its state.
    pub state: String,
    /// How long it is.
    pub size_bytes: u64,
    /// The digest of its bytes, in hexadecimal digits; empty until it is verified.
    pub sha256: Option<String>,
    /// How it was proved.
    pub verified_by: Option<String>,
    /// When.
    pub verified_at: Option<i64>,
    /// When its bytes were last read back and right.
    pub checked_at: Option<i64>,
    /// Apple's checksum.
    pub apple_checksum: String,
    /// When it was taken.
    pub captured_at: Option<i64>,
    /// When it came to iCloud.
    pub added_at: Option<i64>,
    /// Whether it is a favourite.
    pub favorite: bool,
    /// Whether it is hidden.
    pub hidden: bool,
    /// When it was gone from iCloud.
    pub removed_at: Option<i64>,
    /// The rule that leaves it out.
    pub excluded_by: Option<String>,
    /// Why the last attempt failed.
    pub error_kind: Option<String>,
    /// The same in words.
    pub error_detail: Option<String>,
}

const LINES: &str = "
    SELECT c.username, l.zone_name, a.record_name, a.filename, a.kind, f.rendition, f.path, f.standing,
           f.state, coalesce(f.disk_bytes, f.size_bytes) AS size_bytes, lower(hex(f.sha256)) AS sha256, f.verified_by, f.verified_at,
           f.checked_at, f.checksum, a.captured_ms / 1000 AS captured_at, a.added_ms / 1000 AS added_at,
           a.favorite, a.hidden, a.removed_at, f.excluded_by, f.error_kind, f.error_detail
    FROM asset_file f JOIN asset a USING (asset_id) JOIN library l ON l.library_id = f.library_id
         JOIN account c ON c.account_id = l.account_id
    WHERE c.username = :username AND (NOT :here OR (f.state = 'verified' AND f.released_at IS NULL))
    ORDER BY f.path, f.file_id";

/// Calls `each` for every file of an account; with `here`, only for those that must be on the disk.
/// Ends early when it says `false`.
pub(super) fn lines(
    connection: &Connection,
    username: &str,
    here: bool,
    mut each: impl FnMut(CatalogueLine) -> bool,
) -> Result<(), Error> {
    let mut statement = connection.prepare(LINES)?;
    let mut rows = statement.query(named_params! { ":username": username, ":here": here })?;
    while let Some(row) = rows.next()? {
        let sha256: Option<String> = row.get("sha256")?;
        let go_on = each(CatalogueLine {
            account: row.get("username")?,
            library: row.get("zone_name")?,
            asset: row.get("record_name")?,
            filename: row.get("filename")?,
            kind: row.get("kind")?,
            rendition: row.get("rendition")?,
            path: row.get("path")?,
            standing: row.get("standing")?,
            state: row.get("state")?,
            size_bytes: row::bytes(row, "size_bytes")?,
            // The digest of nothing is no empty text.
            sha256: sha256.filter(|digits| !digits.is_empty()),
            verified_by: row.get("verified_by")?,
            verified_at: row.get("verified_at")?,
            checked_at: row.get("checked_at")?,
            apple_checksum: row.get("checksum")?,
            captured_at: row.get("captured_at")?,
            added_at: row.get("added_at")?,
            favorite: row.get("favorite")?,
            hidden: row.get("hidden")?,
            removed_at: row.get("removed_at")?,
            excluded_by: row.get("excluded_by")?,
            error_kind: row.get("error_kind")?,
            error_detail: row.get("error_detail")?,
        });
        if !go_on {
            break;
        }
    }
    Ok(())
}
