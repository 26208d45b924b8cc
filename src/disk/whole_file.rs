//! A file that a person asked for, such as an export: it is there whole, or as it was before.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::durable::sync_file;

/// A file under way, under another name beside its own.
#[derive(Debug)]
pub struct WholeFile {
    file: File,
    path: PathBuf,
    new: PathBuf,
}

impl WholeFile {
    /// Begins a file that will stand at `path`, in place of one that may stand there.
    ///
    /// # Errors
    /// The system's word.
    pub fn create(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.new", std::process::id()));
        let new = path.with_file_name(hidden);
        // A pipe or a device takes the bytes as they come: there is nothing to rename over it.
        if std::fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir()) {
            let file = File::options().write(true).open(path)?;
            return Ok(Self { file, path: path.to_owned(), new: path.to_owned() });
        }
        Ok(Self { file: File::create_new(&new)?, path: path.to_owned(), new })
    }

    /// Where its bytes go.
    ///
    /// # Errors
    /// The system's word.
    pub fn writer(&self) -> io::Result<impl io::Write + Send + use<>> {
        self.file.try_clone()
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// The system's word.
    pub fn publish(mut self) -> io::Result<()> {
        if self.new == self.path {
            return Ok(());
        }
        sync_file(&self.file, &self.new)?;
        std::fs::rename(&self.new, &self.path)?;
        self.new = self.path.clone();
        Ok(())
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if self.new != self.path {
            let _ = std::fs::remove_file(&self.new);
        }
    }
}
