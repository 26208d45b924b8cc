//! The plans of the hot queries: each finds its rows by an index that shrinks with the work, at any
//! size of the journal. Those with `INDEXED BY` could not even be prepared without it. That no other
//! statement reads a whole table is for `tests/query_plans.rs`.

use rusqlite::Connection;

use crate::journal::{asset_change, claim, moves, place, query, schema, seen};

/// The statement, and the words that its plan must have.
const HOT: [(&str, &[&str]); 8] = [
    (claim::CLAIMABLE, &["SEARCH f USING INDEX asset_file_claimable (library_id=?)"]),
    (claim::DEAD, &["SEARCH f USING INDEX asset_file_claimed (library_id=?"]),
    (claim::TAKE, &["SEARCH asset_file USING INTEGER PRIMARY KEY (rowid=?)"]),
    // Once for each asset of a listing.
    (asset_change::KNOWN, &["SEARCH asset USING", "(library_id=? AND record_name=?)"]),
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
    for (sql, words) in HOT {
        let plan = plan(&journal, sql);
        assert!(words.iter().all(|word| plan.contains(word)), "{sql}\n{plan}");
        assert!(!plan.contains("SCAN f") && !plan.contains("SCAN asset"), "{sql}\n{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
    }
}

/// `status` reads the tally and never the files.
#[test]
fn status_reads_a_handful_of_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = schema::open_writer(&folder.path().join("journal.db")).expect("a journal");
    let plan = plan(&journal, query::SUMMARY);
    assert!(!plan.contains("asset"), "{plan}");
}
