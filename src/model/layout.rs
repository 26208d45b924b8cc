//! Where a file goes: a folder from the capture date, a safe stem, a suffix for the rendition.
//!
//! A path is data, not a function: it is chosen once, stored, and never computed again. This
//! module makes the *candidates*; the journal takes the first that is free. All renditions of an
//! asset share one stem, so a Live Photo's still and movie stand side by side.
//!
//! Photo names are strangers' input. Whatever they hold, a path made here is relative, stays
//! below the destination, fits a file system, and reads the same on Linux, macOS and SMB.

use std::cell::LazyCell;

use sha2::{Digest as _, Sha256};
use unicode_normalization::UnicodeNormalization as _;

use crate::model::asset::{Asset, Captured, MediaKind, Offer, Rendition};
use crate::model::checksum::AppleChecksum;
use crate::model::ids::AssetName;
use crate::model::template::{Subject, Template};
use crate::model::uti;

/// Bytes that are kept free behind a stem: for a rendition's suffix, a tag of 16 digits, an extension, and the
/// part file's own tag and `.part`.
const BEHIND_STEM_BYTES: usize = 55;
/// Longest stem in bytes, where names may have the 255 of most file systems.
const STEM_BYTES_MAX: usize = 255 - BEHIND_STEM_BYTES;
/// A stem is not cut shorter than this, wherever it goes.
const STEM_BYTES_MIN: usize = 16;
/// Longest extension in bytes, dot excluded: anything longer is part of the name.
const EXTENSION_BYTES_MAX: usize = 8;
/// Bits of a path's key that name its folder. Ten years of days need twelve; the 44 others keep a flat
/// tree of a million files apart.
const FOLDER_BITS: u32 = 20;
/// Suffix of a part file. It stands beside its target.
pub const PART_SUFFIX: &str = ".part";

/// Where files stand, and what they are called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Folders below the directory.
    pub folders: FolderTemplate,
    /// Names of files, without their extension.
    pub names: NameTemplate,
    /// Which date the templates mean.
    pub date: DateOf,
    /// What the movie of a Live Photo is called.
    pub live_movies: LiveMovies,
    /// How long a name may be.
    pub longest: Longest,
}

/// The longest stem and folder name that fit where the files go, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Longest(usize);

impl Default for Longest {
    fn default() -> Self {
        Self(STEM_BYTES_MAX)
    }
}

/// Which date a template means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateOf {
    /// When it was taken, on the camera's own clock.
    #[default]
    Captured,
    /// When it came into the library, in UTC.
    Added,
}

/// What the movie of a Live Photo is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LiveMovies {
    /// As the still: `IMG_0001.MOV`.
    #[default]
    SameStem,
    /// As icloudpd calls that of a HEIC: `IMG_0001_HEVC.MOV`.
    Suffix,
}

/// The folder template, or none for a flat tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderTemplate(Option<Template>);

impl Default for FolderTemplate {
    fn default() -> Self {
        Self::parse("%Y/%m/%d").expect("a template that is tested")
    }
}

impl FolderTemplate {
    /// Reads a template as typed: `%Y/%m/%d`, `{:%Y/%m}` (as icloudpd writes it), `{library}/%Y`, or
    /// `none`.
    ///
    /// # Errors
    /// A sentence that says what is wrong: an unknown directive, an absolute path, or `..`.
    pub fn parse(typed: &str) -> Result<Self, String> {
        if typed.eq_ignore_ascii_case("none") {
            return Ok(Self(None));
        }
        let template = Template::parse(typed)?;
        let date = Some(Captured { at_ms: 1_700_000_000_000, offset_seconds: None });
        let sample = Subject {
            date,
            library: "primary",
            kind: MediaKind::Photo,
            stem: "IMG",
            album: Some("A"),
            camera: Some("C"),
        };
        let folder = template.fill(&sample);
        if folder.starts_with('/') {
            return Err(format!("the folder must be relative to the directory: {typed}"));
        }
        if folder.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(format!("each folder needs a name of its own: {typed}"));
        }
        Ok(Self(Some(template)))
    }

    /// The folder of an asset: relative, `/` between components, empty for a flat tree.
    #[must_use]
    pub fn folder(&self, subject: &Subject<'_>, longest: Longest) -> String {
        let Some(template) = &self.0 else { return String::new() };
        let folder = template.fill(subject);
        folder.split('/').map(|name| component(name, longest)).collect::<Vec<_>>().join("/")
    }
}

/// The template of a file's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameTemplate(Template);

impl Default for NameTemplate {
    fn default() -> Self {
        Self::parse("{stem}").expect("a template that is tested")
    }
}

impl NameTemplate {
    /// Reads a template as typed, such as `{stem}` or `{%Y-%m-%d}_{stem}`.
    ///
    /// # Errors
    /// A sentence that says what is wrong: an unknown directive, or a slash.
    pub fn parse(typed: &str) -> Result<Self, String> {
        if typed.contains('/') {
            return Err(format!("a name has no slash; folders have a setting of their own: {typed}"));
        }
        Template::parse(typed).map(Self)
    }
}

impl Layout {
    /// The same for a place where a name has at most so many bytes, as the file system says: 255 nearly
    /// everywhere, 143 in the encrypted folders of some NAS (eCryptfs).
    #[must_use]
    pub fn within(self, name_bytes_max: u64) -> Self {
        let room = usize::try_from(name_bytes_max).unwrap_or(usize::MAX).saturating_sub(BEHIND_STEM_BYTES);
        Self { longest: Longest(room.clamp(STEM_BYTES_MIN, STEM_BYTES_MAX)), ..self }
    }

    /// Whether an asset's album decides where it stands.
    #[must_use]
    pub fn uses_album(&self) -> bool {
        self.names.0.uses_album() || self.folders.0.as_ref().is_some_and(Template::uses_album)
    }

    /// Whether an asset's camera decides where it stands.
    #[must_use]
    pub fn uses_camera(&self) -> bool {
        self.names.0.uses_camera() || self.folders.0.as_ref().is_some_and(Template::uses_camera)
    }

    /// The folder and the stems to try for an asset, best first. The stems never end.
    ///
    /// The first is the name as the person knows it. The others carry a tag made from the record
    /// name, so the same asset gets the same tag in every run and on every machine.
    pub fn stems(
        &self,
        asset: &Asset,
        zone: &str,
        album: Option<&str>,
    ) -> (String, impl Iterator<Item = String>) {
        let date = match self.date {
            DateOf::Captured => asset.captured,
            DateOf::Added => asset.added_at_ms.map(|at_ms| Captured { at_ms, offset_seconds: None }),
        };
        let (stem, _) = split(&asset.filename);
        let library = library_word(zone);
        let subject =
            Subject { date, library: &library, kind: asset.kind, stem, album, camera: asset.camera() };
        let stem = component(&self.names.0.fill(&subject), self.longest);
        (self.folders.folder(&subject, self.longest), tagged(stem, &asset.name))
    }

    /// The file name of one offer under a stem: suffix by rendition, extension by type.
    #[must_use]
    pub fn file_name(&self, stem: &str, asset: &Asset, offer: &Offer) -> String {
        let extension = extension(asset, offer);
        // A RAW + JPEG pair whose two types share an extension needs a word between them.
        let original = asset.offers.iter().find(|o| o.rendition == Rendition::Original);
        let is_heic = || original.is_some_and(|o| self::extension(asset, o).eq_ignore_ascii_case("HEIC"));
        let suffix = match offer.rendition {
            Rendition::Original => "",
            Rendition::Edited | Rendition::EditedVideo => "-edited",
            Rendition::Medium | Rendition::MediumVideo => "-medium",
            Rendition::Thumb | Rendition::ThumbVideo => "-thumb",
            Rendition::LiveVideo if self.live_movies == LiveMovies::Suffix && is_heic() => "_HEVC",
            Rendition::LiveVideo | Rendition::Alternative => {
                let same =
                    original.is_some_and(|o| self::extension(asset, o).eq_ignore_ascii_case(&extension));
                match (same, offer.rendition) {
                    (false, _) => "",
                    (true, Rendition::LiveVideo) => "-live",
                    (true, _) => "-alternative",
                }
            }
        };
        format!("{stem}{suffix}.{extension}")
    }
}

/// What people call a library.
fn library_word(zone: &str) -> String {
    if zone == "PrimarySync" { "primary".to_owned() } else { zone.to_owned() }
}

/// The paths to try in place of `path` when a stranger's file holds it. Never ends.
pub fn other_paths(path: &str, name: &AssetName) -> impl Iterator<Item = String> {
    let (stem, extension) = match path.rsplit_once('.') {
        Some((stem, extension)) => (stem.to_owned(), format!(".{extension}")),
        None => (path.to_owned(), String::new()),
    };
    tagged(stem, name).skip(1).map(move |stem| format!("{stem}{extension}"))
}

/// The tag in the name of a part file: it stands for one version of one file of one asset, so a
/// part of anything else, ours or a stranger's, has another name.
#[must_use]
pub fn part_tag(name: &AssetName, checksum: &AppleChecksum) -> String {
    digest_hex(&[name.as_str(), checksum.as_str()].join("\n"), 3)
}

/// The path that a part file is a part of, if its name is one that we give: `PATH.TAG.part`.
#[must_use]
pub fn part_of(path: &str) -> Option<&str> {
    let (whole, tag) = path.strip_suffix(PART_SUFFIX)?.rsplit_once('.')?;
    (tag.len() == 6 && tag.bytes().all(|b| b.is_ascii_hexdigit())).then_some(whole)
}

/// What makes two paths the same place on some file system: letter case and Unicode form folded.
///
/// Folded both ways (`ß` and `SS`, `ς` and `Σ` meet), because file systems differ in their tables.
///
/// 64 bits, because a million of them are kept in an index: the first ones name the folder, the
/// others the whole path. So files of one day are neighbours there, and a page of a listing touches a
/// few leaves of the index and not a hundred. Two different paths with one key cost a needless tag
/// in a name, nothing else.
#[must_use]
pub fn path_key(path: &str) -> i64 {
    let whole = Sha256::digest(folded(path).as_bytes());
    let whole = u64::from_be_bytes(*whole.first_chunk().expect("a SHA-256 digest has 32 bytes"));
    let Some((folder, _)) = path.rsplit_once('/') else { return whole.cast_signed() };
    let folder = Sha256::digest(folded(folder).as_bytes());
    let folder = u64::from_be_bytes(*folder.first_chunk().expect("a SHA-256 digest has 32 bytes"));
    let name_bits = u64::MAX >> FOLDER_BITS;
    ((folder & !name_bits) | (whole & name_bits)).cast_signed()
}

/// Letter case and Unicode form folded.
fn folded(path: &str) -> String {
    if path.is_ascii() {
        return path.to_ascii_lowercase();
    }
    let upper: String = path.nfkc().flat_map(char::to_uppercase).collect();
    upper.chars().flat_map(char::to_lowercase).nfkc().collect()
}

fn tagged(stem: String, name: &AssetName) -> impl Iterator<Item = String> {
    // Hardly any name is taken, so hardly any tag is made.
    let tag = LazyCell::new(|| digest_hex(name.as_str(), 8));
    (0_u32..).map(move |n| match n {
        0 => stem.clone(),
        1 => format!("{stem}-{}", &tag[..6]),
        2 => format!("{stem}-{}", *tag),
        n => format!("{stem}-{}-{n}", *tag),
    })
}

/// The first `bytes` of a SHA-256, in hexadecimal digits.
fn digest_hex(text: &str, bytes: usize) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
}

/// The extension: the name's own spelling where it agrees with the type, else the type's.
fn extension(asset: &Asset, offer: &Offer) -> String {
    let (_, own) = split(&asset.filename);
    match (uti::extension(&offer.uti), own) {
        (Some(by_type), Some(own)) if same_type(own, by_type) => own.to_owned(),
        (Some(by_type), _) => by_type.to_owned(),
        (None, Some(own)) if offer.rendition == Rendition::Original => own.to_owned(),
        (None, _) => {
            let movie = asset.kind == MediaKind::Video
                && !matches!(offer.rendition, Rendition::Medium | Rendition::Thumb)
                || offer.rendition.is_movie();
            if movie { "MOV".to_owned() } else { "JPG".to_owned() }
        }
    }
}

/// Whether two extensions are spellings of one type, so that the person's own is kept.
fn same_type(a: &str, b: &str) -> bool {
    const TWINS: [&[&str]; 4] = [&["jpg", "jpeg", "jpe"], &["tif", "tiff"], &["mov", "qt"], &["mp4", "m4v"]];
    let known = |twins: &&[&str], e: &str| twins.iter().any(|t| t.eq_ignore_ascii_case(e));
    a.eq_ignore_ascii_case(b) || TWINS.iter().any(|twins| known(twins, a) && known(twins, b))
}

/// Splits `IMG_0001.HEIC` into stem and extension; the extension is short and plain, or absent.
fn split(filename: &str) -> (&str, Option<&str>) {
    match filename.rsplit_once('.') {
        Some((stem, extension))
            if !stem.is_empty()
                && (1..=EXTENSION_BYTES_MAX).contains(&extension.len())
                && extension.bytes().all(|b| b.is_ascii_alphanumeric())
                && !extension.eq_ignore_ascii_case(&PART_SUFFIX[1..]) =>
        {
            (stem, Some(extension))
        }
        _ => (filename, None),
    }
}

/// A folder name out of a stranger's text, such as the name of an album.
#[must_use]
pub fn folder_name(text: &str) -> String {
    sanitize(text)
}

/// Makes one path component of the usual length out of a stranger's text.
fn sanitize(text: &str) -> String {
    component(text, Longest::default())
}

/// Makes one path component out of a stranger's text. Never empty, never special.
fn component(text: &str, longest: Longest) -> String {
    let safe = |c| if is_unsafe(c) { '_' } else { c };
    // ASCII has one form, and hardly any name is anything else.
    let clean: String =
        if text.is_ascii() { text.chars().map(safe).collect() } else { text.nfc().map(safe).collect() };
    let mut end = clean.len().min(longest.0);
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    // A trailing dot or space is dropped by SMB, a leading dot hides the file.
    let clean = clean[..end].trim().trim_end_matches(['.', ' ']);
    let clean = clean.strip_prefix('.').map_or_else(|| clean.to_owned(), |rest| format!("_{rest}"));
    match clean.as_str() {
        "" => "unnamed".to_owned(),
        reserved if is_reserved(reserved) => format!("_{reserved}"),
        _ => clean,
    }
}

/// Characters that separate paths, that some file system refuses, or that deceive the eye.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Names that Windows, and thus many a share, keeps for devices.
fn is_reserved(stem: &str) -> bool {
    let is_one_of =
        |base: &[u8], words: &[&str]| words.iter().any(|word| base.eq_ignore_ascii_case(word.as_bytes()));
    match stem.split('.').next().unwrap_or(stem).as_bytes() {
        base @ [_, _, _] => is_one_of(base, &["CON", "PRN", "AUX", "NUL"]),
        [base @ .., b'1'..=b'9'] => is_one_of(base, &["COM", "LPT"]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn folders_follow_the_wall_clock_of_the_camera() {
        // 2024-05-17 23:30 UTC is already the 18th in Berlin.
        let at_ms = 1_715_988_600_000;
        let folder = |template: &FolderTemplate, date| {
            let (kind, stem) = (MediaKind::Photo, "..");
            let subject = Subject { date, library: "x", kind, stem, album: None, camera: None };
            template.folder(&subject, Longest::default())
        };
        let template = FolderTemplate::default();
        let dated = |at_ms, offset_seconds| folder(&template, Some(Captured { at_ms, offset_seconds }));
        assert_eq!(dated(at_ms, None), "2024/05/17");
        assert_eq!(dated(at_ms, Some(7200)), "2024/05/18");
        assert_eq!(dated(i64::MIN, None), "undated");
        assert_eq!(folder(&template, None), "undated");
        assert_eq!(folder(&FolderTemplate::parse("none").unwrap(), None), "");
        assert_eq!(folder(&FolderTemplate::parse("{stem}/{album}").unwrap(), None), "unnamed/no album");
    }

    #[test]
    fn a_template_that_leaves_the_directory_is_refused() {
        for bad in ["/abs/%Y", "../%Y", "%Y/../..", "%Y//%m", "%Q!", ""] {
            assert!(FolderTemplate::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_of_strangers_are_made_harmless() {
        for (typed, safe) in [
            ("../../etc/passwd", "_._.._etc_passwd"),
            ("IMG_0001", "IMG_0001"),
            ("con", "_con"),
            ("LPT1", "_LPT1"),
            ("LPTA", "LPTA"),
            ("trailing. . ", "trailing"),
            ("a\0b\nc", "a_b_c"),
            ("..", "unnamed"),
            ("", "unnamed"),
            ("e\u{301}t\u{e9}", "été"),
            ("evil\u{202e}gpj", "evil_gpj"),
        ] {
            assert_eq!(sanitize(typed), safe, "{typed:?}");
        }
    }

    #[test]
    fn twins_by_case_or_unicode_form_share_a_key() {
        assert_eq!(path_key("2024/IMG.JPG"), path_key("2024/img.jpg"));
        assert_eq!(path_key("caf\u{e9}"), path_key("CAFE\u{301}"));
        assert_eq!(path_key("STRASSE"), path_key("stra\u{df}e"));
        assert_eq!(path_key("\u{39f}\u{394}\u{39f}\u{3a3}"), path_key("\u{3bf}\u{3b4}\u{3bf}\u{3c2}"));
        assert_ne!(path_key("a"), path_key("b"));
    }

    proptest! {
        #[test]
        fn any_name_becomes_one_safe_component(name in any::<String>()) {
            let (stem, _) = split(&name);
            let safe = sanitize(stem);
            prop_assert!(!safe.is_empty() && safe.len() <= STEM_BYTES_MAX + 1);
            prop_assert!(!safe.contains(['/', '\\', '\0']) && !safe.starts_with('.'));
            prop_assert_eq!(&sanitize(&safe), &safe);
        }
    }
}
