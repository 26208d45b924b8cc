//! Audit: it balances after every clean scenario, and names the damage after every other.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use rollbook_sandbox::{Endpoint, Fault, Kind, Options, What};
use serde_json::Value;
use support::World;

fn synced(options: Options) -> World {
    let world = World::new(options);
    world.run(&["sync"], 0);
    world
}

/// Runs an audit and gives its answer; the exit code must be `code`.
fn audit(world: &World, args: &[&str], code: i32) -> Value {
    let args = [&["audit", "--json"], args].concat();
    let said = world.run(&args, code).stdout();
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// The differences of an answer: kind and name.
fn named(answer: &Value) -> BTreeSet<(String, String)> {
    let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
    let lines = answer["differences"].as_array().unwrap().iter();
    lines.map(|line| (text(line, "kind"), text(line, "name"))).collect()
}

/// Asserts that every number of the sheet is the truth's, and that nothing is said against it.
fn assert_balances(world: &World, args: &[&str]) -> Value {
    let answer = audit(world, args, 0);
    assert_eq!((answer["balanced"].as_bool(), named(&answer).len()), (Some(true), 0), "{answer:#}");
    let sum = |key: &str| -> u64 {
        answer["libraries"].as_array().unwrap().iter().map(|of| of[key].as_u64().unwrap()).sum()
    };
    assert_eq!(sum("files_expected"), sum("files_on_disk"));
    assert_eq!(sum("bytes_expected"), sum("bytes_on_disk"));
    assert_eq!(sum("apple_count"), sum("assets"));
    assert_eq!(sum("files_on_disk"), world.tree().len() as u64);
    answer
}

#[test]
fn every_clean_scenario_balances_online_offline_and_to_the_byte() {
    let world = synced(Options { assets: 12, shared_zone: true, ..Options::default() });
    for args in [&[][..], &["--offline"], &["--deep"], &["--offline", "--deep"]] {
        let answer = assert_balances(&world, args);
        assert_eq!(answer["libraries"].as_array().unwrap().len(), 2);
    }
    let truth = world.sandbox.truth().len() as i64;
    assert_eq!(world.count("state = 'verified'"), truth);
    let said = world.run(&["audit"], 0).stdout();
    assert!(said.ends_with("balanced: every asset is accounted for\n"), "{said}");
    // Asked about by `status`.
    let status: Value = serde_json::from_str(&world.run(&["status", "--json"], 0).stdout()).unwrap();
    assert_eq!(status["last_audit"]["outcome"], "balanced");
}

#[test]
fn what_rollbook_puts_beside_the_photos_is_no_stranger_and_what_is_left_out_is_counted() {
    let world = World::new(Options { assets: 12, ..Options::default() });
    let args = ["sync", "--sidecars", "xmp", "--album-views", "symlink", "--skip-videos"];
    world.run(&args, 0);
    assert!(world.tree().keys().any(|path| path.ends_with(".xmp")));
    assert!(world.tree().keys().any(|path| path.starts_with("Albums/")));
    let answer = audit(&world, &[], 0);
    assert_eq!(named(&answer).len(), 0, "{answer:#}");
    let left_out = world.count("excluded_by IS NOT NULL");
    assert_eq!(answer["libraries"][0]["files_excluded"].as_i64(), Some(left_out));
}

#[test]
fn it_balances_after_every_kind_of_change_and_asks_little() {
    let world = synced(Options { assets: 12, ..Options::default() });
    let library = world.sandbox.library();
    let assets = library.assets();
    library.add_asset(Kind::Jpeg);
    assert!(library.edit_asset(&assets[0]));
    assert!(library.delete_asset(&assets[1]));
    assert!(library.hide(&assets[2]));
    assert!(library.purge(&assets[3]));
    world.run(&["sync"], 0);
    let answer = audit(&world, &[], 0);
    assert_eq!(answer["balanced"], true, "{answer:#}");
    let sheet = &answer["libraries"][0];
    assert_eq!((sheet["assets_removed"].as_u64(), sheet["assets_hidden"].as_u64()), (Some(2), Some(1)));
    assert_eq!(sheet["apple_count"], sheet["assets"]);
    // What the journal saw of the library's changes is no difference, nor is Apple's older count.
    assert_eq!(audit(&world, &["--offline"], 0)["balanced"], true);
    world.sandbox.reset_counters();
    audit(&world, &[], 0);
    assert_eq!(world.sandbox.counters().of(Endpoint::Cdn), 0);
    assert!(world.sandbox.log().len() <= 5, "{:?}", world.sandbox.log());
}

/// One way to break a clean world, and what must be named.
struct Damage {
    what: &'static str,
    /// What an audit must say: kind, and whether its name is the broken path.
    kind: &'static str,
    args: &'static [&'static str],
    code: i32,
    harm: fn(&World, &str, PathBuf),
}

const BREAK_TRIGGERS: &str = "PRAGMA foreign_keys = OFF;
    DROP TRIGGER asset_file_legal_move; DROP TRIGGER asset_file_history; DROP TRIGGER asset_file_stays;
    DROP TRIGGER asset_file_tally_update; DROP TRIGGER asset_file_open_update;";

/// Changes the journal as no trigger would allow.
fn tamper(world: &World, sql: &str) {
    world.journal().execute_batch(&format!("{BREAK_TRIGGERS} {sql}")).unwrap();
}

const DAMAGES: &[Damage] = &[
    Damage {
        what: "deleted",
        kind: "missing",
        args: &["--offline"],
        code: 6,
        harm: |_, _, file| fs::remove_file(file).unwrap(),
    },
    Damage {
        what: "its folder deleted",
        kind: "missing",
        args: &["--offline"],
        code: 6,
        harm: |_, _, file| fs::remove_dir_all(file.parent().unwrap()).unwrap(),
    },
    Damage {
        what: "truncated",
        kind: "size",
        args: &["--offline"],
        code: 6,
        harm: |_, _, file| fs::File::options().write(true).open(file).unwrap().set_len(10).unwrap(),
    },
    Damage {
        what: "one byte flipped, looked at from afar",
        kind: "",
        args: &["--offline"],
        code: 0,
        harm: |_, _, file| flip(&file),
    },
    Damage {
        what: "one byte flipped",
        kind: "damaged",
        args: &["--offline", "--deep"],
        code: 6,
        harm: |_, _, file| flip(&file),
    },
    Damage {
        what: "replaced by a folder",
        kind: "replaced",
        args: &["--offline"],
        code: 6,
        harm: |_, _, file| {
            fs::remove_file(&file).unwrap();
            fs::create_dir(file).unwrap();
        },
    },
    Damage {
        what: "replaced by a link to the same bytes",
        kind: "replaced",
        args: &["--offline"],
        code: 6,
        harm: |world, _, file| {
            let elsewhere = world.data_dir().join("moved");
            fs::rename(&file, &elsewhere).unwrap();
            symlink(elsewhere, file).unwrap();
        },
    },
    Damage {
        what: "its folder replaced by a link",
        kind: "unreadable",
        args: &["--offline"],
        code: 6,
        harm: |world, _, file| {
            let elsewhere = world.data_dir().join("moved");
            fs::rename(file.parent().unwrap(), &elsewhere).unwrap();
            symlink(elsewhere, file.parent().unwrap()).unwrap();
        },
    },
    Damage {
        what: "called verified by somebody",
        kind: "journal",
        args: &["--offline"],
        code: 6,
        harm: |world, path, _| {
            tamper(world, &format!(
                "UPDATE asset_file SET state = 'pending', sha256 = NULL, verified_by = NULL, verified_at = NULL
                 WHERE path = '{path}'"
            ));
        },
    },
    Damage {
        what: "given another digest",
        kind: "damaged",
        args: &["--offline", "--deep"],
        code: 6,
        harm: |world, path, _| {
            tamper(world, &format!("UPDATE asset_file SET sha256 = zeroblob(32) WHERE path = '{path}'"));
        },
    },
    Damage {
        what: "given another of Apple's checksums",
        kind: "damaged",
        args: &["--offline", "--deep"],
        code: 6,
        harm: |world, path, _| {
            tamper(
                world,
                &format!(
                    "UPDATE asset_file SET checksum = 'AW2cWT2PxzWixMKuuNMTHJ8CJ3sH' WHERE path = '{path}'"
                ),
            );
        },
    },
    Damage {
        what: "its asset taken out of the journal",
        kind: "journal",
        args: &["--offline"],
        code: 6,
        harm: |world, path, _| {
            tamper(
                world,
                &format!(
                    "DELETE FROM asset WHERE asset_id = (SELECT asset_id FROM asset_file WHERE path = '{path}')"
                ),
            );
        },
    },
    Damage {
        what: "quietly released",
        kind: "journal",
        args: &["--offline"],
        code: 6,
        harm: |world, path, _| {
            tamper(world, &format!("UPDATE asset_file SET released_at = 1 WHERE path = '{path}'"));
        },
    },
    Damage {
        what: "beside a part file of nobody",
        kind: "left-over-part",
        args: &["--offline"],
        code: 0,
        harm: |_, _, file| fs::write(format!("{}.0a1b2c.part", file.display()), b"half").unwrap(),
    },
    Damage {
        what: "beside a stranger",
        kind: "stranger",
        args: &["--offline"],
        code: 0,
        harm: |_, _, file| fs::write(file.with_file_name("mine.txt"), b"mine").unwrap(),
    },
];

fn flip(file: &PathBuf) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[test]
fn every_damage_of_the_table_is_named_and_nothing_that_is_right() {
    let clean = synced(Options { assets: 6, ..Options::default() });
    let path: String = clean
        .journal()
        .query_row("SELECT path FROM v_file ORDER BY file_id LIMIT 1", [], |r| r.get(0))
        .unwrap();
    for damage in DAMAGES {
        // A copy of the clean world, journal and tree: what one damage breaks no other meets.
        let world = World::new(Options { assets: 6, ..Options::default() });
        copy(&clean.photos(), &world.photos());
        copy(&clean.data_dir(), &world.data_dir());
        (damage.harm)(&world, &path, world.photos().join(&path));
        let answer = audit(&world, damage.args, damage.code);
        let named = named(&answer);
        let kinds: BTreeSet<&str> = named.iter().map(|(kind, _)| kind.as_str()).collect();
        let what = damage.what;
        assert_eq!(damage.kind.is_empty(), kinds.is_empty(), "{what}: {answer:#}");
        assert!(damage.kind.is_empty() || kinds.contains(damage.kind), "{what}: {answer:#}");
        // Nothing but the folder of the broken file, or a library as a whole, is spoken of.
        let folder = path.rsplit_once('/').unwrap().0;
        let far = named.iter().find(|(_, name)| !name.starts_with(folder) && name != "PrimarySync");
        assert!(far.is_none(), "{what}: {far:?}");
        let says = world.run(&[&["audit"], damage.args].concat(), damage.code).stdout();
        assert!(damage.code == 0 || says.contains("NOT balanced"), "{what}: {says}");
    }
}

fn copy(from: &PathBuf, to: &PathBuf) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

#[test]
fn what_is_newer_or_gone_in_icloud_is_told_from_what_the_journal_lost() {
    let world = synced(Options { assets: 8, ..Options::default() });
    let library = world.sandbox.library();
    let reason = |answer: &Value| {
        let lines = answer["differences"].as_array().unwrap();
        let counts: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "count").collect();
        assert_eq!(counts.len(), 1, "{answer:#}");
        counts[0]["reason"].as_str().unwrap().to_owned()
    };
    library.add_asset(Kind::Jpeg);
    library.add_asset(Kind::Jpeg);
    let said = reason(&audit(&world, &[], 6));
    assert!(said.contains("2 newer in iCloud since run 1: run \"rollbook sync\""), "{said}");
    world.run(&["sync"], 0);
    assert_balances(&world, &[]);
    assert!(library.delete_asset(&library.assets()[0]));
    let said = reason(&audit(&world, &[], 6));
    assert!(said.contains("1 fewer in iCloud since run"), "{said}");
    world.run(&["sync"], 0);
    assert_eq!(audit(&world, &[], 0)["balanced"], true);
    // An asset that left no trace in the journal: Apple's history says that nothing changed.
    tamper(&world, "DELETE FROM asset WHERE asset_id = 3; DELETE FROM asset_file WHERE asset_id = 3;");
    let answer = audit(&world, &[], 6);
    let said = reason(&answer);
    assert!(said.contains("1 missing from the journal, and nothing changed since"), "{said}");
    assert!(named(&answer).iter().any(|(kind, _)| kind == "stranger"), "its file is named: {answer:#}");
}

#[test]
fn what_changed_in_icloud_and_no_sync_has_seen_unbalances_even_if_the_count_is_the_same() {
    let world = synced(Options { assets: 6, ..Options::default() });
    let library = world.sandbox.library();
    let assets = library.assets();
    let unseen = |says: &str| {
        let answer = audit(&world, &[], 6);
        let lines = answer["differences"].as_array().unwrap();
        assert_eq!((lines.len(), &lines[0]["kind"]), (1, &Value::from("count")), "{answer:#}");
        let sheet = &answer["libraries"][0];
        assert_eq!(sheet["apple_count"], sheet["assets"], "only the change tells: {answer:#}");
        let reason = lines[0]["reason"].as_str().unwrap();
        assert!(reason.contains(says) && reason.contains("run \"rollbook sync\""), "{reason}");
        assert!(!world.run(&["audit"], 6).stdout().contains("balanced: every asset"));
        world.run(&["sync"], 0);
        assert_eq!(named(&audit(&world, &[], 0)).len(), 0);
    };
    assert!(library.delete_asset(&assets[0]));
    library.add_asset(Kind::Jpeg);
    unseen("2 changes in iCloud since run 1, not seen yet");
    assert!(library.purge(&assets[1]));
    library.add_asset(Kind::Jpeg);
    unseen("2 changes in iCloud since run");
    assert!(library.edit_asset(&assets[2]));
    unseen("1 change in iCloud since run");
    // What is no change of an asset that the journal holds does not unbalance it.
    library.add_album("Sea", None, false);
    assert!(library.purge(&assets[0]));
    assert_eq!(named(&audit(&world, &[], 0)).len(), 0);
}

#[test]
fn a_record_that_cannot_be_used_does_not_fail_the_sync_and_does_not_balance() {
    let world = World::new(Options { assets: 4, odd_records: true, ..Options::default() });
    // Two of the oddities are files that Apple offers no address for: those fail it.
    world.run(&["sync"], 1);
    let problems: i64 = world
        .journal()
        .query_row("SELECT count(*) FROM v_problem WHERE kind <> 'orphan-master'", [], |r| r.get(0))
        .unwrap();
    assert!(problems > 0);
    let answer = audit(&world, &[], 6);
    let records = named(&answer).into_iter().filter(|(kind, _)| kind == "record").count() as i64;
    assert!(records > 0 && records <= problems, "{answer:#}");
}

#[test]
fn a_file_that_failed_is_a_difference_with_its_reason() {
    let world = World::new(Options { assets: 4, ..Options::default() });
    world.sandbox.faults().add(Fault::always(Endpoint::Cdn, What::FlipBit { offset: 100 }));
    world.run(&["sync"], 1);
    let answer = audit(&world, &["--offline"], 6);
    let lines = answer["differences"].as_array().unwrap();
    let open = world.count("is_open");
    assert!(open > 0);
    assert_eq!(lines.iter().filter(|line| line["kind"] == "not-here").count() as i64, open, "{answer:#}");
    assert!(lines.iter().any(|line| line["reason"].as_str().unwrap().contains("tried again after")));
}

#[test]
fn an_unmounted_destination_is_absent_and_no_audit() {
    let world = synced(Options { assets: 3, ..Options::default() });
    let away = world.data_dir().join("away");
    fs::rename(world.photos(), &away).unwrap();
    world.run(&["audit"], 4);
    fs::create_dir(world.photos()).unwrap();
    let said = world.run(&["audit", "--offline"], 4).stderr();
    assert!(said.contains("destination is absent"), "{said}");
    assert_eq!(world.count("state = 'verified'"), world.count("1"));
}

#[test]
fn an_audit_before_the_first_sync_makes_nothing() {
    let world = World::new(Options { assets: 3, ..Options::default() });
    for verb in ["audit", "verify", "log"] {
        let said = world.run(&[verb], 2).stderr();
        assert!(said.contains("before the first sync"), "{said}");
    }
    assert!(!world.photos().exists());
}

#[test]
fn an_equal_count_proves_nothing_where_apple_no_longer_says_what_changed() {
    let world = synced(Options { assets: 6, ..Options::default() });
    // By itself a void token hides nothing: the database still says that nothing changed.
    world.sandbox.library().void_tokens();
    assert_balances(&world, &[]);
    let first = world.sandbox.library().assets()[0].clone();
    assert!(world.sandbox.library().set_favorite(&first, true));
    let answer = audit(&world, &[], 6);
    let reason = answer["differences"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("the listing is older than that; run \"rollbook sync --full\""), "{reason}");
    world.run(&["sync", "--full"], 0);
    assert_balances(&world, &[]);
}

#[test]
fn a_file_in_the_trash_that_no_row_names_is_a_note_and_ours_are_none() {
    let world = World::new(Options { assets: 8, ..Options::default() });
    world.run(&["sync", "--sidecars", "xmp"], 0);
    let gone = world.sandbox.library().assets()[0].clone();
    assert!(world.sandbox.library().delete_asset(&gone));
    world.run(&["sync", "--deleted", "trash", "--sidecars", "xmp"], 0);
    assert!(world.tree().keys().any(|path| path.starts_with(".rollbook-trash/") && path.ends_with(".xmp")));
    assert_eq!(named(&audit(&world, &[], 0)).len(), 0);
    let mine = world.photos().join(".rollbook-trash/2020-01-01/mine.jpg");
    fs::create_dir_all(mine.parent().unwrap()).unwrap();
    fs::write(&mine, b"mine").unwrap();
    let answer = audit(&world, &[], 0);
    let expected = ("trash".to_owned(), ".rollbook-trash/2020-01-01/mine.jpg".to_owned());
    assert_eq!(named(&answer), BTreeSet::from([expected]));
    assert_eq!((answer["notes_total"].as_u64(), answer["balanced"].as_bool()), (Some(1), Some(true)));
    assert!(world.run(&["audit"], 0).stdout().contains("1 note:"));
}

#[test]
fn what_lies_in_the_trash_is_looked_at_and_read_too() {
    let world = synced(Options { assets: 8, ..Options::default() });
    let asset = world.sandbox.library().assets()[0].clone();
    assert!(world.sandbox.library().delete_asset(&asset));
    world.run(&["sync", "--deleted", "trash"], 0);
    let held = world.count("trash_path IS NOT NULL");
    let said = world.run(&["verify"], 0).stdout();
    assert!(said.contains(&format!("{held} file")) && said.contains("in the trash not read"), "{said}");
    assert!(named(&audit(&world, &["--deep"], 0)).is_empty());

    let path: String = world
        .journal()
        .query_row("SELECT trash_path FROM v_file WHERE trash_path IS NOT NULL", [], |row| row.get(0))
        .unwrap();
    let file = world.photos().join(&path);
    let bytes = fs::read(&file).unwrap();
    let mut rotten = bytes.clone();
    rotten[bytes.len() / 2] ^= 1;
    fs::write(&file, rotten).unwrap();
    assert!(named(&audit(&world, &[], 0)).is_empty(), "only a reading finds it");
    let found = |kind: &str| BTreeSet::from([(kind.to_owned(), path.clone())]);
    assert_eq!(named(&audit(&world, &["--deep"], 6)), found("damaged"));
    fs::write(&file, &bytes[1..]).unwrap();
    assert_eq!(named(&audit(&world, &[], 6)), found("size"));
    // Emptied by hand, it is a note.
    fs::remove_file(&file).unwrap();
    assert_eq!(named(&audit(&world, &[], 0)), found("trash"));
    // Moved within the trash, it is not called anyone's to delete.
    fs::write(world.photos().join(".rollbook-trash/moved.jpg"), &bytes).unwrap();
    let answer = audit(&world, &[], 0);
    let lines = answer["differences"].as_array().unwrap();
    let moved = lines.iter().find(|of| of["name"] == ".rollbook-trash/moved.jpg").expect("it is noted");
    assert!(moved["reason"].as_str().unwrap().contains("keep it"), "{moved}");
    world.run(&["undelete", "--all"], 0);
    assert!(named(&audit(&world, &["--deep"], 0)).is_empty());
}

#[test]
fn a_library_that_is_left_out_is_noted_and_unbalances_nothing() {
    let world = synced(Options { assets: 12, shared_zone: true, ..Options::default() });
    let noted = |answer: &Value| {
        let lines = answer["differences"].as_array().unwrap();
        lines.iter().filter(|of| of["kind"] == "left-out" && of["unbalances"] == false).count()
    };
    // A choice that wants every library listed anew, and then only one is.
    world.run(&["sync", "--library", "primary", "--folder-structure", "{camera}"], 0);
    let answer = audit(&world, &[], 0);
    assert_eq!((noted(&answer), named(&answer).len()), (1, 1), "{answer:#}");
    // The other is held to its list as ever.
    let own = world.sandbox.truth().into_iter().find(|file| file.zone == "PrimarySync").unwrap();
    assert!(world.sandbox.library().rename(&own.asset_record, "seen-later.jpg"));
    let answer = audit(&world, &[], 6);
    assert!(noted(&answer) == 1 && named(&answer).iter().any(|(kind, _)| kind == "count"), "{answer:#}");
    // And what is here of the one that is left out is looked at.
    let sql = "SELECT path FROM v_file WHERE library <> 'PrimarySync' AND state = 'verified' LIMIT 1";
    let path: String = world.journal().query_row(sql, [], |r| r.get(0)).unwrap();
    fs::remove_file(world.photos().join(&path)).unwrap();
    assert!(named(&audit(&world, &[], 6)).contains(&("missing".to_owned(), path)));

    // One that never was listed, and that nobody wants.
    let world = World::new(Options { assets: 6, shared_zone: true, ..Options::default() });
    for verb in ["sync", "audit"] {
        let ended = world.rollbook(&[verb]).env("ROLLBOOK_LIBRARY", "primary").output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{verb}: {}", String::from_utf8_lossy(&ended.stdout));
    }
}
