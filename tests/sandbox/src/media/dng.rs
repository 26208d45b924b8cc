//! DNG: an uncompressed picture of 8 × 8 pixels, and noise as the camera maker's private data.

use super::{Builder, CAMERAS, Content, MAKER, Recipe, exif};

const SIDE: u16 = 8;

pub(super) fn make(recipe: &Recipe) -> Content {
    let pixels: Vec<u8> = (0..SIDE * SIDE).flat_map(|at| [at.to_le_bytes()[0]; 3]).collect();
    // Directory entries keep their size whatever they hold, so a draft tells where the data begins.
    let head_len = u32::try_from(directory(recipe, 0, 0, 0).len()).expect("a small directory");
    let pixels_len = u32::try_from(pixels.len()).expect("a small picture");
    let fixed = u64::from(head_len + pixels_len);
    let noise_len = u32::try_from(recipe.size_bytes.saturating_sub(fixed).max(8)).unwrap_or(u32::MAX);

    let mut out = Builder::default();
    out.bytes(directory(recipe, head_len, head_len + pixels_len, noise_len));
    out.bytes(pixels);
    out.noise(recipe.seed, u64::from(noise_len));
    out.finish()
}

fn directory(recipe: &Recipe, pixels_at: u32, noise_at: u32, noise_len: u32) -> Vec<u8> {
    let mut tiff = exif::Directory::default();
    tiff.long(0x00fe, 0);
    tiff.long(0x0100, u32::from(SIDE));
    tiff.long(0x0101, u32::from(SIDE));
    tiff.shorts(0x0102, &[8, 8, 8]);
    tiff.shorts(0x0103, &[1]);
    tiff.shorts(0x0106, &[2]);
    tiff.ascii(0x010f, MAKER);
    tiff.ascii(0x0110, CAMERAS[recipe.camera]);
    tiff.long(0x0111, pixels_at);
    tiff.shorts(0x0115, &[3]);
    tiff.long(0x0116, u32::from(SIDE));
    tiff.long(0x0117, u32::from(SIDE) * u32::from(SIDE) * 3);
    tiff.ascii(0x0132, &exif::date_text(recipe));
    tiff.raw(0xc612, 1, 4, vec![1, 4, 0, 0]);
    tiff.ascii(0xc614, &format!("{MAKER} {}", CAMERAS[recipe.camera]));
    // DNGPrivateData. Its value lies outside the directory, so it is an offset, written as it stands.
    tiff.raw(0xc634, 1, noise_len, noise_at.to_le_bytes().to_vec());
    tiff.whole(recipe)
}
