//! The order of the system calls themselves, as the kernel meets them: the bytes of a part are durable
//! before it gets its final name, the name before the journal commits.
//!
//! The other tables believe what the program says of its steps (`src/fault.rs`); this one asks `strace`.
//! Where there is none, or it may not trace, the test says so and is left out.

use std::fs;
use std::path::Path;
use std::process::Command;

use rollbook_sandbox::Options;

use crate::support::World;

/// A call, with the lines of the trace on which it began and ended.
struct Call {
    name: String,
    arguments: String,
    began: usize,
    ended: usize,
}

/// Reads a trace of several threads: a call may end many lines behind its begin.
fn read_trace(text: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut open: Vec<(String, usize)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let Some((thread, said)) = line.trim_start().split_once(' ') else { continue };
        let said = said.trim_start();
        if said.starts_with("<... ") {
            if let Some(place) = open.iter().position(|(of, _)| of == thread) {
                calls[open.remove(place).1].ended = number;
            }
        } else if let Some((name, rest)) = said.split_once('(') {
            if rest.ends_with("<unfinished ...>") {
                open.push((thread.to_owned(), calls.len()));
            }
            let (name, arguments) = (name.to_owned(), rest.to_owned());
            calls.push(Call { name, arguments, began: number, ended: number });
        }
    }
    calls
}

/// Runs under `strace`. `None`, and a word on it: it cannot be had here.
fn trace(world: &World) -> Option<Vec<Call>> {
    let file = world.log_file();
    let plain = world.rollbook(&["sync"]);
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-s", "256", "-e", "trace=fsync,fdatasync,syncfs,renameat2", "-o"]).arg(&file);
    command.arg(plain.get_program()).args(plain.get_args()).env_clear();
    for (name, value) in plain.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            println!("left out, no strace: {error}");
            return None;
        }
    };
    let calls = read_trace(&fs::read_to_string(&file).unwrap_or_default());
    if calls.is_empty() {
        println!("left out, strace may not trace: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    Some(calls)
}

#[test]
fn the_kernel_meets_bytes_name_folder_and_journal_in_this_order() {
    let world = World::new(Options { assets: 4, mean_size_bytes: Some(3_000), ..Options::default() });
    let Some(calls) = trace(&world) else { return };
    let of = |names: &'static [&'static str]| calls.iter().filter(|call| names.contains(&call.name.as_str()));
    let photos = world.photos().to_str().unwrap().to_owned();
    let whole = |call: &&Call| call.name == "syncfs" && call.arguments.contains(&photos);
    let mut asked = 0;
    for path in world.tree().into_keys() {
        let folder = world.photos().join(Path::new(&path).parent().unwrap());
        let (folder, name) = (format!("<{}>", folder.display()), path.rsplit('/').next().unwrap());
        let rename = of(&["renameat2"])
            .find(|call| call.arguments.contains(&folder) && call.arguments.contains(&format!("\"{name}\"")))
            .unwrap_or_else(|| panic!("{path} got its name by renameat2"));
        assert!(rename.arguments.contains("RENAME_NOREPLACE"), "{}", rename.arguments);
        let part = rename.arguments.split('"').nth(1).unwrap();
        let part = format!("/{part}>");
        let bytes = of(&["fdatasync", "fsync", "syncfs"])
            .filter(|call| call.ended < rename.began)
            .find(|call| call.arguments.contains(&part) || whole(call));
        assert!(bytes.is_some(), "{path}: its bytes are durable before its name is given");
        let named = of(&["fsync", "fdatasync", "syncfs"])
            .filter(|call| call.began > rename.ended)
            .find(|call| {
                call.arguments.starts_with(|c: char| c.is_ascii_digit()) && call.arguments.contains(&folder)
                    || whole(call)
            })
            .unwrap_or_else(|| panic!("{path}: its folder is synced after the rename"));
        let told = of(&["fdatasync", "fsync"])
            .any(|call| call.began > named.ended && call.arguments.contains("journal.db-wal>"));
        assert!(told, "{path}: the journal commits after its folder is durable");
        asked += 1;
    }
    assert!(asked >= 4, "{asked} files");
    println!("the order of the calls for {asked} files");
    let of_the_copy = of(&["fsync", "fdatasync"]).filter(|call| call.arguments.contains("/snapshots/new.db"));
    assert_eq!(
        of_the_copy.count(),
        1,
        "a copy of the journal is synced when it is whole, and not on the way"
    );
}

#[test]
fn small_files_are_written_while_those_before_them_wait_for_the_disk() {
    let world = World::new(Options { assets: 60, mean_size_bytes: Some(3_000), ..Options::default() });
    let log = world.log_file();
    let mut sync = world.rollbook(&["sync"]);
    sync.env("ROLLBOOK_FAULT", "slow-50:sync").env("ROLLBOOK_FAULT_GROUP", "4");
    let ended = sync.env("ROLLBOOK_FAULT_LOG", &log).status().unwrap();
    assert_eq!(ended.code(), Some(0));
    assert_eq!(world.count("size_bytes >= 262144"), 0, "all of them are small");
    let (mut is_waiting, mut created) = (false, 0);
    for line in fs::read_to_string(&log).unwrap().lines() {
        match line.split('\t').nth(1).unwrap() {
            // The first step of a group that is written.
            "utimes" => is_waiting = true,
            "folders-synced" => is_waiting = false,
            "create" => created += u32::from(is_waiting),
            _ => {}
        }
    }
    assert!(created > 0, "no file was written while those of another group were synced");
    world.assert_complete();
}
