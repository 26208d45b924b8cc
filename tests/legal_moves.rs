//! The schema refuses every illegal move, whoever makes it: a program or a person in `sqlite3`.

use rollbook::journal::Journal;
use rollbook::model::state::{Event, LEGAL_MOVES, State};
use rusqlite::Connection;

/// Columns that each state needs to satisfy the CHECKs, as a SET clause.
fn dressed_as(state: State) -> &'static str {
    match state {
        State::Pending => {
            "offset_bytes = 0, prefix_sha256 = NULL, sha256 = NULL, verified_by = NULL,
             verified_at = NULL, error_kind = NULL, error_detail = NULL"
        }
        State::Partial => {
            "offset_bytes = 5, prefix_sha256 = zeroblob(32), sha256 = NULL, verified_by = NULL,
             verified_at = NULL, error_kind = NULL, error_detail = NULL"
        }
        State::Verified => {
            "offset_bytes = 0, prefix_sha256 = NULL, sha256 = zeroblob(32),
             verified_by = 'apple-signature', verified_at = 1, error_kind = NULL, error_detail = NULL"
        }
        State::Failed => {
            "offset_bytes = 0, prefix_sha256 = NULL, sha256 = NULL, verified_by = NULL,
             verified_at = NULL, error_kind = 'network', error_detail = 'x'"
        }
        State::ExpiredUrl => {
            "offset_bytes = 0, prefix_sha256 = NULL, sha256 = NULL, verified_by = NULL,
             verified_at = NULL, error_kind = NULL, error_detail = NULL"
        }
    }
}

fn set(connection: &Connection, event: Event, to: State) -> rusqlite::Result<usize> {
    let sql = format!(
        "UPDATE asset_file SET state = '{}', event = '{}', moved_at = 1, {}",
        to.as_str(),
        event.as_str(),
        dressed_as(to)
    );
    connection.execute(&sql, [])
}

/// A fresh journal with one row, brought to `state` by legal moves only.
fn journal_with_a_row(folder: &std::path::Path, state: State) -> Connection {
    let path = folder.join(format!("{}.db", state.as_str()));
    drop(Journal::open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "INSERT INTO account (account_id, username, created_at) VALUES (1, 'u', 0);
             INSERT INTO library (library_id, account_id, database, zone_name, zone_owner, zone_type)
                 VALUES (1, 1, 'private', 'PrimarySync', '', '');
             INSERT INTO asset (asset_id, library_id, record_name, master_name, change_tag, filename,
                 kind, favorite, hidden, stem, files_open)
                 VALUES (1, 1, 'A', 'M', 't', 'a.jpg', 'photo', 0, 0, 'a', 1);
             INSERT INTO asset_file (file_id, asset_id, library_id, rendition, checksum, size_bytes,
                 uti, path, path_key) VALUES (1, 1, 1, 'original', 'c', 10, '', 'a.jpg', 1);
             UPDATE tally SET files = 1 WHERE standing IN ('assets', 'assets-open', 'pending');
             UPDATE tally SET bytes = 10 WHERE standing = 'pending';",
        )
        .unwrap();
    let way: &[(Event, State)] = match state {
        State::Pending => &[],
        State::Partial => &[(Event::Progressed, State::Partial)],
        State::Verified => &[(Event::Verified, State::Verified)],
        State::Failed => &[(Event::Failed, State::Failed)],
        State::ExpiredUrl => &[(Event::UrlExpired, State::ExpiredUrl)],
    };
    for (event, to) in way {
        set(&connection, *event, *to).unwrap();
    }
    connection
}

#[test]
fn the_table_in_the_journal_is_the_table_in_the_code() {
    let folder = tempfile::tempdir().unwrap();
    let connection = journal_with_a_row(folder.path(), State::Pending);
    let mut statement = connection.prepare("SELECT from_state, event, to_state FROM legal_move").unwrap();
    let word = |row: &rusqlite::Row<'_>, i| row.get::<_, String>(i);
    let mut in_sql: Vec<(String, String, String)> = statement
        .query_map([], |r| Ok((word(r, 0)?, word(r, 1)?, word(r, 2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut in_code: Vec<(String, String, String)> = LEGAL_MOVES
        .iter()
        .map(|(from, event, to)| (from.as_str().into(), event.as_str().into(), to.as_str().into()))
        .collect();
    in_sql.sort();
    in_code.sort();
    assert_eq!(in_sql, in_code);
}

#[test]
fn of_all_pairs_and_events_only_the_legal_ones_pass() {
    let folder = tempfile::tempdir().unwrap();
    let mut passed = 0;
    for from in State::ALL {
        let mut connection = journal_with_a_row(folder.path(), from);
        for to in State::ALL {
            for event in Event::ALL {
                let transaction = connection.transaction().unwrap();
                let done = set(&transaction, event, to);
                transaction.rollback().unwrap();
                // Staying where one is moves nothing, whatever the event is called.
                let legal = from == to || LEGAL_MOVES.contains(&(from, event, to));
                assert_eq!(done.is_ok(), legal, "{from} --{}--> {to}: {done:?}", event.as_str());
                passed += usize::from(done.is_ok() && from != to);
            }
        }
    }
    assert_eq!(passed, LEGAL_MOVES.iter().filter(|(from, _, to)| from != to).count());
}

#[test]
fn a_row_starts_pending_is_never_deleted_and_its_history_stays() {
    let folder = tempfile::tempdir().unwrap();
    let connection = journal_with_a_row(folder.path(), State::Verified);
    for forbidden in [
        "INSERT INTO asset_file (asset_id, library_id, rendition, checksum, size_bytes, uti, path,
             path_key, state, sha256, verified_by, verified_at)
         VALUES (1, 1, 'edited', 'c', 10, '', 'b.jpg', 2, 'verified', zeroblob(32), 'sha256', 1)",
        "DELETE FROM asset_file",
        "DELETE FROM history",
        "UPDATE history SET event = 'x'",
        // The CHECKs tie columns to states.
        "UPDATE asset_file SET sha256 = NULL",
        "UPDATE asset_file SET error_kind = 'network'",
        "UPDATE asset_file SET offset_bytes = 3, prefix_sha256 = zeroblob(32)",
        "UPDATE asset_file SET claim_run_id = 1, claim_worker = 1",
    ] {
        assert!(connection.execute(forbidden, []).is_err(), "{forbidden}");
    }
    let history: (String, String, String) = connection
        .query_row("SELECT event, from_state, to_state FROM history", [], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?))
        })
        .unwrap();
    assert_eq!(history, ("verified".into(), "pending".into(), "verified".into()));
}

#[test]
fn what_most_rows_lack_takes_no_room_in_them() {
    let folder = tempfile::tempdir().unwrap();
    let connection = journal_with_a_row(folder.path(), State::Pending);
    let payload = |table: &str| -> i64 {
        let sql = "SELECT sum(payload) FROM dbstat WHERE name = ?1";
        connection.query_row(sql, [table], |row| row.get(0)).unwrap()
    };
    for (table, last, absent) in [("asset_file", "kept_at", 20), ("asset", "removed_at = 1, removed_as", 2)] {
        let short = payload(table);
        let value = if table == "asset" { "'purged'" } else { "1" };
        connection.execute(&format!("UPDATE {table} SET {last} = {value}"), []).unwrap();
        // At least a byte for each column between the last of every row and this one.
        assert!(payload(table) >= short + absent, "{table}: {short} and {}", payload(table));
    }
}

#[test]
fn no_version_of_a_file_becomes_another_that_has_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let connection = journal_with_a_row(folder.path(), State::Failed);
    let insert =
        "INSERT INTO asset_file (asset_id, library_id, rendition, checksum, size_bytes, uti, path, path_key)
                  VALUES (1, 1, 'original', 'd', 10, '', '', 2)";
    connection.execute(insert, []).unwrap();
    let change = |checksum: &str| {
        let sql =
            "UPDATE asset_file SET state = 'pending', event = 'changed', error_kind = NULL, checksum = ?1
                   WHERE file_id = 1";
        connection.execute(sql, [checksum])
    };
    change("d").unwrap_err();
    change("c").unwrap();
    change("e").unwrap();
}

#[test]
fn the_tally_knows_what_was_never_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let connection = journal_with_a_row(folder.path(), State::Pending);
    let unchecked = |change: &str| -> i64 {
        connection.execute_batch(change).unwrap();
        connection.query_row("SELECT sum(unchecked) FROM tally", [], |row| row.get(0)).unwrap()
    };
    let verified = format!(
        "UPDATE asset_file SET state = 'verified', event = 'verified', moved_at = 1, {}",
        dressed_as(State::Verified)
    );
    for (change, count) in [
        // A worker ends what it began, though Apple has another version meanwhile.
        ("UPDATE asset_file SET superseded_at = 5", 0),
        (verified.as_str(), 1),
        ("UPDATE asset_file SET superseded_at = NULL", 1),
        ("UPDATE asset_file SET checked_at = 7", 0),
        ("UPDATE asset_file SET checked_at = NULL", 1),
        ("UPDATE asset_file SET superseded_at = 5, released_at = 5", 0),
        ("UPDATE asset_file SET released_at = NULL", 1),
    ] {
        assert_eq!(unchecked(change), count, "{change}");
    }
}

#[test]
fn the_tally_follows_every_move() {
    let folder = tempfile::tempdir().unwrap();
    let connection = journal_with_a_row(folder.path(), State::Pending);
    let count = |standing: &str| -> (i64, i64) {
        connection
            .query_row("SELECT files, bytes FROM v_summary WHERE standing = ?1", [standing], |r| {
                Ok((r.get(0)?, r.get(1)?))
            })
            .unwrap()
    };
    assert_eq!(count("pending"), (1, 10));
    set(&connection, Event::Failed, State::Failed).unwrap();
    assert_eq!((count("pending"), count("failed")), ((0, 0), (1, 10)));
    connection.execute("UPDATE asset_file SET superseded_at = 5", []).unwrap();
    assert_eq!((count("failed"), count("superseded")), ((0, 0), (1, 10)));
    let open = |connection: &Connection| -> i64 {
        connection
            .query_row("SELECT files FROM tally WHERE standing = 'assets-open'", [], |r| r.get(0))
            .unwrap()
    };
    assert_eq!(open(&connection), 0, "nothing in scope is open");
    connection.execute("UPDATE asset_file SET superseded_at = NULL", []).unwrap();
    assert_eq!(open(&connection), 1);
}
