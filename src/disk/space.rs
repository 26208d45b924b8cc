//! Room, and what kind of file system gives it.

use std::path::Path;

use crate::disk::error::Error;

/// Bytes that this user may still write under `path`.
///
/// # Errors
/// If the system does not say.
pub fn free_bytes(path: &Path) -> Result<u64, Error> {
    let stat = rustix::fs::statvfs(path).map_err(|e| Error::io("ask for free space of", path, e))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// The name of the network file system that holds `path`, if it is one.
///
/// A journal there is in danger: WAL needs memory shared between its readers and the writer.
#[must_use]
pub fn network_file_system(path: &Path) -> Option<&'static str> {
    #[cfg(target_os = "linux")]
    {
        // Magic numbers of linux/magic.h.
        match rustix::fs::statfs(path).ok()?.f_type as u32 {
            0x6969 => Some("NFS"),
            0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
            0x0102_1997 => Some("9p"),
            _ => None,
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        None
    }
}
