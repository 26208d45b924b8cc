//! The disk: the only place that opens files.
//!
//! # Promises
//! - Nothing outside the destination is touched: folders are walked component by component from a
//!   handle on the root, and a link on the way is refused ([`tree`]).
//! - A final name appears at once or not at all, holds a whole durable file, and never replaces
//!   what stood there ([`publish`]).
//! - A failed sync is never repeated on the same data: after one, the kernel may have dropped the
//!   pages and call the next sync a success. The part file goes, and its bytes come again.
//!
//! Everything here blocks. The engine calls it off the async threads, in large pieces.

pub mod census;
pub mod desk;
mod durable;
mod error;
pub mod inspect;
pub mod links;
pub mod lock;
mod names;
pub mod network;
pub mod notify;
pub mod part;
pub mod private;
mod probe;
pub mod publish;
pub mod redate;
pub mod relocate;
pub mod secret_file;
pub mod sidecar;
pub mod snapshots;
pub mod space;
pub mod standing;
mod stray;
mod succession;
pub mod sweep;
mod together;
pub mod trash;
pub mod tree;
pub mod undated;
pub mod unit_file;
pub mod walk;
pub mod whole_file;

pub use census::{Entry, census};
pub use desk::{Desk, Waiting};
pub use error::{Error, LinkOf};
pub use inspect::{Found, Inspector, Opened};
pub use lock::RunLock;
pub use notify::ServiceManager;
pub use part::PartFile;
pub use private::{DataDir, PrivateFile};
pub use snapshots::{Snapshot, Snapshots};
pub use together::Together;
pub use tree::{Destination, Folder, Place};
pub use whole_file::WholeFile;
