//! `rollbook export`: the catalogue, for other programs: `sha256sum --check`, or anything that reads
//! JSON lines or CSV. Streamed in the order of the paths.

use std::fmt::Write as _;
use std::io;

use crate::cli::commands::open;
use crate::cli::config::Config;
use crate::cli::exit::Exit;
use crate::cli::explain;
use crate::cli::output::Long;
use crate::cli::problem::Problem;
use crate::cli::reading_args::{Format, ReadingArgs};
use crate::disk::WholeFile;
use crate::journal::{CatalogueLine, Reader};

/// Writes the catalogue of every account.
pub(super) fn run(config: &Config, args: &ReadingArgs) -> Result<Exit, Problem> {
    let reader = Reader::open(&open::journal_is_there(config)?)?;
    let usernames =
        config.accounts.iter().map(|account| account.username()).collect::<Result<Vec<_>, _>>()?;
    if args.format == Format::Sha256Sum && usernames.len() > 1 {
        return Err(Problem::new(Exit::Usage, "cannot list the files of several accounts in one")
            .why("the paths of each are relative to a directory of its own")
            .hint("choose one with --account"));
    }
    let refused = |error: io::Error| explain::output(&error);
    match &args.output {
        None => write(&reader, &usernames, args.format, &mut Long::begin())?,
        Some(path) => {
            let file = WholeFile::create(path).map_err(|error| {
                Problem::new(Exit::Usage, format!("cannot write {}", path.display()))
                    .why(error)
                    .hint("set --output to a file in a folder that is there and yours")
            })?;
            let mut out = Long::to(file.writer().map_err(refused)?);
            write(&reader, &usernames, args.format, &mut out)?;
            drop(out);
            file.publish().map_err(refused)?;
        }
    }
    Ok(Exit::Done)
}

fn write(reader: &Reader, usernames: &[&str], format: Format, out: &mut Long) -> Result<(), Problem> {
    let mut written = Ok(());
    for (index, username) in usernames.iter().enumerate() {
        let mut is_first = index == 0;
        reader.catalogue(username, format == Format::Sha256Sum, |line| {
            let text = match format {
                Format::Sha256Sum => Ok(sha256sum_line(&line).into_bytes()),
                Format::JsonLines => json_line(&line),
                Format::Csv => csv_line(&line, is_first),
            };
            is_first = false;
            written = text.and_then(|text| out.write(&text));
            written.is_ok() && out.is_wanted()
        })?;
    }
    written.and_then(|()| out.flush()).map_err(|error| explain::output(&error))
}

/// A line as `sha256sum` writes it: a name with a backslash or a line end is escaped, and the line
/// begins with a backslash then.
fn sha256sum_line(line: &CatalogueLine) -> String {
    let sha256 = line.sha256.as_deref().unwrap_or_default();
    let mut escaped = String::with_capacity(line.path.len());
    for c in line.path.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            c => escaped.push(c),
        }
    }
    let mark = if escaped.len() == line.path.len() { "" } else { "\\" };
    let mut text = String::new();
    let _ = writeln!(text, "{mark}{sha256}  {escaped}");
    text
}

fn json_line(line: &CatalogueLine) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    Ok(text)
}

fn csv_line(line: &CatalogueLine, with_head: bool) -> io::Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().has_headers(with_head).from_writer(Vec::new());
    writer.serialize(line).map_err(io::Error::other)?;
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}
