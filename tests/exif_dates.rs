//! `--set-exif-datetime`: the date of capture comes into JPEGs that have none, after Apple's bytes were proved,
//! and both digests are kept. A kill at any step leaves a whole file that the journal knows.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use exif::{In, Tag};
use rollbook_sandbox::{Endpoint, Options};
use serde_json::Value;
use support::World;

const SYNC: [&str; 2] = ["sync", "--set-exif-datetime"];

fn world(assets: u32) -> World {
    World::new(Options { assets, undated_jpegs: true, mean_size_bytes: Some(3_000), ..Options::default() })
}

/// Path and digests of every verified file: on the disk, and of the bytes that were proved.
fn digests(world: &World) -> BTreeMap<String, (String, String)> {
    let journal = world.journal();
    let sql = "SELECT path, sha256, iif(disk_bytes IS NULL, sha256, apple_sha256) FROM v_file
               WHERE state = 'verified' AND released_at IS NULL";
    let mut statement = journal.prepare(sql).unwrap();
    let rows = statement.query_map([], |r| Ok((r.get(0)?, (r.get(1)?, r.get(2)?))));
    rows.unwrap().map(Result::unwrap).collect()
}

/// Notes something of a file, as a desktop does. `false`: that cannot be done here.
fn note(path: &Path) -> bool {
    let set = Command::new("setfattr").args(["-n", "user.tags", "-v", "rome"]).arg(path).status();
    set.is_ok_and(|status| status.success())
}

/// What was noted.
fn noted(path: &Path) -> String {
    let got = Command::new("getfattr").args(["--only-values", "-n", "user.tags"]).arg(path).output().unwrap();
    String::from_utf8(got.stdout).unwrap()
}

/// Asserts that what is on the disk is what the journal says, and that Apple's digests are those of the truth.
fn assert_both_digests(world: &World) {
    let digests = digests(world);
    let on_disk: BTreeMap<String, String> = digests.iter().map(|(p, d)| (p.clone(), d.0.clone())).collect();
    assert_eq!(world.tree(), on_disk);
    let mut truth: Vec<String> = world.sandbox.truth().into_iter().map(|file| file.sha256).collect();
    let mut proved: Vec<String> = digests.into_values().map(|both| both.1).collect();
    truth.sort();
    proved.sort();
    assert_eq!(proved, truth);
    let open: i64 = world.journal().query_row("SELECT count(*) FROM rewrite", [], |r| r.get(0)).unwrap();
    assert_eq!(open, 0, "no intent is left");
    world.assert_journal_is_sound();
}

fn field(jpeg: &[u8], tag: Tag) -> Option<String> {
    let read = exif::Reader::new().read_from_container(&mut std::io::Cursor::new(jpeg)).ok()?;
    read.get_field(tag, In::PRIMARY).map(|field| field.display_value().to_string())
}

/// What exiftool says of every JPEG; `None` where it is not installed.
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn exiftool(world: &World) -> Option<BTreeMap<String, Value>> {
    let mut command = Command::new("exiftool");
    command.args(["-j", "-r", "-ext", "jpg", "-validate", "-DateTimeOriginal", "-OffsetTimeOriginal"]);
    let Ok(output) = command.arg(world.photos()).output() else {
        eprintln!("skipped: exiftool is not installed (Debian: libimage-exiftool-perl)");
        return None;
    };
    let read: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let root = format!("{}/", world.photos().display());
    let path = |one: &Value| one["SourceFile"].as_str().unwrap().replacen(&root, "", 1);
    Some(read.into_iter().map(|one| (path(&one), one)).collect())
}

#[test]
fn jpegs_without_a_date_get_it_and_everything_still_balances() {
    let world = world(40);
    world.run(&["sync"], 0);
    let before = world.tree();
    world.run(&SYNC, 0);
    let after = world.tree();
    assert_both_digests(&world);
    let changed: BTreeSet<&String> =
        after.iter().filter(|(p, d)| before[*p] != **d).map(|(p, _)| p).collect();
    assert_eq!(changed.len() as i64, world.count("disk_bytes IS NOT NULL"));
    assert!(changed.len() > 10, "{changed:?}");

    let journal = world.journal();
    let sql = "SELECT a.captured_ms, a.captured_offset_s FROM asset_file f JOIN asset a USING (asset_id)
               WHERE f.path = ?1";
    let said = exiftool(&world);
    let mut without = 0;
    for path in after.keys().filter(|path| path.ends_with(".JPG")) {
        let bytes = fs::read(world.photos().join(path)).unwrap();
        let (ms, offset): (i64, i32) =
            journal.query_row(sql, [path], |r| Ok((r.get(0)?, r.get(1)?))).unwrap();
        let at = jiff::Timestamp::from_millisecond(ms).unwrap();
        let local = jiff::tz::Offset::from_seconds(offset).unwrap().to_datetime(at);
        let clock = local.strftime("%Y-%m-%d %H:%M:%S").to_string();
        assert_eq!(field(&bytes, Tag::DateTimeOriginal).as_deref(), Some(clock.as_str()), "{path}");
        if let Some(said) = &said {
            let said = &said[path];
            assert_eq!(said["DateTimeOriginal"].as_str(), Some(clock.replace('-', ":").as_str()), "{said:#}");
            if changed.contains(path) {
                let sign = if offset < 0 { '-' } else { '+' };
                let zone = format!("{sign}{:02}:{:02}", offset.abs() / 3600, offset.abs() / 60 % 60);
                assert_eq!(said["OffsetTimeOriginal"].as_str(), Some(zone.as_str()), "{said:#}");
                let whole = said["Validate"].as_str().unwrap();
                // What the sandbox's own headers lack is not of our making.
                assert!(!whole.contains("Error") && !whole.contains("damaged"), "{said:#}");
            }
        }
        if changed.contains(path) && field(&bytes, Tag::Make).is_none() {
            without += 1;
        }
        let modified = fs::metadata(world.photos().join(path)).unwrap().mtime();
        assert_eq!(modified, ms.div_euclid(1000), "{path} keeps its time");
    }
    assert!(without > 2, "some had no EXIF at all: {without}");

    // Everybody understands the second digest, and nothing is done or asked for twice.
    world.sandbox.reset_counters();
    let inodes = world.inventory();
    world.run(&SYNC, 0);
    world.run(&["sync", "--check-files"], 0);
    world.run(&["verify"], 0);
    world.run(&["audit", "--deep"], 0);
    assert_eq!((world.inventory(), world.sandbox.counters().of(Endpoint::Cdn)), (inodes, 0));
    let sums = world.run(&["export", "--format", "sha256sum"], 0).stdout();
    assert!(after.iter().all(|(path, sha256)| sums.contains(&format!("{sha256}  {path}"))), "{sums}");
    assert_eq!(world.history("dated"), changed.len() as i64);

    // A file that was moved here is known by what it is now, and one that rots comes again and is dated again.
    let (moved, rotten) = (*changed.first().unwrap(), *changed.last().unwrap());
    fs::rename(world.photos().join(moved), world.photos().join("moved.JPG")).unwrap();
    world.run(&["sync", "--check-files", "--set-exif-datetime"], 0);
    assert_eq!(world.count("path = 'moved.JPG' AND disk_bytes IS NOT NULL"), 1);
    let mut bytes = fs::read(world.photos().join(rotten)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(world.photos().join(rotten), bytes).unwrap();
    world.rollbook(&["verify", "--all"]).output().unwrap();
    world.run(&SYNC, 0);
    assert_eq!(world.count("disk_bytes IS NOT NULL"), changed.len() as i64);
    world.run(&["audit", "--deep"], 0);
}

#[test]
fn a_kill_before_any_step_leaves_one_of_the_two_whole_files_and_the_journal_knows_which() {
    let mut kills = 0;
    let whole = world(4);
    whole.run(&SYNC, 0);
    let expected: Vec<String> = whole.tree().into_values().collect();
    assert!(whole.count("disk_bytes IS NOT NULL") > 0);
    // Steps before the first intent are those of any run that has nothing to do.
    let counted = world(4);
    counted.run(&["sync"], 0);
    let log = counted.log_file();
    assert!(counted.rollbook(&SYNC).env("ROLLBOOK_FAULT_LOG", &log).status().unwrap().success());
    let log = fs::read_to_string(log).unwrap();
    let (before, _) = log.split_once("date-intended").unwrap();
    let last = before.lines().filter_map(|line| line.split('\t').next()?.parse::<u32>().ok()).max().unwrap();
    for step in last.saturating_sub(1).. {
        let world = world(4);
        world.run(&["sync"], 0);
        let fetched = world.sandbox.counters().cdn_bytes;
        let killed =
            world.rollbook(&SYNC).env("ROLLBOOK_FAULT", format!("kill:{step}")).output().unwrap().status;
        // Whoever looks first finds rows that are true: here somebody who wants no dates.
        world.run(&["audit", "--deep", "--offline"], 0);
        assert_both_digests(&world);
        world.run(&SYNC, 0);
        assert_both_digests(&world);
        let mut tree: Vec<String> = world.tree().into_values().collect();
        tree.sort();
        let mut expected = expected.clone();
        expected.sort();
        assert_eq!(tree, expected, "kill:{step}");
        assert_eq!(world.sandbox.counters().cdn_bytes, fetched, "kill:{step}");
        if killed.code().is_some() {
            break;
        }
        kills += 1;
    }
    assert!(kills > 10, "{kills}");
}

#[test]
fn what_somebody_else_holds_or_changes_keeps_its_bytes() {
    let world = world(30);
    world.run(&["sync"], 0);
    let before = world.tree();
    // One has a second name, one was edited here, one is read-only for others.
    let jpegs: Vec<&String> = before.keys().filter(|path| path.ends_with(".JPG")).collect();
    for path in &jpegs {
        fs::hard_link(world.photos().join(path), world.data_dir().join(path.replace('/', "_"))).unwrap();
    }
    let said = world.run(&["sync", "--set-exif-datetime", "--log-level", "info"], 0).stderr();
    assert_eq!(world.tree(), before, "nothing that has another name is touched");
    assert!(said.contains("other links lead to it"), "{said}");
    assert_eq!(world.count("disk_bytes IS NOT NULL"), 0);
    // Said once.
    let said = world.run(&["sync", "--set-exif-datetime", "--log-level", "info"], 0).stderr();
    assert!(!said.contains("other links"), "{said}");
}

#[test]
fn what_people_noted_of_a_photo_and_whom_it_belongs_to_stays_with_it() {
    let world = world(12);
    world.run(&["sync"], 0);
    let paths: Vec<PathBuf> = world.tree().into_keys().map(|path| world.photos().join(path)).collect();
    let noting = note(&paths[0]);
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    for path in &paths {
        assert!(!noting || note(path));
        if is_root {
            chown(path, Some(65_534), Some(65_534)).unwrap();
        }
    }
    world.run(&SYNC, 0);
    assert!(world.count("disk_bytes IS NOT NULL") > 2);
    for path in &paths {
        assert!(!noting || noted(path) == "rome", "{}", path.display());
        let owner = fs::metadata(path).unwrap().uid();
        assert!(!is_root || owner == 65_534, "{}: {owner}", path.display());
    }
}

#[test]
fn what_only_albums_link_to_gets_its_date_and_the_albums_get_it_too() {
    let world = world(20);
    let library = world.sandbox.library();
    let rome = library.add_album("Rome", None, false);
    library.assets().iter().for_each(|asset| assert!(library.join(&rome, asset)));
    world.run(&["sync", "--album-views", "hardlink"], 0);
    let before = world.tree();
    let inode = |path: &str| fs::metadata(world.photos().join(path)).unwrap().ino();
    let inodes: BTreeMap<&String, u64> = before.keys().map(|path| (path, inode(path))).collect();
    // One of them has a link of somebody else, too.
    let held = before.keys().find(|path| path.ends_with(".JPG") && !path.starts_with("Albums")).unwrap();
    fs::hard_link(world.photos().join(held), world.data_dir().join("held")).unwrap();
    world.run(&SYNC, 0);
    let dated = world.count("disk_bytes IS NOT NULL");
    assert!(dated > 5, "{dated}");
    let after = world.tree();
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (path, sha256) in &after {
        let album = format!("Albums/Rome/{}", path.rsplit('/').next().unwrap());
        assert_eq!(after.get(&album), Some(sha256), "{path}");
        assert_eq!(inode(&album), inode(path), "{path}");
        assert_eq!(
            inode(path) == inodes[path],
            before[path] == *sha256,
            "what needs no date is not touched: {path}"
        );
    }
    assert_eq!(before[held], after[held]);
    world.run(&["audit", "--deep"], 0);
}

#[test]
fn a_kill_between_two_links_of_a_photo_leaves_it_no_strangers() {
    let mut ends = Vec::new();
    for fault in ["", "kill:unlink@1", "kill:unlink@2", "kill:unlink@3"] {
        let world = world(6);
        let library = world.sandbox.library();
        for name in ["Rome", "Oslo"] {
            let album = library.add_album(name, None, false);
            library.assets().iter().for_each(|asset| assert!(library.join(&album, asset)));
        }
        world.run(&["sync", "--album-views", "hardlink"], 0);
        let killed = world.rollbook(&SYNC).env("ROLLBOOK_FAULT", fault).output().unwrap().status;
        assert_eq!(killed.code().is_none(), !fault.is_empty(), "{fault}");
        world.run(&SYNC, 0);
        assert!(world.count("disk_bytes IS NOT NULL") > 0);
        ends.push(world.tree());
    }
    assert!(ends.iter().all(|end| *end == ends[0]));
}

/// How the journal comes to know nothing of the dates, and what is done before the next `sync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    /// It is made anew.
    Rebuilt,
    /// Likewise, the files were moved meanwhile, and are adopted.
    Moved,
    /// Likewise, they lie elsewhere, and are brought in.
    Elsewhere,
    /// It is of a day before the dates.
    Older,
    /// Likewise, and the files were moved meanwhile.
    OlderAndMoved,
}

#[test]
fn a_journal_that_was_lost_sees_through_the_dates_and_fetches_nothing() {
    for how in [Lost::Rebuilt, Lost::Moved, Lost::Elsewhere, Lost::Older, Lost::OlderAndMoved] {
        let world = world(24);
        world.run(&["sync"], 0);
        let (journal, kept) = (world.data_dir().join("journal.db"), world.data_dir().join("kept.db"));
        fs::copy(&journal, &kept).unwrap();
        world.run(&SYNC, 0);
        assert_both_digests(&world);
        let (before, dated) = (digests(&world), world.count("disk_bytes IS NOT NULL"));
        assert!(dated > 5, "{dated}");
        let moved = match how {
            Lost::Moved | Lost::OlderAndMoved => world.photos().join("taken/away"),
            Lost::Elsewhere => world.data_dir().join("elsewhere"),
            Lost::Rebuilt | Lost::Older => world.photos(),
        };
        fs::create_dir_all(&moved).unwrap();
        if moved != world.photos() {
            for (n, path) in before.keys().enumerate() {
                let name = path.rsplit('/').next().unwrap();
                fs::rename(world.photos().join(path), moved.join(format!("{n}-{name}"))).unwrap();
            }
        }
        match how {
            Lost::Older | Lost::OlderAndMoved => fs::rename(&kept, &journal).unwrap(),
            _ => drop(world.run(&["journal", "rebuild"], 0)),
        }
        let fetched = world.sandbox.counters().cdn_bytes;
        match how {
            Lost::Moved => drop(world.run(&["adopt"], 0)),
            Lost::Elsewhere => drop(world.run(&["adopt", moved.to_str().unwrap(), "--copy"], 0)),
            Lost::OlderAndMoved => drop(world.run(&["sync", "--check-files"], 0)),
            Lost::Rebuilt | Lost::Older => {
                // Killed when the first rows say what was proved, and not yet what stands there.
                let mut killed = world.rollbook(&["sync"]);
                let ended = killed.env("ROLLBOOK_FAULT", "kill:verified").output().unwrap().status;
                assert_eq!(ended.code().is_none(), how == Lost::Rebuilt, "{ended}");
            }
        }
        world.run(&["sync"], 0);
        assert_eq!(world.sandbox.counters().cdn_bytes, fetched, "{how:?}");
        assert_both_digests(&world);
        assert_eq!(world.count("disk_bytes IS NOT NULL"), dated, "{how:?}");
        let mut both = [digests(&world), before].map(|of| of.into_values().collect::<Vec<_>>());
        both.iter_mut().for_each(|of| of.sort());
        assert_eq!(both[0], both[1], "{how:?}");
        world.run(&["audit", "--deep"], 0);
        let adopted = world.run(&["adopt", "--dry-run"], 0).stdout();
        assert!(!adopted.contains("unknown"), "{adopted}");
    }
}

#[test]
fn what_cannot_be_read_is_told_in_one_line_and_gets_its_date_later() {
    let world = world(12);
    world.run(&["sync"], 0);
    let jpeg = world.tree().into_keys().find(|path| path.ends_with(".JPG")).unwrap();
    let folder = world.photos().join(jpeg.split('/').next().unwrap());
    let aside = world.photos().with_file_name("aside");
    fs::rename(&folder, &aside).unwrap();
    std::os::unix::fs::symlink(&aside, &folder).unwrap();
    let told = world.run(&SYNC, 0).stderr();
    let lines: Vec<&str> = told.lines().filter(|line| line.contains("no date of capture")).collect();
    assert!(lines.len() == 1 && lines[0].starts_with("warning: "), "{told}");
    assert!(lines[0].contains(&*folder.to_string_lossy()), "{told}");
    assert!(!told.contains("WARN"), "{told}");

    fs::remove_file(&folder).unwrap();
    fs::rename(&aside, &folder).unwrap();
    world.run(&SYNC, 0);
    assert_both_digests(&world);
    assert!(world.count("disk_bytes IS NOT NULL") > 0);
}
