//! `rollbook relayout`: files move to where the templates want them. Apple is not asked.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;

use crate::cli::answer::{print, print_json};
use crate::cli::args::Args;
use crate::cli::commands::open;
use crate::cli::config::Config;
use crate::cli::engine_settings::engine_settings;
use crate::cli::exit::Exit;
use crate::cli::format;
use crate::cli::output::{self, sanitize};
use crate::cli::problem::Problem;
use crate::engine::{self, Relaid, Relayouting, Stop};

/// Moves named to a person; a program gets all of them.
const LINES_SHOWN: usize = 20;

/// The answer for a program. The keys are a contract.
#[derive(Debug, Serialize)]
struct Answer {
    username: String,
    dry_run: bool,
    /// Files that moved; in a dry run, those that would.
    moved: Vec<Moved>,
    /// Files that are still to come, and will come to another path.
    promised_files: u64,
    /// Files that could not move, by the path they keep.
    left: Vec<String>,
    /// Files in the middle of a fetch: they move after the next sync.
    held_files: u64,
    /// Files that stay because it is not known which camera took them. The next sync with this template asks
    /// for the first; the others are gone from iCloud, or left out by choice.
    camera_unasked_files: u64,
    camera_unknown_files: u64,
    folders_removed: u64,
}

#[derive(Debug, Serialize)]
struct Moved {
    from: String,
    to: String,
}

/// Moves the files of all accounts.
pub(super) async fn run(args: &Args, config: &Config, stop: Stop) -> Result<Exit, Problem> {
    let accounts = config.accounts()?;
    let settings = engine_settings(config, accounts)?;
    let house = open::house(config)?;
    let mut answers = Vec::new();
    let mut exit = Exit::Done;
    for settings in &settings {
        let destination = engine::open_destination(&house.journal, settings).await?;
        let names = destination.name_bytes_max().map_err(engine::Error::from)?;
        let layout = &settings.choices.layout.clone().within(names);
        let relaid = match house.journal.reader().known_account(&settings.username)? {
            // Nothing of this account is here yet: nothing has a place.
            None => Relaid::default(),
            Some((account, _)) if args.dry_run => {
                engine::relayout_dry(&house.journal, account, layout).await?
            }
            Some((account, _)) => {
                let journal = Arc::clone(&house.journal);
                let tools = Relayouting { journal, destination, stop: stop.clone() };
                engine::relayout(tools, account, layout).await?
            }
        };
        let is_done = relaid.left.is_empty() && relaid.camera_unasked == 0;
        exit = match (relaid.interrupted, is_done) {
            (true, _) => Exit::Interrupted,
            (false, false) if exit == Exit::Done => Exit::FilesOpen,
            _ => exit,
        };
        tell_refused(&relaid);
        answers.push(Answer::new(&settings.username, args.dry_run, relaid));
        if exit == Exit::Interrupted {
            break;
        }
    }
    if args.json {
        print_json(&answers)?;
    } else {
        for answer in &answers {
            let head = if answers.len() > 1 { format!("{}\n", answer.username) } else { String::new() };
            print(&format!("{head}{}", answer.to_text()))?;
        }
    }
    Ok(exit)
}

/// Says why files stay, each reason once.
fn tell_refused(relaid: &Relaid) {
    let lines = relaid.refused.iter().map(|error| {
        let hint = Problem::from(error.again()).hint.unwrap_or_default();
        format!("warning: {}; {}", sanitize(&error.to_string()), sanitize(&hint))
    });
    let lines: BTreeSet<String> = lines.collect();
    for line in lines.iter().take(LINES_SHOWN) {
        output::talk(line);
    }
    if let Some(more) = lines.len().checked_sub(LINES_SHOWN).filter(|more| *more > 0) {
        output::talk(&format!("warning: and {} more of that kind", format::count(more as u64)));
    }
}

impl Answer {
    fn new(username: &str, dry_run: bool, relaid: Relaid) -> Self {
        Self {
            username: username.to_owned(),
            dry_run,
            moved: relaid.moves.into_iter().map(|(from, to)| Moved { from, to }).collect(),
            promised_files: relaid.promised,
            left: relaid.left,
            held_files: relaid.held,
            camera_unasked_files: relaid.camera_unasked,
            camera_unknown_files: relaid.camera_unknown,
            folders_removed: relaid.folders_removed,
        }
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        for Moved { from, to } in self.moved.iter().take(LINES_SHOWN) {
            let _ = writeln!(text, "{} -> {}", sanitize(from), sanitize(to));
        }
        if self.moved.len() > LINES_SHOWN {
            let more = format::count((self.moved.len() - LINES_SHOWN) as u64);
            let _ = writeln!(text, "and {more} more; --json names them all");
        }
        for path in self.left.iter().take(LINES_SHOWN) {
            let _ = writeln!(text, "not moved, missing or in the way: {}", sanitize(path));
        }
        if self.held_files > 0 {
            let held = format::counted(self.held_files, "file");
            let _ = writeln!(text, "{held} in the middle of a fetch; \"rollbook sync\" first, then again");
        }
        if self.camera_unasked_files > 0 {
            let files = format::counted(self.camera_unasked_files, "file");
            let _ = writeln!(
                text,
                "not moved: iCloud was not asked yet which camera took {files}; \"rollbook sync\" with this template \
                 asks, then again"
            );
        }
        if self.camera_unknown_files > 0 {
            let files = format::counted(self.camera_unknown_files, "file");
            let _ = writeln!(
                text,
                "not moved: which camera took {files} is not known, and no sync asks: gone from iCloud, or left out \
                 by choice"
            );
        }
        let moved = format::counted(self.moved.len() as u64, "file");
        let what = if self.dry_run { "would move" } else { "moved" };
        let _ = write!(text, "{moved} {what}, {} left", format::count(self.left.len() as u64));
        if !self.dry_run {
            let folders = format::counted(self.folders_removed, "empty folder");
            let _ = write!(text, ", {folders} removed");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_says_what_moved_in_lines_a_person_can_check() {
        let relaid = || Relaid {
            moves: vec![("2024/IMG.JPG".into(), "IMG.JPG".into())],
            folders_removed: 1,
            ..Relaid::default()
        };
        assert_eq!(
            Answer::new("a@b.c", false, relaid()).to_text(),
            "2024/IMG.JPG -> IMG.JPG\n1 file moved, 0 left, 1 empty folder removed"
        );
        let waits = Relaid { camera_unasked: 2, camera_unknown: 1, ..Relaid::default() };
        let said = Answer::new("a@b.c", true, waits).to_text();
        assert!(
            said.contains("which camera took 2 files; \"rollbook sync\"")
                && said.contains("took 1 file is not known")
        );
        let dry = Answer::new("a@b.c", true, relaid()).to_text();
        assert!(dry.ends_with("1 file would move, 0 left"), "{dry}");
    }
}
