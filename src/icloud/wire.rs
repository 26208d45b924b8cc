//! Tolerant reading of JSON: every field may be absent, null or of the wrong type.
//!
//! A field that is not what it should be reads as absent, and whoever needs it says so. Only
//! broken JSON is an error. Text is borrowed from the answer: a page of a thousand fields
//! allocates for the few that carry escapes.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A JSON value of whatever type came.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Value<'a> {
    /// Not there, null, or of a type that no field of ours has.
    #[default]
    Absent,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// An object: one file of a record, or a reference to another record.
    Object(Box<Object<'a>>),
}

/// The members that objects inside of fields can have, as far as we need them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Object<'a> {
    #[serde(borrow)]
    pub(super) file_checksum: Value<'a>,
    #[serde(borrow)]
    pub(super) size: Value<'a>,
    #[serde(borrow, rename = "downloadURL")]
    pub(super) download_url: Value<'a>,
    #[serde(borrow)]
    pub(super) record_name: Value<'a>,
}

impl Value<'_> {
    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text, if it is one and not empty.
    pub(super) fn name(&self) -> Option<&str> {
        self.text().filter(|text| !text.is_empty())
    }

    /// The number, rounded towards zero; a flag counts as 0 or 1.
    pub(super) fn number(&self) -> Option<i64> {
        match *self {
            Self::Int(number) => Some(number),
            Self::Bool(flag) => Some(i64::from(flag)),
            // `as` saturates: an absurd date stays an absurd date.
            Self::Float(number) if number.is_finite() => Some(number as i64),
            _ => None,
        }
    }

    /// Whether it is `true`, or a number other than 0. Absent flags are not set.
    pub(super) fn is_set(&self) -> bool {
        self.number().is_some_and(|number| number != 0)
    }

    /// The flag, where one can be read at all.
    pub(super) fn flag(&self) -> Option<bool> {
        self.number().map(|number| number != 0)
    }

    /// The number or the text, as text: some answers give ids one way, some the other.
    pub(super) fn id(&self) -> Option<String> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(text.clone().into_owned()),
            Self::Int(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(flag))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Value::Int(number))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(number).map_or(Value::Float(number as f64), Value::Int))
    }
    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Value::Float(number))
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Absent)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Absent)
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let object = Object::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Value::Object(Box::new(object)))
    }
}

/// A field of a record: `{"value": …, "type": …}`.
pub(super) type Field<'a> = Lenient<FieldBody<'a>>;

/// What a [`Field`] holds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FieldBody<'a> {
    #[serde(borrow)]
    pub(super) value: Value<'a>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Value<'a>,
}

/// An object that reads as its default when it is anything but an object.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lenient<T>(pub(super) T);

impl<T> std::ops::Deref for Lenient<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LenientVisitor(PhantomData))
    }
}

struct LenientVisitor<T>(PhantomData<T>);

/// Reads as the default whatever a visitor meets and does not want.
macro_rules! default_for {
    ($($visit:ident: $kind:ty),*) => {$(
        fn $visit<E>(self, _: $kind) -> Result<Self::Value, E> {
            Ok(Default::default())
        }
    )*};
}

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for LenientVisitor<T> {
    type Value = Lenient<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    default_for!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Lenient::default())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Lenient::default())
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Lenient)
    }
}

/// Most items of a list: fifty times the records that are asked for at once. An item of one byte takes hundreds of
/// memory, so a list of nothing else, in an answer of the greatest length, would take ten gigabytes.
pub(super) const ITEMS_MAX: usize = 10_000;

/// A list that reads as `None` when it is anything but a list. One of more than [`ITEMS_MAX`] items is an error.
#[derive(Clone, Debug)]
pub(super) struct List<T>(pub(super) Option<Vec<T>>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> List<T> {
    /// The items; none when there is no list.
    pub(super) fn items(&self) -> &[T] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }
    default_for!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(List(None))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            if items.len() == ITEMS_MAX {
                return Err(A::Error::custom(format_args!("more than {ITEMS_MAX} items")));
            }
            items.push(item);
        }
        Ok(List(Some(items)))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(List(None))
    }
}

/// The bytes as text. Invalid UTF-8 is replaced, so that one broken name cannot cost a page.
pub(super) fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    // Looked at as a whole first: that is several times as fast as looking for what to replace.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// The start of `text` on one line, for an error message.
pub(super) fn shortened(text: &str) -> String {
    /// Enough for a sentence of Apple's, too little for a page of HTML.
    const CHARS_MAX: usize = 200;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_any_shape_is_read_and_never_fails() {
        let read = |json: &'static str| serde_json::from_str::<Field<'_>>(json).expect(json);
        assert_eq!(read(r#"{"value":"a","type":"STRING"}"#).value.text(), Some("a"));
        assert_eq!(read(r#"{"value":-5.7}"#).value.number(), Some(-5));
        assert_eq!(read(r#"{"value":18446744073709551615}"#).value.number(), Some(i64::MAX));
        assert!(read(r#"{"value":true}"#).value.is_set());
        let absent =
            ["null", "7", "-7", "1e300", "\"text\"", "\"esc\\n\"", "[1,{}]", "{}", r#"{"value":[{}]}"#];
        for json in absent {
            assert_eq!(read(json).value, Value::Absent, "{json}");
        }
        let file = read(r#"{"value":{"fileChecksum":null,"size":"9","new":{"deep":[]}}}"#);
        let Value::Object(file) = &file.value else { panic!("an object") };
        assert_eq!((&file.file_checksum, file.size.number()), (&Value::Absent, None));
    }

    #[test]
    fn a_list_of_any_shape_is_read_and_never_fails() {
        for json in ["null", "1", "{\"a\":[1]}", "\"x\"", "true"] {
            assert!(serde_json::from_str::<List<i64>>(json).expect(json).0.is_none());
        }
        assert_eq!(serde_json::from_str::<List<i64>>("[1,2]").expect("a list").items(), [1, 2]);
        let read = |count| serde_json::from_str::<List<i64>>(&format!("[{}0]", "0,".repeat(count - 1)));
        assert_eq!(read(ITEMS_MAX).expect("a list").items().len(), ITEMS_MAX);
        assert!(read(ITEMS_MAX + 1).is_err());
    }
}
