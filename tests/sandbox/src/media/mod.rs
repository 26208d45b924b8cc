//! The bytes behind a rendition: small real files, each unique, none ever held whole.
//!
//! A file is a few literal bytes and stretches of seeded noise in a place its format allows, so a
//! gigabyte video costs a few hundred bytes of memory and any range of it can be read at once.
//! [`make`] is a pure function of its [`Recipe`].

mod bmff;
mod dng;
mod exif;
mod heic;
mod jpeg;
mod mov;
mod png;

use crate::noise;
use std::sync::Arc;

/// A file format, by what it is rather than by its type identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    Jpeg,
    Heic,
    Png,
    Mov,
    Mp4,
    Dng,
}

impl Format {
    /// The uniform type identifier that records carry.
    pub(crate) fn uti(self) -> &'static str {
        match self {
            Self::Jpeg => "public.jpeg",
            Self::Heic => "public.heic",
            Self::Png => "public.png",
            Self::Mov => "com.apple.quicktime-movie",
            Self::Mp4 => "public.mpeg-4",
            Self::Dng => "com.adobe.raw-image",
        }
    }

    /// The extension as iOS writes it.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "JPG",
            Self::Heic => "HEIC",
            Self::Png => "PNG",
            Self::Mov => "MOV",
            Self::Mp4 => "MP4",
            Self::Dng => "DNG",
        }
    }
}

/// All that decides the bytes of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe {
    pub(crate) format: Format,
    /// The seed of this one file.
    pub(crate) seed: u64,
    /// Wished size; a file is never smaller than its format needs.
    pub(crate) size_bytes: u64,
    /// When the picture was taken, in milliseconds since 1970, UTC.
    pub(crate) captured_ms: i64,
    /// The camera's zone: seconds east of UTC.
    pub(crate) tz_offset_s: i32,
    /// Whether a JPEG may come without its date.
    pub(crate) undated: bool,
    /// Which of the [`CAMERAS`] took it.
    pub(crate) camera: usize,
}

/// The maker of all cameras.
pub(crate) const MAKER: &str = "Sandbox";
/// Their models. HEICs have them patched in, so all are of one length.
pub(crate) const CAMERAS: [&str; 3] = ["Loopback 1", "Loopback 2", "Loopback 3"];

/// What the EXIF of a file says of its camera: whether it names the maker, and whether the model too.
pub(crate) fn names_camera(recipe: &Recipe) -> (bool, bool) {
    match recipe.format {
        Format::Heic | Format::Dng => (true, true),
        Format::Jpeg => exif::names_camera(recipe),
        Format::Png | Format::Mov | Format::Mp4 => (false, false),
    }
}

/// Makes the file of a recipe.
pub(crate) fn make(recipe: &Recipe) -> Content {
    match recipe.format {
        Format::Jpeg => jpeg::make(recipe),
        Format::Heic => heic::make(recipe),
        Format::Png => png::make(recipe),
        Format::Mov => mov::make(recipe, b"qt  "),
        Format::Mp4 => mov::make(recipe, b"mp42"),
        Format::Dng => dng::make(recipe),
    }
}

/// A file that can be read anywhere without being held anywhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    parts: Arc<[Part]>,
    len: u64,
}

#[derive(Clone, Debug)]
enum Part {
    Bytes(Vec<u8>),
    Noise { seed: u64, len: u64 },
}

impl Part {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Noise { len, .. } => *len,
        }
    }
}

impl Content {
    /// A file of these bytes.
    pub(crate) fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        let mut builder = Builder::default();
        builder.bytes(bytes);
        builder.finish()
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Reads `out.len()` bytes from `offset`; the range must lie inside the file.
    pub(crate) fn read(&self, offset: u64, out: &mut [u8]) {
        assert!(offset + out.len() as u64 <= self.len, "a read must lie inside the file");
        let (mut skip, mut rest) = (offset, out);
        for part in self.parts.iter() {
            if rest.is_empty() {
                break;
            }
            if skip >= part.len() {
                skip -= part.len();
                continue;
            }
            let take = usize::try_from(part.len() - skip).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at_mut(take);
            match part {
                Part::Bytes(bytes) => {
                    let start = usize::try_from(skip).expect("a literal part fits in memory");
                    now.copy_from_slice(&bytes[start..start + take]);
                }
                Part::Noise { seed, .. } => noise::fill(*seed, skip, now),
            }
            (rest, skip) = (later, 0);
        }
    }

    /// The whole file. Only for what is known to be small.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut out = vec![0; usize::try_from(self.len).expect("a small file fits in memory")];
        self.read(0, &mut out);
        out
    }
}

/// Puts a [`Content`] together, part by part.
#[derive(Debug, Default)]
struct Builder {
    parts: Vec<Part>,
    len: u64,
}

impl Builder {
    fn bytes(&mut self, bytes: impl Into<Vec<u8>>) {
        self.push(Part::Bytes(bytes.into()));
    }

    fn noise(&mut self, seed: u64, len: u64) {
        self.push(Part::Noise { seed, len });
    }

    fn push(&mut self, part: Part) {
        self.len += part.len();
        self.parts.push(part);
    }

    fn finish(self) -> Content {
        Content { parts: self.parts.into(), len: self.len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(format: Format, size_bytes: u64) -> Recipe {
        Recipe {
            format,
            seed: 11,
            size_bytes,
            captured_ms: 1_700_000_000_000,
            tz_offset_s: 7200,
            undated: false,
            camera: 0,
        }
    }

    #[test]
    fn every_format_reaches_its_wished_size_and_is_read_alike_in_parts() {
        for format in [Format::Jpeg, Format::Heic, Format::Png, Format::Mov, Format::Mp4, Format::Dng] {
            for size in [3_000, 70_000, 200_000] {
                let content = make(&recipe(format, size));
                assert!(content.len().abs_diff(size) < 1_500, "{format:?} of {size} is {}", content.len());
                let whole = content.to_vec();
                let mut part = vec![0; 1_000];
                content.read(777, &mut part);
                assert_eq!(part, whole[777..1_777]);
            }
        }
    }

    #[test]
    fn the_capture_date_is_written_in_local_time() {
        for format in [Format::Jpeg, Format::Heic, Format::Dng] {
            let whole = make(&recipe(format, 3_000)).to_vec();
            let date = b"2023:11:15 00:13:20";
            assert!(whole.windows(date.len()).any(|window| window == date), "{format:?}");
        }
    }

    /// Writes one file of each format to `$ROLLBOOK_SANDBOX_SAMPLES`, to be looked at with other tools.
    #[test]
    fn samples_can_be_written_for_inspection() {
        let Some(directory) = std::env::var_os("ROLLBOOK_SANDBOX_SAMPLES") else { return };
        for format in [Format::Jpeg, Format::Heic, Format::Png, Format::Mov, Format::Mp4, Format::Dng] {
            let path = std::path::Path::new(&directory).join(format!("sample.{}", format.extension()));
            std::fs::write(path, make(&recipe(format, 90_000)).to_vec())
                .expect("the directory can be written");
        }
    }
}
