//! A CloudKit record as it goes over the wire.
//!
//! Promises: a field keeps its CloudKit type, fields that were not asked for are never built, and
//! anything can be put into a field, because oddities have to.

use crate::encode::base64;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::HashSet;

/// The fields a client asked for; none named means all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted(Option<HashSet<String>>);

impl Wanted {
    /// Reads `desiredKeys`.
    pub(crate) fn parse(keys: Option<&Value>) -> Self {
        let names = keys
            .and_then(Value::as_array)
            .map(|keys| keys.iter().filter_map(Value::as_str).map(str::to_owned).collect::<HashSet<_>>());
        Self(names)
    }

    /// One field and no other.
    pub(crate) fn only(field: &str) -> Self {
        Self(Some(HashSet::from([field.to_owned()])))
    }

    pub(crate) fn has(&self, field: &str) -> bool {
        self.0.as_ref().is_none_or(|names| names.contains(field))
    }
}

/// The value of a field with its CloudKit type.
#[derive(Clone, Debug)]
pub(crate) enum Field {
    Text(String),
    Encrypted(Vec<u8>),
    Int(i64),
    Time(i64),
    Asset(AssetId),
    Reference {
        record: String,
        zone: Value,
    },
    /// Whatever an oddity wants here, the envelope included.
    Raw(Value),
}

/// What a record says about one file.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AssetId {
    pub(crate) file_checksum: String,
    pub(crate) size: u64,
    pub(crate) wrapping_key: String,
    pub(crate) reference_checksum: String,
    #[serde(rename = "downloadURL", skip_serializing_if = "Option::is_none")]
    pub(crate) download_url: Option<String>,
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Self::Raw(value) = self {
            return value.serialize(serializer);
        }
        let mut map = serializer.serialize_map(Some(2))?;
        match self {
            Self::Text(text) => entry(&mut map, text, "STRING")?,
            Self::Encrypted(bytes) => entry(&mut map, &base64(bytes), "ENCRYPTED_BYTES")?,
            Self::Int(number) => entry(&mut map, number, "INT64")?,
            Self::Time(ms) => entry(&mut map, ms, "TIMESTAMP")?,
            Self::Asset(asset) => entry(&mut map, asset, "ASSETID")?,
            Self::Reference { record, zone } => {
                let value = json!({"recordName": record, "action": "DELETE_SELF", "zoneID": zone});
                entry(&mut map, &value, "REFERENCE")?;
            }
            Self::Raw(_) => {}
        }
        map.end()
    }
}

fn entry<M: SerializeMap>(map: &mut M, value: &impl Serialize, kind: &str) -> Result<(), M::Error> {
    map.serialize_entry("value", value)?;
    map.serialize_entry("type", kind)
}

/// Fields in the order they were put in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(pub(crate) Vec<(Cow<'static, str>, Field)>);

impl Fields {
    pub(crate) fn put(&mut self, name: impl Into<Cow<'static, str>>, field: Field) {
        let name = name.into();
        match self.0.iter_mut().find(|(held, _)| *held == name) {
            Some(held) => held.1 = field,
            None => self.0.push((name, field)),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Field> {
        self.0.iter().find(|(held, _)| held == name).map(|(_, field)| field)
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, field)| (name, field)))
    }
}

/// One entry of a `records` array.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum Record {
    Whole(Box<Envelope>),
    /// A tombstone, an error entry, or anything else without fields.
    Bare(Value),
}

impl Record {
    /// What is left of a record that was purged.
    pub(crate) fn tombstone(name: &str, zone: &Value) -> Self {
        Self::Bare(json!({"recordName": name, "recordType": null, "deleted": true, "zoneID": zone}))
    }

    /// A record that could not be served.
    pub(crate) fn error(name: &str, code: &str, reason: &str) -> Self {
        Self::Bare(json!({"recordName": name, "serverErrorCode": code, "reason": reason}))
    }
}

/// A record with everything around its fields.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Envelope {
    pub(crate) record_name: String,
    pub(crate) record_type: &'static str,
    pub(crate) fields: Fields,
    pub(crate) plugin_fields: Nothing,
    pub(crate) record_change_tag: String,
    pub(crate) created: Stamp,
    pub(crate) modified: Stamp,
    pub(crate) deleted: bool,
    #[serde(rename = "zoneID")]
    pub(crate) zone_id: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expiration_time: Option<u64>,
}

/// `{}`.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(crate) struct Nothing {}

/// Who touched a record, and when.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Stamp {
    pub(crate) timestamp: i64,
    #[serde(rename = "userRecordName")]
    pub(crate) user: &'static str,
    #[serde(rename = "deviceID")]
    pub(crate) device: &'static str,
}

impl Stamp {
    pub(crate) fn at(timestamp_ms: i64) -> Self {
        Self { timestamp: timestamp_ms, user: "_5a4d8b0c6e1f", device: "8C1FD2A47B3E" }
    }
}
