//! The truth: every file a complete copy must hold, and what its bytes hash to.

use super::record::{Field, Record, Wanted};
use super::zone::{Origin, Zone};
use super::{Library, Press, Rendition};
use crate::checksum;
use crate::encode::{from_base64, hex};
use serde::Serialize;

/// One file of the library, as a perfect client would have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TruthFile {
    /// The zone's name.
    pub zone: String,
    /// The asset's record name.
    pub asset_record: String,
    /// The record name of the asset's master.
    pub master_record: String,
    /// The name the user sees; empty if the record states none that can be read.
    pub filename: String,
    /// Which version of the asset this is.
    pub rendition: Rendition,
    /// The type the file really has.
    pub uti: String,
    /// Bytes of the file.
    pub size: u64,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// `fileChecksum` as the record states it.
    pub checksum: String,
    /// When the picture was taken, in milliseconds since 1970, UTC.
    pub captured_ms: i64,
    /// The camera's zone: seconds east of UTC.
    pub tz_offset_s: i32,
    /// The model of the camera, or its maker where the original names no model; `None` where its records
    /// say neither.
    pub camera: Option<String>,
    /// Whether the asset lies in Recently Deleted.
    pub is_deleted: bool,
    /// Whether the asset is hidden.
    pub is_hidden: bool,
    /// Whether the asset is a favourite.
    pub is_favorite: bool,
    /// Whether the records, as they are served, lead to the file: false only for some oddities.
    pub is_reachable: bool,
    /// What is odd about its records, if anything is.
    pub odd: Option<String>,
}

impl Library {
    /// Every kept rendition of every asset that was not purged; with `previews` the others too. Reads every byte once.
    pub(crate) fn truth(&self, press: &Press<'_>, previews: bool) -> Vec<TruthFile> {
        let mut files = Vec::new();
        for zone in &self.zones {
            let count = u32::try_from(zone.entries.len()).unwrap_or(u32::MAX);
            for at in (0..count).filter(|at| !zone.entry(*at).is_purged) {
                let (entry, item) = (zone.entry(at), zone.item(at, press.options));
                let master = zone.master_of(at);
                let filename = self.filename(zone, master, press);
                for file in
                    item.files(entry.edits()).into_iter().filter(|file| previews || file.rendition.is_kept())
                {
                    let content = item.content(&file, entry.edits());
                    files.push(TruthFile {
                        zone: zone.name.clone(),
                        asset_record: zone.asset_name(at, press.options.seed),
                        master_record: press.master_name(zone, master),
                        filename: filename.clone(),
                        rendition: file.rendition,
                        uti: file.format.uti().into(),
                        size: content.len(),
                        sha256: hex(&checksum::sha256(&content)),
                        checksum: crate::encode::base64(&press.facts(zone, at, &item, &file).checksum),
                        captured_ms: item.date_ms(),
                        tz_offset_s: item.tz_offset_s,
                        camera: self.camera(zone, master, press),
                        is_deleted: entry.is_deleted,
                        is_hidden: entry.is_hidden,
                        is_favorite: entry.is_favorite,
                        is_reachable: self.is_reachable(zone, at, file.rendition, press),
                        odd: match &entry.origin {
                            Origin::Odd(oddity) => Some(oddity.label.clone()),
                            Origin::Twin(_) => Some("two assets on one master".into()),
                            _ => None,
                        },
                    });
                }
            }
        }
        files
    }

    /// Whether an asset record, a master it refers to, and an address for the rendition are all served.
    fn is_reachable(&self, zone: &Zone, at: u32, rendition: Rendition, press: &Press<'_>) -> bool {
        if !matches!(zone.entry(at).origin, Origin::Odd(_)) {
            return true;
        }
        let wanted = Wanted::default();
        let (Some(Record::Whole(asset)), Some(Record::Whole(master))) =
            (press.asset(zone, at, &wanted), press.master(zone, zone.master_of(at), &wanted))
        else {
            return false;
        };
        let holder = if rendition.is_on_asset() { &asset } else { &master };
        let has_address = match holder.fields.get(&format!("res{}Res", rendition.name())) {
            Some(Field::Asset(_)) => true,
            Some(Field::Raw(raw)) => raw["value"]["downloadURL"].is_string(),
            _ => false,
        };
        has_address && matches!(asset.fields.get("masterRef"), Some(Field::Reference { .. }))
    }

    /// The camera as the record states it, and the original's EXIF. What is odd states none.
    fn camera(&self, zone: &Zone, at: u32, press: &Press<'_>) -> Option<String> {
        let record = press.master(zone, at, &Wanted::only("mediaMetaDataEnc"));
        let Some(Record::Whole(record)) = record else { return None };
        let Some(Field::Encrypted(_)) = record.fields.get("mediaMetaDataEnc") else { return None };
        let (maker, model) = zone.item(at, press.options).camera();
        model.or(maker).map(str::to_owned)
    }

    /// The name as the record states it, oddities included.
    fn filename(&self, zone: &Zone, at: u32, press: &Press<'_>) -> String {
        let wanted = Wanted::only("filenameEnc");
        let Some(Record::Whole(record)) = press.master(zone, at, &wanted) else { return String::new() };
        let bytes = match record.fields.get("filenameEnc") {
            Some(Field::Encrypted(bytes)) => Some(bytes.clone()),
            Some(Field::Raw(raw)) => match (raw["type"].as_str(), raw["value"].as_str()) {
                (Some("ENCRYPTED_BYTES"), Some(text)) => from_base64(text),
                (Some("STRING"), Some(text)) => Some(text.into()),
                _ => None,
            },
            _ => None,
        };
        bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
    }
}
