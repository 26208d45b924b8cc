//! HEIC: a real picture of 64 × 64 pixels, the dates and the camera of its EXIF patched in place.
//!
//! The picture is HEVC, which nobody writes by hand: `media/template.heic` was made once with
//! ffmpeg, exiftool and heif-enc. Offsets inside count from the start of the file, so a `free` box
//! behind the template disturbs nothing.

use super::bmff::{LONG_HEAD_LEN, long_head};
use super::{Builder, CAMERAS, Content, Recipe, exif};

const TEMPLATE: &[u8] = include_bytes!("../../media/template.heic");

/// Every date of the template.
const DATE: &[u8] = b"2000:01:01 00:00:00";
/// The zone of the template's dates.
const ZONE: &[u8] = b"+00:00\0";

pub(super) fn make(recipe: &Recipe) -> Content {
    let mut head = TEMPLATE.to_vec();
    patch(&mut head, DATE, exif::date_text(recipe).as_bytes());
    patch(&mut head, ZONE, exif::offset_text(recipe.tz_offset_s).as_bytes());
    patch(&mut head, CAMERAS[0].as_bytes(), CAMERAS[recipe.camera].as_bytes());
    let free = recipe.size_bytes.saturating_sub(head.len() as u64 + LONG_HEAD_LEN).max(8);
    let mut out = Builder::default();
    out.bytes(head);
    out.bytes(long_head(b"free", free));
    out.noise(recipe.seed, free);
    out.finish()
}

/// Writes `new` over the start of every `old`.
fn patch(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    let places: Vec<usize> =
        (0..=bytes.len() - old.len()).filter(|at| bytes[*at..].starts_with(old)).collect();
    for at in places {
        bytes[at..at + new.len()].copy_from_slice(new);
    }
}
