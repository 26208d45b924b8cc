//! Choices: what a person wants of a library, and where it goes. Pure.
//!
//! One value goes from the settings through the engine into the journal, so that every place that
//! makes a row decides by the same words. It decides which assets ([`Selection`]), which of their
//! files ([`Renditions`]) and where they stand ([`Layout`]).

use sha2::{Digest as _, Sha256};

use crate::model::layout::Layout;
use crate::model::renditions::Renditions;
use crate::model::selection::Selection;

/// What a person chose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// Where files stand.
    pub layout: Layout,
    /// Which assets.
    pub selection: Selection,
    /// Which of their files.
    pub renditions: Renditions,
    /// A listing ends after so many assets in a row that are here already.
    pub until_found: Option<u64>,
}

impl Choices {
    /// Whether some file of a new asset may be unwanted. Smaller copies, which are unwanted unless they are asked
    /// for, come with an asset only where they are.
    #[must_use]
    pub fn restrict(&self) -> bool {
        self.selection.restricts() || self.renditions != Renditions::default()
    }

    /// Whether the albums have to be known before a row can be judged or placed.
    #[must_use]
    pub fn need_albums(&self) -> bool {
        !self.selection.albums.is_empty() || self.layout.uses_album()
    }

    /// What stands for this choice of files in the journal: equal text, equal decisions. The layout is
    /// not part of it: it concerns new rows only. `now` matters where an age was given.
    #[must_use]
    pub fn digest(&self, now: i64) -> String {
        let day = if self.selection.is_relative() { now.div_euclid(86_400) } else { 0 };
        let text = format!("{:?} {:?} {day}", self.selection, self.renditions);
        Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
