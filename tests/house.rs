//! The walls of the house, read from the source: who may name what, and who may import whom.
//!
//! A paragraph about layers is forgotten; a failing test is not.

use std::fs;
use std::path::{Path, PathBuf};

/// A word, and the only places below `src/` that may say it.
const WALLS: [(&str, &[&str]); 15] = [
    ("rusqlite", &["journal/"]),
    ("r2d2", &["journal/"]),
    ("reqwest", &["icloud/"]),
    ("cookie_store", &["icloud/"]),
    ("std::fs", &["disk/", "fault.rs"]),
    ("tokio::fs", &[]),
    ("rustix", &["disk/", "fault.rs"]),
    ("clap", &["cli/"]),
    ("indicatif", &["cli/"]),
    ("println!", &[]),
    ("SET state", &["journal/moves.rs"]),
    // What makes bytes durable passes the fault points, or no test would miss it. Sessions and
    // notices are no promise.
    ("fdatasync", &["disk/durable.rs"]),
    ("fsync", &["disk/durable.rs"]),
    (".sync_all()", &["disk/private.rs", "disk/secret_file.rs", "disk/tree.rs"]),
    ("unimplemented!", &[]),
];

/// The layers, from the top. A module imports from layers below its own, never from its own.
const LAYERS: [&[&str]; 4] = [&["cli"], &["engine"], &["journal", "icloud", "disk"], &["model"]];

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    assert!(found.len() > 30, "the house has rooms");
    found
}

/// The code of a line: what stands before a comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

#[test]
fn each_library_has_one_door() {
    let mut breaches = Vec::new();
    for (path, text) in sources() {
        let place = path.to_string_lossy();
        for (number, line) in text.lines().enumerate() {
            for (word, allowed) in WALLS {
                if code(line).contains(word) && !allowed.iter().any(|room| place.starts_with(room)) {
                    breaches.push(format!("{place}:{}: {word}", number + 1));
                }
            }
        }
    }
    assert!(breaches.is_empty(), "outside their rooms:\n{}", breaches.join("\n"));
}

#[test]
fn imports_only_point_down_and_siblings_never_meet() {
    let mut breaches = Vec::new();
    for (path, text) in sources() {
        let room = path.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
        let Some(layer) = LAYERS.iter().position(|l| l.contains(&room.as_str())) else { continue };
        let forbidden: Vec<&str> =
            LAYERS[..=layer].iter().copied().flatten().copied().filter(|r| *r != room).collect();
        for line in text.lines().filter(|line| code(line).contains("crate::")) {
            for other in &forbidden {
                if code(line).contains(&format!("crate::{other}::")) {
                    breaches.push(format!("{}: {}", path.display(), line.trim()));
                }
            }
        }
    }
    assert!(breaches.is_empty(), "imports that point up or sideways:\n{}", breaches.join("\n"));
}

#[test]
fn every_module_says_what_it_is() {
    let silent: Vec<_> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(path, _)| path).collect();
    assert!(silent.is_empty(), "without a head: {silent:?}");
}
