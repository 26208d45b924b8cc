//! JPEG: a mosaic of flat coloured tiles behind an EXIF block.
//!
//! A baseline picture whose blocks hold nothing but their mean needs one small Huffman table, so
//! the encoder fits on a screen and every asset gets a picture of its own. The rest of the wished
//! size is noise in comment segments, where every reader skips it.

use super::{Builder, Content, Recipe, exif};
use crate::noise;

/// Tiles across and down; a tile is a block of 8 × 8 pixels.
pub(super) const TILES: (u16, u16) = (10, 8);

/// The most a segment can hold beside its own length field.
const SEGMENT_MAX: u64 = 65_533;

pub(super) fn make(recipe: &Recipe) -> Content {
    let mut head = vec![0xff, 0xd8];
    if let Some(tiff) = exif::tiff_of_jpeg(recipe) {
        segment(&mut head, 0xe1, &[b"Exif\0\0", &tiff[..]].concat());
    }
    let body = picture(recipe.seed);

    let mut out = Builder::default();
    let mut wanted = recipe.size_bytes.saturating_sub((head.len() + body.len()) as u64);
    let mut number = 0;
    out.bytes(head);
    while wanted > 4 {
        let len = (wanted - 4).min(SEGMENT_MAX);
        let declared = u16::try_from(len + 2).expect("a segment is bounded");
        out.bytes([&[0xff, 0xfe][..], &declared.to_be_bytes()].concat());
        out.noise(noise::derive(recipe.seed, &[number]), len);
        (wanted, number) = (wanted - 4 - len, number + 1);
    }
    out.bytes(body);
    out.finish()
}

/// Everything behind the headers: tables, frame, scan and end marker.
pub(super) fn picture(seed: u64) -> Vec<u8> {
    let mut out = Vec::new();
    segment(&mut out, 0xdb, &[&[0][..], &[8; 64]].concat());
    let (height, width) = ((TILES.1 * 8).to_be_bytes(), (TILES.0 * 8).to_be_bytes());
    let components = [1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0];
    segment(&mut out, 0xc0, &[&[8][..], &height, &width, &[3], &components].concat());
    // Differences: twelve categories, each four bits long. Coefficients: one code, "end of block".
    let mut lengths = [0; 16];
    lengths[3] = 12;
    segment(&mut out, 0xc4, &[&[0x00][..], &lengths, &(0..12).collect::<Vec<u8>>()].concat());
    let mut lengths = [0; 16];
    lengths[0] = 1;
    segment(&mut out, 0xc4, &[&[0x10][..], &lengths, &[0]].concat());
    segment(&mut out, 0xda, &[3, 1, 0, 2, 0, 3, 0, 0, 63, 0]);
    scan(&mut out, seed);
    out.extend([0xff, 0xd9]);
    out
}

fn scan(out: &mut Vec<u8>, seed: u64) {
    let hue = |n: u64| i32::try_from(noise::pick(seed, &[n], 90)).unwrap_or(0) - 45;
    let (blue, red) = (hue(1), hue(2));
    let mut bits = Bits { out, pending: 0, count: 0 };
    let mut before = [0; 3];
    for row in 0..i32::from(TILES.1) {
        for column in 0..i32::from(TILES.0) {
            let shade = i32::try_from(noise::pick(seed, &[3, row as u64, column as u64], 24)).unwrap_or(0);
            let tile = [row * 9 - 40 + shade, blue + column * 3, red - column * 3];
            for (value, last) in tile.into_iter().zip(&mut before) {
                bits.difference(value - *last);
                bits.put(0, 1);
                *last = value;
            }
        }
    }
    bits.flush();
}

/// The entropy-coded stream: most significant bit first, a zero byte stuffed behind every 0xff.
struct Bits<'a> {
    out: &'a mut Vec<u8>,
    pending: u32,
    count: u32,
}

impl Bits<'_> {
    fn difference(&mut self, value: i32) {
        let category = 32 - value.unsigned_abs().leading_zeros();
        self.put(category, 4);
        let coded = if value < 0 { value - 1 } else { value };
        self.put(coded.cast_unsigned() & ((1 << category) - 1), category);
    }

    /// Appends the low `width` bits of `value`; a width is at most sixteen.
    fn put(&mut self, value: u32, width: u32) {
        self.pending = self.pending << width | value;
        self.count += width;
        while self.count >= 8 {
            self.count -= 8;
            let byte = u8::try_from(self.pending >> self.count).expect("what was written is taken off");
            self.out.push(byte);
            if byte == 0xff {
                self.out.push(0);
            }
            self.pending &= (1 << self.count) - 1;
        }
    }

    fn flush(&mut self) {
        while self.count != 0 {
            self.put(1, 1);
        }
    }
}

fn segment(out: &mut Vec<u8>, marker: u8, payload: &[u8]) {
    let len = u16::try_from(payload.len() + 2).expect("a segment of ours is short");
    out.extend([0xff, marker]);
    out.extend(len.to_be_bytes());
    out.extend(payload);
}
