//! EXIF: a little-endian TIFF directory with the camera's name and the moment of capture.

use super::{CAMERAS, MAKER, Recipe};
use jiff::Timestamp;
use jiff::tz::Offset;

/// A TIFF entry's type, as numbered by the format.
const ASCII: u16 = 2;
const LONG: u16 = 4;

/// `YYYY:MM:DD HH:MM:SS` in the camera's zone; a date outside four-digit years becomes 1970.
pub(super) fn date_text(recipe: &Recipe) -> String {
    let offset = Offset::from_seconds(recipe.tz_offset_s).unwrap_or(Offset::UTC);
    let at = Timestamp::from_millisecond(recipe.captured_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    let local = offset.to_datetime(at);
    let local =
        if (1..=9999).contains(&local.year()) { local } else { offset.to_datetime(Timestamp::UNIX_EPOCH) };
    local.strftime("%Y:%m:%d %H:%M:%S").to_string()
}

/// A whole TIFF block: header, main directory, EXIF directory.
pub(super) fn tiff(recipe: &Recipe) -> Vec<u8> {
    let mut tiff = Directory::default();
    tiff.ascii(0x010f, MAKER);
    tiff.ascii(0x0110, CAMERAS[recipe.camera]);
    tiff.ascii(0x0132, &date_text(recipe));
    tiff.whole(recipe)
}

/// The block of a JPEG: as [`tiff`], or by turns without a date, as scanners and messengers leave it.
pub(super) fn tiff_of_jpeg(recipe: &Recipe) -> Option<Vec<u8>> {
    match recipe.seed % 4 {
        _ if !recipe.undated => Some(tiff(recipe)),
        0 => None,
        1 => {
            let mut tiff = Directory::default();
            tiff.ascii(0x010f, MAKER);
            tiff.ascii(0x0110, CAMERAS[recipe.camera]);
            let mut out = b"II\x2a\0\x08\0\0\0".to_vec();
            tiff.write(&mut out);
            Some(out)
        }
        2 => {
            let mut tiff = Directory::default();
            tiff.ascii(0x010f, MAKER);
            let mut exif = Directory::default();
            exif.shorts(0x8827, &[200]);
            exif.raw(0x927c, 7, 12, b"maker's note".to_vec());
            Some(tiff.with(exif))
        }
        _ => Some(tiff(recipe)),
    }
}

/// Whether the block of a JPEG names the maker of the camera, and whether its model.
pub(super) fn names_camera(recipe: &Recipe) -> (bool, bool) {
    match recipe.seed % 4 {
        0 if recipe.undated => (false, false),
        2 if recipe.undated => (true, false),
        _ => (true, true),
    }
}

/// Entries of a TIFF directory; they must be added in the order of their tags.
#[derive(Default)]
pub(super) struct Directory {
    entries: Vec<(u16, u16, u32, Vec<u8>)>,
}

impl Directory {
    pub(super) fn ascii(&mut self, tag: u16, text: &str) {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.raw(tag, ASCII, u32::try_from(bytes.len()).expect("a short text"), bytes);
    }

    pub(super) fn long(&mut self, tag: u16, value: u32) {
        self.raw(tag, LONG, 1, value.to_le_bytes().to_vec());
    }

    pub(super) fn shorts(&mut self, tag: u16, values: &[u16]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.raw(tag, 3, u32::try_from(values.len()).expect("a short list"), bytes);
    }

    pub(super) fn raw(&mut self, tag: u16, kind: u16, count: u32, bytes: Vec<u8>) {
        self.entries.push((tag, kind, count, bytes));
    }

    /// The TIFF block of this directory and, behind it, the EXIF directory of `recipe`.
    pub(super) fn whole(self, recipe: &Recipe) -> Vec<u8> {
        let mut exif = Self::default();
        exif.ascii(0x9003, &date_text(recipe));
        exif.ascii(0x9004, &date_text(recipe));
        exif.ascii(0x9011, &offset_text(recipe.tz_offset_s));
        self.with(exif)
    }

    /// The TIFF block of this directory and, behind it, that EXIF directory.
    fn with(mut self, exif: Self) -> Vec<u8> {
        let at = self.entries.iter().position(|entry| entry.0 > 0x8769).unwrap_or(self.entries.len());
        self.entries.insert(at, (0x8769, LONG, 1, vec![0; 4]));
        let exif_at = 8 + self.size();
        self.entries[at].3 = u32::try_from(exif_at).expect("a small directory").to_le_bytes().to_vec();

        let mut out = b"II\x2a\0\x08\0\0\0".to_vec();
        self.write(&mut out);
        exif.write(&mut out);
        out
    }

    /// Bytes of the table and of the values that do not fit in it.
    fn size(&self) -> usize {
        let outside: usize = self.entries.iter().map(|entry| outside_len(&entry.3)).sum();
        2 + 12 * self.entries.len() + 4 + outside
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut value_at = out.len() + 2 + 12 * self.entries.len() + 4;
        let mut values = Vec::new();
        out.extend(u16::try_from(self.entries.len()).expect("a small directory").to_le_bytes());
        for (tag, kind, count, bytes) in &self.entries {
            out.extend(tag.to_le_bytes());
            out.extend(kind.to_le_bytes());
            out.extend(count.to_le_bytes());
            if bytes.len() <= 4 {
                let mut inline = bytes.clone();
                inline.resize(4, 0);
                out.extend(inline);
            } else {
                out.extend(u32::try_from(value_at).expect("a small directory").to_le_bytes());
                value_at += outside_len(bytes);
                values.extend(bytes);
                values.resize(values.len().next_multiple_of(2), 0);
            }
        }
        out.extend([0; 4]);
        out.extend(values);
    }
}

fn outside_len(bytes: &[u8]) -> usize {
    if bytes.len() <= 4 { 0 } else { bytes.len().next_multiple_of(2) }
}

/// `+HH:MM`, as EXIF writes a zone.
pub(super) fn offset_text(offset_s: i32) -> String {
    let sign = if offset_s < 0 { '-' } else { '+' };
    let minutes = offset_s.unsigned_abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}
