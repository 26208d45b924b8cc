//! Templates: folders and file names from the facts of an asset. Pure.
//!
//! Outside of braces stand `strftime` directives and plain text; in braces stands a fact, such as
//! `{library}`, or a date again, as icloudpd writes it: `{:%Y/%m}`. A fact never makes a folder of
//! its own, whatever slashes are in it.

use jiff::Timestamp;
use jiff::tz::Offset;

use crate::model::asset::{Captured, MediaKind};

/// What stands for a date where there is none.
const UNDATED: &str = "undated";
/// What stands for an album where there is none.
const NO_ALBUM: &str = "no album";
/// What stands for a camera where iCloud names none: of screenshots, of what came from a messenger.
const NO_CAMERA: &str = "no camera";

/// The facts that a template may name.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The date, on its own wall clock.
    pub date: Option<Captured>,
    /// The library, by the word that people use.
    pub library: &'a str,
    /// Photo or video.
    pub kind: MediaKind,
    /// The name as imported, without its extension.
    pub stem: &'a str,
    /// The first album it lies in, if it is known.
    pub album: Option<&'a str>,
    /// The camera, if one is named.
    pub camera: Option<&'a str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Date(String),
    Fact(Fact),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fact {
    Library,
    Kind,
    Stem,
    Album,
    Camera,
}

impl Fact {
    const ALL: [(&'static str, Self); 5] = [
        ("library", Self::Library),
        ("kind", Self::Kind),
        ("stem", Self::Stem),
        ("album", Self::Album),
        ("camera", Self::Camera),
    ];

    fn of(self, subject: &Subject<'_>) -> String {
        match self {
            Self::Library => subject.library,
            Self::Kind => subject.kind.as_str(),
            Self::Stem => subject.stem,
            Self::Album => subject.album.unwrap_or(NO_ALBUM),
            Self::Camera => subject.camera.unwrap_or(NO_CAMERA),
        }
        .to_owned()
    }
}

/// A template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(typed: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = typed;
        while let Some((text, behind)) = rest.split_once('{') {
            push(&mut pieces, text, typed)?;
            let (inside, behind) =
                behind.split_once('}').ok_or_else(|| format!("a brace is not closed: {typed}"))?;
            let inside = inside.strip_prefix(':').unwrap_or(inside);
            match Fact::ALL.iter().find(|(name, _)| *name == inside) {
                Some((_, fact)) => pieces.push(Piece::Fact(*fact)),
                None if inside.contains('%') => push(&mut pieces, inside, typed)?,
                None => {
                    let known: Vec<String> =
                        Fact::ALL.iter().map(|(name, _)| format!("{{{name}}}")).collect();
                    return Err(format!(
                        "{{{inside}}} is none of {}, and no date: {typed}",
                        known.join(", ")
                    ));
                }
            }
            rest = behind;
        }
        push(&mut pieces, rest, typed)?;
        if pieces.is_empty() { Err("it is empty".to_owned()) } else { Ok(Self(pieces)) }
    }

    /// Whether it names the album.
    #[must_use]
    pub fn uses_album(&self) -> bool {
        self.0.contains(&Piece::Fact(Fact::Album))
    }

    /// Whether it names the camera.
    #[must_use]
    pub fn uses_camera(&self) -> bool {
        self.0.contains(&Piece::Fact(Fact::Camera))
    }

    /// Whether it tells assets of one day apart by their names.
    #[must_use]
    pub fn uses_stem(&self) -> bool {
        self.0.contains(&Piece::Fact(Fact::Stem))
    }

    /// Fills the template in. Slashes are those of the template alone.
    #[must_use]
    pub fn fill(&self, subject: &Subject<'_>) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Fact(fact) => fact.of(subject).replace('/', "_"),
            Piece::Date(date) => match subject.date.and_then(|at| render(date, at)) {
                Some(rendered) => rendered,
                // Only the slashes around the date are kept: the folders next to it stay apart.
                None => {
                    let (head, tail) = (date.starts_with('/'), date.ends_with('/'));
                    let slash = |there| if there { "/" } else { "" };
                    format!("{}{UNDATED}{}", slash(head), slash(tail))
                }
            },
        };
        self.0.iter().map(piece).collect()
    }
}

fn push(pieces: &mut Vec<Piece>, text: &str, typed: &str) -> Result<(), String> {
    let sample = Captured { at_ms: 1_700_000_000_000, offset_seconds: None };
    if text.contains('%') {
        render(text, sample).ok_or_else(|| format!("not a date template: {typed}"))?;
        pieces.push(Piece::Date(text.to_owned()));
    } else if text.contains('}') {
        return Err(format!("a brace is not opened: {typed}"));
    } else if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
    Ok(())
}

/// Formats a moment on its own wall clock, or `None` where no calendar reaches.
fn render(template: &str, at: Captured) -> Option<String> {
    let offset = at.offset_seconds.and_then(|s| Offset::from_seconds(s).ok()).unwrap_or(Offset::UTC);
    let local = offset.to_datetime(Timestamp::from_millisecond(at.at_ms).ok()?);
    // A year below 1 is a camera without a clock, and would make folders such as `-001`.
    if local.year() < 1 {
        return None;
    }
    jiff::fmt::strtime::format(template, local).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_and_dates_fill_a_template_and_make_no_folders_of_their_own() {
        // 2024-05-17 23:30 UTC is already the 18th in Berlin.
        let date = Some(Captured { at_ms: 1_715_988_600_000, offset_seconds: Some(7200) });
        let subject = Subject {
            date,
            library: "primary",
            kind: MediaKind::Photo,
            stem: "IMG_0001",
            album: Some("Rome/Venice"),
            camera: Some("X/100"),
        };
        for (template, filled, undated) in [
            ("%Y/%m/%d", "2024/05/18", "undated"),
            ("{:%Y/%m}", "2024/05", "undated"),
            ("{library}/%Y", "primary/2024", "primary/undated"),
            ("%Y/{kind}", "2024/photo", "undated/photo"),
            ("{%Y-%m-%d}_{stem}", "2024-05-18_IMG_0001", "undated_IMG_0001"),
            ("{album}", "Rome_Venice", "Rome_Venice"),
            ("%Y/{camera}", "2024/X_100", "undated/X_100"),
        ] {
            let template = Template::parse(template).unwrap();
            assert_eq!(template.fill(&subject), filled);
            assert_eq!(template.fill(&Subject { date: None, ..subject }), undated);
        }
        let unnamed = Subject { album: None, camera: None, ..subject };
        assert_eq!(Template::parse("{album}/{camera}").unwrap().fill(&unnamed), "no album/no camera");
        for bad in ["", "{lens}", "{stem", "stem}", "%Q!", "{}"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }
}
