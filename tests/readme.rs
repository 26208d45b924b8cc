//! The README tells the truth: its queries answer as it says, its flags, variables and exit codes
//! are those of the program, and its links lead somewhere.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use rollbook::model::state::{Event, State};
use rollbook_sandbox::Options;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};
use support::World;

const README: &str = include_str!("../README.md");
/// The views, column by column, and more queries.
const JOURNAL: &str = include_str!("../docs/journal.md");
/// Queries on this journal show the answers of the demo library.
const DEMO_JOURNAL: &str = "rollbook-demo/data/journal.db";

/// The library of `examples/demo.rs`, on a faster line.
fn demo() -> World {
    let world = World::new(Options { assets: 60, mean_size_bytes: Some(150_000), ..Options::default() });
    world.run(&["sync"], 0);
    world
}

// What the README shows ----------------------------------------------------------------------

/// One fenced block: its language and its lines.
struct Block {
    language: &'static str,
    lines: Vec<&'static str>,
}

fn blocks() -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for line in README.lines().chain(JOURNAL.lines()) {
        match (line.strip_prefix("```"), inside) {
            (Some(language), false) => blocks.push(Block { language, lines: Vec::new() }),
            (None, true) => blocks.last_mut().unwrap().lines.push(line),
            _ => {}
        }
        inside ^= line.starts_with("```");
    }
    assert!(!inside, "a block that never ends");
    blocks
}

/// A command of a `console` block, with what it prints.
struct Shown {
    command: String,
    output: Vec<&'static str>,
}

/// A command goes on, over lines, until its double quotes are closed.
fn shown() -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    for block in blocks().into_iter().filter(|block| block.language == "console") {
        for line in block.lines {
            match (line.strip_prefix("$ "), shown.last_mut()) {
                (Some(command), _) => shown.push(Shown { command: command.to_owned(), output: Vec::new() }),
                (None, Some(last)) if last.command.matches('"').count() % 2 == 1 => {
                    last.command.push('\n');
                    last.command.push_str(line);
                }
                (None, Some(last)) => last.output.push(line),
                (None, None) => panic!("output before the first command: {line}"),
            }
        }
    }
    shown
}

/// A call of `sqlite3` in the README.
struct Query {
    sql: String,
    readonly: bool,
    of_demo: bool,
    output: Vec<&'static str>,
}

fn queries() -> Vec<Query> {
    let calls = shown().into_iter().filter(|shown| shown.command.starts_with("sqlite3 "));
    calls
        .map(|Shown { command, output }| {
            let (call, rest) = command.split_once('"').unwrap();
            let (sql, _) = rest.rsplit_once('"').unwrap();
            assert!(call.trim_end().ends_with("/data/journal.db"), "{command}");
            Query {
                sql: sql.to_owned(),
                readonly: call.contains(" -readonly "),
                of_demo: call.contains(DEMO_JOURNAL),
                output,
            }
        })
        .collect()
}

/// The cells of a table that `sqlite3 -box` drew, head first.
fn cells(output: &[&str]) -> Vec<Vec<String>> {
    let rows = output.iter().filter_map(|line| line.strip_prefix('│')?.strip_suffix('│'));
    rows.map(|row| row.split('│').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// The same of a query: nothing at all if there are no rows, as `sqlite3` has it.
fn answer(journal: &Connection, sql: &str) -> rusqlite::Result<Vec<Vec<String>>> {
    let mut statement = journal.prepare(sql)?;
    let head: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut table = vec![head.clone()];
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let cell = |column| match row.get_unwrap::<usize, Value>(column) {
            Value::Null => String::new(),
            Value::Integer(number) => number.to_string(),
            Value::Text(text) => text,
            other => panic!("nothing of this kind is shown: {other:?}"),
        };
        table.push((0..head.len()).map(cell).collect());
    }
    Ok(if table.len() > 1 { table } else { Vec::new() })
}

fn read_only(world: &World) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    Connection::open_with_flags(world.data_dir().join("journal.db"), flags).unwrap()
}

// What must be true --------------------------------------------------------------------------

#[test]
fn every_query_of_the_readme_answers_as_the_readme_says() {
    let world = demo();
    let journal = read_only(&world);
    let mut compared = 0;
    for query in queries().into_iter().filter(|query| query.readonly) {
        let answer = answer(&journal, &query.sql).unwrap_or_else(|error| panic!("{error}: {}", query.sql));
        // A query whose answer goes to a file shows none.
        if query.of_demo && !query.sql.contains("'  '") {
            assert_eq!(cells(&query.output), answer, "{}", query.sql);
            compared += 1;
        }
    }
    assert!(compared >= 14, "{compared} queries with their answer");
}

#[test]
fn every_view_is_documented_column_by_column() {
    let world = demo();
    let journal = read_only(&world);
    let names = |sql: &str| -> Vec<String> {
        let mut statement = journal.prepare(sql).unwrap();
        let rows = statement.query_map([], |r| r.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let mut documented = Vec::new();
    for section in JOURNAL.split("\n## ").skip(1).filter(|section| section.starts_with("`v_")) {
        let view = spans(section).next().unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let real = names(&format!("SELECT name FROM pragma_table_info('{view}')"));
        assert_eq!(rows.collect::<Vec<_>>(), real, "{view}");
        documented.push(view.to_owned());
    }
    documented.sort();
    let views = names("SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY name");
    assert_eq!(documented, views);
}

#[test]
fn what_the_readme_says_is_refused_is_refused_in_these_words() {
    let world = demo();
    let refused: Vec<Query> = queries().into_iter().filter(|query| !query.readonly).collect();
    assert!(!refused.is_empty());
    for query in refused {
        let error = answer(&world.journal(), &query.sql).expect_err(&query.sql).to_string();
        let output = query.output.join("\n");
        assert!(error.contains("illegal move") && output.contains(&error), "{error}\n{output}");
    }
    world.assert_complete();
}

#[test]
fn the_sums_of_the_journal_are_those_of_the_tree() {
    let world = demo();
    let sql = queries().into_iter().map(|query| query.sql).find(|sql| sql.contains("'  '")).unwrap();
    let lines = answer(&read_only(&world), &sql).unwrap();
    let sums: BTreeMap<String, String> = lines[1..]
        .iter()
        .map(|line| line[0].split_once("  ").unwrap())
        .map(|(sha256, path)| (path.to_owned(), sha256.to_owned()))
        .collect();
    assert_eq!(sums, world.tree());
}

#[test]
fn every_query_answers_while_a_run_is_on() {
    let world = World::new(Options { assets: 300, bandwidth: Some(2_000), ..Options::default() });
    let mut run = world.spawn(&["sync"]);
    support::wait_until("claims", || world.try_count("claim_run_id IS NOT NULL").unwrap_or(0) > 0);
    let journal = read_only(&world);
    for query in queries().into_iter().filter(|query| query.readonly) {
        answer(&journal, &query.sql).unwrap_or_else(|error| panic!("{error}: {}", query.sql));
    }
    assert!(run.try_wait().unwrap().is_none(), "the run is still on");
    support::terminate(&mut run);
}

/// The cells of the README's table whose head begins with `head`.
fn table(head: &str) -> Vec<Vec<&'static str>> {
    let rows = README.lines().skip_while(|line| !line.starts_with(&format!("| {head}"))).skip(2);
    let rows = rows.map_while(|line| line.strip_prefix('|')?.strip_suffix('|'));
    let table: Vec<Vec<&str>> = rows.map(|row| row.split('|').map(str::trim).collect()).collect();
    assert!(!table.is_empty(), "a table with {head}");
    table
}

/// The code spans of a piece of Markdown.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// What the program says by itself, in an environment where nothing is set but a home.
fn says(args: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollbook"));
    let output = command.args(args).env_clear().env("HOME", home.path()).output().unwrap();
    assert!(output.status.success(), "rollbook {args:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The settings as `config show --json` lists them.
fn settings() -> Vec<String> {
    let shown: serde_json::Value = serde_json::from_str(&says(&["config", "show", "--json"])).unwrap();
    shown.as_array().unwrap().iter().map(|line| line["setting"].as_str().unwrap().to_owned()).collect()
}

/// The entries of a help, each on one line: what a flag means may stand below it.
fn entries(help: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for line in help.lines().map(str::trim) {
        match entries.last_mut() {
            Some(last) if !line.starts_with('-') && !line.is_empty() && last.starts_with('-') => {
                last.push(' ');
                last.push_str(line);
            }
            _ => entries.push(line.to_owned()),
        }
    }
    entries
}

#[test]
fn the_table_of_settings_is_that_of_the_program() {
    let help = entries(&says(&["sync", "--help"]));
    let mut named = Vec::new();
    for row in table("Flag | Variable") {
        let [flags, variable, in_file, default, words] = row[..] else { panic!("five cells: {row:?}") };
        let variable = spans(variable).next().unwrap();
        let key = variable.strip_prefix("ROLLBOOK_").unwrap().to_lowercase().replace('_', "-");
        // How the help introduces the flag: `-u, --username <NAME>`, then variable and default.
        let line = help.iter().find(|line| line.contains(&format!("[env: {variable}]")));
        match (spans(flags).collect::<Vec<_>>().join(", ").as_str(), line) {
            ("", None) => assert_eq!(key, "password", "the only one that is never a flag"),
            ("--endpoint", None) => {
                says(&["config", "show", "--endpoint", "http://127.0.0.1:1"]);
            }
            (typed, Some(line)) => {
                assert_eq!(typed.rsplit("--").next(), Some(key.as_str()), "{row:?}");
                assert!(line.trim_start().starts_with(typed), "{typed}: {line}");
                assert!(line.contains(words), "other words for {key}: {words:?}, {line}");
                let default = spans(default).next();
                let said = line.split_once("[default: ").and_then(|(_, said)| said.strip_suffix(']'));
                assert_eq!(default, said, "the default of {key}");
            }
            _ => panic!("the help of sync does not know {row:?}"),
        }
        assert_eq!(spans(in_file).next().is_some(), may_stand_in_file(&key), "{key} in the file");
        named.push(key);
    }
    assert_eq!(named, settings(), "every setting has its row, in the program's order");
}

/// Whether the configuration file may hold a setting, by trying.
fn may_stand_in_file(key: &str) -> bool {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{key} = 'no such value'")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollbook"));
    command.args(["config", "show", "--config"]).arg(file.path()).env_clear().env("HOME", "/nowhere");
    // A value that means nothing is complained about in other words than a key that may not be there.
    let said = String::from_utf8(command.output().unwrap().stderr).unwrap();
    !said.contains("there is no setting") && !said.contains("a password in a file")
}

#[test]
fn the_manual_page_says_what_the_help_says() {
    let page = says(&["man"]).replace("\\-", "-").replace("\\(bq", "`");
    for row in table("Flag | Variable") {
        let [flags, variable, _, _, words] = row[..] else { panic!("five cells: {row:?}") };
        if matches!(spans(variable).next(), Some("ROLLBOOK_PASSWORD" | "ROLLBOOK_ENDPOINT")) {
            continue;
        }
        let line = page.lines().find(|line| line.starts_with(words));
        let line = line.unwrap_or_else(|| panic!("the manual does not know {words:?}"));
        assert!(line.contains(&format!("[env: {}]", spans(variable).next().unwrap())), "{flags}: {line}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(says(&["completions", shell]).contains("live-photo-mov-filename-policy"), "{shell}");
    }
}

#[test]
fn the_table_of_exit_codes_is_that_of_the_help() {
    let help = says(&["--help"]);
    let (_, listed) = help.split_once("Exit codes:\n").unwrap();
    let listed: Vec<(&str, &str)> = listed.lines().filter_map(|line| line.trim().split_once("  ")).collect();
    let rows = table("Exit code");
    assert_eq!(rows.len(), listed.len());
    for (row, (code, meaning)) in rows.iter().zip(listed) {
        assert!(row[0] == code && row[1].starts_with(meaning), "{row:?} and {code} {meaning}");
    }
}

#[test]
fn every_flag_command_and_variable_of_the_readme_exists() {
    let helps = [
        &["--help"][..],
        &["login", "--help"],
        &["sync", "--help"],
        &["plan", "--help"],
        &["adopt", "--help"],
        &["export", "--help"],
        &["albums", "build", "--help"],
        &["albums", "export", "--help"],
        &["relayout", "--help"],
        &["status", "--help"],
        &["audit", "--help"],
        &["verify", "--help"],
        &["explain", "--help"],
        &["log", "--help"],
        &["health", "--help"],
        &["trash", "list", "--help"],
        &["undelete", "--help"],
        &["refetch", "--help"],
        &["service", "install", "--help"],
        &["service", "uninstall", "--help"],
        &["list", "libraries", "--help"],
        &["config", "show", "--help"],
        &["config", "from-icloudpd", "--help"],
    ]
    .map(says)
    .join("\n");
    let known: BTreeSet<&str> = words(&helps).filter(|word| word.starts_with('-')).collect();
    for span in spans_and_lines_about_rollbook() {
        let mut wanted: Vec<&str> = words(span).filter(|word| word.starts_with('-')).collect();
        wanted.retain(|flag| *flag != "--endpoint");
        assert!(wanted.iter().all(|flag| known.contains(flag)), "{span}: one of {wanted:?} is unknown");
        if let Some(verb) = span.strip_prefix("rollbook ").and_then(|rest| rest.split_whitespace().next()) {
            assert!(verb.starts_with('-') || helps.contains(&format!("\n  {verb} ")), "{span}");
        }
    }
    let known: BTreeSet<String> =
        settings().iter().map(|key| format!("ROLLBOOK_{}", key.replace('-', "_").to_uppercase())).collect();
    let named = README.split(|c: char| !c.is_ascii_uppercase() && c != '_');
    for variable in named.filter(|word| word.starts_with("ROLLBOOK_")) {
        // A setting, or what a command of ours finds, as the help says.
        assert!(known.contains(variable) || helps.contains(variable), "{variable}");
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').filter(|word| !word.is_empty())
}

/// Code spans that are a flag or a call of rollbook, and the same lines of the blocks: not those of
/// cargo, sqlite3 and other programs.
fn spans_and_lines_about_rollbook() -> Vec<&'static str> {
    let prose = README.split("```").step_by(2).flat_map(spans);
    let prose = prose.filter(|span| span.starts_with('-') || span.starts_with("rollbook "));
    let lines = blocks().into_iter().flat_map(|block| block.lines);
    let calls = lines.filter_map(|line| {
        let line = line.strip_prefix("$ ").unwrap_or(line);
        let line = line.split_once(" # ").map_or(line, |(call, _)| call);
        Some(&line[line.find("rollbook ").filter(|at| *at == 0 || line.starts_with("timeout "))?..])
    });
    let all: Vec<&str> = prose.chain(calls).collect();
    assert!(all.len() > 20, "{all:?}");
    all
}

#[test]
fn every_link_leads_to_a_file_and_every_test_it_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = 0;
    for (before, after) in README.match_indices("](").map(|(at, _)| README.split_at(at)) {
        let target = after[2..].split(')').next().unwrap();
        let text = before.rsplit('[').next().unwrap();
        let path = root.join(target);
        assert!(path.exists(), "[{text}]({target})");
        if let Some(name) = text.strip_prefix('`').and_then(|text| text.strip_suffix('`'))
            && !name.contains(['/', '.'])
        {
            let source = std::fs::read_to_string(&path).unwrap();
            assert!(source.contains(&format!("#[test]\nfn {name}()")), "{name} in {target}");
            tests += 1;
        }
    }
    assert!(tests >= 5, "a test behind each promise");
}

#[test]
fn the_life_of_a_file_names_every_state_and_every_event() {
    let (_, life) = README.split_once("## The life of a file").unwrap();
    let (life, _) = life.split_once("\n## ").unwrap();
    let named: BTreeSet<&str> = spans(life).collect();
    for word in State::ALL.map(State::as_str).into_iter().chain(Event::ALL.map(Event::as_str)) {
        assert!(named.contains(word), "{word}");
    }
}

#[test]
fn the_data_directory_holds_what_the_readme_says() {
    let world = demo();
    let username = world.sandbox.username();
    let rows = table("In the data directory");
    let named: BTreeSet<String> =
        rows.iter().flat_map(|row| spans(row[0])).map(|name| name.replace("NAME", username)).collect();
    let held: BTreeSet<String> = std::fs::read_dir(world.data_dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(held.is_subset(&named), "{held:?}");
    // SQLite may take its two helpers away when the last reader leaves.
    let absent: Vec<_> = named.difference(&held).filter(|name| !name.starts_with("journal.db-")).collect();
    assert!(absent.is_empty(), "{absent:?}");
}
