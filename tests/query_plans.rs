//! Every statement of the journal finds its rows by an index, at any size of the library, or is on the list of
//! those that are meant to read everything.
//!
//! The statements are taken from the source, so a new one is looked at without anybody thinking of it.
//! SQLite tells its plans for a journal that knows nothing of itself, as we leave it, and for one that has counted a
//! million rows, as a person's `ANALYZE` does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use rollbook::journal::Journal;
use rusqlite::Connection;

/// Tables that grow with the library, with what happens to it, or with what lies on the disk.
const LARGE: [&str; 12] = [
    "asset",
    "asset_file",
    "history",
    "asset_history",
    "provider_page",
    "signed_url",
    "album_asset",
    "adoption",
    "sidecar",
    "album_link",
    "damage",
    "leftover",
];

/// Statements that read a whole table, by file and a piece of their text, and why they may.
const WHOLE: [(&str, &str, &str); 14] = [
    ("absence.rs", "json_each(:sizes)", "verify met files that are not what they were"),
    (
        "adopt.rs",
        "SELECT f.file_id, a.record_name, a.filename, f.rendition",
        "adopt compares every row with every file",
    ),
    ("adopt.rs", "SELECT s.path FROM sidecar s", "adopt leaves every sidecar of ours alone"),
    ("adopt.rs", "FROM v_adoption", "adopt tells what it found, of all that it looked at"),
    ("catalogue.rs", "SELECT c.username, l.zone_name, a.record_name", "list names every file"),
    ("choose.rs", "FROM asset a JOIN library l", "another choice is applied to every row, once"),
    (
        "doubt.rs",
        "verified_by IN ('apple-signature', 'sha256')",
        "asked after twenty files of a kind did not match",
    ),
    ("health.rs", "", "journal check looks at everything"),
    ("leftover.rs", "SELECT f.path, f.checksum", "a part of two statements, which name their rows"),
    ("roll.rs", "SELECT f.file_id, f.library_id, a.record_name", "audit calls the whole roll"),
    (
        "roll.rs",
        "SELECT library_id, record_name, filename FROM asset a",
        "the same, for assets without a file",
    ),
    ("story.rs", "SELECT a.asset_id, c.username", "explain looks for a name that a person typed"),
    ("story.rs", "FROM history h", "log reads back from the newest line, as far as was asked for"),
    ("story.rs", "FROM asset_history h", "the same"),
];

const PARTIAL: &str = "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql LIKE '%WHERE%'";

/// A string in the source.
struct Text {
    file: String,
    line: usize,
    text: String,
}

#[test]
fn every_statement_finds_its_rows_by_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    drop(Journal::open(&path).unwrap());
    let journal = Connection::open(&path).unwrap();
    let statements = statements();
    assert!(statements.len() > 150, "the statements were found: {}", statements.len());
    let views = views(&journal);
    let partial = names(&journal, PARTIAL);
    let mut used = BTreeSet::new();
    let mut wrong = Vec::new();
    for counted in [false, true] {
        if counted {
            count_a_million(&journal);
        }
        for statement in &statements {
            let of_views = views.iter().filter(|(name, _)| statement.text.contains(name.as_str()));
            let text = of_views.fold(statement.text.clone(), |text, (_, sql)| text + " " + sql);
            let aliases = aliases(&text);
            for step in plan(&journal, statement) {
                let Some(scanned) = step.strip_prefix("SCAN ") else { continue };
                // What the statement does not name is looked at for its foreign keys, and only where one is
                // broken for the moment: none of ours is deferred.
                let Some(table) = aliases.get(scanned.split(' ').next().unwrap()) else { continue };
                // An index of those rows only that a query is about shrinks with the work.
                let is_partial = scanned.split(' ').any(|word| partial.contains(word));
                if !LARGE.contains(&table.as_str()) || is_partial {
                    continue;
                }
                match WHOLE.iter().position(|(file, piece, _)| statement.is(file, piece)) {
                    Some(place) => drop(used.insert(place)),
                    None => wrong.push(format!(
                        "{}:{} (counted: {counted}): {step}\n    {}",
                        statement.file, statement.line, statement.text
                    )),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "read a whole table:\n{}", wrong.join("\n"));
    let idle: Vec<_> =
        WHOLE.iter().enumerate().filter(|(at, _)| !used.contains(at)).map(|(_, of)| of).collect();
    assert!(idle.is_empty(), "no longer needed on the list: {idle:?}");
}

impl Text {
    fn is(&self, file: &str, piece: &str) -> bool {
        self.file == file && self.text.contains(piece)
    }
}

/// The steps of a statement's plan.
fn plan(journal: &Connection, statement: &Text) -> Vec<String> {
    let told = journal.prepare(&format!("EXPLAIN QUERY PLAN {}", statement.text));
    let mut told =
        told.unwrap_or_else(|e| panic!("{}:{}: {e}: {}", statement.file, statement.line, statement.text));
    // What is not bound is NULL, which changes no plan.
    let steps = told.raw_query().mapped(|row| row.get::<_, String>("detail"));
    steps.map(Result::unwrap).collect()
}

/// Every string of `src/journal` that is a statement, with the constants that it names put in.
fn statements() -> Vec<Text> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/journal");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        let source = fs::read_to_string(&path).unwrap();
        let source = source.split("#[cfg(test)]\nmod tests").next().unwrap();
        let texts = texts(&file, source);
        let constants = constants(source, &texts);
        for Text { file, line, mut text } in texts {
            for (name, value) in &constants {
                text = text.replace(&format!("{{{name}}}"), value);
            }
            let text = without_holes(&text);
            let words = text.lines().flat_map(|line| line.split("--").next().unwrap().split_whitespace());
            let text = words.collect::<Vec<_>>().join(" ");
            let first = text.split(' ').next().unwrap_or_default();
            if ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].contains(&first) {
                found.push(Text { file: file.clone(), line, text });
            }
        }
    }
    found
}

/// Constants of a file that are one string.
fn constants(source: &str, texts: &[Text]) -> BTreeMap<String, String> {
    let lines: Vec<&str> = source.lines().collect();
    let named = texts.iter().filter_map(|text| {
        let (name, _) = lines[text.line - 1].split_once("const ")?.1.split_once(": &str")?;
        Some((name.to_owned(), text.text.clone()))
    });
    named.collect()
}

/// What is put in while it runs is a condition or a number, or left out.
fn without_holes(text: &str) -> String {
    let mut rest = text;
    let mut whole = String::new();
    while let Some((before, hole)) = rest.split_once('{') {
        whole.push_str(before);
        whole.push_str(if before.ends_with('(') || before.ends_with("LIMIT ") { "1" } else { "" });
        rest = hole.split_once('}').map_or("", |(_, after)| after);
    }
    whole + rest
}

/// Every string of a source, read as Rust reads it.
fn texts(file: &str, source: &str) -> Vec<Text> {
    let mut found = Vec::new();
    let mut chars = source.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '/' if source[at..].starts_with("//") => {
                chars.by_ref().take_while(|(_, c)| *c != '\n').for_each(drop)
            }
            // A character, such as a quote; a lifetime has no second tick.
            '\'' => {
                let ahead: Vec<char> = source[at + 1..].chars().take(3).collect();
                let length = match ahead.as_slice() {
                    ['\\', _, '\''] => 3,
                    [_, '\'', ..] => 2,
                    _ => 0,
                };
                chars.by_ref().take(length).for_each(drop);
            }
            '"' => {
                let mut text = String::new();
                while let Some((_, c)) = chars.next().filter(|(_, c)| *c != '"') {
                    text.push(if c == '\\' { chars.next().unwrap().1 } else { c });
                }
                let line = source[..at].matches('\n').count() + 1;
                found.push(Text { file: file.to_owned(), line, text });
            }
            _ => {}
        }
    }
    found
}

/// What each name in a statement stands for.
fn aliases(sql: &str) -> BTreeMap<String, String> {
    const WORDS: [&str; 18] = [
        "JOIN",
        "LEFT",
        "WHERE",
        "ON",
        "USING",
        "INDEXED",
        "SET",
        "GROUP",
        "ORDER",
        "LIMIT",
        "UNION",
        "AS",
        "VALUES",
        "SELECT",
        "EXCEPT",
        "DEFAULT",
        "RETURNING",
        "NATURAL",
    ];
    let words: Vec<&str> =
        sql.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty()).collect();
    let mut aliases = BTreeMap::new();
    for (at, word) in words.iter().enumerate() {
        if !["FROM", "JOIN", "UPDATE", "INTO"].contains(word) {
            continue;
        }
        let Some(table) = words.get(at + 1) else { continue };
        let alias = words.get(at + 2).filter(|next| !WORDS.contains(next)).unwrap_or(table);
        aliases.insert((*alias).to_owned(), (*table).to_owned());
    }
    aliases
}

/// The views and their text: a plan names the tables below them.
fn views(journal: &Connection) -> Vec<(String, String)> {
    let mut statement = journal.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'view'").unwrap();
    let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    found.map(Result::unwrap).collect()
}

fn names(journal: &Connection, sql: &str) -> BTreeSet<String> {
    let mut statement = journal.prepare(sql).unwrap();
    let found = statement.query_map([], |row| row.get(0)).unwrap();
    found.map(Result::unwrap).collect()
}

/// Lets SQLite believe that every large table has a million rows in two libraries, a thousand of them in
/// each index of some rows only.
fn count_a_million(journal: &Connection) {
    journal.execute_batch("ANALYZE").unwrap();
    let partial = names(journal, PARTIAL);
    let sql = "SELECT name, tbl_name FROM sqlite_schema WHERE type = 'index'";
    let mut statement = journal.prepare(sql).unwrap();
    let indexes = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
    for (index, table) in indexes.unwrap().map(Result::unwrap).collect::<Vec<_>>() {
        let rows = match (LARGE.contains(&table.as_str()), partial.contains(&index)) {
            (false, _) => 10,
            (true, true) => 1_000,
            (true, false) => 1_000_000,
        };
        // A column that is an expression has no name.
        let columns = format!("SELECT coalesce(name, '') FROM pragma_index_info('{index}') ORDER BY seqno");
        let mut columns = journal.prepare(&columns).unwrap();
        let columns = columns.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
        let mut stat = rows.to_string();
        for (place, column) in columns.enumerate() {
            let is_frame = ["library_id", "account_id", "kind"].contains(&column.as_str());
            stat.push_str(&format!(" {}", if is_frame && place == 0 { rows / 2 } else { 2 }));
        }
        let values = [table.as_str(), index.as_str(), stat.as_str()];
        journal.execute("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?1, ?2, ?3)", values).unwrap();
    }
    journal.execute_batch("ANALYZE sqlite_schema").unwrap();
}
