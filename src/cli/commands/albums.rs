//! `rollbook albums`: albums as folders of links, and as a list. Both are made from the journal alone.

use std::sync::Arc;

use serde::Serialize;

use crate::cli::account::Account;
use crate::cli::answer::{print, print_json};
use crate::cli::args::Args;
use crate::cli::commands::{accounts, open};
use crate::cli::config::Config;
use crate::cli::engine_settings::engine_settings;
use crate::cli::exit::Exit;
use crate::cli::format;
use crate::cli::output::{self, Style, sanitize};
use crate::cli::problem::Problem;
use crate::disk::DataDir;
use crate::engine::{self, AlbumViews, AlbumsBuilt, Look, Settings, Stop};
use crate::journal::{Membership, Reader};
use crate::model::ids::AccountId;
use crate::model::views::LinkKind;

/// What was done, for a program. The keys are a contract.
#[derive(Debug, Serialize)]
struct Built {
    username: String,
    directory: String,
    links: u64,
    made: u64,
    removed: u64,
    foreign: Vec<String>,
}

/// Brings the folders of all accounts in line.
pub(super) async fn build(args: &Args, config: &Config, style: Style, stop: Stop) -> Result<Exit, Problem> {
    let accounts = config.accounts()?;
    let settings = engine_settings(config, accounts)?;
    let house = open::house(config)?;
    let kind = args.link_kind.or(config.album_views).unwrap_or(LinkKind::Hardlink);
    let views = AlbumViews { kind, directory: config.album_directory.clone() };
    let ended = accounts::side_by_side(accounts, style, &stop, |index, stop| {
        let (settings, house, views) = (&settings[index], &house, &views);
        async move {
            let (journal, username) = (&house.journal, &settings.username);
            let account = known(journal.reader(), username)?;
            let settings = Settings { album_views: Some(views.clone()), ..settings.clone() };
            let destination = Arc::new(engine::open_destination(journal, &settings).await?);
            views.check(&destination)?;
            let built =
                engine::build_albums(journal, &destination, account, views, Look::AtEach, &stop).await?;
            let directory = destination.directory().join(&views.directory).display().to_string();
            Ok(Built::new(username, directory, built))
        }
    });
    let ended = ended.await?;
    if args.json {
        print_json(&ended.answers)?;
    } else {
        for built in &ended.answers {
            print(&built.to_text())?;
            for path in &built.foreign {
                let line = format!("warning: {} is no link of ours, and stays", sanitize(path));
                output::talk(&style.paint(&line));
            }
        }
    }
    Ok(ended.exit)
}

impl Built {
    fn new(username: &str, directory: String, built: AlbumsBuilt) -> Self {
        let AlbumsBuilt { made, removed, stand, foreign } = built;
        Self { username: username.to_owned(), directory, links: stand, made, removed, foreign }
    }

    fn to_text(&self) -> String {
        let (made, removed) = (format::count(self.made), format::count(self.removed));
        let links = format::counted(self.links, "link");
        format!("{links} in {} ({made} new, {removed} removed)", sanitize(&self.directory))
    }
}

/// One photo in one album, for a program. The keys are a contract.
#[derive(Debug, Serialize)]
struct Line {
    username: String,
    library: String,
    /// The names of the album's folders, and then its own.
    album: Vec<String>,
    album_record: String,
    asset: String,
    filename: Option<String>,
    /// Where it is; null while it is not here.
    path: Option<String>,
}

/// Lists what lies in which album.
pub(super) fn export(config: &Config, args: &Args) -> Result<Exit, Problem> {
    let journal = DataDir::at(&config.data_dir).journal_path();
    let reader = Reader::open(&journal)?;
    let mut lines = Vec::new();
    for username in config.accounts()?.iter().map(Account::username) {
        let username = username?;
        let members = reader.memberships(known(&reader, username)?)?;
        lines.extend(members.into_iter().map(|member| Line::new(username, member)));
    }
    if args.json {
        print_json(&lines)?;
    } else if args.csv {
        let head = "username,library,album,album_record,asset,filename,path".to_owned();
        let rows = lines.iter().map(Line::to_csv);
        print(&std::iter::once(head).chain(rows).collect::<Vec<_>>().join("\r\n"))?;
    } else {
        for line in &lines {
            print(&sanitize(&line.to_text()))?;
        }
    }
    Ok(Exit::Done)
}

/// The row of an account that was listed at least once.
pub(super) fn known(reader: &Reader, username: &str) -> Result<AccountId, Problem> {
    let known = reader.known_account(username)?;
    known.map(|(account, _)| account).ok_or_else(|| {
        Problem::new(Exit::Usage, "cannot see the albums yet")
            .why(format!("nothing of {username} was listed so far"))
            .hint("run \"rollbook sync\", or \"rollbook plan\" to list without fetching")
    })
}

impl Line {
    fn new(username: &str, member: Membership) -> Self {
        let Membership { library, album, album_record, asset, filename, path } = member;
        Self { username: username.to_owned(), library, album, album_record, asset, filename, path }
    }

    fn to_csv(&self) -> String {
        let album = self.album.join("/");
        let (filename, path) = (self.filename.as_deref(), self.path.as_deref());
        [
            &self.username,
            &self.library,
            &*album,
            &self.album_record,
            &self.asset,
            filename.unwrap_or_default(),
            path.unwrap_or_default(),
        ]
        .map(quoted)
        .join(",")
    }

    fn to_text(&self) -> String {
        let name = self.path.as_ref().or(self.filename.as_ref()).unwrap_or(&self.asset);
        let here = if self.path.is_some() { "" } else { "  (not here yet)" };
        format!("{}: {name}{here}", self.album.join("/"))
    }
}

/// A field as RFC 4180 has it.
fn quoted(field: &str) -> String {
    if field.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}
