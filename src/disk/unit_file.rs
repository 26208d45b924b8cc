//! Unit files: written and removed where they bear our mark, left alone where they do not.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Writes a unit in place of an older one of ours.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if somebody else's stands there; else the system's word.
pub fn write(path: &Path, text: &str, mark: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    if path.symlink_metadata().is_ok() && !is_ours(path, mark)? {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let new = path.with_extension("rollbook-new");
    std::fs::write(&new, text)?;
    std::fs::rename(&new, path)
}

/// Whether a unit of ours stands at `path`.
///
/// # Errors
/// If there is a file that cannot be read.
pub fn is_ours(path: &Path, mark: &str) -> io::Result<bool> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.starts_with(mark)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a unit of ours.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if it is not ours; else the system's word.
pub fn remove(path: &Path, mark: &str) -> io::Result<()> {
    if !is_ours(path, mark)? {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    std::fs::remove_file(path)
}

/// Whether this process is root's. Where the system does not say, it is not.
#[must_use]
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|of| of.uid() == 0)
}
