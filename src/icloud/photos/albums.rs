//! Albums and the folders they lie in.

use std::collections::{HashSet, VecDeque};

use crate::icloud::Client;
use crate::icloud::error::Error;
use crate::icloud::photos::body::{Filter, Query, QueryBody};
use crate::icloud::photos::fields::{Key, RecordWire};
use crate::icloud::photos::record::decoded;
use crate::icloud::photos::{read_records, unreadable};
use crate::icloud::wire;
use crate::model::asset::{Album, Zone};

/// Albums on one page.
const PAGE_RECORDS: u32 = 200;
/// Most pages in all, of which each folder has one. More than a library of a million photos has; this only ends a loop.
const PAGES_MAX: usize = 2_000;
/// Folders that the service keeps for itself.
const ROOTS: [&str; 2] = ["----Root-Folder----", "----Project-Root-Folder----"];
/// The album types on the wire.
const FOLDER: i64 = 3;
const SMART: i64 = 6;
const ENDPOINT: &str = "records/query";

impl Client {
    /// Lists albums and folders, folders before what lies in them.
    ///
    /// Smart albums are left out: they are searches, not places.
    /// # Errors
    /// [`Error`]; [`Error::Malformed`] also for a list without end. Shared libraries have no albums and may answer with
    /// [`Error::Server`].
    pub async fn albums(&self, zone: &Zone) -> Result<Vec<Album>, Error> {
        let mut albums: Vec<Album> = Vec::new();
        let mut seen = HashSet::new();
        let mut pages = 0;
        let mut folders: VecDeque<Option<String>> = [None].into();
        while let Some(folder) = folders.pop_front() {
            let mut marker = None;
            loop {
                if pages == PAGES_MAX {
                    let detail = "albums and folders without end".to_owned();
                    return Err(Error::Malformed { endpoint: ENDPOINT, detail });
                }
                pages += 1;
                let next = self.album_page(zone, folder.as_deref(), marker.as_deref(), &mut albums).await?;
                if next.is_none() || next == marker {
                    break;
                }
                marker = next;
            }
            // A folder may list itself, and the root may list everything.
            albums.retain(|album| {
                let new = album.parent != folder || seen.insert(album.record_name.clone());
                if new && album.folder && album.parent == folder {
                    folders.push_back(Some(album.record_name.clone()));
                }
                new
            });
        }
        Ok(albums)
    }

    /// Adds one page of a folder's albums; returns the marker of the next page.
    async fn album_page(
        &self,
        zone: &Zone,
        parent: Option<&str>,
        marker: Option<&str>,
        albums: &mut Vec<Album>,
    ) -> Result<Option<String>, Error> {
        let filter_by = parent.map(|parent| vec![Filter::text("parentId", parent)]);
        let body = QueryBody {
            query: Query { record_type: "CPLAlbumByPositionLive", filter_by },
            zone_id: zone.into(),
            results_limit: Some(PAGE_RECORDS),
            desired_keys: &[],
            continuation_marker: marker,
        };
        let answer = self.call(zone.database, ENDPOINT, &body).await?;
        let text = wire::text_of(&answer);
        let answer = read_records(ENDPOINT, &text)?;
        for entry in answer.records.into_iter().flatten() {
            let record = entry.wire.map_err(|error| unreadable(ENDPOINT, &error))?;
            if let Placed::Here(album) = placed(&record, parent) {
                albums.push(album);
            }
        }
        Ok(answer.continuation_marker.name().map(str::to_owned))
    }
}

/// Where the record of an album stands.
pub(super) enum Placed {
    /// It is an album or a folder that a person made.
    Here(Album),
    /// It was deleted.
    Gone(String),
    /// A search, a root, or nothing that can be read.
    Elsewhere,
}

/// Reads the record of an album; `parent` is the folder that was asked for, if one was.
pub(super) fn placed(record: &RecordWire<'_>, parent: Option<&str>) -> Placed {
    let kind = record.fields.value(Key::AlbumType).number();
    let Some(record_name) = record.record_name.name() else { return Placed::Elsewhere };
    if ROOTS.contains(&record_name) || record.server_error_code.name().is_some() || kind == Some(SMART) {
        return Placed::Elsewhere;
    }
    if record.deleted.is_set() || record.fields.value(Key::IsDeleted).is_set() {
        return Placed::Gone(record_name.to_owned());
    }
    let own = record.fields.value(Key::ParentId).name().filter(|parent| !ROOTS.contains(parent));
    Placed::Here(Album {
        record_name: record_name.to_owned(),
        name: decoded(record.fields.get(Key::AlbumNameEnc)).unwrap_or_else(|| record_name.to_owned()),
        parent: parent.or(own).map(str::to_owned),
        folder: kind == Some(FOLDER),
        position: record.fields.value(Key::Position).number(),
    })
}
