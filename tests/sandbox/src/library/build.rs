//! Entry to records: what a client reads about an asset.
//!
//! Nothing is kept but checksums; a page of records is made when it is asked for. Addresses in the
//! records are signed for the moment they are made.

use super::item::{File, Item, Rendition};
use super::odd::Side;
use super::record::{AssetId, Envelope, Field, Fields, Nothing, Record, Stamp, Wanted};
use super::zone::{Entry, Origin, Zone};
use super::{Checksums, Facts, FileKey};
use crate::encode::{base64, base64url};
use crate::noise;
use crate::options::Options;
use crate::url::UrlMaker;

/// All that records are made from beside the zone itself.
pub(crate) struct Press<'a> {
    pub(crate) options: &'a Options,
    pub(crate) checksums: &'a Checksums,
    pub(crate) urls: UrlMaker<'a>,
}

impl Press<'_> {
    /// The master record of an entry; `None` if the entry has none of its own.
    pub(crate) fn master(&self, zone: &Zone, at: u32, wanted: &Wanted) -> Option<Record> {
        if zone.master_of(at) != at {
            return None;
        }
        let (entry, item) = (zone.entry(at), zone.item(at, self.options));
        let mut fields = Fields::default();
        let mut put = |name: &'static str, field: Field| {
            if wanted.has(name) {
                fields.put(name, field);
            }
        };
        put("filenameEnc", Field::Encrypted(item.filename.clone().into_bytes()));
        put("itemType", Field::Text(item.files(0)[0].format.uti().into()));
        put("dataClassType", Field::Int(if item.kind.is_movie() { 2 } else { 1 }));
        put("originalOrientation", Field::Int(1));
        put("importedByBundleIdentifierEnc", Field::Encrypted(b"com.apple.camera".to_vec()));
        put("importedBy", Field::Int(1));
        if !item.kind.is_movie() && wanted.has("mediaMetaDataEnc") {
            put("mediaMetaDataType", Field::Text("CGImageProperties".into()));
            put("mediaMetaDataEnc", Field::Encrypted(image_properties(&item)));
        }
        if entry.is_deleted {
            put("isDeleted", Field::Int(1));
        }
        for file in item.files(entry.edits()).iter().filter(|file| !file.rendition.is_on_asset()) {
            self.resource(&mut fields, wanted, zone, at, &item, file);
        }
        let envelope = self.envelope(zone, entry, &item, self.master_name(zone, at), "CPLMaster", fields);
        twisted(entry, Side::Master, wanted, envelope)
    }

    /// The asset record of an entry.
    pub(crate) fn asset(&self, zone: &Zone, at: u32, wanted: &Wanted) -> Option<Record> {
        let (entry, item) = (zone.entry(at), zone.item(at, self.options));
        let mut fields = Fields::default();
        let mut put = |name: &'static str, field: Field| {
            if wanted.has(name) {
                fields.put(name, field);
            }
        };
        put(
            "masterRef",
            Field::Reference { record: self.master_name(zone, zone.master_of(at)), zone: zone.id() },
        );
        put("assetDate", Field::Time(item.date_ms()));
        put("addedDate", Field::Time(item.captured_ms + 90_000));
        put("timeZoneOffset", Field::Int(i64::from(item.tz_offset_s)));
        put("timeZoneNameEnc", Field::Encrypted(item.tz_name.into()));
        put("isFavorite", Field::Int(i64::from(entry.is_favorite)));
        put("isHidden", Field::Int(i64::from(entry.is_hidden)));
        put("assetSubtypeV2", Field::Int(subtype(&item)));
        put("orientation", Field::Int(1));
        put("duration", Field::Int(i64::from(item.kind.is_movie())));
        put("burstFlags", Field::Int(0));
        put("assetHDRType", Field::Int(0));
        put("captionEnc", Field::Encrypted(format!("Picture {at}").into_bytes()));
        if item.seed.is_multiple_of(5) {
            put("extendedDescEnc", Field::Encrypted(format!("A day <at> the sea & more, {at}").into_bytes()));
        }
        put("keywordsEnc", Field::Encrypted(keywords(item.seed)));
        if item.seed.is_multiple_of(3) {
            put("locationEnc", Field::Encrypted(place(item.seed)));
        }
        if item.is_edited(entry.edits()) {
            put("adjustmentType", Field::Text("com.apple.photo".into()));
        }
        if entry.is_deleted {
            put("isDeleted", Field::Int(1));
        }
        for file in item.files(entry.edits()).iter().filter(|file| file.rendition.is_on_asset()) {
            self.resource(&mut fields, wanted, zone, at, &item, file);
        }
        let mut envelope =
            self.envelope(zone, entry, &item, zone.asset_name(at, self.options.seed), "CPLAsset", fields);
        envelope.expiration_time = entry.is_deleted.then_some(THIRTY_DAYS_S);
        twisted(entry, Side::Asset, wanted, envelope)
    }

    /// A master is named by its original's checksum.
    pub(crate) fn master_name(&self, zone: &Zone, at: u32) -> String {
        let item = zone.item(at, self.options);
        let original = item.files(0)[0];
        base64(&self.facts(zone, at, &item, &original).checksum)
    }

    /// What the records state about one file.
    pub(crate) fn facts(&self, zone: &Zone, at: u32, item: &Item, file: &File) -> Facts {
        let edits = zone.entry(at).edits();
        let key = FileKey::new(zone.number, at, file.rendition, edits);
        self.checksums.of(key, || item.content(file, edits))
    }

    fn resource(&self, fields: &mut Fields, wanted: &Wanted, zone: &Zone, at: u32, item: &Item, file: &File) {
        let name = file.rendition.name();
        let field = |part: &str| format!("res{name}{part}");
        let (res, fingerprint) = (field("Res"), field("Fingerprint"));
        if wanted.has(&res) || wanted.has(&fingerprint) {
            let facts = self.facts(zone, at, item, file);
            if wanted.has(&res) {
                fields.put(res, Field::Asset(self.asset_id(zone, at, item, file, &facts)));
            }
            if wanted.has(&fingerprint) {
                fields.put(fingerprint, Field::Text(base64(&facts.checksum)));
            }
        }
        let (width, height) = dimensions(file.rendition);
        let rest = [
            ("FileType", Field::Text(file.format.uti().into())),
            ("Width", Field::Int(width)),
            ("Height", Field::Int(height)),
        ];
        for (part, value) in rest {
            let name = field(part);
            if wanted.has(&name) {
                fields.put(name, value);
            }
        }
    }

    fn asset_id(&self, zone: &Zone, at: u32, item: &Item, file: &File, facts: &Facts) -> AssetId {
        let edits = zone.entry(at).edits();
        let key = FileKey::new(zone.number, at, file.rendition, edits);
        let mut secret = [0; 37];
        noise::fill(noise::derive(item.seed, &[9, file.rendition as u64]), 0, &mut secret);
        secret[16] = 1;
        let (wrapping, reference) = secret.split_at(16);
        let locator = base64url(&[&facts.checksum, reference].concat());
        AssetId {
            file_checksum: base64(&facts.checksum),
            size: facts.size_bytes,
            wrapping_key: base64(wrapping),
            reference_checksum: base64(reference),
            download_url: Some(self.urls.make(&key, &locator, &base64url(wrapping), &zone.name)),
        }
    }

    fn envelope(
        &self,
        zone: &Zone,
        entry: &Entry,
        item: &Item,
        record_name: String,
        record_type: &'static str,
        fields: Fields,
    ) -> Envelope {
        Envelope {
            record_name,
            record_type,
            fields,
            plugin_fields: Nothing {},
            record_change_tag: format!("{:x}", 0x1000 + entry.changes),
            created: Stamp::at(item.captured_ms.saturating_add(90_000)),
            modified: Stamp::at(item.captured_ms.saturating_add(90_000 + i64::from(entry.changes))),
            deleted: false,
            zone_id: zone.id(),
            expiration_time: None,
        }
    }
}

/// Deleted assets are kept for thirty days.
const THIRTY_DAYS_S: u64 = 30 * 86_400;

fn twisted(entry: &Entry, side: Side, wanted: &Wanted, envelope: Envelope) -> Option<Record> {
    match &entry.origin {
        Origin::Odd(oddity) => oddity.apply(side, wanted, envelope),
        _ => Some(Record::Whole(Box::new(envelope))),
    }
}

fn subtype(item: &Item) -> i64 {
    match item.kind {
        kind if kind.is_live() => 2,
        super::item::Kind::Screenshot => 3,
        _ => 0,
    }
}

fn dimensions(rendition: Rendition) -> (i64, i64) {
    match rendition {
        Rendition::JPEGThumb | Rendition::VidSmall => (342, 256),
        Rendition::JPEGMed | Rendition::VidMed => (1_366, 1_024),
        _ => (4_032, 3_024),
    }
}

/// A property list of words: usually none, in the binary form; for some assets two, as XML.
fn keywords(seed: u64) -> Vec<u8> {
    if seed.is_multiple_of(4) {
        b"<?xml version=\"1.0\" encoding=\"UTF-8\"?><plist version=\"1.0\"><array><string>sea</string>\
          <string>\xc3\x89t\xc3\xa9 &amp; co</string></array></plist>"
            .to_vec()
    } else {
        b"bplist00\xa0\x08\0\0\0\0\0\0\x01\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x09".to_vec()
    }
}

/// What ImageIO reads in the original of a still: as binary property list, half of it the maker's own note.
fn image_properties(item: &Item) -> Vec<u8> {
    let dictionary = |entries: Vec<(&str, plist::Value)>| {
        let entries = entries.into_iter().map(|(key, value)| (key.to_owned(), value));
        plist::Value::Dictionary(entries.collect())
    };
    let mut entries = vec![
        ("ColorModel", "RGB".into()),
        ("Depth", 8.into()),
        ("PixelHeight", 3_024.into()),
        ("PixelWidth", 4_032.into()),
    ];
    let (maker, model) = item.camera();
    if let Some(maker) = maker {
        let mut tiff = vec![("Make", maker.into()), ("Orientation", 1.into()), ("Software", "17.5".into())];
        tiff.extend(model.map(|model| ("Model", model.into())));
        let mut note = vec![0; 1_500];
        noise::fill(item.seed, 0, &mut note);
        entries.push(("{TIFF}", dictionary(tiff)));
        entries
            .push(("{Exif}", dictionary(vec![("ExposureTime", 0.004.into()), ("LensMake", maker.into())])));
        entries
            .push(("{MakerApple}", dictionary(vec![("1", 16.into()), ("note", plist::Value::Data(note))])));
    }
    let mut list = Vec::new();
    dictionary(entries).to_writer_binary(&mut list).expect("memory takes everything");
    list
}

/// A place on land or sea, as the property list the service keeps it in.
fn place(seed: u64) -> Vec<u8> {
    let degrees = |n, span: u32| {
        f64::from(u32::try_from(noise::pick(seed, &[n], u64::from(span) * 1_000)).unwrap_or(0)) / 1_000.0
            - f64::from(span / 2)
    };
    let real = |name: &str, value: f64| format!("<key>{name}</key><real>{value}</real>");
    let values = [
        real("lat", degrees(20, 160)),
        real("lon", degrees(21, 360)),
        real("alt", 35.5),
        real("horzAcc", 5.0),
    ];
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><plist version=\"1.0\"><dict>{}</dict></plist>",
        values.concat()
    )
    .into_bytes()
}
