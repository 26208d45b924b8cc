//! From a kept record to facts. As everywhere, what is odd costs at most the part it belongs to.

use base64::Engine as _;
use serde::Deserialize;

use crate::icloud::photos::property_list::{self, PropertyList};
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

/// Asks the property list that a field holds, which may be a binary one or XML.
fn ask<T>(field: &FieldBody<'_>, question: impl FnOnce(PropertyList<'_>) -> Option<T>) -> Option<T> {
    let bytes = BASE64.decode(field.value.name()?).ok()?;
    question(PropertyList::open(&property_list::binary(&bytes)?)?)
}

fn keywords(field: &FieldBody<'_>) -> Vec<String> {
    let words = ask(field, |list| {
        let words = list.items(list.root()).filter_map(|item| list.text(item));
        Some(words.map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect())
    });
    words.unwrap_or_default()
}

fn spot(field: &FieldBody<'_>) -> Option<Spot> {
    ask(field, |list| {
        let number = |name| list.number(list.get(list.root(), name)?);
        Spot::new(number("lat")?, number("lon")?, number("alt"))
    })
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
