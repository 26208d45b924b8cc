//! rollbook keeps a complete local copy of an iCloud Photos library, and can prove it.

pub mod disk;
pub mod engine;
pub mod icloud;
pub mod journal;
pub mod model;
