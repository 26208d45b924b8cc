//! What a person wants, read from the settings: which photos, which of their files, and where.

use std::ffi::OsStr;

use crate::cli::clock::now;
use crate::cli::exit::Exit;
use crate::cli::layers::{Layers, text};
use crate::cli::problem::Problem;
use crate::cli::settings::{self, Setting};
use crate::cli::typed::truth;
use crate::model::choices::Choices;
use crate::model::layout::{DateOf, FolderTemplate, Layout, LiveMovies, NameTemplate};
use crate::model::renditions::{LivePhotos, Raw, Renditions, Size};
use crate::model::selection::{Contradiction, LibraryWord, Moment, NamePattern, Recent, Selection, Word};

/// Reads all settings that choose.
///
/// # Errors
/// A problem that names the setting and where its value comes from.
pub(super) fn read(layers: &Layers<'_>) -> Result<Choices, Problem> {
    let selection = selection(layers)?;
    if let Some(Contradiction { settings: [one, other], why }) = selection.contradiction(now()) {
        return Err(contradiction(layers, one, other, why));
    }
    Ok(Choices {
        layout: layout(layers)?,
        selection,
        renditions: renditions(layers)?,
        until_found: one(layers, &settings::UNTIL_FOUND, count)?,
    })
}

/// Two settings of which one has to go: says which, and where they stand.
fn contradiction(layers: &Layers<'_>, one: &str, other: &str, why: &str) -> Problem {
    let place = |key: &str| {
        let setting = settings::ALL.iter().find(|setting| setting.key == key);
        let source =
            setting.and_then(|setting| layers.find(setting, None)).map(|(_, source)| source.to_string());
        source.unwrap_or_else(|| key.to_owned())
    };
    let (what, hint) = if one == other {
        (format!("the setting {one:?} leaves out everything"), format!("correct it in {}", place(one)))
    } else {
        let what = format!("the settings {one:?} and {other:?} leave out everything");
        (what, format!("drop or correct one of them, in {} or in {}", place(one), place(other)))
    };
    Problem::new(Exit::Usage, what).why(why).hint(hint)
}

fn layout(layers: &Layers<'_>) -> Result<Layout, Problem> {
    Ok(Layout {
        folders: needed(layers, &settings::FOLDER_STRUCTURE, FolderTemplate::parse)?,
        names: needed(layers, &settings::FILE_NAME, NameTemplate::parse)?,
        date: needed(layers, &settings::DATE, |word| match word {
            "captured" => Ok(DateOf::Captured),
            "added" => Ok(DateOf::Added),
            _ => Err(format!("it is captured or added, not {word:?}")),
        })?,
        live_movies: needed(layers, &settings::LIVE_PHOTO_MOV_FILENAME_POLICY, |word| match word {
            "original" => Ok(LiveMovies::SameStem),
            "suffix" => Ok(LiveMovies::Suffix),
            _ => Err(format!("it is original or suffix, not {word:?}")),
        })?,
        ..Layout::default()
    })
}

fn selection(layers: &Layers<'_>) -> Result<Selection, Problem> {
    let switch = |setting| needed(layers, setting, truth);
    let moment = |setting| one(layers, setting, Moment::parse);
    Ok(Selection {
        libraries: many(layers, &settings::LIBRARY, |word| Ok(LibraryWord::parse(word)))?,
        albums: many(layers, &settings::ALBUM, Word::parse)?,
        names: many(layers, &settings::NAME, NamePattern::parse)?,
        recent: one(layers, &settings::RECENT, Recent::parse)?,
        created_after: moment(&settings::CREATED_AFTER)?,
        created_before: moment(&settings::CREATED_BEFORE)?,
        added_after: moment(&settings::ADDED_AFTER)?,
        added_before: moment(&settings::ADDED_BEFORE)?,
        skip_videos: switch(&settings::SKIP_VIDEOS)?,
        skip_photos: switch(&settings::SKIP_PHOTOS)?,
        skip_hidden: switch(&settings::SKIP_HIDDEN)?,
        favorites: switch(&settings::FAVORITES)?,
    })
}

fn renditions(layers: &Layers<'_>) -> Result<Renditions, Problem> {
    let live = needed(layers, &settings::LIVE_PHOTOS, |word| match word {
        "both" => Ok(LivePhotos::Both),
        "image" => Ok(LivePhotos::Image),
        "video" => Ok(LivePhotos::Video),
        _ => Err(format!("it is both, image or video, not {word:?}")),
    })?;
    let skip_movies = needed(layers, &settings::SKIP_LIVE_PHOTOS, truth)?;
    if skip_movies && live == LivePhotos::Video {
        let why = "the one keeps only the movies of Live Photos, the other leaves them out";
        let (one, other) = (settings::LIVE_PHOTOS.key, settings::SKIP_LIVE_PHOTOS.key);
        return Err(contradiction(layers, one, other, why));
    }
    Ok(Renditions {
        sizes: many(layers, &settings::SIZE, |list| {
            list.split(',').map(|word| Size::parse(word.trim())).collect::<Result<Vec<_>, _>>()
        })?
        .concat(),
        raw: needed(layers, &settings::RAW, |word| match word {
            "both" => Ok(Raw::Both),
            "raw" => Ok(Raw::Raw),
            "jpeg" => Ok(Raw::Jpeg),
            _ => Err(format!("it is both, raw or jpeg, not {word:?}")),
        })?,
        live: if skip_movies { LivePhotos::Image } else { live },
    })
}

/// Reads a number that is at least one.
pub(super) fn count(word: &str) -> Result<u64, String> {
    word.parse()
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| format!("it is a number from 1 on, not {word:?}"))
}

fn needed<T>(
    layers: &Layers<'_>,
    setting: &Setting,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, Problem> {
    layers.required(setting, None, |value| read(text(value)?))
}

/// Reads a setting that may be left out.
pub(super) fn one<T>(
    layers: &Layers<'_>,
    setting: &Setting,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, Problem> {
    layers.read(setting, None, |value| read(text(value)?))
}

fn many<T>(
    layers: &Layers<'_>,
    setting: &Setting,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Problem> {
    let all = |value: &OsStr| settings::words(text(value)?).into_iter().map(&read).collect();
    Ok(layers.read(setting, None, all)?.unwrap_or_default())
}
