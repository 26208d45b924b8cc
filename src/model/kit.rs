//! The exit kit: how a library is laid out so that another program imports it right. Pure.
//!
//! The files of an asset share one stem and one folder, so that the halves of a Live Photo and of a RAW
//! and JPEG pair are found together; an edited version stands beside its original as a photo of its own;
//! a sidecar stands beside its file, under the name that the program looks for.

use std::collections::HashSet;

use jiff::Timestamp;
use jiff::tz::Offset;

use crate::model::asset::{Captured, Rendition};
use crate::model::facts::Picture;
use crate::model::ids::AssetName;
use crate::model::layout;

/// Who is to import it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importer {
    /// Immich: folders named as the albums below `albums`, the rest by month below `library`. Its command
    /// line tool makes an album of each folder, and knows a photo that comes twice.
    Immich,
    /// Apple's Photos: one folder a month.
    Photos,
}

/// One asset with its verified files.
#[derive(Clone, Debug)]
pub struct KitAsset {
    /// What a sidecar says; its rendition is set for each file.
    pub picture: Picture,
    /// Its files: which, and where it stands, relative to the destination.
    pub files: Vec<(Rendition, String)>,
}

/// A file of the kit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KitFile {
    /// Where it goes, relative to the kit.
    pub path: String,
    /// Where it stands, relative to the destination.
    pub media: String,
    /// Where its sidecar goes; `None` for a file that has none of its own.
    pub sidecar: Option<String>,
    /// Which file of its asset it is.
    pub rendition: Rendition,
}

/// A kit that is being laid out.
#[derive(Debug)]
pub struct Kit {
    importer: Importer,
    taken: HashSet<i64>,
}

impl Kit {
    /// An empty kit.
    #[must_use]
    pub fn new(importer: Importer) -> Self {
        Self { importer, taken: HashSet::new() }
    }

    /// Places the files of an asset, in each folder where it is to be.
    pub fn place(&mut self, asset: &KitAsset) -> Vec<KitFile> {
        self.folders(&asset.picture).into_iter().flat_map(|folder| self.place_in(&folder, asset)).collect()
    }

    fn folders(&self, picture: &Picture) -> Vec<String> {
        let month = month(picture.captured);
        match self.importer {
            Importer::Photos => vec![month],
            Importer::Immich if picture.albums.is_empty() => vec![format!("library/{month}")],
            Importer::Immich => {
                let folder = |names: &Vec<String>| {
                    let names = names.iter().map(|name| layout::folder_name(name));
                    std::iter::once("albums".to_owned()).chain(names).collect::<Vec<_>>().join("/")
                };
                picture.albums.iter().map(folder).collect()
            }
        }
    }

    fn place_in(&mut self, folder: &str, asset: &KitAsset) -> Vec<KitFile> {
        let original = asset.files.iter().find(|(rendition, _)| *rendition == Rendition::Original);
        let Some((_, media)) = original.or(asset.files.first()) else { return Vec::new() };
        let (stem, extension) = split(media);
        let name = AssetName(asset.picture.asset.clone());
        let wanted = format!("{folder}/{stem}");
        // Asked as a file name, so that a dot inside of the stem is no extension.
        let as_file = format!("{wanted}.x");
        let others = layout::other_paths(&as_file, &name);
        let others = others.map(|path| path.strip_suffix(".x").unwrap_or(&path).to_owned());
        let mut stems = std::iter::once(wanted).chain(others);
        let names = |stem: &str| -> Vec<KitFile> {
            let mut files: Vec<KitFile> =
                asset.files.iter().map(|file| self.file(stem, extension, file)).collect();
            // Where a sidecar is called after the stem, a RAW and JPEG pair has one for both.
            let mut named = HashSet::new();
            for file in &mut files {
                file.sidecar = file.sidecar.take().filter(|sidecar| named.insert(sidecar.clone()));
            }
            files
        };
        let files = stems
            .find_map(|stem| {
                let files = names(&stem);
                let free = |file: &KitFile| !self.taken.contains(&layout::path_key(&file.path));
                files.iter().all(free).then_some(files)
            })
            .expect("candidates never end");
        self.taken.extend(files.iter().map(|file| layout::path_key(&file.path)));
        files
    }

    fn file(&self, stem: &str, original: &str, (rendition, media): &(Rendition, String)) -> KitFile {
        let (_, extension) = split(media);
        let suffix = match rendition {
            Rendition::Edited | Rendition::EditedVideo => "-edited",
            Rendition::Alternative if extension.eq_ignore_ascii_case(original) => "-alternative",
            _ => "",
        };
        let name = format!("{stem}{suffix}");
        let path = format!("{name}.{extension}");
        let has_sidecar =
            matches!(rendition, Rendition::Original | Rendition::Alternative | Rendition::Edited);
        let sidecar = has_sidecar.then(|| match self.importer {
            Importer::Immich => format!("{path}.xmp"),
            Importer::Photos => format!("{name}.xmp"),
        });
        KitFile { path, media: media.clone(), sidecar, rendition: *rendition }
    }
}

/// Stem and extension of a path's last component.
fn split(path: &str) -> (&str, &str) {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').unwrap_or((name, ""))
}

fn month(captured: Option<Captured>) -> String {
    let local = captured.and_then(|captured| {
        let at = Timestamp::from_millisecond(captured.at_ms).ok()?;
        let offset = Offset::from_seconds(captured.offset_seconds.unwrap_or(0)).unwrap_or(Offset::UTC);
        Some(offset.to_datetime(at)).filter(|local| local.year() > 0)
    });
    local.map_or_else(|| "undated".to_owned(), |local| local.strftime("%Y-%m").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facts::Facts;

    fn live(asset: &str, albums: &[&[&str]]) -> KitAsset {
        let albums =
            albums.iter().map(|names| names.iter().map(|name| (*name).to_owned()).collect()).collect();
        let picture = Picture {
            rendition: Rendition::Original,
            asset: asset.to_owned(),
            filename: "IMG_1.HEIC".to_owned(),
            captured: Some(Captured { at_ms: 1_715_988_600_000, offset_seconds: None }),
            favorite: false,
            albums,
            facts: Facts::default(),
        };
        let files = [
            (Rendition::Original, "a/IMG_1.HEIC"),
            (Rendition::LiveVideo, "b/IMG_1_HEVC.MOV"),
            (Rendition::Edited, "c/other.JPG"),
        ];
        KitAsset { picture, files: files.map(|(rendition, media)| (rendition, media.to_owned())).to_vec() }
    }

    fn paths(files: Vec<KitFile>) -> Vec<String> {
        files.into_iter().flat_map(|file| std::iter::once(file.path).chain(file.sidecar)).collect()
    }

    #[test]
    fn the_halves_share_a_stem_and_the_edited_version_stands_beside_them() {
        let mut kit = Kit::new(Importer::Photos);
        assert_eq!(
            paths(kit.place(&live("A", &[]))),
            [
                "2024-05/IMG_1.HEIC",
                "2024-05/IMG_1.xmp",
                "2024-05/IMG_1.MOV",
                "2024-05/IMG_1-edited.JPG",
                "2024-05/IMG_1-edited.xmp"
            ]
        );
        // Another asset of the same name gets another stem, for all of its files.
        let second = paths(kit.place(&live("B", &[])));
        let stem = second[0].strip_suffix(".HEIC").unwrap();
        assert!(stem.starts_with("2024-05/IMG_1-") && second[2] == format!("{stem}.MOV"), "{second:?}");
    }

    #[test]
    fn a_raw_and_jpeg_pair_has_one_sidecar_where_that_is_called_after_the_stem() {
        let files = [(Rendition::Original, "a/IMG_1.JPG"), (Rendition::Alternative, "a/IMG_1.DNG")];
        let files = files.map(|(rendition, media)| (rendition, media.to_owned())).to_vec();
        let pair = KitAsset { files, ..live("A", &[]) };
        for (importer, sidecars) in [(Importer::Photos, 1), (Importer::Immich, 2)] {
            let placed = Kit::new(importer).place(&pair);
            assert_eq!(placed.iter().filter(|file| file.sidecar.is_some()).count(), sidecars);
            assert_eq!((placed.len(), placed[0].sidecar.is_some()), (2, true));
        }
    }

    #[test]
    fn immich_gets_a_folder_for_each_album_and_the_rest_by_month() {
        let mut kit = Kit::new(Importer::Immich);
        let placed = paths(kit.place(&live("A", &[&["Trips", "Ro/me"], &["Best"]])));
        assert_eq!((placed.len(), placed[0].as_str()), (10, "albums/Trips/Ro_me/IMG_1.HEIC"));
        assert_eq!(placed[1], "albums/Trips/Ro_me/IMG_1.HEIC.xmp");
        assert_eq!(paths(kit.place(&live("B", &[])))[0], "library/2024-05/IMG_1.HEIC");
    }
}
