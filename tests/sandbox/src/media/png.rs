//! PNG: a gradient, the capture date as text, and noise in a private ancillary chunk.

use super::{Builder, Content, Recipe, exif};
use crate::noise;
use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use std::io::Write;

const SIDE: u32 = 32;

pub(super) fn make(recipe: &Recipe) -> Content {
    let mut head = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut head, b"IHDR", &[&SIDE.to_be_bytes()[..], &SIDE.to_be_bytes(), &[8, 2, 0, 0, 0]].concat());
    chunk(&mut head, b"tEXt", &[b"Creation Time\0", exif::date_text(recipe).as_bytes()].concat());
    chunk(&mut head, b"IDAT", &pixels(recipe.seed));
    let mut tail = Vec::new();
    chunk(&mut tail, b"IEND", &[]);

    let len = recipe.size_bytes.saturating_sub((head.len() + tail.len()) as u64 + 12).max(8);
    let mut out = Builder::default();
    out.bytes(head);
    out.bytes([&u32::try_from(len).expect("a screenshot is small").to_be_bytes()[..], b"raNd"].concat());
    out.noise(recipe.seed, len);
    out.bytes(noise_crc(recipe.seed, len).to_be_bytes());
    out.bytes(tail);
    out.finish()
}

fn pixels(seed: u64) -> Vec<u8> {
    let tint = noise::derive(seed, &[1]).to_le_bytes();
    let mut raw = Vec::new();
    for row in 0..SIDE {
        raw.push(0);
        for column in 0..SIDE {
            let shade = u8::try_from(row * 4 + column * 3).unwrap_or(u8::MAX);
            raw.extend([shade ^ tint[0], shade ^ tint[1], shade ^ tint[2]]);
        }
    }
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(&raw).and_then(|()| zlib.finish()).expect("memory can be written")
}

fn chunk(out: &mut Vec<u8>, name: &[u8; 4], payload: &[u8]) {
    let mut crc = Crc::new();
    crc.update(name);
    crc.update(payload);
    out.extend(u32::try_from(payload.len()).expect("a chunk of ours is short").to_be_bytes());
    out.extend(name);
    out.extend(payload);
    out.extend(crc.sum().to_be_bytes());
}

fn noise_crc(seed: u64, len: u64) -> u32 {
    let mut crc = Crc::new();
    crc.update(b"raNd");
    let mut chunk = [0; 4096];
    let mut at = 0;
    while at < len {
        let take = usize::try_from(len - at).unwrap_or(usize::MAX).min(chunk.len());
        noise::fill(seed, at, &mut chunk[..take]);
        crc.update(&chunk[..take]);
        at += take as u64;
    }
    crc.sum()
}
