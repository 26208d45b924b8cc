//! A faithful stand-in for the iCloud Photos services on a loopback port.
//!
//! It speaks what the real services speak: sign-in by proof, a second factor, sessions and trust,
//! CloudKit listings and deltas, and content behind signed addresses that die after an hour. Behind
//! it lies a library made from a seed, whose [`Sandbox::truth`] says what a complete copy holds.
//! Everything that can go wrong out there goes wrong here on demand: see [`Fault`].
//!
//! ```
//! use rollbook_sandbox::{Options, Sandbox};
//! let sandbox = Sandbox::start(Options { assets: 3, ..Options::default() });
//! assert!(sandbox.endpoint().starts_with("http://127.0.0.1:"));
//! assert!(sandbox.truth().len() >= 3);
//! ```
//!
//! The map: `server` takes calls in and passes them to `auth`, `setup`, `cloudkit` or
//! `cdn`; `account` says how the account stands. These read the `library`, whose bytes come from `media`. `fault` changes requests
//! and replies on their way, `counters` keeps the books, `control` lets other processes in.

#![warn(clippy::unwrap_used)]

mod account;
mod auth;
mod body;
mod cdn;
mod checksum;
mod cloudkit;
mod control;
mod counters;
mod encode;
mod fault;
mod http;
mod library;
mod line;
mod media;
mod noise;
mod options;
mod sandbox;
mod server;
mod setup;
mod sign;
mod srp;
mod state;
mod tls;
mod url;

pub use account::Obstacle;
pub use checksum::ChecksumForm;
pub use counters::{Counters, Endpoint, RequestLog};
pub use fault::{Fault, Target, Times, What};
pub use library::{Change, Kind, LibraryHandle, Rendition, TruthAlbum, TruthFile};
pub use options::{Mix, Options};
pub use sandbox::{Faults, Sandbox};
pub use srp::Protocol;
pub use tls::Certificate;
