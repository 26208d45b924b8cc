//! What an icloudpd command line means here: a configuration file, and notes on what has no equivalent.
//!
//! The table is that of icloudpd 1.32.3, and the README's says the same. The configuration of docker-icloudpd is read
//! as the command line that its keys stand for.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use Becomes::{Key, List, Note, Other, Set};

/// What a flag becomes.
#[derive(Clone, Copy, Debug)]
enum Becomes {
    /// The same value under this key.
    Key(&'static str),
    /// One more value under this key.
    List(&'static str),
    /// This value under this key.
    Set(&'static str, &'static str),
    /// Something that depends on other flags: see [`Group::settings`].
    Other,
    /// Nothing, for this reason.
    Note(&'static str),
}

/// A flag of icloudpd.
#[derive(Debug)]
struct Flag {
    name: &'static str,
    short: Option<char>,
    has_value: bool,
    becomes: Becomes,
}

const fn flag(name: &'static str, becomes: Becomes) -> Flag {
    Flag { name, short: None, has_value: true, becomes }
}

const fn switch(name: &'static str, becomes: Becomes) -> Flag {
    Flag { name, short: None, has_value: false, becomes }
}

const fn short(letter: char, flag: Flag) -> Flag {
    Flag { short: Some(letter), ..flag }
}

const MAIL: &str = "set notify-command to whatever sends your mail";
const NEVER: &str = "never: nothing is written to iCloud";
const NOT_NEEDED: &str =
    "not needed: files are known by content, names keep their Unicode, a taken name gets a tag";
const PASSWORD: &str = "set password-command or password-file, or run \"rollbook login --save\"";

static FLAGS: &[Flag] = &[
    short('h', switch("help", Note("nothing to translate"))),
    switch("version", Note("nothing to translate")),
    switch("use-os-locale", Note("month names are English here")),
    switch("only-print-filenames", Note("run \"rollbook plan\"; the paths are in v_file")),
    flag("log-level", Key("log-level")),
    switch("no-progress-bar", Set("no-progress-bar", "true")),
    flag(
        "threads-num",
        Note("it has done nothing in icloudpd for years; threads-num is 10 here unless you say otherwise"),
    ),
    flag("domain", Key("domain")),
    flag("watch-with-interval", Key("watch-with-interval")),
    flag("password-provider", Note(PASSWORD)),
    flag(
        "mfa-provider",
        Note("run \"rollbook login\", or \"rollbook login --code\" from another shell; there is no web page"),
    ),
    short('d', flag("directory", Key("directory"))),
    switch("auth-only", Note("run \"rollbook login\"")),
    flag(
        "cookie-directory",
        Note("run \"rollbook login --from-icloudpd\" with that folder: its session serves here"),
    ),
    flag("size", List("size")),
    flag("live-photo-size", Note("goes with size: a medium photo comes with its medium movie")),
    flag("recent", Key("recent")),
    flag("until-found", Key("until-found")),
    short('a', flag("album", List("album"))),
    short('l', switch("list-albums", Note("run \"rollbook list albums\""))),
    flag("library", List("library")),
    switch("list-libraries", Note("run \"rollbook list libraries\"")),
    switch("skip-videos", Set("skip-videos", "true")),
    switch("skip-live-photos", Set("skip-live-photos", "true")),
    switch("xmp-sidecar", Set("sidecars", "\"xmp\"")),
    switch("force-size", Note("not here: a choice of sizes never leaves out a whole photo")),
    switch("auto-delete", Set("deleted", "\"trash\"")),
    flag("folder-structure", Key("folder-structure")),
    switch("set-exif-datetime", Set("set-exif-datetime", "true")),
    flag("smtp-username", Note(MAIL)),
    flag("smtp-password", Note(MAIL)),
    flag("smtp-host", Note(MAIL)),
    flag("smtp-port", Note(MAIL)),
    switch("smtp-no-tls", Note(MAIL)),
    flag("notification-email", Note(MAIL)),
    flag("notification-email-from", Note(MAIL)),
    flag(
        "notification-script",
        Note("set notify-command to it: it hears of every end, not only of an expired sign-in"),
    ),
    switch("delete-after-download", Note(NEVER)),
    flag("keep-icloud-recent-days", Note(NEVER)),
    switch("dry-run", Note("run \"rollbook sync --dry-run\"")),
    switch("keep-unicode-in-filenames", Note(NOT_NEEDED)),
    flag("live-photo-mov-filename-policy", Key("live-photo-mov-filename-policy")),
    flag("align-raw", Other),
    flag("file-match-policy", Note(NOT_NEEDED)),
    flag("skip-created-before", Key("created-after")),
    flag("skip-created-after", Key("created-before")),
    switch("skip-photos", Set("skip-photos", "true")),
    short('u', flag("username", Other)),
    short('p', flag("password", Note(PASSWORD))),
];

/// Keys of docker-icloudpd's configuration, and the flag that each stands for.
const DOCKER: [(&str, &str); 18] = [
    ("apple_id", "username"),
    ("download_path", "directory"),
    ("download_interval", "watch-with-interval"),
    ("folder_structure", "folder-structure"),
    ("photo_size", "size"),
    ("live_photo_size", "live-photo-size"),
    ("skip_live_photos", "skip-live-photos"),
    ("skip_videos", "skip-videos"),
    ("recent_only", "recent"),
    ("until_found", "until-found"),
    ("photo_album", "album"),
    ("photo_library", "library"),
    ("auto_delete", "auto-delete"),
    ("set_exif_datetime", "set-exif-datetime"),
    ("delete_after_download", "delete-after-download"),
    ("keep_unicode", "keep-unicode-in-filenames"),
    ("live_photo_mov_filename_policy", "live-photo-mov-filename-policy"),
    ("align_raw", "align-raw"),
];

/// What is an account's own in a configuration of several.
const PER_ACCOUNT: [&str; 2] = ["directory", "domain"];

/// The settings of one account, or those before the first.
#[derive(Clone, Debug, Default)]
struct Group {
    username: Option<String>,
    values: BTreeMap<&'static str, Vec<String>>,
    align_raw: Option<String>,
}

/// A configuration file in TOML that does what an icloudpd command line does. What it cannot do is said in
/// comments.
#[must_use]
pub(crate) fn translate(words: &[String]) -> String {
    let (groups, notes) = read(words);
    write(groups, &notes)
}

/// The same for the text of docker-icloudpd's configuration.
#[must_use]
pub(crate) fn translate_docker(text: &str) -> String {
    let (mut words, mut notes) = (Vec::new(), Vec::new());
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            // Not the line itself, which could hold a secret.
            notes.push(format!("line {}: is left out, for it is no key=value", index + 1));
            continue;
        };
        let (key, value) = (key.trim(), value.trim().trim_matches(['"', '\'']));
        if value.is_empty() || value == "false" {
            continue;
        }
        let known = DOCKER.iter().find(|(name, _)| *name == key).and_then(|(_, flag)| named(flag));
        match (known, value) {
            (_, "all albums") => {}
            (_, "all libraries") => words.extend(["--library".to_owned(), "all".to_owned()]),
            (Some(flag), _) if !flag.has_value => words.push(format!("--{}", flag.name)),
            (Some(flag), _) => {
                let many = matches!(flag.becomes, List(_));
                let values = value.split(',').filter(|_| many).chain((!many).then_some(value));
                values.for_each(|value| words.extend([format!("--{}", flag.name), value.trim().to_owned()]));
            }
            (None, _) if key == "icloud_china" => words.extend(["--domain".to_owned(), "cn".to_owned()]),
            (None, _) if key == "skip_album" => {
                let skipped = value.split(',').map(|album| format!("!{}", album.trim()));
                skipped.for_each(|album| words.extend(["--album".to_owned(), album]));
            }
            (None, _) => notes.push(format!("{key}: has no equivalent here")),
        }
    }
    let (groups, more) = read(&words);
    notes.extend(more);
    write(groups, &notes)
}

/// Splits a line as a shell does: quotes, backslashes, and lines that go on.
#[must_use]
pub(crate) fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => match rest.next() {
                Some('\n') | None => {}
                Some(next) => word.get_or_insert_default().push(next),
            },
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn named(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name).or_else(|| {
        // As Python's argparse: a beginning will do, if it is one flag's alone.
        let mut begun = FLAGS.iter().filter(|flag| name.len() > 2 && flag.name.starts_with(name));
        begun.next().filter(|_| begun.next().is_none())
    })
}

fn find(word: &str) -> Option<(&'static Flag, Option<String>)> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        return Some((named(name)?, value.map(str::to_owned)));
    }
    let mut letters = word.strip_prefix('-')?.chars();
    let letter = letters.next()?;
    let value = Some(letters.as_str()).filter(|value| !value.is_empty()).map(str::to_owned);
    FLAGS.iter().find(|flag| flag.short == Some(letter)).map(|flag| (flag, value))
}

fn read(words: &[String]) -> (Vec<Group>, Vec<String>) {
    let (mut groups, mut notes) = (vec![Group::default()], Vec::new());
    // Whatever stands before the flags: a path to icloudpd, `docker run …`, a schedule.
    let mut words = words.iter().skip_while(|word| !word.starts_with('-')).peekable();
    while let Some(word) = words.next() {
        let Some((flag, value)) = find(word) else {
            notes.push(format!("{word}: is no flag of icloudpd 1.32"));
            continue;
        };
        let value = value.or_else(|| flag.has_value.then(|| words.next().cloned()).flatten());
        let value = value.unwrap_or_default();
        if flag.name == "username" {
            groups.push(Group { username: Some(value), ..groups[0].clone() });
            continue;
        }
        let group = groups.last_mut().expect("one at least");
        match flag.becomes {
            Key(key) => drop(group.values.insert(key, vec![text(&value)])),
            List(key) => group.values.entry(key).or_default().push(text(&value)),
            Set(key, value) => drop(group.values.insert(key, vec![value.to_owned()])),
            Other => group.align_raw = Some(value),
            Note(why) => {
                let note = format!("--{}: {why}", flag.name);
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
        }
    }
    if groups.len() > 1 {
        groups.remove(0);
    }
    (groups, notes)
}

impl Group {
    /// The settings, with what icloudpd does unless told otherwise and rollbook does not.
    fn settings(mut self) -> BTreeMap<&'static str, Vec<String>> {
        let sizes = self.values.entry("size").or_insert_with(|| vec![text("original")]).clone();
        self.values.entry("library").or_insert_with(|| vec![text("primary")]);
        self.values.entry("live-photo-mov-filename-policy").or_insert_with(|| vec![text("suffix")]);
        let has = |size: &str| sizes.contains(&text(size));
        // With one of the two sizes, which of a pair that is depends on where the RAW counts.
        let raw = match self.align_raw.as_deref() {
            Some("original") if has("original") != has("alternative") => Some(has("original")),
            Some("alternative") if has("original") != has("alternative") => Some(has("alternative")),
            _ => None,
        };
        if let Some(raw) = raw {
            self.values.insert("raw", vec![text(if raw { "raw" } else { "jpeg" })]);
        }
        self.values
    }
}

fn write(groups: Vec<Group>, notes: &[String]) -> String {
    let several = groups.len() > 1;
    let mut page = String::from("# What icloudpd was told, for rollbook.\n");
    let mut tables = String::new();
    let mut top: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let mut differing = Vec::new();
    for group in groups {
        let username = group.username.clone();
        let mut own = group.settings();
        if several {
            tables.push_str("\n[[account]]\n");
            let _ = writeln!(tables, "username = {}", text(username.as_deref().unwrap_or_default()));
            for key in PER_ACCOUNT {
                own.remove(key).into_iter().for_each(|value| line(&mut tables, key, &value));
            }
        } else if let Some(username) = username {
            top.insert("username", vec![text(&username)]);
        }
        for (key, value) in own {
            if top.get(key).is_some_and(|known| *known != value) {
                differing.push(format!("{key}: is for all accounts here, and differs between yours"));
            }
            top.entry(key).or_insert(value);
        }
    }
    top.iter().for_each(|(key, value)| line(&mut page, key, value));
    page.push_str(&tables);
    for note in notes.iter().chain(&differing) {
        let _ = writeln!(page, "# {}", note.replace('\n', " "));
    }
    page.trim_end().to_owned()
}

fn line(page: &mut String, key: &str, values: &[String]) {
    let is_list = FLAGS.iter().any(|flag| matches!(flag.becomes, List(list) if list == key));
    let value = if is_list { format!("[{}]", values.join(", ")) } else { values.concat() };
    let _ = writeln!(page, "{key} = {value}");
}

/// A text of TOML.
fn text(value: &str) -> String {
    let mut quoted = String::from('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => drop(write!(quoted, "\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(line: &str) -> Vec<String> {
        translate(&split(line)).lines().skip(1).map(str::to_owned).collect()
    }

    #[test]
    fn every_flag_becomes_a_setting_or_a_note() {
        for flag in FLAGS {
            let value = match flag.name {
                "log-level" => "debug",
                "domain" => "cn",
                "size" | "align-raw" | "live-photo-mov-filename-policy" => "original",
                "skip-created-before" | "skip-created-after" => "2024-05-31",
                "folder-structure" => "{:%Y}",
                name if name.contains("directory") => "/photos",
                _ => "7",
            };
            let typed =
                if flag.has_value { format!("--{} {value}", flag.name) } else { format!("--{}", flag.name) };
            let page = lines(&typed).join("\n");
            let expected = match flag.becomes {
                Key(key) | List(key) => format!("{key} = "),
                Set(key, value) => format!("{key} = {value}"),
                Note(why) => format!("# --{}: {why}", flag.name),
                Other => String::new(),
            };
            assert!(page.contains(&expected) && !page.contains("is no flag"), "{typed}: {page}");
        }
    }

    #[test]
    fn a_command_line_is_read_as_a_shell_and_icloudpd_read_it() {
        let page = lines(
            "0 3 * * * /usr/bin/icloudpd -u me@example.com --dir='/my photos' \\\n --size adjusted --size=original \
             -a \"Trip \\\"Rome\\\"\" --skip-created-before 20d --align-raw alternative --smtp-host x --nonsense",
        );
        for expected in [
            "username = \"me@example.com\"",
            "directory = \"/my photos\"",
            "size = [\"adjusted\", \"original\"]",
            "album = [\"Trip \\\"Rome\\\"\"]",
            "created-after = \"20d\"",
            "library = [\"primary\"]",
            "live-photo-mov-filename-policy = \"suffix\"",
            "raw = \"jpeg\"",
            "# --nonsense: is no flag of icloudpd 1.32",
        ] {
            assert!(page.iter().any(|line| line == expected), "{expected}: {page:#?}");
        }
        assert!(page.iter().any(|line| line.starts_with("# --smtp-host:")));
    }

    #[test]
    fn several_users_become_accounts_and_a_password_never_stands_there() {
        let page = lines(
            "icloudpd -d /all --skip-videos -u a@b.c -p hunter2 -d /a --recent 5 -u d@e.f --password=hunter2",
        );
        let text = page.join("\n");
        let expected = "[[account]]\nusername = \"a@b.c\"\ndirectory = \"/a\"\n\n[[account]]\nusername = \"d@e.f\"\n\
                        directory = \"/all\"\n";
        assert!(text.contains(expected) && text.contains("skip-videos = true"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn the_configuration_of_docker_icloudpd_is_read_too() {
        let page = translate_docker(
            "apple_id=me@example.com\ndownload_path=/home/user/iCloud\nphoto_size=\"original,adjusted\"\n\
             skip_videos=true\nskip_live_photos=false\nphoto_album=\nskip_album=\"Hidden,Live\"\nicloud_china=true\n\
             convert_heic_to_jpeg=true\n\n# Note\nrecent_only 500\nphoto_library=\"all libraries\"\nkeep_unicode=true\n",
        );
        for expected in [
            "username = \"me@example.com\"",
            "size = [\"original\", \"adjusted\"]",
            "album = [\"!Hidden\", \"!Live\"]",
            "library = [\"all\"]",
            "domain = \"cn\"",
            "skip-videos = true",
            "# convert_heic_to_jpeg: has no equivalent here",
            "# line 12: is left out, for it is no key=value",
        ] {
            assert!(page.lines().any(|line| line == expected), "{expected}: {page}");
        }
        assert!(!page.contains("skip-live-photos"));
    }
}
