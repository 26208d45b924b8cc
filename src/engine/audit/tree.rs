//! The tree's side of the sheet: what stands below the destination and is no verified file of ours.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::disk::{self, Entry};
use crate::engine::audit::{Audit, Kind};
use crate::engine::error::Error;
use crate::journal::{KnownPath, Reader};
use crate::model::file_system::FileSystem;
use crate::model::ids::AccountId;
use crate::model::{layout, xmp};

impl Audit {
    /// What stands below the destination and is no verified file of ours.
    pub(super) fn tree(&mut self) -> Result<(), Error> {
        let (destination, reader) = (Arc::clone(&self.destination), self.reader.clone());
        let (account, stop) = (self.account, self.stop.clone());
        let albums = reader.album_folders(account)?;
        let told_by = destination.file_system().clone();
        // Links may be told by other names than their own: then all of them are held.
        let mut links = HashSet::new();
        if told_by.folds() && !albums.is_empty() {
            let root = destination.real_directory()?;
            let own = reader.own_paths(account, &root.to_string_lossy())?;
            links.extend(own.into_iter().map(|path| told_by.fold(&path).into_owned()));
        }
        let mut failed = None;
        let mut notes = Vec::new();
        let tell = |audit: &mut Self, note: (Kind, String, String)| {
            audit.tell(None, note.0, None, note.1, note.2);
        };
        let walked = disk::census(
            &destination,
            |entry| {
                let full = destination.directory().join(&entry.path);
                let linked = albums
                    .iter()
                    .find_map(|folder| Some((folder, full.strip_prefix(folder).ok()?.to_str()?)));
                let is_link = match linked {
                    _ if links.contains(&*told_by.fold(&entry.path)) => Ok(true),
                    Some((folder, path)) => reader.is_album_link(account, folder, path),
                    None => Ok(false),
                };
                let noted = match is_link {
                    Ok(true) => Ok(None),
                    Ok(false) => note(&reader, account, entry, &told_by),
                    Err(error) => Err(error.into()),
                };
                match noted {
                    Ok(Some(note)) => tell(self, note),
                    Ok(None) => {}
                    Err(error) => failed = Some(error),
                }
                failed.is_none() && !stop.is_requested()
            },
            |error| notes.push(error.to_string()),
        );
        for refused in notes {
            self.tell(None, Kind::Unreadable, None, "a folder".to_owned(), refused);
        }
        walked?;
        failed.map_or(Ok(()), Err)?;
        self.trash()
    }

    /// What lies in the trash and is no file of ours: nothing will ever remove it, and nothing needs to. One that
    /// may be ours, under another name, is said to be so.
    fn trash(&mut self) -> Result<(), Error> {
        let stop = self.stop.clone();
        let found = match self.destination.in_trash(|| !stop.is_requested()) {
            Err(_) if self.stop.is_requested() => return Ok(()),
            found => found?,
        };
        if found.is_empty() {
            return Ok(());
        }
        let told_by = self.destination.file_system().clone();
        let fold = |path: String| told_by.fold(&path).into_owned();
        let lengths: HashMap<String, u64> =
            found.iter().map(|file| (fold(file.path.clone()), file.size_bytes)).collect();
        let (mut known, mut missed) = (HashSet::new(), HashSet::new());
        for file in self.reader.trash(self.account)? {
            let Some(path) = file.trash_path else { continue };
            if file.sidecar.is_some() {
                known.insert(fold(format!("{path}{}", xmp::SUFFIX)));
            }
            let path = fold(path);
            if lengths.get(&path) != Some(&file.size_bytes) {
                missed.insert(file.size_bytes);
            }
            known.insert(path);
        }
        for file in found.into_iter().filter(|file| !known.contains(&*told_by.fold(&file.path))) {
            let reason = match missed.contains(&file.size_bytes) {
                true => {
                    "no row names it, and it is as long as a file that is not under its name there: keep it, for \
                     \"rollbook undelete\" finds files by their bytes"
                }
                false => "no row names it: it needs nothing, and is yours to keep or to delete",
            };
            self.tell(None, Kind::Trash, None, file.path, reason.to_owned());
        }
        Ok(())
    }
}

/// What is to be said about something in the tree: nothing of a file that belongs there.
fn note(
    reader: &Reader,
    account: AccountId,
    entry: Entry,
    told_by: &FileSystem,
) -> Result<Option<(Kind, String, String)>, Error> {
    let known = |path: &str| reader.known_path(account, path, told_by);
    let say = |kind, reason: &str| Ok(Some((kind, entry.path.clone(), reason.to_owned())));
    if entry.is_text && entry.is_file {
        match known(&entry.path)? {
            Some(KnownPath::Verified | KnownPath::OutOfScope | KnownPath::Sidecar) => return Ok(None),
            Some(KnownPath::Open) => {
                return say(
                    Kind::Unverified,
                    "a file is still to come under this name; the next sync looks at it",
                );
            }
            None => {}
        }
        if let Some(whole) = layout::part_of(&entry.path) {
            return match known(whole)? {
                Some(KnownPath::Open) => Ok(None),
                _ => say(Kind::LeftOverPart, "a part file that no row waits for"),
            };
        }
        if entry.path.contains(".damaged-") {
            return say(Kind::SetAside, "a damaged file that was set aside");
        }
    } else if known(&entry.path)? == Some(KnownPath::Verified) {
        // Named already, as what stands in place of a file.
        return Ok(None);
    }
    say(Kind::Stranger, "not a file of this journal")
}
