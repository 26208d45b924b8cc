//! EXIF: the date of capture, put into a JPEG that has none. Pure.
//!
//! Nothing that stands in the file is moved or rewritten: a new directory is appended behind what its TIFF
//! block holds, and one pointer leads to it. So offsets that only the camera's maker understands stay true,
//! and every byte of the picture is what it was.

use std::ops::Range;

use exif::{In, Tag, Value};
use jiff::Timestamp;
use jiff::tz::Offset;

use crate::model::asset::Captured;

/// What begins the segment of EXIF, behind its length.
const HEAD: &[u8] = b"Exif\0\0";
/// The most that a segment's two bytes of length can say, themselves included.
const SEGMENT_MAX: usize = 0xffff;
/// Tags of the directories and entries that are written here.
const EXIF_DIRECTORY: u16 = 0x8769;
const DATE_ORIGINAL: u16 = 0x9003;
const DATE_DIGITIZED: u16 = 0x9004;
const OFFSET_ORIGINAL: u16 = 0x9011;
const OFFSET_DIGITIZED: u16 = 0x9012;
/// Types of entries.
const ASCII: u16 = 2;
const LONG: u16 = 4;
/// Bytes of an entry, and of the count before and the pointer behind all entries.
const ENTRY: usize = 12;
const COUNT: usize = 2;
const NEXT: usize = 4;

/// What becomes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dated {
    /// It has a date already.
    Has,
    /// The whole file, with the date in it.
    Written(Vec<u8>),
    /// It stays as it is, for this reason.
    Left(&'static str),
}

/// Puts the date of capture into a JPEG that has no `DateTimeOriginal`.
#[must_use]
pub fn date(jpeg: &[u8], captured: Captured) -> Dated {
    let Some([clock, zone]) = texts(captured) else { return Dated::Left("its date is none of a calendar") };
    match dated(jpeg, &clock, &zone) {
        Ok(Some(bytes)) if reads_back(jpeg, &bytes, &clock) => Dated::Written(bytes),
        Ok(Some(_)) => Dated::Left("what was written would not read back"),
        Ok(None) => Dated::Has,
        Err(why) => Dated::Left(why),
    }
}

/// What [`date`] may have made this JPEG from: nearly always one, none if it was not made by it. Only a
/// digest of the original says which.
///
/// The end of the file may be missing, as long as the picture has begun: it then is missing here too.
#[must_use]
pub fn undated(jpeg: &[u8]) -> Vec<Vec<u8>> {
    let Some(segment) = places(jpeg).ok().and_then(|places| places.exif) else { return Vec::new() };
    let tiff = &jpeg[segment.start + 4 + HEAD.len()..segment.end];
    let Some((clock, zone, olds)) = undone(tiff) else { return Vec::new() };
    let with = |tiff: Option<Vec<u8>>| {
        let mut bytes = jpeg[..segment.start].to_vec();
        if let Some(tiff) = tiff {
            let length = u16::try_from(2 + HEAD.len() + tiff.len()).unwrap_or(u16::MAX);
            bytes.extend_from_slice(&[0xff, 0xe1]);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(HEAD);
            bytes.extend_from_slice(&tiff);
        }
        bytes.extend_from_slice(&jpeg[segment.end..]);
        bytes
    };
    std::iter::once(None)
        .chain(olds.into_iter().map(Some))
        .map(with)
        .filter(|bytes| dated(bytes, &clock, &zone).ok().flatten().is_some_and(|again| again == jpeg))
        .take(ORIGINALS_MAX)
        .collect()
}

/// Originals that are worth a digest each. One is the rule; a copy of a directory, or a zero at the end of
/// the block, makes it two.
const ORIGINALS_MAX: usize = 4;
/// Places in a block that are tried as that of the old directory. The first that fits is the rule.
const PLACES_MAX: usize = 64;

/// The date in a block, and the blocks that it may have come into: what stood before the new directory, with
/// the pointer as it may have been.
fn undone(tiff: &[u8]) -> Option<(String, String, Vec<Vec<u8>>)> {
    let block = Block::read(tiff).ok()?;
    let main = block.directory(block.long(4).ok()?).ok()?;
    let pointer = main.entries.iter().position(|entry| block.tag(entry) == EXIF_DIRECTORY)?;
    let inner_at = block.long_of(&main.entries[pointer]);
    let inner = block.directory(inner_at).ok()?;
    let text = |tag: u16| {
        let entry = inner.entries.iter().find(|entry| block.tag(entry) == tag)?;
        let (at, count) = (block.long_of(entry) as usize, block.count_of(entry) as usize);
        let text = tiff.get(at..at.checked_add(count)?)?.strip_suffix(&[0])?;
        Some(std::str::from_utf8(text).ok()?.to_owned())
    };
    let (clock, zone) = (text(DATE_ORIGINAL)?, text(OFFSET_ORIGINAL)?);
    // Either the main directory was given a new pointer to the inner one, or it was itself made anew behind it.
    let (place, moved) = if main.at < inner_at as usize {
        (main.at + COUNT + pointer * ENTRY + 8, &inner)
    } else {
        (4, &main)
    };
    let ours = [EXIF_DIRECTORY, DATE_ORIGINAL, DATE_DIGITIZED, OFFSET_ORIGINAL, OFFSET_DIGITIZED];
    let kept = |of: &Directory| -> Vec<[u8; ENTRY]> {
        of.entries.iter().filter(|entry| !ours.contains(&block.tag(entry))).copied().collect()
    };
    let moved = kept(moved);
    let end = inner_at as usize;
    let (mut olds, mut tried) = (Vec::new(), 0);
    for end in [end, end.saturating_sub(1)] {
        let Some(old) = tiff.get(..end) else { continue };
        let old = Block { bytes: old, big: block.big };
        for at in 8..end {
            let Ok(at) = u32::try_from(at) else { break };
            // Most places hold no directory of this length.
            let count = old.bytes.get(at as usize..at as usize + COUNT).map(|count| old.short(count));
            let likely = |count: u16| (moved.len()..=moved.len() + ours.len()).contains(&usize::from(count));
            if tried == PLACES_MAX
                || !count.is_some_and(likely)
                || !old.directory(at).is_ok_and(|of| kept(&of) == moved)
            {
                continue;
            }
            let mut bytes = old.bytes.to_vec();
            let Some(pointer) = bytes.get_mut(place..place + 4) else { continue };
            pointer.copy_from_slice(&block.put_long(at));
            tried += 1;
            let old = Block { bytes: &bytes, big: block.big };
            if old.with_date(&clock, &zone).ok().flatten().is_some_and(|again| again == tiff) {
                olds.push(bytes);
            }
        }
    }
    Some((clock, zone, olds))
}

/// `2024:05:18 01:30:00` on the camera's clock, and its zone.
fn texts(captured: Captured) -> Option<[String; 2]> {
    let offset = captured.offset_seconds.and_then(|seconds| Offset::from_seconds(seconds).ok());
    let offset = offset.unwrap_or(Offset::UTC);
    let local = offset.to_datetime(Timestamp::from_millisecond(captured.at_ms).ok()?);
    if local.year() < 1 {
        return None;
    }
    let minutes = offset.seconds() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    let zone = format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
    Some([local.strftime("%Y:%m:%d %H:%M:%S").to_string(), zone])
}

fn dated(jpeg: &[u8], clock: &str, zone: &str) -> Result<Option<Vec<u8>>, &'static str> {
    let places = places(jpeg)?;
    let old = places.exif.clone().map(|segment| &jpeg[segment.start + 4 + HEAD.len()..segment.end]);
    let tiff = match old {
        Some(tiff) => match Block::read(tiff)?.with_date(clock, zone)? {
            Some(tiff) => tiff,
            None => return Ok(None),
        },
        None => {
            let empty = Block::read(EMPTY)?;
            empty.with_date(clock, zone)?.ok_or("an empty block has no date")?
        }
    };
    let length = 2 + HEAD.len() + tiff.len();
    if length > SEGMENT_MAX {
        return Err("its EXIF has no room left for a date");
    }
    let cut = places.exif.unwrap_or(places.insert..places.insert);
    let mut bytes = Vec::with_capacity(jpeg.len() + length + 2);
    bytes.extend_from_slice(&jpeg[..cut.start]);
    bytes.extend_from_slice(&[0xff, 0xe1]);
    bytes.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend_from_slice(HEAD);
    bytes.extend_from_slice(&tiff);
    bytes.extend_from_slice(&jpeg[cut.end..]);
    Ok(Some(bytes))
}

/// A block with an empty main directory.
const EMPTY: &[u8] = b"II\x2a\0\x08\0\0\0\0\0\0\0\0\0";

/// Where a JPEG's segment of EXIF stands, and where one goes if it has none.
struct Places {
    exif: Option<Range<usize>>,
    insert: usize,
}

/// Walks through the segments before the picture.
fn places(jpeg: &[u8]) -> Result<Places, &'static str> {
    const NO_JPEG: &str = "it is no JPEG that can be read";
    if jpeg.get(..2) != Some(&[0xff, 0xd8]) {
        return Err(NO_JPEG);
    }
    let (mut at, mut insert, mut exif) = (2, 2, None);
    loop {
        let &[0xff, marker, high, low] = jpeg.get(at..at + 4).ok_or(NO_JPEG)? else { return Err(NO_JPEG) };
        let end = at + 2 + usize::from(u16::from_be_bytes([high, low]));
        let body = jpeg.get(at + 4..end).ok_or(NO_JPEG)?;
        match marker {
            // The picture begins: what comes now is not looked at.
            0xda => return Ok(Places { exif, insert }),
            0xe1 if body.starts_with(HEAD) && exif.is_some() => return Err("it has EXIF twice"),
            0xe1 if body.starts_with(HEAD) => exif = Some(at..end),
            // The segments of JFIF come first, as its own rules want it.
            0xe0 if at == insert => insert = end,
            0x01 | 0xd0..=0xd9 | 0xff | 0 => return Err(NO_JPEG),
            _ => {}
        }
        at = end;
    }
}

/// A TIFF block.
struct Block<'a> {
    bytes: &'a [u8],
    big: bool,
}

/// One directory: its entries as they are, and where the next one is.
struct Directory {
    at: usize,
    entries: Vec<[u8; ENTRY]>,
    next: [u8; NEXT],
}

impl<'a> Block<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, &'static str> {
        match bytes.get(..4) {
            Some(b"II\x2a\0") => Ok(Self { bytes, big: false }),
            Some(b"MM\0\x2a") => Ok(Self { bytes, big: true }),
            _ => Err(DAMAGED),
        }
    }

    /// The block with the date in it, or nothing if it has one.
    fn with_date(&self, clock: &str, zone: &str) -> Result<Option<Vec<u8>>, &'static str> {
        if self.has_date()? {
            return Ok(None);
        }
        let main = self.directory(self.long(4)?)?;
        let pointer = main.entries.iter().position(|entry| self.tag(entry) == EXIF_DIRECTORY);
        let mut out = self.bytes.to_vec();
        out.resize(out.len().next_multiple_of(2), 0);
        let inner = match pointer {
            Some(at) => self.directory(self.long_of(&main.entries[at]))?,
            None => Directory { at: 0, entries: Vec::new(), next: [0; NEXT] },
        };
        let inner_at = self.append(
            &mut out,
            inner,
            &[
                (DATE_ORIGINAL, clock),
                (DATE_DIGITIZED, clock),
                (OFFSET_ORIGINAL, zone),
                (OFFSET_DIGITIZED, zone),
            ],
        )?;
        match pointer {
            Some(at) => {
                let place = main.at + COUNT + at * ENTRY + 8;
                out.get_mut(place..place + 4).ok_or(DAMAGED)?.copy_from_slice(&self.put_long(inner_at));
            }
            None => {
                let mut main = main;
                let mut entry = [0; ENTRY];
                entry[..2].copy_from_slice(&self.put_short(EXIF_DIRECTORY));
                entry[2..4].copy_from_slice(&self.put_short(LONG));
                entry[4..8].copy_from_slice(&self.put_long(1));
                entry[8..].copy_from_slice(&self.put_long(inner_at));
                main.entries.push(entry);
                let main_at = self.append(&mut out, main, &[])?;
                out[4..8].copy_from_slice(&self.put_long(main_at));
            }
        }
        Ok(Some(out))
    }

    /// Whether there is a date of capture that says something. A blank one says nothing.
    fn has_date(&self) -> Result<bool, &'static str> {
        if self.bytes == EMPTY {
            return Ok(false);
        }
        let read = exif::Reader::new().read_raw(self.bytes.to_vec()).map_err(|_| DAMAGED)?;
        let Some(field) = read.get_field(Tag::DateTimeOriginal, In::PRIMARY) else { return Ok(false) };
        let Value::Ascii(texts) = &field.value else { return Ok(true) };
        Ok(texts.iter().flatten().any(|byte| matches!(byte, b'1'..=b'9')))
    }

    /// Appends a directory: its entries but those that are given anew, and these. Gives its place.
    fn append(
        &self,
        out: &mut Vec<u8>,
        directory: Directory,
        texts: &[(u16, &str)],
    ) -> Result<u32, &'static str> {
        let at = u32::try_from(out.len()).map_err(|_| DAMAGED)?;
        let mut entries: Vec<[u8; ENTRY]> = directory.entries;
        entries.retain(|entry| texts.iter().all(|(tag, _)| self.tag(entry) != *tag));
        let count = entries.len() + texts.len();
        let mut value_at = at as usize + COUNT + count * ENTRY + NEXT;
        let mut values = Vec::new();
        for (tag, text) in texts {
            let length = text.len() + 1;
            let mut entry = [0; ENTRY];
            entry[..2].copy_from_slice(&self.put_short(*tag));
            entry[2..4].copy_from_slice(&self.put_short(ASCII));
            entry[4..8].copy_from_slice(&self.put_long(u32::try_from(length).map_err(|_| DAMAGED)?));
            entry[8..].copy_from_slice(&self.put_long(u32::try_from(value_at).map_err(|_| DAMAGED)?));
            entries.push(entry);
            values.extend_from_slice(text.as_bytes());
            values.push(0);
            values.resize(values.len().next_multiple_of(2), 0);
            value_at += length.next_multiple_of(2);
        }
        entries.sort_by_key(|entry| self.tag(entry));
        out.extend_from_slice(&self.put_short(u16::try_from(count).map_err(|_| DAMAGED)?));
        entries.iter().for_each(|entry| out.extend_from_slice(entry));
        out.extend_from_slice(&directory.next);
        out.extend_from_slice(&values);
        Ok(at)
    }

    fn directory(&self, at: u32) -> Result<Directory, &'static str> {
        let at = at as usize;
        let count = self.bytes.get(at..at.saturating_add(COUNT)).ok_or(DAMAGED)?;
        let count = usize::from(self.short(count));
        let first = at + COUNT;
        let table = self.bytes.get(first..first + count * ENTRY).ok_or(DAMAGED)?;
        let behind = first + count * ENTRY;
        // Some writers leave the last pointer out.
        let next =
            self.bytes.get(behind..behind + NEXT).and_then(|next| next.try_into().ok()).unwrap_or([0; NEXT]);
        let entries = table.as_chunks::<ENTRY>().0.to_vec();
        Ok(Directory { at, entries, next })
    }

    fn tag(&self, entry: &[u8; ENTRY]) -> u16 {
        self.short(&entry[..2])
    }

    fn long_of(&self, entry: &[u8; ENTRY]) -> u32 {
        let bytes = [entry[8], entry[9], entry[10], entry[11]];
        if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    fn count_of(&self, entry: &[u8; ENTRY]) -> u32 {
        let bytes = [entry[4], entry[5], entry[6], entry[7]];
        if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    fn long(&self, at: usize) -> Result<u32, &'static str> {
        let bytes: [u8; 4] =
            self.bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).ok_or(DAMAGED)?;
        Ok(if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn short(&self, bytes: &[u8]) -> u16 {
        let bytes = [bytes[0], bytes[1]];
        if self.big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    fn put_short(&self, value: u16) -> [u8; 2] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn put_long(&self, value: u32) -> [u8; 4] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }
}

const DAMAGED: &str = "its EXIF is damaged";

/// A field of EXIF: its tag, its directory, and its value as text.
type Said = (Tag, In, String);

/// Whether a parser that is not ours finds the date, and every field that was there before, and whether the
/// picture is the same to the byte.
fn reads_back(old: &[u8], new: &[u8], clock: &str) -> bool {
    let fields = |jpeg: &[u8]| -> Option<(Vec<Said>, Vec<u8>)> {
        let places = places(jpeg).ok()?;
        let Some(segment) = places.exif else { return Some((Vec::new(), jpeg.to_vec())) };
        let tiff = jpeg.get(segment.start + 4 + HEAD.len()..segment.end)?;
        let read = exif::Reader::new().read_raw(tiff.to_vec()).ok()?;
        let text = |field: &exif::Field| {
            let shown = match &field.value {
                Value::Ascii(texts) => texts.iter().map(|text| String::from_utf8_lossy(text)).collect(),
                other => format!("{other:?}"),
            };
            (field.tag, field.ifd_num, shown)
        };
        let fields = read.fields().map(text).collect();
        Some((fields, [&jpeg[..segment.start], &jpeg[segment.end..]].concat()))
    };
    let (Some((before, old_picture)), Some((after, picture))) = (fields(old), fields(new)) else {
        return false;
    };
    let written =
        [Tag::DateTimeOriginal, Tag::DateTimeDigitized, Tag::OffsetTimeOriginal, Tag::OffsetTimeDigitized];
    let kept = |field: &&Said| !(field.1 == In::PRIMARY && written.contains(&field.0));
    let kept_before: Vec<_> = before.iter().filter(kept).collect();
    let kept_after: Vec<_> = after.iter().filter(kept).collect();
    let has_date = after
        .iter()
        .any(|(tag, of, text)| *tag == Tag::DateTimeOriginal && *of == In::PRIMARY && text == clock);
    has_date && picture == old_picture && kept_before.iter().all(|field| kept_after.contains(field))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CAPTURED: Captured = Captured { at_ms: 1_715_988_600_000, offset_seconds: Some(7200) };

    fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
        [&[0xff, marker], &length[..], body].concat()
    }

    fn jpeg(segments: &[Vec<u8>]) -> Vec<u8> {
        let mut jpeg = vec![0xff, 0xd8];
        segments.iter().for_each(|segment| jpeg.extend_from_slice(segment));
        jpeg.extend_from_slice(&segment(0xda, &[0; 10]));
        jpeg.extend_from_slice(b"picture\xff\xd9 and what comes behind it");
        jpeg
    }

    /// A big-endian block: Make in the main directory, and ISO in an inner one if wanted, with a date if wanted.
    fn tiff(inner: Option<Option<&[u8; 20]>>) -> Vec<u8> {
        let mut tiff = b"MM\0\x2a\0\0\0\x08".to_vec();
        let entry = |tag: u16, kind: u16, count: u32, value: u32| {
            [&tag.to_be_bytes()[..], &kind.to_be_bytes(), &count.to_be_bytes(), &value.to_be_bytes()].concat()
        };
        tiff.extend_from_slice(&[0, 1 + u8::from(inner.is_some())]);
        tiff.extend_from_slice(&entry(0x010f, 2, 3, u32::from_be_bytes(*b"ab\0\0")));
        if inner.is_some() {
            tiff.extend_from_slice(&entry(EXIF_DIRECTORY, LONG, 1, 38));
        }
        tiff.extend_from_slice(&[0; 4]);
        if let Some(date) = inner {
            tiff.extend_from_slice(&[0, 1 + u8::from(date.is_some())]);
            tiff.extend_from_slice(&entry(0x8827, 3, 1, 100 << 16));
            if let Some(date) = date {
                tiff.extend_from_slice(&entry(DATE_ORIGINAL, ASCII, 20, 38 + 2 + 24 + 4));
                tiff.extend_from_slice(&[0; 4]);
                tiff.extend_from_slice(date);
            } else {
                tiff.extend_from_slice(&[0; 4]);
            }
        }
        tiff
    }

    fn with(tiff: &[u8]) -> Vec<u8> {
        jpeg(&[segment(0xe0, b"JFIF\0"), segment(0xe1, &[HEAD, tiff].concat()), segment(0xe2, b"MPF\0")])
    }

    fn text(jpeg: &[u8], tag: Tag) -> Option<String> {
        let read = exif::Reader::new().read_from_container(&mut std::io::Cursor::new(jpeg)).ok()?;
        read.get_field(tag, In::PRIMARY).map(|field| field.display_value().to_string())
    }

    #[test]
    fn a_date_comes_to_what_has_none_and_nothing_else_changes() {
        let blank = b"    :  :     :  :  \0";
        for undated in [
            jpeg(&[]),
            jpeg(&[segment(0xe0, b"JFIF\0"), segment(0xdb, &[1; 65])]),
            with(&tiff(None)),
            with(&tiff(Some(None))),
            with(&tiff(Some(Some(blank)))),
        ] {
            let Dated::Written(dated) = date(&undated, CAPTURED) else {
                panic!("{:?}", date(&undated, CAPTURED))
            };
            assert_eq!(text(&dated, Tag::DateTimeOriginal).as_deref(), Some("2024-05-18 01:30:00"));
            assert_eq!(text(&dated, Tag::OffsetTimeOriginal).as_deref(), Some("\"+02:00\""));
            assert_eq!(text(&dated, Tag::Make), text(&undated, Tag::Make));
            assert_eq!(
                text(&dated, Tag::PhotographicSensitivity),
                text(&undated, Tag::PhotographicSensitivity)
            );
            assert!(dated.ends_with(&undated[undated.len() - 40..]));
            assert_eq!(date(&dated, CAPTURED), Dated::Has, "a second time there is nothing to do");
            // And back again, from the whole and from its head.
            assert!(super::undated(&dated).contains(&undated) && super::undated(&undated).is_empty());
            let (head, tail) = dated.split_at(dated.len() - 25);
            let whole = |head: Vec<u8>| [&head, tail].concat();
            assert!(super::undated(head).into_iter().map(whole).any(|bytes| bytes == undated));
            let mut altered = dated.clone();
            let date = altered.windows(4).position(|four| four == b"2024").unwrap();
            altered[date] = b'1';
            assert!(super::undated(&altered).is_empty(), "a date that somebody else changed is not ours");
        }
    }

    #[test]
    fn what_has_a_date_or_cannot_be_understood_stays() {
        assert_eq!(date(&with(&tiff(Some(Some(b"2001:01:01 10:00:00\0")))), CAPTURED), Dated::Has);
        let twice = [segment(0xe1, &[HEAD, &tiff(None)].concat()), segment(0xe1, HEAD)];
        let full = [segment(0xe1, &[HEAD, &tiff(None), &vec![0; 65_400]].concat())];
        let whole = jpeg(&[]);
        for bad in
            [&b""[..], b"no jpeg", &whole[..5], &with(b"II\x2a\0\xff\xff\0\0"), &jpeg(&twice), &jpeg(&full)]
        {
            assert!(matches!(date(bad, CAPTURED), Dated::Left(_)), "{bad:?}");
        }
        let nowhere = Captured { at_ms: i64::MIN, offset_seconds: None };
        assert!(matches!(date(&whole, nowhere), Dated::Left(_)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail_or_touch_the_picture(noise in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..120) {
            let mut damaged = with(&tiff(Some(None)));
            for (place, byte) in noise.iter().enumerate().take(8) {
                let place = (at + place) % damaged.len();
                damaged[place] = *byte;
            }
            for file in [&damaged, &noise] {
                if let Dated::Written(dated) = date(file, CAPTURED) {
                    prop_assert!(dated.len() > file.len());
                    prop_assert!(undated(&dated).contains(file));
                }
                let _ = undated(file);
            }
        }
    }
}
