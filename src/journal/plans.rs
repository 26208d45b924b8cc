//! The plans of the hot queries: each finds its rows by an index that shrinks with the work, at any
//! size of the journal. Those with `INDEXED BY` could not even be prepared without it.

use rusqlite::Connection;

use crate::journal::{claim, schema};

/// The statement, and the words that its plan must have.
const HOT: [(&str, &[&str]); 8] = [
    (claim::CLAIMABLE, &["SEARCH f USING INDEX asset_file_claimable (library_id=?)"]),
    (claim::DEAD, &["SEARCH f USING INDEX asset_file_claimed (library_id=?"]),
    (claim::TAKE, &["SEARCH asset_file USING INTEGER PRIMARY KEY (rowid=?)"]),
    // As in `asset_change::known`: once for each asset of a listing.
    (
        "SELECT asset_id FROM asset WHERE library_id = ?1 AND record_name = ?2",
        &["SEARCH asset USING", "(library_id=? AND record_name=?)"],
    ),
    // As in `place`: once for each file of a new asset.
    ("SELECT 1 FROM asset_file WHERE path_key = ?1", &["SEARCH asset_file USING", "(path_key=?)"]),
    // As in `seen`: once for each known asset of a listing.
    ("SELECT state FROM asset_file WHERE asset_id = ?1", &["SEARCH asset_file USING", "(asset_id=?)"]),
    // As in `moves::requeued`, at the start of every run.
    (
        "SELECT file_id FROM asset_file INDEXED BY asset_file_failed
         WHERE library_id = ?1 AND state = 'failed' AND (retry_at <= ?2 OR retry_at > ?3)",
        &["SEARCH asset_file USING", "INDEX asset_file_failed (library_id=?"],
    ),
    // As in `query::expired`, before every renewal.
    (
        "SELECT file_id FROM asset_file INDEXED BY asset_file_expired
         WHERE library_id = ?1 AND state = 'expired-url' AND excluded_by IS NULL
           AND released_at IS NULL AND superseded_at IS NULL ORDER BY file_id LIMIT 100",
        &["SEARCH asset_file USING", "INDEX asset_file_expired (library_id=?)"],
    ),
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
    let sql = "SELECT standing, sum(files), sum(bytes) FROM tally JOIN library USING (library_id)
               JOIN account USING (account_id) WHERE username = 'a' GROUP BY standing";
    let plan = plan(&journal, sql);
    assert!(!plan.contains("asset"), "{plan}");
}
