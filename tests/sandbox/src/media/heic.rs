//! HEIC: a real picture of 64 × 64 pixels, its EXIF dates patched in place.
//!
//! The picture is HEVC, which nobody writes by hand: `media/template.heic` was made once with
//! ffmpeg, exiftool and heif-enc. Offsets inside count from the start of the file, so a `free` box
//! behind the template disturbs nothing.

use super::bmff::{LONG_HEAD_LEN, long_head};
use super::{Builder, Content, Recipe, exif};

const TEMPLATE: &[u8] = include_bytes!("../../media/template.heic");

/// Every date of the template, and its zone.
const DATE: &[u8] = b"2000:01:01 00:00:00";

pub(super) fn make(recipe: &Recipe) -> Content {
    let date = exif::date_text(recipe);
    let mut head = TEMPLATE.to_vec();
    let dates: Vec<usize> =
        (0..=head.len() - DATE.len()).filter(|at| head[*at..].starts_with(DATE)).collect();
    for at in dates {
        head[at..at + DATE.len()].copy_from_slice(date.as_bytes());
    }
    let free = recipe.size_bytes.saturating_sub(head.len() as u64 + LONG_HEAD_LEN).max(8);
    let mut out = Builder::default();
    out.bytes(head);
    out.bytes(long_head(b"free", free));
    out.noise(recipe.seed, free);
    out.finish()
}
