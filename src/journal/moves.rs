//! The moves: the only file that sets `state`. One function for each event.
//!
//! Each is one guarded statement: it names the row, the claim where one is due, and the states it
//! may come from. No row hit means the row is not what the caller believes, and that is
//! [`Error::LostClaim`], never success. The schema's trigger checks the same table again and
//! writes the history.

use rusqlite::{Connection, ToSql, named_params, params};

use crate::journal::Journal;
use crate::journal::claim::{Claim, libraries_of};
use crate::journal::error::Error;
use crate::journal::row::int;
use crate::journal::seen;
use crate::model::asset::Offer;
use crate::model::backoff;
use crate::model::checksum::{Proof, Sha256Digest};
use crate::model::failure::Failure;
use crate::model::ids::{FileId, RunId};
use crate::model::signed_url::SignedUrl;

impl Journal {
    /// Records that the part file is durable up to `offset_bytes`, with the digest of that prefix.
    ///
    /// # Errors
    /// [`Error::LostClaim`] if the row is no longer ours: stop writing.
    pub async fn progressed(
        &self,
        mut claim: Claim,
        now: i64,
        offset_bytes: u64,
        prefix: Sha256Digest,
        etag: Option<String>,
    ) -> Result<Claim, Error> {
        self.writer
            .run(move |c| {
                progressed(c, &claim, now, offset_bytes, prefix, etag.as_deref())?;
                let file = claim.file_mut();
                file.state = crate::model::state::State::Partial;
                (file.offset_bytes, file.prefix, file.etag) = (offset_bytes, Some(prefix), etag);
                Ok(claim)
            })
            .await
    }

    /// Records that files stand, proved and durable, under their final names: all of them, or none.
    ///
    /// Says of each whether its asset is complete with it.
    ///
    /// # Errors
    /// [`Error::LostClaim`] if one of the rows is no longer ours.
    pub async fn verified_all(
        &self,
        files: Vec<(Claim, Sha256Digest, Proof)>,
        now: i64,
    ) -> Result<Vec<bool>, Error> {
        self.writer
            .run(move |c| {
                let verified = files.iter().map(|(claim, sha256, proof)| {
                    verified(c, claim, now, *sha256, *proof)?;
                    seen::is_complete(c, claim.file().asset)
                });
                verified.collect()
            })
            .await
    }

    /// Records a failed attempt. The promised prefix is kept only if `keep_part`.
    ///
    /// # Errors
    /// [`Error::LostClaim`] if the row is no longer ours.
    pub async fn failed(
        &self,
        claim: Claim,
        now: i64,
        failure: Failure,
        keep_part: bool,
    ) -> Result<(), Error> {
        self.writer.run(move |c| failed(c, &claim, now, &failure, keep_part)).await
    }

    /// Records that renewal found nothing to fetch any more, and says whether the asset is complete with
    /// that: it waits for none of its files. `None`: the row was no longer waiting for a URL, and stays as
    /// it is.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn failed_at_rest(
        &self,
        run: RunId,
        file: FileId,
        now: i64,
        failure: Failure,
    ) -> Result<Option<bool>, Error> {
        self.writer
            .run(move |c| {
                let was_open = is_open(c, file)?;
                let told = failed_at_rest(c, run, file, now, &failure)?;
                told.then(|| Ok(was_open && waits_for_none(c, file)?)).transpose()
            })
            .await
    }

    /// Records that the URL of a claimed row has run out. Burns no attempt. `refused` says that the
    /// host refused it, which is counted: a file whose fresh URLs are refused again and again fails.
    ///
    /// # Errors
    /// [`Error::LostClaim`] if the row is no longer ours.
    pub async fn url_expired(&self, claim: Claim, now: i64, refused: bool) -> Result<(), Error> {
        self.writer.run(move |c| url_expired(c, &claim, now, refused)).await
    }

    /// Gives expired rows their fresh URLs and puts them back in line. A row that is no longer
    /// waiting for one stays as it is: enumeration brings fresh URLs too.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn urls_renewed(
        &self,
        run: RunId,
        now: i64,
        renewed: Vec<(FileId, SignedUrl)>,
    ) -> Result<(), Error> {
        self.writer
            .run(move |c| {
                renewed.iter().try_for_each(|(file, url)| url_renewed(c, run, *file, now, url).map(|_| ()))
            })
            .await
    }

    /// Puts failed rows back in line; says how many.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn requeue(&self, run: RunId, now: i64, which: Requeue) -> Result<usize, Error> {
        self.writer.run(move |c| requeued(c, run, now, which)).await
    }

    /// Records that the part file is not what was promised. The claim goes on from the start.
    ///
    /// # Errors
    /// [`Error::LostClaim`] if the row is no longer ours.
    pub async fn restarted(&self, mut claim: Claim, now: i64) -> Result<Claim, Error> {
        self.writer
            .run(move |c| {
                restarted(c, &claim, now)?;
                let file = claim.file_mut();
                file.state = crate::model::state::State::Pending;
                (file.offset_bytes, file.prefix, file.etag) = (0, None, None);
                Ok(claim)
            })
            .await
    }

    /// Records that a verified file is gone from its place.
    ///
    /// # Errors
    /// [`Error::LostClaim`] if the row is not verified.
    pub async fn lost(&self, run: RunId, file: FileId, now: i64) -> Result<(), Error> {
        self.writer.run(move |c| lost(c, run, file, now)).await
    }

    /// Wants files again that are no longer in the trash. Gives how many assets wait now that did not.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn refetch_trashed(&self, now: i64, files: Vec<FileId>) -> Result<u64, Error> {
        self.writer
            .run(move |c| {
                let mut opened = 0;
                for file in files {
                    let was_complete = waits_for_none(c, file)?;
                    refetched(c, file, now)?;
                    opened += u64::from(was_complete && !waits_for_none(c, file)?);
                }
                Ok(opened)
            })
            .await
    }
}

/// Records that the part file is durable up to `offset_bytes`.
///
/// Call after the bytes are synced: after a crash the next run trusts this number.
/// # Errors
/// [`Error::LostClaim`] if the row is no longer ours; the caller must stop writing.
pub(super) fn progressed(
    connection: &Connection,
    claim: &Claim,
    now: i64,
    offset_bytes: u64,
    prefix: Sha256Digest,
    etag: Option<&str>,
) -> Result<(), Error> {
    held(
        connection,
        claim,
        "UPDATE asset_file SET state = 'partial', event = 'progressed', moved_at = :now,
             moved_run_id = :run, offset_bytes = :offset, prefix_sha256 = :prefix, etag = :etag,
             urls_refused = 0
         WHERE file_id = :file AND claim_run_id = :run AND claim_worker = :worker
           AND state IN ('pending', 'partial') AND offset_bytes <= :offset",
        &[(":now", &now), (":offset", &int(offset_bytes)), (":prefix", &&prefix.0[..]), (":etag", &etag)],
    )
}

/// Records that the file stands, proved and durable, under its final name. Ends the claim.
///
/// Call after the directory is synced: from here on nobody fetches it again.
pub(super) fn verified(
    connection: &Connection,
    claim: &Claim,
    now: i64,
    sha256: Sha256Digest,
    proof: Proof,
) -> Result<(), Error> {
    held(
        connection,
        claim,
        "UPDATE asset_file SET state = 'verified', event = 'verified', moved_at = :now,
             moved_run_id = :run, sha256 = :sha256, verified_by = :proof, verified_at = :now,
             offset_bytes = 0, prefix_sha256 = NULL, etag = NULL, url_expires_at = NULL,
             urls_refused = 0, attempts = 0, retry_at = NULL, claim_run_id = NULL, claim_worker = NULL
         WHERE file_id = :file AND claim_run_id = :run AND claim_worker = :worker
           AND state IN ('pending', 'partial')",
        &[(":now", &now), (":sha256", &&sha256.0[..]), (":proof", &proof.as_str())],
    )?;
    forget_url(connection, claim.file().id)
}

/// Records that another tool's file stands at the row's path, proved and durable, and is ours now.
///
/// Call after file and folder are synced. `false`: the row is claimed or verified by other hands, and
/// stays as it is.
pub(super) fn adopted(
    connection: &Connection,
    run: RunId,
    file: FileId,
    now: i64,
    sha256: Sha256Digest,
    proof: Proof,
) -> Result<bool, Error> {
    let moved = at_rest(
        connection,
        file,
        "UPDATE asset_file SET state = 'verified', event = 'adopted', moved_at = :now,
             moved_run_id = :run, sha256 = :sha256, verified_by = :proof, verified_at = :now,
             offset_bytes = 0, prefix_sha256 = NULL, etag = NULL, url_expires_at = NULL,
             urls_refused = 0, attempts = 0, error_kind = NULL, error_detail = NULL, retry_at = NULL
         WHERE file_id = :file AND claim_run_id IS NULL
           AND state IN ('pending', 'partial', 'failed', 'expired-url')",
        &[(":now", &now), (":run", &run.0), (":sha256", &&sha256.0[..]), (":proof", &proof.as_str())],
    );
    match moved {
        Ok(()) => forget_url(connection, file).map(|()| true),
        Err(Error::LostClaim(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Records a failed attempt and ends the claim. The promised prefix is kept only if `keep_part`.
pub(super) fn failed(
    connection: &Connection,
    claim: &Claim,
    now: i64,
    failure: &Failure,
    keep_part: bool,
) -> Result<(), Error> {
    let attempts = attempts(connection, claim.file().id)? + 1;
    held(
        connection,
        claim,
        "UPDATE asset_file SET state = 'failed', event = 'failed', moved_at = :now,
             moved_run_id = :run, error_kind = :kind, error_detail = :detail,
             attempts = :attempts, retry_at = :retry_at, url_expires_at = NULL,
             offset_bytes = iif(:keep, offset_bytes, 0),
             prefix_sha256 = iif(:keep, prefix_sha256, NULL), etag = iif(:keep, etag, NULL),
             claim_run_id = NULL, claim_worker = NULL
         WHERE file_id = :file AND claim_run_id = :run AND claim_worker = :worker
           AND state IN ('pending', 'partial')",
        &[
            (":now", &now),
            (":kind", &failure.kind.as_str()),
            (":detail", &failure.detail),
            (":attempts", &attempts),
            (":retry_at", &backoff::retry_at(now, attempts, failure.kind)),
            (":keep", &keep_part),
        ],
    )?;
    forget_url(connection, claim.file().id)
}

/// Records that renewal found no file to fetch any more: `expired-url` becomes `failed`.
///
/// What Apple no longer has is superseded too: it is accounted for, and no run waits for it. Should
/// it be offered again, enumeration reinstates it.
///
/// `false`: the row got a fresh URL by other hands meanwhile.
pub(super) fn failed_at_rest(
    connection: &Connection,
    run: RunId,
    file: FileId,
    now: i64,
    failure: &Failure,
) -> Result<bool, Error> {
    let attempts = attempts(connection, file)? + 1;
    let moved = at_rest(
        connection,
        file,
        "UPDATE asset_file SET state = 'failed', event = 'failed', moved_at = :now,
             moved_run_id = :run, error_kind = :kind, error_detail = :detail,
             attempts = :attempts, retry_at = :retry_at, url_expires_at = NULL,
             superseded_at = iif(:kind = 'gone', :now, superseded_at)
         WHERE file_id = :file AND state = 'expired-url'",
        &[
            (":now", &now),
            (":run", &run.0),
            (":kind", &failure.kind.as_str()),
            (":detail", &failure.detail),
            (":attempts", &attempts),
            (":retry_at", &backoff::retry_at(now, attempts, failure.kind)),
        ],
    );
    match moved {
        Ok(()) => Ok(true),
        Err(Error::LostClaim(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Records that the claimed row's URL has run out. Ends the claim; no attempt is burned.
pub(super) fn url_expired(
    connection: &Connection,
    claim: &Claim,
    now: i64,
    refused: bool,
) -> Result<(), Error> {
    held(
        connection,
        claim,
        "UPDATE asset_file SET state = 'expired-url', event = 'url_expired', moved_at = :now,
             moved_run_id = :run, url_expires_at = NULL, urls_refused = urls_refused + :refused,
             claim_run_id = NULL, claim_worker = NULL
         WHERE file_id = :file AND claim_run_id = :run AND claim_worker = :worker
           AND state IN ('pending', 'partial')",
        &[(":now", &now), (":refused", &refused)],
    )?;
    forget_url(connection, claim.file().id)
}

/// The same for a row that nobody holds yet, seen while claiming.
pub(super) fn url_expired_unclaimed(
    connection: &Connection,
    run: RunId,
    file: FileId,
    now: i64,
) -> Result<(), Error> {
    at_rest(
        connection,
        file,
        "UPDATE asset_file SET state = 'expired-url', event = 'url_expired', moved_at = :now,
             moved_run_id = :run, url_expires_at = NULL
         WHERE file_id = :file AND claim_run_id IS NULL AND state IN ('pending', 'partial')",
        &[(":now", &now), (":run", &run.0)],
    )?;
    forget_url(connection, file)
}

/// Gives an expired row its fresh URL, and puts it back in line where it stood.
///
/// `false`: the row was renewed by other hands meanwhile (enumeration brings fresh URLs too), and
/// keeps what it has.
pub(super) fn url_renewed(
    connection: &Connection,
    run: RunId,
    file: FileId,
    now: i64,
    url: &SignedUrl,
) -> Result<bool, Error> {
    let moved = at_rest(
        connection,
        file,
        "UPDATE asset_file SET state = iif(offset_bytes = 0, 'pending', 'partial'),
             event = 'url_renewed', moved_at = :now, moved_run_id = :run,
             url_expires_at = :expires_at
         WHERE file_id = :file AND state = 'expired-url'",
        &[(":now", &now), (":run", &run.0), (":expires_at", &url.expires_at())],
    );
    match moved {
        Ok(()) => keep_url(connection, file, url).map(|()| true),
        Err(Error::LostClaim(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) const REQUEUED_DUE: &str = "
    UPDATE asset_file INDEXED BY asset_file_failed
    SET state = iif(offset_bytes = 0, 'pending', 'partial'), event = 'requeued', moved_at = :now, moved_run_id = :run,
        error_kind = NULL, error_detail = NULL, retry_at = NULL, urls_refused = 0
    WHERE library_id = :library AND state = 'failed'
      AND (retry_at <= :now OR retry_at > :now + :longest)";

/// Puts failed rows of the run's account back in line: those due at `now`, or those that failed
/// in `run` itself.
///
/// They carry no URL, so the claim sends them through renewal: every second try has a fresh one.
/// Returns how many.
pub(super) fn requeued(
    connection: &Connection,
    run: RunId,
    now: i64,
    which: Requeue,
) -> Result<usize, Error> {
    let sql = match which {
        Requeue::Due => REQUEUED_DUE,
        Requeue::All => {
            "UPDATE asset_file INDEXED BY asset_file_failed
             SET state = iif(offset_bytes = 0, 'pending', 'partial'), event = 'requeued', moved_at = :now,
                 moved_run_id = :run, error_kind = NULL, error_detail = NULL, retry_at = NULL,
                 urls_refused = 0
             WHERE library_id = :library AND state = 'failed' AND :longest > 0"
        }
        Requeue::FailedInThisRun => {
            "UPDATE asset_file INDEXED BY asset_file_failed
             SET state = iif(offset_bytes = 0, 'pending', 'partial'), event = 'requeued', moved_at = :now, moved_run_id = :run,
                 error_kind = NULL, error_detail = NULL, retry_at = NULL, urls_refused = 0
             WHERE library_id = :library AND state = 'failed' AND retry_at IS NOT NULL AND moved_run_id = :run
               AND error_kind <> 'gone' AND :longest > 0"
        }
    };
    let mut statement = connection.prepare_cached(sql)?;
    let mut moved = 0;
    for library in libraries_of(connection, run)? {
        moved += statement.execute(named_params! {
            ":library": library.0, ":now": now, ":run": run.0, ":longest": backoff::RETRY_MAX_S,
        })?;
    }
    Ok(moved)
}

/// Which failed rows to put back in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeue {
    /// Those whose wait is over: the start of a run. A wait longer than any we set comes from a clock
    /// that was wrong, and counts as over.
    Due,
    /// All of them, parked ones too: a person asked. Attempts count on, so one that was parked has one attempt
    /// and is parked again: a scheduler that asks with every run costs no more than that.
    All,
    /// Those that failed in this very run: its retry pass.
    FailedInThisRun,
}

/// Records that the part file is not what was promised. The claim goes on, from the start.
pub(super) fn restarted(connection: &Connection, claim: &Claim, now: i64) -> Result<(), Error> {
    held(
        connection,
        claim,
        "UPDATE asset_file SET state = 'pending', event = 'restarted', moved_at = :now,
             moved_run_id = :run, offset_bytes = 0, prefix_sha256 = NULL, etag = NULL
         WHERE file_id = :file AND claim_run_id = :run AND claim_worker = :worker
           AND state IN ('pending', 'partial')",
        &[(":now", &now)],
    )
}

/// Records that a verified file is gone from its place: it is wanted again.
pub(super) fn lost(connection: &Connection, run: RunId, file: FileId, now: i64) -> Result<(), Error> {
    at_rest(
        connection,
        file,
        "UPDATE asset_file SET state = 'pending', event = 'lost', moved_at = :now,
             moved_run_id = :run, sha256 = NULL, verified_by = NULL, verified_at = NULL, checked_at = NULL,
             apple_sha256 = NULL, disk_bytes = NULL
         WHERE file_id = :file AND state = 'verified'",
        &[(":now", &now), (":run", &run.0)],
    )
}

/// Records that a person wants a file again that they had deleted here, or emptied from the trash.
pub(super) fn refetched(connection: &Connection, file: FileId, now: i64) -> Result<(), Error> {
    at_rest(
        connection,
        file,
        "UPDATE asset_file SET state = 'pending', event = 'lost', moved_at = :now,
             moved_run_id = NULL, sha256 = NULL, verified_by = NULL, verified_at = NULL, checked_at = NULL,
             apple_sha256 = NULL, disk_bytes = NULL,
             released_at = NULL, trash_path = NULL, trashed_at = NULL
         WHERE file_id = :file AND state = 'verified'",
        &[(":now", &now)],
    )
}

/// Records that a file was removed from the trash for good. It is superseded by nothing: should Apple
/// offer it again, enumeration reinstates it, and it is fetched.
pub(super) fn purged(connection: &Connection, run: RunId, file: FileId, now: i64) -> Result<(), Error> {
    at_rest(
        connection,
        file,
        "UPDATE asset_file SET state = 'pending', event = 'lost', moved_at = :now,
             moved_run_id = :run, sha256 = NULL, verified_by = NULL, verified_at = NULL, checked_at = NULL,
             apple_sha256 = NULL, disk_bytes = NULL,
             released_at = NULL, trash_path = NULL, trashed_at = NULL,
             superseded_at = coalesce(superseded_at, :now)
         WHERE file_id = :file AND state = 'verified' AND trash_path IS NOT NULL",
        &[(":now", &now), (":run", &run.0)],
    )
}

/// Sends an unfinished row on to another version of its file, from the start.
pub(super) fn changed(
    connection: &Connection,
    run: RunId,
    file: FileId,
    now: i64,
    offer: &Offer,
) -> Result<(), Error> {
    at_rest(
        connection,
        file,
        "UPDATE asset_file SET state = 'pending', event = 'changed', moved_at = :now,
             moved_run_id = :run, checksum = :checksum, size_bytes = :size, uti = :uti,
             offset_bytes = 0, prefix_sha256 = NULL, etag = NULL, url_expires_at = :expires_at,
             urls_refused = 0, attempts = 0, error_kind = NULL, error_detail = NULL, retry_at = NULL
         WHERE file_id = :file AND claim_run_id IS NULL AND state <> 'verified'",
        &[
            (":now", &now),
            (":run", &run.0),
            (":checksum", &offer.checksum.as_str()),
            (":size", &int(offer.size_bytes)),
            (":uti", &offer.uti),
            (":expires_at", &offer.url.as_ref().map(SignedUrl::expires_at)),
        ],
    )?;
    match &offer.url {
        Some(url) => keep_url(connection, file, url),
        None => forget_url(connection, file),
    }
}

/// Its parameters are a file's row and a URL.
pub(super) const KEEP_URL: &str = "
    INSERT INTO signed_url (file_id, url) VALUES (?1, ?2) ON CONFLICT (file_id) DO UPDATE SET url = excluded.url";

/// Stores the URL of a row, in place of an older one.
pub(super) fn keep_url(connection: &Connection, file: FileId, url: &SignedUrl) -> Result<(), Error> {
    connection.prepare_cached(KEEP_URL)?.execute(params![file.0, url.expose()])?;
    Ok(())
}

fn forget_url(connection: &Connection, file: FileId) -> Result<(), Error> {
    let mut statement = connection.prepare_cached("DELETE FROM signed_url WHERE file_id = :file")?;
    statement.execute(named_params! { ":file": file.0 })?;
    Ok(())
}

fn attempts(connection: &Connection, file: FileId) -> Result<u32, Error> {
    let mut statement = connection.prepare_cached("SELECT attempts FROM asset_file WHERE file_id = :file")?;
    Ok(statement.query_row(named_params! { ":file": file.0 }, |row| row.get(0))?)
}

/// Whether the asset of a file waits for it.
fn is_open(connection: &Connection, file: FileId) -> Result<bool, Error> {
    let mut statement = connection.prepare_cached("SELECT is_open FROM asset_file WHERE file_id = :file")?;
    Ok(statement.query_row(named_params! { ":file": file.0 }, |row| row.get(0))?)
}

/// Whether the asset of a file waits for none of its files.
fn waits_for_none(connection: &Connection, file: FileId) -> Result<bool, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT files_open = 0 FROM asset JOIN asset_file USING (asset_id) WHERE file_id = :file",
    )?;
    Ok(statement.query_row(named_params! { ":file": file.0 }, |row| row.get(0))?)
}

/// Runs a guarded statement of a claim.
fn held(
    connection: &Connection,
    claim: &Claim,
    sql: &str,
    values: &[(&str, &dyn ToSql)],
) -> Result<(), Error> {
    let claim_values: [(&str, &dyn ToSql); 2] = [(":run", &claim.run.0), (":worker", &claim.worker)];
    at_rest(connection, claim.file().id, sql, &[values, &claim_values].concat())
}

/// Runs a guarded statement; exactly one row must move.
fn at_rest(
    connection: &Connection,
    file: FileId,
    sql: &str,
    values: &[(&str, &dyn ToSql)],
) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(sql)?;
    let file_value: [(&str, &dyn ToSql); 1] = [(":file", &file.0)];
    let moved = statement.execute(&[values, &file_value].concat()[..])?;
    if moved == 1 { Ok(()) } else { Err(Error::LostClaim(file)) }
}
