//! A record as it stands on the wire, with the fields that we read.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::icloud::wire::{Field, Lenient, List, Value};
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

/// An answer that carries records.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RecordsAnswer<'a> {
    #[serde(borrow)]
    pub(super) records: List<&'a RawValue>,
    #[serde(borrow)]
    pub(super) sync_token: Value<'a>,
    #[serde(borrow)]
    pub(super) continuation_marker: Value<'a>,
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

/// The fields of masters, assets and albums. Which stands on which is a habit, not a law.
#[derive(Clone, Debug, Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Fields<'a> {
    #[serde(borrow)]
    pub(super) master_ref: Field<'a>,
    #[serde(borrow)]
    pub(super) filename_enc: Field<'a>,
    #[serde(borrow)]
    pub(super) item_type: Field<'a>,
    #[serde(borrow)]
    pub(super) data_class_type: Field<'a>,
    #[serde(borrow)]
    pub(super) asset_date: Field<'a>,
    #[serde(borrow)]
    pub(super) added_date: Field<'a>,
    #[serde(borrow)]
    pub(super) time_zone_offset: Field<'a>,
    #[serde(borrow)]
    pub(super) is_favorite: Field<'a>,
    #[serde(borrow)]
    pub(super) is_hidden: Field<'a>,
    #[serde(borrow)]
    pub(super) is_deleted: Field<'a>,
    #[serde(borrow)]
    res_original_res: Field<'a>,
    #[serde(borrow)]
    res_original_file_type: Field<'a>,
    #[serde(borrow)]
    res_original_alt_res: Field<'a>,
    #[serde(borrow)]
    res_original_alt_file_type: Field<'a>,
    #[serde(borrow)]
    res_original_vid_compl_res: Field<'a>,
    #[serde(borrow)]
    res_original_vid_compl_file_type: Field<'a>,
    #[serde(borrow, rename = "resJPEGFullRes")]
    res_jpeg_full_res: Field<'a>,
    #[serde(borrow, rename = "resJPEGFullFileType")]
    res_jpeg_full_file_type: Field<'a>,
    #[serde(borrow)]
    res_vid_full_res: Field<'a>,
    #[serde(borrow)]
    res_vid_full_file_type: Field<'a>,
    #[serde(borrow, rename = "resJPEGMedRes")]
    res_jpeg_med_res: Field<'a>,
    #[serde(borrow, rename = "resJPEGMedFileType")]
    res_jpeg_med_file_type: Field<'a>,
    #[serde(borrow)]
    res_vid_med_res: Field<'a>,
    #[serde(borrow)]
    res_vid_med_file_type: Field<'a>,
    #[serde(borrow, rename = "resJPEGThumbRes")]
    res_jpeg_thumb_res: Field<'a>,
    #[serde(borrow, rename = "resJPEGThumbFileType")]
    res_jpeg_thumb_file_type: Field<'a>,
    #[serde(borrow)]
    res_vid_small_res: Field<'a>,
    #[serde(borrow)]
    res_vid_small_file_type: Field<'a>,
    #[serde(borrow, rename = "assetSubtypeV2")]
    pub(super) asset_subtype: Field<'a>,
    #[serde(borrow)]
    pub(super) media_meta_data_enc: Field<'a>,
    #[serde(borrow)]
    pub(super) album_name_enc: Field<'a>,
    #[serde(borrow)]
    pub(super) album_type: Field<'a>,
    #[serde(borrow)]
    pub(super) parent_id: Field<'a>,
    #[serde(borrow)]
    pub(super) position: Field<'a>,
    #[serde(borrow)]
    pub(super) item_id: Field<'a>,
    #[serde(borrow)]
    pub(super) container_id: Field<'a>,
}

impl<'a> Fields<'a> {
    /// Whether nothing is there of what every master has: a name, a type, a file.
    pub(super) fn are_absent(&self) -> bool {
        let every = [&self.filename_enc, &self.item_type, &self.res_original_res];
        every.iter().all(|field| field.value == Value::Absent)
    }

    /// The file of a rendition, and its type.
    pub(super) fn resource(&self, rendition: Rendition) -> (&Value<'a>, &Value<'a>) {
        let (file, uti) = match rendition {
            Rendition::Original => (&self.res_original_res, &self.res_original_file_type),
            Rendition::Alternative => (&self.res_original_alt_res, &self.res_original_alt_file_type),
            Rendition::LiveVideo => {
                (&self.res_original_vid_compl_res, &self.res_original_vid_compl_file_type)
            }
            Rendition::Edited => (&self.res_jpeg_full_res, &self.res_jpeg_full_file_type),
            Rendition::EditedVideo => (&self.res_vid_full_res, &self.res_vid_full_file_type),
            Rendition::Medium => (&self.res_jpeg_med_res, &self.res_jpeg_med_file_type),
            Rendition::MediumVideo => (&self.res_vid_med_res, &self.res_vid_med_file_type),
            Rendition::Thumb => (&self.res_jpeg_thumb_res, &self.res_jpeg_thumb_file_type),
            Rendition::ThumbVideo => (&self.res_vid_small_res, &self.res_vid_small_file_type),
        };
        (&file.value, &uti.value)
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
