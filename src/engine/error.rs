//! What ends a run early. A failed file does not: it is a row.

use std::path::PathBuf;

use crate::model::views::LinkKind;
use crate::{disk, icloud, journal};

/// Why a run ended before its work was done. Everything durable stays; the next run goes on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal cannot be read or written.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The destination is absent, read-only or full.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// The service refused, asked to wait, or cannot be reached.
    #[error(transparent)]
    Service(#[from] icloud::Error),
    /// The session ended and could not be renewed without a person.
    #[error(transparent)]
    SignIn(#[from] icloud::SignInError),
    /// More verified files are gone at once than a person deletes without a word.
    #[error("{files} of {of} verified files are gone, more than the {most} that may be at once")]
    ManyMissing {
        /// How many are gone.
        files: u64,
        /// Of how many.
        of: u64,
        /// How many may be.
        most: u64,
    },
    /// An exit kit would lie among the photos, where its links are strangers.
    #[error("{} lies in the destination", folder.display())]
    KitInDestination {
        /// Where it was to be.
        folder: PathBuf,
    },
    /// Albums are to be links of a kind that the file system of the photos has not.
    #[error("the file system of {} cannot make a {}", directory.display(), kind.as_str())]
    NoSuchLinks {
        /// The destination.
        directory: PathBuf,
        /// What was wanted.
        kind: LinkKind,
        /// What can be made there instead.
        others: Vec<LinkKind>,
    },
    /// A tree to adopt does not lie in the destination, and nobody said how its files are to come there.
    #[error("{} does not lie in the destination {}", folder.display(), destination.display())]
    OutsideDestination {
        /// The tree.
        folder: PathBuf,
        /// The destination.
        destination: PathBuf,
    },
}
