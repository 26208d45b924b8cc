//! From records to assets. Nothing above this file sees JSON.
//!
//! A record is a stranger's text: whatever is missing or odd in it costs at most the part it
//! belongs to, and says so as an [`Oddity`]. A page never fails for one record.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use crate::icloud::photos::answer::Entry;
use crate::icloud::photos::camera::camera;
use crate::icloud::photos::fields::{Fields, Key, RecordWire, field_name};
use crate::icloud::photos::kept::provider_record;
use crate::icloud::wire::{self, FieldBody, Object, Value};
use crate::model::asset::{Asset, Captured, MediaKind, Oddity, OddityKind, Offer, Rendition};
use crate::model::checksum::AppleChecksum;
use crate::model::ids::{AssetName, MasterName};
use crate::model::signed_url::SignedUrl;
use crate::model::uti;

/// The largest size that is believed: 16 TiB, more than any account can hold. Sums of such sizes stay
/// within what the journal can count.
const SIZE_BYTES_MAX: i64 = 1 << 44;

/// Padding comes and goes.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A record and the text it was read from.
pub(super) struct Record<'a> {
    pub(super) raw: &'a str,
    pub(super) wire: RecordWire<'a>,
}

/// Which half of an item a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    /// `CPLMaster`: the files as imported.
    Master,
    /// `CPLAsset`: dates, flags and edits.
    Asset,
}

impl<'a> Record<'a> {
    /// Reads one entry of an answer; `place` names it when it has no name of its own.
    ///
    /// # Errors
    /// The oddity that it is, if it is no master and no asset.
    pub(super) fn read(entry: Entry<'a>, place: impl Fn() -> String) -> Result<(Half, Self), Oddity> {
        let odd = |name: Option<&str>, kind, detail| {
            let record_name = name.map_or_else(&place, str::to_owned);
            Err(Oddity { record_name, kind, detail })
        };
        let Entry { raw, wire } = entry;
        let wire = match wire {
            Ok(wire) => wire,
            Err(error) => return odd(None, OddityKind::Malformed, error.to_string()),
        };
        let name = wire.record_name.name();
        if let Some(code) = wire.server_error_code.name() {
            let detail = format!("{code} {}", wire::shortened(wire.reason.text().unwrap_or_default()));
            return odd(name, OddityKind::Refused, detail.trim().to_owned());
        }
        if wire.deleted.is_set() {
            return odd(name, OddityKind::Refused, "the record is deleted".to_owned());
        }
        if name.is_none() {
            return odd(None, OddityKind::Malformed, "the record has no name".to_owned());
        }
        let half = match wire.record_type.text() {
            // Else its files would be gone, and its name made up, until it changes again.
            Some("CPLMaster") if !wire.fields.are_there() => {
                return odd(name, OddityKind::Malformed, "the record has no fields".to_owned());
            }
            Some("CPLMaster") => Half::Master,
            Some("CPLAsset") => Half::Asset,
            // Some answers leave the type out: only assets point to a master.
            None if *wire.fields.value(Key::MasterRef) != Value::Absent => Half::Asset,
            None => return odd(name, OddityKind::Malformed, "the record has no type".to_owned()),
            Some(other) => {
                let detail = format!("not a type of a photo: {}", wire::shortened(other));
                return odd(name, OddityKind::Malformed, detail);
            }
        };
        Ok((half, Self { raw, wire }))
    }

    /// The record's name; never empty.
    pub(super) fn name(&self) -> &str {
        self.wire.record_name.name().unwrap_or_default()
    }

    /// The master that an asset points to.
    pub(super) fn master_name(&self) -> Option<&str> {
        match self.fields().value(Key::MasterRef) {
            Value::Object(reference) => reference.record_name.name(),
            _ => None,
        }
    }

    pub(super) fn fields(&self) -> &Fields<'a> {
        &self.wire.fields
    }
}

/// Joins the two halves of an item.
pub(super) fn join<'r>(
    asset: &'r Record<'_>,
    master: &'r Record<'_>,
    now: i64,
    oddities: &mut Vec<Oddity>,
) -> Asset {
    let offers = offers(asset, master, now, oddities);
    let flags = asset.fields();
    let camera =
        [master, asset].into_iter().find_map(|record| camera(record.fields().get(Key::MediaMetaDataEnc)));
    let tag = |record: &'r Record<'_>| record.wire.record_change_tag.text().unwrap_or_default();
    Asset {
        name: AssetName(asset.name().to_owned()),
        master: MasterName(master.name().to_owned()),
        change_tag: [tag(asset), tag(master)].join("/"),
        filename: filename(asset, master),
        kind: kind(asset, master),
        captured: flags.value(Key::AssetDate).number().map(|at_ms| Captured {
            at_ms,
            offset_seconds: flags.value(Key::TimeZoneOffset).number().and_then(|s| i32::try_from(s).ok()),
        }),
        added_at_ms: flags.value(Key::AddedDate).number(),
        subtype: flags.value(Key::AssetSubtypeV2).number(),
        favorite: flags.value(Key::IsFavorite).is_set(),
        hidden: flags.value(Key::IsHidden).is_set(),
        deleted: flags.value(Key::IsDeleted).is_set() || master.fields().value(Key::IsDeleted).is_set(),
        offers,
        provider_record: provider_record(asset.raw, master.raw, camera.is_some()),
        camera,
    }
}

fn offers(asset: &Record<'_>, master: &Record<'_>, now: i64, oddities: &mut Vec<Oddity>) -> Vec<Offer> {
    let mut offers = Vec::with_capacity(2);
    let mut odd = |kind, detail| oddities.push(Oddity { record_name: asset.name().to_owned(), kind, detail });
    for rendition in Rendition::ALL {
        // What lies on a master is as imported. A full-size JPEG there is a preview that the
        // service made of a RAW, not an edit: edits stand on the asset alone.
        let edit = matches!(rendition, Rendition::Edited | Rendition::EditedVideo);
        let places = [Some(asset), (!edit).then_some(master)];
        let mut fault = (rendition == Rendition::Original).then_some("is absent");
        let found = places.into_iter().flatten().find_map(|record| {
            offer(record, rendition, now).unwrap_or_else(|what| {
                fault = Some(what);
                None
            })
        });
        match (found, fault) {
            (Some(offer), _) => offers.push(offer),
            (None, Some(what)) => {
                odd(OddityKind::UnusableFile, format!("{} {what}", field_name(rendition)));
            }
            (None, None) => {}
        }
    }
    if offers.is_empty() {
        odd(OddityKind::NoFiles, "the asset offers no file".to_owned());
    }
    if let Some(original) = offers.first_mut().filter(|offer| offer.rendition == Rendition::Original)
        && original.uti.is_empty()
    {
        item_type(asset, master).unwrap_or_default().clone_into(&mut original.uti);
    }
    offers
}

/// The file of one rendition on one record; `None` when the record does not have that field.
pub(super) fn offer(
    record: &Record<'_>,
    rendition: Rendition,
    now: i64,
) -> Result<Option<Offer>, &'static str> {
    let (file, uti) = record.fields().resource(rendition);
    let file: &Object<'_> = match file {
        Value::Absent => return Ok(None),
        Value::Object(file) => file,
        _ => return Err("is not a file"),
    };
    let checksum = file.file_checksum.name().ok_or("has no fileChecksum")?;
    let size = match file.size {
        Value::Int(size) if size > SIZE_BYTES_MAX => return Err("has an absurd size"),
        Value::Int(size) => u64::try_from(size).map_err(|_| "has a negative size")?,
        _ => return Err("has no size"),
    };
    Ok(Some(Offer {
        rendition,
        checksum: AppleChecksum::parse(checksum),
        size_bytes: size,
        uti: uti.text().unwrap_or_default().to_owned(),
        url: file.download_url.name().map(|url| SignedUrl::issued(url, now)),
    }))
}

/// The name as imported; made up from the master's name where there is none to read.
fn filename(asset: &Record<'_>, master: &Record<'_>) -> String {
    let named = [master, asset].into_iter().find_map(|record| decoded(record.fields().get(Key::FilenameEnc)));
    named.unwrap_or_else(|| {
        let original = master.fields().resource(Rendition::Original).1.name();
        let uti = original.or(item_type(asset, master)).unwrap_or_default();
        match uti::extension(uti) {
            Some(extension) => format!("{}.{extension}", master.name()),
            None => master.name().to_owned(),
        }
    })
}

/// Text that the service wraps in base64, or gives plainly. `None` if it is empty or broken.
pub(super) fn decoded(field: &FieldBody<'_>) -> Option<String> {
    let text = field.value.name()?;
    if field.kind.text() == Some("STRING") {
        return Some(text.to_owned());
    }
    String::from_utf8(BASE64.decode(text).ok()?).ok().filter(|text| !text.is_empty())
}

fn item_type<'r>(asset: &'r Record<'_>, master: &'r Record<'_>) -> Option<&'r str> {
    [master, asset].into_iter().find_map(|record| record.fields().value(Key::ItemType).name())
}

/// A photo or a video, by the first fact that is clear: the item's type, the service's class,
/// the original's type, the family of its files.
fn kind(asset: &Record<'_>, master: &Record<'_>) -> MediaKind {
    let records = [master, asset];
    let class = || {
        let class = records.into_iter().find_map(|r| r.fields().value(Key::DataClassType).number())?;
        [(1, false), (2, true)].into_iter().find(|(known, _)| *known == class).map(|(_, movie)| movie)
    };
    let original = || {
        records
            .into_iter()
            .find_map(|r| r.fields().resource(Rendition::Original).1.name().and_then(uti::is_movie))
    };
    let has = |rendition| records.into_iter().any(|r| *r.fields().resource(rendition).0 != Value::Absent);
    let movie = item_type(asset, master).and_then(uti::is_movie).or_else(class).or_else(original);
    let family = || has(Rendition::EditedVideo) && !has(Rendition::Edited) && !has(Rendition::LiveVideo);
    if movie.unwrap_or_else(family) { MediaKind::Video } else { MediaKind::Photo }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"value":{"fileChecksum":"AW2cWT2PxzWixMKuuNMTHJ8CJ3sH","size":5,"downloadURL":"https://x/B?e=9"}}"#;

    fn record<'a>(json: &'a str) -> Record<'a> {
        Record::read(Entry::of(json), || "here".to_owned()).expect("a record").1
    }

    /// Joins an asset and a master that have these fields.
    fn joined(asset: &str, master: &str) -> (Asset, Vec<Oddity>) {
        let asset = format!(
            r#"{{"recordName":"A","recordType":"CPLAsset","recordChangeTag":"a","fields":{{{asset}}}}}"#
        );
        let master = format!(
            r#"{{"recordName":"M","recordType":"CPLMaster","recordChangeTag":"m","fields":{{{master}}}}}"#
        );
        let mut oddities = Vec::new();
        let asset = join(&record(&asset), &record(&master), 0, &mut oddities);
        (asset, oddities)
    }

    #[test]
    fn each_rendition_is_taken_from_where_it_belongs() {
        let on = |name: &str| format!(r#""{name}":{FILE}"#);
        let renditions = |asset: &str, master: &str| {
            let (asset, oddities) = joined(asset, master);
            let offered: Vec<_> = asset.offers.iter().map(|offer| offer.rendition.as_str()).collect();
            (offered.join(" "), oddities.len())
        };
        let master = [on("resOriginalRes"), on("resOriginalVidComplRes"), on("resJPEGFullRes")].join(",");
        assert_eq!(renditions("", &master), ("original live-video".to_owned(), 0));
        let edits = [on("resVidFullRes"), on("resJPEGFullRes")].join(",");
        assert_eq!(renditions(&edits, &master), ("original live-video edited edited-video".to_owned(), 0));
        assert_eq!(
            renditions(&on("resOriginalRes"), r#""resOriginalRes":{"value":3}"#),
            ("original".to_owned(), 0)
        );
        assert_eq!(renditions("", r#""resOriginalRes":{"value":3}"#), (String::new(), 2));
        assert_eq!(renditions(&on("resJPEGFullRes"), ""), ("edited".to_owned(), 1));
        assert_eq!(renditions("", ""), (String::new(), 2));
    }

    #[test]
    fn photo_or_video_follows_the_first_fact_that_is_clear() {
        let text = |name: &str, value: &str| format!(r#""{name}":{{"value":{value},"type":"STRING"}}"#);
        let file = |name: &str| format!(r#""{name}":{FILE}"#);
        let mov = "\"com.apple.quicktime-movie\"";
        let matrix = [
            (text("itemType", mov), MediaKind::Video),
            (text("itemType", "\"public.heic\""), MediaKind::Photo),
            (text("dataClassType", "2"), MediaKind::Video),
            (
                [text("itemType", "\"org.example.new\""), text("dataClassType", "2")].join(","),
                MediaKind::Video,
            ),
            (text("resOriginalFileType", mov), MediaKind::Video),
            (file("resVidFullRes"), MediaKind::Video),
            ([file("resVidFullRes"), file("resJPEGFullRes")].join(","), MediaKind::Photo),
            (String::new(), MediaKind::Photo),
        ];
        for (fields, kind) in matrix {
            assert_eq!(joined("", &fields).0.kind, kind, "{fields}");
        }
    }

    #[test]
    fn names_and_dates_survive_whatever_they_are() {
        let name = |field: &str| {
            joined("", &format!(r#""filenameEnc":{field},"itemType":{{"value":"public.heic"}}"#)).0
        };
        assert_eq!(name(r#"{"value":"SU1HLkpQRw==","type":"ENCRYPTED_BYTES"}"#).filename, "IMG.JPG");
        assert_eq!(name(r#"{"value":"SU1HLkpQRw","type":"ENCRYPTED_BYTES"}"#).filename, "IMG.JPG");
        assert_eq!(name(r#"{"value":"plain.JPG","type":"STRING"}"#).filename, "plain.JPG");
        for broken in [r#"{"value":"%%","type":"ENCRYPTED_BYTES"}"#, r#"{"value":"//8="}"#, "null", "{}", "7"]
        {
            assert_eq!(name(broken).filename, "M.HEIC", "{broken}");
        }
        let date = |value: &str| {
            joined(&format!(r#""assetDate":{{"value":{value}}}"#), "").0.captured.map(|c| c.at_ms)
        };
        assert_eq!(
            (date("-5"), date("1.5e300"), date("\"x\""), date("null")),
            (Some(-5), Some(i64::MAX), None, None)
        );
        assert_eq!(joined("", "").0.change_tag, "a/m");
    }

    #[test]
    fn an_entry_that_is_no_record_is_named() {
        let odd = |json| Record::read(Entry::of(json), || "rank 3".to_owned()).err().expect("an oddity");
        for json in ["null", "7", "[]", "{}", r#"{"recordName":"","recordType":"CPLAsset"}"#] {
            assert_eq!(
                (odd(json).kind, odd(json).record_name.as_str()),
                (OddityKind::Malformed, "rank 3"),
                "{json}"
            );
        }
        assert_eq!(odd(r#"{"recordName":"A","recordType":"CPLFaceCrop"}"#).record_name, "A");
        let twice = r#"{"recordName":"A","recordType":"CPLAsset","fields":{"itemType":{},"itemType":{}}}"#;
        assert_eq!(odd(twice).kind, OddityKind::Malformed);
        let refused = odd(r#"{"recordName":"A","serverErrorCode":"ACCESS_DENIED","reason":"no"}"#);
        assert_eq!((refused.kind, refused.detail.as_str()), (OddityKind::Refused, "ACCESS_DENIED no"));
    }
}
