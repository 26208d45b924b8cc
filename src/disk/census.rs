//! A census of the tree: everything that stands below a destination, folder by folder.
//!
//! Memory follows the depth and the largest folder, not the number of files. Links are named, not
//! followed.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::disk::error::Error;
use crate::disk::trash;
use crate::disk::tree::{Destination, MARKER, MARKER_NEW};

/// Something that stands below the destination and is no folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the destination, `/` between components. Bytes that are no text are replaced.
    pub path: String,
    /// Whether all of the path is text, so that a row can have this path.
    pub is_text: bool,
    /// Whether it is a regular file.
    pub is_file: bool,
    /// How long it is.
    pub size_bytes: u64,
}

/// Calls `each` for everything below the destination that is no folder, and `refused` for a folder
/// that cannot be read. Ends early when `each` says `false`.
///
/// # Errors
/// If the root itself cannot be read.
pub fn census(
    destination: &Destination,
    mut each: impl FnMut(Entry) -> bool,
    mut refused: impl FnMut(Error),
) -> Result<(), Error> {
    let root = destination.directory();
    let mut folders: Vec<PathBuf> = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let full = root.join(&folder);
        let entries = match std::fs::read_dir(&full) {
            Ok(entries) => entries,
            Err(e) if folder.as_os_str().is_empty() => return Err(Error::io("read folder", &full, e)),
            Err(e) => {
                refused(Error::io("read folder", &full, e));
                continue;
            }
        };
        let mut entries: Vec<_> = entries.collect();
        // The same tree is told in the same order, whatever the file system thinks.
        entries.sort_by_key(|entry| entry.as_ref().map(|entry| entry.file_name()).ok());
        let mut below = Vec::new();
        for entry in entries {
            let looked = entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?, entry)));
            let (name, kind, entry) = match looked {
                Ok(looked) => looked,
                Err(e) => {
                    refused(Error::io("read folder", &full, e));
                    break;
                }
            };
            if folder.as_os_str().is_empty() && is_ours(&name) {
                continue;
            }
            let path = folder.join(&name);
            if kind.is_dir() {
                below.push(path);
                continue;
            }
            let size_bytes = entry.metadata().map_or(0, |meta| meta.len());
            let text = path.to_str().map(str::to_owned);
            let entry = Entry {
                is_text: text.is_some(),
                path: text.unwrap_or_else(|| path.to_string_lossy().into_owned()),
                is_file: kind.is_file(),
                size_bytes,
            };
            if !each(entry) {
                return Ok(());
            }
        }
        folders.extend(below.into_iter().rev());
    }
    Ok(())
}

fn is_ours(name: &OsString) -> bool {
    [MARKER, MARKER_NEW, trash::FOLDER].iter().any(|own| name == own)
}
