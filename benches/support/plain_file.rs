//! A file that is written and hashed, and nothing else: what floor and bare do with what they receive.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rollbook::model::checksum::{Digests, Hasher};

/// Bytes gathered before they are written.
pub(crate) const PIECE_BYTES: usize = 256 * 1024;

/// A file under way, under another name.
pub(crate) struct PlainFile {
    path: PathBuf,
    file: File,
    hasher: Hasher,
    piece: Vec<u8>,
}

impl PlainFile {
    /// Begins a file that will stand at `path`, with room for so many bytes.
    pub(crate) fn create(path: &Path, room: usize) -> Self {
        let file = File::create(path.with_extension("part")).expect("a file can be made");
        Self { path: path.to_owned(), file, hasher: Hasher::default(), piece: Vec::with_capacity(room) }
    }

    /// Takes what comes next.
    pub(crate) fn take(&mut self, chunk: &[u8]) {
        self.hasher.update(chunk);
        self.piece.extend_from_slice(chunk);
        if self.piece.len() >= PIECE_BYTES {
            self.file.write_all(&self.piece).expect("room on the disk");
            self.piece.clear();
        }
    }

    /// Ends the file, and gives both hashes of it.
    pub(crate) fn finish(mut self) -> Digests {
        self.file.write_all(&self.piece).expect("room on the disk");
        std::fs::rename(self.path.with_extension("part"), &self.path).expect("a file can be renamed");
        self.hasher.finish()
    }
}
