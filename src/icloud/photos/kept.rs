//! What is kept of a record: all of it but its URLs, and what the picture's own file says of itself.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::icloud::photos::fields::CAMERA_KEY;

const URL_KEY: &str = "downloadURL";

/// Both records without their URLs: those expire, and are secrets while they do not.
///
/// `has_camera`: without [`CAMERA_KEY`] too. It is three kilobytes that hardly compress, for one word that has
/// a column of its own, and all of it stands in the photo.
pub(super) fn provider_record(asset: &str, master: &str, has_camera: bool) -> Vec<u8> {
    let mut record = String::with_capacity(asset.len() + master.len() + 24);
    for (opening, json) in [("{\"asset\":", asset), (",\"master\":", master)] {
        let mut json = Cow::Borrowed(json);
        if has_camera {
            let mut rest = String::with_capacity(json.len());
            append_without(&mut rest, &json, CAMERA_KEY);
            json = Cow::Owned(rest);
        }
        record.push_str(opening);
        append_without(&mut record, &json, URL_KEY);
    }
    record.push('}');
    record.into_bytes()
}

/// Copies JSON, leaving out every member of a name.
///
/// A scan of text, because reading and writing the whole record costs ten times as much. It is
/// exact: inside of a JSON string the quote before the name would stand behind a backslash.
fn append_without(out: &mut String, json: &str, name: &str) {
    let key = format!("\"{name}\"");
    let mut done = 0;
    for (at, _) in json.match_indices(&key) {
        if at < done {
            // Inside of what is left out already.
            continue;
        }
        // Else it is the word as a value, not as a name.
        let Some(value) = json[at + key.len()..].trim_start().strip_prefix(':') else { continue };
        out.push_str(json[done..at].trim_end());
        let mut rest = value[value_len(value)..].trim_start();
        // One comma goes with the member: the one behind it, else the one before it.
        if let Some(next) = rest.strip_prefix(',') {
            rest = next.trim_start();
        } else if out.ends_with(',') {
            out.pop();
        }
        done = json.len() - rest.len();
    }
    out.push_str(&json[done..]);
}

/// The length of the JSON value that `text` begins with.
fn value_len(text: &str) -> usize {
    // A prefix of valid JSON that starts at a value: the reader stops behind it.
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    match values.next() {
        Some(Ok(_)) => values.byte_offset(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kept_record_has_no_url_and_is_json_still() {
        let matrix = [
            (r#"{"downloadURL":"u"}"#, "{}"),
            (r#"{"downloadURL" : "u\"\\" , "a":1}"#, r#"{"a":1}"#),
            (r#"{"a":1, "downloadURL":null}"#, r#"{"a":1}"#),
            (
                r#"{"a":[{"downloadURL":{"b":"}"},"c":2}],"d":"downloadURL"}"#,
                r#"{"a":[{"c":2}],"d":"downloadURL"}"#,
            ),
            (r#"{"a":"\"downloadURL\":\"u\""}"#, r#"{"a":"\"downloadURL\":\"u\""}"#),
            (r#"{"a":1,"downloadURL":"u","downloadURL":"v","b":2}"#, r#"{"a":1,"b":2}"#),
            (r#"{"downloadURL":{"downloadURL":"u","b":[{"downloadURL":"v"}]},"c":2}"#, r#"{"c":2}"#),
        ];
        for (json, expected) in matrix {
            let mut kept = String::new();
            append_without(&mut kept, json, URL_KEY);
            assert_eq!(kept, expected);
        }
        let master = r#"{"fields":{"mediaMetaDataEnc":{"value":"Yn=="},"a":{"downloadURL":"u"}}}"#;
        let kept = |has_camera| String::from_utf8(provider_record("{}", master, has_camera)).expect("UTF-8");
        assert_eq!(kept(true), r#"{"asset":{},"master":{"fields":{"a":{}}}}"#);
        assert!(kept(false).contains("mediaMetaDataEnc"));
    }
}
