//! Probing: what the file system of a destination does with names and links, found out by trying.
//!
//! All of it happens in a folder of its own beside the marker, which is gone when it is over; one that a
//! kill left is removed by the next probe. Where somebody keeps a file of theirs under that name, it stays, and
//! the folder takes another. Whatever cannot be tried is not known, and nothing fails for it.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::disk::tree::{DIRECTORY, Destination, MARKER};
use crate::fault;
use crate::model::file_system::{FileSystem, Twins};
use crate::model::views::LinkKind;

/// The folder, beside the marker; with a number behind it where that name is somebody's.
const FOLDER: &str = ".rollbook-probe";
/// Names tried. Who has nine such folders wants no tenth.
const FOLDERS_MAX: usize = 9;
/// What file systems refuse that others take (exFAT, NTFS, SMB), then letters beyond what old ones can write.
const DOUBTFUL: [char; 10] = [':', '?', '"', '<', '>', '|', '*', '\\', '\u{f1}', '\u{1f4f7}'];
/// What may be dropped at the end of a name.
const DROPPED: [char; 2] = ['.', ' '];
/// A name with letters of both cases, and one that has two Unicode forms.
const PLAIN: &str = "Aa";
const COMPOSED: &str = "\u{e9}";
/// The file that is cloned.
const SOURCE: &str = "cloned";
/// Its bytes: a block, as some share nothing less.
const CLONED: [u8; 4096] = [0; 4096];

impl Destination {
    /// The same, knowing its file system: what is `remembered` of it, if this is the one, else what a look
    /// at it shows. A link that is `wanted` and was not to be had is tried once more.
    #[must_use]
    pub fn acquainted(mut self, remembered: FileSystem, wanted: Option<LinkKind>) -> Self {
        let is_it = remembered.device.is_some()
            && remembered.device == self.device()
            && remembered.letter_case.is_none_or(|twins| self.marker_folds() == (twins != Twins::Two))
            && wanted.is_none_or(|kind| remembered.may_link(kind));
        self.file_system = if is_it { remembered } else { self.probe().unwrap_or_default() };
        self
    }

    /// The device that it lies on, if the system says.
    fn device(&self) -> Option<u64> {
        rustix::fs::fstat(self.root().ok()?).ok().map(|stat| stat.st_dev)
    }

    /// Whether the marker is found by a name in other letters: the same device may be mounted otherwise.
    fn marker_folds(&self) -> bool {
        let other = MARKER.to_ascii_uppercase();
        self.root()
            .is_ok_and(|root| rustix::fs::statat(root, other.as_str(), AtFlags::SYMLINK_NOFOLLOW).is_ok())
    }

    /// Tries it. `None`: nothing can be tried here.
    fn probe(&self) -> Option<FileSystem> {
        // Accounts may share a directory.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _held = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let root = self.root().ok()?;
        let folders = (1..=FOLDERS_MAX).map(|number| match number {
            1 => FOLDER.to_owned(),
            number => format!("{FOLDER}-{number}"),
        });
        let folders: Vec<String> = folders.collect();
        for folder in &folders {
            clear(&root, folder);
        }
        fault::step("probe", &self.directory().join(FOLDER)).ok()?;
        let is_made = |folder: &&String| {
            rustix::fs::mkdirat(&root, folder.as_str(), Mode::from_raw_mode(0o700)).is_ok()
        };
        let folder = folders.iter().find(is_made)?;
        let seen = rustix::fs::openat(&root, folder.as_str(), DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
            .and_then(|folder| look(&folder));
        // What is left if this fails goes with the next probe.
        let _ = fault::step("probed", &self.directory().join(folder)).is_ok_and(|_| clear(&root, folder));
        Some(FileSystem { device: self.device(), ..seen.ok()? })
    }
}

/// Removes a folder, if there is one, with what a probe leaves in it, and nothing else: whatever a person put
/// there stays, and so does the folder.
fn clear(root: &OwnedFd, name: &str) -> bool {
    let flags = DIRECTORY | OFlags::NOFOLLOW;
    if let Ok(folder) = rustix::fs::openat(root, name, flags, Mode::empty()) {
        let spelled = names().map(|(_, name)| name);
        let links = LinkKind::ALL.map(|kind| kind.as_str().to_owned());
        let own = [PLAIN, COMPOSED, SOURCE].map(str::to_owned).into_iter().chain(spelled).chain(links);
        for name in own {
            let is_ours = rustix::fs::statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
                let is_copy = [SOURCE, LinkKind::Reflink.as_str()].contains(&name.as_str());
                match FileType::from_raw_mode(stat.st_mode) {
                    FileType::Symlink => name == LinkKind::Symlink.as_str(),
                    FileType::RegularFile => {
                        stat.st_size == 0 || (is_copy && stat.st_size.unsigned_abs() == CLONED.len() as u64)
                    }
                    _ => false,
                }
            });
            if is_ours {
                let _ = rustix::fs::unlinkat(&folder, &name, AtFlags::empty());
            }
        }
    }
    rustix::fs::unlinkat(root, name, AtFlags::REMOVEDIR).is_ok()
}

/// Names with a letter that may be refused or dropped.
fn names() -> impl Iterator<Item = (char, String)> {
    let doubtful = DOUBTFUL.map(|letter| (letter, format!("1{letter}1")));
    let dropped = DROPPED.map(|letter| (letter, format!("2{}{letter}", u32::from(letter))));
    doubtful.into_iter().chain(dropped)
}

fn listed(folder: &OwnedFd) -> Result<BTreeSet<String>, Errno> {
    let mut names = BTreeSet::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !matches!(name.as_str(), "." | "..") {
            names.insert(name);
        }
    }
    Ok(names)
}

fn look(folder: &OwnedFd) -> Result<FileSystem, Errno> {
    let mut refused = String::new();
    let is_there = |name: &str| rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
    let names: Vec<(char, String)> = names().collect();
    let mut untold = Vec::new();
    for (letter, name) in &names {
        match create(folder, name) {
            Ok(_) => {}
            Err(error) if says_never(error) => refused.push(*letter),
            Err(_) => untold.push(*letter),
        }
    }
    create(folder, PLAIN)?;
    let has_form = create(folder, COMPOSED).is_ok();
    let told = listed(folder)?;
    let twins = |name: &str, twin: &str| match (is_there(twin), told.contains(name)) {
        (false, true) => Twins::Two,
        (true, true) => Twins::One,
        (_, false) => Twins::Respelled,
    };
    let (letter_case, unicode_form) = (twins(PLAIN, "aA"), has_form.then(|| twins(COMPOSED, "e\u{301}")));
    let spelled = FileSystem { unicode_form, ..FileSystem::default() };
    for (letter, name) in names {
        let is_told = || told.iter().any(|of| spelled.is_same(of, &name));
        if !refused.contains(letter) && !untold.contains(&letter) && !is_told() {
            refused.push(letter);
        }
    }
    let no_links = LinkKind::ALL.into_iter().filter(|kind| cannot_link(folder, *kind)).collect();
    Ok(FileSystem { device: None, letter_case: Some(letter_case), unicode_form, refused, no_links })
}

fn create(folder: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o600))
}

/// Whether a link of this kind surely cannot be made.
fn cannot_link(folder: &OwnedFd, kind: LinkKind) -> bool {
    let name = kind.as_str();
    let made = match kind {
        LinkKind::Hardlink => rustix::fs::linkat(folder, PLAIN, folder, name, AtFlags::empty()),
        LinkKind::Symlink => rustix::fs::symlinkat(PLAIN, folder, name),
        LinkKind::Reflink => clone(folder, name),
    };
    let is_link = |stat: rustix::fs::Stat| match kind {
        LinkKind::Symlink => FileType::from_raw_mode(stat.st_mode) == FileType::Symlink,
        LinkKind::Hardlink | LinkKind::Reflink => true,
    };
    match made {
        Ok(()) => !rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(is_link),
        Err(error) => says_never(error),
    }
}

#[cfg(target_os = "linux")]
fn clone(folder: &OwnedFd, name: &str) -> Result<(), Errno> {
    let source = create(folder, SOURCE)?;
    rustix::io::write(&source, &CLONED)?;
    rustix::fs::ioctl_ficlone(create(folder, name)?, source)
}

#[cfg(not(target_os = "linux"))]
fn clone(_: &OwnedFd, _: &str) -> Result<(), Errno> {
    Err(Errno::NOTSUP)
}

/// Whether an error is the word of a file system that does not have it, and not of one that is full, broken
/// or not ours.
fn says_never(error: Errno) -> bool {
    matches!(
        error,
        Errno::PERM
            | Errno::INVAL
            | Errno::NOTSUP
            | Errno::NOSYS
            | Errno::NOTTY
            | Errno::ILSEQ
            | Errno::NOENT
            // Taken for the name before it, with another letter in its place.
            | Errno::EXIST
            | Errno::MLINK
            | Errno::NAMETOOLONG
    )
}
