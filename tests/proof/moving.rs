//! Kill it, or cut the power, while files are moved, linked or taken over: the same command again comes
//! to the end that an undisturbed one comes to, and nothing is fetched.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rollbook_sandbox::Options;

use crate::pool;
use crate::power::{LOSSES, Loss, cut_the_power, read_log};
use crate::scene::ended;
use crate::support::World;

/// A command that moves what is here, and how its world is set.
struct Move {
    name: &'static str,
    args: &'static [&'static str],
    set: fn() -> World,
}

const MOVES: [Move; 8] = [
    Move { name: "relayout", args: &RELAYOUT, set: synced },
    Move { name: "adopt", args: &["adopt"], set: with_a_tree_of_another_tool },
    Move { name: "adopt by copies", args: &["adopt", ELSEWHERE, "--copy"], set: with_a_tree_elsewhere },
    Move { name: "albums", args: &["albums", "build"], set: synced },
    Move { name: "into the trash", args: &TRASH, set: with_a_deletion },
    Move { name: "out of the trash", args: &["undelete", "--all"], set: with_a_trash },
    Move { name: "dates", args: &["sync", "--set-exif-datetime"], set: undated_in_an_album },
    Move { name: "sidecars", args: &["sync", "--sidecars", "xmp"], set: synced },
];
const RELAYOUT: [&str; 5] = ["relayout", "--folder-structure", "{kind}/%Y", "--file-name", "{%m-%d}_{stem}"];
const TRASH: [&str; 3] = ["sync", "--deleted", "trash"];
/// Stands for the folder beside the destination.
const ELSEWHERE: &str = "ELSEWHERE";

fn library() -> Options {
    Options { assets: 3, mean_size_bytes: Some(2_000), ..Options::default() }
}

fn synced() -> World {
    let world = World::new(library());
    world.run(&["sync"], 0);
    world
}

fn undated_in_an_album() -> World {
    let world = World::new(Options { undated_jpegs: true, ..library() });
    let library = world.sandbox.library();
    let rome = library.add_album("Rome", None, false);
    library.assets().iter().for_each(|asset| assert!(library.join(&rome, asset)));
    world.run(&["sync", "--album-views", "hardlink"], 0);
    world
}

fn with_a_deletion() -> World {
    let world = synced();
    let asset = world.sandbox.library().assets()[0].clone();
    assert!(world.sandbox.library().delete_asset(&asset));
    world
}

fn with_a_trash() -> World {
    let world = with_a_deletion();
    world.run(&TRASH, 0);
    world
}

/// The files of the library in one folder, under the names of another program, and a journal that has listed
/// them.
fn lay_out(folder: impl Fn(&World) -> std::path::PathBuf) -> World {
    let (first, world) = (synced(), World::new(library()));
    world.run(&["plan"], 0);
    let folder = folder(&world);
    fs::create_dir_all(&folder).unwrap();
    for (n, path) in first.tree().into_keys().enumerate() {
        let extension = path.rsplit('.').next().unwrap();
        fs::copy(first.photos().join(&path), folder.join(format!("{n}.{extension}"))).unwrap();
    }
    world
}

fn with_a_tree_of_another_tool() -> World {
    lay_out(World::photos)
}

fn with_a_tree_elsewhere() -> World {
    lay_out(elsewhere)
}

fn elsewhere(world: &World) -> std::path::PathBuf {
    world.photos().with_file_name("elsewhere")
}

/// Files by path, and rows.
type Outcome = (BTreeMap<String, String>, Vec<String>);

/// What is to be compared: each file by its path, links followed, without what only lies in wait.
fn outcome(world: &World) -> Outcome {
    let sql = "SELECT path || ' ' || state || ' ' || coalesce(lower(hex(sha256)), '')
                   || ' ' || coalesce(trash_path, '') || ' ' || (trashed_at IS NOT NULL)
               FROM asset_file ORDER BY 1";
    let journal = world.journal();
    let mut rows = journal.prepare(sql).unwrap();
    let rows = rows.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect();
    (world.tree(), rows)
}

fn run(world: &World, of: &Move, fault: &str, log: Option<&Path>) -> Option<i32> {
    let elsewhere = elsewhere(world);
    let args: Vec<&str> =
        of.args.iter().map(|arg| if *arg == ELSEWHERE { elsewhere.to_str().unwrap() } else { arg }).collect();
    let mut command = world.rollbook(&args);
    command.env("ROLLBOOK_FAULT", fault);
    if let Some(log) = log {
        command.env("ROLLBOOK_FAULT_LOG", log);
    }
    let output = command.output().unwrap();
    let code = ended(output.status);
    assert!(matches!(code, None | Some(0)), "{code:?} {}", String::from_utf8_lossy(&output.stderr));
    code
}

#[test]
fn whatever_moves_comes_to_the_same_end_when_it_is_cut_short_anywhere() {
    let mut jobs: Vec<(&Move, u64, Option<Loss>, &Outcome)> = Vec::new();
    for of in &MOVES {
        let world = (of.set)();
        let log = world.log_file();
        assert_eq!(run(&world, of, "", Some(&log)), Some(0), "{}", of.name);
        let steps = read_log(&log).len() as u64;
        assert!(steps > 4, "{} has durable steps: {steps}", of.name);
        let whole = &*Box::leak(Box::new(outcome(&world)));
        for n in 1..=steps {
            // A kill alone, or one kind of power cut after another.
            let loss = LOSSES.get((n % 6) as usize).map(|loss| loss.seeded(n));
            jobs.push((of, n, loss, whole));
        }
    }
    let ended = pool::each(
        &jobs,
        |(of, n, loss, _)| format!("{}, kill:{n}, {loss:?}", of.name),
        |(of, n, loss, whole)| {
            let world = (of.set)();
            let fetched = world.sandbox.counters().cdn_bytes;
            let log = world.log_file();
            run(&world, of, &format!("kill:{n}"), Some(&log));
            if let Some(loss) = loss {
                cut_the_power(&read_log(&log), *loss);
            }
            assert_eq!(run(&world, of, "", None), Some(0));
            let found = outcome(&world);
            assert_eq!(found.0, whole.0);
            assert_eq!(found.1, whole.1);
            // And whoever looks next finds nothing to do.
            world.run(&["sync"], 0);
            assert_eq!(world.sandbox.counters().cdn_bytes, fetched, "nothing is fetched");
            world.assert_journal_is_sound();
        },
    );
    println!("ended {ended} moves");
    assert!(ended >= 200, "the README says so");
}
