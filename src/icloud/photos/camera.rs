//! The camera that took a photo, as its master tells of the file's own EXIF.
//!
//! `mediaMetaDataEnc` is a property list of the dictionaries that ImageIO names: `{TIFF}` with `Make` and
//! `Model`, `{Exif}`, `{GPS}`, the maker's. Videos and screenshots come without, or without a camera in it.

use base64::Engine as _;

use crate::icloud::photos::property_list::{self, PropertyList};
use crate::icloud::photos::record::BASE64;
use crate::icloud::wire::{FieldBody, Value};

/// Longest name that is believed, in bytes. The longest of real cameras have forty.
const NAME_BYTES_MAX: usize = 128;

/// The model, or its maker where no model is named; empty if it is not to be read. `None`: the field is not there.
pub(super) fn camera(field: &FieldBody<'_>) -> Option<String> {
    if field.value == Value::Absent {
        return None;
    }
    Some(named(field).unwrap_or_default())
}

fn named(field: &FieldBody<'_>) -> Option<String> {
    let bytes = BASE64.decode(field.value.name()?).ok()?;
    let bytes = property_list::binary(&bytes)?;
    let list = PropertyList::open(&bytes)?;
    let tiff = list.get(list.root(), "{TIFF}")?;
    ["Model", "Make"].iter().find_map(|key| plain(&list.text(list.get(tiff, key)?)?))
}

/// A name that a person would know. Cameras fill theirs up with spaces, and some with zeros.
fn plain(text: &str) -> Option<String> {
    let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    let is_name = !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control);
    is_name.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The field with a list that says this of the camera.
    fn field(tiff: &[(&str, plist::Value)]) -> String {
        let tiff: plist::Dictionary =
            tiff.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let mut list = plist::Dictionary::new();
        list.insert("{Exif}".to_owned(), plist::Value::Dictionary(plist::Dictionary::new()));
        list.insert("{TIFF}".to_owned(), plist::Value::Dictionary(tiff));
        let mut bytes = Vec::new();
        plist::Value::Dictionary(list).to_writer_binary(&mut bytes).expect("memory");
        BASE64.encode(bytes)
    }

    fn read(value: &str) -> Option<String> {
        let body = format!(r#"{{"value":{value},"type":"ENCRYPTED_BYTES"}}"#);
        camera(&serde_json::from_str(&body).expect("a field"))
    }

    #[test]
    fn the_model_is_read_and_whatever_is_odd_is_no_camera() {
        let says = |tiff: &[(&str, plist::Value)]| read(&format!("{:?}", field(tiff))).expect("a field");
        assert_eq!(says(&[("Make", "Apple".into()), ("Model", "iPhone 13 mini".into())]), "iPhone 13 mini");
        assert_eq!(says(&[("Make", "NIKON".into()), ("Model", "COOLPIX P900    \0".into())]), "COOLPIX P900");
        assert_eq!(says(&[("Make", "Sandbox".into()), ("Model", " ".into())]), "Sandbox");
        assert_eq!(says(&[("Model", "相机".into())]), "相机");
        let long = "x".repeat(10_000);
        for odd in [long.as_str().into(), "a\nb".into(), "a\u{1b}[31m".into(), 7.into(), true.into()] {
            assert_eq!(says(&[("Model", odd)]), "");
        }
        assert_eq!(says(&[("Software", "Picasa".into())]), "");
        assert_eq!(read("null"), None);
        for broken in [r#""%%""#, r#""""#, r#""YnBsaXN0MDA=""#, "7", "true", r#"{"size":1}"#] {
            assert_eq!(read(broken).as_deref(), Some(""), "{broken}");
        }
    }
}
