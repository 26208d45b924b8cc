//! Random libraries, random sequences of choices: in the end tree and journal are those of a fresh sync
//! with the last choice, and no file was fetched twice on the way.
//!
//! What an earlier choice brought stays, and its rows name the rule that would leave it out now.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use rollbook_sandbox::{Endpoint, Options, Rendition};
use rusqlite::Connection;
use support::World;

/// Libraries; `ROLLBOOK_TEST_SEEDS` asks for more, such as `7-120`.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=6;
const STEPS: usize = 4;

/// Numbers from a seed: the same seed is the same test.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }

    fn pick<'a>(&mut self, of: &[&'a [&'a str]]) -> &'a [&'a str] {
        of[self.roll(of.len() as u64) as usize]
    }
}

const SELECTION: [&[&str]; 14] = [
    &["--skip-videos"],
    &["--skip-photos"],
    &["--skip-hidden"],
    &["--favorites"],
    &["--album", "Rome"],
    &["--album", "!Rome"],
    &["--album", "Live"],
    &["--library", "primary"],
    &["--library", "shared"],
    &["--recent", "6"],
    &["--created-after", "2025-05-30"],
    &["--created-before", "2025-05-31"],
    &["--added-after", "2025-05-30"],
    &["--name", "!*1.*"],
];
const RENDITIONS: [&[&str]; 8] = [
    &["--size", "original"],
    &["--size", "adjusted"],
    &["--size", "original,thumb"],
    &["--size", "medium"],
    &["--raw", "raw"],
    &["--raw", "jpeg"],
    &["--live-photos", "image"],
    &["--live-photos", "video"],
];
const LAYOUT: [&[&str]; 7] = [
    &[],
    &["--folder-structure", "none"],
    &["--folder-structure", "{library}/{kind}/%Y"],
    &["--folder-structure", "{:%Y/%m}", "--file-name", "{%d}_{stem}"],
    &["--date", "added", "--folder-structure", "%Y-%m-%d"],
    &["--live-photo-mov-filename-policy", "suffix"],
    &["--folder-structure", "{camera}/%Y"],
];

const BESIDE: [&[&str]; 6] = [
    &[],
    &["--sidecars", "xmp"],
    &["--album-views", "hardlink"],
    &["--album-views", "symlink", "--sidecars", "xmp"],
    &[DATES],
    &[DATES, "--album-views", "hardlink"],
];

/// Changes bytes: what an earlier choice dated stays so, and is compared by what Apple's checksum proved.
const DATES: &str = "--set-exif-datetime";

fn seeds() -> std::ops::RangeInclusive<u64> {
    let Ok(asked) = std::env::var("ROLLBOOK_TEST_SEEDS") else { return SEEDS };
    let (first, last) = asked.split_once('-').expect("ROLLBOOK_TEST_SEEDS is FIRST-LAST");
    first.parse().unwrap()..=last.parse().unwrap()
}

/// A choice: flags of `sync`, and those of them that are about places.
struct Choice {
    wanted: Vec<&'static str>,
    layout: &'static [&'static str],
    beside: &'static [&'static str],
}

fn choice(dice: &mut Dice) -> Choice {
    let mut wanted = Vec::new();
    if !dice.one_in(4) {
        wanted.extend(dice.pick(&SELECTION));
    }
    if dice.one_in(2) {
        wanted.extend(dice.pick(&RENDITIONS));
    }
    Choice { wanted, layout: dice.pick(&LAYOUT), beside: dice.pick(&BESIDE) }
}

/// What is compared of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Digest {
    OfFile,
    OfProof,
}

/// One of several destinations of a world, each with a journal of its own.
struct Home<'a> {
    world: &'a World,
    root: PathBuf,
}

impl Home<'_> {
    fn run(&self, verb: &str, flags: &[&[&str]]) {
        let mut command = self.world.rollbook(&[&[verb], flags.concat().as_slice()].concat());
        command
            .env("ROLLBOOK_DIRECTORY", self.root.join("photos"))
            .env("ROLLBOOK_DATA_DIR", self.root.join("data"));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{verb} {flags:?}: {output:?}");
    }

    /// What is in scope and verified: asset, rendition, folder, and the digest of the file or of what was proved.
    fn in_scope(&self, digest: Digest) -> BTreeSet<(String, String, String, String)> {
        let folder = |path: &str| path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let rows = self.rows("excluded_by IS NULL").into_iter();
        rows.map(|[asset, rendition, path, file, proved]| {
            let sha256 = if digest == Digest::OfFile { file } else { proved };
            (asset, rendition, folder(&path), sha256)
        })
        .collect()
    }

    /// Asset, rendition, path, the digest of the file, and that of the bytes that were proved.
    fn rows(&self, condition: &str) -> Vec<[String; 5]> {
        let journal = Connection::open(self.root.join("data/journal.db")).unwrap();
        let sql = format!(
            "SELECT asset, rendition, path, sha256, iif(disk_bytes IS NULL, sha256, apple_sha256)
             FROM v_file WHERE standing = 'verified' AND {condition}"
        );
        let mut statement = journal.prepare(&sql).unwrap();
        let text = |r: &rusqlite::Row<'_>| -> rusqlite::Result<[String; 5]> {
            Ok([r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?])
        };
        statement.query_map([], text).unwrap().map(Result::unwrap).collect()
    }

    /// Every verified row has its file, and every file its row.
    fn assert_true(&self) {
        let rows: BTreeMap<PathBuf, String> = self
            .rows("1")
            .into_iter()
            .map(|[_, _, path, sha256, _]| (self.root.join("photos").join(path), sha256))
            .collect();
        let mut files = BTreeMap::new();
        let mut folders = vec![self.root.join("photos")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    // Views of albums are compared by themselves.
                    folders.extend(Some(path).filter(|path| path.file_name().unwrap() != "Albums"));
                } else if path.extension().is_some_and(|extension| extension == "xmp") {
                    let photo = path.with_extension("");
                    assert!(photo.exists(), "{} has its photo beside it", path.display());
                } else if path.file_name().unwrap() != ".rollbook" {
                    let sha256 = support::sha256(&path);
                    files.insert(path, sha256);
                }
            }
        }
        assert_eq!(files, rows);
    }

    /// The sidecars of what is in scope, by asset and rendition.
    fn sidecars(&self) -> BTreeMap<(String, String), Option<String>> {
        let rows = self.rows("excluded_by IS NULL").into_iter();
        let sidecar =
            |path: String| std::fs::read_to_string(self.root.join("photos").join(format!("{path}.xmp"))).ok();
        rows.map(|[asset, rendition, path, ..]| ((asset, rendition), sidecar(path))).collect()
    }

    /// What the folders of albums hold: the folder, and the digest of what was proved of each file.
    fn albums(&self) -> Vec<(PathBuf, String)> {
        let root = self.root.join("photos/Albums");
        let proved = self.rows("1").into_iter().map(|[.., file, proved]| (file, proved));
        let proved: BTreeMap<String, String> = proved.collect();
        let (mut folders, mut held) = (vec![root.clone()], Vec::new());
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let proved = &proved[&support::sha256(&path)];
                    held.push((folder.strip_prefix(&root).unwrap().to_owned(), proved.clone()));
                }
            }
        }
        held.sort();
        held
    }
}

#[test]
fn any_way_to_a_choice_ends_where_a_fresh_sync_does_and_fetches_nothing_twice() {
    for seed in seeds() {
        let mut dice = Dice(seed);
        let world = World::new(Options {
            seed,
            assets: 10 + dice.roll(15) as u32,
            shared_zone: dice.one_in(2),
            mean_size_bytes: Some(1_500),
            undated_jpegs: true,
            ..Options::default()
        });
        let library = world.sandbox.library();
        let names = library.assets();
        let rome = library.add_album("Rome", None, false);
        for name in names.iter().filter(|_| dice.one_in(3)) {
            library.join(&rome, name);
        }
        library.hide(&names[dice.roll(names.len() as u64) as usize]);

        let home = Home { world: &world, root: world.photos().with_file_name("way") };
        let mut told = Vec::new();
        let mut last = choice(&mut dice);
        for step in 0..STEPS {
            if step > 0 {
                last = choice(&mut dice);
            }
            told.push(format!("{:?} {:?} {:?}", last.wanted, last.layout, last.beside));
            home.run("sync", &[&last.wanted, last.layout, last.beside]);
            if dice.one_in(2) || step == STEPS - 1 {
                home.run("relayout", &[last.layout]);
            }
        }
        home.assert_true();
        let mut fetched: BTreeSet<(Option<String>, Option<Rendition>)> = BTreeSet::new();
        for request in world.sandbox.log().into_iter().filter(|request| request.endpoint == Endpoint::Cdn) {
            let what = (request.asset_record, request.rendition);
            assert!(fetched.insert(what.clone()), "seed {seed}: {what:?} came twice: {told:#?}");
        }

        let fresh = Home { world: &world, root: world.photos().with_file_name("fresh") };
        fresh.run("sync", &[&last.wanted, last.layout, last.beside]);
        fresh.assert_true();
        if last.beside.contains(&"xmp") {
            assert_eq!(home.sidecars(), fresh.sidecars(), "seed {seed}: {told:#?}");
        }
        if last.beside.contains(&"--album-views") {
            assert_eq!(home.albums(), fresh.albums(), "seed {seed}: {told:#?}");
        }
        let digest = if last.beside.contains(&DATES) { Digest::OfFile } else { Digest::OfProof };
        assert_eq!(home.in_scope(digest), fresh.in_scope(digest), "seed {seed}: {told:#?}");
        assert_eq!(fresh.rows("excluded_by IS NOT NULL").len(), 0, "a fresh sync brings nothing else");
    }
}
