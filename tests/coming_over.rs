//! Coming from icloudpd: its flags in the README are those that the program knows, what they become is a configuration
//! that the program takes, and what the README says they are here is here. That these are all flags of the real
//! icloudpd is for `tests/icloudpd/flags.py`.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

const README: &str = include_str!("../README.md");

fn rollbook(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rollbook"))
        .args(args)
        .env_clear()
        .env("HOME", "/nowhere")
        .output()
        .unwrap()
}

fn says(args: &[&str]) -> String {
    let output = rollbook(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The rows of the README's table: the flags there, and what stands beside them.
fn rows() -> Vec<(Vec<&'static str>, &'static str)> {
    let table = README.split_once("| icloudpd 1.32 | rollbook |").unwrap().1;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = rows.map(|row| row.trim_matches('|').split_once(" | ").unwrap());
    let between = |text: &'static str| {
        text.split("<code>").skip(1).map(|piece| piece.split_once("</code>").unwrap().0).collect()
    };
    cells.map(|(left, right)| (between(left), right)).collect()
}

#[test]
fn every_flag_of_the_readme_is_known() {
    let mut named = BTreeSet::new();
    for (flags, _) in rows() {
        for flag in flags {
            named.insert(flag.to_owned());
            let typed = if flag == "--smtp-*" { "--smtp-host" } else { flag };
            let output = rollbook(&["config", "from-icloudpd", "icloudpd", typed, "7"]);
            let page = String::from_utf8(output.stdout).unwrap();
            assert!(!page.contains(&format!("# {typed}: is no flag")), "{flag}: {page}");
        }
    }
    assert!(named.len() > 40, "{named:?}");
}

#[test]
fn what_stands_beside_a_flag_is_a_flag_or_a_verb_here() {
    let mut help = String::new();
    for verb in ["sync", "login", "plan", "adopt"] {
        help.push_str(&says(&[verb, "--help"]));
    }
    let mut looked_at = 0;
    for (flags, right) in rows() {
        for span in right.split('`').skip(1).step_by(2) {
            if let Some(flag) = span.split(' ').next().filter(|word| word.starts_with("--")) {
                assert!(
                    help.contains(&format!("{flag} "))
                        || help.contains(&format!("{flag}\n"))
                        || help.contains(&format!("{flag}[")),
                    "{flag}"
                );
                looked_at += 1;
            } else if let Some(verb) = span.strip_prefix("rollbook ") {
                let verb: Vec<&str> = verb.split(' ').take_while(|word| !word.starts_with('-')).collect();
                says(&[&verb[..], &["--help"]].concat());
                looked_at += 1;
            }
        }
        if right.trim_start().starts_with("the same") {
            for flag in flags.iter().filter(|flag| flag.starts_with("--")) {
                assert!(help.contains(flag), "{flag} is the same here");
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 25, "{looked_at}");
}

#[test]
fn what_it_prints_is_a_configuration_that_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let line = "docker run x icloudpd --username me@example.com --directory /photos --folder-structure '{:%Y/%m}' \
                --size original --size adjusted --recent 500 --until-found 50 --album 'Trip, \"Rome\"' --skip-videos \
                --xmp-sidecar --auto-delete --set-exif-datetime --live-photo-mov-filename-policy original \
                --skip-created-before 2020-01-01 --watch-with-interval 3600 --log-level info --domain cn \
                --align-raw original --no-progress-bar --notification-email me@example.com -p hunter2";
    let page = says(&["config", "from-icloudpd", line]);
    assert!(!page.contains("hunter2") && page.contains("# --notification-email: "), "{page}");
    let path = folder.path().join("config.toml");
    fs::write(&path, &page).unwrap();
    let shown = says(&["config", "show", "--json", "--config", path.to_str().unwrap()]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let value = |key: &str| {
        let line = shown.as_array().unwrap().iter().find(|line| line["setting"] == key).unwrap();
        line["value"].as_str().unwrap_or_default().to_owned()
    };
    for (key, expected) in [
        ("username", "me@example.com"),
        ("directory", "/photos"),
        ("folder-structure", "{:%Y/%m}"),
        ("size", "original, adjusted"),
        ("library", "primary"),
        ("album", "Trip, \"Rome\""),
        ("created-after", "2020-01-01"),
        ("deleted", "trash"),
        ("sidecars", "xmp"),
        ("set-exif-datetime", "true"),
        ("raw", "raw"),
        ("domain", "cn"),
    ] {
        assert_eq!(value(key), expected, "{key}: {page}");
    }
    let conf = folder.path().join("icloudpd.conf");
    fs::write(&conf, "apple_id=me@example.com\ndownload_path=/photos\nphoto_size=original\n").unwrap();
    let page = says(&["config", "from-icloudpd", "--conf", conf.to_str().unwrap()]);
    assert!(page.contains("directory = \"/photos\""), "{page}");
}

#[test]
fn what_would_not_be_taken_is_refused_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().join("icloudpd.conf");
    fs::write(&conf, "download_path=/photos\nrecent_only=many\n").unwrap();
    for (words, named) in [
        (&["icloudpd", "-d", ""][..], "\"directory\" is empty"),
        (&["icloudpd", "-d", "photos"], "\"directory\" must be a whole path"),
        (&["icloudpd", "-d", "/photos", "--recent", "abc"], "\"recent\""),
        (&["icloudpd", "-d", "/photos", "-u", "a@b.c", "-u", "d@e.f"], "two accounts"),
        (&["--conf", conf.to_str().unwrap()], "\"recent\""),
    ] {
        let output = rollbook(&[&["config", "from-icloudpd"], words].concat());
        let (page, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(2), "{words:?}: {page}{said}");
        assert!(page.contains("directory = ") && said.contains(named) && said.contains("hint: "), "{said}");
    }
}
