//! Sidecars say what iCloud knows, are read by others' programs, follow their record, and touch
//! nothing but themselves.

mod support;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use rollbook_sandbox::Options;
use serde_json::Value;
use support::World;

const SYNC: [&str; 3] = ["sync", "--sidecars", "xmp"];

fn library() -> Options {
    Options { assets: 40, seed: 5, ..Options::default() }
}

/// Inode and change time of every file whose name ends so.
fn facts(root: &Path, suffix: &str) -> BTreeMap<String, (u64, i64, i64)> {
    let mut facts = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, meta) = (entry.path(), entry.metadata().unwrap());
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if meta.is_dir() {
                folders.push(path);
            } else if name.ends_with(suffix) {
                facts.insert(name, (meta.ino(), meta.ctime(), meta.ctime_nsec()));
            }
        }
    }
    facts
}

/// Paths of the files that are to have a sidecar, with what the journal says of each.
struct Expected {
    captured_ms: i64,
    offset_s: i64,
    favorite: bool,
    edited: bool,
    asset: String,
}

fn expected(world: &World) -> HashMap<String, Expected> {
    let journal = world.journal();
    let sql = "SELECT f.path, a.captured_ms, a.captured_offset_s, a.favorite, a.record_name,
                   EXISTS (SELECT 1 FROM asset_file e WHERE e.asset_id = a.asset_id AND e.rendition LIKE 'edited%')
               FROM asset_file f JOIN asset a USING (asset_id)
               WHERE f.state = 'verified' AND (f.rendition IN ('original', 'alternative', 'edited')
                   OR (f.rendition = 'edited-video' AND a.kind = 'video'))";
    let mut statement = journal.prepare(sql).unwrap();
    let rows = statement.query_map([], |r| {
        let facts = Expected {
            captured_ms: r.get(1)?,
            offset_s: r.get(2)?,
            favorite: r.get(3)?,
            asset: r.get(4)?,
            edited: r.get(5)?,
        };
        Ok((r.get(0)?, facts))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// What exiftool reads from every sidecar below `root`; `None` where it is not installed.
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn exiftool(root: &Path) -> Option<HashMap<String, Value>> {
    let mut command = Command::new("exiftool");
    command.args(["-j", "-n", "-r", "-api", "struct=0", "-ext", "xmp"]).arg(root);
    let Ok(output) = command.output() else {
        eprintln!("skipped: exiftool is not installed (Debian: libimage-exiftool-perl)");
        return None;
    };
    let read: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let name = |one: &Value| {
        let path = Path::new(one["SourceFile"].as_str().unwrap());
        path.strip_prefix(root).unwrap().to_str().unwrap().to_owned()
    };
    Some(read.into_iter().map(|one| (name(&one), one)).collect())
}

/// As a list, whatever exiftool made of it: one value, several, or none.
fn list(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().map(|item| item.as_str().unwrap().to_owned()).collect(),
        Value::String(item) => vec![item.clone()],
        _ => Vec::new(),
    }
}

/// Texts are alternatives by language, keywords a bag, tags a sequence; places are degrees and minutes with
/// a letter, times have a zone. exiftool forgives what these do not.
fn assert_is_as_digikam_and_immich_read_it(text: &str) {
    let between = |open: &str, close: &str| -> Option<String> {
        let (_, rest) = text.split_once(open)?;
        Some(rest.split_once(close).unwrap().0.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    for name in ["dc:title", "dc:description"] {
        if let Some(inside) = between(&format!("<{name}>"), &format!("</{name}>")) {
            assert!(inside.starts_with("<rdf:Alt> <rdf:li xml:lang=\"x-default\">"), "{inside}");
        }
    }
    for (name, kind) in
        [("dc:subject", "rdf:Bag"), ("digiKam:TagsList", "rdf:Seq"), ("lr:hierarchicalSubject", "rdf:Bag")]
    {
        if let Some(inside) = between(&format!("<{name}>"), &format!("</{name}>")) {
            assert!(inside.starts_with(&format!("<{kind}> <rdf:li>")), "{inside}");
        }
    }
    for (name, letters) in [("exif:GPSLatitude", ['N', 'S']), ("exif:GPSLongitude", ['E', 'W'])] {
        if let Some(place) = between(&format!("<{name}>"), &format!("</{name}>")) {
            let (degrees, minutes) = place.trim_end_matches(letters).split_once(',').unwrap();
            assert!(place.ends_with(letters) && degrees.parse::<u32>().unwrap() <= 180, "{place}");
            assert!((0.0..60.0).contains(&minutes.parse::<f64>().unwrap()), "{place}");
        }
    }
    let time = between("<exif:DateTimeOriginal>", "</exif:DateTimeOriginal>").unwrap();
    time.parse::<jiff::Timestamp>().unwrap_or_else(|error| panic!("{time}: {error}"));
    assert!(between("<xmp:Rating>", "</xmp:Rating>").is_none_or(|stars| stars == "5"));
}

#[test]
fn every_file_has_a_sidecar_that_exiftool_reads_and_no_photo_is_touched() {
    let world = World::new(library());
    world.run(&["sync"], 0);
    assert!(facts(&world.photos(), ".xmp").is_empty(), "none unless they are wanted");
    let photos = facts(&world.photos(), "");
    let set = world.run(&SYNC, 0);
    let expected = expected(&world);
    let written = facts(&world.photos(), ".xmp");
    let mut names: Vec<String> = expected.keys().map(|path| format!("{path}.xmp")).collect();
    names.sort();
    assert_eq!(written.keys().cloned().collect::<Vec<_>>(), names, "{}", set.stderr());
    let after = facts(&world.photos(), "");
    assert!(photos.iter().all(|(path, facts)| after.get(path) == Some(facts)), "photos stay as they are");
    world.assert_rows_are_true();

    // A second run writes nothing; nor does one without them.
    world.run(&SYNC, 0);
    world.run(&["sync"], 0);
    assert_eq!(facts(&world.photos(), ".xmp"), written);

    for path in written.keys() {
        assert_is_as_digikam_and_immich_read_it(&fs::read_to_string(world.photos().join(path)).unwrap());
    }
    let Some(read) = exiftool(&world.photos()) else { return };
    assert_eq!(read.len(), expected.len());
    let (mut in_albums, mut placed, mut worded, mut favorites, mut edited) = (0, 0, 0, 0, 0);
    for (path, facts) in &expected {
        let said = &read[&format!("{path}.xmp")];
        assert!(said["Error"].is_null() && said["Warning"].is_null(), "{said:#}");
        let at = jiff::Timestamp::from_millisecond(facts.captured_ms).unwrap();
        let offset = jiff::tz::Offset::from_seconds(facts.offset_s as i32).unwrap();
        let local = offset.to_datetime(at).strftime("%Y:%m:%d %H:%M:%S").to_string();
        let time = said["DateTimeOriginal"].as_str().unwrap();
        assert!(time.starts_with(&local), "{time} {local}");
        let zone = format!("{:+03}:{:02}", facts.offset_s / 3600, facts.offset_s.abs() / 60 % 60);
        assert!(time.ends_with(&zone), "{time} {zone}");
        assert_eq!(said["Rating"].as_i64(), facts.favorite.then_some(5));
        assert!(said["Title"].as_str().unwrap().starts_with("Picture "));
        assert_eq!(said["Asset"].as_str().unwrap(), facts.asset);
        assert_eq!(
            said["Edited"].as_bool().or(said["Edited"].as_str().map(|s| s == "True")),
            Some(facts.edited)
        );
        if !said["GPSLatitude"].is_null() {
            assert!(said["GPSLatitude"].as_f64().unwrap().abs() <= 80.0);
            assert_eq!(said["GPSAltitude"].as_f64(), Some(35.5));
            placed += 1;
        }
        if !said["Subject"].is_null() {
            assert_eq!(list(&said["Subject"]), ["sea", "Été & co"]);
            assert!(list(&said["TagsList"]).starts_with(&["sea".to_owned(), "Été & co".to_owned()]));
            worded += 1;
        }
        let albums: Vec<String> =
            list(&said["TagsList"]).into_iter().filter(|tag| tag.starts_with("Albums/")).collect();
        let sql = "SELECT count(*) FROM album_asset JOIN album USING (album_id)
                   WHERE asset_name = ?1 AND album.removed_at IS NULL AND album_asset.removed_at IS NULL";
        let member: i64 = world.journal().query_row(sql, [&facts.asset], |r| r.get(0)).unwrap();
        assert_eq!(albums.len() as i64, member, "{said:#}");
        let hierarchical = list(&said["HierarchicalSubject"]);
        assert!(albums.iter().all(|tag| hierarchical.contains(&tag.replace('/', "|"))), "{said:#}");
        in_albums += i32::from(member > 0);
        if let Some(text) = said["Description"].as_str() {
            assert!(text.starts_with("A day <at> the sea & more, "), "{text}");
        }
        favorites += i32::from(facts.favorite);
        edited += i32::from(facts.edited);
    }
    assert!(in_albums > 3, "{in_albums}");
    assert!(
        placed > 5 && worded > 3 && favorites > 0 && edited > 3,
        "{placed} {worded} {favorites} {edited}"
    );
}

#[test]
fn a_sidecar_follows_its_record_and_somebody_elses_work_stays() {
    let world = World::new(library());
    world.run(&SYNC, 0);
    let asset: String = world
        .journal()
        .query_row("SELECT record_name FROM asset WHERE kind = 'video' AND NOT favorite LIMIT 1", [], |r| {
            r.get(0)
        })
        .unwrap();
    let sql = "SELECT path FROM v_file WHERE asset = ?1 AND rendition = 'original'";
    let path: String = world.journal().query_row(sql, [&asset], |r| r.get(0)).unwrap();
    let sidecar = world.photos().join(format!("{path}.xmp"));
    let before = facts(&world.photos(), "");

    assert!(world.sandbox.library().set_favorite(&asset, true));
    world.run(&SYNC, 0);
    let text = fs::read_to_string(&sidecar).unwrap();
    assert!(text.contains("<xmp:Rating>5</xmp:Rating>"), "{text}");
    let changed: Vec<String> = facts(&world.photos(), "")
        .into_iter()
        .filter(|one| !before.iter().any(|b| b.0 == &one.0 && b.1 == &one.1))
        .map(|one| one.0)
        .collect();
    assert!(
        changed
            .iter()
            .all(|name| name.ends_with(".xmp") && name.starts_with(path.rsplit_once('.').unwrap().0)),
        "{changed:?}"
    );

    // digiKam wrote into it: it is theirs from now on, and that is said once.
    let theirs = text.replace("<xmp:Rating>5", "<xmp:Rating>2");
    fs::write(&sidecar, &theirs).unwrap();
    assert!(world.sandbox.library().set_favorite(&asset, false));
    let said = world.run(&["sync", "--sidecars", "xmp", "--log-level", "info"], 0).stderr();
    assert_eq!(said.matches("somebody else").count(), 1, "{said}");
    assert!(world.sandbox.library().set_favorite(&asset, true));
    let said = world.run(&["sync", "--sidecars", "xmp", "--log-level", "info"], 0).stderr();
    assert_eq!((said.matches("somebody else").count(), fs::read_to_string(&sidecar).unwrap()), (0, theirs));
}

#[test]
fn a_kill_while_sidecars_are_written_leaves_whole_ones_and_the_next_run_the_rest() {
    let world = World::new(Options { assets: 12, ..library() });
    world.run(&["sync"], 0);
    let photos = facts(&world.photos(), "");
    let mut kills = 0;
    for step in [4, 9, 14, 19, 30, 45] {
        let done = world.rollbook(&SYNC).env("ROLLBOOK_FAULT", format!("kill:{step}")).output().unwrap();
        kills += i32::from(done.status.code().is_none());
        for name in facts(&world.photos(), ".xmp").keys() {
            let text = fs::read_to_string(world.photos().join(name)).unwrap();
            assert!(text.trim_end().ends_with("<?xpacket end=\"w\"?>"), "{name}");
        }
    }
    assert!(kills >= 4, "{kills}");
    let said = world.run(&["sync", "--sidecars", "xmp", "--log-level", "info"], 0).stderr();
    assert!(!said.contains("somebody else"), "its own are known again: {said}");
    assert_eq!(facts(&world.photos(), ".xmp").len(), expected(&world).len());
    assert!(world.tree().keys().all(|name| !name.ends_with(".part")), "{:?}", world.tree().keys());
    let after = facts(&world.photos(), "");
    assert!(photos.iter().all(|(path, facts)| after.get(path) == Some(facts)));
}

/// Sidecars in the trash, and those in their places.
fn in_trash(world: &World) -> (usize, usize) {
    let (trash, places): (Vec<String>, Vec<String>) =
        facts(&world.photos(), ".xmp").into_keys().partition(|name| name.starts_with(".rollbook-trash/"));
    (trash.len(), places.len())
}

#[test]
fn a_sidecar_goes_to_the_trash_with_its_photo_comes_back_with_it_and_goes_for_good_with_it() {
    let world = World::new(Options { assets: 6, ..library() });
    world.run(&SYNC, 0);
    let all = facts(&world.photos(), "").into_keys().collect::<Vec<_>>();
    let whole = in_trash(&world).1;
    let trash = ["sync", "--sidecars", "xmp", "--deleted", "trash"];
    let cloud = world.sandbox.library();
    let gone = cloud.assets()[..1].to_vec();
    let mut kills = 0;
    for step in (1..).step_by(7) {
        let killed = |args: &[&str]| {
            let mut command = world.rollbook(args);
            command.env("ROLLBOOK_FAULT", format!("kill:{step}")).output().unwrap().status.code().is_none()
        };
        gone.iter().for_each(|asset| assert!(cloud.delete_asset(asset)));
        let first = killed(&trash);
        world.run(&trash, 0);
        let photos = world.count(
            "trash_path IS NOT NULL AND EXISTS (SELECT 1 FROM sidecar s WHERE s.file_id = asset_file.file_id)",
        ) as usize;
        assert!(photos > 0);
        assert_eq!(in_trash(&world), (photos, whole - photos), "kill:{step}");
        let second = killed(&["undelete", "--all"]);
        world.run(&trash, 0);
        world.rollbook(&["undelete", "--all"]).output().unwrap();
        assert_eq!(in_trash(&world), (0, whole), "kill:{step}");
        gone.iter().for_each(|asset| assert!(cloud.restore_asset(asset)));
        world.run(&SYNC, 0);
        assert_eq!(facts(&world.photos(), "").into_keys().collect::<Vec<_>>(), all, "kill:{step}");
        kills += i32::from(first) + i32::from(second);
        if !first && !second {
            break;
        }
    }
    assert!(kills > 4, "{kills}");

    gone.iter().for_each(|asset| assert!(cloud.delete_asset(asset)));
    world.run(&trash, 0);
    let (held, _) = in_trash(&world);
    world.run(&[&trash[..], &["--trash-days", "0"]].concat(), 0);
    assert_eq!(in_trash(&world), (0, whole - held));
    assert!(!world.photos().join(".rollbook-trash").exists());
}
