//! rollbook keeps a complete local copy of an iCloud Photos library, and can prove it.

pub mod icloud;
pub mod model;
