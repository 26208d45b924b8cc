//! Oddities: records as nobody wants them, one asset each.
//!
//! A client must come through a listing that holds all of them. The healthy record is built first,
//! then twisted, so an oddity says only what is odd about it.

use super::item::Kind;
use super::record::{Envelope, Field, Record, Wanted};
use serde_json::{Value, json};

/// One of the two records of an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Master,
    Asset,
}

/// What is done to a record.
#[derive(Clone, Debug)]
enum Twist {
    Absent(&'static str),
    Put(&'static str, Value),
    /// Changes something inside the value of an asset field.
    Inside(&'static str, &'static str, Option<Value>),
    /// The entry is an error instead of a record.
    Error(&'static str),
    /// The record is not there at all.
    Gone,
}

/// One oddity.
#[derive(Clone, Debug)]
pub(crate) struct Oddity {
    /// What is odd, for the truth table: `filenameEnc absent`.
    pub(crate) label: String,
    pub(crate) kind: Kind,
    side: Side,
    twist: Twist,
}

impl Oddity {
    fn new(label: impl Into<String>, kind: Kind, side: Side, twist: Twist) -> Self {
        Self { label: label.into(), kind, side, twist }
    }

    /// Twists a record; `None` if it is not served at all.
    pub(crate) fn apply(&self, side: Side, wanted: &Wanted, mut record: Envelope) -> Option<Record> {
        if side != self.side {
            return Some(Record::Whole(Box::new(record)));
        }
        match &self.twist {
            Twist::Absent(field) => record.fields.0.retain(|(name, _)| name != field),
            Twist::Put(field, _) if !wanted.has(field) => {}
            Twist::Put(field, value) => record.fields.put(*field, Field::Raw(value.clone())),
            Twist::Inside(field, key, value) => twist_inside(&mut record, field, key, value.as_ref()),
            Twist::Error(code) => {
                return Some(Record::error(&record.record_name, code, "this record is odd"));
            }
            Twist::Gone => return None,
        }
        Some(Record::Whole(Box::new(record)))
    }
}

fn twist_inside(record: &mut Envelope, field: &'static str, key: &str, value: Option<&Value>) {
    let Some(Field::Asset(asset)) = record.fields.get(field) else { return };
    let mut inner = serde_json::to_value(asset).unwrap_or_default();
    match (value, inner.as_object_mut()) {
        (Some(value), Some(map)) => {
            map.insert(key.into(), value.clone());
        }
        (None, Some(map)) => {
            map.remove(key);
        }
        (_, None) => {}
    }
    record.fields.put(field, Field::Raw(json!({"value": inner, "type": "ASSETID"})));
}

/// Fields that are once absent, once null, and once of a wrong type.
const FIELDS: [(Side, &str); 25] = [
    (Side::Master, "filenameEnc"),
    (Side::Master, "itemType"),
    (Side::Master, "dataClassType"),
    (Side::Master, "originalOrientation"),
    (Side::Master, "resOriginalRes"),
    (Side::Master, "resOriginalFileType"),
    (Side::Master, "resOriginalWidth"),
    (Side::Master, "resOriginalHeight"),
    (Side::Master, "resOriginalFingerprint"),
    (Side::Master, "mediaMetaDataEnc"),
    (Side::Asset, "masterRef"),
    (Side::Asset, "assetDate"),
    (Side::Asset, "addedDate"),
    (Side::Asset, "timeZoneOffset"),
    (Side::Asset, "timeZoneNameEnc"),
    (Side::Asset, "isFavorite"),
    (Side::Asset, "isHidden"),
    (Side::Asset, "assetSubtypeV2"),
    (Side::Asset, "captionEnc"),
    (Side::Asset, "keywordsEnc"),
    (Side::Asset, "locationEnc"),
    (Side::Asset, "orientation"),
    (Side::Asset, "adjustmentType"),
    (Side::Asset, "resJPEGFullRes"),
    (Side::Asset, "resJPEGFullFileType"),
];

/// Names from strangers.
const NAMES: [(&str, &str); 17] = [
    ("name climbs out", "../../etc/passwd"),
    ("name is absolute", "/etc/passwd"),
    ("name has a slash", "a/b.JPG"),
    ("name has a backslash", "a\\b.JPG"),
    ("name has a NUL", "a\0b.JPG"),
    ("name is empty", ""),
    ("name is a dot", "."),
    ("name is two dots", ".."),
    ("name is reserved on Windows", "CON"),
    ("name has an emoji", "🏖️ Strand.JPG"),
    ("name runs right to left", "\u{202e}GPJ.exe.JPG"),
    ("name ends in dots and blanks", "IMG_1.JPG . ."),
    ("name has control characters", "IMG\u{1b}[31m\r\n.JPG"),
    ("name in lower case", "twin.jpg"),
    ("name in upper case", "TWIN.JPG"),
    ("name composed", "caf\u{e9}.JPG"),
    ("name decomposed", "cafe\u{301}.JPG"),
];

/// All oddities, in a fixed order.
pub(crate) fn all() -> Vec<Oddity> {
    let mut all = fields();
    all.extend(names());
    all.extend(dates());
    all.extend(resources());
    all.extend(cameras());
    all.push(Oddity::new("master without asset", Kind::Jpeg, Side::Asset, Twist::Gone));
    all.push(Oddity::new("asset without master", Kind::Jpeg, Side::Master, Twist::Gone));
    all.push(Oddity::new("master is an error", Kind::Jpeg, Side::Master, Twist::Error("ACCESS_DENIED")));
    all.push(Oddity::new("asset is an error", Kind::Jpeg, Side::Asset, Twist::Error("INTERNAL_ERROR")));
    all
}

fn fields() -> Vec<Oddity> {
    let twists = |field| {
        [
            ("absent", Twist::Absent(field)),
            ("null", Twist::Put(field, Value::Null)),
            ("without value", Twist::Put(field, json!({"type": "STRING"}))),
            ("null value", Twist::Put(field, json!({"value": null, "type": "STRING"}))),
            ("wrong type", Twist::Put(field, json!({"value": [{"no": "sense"}], "type": "LIST"}))),
        ]
    };
    let one = |(side, field): (Side, &'static str)| {
        twists(field).map(|(how, twist)| Oddity::new(format!("{field} {how}"), Kind::Edited, side, twist))
    };
    FIELDS.into_iter().flat_map(one).collect()
}

fn names() -> Vec<Oddity> {
    let put = |label: &str, value: Value| {
        Oddity::new(label, Kind::Jpeg, Side::Master, Twist::Put("filenameEnc", value))
    };
    let encrypted = |bytes: &[u8]| json!({"value": crate::encode::base64(bytes), "type": "ENCRYPTED_BYTES"});
    let mut all: Vec<_> = NAMES.iter().map(|(label, name)| put(label, encrypted(name.as_bytes()))).collect();
    all.push(put("name of 300 bytes", encrypted(format!("{}.JPG", "n".repeat(296)).as_bytes())));
    all.push(put("name is not UTF-8", encrypted(b"IMG_\xff\xfe.JPG")));
    all.push(put("name is broken base64", json!({"value": "%%%=", "type": "ENCRYPTED_BYTES"})));
    all.push(put("name is plain text", json!({"value": "plain.JPG", "type": "STRING"})));
    all
}

fn dates() -> Vec<Oddity> {
    let date = |label: &str, value: Value| {
        Oddity::new(
            label,
            Kind::Jpeg,
            Side::Asset,
            Twist::Put("assetDate", json!({"value": value, "type": "TIMESTAMP"})),
        )
    };
    vec![
        date("date before 1970", json!(-86_400_000)),
        date("date before year 1", json!(-99_999_999_999_999_i64)),
        date("date beyond all years", json!(9_000_000_000_000_000_000_i64)),
        date("date is zero", json!(0)),
        date("date has a fraction", json!(1_700_000_000_000.5)),
    ]
}

fn resources() -> Vec<Oddity> {
    let inside = |label: &str, key, value| {
        Oddity::new(label, Kind::Jpeg, Side::Master, Twist::Inside("resOriginalRes", key, value))
    };
    let kind = |label: &str, uti: &str| {
        let value = json!({"value": uti, "type": "STRING"});
        Oddity::new(label, Kind::Jpeg, Side::Master, Twist::Put("resOriginalFileType", value))
    };
    vec![
        inside("download URL missing", "downloadURL", None),
        inside("download URL null", "downloadURL", Some(Value::Null)),
        inside("size missing", "size", None),
        inside("size negative", "size", Some(json!(-1))),
        inside("checksum missing", "fileChecksum", None),
        inside("checksum of an unknown form", "fileChecksum", Some(json!("AAEC"))),
        inside("checksum not base64", "fileChecksum", Some(json!("not base64!"))),
        kind("type unknown", "com.example.hologram"),
        kind("type empty", ""),
    ]
}

/// What no camera says of itself.
fn cameras() -> Vec<Oddity> {
    let put = |label: &str, bytes: &[u8]| {
        let value = json!({"value": crate::encode::base64(bytes), "type": "ENCRYPTED_BYTES"});
        Oddity::new(
            format!("camera {label}"),
            Kind::Jpeg,
            Side::Master,
            Twist::Put("mediaMetaDataEnc", value),
        )
    };
    let model = |label: &str, model: plist::Value| {
        let tiff = plist::Dictionary::from_iter([("Model", model)]);
        let list = plist::Dictionary::from_iter([("{TIFF}", plist::Value::Dictionary(tiff))]);
        let mut bytes = Vec::new();
        plist::Value::Dictionary(list).to_writer_binary(&mut bytes).expect("memory takes everything");
        put(label, &bytes)
    };
    vec![
        put("is no list", b"Loopback 9"),
        put("is a list cut short", b"bplist00\xd1\x01\x02"),
        put("lies in itself", b"bplist00\xd1\x00\x00\x08\0\0\0\0\0\0\x01\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0b"),
        model("is a number", 9.into()),
        model("of 10 KB", "n".repeat(10_000).into()),
        model("has control characters", "Loop\u{1b}[31mback\n9".into()),
        model("is empty", "".into()),
    ]
}
