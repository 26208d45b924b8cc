//! One asset as the generator decides it: kind, name, dates and files. Pure: the same seed and
//! number give the same item, and no byte of content is made.

use crate::media::{CAMERAS, Content, Format, MAKER, Recipe, make, names_camera};
use crate::noise::{derive, pick};
use crate::options::{Mix, Options};
use serde::{Deserialize, Serialize};

/// A kind of asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// HEIC with a movie.
    Live,
    /// JPEG as it came from the camera.
    Jpeg,
    /// HEIC without a movie.
    Heic,
    /// JPEG with an edited version.
    Edited,
    /// HEIC with a movie, and an edited version of both.
    EditedLive,
    /// A movie.
    Video,
    /// A movie with an edited version.
    EditedVideo,
    /// JPEG original with a DNG as second original.
    JpegRaw,
    /// DNG original with a JPEG as second original.
    RawJpeg,
    /// A PNG screenshot.
    Screenshot,
    /// One video of the size the options name.
    LargeVideo,
}

impl Kind {
    fn shares(mix: &Mix) -> [(Self, u32); 10] {
        [
            (Self::Live, mix.live),
            (Self::Jpeg, mix.jpeg),
            (Self::Heic, mix.heic),
            (Self::Edited, mix.edited),
            (Self::EditedLive, mix.edited_live),
            (Self::Video, mix.video),
            (Self::EditedVideo, mix.edited_video),
            (Self::JpegRaw, mix.jpeg_raw),
            (Self::RawJpeg, mix.raw_jpeg),
            (Self::Screenshot, mix.screenshot),
        ]
    }

    fn of_share(mix: &Mix, number: u64) -> Self {
        let shares = Self::shares(mix);
        let total: u64 = shares.iter().map(|(_, share)| u64::from(*share)).sum();
        let mut rest = number % total.max(1);
        for (kind, share) in shares {
            match rest.checked_sub(u64::from(share)) {
                Some(less) => rest = less,
                None => return kind,
            }
        }
        Self::Jpeg
    }

    pub(crate) fn is_movie(self) -> bool {
        matches!(self, Self::Video | Self::EditedVideo | Self::LargeVideo)
    }

    pub(crate) fn is_live(self) -> bool {
        matches!(self, Self::Live | Self::EditedLive)
    }

    fn is_edited(self) -> bool {
        matches!(self, Self::Edited | Self::EditedLive | Self::EditedVideo)
    }

    fn original(self) -> Format {
        match self {
            Self::Live | Self::Heic | Self::EditedLive => Format::Heic,
            Self::Jpeg | Self::Edited | Self::JpegRaw => Format::Jpeg,
            Self::Video | Self::EditedVideo | Self::LargeVideo => Format::Mov,
            Self::RawJpeg => Format::Dng,
            Self::Screenshot => Format::Png,
        }
    }
}

/// One version of an asset; the name is the `X` in the record's `resXRes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Rendition {
    /// The file as imported.
    Original,
    /// The second original of a RAW + JPEG pair.
    OriginalAlt,
    /// The movie of a live photo.
    OriginalVidCompl,
    /// The edited still, full size.
    JPEGFull,
    /// The edited movie, full size.
    VidFull,
    /// Preview of medium size.
    JPEGMed,
    /// Small preview.
    JPEGThumb,
    /// Movie transcoded to medium size.
    VidMed,
    /// Movie transcoded to small size.
    VidSmall,
}

impl Rendition {
    /// All of them, by the number that signed URLs carry.
    pub(crate) const ALL: [Self; 9] = [
        Self::Original,
        Self::OriginalAlt,
        Self::OriginalVidCompl,
        Self::JPEGFull,
        Self::VidFull,
        Self::JPEGMed,
        Self::JPEGThumb,
        Self::VidMed,
        Self::VidSmall,
    ];

    /// The `X` in `resXRes`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Original => "Original",
            Self::OriginalAlt => "OriginalAlt",
            Self::OriginalVidCompl => "OriginalVidCompl",
            Self::JPEGFull => "JPEGFull",
            Self::VidFull => "VidFull",
            Self::JPEGMed => "JPEGMed",
            Self::JPEGThumb => "JPEGThumb",
            Self::VidMed => "VidMed",
            Self::VidSmall => "VidSmall",
        }
    }

    /// Whether this is a file worth keeping, rather than a preview the service made.
    pub(crate) fn is_kept(self) -> bool {
        !matches!(self, Self::JPEGMed | Self::JPEGThumb | Self::VidMed | Self::VidSmall)
    }

    /// Whether editing makes it.
    pub fn is_edit(self) -> bool {
        self.is_on_asset()
    }

    /// Whether the resource hangs on the asset record rather than on the master.
    pub(crate) fn is_on_asset(self) -> bool {
        matches!(self, Self::JPEGFull | Self::VidFull)
    }
}

/// One asset as generated.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    pub(crate) seed: u64,
    /// When the camera took it: part of its bytes.
    pub(crate) captured_ms: i64,
    /// The date that its owner gave it since.
    pub(crate) dated_ms: Option<i64>,
    pub(crate) tz_offset_s: i32,
    pub(crate) tz_name: &'static str,
    pub(crate) filename: String,
    mean_size: u64,
    undated_jpegs: bool,
}

/// One file of an item.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File {
    pub(crate) rendition: Rendition,
    pub(crate) format: Format,
    size_bytes: u64,
}

/// Noon of 1 June 2025: the newest day of every generated library.
const NEWEST_MS: i64 = 1_748_779_200_000;
const DAY_MS: i64 = 86_400_000;
/// Libraries span at most about this many days, however large they are.
const SPAN_DAYS: u32 = 3_650;
/// Assets a day has at least, so that names can collide within it.
const PER_DAY_MIN: u32 = 6;

const ZONES: [(&str, i32); 4] = [
    ("Europe/Berlin", 7_200),
    ("America/New_York", -14_400),
    ("Asia/Kolkata", 19_800),
    ("Asia/Taipei", 28_800),
];

impl Item {
    /// The item at `number` of a library; number 0 is the newest.
    pub(crate) fn generate(options: &Options, zone: u64, number: u32) -> Self {
        let per_day = (options.assets / SPAN_DAYS).max(PER_DAY_MIN);
        let (day, slot) = (number / per_day, number % per_day);
        let day_seed = derive(options.seed, &[zone, 1, u64::from(day)]);
        // On one day in three the two newest pictures come from two cameras that count alike.
        let is_collision = slot < 2 && day_seed.is_multiple_of(3);
        let seed = derive(options.seed, &[zone, 2, u64::from(number)]);
        let kind = if is_collision { Kind::Jpeg } else { Kind::of_share(&options.mix, derive(seed, &[1])) };
        let counted = if is_collision && slot == 1 { number - 1 } else { number };

        let step_ms = DAY_MS / 2 / i64::from(per_day);
        let jitter_ms = i64::try_from(pick(seed, &[2], step_ms.unsigned_abs())).unwrap_or(0);
        let captured_ms = NEWEST_MS - i64::from(day) * DAY_MS - i64::from(slot) * step_ms - jitter_ms;
        Self::new(kind, seed, captured_ms, 9_999 - counted % 9_999, options)
    }

    /// An item with a given camera number, for what is added to a generated library.
    pub(crate) fn new(
        kind: Kind,
        seed: u64,
        captured_ms: i64,
        camera_number: u32,
        options: &Options,
    ) -> Self {
        let (tz_name, tz_offset_s) = ZONES[usize::try_from(pick(seed, &[3], 4)).unwrap_or(0)];
        let mean_size = match kind {
            Kind::LargeVideo => u64::from(options.large_video_mb.unwrap_or(1)) << 20,
            _ => options.mean_size(),
        };
        let filename = format!("IMG_{camera_number:04}.{}", kind.original().extension());
        Self {
            kind,
            seed,
            captured_ms,
            dated_ms: None,
            tz_offset_s,
            tz_name,
            filename,
            mean_size,
            undated_jpegs: options.undated_jpegs,
        }
    }

    /// The date it goes by.
    pub(crate) fn date_ms(&self) -> i64 {
        self.dated_ms.unwrap_or(self.captured_ms)
    }

    /// The newest day of the generated part, in milliseconds.
    pub(crate) fn newest_ms() -> i64 {
        NEWEST_MS
    }

    /// The files of this item after `edits` further edits.
    pub(crate) fn files(&self, edits: u32) -> Vec<File> {
        let kind = self.kind;
        let mut files = Vec::with_capacity(6);
        let mut add = |rendition, format, percent: u64| {
            let scatter = 40 + pick(self.seed, &[4, rendition as u64], 120);
            let percent = if kind == Kind::LargeVideo && rendition == Rendition::Original {
                100
            } else {
                percent * scatter / 100
            };
            files.push(File { rendition, format, size_bytes: self.mean_size * percent / 100 });
        };
        add(Rendition::Original, kind.original(), if kind.is_movie() { 300 } else { 100 });
        match kind {
            Kind::JpegRaw => add(Rendition::OriginalAlt, Format::Dng, 200),
            Kind::RawJpeg => add(Rendition::OriginalAlt, Format::Jpeg, 100),
            _ => {}
        }
        if kind.is_live() {
            add(Rendition::OriginalVidCompl, Format::Mov, 150);
        }
        if kind.is_edited() || edits > 0 {
            if kind.is_movie() {
                add(Rendition::VidFull, Format::Mov, 250);
            } else {
                add(Rendition::JPEGFull, Format::Jpeg, 90);
            }
            if kind.is_live() {
                add(Rendition::VidFull, Format::Mov, 140);
            }
        }
        add(Rendition::JPEGThumb, Format::Jpeg, 4);
        if kind != Kind::Screenshot {
            add(Rendition::JPEGMed, Format::Jpeg, 12);
        }
        if kind.is_movie() && kind != Kind::LargeVideo {
            add(Rendition::VidMed, Format::Mp4, 60);
            add(Rendition::VidSmall, Format::Mp4, 20);
        }
        files
    }

    /// The bytes of one file. `edits` changes those that editing changes.
    pub(crate) fn content(&self, file: &File, edits: u32) -> Content {
        make(&self.recipe(file, edits))
    }

    /// What the EXIF of the original says of the camera: its maker, and its model.
    pub(crate) fn camera(&self) -> (Option<&'static str>, Option<&'static str>) {
        let recipe = self.recipe(&self.files(0)[0], 0);
        let (maker, model) = names_camera(&recipe);
        (maker.then_some(MAKER), model.then_some(CAMERAS[recipe.camera]))
    }

    fn recipe(&self, file: &File, edits: u32) -> Recipe {
        let version = if file.rendition.is_on_asset() { u64::from(edits) } else { 0 };
        Recipe {
            format: file.format,
            seed: derive(self.seed, &[5, file.rendition as u64, version]),
            size_bytes: file.size_bytes,
            captured_ms: self.captured_ms,
            tz_offset_s: self.tz_offset_s,
            undated: self.undated_jpegs,
            camera: usize::try_from(pick(self.seed, &[6], CAMERAS.len() as u64)).unwrap_or(0),
        }
    }

    /// Whether there is an edited version after `edits` further edits.
    pub(crate) fn is_edited(&self, edits: u32) -> bool {
        self.kind.is_edited() || edits > 0
    }
}
