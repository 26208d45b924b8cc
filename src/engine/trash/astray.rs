//! Astray in the trash: files that lie there under other names than the journal says, because a person moved
//! them, perhaps to each other's.
//!
//! They are known by their length and their bytes, and their new names are learned; nothing is moved. What lies
//! under its own name is never taken for another of the same bytes.

use std::collections::{HashMap, HashSet};

use crate::disk::standing::Stands;
use crate::disk::{self, Destination};
use crate::engine::error::Error;
use crate::engine::run::now;
use crate::engine::stop::Stop;
use crate::engine::trash::{Trash, beside, ids, trash_path};
use crate::journal::Trashed;
use crate::model::adoption::LocalFile;
use crate::model::checksum::Sha256Digest;
use crate::model::ids::FileId;
use crate::model::xmp;

impl Trash {
    /// Looks through the trash for files that are not under their names there, and learns where they lie. Gives
    /// those, and the others; neither, if somebody asked to stop.
    pub(super) async fn find_astray(
        &self,
        sought: Vec<Trashed>,
    ) -> Result<(Vec<Trashed>, Vec<Trashed>), Error> {
        if sought.is_empty() {
            return Ok((sought, Vec::new()));
        }
        let (held, wanted, stop) = (self.held().await?, ids(&sought), self.stop.clone());
        let searched = self.on_disk(move |of| match search(of, &held, &wanted, &stop) {
            Err(error) if error.is_interrupted() => Ok(None),
            searched => searched.map(Some),
        });
        let Some(found) = searched.await? else { return Ok((Vec::new(), Vec::new())) };
        self.journal.moved_in_trash(self.run, now(), found.clone()).await?;
        let mut names: HashMap<FileId, String> = found.into_iter().collect();
        let (mut astray, mut lost) = (Vec::new(), Vec::new());
        for file in sought {
            match names.remove(&file.id) {
                Some(path) => astray.push(Trashed { trash_path: Some(path), ..file }),
                None => lost.push(file),
            }
        }
        Ok((astray, lost))
    }

    /// Where sidecars of ours lie in the trash that are not beside their files: one of the two was moved alone.
    pub(super) async fn sidecars_astray(&self, files: &[Trashed]) -> Result<HashMap<FileId, String>, Error> {
        let (mut sought, stop) = (files.to_vec(), self.stop.clone());
        let alone = self.on_disk(move |of| {
            sought.retain(|file| !has_sidecar_beside(of, file, &stop));
            Ok(sought)
        });
        let sought = alone.await?;
        if sought.is_empty() {
            return Ok(HashMap::new());
        }
        let (held, stop) = (self.held().await?, self.stop.clone());
        self.on_disk(move |of| match search_sidecars(of, &held, sought, &stop) {
            Err(error) if error.is_interrupted() => Ok(HashMap::new()),
            searched => searched,
        })
        .await
    }
}

/// Where the files in `sought` lie. Under whose name one of them lies, that file is sought too.
fn search(
    of: &Destination,
    held: &[Trashed],
    sought: &[FileId],
    stop: &Stop,
) -> Result<Vec<(FileId, String)>, disk::Error> {
    let told_by = of.file_system();
    let mut by_name: HashMap<String, Vec<&Trashed>> = HashMap::new();
    for file in held {
        by_name.entry(told_by.fold(trash_path(file)).into_owned()).or_default().push(file);
    }
    let named = |local: &LocalFile| by_name.get(&*told_by.fold(&local.path)).cloned().unwrap_or_default();
    let mut by_size: HashMap<u64, Vec<LocalFile>> = HashMap::new();
    for local in in_order(of, stop)? {
        by_size.entry(local.size_bytes).or_default().push(local);
    }
    let (mut digests, mut found) = (HashMap::new(), Vec::new());
    let mut seen: HashSet<FileId> = sought.iter().copied().collect();
    let mut queue: Vec<&Trashed> = held.iter().filter(|file| seen.contains(&file.id)).collect();
    while let Some(file) = queue.pop() {
        let Some(alike) = by_size.get_mut(&file.size_bytes) else { continue };
        let mut at = None;
        for (index, local) in alike.iter().enumerate() {
            let digest = match digests.get(&local.path) {
                Some(known) => *known,
                None => *digests.entry(local.path.clone()).or_insert(digest(of, local, stop)?),
            };
            let is_its_own = || named(local).iter().any(|of| of.sha256 == digest);
            if digest.is_some() && digest == file.sha256 && !is_its_own() {
                at = Some(index);
                break;
            }
        }
        let Some(at) = at else { continue };
        let local = alike.swap_remove(at);
        queue.extend(named(&local).into_iter().filter(|other| seen.insert(other.id)));
        found.push((file.id, local.path));
    }
    Ok(found)
}

fn has_sidecar_beside(of: &Destination, file: &Trashed, stop: &Stop) -> bool {
    file.sidecar.is_some_and(|sha256| {
        let found = of.stands(&beside(trash_path(file)), None, sha256, || !stop.is_requested());
        found.is_ok_and(|found| found == Stands::It)
    })
}

fn search_sidecars(
    of: &Destination,
    held: &[Trashed],
    mut sought: Vec<Trashed>,
    stop: &Stop,
) -> Result<HashMap<FileId, String>, disk::Error> {
    let told_by = of.file_system();
    let fold = |path: &str| told_by.fold(path).into_owned();
    let own: HashMap<_, _> =
        held.iter().map(|file| (fold(&beside(trash_path(file))), file.sidecar)).collect();
    let mut found = HashMap::new();
    for local in in_order(of, stop)?.into_iter().filter(|local| local.path.ends_with(xmp::SUFFIX)) {
        let digest = digest(of, &local, stop)?;
        if digest.is_none() || own.get(&fold(&local.path)) == Some(&digest) {
            continue;
        }
        if let Some(at) = sought.iter().position(|file| file.sidecar == digest) {
            found.insert(sought.swap_remove(at).id, local.path);
        }
    }
    Ok(found)
}

/// The files in the trash, in the same order whatever order the walk had.
fn in_order(of: &Destination, stop: &Stop) -> Result<Vec<LocalFile>, disk::Error> {
    let mut files = of.in_trash(|| !stop.is_requested())?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// The digest of a file; `None` if it cannot be read.
fn digest(of: &Destination, local: &LocalFile, stop: &Stop) -> Result<Option<Sha256Digest>, disk::Error> {
    match of.standing(&local.path).and_then(|mut file| file.sha256(|| !stop.is_requested())) {
        Ok(digest) => Ok(Some(digest)),
        Err(error) if error.is_interrupted() => Err(error),
        Err(_) => Ok(None),
    }
}
