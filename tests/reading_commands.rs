//! Explain, log and export: what the journal knows, in sentences, in order, and for other programs.

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rollbook_sandbox::{Endpoint, Fault, Options, What};
use serde_json::Value;
use support::World;

fn synced(assets: u32) -> World {
    let world = World::new(Options { assets, ..Options::default() });
    world.run(&["sync"], 0);
    world
}

fn json(world: &World, args: &[&str]) -> Value {
    let said = world.run(&[args, &["--json"]].concat(), 0).stdout();
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

fn one(world: &World, sql: &str) -> String {
    world.journal().query_row(sql, [], |r| r.get(0)).unwrap()
}

#[test]
fn an_asset_is_found_by_name_record_and_path_and_its_story_is_whole() {
    let world = synced(8);
    let name = one(&world, "SELECT filename FROM v_file WHERE rendition = 'live-video' LIMIT 1");
    let record = one(&world, "SELECT asset FROM v_file WHERE rendition = 'live-video' LIMIT 1");
    let path = one(&world, "SELECT path FROM v_file WHERE rendition = 'live-video' LIMIT 1");
    let full = world.photos().join(&path).into_os_string().into_string().unwrap();
    let by_name = json(&world, &["explain", &name]);
    assert_eq!(by_name.as_array().unwrap().len(), 1);
    for other in [&record, &path, &full, &name.to_lowercase()] {
        assert_eq!(json(&world, &["explain", other]), by_name, "{other}");
    }
    let files = by_name[0]["files"].as_array().unwrap();
    assert_eq!(files.len(), 2);
    assert!(files.iter().all(|file| file["standing"] == "verified" && file["next"] == "nothing."));
    assert_eq!(by_name[0]["history"].as_array().unwrap().len(), 2);
    let said = world.run(&["explain", &name], 0).stdout();
    for part in [&name, &record, &path, "matched Apple's own checksum", "What happened:", "verified"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let said = world.run(&["explain", "no such thing"], 2).stderr();
    assert!(said.contains("cannot find an asset called no such thing"), "{said}");
}

#[test]
fn a_failed_file_says_why_and_what_comes_next_and_a_damaged_one_too() {
    let world = World::new(Options { assets: 3, ..Options::default() });
    world.sandbox.faults().add(Fault::always(Endpoint::Cdn, What::FlipBit { offset: 100 }));
    world.run(&["sync"], 1);
    let path = one(&world, "SELECT path FROM v_file WHERE state = 'failed' LIMIT 1");
    let said = world.run(&["explain", &path], 0).stdout();
    assert!(said.contains("Failed: wrong-bytes") && said.contains("tried again by a sync after"), "{said}");
    world.journal().execute_batch("UPDATE asset_file SET retry_at = NULL").unwrap();
    let said = world.run(&["explain", &path], 0).stdout();
    assert!(said.contains("given up: run \"rollbook sync --retry-failed\""), "{said}");
    world.journal().execute_batch("UPDATE asset_file SET excluded_by = 'skip-videos'").unwrap();
    let said = world.run(&["explain", &path], 0).stdout();
    assert!(said.contains("Left out by choice: skip-videos"), "{said}");
    world.journal().execute_batch("UPDATE asset_file SET excluded_by = NULL").unwrap();
    world.sandbox.faults().clear();
    world.run(&["sync", "--retry-failed"], 0);
    fs::write(world.photos().join(&path), b"edited").unwrap();
    world.run(&["verify"], 1);
    let said = world.run(&["explain", &path], 0).stdout();
    assert!(said.contains("lost: verified to pending") && said.contains("kept as "), "{said}");
    assert!(said.contains("the next sync fetches it"), "{said}");
}

#[test]
fn the_log_is_in_order_and_asked_by_run_asset_and_day() {
    let world = synced(6);
    let path = one(&world, "SELECT path FROM v_file LIMIT 1");
    let files = world.tree().len();
    fs::write(world.photos().join(&path), b"edited").unwrap();
    world.run(&["verify"], 1);
    world.run(&["sync"], 0);
    let lines = json(&world, &["log"]);
    let lines = lines.as_array().unwrap();
    let times: Vec<i64> = lines.iter().map(|line| line["at"].as_i64().unwrap()).collect();
    assert!(times.is_sorted());
    let events = |wanted: &str| lines.iter().filter(|line| line["event"] == wanted).count();
    assert_eq!((events("verified"), events("lost")), (files + 1, 1));
    assert_eq!((events("run begun"), events("run ended")), (3, 3));
    assert_eq!(lines[0]["event"], "run begun", "nothing happens before a run");
    let of_verify = json(&world, &["log", "--run", "2"]);
    let of_verify: Vec<&str> =
        of_verify.as_array().unwrap().iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(of_verify, ["run begun", "lost", "run ended"]);
    let of_asset = json(&world, &["log", "--asset", &path]);
    assert!(of_asset.as_array().unwrap().iter().all(|line| line["asset"] == of_asset[0]["asset"]));
    assert!(of_asset.as_array().unwrap().iter().any(|line| line["event"] == "lost"));
    assert_eq!(json(&world, &["log", "--until", "2020-01-01"]).as_array().unwrap().len(), 0);
    assert_eq!(json(&world, &["log", "--since", "2020-01-01"]).as_array().unwrap().len(), lines.len());
    assert_eq!(
        json(&world, &["log", "--limit", "2"]).as_array().unwrap().as_slice(),
        &lines[lines.len() - 2..]
    );
    let said = world.run(&["log", "--limit", "2"], 0).stdout();
    assert!(
        said.starts_with("… and earlier ones: \"rollbook log --limit 20\"") && said.lines().count() == 3,
        "{said}"
    );
    world.run(&["log", "--since", "yesterday"], 2);
}

#[test]
fn the_list_is_what_sha256sum_reads_and_names_as_odd_as_can_be() {
    let world = synced(6);
    // No rollbook writes such a path, and no list may break on one.
    let path = one(&world, "SELECT path FROM v_file LIMIT 1");
    let odd = format!("{path} \\ with\nlines");
    fs::rename(world.photos().join(&path), world.photos().join(&odd)).unwrap();
    world.journal().execute("UPDATE asset_file SET path = ?1 WHERE path = ?2", [&odd, &path]).unwrap();
    let list = world.data_dir().join("SHA256SUMS");
    let args = ["export", "--format", "sha256sum", "--output", list.to_str().unwrap()];
    world.run(&args, 0);
    assert_eq!(fs::read_to_string(&list).unwrap(), world.run(&args[..3], 0).stdout());
    let check = |list: &PathBuf| {
        let mut command = Command::new("sha256sum");
        command.args(["--check", "--strict", "--quiet"]).arg(list).current_dir(world.photos());
        command.output().unwrap()
    };
    let checked = check(&list);
    assert!(checked.status.success() && checked.stdout.is_empty(), "{checked:?}");
    assert_eq!(fs::read_to_string(&list).unwrap().lines().count(), world.tree().len());
    fs::write(world.photos().join(&odd), b"other").unwrap();
    assert!(!check(&list).status.success(), "it does tell");
    // In place of the old one, and nothing is left beside it.
    world.run(&args, 0);
    let beside = fs::read_dir(world.data_dir())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().contains("SHA256SUMS"));
    assert_eq!(beside.count(), 1);
}

#[test]
fn json_lines_and_csv_hold_every_file_with_the_same_values_in_the_order_of_paths() {
    let world = synced(6);
    let lines = world.run(&["export", "--format", "jsonl"], 0).stdout();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len() as i64, world.count("1"));
    let paths: Vec<&str> = lines.iter().map(|line| line["path"].as_str().unwrap()).collect();
    assert!(paths.is_sorted());
    let tree = world.tree();
    assert!(lines.iter().all(|line| Some(line["sha256"].as_str().unwrap())
        == tree.get(line["path"].as_str().unwrap()).map(String::as_str)));
    let text = world.run(&["export", "--format", "csv"], 0).stdout();
    let mut rows = text.lines();
    let head: Vec<&str> = rows.next().unwrap().split(',').collect();
    let (path, sha256) = (
        head.iter().position(|name| *name == "path").unwrap(),
        head.iter().position(|name| *name == "sha256").unwrap(),
    );
    let rows: Vec<Vec<&str>> = rows.map(|row| row.split(',').collect()).collect();
    assert_eq!(rows.len(), lines.len());
    for (row, line) in rows.iter().zip(&lines) {
        assert_eq!(
            (row[path], row[sha256]),
            (line["path"].as_str().unwrap(), line["sha256"].as_str().unwrap())
        );
        assert_eq!(row.len(), head.len());
    }
    world.run(&["export"], 2);
    world.run(&["export", "--format", "xml"], 2);
}

#[test]
fn what_happened_within_one_second_stays_in_its_order_among_files_assets_and_runs() {
    let world = World::new(Options { assets: 3, ..Options::default() });
    world.run(&["sync"], 0);
    let library = world.sandbox.library();
    let asset = library.assets()[0].clone();
    assert!(library.rename(&asset, "first.jpg") && library.edit_asset(&asset));
    world.run(&["sync"], 0);
    assert!(library.rename(&asset, "second.jpg"));
    world.run(&["sync"], 0);
    // All of it in one second, as on a fast machine; and the clock of one run was set back.
    world
        .journal()
        .execute_batch(
            "DROP TRIGGER history_append_only_update; DROP TRIGGER asset_history_append_only_update;
             UPDATE history SET at = 1000000; UPDATE asset_history SET at = 1000000;
             UPDATE run SET started_at = 1000000, ended_at = 1000000;",
        )
        .unwrap();
    let said = json(&world, &["log"]);
    let line = |line: &Value| (line["run_id"].as_i64().unwrap(), line["event"].as_str().unwrap().to_owned());
    let lines: Vec<(i64, String)> = said.as_array().unwrap().iter().map(line).collect();
    let of_run = |run: i64| -> Vec<&str> {
        lines.iter().filter(|line| line.0 == run).map(|line| line.1.as_str()).collect()
    };
    assert!(lines.iter().map(|line| line.0).is_sorted(), "{lines:?}");
    for run in 1..=3 {
        assert_eq!((of_run(run)[0], *of_run(run).last().unwrap()), ("run begun", "run ended"), "{lines:?}");
    }
    // Both histories have a part in the second run: what Apple said comes before the bytes.
    assert_eq!(of_run(2), ["run begun", "renamed", "edited", "verified", "run ended"]);
    let latest = json(&world, &["log", "--limit", "4"]);
    assert_eq!(latest.as_array().unwrap()[..], said.as_array().unwrap()[lines.len() - 4..]);
    let journal = world.journal();
    let mut ordered = journal.prepare("SELECT event FROM v_history ORDER BY abs(history_id)").unwrap();
    let ordered: Vec<String> = ordered.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect();
    let told: Vec<&String> =
        lines.iter().map(|line| &line.1).filter(|event| !event.starts_with("run ")).collect();
    assert_eq!(ordered.iter().collect::<Vec<_>>(), told);
}

/// Asserts that `log` and `explain` have a line for the event of this asset, with words behind it.
fn assert_told(world: &World, asset: &str, event: &str) {
    let words = rollbook::model::events::sentence(event);
    assert!(words.is_some(), "{event}");
    for command in [["log", "--asset", asset], ["explain", asset, "--log-level=warn"]] {
        let said = world.run(&command, 0).stdout();
        let line = said.lines().rev().find(|line| line.contains(&format!(" {event}")));
        let line = line.unwrap_or_else(|| panic!("{event} in {command:?}: {said}"));
        assert!(
            line.trim_end().split("  ").last().is_some_and(|words| words.contains(' ')),
            "{line}\n{said}"
        );
    }
}

#[test]
fn every_way_of_a_file_here_is_told_in_words() {
    let world = synced(12);
    let asset = |path: &str| one(&world, &format!("SELECT asset FROM v_file WHERE path = '{path}'"));
    let path =
        |at: usize| one(&world, &format!("SELECT path FROM v_file ORDER BY file_id LIMIT 1 OFFSET {at}"));
    let (moved, deleted) = (path(0), path(1));
    let (of_moved, of_deleted) = (asset(&moved), asset(&deleted));
    fs::create_dir(world.photos().join("Holiday")).unwrap();
    fs::rename(world.photos().join(&moved), world.photos().join("Holiday/best.jpg")).unwrap();
    let kept = fs::read(world.photos().join(&deleted)).unwrap();
    fs::remove_file(world.photos().join(&deleted)).unwrap();
    world.run(&["sync"], 0);
    assert_told(&world, &of_moved, "relocated");
    assert_told(&world, &of_deleted, "released");
    let said = world.run(&["explain", &deleted], 0).stdout();
    assert!(said.contains("You moved or deleted it here") && said.contains("rollbook refetch"), "{said}");
    fs::write(world.photos().join(&deleted), kept).unwrap();
    world.run(&["sync"], 0);
    assert_told(&world, &of_deleted, "returned");

    let gone = world.sandbox.library().assets()[5].clone();
    assert!(world.sandbox.library().delete_asset(&gone));
    world.run(&["sync", "--deleted", "trash"], 0);
    assert_told(&world, &gone, "trashed");
    assert_told(&world, &gone, "deleted");
    let said = world.run(&["explain", &gone], 0).stdout();
    assert!(said.contains("In the trash, since ") && said.contains("rollbook undelete"), "{said}");
    // And what sqlite3 is asked, the view answers.
    let sql =
        "SELECT count(*) FROM v_file WHERE trash_path LIKE '.rollbook-trash/%' AND trashed_at IS NOT NULL";
    let files: i64 = world.journal().query_row(sql, [], |r| r.get(0)).unwrap();
    assert!(files > 0);
    world.run(&["undelete", "--all"], 0);
    assert_told(&world, &gone, "put_back");
    assert!(!world.run(&["explain", &gone], 0).stdout().contains("In the trash"));

    // A tree of another tool: the bytes are here, and no row says so.
    world.run(&["journal", "rebuild"], 0);
    world.run(&["plan"], 0);
    world.run(&["adopt"], 0);
    assert_told(&world, &of_moved, "adopted");
}

#[test]
fn every_word_that_the_schema_lets_into_a_history_has_a_sentence() {
    use rollbook::model::events::{AssetEvent, sentence};
    let schema = include_str!("../migrations/0001_journal.sql");
    let list = schema.split("event            TEXT    NOT NULL CHECK (event IN (").nth(1).unwrap();
    let list = list.split("))").next().unwrap();
    let words: Vec<&str> = list.split(',').map(|word| word.trim().trim_matches('\'')).collect();
    assert_eq!(words, AssetEvent::ALL.map(AssetEvent::as_str));
    let moves = schema.split("INSERT INTO legal_move").nth(1).unwrap().split(';').next().unwrap();
    let events = moves.lines().filter_map(|line| line.split('\'').nth(3));
    assert!(words.into_iter().chain(events).all(|word| sentence(word).is_some()));
}

#[test]
fn status_says_in_words_how_the_last_attempt_ended_whatever_the_code() {
    let world = synced(3);
    let status = |world: &World| world.run(&["status"], 0).stdout();
    let attempt = |world: &World| json(world, &["status"])["accounts"][0]["last_attempt"].clone();
    assert!(!status(&world).contains("exit code"), "{}", status(&world));
    assert_eq!(attempt(&world)["exit"], 0);

    world.sandbox.library().add_asset(rollbook_sandbox::Kind::Jpeg);
    world.sandbox.faults().add(Fault::always(Endpoint::Cdn, What::FlipBit { offset: 100 }));
    world.run(&["sync"], 1);
    assert!(status(&world).contains("exit code 1, finished, some files failed"), "{}", status(&world));
    world.sandbox.faults().clear();

    let marker = world.photos().join(".rollbook");
    fs::rename(&marker, world.photos().join("aside")).unwrap();
    world.run(&["sync"], 4);
    let said = status(&world);
    assert!(
        said.contains("exit code 4, destination absent, read-only or full: cannot use the destination"),
        "{said}"
    );
    fs::rename(world.photos().join("aside"), &marker).unwrap();

    world.sandbox.revoke_trust();
    let mut refused = world.rollbook(&["sync", "--no-wait"]);
    refused.env("ROLLBOOK_PASSWORD", "wrong");
    assert_eq!(refused.output().unwrap().status.code(), Some(3));
    let said = status(&world);
    assert!(said.contains("exit code 3, a person must sign in: cannot sign in: "), "{said}");
    assert_eq!(
        (&attempt(&world)["exit"], &attempt(&world)["means"]),
        (&3.into(), &"a person must sign in".into())
    );
}
