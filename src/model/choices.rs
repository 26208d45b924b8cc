//! Choices: what a person wants of a library, and where it goes. Pure.
//!
//! One value goes from the settings through the engine into the journal, so that every place that
//! makes a row decides by the same words. It decides which assets ([`Selection`]), which of their
//! files ([`Renditions`]) and where they stand ([`FolderTemplate`]).

use crate::model::layout::FolderTemplate;

/// What a person chose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// Folders below the directory.
    pub folders: FolderTemplate,
    /// Which assets.
    pub selection: Selection,
    /// Which of their files.
    pub renditions: Renditions,
}

/// Which assets are wanted: all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Selection {}

/// Which files of an asset are wanted: all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Renditions {}
