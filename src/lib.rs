//! rollbook keeps a complete local copy of an iCloud Photos library, and can prove it.
//!
//! A *roll book* is the register a teacher calls the names from. Ours is a SQLite journal: every
//! file of every asset is a row with a state, and every run calls the roll.
//!
//! # The one direction of data
//!
//! ```text
//!  iCloud pages ─► reconcile ─► journal (seen)          no channel carries work: the row is the message
//!                                   │
//!                   journal (claim) ▼
//!         ┌──────── transfer ─► check ─► publish ─► journal (verified)
//!         │             │ offset_bytes, after the bytes are durable
//!         ▼             ▼
//!   expired-url ─► renew (fresh URLs, batched) ─► pending / partial
//!   failed ─► retry (when due) ─► pending / partial
//!   recover (at start): repairs what a crash left, then the same loop
//! ```
//!
//! # Two rules of durability
//!
//! - **Bytes before journal**: a part file is made durable, then its offset is committed.
//! - **Publish before verified**: a file is synced, renamed, its folder synced; then `verified` is
//!   committed.
//!
//! So whatever a crash leaves is a row of the recovery table ([`model::recovery`]).
//!
//! # The house
//!
//! | module | what it is | what it alone may say |
//! |--------|------------|-----------------------|
//! | [`model`] | the facts and the rules; pure. Start at [`model::state`], then [`model::recovery`] | |
//! | [`journal`] | the SQLite file and its only door; `moves.rs` alone sets a state | `rusqlite`, `r2d2` |
//! | [`icloud`] | the client: sign-in, listing, look-up, bytes | `reqwest` |
//! | [`disk`] | part files, publishing, the destination, the lock | `std::fs`, `rustix` |
//! | [`engine`] | the flow; its file names are the stages | |
//! | [`cli`] | flags, configuration, the bar, what a person reads | `clap`, `indicatif`, printing |
//!
//! Imports only point down: `main → cli → engine → {journal | icloud | disk} → model`, and siblings
//! never import each other. `tests/house.rs` holds these walls.

#![warn(clippy::unwrap_used)]

pub mod cli;
pub mod disk;
pub mod engine;
mod fault;
pub mod icloud;
pub mod journal;
pub mod model;
