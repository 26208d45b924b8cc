//! rollbook keeps a complete local copy of an iCloud Photos library, and can prove it.

<<<<<<< HEAD
pub mod disk;
pub mod journal;
=======
pub mod icloud;
>>>>>>> icloud
pub mod model;
