//! What ends a run early. A failed file does not: it is a row.

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
}
