//! Whatever the network and the service do: no wrong byte gets a final name, the row or the run says
//! what happened, and the next sync goes on as if nothing had.

use rollbook_sandbox::{Endpoint, Fault, Mix, Options, Rendition, Target, Times, What};
use serde_json::{Value, json};

use crate::pool;
use crate::scene::{Scene, run_with};
use crate::support::World;

/// A fault of the content host; `at` is a byte of the file, and `size` its length.
type Make = fn(u64, u64) -> What;

/// What becomes of a file that meets the fault each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Always {
    /// It fails, for this reason.
    Fails(&'static str),
    /// It fails where a request brings one byte; with more it comes home, request by request.
    Creeps(&'static str),
    /// It comes home all the same.
    Home,
    /// The run ends, because Apple asks to wait; the file is not blamed.
    Waits,
    /// Not tried: it would take minutes of pauses.
    Untried,
}

/// Whether it is tried at the first, a middle and the last byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Bytes,
    Once,
}

use Always::{Creeps, Fails, Home, Untried, Waits};

const CONTENT: [(&str, At, Make, Always); 42] = [
    ("reset before the headers", At::Once, |_, _| What::Reset, Fails("network")),
    ("end of the connection", At::Bytes, |at, _| What::CutAfter { bytes: at }, Creeps("network")),
    ("end of the connection, chunked", At::Bytes, |at, _| What::ChunkedCut { bytes: at }, Creeps("network")),
    ("short, and says so", At::Bytes, |at, size| What::Truncate { bytes: size - at }, Fails("wrong-length")),
    ("long, and says so", At::Bytes, |at, _| What::Extend { bytes: at + 1 }, Fails("wrong-length")),
    ("one bit is wrong", At::Bytes, |at, _| What::FlipBit { offset: at }, Fails("wrong-bytes")),
    ("stall", At::Bytes, |at, _| What::StallAfter { bytes: at, hold_ms: None }, Untried),
    ("slow drip", At::Once, |_, _| What::Drip { bytes_per_s: 200 }, Untried),
    ("chunked", At::Once, |_, _| What::Chunked, Home),
    ("compressed", At::Once, |_, _| What::Gzip, Fails("bad-answer")),
    ("206 for the whole", At::Once, |_, _| What::Unasked206, Fails("bad-answer")),
    (
        "HTML",
        At::Once,
        |_, _| What::body(200, "text/html", "<html>hotel network</html>"),
        Fails("wrong-length"),
    ),
    (
        "a long page of HTML",
        At::Once,
        |_, _| What::body(200, "text/html", "<p>x</p>".repeat(99_999)),
        Fails("wrong-length"),
    ),
    ("JSON", At::Once, |_, _| What::body(200, "application/json", "{\"error\":1}"), Fails("wrong-length")),
    ("nothing", At::Once, |_, _| What::body(200, "image/jpeg", ""), Fails("wrong-length")),
    (
        "redirect to a foreign host",
        At::Once,
        |_, _| redirect("https://example.invalid/steal"),
        Fails("bad-answer"),
    ),
    (
        "redirect to plain http",
        At::Once,
        |_, _| redirect("http://cvws.icloud-content.com/B/x"),
        Fails("bad-answer"),
    ),
    ("redirect to a file", At::Once, |_, _| redirect("file:///etc/passwd"), Fails("bad-answer")),
    ("redirect to a forged address", At::Once, |_, _| redirect("/B/again"), Fails("url-keeps-expiring")),
    ("redirect to itself", At::Once, |_, _| redirect(""), Fails("bad-answer")),
    ("204", At::Once, |_, _| What::status(204), Fails("bad-answer")),
    ("301 without a place", At::Once, |_, _| What::status(301), Fails("bad-answer")),
    ("304", At::Once, |_, _| What::status(304), Fails("bad-answer")),
    ("400", At::Once, |_, _| What::status(400), Fails("server")),
    ("401", At::Once, |_, _| What::status(401), Fails("server")),
    ("403", At::Once, |_, _| What::status(403), Fails("url-keeps-expiring")),
    ("404", At::Once, |_, _| What::status(404), Fails("server")),
    ("410", At::Once, |_, _| What::status(410), Fails("url-keeps-expiring")),
    ("416", At::Once, |_, _| What::status(416), Fails("bad-answer")),
    ("421", At::Once, |_, _| What::status(421), Fails("server")),
    ("450", At::Once, |_, _| What::status(450), Fails("server")),
    ("500", At::Once, |_, _| What::status(500), Fails("server")),
    ("502", At::Once, |_, _| What::status(502), Fails("server")),
    ("504", At::Once, |_, _| What::status(504), Fails("server")),
    ("429, no word", At::Once, |_, _| What::status(429), Untried),
    ("429, a second", At::Once, |_, _| What::retry_after(429, "1"), Untried),
    ("429, nonsense", At::Once, |_, _| What::retry_after(429, "soon"), Untried),
    (
        "503, a day that is over",
        At::Once,
        |_, _| What::retry_after(503, "Thu, 01 Jan 1970 00:00:00 GMT"),
        Untried,
    ),
    ("503, less than nothing", At::Once, |_, _| What::retry_after(503, "-30"), Untried),
    ("503, half an hour", At::Once, |_, _| What::retry_after(503, "1800"), Waits),
    ("429, thirty years", At::Once, |_, _| What::retry_after(429, "1e9"), Waits),
    ("503, a day in 2099", At::Once, |_, _| What::retry_after(503, "Thu, 01 Jan 2099 00:00:00 GMT"), Waits),
];

fn redirect(location: &str) -> What {
    What::Redirect { status: 302, location: location.into() }
}

fn small() -> Options {
    Options { assets: 2, ..Options::default() }
}

struct Row {
    name: String,
    what: What,
    always: Always,
}

/// The rows of the table, at every byte that they are tried at.
fn rows() -> Vec<Row> {
    let world = World::new(small());
    let size = world.sandbox.truth().into_iter().find(|f| f.rendition == Rendition::Original).unwrap().size;
    let mut rows = Vec::new();
    for (name, at, make, always) in CONTENT {
        let spots: &[(&str, u64)] = &[("first", 1), ("middle", size / 2), ("last", size - 1)];
        let spots = if at == At::Bytes { spots } else { &spots[..1] };
        for (spot, byte) in spots {
            let name = if at == At::Bytes { format!("{name}, {spot} byte") } else { name.to_owned() };
            let always = match (always, *spot) {
                (Creeps(reason), "first") => Fails(reason),
                (Creeps(_), _) => Home,
                (always, _) => always,
            };
            rows.push(Row { name, what: make(*byte, size), always });
        }
    }
    rows
}

fn strike(world: &World, what: &What, times: Times) -> String {
    let file = world.sandbox.truth().into_iter().find(|f| f.rendition == Rendition::Original).unwrap();
    let on = Target::file(&file.asset_record, Rendition::Original);
    world.sandbox.faults().add(Fault { on, times, what: what.clone() });
    file.asset_record
}

fn assert_no_wrong_file(world: &World) {
    let truth: Vec<String> = world.sandbox.truth().into_iter().map(|file| file.sha256).collect();
    assert!(
        world.published().values().all(|sha256| truth.contains(sha256)),
        "a final name holds wrong bytes"
    );
    world.assert_rows_are_true();
}

#[test]
fn a_file_that_meets_a_fault_once_comes_home() {
    let rows = rows();
    let injected = pool::each(
        &rows,
        |row| row.name.clone(),
        |row| {
            let world = World::new(small());
            strike(&world, &row.what, Times::Count(1));
            let code = run_with(&world, "", None);
            if row.always == Waits {
                assert_eq!(code, Some(5), "Apple asks to wait");
                assert_no_wrong_file(&world);
                assert_eq!(world.count("attempts > 0"), 0, "no file is blamed");
                world.run(&["sync"], 5);
                world.journal().execute_batch("UPDATE account SET next_allowed_at = NULL").unwrap();
                world.run(&["sync"], 0);
            } else {
                assert_eq!(code, Some(0));
            }
            assert!(world.sandbox.faults().waiting().is_empty(), "the fault has struck");
            world.assert_complete();
        },
    );
    println!("{injected} faults of the content host, once each");
    assert!(injected >= 50, "the README says so");
}

#[test]
fn a_file_that_meets_a_fault_each_time_is_named_and_the_others_are_home() {
    let rows: Vec<Row> = rows().into_iter().filter(|row| !matches!(row.always, Untried | Waits)).collect();
    let injected = pool::each(
        &rows,
        |row| row.name.clone(),
        |row| {
            let world = World::new(small());
            let asset = strike(&world, &row.what, Times::Always);
            let code = run_with(&world, "", None);
            assert_no_wrong_file(&world);
            let (state, kind, attempts): (String, Option<String>, i64) = world
            .journal()
            .query_row(
                "SELECT state, error_kind, attempts FROM v_file WHERE asset = ?1 AND rendition = 'original'",
                [asset],
                |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)),
            )
            .unwrap();
            match row.always {
                Fails(reason) => {
                    assert_eq!((state.as_str(), kind.as_deref()), ("failed", Some(reason)));
                    assert_eq!((code, attempts), (Some(1), 2), "two attempts");
                    assert_eq!(world.count("state <> 'verified'"), 1, "the others are home");
                }
                _ => assert_eq!((code, state.as_str()), (Some(0), "verified")),
            }
            world.sandbox.faults().clear();
            world.run(&["sync", "--retry-failed"], 0);
            world.assert_complete();
        },
    );
    println!("{injected} faults of the content host, each time");
    assert!(injected >= 40, "the README says so");
}

#[test]
fn a_range_that_is_not_honoured_costs_a_restart_and_nothing_else() {
    let lie = |start_shift, total_shift| What::WrongContentRange { start_shift, total_shift };
    let jobs = [
        ("the whole for a part", What::IgnoreRange, 0),
        ("a later start", lie(1, 0), 0),
        ("an earlier start", lie(-1, 0), 0),
        ("a longer total", lie(0, 5), 0),
        ("a shorter total", lie(0, -5), 0),
        ("several parts", What::Multipart, 0),
        ("one bit of the rest", What::FlipBit { offset: 17_000_000 }, 1),
        ("nothing behind it", What::status(416), 1),
        ("compressed", What::Gzip, 1),
    ];
    pool::each(
        &jobs,
        |(name, ..)| (*name).to_owned(),
        |(_, what, always)| {
            for (times, code) in [(Times::Count(1), 0), (Times::Always, *always)] {
                let world = Scene::Half.set();
                world.sandbox.faults().add(Fault {
                    on: Target::of(Endpoint::Cdn),
                    times,
                    what: what.clone(),
                });
                world.run(&["sync"], code);
                world.assert_rows_are_true();
                world.sandbox.faults().clear();
                world.run(&["sync", "--retry-failed"], 0);
                world.assert_complete();
            }
        },
    );
}

/// Two pages of small photos.
fn two_pages() -> World {
    let mix = Mix { live: 0, video: 0, edited_live: 0, edited_video: 0, ..Mix::default() };
    World::new(Options { assets: 130, mean_size_bytes: Some(700), mix, ..Options::default() })
}

/// An answer of the photo service that is not what it should be, and how a run may end that meets it
/// once: 0, it was outlived; else the code. The next run is whole.
fn answers() -> Vec<(&'static str, What, &'static [i32])> {
    let body = |text: &str| What::body(200, "application/json", text);
    let spoil = |pointer: &str, value: Value| What::Spoil { pointer: pointer.into(), value };
    let deep = "[".repeat(100_000);
    vec![
        ("reset", What::Reset, &[0]),
        ("cut in the headers' promise", What::CutAfter { bytes: 40 }, &[0]),
        ("cut in chunks", What::ChunkedCut { bytes: 40 }, &[0]),
        ("chunked", What::Chunked, &[0]),
        ("truncated JSON", What::MalformedJson, &[0, 1, 5]),
        ("no JSON at all", body("<html>hotel network</html>"), &[0, 1, 5]),
        ("nothing", body(""), &[0, 1, 5]),
        ("null", body("null"), &[0, 5]),
        ("a list", body("[]"), &[0, 5]),
        ("a number", body("7"), &[0, 5]),
        ("an empty object", body("{}"), &[0, 5]),
        ("a hundred thousand brackets", body(&deep), &[0, 1, 5]),
        ("records that are null", spoil("/records", Value::Null), &[0, 5]),
        ("records that are a number", spoil("/records", json!(7)), &[0, 5]),
        ("a record that is null", spoil("/records/0", Value::Null), &[0, 1]),
        ("a record that is a list", spoil("/records/0", json!([[], 1])), &[0, 1]),
        ("a record without a name", spoil("/records/0/recordName", Value::Null), &[0, 1]),
        ("a record of another type", spoil("/records/0/recordType", json!("CPLDream")), &[0, 1]),
        ("fields that are text", spoil("/records/0/fields", json!("x")), &[0, 1]),
        ("a field that is a number", spoil("/records/0/fields/resOriginalRes", json!(1)), &[0, 1]),
        ("a file that is text", spoil("/records/0/fields/resOriginalRes/value", json!("x")), &[0, 1]),
        ("no UTF-8", What::InvalidUtf8, &[0, 1, 5]),
        ("every record twice", What::DoubledRecords, &[0]),
        ("records backwards", What::ReversedRecords, &[0]),
        ("every other record missing", What::MissingRecords { every: 2 }, &[0, 1]),
        ("no record, more to come", What::EmptyPage, &[0]),
        ("the page before once more", What::RepeatedPage, &[0]),
        ("a server fault", What::status(500), &[0]),
        ("a bad gateway", What::status(502), &[0]),
        ("too many requests, a second", What::retry_after(429, "1"), &[0]),
        ("not available, half an hour", What::retry_after(503, "1800"), &[5]),
        ("the session refused", What::status(421), &[0]),
        ("try again later", What::cloudkit("TRY_AGAIN_LATER"), &[0]),
        ("a code that nobody knows", What::cloudkit("COSMIC_RAYS"), &[0, 1, 5]),
    ]
}

#[test]
fn an_answer_of_the_photo_service_may_be_anything_once() {
    let mut jobs = Vec::new();
    for (name, what, codes) in answers() {
        for (place, skip) in [("first", 0), ("second", 1)] {
            jobs.push((format!("{name}, {place} page"), Endpoint::RecordsQuery, skip, what.clone(), codes));
        }
        jobs.push((format!("{name}, zones"), Endpoint::ZonesList, 0, what.clone(), codes));
        jobs.push((format!("{name}, look-up"), Endpoint::RecordsLookup, 0, what, codes));
    }
    let injected = pool::each(
        &jobs,
        |(name, ..)| name.clone(),
        |(_, endpoint, skip, what, codes)| {
            let world = two_pages();
            let on = Target::of(*endpoint).after(*skip);
            world.sandbox.faults().add(Fault { on, times: Times::Count(1), what: what.clone() });
            if *endpoint == Endpoint::RecordsLookup {
                // Something must want a fresh address.
                world.sandbox.faults().add(Fault::once(Endpoint::Cdn, What::status(410)));
            }
            let ran = world.rollbook(&["sync"]).output().unwrap();
            let code = ran.status.code().unwrap();
            let said = String::from_utf8_lossy(&ran.stderr);
            assert!(codes.contains(&code), "ends with {code}, not {codes:?}\n{said}");
            assert_no_wrong_file(&world);
            world.journal().execute_batch("UPDATE account SET next_allowed_at = NULL").unwrap();
            world.run(&["sync", "--retry-failed"], 0);
            let sql = "SELECT count(*) FROM record_problem WHERE resolved_at IS NULL";
            let named: i64 = world.journal().query_row(sql, [], |r| r.get(0)).unwrap();
            if named > 0 {
                // A record that could not be read is named until it changes or all is listed again.
                world.run(&["sync", "--full"], 0);
            }
            world.assert_complete();
        },
    );
    println!("{injected} faults of the photo service");
    assert!(injected >= 130, "the README says so");
}
