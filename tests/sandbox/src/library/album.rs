//! Albums that were made by hand, beside the one that every library has.

use super::record::Record;
use super::zone::Zone;
use crate::encode::base64;
use crate::noise;
use serde::Serialize;
use serde_json::{Value, json};

/// An album or a folder of albums.
#[derive(Clone, Debug)]
pub(crate) struct Album {
    pub(crate) record: String,
    pub(crate) name: String,
    pub(crate) parent: Option<String>,
    pub(crate) is_folder: bool,
    pub(crate) is_deleted: bool,
    /// Entries, in their order.
    pub(crate) members: Vec<u32>,
    position: u64,
}

/// An album as a perfect client would have it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TruthAlbum {
    /// Its record name.
    pub record: String,
    /// Its name.
    pub name: String,
    /// The folder it lies in, by record name.
    pub parent: Option<String>,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Record names of the assets that lie in it, sorted.
    pub members: Vec<String>,
}

impl Album {
    pub(crate) fn new(seed: u64, at: usize, name: &str, parent: Option<&str>, is_folder: bool) -> Self {
        let id = noise::derive(seed, &[11, at as u64]);
        Self {
            record: format!("{:08X}-A1B0-4C0D-9E77-{:012X}", id >> 32, id & 0xffff_ffff_ffff),
            name: name.to_owned(),
            parent: parent.map(str::to_owned),
            is_folder,
            is_deleted: false,
            members: Vec::new(),
            position: (at as u64 + 2) * 1024,
        }
    }

    /// Its record: whole, or the tombstone of one that was deleted.
    pub(crate) fn wire(&self, zone: &Zone) -> Value {
        let kind = if self.is_folder { 3 } else { 0 };
        let mut fields = json!({
            "albumType": {"value": kind, "type": "INT64"},
            "albumNameEnc": {"value": base64(self.name.as_bytes()), "type": "ENCRYPTED_BYTES"},
            "position": {"value": self.position, "type": "INT64"},
            "sortType": {"value": 0, "type": "INT64"},
            "sortAscending": {"value": 1, "type": "INT64"},
        });
        let parent = self.parent.as_deref().unwrap_or("----Root-Folder----");
        fields["parentId"] = json!({"value": parent, "type": "STRING"});
        if self.is_deleted {
            fields["isDeleted"] = json!({"value": 1, "type": "INT64"});
        }
        json!({
            "recordName": self.record, "recordType": "CPLAlbum", "fields": fields, "pluginFields": {},
            "recordChangeTag": "10", "deleted": false, "zoneID": zone.id(),
        })
    }
}

/// The record that puts an asset into an album.
pub(crate) fn relation(zone: &Zone, asset: &str, album: &str, place: usize) -> Record {
    Record::Bare(json!({
        "recordName": format!("{asset}-IN-{album}"),
        "recordType": "CPLContainerRelation",
        "fields": {
            "itemId": {"value": asset, "type": "STRING"},
            "containerId": {"value": album, "type": "STRING"},
            "position": {"value": (place + 1) * 1024, "type": "INT64"},
        },
        "pluginFields": {},
        "recordChangeTag": "10",
        "deleted": false,
        "zoneID": zone.id(),
    }))
}

/// The albums made by hand that are there, by record name.
pub(crate) fn truth(zone: &Zone, seed: u64) -> Vec<TruthAlbum> {
    let one = |album: &Album| {
        let mut members: Vec<String> = album.members.iter().map(|at| zone.asset_name(*at, seed)).collect();
        members.sort();
        let (record, name) = (album.record.clone(), album.name.clone());
        TruthAlbum { record, name, parent: album.parent.clone(), is_folder: album.is_folder, members }
    };
    let mut albums: Vec<_> = zone.albums.iter().filter(|album| !album.is_deleted).map(one).collect();
    albums.sort();
    albums
}
