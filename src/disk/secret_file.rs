//! Files that hold a secret of a person: a password, or the key of a saved one. And how a file is written that
//! nobody else may read.
//!
//! # Who else may read them
//! Nobody: a file that its group or others can read is refused, before a byte of it is used. One
//! place is exempt: below `/run/secrets` a container runtime mounts its secrets readable for every
//! user *of the container*, and nobody can change that; there it is enough that others cannot write.
//!
//! The mode is asked of the open file, not of its name, so it is the mode of what is read.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Longest secret. A password has tens of bytes; whatever is longer is another file by mistake.
pub const SECRET_BYTES_MAX: usize = 4096;
/// Where container runtimes mount secrets.
const CONTAINER_SECRETS: &str = "/run/secrets";

/// Why a secret cannot be taken from its file.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Others could read it, or in a container: write it.
    #[error("other users can read it (mode {mode:04o})")]
    Exposed {
        /// Its permission bits.
        mode: u32,
    },
    /// It holds more than a secret.
    #[error("it is longer than {SECRET_BYTES_MAX} bytes")]
    TooLong,
}

/// Reads a file that nobody else can read. The bytes are wiped on drop.
///
/// # Errors
/// [`SecretFileError`]; nothing of an exposed file is returned.
pub fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    // Where the name leads, so that a link out of the exempt folder exempts nothing.
    let place = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if !is_private(mode, &place) {
        return Err(SecretFileError::Exposed { mode });
    }
    // Sized once: a buffer that grows leaves copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * SECRET_BYTES_MAX));
    file.take(SECRET_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > SECRET_BYTES_MAX {
        return Err(SecretFileError::TooLong);
    }
    Ok(bytes)
}

/// Makes a file that nobody else can read, and the folders it lies in. Durable on return.
///
/// # Errors
/// What the system says; [`io::ErrorKind::AlreadyExists`] if there is one, which stays as it is.
pub fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder: PathBuf = path.parent().map(Path::to_owned).unwrap_or_default();
    if !folder.as_os_str().is_empty() {
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    }
    write_new(path, bytes)?;
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Replaces a file as a whole, for its owner alone. Returns the new one.
///
/// Synced before it takes its name: after a crash the old one stands there, or the new one.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let _ = std::fs::remove_file(&new);
    let file = write_new(&new, bytes)?;
    std::fs::rename(&new, path).inspect_err(|_| drop(std::fs::remove_file(&new)))?;
    Ok(file)
}

/// Makes a file for its owner alone. One that cannot be written whole is taken away again.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.inspect_err(|_| drop(std::fs::remove_file(path)))?;
    Ok(file)
}

fn is_private(mode: u32, place: &Path) -> bool {
    let not_for_others = if place.starts_with(CONTAINER_SECRETS) { 0o022 } else { 0o077 };
    mode & not_for_others == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_may_read_and_a_container_secret_may_be_read_but_not_written() {
        let (home, container) = (Path::new("/home/u/password"), Path::new("/run/secrets/password"));
        for (mode, at_home, in_container) in [
            (0o600, true, true),
            (0o400, true, true),
            (0o440, false, true),
            (0o444, false, true),
            (0o644, false, true),
            (0o620, false, false),
            (0o666, false, false),
        ] {
            assert_eq!(
                (is_private(mode, home), is_private(mode, container)),
                (at_home, in_container),
                "{mode:o}"
            );
        }
        assert!(!is_private(0o444, Path::new("/run/secrets-of-others/password")));
    }

    #[test]
    fn a_secret_is_made_closed_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/key");
        create(&path, b"secret").unwrap();
        assert_eq!(read(&path).unwrap().as_slice(), b"secret");
        assert_eq!(create(&path, b"other").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let open = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(&path, open).unwrap();
        assert!(matches!(read(&path), Err(SecretFileError::Exposed { mode: 0o640 })));
    }
}
