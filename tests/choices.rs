//! Every choice brings home exactly what it says, names the rule that leaves the rest out, and can be
//! widened later without fetching anything twice.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rollbook_sandbox::{Endpoint, Fault, Options, Rendition, TruthFile, What};
use rusqlite::Connection;
use support::World;

/// A library with something of everything.
fn library() -> Options {
    Options { assets: 40, shared_zone: true, mean_size_bytes: Some(3_000), ..Options::default() }
}

/// A case: flags, what comes, and the word in the rows of the rest.
struct Case {
    flags: &'static [&'static str],
    wanted: fn(&Photo, &TruthFile) -> bool,
    rule: &'static str,
}

/// What the sandbox knows of one asset.
struct Photo {
    original: TruthFile,
    renditions: BTreeSet<Rendition>,
    in_album: bool,
    /// Its place among those of its library that are not hidden, newest first.
    rank: usize,
}

impl Photo {
    fn is_video(&self) -> bool {
        self.original.uti == "com.apple.quicktime-movie"
    }

    fn is_live(&self) -> bool {
        self.has(Rendition::OriginalVidCompl)
    }

    fn has(&self, rendition: Rendition) -> bool {
        self.renditions.contains(&rendition)
    }

    /// The day, on the camera's own clock.
    fn day(&self) -> i64 {
        (self.original.captured_ms + i64::from(self.original.tz_offset_s) * 1_000).div_euclid(86_400_000)
    }
}

const ORIGINALS: [Rendition; 2] = [Rendition::Original, Rendition::OriginalVidCompl];
/// 2025-05-28.
const LATE_MAY: i64 = 20_236;

#[rustfmt::skip]
const CASES: &[Case] = &[
    Case { flags: &["--skip-videos"], wanted: |p, _| !p.is_video(), rule: "skip-videos" },
    Case { flags: &["--skip-photos"], wanted: |p, _| p.is_video(), rule: "skip-photos" },
    Case { flags: &["--skip-hidden"], wanted: |p, _| !p.original.is_hidden, rule: "skip-hidden" },
    Case { flags: &["--favorites"], wanted: |p, _| p.original.is_favorite, rule: "favorites" },
    Case { flags: &["--album", "Favorites"], wanted: |p, _| p.original.is_favorite, rule: "album" },
    Case { flags: &["--album", "Live"], wanted: |p, _| p.is_live(), rule: "album" },
    Case { flags: &["--album", "screenshots", "--album", "Videos"], rule: "album",
           wanted: |p, _| p.is_video() || p.original.uti == "public.png" },
    Case { flags: &["--album", "Trips/2024, Rome"], wanted: |p, _| p.in_album, rule: "album" },
    Case { flags: &["--album", "Trips"], wanted: |p, _| p.in_album, rule: "album" },
    Case { flags: &["--album", "!2024, Rome"], wanted: |p, _| !p.in_album, rule: "album" },
    Case { flags: &["--library", "primary"], wanted: |p, _| p.original.zone == "PrimarySync", rule: "" },
    Case { flags: &["--library", "shared"], wanted: |p, _| p.original.zone != "PrimarySync", rule: "" },
    Case { flags: &["--recent", "7"], wanted: |p, _| p.rank < 7, rule: "recent" },
    Case { flags: &["--recent", "5", "--skip-videos"], wanted: |p, _| p.rank < 5 && !p.is_video(), rule: "recent" },
    Case { flags: &["--created-after", "2025-05-28"], wanted: |p, _| p.day() >= LATE_MAY, rule: "created-after" },
    Case { flags: &["--created-before", "2025-05-28"], wanted: |p, _| p.day() < LATE_MAY, rule: "created-before" },
    Case { flags: &["--added-after", "2025-05-28T12:00:00"], rule: "added-after",
           wanted: |p, _| p.original.captured_ms + 90_000 >= LATE_MAY * 86_400_000 + 43_200_000 },
    Case { flags: &["--added-before", "2025-05-28T12:00:00"], rule: "added-before",
           wanted: |p, _| p.original.captured_ms + 90_000 < LATE_MAY * 86_400_000 + 43_200_000 },
    Case { flags: &["--created-before", "3650000d"], wanted: |_, _| false, rule: "created-before" },
    Case { flags: &["--name", "*.heic", "--name", "!*1.HEIC"], rule: "name",
           wanted: |p, _| p.original.filename.ends_with(".HEIC") && !p.original.filename.ends_with("1.HEIC") },
    Case { flags: &["--size", "original"], wanted: |_, f| ORIGINALS.contains(&f.rendition), rule: "size" },
    Case { flags: &["--size", "adjusted"], rule: "size", wanted: |p, f| {
        let edited = [Rendition::JPEGFull, Rendition::VidFull];
        let has_edit = edited.iter().any(|r| p.has(*r));
        edited.contains(&f.rendition) || (!has_edit && ORIGINALS.contains(&f.rendition)) } },
    Case { flags: &["--raw", "raw"], rule: "raw", wanted: |p, f| {
        !p.has(Rendition::OriginalAlt) || f.uti.contains("raw") || !matches!(f.rendition, Rendition::Original | Rendition::OriginalAlt) } },
    Case { flags: &["--raw", "jpeg"], wanted: |_, f| !f.uti.contains("raw"), rule: "raw" },
    Case { flags: &["--live-photos", "image"], rule: "live-photos",
           wanted: |p, f| !(p.is_live() && f.uti == "com.apple.quicktime-movie") },
    Case { flags: &["--skip-live-photos"], rule: "live-photos",
           wanted: |p, f| !(p.is_live() && f.uti == "com.apple.quicktime-movie") },
    Case { flags: &["--live-photos", "video"], rule: "live-photos",
           wanted: |p, f| !p.is_live() || f.uti == "com.apple.quicktime-movie" },
];

/// One library, many destinations, each with a journal of its own.
struct Worlds {
    world: World,
    photos: BTreeMap<String, Photo>,
}

impl Worlds {
    fn new() -> Self {
        let world = World::new(library());
        let library = world.sandbox.library();
        let names = library.assets();
        let trips = library.add_album("Trips", None, true);
        let rome = library.add_album("2024, Rome", Some(&trips), false);
        for name in names.iter().step_by(4) {
            assert!(library.join(&rome, name));
        }
        library.hide(&names[3]);
        library.set_favorite(&names[5], true);
        let mut photos = BTreeMap::new();
        for file in world.sandbox.truth() {
            let in_album = names.iter().step_by(4).any(|name| *name == file.asset_record);
            let photo = photos.entry(file.asset_record.clone()).or_insert_with(|| Photo {
                original: file.clone(),
                renditions: BTreeSet::new(),
                in_album,
                rank: 0,
            });
            photo.renditions.insert(file.rendition);
        }
        let shown = photos.values().filter(|photo| !photo.original.is_hidden);
        let moments: Vec<(String, i64)> =
            shown.map(|p| (p.original.zone.clone(), p.original.captured_ms)).collect();
        for photo in photos.values_mut() {
            let newer = |(zone, at): &&(String, i64)| {
                *zone == photo.original.zone && *at > photo.original.captured_ms
            };
            photo.rank = moments.iter().filter(newer).count();
        }
        Self { world, photos }
    }

    /// Runs with a destination and a journal of this number.
    fn sync(&self, number: usize, flags: &[&str], code: i32) -> String {
        let root = self.root(number);
        let mut command = self.world.rollbook(&[&["sync"], flags].concat());
        command.env("ROLLBOOK_DIRECTORY", root.join("photos")).env("ROLLBOOK_DATA_DIR", root.join("data"));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn root(&self, number: usize) -> std::path::PathBuf {
        self.world.photos().with_file_name(format!("case-{number}"))
    }

    /// The digests of what stands there.
    fn home(&self, number: usize) -> Vec<String> {
        let mut digests = Vec::new();
        walk(&self.root(number).join("photos"), &mut digests);
        digests.sort();
        digests
    }

    fn expected(&self, wanted: impl Fn(&Photo, &TruthFile) -> bool) -> Vec<String> {
        let truth = self.world.sandbox.truth();
        let mut digests: Vec<String> = truth
            .into_iter()
            .filter(|f| wanted(&self.photos[&f.asset_record], f))
            .map(|f| f.sha256)
            .collect();
        digests.sort();
        digests
    }

    fn journal(&self, number: usize) -> Connection {
        Connection::open(self.root(number).join("data/journal.db")).unwrap()
    }
}

fn walk(folder: &Path, digests: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, digests);
        } else if path.file_name().unwrap() != ".rollbook" {
            digests.push(support::sha256(&path));
        }
    }
}

#[test]
fn each_choice_brings_what_it_says_and_a_wider_one_fetches_the_rest_once() {
    let worlds = Worlds::new();
    let whole = worlds.expected(|_, _| true);
    for (number, case) in CASES.iter().enumerate() {
        let flags = case.flags;
        worlds.world.sandbox.reset_counters();
        worlds.sync(number, flags, 0);
        let expected = worlds.expected(case.wanted);
        assert!(expected.len() < whole.len(), "{flags:?} leaves something out");
        assert_eq!(worlds.home(number), expected, "{flags:?}");
        let journal = worlds.journal(number);
        let named: i64 = journal
            .query_row("SELECT count(*) FROM v_file WHERE excluded_by = ?1", [case.rule], |r| r.get(0))
            .unwrap();
        assert!(case.rule.is_empty() || named > 0, "{flags:?} names its rule");
        let open: i64 = journal
            .query_row(
                "SELECT count(*) FROM v_file WHERE standing NOT IN ('verified', 'excluded')",
                [],
                |r| r.get(0),
            )
            .unwrap();
        assert_eq!(open, 0, "{flags:?}");

        // All of it, then less of it: nothing comes twice, and nothing goes.
        worlds.sync(number, &[], 0);
        assert_eq!(worlds.home(number), whole, "{flags:?}, then everything");
        worlds.sync(number, flags, 0);
        assert_eq!(worlds.home(number), whole, "{flags:?} once more takes nothing away");
        let fetched = worlds.world.sandbox.counters().of(Endpoint::Cdn);
        // What lies in both libraries is fetched for one and copied for the other.
        assert!(fetched <= whole.len() as u64, "{flags:?}: {fetched} fetches of {} files", whole.len());
        let lost: i64 = journal
            .query_row("SELECT count(*) FROM v_file WHERE standing <> 'verified'", [], |r| r.get(0))
            .unwrap();
        assert_eq!(lost, 0, "{flags:?}: what is verified stays verified");
    }
}

#[test]
fn small_copies_come_when_they_are_asked_for_and_only_they_come_then() {
    let worlds = Worlds::new();
    worlds.sync(0, &[], 0);
    let known: i64 = worlds.journal(0).query_row("SELECT count(*) FROM v_file", [], |r| r.get(0)).unwrap();
    assert_eq!(known, worlds.expected(|_, _| true).len() as i64, "nobody's journal holds them unasked");
    worlds.world.sandbox.reset_counters();
    worlds.sync(0, &["--size", "medium,thumb,original"], 0);
    let small = |file: &TruthFile| {
        use Rendition::{JPEGMed, JPEGThumb, VidMed, VidSmall};
        match worlds.photos[&file.asset_record].is_video() {
            true => matches!(file.rendition, VidMed | VidSmall),
            false => matches!(file.rendition, JPEGMed | JPEGThumb),
        }
    };
    let previews = worlds.world.sandbox.truth_with_previews();
    let mut wanted: Vec<String> = previews.into_iter().filter(small).map(|f| f.sha256).collect();
    let log = worlds.world.sandbox.log();
    let fetched: Vec<Rendition> =
        log.iter().filter(|r| r.endpoint == Endpoint::Cdn).filter_map(|r| r.rendition).collect();
    let is_small = |r: &Rendition| {
        use Rendition::{JPEGMed, JPEGThumb, VidMed, VidSmall};
        matches!(r, JPEGMed | JPEGThumb | VidMed | VidSmall)
    };
    assert!(!fetched.is_empty() && fetched.iter().all(is_small), "{fetched:?}");
    wanted.extend(worlds.expected(|_, _| true));
    wanted.sort();
    assert_eq!(worlds.home(0), wanted);
    // Without them again: they stay, and are not taken for gone.
    worlds.sync(0, &["--full"], 0);
    assert_eq!(worlds.home(0), wanted);
    let gone: i64 = worlds
        .journal(0)
        .query_row("SELECT count(*) FROM v_file WHERE standing = 'superseded'", [], |r| r.get(0))
        .unwrap();
    assert_eq!(gone, 0);
}

#[test]
fn a_limit_brings_so_many_assets_and_the_next_run_goes_on() {
    let worlds = Worlds::new();
    let assets = || -> i64 {
        let sql = "SELECT count(*) FROM v_asset WHERE files_verified > 0";
        worlds.journal(0).query_row(sql, [], |r| r.get(0)).unwrap()
    };
    let limited = worlds.sync(0, &["--limit", "3"], 0);
    assert!(limited.contains("more to come: this run brought as much as --limit allows"), "{limited}");
    assert_eq!(assets(), 3);
    let outcome = |sql: &str| -> String { worlds.journal(0).query_row(sql, [], |r| r.get(0)).unwrap() };
    assert_eq!(outcome("SELECT outcome FROM v_run ORDER BY run_id DESC LIMIT 1"), "limited");
    worlds.sync(0, &["--limit", "3"], 0);
    assert_eq!(assets(), 6);
    worlds.sync(0, &[], 0);
    assert_eq!(worlds.home(0), worlds.expected(|_, _| true));
    // A limit is no cloak: a file that failed is one. And what stands beside the photos is written.
    worlds.world.sandbox.faults().add(Fault::always(Endpoint::Cdn, What::FlipBit { offset: 10 }));
    worlds.sync(1, &["--limit", "1"], 1);
    worlds.world.sandbox.faults().clear();
    worlds.sync(2, &["--limit", "2", "--sidecars", "xmp"], 0);
    let written: i64 = worlds.journal(2).query_row("SELECT count(*) FROM sidecar", [], |r| r.get(0)).unwrap();
    assert!(written >= 2, "{written}");
}

#[test]
fn an_album_is_followed_as_it_changes() {
    let worlds = Worlds::new();
    let library = worlds.world.sandbox.library();
    worlds.sync(0, &["--album", "2024, Rome"], 0);
    let before = worlds.home(0).len();
    let rome = library.albums().into_iter().find(|album| album.name == "2024, Rome").unwrap().record;
    let name = library.assets()[1].clone();
    assert!(library.join(&rome, &name));
    worlds.sync(0, &["--album", "2024, Rome"], 0);
    let joined = worlds.world.sandbox.truth().iter().filter(|file| file.asset_record == name).count();
    assert_eq!(worlds.home(0).len(), before + joined);
}

#[test]
fn a_listing_ends_when_so_many_are_here() {
    let world = World::new(Options { assets: 250, mean_size_bytes: Some(500), ..Options::default() });
    world.run(&["sync"], 0);
    let pages = |flags: &[&str]| {
        world.sandbox.reset_counters();
        world.run(flags, 0);
        world.sandbox.log().iter().filter(|request| request.start_rank.is_some()).count()
    };
    let all = pages(&["sync", "--full"]);
    let few = pages(&["sync", "--full", "--until-found", "20"]);
    assert!(few <= 2 && all >= 3, "{few} pages of {all}");
    world.assert_complete();
}

#[test]
fn a_word_that_names_nothing_is_said_once_and_never_taken_for_a_choice() {
    let world = World::new(library());
    for (flag, word) in [("--album", "nope"), ("--album", "!Privat"), ("--library", "nonesuch")] {
        let told = world.run(&["sync", "--limit", "1", flag, word], 0).stderr();
        let warning = format!("{flag} {word} names nothing in iCloud");
        assert_eq!(told.matches(&warning).count(), 1, "{told}");
    }
    let told = world.run(&["sync", "--limit", "1", "--album", "Videos", "--library", "shared"], 0).stderr();
    assert!(!told.contains("names nothing"), "{told}");
    let told = world.run(&["sync", "--album", "Videos", "--skip-videos"], 0).stderr();
    assert!(told.contains("--skip-videos leaves out all that lies in Videos"), "{told}");
}
