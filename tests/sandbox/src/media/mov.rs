//! QuickTime and MP4: one motion-JPEG frame, played for a second, and a `free` box full of noise.
//!
//! `free` is space that every reader skips; it lies behind the frame, so offsets stay fixed however
//! large the file grows.

use super::bmff::{LONG_HEAD_LEN, boxed, long_head};
use super::{Builder, Content, Recipe, jpeg};

/// Seconds between 1904, where QuickTime counts from, and 1970.
const EPOCH_1904_S: i64 = 2_082_844_800;

/// The identity transformation of a track or movie header.
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

pub(super) fn make(recipe: &Recipe, brand: &[u8; 4]) -> Content {
    let frame = [&[0xff, 0xd8][..], &jpeg::picture(recipe.seed)].concat();
    let ftyp = boxed(b"ftyp", &[brand, &[0, 0, 2, 0], brand, b"isom"]);
    let created = u32::try_from(recipe.captured_ms.div_euclid(1000) + EPOCH_1904_S).unwrap_or(0);
    // The frame's place depends on the size of `moov`, which does not depend on the place.
    let moov_len = moov(created, frame.len(), 0).len();
    let moov = moov(created, frame.len(), ftyp.len() + moov_len + 8);
    let head = [ftyp, moov, boxed(b"mdat", &[&frame])].concat();

    let free = recipe.size_bytes.saturating_sub(head.len() as u64 + LONG_HEAD_LEN).max(8);
    let mut out = Builder::default();
    out.bytes(head);
    out.bytes(long_head(b"free", free));
    out.noise(recipe.seed, free);
    out.finish()
}

fn moov(created: u32, frame_len: usize, frame_at: usize) -> Vec<u8> {
    let (width, height) = (u32::from(jpeg::TILES.0) * 8, u32::from(jpeg::TILES.1) * 8);
    let matrix = words(&MATRIX);
    let times = words(&[created, created]);
    let mvhd = [&words(&[0])[..], &times, &words(&[600, 600, 0x1_0000, 0x100_0000, 0, 0]), &matrix];
    let mvhd = boxed(b"mvhd", &[&mvhd.concat(), &words(&[0, 0, 0, 0, 0, 0, 2])]);
    let tkhd = [&words(&[7])[..], &times, &words(&[1, 0, 600, 0, 0, 0, 0]), &matrix];
    let tkhd = boxed(b"tkhd", &[&tkhd.concat(), &words(&[width << 16, height << 16])]);
    let mdhd = boxed(b"mdhd", &[&words(&[0]), &times, &words(&[600, 600, 0x55c4_0000])]);
    let hdlr = boxed(b"hdlr", &[&words(&[0]), b"mhlrvide", &[0; 13]]);
    let vmhd = boxed(b"vmhd", &[&words(&[1, 0, 0])]);
    let dref = boxed(b"dref", &[&words(&[0, 1]), &boxed(b"url ", &[&words(&[1])])]);
    let dinf = boxed(b"dinf", &[&dref]);
    let size = words(&[width << 16 | height]);
    let sample =
        [&[0; 6][..], &[0, 1], &[0; 16], &size, &words(&[0x48_0000, 0x48_0000, 0]), &[0, 1], &[0; 32]];
    let jpeg = boxed(b"jpeg", &[&sample.concat(), &[0, 24, 0xff, 0xff]]);
    let stsd = boxed(b"stsd", &[&words(&[0, 1]), &jpeg]);
    let stts = boxed(b"stts", &[&words(&[0, 1, 1, 600])]);
    let stsc = boxed(b"stsc", &[&words(&[0, 1, 1, 1, 1])]);
    let stsz = boxed(b"stsz", &[&words(&[0, word(frame_len), 1])]);
    let stco = boxed(b"stco", &[&words(&[0, 1, word(frame_at)])]);
    let stbl = boxed(b"stbl", &[&stsd, &stts, &stsc, &stsz, &stco]);
    let minf = boxed(b"minf", &[&vmhd, &dinf, &stbl]);
    let mdia = boxed(b"mdia", &[&mdhd, &hdlr, &minf]);
    boxed(b"moov", &[&mvhd, &boxed(b"trak", &[&tkhd, &mdia])])
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

fn word(value: usize) -> u32 {
    u32::try_from(value).expect("a frame of ours is small")
}
