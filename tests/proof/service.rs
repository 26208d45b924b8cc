//! Whatever the photo service answers to the questions for changes and counts, once or every time: the run
//! ends and says how, what was not seen is asked for again, and nothing is fetched twice.

use rollbook_sandbox::{Endpoint, Fault, Kind, Options, Target, Times, What};
use serde_json::{Value, json};

use crate::pool;
use crate::support::World;

/// How a run may end that meets the answer each time. 0: it did without. 1: some library was passed over, and
/// is named. 3: a person must sign in. 5: the service cannot be had now.
type Ends = &'static [i32];

/// The questions of a run that follows a library, and their part in it.
const QUESTIONS: [Endpoint; 3] = [Endpoint::ChangesDatabase, Endpoint::ChangesZone, Endpoint::QueryBatch];

/// What any of them may be answered with.
fn answers() -> Vec<(String, What, Ends)> {
    let body = |text: &str| What::body(200, "application/json", text);
    let deep = "[".repeat(100_000);
    let named: Vec<(&str, What, Ends)> = vec![
        ("429", What::status(429), &[0, 5]),
        ("429, a second", What::retry_after(429, "1"), &[0, 5]),
        ("503, half an hour", What::retry_after(503, "1800"), &[5]),
        ("500", What::status(500), &[0, 5]),
        ("502", What::status(502), &[0, 5]),
        ("404", What::status(404), &[0, 5]),
        ("401", What::status(401), &[0, 3, 5]),
        ("421", What::status(421), &[0, 3, 5]),
        ("HTML", What::body(200, "text/html", "<html>hotel network</html>"), &[0, 5]),
        ("truncated JSON", What::MalformedJson, &[0, 5]),
        ("nothing", body(""), &[0, 5]),
        ("null", body("null"), &[0, 5]),
        ("a list", body("[]"), &[0, 5]),
        ("a number", body("7"), &[0, 5]),
        ("an empty object", body("{}"), &[0, 5]),
        ("a hundred thousand brackets", body(&deep), &[0, 5]),
        ("no UTF-8", What::InvalidUtf8, &[0, 1, 5]),
        ("reset", What::Reset, &[0, 5]),
        ("cut in the headers' promise", What::CutAfter { bytes: 40 }, &[0, 5]),
        ("cut in chunks", What::ChunkedCut { bytes: 40 }, &[0, 5]),
        ("stall", What::StallAfter { bytes: 10, hold_ms: None }, &[0, 5]),
        ("try again later", What::cloudkit("TRY_AGAIN_LATER"), &[0, 5]),
        ("throttled inside 200", What::cloudkit("THROTTLED"), &[0, 5]),
        ("a token that is void", What::cloudkit("BAD_REQUEST"), &[0, 5]),
        ("a code that nobody knows", What::cloudkit("COSMIC_RAYS"), &[0, 5]),
    ];
    named.into_iter().map(|(name, what, ends)| (name.to_owned(), what, ends)).collect()
}

/// Every level of an answer to a question, to be something else than it should.
fn places(question: Endpoint) -> &'static [&'static str] {
    match question {
        Endpoint::ChangesDatabase => &["/syncToken", "/moreComing", "/zones", "/zones/0", "/zones/0/zoneID"],
        Endpoint::ChangesZone => &[
            "/zones",
            "/zones/0",
            "/zones/0/syncToken",
            "/zones/0/moreComing",
            "/zones/0/records",
            "/zones/0/records/0",
            "/zones/0/records/0/recordName",
            "/zones/0/records/0/recordType",
            "/zones/0/records/0/deleted",
            "/zones/0/records/0/fields",
        ],
        _ => &["/batch", "/batch/0", "/batch/0/records", "/batch/0/records/0", "/batch/0/records/0/fields"],
    }
}

struct Case {
    name: String,
    question: Endpoint,
    what: What,
    ends: Ends,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for question in QUESTIONS {
        for (name, what, ends) in answers() {
            cases.push(Case { name: format!("{question:?}: {name}"), question, what, ends });
        }
        for pointer in places(question) {
            for value in [Value::Null, json!(7), json!("x"), json!([[], 1])] {
                let name = format!("{question:?}: {pointer} is {value}");
                let what = What::Spoil { pointer: (*pointer).to_owned(), value };
                cases.push(Case { name, question, what, ends: &[0, 1, 5] });
            }
        }
    }
    cases
}

/// A library that is home, and has changed since.
fn changed() -> World {
    let world = World::new(Options { assets: 5, mean_size_bytes: Some(700), ..Options::default() });
    world.run(&["sync"], 0);
    let library = world.sandbox.library();
    library.add_asset(Kind::Live);
    assert!(library.delete_asset(&library.assets()[1]) && library.hide(&library.assets()[2]));
    // The count is due, too.
    let journal = world.journal();
    journal.execute("UPDATE library SET recounted_at = recounted_at - 100000", []).unwrap();
    world
}

fn strike(case: &Case, times: Times) {
    let world = changed();
    world.sandbox.reset_counters();
    let on = Target::of(case.question);
    world.sandbox.faults().add(Fault { on, times, what: case.what.clone() });
    // Whoever meets a stall each time waits sixty times.
    let haste = if matches!(case.what, What::StallAfter { .. }) { "150" } else { "50" };
    let run = world.rollbook(&["sync"]).env("ROLLBOOK_FAULT_HASTE", haste).output().unwrap();
    let (code, said) = (run.status.code().unwrap(), String::from_utf8_lossy(&run.stderr).into_owned());
    assert!(case.ends.contains(&code), "ends with {code}, not {:?}\n{said}", case.ends);
    assert!(code == 0 || said.contains("error:") || said.contains("warning:"), "it says why: {said}");
    world.assert_rows_are_true();
    assert!(world.sandbox.counters().of(case.question) > 0, "it was asked");
    let [home, promised, unfinished] = brought(&world);
    let sent = world.sandbox.counters().cdn_bytes;
    // A run that is ended early lets go of answers that are on their way, and of nothing else.
    let cut_off = if matches!(code, 0 | 1) { 0 } else { unfinished };
    assert!((home..=home + cut_off).contains(&sent), "{sent} bytes were sent for {home} that are home");
    world.sandbox.reset_counters();
    world.sandbox.faults().clear();
    world.journal().execute_batch("UPDATE account SET next_allowed_at = NULL").unwrap();
    // What the answer hid is asked for again: no token has gone past it.
    world.run(&["sync", "--retry-failed"], 0);
    let sql = "SELECT count(*) FROM record_problem WHERE resolved_at IS NULL";
    let named: i64 = world.journal().query_row(sql, [], |r| r.get(0)).unwrap();
    if named > 0 {
        // A record that could not be read is named until it changes or all is listed again.
        assert!(matches!(case.what, What::Spoil { .. } | What::InvalidUtf8), "{named} records are named");
        world.run(&["sync", "--full"], 0);
    }
    world.assert_follows();
    let missing = brought(&world)[0] - home - promised;
    assert_eq!(world.sandbox.counters().cdn_bytes, missing, "what was missing comes once, and nothing else");
}

/// Of what is new: the bytes that are home, those that are promised in part files, and those of all files
/// that are not home.
fn brought(world: &World) -> [u64; 3] {
    let sql = "SELECT coalesce(sum(size_bytes) FILTER (WHERE state = 'verified'), 0), \
               coalesce(sum(offset_bytes) FILTER (WHERE state <> 'verified'), 0), \
               coalesce(sum(size_bytes) FILTER (WHERE state <> 'verified'), 0) \
               FROM asset_file WHERE state <> 'verified' OR moved_run_id > 1";
    let read = |row: &rusqlite::Row| Ok([0, 1, 2].map(|column| row.get::<_, i64>(column).unwrap() as u64));
    world.journal().query_row(sql, [], read).unwrap()
}

#[test]
fn changes_and_counts_may_be_answered_with_anything_once() {
    let mut cases = cases();
    // Of what stands in a place once, null will do: what is asked again is asked again.
    cases.retain(|case| match &case.what {
        What::Spoil { value, .. } => value.is_null(),
        _ => true,
    });
    let injected = pool::each(&cases, |case| case.name.clone(), |case| strike(case, Times::Count(1)));
    println!("{injected} answers to questions for changes and counts, once");
    assert!(injected >= 90, "the README says so");
}

#[test]
fn changes_and_counts_may_be_answered_with_anything_every_time() {
    let mut cases = cases();
    // Each of some sixty questions would wait for that second.
    cases.retain(|case| !case.name.ends_with("429, a second"));
    let injected = pool::each(&cases, |case| case.name.clone(), |case| strike(case, Times::Always));
    println!("{injected} answers to questions for changes and counts, each time");
    assert!(injected >= 150, "the README says so");
}
