//! Verify: files are read back, within a budget, from where it was left; what is damaged is kept aside
//! and fetched again, to the byte.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rollbook_sandbox::{Endpoint, Options};
use serde_json::Value;
use support::World;

fn synced(assets: u32) -> World {
    let world = World::new(Options { assets, ..Options::default() });
    world.run(&["sync"], 0);
    world
}

fn verify(world: &World, args: &[&str], code: i32) -> Value {
    let said = world.run(&[&["verify", "--json"], args].concat(), code).stdout();
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// Paths and sizes, in the order of the line: none was checked yet.
fn files(world: &World) -> Vec<(String, u64)> {
    let journal = world.journal();
    let mut statement = journal.prepare("SELECT path, size_bytes FROM v_file ORDER BY file_id").unwrap();
    let rows = statement.query_map([], |r| Ok((r.get(0)?, r.get::<_, i64>(1)?.unsigned_abs()))).unwrap();
    rows.map(Result::unwrap).collect()
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Files beside `path` that were set aside.
fn aside(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().unwrap().to_str().unwrap();
    let entries = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{name}.damaged-")))
        .collect()
}

#[test]
fn a_whole_tree_is_read_once_and_not_again_before_it_is_due() {
    let world = synced(10);
    let tree = world.tree();
    let bytes: u64 = files(&world).iter().map(|(_, size)| size).sum();
    let answer = verify(&world, &[], 0);
    let of = &answer["accounts"][0];
    assert_eq!(
        (of["files_read"].as_u64(), of["bytes_read"].as_u64()),
        (Some(tree.len() as u64), Some(bytes))
    );
    assert_eq!((of["files_due"].as_u64(), of["findings_total"].as_u64()), (Some(0), Some(0)));
    assert_eq!(world.count("checked_at IS NULL"), 0);
    let said = world.run(&["verify"], 0).stdout();
    assert!(said.contains("0 files read back") && said.contains("--all reads them again"), "{said}");
    world.journal().execute_batch("UPDATE asset_file SET checked_at = 1 WHERE file_id < 4").unwrap();
    assert_eq!(verify(&world, &[], 0)["accounts"][0]["files_read"], 3, "only what is due");
    assert_eq!(verify(&world, &["--all"], 0)["accounts"][0]["files_read"].as_u64(), Some(tree.len() as u64));
    assert_eq!(world.tree(), tree, "nothing is written to the tree");
    let status: Value = serde_json::from_str(&world.run(&["status", "--json"], 0).stdout()).unwrap();
    assert_eq!(status["last_verify"]["outcome"], "complete");
    assert_eq!(status["never_checked_files"], 0);
}

#[test]
fn damage_is_kept_aside_and_a_repair_fetches_exactly_those_bytes() {
    let world = synced(8);
    let (tree, files) = (world.tree(), files(&world));
    let full = |index: usize| world.photos().join(&files[index].0);
    flip(&full(0));
    fs::File::options().write(true).open(full(1)).unwrap().set_len(5).unwrap();
    fs::remove_file(full(2)).unwrap();
    let rotten = [support::sha256(&full(0)), support::sha256(&full(1))];
    let answer = verify(&world, &[], 1);
    let kinds: Vec<&str> =
        answer["findings"].as_array().unwrap().iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "damaged").count(), 2, "{answer:#}");
    assert_eq!(kinds.iter().filter(|kind| **kind == "missing").count(), 1, "{answer:#}");
    for index in [0, 1] {
        let kept = aside(&full(index));
        assert_eq!(kept.len(), 1, "{index}");
        assert_eq!(support::sha256(&kept[0]), rotten[index], "kept as it was");
        assert!(!full(index).exists());
    }
    // One that is not there was not read, and neither was one whose length says it all.
    let bytes: u64 =
        files.iter().enumerate().filter(|(at, _)| ![1, 2].contains(at)).map(|(_, of)| of.1).sum();
    let of = &answer["accounts"][0];
    assert_eq!((&of["files_read"], &of["bytes_read"]), (&(files.len() - 2).into(), &bytes.into()));
    // What is missing was perhaps moved, or deleted on purpose: that is not for a reading to say.
    assert_eq!((world.history("lost"), world.count("state = 'pending'")), (2, 2));
    assert_eq!(
        (&answer["accounts"][0]["files_lost"], &answer["accounts"][0]["files_missing"]),
        (&2.into(), &1.into())
    );
    let detail: String = world
        .journal()
        .query_row("SELECT detail FROM v_history WHERE event = 'lost' AND path = ?1", [&files[0].0], |r| {
            r.get(0)
        })
        .unwrap();
    assert!(detail.starts_with("damaged: its bytes are not") && detail.contains("kept as "), "{detail}");
    // Only the damaged bytes come, and the tree is whole.
    world.sandbox.reset_counters();
    let answer = verify(&world, &["--repair"], 0);
    let wanted: u64 = files[..3].iter().map(|(_, size)| size).sum();
    assert_eq!(answer["accounts"][0]["files_repaired"], 3, "{answer:#}");
    let counters = world.sandbox.counters();
    assert_eq!((counters.cdn_bytes, counters.of(Endpoint::Cdn)), (wanted, 3));
    let mut now = world.tree();
    now.retain(|path, _| !path.contains(".damaged-"));
    assert_eq!(now, tree);
    world.assert_rows_are_true();
    world.run(&["audit", "--deep"], 0);
}

#[test]
fn a_repair_in_one_go_ends_with_zero_and_what_apple_lost_is_said() {
    let world = synced(6);
    let files = files(&world);
    flip(&world.photos().join(&files[0].0));
    assert_eq!(verify(&world, &["--repair"], 0)["accounts"][0]["files_repaired"], 1);
    world.run(&["audit", "--deep"], 0);
    // This one is gone from iCloud for good: nobody has these bytes any more but the file set aside.
    let (asset, path): (String, String) = world
        .journal()
        .query_row("SELECT asset, path FROM v_file ORDER BY file_id DESC LIMIT 1", [], |r| {
            Ok((r.get(0)?, r.get(1)?))
        })
        .unwrap();
    assert!(world.sandbox.library().purge(&asset));
    flip(&world.photos().join(&path));
    verify(&world, &["--all", "--repair"], 1);
    assert_eq!(aside(&world.photos().join(&path)).len(), 1);
    let kind = || -> String {
        let sql = "SELECT kind FROM v_problem WHERE name = ?1";
        world.journal().query_row(sql, [&path], |r| r.get(0)).unwrap()
    };
    assert_eq!(kind(), "gone");
    world.run(&["sync"], 0);
    assert_eq!(kind(), "gone", "though by now the asset has left the library");
}

#[test]
fn a_budget_is_kept_and_the_next_run_goes_on_there() {
    let world = synced(10);
    let sizes: Vec<u64> = files(&world).iter().map(|(_, size)| *size).collect();
    let budget = sizes[0] + sizes[1] + 1;
    let within = |sizes: &[u64]| {
        let mut left = budget;
        // The first is read whatever its size.
        1 + sizes[1..]
            .iter()
            .take_while(|size| {
                let fits = **size <= left.saturating_sub(sizes[0]);
                left -= **size * u64::from(fits);
                fits
            })
            .count()
    };
    let mut done = 0;
    while done < sizes.len() {
        let answer = verify(&world, &["--budget-bytes", &budget.to_string()], 0);
        let of = &answer["accounts"][0];
        let read = of["files_read"].as_u64().unwrap() as usize;
        assert_eq!(read, within(&sizes[done..]), "after {done}");
        done += read;
        assert_eq!(of["files_due"].as_u64().unwrap() as usize, sizes.len() - done);
        assert_eq!(world.count("checked_at IS NOT NULL") as usize, done);
    }
    assert_eq!(verify(&world, &["--budget-time", "1h"], 0)["accounts"][0]["files_read"], 0);
    world.run(&["verify", "--budget-bytes", "much"], 2);
}

#[test]
fn a_killed_verify_goes_on_behind_its_last_group() {
    let world = synced(120);
    let total = files(&world).len() as i64;
    assert!(total > 2 * 64, "several groups: {total}");
    // Steps of a verify that nothing disturbs, and where its commits lie.
    let log = world.log_file();
    let mut command = world.rollbook(&["verify", "--budget-bytes", "1"]);
    command.env("ROLLBOOK_FAULT", "kill:1000000").env("ROLLBOOK_FAULT_LOG", &log);
    assert!(command.status().unwrap().success());
    // Each file is two steps, a look and a reading: this kill falls into the second group.
    let status = world.rollbook(&["verify"]).env("ROLLBOOK_FAULT", "kill:220").status().unwrap();
    assert_eq!(status.code(), None, "it was killed");
    let checked = world.count("checked_at IS NOT NULL");
    assert!((64..total).contains(&checked), "{checked} of {total}");
    let answer = verify(&world, &[], 0);
    assert_eq!(answer["accounts"][0]["files_read"].as_u64().unwrap() as i64, total - checked);
    assert_eq!(world.count("checked_at IS NULL"), 0);
}

#[test]
fn what_cannot_be_read_stays_verified_and_is_named_until_it_is_read() {
    let world = synced(4);
    let tree = world.tree();
    let output = world.rollbook(&["verify", "--json"]).env("ROLLBOOK_FAULT", "5:readback").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let kinds = answer["findings"].as_array().unwrap();
    assert_eq!(kinds.len(), tree.len());
    let of = &answer["accounts"][0];
    assert_eq!((&of["files_read"], &of["bytes_read"]), (&0.into(), &0.into()), "{answer:#}");
    assert!(kinds.iter().all(|line| line["kind"] == "unreadable"), "{answer:#}");
    assert_eq!(world.count("state = 'verified'") as usize, tree.len());
    let problems = || -> i64 {
        let sql = "SELECT count(*) FROM v_problem WHERE kind = 'unreadable'";
        world.journal().query_row(sql, [], |r| r.get(0)).unwrap()
    };
    assert_eq!(problems() as usize, tree.len());
    // A folder that somebody replaced by a link is not followed, and its files are not called lost.
    let path = files(&world)[0].0.clone();
    let folder = world.photos().join(&path).parent().unwrap().to_owned();
    let elsewhere = world.data_dir().join("moved");
    fs::rename(&folder, &elsewhere).unwrap();
    symlink(&elsewhere, &folder).unwrap();
    verify(&world, &[], 1);
    assert_eq!(world.history("lost"), 0);
    fs::remove_file(&folder).unwrap();
    fs::rename(&elsewhere, &folder).unwrap();
    verify(&world, &[], 0);
    assert_eq!(problems(), 0);
    assert_eq!(world.tree(), tree);
}

#[test]
fn a_disk_that_went_away_ends_it_and_nothing_is_lost() {
    let world = synced(3);
    fs::remove_file(world.photos().join(".rollbook")).unwrap();
    world.run(&["verify"], 4);
    assert_eq!(world.history("lost"), 0);
}

#[test]
fn something_else_in_place_of_a_file_stays_and_ours_takes_another_name() {
    let world = synced(4);
    let path = world.photos().join(&files(&world)[0].0);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("mine.txt"), b"mine").unwrap();
    let answer = verify(&world, &["--repair"], 0);
    assert_eq!(answer["findings"][0]["kind"], "replaced", "{answer:#}");
    assert_eq!(fs::read(path.join("mine.txt")).unwrap(), b"mine");
    world.assert_rows_are_true();
    world.run(&["audit"], 0);
}

#[test]
fn what_is_missing_goes_the_one_way_of_every_sync_whoever_finds_it() {
    let world = synced(12);
    let (files, fetched) = (files(&world), world.sandbox.counters().cdn_bytes);
    let at = |index: usize| world.photos().join(&files[index].0);
    // One moved, one deleted; the look at the files is fresh, and a verify finds both first.
    fs::create_dir(world.photos().join("Holiday")).unwrap();
    fs::rename(at(0), world.photos().join("Holiday/best.jpg")).unwrap();
    fs::remove_file(at(1)).unwrap();
    let said = world.run(&["verify"], 1).stdout();
    assert_eq!(said.matches("missing: ").count(), 2, "{said}");
    assert!(said.contains("\"rollbook sync\" looks where the missing ones are"), "{said}");
    assert!(!said.contains("not read yet"), "{said}");
    assert_eq!((world.history("lost"), world.count("standing <> 'verified'")), (0, 0));
    let outcome: String = world
        .journal()
        .query_row("SELECT outcome FROM v_run WHERE verb = 'verify'", [], |r| r.get(0))
        .unwrap();
    assert_eq!(outcome, "damage found");
    world.run(&["sync"], 0);
    assert_eq!((world.history("relocated"), world.history("released"), world.history("lost")), (1, 1, 0));
    assert_eq!(world.sandbox.counters().cdn_bytes, fetched, "nothing is fetched that was not asked for");

    // A repair is such a wish: what is nowhere comes again, and what was moved only learns its place.
    fs::rename(at(2), world.photos().join("Holiday/second.jpg")).unwrap();
    fs::remove_file(at(3)).unwrap();
    let answer = verify(&world, &["--all", "--repair"], 0);
    assert_eq!(answer["accounts"][0]["files_repaired"], 1, "{answer:#}");
    assert_eq!(answer["accounts"][0]["files_missing"], 1, "{answer:#}");
    assert_eq!((world.history("relocated"), world.history("lost")), (2, 1));
    assert_eq!(world.sandbox.counters().cdn_bytes, fetched + files[3].1);
    world.assert_rows_are_true();

    // And the brake holds here too: a destination that is there by half is no loss.
    for (path, _) in &files[4..] {
        let _ = fs::remove_file(world.photos().join(path));
    }
    let answer = world.run(&["verify", "--all", "--repair"], 4);
    assert!(answer.stderr().contains("--allow-missing"), "{}", answer.stderr());
    assert_eq!(world.history("lost"), 1);
}
