//! Changes: what happens to the library between runs, and during one, is in the tree and in the
//! journal after the next run, and costs what it must and no more.

mod support;

use rollbook_sandbox::{
    Change, Counters, Endpoint, Fault, Kind, Options, Rendition, Target, Times, TruthAlbum, What,
};
use support::World;

/// A library that was brought home once, and counters at zero.
fn home(options: Options) -> World {
    let world = World::new(options);
    world.run(&["sync"], 0);
    world.assert_follows();
    world.sandbox.reset_counters();
    world
}

/// Requests to the photo service.
fn questions(counters: &Counters) -> u64 {
    [
        Endpoint::ZonesList,
        Endpoint::RecordsQuery,
        Endpoint::QueryBatch,
        Endpoint::RecordsLookup,
        Endpoint::ChangesDatabase,
        Endpoint::ChangesZone,
    ]
    .map(|endpoint| counters.of(endpoint))
    .iter()
    .sum()
}

/// Bytes of content since the counters were last reset.
fn fetched(world: &World) -> u64 {
    world.sandbox.counters().cdn_bytes
}

#[test]
fn a_run_without_changes_asks_once_for_each_database_and_writes_nothing() {
    for (shared_zone, questions_max) in [(false, 1), (true, 2)] {
        let world = home(Options { assets: 40, shared_zone, ..Options::default() });
        let before = world.inventory();
        for _ in 0..2 {
            world.sandbox.reset_counters();
            let ran = world.run(&["sync"], 0);
            assert!(ran.stdout().contains("nothing new"), "{}", ran.stdout());
            let counters = world.sandbox.counters();
            assert_eq!(counters.of(Endpoint::ChangesDatabase), questions_max);
            assert_eq!(questions(&counters), questions_max, "{counters:?}");
            assert_eq!(counters.of(Endpoint::Cdn), 0);
        }
        assert_eq!(world.inventory(), before, "inodes and change times of every file and folder");
    }
}

#[test]
fn every_kind_of_change_is_followed_and_told() {
    let world = home(Options { assets: 60, ..Options::default() });
    let library = world.sandbox.library();
    let assets = library.assets();
    let added = library.add_asset(Kind::Live);
    assert!(library.edit_asset(&assets[3]) && library.delete_asset(&assets[4]) && library.purge(&assets[5]));
    assert!(library.set_favorite(&assets[7], true) || library.set_favorite(&assets[8], true));
    assert!(library.hide(&assets[9]) && library.delete_asset(&assets[10]));
    world.run(&["sync"], 0);
    world.assert_follows();
    assert_eq!(world.sandbox.counters().of(Endpoint::RecordsQuery), 0, "nothing is listed");
    for (event, times) in [("added", 1), ("edited", 1), ("deleted", 2), ("purged", 1), ("hidden", 1)] {
        assert_eq!(world.told(event), times, "{event}");
    }
    let new = |file: &rollbook_sandbox::TruthFile| {
        let edited = file.asset_record == assets[3] && file.rendition.is_edit();
        file.asset_record == added || edited
    };
    let bytes: u64 = world.sandbox.truth().iter().filter(|file| new(file)).map(|file| file.size).sum();
    assert_eq!(fetched(&world), bytes, "what is new, once");

    // Back again: nothing was lost, so nothing is fetched.
    world.sandbox.reset_counters();
    assert!(library.restore_asset(&assets[4]) && library.unhide(&assets[9]) && library.purge(&assets[10]));
    world.run(&["sync"], 0);
    world.assert_follows();
    assert_eq!((fetched(&world), world.told("restored"), world.told("unhidden")), (0, 1, 1));
    assert_eq!(world.told("purged"), 2, "a deleted photo is purged after its month");
    let was: String = world
        .journal()
        .query_row("SELECT removed_as FROM asset WHERE record_name = ?1", [&assets[10]], |r| r.get(0))
        .unwrap();
    assert_eq!(was, "purged");
}

#[test]
fn a_token_that_is_void_leads_to_a_listing_that_fetches_nothing_again() {
    let world = home(Options { assets: 30, ..Options::default() });
    let library = world.sandbox.library();
    let assets = library.assets();
    // What the changes would have said, the listing finds out.
    assert!(library.purge(&assets[2]) && library.delete_asset(&assets[3]) && library.hide(&assets[4]));
    let void = What::CloudKitError {
        code: "BAD_REQUEST".into(),
        reason: "Unknown sync continuation type".into(),
        retry_after: None,
    };
    world.sandbox.faults().add(Fault::once(Endpoint::ChangesZone, void));
    let ran = world.run(&["sync"], 0);
    assert!(ran.stderr().contains("listed again"), "{}", ran.stderr());
    world.assert_follows();
    assert_eq!(fetched(&world), 0);
    assert_eq!((world.told("purged"), world.told("deleted"), world.told("hidden")), (1, 1, 1));
}

#[test]
fn a_recount_that_does_not_agree_leads_to_a_listing() {
    let world = home(Options { assets: 30, ..Options::default() });
    // A day later, and as if the changes had missed one.
    let journal = world.journal();
    journal.execute("UPDATE library SET recounted_at = recounted_at - 100000", []).unwrap();
    let ran = world.run(&["sync"], 0);
    assert_eq!(world.sandbox.counters().of(Endpoint::QueryBatch), 1, "one request for both counts");
    assert_eq!(world.sandbox.counters().of(Endpoint::RecordsQuery), 0, "{}", ran.stderr());
    journal
        .execute_batch(
            "UPDATE library SET recounted_at = 0;
            UPDATE asset SET removed_at = 1, removed_as = 'purged' WHERE asset_id = 3",
        )
        .unwrap();
    let ran = world.run(&["sync"], 0);
    assert!(ran.stderr().contains("Apple counts 30 assets, the journal 29"), "{}", ran.stderr());
    world.assert_follows();
    assert_eq!(fetched(&world), 0);
}

#[test]
fn full_lists_everything_and_fetches_nothing() {
    let world = home(Options { assets: 30, shared_zone: true, ..Options::default() });
    let before = world.inventory();
    world.run(&["sync", "--full"], 0);
    assert!(world.sandbox.counters().of(Endpoint::RecordsQuery) >= 2);
    assert_eq!((fetched(&world), world.inventory()), (0, before));
    world.assert_follows();
}

#[test]
fn a_new_name_a_new_date_and_an_undone_edit_are_followed() {
    let world = home(Options { assets: 40, ..Options::default() });
    let library = world.sandbox.library();
    let truth = world.sandbox.truth();
    let plain = |at: usize| {
        let has_edit = |name: &str| truth.iter().any(|f| f.asset_record == name && f.rendition.is_edit());
        library.assets().into_iter().filter(|name| !has_edit(name)).nth(at).unwrap()
    };
    let before = world.tree();
    let [renamed, redated, edited] = [plain(0), plain(1), plain(2)];
    assert!(library.rename(&renamed, "Holiday.HEIC") && library.redate(&redated, 1_000_000_000_000));
    assert!(library.edit_asset(&edited));
    world.run(&["sync"], 0);
    world.assert_follows();
    assert_eq!((world.told("renamed"), world.told("redated"), world.told("edited")), (1, 1, 1));
    let detail: String = world
        .journal()
        .query_row("SELECT detail FROM asset_history WHERE event = 'redated'", [], |r| r.get(0))
        .unwrap();
    assert!(detail.ends_with("-> 2001-09-09T01:46:40Z"), "{detail}");
    let mut after = world.tree();
    after.retain(|path, _| before.contains_key(path));
    assert_eq!(after, before, "no file moved or changed, whatever it is called or dated now");

    // The edit is undone, and then made anew: the old edit stays beside the new one.
    world.sandbox.reset_counters();
    assert!(library.revert_asset(&edited));
    world.run(&["sync"], 0);
    world.assert_follows();
    assert_eq!((world.told("reverted"), fetched(&world)), (1, 0));
    assert!(library.edit_asset(&edited));
    world.run(&["sync"], 0);
    world.assert_follows();
    assert_eq!(world.told("edited"), 2);
    let versions = format!(
        "rendition LIKE 'edited%' AND asset_id = (SELECT asset_id FROM asset WHERE record_name = '{edited}')"
    );
    assert!(world.count(&versions) >= 2);
    assert_eq!(world.count(&format!("{versions} AND state <> 'verified'")), 0);
}

#[test]
fn a_photo_that_moves_to_the_shared_library_is_not_fetched_again() {
    let world = home(Options { assets: 30, shared_zone: true, ..Options::default() });
    let library = world.sandbox.library();
    let assets = library.assets();
    assert!(library.edit_asset(&assets[6]));
    world.run(&["sync"], 0);
    world.sandbox.reset_counters();
    let before = world.tree();
    for asset in &assets[5..8] {
        assert!(library.move_to_shared(asset).is_some());
    }
    world.run(&["sync"], 0);
    world.assert_follows();
    assert_eq!(fetched(&world), 0, "the bytes are here already");
    assert_eq!(world.told("moved"), 3);
    assert!(world.tree().len() > before.len(), "it stands in the shared library's place too");
    let detail: String = world
        .journal()
        .query_row("SELECT DISTINCT detail FROM asset_history WHERE event = 'moved'", [], |r| r.get(0))
        .unwrap();
    assert!(detail.starts_with("to SharedSync-"), "{detail}");
}

#[test]
fn photos_that_move_to_a_library_that_is_left_out_before_they_came_are_no_problem() {
    let world = World::new(Options { assets: 30, shared_zone: true, ..Options::default() });
    let primary = ["sync", "--library", "primary"];
    world.run(&["plan", "--library", "primary"], 0);
    world.journal().execute_batch("UPDATE asset_file SET url_expires_at = 1000000").unwrap();
    world.sandbox.expire_urls();
    let library = world.sandbox.library();
    let moved = library.assets()[5..8].to_vec();
    let names = moved.join("', '");
    let theirs = format!("asset_id IN (SELECT asset_id FROM asset WHERE record_name IN ('{names}'))");
    assert!(moved.iter().all(|asset| library.move_to_shared(asset).is_some()));
    // The addresses are asked for before anybody has heard that the photos are gone.
    let late = What::StallAfter { bytes: 0, hold_ms: None };
    world.sandbox.faults().add(Fault::always(Endpoint::ChangesZone, late));
    let run = world.spawn(&primary);
    support::wait_until("Apple has none of them, and the others are here", || {
        world.count(&format!("NOT iif({theirs}, error_kind IS 'gone', state = 'verified')")) == 0
    });
    world.sandbox.faults().clear();
    let ran = support::finish(run, 0);
    assert!(ran.stdout().starts_with("27 assets, "), "{}", ran.stdout());
    assert_eq!(world.told("purged"), 3);

    let problems =
        || world.journal().query_row("SELECT count(*) FROM v_problem", [], |r| r.get::<_, i64>(0)).unwrap();
    assert_eq!(problems(), 0);
    let status = world.run(&["status"], 0).stdout();
    assert!(!status.contains("problem"), "{status}");
    // Where that library is wanted again, they come, and it is known whereto they went.
    world.run(&["sync"], 0);
    world.assert_follows();
    assert_eq!((world.told("moved"), problems()), (3, 0));
}

#[test]
fn albums_and_folders_are_known_and_followed() {
    let world = World::new(Options { assets: 30, ..Options::default() });
    let library = world.sandbox.library();
    let assets = library.assets();
    let folder = library.add_album("Travels", None, true);
    let album = library.add_album("Norway / 2024", Some(&folder), false);
    let other = library.add_album("Best", None, false);
    for asset in &assets[2..6] {
        assert!(library.join(&album, asset));
    }
    world.run(&["sync"], 0);
    assert_albums(&world);
    assert_eq!(world.told("album_joined"), 0, "what was there from the start is no news");

    assert!(library.join(&other, &assets[2]) && library.leave(&album, &assets[3]));
    assert!(library.rename_album(&album, "Norge") && library.purge(&assets[4]));
    let new = library.add_album("New", Some(&folder), false);
    let added = library.add_asset(Kind::Jpeg);
    assert!(library.join(&new, &added));
    world.run(&["sync"], 0);
    assert_albums(&world);
    assert_eq!((world.told("album_joined"), world.told("album_left")), (2, 2));
    world.assert_follows();

    assert!(library.delete_album(&album) && library.leave(&new, &added) && library.join(&other, &added));
    world.run(&["sync"], 0);
    assert_albums(&world);

    // A listing finds the same, and what it does not name is gone.
    assert!(library.delete_album(&other) && library.join(&new, &assets[9]));
    library.void_tokens();
    world.run(&["sync"], 0);
    assert_albums(&world);
    world.assert_follows();
}

#[test]
fn what_one_listing_of_albums_lacks_is_not_taken_for_gone() {
    let world = World::new(Options { assets: 30, page_cap: 10, ..Options::default() });
    let library = world.sandbox.library();
    let assets = library.assets();
    let folder = library.add_album("Travels", None, true);
    let album = library.add_album("Norway", Some(&folder), false);
    let other = library.add_album("Best", None, false);
    assert!(
        assets[..25].iter().all(|asset| library.join(&album, asset)) && library.join(&other, &assets[28])
    );
    world.run(&["sync"], 0);
    assert_albums(&world);
    world.sandbox.reset_counters();
    world.run(&["sync", "--full"], 0);
    let pages = world.sandbox.counters().requests[&Endpoint::RecordsQuery];
    for what in [What::EmptyPage, What::RepeatedPage, What::MissingRecords { every: 2 }] {
        for page in 0..u32::try_from(pages).unwrap() {
            let on = Target::of(Endpoint::RecordsQuery).after(page);
            world.sandbox.faults().add(Fault { on, times: Times::Count(1), what: what.clone() });
            world.run(&["sync", "--full"], 0);
            assert_eq!(world.told("album_left"), 0, "{what:?} at page {page} of {pages}");
        }
    }
    assert_albums(&world);
    // What is really gone is missing twice.
    assert!(library.leave(&album, &assets[3]) && library.delete_album(&other));
    world.run(&["sync", "--full"], 0);
    assert_albums(&world);
    assert_eq!(world.told("album_left"), 2);
}

/// Asserts that the albums made by hand are in the journal, with all that lies in them.
fn assert_albums(world: &World) {
    let journal = world.journal();
    let truth = world.sandbox.library().albums();
    let mut statement = journal
        .prepare(
            "SELECT record_name, name, parent_name, is_folder FROM album
             WHERE removed_at IS NULL AND name NOT LIKE 'Sommer%' ORDER BY record_name",
        )
        .unwrap();
    let here = statement.query_map([], |r| {
        let record: String = r.get(0)?;
        let mut members = journal.prepare(
            "SELECT asset_name FROM album_asset m JOIN album USING (album_id)
             WHERE record_name = ?1 AND m.removed_at IS NULL ORDER BY asset_name",
        )?;
        let members = members.query_map([&record], |r| r.get(0))?.collect::<Result<Vec<String>, _>>()?;
        Ok(TruthAlbum { name: r.get(1)?, parent: r.get(2)?, is_folder: r.get(3)?, members, record })
    });
    let here: Vec<TruthAlbum> = here.unwrap().map(Result::unwrap).collect();
    assert_eq!(here, truth);
}

#[test]
fn whatever_changes_during_the_first_listing_is_not_missed() {
    // At each page of a listing in short pages, one change of each kind strikes.
    for page in [1, 2, 4] {
        let world = World::new(Options { assets: 60, page_cap: 10, ..Options::default() });
        let assets = world.sandbox.library().assets();
        let record = |at: usize| assets[at].clone();
        let changes = [
            Change::Add { kind: Kind::Live },
            Change::Edit { record: record(3) },
            Change::Purge { record: record(1) },
            Change::Delete { record: record(25) },
            Change::Hide { record: record(50) },
            Change::Rename { record: record(7), filename: "Renamed.JPG".into() },
            Change::Redate { record: record(40), captured_ms: 2_000_000_000_000 },
        ];
        for change in changes {
            let on = Target::of(Endpoint::RecordsQuery).after(page);
            let what = What::Change { change };
            world.sandbox.faults().add(Fault { on, times: Times::Count(1), what });
        }
        world.run(&["sync"], 0);
        assert_eq!(world.sandbox.faults().waiting(), []);
        // What was purged or changed before its file came is no failure of ours.
        world.assert_follows();
        world.sandbox.reset_counters();
        world.run(&["sync"], 0);
        assert_eq!(fetched(&world), 0);
        world.assert_follows();
    }
}

#[test]
fn changes_come_through_empty_short_and_split_pages_and_are_taken_up_where_they_broke_off() {
    let options = Options {
        assets: 50,
        empty_change_pages: 40,
        change_page_cap: 6,
        split_changes: true,
        ..Options::default()
    };
    let world = home(options);
    let library = world.sandbox.library();
    let assets = library.assets();
    for asset in &assets[..12] {
        assert!(library.set_favorite(asset, true) | library.edit_asset(asset));
    }
    let added: Vec<String> = (0..8).map(|_| library.add_asset(Kind::Heic)).collect();
    assert!(library.rename(&added[0], "Half.HEIC"));
    // In the middle the library is busy for longer than a run waits: the old token stays.
    let busy =
        What::CloudKitError { code: "THROTTLED".into(), reason: "busy".into(), retry_after: Some(900) };
    let on = Target::of(Endpoint::ChangesZone).after(150);
    world.sandbox.faults().add(Fault { on, times: Times::Count(1), what: busy });
    world.run(&["sync"], 5);
    let half = world.told("edited");
    assert!(half > 0, "some pages are rows");
    world.journal().execute("UPDATE account SET next_allowed_at = NULL", []).unwrap();
    world.run(&["sync"], 0);
    world.assert_follows();
    assert_eq!(world.told("edited"), 12, "each once");
    assert_eq!(world.sandbox.counters().of(Endpoint::RecordsQuery), 0, "nothing is listed");
}

#[test]
fn a_library_that_is_gone_is_named_and_the_others_go_on() {
    let world = home(Options { assets: 30, shared_zone: true, ..Options::default() });
    let library = world.sandbox.library();
    let assets = library.assets();
    assert!(library.move_to_shared(&assets[3]).is_some());
    let gone = What::CloudKitError {
        code: "ZONE_NOT_FOUND".into(),
        reason: "Zone does not exist".into(),
        retry_after: None,
    };
    // Own library first, then the shared one: the fault strikes the second.
    let on = Target::of(Endpoint::ChangesZone).after(2);
    world.sandbox.faults().add(Fault { on, times: Times::Count(1), what: gone });
    let ran = world.run(&["sync"], 1);
    assert!(ran.stderr().contains("SharedSync-") && ran.stderr().contains("left out"), "{}", ran.stderr());
    assert_eq!(world.told("purged"), 1, "the other library was followed");
    world.run(&["sync"], 0);
    world.assert_follows();
}

#[test]
fn a_void_database_token_costs_one_question_more() {
    let world = home(Options { assets: 20, ..Options::default() });
    world.journal().execute("UPDATE database_token SET sync_token = 'nonsense'", []).unwrap();
    world.run(&["sync"], 0);
    let counters = world.sandbox.counters();
    assert_eq!((counters.of(Endpoint::ChangesDatabase), counters.of(Endpoint::RecordsQuery)), (2, 0));
    world.sandbox.reset_counters();
    world.run(&["sync"], 0);
    assert_eq!(questions(&world.sandbox.counters()), 1);
}

#[test]
fn changes_that_cannot_be_completed_lead_to_a_listing() {
    let world = home(Options { assets: 30, ..Options::default() });
    let library = world.sandbox.library();
    assert!(library.hide(&library.assets()[4]));
    // The asset comes alone, and its master cannot be looked up.
    world.sandbox.faults().add(Fault::once(Endpoint::RecordsLookup, What::cloudkit("INTERNAL_ERROR")));
    let ran = world.run(&["sync"], 0);
    assert!(ran.stderr().contains("listed again"), "{}", ran.stderr());
    world.assert_follows();
    assert_eq!((fetched(&world), world.told("hidden")), (0, 1));
}

#[test]
fn a_count_that_stays_wrong_leads_to_one_more_listing_and_not_to_one_each_day() {
    let world = home(Options { assets: 30, ..Options::default() });
    let wrong = r#"{"batch":[{"records":[{"fields":{"itemCount":{"value":35}}}]},{"records":[{"fields":{"itemCount":{"value":0}}}]}]}"#;
    let wrong = What::body(200, "application/json", wrong);
    world.sandbox.faults().add(Fault::always(Endpoint::QueryBatch, wrong));
    let mut listings = Vec::new();
    for _day in 0..4 {
        world.journal().execute("UPDATE library SET recounted_at = recounted_at - 100000", []).unwrap();
        world.sandbox.reset_counters();
        world.run(&["sync"], 0);
        listings.push(world.sandbox.counters().of(Endpoint::RecordsQuery) > 0);
    }
    assert_eq!(listings, [true, true, false, false]);
    assert_eq!(fetched(&world), 0);
    world.assert_equals_truth();
}

#[test]
fn records_that_cannot_be_used_are_counted_by_apple_and_need_no_second_listing() {
    let world = World::new(Options { assets: 20, odd_records: true, ..Options::default() });
    // Some files have no address at all, so the run says that not all is here.
    world.run(&["sync"], 1);
    let mut listings = Vec::new();
    for _day in 0..3 {
        world.journal().execute("UPDATE library SET recounted_at = recounted_at - 100000", []).unwrap();
        world.sandbox.reset_counters();
        world.run(&["sync"], 1);
        listings.push(world.sandbox.counters().of(Endpoint::RecordsQuery) > 0);
    }
    assert!(!listings[1] && !listings[2], "{listings:?}");
}

#[test]
fn a_version_that_was_given_up_and_went_is_begun_anew_when_it_is_offered_again() {
    let world = World::new(Options { assets: 3, ..Options::default() });
    let asset = world.sandbox.library().assets()[0].clone();
    let on = Target::file(asset.clone(), Rendition::Original);
    world.sandbox.faults().add(Fault { on, times: Times::Always, what: What::FlipBit { offset: 10 } });
    let row = || -> (String, String, i64, Option<i64>) {
        let sql = "SELECT state, standing, attempts, retry_at FROM v_file WHERE asset = ?1 AND rendition = 'original'";
        world
            .journal()
            .query_row(sql, [&asset], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))
            .unwrap()
    };
    world.run(&["sync"], 1);
    // Until it is given up: two attempts in each run.
    for _ in 0..9 {
        world.journal().execute_batch("UPDATE asset_file SET retry_at = 1 WHERE state = 'failed'").unwrap();
        world.run(&["sync"], 1);
    }
    let (state, _, given_up, retry_at) = row();
    assert_eq!((state.as_str(), given_up, retry_at), ("failed", 20, None));
    world.sandbox.library().delete_asset(&asset);
    world.run(&["sync"], 0);
    assert_eq!((row().0.as_str(), row().1.as_str()), ("failed", "superseded"));

    // Offered again, it is tried at once and counted from the start, and may fail again.
    world.sandbox.library().restore_asset(&asset);
    world.run(&["sync"], 1);
    let (state, standing, attempts, retry_at) = row();
    assert_eq!((state.as_str(), standing.as_str(), attempts), ("failed", "failed", 2));
    assert!(retry_at.is_some(), "it is not given up");
    assert_eq!(world.history("changed"), 1);
    world.sandbox.faults().clear();
    world.run(&["sync", "--retry-failed"], 0);
    world.assert_follows();
}

#[test]
fn a_library_that_is_left_out_costs_nothing_and_misses_nothing_when_it_is_wanted_again() {
    let world = home(Options { assets: 20, shared_zone: true, ..Options::default() });
    let library = world.sandbox.library();
    let shared = world
        .sandbox
        .truth()
        .into_iter()
        .find(|file| file.zone != "PrimarySync")
        .map(|file| file.asset_record)
        .unwrap();
    assert!(library.rename(&shared, "seen-later.jpg"));
    let own = world.sandbox.truth().into_iter().find(|file| file.zone == "PrimarySync").unwrap();
    assert!(library.rename(&own.asset_record, "seen-now.jpg"));
    world.run(&["sync", "--library", "primary"], 0);
    for _ in 0..2 {
        world.sandbox.reset_counters();
        world.run(&["sync", "--library", "primary"], 0);
        let counters = world.sandbox.counters();
        assert_eq!((questions(&counters), counters.of(Endpoint::ChangesDatabase)), (2, 2), "{counters:?}");
    }
    let named = || -> i64 {
        let sql = "SELECT count(*) FROM v_asset WHERE filename = 'seen-later.jpg'";
        world.journal().query_row(sql, [], |r| r.get(0)).unwrap()
    };
    assert_eq!(named(), 0);
    world.sandbox.reset_counters();
    world.run(&["sync"], 0);
    assert_eq!(named(), 1);
    let counters = world.sandbox.counters();
    assert_eq!(
        (counters.of(Endpoint::RecordsQuery), counters.of(Endpoint::Cdn)),
        (0, 0),
        "changes, no listing"
    );
    world.assert_follows();
    world.sandbox.reset_counters();
    world.run(&["sync"], 0);
    assert_eq!(questions(&world.sandbox.counters()), 2, "and it is followed like any other again");
}

#[test]
fn a_record_that_could_not_be_read_is_read_again_by_another_version_of_the_program() {
    let world = World::new(Options { assets: 4, odd_records: true, ..Options::default() });
    world.run(&["sync"], 1);
    let problems = || -> i64 {
        let sql = "SELECT count(*) FROM v_problem WHERE what = 'record'";
        world.journal().query_row(sql, [], |r| r.get(0)).unwrap()
    };
    let unreadable = problems();
    assert!(unreadable > 0);
    let listings = |args: &[&str]| {
        world.sandbox.reset_counters();
        let code = world.rollbook(args).output().unwrap().status.code();
        assert!(matches!(code, Some(0 | 1)), "{code:?}");
        world.sandbox.counters().of(Endpoint::RecordsQuery)
    };
    assert_eq!(listings(&["sync"]), 0);
    world.journal().execute_batch("UPDATE library SET listed_by = '0.0.9'").unwrap();
    assert!(listings(&["sync"]) > 0, "the library is listed once more");
    assert_eq!((listings(&["sync"]), problems()), (0, unreadable), "and only once");
    // Where everything can be read there is nothing to gain.
    world
        .journal()
        .execute_batch("UPDATE library SET listed_by = '0.0.9'; UPDATE record_problem SET resolved_at = 1")
        .unwrap();
    assert_eq!(listings(&["sync"]), 0);
}
