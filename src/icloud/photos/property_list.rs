//! Property lists in the binary form, one value at a time.
//!
//! They come from whoever added the photo, a contributor to a Shared Library too. One list may stand in a
//! hundred others, and those in a hundred more: whoever unfolds that never ends, and whoever follows a list
//! in a list in a list runs out of stack. So nothing is unfolded here: a value is looked at where it stands when
//! it is asked for, and whatever is not as it should be is not there.
//!
//! The form: `bplist00`, the values, a table of where each begins, and a trailer of 32 bytes that says
//! where the table is. Source: `CFBinaryPList.c` of Apple's CoreFoundation.

use std::borrow::Cow;
use std::io::Cursor;

/// Longest list that is read. Those of photos have three kilobytes, with a maker's note some dozens.
const LIST_BYTES_MAX: usize = 1 << 20;
/// Longest list that is read as XML, and most lists in it: those that came as XML are flat and short.
const XML_BYTES_MAX: usize = 1 << 16;
const XML_LISTS_MAX: usize = 8;
/// Most units of a text that is read: bytes, or halves of a UTF-16 pair.
const TEXT_UNITS_MAX: usize = 4096;
/// Most items of an array that are read.
const ITEMS_MAX: usize = 1000;
const TRAILER_BYTES: usize = 32;

/// A list in the binary form, whatever form it came in. `None` if it is neither.
pub(super) fn binary(list: &[u8]) -> Option<Cow<'_, [u8]>> {
    if list.starts_with(b"bplist") {
        return Some(Cow::Borrowed(list)).filter(|list| list.len() <= LIST_BYTES_MAX);
    }
    let opens = |tag: &[u8]| list.windows(tag.len()).filter(|window| *window == tag).count();
    if list.len() > XML_BYTES_MAX || opens(b"<array") + opens(b"<dict") > XML_LISTS_MAX {
        return None;
    }
    let mut written = Vec::new();
    plist::Value::from_reader_xml(Cursor::new(list)).ok()?.to_writer_binary(&mut written).ok()?;
    Some(Cow::Owned(written))
}

/// A list that can be asked for its values, by their numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct PropertyList<'a> {
    bytes: &'a [u8],
    /// Where each value begins.
    table: &'a [u8],
    /// Bytes of an entry of the table, and of the number of a value.
    place_len: usize,
    number_len: usize,
    root: usize,
}

/// What kind of value begins somewhere, how long it is, and what follows.
type Head<'a> = (u8, usize, &'a [u8]);

impl<'a> PropertyList<'a> {
    /// Opens a list in the binary form.
    pub(super) fn open(bytes: &'a [u8]) -> Option<Self> {
        bytes.strip_prefix(b"bplist00")?;
        let trailer: &[u8; TRAILER_BYTES] = bytes.last_chunk()?;
        let (place_len, number_len) = (usize::from(trailer[6]), usize::from(trailer[7]));
        if place_len == 0 || number_len == 0 {
            return None;
        }
        let [count, root, at] = [8, 16, 24].map(|from| uint(&trailer[from..from + 8]));
        let (at, count) = (at?, count?);
        let table = bytes.get(at..at.checked_add(count.checked_mul(place_len)?)?)?;
        Some(Self { bytes, table, place_len, number_len, root: root? })
    }

    /// The number of the value that all others are in.
    pub(super) fn root(&self) -> usize {
        self.root
    }

    /// The value of a dictionary that a key leads to.
    pub(super) fn get(&self, dictionary: usize, key: &str) -> Option<usize> {
        let (0xd, count, rest) = self.head(dictionary)? else { return None };
        let (keys, rest) = rest.split_at_checked(count.checked_mul(self.number_len)?)?;
        let at = keys.chunks_exact(self.number_len).position(|name| {
            // Looked at and not copied: a thousand keys may be one long text.
            let head = uint(name).and_then(|name| self.head(name));
            matches!(head, Some((0x5, len, text)) if len == key.len() && text.starts_with(key.as_bytes()))
        })?;
        uint(rest.chunks_exact(self.number_len).nth(at)?)
    }

    /// The values of an array.
    pub(super) fn items(&self, array: usize) -> impl Iterator<Item = usize> {
        let items = match self.head(array) {
            Some((0xa, count, rest)) => rest.get(..count.min(ITEMS_MAX).saturating_mul(self.number_len)),
            _ => None,
        };
        items.unwrap_or_default().chunks_exact(self.number_len).filter_map(uint)
    }

    /// A text.
    pub(super) fn text(&self, number: usize) -> Option<String> {
        let (kind, len, rest) = self.head(number)?;
        if len > TEXT_UNITS_MAX {
            return None;
        }
        match kind {
            0x5 => str::from_utf8(rest.get(..len)?).ok().map(str::to_owned),
            0x6 => {
                let pairs = rest.get(..2 * len)?.chunks_exact(2);
                let units: Vec<u16> = pairs.map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
                String::from_utf16(&units).ok()
            }
            _ => None,
        }
    }

    /// A number, whole or not.
    pub(super) fn number(&self, number: usize) -> Option<f64> {
        let (kind, power, rest) = self.head(number)?;
        let bytes = rest.get(..1_usize.checked_shl(u32::try_from(power).ok()?)?)?;
        match (kind, bytes.len()) {
            (0x1, 1 | 2 | 4) => uint(bytes).map(|whole| whole as f64),
            (0x1, 8) => Some(i64::from_be_bytes(bytes.try_into().ok()?) as f64),
            (0x2, 4) => Some(f32::from_be_bytes(bytes.try_into().ok()?).into()),
            (0x2, 8) => Some(f64::from_be_bytes(bytes.try_into().ok()?)),
            _ => None,
        }
    }

    fn head(&self, number: usize) -> Option<Head<'a>> {
        let place = uint(self.table.chunks_exact(self.place_len).nth(number)?)?;
        let (marker, rest) = self.bytes.get(place..)?.split_first()?;
        let (kind, len) = (marker >> 4, usize::from(marker & 0xf));
        if len != 0xf || matches!(kind, 0x1 | 0x2) {
            return Some((kind, len, rest));
        }
        // A longer one says its length as a number.
        let (marker, rest) = rest.split_first()?;
        let (len, rest) = rest.split_at_checked(1 << (marker & 0x3))?;
        Some((kind, uint(len)?, rest))
    }
}

/// A whole number, the highest byte first. `None` if it is too large to be a place or a length.
fn uint(bytes: &[u8]) -> Option<usize> {
    let number = bytes.iter().try_fold(0_u64, |sum, byte| Some(sum.checked_mul(256)? | u64::from(*byte)))?;
    usize::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: &plist::Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        value.to_writer_binary(&mut bytes).expect("memory");
        bytes
    }

    /// A list of `values`, each as its bytes, of which the first is the root. Numbers and places have two bytes.
    fn made(values: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = b"bplist00".to_vec();
        let mut places = Vec::new();
        for value in values {
            places.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
            bytes.extend(value);
        }
        let at = bytes.len() as u64;
        bytes.extend(places);
        bytes.extend([0, 0, 0, 0, 0, 0, 2, 2]);
        bytes.extend([values.len() as u64, 0, at].iter().flat_map(|number| number.to_be_bytes()));
        bytes
    }

    #[test]
    fn values_are_found_whatever_form_and_length_they_have() {
        let long = "x".repeat(300);
        let value = plist::Value::Array(vec!["sea".into(), "Été".into(), long.as_str().into(), 7.into()]);
        let bytes = written(&value);
        let list = PropertyList::open(&bytes).unwrap();
        let texts: Vec<_> = list.items(list.root()).filter_map(|item| list.text(item)).collect();
        assert_eq!(texts, ["sea", "Été", &long]);
        let mut inner = plist::Dictionary::new();
        for (key, value) in [("whole", 7.into()), ("below", (-3).into()), ("real", 1.5.into())] {
            inner.insert(key.to_owned(), value);
        }
        let mut outer = plist::Dictionary::new();
        outer.insert("in".to_owned(), plist::Value::Dictionary(inner));
        let bytes = written(&plist::Value::Dictionary(outer));
        let list = PropertyList::open(&bytes).unwrap();
        let inner = list.get(list.root(), "in").unwrap();
        let numbers = ["whole", "below", "real", "none"].map(|key| list.number(list.get(inner, key)?));
        assert_eq!(numbers, [Some(7.0), Some(-3.0), Some(1.5), None]);
    }

    #[test]
    fn lists_in_lists_without_end_cost_nothing() {
        // Forty arrays, each of a hundred times the next one: unfolded, 10^80 values.
        let hundred = |next: u16| [vec![0xaf, 0x10, 100], next.to_be_bytes().repeat(100)].concat();
        let bytes = made(&(1..=40).map(hundred).collect::<Vec<_>>());
        let list = PropertyList::open(&bytes).unwrap();
        assert_eq!(list.items(list.root()).count(), 100);
        // One that lies in itself.
        let bytes = made(&[vec![0xd1, 0, 1, 0, 0], vec![0x51, b'a']]);
        let list = PropertyList::open(&bytes).unwrap();
        assert_eq!(list.get(list.root(), "a"), Some(0));
        // As XML, deeper than any stack.
        let deep = format!("<plist>{}{}</plist>", "<array>".repeat(4000), "</array>".repeat(4000));
        assert!(binary(deep.as_bytes()).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..60),
            trailer in proptest::collection::vec(0_u8..40, TRAILER_BYTES)) {
            let bytes = [&b"bplist00"[..], &body, &trailer].concat();
            if let Some(list) = PropertyList::open(&bytes) {
                for number in 0..40 {
                    let _ = (list.text(number), list.number(number), list.get(number, "a"));
                    prop_assert!(list.items(number).count() <= ITEMS_MAX);
                }
            }
        }
    }
}
