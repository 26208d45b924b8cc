//! Bare: what `rollbook sync` fetches, fetched as it does, and nothing beside: no journal, no claims, no syncs.
//!
//! A bench starts itself again as this, at home where somebody has signed in. Unlike the floor it lists the
//! library, page by page while files come, and asks for each file as the program does. What the program needs
//! above it is the price of keeping the journal and of waiting for the disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::channel::mpsc::{Sender, channel};
use futures::{SinkExt as _, StreamExt as _, stream};
use rollbook::disk::{DataDir, PrivateFile};
use rollbook::icloud::{
    Client, CodeEntry, CodePrompt, Credentials, Endpoints, Index, Options, Person, SessionStore, Wanted,
};
use rollbook::model::asset::{Asset, Database, Offer, Page};
use rollbook::model::secret::Secret;

use crate::plain_file::{PIECE_BYTES, PlainFile};

/// Pages that may wait for their files to be fetched, as in the program.
const PAGES_WAITING_MAX: usize = 16;
const DAY_MS: i64 = 86_400_000;

/// Fetches the library whose home the environment names, if the arguments say so: a word, and how many at once.
pub(crate) fn run_if_asked() -> bool {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, word, threads] = &arguments[..] else { return false };
    if word != "bare" {
        return false;
    }
    let threads: usize = threads.parse().expect("a number of files at once");
    let directory = PathBuf::from(variable("ROLLBOOK_DIRECTORY"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = sign_in().await;
        let (sender, pages) = channel(PAGES_WAITING_MAX);
        let listing = tokio::spawn(list(client.clone(), sender));
        pages
            .flat_map(|page: Page| stream::iter(page.assets))
            .flat_map(|asset| stream::iter(files(asset, &directory)))
            .map(|(offer, path)| tokio::spawn(fetch(client.clone(), offer, path)))
            .buffer_unordered(threads)
            .for_each(|ended| async { ended.expect("a file can be fetched") })
            .await;
        listing.await.expect("the library can be listed");
    });
    true
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("no {name}"))
}

/// Signs in by the session that is saved there.
async fn sign_in() -> Client {
    let endpoints = Endpoints::at(&variable("ROLLBOOK_ENDPOINT")).expect("an endpoint");
    let username = variable("ROLLBOOK_USERNAME");
    let saved = DataDir::at(Path::new(&variable("ROLLBOOK_DATA_DIR"))).session(&username);
    let credentials =
        Credentials { username, store: Box::new(Saved(saved)), person: Arc::new(Nobody), deliberate: false };
    let options = Options::of(&endpoints);
    Client::sign_in(endpoints, credentials, options).await.expect("a session that is good")
}

/// Asks what a first run asks, in its order.
async fn list(client: Client, mut pages: Sender<Page>) {
    for database in [Database::Private, Database::Shared] {
        client.changed_libraries(database, None).await.expect("a token");
    }
    for zone in client.libraries().await.expect("libraries").zones {
        let counts = client.counts(&zone).await.expect("counts");
        for (index, count) in [(Index::Visible, counts.visible), (Index::Hidden, counts.hidden)] {
            let mut listing = client.listing(&zone, index);
            let mut fetched = 0;
            while let Some(page) = listing.next().await.expect("a page") {
                fetched += 1;
                if fetched == 2 {
                    listing.look_ahead(count);
                }
                pages.send(page).await.expect("somebody wants it");
            }
        }
    }
}

/// The files of an asset, and where each goes: a folder for each day.
fn files(asset: Asset, directory: &Path) -> Vec<(Offer, PathBuf)> {
    let day = asset.captured.map_or(0, |captured| captured.at_ms.div_euclid(DAY_MS));
    let folder = directory.join(day.to_string());
    let wanted = asset.versions().filter(|(_, offer)| !offer.rendition.is_preview());
    let file = |(_, offer): (usize, &Offer)| {
        let name = format!("{}-{}.JPG", asset.name.as_str(), offer.rendition.as_str());
        (offer.clone(), folder.join(name))
    };
    wanted.map(file).collect()
}

async fn fetch(client: Client, offer: Offer, path: PathBuf) {
    let wanted = Wanted { from: 0, size_bytes: offer.size_bytes, etag: None };
    let mut body = client.get(&offer.url.expect("a URL"), &wanted).await.expect("an answer");
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder can be made");
    let room = usize::try_from(offer.size_bytes).map_or(PIECE_BYTES, |bytes| bytes.min(PIECE_BYTES));
    let mut file = PlainFile::create(&path, room);
    while let Some(chunk) = body.chunk().await.expect("a chunk") {
        file.take(&chunk);
    }
    assert!(offer.checksum.prove(&file.finish()).is_some(), "the bytes are Apple's");
}

/// A session that is read and never written.
struct Saved(PrivateFile);

impl SessionStore for Saved {
    fn load(&self) -> io::Result<Option<Vec<u8>>> {
        self.0.load()
    }
    fn save(&self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

/// There is nobody to ask.
struct Nobody;

impl Person for Nobody {
    fn password(&self) -> io::Result<Option<Secret>> {
        Ok(None)
    }
    fn code(&self, _: &CodePrompt) -> io::Result<Option<CodeEntry>> {
        Ok(None)
    }
}
