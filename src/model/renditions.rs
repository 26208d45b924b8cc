//! Renditions: which files of a wanted asset are wanted. Pure.
//!
//! The words are icloudpd's. An asset that has none of the sizes asked for gives its original: a
//! choice of sizes leaves files out, never a whole photo.

use crate::model::asset::{MediaKind, Rendition};
use crate::model::uti;

/// Which files of an asset are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renditions {
    /// Which sizes; never empty.
    pub sizes: Vec<Size>,
    /// Of a RAW and JPEG pair.
    pub raw: Raw,
    /// Of a Live Photo.
    pub live: LivePhotos,
}

impl Default for Renditions {
    fn default() -> Self {
        Self {
            sizes: vec![Size::Original, Size::Adjusted, Size::Alternative],
            raw: Raw::Both,
            live: LivePhotos::Both,
        }
    }
}

/// A size, as icloudpd calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// As imported.
    Original,
    /// The edited version.
    Adjusted,
    /// The second original.
    Alternative,
    /// A smaller copy that the service made.
    Medium,
    /// The smallest copy.
    Thumb,
}

impl Size {
    /// Reads the word.
    ///
    /// # Errors
    /// If there is no such size.
    pub fn parse(word: &str) -> Result<Self, String> {
        Ok(match word {
            "original" => Self::Original,
            "adjusted" | "edited" => Self::Adjusted,
            "alternative" => Self::Alternative,
            "medium" => Self::Medium,
            "thumb" => Self::Thumb,
            _ => {
                return Err(format!("it is original, adjusted, alternative, medium or thumb, not {word:?}"));
            }
        })
    }

    fn of(rendition: Rendition) -> Self {
        match rendition {
            Rendition::Original | Rendition::LiveVideo => Self::Original,
            Rendition::Alternative => Self::Alternative,
            Rendition::Edited | Rendition::EditedVideo => Self::Adjusted,
            Rendition::Medium | Rendition::MediumVideo => Self::Medium,
            Rendition::Thumb | Rendition::ThumbVideo => Self::Thumb,
        }
    }
}

/// Which file of a RAW and JPEG pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raw {
    /// Both.
    Both,
    /// The RAW.
    Raw,
    /// The other.
    Jpeg,
}

/// Which half of a Live Photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LivePhotos {
    /// Both.
    Both,
    /// The still.
    Image,
    /// The movie.
    Video,
}

/// A file that an asset has.
#[derive(Clone, Debug)]
pub struct Has {
    /// Which file.
    pub rendition: Rendition,
    /// Its type.
    pub uti: String,
}

impl Renditions {
    /// Whether the small copies that the service makes are to be asked for at all.
    #[must_use]
    pub fn previews(&self) -> bool {
        self.sizes.contains(&Size::Medium) || self.sizes.contains(&Size::Thumb)
    }

    /// The rule that leaves a file of an asset out. `None`: it is wanted. `files` are all it has.
    #[must_use]
    pub fn rule(&self, rendition: Rendition, kind: MediaKind, files: &[Has]) -> Option<&'static str> {
        let has = |rendition: Rendition| files.iter().any(|file| file.rendition == rendition);
        let is_live = kind == MediaKind::Photo && has(Rendition::LiveVideo);
        let is_movie = rendition.is_movie();
        let unwanted_half = is_live
            && match self.live {
                LivePhotos::Both => false,
                LivePhotos::Image => is_movie,
                LivePhotos::Video => !is_movie,
            };
        if unwanted_half {
            return Some("live-photos");
        }
        if self.is_unwanted_raw(rendition, files) {
            return Some("raw");
        }
        // The poster of a video is no smaller copy of it.
        let is_poster = kind == MediaKind::Video && matches!(rendition, Rendition::Medium | Rendition::Thumb);
        if is_poster || !self.has_size(Size::of(rendition), rendition, files) {
            return Some("size");
        }
        None
    }

    fn has_size(&self, size: Size, rendition: Rendition, files: &[Has]) -> bool {
        if self.sizes.contains(&size) {
            return true;
        }
        // RAW alone, or JPEG alone, may lie in the second original.
        if self.raw != Raw::Both && size == Size::Alternative && self.sizes.contains(&Size::Original) {
            return pair(files).is_some();
        }
        // Nothing of what was asked for is there: then the original.
        let offered = |file: &Has| {
            file.rendition != Rendition::LiveVideo && self.sizes.contains(&Size::of(file.rendition))
        };
        matches!(rendition, Rendition::Original | Rendition::LiveVideo) && !files.iter().any(offered)
    }

    fn is_unwanted_raw(&self, rendition: Rendition, files: &[Has]) -> bool {
        let Some((original_is_raw, alternative_is_raw)) = pair(files) else { return false };
        let is_raw = match rendition {
            Rendition::Original => original_is_raw,
            Rendition::Alternative => alternative_is_raw,
            _ => return false,
        };
        match self.raw {
            Raw::Both => false,
            Raw::Raw => !is_raw,
            Raw::Jpeg => is_raw,
        }
    }
}

/// Of a pair of which one is RAW and one is not: whether the original is, whether the other is.
fn pair(files: &[Has]) -> Option<(bool, bool)> {
    let is_raw = |rendition: Rendition| {
        files.iter().find(|file| file.rendition == rendition).map(|file| uti::is_raw(&file.uti))
    };
    let pair = (is_raw(Rendition::Original)?, is_raw(Rendition::Alternative)?);
    (pair.0 != pair.1).then_some(pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(renditions: &[Rendition]) -> Vec<Has> {
        let uti = |rendition| match rendition {
            Rendition::Alternative => "com.adobe.raw-image",
            _ => "public.jpeg",
        };
        renditions.iter().map(|r| Has { rendition: *r, uti: uti(*r).to_owned() }).collect()
    }

    /// The files that come, of those there are.
    fn wanted(chosen: &Renditions, kind: MediaKind, there: &[Rendition]) -> String {
        let files = files(there);
        let comes = |r: &&Rendition| chosen.rule(**r, kind, &files).is_none();
        there.iter().filter(comes).map(|r| r.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn sizes_leave_files_out_and_never_a_whole_photo() {
        use Rendition as R;
        let sizes = |sizes: &[Size]| Renditions { sizes: sizes.to_vec(), ..Renditions::default() };
        let edited = [R::Original, R::Edited, R::Medium, R::Thumb];
        for (chosen, there, comes) in [
            (Renditions::default(), &edited[..2], "original edited"),
            (sizes(&[Size::Original]), &edited, "original"),
            (sizes(&[Size::Adjusted]), &edited, "edited"),
            (sizes(&[Size::Adjusted]), &[R::Original, R::LiveVideo], "original live-video"),
            (sizes(&[Size::Medium, Size::Thumb]), &edited, "medium thumb"),
            (sizes(&[Size::Alternative]), &[R::Original], "original"),
        ] {
            assert_eq!(wanted(&chosen, MediaKind::Photo, there), comes, "{chosen:?}");
        }
        let video = [R::Original, R::Medium, R::MediumVideo];
        assert_eq!(wanted(&sizes(&[Size::Medium]), MediaKind::Video, &video), "medium-video");
    }

    #[test]
    fn pairs_and_live_photos_come_as_asked() {
        use Rendition as R;
        let raw = |raw, sizes: &[Size]| Renditions { raw, sizes: sizes.to_vec(), ..Renditions::default() };
        let all = Renditions::default().sizes;
        let pair = [R::Original, R::Alternative];
        assert_eq!(wanted(&raw(Raw::Raw, &all), MediaKind::Photo, &pair), "alternative");
        assert_eq!(wanted(&raw(Raw::Jpeg, &all), MediaKind::Photo, &pair), "original");
        assert_eq!(wanted(&raw(Raw::Raw, &[Size::Original]), MediaKind::Photo, &pair), "alternative");
        let live = |live| Renditions { live, ..Renditions::default() };
        let files = [R::Original, R::LiveVideo, R::Edited, R::EditedVideo];
        assert_eq!(wanted(&live(LivePhotos::Image), MediaKind::Photo, &files), "original edited");
        assert_eq!(wanted(&live(LivePhotos::Video), MediaKind::Photo, &files), "live-video edited-video");
        let video = [R::Original, R::EditedVideo];
        assert_eq!(wanted(&live(LivePhotos::Image), MediaKind::Video, &video), "original edited-video");
    }
}
