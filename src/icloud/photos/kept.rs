//! What is kept of a record: all of it but its URLs.

use serde_json::value::RawValue;

/// Both records without their URLs: those expire, and are secrets while they do not.
pub(super) fn provider_record(asset: &str, master: &str) -> Vec<u8> {
    let mut record = Vec::with_capacity(asset.len() + master.len() + 24);
    record.extend_from_slice(b"{\"asset\":");
    append_without_urls(&mut record, asset);
    record.extend_from_slice(b",\"master\":");
    append_without_urls(&mut record, master);
    record.push(b'}');
    record
}

/// Copies JSON, leaving out every member called `downloadURL`.
///
/// A scan of text, because reading and writing the whole record costs ten times as much. It is
/// exact: inside of a JSON string the quote before the name would stand behind a backslash.
fn append_without_urls(out: &mut Vec<u8>, json: &str) {
    const KEY: &str = "\"downloadURL\"";
    let mut rest = json;
    while let Some(at) = rest.find(KEY) {
        let after = rest[at + KEY.len()..].trim_start();
        let Some(value) = after.strip_prefix(':') else {
            // The word as a value, not as a name.
            out.extend_from_slice(&rest.as_bytes()[..at + KEY.len()]);
            rest = &rest[at + KEY.len()..];
            continue;
        };
        out.extend_from_slice(rest[..at].trim_end().as_bytes());
        rest = value[value_len(value)..].trim_start();
        // One comma goes with the member: the one behind it, else the one before it.
        if let Some(next) = rest.strip_prefix(',') {
            rest = next.trim_start();
        } else if out.last() == Some(&b',') {
            out.pop();
        }
    }
    out.extend_from_slice(rest.as_bytes());
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
        ];
        for (json, expected) in matrix {
            let mut kept = Vec::new();
            append_without_urls(&mut kept, json);
            assert_eq!(String::from_utf8(kept).expect("UTF-8"), expected);
        }
    }
}
