//! The exit kit: a library laid out so that other programs find together what belongs together.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rollbook_sandbox::Options;
use support::{World, sha256};

fn files(root: &Path) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![root.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// Digest, asset and rendition of every verified file.
fn rows(world: &World) -> BTreeMap<String, (String, String)> {
    let journal = world.journal();
    let mut statement = journal.prepare("SELECT sha256, asset, rendition FROM v_file").unwrap();
    let rows = statement.query_map([], |r| Ok((r.get(0)?, (r.get(1)?, r.get(2)?)))).unwrap();
    rows.map(Result::unwrap).collect()
}

fn without_extension(path: &Path) -> PathBuf {
    path.with_extension("")
}

#[test]
fn pairs_share_a_stem_edits_stand_beside_and_sidecars_where_they_are_looked_for() {
    let world = World::new(Options { assets: 60, seed: 7, ..Options::default() });
    world.run(&["sync"], 0);
    let tree = world.tree();
    let rows = rows(&world);
    for (importer, suffix) in [("immich", "full"), ("photos", "stem")] {
        let kit = world.photos().parent().unwrap().join(format!("kit for {importer}"));
        world.run(&["export", "--for", importer, "--to", kit.to_str().unwrap()], 0);
        let all = files(&kit);
        let (sidecars, media): (Vec<PathBuf>, Vec<PathBuf>) =
            all.iter().cloned().partition(|path| path.extension().is_some_and(|e| e == "xmp"));
        let digests: BTreeSet<String> = media.iter().map(|path| sha256(path)).collect();
        assert_eq!(digests, rows.keys().cloned().collect(), "{importer}: everything is in the kit");
        assert!(media.iter().all(|path| fs::metadata(path).unwrap().nlink() > 1), "and costs no room");

        // By asset and folder: which stems its files have.
        let mut stems: BTreeMap<(String, PathBuf), BTreeMap<String, PathBuf>> = BTreeMap::new();
        for path in &media {
            let (asset, rendition) = &rows[&sha256(path)];
            let key = (asset.clone(), path.parent().unwrap().to_owned());
            stems.entry(key).or_default().insert(rendition.clone(), without_extension(path));
            let sidecar = match suffix {
                "full" => PathBuf::from(format!("{}.xmp", path.display())),
                _ => path.with_extension("xmp"),
            };
            let has_one = ["original", "alternative", "edited"].contains(&rendition.as_str());
            assert!(!has_one || sidecars.contains(&sidecar), "{}", sidecar.display());
            if has_one && suffix == "full" {
                assert!(fs::read_to_string(&sidecar).unwrap().contains(asset), "{}", sidecar.display());
            }
        }
        let mut pairs = 0;
        for stems in stems.values() {
            for half in ["live-video", "alternative"] {
                if let Some(stem) = stems.get(half) {
                    assert_eq!(Some(stem), stems.get("original"));
                    pairs += 1;
                }
            }
            if let (Some(edited), Some(original)) = (stems.get("edited"), stems.get("original")) {
                assert_eq!(edited.to_str().unwrap(), format!("{}-edited", original.display()));
            }
        }
        assert!(pairs > 10, "{pairs}");
        // Two assets never share a stem in one folder, or an importer would marry the wrong halves.
        let mut owners = BTreeMap::new();
        for ((asset, _), stems) in &stems {
            let owner = owners.entry(stems["original"].clone()).or_insert(asset);
            assert_eq!(owner, &asset);
        }
        if importer == "immich" {
            assert!(kit.join("albums/Sommer _ Überblick").is_dir() && kit.join("library").is_dir());
        }

        // Made again it is the same; what is somebody else's in it stays.
        let inodes = |paths: &[PathBuf]| -> Vec<u64> {
            paths.iter().map(|path| fs::metadata(path).unwrap().ino()).collect()
        };
        let before = inodes(&all);
        fs::write(&sidecars[0], "mine").unwrap();
        let said = world.run(&["export", "--for", importer, "--to", kit.to_str().unwrap()], 1).stderr();
        assert_eq!(
            (said.matches("warning").count(), files(&kit), inodes(&files(&kit))),
            (1, all, before),
            "{said}"
        );
        assert_eq!(fs::read(&sidecars[0]).unwrap(), b"mine");
    }
    let inside = world.photos().join("2025");
    world.run(&["export", "--for", "photos", "--to", inside.to_str().unwrap()], 2);
    assert_eq!(world.tree(), tree, "the library stays as it is");
}

#[test]
fn what_cannot_be_laid_out_is_counted_and_named_with_the_systems_own_reason() {
    let world = World::new(Options { assets: 30, seed: 7, ..Options::default() });
    world.run(&["sync"], 0);
    let kit = world.photos().with_file_name("kit");
    let export = ["export", "--for", "photos", "--to", kit.to_str().unwrap()];
    let missing: Vec<String> = world.tree().into_keys().take(23).collect();
    missing.iter().for_each(|path| fs::remove_file(world.photos().join(path)).unwrap());
    let said = world.run(&export, 1).stderr();
    assert_eq!(said.matches("not laid out: ").count(), 20, "{said}");
    assert_eq!(said.matches("No such file or directory").count(), 20, "{said}");
    assert!(said.contains("and 3 more not laid out"), "{said}");

    // Links cannot lead to another file system: that is one reason for all, and ends it.
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else { return };
    let is_other = fs::metadata(other.path()).unwrap().dev() != fs::metadata(world.photos()).unwrap().dev();
    if is_other {
        let said =
            world.run(&["export", "--for", "photos", "--to", other.path().to_str().unwrap()], 4).stderr();
        assert!(said.contains("cross-device") || said.contains("Invalid cross"), "{said}");
    }
}

/// What the importers' own documents ask for. `immich-go` and Immich's own upload find a sidecar as
/// `NAME.EXT.xmp` or `NAME.xmp` and the movie of a Live Photo as the file of the same stem and folder; a
/// name that occurs twice in a folder but for letter case cannot be unpacked everywhere.
#[test]
fn a_kit_keeps_the_rules_of_its_importer() {
    let world = World::new(Options { assets: 60, seed: 11, ..Options::default() });
    world.run(&["sync"], 0);
    let live = world.count("rendition = 'live-video'") as usize;
    for importer in ["immich", "photos"] {
        let kit = world.photos().with_file_name(format!("kit-{importer}"));
        world.run(&["export", "--for", importer, "--to", kit.to_str().unwrap()], 0);
        let all: BTreeSet<PathBuf> = files(&kit).into_iter().collect();
        let named = |extensions: &[&str]| {
            let is = |path: &&PathBuf| {
                let extension = path.extension().unwrap().to_str().unwrap().to_ascii_lowercase();
                extensions.contains(&extension.as_str())
            };
            all.iter().filter(is).collect::<Vec<_>>()
        };
        for sidecar in named(&["xmp"]) {
            let media = sidecar.with_extension("");
            let is_beside = match importer {
                "immich" => all.contains(&media),
                _ => all.iter().any(|path| path != sidecar && path.with_extension("") == media),
            };
            assert!(is_beside, "{} stands beside its photo", sidecar.display());
        }
        let movies = named(&["mov", "mp4"]);
        let still_of = |movie: &&&PathBuf| {
            ["HEIC", "JPG", "heic", "jpg"].iter().any(|e| all.contains(&movie.with_extension(e)))
        };
        assert!(
            movies.iter().filter(still_of).count() >= live,
            "{importer}: a movie stands beside its still"
        );
        let folded: BTreeSet<String> = all.iter().map(|path| path.to_str().unwrap().to_lowercase()).collect();
        assert_eq!(folded.len(), all.len());
        assert!(all.iter().all(|path| !path.file_name().unwrap().to_str().unwrap().starts_with('.')));
    }
}
