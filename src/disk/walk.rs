//! A walk through somebody's tree: what files are there, without opening or changing one.
//!
//! Links are not followed and are named; a folder that cannot be read is named too. The walk holds
//! one line for each file and nothing of its bytes.

use std::fs::{self, DirEntry};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::disk::error::Error;
use crate::disk::trash;
use crate::disk::tree::{MARKER, MARKER_NEW};
use crate::model::adoption::LocalFile;
use crate::model::layout::PART_SUFFIX;

/// What stands somewhere in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// A plain file.
    File(LocalFile),
    /// Something that cannot be looked into, and why. Only its path is sure.
    Closed(LocalFile, String),
}

/// Where a folder lies, seen from the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// In it, below this path; empty for the destination itself.
    Within(String),
    /// Beside or above it: the folder without links, and the destination likewise.
    Outside(PathBuf, PathBuf),
}

/// Says where `folder` lies, links on the way resolved.
///
/// # Errors
/// If one of the two is not there, or the way between them is no text.
pub fn locate(destination: &Path, folder: &Path) -> Result<Whereabouts, Error> {
    let real = |path: &Path| fs::canonicalize(path).map_err(|e| Error::io("look into", path, e));
    let (destination, folder) = (real(destination)?, real(folder)?);
    match folder.strip_prefix(&destination) {
        Ok(below) => {
            let no_text = || Error::reading(&folder, std::io::Error::other("its name is no text"));
            Ok(Whereabouts::Within(below.to_str().ok_or_else(no_text)?.to_owned()))
        }
        Err(_) => Ok(Whereabouts::Outside(folder, destination)),
    }
}

/// Lists every file below `root`, paths relative to it. Leaves out what rollbook itself puts there
/// beside photos, and the folders in `without`.
///
/// # Errors
/// If `root` itself cannot be read, or `go_on` says no (as interrupted).
pub fn walk(root: &Path, without: &[PathBuf], go_on: impl Fn() -> bool) -> Result<Vec<Sight>, Error> {
    let mut sights = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        if !go_on() {
            return Err(Error::reading(&folder, std::io::ErrorKind::Interrupted.into()));
        }
        let entries = fs::read_dir(&folder).and_then(Iterator::collect::<Result<Vec<DirEntry>, _>>);
        match entries {
            Ok(mut entries) => {
                entries.sort_by_key(DirEntry::file_name);
                for entry in entries {
                    look(root, &entry, without, &mut folders, &mut sights);
                }
            }
            Err(error) if folder == root => return Err(Error::reading(root, error)),
            Err(error) => sights.push(Sight::Closed(nameless(root, &folder), error.to_string())),
        }
    }
    Ok(sights)
}

fn look(
    root: &Path,
    entry: &DirEntry,
    without: &[PathBuf],
    folders: &mut Vec<PathBuf>,
    sights: &mut Vec<Sight>,
) {
    let path = entry.path();
    let closed = |why: &str| Sight::Closed(nameless(root, &path), why.to_owned());
    let name = entry.file_name();
    if is_ours(&name.to_string_lossy()) || without.contains(&path) {
        return;
    }
    let meta = match entry.metadata() {
        Ok(meta) => meta,
        Err(error) => return sights.push(closed(&error.to_string())),
    };
    if meta.is_dir() {
        return folders.push(path);
    }
    if !meta.is_file() {
        let why = if meta.is_symlink() { "a link, and links are not followed" } else { "not a file" };
        return sights.push(closed(why));
    }
    let Some(text) = path.strip_prefix(root).ok().and_then(Path::to_str) else {
        return sights.push(closed("its name is no text"));
    };
    sights.push(Sight::File(LocalFile {
        path: text.to_owned(),
        size_bytes: meta.len(),
        modified_ns: meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec()),
        inode: meta.ino(),
    }));
}

/// Whether a name is one of rollbook's own: its marker, its folders, or a part file `NAME.TAG.part`.
fn is_ours(name: &str) -> bool {
    let is_part = || {
        let (_, tag) = name.strip_suffix(PART_SUFFIX)?.rsplit_once('.')?;
        Some(tag.len() == 6 && tag.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let own = [MARKER, MARKER_NEW, trash::FOLDER];
    own.contains(&name) || is_part().unwrap_or(false)
}

fn nameless(root: &Path, path: &Path) -> LocalFile {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let path = relative.to_string_lossy().into_owned();
    LocalFile { path, size_bytes: 0, modified_ns: 0, inode: 0 }
}
