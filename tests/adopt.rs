//! A tree that another tool made becomes ours by content: where it stands, without a request, and
//! without a write to it.

mod support;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use rollbook_sandbox::{Endpoint, Options};
use serde_json::Value;
use support::World;

fn library() -> Options {
    Options { assets: 40, seed: 11, ..Options::default() }
}

/// A file as the first world fetched it: where, which rendition, of which asset and day.
struct Fetched {
    path: PathBuf,
    size: u64,
    rendition: String,
    asset: String,
    filename: String,
    day: String,
}

/// A library that was fetched once, to make other tools' trees from.
fn fetched(world: &World) -> Vec<Fetched> {
    world.run(&["sync"], 0);
    let journal = world.journal();
    let sql = "SELECT path, size_bytes, rendition, asset, filename,
                   strftime('%Y/%m/%d', captured_at, 'unixepoch') FROM v_file ORDER BY file_id";
    let mut statement = journal.prepare(sql).unwrap();
    let rows = statement.query_map([], |r| {
        Ok(Fetched {
            path: world.photos().join(r.get::<_, String>(0)?),
            size: r.get::<_, i64>(1)? as u64,
            rendition: r.get(2)?,
            asset: r.get(3)?,
            filename: r.get(4)?,
            day: r.get(5)?,
        })
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// A naming policy: the path of a file, without what makes it unique.
type Policy = fn(&Fetched) -> String;

fn extension(file: &Fetched) -> String {
    file.path.extension().unwrap().to_string_lossy().into_owned()
}

fn stem(file: &Fetched) -> &str {
    file.filename.rsplit_once('.').map_or(&*file.filename, |(stem, _)| stem)
}

/// icloudpd's marks for a rendition.
fn mark(file: &Fetched) -> &'static str {
    match file.rendition.as_str() {
        "live-video" => "_HEVC",
        "edited" | "edited-video" => "-adjusted",
        "alternative" => "-alternative",
        _ => "",
    }
}

fn name_size_dedup(file: &Fetched) -> String {
    format!("{}/{}{}.{}", file.day, stem(file), mark(file), extension(file))
}

fn name_id7(file: &Fetched) -> String {
    let id: String = file.asset.chars().filter(char::is_ascii_alphanumeric).take(7).collect();
    format!("{}/{}_{id}{}.{}", &file.day[..7], stem(file), mark(file), extension(file))
}

fn flat_by_record(file: &Fetched) -> String {
    format!("{}-{}.{}", file.asset, file.rendition, extension(file).to_lowercase())
}

/// Lays out files by a policy, collisions by size as icloudpd does; gives what stands where.
fn lay_out(root: &Path, files: &[Fetched], policy: Policy) -> BTreeMap<String, (u64, i64, i64)> {
    for file in files {
        let mut target = root.join(policy(file));
        if target.exists() {
            let name = format!("{}-{}.{}", target.file_stem().unwrap().display(), file.size, extension(file));
            target.set_file_name(name);
        }
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file.path, &target).unwrap();
    }
    facts(root)
}

/// Inode, change time and modification time of every file: what a write would alter.
fn facts(root: &Path) -> BTreeMap<String, (u64, i64, i64)> {
    let mut facts = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, meta) = (entry.path(), fs::symlink_metadata(entry.path()).unwrap());
            if meta.is_dir() {
                folders.push(path);
            } else if entry.file_name() != ".rollbook" {
                let change = meta.ctime() * 1_000_000_000 + meta.ctime_nsec();
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                facts.insert(name, (meta.ino(), change, meta.mtime()));
            }
        }
    }
    facts
}

fn adopt(world: &World, args: &[&str]) -> Value {
    let ran = world.run(&[&["adopt", "--json"], args].concat(), 0);
    let answers: Value = serde_json::from_str(&ran.stdout()).unwrap();
    answers[0].clone()
}

fn outcomes(world: &World) -> HashMap<String, i64> {
    let journal = world.journal();
    let mut statement = journal.prepare("SELECT outcome, count(*) FROM v_adoption GROUP BY 1").unwrap();
    statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_tree_of_any_naming_policy_is_adopted_where_it_stands_without_a_request_or_a_write() {
    let first = World::new(library());
    let files = fetched(&first);
    for policy in [name_size_dedup as Policy, name_id7, flat_by_record] {
        let world = World::new(library());
        let before = lay_out(&world.photos(), &files, policy);
        let answer = adopt(&world, &[]);
        assert_eq!(answer["adopted_files"], files.len(), "{answer:#}");
        assert_eq!((&answer["fetch_files"], &answer["unknown_files"]), (&0.into(), &0.into()), "{answer:#}");
        assert_eq!(facts(&world.photos()), before, "nothing was written");
        world.assert_complete();
        world.run(&["sync"], 0);
        assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), 0);
        assert_eq!(facts(&world.photos()), before);
        assert_eq!(world.history("adopted"), files.len() as i64);
    }
}

#[test]
fn sync_fetches_only_what_was_not_there_and_puts_it_beside_its_original() {
    let first = World::new(library());
    let mut files = fetched(&first);
    let all = files.len();
    files.retain(|file| !file.rendition.starts_with("edited"));
    assert!(files.len() < all);
    let world = World::new(library());
    lay_out(&world.photos(), &files, name_id7);
    adopt(&world, &[]);
    world.sandbox.reset_counters();
    world.run(&["sync"], 0);
    world.assert_complete();
    assert_eq!(world.sandbox.counters().of(Endpoint::Cdn) as usize, all - files.len());
    let apart = "rendition = 'edited' AND NOT EXISTS (SELECT 1 FROM asset_file o
        WHERE o.asset_id = asset_file.asset_id AND o.rendition = 'original'
          AND asset_file.path LIKE substr(o.path, 1, length(o.path) - 5) || '%')";
    assert_eq!(world.count(apart), 0, "edited versions share the stem of the adopted original");
}

#[test]
fn a_dry_run_adopts_nothing_and_says_what_a_run_then_does() {
    let first = World::new(library());
    let files = fetched(&first);
    let world = World::new(library());
    let before = lay_out(&world.photos(), &files, name_size_dedup);
    let said = adopt(&world, &["--dry-run"]);
    assert_eq!((world.count("state = 'verified'"), facts(&world.photos())), (0, before));
    let done = adopt(&world, &[]);
    for key in ["adopted_files", "adopted_bytes", "fetch_files", "fetch_bytes"] {
        assert_eq!(said[key], done[key], "{key}");
    }
    // What rollbook itself puts beside photos is no file of another tool.
    world.run(&["sync", "--sidecars", "xmp", "--album-views", "symlink"], 0);
    assert!(world.photos().join("Albums").exists());
    // A third run has nothing left to do, and still tells what was adopted.
    let again = adopt(&world, &[]);
    assert_eq!((&again["adopted_files"], &again["already_files"]), (&0.into(), &files.len().into()));
    assert_eq!(outcomes(&world), HashMap::from([("adopted".to_owned(), files.len() as i64)]));
}

#[test]
fn copies_altered_unknown_and_closed_files_are_named_and_stay() {
    let first = World::new(library());
    let files = fetched(&first);
    let world = World::new(library());
    let photos = world.photos();
    lay_out(&photos, &files, name_size_dedup);
    // The same bytes twice; the one that is named as the photo is adopted.
    let original = files.iter().find(|file| file.rendition == "original").unwrap();
    fs::copy(&original.path, photos.join("a copy.jpg")).unwrap();
    // A tool wrote into it, as icloudpd's --set-exif-datetime does.
    let other = files.iter().rfind(|file| file.rendition == "original").unwrap();
    let altered = photos.join(name_size_dedup(other));
    let mut bytes = fs::read(&altered).unwrap();
    bytes.extend_from_slice(b"exif");
    fs::write(&altered, bytes).unwrap();
    fs::write(photos.join("notes.txt"), "mine").unwrap();
    fs::write(photos.join("same size"), vec![7; original.size as usize]).unwrap();
    symlink(photos.join("notes.txt"), photos.join("a link.jpg")).unwrap();
    let before = facts(&photos);

    let answer = adopt(&world, &[]);
    let found: BTreeMap<&str, &str> = answer["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["local_path"].as_str().unwrap(), line["outcome"].as_str().unwrap()))
        .collect();
    let altered_name = name_size_dedup(other);
    let expected = [
        ("a copy.jpg", "duplicate"),
        (altered_name.as_str(), "altered"),
        ("notes.txt", "unknown"),
        ("same size", "unknown"),
        ("a link.jpg", "unreadable"),
    ];
    assert_eq!(found, BTreeMap::from(expected));
    assert_eq!(answer["fetch_files"], 1);
    world.sandbox.reset_counters();
    world.run(&["sync"], 0);
    assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), 1, "the original of the altered file");
    world.assert_rows_are_true();
    let after = facts(&photos);
    assert!(before.iter().all(|(path, facts)| after.get(path) == Some(facts)));
}

#[test]
fn a_killed_adoption_goes_on_and_every_row_it_left_is_true() {
    let first = World::new(library());
    let files = fetched(&first);
    let world = World::new(library());
    let before = lay_out(&world.photos(), &files, name_id7);
    world.run(&["plan"], 0);
    let mut kills = 0;
    for step in [3, 20, 60, 90, 120] {
        let mut run = world.rollbook(&["adopt"]);
        let done = run.env("ROLLBOOK_FAULT", format!("kill:{step}")).output().unwrap();
        kills += i32::from(done.status.code().is_none());
        world.assert_rows_are_true();
        assert_eq!(facts(&world.photos()), before);
    }
    assert!(kills >= 3, "{kills} kills");
    adopt(&world, &[]);
    world.assert_complete();
    assert_eq!(facts(&world.photos()), before);
    assert_eq!(world.history("adopted"), files.len() as i64, "each row once");
}

#[test]
fn rows_that_failed_expired_or_are_half_here_are_adopted_too() {
    let first = World::new(library());
    let files = fetched(&first);
    let world = World::new(library());
    world.run(&["plan"], 0);
    {
        let journal = world.journal();
        let sql = "UPDATE asset_file SET state = 'failed', event = 'failed', moved_at = 1,
                       error_kind = 'network', error_detail = 'x' WHERE file_id % 4 = 0;
                   UPDATE asset_file SET state = 'expired-url', event = 'url_expired', moved_at = 1
                       WHERE file_id % 4 = 1;
                   UPDATE asset_file SET state = 'partial', event = 'progressed', moved_at = 1,
                       offset_bytes = 5, prefix_sha256 = zeroblob(32) WHERE file_id % 4 = 2;";
        journal.execute_batch(sql).unwrap();
    }
    lay_out(&world.photos(), &files, flat_by_record);
    assert_eq!(adopt(&world, &[])["adopted_files"], files.len());
    world.assert_complete();
}

#[test]
fn a_tree_elsewhere_is_refused_unless_it_is_to_be_linked_or_copied() {
    let first = World::new(library());
    let files = fetched(&first);
    for how in ["--link", "--copy"] {
        let world = World::new(library());
        let elsewhere = tempfile::tempdir_in(world.data_dir().parent().unwrap()).unwrap();
        let tree = elsewhere.path().to_str().unwrap();
        let before = lay_out(elsewhere.path(), &files, name_size_dedup);
        let refused = world.run(&["adopt", tree], 2);
        assert!(refused.stderr().contains("--link"), "{}", refused.stderr());
        assert_eq!(world.count("state = 'verified'"), 0);
        // A stranger's file holds one of the names.
        let taken: String =
            world.journal().query_row("SELECT path FROM v_file LIMIT 1", [], |r| r.get(0)).unwrap();
        let taken = world.photos().join(taken);
        fs::create_dir_all(taken.parent().unwrap()).unwrap();
        fs::write(&taken, "mine").unwrap();

        assert_eq!(adopt(&world, &[tree, how])["adopted_files"], files.len());
        assert_eq!(fs::read(&taken).unwrap(), b"mine");
        fs::remove_file(&taken).unwrap();
        world.assert_complete();
        assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), 0);
        let after = facts(elsewhere.path());
        let names = |facts: &BTreeMap<String, _>| facts.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&after), names(&before));
        let inodes: Vec<u64> = facts(&world.photos()).values().map(|(inode, ..)| *inode).collect();
        let shared = after.values().filter(|(inode, ..)| inodes.contains(inode)).count();
        assert_eq!(shared, if how == "--link" { files.len() } else { 0 });
        assert_eq!(adopt(&world, &[tree, how])["already_files"], files.len());
    }
}

#[test]
fn what_something_keeps_from_coming_into_place_is_named_and_the_others_come() {
    let first = World::new(library());
    let files = fetched(&first);
    for how in ["--link", "--copy"] {
        let world = World::new(library());
        let elsewhere = tempfile::tempdir_in(world.data_dir().parent().unwrap()).unwrap();
        let tree = elsewhere.path().to_str().unwrap();
        lay_out(elsewhere.path(), &files, name_size_dedup);
        world.run(&["plan"], 0);
        let path: String =
            world.journal().query_row("SELECT min(path) FROM v_file", [], |r| r.get(0)).unwrap();
        let folder = Path::new(&path).parent().unwrap().to_str().unwrap();
        let blocked = world.count(&format!("path LIKE '{folder}/%'"));
        assert!((1..files.len() as i64).contains(&blocked), "{blocked}");
        let in_the_way = world.photos().join(folder);
        fs::create_dir_all(in_the_way.parent().unwrap()).unwrap();
        fs::write(&in_the_way, "mine").unwrap();

        for _ in 0..2 {
            let ran = world.run(&["adopt", tree, how, "--json"], 1);
            let answer: Value = serde_json::from_str(&ran.stdout()).unwrap();
            assert_eq!(answer[0]["blocked_files"], blocked, "{answer:#}");
            assert_eq!(answer[0]["fetch_files"], blocked);
            let named = answer[0]["files"].as_array().unwrap();
            assert_eq!(named.len() as i64, blocked);
            let detail = named[0]["detail"].as_str().unwrap();
            assert!(detail.ends_with(in_the_way.to_str().unwrap()), "{detail}");
            assert_eq!(world.count("state = 'verified'"), files.len() as i64 - blocked);
        }
        fs::remove_file(&in_the_way).unwrap();
        assert_eq!(adopt(&world, &[tree, how])["adopted_files"], blocked);
        world.assert_complete();
        assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), 0);
    }
}
