//! Every way in which a library can change, as a value: for tests, for other processes, and for a
//! moment in the middle of a run.

use super::item::Kind;
use super::zone::{Entry, Event, Origin};
use super::{Library, Side};
use crate::library::album::Album;
use crate::library::item::Item;
use crate::options::Options;
use crate::state::State;
use serde::{Deserialize, Serialize};

/// One change. In JSON: `{"do": "edit", "record": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Change {
    /// A new asset in the primary library, newer than all others.
    Add {
        /// Its kind.
        kind: Kind,
    },
    /// New bytes in the edited rendition, the master unchanged.
    Edit {
        /// The asset.
        record: String,
    },
    /// The edits are undone; only an asset that was not edited from the start has such.
    Revert {
        /// The asset.
        record: String,
    },
    /// To Recently Deleted.
    Delete {
        /// The asset.
        record: String,
    },
    /// Out of Recently Deleted.
    Restore {
        /// The asset.
        record: String,
    },
    /// For good; only tombstones are left.
    Purge {
        /// The asset.
        record: String,
    },
    /// A favourite, or no longer.
    Favorite {
        /// The asset.
        record: String,
        /// Whether it is one.
        is_favorite: bool,
    },
    /// Hidden.
    Hide {
        /// The asset.
        record: String,
    },
    /// No longer hidden.
    Unhide {
        /// The asset.
        record: String,
    },
    /// Another file name: a change of the master alone.
    Rename {
        /// The asset.
        record: String,
        /// The name.
        filename: String,
    },
    /// Another date: a change of the asset alone.
    Redate {
        /// The asset.
        record: String,
        /// Milliseconds since 1970.
        captured_ms: i64,
    },
    /// From the primary library to the shared one: the same master, another asset.
    MoveToShared {
        /// The asset.
        record: String,
    },
    /// A new album or folder.
    AddAlbum {
        /// Its name.
        name: String,
        /// The folder it lies in.
        #[serde(default)]
        parent: Option<String>,
        /// Whether it is a folder.
        #[serde(default)]
        is_folder: bool,
    },
    /// Another name for an album.
    RenameAlbum {
        /// The album.
        album: String,
        /// The name.
        name: String,
    },
    /// An album goes; what lies in it stays in the library.
    DeleteAlbum {
        /// The album.
        album: String,
    },
    /// Into an album.
    Join {
        /// The album.
        album: String,
        /// The asset.
        record: String,
    },
    /// Out of an album.
    Leave {
        /// The album.
        album: String,
        /// The asset.
        record: String,
    },
    /// Every sync token of every library is void from here on, as after a reset of the zone.
    VoidTokens,
}

impl State {
    /// Makes a change. Gives the name of the record that was made or changed; `None` if there is none
    /// of that name, or nothing to change.
    pub(crate) fn apply(&self, change: &Change) -> Option<String> {
        let asset = |record: &String, sides: Sides, change: &dyn Fn(&mut Entry)| {
            self.change_asset(record, sides, change).then(|| record.clone())
        };
        match change {
            Change::Add { kind } => Some(self.add_asset(*kind)),
            Change::Edit { record } => asset(record, Sides::ASSET, &|entry| {
                entry.edits += 1;
                entry.is_reverted = false;
            }),
            Change::Revert { record } => self.revert(record).then(|| record.clone()),
            Change::Delete { record } => asset(record, Sides::BOTH, &|entry| entry.is_deleted = true),
            Change::Restore { record } => asset(record, Sides::BOTH, &|entry| entry.is_deleted = false),
            Change::Purge { record } => asset(record, Sides::BOTH, &|entry| entry.is_purged = true),
            Change::Favorite { record, is_favorite } => {
                asset(record, Sides::ASSET, &|entry| entry.is_favorite = *is_favorite)
            }
            Change::Hide { record } => asset(record, Sides::ASSET, &|entry| entry.is_hidden = true),
            Change::Unhide { record } => asset(record, Sides::ASSET, &|entry| entry.is_hidden = false),
            Change::Rename { record, filename } => {
                asset(record, Sides::MASTER, &|entry| entry.filename = Some(filename.clone()))
            }
            Change::Redate { record, captured_ms } => {
                asset(record, Sides::ASSET, &|entry| entry.dated_ms = Some(*captured_ms))
            }
            Change::MoveToShared { record } => self.move_to_shared(record),
            Change::AddAlbum { .. }
            | Change::RenameAlbum { .. }
            | Change::DeleteAlbum { .. }
            | Change::Join { .. }
            | Change::Leave { .. } => self.change_albums(change),
            Change::VoidTokens => {
                self.change_library(|library| {
                    library.zones.iter_mut().for_each(|zone| zone.token_generation += 1);
                });
                Some(String::new())
            }
        }
    }

    fn add_asset(&self, kind: Kind) -> String {
        self.change_library(|library| {
            let zone = &mut library.zones[0];
            let newer_ms = i64::try_from(zone.history.len()).unwrap_or(0) * 1_000;
            let at = zone.push(Entry::new(Origin::Added(kind, Item::newest_ms() + 3_600_000 + newer_ms)));
            zone.asset_name(at, self.options.seed)
        })
    }

    /// Changes an asset of any zone; false if there is none of that name.
    fn change_asset(&self, record: &str, sides: Sides, change: &dyn Fn(&mut Entry)) -> bool {
        let seed = self.options.seed;
        self.change_library(|library| {
            let mut zones = library.zones.iter();
            let found = zones.find_map(|zone| Some((zone.number, zone.asset_number(record, seed)?)));
            found.is_some_and(|(zone, entry)| {
                // A name stands on the master, which may be that of another asset.
                let entry = if sides.asset { entry } else { library.zones[zone as usize].master_of(entry) };
                library.change(zone, entry, sides, change)
            })
        })
    }

    fn revert(&self, record: &str) -> bool {
        let is_possible = {
            let library = self.library();
            library.zones.iter().any(|zone| {
                zone.asset_number(record, self.options.seed).is_some_and(|at| {
                    zone.entry(at).edits() > 0 && !zone.item(at, &self.options).is_edited(0)
                })
            })
        };
        is_possible && self.change_asset(record, Sides::ASSET, &|entry| entry.is_reverted = true)
    }

    fn move_to_shared(&self, record: &str) -> Option<String> {
        let options: &Options = &self.options;
        self.change_library(|library| {
            let at = library.zones[0].asset_number(record, options.seed)?;
            let own = &library.zones[0];
            if own.entry(at).is_purged || own.entry(at).is_deleted || library.zones.len() < 2 {
                return None;
            }
            let moved = Entry {
                origin: Origin::Kept(Box::new(own.item(at, options))),
                changes: 0,
                ..own.entry(at).clone()
            };
            library.change(0, at, Sides::BOTH, &|entry| entry.is_purged = true);
            let shared = &mut library.zones[1];
            let at = shared.push(moved);
            Some(shared.asset_name(at, options.seed))
        })
    }

    fn change_albums(&self, change: &Change) -> Option<String> {
        let seed = self.options.seed;
        self.change_library(|library| {
            let zone = &mut library.zones[0];
            let find = |zone: &super::Zone, album: &str| {
                zone.albums.iter().position(|held| held.record == album && !held.is_deleted)
            };
            match change {
                Change::AddAlbum { name, parent, is_folder } => {
                    let at = zone.albums.len();
                    let album = Album::new(seed, at, name, parent.as_deref(), *is_folder);
                    let record = album.record.clone();
                    zone.albums.push(album);
                    zone.history.push(Event::Album(at));
                    Some(record)
                }
                Change::RenameAlbum { album, name } => {
                    let at = find(zone, album)?;
                    zone.albums[at].name.clone_from(name);
                    zone.history.push(Event::Album(at));
                    Some(album.clone())
                }
                Change::DeleteAlbum { album } => {
                    let at = find(zone, album)?;
                    zone.albums[at].is_deleted = true;
                    zone.history.push(Event::Album(at));
                    Some(album.clone())
                }
                Change::Join { album, record } | Change::Leave { album, record } => {
                    let (at, entry) = (find(zone, album)?, zone.asset_number(record, seed)?);
                    let is_in = zone.albums[at].members.contains(&entry);
                    let joins = matches!(change, Change::Join { .. });
                    if is_in == joins || zone.entry(entry).is_purged || zone.albums[at].is_folder {
                        return None;
                    }
                    if joins {
                        zone.albums[at].members.push(entry);
                    } else {
                        zone.albums[at].members.retain(|member| *member != entry);
                    }
                    zone.history.push(Event::Member { album: at, entry });
                    Some(record.clone())
                }
                _ => None,
            }
        })
    }
}

/// Which records a change touches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sides {
    pub(crate) asset: bool,
    pub(crate) master: bool,
}

impl Sides {
    pub(crate) const ASSET: Self = Self { asset: true, master: false };
    pub(crate) const MASTER: Self = Self { asset: false, master: true };
    pub(crate) const BOTH: Self = Self { asset: true, master: true };
}

impl Library {
    /// Changes one entry and says so in the history; false if it was purged.
    pub(crate) fn change(
        &mut self,
        zone: u32,
        entry: u32,
        sides: Sides,
        change: &dyn Fn(&mut Entry),
    ) -> bool {
        let zone = &mut self.zones[zone as usize];
        let held = &mut zone.entries[entry as usize];
        if held.is_purged {
            return false;
        }
        change(held);
        held.changes += 1;
        let is_purged = held.is_purged;
        let master = sides.master && !matches!(held.origin, Origin::Twin(_));
        zone.history.push(Event::Entry { entry, asset: sides.asset, master });
        // What is purged leaves its albums.
        for album in 0..if is_purged { zone.albums.len() } else { 0 } {
            if zone.albums[album].members.contains(&entry) {
                zone.albums[album].members.retain(|member| *member != entry);
                zone.history.push(Event::Member { album, entry });
            }
        }
        true
    }

    /// The change a client asked for by `records/modify`.
    pub(crate) fn modify(&mut self, zone: u32, found: super::Found, field: &str, is_set: bool) -> bool {
        let both = found.side == Side::Master || field == "isDeleted";
        let sides = if both { Sides::BOTH } else { Sides::ASSET };
        self.change(zone, found.entry, sides, &|entry| match field {
            "isDeleted" => entry.is_deleted = is_set,
            "isHidden" => entry.is_hidden = is_set,
            "isFavorite" => entry.is_favorite = is_set,
            _ => {}
        })
    }
}
