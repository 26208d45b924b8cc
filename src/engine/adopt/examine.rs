//! Files of one length: read, proved, and made durable or brought into place. Blocks.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::disk::standing::{self, Bring, Durable};
use crate::disk::undated::DatedJpeg;
use crate::disk::{self, Destination, Place};
use crate::engine::stop::Stop;
use crate::journal::Known;
use crate::model::adoption::{self, Candidate, Finding, LocalFile, Match, Outcome};
use crate::model::checksum::{Digests, Proof};
use crate::model::layout;

/// Names tried for one file that is brought in: each that is taken is one more stranger's file.
const NAMES_MAX: usize = 8;

/// All local files of one length, and all files of the journal that have it too.
pub(super) struct Group {
    pub(super) locals: Vec<LocalFile>,
    pub(super) candidates: Vec<Candidate>,
}

/// What every group needs.
pub(super) struct Examiner {
    pub(super) destination: Destination,
    /// What earlier runs read.
    pub(super) known: Known,
    pub(super) durable: Durable,
    pub(super) stop: Stop,
    /// How files come into the destination; `None` where they stand in it.
    pub(super) bring: Option<Bring>,
    pub(super) dry_run: bool,
}

/// A finding, and the part file that it makes needless.
pub(super) struct Examined {
    pub(super) finding: Finding,
    pub(super) needless: Option<Place>,
}

impl Examiner {
    /// Says of each file what it is. What is to be adopted is durable when this returns.
    ///
    /// # Errors
    /// What concerns more than one file, or a wish to stop.
    pub(super) fn examine(&self, group: Group) -> Result<Vec<Examined>, disk::Error> {
        let Group { locals, candidates } = group;
        let mut findings = Vec::new();
        let mut read = Vec::new();
        for local in locals {
            if let Some(verified) = self.verified_already(&local, &candidates) {
                let mut finding = Finding::new(local, Outcome::Already);
                finding.file = Some(verified.file);
                finding.digests = self.known_digests(&finding.local);
                findings.push(finding);
            } else if candidates.is_empty() {
                findings.push(Finding::new(local, Outcome::Unknown));
            } else {
                match self.digests(&local) {
                    Ok(digests) => read.push((local, digests)),
                    Err(error) if self.stop.is_requested() || error.ends_the_run() => return Err(error),
                    Err(error) => {
                        findings.push(Finding::new(local, Outcome::Unreadable).because(error.to_string()));
                    }
                }
            }
        }
        let mut examined: Vec<Examined> =
            findings.into_iter().map(|finding| Examined { finding, needless: None }).collect();
        let matches = adoption::assign(&read, &candidates);
        let unserved: Vec<&Candidate> = candidates
            .iter()
            .enumerate()
            .filter(|(at, c)| !c.is_verified && !matches.iter().any(|m| m.candidate == *at))
            .map(|(_, candidate)| candidate)
            .collect();
        for (at, (local, digests)) in read.into_iter().enumerate() {
            match matches.iter().find(|found| found.local == at) {
                Some(found) => {
                    let more = unserved.iter().filter(|c| adoption::proved(c, &digests).is_some()).count();
                    let mut taken = self.take(local, digests, &candidates[found.candidate], found)?;
                    if more > 0 && taken.finding.detail.is_none() {
                        let detail = format!("iCloud has these bytes {more} more times; those are fetched");
                        taken.finding.detail = Some(detail);
                    }
                    examined.push(taken);
                }
                None => {
                    let finding = left_over(local, digests, &candidates);
                    examined.push(Examined { finding, needless: None });
                }
            }
        }
        Ok(examined)
    }

    /// Of files that are nothing of ours as they are, the JPEGs whose date is of our making, with the lengths
    /// that they may have had; and the others.
    pub(super) fn dated(&self, unknown: Vec<Finding>) -> (Vec<(Finding, Vec<u64>)>, Vec<Finding>) {
        let (mut dated, mut rest) = (Vec::new(), Vec::new());
        for finding in unknown {
            let extension = Path::new(&finding.local.path).extension().unwrap_or_default();
            let is_jpeg = ["jpg", "jpeg", "jpe"].iter().any(|of| extension.eq_ignore_ascii_case(of));
            let is_jpeg = is_jpeg && !self.stop.is_requested();
            // What cannot be read was read before, or is of no length of ours: it stays unknown.
            match is_jpeg.then(|| self.dated_jpeg(&finding.local)).and_then(|seen| seen.ok().flatten()) {
                Some(jpeg) => dated.push((finding, jpeg.lengths().to_vec())),
                None => rest.push(finding),
            }
        }
        (dated, rest)
    }

    /// Adopts such a file, if what remains without the date is that of one of `candidates`, which is taken
    /// out of them.
    pub(super) fn see_through(
        &self,
        finding: Finding,
        candidates: &mut HashMap<u64, Vec<Candidate>>,
    ) -> Result<Examined, disk::Error> {
        let local = finding.local.clone();
        let originals =
            match self.dated_jpeg(&local).and_then(|jpeg| jpeg.map(DatedJpeg::originals).transpose()) {
                Ok(originals) => originals.unwrap_or_default(),
                Err(error) if error.ends_the_run() => return Err(error),
                Err(_) => return Ok(Examined { finding, needless: None }),
            };
        for original in originals {
            let Some(like) = candidates.get_mut(&original.size_bytes) else { continue };
            let found = adoption::assign(&[(local.clone(), original.digests.clone())], like).pop();
            let Some(found) = found else { continue };
            let mut taken = self.take(local, original.dated, &like.swap_remove(found.candidate), &found)?;
            taken.finding.dated = Some(original.digests.sha256);
            return Ok(taken);
        }
        Ok(Examined { finding, needless: None })
    }

    fn dated_jpeg(&self, local: &LocalFile) -> Result<Option<DatedJpeg>, disk::Error> {
        match self.bring {
            None => self.destination.dated_jpeg(&local.path),
            Some(_) => DatedJpeg::at(Path::new(&local.path)),
        }
    }

    /// The verified row whose file this is already.
    fn verified_already<'a>(&self, local: &LocalFile, candidates: &'a [Candidate]) -> Option<&'a Candidate> {
        let mut verified = candidates.iter().filter(|candidate| candidate.is_verified);
        match self.bring {
            None => {
                let told_by = self.destination.file_system();
                verified.find(|candidate| told_by.is_same(&candidate.path, &local.path))
            }
            Some(_) => {
                let known = self.known.get(&local.path).filter(|known| known.local == *local)?;
                verified.find(|candidate| known.adopted_as == Some(candidate.file))
            }
        }
    }

    fn known_digests(&self, local: &LocalFile) -> Option<Digests> {
        self.known.get(&local.path).filter(|known| known.local == *local).map(|known| known.digests.clone())
    }

    fn digests(&self, local: &LocalFile) -> Result<Digests, disk::Error> {
        if let Some(digests) = self.known_digests(local) {
            return Ok(digests);
        }
        let go_on = || !self.stop.is_requested();
        match self.bring {
            None => self.destination.standing(&local.path)?.digests(local, go_on),
            Some(_) => standing::digests(Path::new(&local.path), local, go_on),
        }
    }

    /// Makes a proved file durable where it stands, or brings it into place.
    fn take(
        &self,
        local: LocalFile,
        digests: Digests,
        candidate: &Candidate,
        found: &Match,
    ) -> Result<Examined, disk::Error> {
        let path = local.path.clone();
        let mut finding = Finding::new(local, Outcome::Adoptable);
        finding.file = Some(candidate.file);
        let stands_at = match (self.dry_run, self.bring) {
            (true, _) => Ok(None),
            (false, None) => {
                let standing = self.destination.standing(&path);
                standing.and_then(|file| file.make_durable(&self.durable)).map(|()| Some(path))
            }
            (false, Some(how)) => self.bring(Path::new(&path), how, candidate, &digests).map(Some),
        };
        finding.digests = Some(digests);
        let mut needless = None;
        match stands_at {
            Ok(Some(path)) => {
                finding.outcome = Outcome::Adopted;
                finding.adopt = Some((path, found.proof));
                needless = (candidate.offset_bytes > 0).then(|| place(candidate, candidate.path.clone()));
            }
            Ok(None) => {}
            // So it is for all files alike: two file systems, no room.
            Err(error) if error.ends_the_run() || error.refused_link().is_some() => return Err(error),
            Err(error) => {
                finding.outcome = if self.bring.is_some() { Outcome::Blocked } else { Outcome::Unreadable };
                finding.file = finding.file.filter(|_| self.bring.is_some());
                finding.detail = Some(error.to_string());
            }
        }
        Ok(Examined { finding, needless })
    }

    /// Brings a file under the row's own name, or the next one that is free. Gives the name.
    fn bring(
        &self,
        source: &Path,
        how: Bring,
        candidate: &Candidate,
        digests: &Digests,
    ) -> Result<String, disk::Error> {
        let others = layout::other_paths(&candidate.path, &candidate.asset_name);
        for path in std::iter::once(candidate.path.clone()).chain(others).take(NAMES_MAX) {
            let folder = self.destination.folder(&place(candidate, path.clone()))?;
            if standing::bring(source, how, &folder, digests)?.is_some() {
                return Ok(path);
            }
        }
        let why = std::io::Error::other(format!("{NAMES_MAX} names are taken by other files"));
        Err(disk::Error::reading(&PathBuf::from(&candidate.path), why))
    }
}

/// A file whose bytes serve no row.
fn left_over(local: LocalFile, digests: Digests, candidates: &[Candidate]) -> Finding {
    let mut finding = Finding::new(local, Outcome::Unknown);
    let same = candidates.iter().find(|candidate| adoption::proved(candidate, &digests).is_some());
    let by_length = || candidates.iter().find(|c| c.checksum.prove(&digests) == Some(Proof::Length));
    if let Some(same) = same {
        (finding.outcome, finding.file) = (Outcome::Duplicate, Some(same.file));
    } else if let Some(like) = by_length() {
        let why = "Apple's checksum has a form that proves nothing but the length";
        finding.detail = Some(format!("as long as {}, but {why}", like.path));
    }
    finding.digests = Some(digests);
    finding
}

fn place(candidate: &Candidate, path: String) -> Place {
    Place { path, tag: layout::part_tag(&candidate.asset_name, &candidate.checksum) }
}
