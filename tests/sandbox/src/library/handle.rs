//! Changing the library, as a person with a phone would.

use super::album::{self, TruthAlbum};
use super::{Change, Kind, TruthFile};
use crate::state::State;
use std::sync::Arc;

/// Changes the library of a running sandbox; every call is one step of its history.
#[derive(Clone, Debug)]
pub struct LibraryHandle {
    state: Arc<State>,
}

impl LibraryHandle {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// Makes any change. Gives the name of the record that was made or changed; `None` if there is
    /// none of that name, or nothing to change.
    pub fn apply(&self, change: &Change) -> Option<String> {
        self.state.apply(change)
    }

    fn done(&self, change: Change) -> bool {
        self.state.apply(&change).is_some()
    }

    /// Adds an asset to the primary library, newer than all others, and returns its record name.
    pub fn add_asset(&self, kind: Kind) -> String {
        self.apply(&Change::Add { kind }).unwrap_or_default()
    }

    /// Edits an asset: new bytes in its edited rendition, the master unchanged.
    /// Returns false if there is no such asset; so do all calls below.
    pub fn edit_asset(&self, asset_record: &str) -> bool {
        self.done(Change::Edit { record: asset_record.into() })
    }

    /// Undoes the edits of an asset that was not edited from the start.
    pub fn revert_asset(&self, asset_record: &str) -> bool {
        self.done(Change::Revert { record: asset_record.into() })
    }

    /// Moves an asset to Recently Deleted.
    pub fn delete_asset(&self, asset_record: &str) -> bool {
        self.done(Change::Delete { record: asset_record.into() })
    }

    /// Takes an asset back out of Recently Deleted.
    pub fn restore_asset(&self, asset_record: &str) -> bool {
        self.done(Change::Restore { record: asset_record.into() })
    }

    /// Removes an asset for good; only tombstones are left.
    pub fn purge(&self, asset_record: &str) -> bool {
        self.done(Change::Purge { record: asset_record.into() })
    }

    /// Marks an asset as a favourite, or no longer.
    pub fn set_favorite(&self, asset_record: &str, is_favorite: bool) -> bool {
        self.done(Change::Favorite { record: asset_record.into(), is_favorite })
    }

    /// Hides an asset.
    pub fn hide(&self, asset_record: &str) -> bool {
        self.done(Change::Hide { record: asset_record.into() })
    }

    /// Shows a hidden asset again.
    pub fn unhide(&self, asset_record: &str) -> bool {
        self.done(Change::Unhide { record: asset_record.into() })
    }

    /// Gives an asset's file another name.
    pub fn rename(&self, asset_record: &str, filename: &str) -> bool {
        self.done(Change::Rename { record: asset_record.into(), filename: filename.into() })
    }

    /// Gives an asset another date, in milliseconds since 1970.
    pub fn redate(&self, asset_record: &str, captured_ms: i64) -> bool {
        self.done(Change::Redate { record: asset_record.into(), captured_ms })
    }

    /// Moves an asset to the shared library; returns its record name there.
    pub fn move_to_shared(&self, asset_record: &str) -> Option<String> {
        self.apply(&Change::MoveToShared { record: asset_record.into() })
    }

    /// Makes an album, or a folder of albums, and returns its record name.
    pub fn add_album(&self, name: &str, parent: Option<&str>, is_folder: bool) -> String {
        let parent = parent.map(str::to_owned);
        self.apply(&Change::AddAlbum { name: name.into(), parent, is_folder }).unwrap_or_default()
    }

    /// Gives an album another name.
    pub fn rename_album(&self, album: &str, name: &str) -> bool {
        self.done(Change::RenameAlbum { album: album.into(), name: name.into() })
    }

    /// Deletes an album; what lies in it stays in the library.
    pub fn delete_album(&self, album: &str) -> bool {
        self.done(Change::DeleteAlbum { album: album.into() })
    }

    /// Puts an asset into an album.
    pub fn join(&self, album: &str, asset_record: &str) -> bool {
        self.done(Change::Join { album: album.into(), record: asset_record.into() })
    }

    /// Takes an asset out of an album.
    pub fn leave(&self, album: &str, asset_record: &str) -> bool {
        self.done(Change::Leave { album: album.into(), record: asset_record.into() })
    }

    /// Makes every sync token of every library void, as a reset of the zone does.
    pub fn void_tokens(&self) {
        self.done(Change::VoidTokens);
    }

    /// Record names of the primary library's assets, in the order they came to be.
    pub fn assets(&self) -> Vec<String> {
        self.state.asset_names()
    }

    /// The albums that were made by hand and are there.
    pub fn albums(&self) -> Vec<TruthAlbum> {
        let library = self.state.library();
        album::truth(&library.zones[0], self.state.options.seed)
    }
}

impl State {
    pub(crate) fn asset_names(&self) -> Vec<String> {
        let library = self.library();
        let zone = &library.zones[0];
        let count = u32::try_from(zone.entries.len()).unwrap_or(u32::MAX);
        let held = (0..count).filter(|at| !zone.entry(*at).is_purged);
        held.map(|at| zone.asset_name(at, self.options.seed)).collect()
    }

    pub(crate) fn truth(&self) -> Vec<TruthFile> {
        let library = self.library();
        library.truth(&self.press(&library, ""), false)
    }

    pub(crate) fn truth_with_previews(&self) -> Vec<TruthFile> {
        let library = self.library();
        library.truth(&self.press(&library, ""), true)
    }
}
