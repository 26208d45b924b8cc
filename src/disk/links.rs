//! Views: trees of links to photos that stand elsewhere. What a person sees twice is stored once.
//!
//! A view is made, never copied, and nothing in it is ever replaced: a name that somebody else's file
//! holds stays with that file. A link of ours is removed only while it is still the one that was made.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::disk::durable::{sync_file, sync_folder};
use crate::disk::error::{Error, MAKE_LINK};
use crate::disk::tree::{DIRECTORY, Destination, enter, make};
use crate::fault;
use crate::model::views::{LinkId, LinkKind};

/// More than this beyond the wanted length is read of no file that may be ours.
const WRITTEN_BYTES_MAX: u64 = 64 * 1024;

/// What became of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linked {
    /// It stands: made now, or by a run that was killed before it could say so.
    Stands(LinkId),
    /// Somebody else's file holds the name.
    Foreign,
}

/// The folder that holds a view.
#[derive(Debug)]
pub struct View {
    root: OwnedFd,
    directory: PathBuf,
}

impl View {
    /// Opens the folder of a view, creating it if need be.
    ///
    /// # Errors
    /// The system's word.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(directory).map_err(|e| Error::io("create directory", directory, e))?;
        let directory = std::fs::canonicalize(directory).map_err(|e| Error::io("look into", directory, e))?;
        let root = rustix::fs::open(&directory, DIRECTORY, Mode::empty())
            .map_err(|e| Error::io("open directory", &directory, e))?;
        Ok(Self { root, directory })
    }

    /// Where it is, links on the way resolved.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes `path`, relative to the view, a link to the file at `media`, relative to the destination.
    ///
    /// # Errors
    /// The system's word, such as a file system that has no links of this kind.
    pub fn link(
        &self,
        destination: &Destination,
        media: &str,
        path: &str,
        kind: LinkKind,
    ) -> Result<Linked, Error> {
        let (folder, walked, name) = self.folder(path, true)?.ok_or_else(Error::lost)?;
        let full = walked.join(name);
        let refused = |e: Errno| Error::io(MAKE_LINK, &full, e);
        fault::step("link", &full).map_err(|e| Error::io(MAKE_LINK, &full, e))?;
        let source = destination.standing(media)?;
        let made = match kind {
            LinkKind::Hardlink => {
                let (from, from_name) = source.place();
                rustix::fs::linkat(from, from_name, &folder, name, AtFlags::empty())
            }
            LinkKind::Symlink => {
                let media = destination.real_directory()?.join(media);
                rustix::fs::symlinkat(between(&walked, &media), &folder, name)
            }
            LinkKind::Reflink => clone_file(source.file(), &folder, name),
        };
        match made {
            Ok(()) => {
                let stat = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(refused)?;
                Ok(Linked::Stands(id(&stat)))
            }
            Err(Errno::EXIST) => {
                let standing = self.recognise(destination, media, path, kind)?;
                Ok(standing.map_or(Linked::Foreign, Linked::Stands))
            }
            Err(e) => Err(refused(e)),
        }
    }

    /// What a link to `media` is known by that stands at `path` already; nothing, if what stands there is
    /// none of ours.
    ///
    /// # Errors
    /// The system's word, such as that the photo itself cannot be opened.
    pub fn recognise(
        &self,
        destination: &Destination,
        media: &str,
        path: &str,
        kind: LinkKind,
    ) -> Result<Option<LinkId>, Error> {
        let Some((folder, walked, name)) = self.folder(path, false)? else { return Ok(None) };
        let full = walked.join(name);
        let refused = |e: Errno| Error::io("look at link", &full, e);
        let stat = match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(e) => return Err(refused(e)),
        };
        let source = destination.standing(media)?;
        let original = rustix::fs::fstat(source.file()).map_err(refused)?;
        let is_ours = match kind {
            LinkKind::Hardlink => stat.st_ino == original.st_ino && stat.st_dev == original.st_dev,
            LinkKind::Symlink => {
                let target = rustix::fs::readlinkat(&folder, name, Vec::new());
                let media = destination.real_directory()?.join(media);
                target.is_ok_and(|target| {
                    target.as_bytes() == between(&walked, &media).as_os_str().as_encoded_bytes()
                })
            }
            LinkKind::Reflink => {
                FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
                    && stat.st_size == original.st_size
                    && stat.st_mtime == original.st_mtime
            }
        };
        Ok(is_ours.then(|| id(&stat)))
    }

    /// Writes a small file into the view, whole. One that stands there is replaced only if `is_ours` says
    /// so of its bytes; `false`: it is somebody else's, and stays.
    ///
    /// # Errors
    /// The system's word.
    pub fn write(&self, path: &str, bytes: &[u8], is_ours: fn(&[u8]) -> bool) -> Result<bool, Error> {
        let (folder, walked, name) = self.folder(path, true)?.ok_or_else(Error::lost)?;
        let full = walked.join(name);
        let refused = |e: io::Error| Error::io("write file", &full, e);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::openat(&folder, name, flags, Mode::empty()) {
            Ok(standing) => {
                let mut held = Vec::new();
                let mut standing = File::from(standing).take(2 * bytes.len() as u64 + WRITTEN_BYTES_MAX);
                standing.read_to_end(&mut held).map_err(refused)?;
                if held == bytes {
                    return Ok(true);
                }
                if !is_ours(&held) {
                    return Ok(false);
                }
            }
            Err(Errno::NOENT) => {}
            Err(Errno::LOOP) => return Ok(false),
            Err(e) => return Err(refused(e.into())),
        }
        fault::step("create", &full).map_err(refused)?;
        let new = format!(".{name}.rollbook-new");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&folder, new.as_str(), flags, Mode::from_raw_mode(0o666));
        let mut file = File::from(file.map_err(|e| refused(e.into()))?);
        file.write_all(bytes).map_err(refused)?;
        sync_file(&file, &full).map_err(refused)?;
        rustix::fs::renameat(&folder, new.as_str(), &folder, name).map_err(|e| refused(e.into()))?;
        Ok(true)
    }

    /// Whether the link at `path` is still the one that was made.
    ///
    /// # Errors
    /// The system's word.
    pub fn stands(&self, path: &str, made: LinkId, kind: LinkKind) -> Result<bool, Error> {
        let Some((folder, walked, name)) = self.folder(path, false)? else { return Ok(false) };
        match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(is_it(&stat, made, kind)),
            Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(Error::io("look at link", &walked.join(name), e)),
        }
    }

    /// Removes a link of ours, and the folders that are empty without it. What is not the link that was
    /// made stays, and so does a hard link that is the last name of its file.
    ///
    /// # Errors
    /// The system's word.
    pub fn unlink(&self, path: &str, made: LinkId, kind: LinkKind) -> Result<(), Error> {
        let Some((folder, walked, name)) = self.folder(path, false)? else { return Ok(()) };
        let full = walked.join(name);
        let refused = |e: Errno| Error::io("remove link", &full, e);
        match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if !is_it(&stat, made, kind) || (kind == LinkKind::Hardlink && stat.st_nlink < 2) => {
                return Ok(());
            }
            Ok(_) => {}
            Err(Errno::NOENT) => return Ok(()),
            Err(e) => return Err(refused(e)),
        }
        fault::step("unlink", &full).map_err(|e| Error::io("remove link", &full, e))?;
        rustix::fs::unlinkat(&folder, name, AtFlags::empty()).map_err(refused)?;
        let mut empty = walked;
        while empty != self.directory && std::fs::remove_dir(&empty).is_ok() {
            empty.pop();
        }
        Ok(())
    }

    /// Makes the names in the folder of `path` durable.
    ///
    /// # Errors
    /// The system's word.
    pub fn make_durable(&self, path: &str) -> Result<(), Error> {
        match self.folder(path, false)? {
            Some((folder, walked, _)) => {
                sync_folder(&folder, &walked).map_err(|e| Error::io("sync folder", &walked, e))
            }
            None => Ok(()),
        }
    }

    /// Walks to the folder of `path`. `None`: it is not there, and was not to be made.
    fn folder<'p>(&self, path: &'p str, to_make: bool) -> Result<Option<(OwnedFd, PathBuf, &'p str)>, Error> {
        let mut walked = self.directory.clone();
        let mut handle = rustix::io::dup(&self.root).map_err(|e| Error::io("open directory", &walked, e))?;
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        for component in folders.split('/').filter(|component| !component.is_empty()) {
            assert!(!matches!(component, "." | ".."), "a path of a view stays below its root: {path}");
            walked.push(component);
            handle = match enter(&handle, component, &walked) {
                Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    if !to_make {
                        return Ok(None);
                    }
                    make(&handle, component, &walked)?;
                    enter(&handle, component, &walked)?
                }
                entered => entered?,
            };
        }
        Ok(Some((handle, walked, name)))
    }
}

/// Whether what stands there is the link that was made. The time of a hard link is that of the photo.
fn is_it(stat: &rustix::fs::Stat, made: LinkId, kind: LinkKind) -> bool {
    let found = id(stat);
    found.inode == made.inode && (kind == LinkKind::Hardlink || found.modified_ns == made.modified_ns)
}

fn id(stat: &rustix::fs::Stat) -> LinkId {
    LinkId {
        inode: stat.st_ino,
        modified_ns: stat
            .st_mtime
            .saturating_mul(1_000_000_000)
            .saturating_add(stat.st_mtime_nsec.cast_signed()),
    }
}

/// A new file that shares its bytes with `source`. Not made where the file system cannot.
#[cfg(target_os = "linux")]
fn clone_file(source: &File, folder: &OwnedFd, name: &str) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let clone = File::from(rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o666))?);
    if let Err(error) = rustix::fs::ioctl_ficlone(&clone, source) {
        // Only the empty file that was made a line above.
        let _ = rustix::fs::unlinkat(folder, name, AtFlags::empty());
        return Err(error);
    }
    if let Ok(modified) = source.metadata().and_then(|meta| meta.modified()) {
        let _ = clone.set_modified(modified);
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn clone_file(_: &File, _: &OwnedFd, _: &str) -> Result<(), Errno> {
    Err(Errno::NOTSUP)
}

/// The way from a folder to a file, both without links: up, and down again.
fn between(folder: &Path, file: &Path) -> PathBuf {
    let (from, to): (Vec<Component<'_>>, Vec<Component<'_>>) =
        (folder.components().collect(), file.components().collect());
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n(Component::ParentDir, from.len() - shared);
    up.chain(to[shared..].iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_between_two_places_goes_up_and_down() {
        let way = |from: &str, to: &str| between(Path::new(from), Path::new(to)).display().to_string();
        assert_eq!(way("/p/Albums/Trip", "/p/2024/a.jpg"), "../../2024/a.jpg");
        assert_eq!(way("/p", "/p/a.jpg"), "a.jpg");
        assert_eq!(way("/v", "/p/a.jpg"), "../p/a.jpg");
    }
}
