//! Small files of ours beside photos: written whole, and only ever in place of our own.
//!
//! A file that stands under the name is ours if it is, byte for byte, what we wrote there last. Anything
//! else is somebody's work, and stays.

use std::io::Read as _;

use bytes::Bytes;
use rustix::fs::AtFlags;
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::disk::durable::sync_folder;
use crate::disk::error::Error;
use crate::disk::part::PartFile;
use crate::disk::publish::{self, Published};
use crate::disk::tree::{Destination, Folder, Place};
use crate::fault;
use crate::model::checksum::Sha256Digest;
use crate::model::recovery::Final;

/// Longest file that may be a sidecar of ours.
const SIDECAR_BYTES_MAX: u64 = 1024 * 1024;

/// A sidecar to write.
#[derive(Clone, Debug)]
pub struct Sidecar {
    /// Where it belongs.
    pub place: Place,
    /// What it is to hold.
    pub bytes: Vec<u8>,
    /// What we wrote there before.
    pub former: Option<Sha256Digest>,
}

/// How writing a sidecar ended.
#[derive(Debug)]
pub enum Outcome {
    /// It stands, durable, with this digest.
    Stands(Sha256Digest),
    /// Somebody else's file stands there, and stays.
    Foreign,
    /// The system refused.
    Refused(Error),
}

/// Writes sidecars. The answers are in their order.
pub fn write(destination: &Destination, sidecars: &[Sidecar]) -> Vec<Outcome> {
    sidecars.iter().map(|sidecar| write_one(destination, sidecar).unwrap_or_else(Outcome::Refused)).collect()
}

/// Removes a sidecar of ours that has no photo beside it any more. One that somebody changed stays.
///
/// # Errors
/// The system's word.
pub fn remove(destination: &Destination, place: &Place, former: Sha256Digest) -> Result<(), Error> {
    let folder = destination.folder(place)?;
    if digest_of(&folder)? != Standing::Digest(former) {
        return Ok(());
    }
    let path = folder.final_path();
    fault::step("unlink", &path).map_err(|e| Error::io("remove sidecar", &path, e))?;
    rustix::fs::unlinkat(&folder.handle, folder.name(), AtFlags::empty())
        .map_err(|e| Error::io("remove sidecar", &path, e))?;
    sync_folder(&folder.handle, folder.path()).map_err(|e| Error::io("sync folder", folder.path(), e))
}

fn write_one(destination: &Destination, sidecar: &Sidecar) -> Result<Outcome, Error> {
    let digest = Sha256Digest(Sha256::digest(&sidecar.bytes).into());
    let folder = destination.folder(&sidecar.place)?;
    let standing = digest_of(&folder)?;
    match standing {
        // Written before a crash that came before the journal knew.
        Standing::Digest(found) if found == digest => return Ok(Outcome::Stands(digest)),
        Standing::Digest(found) if Some(found) == sidecar.former => {}
        Standing::Nothing => {}
        Standing::Digest(_) | Standing::Other => return Ok(Outcome::Foreign),
    }
    let mut part = PartFile::create(&folder, sidecar.bytes.len() as u64)?;
    part.append(&[Bytes::copy_from_slice(&sidecar.bytes)])?;
    if standing == Standing::Nothing {
        return match publish::publish(&[(&part, &folder)]).pop() {
            Some(Published::Done) => Ok(Outcome::Stands(digest)),
            Some(Published::NameTaken) | None => folder.remove_part().map(|()| Outcome::Foreign),
            Some(Published::Refused(error) | Published::NotDurable(error)) => Err(error),
        };
    }
    part.sync()?;
    let path = folder.final_path();
    fault::rename(&folder.part_path(), folder.name()).map_err(|e| Error::io("replace sidecar", &path, e))?;
    rustix::fs::renameat(&folder.handle, folder.part_name().as_str(), &folder.handle, folder.name())
        .map_err(|e| Error::io("replace sidecar", &path, e))?;
    sync_folder(&folder.handle, folder.path()).map_err(|e| Error::io("sync folder", folder.path(), e))?;
    Ok(Outcome::Stands(digest))
}

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Nothing,
    Digest(Sha256Digest),
    Other,
}

fn digest_of(folder: &Folder) -> Result<Standing, Error> {
    // A size that no file has: only whether there is one matters here.
    if folder.final_fact(u64::MAX)? == Final::None {
        return Ok(Standing::Nothing);
    }
    let file = match folder.open_final() {
        Ok(file) => file,
        Err(Error::Io { source, .. }) if Errno::from_io_error(&source) == Some(Errno::LOOP) => {
            return Ok(Standing::Other);
        }
        Err(error) => return Err(error),
    };
    let reading = |e| Error::reading(&folder.final_path(), e);
    if !file.metadata().map_err(reading)?.is_file() {
        return Ok(Standing::Other);
    }
    let mut bytes = Vec::new();
    file.take(SIDECAR_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(reading)?;
    Ok(Standing::Digest(Sha256Digest(Sha256::digest(&bytes).into())))
}
