//! It never harms what is there: no write to iCloud, no local file replaced, nothing written where
//! the destination should be mounted.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rollbook_sandbox::{Endpoint, Options};
use support::World;

/// Puts something at a path where a file of so many bytes is to come.
type Put = fn(&Path, u64);

/// What a stranger puts under a name that the journal has chosen for a file.
const STRANGERS: [(&str, Put); 4] = [
    ("a file of another size", |path, _| fs::write(path, "notes of a stranger").unwrap()),
    ("a file of the same size", |path, size| fs::write(path, vec![7; size as usize]).unwrap()),
    ("a folder with a file", |path, _| {
        fs::create_dir(path).unwrap();
        fs::write(path.join("inside.txt"), "inside").unwrap();
    }),
    ("a link to a file elsewhere", |path, _| {
        let elsewhere = outside(path);
        fs::write(&elsewhere, "elsewhere").unwrap();
        symlink(elsewhere, path).unwrap();
    }),
];

/// A place out of the tree for the link to lead to.
fn outside(path: &Path) -> PathBuf {
    path.ancestors().find(|folder| folder.ends_with("photos")).unwrap().with_file_name("elsewhere.txt")
}

/// All that a person could notice: what kind of thing it is, and what it holds.
fn look(path: &Path) -> (fs::FileType, Vec<u8>) {
    let held = if path.is_dir() { fs::read(path.join("inside.txt")) } else { fs::read(path) };
    (fs::symlink_metadata(path).unwrap().file_type(), held.unwrap())
}

#[test]
fn what_a_stranger_put_under_a_chosen_name_stays_and_ours_takes_another() {
    let world = World::new(Options { assets: 12, ..Options::default() });
    world.run(&["plan"], 0);
    let chosen: Vec<(String, u64)> = world
        .journal()
        .prepare("SELECT path, size_bytes FROM v_file WHERE rendition = 'original' ORDER BY file_id")
        .unwrap()
        .query_map([], |r| Ok((r.get(0)?, r.get::<_, i64>(1)? as u64)))
        .unwrap()
        .map(Result::unwrap)
        .take(STRANGERS.len())
        .collect();
    let mut before = Vec::new();
    for ((what, put), (path, size_bytes)) in STRANGERS.into_iter().zip(&chosen) {
        let path = world.photos().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        put(&path, *size_bytes);
        before.push((what, look(&path), path));
    }

    world.run(&["sync"], 0);
    for (what, was, path) in before {
        assert_eq!(look(&path), was, "{what}");
    }
    world.assert_rows_are_true();
    let tree: Vec<String> = world.tree().into_values().collect();
    let truth = world.sandbox.truth();
    assert!(truth.iter().all(|file| tree.contains(&file.sha256)), "every file is home all the same");
    assert_eq!(tree.len(), truth.len() + STRANGERS.len(), "each of them once, beside the strangers'");
    assert_eq!(world.sandbox.counters().of(Endpoint::RecordsModify), 0, "nothing is written to iCloud");
}

#[test]
fn a_lost_journal_is_made_anew_from_the_files_and_fetches_none_again() {
    let world = World::new(Options { assets: 40, ..Options::default() });
    world.run(&["sync"], 0);
    let tree = world.tree();
    fs::remove_dir_all(world.data_dir()).unwrap();
    world.sandbox.reset_counters();

    world.run(&["sync"], 0);
    assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), 0, "what stands is read, not fetched");
    assert_eq!(world.tree(), tree);
    world.assert_complete();
}

#[test]
fn a_missing_mount_is_absent_and_nothing_is_written_in_its_place() {
    let world = World::new(Options { assets: 5, ..Options::default() });
    world.run(&["sync"], 0);
    let (mounted, aside) = (world.photos(), world.photos().with_file_name("unmounted"));
    fs::rename(&mounted, &aside).unwrap();
    world.sandbox.reset_counters();
    for empty_mount_point in [false, true] {
        if empty_mount_point {
            fs::create_dir(&mounted).unwrap();
        }
        let ran = world.run(&["sync"], 4);
        assert!(ran.stderr().contains("hint: mount it"), "{}", ran.stderr());
        assert_eq!(mounted.exists(), empty_mount_point);
    }
    assert_eq!(fs::read_dir(&mounted).unwrap().count(), 0, "the mount point stays empty");
    assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), 0);

    fs::remove_dir(&mounted).unwrap();
    fs::rename(&aside, &mounted).unwrap();
    world.run(&["sync"], 0);
    assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), 0, "nothing was called lost");
    world.assert_complete();
}
