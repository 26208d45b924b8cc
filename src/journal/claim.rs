//! Claims: a worker's exclusive right to one asset file.
//!
//! A claim names its run. The run lock admits one process at a time, and that runs an account once,
//! so a claim of another run of the account is dead and may be taken without waiting or guessing. A [`Claim`] is made only here, cannot be copied,
//! and every ending in [`super::moves`] consumes it: finishing twice does not compile.

use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::{Connection, named_params};

use crate::journal::Journal;
use crate::journal::error::Error;
use crate::journal::moves;
use crate::journal::row;
use crate::model::asset::{Captured, Rendition};
use crate::model::checksum::{AppleChecksum, Sha256Digest};
use crate::model::ids::{AssetId, AssetName, FileId, LibraryId, RunId};
use crate::model::signed_url::SignedUrl;
use crate::model::state::State;

/// A URL with less life than this is not handed out: the request would leave with a dead one.
/// Two minutes covers a queue behind a large file's checkpoint and a clock that is a little off.
pub const URL_LIFE_MIN_S: i64 = 120;
/// Rows looked at for one claim. It bounds the transaction when a whole journal's URLs have run out.
const LOOKED_AT_MAX: usize = 512;

/// Workers are numbered by claim, so a row names the one claim that may move it.
static WORKER: AtomicI64 = AtomicI64::new(1);

/// Everything a worker needs to know of its file.
#[derive(Debug)]
pub struct ClaimedFile {
    /// The row.
    pub id: FileId,
    /// The asset it belongs to.
    pub asset: AssetId,
    /// The library of that asset.
    pub library: LibraryId,
    /// The asset's record name, for a tag when the path is taken.
    pub asset_name: AssetName,
    /// Which file of the asset.
    pub rendition: Rendition,
    /// Apple's checksum.
    pub checksum: AppleChecksum,
    /// Its whole length.
    pub size_bytes: u64,
    /// Where it goes, relative to the destination.
    pub path: String,
    /// When it was taken: becomes its modification time.
    pub captured: Option<Captured>,
    /// `Pending` or `Partial`.
    pub state: State,
    /// Durable and promised bytes of the part file.
    pub offset_bytes: u64,
    /// The digest of those bytes.
    pub prefix: Option<Sha256Digest>,
    /// The server's strong validator at the last progress, if it gave one.
    pub etag: Option<String>,
    /// A verified file with the same bytes, if there is one: of the same master in another library, or
    /// of a duplicate in this one.
    pub twin: Option<String>,
}

/// A worker's exclusive right to one asset file.
#[must_use = "a claim that is dropped is held until the run ends"]
#[derive(Debug)]
pub struct Claim {
    pub(super) run: RunId,
    pub(super) worker: i64,
    file: Box<ClaimedFile>,
    url: Option<SignedUrl>,
}

impl Claim {
    /// What is claimed.
    #[must_use]
    pub fn file(&self) -> &ClaimedFile {
        &self.file
    }

    /// The signed URL to fetch from. Claims made for a repair, not a transfer, have none.
    #[must_use]
    pub fn url(&self) -> Option<&SignedUrl> {
        self.url.as_ref()
    }

    pub(super) fn file_mut(&mut self) -> &mut ClaimedFile {
        &mut self.file
    }
}

/// What a call for work gave.
#[derive(Debug, Default)]
pub struct Claimed {
    /// Rows that are ours now, with live URLs.
    pub claims: Vec<Claim>,
    /// Rows that moved to `expired-url` instead.
    pub expired: usize,
}

pub(super) const CLAIMABLE: &str = "
    SELECT f.file_id, f.asset_id, f.library_id, a.record_name, f.rendition, f.checksum, f.size_bytes, f.path,
           a.captured_ms, a.captured_offset_s, f.state, f.offset_bytes, f.prefix_sha256, f.etag,
           f.url_expires_at, u.url,
           (SELECT t.path FROM asset o INDEXED BY asset_by_master
            -- In this order, whatever was counted: before the first file is verified, an index of verified
            -- files looks like the shortest way.
            CROSS JOIN asset_file t ON t.asset_id = o.asset_id
            CROSS JOIN library ol ON ol.library_id = o.library_id
            WHERE substr(o.master_name, 2, 6) = substr(a.master_name, 2, 6)
              AND o.master_name = a.master_name AND t.rendition = f.rendition AND t.checksum = f.checksum
              AND t.size_bytes = f.size_bytes AND t.state = 'verified' AND t.released_at IS NULL
              AND t.apple_sha256 IS NULL
              AND ol.account_id = (SELECT account_id FROM library WHERE library_id = :library)
            LIMIT 1) AS twin
    FROM asset_file f INDEXED BY asset_file_claimable
    JOIN asset a USING (asset_id) LEFT JOIN signed_url u USING (file_id)
    WHERE f.library_id = :library AND f.state IN ('pending', 'partial') AND f.claim_run_id IS NULL
      AND f.excluded_by IS NULL AND f.released_at IS NULL AND f.superseded_at IS NULL
    ORDER BY f.file_id LIMIT :limit";

pub(super) const TAKE: &str = "
    UPDATE asset_file SET claim_run_id = :run, claim_worker = :worker
    WHERE file_id = :file AND claim_run_id IS NULL AND state IN ('pending', 'partial')";

impl Journal {
    /// Claims up to `limit` rows with live URLs.
    ///
    /// Does not wait for the disk: a power cut may undo a claim whose file was begun. Such a row is at rest
    /// with a part file beside it, and whoever claims it next looks at that, as always.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn claim(&self, run: RunId, limit: usize, now: i64) -> Result<Claimed, Error> {
        self.writer.run_forgettable(move |c| claim(c, run, limit, now)).await
    }

    /// Takes over up to `limit` claims of dead runs. Empty when none is left.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn take_over_dead(&self, run: RunId, limit: usize) -> Result<Vec<Claim>, Error> {
        self.writer.run(move |c| take_over_dead(c, run, limit)).await
    }

    /// Gives a claim back, the row as it is. Burns no attempt.
    ///
    /// # Errors
    /// [`Error::LostClaim`] if it was not ours.
    pub async fn release(&self, claim: Claim) -> Result<(), Error> {
        self.writer.run(move |c| release(c, &claim)).await
    }
}

/// Claims up to `limit` rows of the run's account, oldest row first: enumeration is newest photo
/// first.
///
/// A row whose URL is about to expire, or has none, moves to `expired-url` on the way.
pub(super) fn claim(connection: &Connection, run: RunId, limit: usize, now: i64) -> Result<Claimed, Error> {
    let mut claimed = Claimed::default();
    for library in libraries_of(connection, run)? {
        claim_in(connection, run, library, limit, now, &mut claimed)?;
    }
    Ok(claimed)
}

/// The libraries of the account that a run works for.
pub(super) fn libraries_of(connection: &Connection, run: RunId) -> Result<Vec<LibraryId>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT library_id FROM library JOIN run USING (account_id) WHERE run_id = :run ORDER BY library_id",
    )?;
    let libraries = statement.query_map(named_params! { ":run": run.0 }, |row| row.get(0).map(LibraryId))?;
    Ok(libraries.collect::<Result<_, _>>()?)
}

fn claim_in(
    connection: &Connection,
    run: RunId,
    library: LibraryId,
    limit: usize,
    now: i64,
    claimed: &mut Claimed,
) -> Result<(), Error> {
    while claimed.claims.len() < limit && claimed.expired < LOOKED_AT_MAX {
        let mut rows = Vec::new();
        let mut statement = connection.prepare_cached(CLAIMABLE)?;
        let wanted = (limit - claimed.claims.len()) as i64;
        let mut found = statement.query(named_params! { ":library": library.0, ":limit": wanted })?;
        while let Some(row) = found.next()? {
            rows.push(read(row, run)?);
        }
        if rows.is_empty() {
            break;
        }
        for claim in rows {
            if claim.url().is_some_and(|url| url.expires_at() >= now + URL_LIFE_MIN_S) {
                take(connection, &claim)?;
                claimed.claims.push(claim);
            } else {
                moves::url_expired_unclaimed(connection, run, claim.file.id, now)?;
                claimed.expired += 1;
            }
        }
    }
    Ok(())
}

/// Gives the row back as it is: after a stop, or when Apple asks to wait. Burns no attempt.
pub(super) fn release(connection: &Connection, claim: &Claim) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "UPDATE asset_file SET claim_run_id = NULL, claim_worker = NULL
         WHERE file_id = :file AND claim_run_id = :run AND claim_worker = :worker",
    )?;
    let rows = statement
        .execute(named_params! { ":file": claim.file.id.0, ":run": claim.run.0, ":worker": claim.worker })?;
    if rows == 1 { Ok(()) } else { Err(Error::LostClaim(claim.file.id)) }
}

pub(super) const DEAD: &str = "
    SELECT f.file_id, f.asset_id, f.library_id, a.record_name, f.rendition, f.checksum, f.size_bytes, f.path,
           a.captured_ms, a.captured_offset_s, f.state, f.offset_bytes, f.prefix_sha256, f.etag,
           NULL AS url_expires_at, NULL AS url, NULL AS twin
    FROM asset_file f INDEXED BY asset_file_claimed JOIN asset a USING (asset_id)
    WHERE f.library_id = :library AND f.claim_run_id IS NOT NULL AND f.claim_run_id <> :run LIMIT :limit";

/// Takes over claims of dead runs of the same account, so that recovery can look at what they left.
///
/// Sound only because the run lock admits one process at a time, and a process runs an account once.
pub(super) fn take_over_dead(connection: &Connection, run: RunId, limit: usize) -> Result<Vec<Claim>, Error> {
    let mut claims = Vec::new();
    for library in libraries_of(connection, run)? {
        let mut statement = connection.prepare_cached(DEAD)?;
        let mut found = statement
            .query(named_params! { ":library": library.0, ":run": run.0, ":limit": limit as i64 })?;
        while let Some(row) = found.next()? {
            claims.push(read(row, run)?);
        }
    }
    for claim in &claims {
        let mut statement = connection.prepare_cached(
            "UPDATE asset_file SET claim_run_id = :run, claim_worker = :worker WHERE file_id = :file",
        )?;
        statement
            .execute(named_params! { ":file": claim.file.id.0, ":run": run.0, ":worker": claim.worker })?;
    }
    Ok(claims)
}

fn take(connection: &Connection, claim: &Claim) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(TAKE)?;
    let rows = statement
        .execute(named_params! { ":file": claim.file.id.0, ":run": claim.run.0, ":worker": claim.worker })?;
    if rows == 1 { Ok(()) } else { Err(Error::LostClaim(claim.file.id)) }
}

/// Reads a row of [`CLAIMABLE`] or [`DEAD`], whose columns stand in one order. By place: each name would be
/// looked for among all of them, and there is a claim for every file.
fn read(found: &rusqlite::Row<'_>, run: RunId) -> Result<Claim, Error> {
    let captured_ms: Option<i64> = found.get(8)?;
    let offset_seconds: Option<i32> = found.get(9)?;
    let checksum = found.get_ref(5)?.as_str().map_err(rusqlite::Error::from)?;
    let expires_at: Option<i64> = found.get(14)?;
    let url: Option<String> = found.get(15)?;
    Ok(Claim {
        run,
        worker: WORKER.fetch_add(1, Ordering::Relaxed),
        url: url.zip(expires_at).map(|(url, expires_at)| SignedUrl::kept(url, expires_at)),
        file: Box::new(ClaimedFile {
            id: FileId(found.get(0)?),
            asset: AssetId(found.get(1)?),
            library: LibraryId(found.get(2)?),
            asset_name: AssetName(found.get(3)?),
            rendition: row::rendition(found, 4)?,
            checksum: AppleChecksum::parse(checksum),
            size_bytes: row::bytes(found, 6)?,
            path: found.get(7)?,
            captured: captured_ms.map(|at_ms| Captured { at_ms, offset_seconds }),
            state: row::state(found, 10)?,
            offset_bytes: row::bytes(found, 11)?,
            prefix: row::digest(found, 12)?,
            etag: found.get(13)?,
            twin: found.get(16)?,
        }),
    })
}
