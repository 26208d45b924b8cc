//! Kill it at any time: the next run repairs it, alone, and nothing shows that anything happened.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rollbook_sandbox::Endpoint;

use crate::pool;
use crate::power::read_log;
use crate::scene::{Outcome, Scene, is_part, run_with};
use crate::support::World;

/// What one promise covers, and what may come while one is being made: a piece that is written, and
/// one that is gathered.
const PROMISE_BYTES: u64 = 4 * 1024 * 1024;
const PIECES_BYTES: u64 = 1024 * 1024;

/// Every point that the engine names, the scenes in which it is reached, and what the kill leaves.
/// Each is "after" the step before it and "before" the step behind it.
const POINTS: [(&str, &[Scene], &str); 41] = {
    use Scene::{Ambush, Begun, Broken, Expired, First, Flipped, Half, Odd, Orphan, Refused, Stranger};
    [
        ("destination-kept", &[First, Half], "the marker and the destination's row"),
        ("run-begun", &[First, Half], "a run without an end"),
        ("taken-over", &[Half, Broken, Orphan], "claims of a dead run, held by a dead run"),
        ("found-standing", &[Orphan], "a file that is ours, its row not told"),
        ("part-removed", &[Begun], "case B done, its claim held"),
        ("promise-dropped", &[Broken], "case D done, its claim held"),
        ("repaired", &[Half, Broken, Orphan], "some claims free, some not"),
        ("recovered", &[Half, Orphan], "nothing"),
        ("due-requeued", &[First, Half], "nothing"),
        ("choices-applied", &[First], "rows in scope as the settings have it"),
        ("page-fetched", &[First], "nothing"),
        ("page-recorded", &[First], "rows"),
        ("listed", &[First], "rows of all pages, no count"),
        ("enumerated", &[First], "rows of all pages"),
        ("changes-fetched", &[First], "a page of changes, not yet rows"),
        ("changes-recorded", &[First], "rows, and the token behind them"),
        ("database-token-due", &[First], "all rows, and the older question"),
        ("claimed", &[First, Half, Expired], "claims, no part files"),
        ("moved-aside", &[Stranger], "a row with another path"),
        ("part-created", &[First, Broken], "an empty part file"),
        ("prefix-trusted", &[Half], "a part file, cut to its promise"),
        ("restarted", &[Flipped], "a broken promise that the row no longer makes"),
        ("written", &[First, Half], "a part file ahead of its promise"),
        ("part-synced", &[First], "a durable part file ahead of its promise"),
        ("promised", &[First], "a promise kept"),
        ("whole", &[First, Half], "all bytes, nothing proved"),
        ("checked", &[First, Half], "all bytes, proved, nobody knows"),
        ("whole-promised", &[Odd], "a promise of the whole, where a checksum proves only the length"),
        ("group-synced", &[First, Half], "durable part files"),
        ("renamed", &[First, Half], "a final name that may not last"),
        ("group-renamed", &[First], "final names that may not last"),
        ("folders-synced", &[First, Half], "final names, rows not told"),
        ("path-changed", &[Ambush], "a row with another path, its part under the old name"),
        ("part-moved", &[Ambush], "a row with another path, and its part"),
        ("verified", &[First, Half, Stranger, Ambush], "a file told"),
        ("settled", &[Refused], "a failed row"),
        ("failed-requeued", &[First, Refused], "a row that waits for a fresh address"),
        ("urls-fetched", &[Expired, Refused], "rows without addresses"),
        ("urls-renewed", &[Expired, Refused], "rows with fresh addresses"),
        ("snapshot-named", &[First], "a snapshot whose name may not last"),
        ("snapshot-kept", &[First], "one snapshot more than are kept"),
    ]
};

/// Points that no plain run passes, or behind which nothing is left to do but to leave. See
/// `a_kill_before_any_step_leaves_no_trace`, and the same in `tests/exif_dates.rs`.
const POINTS_ELSEWHERE: [&str; 4] = ["run-ending", "run-ended", "date-intended", "date-replaced"];

#[test]
fn the_table_names_every_point_of_the_engine() {
    let mut named = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            let text = fs::read_to_string(&entry).unwrap();
            named.extend(
                text.split("fault::point(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()),
            );
        }
    }
    assert!(POINTS_ELSEWHERE.iter().all(|point| named.remove(*point)), "each is a point");
    let table: BTreeSet<String> = POINTS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(table, named);
}

#[test]
fn a_kill_at_every_named_point_leaves_no_trace() {
    let mut jobs = Vec::new();
    for (point, scenes, _) in POINTS {
        for scene in scenes {
            jobs.push((point, *scene, 1));
            // And once in the middle of things, where many files are under way.
            if matches!(point, "written" | "renamed" | "verified" | "part-created") && *scene == Scene::First
            {
                jobs.push((point, *scene, 4));
            }
        }
    }
    let name = |(point, scene, n): &(&str, Scene, u32)| format!("kill:{point}@{n} in {scene:?}");
    let killed = pool::each(&jobs, name, |(point, scene, n)| {
        let world = scene.set();
        assert_eq!(scene.run(&world, &format!("kill:{point}@{n}")), None, "the point is reached");
        assert_traceless(&world, *scene);
    });
    println!("killed at {killed} named points");
    assert!(killed >= 60, "the README says so");
}

#[test]
fn a_kill_before_any_step_leaves_no_trace() {
    let whole = World::new(crate::scene::library());
    let log = whole.log_file();
    assert_eq!(run_with(&whole, "", Some(&log)), Some(0));
    let steps = read_log(&log).len() as u64;
    assert!(steps > 100, "the run has durable steps: {steps}");
    let steps: Vec<u64> = (1..=steps).collect();
    let name = |n: &u64| format!("kill:{n}");
    let killed = pool::each(&steps, name, |n| {
        let world = Scene::First.set();
        // Files come in any order, so a run may end a step or two before another one did.
        let code = run_with(&world, &format!("kill:{n}"), None);
        assert!(code.is_none() || (code == Some(0) && *n > 100), "{code:?}");
        assert_traceless(&world, Scene::First);
    });
    println!("killed before each of {killed} steps");
    assert!(killed >= 150, "the README says so");
}

#[test]
fn a_kill_of_the_run_that_repairs_leaves_no_trace() {
    let mut jobs = Vec::new();
    for scene in [Scene::Begun, Scene::Half, Scene::Broken, Scene::Flipped, Scene::Orphan] {
        // Recovery is the first dozen steps of a run, and they come densest.
        jobs.extend((1..=12).chain([16, 24]).map(|n| (scene, n)));
    }
    let name = |(scene, n): &(Scene, u64)| format!("{scene:?}, then kill:{n}");
    let killed = pool::each(&jobs, name, |(scene, n)| {
        let world = scene.set();
        assert_eq!(scene.run(&world, &format!("kill:{n}")), None);
        assert_traceless(&world, *scene);
    });
    println!("killed twice {killed} times");
    assert!(killed >= 70, "the README says so");
}

#[test]
fn a_run_that_is_killed_again_and_again_gets_there() {
    let world = Scene::First.set();
    let mut kills = 0;
    // The first runs die before they have done anything, then each a few steps later.
    for n in (1..).step_by(3) {
        if run_with(&world, &format!("kill:{n}"), None).is_some() {
            break;
        }
        kills += 1;
        assert_promises_kept(&world);
    }
    assert!(kills > 20, "the README says so: {kills} kills");
    assert_eq!(&Outcome::of(&world, 0), Scene::First.outcome());
    println!("killed {kills} times in a row");
}

/// After a kill: nothing was lost beyond the bound, and the next run ends where an undisturbed one does.
fn assert_traceless(world: &World, scene: Scene) {
    let outcome = scene.outcome();
    assert_promises_kept(world);
    let kept = if scene.keeps_its_promise() { world.bytes_kept() } else { verified_bytes(world) };
    let before = world.sandbox.log().last().map_or(0, |request| request.sequence);
    world.run(&["sync", "--retry-failed"], outcome.code);
    // Requests of this run only: what the killed one asked for may still be under way.
    let asked = world.sandbox.log().into_iter().filter(|request| request.sequence > before);
    let again: u64 = asked.filter(|r| r.endpoint == Endpoint::Cdn).map(|request| request.bytes_sent).sum();
    let found = Outcome::of(world, outcome.code);
    assert_eq!(found.tree, outcome.tree);
    assert_eq!(found.rows, outcome.rows);
    world.assert_rows_are_true();
    let whole: i64 =
        world.journal().query_row("SELECT sum(size_bytes) FROM v_file", [], |r| r.get(0)).unwrap();
    assert!(again <= whole as u64 - kept, "{again} bytes came, {kept} of {whole} were promised");
}

fn verified_bytes(world: &World) -> u64 {
    if world.try_count("1").is_none() {
        return 0;
    }
    let sql = "SELECT coalesce(sum(size_bytes), 0) FROM v_file WHERE state = 'verified'";
    world.journal().query_row(sql, [], |r| r.get::<_, i64>(0)).unwrap() as u64
}

/// A verified row has its file, and of each file in flight at most one promise is outstanding: what was
/// written to its part file and not promised.
fn assert_promises_kept(world: &World) {
    if !world.data_dir().join("journal.db").exists() || world.try_count("1").is_none() {
        return;
    }
    world.assert_rows_are_true();
    let journal = world.journal();
    let mut rows = journal.prepare("SELECT path, done_bytes FROM v_file WHERE state <> 'verified'").unwrap();
    let rows = rows.query_map([], |r| Ok((r.get::<_, String>(0)?, r.get::<_, i64>(1)?))).unwrap();
    let promised: Vec<(String, i64)> = rows.map(Result::unwrap).collect();
    for part in world.tree().into_keys().filter(|path| is_part(path)) {
        let len = fs::metadata(world.photos().join(&part)).unwrap().len();
        // A part whose row has another path by now is told of by the bytes that come again.
        let row = promised.iter().find(|(path, _)| part.starts_with(&format!("{path}.")));
        let Some((_, offset)) = row else { continue };
        let lost = len.saturating_sub(*offset as u64);
        assert!(lost <= PROMISE_BYTES + PIECES_BYTES, "{part}: {lost} bytes were written and not promised");
    }
}
