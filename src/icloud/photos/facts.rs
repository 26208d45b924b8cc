//! From a kept record to facts. As everywhere, what is odd costs at most the part it belongs to.

use std::io::Cursor;

use base64::Engine as _;
use serde::Deserialize;

use crate::icloud::photos::record::{BASE64, decoded};
use crate::icloud::wire::{Field, FieldBody, Lenient};
use crate::model::facts::{Facts, Spot};

/// A kept record: both halves, as [`super::kept`] writes them.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Kept<'a> {
    #[serde(borrow)]
    asset: Lenient<Half<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Half<'a> {
    #[serde(borrow)]
    fields: Lenient<FactFields<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct FactFields<'a> {
    #[serde(borrow)]
    caption_enc: Field<'a>,
    #[serde(borrow)]
    extended_desc_enc: Field<'a>,
    #[serde(borrow)]
    keywords_enc: Field<'a>,
    #[serde(borrow)]
    location_enc: Field<'a>,
    #[serde(borrow)]
    adjustment_type: Field<'a>,
}

/// Reads the facts of a kept record. What cannot be read is not there.
#[must_use]
pub fn facts(kept: &[u8]) -> Facts {
    let kept: Kept<'_> = serde_json::from_slice(kept).unwrap_or_default();
    let fields = &kept.asset.fields;
    Facts {
        title: decoded(&fields.caption_enc),
        description: decoded(&fields.extended_desc_enc),
        keywords: keywords(&fields.keywords_enc),
        spot: spot(&fields.location_enc),
        is_edited: fields.adjustment_type.value.name().is_some(),
    }
}

/// Property lists come as binary ones and as XML.
fn list(field: &FieldBody<'_>) -> Option<plist::Value> {
    let bytes = BASE64.decode(field.value.name()?).ok()?;
    plist::Value::from_reader(Cursor::new(bytes)).ok()
}

fn keywords(field: &FieldBody<'_>) -> Vec<String> {
    let list = list(field).and_then(plist::Value::into_array).unwrap_or_default();
    let words = list.into_iter().filter_map(plist::Value::into_string);
    words.map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}

fn spot(field: &FieldBody<'_>) -> Option<Spot> {
    let list = list(field)?;
    let values = list.as_dictionary()?;
    let number = |name: &str| {
        let value = values.get(name)?;
        value.as_real().or_else(|| value.as_signed_integer().map(|whole| whole as f64))
    };
    Spot::new(number("lat")?, number("lon")?, number("alt"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_from_binary_and_xml_lists_and_oddities_cost_only_themselves() {
        let encode = |bytes: &[u8]| BASE64.encode(bytes);
        let mut binary = Vec::new();
        let words = plist::Value::Array(vec!["sea".into(), 7.into(), " ".into(), "Été".into()]);
        words.to_writer_binary(&mut binary).expect("memory");
        let xml = "<?xml version=\"1.0\"?><plist version=\"1.0\"><dict><key>lat</key><real>48.5</real>\
                   <key>lon</key><integer>-3</integer></dict></plist>";
        let json = format!(
            r#"{{"asset":{{"fields":{{"captionEnc":{{"value":"{}","type":"ENCRYPTED_BYTES"}},
                "keywordsEnc":{{"value":"{}"}},"locationEnc":{{"value":"{}"}},
                "extendedDescEnc":{{"value":"%%"}},"adjustmentType":{{"value":"com.apple.photo"}}}}}}}}"#,
            encode("Ein Tag".as_bytes()),
            encode(&binary),
            encode(xml.as_bytes()),
        );
        let read = facts(json.as_bytes());
        assert_eq!((read.title.as_deref(), read.description), (Some("Ein Tag"), None));
        assert_eq!(read.keywords, ["sea", "Été"]);
        assert_eq!(read.spot, Spot::new(48.5, -3.0, None));
        assert!(read.is_edited);
        assert_eq!(facts(b"{\"asset\":[1]}"), Facts::default());
        assert_eq!(facts(b"no JSON"), Facts::default());
    }
}
