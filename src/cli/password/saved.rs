//! What `rollbook login --save` keeps: a password, in the keyring of the system (built with the
//! feature `keyring`, and where one answers), else encrypted in the data directory.
//!
//! # What that protects, and what not
//! A machine that nobody looks at must open it without a person, so the key lies in a file too,
//! elsewhere. Encryption then protects copies and backups of the data directory that do not hold
//! the key file, and a password from being read by accident. It does not protect from anyone who
//! can read both files: root, and every program of this user.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use ring::aead::NONCE_LEN;
use zeroize::Zeroizing;

use crate::cli::exit::Exit;
use crate::cli::explain;
use crate::cli::password::seal::{KEY_BYTES_MIN, Key};
use crate::cli::password::{file, keyring};
use crate::cli::problem::Problem;
use crate::disk::secret_file::{self, SecretFileError};
use crate::disk::{DataDir, PrivateFile};
use crate::model::secret::Secret;

/// The saved password of one account.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    username: String,
    file: PrivateFile,
    key_file: PathBuf,
}

/// Where a password was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// In the keyring of the system.
    Keyring,
    /// In a file, whose key is in another.
    Sealed {
        /// The file.
        file: PathBuf,
        /// The key.
        key: PathBuf,
        /// Both would be in one copy of the data directory.
        beside: bool,
    },
}

impl fmt::Display for Kept {
    /// Says where, what that protects, and what not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keyring => f.write_str(
                "the password is kept in the keyring of this session\n\
                 protected: while the keyring is locked\n\
                 not protected: from programs of this user while it is unlocked; a run needs it unlocked",
            ),
            Self::Sealed { file, key, beside } => {
                write!(
                    f,
                    "the password is kept in {}, encrypted with the key in {}\n\
                     protected: copies and backups of the data directory that do not hold the key, and from being \
                     read by accident\n\
                     not protected: from anyone who can read both files, which is root and every program of this user",
                    file.display(),
                    key.display()
                )?;
                if *beside {
                    f.write_str(
                        "\nthe key lies inside the data directory, so every copy of that holds both: set --key-file \
                         to a place elsewhere, delete this key, and save again",
                    )?;
                }
                Ok(())
            }
        }
    }
}

impl Saved {
    /// Of an account. Looks at nothing yet.
    pub(super) fn new(username: &str, data_dir: &Path, key_file: &Path) -> Self {
        let file = DataDir::at(data_dir).sealed_password(username);
        Self { username: username.to_owned(), file, key_file: key_file.to_owned() }
    }

    /// Where a password is kept, if one is.
    pub(super) fn place(&self) -> Option<String> {
        // A locked one is a keyring that holds something, too.
        if !matches!(keyring::load(&self.username), Ok(None)) {
            return Some("the keyring".to_owned());
        }
        self.file.path().exists().then(|| self.file.path().display().to_string())
    }

    /// The password, if one was saved.
    ///
    /// # Errors
    /// A problem when one was, and cannot be opened.
    pub(super) fn load(&self) -> Result<Option<Secret>, Problem> {
        let in_keyring = keyring::load(&self.username).map_err(|why| {
            self.refused().why(why).hint("unlock the keyring, then run the same command again")
        })?;
        if in_keyring.is_some() {
            return Ok(in_keyring);
        }
        let sealed = self.file.load().map_err(|error| self.refused().why(error).hint(AGAIN))?;
        let Some(sealed) = sealed else { return Ok(None) };
        let opened = self.key()?.open(&self.username, &sealed);
        let why = format!("it is damaged, or was sealed with another key than {}", self.key_file.display());
        opened.ok_or_else(|| self.refused().why(why).hint(AGAIN)).map(Some)
    }

    /// Keeps a password in place of the one before. The caller holds the run lock.
    ///
    /// # Errors
    /// A problem when the key or the file cannot be written.
    pub(crate) fn save(&self, password: &Secret) -> Result<Kept, Problem> {
        if keyring::save(&self.username, password) {
            // An older password in the file would come back once the keyring is emptied.
            self.file.remove().map_err(|error| explain::system(CANNOT_SAVE, &error))?;
            return Ok(Kept::Keyring);
        }
        self.make_key()?;
        let nonce: [u8; NONCE_LEN] = random()?;
        let sealed = self.key()?.seal(&self.username, password, nonce);
        self.file.save(&sealed).map_err(|error| explain::system(CANNOT_SAVE, &error))?;
        let file = self.file.path().to_owned();
        let beside = file.parent().is_some_and(|folder| self.key_file.starts_with(folder));
        Ok(Kept::Sealed { file, key: self.key_file.clone(), beside })
    }

    /// Removes the password; `false`: there was none. The key stays: other accounts may use it.
    ///
    /// # Errors
    /// A problem when it is there and cannot be removed.
    pub(crate) fn forget(&self) -> Result<bool, Problem> {
        let what = "cannot remove the saved password";
        let from_keyring = keyring::forget(&self.username);
        Ok(self.file.remove().map_err(|error| explain::system(what, &error))? || from_keyring)
    }

    /// Makes the key file, if there is none.
    fn make_key(&self) -> Result<(), Problem> {
        let bytes = Zeroizing::new(random::<KEY_BYTES_MIN>()?);
        // In hex, so that it can be read out and typed where a file cannot be copied.
        let mut text = Zeroizing::new(String::with_capacity(2 * KEY_BYTES_MIN + 1));
        for nibble in bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
            text.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
        }
        text.push('\n');
        match secret_file::create(&self.key_file, text.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                let what = format!("cannot make the key of saved passwords: {}", self.key_file.display());
                Err(Problem::new(Exit::Usage, what).why(error).hint("set --key-file to a place of yours"))
            }
            _ => Ok(()),
        }
    }

    fn key(&self) -> Result<Key, Problem> {
        let path = &self.key_file;
        let problem = || {
            Problem::new(Exit::Usage, format!("cannot use the key of saved passwords: {}", path.display()))
        };
        let bytes = match secret_file::read(path) {
            Err(SecretFileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                let why = format!("its key is gone: {}", path.display());
                return Err(self.refused().why(why).hint(AGAIN));
            }
            read => read.map_err(|error| file::explain(problem(), path, &error))?,
        };
        Key::new(&bytes).ok_or_else(|| {
            problem()
                .why(format!("it holds fewer than {KEY_BYTES_MIN} bytes"))
                .hint("fill it with: openssl rand -hex 32")
        })
    }

    fn refused(&self) -> Problem {
        let what = format!("cannot open the saved password of {}", self.username);
        Problem::new(Exit::NeedsPerson, what)
    }
}

const AGAIN: &str = "bring the key back, or run \"rollbook login --save\" at a terminal";
const CANNOT_SAVE: &str = "cannot save the password";

fn random<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| explain::system("cannot make a key", &io::Error::other(error)))?;
    Ok(bytes)
}
