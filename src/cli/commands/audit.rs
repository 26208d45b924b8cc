//! `rollbook audit`: the balance sheet, and every difference with its reason.
//!
//! Exit code 6 when it does not balance. Notes, such as a stranger's file, do not unbalance it.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::cli::answer::{print, table};
use crate::cli::commands::accounts;
use crate::cli::commands::open::{self, Manner};
use crate::cli::config::Config;
use crate::cli::engine_settings::engine_settings;
use crate::cli::exit::Exit;
use crate::cli::json_list::JsonList;
use crate::cli::output::{Style, sanitize};
use crate::cli::problem::Problem;
use crate::cli::reading_args::ReadingArgs;
use crate::cli::{explain, format};
use crate::engine::{self, Audited, Difference, Inquiry, Settings, Stop};

/// Differences that are named on a screen, and as many notes. `--json` names them all.
const SHOWN: usize = 25;

/// A difference, for a program. The keys are a contract.
#[derive(Clone, Debug, Serialize)]
struct Line {
    /// The account.
    username: String,
    /// The zone of the library; null where it is about none.
    library: Option<String>,
    /// What it is about: see the README.
    kind: &'static str,
    /// Whether the audit does not balance because of it.
    unbalances: bool,
    /// A path, or the name of a record or library.
    name: String,
    /// Apple's name for the asset; null where it is about none.
    asset: Option<String>,
    /// The reason.
    reason: String,
}

/// The rest of the answer for a program. The keys are a contract.
#[derive(Debug, Serialize)]
struct Answer {
    /// Whether every asset is accounted for.
    balanced: bool,
    /// Whether somebody stopped it, so that it is not whole.
    interrupted: bool,
    /// How many differences unbalance it.
    differences_total: u64,
    /// How many notes there are.
    notes_total: u64,
    /// Every library.
    libraries: Vec<Sheet>,
}

/// The sheet of a library, for a program. The keys are a contract.
#[derive(Debug, Serialize)]
struct Sheet {
    username: String,
    library: String,
    database: &'static str,
    /// What Apple counts, visible and hidden; null if it did not say.
    apple_count: Option<u64>,
    /// Whether that was asked now.
    apple_asked_now: bool,
    /// What the last complete listing found; null before the first.
    enumerated_count: Option<u64>,
    /// When that ended, in Unix seconds.
    enumerated_at: Option<i64>,
    /// Assets in the journal that are in iCloud, hidden ones included.
    assets: u64,
    assets_hidden: u64,
    /// Assets that are gone from iCloud; their files stay.
    assets_removed: u64,
    /// Records of Apple's that cannot be used, or not wholly.
    unusable_records: u64,
    files_verified: u64,
    /// In scope, and not here yet.
    files_open: u64,
    files_excluded: u64,
    files_released: u64,
    files_superseded: u64,
    /// Verified and not released, in scope or not: these must be on the disk.
    files_expected: u64,
    bytes_expected: u64,
    /// Of those, the ones that are there and right.
    files_on_disk: u64,
    bytes_on_disk: u64,
    differences: u64,
}

/// Where differences go as they come.
enum Told {
    Json(JsonList),
    /// The first of each kind of line, and how many there are.
    Text {
        differences: Vec<Line>,
        notes: Vec<Line>,
    },
}

/// Balances the books of every account.
pub(super) async fn run(
    config: &Config,
    args: &ReadingArgs,
    style: Style,
    stop: Stop,
    json: bool,
) -> Result<Exit, Problem> {
    let accounts = config.accounts()?;
    let settings = engine_settings(config, accounts)?;
    open::journal_is_there(config)?;
    let house = open::house(config)?;
    let told = match json {
        true => Told::Json(JsonList::begin("differences")),
        false => Told::Text { differences: Vec::new(), notes: Vec::new() },
    };
    let told = Arc::new(Mutex::new(told));
    let ended = accounts::in_turn(accounts, style, async |index| {
        let (account, settings) = (&accounts[index], &settings[index]);
        let bench = open::bench(&house, settings, stop.clone()).await?;
        let asked = match args.offline {
            true => None,
            false => {
                let passwords = account.passwords()?;
                let client = open::sign_in(&house, account, passwords, Manner::default(), &stop).await?;
                Some(engine::ask(&client, house.journal.reader(), bench.account).await?)
            }
        };
        let selection = settings.choices.selection.clone();
        let inquiry = Inquiry { deep: args.deep, asked, selection };
        let audited = engine::audit(bench, inquiry, listener(&told, settings)).await?;
        Ok((settings.username.clone(), audited))
    });
    let ended = ended.await?;
    let answer = Answer::new(&ended.answers);
    let exit = match (answer.interrupted, answer.balanced) {
        (true, _) => Exit::Interrupted,
        (_, true) => Exit::Done,
        _ => Exit::Unbalanced,
    };
    let told = std::mem::replace(
        &mut *told.lock().unwrap_or_else(PoisonError::into_inner),
        Told::Text { differences: Vec::new(), notes: Vec::new() },
    );
    match told {
        Told::Json(list) => {
            list.end(&answer).map_err(|error| explain::output(&error))?;
        }
        Told::Text { differences, notes } => print(&answer.to_text(&differences, &notes, args.deep))?,
    }
    Ok(Exit::most_urgent([exit, ended.exit]))
}

fn listener(told: &Arc<Mutex<Told>>, settings: &Settings) -> Box<dyn FnMut(Difference) + Send> {
    let (told, username) = (Arc::clone(told), settings.username.clone());
    Box::new(move |difference| {
        let line = Line::new(&username, difference);
        match &mut *told.lock().unwrap_or_else(PoisonError::into_inner) {
            Told::Json(list) => list.item(&line),
            Told::Text { differences, notes } => {
                let list = if line.unbalances { differences } else { notes };
                if list.len() < SHOWN {
                    list.push(line);
                }
            }
        }
    })
}

impl Line {
    fn new(username: &str, difference: Difference) -> Self {
        let Difference { kind, library, asset, name, reason } = difference;
        let username = username.to_owned();
        Self { username, library, kind: kind.as_str(), unbalances: kind.unbalances(), name, asset, reason }
    }
}

impl Answer {
    fn new(audited: &[(String, Audited)]) -> Self {
        let differences_total = audited.iter().map(|(_, of)| of.differences).sum();
        Self {
            balanced: differences_total == 0 && !audited.is_empty(),
            interrupted: audited.iter().any(|(_, of)| of.interrupted),
            differences_total,
            notes_total: audited.iter().map(|(_, of)| of.notes).sum(),
            libraries: audited
                .iter()
                .flat_map(|(username, of)| of.sheets.iter().map(|sheet| Sheet::new(username, sheet)))
                .collect(),
        }
    }

    fn to_text(&self, differences: &[Line], notes: &[Line], deep: bool) -> String {
        let mut parts: Vec<String> = self.libraries.iter().map(|sheet| sheet.to_text(deep)).collect();
        for (lines, total, noun) in
            [(differences, self.differences_total, "difference"), (notes, self.notes_total, "note")]
        {
            if total > 0 {
                let rows =
                    lines.iter().map(|of| vec![of.kind.to_owned(), of.name.clone(), of.reason.clone()]);
                let mut text = format!("{}:\n{}", format::counted(total, noun), table(rows, &[]));
                let hidden = total.saturating_sub(lines.len() as u64);
                if hidden > 0 {
                    let hidden = format::count(hidden);
                    text.push_str(&format!(
                        "\n… and {hidden} more: \"rollbook audit --json\" names them all"
                    ));
                }
                parts.push(text);
            }
        }
        parts.push(match (self.interrupted, self.balanced) {
            (true, _) => "stopped before it was whole".to_owned(),
            (_, true) => "balanced: every asset is accounted for".to_owned(),
            _ => format!("NOT balanced: {}", format::counted(self.differences_total, "difference")),
        });
        parts.join("\n\n")
    }
}

impl Sheet {
    fn new(username: &str, of: &engine::Sheet) -> Self {
        let files = |word: &str| of.standings.get(word).map_or(0, |tally| tally.files);
        Self {
            username: username.to_owned(),
            library: of.library.clone(),
            database: of.database,
            apple_count: of.apple_count,
            apple_asked_now: of.asked_now,
            enumerated_count: of.enumerated.map(|(count, _)| count),
            enumerated_at: of.enumerated.map(|(_, at)| at),
            assets: of.assets.present,
            assets_hidden: of.assets.hidden,
            assets_removed: of.assets.removed,
            unusable_records: of.unusable,
            files_verified: files("verified"),
            files_open: ["pending", "partial", "failed", "expired-url"].iter().map(|word| files(word)).sum(),
            files_excluded: files("excluded"),
            files_released: files("released"),
            files_superseded: files("superseded"),
            files_expected: of.kept.files,
            bytes_expected: of.kept.bytes,
            files_on_disk: of.on_disk.files,
            bytes_on_disk: of.on_disk.bytes,
            differences: of.differences,
        }
    }

    fn to_text(&self, deep: bool) -> String {
        let row = |what: &str, number: Option<u64>, remark: String| {
            vec![format!("  {what}"), number.map_or_else(|| "?".to_owned(), format::count), remark]
        };
        let asked = if self.apple_asked_now { "asked now" } else { "as the last run was told" };
        let listed = self.enumerated_at.map_or_else(
            || "not to the end yet".to_owned(),
            |at| format!("completely on {}", format::moment(at)),
        );
        let looked =
            if deep { "every byte read and compared" } else { "length looked at; --deep reads the bytes" };
        let hidden = match self.assets_hidden {
            0 => String::new(),
            hidden => format!("{} of them hidden", format::count(hidden)),
        };
        let rows = [
            row("Apple counts", self.apple_count, format!("assets, {asked}")),
            row("listed", self.enumerated_count, listed),
            row("in the journal", Some(self.assets), hidden),
            row("gone from iCloud", Some(self.assets_removed), "their files stay".to_owned()),
            row("unusable records", Some(self.unusable_records), String::new()),
            row("files verified", Some(self.files_verified), String::new()),
            row("not here yet", Some(self.files_open), String::new()),
            row("excluded by choice", Some(self.files_excluded), String::new()),
            row("released", Some(self.files_released), "moved or deleted here on purpose".to_owned()),
            row("superseded", Some(self.files_superseded), "older versions".to_owned()),
            row("must be on the disk", Some(self.files_expected), format::bytes(self.bytes_expected)),
            row(
                "on the disk",
                Some(self.files_on_disk),
                format!("{}, {looked}", format::bytes(self.bytes_on_disk)),
            ),
        ];
        format!("{} of {}\n{}", sanitize(&self.library), sanitize(&self.username), table(rows, &[1]))
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::Kind;

    use super::*;

    #[test]
    fn what_is_not_shown_is_counted_and_a_note_does_not_unbalance() {
        let line = |kind: Kind| {
            let (name, reason) = ("a\n.JPG".to_owned(), "why".to_owned());
            Line::new("a@b.c", Difference { kind, library: None, asset: None, name, reason })
        };
        let of = |differences, notes| Audited { differences, notes, ..Audited::default() };
        let answer = Answer::new(&[("a@b.c".to_owned(), of(30, 0))]);
        let text = answer.to_text(&[line(Kind::Missing)], &[], false);
        assert_eq!(
            text,
            "30 differences:\nmissing  a\u{fffd}.JPG  why\n… and 29 more: \"rollbook audit --json\" names them all\n\n\
             NOT balanced: 30 differences"
        );
        let answer = Answer::new(&[("a@b.c".to_owned(), of(0, 1))]);
        assert!(answer.balanced && !line(Kind::Stranger).unbalances && line(Kind::Journal).unbalances);
        assert!(answer.to_text(&[], &[line(Kind::Stranger)], false).ends_with("accounted for"));
    }
}
