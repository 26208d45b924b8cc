//! Held: where the bytes of a file are until they have their final name.
//!
//! Those of a small file stay in memory until all are here and proved. Its part file is made, written and
//! published together with those of others: of such a file the ways to the disk and back cost more than
//! its bytes do. Any other file has its part file from the start, and so has one that is stopped half-way.

use std::sync::Arc;

use bytes::Bytes;

use crate::disk::part::PIECE_BYTES;
use crate::disk::tree::Folders;
use crate::disk::{self, Destination, Folder, PartFile, Place};
use crate::fault;
use crate::model::checksum::Hasher;

/// What holds the bytes of a file.
pub(super) enum Held {
    /// Memory. Nothing stands on the disk.
    Memory(Body),
    /// A part file.
    Part(Part),
}

/// The bytes of a small file, and where they belong.
pub(super) struct Body {
    destination: Arc<Destination>,
    place: Place,
    chunks: Vec<Bytes>,
    len: u64,
}

/// A part file and its folder.
pub(super) struct Part {
    pub(super) folder: Folder,
    pub(super) file: PartFile,
}

/// What holds the bytes of a file, and their digests. They move together.
pub(super) struct Sink {
    pub(super) held: Held,
    pub(super) hasher: Hasher,
}

/// Whether a file of this size is held in memory.
pub(super) fn is_small(size_bytes: u64) -> bool {
    size_bytes < PIECE_BYTES as u64
}

impl Body {
    pub(super) fn new(destination: Arc<Destination>, place: Place) -> Self {
        Self { destination, place, chunks: Vec::new(), len: 0 }
    }

    /// Makes the part file and writes all bytes there.
    fn land(self, folders: &mut Folders) -> Result<Part, disk::Error> {
        let folder = folders.of(&self.destination, &self.place)?;
        self.destination.room()?.check(&folder.part_path(), self.len)?;
        let mut file = PartFile::create(&folder, self.len)?;
        fault::point("part-created");
        file.append(&self.chunks)?;
        fault::point("written");
        Ok(Part { folder, file })
    }
}

impl Held {
    /// How many bytes it holds.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Memory(body) => body.len,
            Self::Part(part) => part.file.len(),
        }
    }

    /// How many of them take memory.
    pub(super) fn memory_bytes(&self) -> u64 {
        match self {
            Self::Memory(body) => body.len,
            Self::Part(_) => 0,
        }
    }

    /// The part file, made and written now if there was none. Blocks.
    pub(super) fn land(self, folders: &mut Folders) -> Result<Part, disk::Error> {
        match self {
            Self::Memory(body) => body.land(folders),
            Self::Part(part) => Ok(part),
        }
    }
}

impl Sink {
    /// Takes the next bytes of the file: hashes them, and writes them where there is a part file. That blocks.
    pub(super) fn take(&mut self, piece: Vec<Bytes>) -> Result<(), disk::Error> {
        for chunk in &piece {
            self.hasher.update(chunk);
        }
        match &mut self.held {
            Held::Memory(body) => {
                body.len += piece.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
                body.chunks.extend(piece);
                Ok(())
            }
            Held::Part(part) => {
                let written = part.file.append(&piece);
                fault::point("written");
                written
            }
        }
    }

    /// Forgets the bytes so far. Blocks where there is a part file.
    pub(super) fn restart(&mut self) -> Result<(), disk::Error> {
        self.hasher = Hasher::default();
        match &mut self.held {
            Held::Memory(body) => {
                body.chunks.clear();
                body.len = 0;
                Ok(())
            }
            Held::Part(part) => part.file.cut(0),
        }
    }

    /// Makes the bytes so far durable, and with `named` the name of their part file. Blocks. After an error
    /// nothing of them is to be trusted.
    pub(super) fn make_durable(self, named: bool) -> Result<Self, disk::Error> {
        let Self { held, hasher } = self;
        let part = held.land(&mut Folders::default())?;
        part.file.sync()?;
        if named {
            part.folder.make_durable()?;
        }
        Ok(Self { held: Held::Part(part), hasher })
    }
}
