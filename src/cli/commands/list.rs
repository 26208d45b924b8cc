//! `rollbook list`: the libraries and albums as Apple names them now.

use serde::Serialize;

use crate::cli::answer::{print, print_json, table};
use crate::cli::commands::accounts::{self, Ended};
use crate::cli::commands::open::{self, Manner};
use crate::cli::config::Config;
use crate::cli::exit::Exit;
use crate::cli::output::{self, Style, sanitize};
use crate::cli::problem::Problem;
use crate::cli::{explain, format};
use crate::engine::Stop;
use crate::icloud::{self, Client};
use crate::model::asset::{Album, Zone};

/// A library, for a program. The keys are a contract.
#[derive(Debug, Serialize)]
struct LibraryLine {
    /// The account it belongs to.
    username: String,
    /// Its zone: `PrimarySync` or `SharedSync-…`.
    name: String,
    /// `private` or `shared`.
    database: &'static str,
    /// How many assets Apple counts; null if it does not say.
    apple_count: Option<u64>,
}

/// An album, for a program. The keys are a contract.
#[derive(Debug, PartialEq, Serialize)]
struct AlbumLine {
    /// The account it belongs to.
    username: String,
    /// The library it belongs to.
    library: String,
    /// Its name; not unique.
    name: String,
    /// The names of the folders it lies in, outermost first.
    folders: Vec<String>,
    /// Apple's own name for it; unique.
    record_name: String,
}

/// Names the libraries.
pub(super) async fn libraries(
    config: &Config,
    style: Style,
    stop: Stop,
    json: bool,
) -> Result<Exit, Problem> {
    let ended = of_all(config, style, stop, library_lines).await?;
    let lines: Vec<LibraryLine> = ended.answers.into_iter().flatten().collect();
    if json {
        print_json(&lines)?;
    } else {
        let count = |line: &LibraryLine| line.apple_count.map_or_else(|| "?".to_owned(), format::count);
        let rows = lines.iter().map(|line| {
            let row = [line.name.clone(), line.database.to_owned(), count(line), "assets".to_owned()];
            row_of(config, &line.username, row)
        });
        print(&table(rows, &[if config.accounts.len() > 1 { 3 } else { 2 }]))?;
    }
    Ok(ended.exit)
}

/// Names the albums of every library.
pub(super) async fn albums(config: &Config, style: Style, stop: Stop, json: bool) -> Result<Exit, Problem> {
    let ended = of_all(config, style, stop, album_lines).await?;
    let lines: Vec<AlbumLine> = ended.answers.into_iter().flatten().collect();
    if json {
        print_json(&lines)?;
    } else {
        let path = |line: &AlbumLine| {
            [line.folders.as_slice(), std::slice::from_ref(&line.name)].concat().join(" > ")
        };
        let rows =
            lines.iter().map(|line| row_of(config, &line.username, [line.library.clone(), path(line)]));
        print(&table(rows, &[]))?;
    }
    Ok(ended.exit)
}

/// A row, with its account in front where there are several.
fn row_of<const N: usize>(config: &Config, username: &str, row: [String; N]) -> Vec<String> {
    let account = (config.accounts.len() > 1).then(|| username.to_owned());
    account.into_iter().chain(row).collect()
}

/// Asks for the lines of every account.
async fn of_all<T>(
    config: &Config,
    style: Style,
    stop: Stop,
    lines: impl AsyncFn(&str, &Client) -> Result<Vec<T>, icloud::Error>,
) -> Result<Ended<Vec<T>>, Problem> {
    let accounts = config.accounts()?;
    let house = open::house(config)?;
    let (house, lines) = (&house, &lines);
    accounts::side_by_side(accounts, style, &stop, |index, stop| async move {
        let account = &accounts[index];
        let client = open::sign_in(house, account, account.passwords()?, Manner::default(), &stop).await?;
        unless_stopped(&stop, lines(account.username()?, &client)).await
    })
    .await
}

async fn unless_stopped<T>(
    stop: &Stop,
    work: impl Future<Output = Result<T, icloud::Error>>,
) -> Result<T, Problem> {
    tokio::select! {
        done = work => Ok(done?),
        () = stop.requested() => Err(explain::interrupted()),
    }
}

async fn zones(client: &Client) -> Result<Vec<Zone>, icloud::Error> {
    let found = client.libraries().await?;
    for text in found.warnings {
        warn(&text);
    }
    Ok(found.zones)
}

async fn library_lines(username: &str, client: &Client) -> Result<Vec<LibraryLine>, icloud::Error> {
    let mut lines = Vec::new();
    for zone in zones(client).await? {
        let counted = client.count(&zone).await;
        let apple_count = counted.map_err(|error| warn(&format!("no count of {}: {error}", zone.name))).ok();
        let username = username.to_owned();
        lines.push(LibraryLine { username, name: zone.name, database: zone.database.as_str(), apple_count });
    }
    Ok(lines)
}

async fn album_lines(username: &str, client: &Client) -> Result<Vec<AlbumLine>, icloud::Error> {
    let mut lines = Vec::new();
    for zone in zones(client).await? {
        match client.albums(&zone).await {
            Ok(albums) => lines.extend(places(username, &zone.name, &albums)),
            // One library that has none, or refuses, does not hide the albums of the others.
            Err(icloud::Error::Server { .. } | icloud::Error::Denied(_)) if zone.name != "PrimarySync" => {
                warn(&format!("{} does not list albums", zone.name));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(lines)
}

/// Albums with the folders they lie in; a folder by itself is no line.
fn places(username: &str, library: &str, albums: &[Album]) -> Vec<AlbumLine> {
    let by_name = |name: &String| albums.iter().find(|album| album.record_name == *name);
    let mut lines = Vec::new();
    for album in albums.iter().filter(|album| !album.folder) {
        let mut folders = Vec::new();
        let mut above = album.parent.as_ref().and_then(by_name);
        // Folders that contain each other would never end; no chain is longer than the list.
        while let Some(folder) = above.filter(|_| folders.len() < albums.len()) {
            folders.push(folder.name.clone());
            above = folder.parent.as_ref().and_then(by_name);
        }
        folders.reverse();
        lines.push(AlbumLine {
            username: username.to_owned(),
            library: library.to_owned(),
            name: album.name.clone(),
            folders,
            record_name: album.record_name.clone(),
        });
    }
    lines
}

fn warn(text: &str) {
    output::talk(&format!("warning: {}", sanitize(text)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn album(record: &str, parent: Option<&str>, folder: bool) -> Album {
        let name = format!("name of {record}");
        Album {
            record_name: record.to_owned(),
            name,
            parent: parent.map(str::to_owned),
            folder,
            position: None,
        }
    }

    #[test]
    fn an_album_is_named_with_its_folders_and_a_circle_of_folders_ends() {
        let albums = [album("f", None, true), album("g", Some("f"), true), album("a", Some("g"), false)];
        let lines = places("a@b.c", "PrimarySync", &albums);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].folders, ["name of f", "name of g"]);
        let circle = [album("f", Some("g"), true), album("g", Some("f"), true), album("a", Some("g"), false)];
        assert_eq!(places("a@b.c", "PrimarySync", &circle)[0].folders.len(), 3);
    }
}
