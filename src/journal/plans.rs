//! The plans of the hot queries: each finds its rows by an index that shrinks with the work, at any
//! size of the journal. Those with `INDEXED BY` could not even be prepared without it. That no other
//! statement reads a whole table is for `tests/query_plans.rs`.

use rusqlite::{Connection, StatementStatus, named_params};

use crate::journal::{asset_change, claim, moves, place, query, schema, seen};

/// The statement, and the words that its plan must have.
const HOT: [(&str, &[&str]); 8] = [
    (
        claim::CLAIMABLE,
        &[
            "SEARCH f USING INDEX asset_file_claimable (library_id=?)",
            "SEARCH o USING INDEX asset_by_master (<expr>=?)",
            "SEARCH t USING INDEX asset_file_of (asset_id=?",
        ],
    ),
    (claim::DEAD, &["SEARCH f USING INDEX asset_file_claimed (library_id=?"]),
    (claim::TAKE, &["SEARCH asset_file USING INTEGER PRIMARY KEY (rowid=?)"]),
    // Once for each asset of a listing.
    (asset_change::KNOWN, &["SEARCH asset USING INDEX asset_by_name (<expr>=?)"]),
    // Once for each file of a new asset.
    (place::IS_FREE, &["SEARCH asset_file USING", "(path_key=?)"]),
    // Once for each known asset of a listing.
    (seen::KNOWN_FILES, &["SEARCH asset_file USING", "(asset_id=?)"]),
    // At the start of every run.
    (moves::REQUEUED_DUE, &["SEARCH asset_file USING", "INDEX asset_file_failed (library_id=?"]),
    // Before every renewal.
    (query::EXPIRED, &["SEARCH f USING", "INDEX asset_file_expired (library_id=?)"]),
];

fn plan(connection: &Connection, sql: &str) -> String {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("it can be prepared");
    // What is not bound is NULL, which changes no plan.
    let rows = statement.raw_query().mapped(|row| row.get::<_, String>("detail"));
    rows.collect::<Result<Vec<_>, _>>().expect("a plan").join("\n")
}

#[test]
fn hot_queries_find_their_rows_by_an_index() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = schema::open_writer(&folder.path().join("journal.db")).expect("a journal");
    for is_counted in [false, true] {
        if is_counted {
            count_before_the_first_download(&journal);
        }
        for (sql, words) in HOT {
            let plan = plan(&journal, sql);
            assert!(words.iter().all(|word| plan.contains(word)), "counted: {is_counted}: {sql}\n{plan}");
            assert!(!plan.contains("SCAN f") && !plan.contains("SCAN asset"), "{sql}\n{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
        }
    }
}

/// What a person's `ANALYZE` notes after a run that listed a library and fetched nothing: many rows, and none in the
/// indexes of those that came home, or did not.
fn count_before_the_first_download(journal: &Connection) {
    journal
        .execute_batch(
            "ANALYZE;
             INSERT INTO sqlite_stat1 (tbl, idx, stat)
             SELECT tbl_name, name, CASE
                 WHEN name = 'asset_file_claimable' THEN '5000 2000 1'
                 WHEN sql LIKE '%WHERE%' THEN '0 0 0 0' ELSE '5000 1' END
             FROM sqlite_schema WHERE type = 'index' AND tbl_name IN ('asset', 'asset_file');
             ANALYZE sqlite_schema;",
        )
        .expect("counts");
}

/// Names that count up, or begin alike, as those of another service's import might.
#[test]
fn an_asset_is_found_at_once_among_names_that_begin_alike() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = schema::open_writer(&folder.path().join("journal.db")).expect("a journal");
    let account = "INSERT INTO account (account_id, username, created_at) VALUES (1, 'u', 0)";
    let library = "INSERT INTO library (library_id, account_id, database, zone_name, zone_owner, zone_type)
                   VALUES (1, 1, 'private', 'PrimarySync', '', '')";
    for sql in [account, library] {
        journal.execute(sql, []).expect("a row");
    }
    let fill = |from: i64, to: i64| {
        let sql = "
            WITH RECURSIVE counted (value) AS (
                SELECT :from UNION ALL SELECT value + 1 FROM counted WHERE value < :to)
            INSERT INTO asset (library_id, record_name, master_name, change_tag, filename, kind, favorite,
                hidden, stem)
            SELECT 1, format('2A6F7C1E-0000-4000-8000-%012d', value), 'M', 't', 'a.jpg', 'photo', 0, 0, 'a'
            FROM counted";
        journal.execute(sql, named_params! { ":from": from, ":to": to }).expect("assets")
    };
    let steps = |number: i64| {
        let mut statement = journal.prepare(asset_change::KNOWN).expect("it can be prepared");
        let name = format!("2A6F7C1E-0000-4000-8000-{number:012}");
        assert!(statement.exists(named_params! { ":library": 1, ":record": name }).expect("an asset"));
        statement.get_status(StatementStatus::VmStep)
    };
    fill(1, 10);
    let among_ten = steps(10);
    fill(11, 2000);
    assert_eq!(steps(2000), among_ten);
}

/// `status` reads the tally and never the files.
#[test]
fn status_reads_a_handful_of_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = schema::open_writer(&folder.path().join("journal.db")).expect("a journal");
    let plan = plan(&journal, query::SUMMARY);
    assert!(!plan.contains("asset"), "{plan}");
}
