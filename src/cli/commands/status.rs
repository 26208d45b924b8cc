//! `rollbook status`: what the journal holds. It asks nobody else, and works during a run.
//!
//! A problem is an answer here, not a failure: the exit code is 0.

mod contract;

use std::collections::HashSet;

use crate::cli::answer::{print, print_json, table};
use crate::cli::clock::now;
use crate::cli::config::Config;
use crate::cli::exit::Exit;
use crate::cli::output::sanitize;
use crate::cli::problem::Problem;
use crate::cli::standing::SignIn;
use crate::cli::{explain, format};
use crate::disk::DataDir;
use contract::{Check, Destination, Ended, Library, OfAccount, Run, Status};

/// Problems that are named on a screen. The others are counted, and `--json` names them all.
const PROBLEMS_SHOWN: usize = 10;

/// Says what the journal holds.
pub(super) fn run(config: &Config, json: bool) -> Result<Exit, Problem> {
    let path = DataDir::at(&config.data_dir).journal_path();
    if !path.try_exists().map_err(|error| explain::system("cannot look for the journal", &error))? {
        return Err(Problem::new(Exit::Usage, "cannot show a status before the first sync")
            .why(format!("there is no journal yet: {}", path.display()))
            .hint("run \"rollbook sync\", or set --data-dir to where the journal is"));
    }
    let usernames: Vec<&str> = config.accounts.iter().filter_map(|account| account.username().ok()).collect();
    let mut status = Status::read(&path, &usernames, if json { usize::MAX } else { PROBLEMS_SHOWN })?;
    let data_dir = DataDir::at(&config.data_dir);
    for account in &mut status.accounts {
        account.sign_in = SignIn::read(&data_dir, &account.username, now())?;
    }
    if let [only] = status.accounts.as_slice() {
        status.sign_in = only.sign_in.clone();
    }
    if json {
        print_json(&status)?
    } else {
        print(&status.to_text())?
    }
    Ok(Exit::Done)
}

impl Status {
    fn to_text(&self) -> String {
        let mut parts = vec![self.head()];
        // Only the verified are worth a zero.
        let files = self.files.iter().filter(|of| of.files > 0 || of.standing == "verified");
        let files = files.map(|of| {
            vec![of.standing.to_owned(), format::counted(of.files, "file"), format::bytes(of.bytes)]
        });
        parts.push(table(files, &[1, 2]));
        if self.accounts.len() > 1 {
            parts.push(table(self.accounts.iter().map(OfAccount::row), &[1, 2, 3]));
        }
        if !self.libraries.is_empty() {
            parts.push(table(self.libraries.iter().map(Library::row), &[]));
        }
        if self.problems_total > 0 {
            parts.push(self.problems_text());
        }
        parts.join("\n\n")
    }

    fn head(&self) -> String {
        let mut assets = format::count(self.assets);
        if self.assets_open > 0 {
            assets.push_str(&format!(", {} of them not complete", format::count(self.assets_open)));
        }
        let mut lines = vec![
            format!("journal   {}", sanitize(&self.journal.to_string_lossy())),
            format!("assets    {assets}"),
        ];
        if let Some(run) = &self.last_run {
            lines.push(format!("last run  {}", run.line()));
        }
        if let [only] = self.accounts.as_slice() {
            lines.extend(
                only.last_attempt.iter().filter_map(Ended::line).map(|line| format!("ended     {line}")),
            );
        }
        let mut told = HashSet::new();
        for line in self.accounts.iter().filter_map(|of| of.destination.as_ref()?.line()) {
            if told.insert(line.clone()) {
                lines.push(format!("files in  {line}"));
            }
        }
        for (label, check) in [("audit", &self.last_audit), ("verify", &self.last_verify)] {
            if let Some(check) = check {
                lines.push(format!("{label:<8}  {}", check.line()));
            }
        }
        if let Some(at) = self.oldest_check_at {
            let never = match self.never_checked_files {
                0 => String::new(),
                never => format!("; {} never read back", format::counted(never, "file")),
            };
            lines.push(format!("checks    the oldest is of {}{never}", format::moment(at)));
        }
        if let Some(at) = self.wait_until.filter(|_| self.accounts.len() < 2) {
            lines.push(format!("waiting   Apple asked to wait until {}", format::moment(at)));
        }
        let sign_in = self.sign_in.iter().flat_map(|of| of.lines(now()));
        lines.extend(sign_in.map(|(label, text)| format!("{label:<8}  {text}")));
        lines.join("\n")
    }

    fn problems_text(&self) -> String {
        let rows = self.problems.iter().map(|of| vec![of.name.clone(), of.kind.clone(), of.detail.clone()]);
        let mut text = format!("{}:\n{}", format::counted(self.problems_total, "problem"), table(rows, &[]));
        let hidden = self.problems_total.saturating_sub(self.problems.len() as u64);
        if hidden > 0 {
            let hidden = format::count(hidden);
            text.push_str(&format!("\n… and {hidden} more: \"rollbook status --json\" names them all"));
        }
        text
    }
}

impl OfAccount {
    fn row(&self) -> Vec<String> {
        let files = |wanted: &[&str]| {
            let of = self.files.iter().filter(|of| wanted.contains(&of.standing));
            format::count(of.map(|of| of.files).sum())
        };
        let mut remarks = Vec::new();
        if let Some(at) = self.wait_until {
            remarks.push(format!("Apple asked to wait until {}", format::moment(at)));
        }
        remarks.extend(self.last_attempt.iter().filter_map(Ended::line));
        let sign_in = self.sign_in.iter().flat_map(|of| of.lines(now()));
        remarks.extend(sign_in.map(|(label, text)| format!("{label}: {text}")));
        if !self.listed {
            remarks.push("no library listed yet".to_owned());
        }
        let remark = remarks.join("; ");
        vec![
            self.username.clone(),
            format::counted(self.assets, "asset"),
            format!("{} verified", files(&["verified"])),
            format!("{} open", files(&["pending", "partial", "expired-url", "failed"])),
            remark,
        ]
    }
}

impl Destination {
    /// In words, where the file system was tried.
    fn line(&self) -> Option<String> {
        let twins = |word: Option<&str>, what: &str| match word {
            Some("two") => None,
            Some(word) => {
                let told = if word == "respelled" { ", and told in other letters" } else { "" };
                Some(format!("names that differ in {what} only are one{told}"))
            }
            None => Some(format!("names that differ in {what} only were not tried")),
        };
        let (refused, no_links) = (self.refused.as_ref()?, self.no_links.as_ref()?);
        let mut parts: Vec<String> = [(self.letter_case, "letter case"), (self.unicode_form, "Unicode form")]
            .into_iter()
            .filter_map(|(word, what)| twins(word, what))
            .collect();
        let within: Vec<String> =
            refused.iter().filter(|c| !matches!(c, '.' | ' ')).map(char::to_string).collect();
        if !within.is_empty() {
            parts.push(format!("no {} in a name", within.join(" ")));
        }
        let at_end = [('.', "dot"), (' ', "space")].into_iter().filter(|(c, _)| refused.contains(c));
        let at_end: Vec<&str> = at_end.map(|(_, word)| word).collect();
        if !at_end.is_empty() {
            parts.push(format!("no {} at its end", at_end.join(" or ")));
        }
        if !no_links.is_empty() {
            parts.push(format!("no {}", no_links.join(", no ")));
        }
        if parts.is_empty() {
            parts.push("any name, any link".to_owned());
        }
        Some(format!("{}: {}", sanitize(&self.directory), parts.join("; ")))
    }
}

impl Ended {
    /// In words, where it ended otherwise than a run that is complete.
    fn line(&self) -> Option<String> {
        let said = self.said.as_ref().map_or_else(String::new, |said| format!(": {}", sanitize(said)));
        let line = format!("{}, exit code {}, {}{said}", format::moment(self.at), self.exit, self.means);
        (self.exit != Exit::Done.code()).then_some(line)
    }
}

impl Library {
    fn row(&self) -> Vec<String> {
        let counted = self.apple_count.map_or_else(|| "no count".to_owned(), format::count);
        let listed = match (self.enumerated_count, self.enumerated_at) {
            (Some(count), Some(at)) => format!("listed {} on {}", format::count(count), format::moment(at)),
            _ => "not listed to the end yet".to_owned(),
        };
        vec![self.username.clone(), self.name.clone(), format!("Apple counts {counted}"), listed]
    }
}

impl Run {
    fn line(&self) -> String {
        let began = format::moment(self.started_at);
        match self.ended_at {
            None => format!("{began}, still at work or killed"),
            Some(ended_at) => {
                let took = ended_at.saturating_sub(self.started_at).max(0).unsigned_abs();
                format!(
                    "{began}, {} after {}: {} verified, {} fetched",
                    sanitize(&self.outcome),
                    format::wait(took),
                    format::counted(self.files_verified, "file"),
                    format::bytes(self.bytes_fetched)
                )
            }
        }
    }
}

impl Check {
    fn line(&self) -> String {
        let at = self.ended_at.map_or_else(|| "not ended".to_owned(), format::moment);
        let mut line = format!("{at}, {}: {}", sanitize(&self.outcome), format::counted(self.files, "file"));
        if self.bytes_read > 0 {
            line.push_str(&format!(", {} read back", format::bytes(self.bytes_read)));
        }
        if self.findings > 0 {
            line.push_str(&format!(", {} wrong", format::count(self.findings)));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::contract::{Trouble, standings};
    use super::*;
    use crate::journal::{self, Summary};

    #[test]
    fn problems_that_are_not_shown_are_counted_and_zeros_are_left_out() {
        let trouble =
            Trouble { name: "a\n.JPG".to_owned(), kind: "gone".to_owned(), detail: "404".to_owned() };
        let status = Status {
            journal: PathBuf::from("/j.db"),
            assets: 60,
            assets_open: 3,
            files: standings(&Summary {
                failed: journal::Tally { files: 12, bytes: 12_000 },
                ..Summary::default()
            }),
            accounts: Vec::new(),
            libraries: Vec::new(),
            last_run: None,
            last_audit: None,
            last_verify: None,
            never_checked_files: 0,
            oldest_check_at: None,
            wait_until: Some(0),
            sign_in: None,
            problems_total: 12,
            problems: vec![trouble],
        };
        assert_eq!(
            status.to_text(),
            "journal   /j.db\nassets    60, 3 of them not complete\n\
             waiting   Apple asked to wait until 1970-01-01 00:00 UTC\n\n\
             verified   0 files      0 B\nfailed    12 files  12.0 kB\n\n\
             12 problems:\na\u{fffd}.JPG  gone  404\n\
             … and 11 more: \"rollbook status --json\" names them all"
        );
    }
}
