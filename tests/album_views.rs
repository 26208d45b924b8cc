//! Albums as folders: links to the one copy of each photo, in step with iCloud, and never in the way
//! of anybody else's files.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use rollbook_sandbox::{Endpoint, Options};
use serde_json::Value;
use support::{World, sha256};

fn library() -> Options {
    Options { assets: 40, seed: 3, ..Options::default() }
}

/// The album that every library of the sandbox has; its truth does not tell of it.
const BUILT_IN: &str = "Sommer _ Überblick";

/// Digests of the files in each folder below `root`, links followed.
fn view(root: &Path) -> Content {
    let mut view = BTreeMap::new();
    for path in files(root) {
        let folder = path.parent().unwrap().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        view.entry(folder).or_insert_with(Vec::new).push(sha256(&path));
    }
    view.values_mut().for_each(|digests: &mut Vec<String>| digests.sort());
    view.remove(BUILT_IN);
    content(view)
}

fn files(root: &Path) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![root.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if fs::symlink_metadata(&path).unwrap().is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// What the sandbox says each album holds, by the way to it.
fn truth(world: &World) -> Content {
    let albums = world.sandbox.library().albums();
    let files = world.sandbox.truth();
    let mut truth = BTreeMap::new();
    for album in albums.iter().filter(|album| !album.is_folder) {
        let mut way = vec![album.name.clone()];
        let mut parent = album.parent.as_deref();
        while let Some(above) = albums.iter().find(|one| Some(one.record.as_str()) == parent) {
            way.insert(0, above.name.clone());
            parent = above.parent.as_deref();
        }
        let way = way.iter().map(|name| name.replace(['/', ':'], "_")).collect::<Vec<_>>().join("/");
        let mut digests: Vec<String> = files
            .iter()
            .filter(|file| album.members.contains(&file.asset_record) && !file.is_deleted)
            .map(|file| file.sha256.clone())
            .collect();
        digests.sort();
        // As rollbook names it: no dot in front, and a number for the second of one name.
        let way = way.replace(".._", "_._");
        let second = truth.contains_key(&way);
        if !digests.is_empty() {
            truth.insert(if second { format!("{way} (2)") } else { way }, digests);
        }
    }
    content(truth)
}

fn albums(world: &World) -> PathBuf {
    world.photos().join("Albums")
}

/// Some assets of the library, by record name.
fn assets(world: &World, count: usize) -> Vec<String> {
    let mut assets: Vec<String> = world.sandbox.library().assets();
    assets.sort();
    assets.truncate(count);
    assets
}

type Content = (Vec<String>, Vec<Vec<String>>);

/// Folders, and what they hold: which of two albums of one name has the number is nobody's business.
fn content(view: BTreeMap<String, Vec<String>>) -> Content {
    let (folders, mut held): (Vec<_>, Vec<_>) = view.into_iter().unzip();
    held.sort();
    (folders, held)
}

/// A library with two albums in a folder, of one name.
fn with_albums() -> World {
    let world = World::new(library());
    let (cloud, names) = (world.sandbox.library(), assets(&world, 6));
    let trips = cloud.add_album("Trips", None, true);
    for part in names.chunks(3) {
        let album = cloud.add_album("../Rome", Some(&trips), false);
        part.iter().for_each(|name| assert!(cloud.join(&album, name)));
    }
    world
}

fn inodes(paths: &[PathBuf]) -> BTreeSet<(u64, i64, i64)> {
    let stat = |path: &PathBuf| fs::symlink_metadata(path).unwrap();
    paths.iter().map(stat).map(|meta| (meta.ino(), meta.mtime(), meta.mtime_nsec())).collect()
}

#[test]
fn albums_are_folders_of_links_and_follow_every_change_in_icloud() {
    for kind in ["hardlink", "symlink"] {
        let world = World::new(library());
        let cloud = world.sandbox.library();
        let sync = ["sync", "--album-views", kind];
        world.run(&sync, 0);
        assert_eq!(view(&albums(&world)), truth(&world), "as it is from the start");
        let photos: Vec<PathBuf> =
            files(&world.photos()).into_iter().filter(|path| !path.starts_with(albums(&world))).collect();
        let before = inodes(&photos);
        for link in files(&albums(&world)) {
            let meta = fs::symlink_metadata(&link).unwrap();
            assert_eq!(meta.is_symlink(), kind == "symlink");
            assert!(kind == "symlink" || meta.nlink() > 1, "{}", link.display());
            assert!(!meta.is_symlink() || fs::read_link(&link).unwrap().is_relative());
        }

        let names = assets(&world, 8);
        let trips = cloud.add_album("Trips: all", None, true);
        let rome = cloud.add_album("Rome/Lazio", Some(&trips), false);
        let twin = cloud.add_album("Oslo", Some(&trips), false);
        for name in &names {
            assert!(cloud.join(&rome, name));
        }
        assert!(cloud.join(&twin, &names[0]) && cloud.join(&twin, &names[1]));
        world.run(&sync, 0);
        assert_eq!(view(&albums(&world)), truth(&world), "albums that are new");

        assert!(cloud.leave(&rome, &names[0]) && cloud.rename_album(&twin, "Bergen"));
        assert!(cloud.delete_asset(&names[1]));
        world.run(&sync, 0);
        let seen = view(&albums(&world));
        assert_eq!(seen, truth(&world), "left, renamed, deleted");
        assert!(!albums(&world).join("Trips_ all/Oslo").exists(), "no empty folder stays");
        assert!(cloud.delete_album(&rome));
        world.run(&sync, 0);
        assert_eq!(view(&albums(&world)), truth(&world), "an album that is gone");
        let after = inodes(&photos);
        assert!(kind == "hardlink" || before == after, "the photos stay as they are");

        // Nothing changed: nothing is touched, and nothing is asked for.
        let links = inodes(&files(&albums(&world)));
        world.sandbox.reset_counters();
        world.run(&sync, 0);
        assert_eq!((inodes(&files(&albums(&world))), world.sandbox.counters().of(Endpoint::Cdn)), (links, 0));
    }
}

#[test]
fn build_needs_no_network_mends_what_is_missing_and_leaves_what_is_not_ours() {
    let world = with_albums();
    world.run(&["sync"], 0);
    assert!(!albums(&world).exists(), "none unless they are wanted");
    let built = |args: &[&str]| -> Value {
        let ran = world.run(&[&["albums", "build", "--json"], args].concat(), 0);
        serde_json::from_str::<Value>(&ran.stdout()).unwrap()[0].clone()
    };
    world.sandbox.reset_counters();
    let first = built(&[]);
    let truth = truth(&world);
    assert_eq!(view(&albums(&world)), truth);
    assert_eq!((world.sandbox.counters().auth(), world.sandbox.counters().setup()), (0, 0));
    let links = files(&albums(&world));
    assert!(links.len() > 3 && first["made"] == links.len(), "{first:#}");

    // A link that a person removed comes again; what a person put there stays.
    fs::remove_file(&links[0]).unwrap();
    fs::remove_file(&links[1]).unwrap();
    fs::write(&links[1], "mine").unwrap();
    let mine = links[1].parent().unwrap().join("notes.txt");
    fs::write(&mine, "mine too").unwrap();
    let again = built(&[]);
    assert_eq!((&again["made"], again["foreign"].as_array().unwrap().len()), (&1.into(), 1), "{again:#}");
    assert_eq!(
        (fs::read(&links[1]).unwrap(), fs::read(&mine).unwrap()),
        (b"mine".to_vec(), b"mine too".to_vec())
    );

    // Another kind of link replaces ours and nothing else.
    built(&["--as", "symlink"]);
    assert!(fs::symlink_metadata(&links[0]).unwrap().is_symlink());
    assert_eq!(fs::read(&links[1]).unwrap(), b"mine");

    // Another folder is another view.
    let elsewhere = tempfile::tempdir_in(world.photos().parent().unwrap()).unwrap();
    built(&["--album-directory", elsewhere.path().to_str().unwrap(), "--as", "symlink"]);
    assert_eq!(view(elsewhere.path()), truth);
    world.assert_rows_are_true();
}

#[test]
fn a_way_that_leads_out_of_the_view_is_not_followed() {
    let world = with_albums();
    world.run(&["sync"], 0);
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir(albums(&world)).unwrap();
    symlink(outside.path(), albums(&world).join("Trips")).unwrap();
    let said = world.run(&["albums", "build"], 0).stderr();
    assert!(said.contains("no link of ours"), "{said}");
    assert!(files(outside.path()).is_empty());
}

#[test]
fn a_kill_while_links_are_made_leaves_links_that_are_known_again() {
    let world = with_albums();
    world.run(&["sync"], 0);
    let mut kills = 0;
    for step in [2, 5, 8, 12, 18] {
        let done = world
            .rollbook(&["albums", "build"])
            .env("ROLLBOOK_FAULT", format!("kill:{step}"))
            .output()
            .unwrap();
        kills += i32::from(done.status.code().is_none());
    }
    assert!(kills >= 3, "{kills}");
    let ran = world.run(&["albums", "build", "--json"], 0);
    let built: Value = serde_json::from_str(&ran.stdout()).unwrap();
    assert_eq!(built[0]["foreign"], Value::Array(Vec::new()));
    assert_eq!(view(&albums(&world)), truth(&world));
    assert_eq!(built[0]["links"], files(&albums(&world)).len());
}

#[test]
fn a_link_that_a_killed_run_made_is_no_place_where_a_photo_went() {
    let mut kills = 0;
    // A kill before every third step: some make folders and links, some tell the journal.
    for step in (1..).step_by(3) {
        let world = with_albums();
        world.run(&["sync"], 0);
        if !killed(&world, &["albums", "build"], step) {
            break;
        }
        kills += 1;
        let photo = |link: &PathBuf| {
            let inode = fs::metadata(link).unwrap().ino();
            let mut photos = files(&world.photos()).into_iter();
            photos
                .find(|path| !path.starts_with(albums(&world)) && fs::metadata(path).unwrap().ino() == inode)
        };
        let Some(photo) = files(&albums(&world)).last().and_then(photo) else { continue };
        fs::remove_file(photo).unwrap();
        world.run(&["sync", "--check-files"], 0);
        assert_eq!((world.history("relocated"), world.history("released")), (0, 1), "kill:{step}");
    }
    assert!(kills > 3, "{kills}");
}

#[test]
#[expect(clippy::print_stderr, reason = "says that it was skipped")]
fn links_that_cannot_be_made_are_wanted_no_more_by_a_run_that_asks_for_none() {
    let world = with_albums();
    let memory = Path::new("/dev/shm");
    let here = fs::metadata(world.photos().parent().unwrap()).unwrap().dev();
    if !memory.is_dir() || fs::metadata(memory).unwrap().dev() == here {
        eprintln!("skipped: there is but one file system here");
        return;
    }
    let other = tempfile::tempdir_in(memory).unwrap();
    let sync = ["sync", "--album-views", "hardlink", "--album-directory", other.path().to_str().unwrap()];
    let intended = || -> i64 {
        world.journal().query_row("SELECT count(*) FROM album_link", [], |row| row.get(0)).unwrap()
    };
    world.run(&sync, 4);
    assert_eq!(intended(), 0, "what was refused is forgotten");
    world.run(&["sync"], 0);

    // A kill before the refusal leaves what was intended; whoever comes next settles it.
    let step = (1..).find(|step| {
        assert!(killed(&world, &sync, *step), "no kill left an intent");
        intended() > 0
    });
    let ran = world.run(&["sync", "--album-views", "none"], 0);
    assert!(ran.stderr().contains("links of albums stay as they are"), "{step:?} {}", ran.stderr());
    assert_eq!(intended(), 0);
    world.assert_complete();
}

#[test]
fn a_link_that_the_disk_refuses_when_it_is_made_again_is_made_by_the_next_run_whatever_that_asks_for() {
    let world = with_albums();
    world.run(&["sync", "--album-views", "hardlink"], 0);
    let whole = truth(&world);
    let refused = |args: &[&str]| {
        let run = world.rollbook(args).env("ROLLBOOK_FAULT", "13:link").output().unwrap();
        assert_eq!(run.status.code(), Some(4), "{}", String::from_utf8_lossy(&run.stderr));
        assert_ne!(view(&albums(&world)), whole);
    };
    // One that a person removed.
    fs::remove_file(files(&albums(&world)).pop().unwrap()).unwrap();
    refused(&["albums", "build"]);
    world.run(&["sync"], 0);
    assert_eq!(view(&albums(&world)), whole);
    // All of them, because the photos moved.
    let flat = ["--folder-structure", "none"];
    refused(&[&["relayout"], &flat[..]].concat());
    world.run(&[&["sync"], &flat[..]].concat(), 0);
    assert_eq!(view(&albums(&world)), whole);
    world.assert_rows_are_true();
}

#[test]
fn membership_is_exported_as_json_and_as_a_table() {
    let world = with_albums();
    world.run(&["plan"], 0);
    let lines: Value = serde_json::from_str(&world.run(&["albums", "export", "--json"], 0).stdout()).unwrap();
    let lines = lines.as_array().unwrap();
    let members: usize = world.sandbox.library().albums().iter().map(|album| album.members.len()).sum();
    let built_in = lines.iter().filter(|line| line["album"][0] == "Sommer / Überblick").count();
    assert_eq!(lines.len() - built_in, members);
    let members = lines.len();
    assert!(
        lines.iter().all(|line| line["path"].is_null() && !line["filename"].is_null()),
        "nothing is here yet"
    );
    world.run(&["sync"], 0);
    let table = world.run(&["albums", "export", "--csv"], 0).stdout();
    assert_eq!(table.lines().count(), members + 1);
    assert!(
        table.lines().skip(1).all(|line| line.contains("PrimarySync") && !line.ends_with(',')),
        "{table}"
    );
}

/// Runs with a fault; whether it was killed.
fn killed(world: &World, args: &[&str], step: usize) -> bool {
    let fault = format!("kill:{step}");
    world.rollbook(args).env("ROLLBOOK_FAULT", fault).output().unwrap().status.code().is_none()
}

#[test]
fn a_relayout_takes_the_views_along_and_a_kill_in_it_leaves_what_the_next_sync_mends() {
    for kind in ["hardlink", "symlink"] {
        let world = World::new(Options { assets: 6, mean_size_bytes: Some(2_000), ..library() });
        let (cloud, names) = (world.sandbox.library(), assets(&world, 3));
        let rome = cloud.add_album("Rome", None, false);
        names.iter().for_each(|name| assert!(cloud.join(&rome, name)));
        let sync = ["sync", "--album-views", kind];
        world.run(&sync, 0);
        let (whole, fetched) = (truth(&world), world.sandbox.counters().cdn_bytes);

        // No flag says that there are views: the journal knows them.
        world.run(&["relayout", "--folder-structure", "none"], 0);
        assert_eq!(view(&albums(&world)), whole, "{kind}");
        for link in files(&albums(&world)) {
            assert!(fs::metadata(&link).is_ok(), "{} leads to its photo", link.display());
        }
        let links = inodes(&files(&albums(&world)));
        world.run(&["sync", "--folder-structure", "none", "--album-views", kind], 0);
        assert_eq!(inodes(&files(&albums(&world))), links, "{kind}: nothing was left to do");

        let (mut kills, mut templates) = (0, ["%Y", "none"].into_iter().cycle());
        for step in (1..).step_by(5) {
            let template = ["--folder-structure", templates.next().unwrap()];
            let was_killed = killed(&world, &[&["relayout"], &template[..]].concat(), step);
            world.run(&[&sync, &template[..]].concat(), 0);
            assert_eq!(view(&albums(&world)), whole, "{kind} kill:{step}");
            world.run(&[&["relayout"], &template[..]].concat(), 0);
            assert_eq!(view(&albums(&world)), whole, "{kind} kill:{step}");
            world.assert_rows_are_true();
            if !was_killed {
                break;
            }
            kills += 1;
        }
        assert!(kills > 5, "{kills}");
        assert_eq!(world.sandbox.counters().cdn_bytes, fetched);
    }
}

#[test]
fn a_link_of_an_album_is_never_taken_for_the_place_where_a_photo_went() {
    for deleted in [false, true] {
        let world = with_albums();
        let sync = ["sync", "--check-files", "--album-views", "hardlink"];
        world.run(&sync, 0);
        let sql = "SELECT f.path FROM v_file f JOIN asset a ON a.record_name = f.asset
             JOIN album_asset m ON m.asset_name = a.record_name WHERE f.state = 'verified' LIMIT 1";
        let path: String = world.journal().query_row(sql, [], |row| row.get(0)).unwrap();
        fs::create_dir(world.photos().join("mine")).unwrap();
        let away = world.photos().join("mine/moved.jpg");
        match deleted {
            true => fs::remove_file(world.photos().join(&path)).unwrap(),
            false => fs::rename(world.photos().join(&path), &away).unwrap(),
        }
        world.run(&sync, 0);
        assert_eq!(world.count("path LIKE 'Albums/%'"), 0, "no row leads into the view");
        assert_eq!(world.history("relocated"), i64::from(!deleted));
        assert_eq!(world.history("released"), i64::from(deleted), "what is deleted here is said");
        world.run(&["audit"], 0);
    }
}
