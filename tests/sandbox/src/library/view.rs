//! The indexes a listing can walk: which entries, newest first.

use super::item::Kind;
use super::{Library, Origin, Zone};
use crate::options::Options;
use std::cmp::Reverse;
use std::sync::{Arc, PoisonError};

/// One index of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum View {
    /// Everything neither hidden nor deleted, by capture date.
    All,
    /// The same by the date it was added.
    Added,
    Deleted,
    Hidden,
    Favorites,
    Videos,
    Live,
    Screenshots,
    /// The one album there is: every fifth asset.
    Album,
    /// An album made by hand, by its place.
    Made(usize),
    /// An index that exists and is empty.
    Empty,
}

/// The record name of the one user album.
pub(crate) const ALBUM: &str = "0F1E2D3C-4B5A-4968-8776-A5B4C3D2E1F0";

impl View {
    /// The view of a listing index, with the value of its extra filter.
    pub(crate) fn of_list(zone: &Zone, index: &str, filter: Option<&str>) -> Option<Self> {
        Some(match index {
            "CPLAssetAndMasterByAssetDateWithoutHiddenOrDeleted" | "CPLAssetAndMasterByAssetDate" => {
                Self::All
            }
            "CPLAssetAndMasterByAddedDate" => Self::Added,
            "CPLAssetAndMasterDeletedByExpungedDate" => Self::Deleted,
            "CPLAssetAndMasterHiddenByAssetDate" => Self::Hidden,
            "CPLBurstStackAssetAndMasterByAssetDate" => Self::Empty,
            "CPLAssetAndMasterInSmartAlbumByAssetDate" => Self::of_smart_album(filter?)?,
            "CPLContainerRelationLiveByAssetDate" | "CPLContainerRelationLiveByPosition" => {
                Self::of_album(zone, filter)
            }
            _ => return None,
        })
    }

    /// The view of a counting index, `{index}` or `{index}:{what}`.
    pub(crate) fn of_count(zone: &Zone, id: &str) -> Option<Self> {
        let (index, what) = id.split_once(':').map_or((id, None), |(index, what)| (index, Some(what)));
        Some(match index {
            "CPLAssetByAssetDateWithoutHiddenOrDeleted" | "CPLAssetByAssetDate" => Self::All,
            "CPLAssetByAddedDate" => Self::Added,
            "CPLAssetDeletedByExpungedDate" => Self::Deleted,
            "CPLAssetHiddenByAssetDate" => Self::Hidden,
            "CPLAssetBurstStackAssetByAssetDate" => Self::Empty,
            "CPLAssetInSmartAlbumByAssetDate" => Self::of_smart_album(&what?.to_uppercase())?,
            "CPLContainerRelationNotDeletedByAssetDate" => Self::of_album(zone, what),
            _ => return None,
        })
    }

    fn of_album(zone: &Zone, record: Option<&str>) -> Self {
        if record == Some(ALBUM) {
            return Self::Album;
        }
        let made =
            zone.albums.iter().position(|album| Some(album.record.as_str()) == record && !album.is_deleted);
        made.map_or(Self::Empty, Self::Made)
    }

    fn of_smart_album(name: &str) -> Option<Self> {
        Some(match name {
            "FAVORITE" => Self::Favorites,
            "VIDEO" => Self::Videos,
            "LIVE" => Self::Live,
            "SCREENSHOT" => Self::Screenshots,
            "PANORAMA" | "SLOMO" | "TIMELAPSE" => Self::Empty,
            _ => return None,
        })
    }

    /// Whether shared zones have this index too.
    pub(crate) fn is_of_shared_zones(self) -> bool {
        matches!(self, Self::All | Self::Added | Self::Deleted | Self::Hidden | Self::Favorites)
    }

    fn holds(self, zone: &Zone, at: u32, kind: Kind) -> bool {
        let entry = zone.entry(at);
        let is_shown = !entry.is_deleted && !entry.is_hidden;
        match self {
            Self::All => is_shown,
            Self::Added => !entry.is_deleted,
            Self::Deleted => entry.is_deleted,
            Self::Hidden => entry.is_hidden && !entry.is_deleted,
            Self::Favorites => is_shown && entry.is_favorite,
            Self::Videos => is_shown && kind.is_movie(),
            Self::Live => is_shown && kind.is_live(),
            Self::Screenshots => is_shown && kind == Kind::Screenshot,
            Self::Album => is_shown && at.is_multiple_of(5) && matches!(entry.origin, Origin::Generated(_)),
            Self::Made(album) => is_shown && zone.albums[album].members.contains(&at),
            Self::Empty => false,
        }
    }
}

impl Library {
    /// The entries of a view, newest first. Computed once, until the library changes.
    pub(crate) fn view(&self, zone: &Zone, view: View, options: &Options) -> Arc<[u32]> {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        let made = views.entry((zone.number, view)).or_insert_with(|| {
            if let View::Made(album) = view {
                let members = zone.albums[album].members.iter().copied();
                let shown = |at: &u32| !zone.entry(*at).is_deleted && !zone.entry(*at).is_hidden;
                return members.filter(shown).collect();
            }
            let count = u32::try_from(zone.entries.len()).unwrap_or(u32::MAX);
            let mut rows: Vec<(Reverse<i64>, u32)> = (0..count)
                .filter(|at| !zone.entry(*at).is_purged)
                .map(|at| (at, zone.item(at, options)))
                .filter(|(at, item)| view.holds(zone, *at, item.kind))
                .map(|(at, item)| (Reverse(item.date_ms()), at))
                .collect();
            rows.sort_unstable();
            rows.into_iter().map(|(_, at)| at).collect()
        });
        made.clone()
    }

    /// Forgets all views; every change must call it.
    pub(crate) fn forget_views(&mut self) {
        self.views.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
