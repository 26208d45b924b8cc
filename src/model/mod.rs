//! The facts and the rules: pure values, no IO, no async, no clock.
//!
//! Everything above this module (journal, icloud, disk, engine) speaks in these types, and
//! none of them knows of the others. Read [`state`] first, then [`recovery`].

pub mod adoption;
pub mod asset;
pub mod backoff;
pub mod change;
pub mod checksum;
pub mod choices;
pub mod events;
pub mod exif;
pub mod facts;
pub mod failure;
pub mod file_system;
pub mod ids;
pub mod kit;
pub mod layout;
pub mod reconcile;
pub mod recovery;
pub mod renditions;
pub mod roll;
pub mod secret;
pub mod selection;
pub mod signed_url;
pub mod state;
pub mod template;
pub mod time;
pub mod uti;
pub mod views;
pub mod xmp;
