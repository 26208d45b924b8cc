//! `rollbook log`: what happened, oldest first: to files here, to assets in iCloud, and in runs.
//!
//! Read from the journal alone, also during a run.

use crate::cli::answer::{print, print_json, table};
use crate::cli::commands::happened::Line;
use crate::cli::commands::{open, story};
use crate::cli::config::Config;
use crate::cli::exit::Exit;
use crate::cli::format;
use crate::cli::problem::Problem;
use crate::cli::reading_args::ReadingArgs;
use crate::journal::{Reader, Run, Which};

/// Lines on a screen, unless told otherwise.
const LINES_SHOWN: usize = 100;

/// Says what happened.
pub(super) fn run(config: &Config, args: &ReadingArgs, json: bool) -> Result<Exit, Problem> {
    let reader = Reader::open(&open::journal_is_there(config)?)?;
    let assets = match &args.asset {
        Some(name) => {
            let found = reader.find_assets(name)?;
            if found.is_empty() {
                return Err(story::unknown(name));
            }
            Some(found.into_iter().map(|of| of.asset_id).collect())
        }
        None => None,
    };
    let limit = args.limit.unwrap_or(if json { usize::MAX } else { LINES_SHOWN });
    let which = Which {
        run: args.run,
        since: args.since.map(|day| day.first),
        until: args.until.map(|day| day.last),
        // One more than is shown says whether there is more.
        limit: limit.saturating_add(1),
        assets,
    };
    let mut lines: Vec<Line> = reader.happenings(&which)?.into_iter().map(Line::from).collect();
    if which.assets.is_none() {
        lines = among(lines, reader.runs(&which)?);
        let within = |line: &Line| {
            which.since.is_none_or(|at| line.at >= at) && which.until.is_none_or(|at| line.at <= at)
        };
        lines.retain(within);
    }
    let earlier = lines.len().saturating_sub(limit);
    let lines = lines.split_off(earlier);
    if json {
        print_json(&lines)?;
        return Ok(Exit::Done);
    }
    let mut text = table(lines.iter().map(Line::row), &[]);
    if earlier > 0 {
        text = format!(
            "… and earlier ones: \"rollbook log --limit {}\" shows more\n{text}",
            limit.saturating_mul(10)
        );
    }
    print(if lines.is_empty() { "nothing happened" } else { &text })?;
    Ok(Exit::Done)
}

/// Puts the beginnings and ends of runs among what happened, which is in its true order: a run begins
/// before what happens in it and in later runs, and ends after its last line.
fn among(lines: Vec<Line>, runs: Vec<Run>) -> Vec<Line> {
    let mut marks: Vec<(usize, i64, i64, bool, Line)> = Vec::new();
    for run in runs {
        let id = run.id;
        let of = |line: &Line| line.run_id == Some(id);
        let first = |from: usize, after: &dyn Fn(&Line) -> bool| {
            lines[from..].iter().position(after).map_or(lines.len(), |at| from + at)
        };
        let begun = first(0, &|line| line.at > run.started_at || line.run_id >= Some(id));
        let last = lines.iter().rposition(of).map_or(begun, |at| at + 1);
        let ended_at = run.ended_at.unwrap_or(run.started_at);
        let is_behind = |line: &Line| line.at > ended_at || (line.at == ended_at && line.run_id > Some(id));
        let ended = first(last, &is_behind);
        for line in lines_of(run) {
            let is_end = line.event == "run ended";
            marks.push((if is_end { ended } else { begun }, line.at, id, is_end, line));
        }
    }
    marks.sort_by_key(|(place, at, id, is_end, _)| (*place, *at, *id, *is_end));
    let mut marks = marks.into_iter().peekable();
    let mut all = Vec::new();
    for (place, line) in lines.into_iter().enumerate() {
        while let Some(mark) = marks.next_if(|mark| mark.0 <= place) {
            all.push(mark.4);
        }
        all.push(line);
    }
    all.extend(marks.map(|mark| mark.4));
    all
}

/// The beginning of a run, and its end if it had one.
fn lines_of(run: Run) -> impl Iterator<Item = Line> {
    let line = |at, event: &str, detail| Line {
        at,
        run_id: Some(run.id),
        event: event.to_owned(),
        asset: None,
        filename: None,
        path: None,
        rendition: None,
        from_state: None,
        to_state: None,
        detail: Some(detail),
    };
    let begun = line(run.started_at, "run begun", format!("{} for {}", run.verb, run.account));
    let ended = run.ended_at.map(|at| {
        let mut detail =
            format!("{}: {}, {}", run.verb, run.outcome, format::counted(run.files_done, "file"));
        for (bytes, verb) in [(run.bytes_fetched, "fetched"), (run.bytes_read, "read back")] {
            if bytes > 0 {
                detail.push_str(&format!(", {} {verb}", format::bytes(bytes)));
            }
        }
        line(at, "run ended", detail)
    });
    std::iter::once(begun).chain(ended)
}
