//! An answer that carries records: each is read once, and keeps the text that it was read from.
//!
//! A derived reader cannot say where in the text a record stands, and to look that up first is to go over a whole
//! page twice. So the two outer layers are taken apart here, the members of the answer and the entries of its
//! list; what stands in them is read as everywhere. An entry that cannot be read costs only itself as long as it
//! is JSON. If it is none, nobody can say where the next one begins, and the answer is broken.

use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny};
use serde_json::value::RawValue;
use serde_json::{Error, Result};

use crate::icloud::photos::fields::RecordWire;
use crate::icloud::wire::{ITEMS_MAX, Lenient, List, Value};

/// An answer that carries records.
#[derive(Default)]
pub(super) struct RecordsAnswer<'a> {
    /// `None`: there is no list of them.
    pub(super) records: Option<Vec<Entry<'a>>>,
    pub(super) sync_token: Value<'a>,
    pub(super) continuation_marker: Value<'a>,
}

/// One entry of a list of records.
pub(super) struct Entry<'a> {
    /// All of its text.
    pub(super) raw: &'a str,
    /// What it says, or why it cannot be read.
    pub(super) wire: Result<RecordWire<'a>>,
}

impl<'a> RecordsAnswer<'a> {
    /// Reads an answer. One that is no object carries nothing.
    ///
    /// # Errors
    /// When it is no JSON, says a thing twice, or has more than [`ITEMS_MAX`] of them.
    pub(super) fn read(text: &'a str) -> Result<Self> {
        let (mut answer, mut came) = (Self::default(), Vec::new());
        let mut rest = Rest(text);
        if rest.skips('{') {
            rest.parts('}', |rest| {
                let member = rest.value()?.1;
                if member != Member::Other {
                    if came.contains(&member) {
                        return Err(Error::custom(format_args!("{member:?} came twice")));
                    }
                    came.push(member);
                }
                rest.expect(':')?;
                answer.read_member(member, rest)
            })?;
        } else {
            rest.value::<Value<'_>>()?;
        }
        if rest.next().is_empty() { Ok(answer) } else { Err(Error::custom("more than one answer")) }
    }

    fn read_member(&mut self, member: Member, rest: &mut Rest<'a>) -> Result<()> {
        match member {
            Member::Records => self.records = read_entries(rest)?,
            Member::SyncToken => self.sync_token = rest.value()?.1,
            Member::ContinuationMarker => self.continuation_marker = rest.value()?.1,
            Member::Other => drop(rest.value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

/// The members of an answer that we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Member {
    Records,
    SyncToken,
    ContinuationMarker,
    #[serde(other)]
    Other,
}

/// Reads a list of records; `None` when it is none.
fn read_entries<'a>(rest: &mut Rest<'a>) -> Result<Option<Vec<Entry<'a>>>> {
    if !rest.skips('[') {
        rest.value::<List<IgnoredAny>>()?;
        return Ok(None);
    }
    let mut entries = Vec::new();
    rest.parts(']', |rest| {
        if entries.len() == ITEMS_MAX {
            return Err(Error::custom(format_args!("more than {ITEMS_MAX} records")));
        }
        entries.push(match rest.value::<Lenient<RecordWire<'_>>>() {
            Ok((raw, Lenient(wire))) => Entry { raw, wire: Ok(wire) },
            Err(error) => Entry { raw: rest.value::<&RawValue>()?.0, wire: Err(error) },
        });
        Ok(())
    })?;
    Ok(Some(entries))
}

impl<'a> Entry<'a> {
    /// Reads a record that was kept as text.
    pub(super) fn of(raw: &'a str) -> Self {
        Self { raw, wire: serde_json::from_str(raw).map(|Lenient(wire)| wire) }
    }

    /// The record's name, if one can be read.
    pub(super) fn name(&self) -> Option<&str> {
        self.wire.as_ref().ok()?.record_name.name()
    }
}

/// The part of a text that is not read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// What comes next, behind white space.
    fn next(&mut self) -> &'a str {
        self.0 = self.0.trim_start_matches([' ', '\n', '\r', '\t']);
        self.0
    }

    /// Steps over `sign` if it comes next.
    fn skips(&mut self, sign: char) -> bool {
        let behind = self.next().strip_prefix(sign);
        self.0 = behind.unwrap_or(self.0);
        behind.is_some()
    }

    fn expect(&mut self, sign: char) -> Result<()> {
        if self.skips(sign) {
            Ok(())
        } else {
            Err(Error::custom(format_args!("no `{sign}` where one should be")))
        }
    }

    /// Reads the value that comes next, and gives its text too. After an error it still comes next.
    fn value<T: Deserialize<'a>>(&mut self) -> Result<(&'a str, T)> {
        let mut values = serde_json::Deserializer::from_str(self.next()).into_iter();
        let value = values.next().unwrap_or_else(|| Err(Error::custom("the answer breaks off")))?;
        let (raw, behind) = self.0.split_at(values.byte_offset());
        self.0 = behind;
        Ok((raw, value))
    }

    /// Reads what stands between here and `end`, parted by commas.
    fn parts(&mut self, end: char, mut part: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        if self.skips(end) {
            return Ok(());
        }
        loop {
            part(self)?;
            if self.skips(end) {
                return Ok(());
            }
            self.expect(',')?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What came of an answer: the name of each record, or `!` and its text.
    fn read(text: &str) -> Option<Vec<String>> {
        let answer = RecordsAnswer::read(text).ok()?;
        let shown = |entry: Entry<'_>| match entry.wire {
            Ok(wire) => wire.record_name.text().unwrap_or("-").to_owned(),
            Err(_) => format!("!{}", entry.raw),
        };
        Some(answer.records?.into_iter().map(shown).collect())
    }

    #[test]
    fn a_record_that_cannot_be_read_costs_only_itself() {
        let broken = [
            // What is said twice, a number that no machine holds, half of a character.
            r#"{"recordName":"B","recordName":"C"}"#,
            r#"{"recordName":"B","fields":{"itemType":{},"itemType":{}}}"#,
            r#"{"recordName":"B","fields":{"itemType":{"value":1e999}}}"#,
            r#"{"recordName":"\ud800"}"#,
            "1e999",
        ];
        for broken in broken {
            let text = format!(r#"{{"records":[{{"recordName":"A"}}, {broken} ,{{"recordName":"D"}}]}}"#);
            assert_eq!(read(&text).expect(broken), ["A".to_owned(), format!("!{broken}"), "D".to_owned()]);
        }
        assert_eq!(read(r#"{"records":[null,7,"a",[{}],true,{}]}"#).expect("a list"), ["-"; 6]);
    }

    #[test]
    fn a_record_keeps_its_own_text_whatever_stands_around_it() {
        let record = "{ \"recordName\" : \"Ä\\u0041\",\n\"fields\":{\"a\":\"]}\"} }";
        let text = format!(
            "\n {{ \"new\" : [1, {{}}] ,\t\"records\" :\r\n[ {record} ,{record}] , \"sync\\u0054oken\" : \"T\" }} \n"
        );
        let answer = RecordsAnswer::read(&text).expect("an answer");
        assert_eq!(answer.sync_token.text(), Some("T"));
        let entries = answer.records.expect("a list");
        assert_eq!(entries.iter().map(|entry| entry.raw).collect::<Vec<_>>(), [record; 2]);
        assert_eq!(read(&text).expect("a list"), ["ÄA"; 2]);
    }

    #[test]
    fn an_answer_that_is_no_json_is_an_error_and_any_other_is_read() {
        let whole = r#"{"records":[{"recordName":"A"},7],"syncToken":"T"}"#;
        for (end, _) in whole.char_indices() {
            assert!(RecordsAnswer::read(&whole[..end]).is_err(), "broken off at {end}");
        }
        let broken = [
            r#"{"records":[]}x"#,
            r#"{"records":[]}{}"#,
            r#"{"records":[]]"#,
            r#"{"records":[],}"#,
            r#"{"records":[7,]}"#,
            r#"{"records":[,7]}"#,
            r#"{"records":[7 7]}"#,
            r#"{"records":[{"recordName":"A}]}"#,
            r#"{"records" []}"#,
            r#"{records:[]}"#,
            r#"{7:[]}"#,
            r#"{"records":[],"records":[]}"#,
            r#"{"records":null,"records":[]}"#,
            r#"{"syncToken":null,"syncToken":"U","records":[]}"#,
            r#"{"records":1e999}"#,
            "1e999",
            r#"{"syncToken":"T","syncToken":"U","records":[]}"#,
            "[] []",
        ];
        for text in broken {
            assert!(RecordsAnswer::read(text).is_err(), "{text}");
        }
        for text in ["{}", "[]", "7", "null", r#""text""#, r#"{"records":null}"#, r#"{"records":{"a":[1]}}"#]
        {
            assert!(RecordsAnswer::read(text).expect(text).records.is_none(), "{text}");
        }
        assert_eq!(read(r#"{"records":[]}"#), Some(Vec::new()));
    }

    #[test]
    fn an_answer_without_end_is_no_page() {
        let read =
            |count| RecordsAnswer::read(&format!(r#"{{"records":[{}0]}}"#, "0,".repeat(count - 1))).is_ok();
        assert_eq!((read(ITEMS_MAX), read(ITEMS_MAX + 1)), (true, false));
    }
}
