//! Adoption in the journal: what a local file may be, and what became of each.
//!
//! A file that is adopted keeps its path, and its row takes that path over, in the same operation as
//! the move. Whoever else was promised that path and has nothing there yet is given another one.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension as _, named_params};

use crate::journal::Journal;
use crate::journal::Reader;
use crate::journal::error::Error;
use crate::journal::moves;
use crate::journal::place;
use crate::journal::redate;
use crate::journal::row::{self, int};
use crate::model::adoption::{Candidate, Finding, LocalFile, Outcome};
use crate::model::asset::{Captured, Rendition};
use crate::model::checksum::{AppleChecksum, Digests, Proof, Sha256Digest};
use crate::model::ids::{AccountId, AssetId, AssetName, FileId, RunId};

/// What earlier runs know of local files, by path.
pub type Known = HashMap<String, KnownLocal>;

/// A local file that was read before. Good while size, time and inode are the same.
#[derive(Clone, Debug)]
pub struct KnownLocal {
    /// The file as it was.
    pub local: LocalFile,
    /// Its digests.
    pub digests: Digests,
    /// The row that it became, if it was adopted.
    pub adopted_as: Option<FileId>,
}

/// One line of `v_adoption`.
#[derive(Clone, Debug)]
pub struct Adoption {
    /// The local file: relative to the destination, or absolute.
    pub local_path: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The path of the file of ours that it is, or was taken for.
    pub path: Option<String>,
    /// What a person should know.
    pub detail: Option<String>,
}

const CANDIDATES: &str = "
    SELECT f.file_id, a.record_name, a.filename, f.rendition, f.checksum, coalesce(f.disk_bytes, f.size_bytes) AS size_bytes, f.path, f.state,
           f.offset_bytes, a.captured_ms, a.captured_offset_s
    FROM asset_file f JOIN asset a USING (asset_id) JOIN library l ON l.library_id = f.library_id
    WHERE l.account_id = :account AND f.superseded_at IS NULL AND f.released_at IS NULL
    ORDER BY f.file_id";

impl Reader {
    /// The files of an account that have one of these lengths.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn of_sizes(&self, account: AccountId, sizes: &HashSet<u64>) -> Result<Vec<Candidate>, Error> {
        of_sizes(&*self.pool.get()?, account, sizes)
    }

    /// The files of an account that are still to come, of assets with one of these names, in lower case.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn open_of_names(
        &self,
        account: AccountId,
        names: &HashSet<String>,
    ) -> Result<Vec<Candidate>, Error> {
        open_of_names(&*self.pool.get()?, account, names)
    }

    /// Paths of what is ours in the destination `root` beside photos: sidecars, and links of albums.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn own_paths(&self, account: AccountId, root: &str) -> Result<HashSet<String>, Error> {
        own_paths(&*self.pool.get()?, account, root)
    }

    /// Digests of local files that earlier runs of `adopt` read.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn known_locals(&self, account: AccountId) -> Result<Known, Error> {
        known(&*self.pool.get()?, account)
    }

    /// Up to `limit` local files of a run of `adopt` that a person should look at.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn adoptions(&self, run: RunId, limit: usize) -> Result<Vec<Adoption>, Error> {
        to_look_at(&*self.pool.get()?, run, limit)
    }
}

impl Journal {
    /// Records what `adopt` found, and makes the adopted files ours, where they stand. Call after they
    /// are durable. Gives what really became of each.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn record_findings(
        &self,
        account: AccountId,
        run: RunId,
        now: i64,
        findings: Vec<Finding>,
    ) -> Result<Vec<Finding>, Error> {
        self.writer.run(move |c| record(c, account, run, now, findings)).await
    }

    /// Forgets local files below `prefix` that a run of `adopt` did not meet any more.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn forget_gone(&self, account: AccountId, run: RunId, prefix: String) -> Result<(), Error> {
        self.writer.run(move |c| forget_gone(c, account, run, &prefix)).await
    }
}

/// The files of an account that `wanted` picks by size and by whether they are verified.
pub(super) fn candidates(
    connection: &Connection,
    account: AccountId,
    wanted: impl Fn(u64, bool, &str) -> bool,
) -> Result<Vec<Candidate>, Error> {
    let mut statement = connection.prepare(CANDIDATES)?;
    let mut rows = statement.query(named_params! { ":account": account.0 })?;
    let mut candidates = Vec::new();
    while let Some(found) = rows.next()? {
        let size_bytes = row::bytes(found, "size_bytes")?;
        let filename: String = found.get("filename")?;
        let is_verified = row::state(found, "state")? == crate::model::state::State::Verified;
        if !wanted(size_bytes, is_verified, &filename) {
            continue;
        }
        let captured_ms: Option<i64> = found.get("captured_ms")?;
        let offset_seconds: Option<i32> = found.get("captured_offset_s")?;
        candidates.push(Candidate {
            file: FileId(found.get("file_id")?),
            asset_name: AssetName(found.get("record_name")?),
            filename,
            rendition: row::rendition(found, "rendition")?,
            checksum: AppleChecksum::parse(&found.get::<_, String>("checksum")?),
            size_bytes,
            path: found.get("path")?,
            is_verified,
            offset_bytes: row::bytes(found, "offset_bytes")?,
            captured: captured_ms.map(|at_ms| Captured { at_ms, offset_seconds }),
        });
    }
    Ok(candidates)
}

/// The files of these lengths.
pub(super) fn of_sizes(
    connection: &Connection,
    account: AccountId,
    sizes: &HashSet<u64>,
) -> Result<Vec<Candidate>, Error> {
    candidates(connection, account, |size, _, _| sizes.contains(&size))
}

/// The files that are still to come, of assets with one of these names in lower case.
pub(super) fn open_of_names(
    connection: &Connection,
    account: AccountId,
    names: &HashSet<String>,
) -> Result<Vec<Candidate>, Error> {
    candidates(connection, account, |_, is_verified, name| {
        !is_verified && names.contains(&name.to_lowercase())
    })
}

/// What stands in the destination, which is `root` without links on the way, and is no photo but ours all
/// the same: sidecars, and links of albums.
pub(super) fn own_paths(
    connection: &Connection,
    account: AccountId,
    root: &str,
) -> Result<HashSet<String>, Error> {
    let mut statement = connection.prepare(
        "SELECT s.path FROM sidecar s JOIN asset_file USING (file_id) JOIN library USING (library_id)
         WHERE account_id = :account AND s.sha256 IS NOT NULL
         UNION ALL
         SELECT substr(directory || '/' || path, length(:root) + 2) FROM album_link
         WHERE account_id = :account AND substr(directory || '/', 1, length(:root) + 1) = :root || '/'",
    )?;
    let paths = statement.query_map(named_params! { ":account": account.0, ":root": root }, |r| r.get(0))?;
    Ok(paths.collect::<Result<_, _>>()?)
}

/// What earlier runs read.
pub(super) fn known(connection: &Connection, account: AccountId) -> Result<Known, Error> {
    let mut statement = connection.prepare(
        "SELECT path, size_bytes, modified_ns, inode, sha256, signature,
                iif(outcome = 'adopted', file_id, NULL) AS adopted_as FROM adoption
         WHERE account_id = :account AND sha256 IS NOT NULL",
    )?;
    let mut rows = statement.query(named_params! { ":account": account.0 })?;
    let mut known = Known::new();
    while let Some(found) = rows.next()? {
        let Some(sha256) = row::digest(found, "sha256")? else { continue };
        let signature: Vec<u8> = found.get("signature")?;
        let Ok(signature) = signature.try_into() else { continue };
        let local = LocalFile {
            path: found.get("path")?,
            size_bytes: row::bytes(found, "size_bytes")?,
            modified_ns: found.get("modified_ns")?,
            inode: found.get::<_, i64>("inode")?.cast_unsigned(),
        };
        let digests = Digests::kept(sha256, signature);
        let adopted_as = found.get::<_, Option<i64>>("adopted_as")?.map(FileId);
        known.insert(local.path.clone(), KnownLocal { local, digests, adopted_as });
    }
    Ok(known)
}

/// Records findings, and makes the adopted ones ours. Gives what really became of each: a row that
/// other hands moved, or a path that another verified file holds, is not adopted.
pub(super) fn record(
    connection: &Connection,
    account: AccountId,
    run: RunId,
    now: i64,
    findings: Vec<Finding>,
) -> Result<Vec<Finding>, Error> {
    let mut recorded = Vec::with_capacity(findings.len());
    for mut finding in findings {
        if let (Some(file), Some((path, proof)), Some(digests)) =
            (finding.file, &finding.adopt, &finding.digests)
        {
            let proved = finding.dated.unwrap_or(digests.sha256);
            if let Some(why) = adopt(connection, account, run, now, (file, path, proved, *proof))? {
                finding.outcome = Outcome::Unknown;
                finding.detail = Some(why);
                finding.adopt = None;
            } else if finding.dated.is_some() {
                redate::intend(connection, file, digests.sha256, finding.local.size_bytes)?;
                redate::written(connection, Some(run), now, file)?;
            }
        }
        keep(connection, account, run, &finding)?;
        recorded.push(finding);
    }
    Ok(recorded)
}

/// Makes a standing file ours. Says why not, if it cannot be.
fn adopt(
    connection: &Connection,
    account: AccountId,
    run: RunId,
    now: i64,
    (file, path, sha256, proof): (FileId, &str, Sha256Digest, Proof),
) -> Result<Option<String>, Error> {
    if let Some(why) = place::make_way(connection, account, file, path)? {
        return Ok(Some(why));
    }
    place::stand_at(connection, account, file, path)?;
    if !moves::adopted(connection, run, file, now, sha256, proof)? {
        return Ok(Some("its row is verified or in other hands already".to_owned()));
    }
    beside(connection, account, file, path)?;
    Ok(None)
}

/// What of the original's asset is still to come goes beside it, under its stem.
fn beside(connection: &Connection, account: AccountId, file: FileId, path: &str) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "SELECT f.asset_id, a.record_name FROM asset_file f JOIN asset a USING (asset_id)
         WHERE f.file_id = :file AND f.rendition = :original",
    )?;
    let original = Rendition::Original.as_str();
    let asset: Option<(i64, String)> = statement
        .query_row(named_params! { ":file": file.0, ":original": original }, |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    let Some((asset, name)) = asset else { return Ok(()) };
    let old_stem = place::stem(connection, AssetId(asset))?;
    let stem = path.rsplit_once('.').filter(|(_, e)| !e.contains('/')).map_or(path, |(stem, _)| stem);
    if stem == old_stem {
        return Ok(());
    }
    let mut statement = connection.prepare_cached("UPDATE asset SET stem = :stem WHERE asset_id = :asset")?;
    statement.execute(named_params! { ":stem": stem, ":asset": asset })?;
    // A part file stands beside its target: what is begun stays where it is.
    let mut statement = connection.prepare_cached(
        "SELECT file_id, path FROM asset_file
         WHERE asset_id = :asset AND state <> 'verified' AND offset_bytes = 0 AND claim_run_id IS NULL",
    )?;
    let rows = statement.query_map(named_params! { ":asset": asset }, |r| Ok((r.get(0)?, r.get(1)?)))?;
    let others = rows.collect::<Result<Vec<(i64, String)>, _>>()?;
    for (other, old) in others {
        if let Some(suffix) = old.strip_prefix(&old_stem).filter(|s| s.starts_with(['.', '-'])) {
            let wanted = format!("{stem}{suffix}");
            place::choose(connection, account, FileId(other), &wanted, &AssetName(name.clone()))?;
        }
    }
    Ok(())
}

fn keep(connection: &Connection, account: AccountId, run: RunId, finding: &Finding) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO adoption (account_id, path, size_bytes, modified_ns, inode, sha256, signature, outcome,
             file_id, detail, run_id)
         VALUES (:account, :path, :size, :modified, :inode, :sha256, :signature, :outcome, :file, :detail, :run)
         ON CONFLICT (account_id, path) DO UPDATE SET
             size_bytes = excluded.size_bytes, modified_ns = excluded.modified_ns, inode = excluded.inode,
             sha256 = excluded.sha256, signature = excluded.signature,
             -- What was adopted once stays told as that.
             outcome = iif(excluded.outcome = 'already' AND outcome = 'adopted', outcome, excluded.outcome),
             file_id = excluded.file_id, detail = excluded.detail, run_id = excluded.run_id",
    )?;
    let Finding { local, digests, .. } = finding;
    statement.execute(named_params! {
        ":account": account.0, ":path": local.path, ":size": int(local.size_bytes),
        ":modified": local.modified_ns, ":inode": local.inode.cast_signed(),
        ":sha256": digests.as_ref().map(|d| d.sha256.0), ":signature": digests.as_ref().map(Digests::signature),
        ":outcome": finding.outcome.as_str(), ":file": finding.file.map(|file| file.0),
        ":detail": finding.detail, ":run": run.0,
    })?;
    Ok(())
}

/// Forgets files that this run's walk of `prefix` did not meet any more.
pub(super) fn forget_gone(
    connection: &Connection,
    account: AccountId,
    run: RunId,
    prefix: &str,
) -> Result<(), Error> {
    connection.execute(
        "DELETE FROM adoption WHERE account_id = :account AND run_id <> :run
             AND substr(path, 1, length(:prefix)) = :prefix
             -- An empty prefix is the destination itself, not what was brought in from elsewhere.
             AND (:prefix <> '' OR substr(path, 1, 1) <> '/')",
        named_params! { ":account": account.0, ":run": run.0, ":prefix": prefix },
    )?;
    Ok(())
}

/// Up to `limit` lines of `v_adoption` of one run that a person should look at.
pub(super) fn to_look_at(connection: &Connection, run: RunId, limit: usize) -> Result<Vec<Adoption>, Error> {
    let mut statement = connection.prepare(
        "SELECT local_path, outcome, path, detail FROM v_adoption
         WHERE run_id = :run AND (outcome NOT IN ('adopted', 'adoptable', 'already') OR detail IS NOT NULL)
         ORDER BY outcome, local_path LIMIT :limit",
    )?;
    let mut rows = statement.query(named_params! { ":run": run.0, ":limit": limit as i64 })?;
    let mut lines = Vec::new();
    while let Some(found) = rows.next()? {
        let word: String = found.get("outcome")?;
        let outcome = Outcome::parse(&word).ok_or(Error::UnknownWord { what: "outcome", value: word })?;
        lines.push(Adoption {
            local_path: found.get("local_path")?,
            outcome,
            path: found.get("path")?,
            detail: found.get("detail")?,
        });
    }
    Ok(lines)
}
