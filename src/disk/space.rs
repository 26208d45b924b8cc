//! Room: how much there is, and how much of it is for others.

use std::os::fd::AsFd;
use std::path::Path;

use crate::disk::error::Error;
use crate::fault;

/// Room that stays free unless a person says otherwise: what a system and its logs want of a disk for
/// some days. See [`KEPT_SHARE`].
const KEPT_BYTES: u64 = 200 * 1000 * 1000;
/// The share of a small disk that stays free instead: a hundredth.
const KEPT_SHARE: u64 = 100;

/// The room of a file system, and what is not ours of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes that this user may still write.
    pub free_bytes: u64,
    /// Of those, bytes that stay free.
    pub kept_bytes: u64,
}

impl Room {
    /// Bytes that files of ours may fill.
    #[must_use]
    pub fn for_files(&self) -> u64 {
        self.free_bytes.saturating_sub(self.kept_bytes)
    }
}

impl Room {
    /// Whether `needed_bytes` more fit, for the file at `path`.
    ///
    /// # Errors
    /// [`Error::NoRoom`] if not.
    pub fn check(self, path: &Path, needed_bytes: u64) -> Result<(), Error> {
        if needed_bytes <= self.for_files() {
            return Ok(());
        }
        let Self { free_bytes, kept_bytes } = self;
        Err(Error::NoRoom { path: path.to_owned(), files: 1, needed_bytes, free_bytes, kept_bytes })
    }
}

/// The room under `path`, of which `keep_bytes` stay free.
///
/// # Errors
/// If the system does not say.
pub fn room(path: &Path, keep_bytes: Option<u64>) -> Result<Room, Error> {
    let stat = rustix::fs::statvfs(path).map_err(|e| Error::io("ask for free space of", path, e))?;
    Ok(room_in(&stat, keep_bytes))
}

/// The same of an open folder, wherever its name leads by now.
pub(super) fn room_at(folder: impl AsFd, path: &Path, keep_bytes: Option<u64>) -> Result<Room, Error> {
    let stat = rustix::fs::fstatvfs(folder).map_err(|e| Error::io("ask for free space of", path, e))?;
    Ok(room_in(&stat, keep_bytes))
}

/// What nearly every file system allows, and one that does not say.
const NAME_BYTES_MAX: u64 = 255;

/// The most bytes of a name in the file system of an open folder.
pub(super) fn name_bytes_max(folder: impl AsFd, path: &Path) -> Result<u64, Error> {
    let stat = rustix::fs::fstatvfs(folder).map_err(|e| Error::io("ask about names in", path, e))?;
    let said = fault::name_max(stat.f_namemax);
    Ok(if said == 0 { NAME_BYTES_MAX } else { said.min(NAME_BYTES_MAX) })
}

fn room_in(stat: &rustix::fs::StatVfs, keep_bytes: Option<u64>) -> Room {
    let share = stat.f_blocks.saturating_mul(stat.f_frsize) / KEPT_SHARE;
    Room {
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        kept_bytes: keep_bytes.unwrap_or(share.min(KEPT_BYTES)),
    }
}

/// Bytes that this user may still write under `path`.
///
/// # Errors
/// If the system does not say.
pub fn free_bytes(path: &Path) -> Result<u64, Error> {
    room(path, None).map(|room| room.free_bytes)
}

/// Whether a failed write comes out of a sync of the whole file system: on Linux, since 5.8.
#[must_use]
pub(super) fn syncfs_tells_failures() -> bool {
    #[cfg(target_os = "linux")]
    {
        static TELLS: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
        *TELLS.get_or_init(|| {
            let release = rustix::system::uname().release().to_string_lossy().into_owned();
            let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
            (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (5, 8)
        })
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// Bytes that wait to be written to the disks of this machine, by whomever. `None`: the system does not say.
pub(super) fn unwritten_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kilobytes = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    Some((kilobytes("Dirty:")? + kilobytes("Writeback:")?) * 1024)
}

/// Makes everything durable that the file system of `file` holds.
pub(super) fn sync_file_system(file: impl AsFd) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        Ok(rustix::fs::syncfs(file)?)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = file;
        Err(std::io::ErrorKind::Unsupported.into())
    }
}
