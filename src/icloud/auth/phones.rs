//! The trusted phones, as the sign-in page lists them.
//!
//! The page is HTML with its data as JSON in one script element; to some clients the service
//! sends the JSON alone. Where in it the list stands differs too, so it is looked for by name.

use serde_json::Value;

use crate::icloud::auth::person::Phone;
use crate::icloud::http::Answer;
use crate::icloud::wire;

/// What stands before the data in the page.
const DATA_BEGINS: &str = "class=\"boot_args\">";
/// What stands after it.
const DATA_ENDS: &str = "</script>";
/// The name of the list.
const LIST: &str = "trustedPhoneNumbers";

/// Reads the phones that can be sent a code. None, if the page makes no sense.
pub(super) fn read(answer: &Answer) -> Vec<Phone> {
    let text = wire::text_of(&answer.body);
    let data = text.split_once(DATA_BEGINS).and_then(|(_, rest)| rest.split_once(DATA_ENDS));
    let data: Value = serde_json::from_str(data.map_or(&*text, |(data, _)| data)).unwrap_or_default();
    let listed = find(&data).into_iter().flatten();
    listed.filter_map(phone).collect()
}

fn find(value: &Value) -> Option<&Vec<Value>> {
    match value {
        Value::Object(fields) => match fields.get(LIST).and_then(Value::as_array) {
            Some(list) => Some(list),
            None => fields.values().find_map(find),
        },
        _ => None,
    }
}

fn phone(entry: &Value) -> Option<Phone> {
    let number = ["obfuscatedNumber", "numberWithDialCode"].iter().find_map(|name| entry[name].as_str());
    Some(Phone { id: entry["id"].as_u64()?, number: wire::shortened(number.unwrap_or("?")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(body: &str) -> Vec<u64> {
        let answer = Answer { status: 200, headers: Default::default(), body: body.into() };
        read(&answer).into_iter().map(|phone| phone.id).collect()
    }

    #[test]
    fn phones_are_found_in_a_page_and_in_bare_json() {
        let json = r#"{"direct":{"twoSV":{"x":{"trustedPhoneNumbers":[{"id":3,"obfuscatedNumber":"••42"},{"id":"no"},{"id":4}]}}}}"#;
        assert_eq!(ids(json), [3, 4]);
        let page =
            format!("<html><script type=\"application/json\" class=\"boot_args\">{json}</script></html>");
        assert_eq!(ids(&page), [3, 4]);
        assert_eq!(ids("<html>maintenance</html>"), [0; 0]);
        assert_eq!(ids(r#"{"trustedPhoneNumbers":null}"#), [0; 0]);
    }
}
