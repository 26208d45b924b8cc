//! JPEGs that got their date from us, seen through: the bytes that Apple's checksum proved are in them.
//!
//! For files whose journal is lost or older than they are. What was added is taken away in memory, and only
//! the digest of what remains says whether a file is ours: nothing is guessed, and nothing is written.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::io::Errno;

use crate::disk::error::Error;
use crate::disk::standing;
use crate::disk::tree::Destination;
use crate::model::checksum::{Digests, Hasher};
use crate::model::exif;

/// What is read to see whether a date may be of our making: the segments before the picture, where nobody
/// put a thousand pages into them.
const HEAD_BYTES: u64 = 1024 * 1024;
/// Longest file that is read whole, as when dates are written.
pub const JPEG_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A JPEG whose date is of our making, by all that can be seen of its head.
#[derive(Debug)]
pub struct DatedJpeg {
    file: File,
    path: PathBuf,
    len: u64,
    lengths: Vec<u64>,
}

/// What a file was before it got its date, and what it is.
#[derive(Clone, Debug)]
pub struct Original {
    /// How long it was.
    pub size_bytes: u64,
    /// The digests that it had.
    pub digests: Digests,
    /// The digests of the file as it is.
    pub dated: Digests,
    /// How long it is now.
    pub dated_bytes: u64,
}

impl Destination {
    /// Looks at the head of a file in the destination. `None`: its date is not of our making.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn dated_jpeg(&self, path: &str) -> Result<Option<DatedJpeg>, Error> {
        let full = self.directory().join(path);
        let standing = match self.standing(path) {
            // A socket cannot even be opened.
            Err(Error::Io { source, .. }) if Errno::from_io_error(&source) == Some(Errno::NXIO) => {
                return Ok(None);
            }
            standing => standing?,
        };
        let file = standing.file().try_clone().map_err(|e| Error::reading(&full, e))?;
        DatedJpeg::of(file, &full)
    }
}

impl DatedJpeg {
    /// Looks at the head of a file anywhere, likewise.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn at(path: &Path) -> Result<Option<Self>, Error> {
        Self::of(standing::open(CWD, path, path)?, path)
    }

    fn of(mut file: File, path: &Path) -> Result<Option<Self>, Error> {
        let reading = |e| Error::reading(path, e);
        let meta = file.metadata().map_err(reading)?;
        if !meta.is_file() || meta.len() > JPEG_BYTES_MAX {
            return Ok(None);
        }
        file.rewind().map_err(reading)?;
        let mut head = Vec::new();
        (&file).take(2).read_to_end(&mut head).map_err(reading)?;
        if head != [0xff, 0xd8] {
            return Ok(None);
        }
        (&file).take(HEAD_BYTES).read_to_end(&mut head).map_err(reading)?;
        let added = |old: Vec<u8>| head.len().saturating_sub(old.len()) as u64;
        let lengths: Vec<u64> =
            exif::undated(&head).into_iter().map(|old| meta.len().saturating_sub(added(old))).collect();
        let is_ours = !lengths.is_empty();
        Ok(is_ours.then(|| Self { file, path: path.to_owned(), len: meta.len(), lengths }))
    }

    /// How long it may have been.
    #[must_use]
    pub fn lengths(&self) -> &[u64] {
        &self.lengths
    }

    /// What it was, if it was so long and `is_it` says so.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn original(
        self,
        size_bytes: u64,
        is_it: impl Fn(&Original) -> bool,
    ) -> Result<Option<Original>, Error> {
        if !self.lengths.contains(&size_bytes) {
            return Ok(None);
        }
        Ok(self.originals()?.into_iter().find(|of| of.size_bytes == size_bytes && is_it(of)))
    }

    /// Reads it whole, and says what it may have been.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn originals(mut self) -> Result<Vec<Original>, Error> {
        let reading = |e| Error::reading(&self.path, e);
        let mut bytes = Vec::with_capacity(usize::try_from(self.len).unwrap_or_default());
        self.file.rewind().map_err(reading)?;
        (&self.file).take(JPEG_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(reading)?;
        let dated = digests(&bytes);
        let original = |old: Vec<u8>| Original {
            size_bytes: old.len() as u64,
            digests: digests(&old),
            dated: dated.clone(),
            dated_bytes: bytes.len() as u64,
        };
        Ok(exif::undated(&bytes).into_iter().map(original).collect())
    }
}

fn digests(bytes: &[u8]) -> Digests {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.finish()
}
