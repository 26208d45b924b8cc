//! The destination: a root with a marker, and folders reached from it without following links.
//!
//! The marker file holds an id that the journal knows. A mount point without its mount has no
//! marker, so it is *absent*, not *empty*: nothing is fetched into it and nothing is called lost.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::disk::durable::sync_folder;
use crate::disk::error::Error;
use crate::disk::names::{FolderNames, NewName};
use crate::disk::part::PartFile;
use crate::disk::publish::rename_new;
use crate::disk::space::{self, Room};
use crate::fault;
use crate::model::file_system::FileSystem;
use crate::model::layout::PART_SUFFIX;
use crate::model::recovery::Final;

/// The marker's name. Hidden from a person who looks at photos.
pub(super) const MARKER: &str = ".rollbook";
/// What the marker's last line starts with.
const MARKER_KEY: &str = "destination ";

/// The marker while it is being made.
pub(super) const MARKER_NEW: &str = ".rollbook.new";

pub(super) const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Where a file belongs, and the tag that makes its part file's name ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Relative to the destination, `/` between components.
    pub path: String,
    /// Names the very version that the part holds: a part of another is another file.
    pub tag: String,
}

impl Place {
    /// The folder, empty at the root, and the final name in it.
    fn split(&self) -> (&str, &str) {
        self.path.rsplit_once('/').unwrap_or(("", &self.path))
    }

    /// The name of its part file.
    pub(super) fn part_name(&self) -> String {
        part_name(self.split().1, &self.tag)
    }
}

/// The name of a part file, beside the final one: `NAME.TAG.part`. The tag keeps it apart from a `NAME.part`
/// that a browser or another tool may have left.
fn part_name(name: &str, tag: &str) -> String {
    [name, ".", tag, PART_SUFFIX].concat()
}

/// The directory that holds the files.
#[derive(Debug)]
pub struct Destination {
    root: OwnedFd,
    directory: PathBuf,
    id: String,
    /// Bytes that stay free here; `None` for what is usual.
    keep_bytes: Option<u64>,
    pub(super) file_system: FileSystem,
    names: Arc<FolderNames>,
    _lock: Arc<File>,
}

impl Destination {
    /// Opens the directory and checks its marker against `expected`, the id the journal knows.
    ///
    /// A journal without a destination takes the directory as its own, creating it if need be; a
    /// marker that is there already is kept, so a lost journal finds its files again. The marker is
    /// locked while the destination is open: two journals must not write part files side by side.
    ///
    /// # Errors
    /// [`Error::Absent`] or [`Error::Foreign`] when the journal knows better, [`Error::Locked`] when
    /// another process writes here; else the system's word.
    pub fn open(directory: &Path, expected: Option<&str>) -> Result<Self, Error> {
        let absent = |missing: String| Error::Absent { directory: directory.to_owned(), missing };
        if expected.is_none() {
            std::fs::create_dir_all(directory).map_err(|e| Error::io("create directory", directory, e))?;
        }
        let root = match rustix::fs::open(directory, DIRECTORY, Mode::empty()) {
            Ok(root) => root,
            Err(Errno::NOENT) => return Err(absent("no such directory".into())),
            Err(e) => return Err(Error::io("open directory", directory, e)),
        };
        let found = read_marker(&root, directory)?;
        let id = match (found, expected) {
            (Some(found), Some(expected)) if found != expected => {
                return Err(Error::Foreign { directory: directory.to_owned() });
            }
            (Some(found), _) => found,
            (None, Some(_)) => return Err(absent(format!("no marker file {MARKER}"))),
            (None, None) => write_marker(&root, directory)?,
        };
        let lock = lock_marker(&root, directory, &id)?;
        Ok(Self {
            root,
            directory: directory.to_owned(),
            id,
            keep_bytes: None,
            file_system: FileSystem::default(),
            names: Arc::default(),
            _lock: lock,
        })
    }

    /// The same, with so much room that stays free.
    #[must_use]
    pub fn keeping(self, keep_bytes: Option<u64>) -> Self {
        Self { keep_bytes, ..self }
    }

    /// The room that there is.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn room(&self) -> Result<Room, Error> {
        space::room_at(&self.root, &self.directory, self.keep_bytes)
    }

    /// The most bytes that a name may have here.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn name_bytes_max(&self) -> Result<u64, Error> {
        space::name_bytes_max(&self.root, &self.directory)
    }

    /// What is known of its file system: see [`Self::acquainted`].
    #[must_use]
    pub fn file_system(&self) -> &FileSystem {
        &self.file_system
    }

    /// The id in the marker.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The directory as the person named it.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The directory with the links on the way resolved.
    ///
    /// # Errors
    /// The system's word.
    pub fn real_directory(&self) -> Result<PathBuf, Error> {
        std::fs::canonicalize(&self.directory).map_err(|e| Error::io("look into", &self.directory, e))
    }

    /// One more handle on the directory itself.
    pub(super) fn root(&self) -> Result<OwnedFd, Errno> {
        rustix::io::dup(&self.root)
    }

    /// Opens the folder of `place`, creating what is missing.
    ///
    /// The folder is durable when this returns, whoever made it: a crash, or another worker, may have
    /// left one whose name is not on the disk yet, so each is synced once in a run.
    ///
    /// # Errors
    /// [`Error::InTheWay`] if a component is a link or a file.
    pub fn folder(&self, place: &Place) -> Result<Folder, Error> {
        let folder = self.folder_for_part(place)?;
        folder.sync_new_names()?;
        Ok(folder)
    }

    /// The same, but a new folder is not durable yet: [`Folder::make_durable`] and publishing see to
    /// that, before anything in it is promised.
    ///
    /// # Errors
    /// [`Error::InTheWay`] if a component is a link or a file.
    pub fn folder_for_part(&self, place: &Place) -> Result<Folder, Error> {
        let path = place.path.as_str();
        let mut walked = self.directory.clone();
        let opening = |path: &Path, e| Error::io("open directory", path, e);
        let mut handle = rustix::io::dup(&self.root).map_err(|e| opening(&walked, e))?;
        let mut new = Vec::new();
        let components: Vec<&str> = path.split('/').collect();
        let (name, folders) = components.split_last().expect("split yields at least one component");
        for component in folders {
            assert!(!matches!(*component, "" | "." | ".."), "a stored path stays below its root: {path}");
            walked.push(component);
            let entered = match enter(&handle, component, &walked) {
                Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                    make(&handle, component, &walked)?;
                    self.names.forget(&walked);
                    enter(&handle, component, &walked)?
                }
                entered => entered?,
            };
            new.extend(self.names.new_name(&handle, &walked).map_err(|e| opening(&walked, e))?);
            handle = entered;
        }
        let (name, tag, names) = ((*name).to_owned(), place.tag.clone(), Arc::clone(&self.names));
        Ok(Folder { handle: Arc::new(handle), path: walked, name, tag, new, names })
    }
}

/// Folders of many files at once, each of them opened once.
#[derive(Debug, Default)]
pub struct Folders(HashMap<String, Folder>);

impl Folders {
    /// The folder of one more file of the same destination, as [`Destination::folder_for_part`] gives it.
    ///
    /// # Errors
    /// [`Error::InTheWay`] if a component is a link or a file.
    pub fn of(&mut self, destination: &Destination, place: &Place) -> Result<Folder, Error> {
        let (parent, name) = place.split();
        if let Some(open) = self.0.get(parent) {
            return Ok(Folder { name: name.to_owned(), tag: place.tag.clone(), ..open.clone() });
        }
        let folder = destination.folder_for_part(place)?;
        self.0.insert(parent.to_owned(), folder.clone());
        Ok(folder)
    }
}

impl Destination {
    /// Opens a folder that is there; `None` if it is not. Creates nothing.
    pub(super) fn existing(&self, path: &str) -> Result<Option<OwnedFd>, Error> {
        let mut walked = self.directory().to_owned();
        let mut handle = self.root().map_err(|e| Error::io("open directory", &walked, e))?;
        for component in path.split('/').filter(|component| !component.is_empty()) {
            walked.push(component);
            handle = match enter(&handle, component, &walked) {
                Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                    return Ok(None);
                }
                entered => entered?,
            };
        }
        Ok(Some(handle))
    }

    /// Forgets that a folder's name is durable: it is gone.
    pub(super) fn forget(&self, folder: &Path) {
        self.names.forget(folder);
    }
}

pub(super) fn enter(parent: &OwnedFd, name: &str, path: &Path) -> Result<OwnedFd, Error> {
    match rustix::fs::openat(parent, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(handle) => Ok(handle),
        Err(Errno::LOOP | Errno::NOTDIR) => Err(Error::InTheWay { path: path.to_owned() }),
        Err(e) => Err(Error::io("open folder", path, e)),
    }
}

pub(super) fn make(parent: &OwnedFd, name: &str, path: &Path) -> Result<(), Error> {
    fault::step("mkdir", path).map_err(|e| Error::io("create folder", path, e))?;
    match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o777)) {
        // Another worker may have made it first.
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        // The parent is open, and yet not there: it was removed under our hands.
        Err(Errno::NOENT) => {
            let directory = path.parent().unwrap_or(path).to_owned();
            Err(Error::Absent { directory, missing: "it was removed while it was in use".to_owned() })
        }
        Err(e) => Err(Error::io("create folder", path, e)),
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync_directory(handle: impl AsFd, path: &Path) -> Result<(), Error> {
    sync_folder(handle, path).map_err(|e| Error::io("sync folder", path, e))
}

/// The folder of one file, and the file's two names in it.
#[derive(Clone, Debug)]
pub struct Folder {
    pub(super) handle: Arc<OwnedFd>,
    path: PathBuf,
    name: String,
    tag: String,
    /// Folders on the way to it whose names may not be durable.
    new: Vec<NewName>,
    names: Arc<FolderNames>,
}

impl Folder {
    /// The final name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of the part file.
    #[must_use]
    pub fn part_name(&self) -> String {
        part_name(&self.name, &self.tag)
    }

    /// What the names of its part files end in, whatever the file is called.
    pub(super) fn part_suffix(&self) -> String {
        format!(".{}{PART_SUFFIX}", self.tag)
    }

    /// The full path of the final name, for messages.
    #[must_use]
    pub fn final_path(&self) -> PathBuf {
        self.path.join(&self.name)
    }

    /// The full path of the part file, for messages.
    #[must_use]
    pub fn part_path(&self) -> PathBuf {
        self.path.join(self.part_name())
    }

    /// The folder's own path, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What stands under the final name, for the recovery table.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn final_fact(&self, size_bytes: u64) -> Result<Final, Error> {
        match self.regular_len(&self.name) {
            Ok(None) => Ok(Final::None),
            Ok(Some(Some(len))) if len == size_bytes => Ok(Final::RightSize),
            Ok(Some(_)) => Ok(Final::Other),
            Err(e) => Err(Error::io("look at file", &self.final_path(), e)),
        }
    }

    /// Whether the name of the part file still means `part`, and not a file that came in its place.
    pub(super) fn part_is(&self, part: &PartFile) -> Result<bool, Error> {
        let look = |e| Error::io("look at part file", &self.part_path(), e);
        let written = part.identity()?;
        let named = rustix::fs::statat(&self.handle, self.part_name().as_str(), AtFlags::SYMLINK_NOFOLLOW);
        named.map(|stat| (stat.st_dev, stat.st_ino) == written).map_err(look)
    }

    /// The length of the part file, if there is a regular one.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn part_len(&self) -> Result<Option<u64>, Error> {
        let found = self.regular_len(&self.part_name());
        found.map(Option::flatten).map_err(|e| Error::io("look at part file", &self.part_path(), e))
    }

    /// Opens the file under the final name for reading, without following a link.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open_final(&self) -> Result<File, Error> {
        // NONBLOCK: a pipe that took the name between look and open must not hang us.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        rustix::fs::openat(&self.handle, self.name.as_str(), flags, Mode::empty())
            .map(File::from)
            .map_err(|e| Error::io("read file", &self.final_path(), e))
    }

    /// Makes the names in this folder durable, and those on the way to it.
    ///
    /// # Errors
    /// The system's word.
    pub fn make_durable(&self) -> Result<(), Error> {
        self.sync_new_names()?;
        sync_directory(&self.handle, &self.path)
    }

    fn sync_new_names(&self) -> Result<(), Error> {
        for name in self.new.iter().filter(|name| !self.names.is_durable(&name.path)) {
            sync_directory(&*name.parent, name.path.parent().unwrap_or(&name.path))?;
            self.names.became_durable([name]);
        }
        Ok(())
    }

    /// All that must be synced so that a name in this folder lasts: the folders on the way in which a
    /// name is new, and itself.
    pub(super) fn to_sync(&self) -> impl Iterator<Item = (&Path, &OwnedFd)> {
        let new = self.new.iter().filter(|name| !self.names.is_durable(&name.path));
        let above = new.map(|name| (name.path.parent().unwrap_or(&name.path), &*name.parent));
        above.chain([(self.path.as_path(), &*self.handle)])
    }

    /// All that [`Self::to_sync`] names is synced.
    pub(super) fn became_durable(&self) {
        self.names.became_durable(&self.new);
    }

    /// Gives the part file the name that belongs to `path`, another name in the same folder.
    ///
    /// # Errors
    /// The system's word.
    pub fn move_part(&mut self, path: &str) -> Result<(), Error> {
        let (old, from) = (self.part_name(), self.part_path());
        path.rsplit('/').next().unwrap_or(path).clone_into(&mut self.name);
        fault::rename(&from, &self.part_name()).map_err(|e| Error::io("rename part file", &from, e))?;
        match rename_new(&self.handle, &old, &self.part_name()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::InTheWay { path: self.part_path() }),
            Err(e) => Err(Error::io("rename part file", &from, e)),
        }
    }

    /// Removes the part file, if there is one.
    ///
    /// # Errors
    /// If it is there and cannot be removed.
    pub fn remove_part(&self) -> Result<(), Error> {
        let path = self.part_path();
        fault::step("unlink", &path).map_err(|e| Error::io("remove part file", &path, e))?;
        match rustix::fs::unlinkat(&self.handle, self.part_name().as_str(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(Error::io("remove part file", &path, e)),
        }
    }

    /// `None`: nothing there. `Some(None)`: not a regular file. `Some(Some(n))`: `n` bytes.
    fn regular_len(&self, name: &str) -> Result<Option<Option<u64>>, Errno> {
        match rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                Ok(Some(Some(stat.st_size.unsigned_abs())))
            }
            Ok(_) => Ok(Some(None)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

fn read_marker(root: &OwnedFd, directory: &Path) -> Result<Option<String>, Error> {
    let path = directory.join(MARKER);
    // NONBLOCK: a pipe that took the name must not hang us.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(root, MARKER, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(e) => return Err(Error::io("read marker", &path, e)),
    };
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).map_err(|e| Error::io("read marker", &path, e))?;
    match text.lines().find_map(|line| line.strip_prefix(MARKER_KEY)).map(str::trim) {
        Some(id) if !id.is_empty() => Ok(Some(id.to_owned())),
        _ => {
            let source = std::io::Error::new(std::io::ErrorKind::InvalidData, "it names no destination");
            Err(Error::io("read marker", &path, source))
        }
    }
}

/// Locks the marker for this process. Destinations of one process that share a directory share
/// the lock.
fn lock_marker(root: &OwnedFd, directory: &Path, id: &str) -> Result<Arc<File>, Error> {
    static HELD: Mutex<Option<HashMap<String, Weak<File>>>> = Mutex::new(None);
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    let held = held.get_or_insert_default();
    if let Some(lock) = held.get(id).and_then(Weak::upgrade) {
        return Ok(lock);
    }
    let path = directory.join(MARKER);
    // NONBLOCK: a pipe that took the name must not hang us.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(root, MARKER, flags, Mode::empty())
        .map(File::from)
        .map_err(|e| Error::io("read marker", &path, e))?;
    match file.try_lock() {
        // Where there are no locks (some shares), the run lock of the journal has to do.
        Ok(()) | Err(TryLockError::Error(_)) => {}
        Err(TryLockError::WouldBlock) => return Err(Error::Locked { path, pid: None }),
    }
    let lock = Arc::new(file);
    held.insert(id.to_owned(), Arc::downgrade(&lock));
    Ok(lock)
}

fn write_marker(root: &OwnedFd, directory: &Path) -> Result<String, Error> {
    use std::fmt::Write as _;
    let path = directory.join(MARKER);
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).map_err(|e| Error::io("make an id for", &path, std::io::Error::from(e)))?;
    let mut id = String::new();
    for byte in random {
        let _ = write!(id, "{byte:02x}");
    }
    fault::step("marker", &path).map_err(|e| Error::io("write marker", &path, e))?;
    // Made under another name and renamed: a marker is whole or not there.
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(root, MARKER_NEW, flags, Mode::from_raw_mode(0o644))
        .map_err(|e| Error::io("write marker", &path, e))?;
    let mut file = File::from(file);
    write!(file, "rollbook keeps this directory. Please leave this file here.\n{MARKER_KEY}{id}\n")
        .and_then(|()| file.sync_all())
        .map_err(|e| Error::io("write marker", &path, e))?;
    rustix::fs::renameat(root, MARKER_NEW, root, MARKER).map_err(|e| Error::io("write marker", &path, e))?;
    sync_directory(root, directory)?;
    Ok(id)
}
