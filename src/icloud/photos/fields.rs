//! A record as it stands on the wire, with the fields that we read.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::icloud::wire::{Field, FieldBody, Lenient, Value};
use crate::model::asset::Rendition;

/// The fields that a listing asks for. Fewer keys make pages much smaller than Apple's ten
/// kilobytes an asset; beside what we read, these are the facts that a later feature would need
/// (places, titles, edits, bursts), so that it can find them in the kept record.
pub(super) const DESIRED_KEYS: [&str; 56] = [
    "recordName",
    "recordType",
    "recordChangeTag",
    "masterRef",
    "filenameEnc",
    "itemType",
    "dataClassType",
    "assetDate",
    "addedDate",
    "timeZoneOffset",
    "timeZoneNameEnc",
    "isFavorite",
    "isHidden",
    "isDeleted",
    "isExpunged",
    "dateExpunged",
    "adjustmentType",
    "adjustmentSimpleDataEnc",
    "adjustmentRenderType",
    "assetSubtype",
    "assetSubtypeV2",
    "assetHDRType",
    "customRenderedValue",
    "captionEnc",
    "extendedDescEnc",
    "keywordsEnc",
    "locationEnc",
    "locationV2Enc",
    "locationLatitude",
    "locationLongitude",
    "orientation",
    "originalOrientation",
    "duration",
    "burstId",
    "burstFlags",
    "burstFlagsExt",
    "resOriginalRes",
    "resOriginalFileType",
    "resOriginalWidth",
    "resOriginalHeight",
    "resOriginalAltRes",
    "resOriginalAltFileType",
    "resOriginalAltWidth",
    "resOriginalAltHeight",
    "resOriginalVidComplRes",
    "resOriginalVidComplFileType",
    "resOriginalVidComplWidth",
    "resOriginalVidComplHeight",
    "resJPEGFullRes",
    "resJPEGFullFileType",
    "resJPEGFullWidth",
    "resJPEGFullHeight",
    "resVidFullRes",
    "resVidFullFileType",
    "resVidFullWidth",
    "resVidFullHeight",
];

/// The fields of the smaller copies that the service makes, for those who want them.
pub(super) const PREVIEW_KEYS: [&str; 8] = [
    "resJPEGMedRes",
    "resJPEGMedFileType",
    "resJPEGThumbRes",
    "resJPEGThumbFileType",
    "resVidMedRes",
    "resVidMedFileType",
    "resVidSmallRes",
    "resVidSmallFileType",
];

/// What the picture's own file says of itself, for those who sort by camera. Three kilobytes a photo, as much as
/// all the others together.
///
/// Witnesses: the recorded answers of icloudpd's tests, the sample in icloud-photos-sync's `query-parser.ts`, and
/// the parser `icloudPhotoMeta` of LEAPP.
pub(super) const CAMERA_KEY: &str = "mediaMetaDataEnc";

/// Fields of ours that a record of an asset usually has, rather more than fewer: room for them is made once.
const FIELDS_USUAL: usize = 16;

/// What is asked for only by those who want it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extras {
    /// The smaller copies that the service makes.
    pub(super) previews: bool,
    /// Which camera took it.
    pub(super) camera: bool,
}

/// The fields to ask for.
pub(super) fn desired_keys(extras: Extras) -> Vec<&'static str> {
    let previews = if extras.previews { &PREVIEW_KEYS[..] } else { &[] };
    let camera = extras.camera.then_some(CAMERA_KEY);
    DESIRED_KEYS.iter().chain(previews).copied().chain(camera).collect()
}

/// The envelope of a record, or the error in its place.
#[derive(Clone, Debug, Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RecordWire<'a> {
    #[serde(borrow)]
    pub(super) record_name: Value<'a>,
    #[serde(borrow)]
    pub(super) record_type: Value<'a>,
    #[serde(borrow)]
    pub(super) record_change_tag: Value<'a>,
    #[serde(borrow)]
    pub(super) deleted: Value<'a>,
    #[serde(borrow)]
    pub(super) server_error_code: Value<'a>,
    #[serde(borrow)]
    pub(super) reason: Value<'a>,
    #[serde(borrow)]
    pub(super) fields: Lenient<Fields<'a>>,
}

/// The fields of masters, assets and albums that we read. Which stands on which is a habit, not a law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
pub(super) enum Key {
    MasterRef,
    FilenameEnc,
    ItemType,
    DataClassType,
    AssetDate,
    AddedDate,
    TimeZoneOffset,
    IsFavorite,
    IsHidden,
    IsDeleted,
    ResOriginalRes,
    ResOriginalFileType,
    ResOriginalAltRes,
    ResOriginalAltFileType,
    ResOriginalVidComplRes,
    ResOriginalVidComplFileType,
    #[serde(rename = "resJPEGFullRes")]
    ResJpegFullRes,
    #[serde(rename = "resJPEGFullFileType")]
    ResJpegFullFileType,
    ResVidFullRes,
    ResVidFullFileType,
    #[serde(rename = "resJPEGMedRes")]
    ResJpegMedRes,
    #[serde(rename = "resJPEGMedFileType")]
    ResJpegMedFileType,
    ResVidMedRes,
    ResVidMedFileType,
    #[serde(rename = "resJPEGThumbRes")]
    ResJpegThumbRes,
    #[serde(rename = "resJPEGThumbFileType")]
    ResJpegThumbFileType,
    ResVidSmallRes,
    ResVidSmallFileType,
    AssetSubtypeV2,
    MediaMetaDataEnc,
    AlbumNameEnc,
    AlbumType,
    ParentId,
    Position,
    ItemId,
    ContainerId,
    /// Any other: it is kept as text with its record, and not read.
    #[serde(other)]
    Other,
}

impl Key {
    fn bit(self) -> u64 {
        const { assert!((Self::Other as u32) < u64::BITS, "each key has a bit") };
        1 << self as u32
    }
}

/// The fields that a record came with, of those that we read: a dozen of some forty.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields<'a> {
    /// `None`: the record has no fields at all.
    came: Option<Vec<(Key, FieldBody<'a>)>>,
    /// A bit for each key that came: most questions are for fields that did not.
    keys: u64,
}

impl<'a> Fields<'a> {
    /// Whether the record has fields at all, be they read or not.
    pub(super) fn are_there(&self) -> bool {
        self.came.is_some()
    }

    /// The field; an empty one where it did not come.
    pub(super) fn get(&self, key: Key) -> &FieldBody<'a> {
        static ABSENT: FieldBody<'_> = FieldBody { value: Value::Absent, kind: Value::Absent };
        if self.keys & key.bit() == 0 {
            return &ABSENT;
        }
        let came = self.came.iter().flatten().find(|(came, _)| *came == key);
        came.map_or(&ABSENT, |(_, field)| field)
    }

    /// What the field holds.
    pub(super) fn value(&self, key: Key) -> &Value<'a> {
        &self.get(key).value
    }

    /// The file of a rendition, and its type.
    pub(super) fn resource(&self, rendition: Rendition) -> (&Value<'a>, &Value<'a>) {
        let (file, uti) = match rendition {
            Rendition::Original => (Key::ResOriginalRes, Key::ResOriginalFileType),
            Rendition::Alternative => (Key::ResOriginalAltRes, Key::ResOriginalAltFileType),
            Rendition::LiveVideo => (Key::ResOriginalVidComplRes, Key::ResOriginalVidComplFileType),
            Rendition::Edited => (Key::ResJpegFullRes, Key::ResJpegFullFileType),
            Rendition::EditedVideo => (Key::ResVidFullRes, Key::ResVidFullFileType),
            Rendition::Medium => (Key::ResJpegMedRes, Key::ResJpegMedFileType),
            Rendition::MediumVideo => (Key::ResVidMedRes, Key::ResVidMedFileType),
            Rendition::Thumb => (Key::ResJpegThumbRes, Key::ResJpegThumbFileType),
            Rendition::ThumbVideo => (Key::ResVidSmallRes, Key::ResVidSmallFileType),
        };
        (self.value(file), self.value(uti))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut came, mut keys) = (Vec::with_capacity(FIELDS_USUAL), 0);
        while let Some(key) = map.next_key::<Key>()? {
            if key == Key::Other {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if keys & key.bit() != 0 {
                return Err(A::Error::custom(format_args!("the field {key:?} came twice")));
            }
            keys |= key.bit();
            came.push((key, map.next_value::<Field<'_>>()?.0));
        }
        Ok(Fields { came: Some(came), keys })
    }
}

/// The name of a rendition's field, for a person who looks into a record.
pub(super) fn field_name(rendition: Rendition) -> &'static str {
    match rendition {
        Rendition::Original => "resOriginalRes",
        Rendition::Alternative => "resOriginalAltRes",
        Rendition::LiveVideo => "resOriginalVidComplRes",
        Rendition::Edited => "resJPEGFullRes",
        Rendition::EditedVideo => "resVidFullRes",
        Rendition::Medium => "resJPEGMedRes",
        Rendition::MediumVideo => "resVidMedRes",
        Rendition::Thumb => "resJPEGThumbRes",
        Rendition::ThumbVideo => "resVidSmallRes",
    }
}
