//! The floor: receive, both hashes, write, rename. No journal, no sync, no recovery, no listing.
//!
//! A bench starts itself again as this, so that its cost is a process's like the others'. Nothing
//! that proves bytes can cost less with the same libraries; what the program needs above it is the
//! price of its promises.

use std::path::{Path, PathBuf};

use futures::{StreamExt as _, stream};

use crate::plain_file::{PIECE_BYTES, PlainFile};

/// One file: where it is and where it goes.
struct Job {
    url: String,
    path: PathBuf,
}

/// Does the work that the arguments describe (a list file, a folder, how many at once, and perhaps the
/// authority of the server's certificate), if they are for us.
pub(crate) fn run_if_asked() -> bool {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, word, list, folder, threads, authority @ ..] = &arguments[..] else { return false };
    if word != "floor" {
        return false;
    }
    let threads: usize = threads.parse().expect("a number of files at once");
    let list = std::fs::read_to_string(list).expect("the list can be read");
    let jobs = list.lines().enumerate().map(|(number, url)| Job {
        url: url.to_owned(),
        path: Path::new(folder).join(format!("{number}.jpg")),
    });
    rustls::crypto::ring::default_provider().install_default().expect("nobody came first");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let roots = authority.iter().map(|path| {
            let pem = std::fs::read(path).expect("the authority can be read");
            reqwest::Certificate::from_pem(&pem).expect("a certificate")
        });
        let client = reqwest::Client::builder().http1_only().no_proxy().tls_certs_only(roots);
        let client = client.build().expect("a client");
        stream::iter(jobs)
            .map(|job| tokio::spawn(fetch(client.clone(), job)))
            .buffer_unordered(threads)
            .for_each(|ended| async { ended.expect("a file can be fetched") })
            .await;
    });
    true
}

async fn fetch(client: reqwest::Client, job: Job) {
    let mut file = PlainFile::create(&job.path, PIECE_BYTES);
    // The sandbox wants no cookies of one that says it talks to the content host by its own name.
    let sent = client.get(&job.url).header("host", "cvws.icloud-content.com").send().await;
    let mut response = sent.and_then(reqwest::Response::error_for_status).expect("an answer");
    while let Some(chunk) = response.chunk().await.expect("a chunk") {
        file.take(&chunk);
    }
    std::hint::black_box(file.finish());
}
