//! Errors become problems here, and nowhere else: what, why, what to do, and the exit code.
//!
//! Sorted by who acts. A person at the account: 3. Whoever looks after the disk: 4. Time: 5.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::cli::exit::Exit;
use crate::cli::format;
use crate::cli::problem::Problem;
use crate::icloud::{Cause, Denial, Need, News, NoAnswer, SignInError};
use crate::journal::Trouble;
use crate::{disk, engine, icloud, journal};

/// The setting that both Advanced Data Protection and a privacy switch can close.
const ACCESS_HINT: &str = "on an iPhone or iPad, in Settings > your name > iCloud, turn on \"Access iCloud Data on \
     the Web\" (with Advanced Data Protection on, it stays closed), then run \"rollbook login\"";
const SECURITY_KEY_HINT: &str = "remove the security keys in Settings > your name > Sign-In & Security, then run \
     \"rollbook login\"";
const LATER_HINT: &str = "run the same command again later; if it stays, add --log-level debug";
const CLOCK_HINT: &str =
    "set the clock right (for instance: timedatectl set-ntp true), then run the same command again";
const CODE_HINT: &str = "run \"rollbook login\" at a terminal, or \"rollbook login --code 123456\" with the digits that a \
     trusted device shows";
const LOGIN_HINT: &str = "run \"rollbook login\" at a terminal";

impl From<engine::Error> for Problem {
    fn from(error: engine::Error) -> Self {
        match error {
            engine::Error::Journal(error) => error.into(),
            engine::Error::Disk(error) => error.into(),
            engine::Error::Service(error) => error.into(),
            engine::Error::SignIn(error) => error.into(),
            engine::Error::ManyMissing { files, .. } => Self::new(
                Exit::Destination,
                "cannot believe that so many files were deleted",
            )
            .why(&error)
            .hint(format!(
                "see that the destination is whole; if you deleted or moved them, run \"rollbook sync \
                         --allow-missing {files}\""
            )),
            engine::Error::KitInDestination { .. } => {
                Self::new(Exit::Usage, "cannot lay the library out there")
                    .why(&error)
                    .hint("set --to to a folder outside of --directory, on the same disk for hard links")
            }
            engine::Error::NoSuchLinks { ref others, .. } => {
                let words: Vec<&str> = others.iter().map(|kind| kind.as_str()).collect();
                let hint = match words.as_slice() {
                    [] => "set --album-directory to a folder on another disk, and --album-views symlink"
                        .to_owned(),
                    words => {
                        format!("make others: --as {0} (for a sync: --album-views {0})", words.join(" or "))
                    }
                };
                Self::new(Exit::Usage, "cannot make such links there").why(&error).hint(hint)
            }
            engine::Error::OutsideDestination { ref folder, .. } => {
                let folder = folder.display();
                Self::new(Exit::Usage, "cannot adopt what lies elsewhere").why(&error).hint(format!(
                    "run \"rollbook adopt --directory {folder}\" if the photos are to stay there, or \
                         \"rollbook adopt {folder} --link\" (or --copy) to bring them into the destination"
                ))
            }
        }
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        // A source of the password that cannot be used has said so itself.
        if let SignInError::Person { source, .. } = &error
            && let Some(problem) = Self::within(source)
        {
            return problem.clone();
        }
        match &error {
            SignInError::Throttled { retry_after } => return wait("cannot sign in yet", *retry_after),
            SignInError::Store(source)
                if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
            {
                return data_dir_full(&error);
            }
            SignInError::Person { source, .. } if source.kind() == io::ErrorKind::Interrupted => {
                return interrupted();
            }
            SignInError::RefusedBefore { at, .. } => {
                let why = format!("{error} (that was on {})", format::moment(*at));
                return Self::new(Exit::NeedsPerson, "cannot sign in").why(why).hint(sign_in_hint(&error));
            }
            _ => {}
        }
        Self::new(sign_in_exit(&error), "cannot sign in").why(&error).hint(sign_in_hint(&error))
    }
}

fn sign_in_exit(error: &SignInError) -> Exit {
    match error {
        SignInError::Offline { .. } | SignInError::Malformed { .. } | SignInError::KeepsEnding { .. } => {
            Exit::Wait
        }
        SignInError::Refused { status: 500.., .. } => Exit::Wait,
        SignInError::WrongRegion { .. } | SignInError::Store(_) | SignInError::NoSuchPhone { .. } => {
            Exit::Usage
        }
        _ => Exit::NeedsPerson,
    }
}

/// The setting or the step that cures it.
fn sign_in_hint(error: &SignInError) -> &'static str {
    match error {
        SignInError::WrongPassword => {
            "correct ROLLBOOK_PASSWORD, or unset it and run \"rollbook login\" at a terminal"
        }
        SignInError::RefusedBefore { locked: false, .. } => {
            "correct the password; if it is right by now, run \"rollbook login\", which tries it once more"
        }
        SignInError::Locked(_) | SignInError::RefusedBefore { .. } => {
            "unlock the account at https://iforgot.apple.com, then run \"rollbook login\""
        }
        SignInError::SecurityKeyNeeded => SECURITY_KEY_HINT,
        SignInError::TermsNeeded => {
            "sign in at https://www.icloud.com, read and accept the terms, then run \"rollbook login\""
        }
        SignInError::RepairNeeded(_) => {
            "sign in at https://account.apple.com, answer what it asks, then run \"rollbook login\""
        }
        SignInError::AccessOff => ACCESS_HINT,
        SignInError::ConsentMissing { .. } => {
            "have an iPhone, iPad or Mac of the account at hand and unlocked, run \"rollbook login\", and allow web \
             access there when it asks"
        }
        SignInError::WrongRegion { domain } if domain.to_ascii_lowercase().ends_with(".cn") => {
            "set --domain cn"
        }
        SignInError::WrongRegion { .. } => "set --domain com",
        SignInError::NeedsPerson(Need::Password) => {
            "set ROLLBOOK_PASSWORD, or run \"rollbook login\" at a terminal"
        }
        SignInError::NeedsPerson(Need::Code) => CODE_HINT,
        SignInError::WrongCode => {
            "run \"rollbook login --code 123456\" with the newest code, or \"rollbook login --sms\""
        }
        SignInError::TooManyCodes => "wait a few hours, then run \"rollbook login\"",
        SignInError::NoSuchPhone { .. } => "run \"rollbook login --sms\", which lists the phones",
        SignInError::Offline { detail, .. } => offline_hint(detail),
        SignInError::Store(_) => "make the data directory writable, or set --data-dir to one that is",
        error if sign_in_exit(error) == Exit::Wait => LATER_HINT,
        _ => LOGIN_HINT,
    }
}

fn offline_hint(why: &NoAnswer) -> &'static str {
    match why.cause() {
        Cause::Network => "check the network, then run the same command again",
        Cause::Clock => CLOCK_HINT,
        Cause::TrustRoots => {
            "install the package ca-certificates, or set SSL_CERT_FILE to a file of trust roots; a proxy or a \
             guest network that puts itself between needs its own root there"
        }
    }
}

/// What a person reads of a sign-in while it goes on; `None` for what is told elsewhere.
pub(crate) fn news(news: &News) -> Option<String> {
    Some(match news {
        News::CodeAccepted | News::CodeSent { .. } => return None,
        News::ApproveOnDevice { wait_s } => format!(
            "Advanced Data Protection: a device of the account asks whether to allow web access; allow it there \
             within {}",
            format::wait(*wait_s)
        ),
        News::Approved => "web access was approved on a device".to_owned(),
        News::ClockIsWrong { ahead_s } => {
            let side = if *ahead_s > 0 { "ahead of" } else { "behind" };
            let difference = format::wait(ahead_s.unsigned_abs());
            format!(
                "warning: the clock of this machine is {difference} {side} Apple's, which makes good links look \
                 expired: {CLOCK_HINT}"
            )
        }
    })
}

impl From<icloud::Error> for Problem {
    fn from(error: icloud::Error) -> Self {
        let (exit, hint) = match &error {
            icloud::Error::NeedsPerson(inner) => return (**inner).clone().into(),
            icloud::Error::Throttled { retry_after } => {
                return wait("cannot read the photo library yet", *retry_after);
            }
            icloud::Error::SessionExpired { .. } => (Exit::NeedsPerson, LOGIN_HINT),
            icloud::Error::Denied(Denial::AccessOff(_)) => (Exit::NeedsPerson, ACCESS_HINT),
            icloud::Error::Denied(Denial::SecurityKey) => (Exit::NeedsPerson, SECURITY_KEY_HINT),
            icloud::Error::Denied(Denial::NoSuchZone(_)) => {
                (Exit::NeedsPerson, "open Photos at https://www.icloud.com once, then sync again")
            }
            icloud::Error::Offline { detail, .. } => (Exit::Wait, offline_hint(detail)),
            icloud::Error::Server { .. } | icloud::Error::Malformed { .. } => (Exit::Wait, LATER_HINT),
        };
        Self::new(exit, "cannot read the photo library").why(&error).hint(hint)
    }
}

impl From<disk::Error> for Problem {
    /// Of the destination. What goes wrong in the data directory goes through [`data_dir`].
    fn from(error: disk::Error) -> Self {
        if error.is_about_room() {
            return full(&error);
        }
        if let Some(of) = error.refused_link() {
            return no_link(of, &error);
        }
        let (exit, hint) = match &error {
            disk::Error::Locked { pid, .. } => return locked(*pid, &error),
            disk::Error::Absent { .. } => {
                (Exit::Destination, "mount it, or correct --directory, then sync again".to_owned())
            }
            disk::Error::Foreign { .. } => (
                Exit::Usage,
                "set --directory to the folder of this journal, or --data-dir to the journal of this folder"
                    .to_owned(),
            ),
            disk::Error::NoRoom { .. } => return full(&error),
            disk::Error::InTheWay { .. } => (
                Exit::Destination,
                "move it elsewhere, or mount there what a link leads to, then run the same command again"
                    .to_owned(),
            ),
            disk::Error::MountedApart { .. } => (
                Exit::Destination,
                "move the files by hand, or keep the whole destination on one mount".to_owned(),
            ),
            disk::Error::Io { source, path, .. } => (Exit::Destination, repair(source, path)),
        };
        Self::new(exit, "cannot use the destination").why(&error).hint(hint)
    }
}

impl From<journal::Error> for Problem {
    fn from(error: journal::Error) -> Self {
        let (exit, hint) = match &error {
            error if error.trouble() == Trouble::Full => return data_dir_full(error),
            error if error.trouble() == Trouble::Disk => (
                Exit::Destination,
                "see that the disk under --data-dir is healthy, has room and is writable, then run the same command \
                 again",
            ),
            error if error.trouble() == Trouble::Damage => return damaged(error),
            error if error.trouble() == Trouble::Busy => (
                Exit::Busy,
                "close the sqlite3 shell or the program that writes to the journal, then run the same command again",
            ),
            error if error.trouble() == Trouble::Closed => (
                Exit::Usage,
                "run it as the user that the data directory belongs to; \"ls -l\" there shows whose each file is",
            ),
            journal::Error::NewerSchema { .. } => {
                (Exit::Usage, "update rollbook, or set --data-dir to another journal")
            }
            journal::Error::Empty { .. } => (Exit::Usage, "run \"rollbook sync\" first"),
            journal::Error::NotAJournal { .. } => (
                Exit::Usage,
                "set --data-dir to another folder; where a journal stood here before: \"rollbook journal restore\"",
            ),
            journal::Error::OldSqlite(_) => (Exit::Usage, "build rollbook with its bundled SQLite"),
            journal::Error::LostClaim(_) => {
                (Exit::Busy, "end the other program that changes the journal, then sync again")
            }
            journal::Error::Pool(_) => (Exit::Usage, "set --data-dir to where a journal of rollbook is"),
            _ => (Exit::Usage, "run \"rollbook journal check\""),
        };
        Self::new(exit, "cannot use the journal").why(&error).hint(hint)
    }
}

/// Nothing can be noted any more. What was is durable, so nothing is lost.
fn data_dir_full(why: impl std::fmt::Display) -> Problem {
    Problem::new(Exit::Destination, "no space is left in the data directory")
        .why(why)
        .hint("free some where --data-dir lies, then run the same command again: it goes on where it was")
}

/// The journal is not what was written. Your photos are another matter: none is touched.
pub(crate) fn damaged(why: impl std::fmt::Display) -> Problem {
    Problem::new(Exit::Usage, "cannot use the journal: it is damaged").why(why).hint(
        "run \"rollbook journal restore\" (the newest sound snapshot), or \"rollbook journal rebuild\" (anew \
             from the files that are here); both keep the damaged one",
    )
}

/// A problem with the data directory: a matter of configuration, unless the disk is full.
pub(crate) fn data_dir(error: disk::Error) -> Problem {
    if let disk::Error::Locked { pid, .. } = &error {
        return locked(*pid, &error);
    }
    if error.is_about_room() {
        return data_dir_full(error);
    }
    let exit = if error.ends_the_run() { Exit::Destination } else { Exit::Usage };
    Problem::new(exit, "cannot use the data directory")
        .why(error)
        .hint("set --data-dir or ROLLBOOK_DATA_DIR to a folder of yours on a local disk")
}

/// Something that the system itself refuses: signals, threads, a file of the data directory.
pub(crate) fn system(what: &str, error: &io::Error) -> Problem {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            return data_dir_full(format!("{what}: {error}"));
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "run it as the user that the data directory belongs to, or set --data-dir to a folder of yours"
        }
        _ => "see what the system runs out of (ulimit -a; df -h), then run the same command again",
    };
    Problem::new(Exit::Usage, what).why(error).hint(hint)
}

/// An answer that cannot be written where it was sent.
pub(crate) fn output(error: &io::Error) -> Problem {
    Problem::new(Exit::Usage, "cannot write the answer")
        .why(error)
        .hint("send it elsewhere, or make room there; nothing is wrong with the photos or the journal")
}

/// Two places that cannot share a link. The photos themselves are all there.
fn no_link(of: disk::LinkOf, error: &disk::Error) -> Problem {
    let (what, hint) = match of {
        disk::LinkOf::View => (
            "cannot make such links there",
            "put the folder on the disk of the photos, or make other links: --as symlink (for a sync: \
             --album-views symlink)",
        ),
        disk::LinkOf::Tree => (
            "cannot bring the files in by links",
            "run the same command with --copy in place of --link, or adopt them where they are with --directory",
        ),
    };
    Problem::new(Exit::Destination, what).why(error).hint(hint)
}

/// A code goes out by text message, and nobody is there to type it: that is the next command's part.
pub(crate) fn message_sent() -> Problem {
    Problem::new(Exit::NeedsPerson, "not signed in yet: the code of a text message is needed")
        .why("there is no terminal to type it at")
        .hint(
            "run \"rollbook login --code 123456\" with the digits of the message; where several phones were listed, \
             \"rollbook login --sms N\" first",
        )
}

/// Apple asked to wait until `at`, in an earlier run.
pub(crate) fn wait_until(at: i64) -> Problem {
    Problem::new(Exit::Wait, "cannot ask Apple yet")
        .why(format!("apple asks to wait until {}", format::moment(at)))
        .hint("run the same command again after that; sooner only makes the wait longer")
}

/// A person did not want to wait for the sign-in.
pub(crate) fn interrupted() -> Problem {
    Problem::new(Exit::Interrupted, "interrupted")
}

fn wait(what: &str, retry_after: Option<Duration>) -> Problem {
    let (why, hint) = match retry_after {
        Some(wait) => {
            let wait = format::wait(wait.as_secs());
            (format!("apple asks to wait for {wait}"), format!("run the same command again in {wait}"))
        }
        None => ("apple asks to wait".to_owned(), "run the same command again in an hour".to_owned()),
    };
    Problem::new(Exit::Wait, what).why(why).hint(hint)
}

fn locked(pid: Option<u32>, error: &disk::Error) -> Problem {
    let hint = match pid {
        Some(pid) => format!("wait for it (\"rollbook status\" works meanwhile), or stop it: kill {pid}"),
        None => "wait for it (\"rollbook status\" works meanwhile)".to_owned(),
    };
    Problem::new(Exit::Busy, "cannot start: another run is at work").why(error).hint(hint)
}

/// The destination is full. What came stays, and the rest waits for room.
fn full(error: &disk::Error) -> Problem {
    let why = match error {
        disk::Error::NoRoom { path, files, needed_bytes, free_bytes, kept_bytes } => format!(
            "no room for {} of {}: {} are free, of which {} stay free: {}",
            format::counted(*files, "file"),
            format::bytes(*needed_bytes),
            format::bytes(*free_bytes),
            format::bytes(*kept_bytes),
            path.display()
        ),
        error => error.to_string(),
    };
    Problem::new(Exit::Destination, "the destination is full").why(why).hint(
        "make room, then run the same command again (a watch does so by itself); --keep-free says how much stays free",
    )
}

/// What helps with a folder or file that the system refuses.
fn repair(error: &io::Error, path: &Path) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room (\"rollbook plan\" says how much), then run the same command again".to_owned()
        }
        io::ErrorKind::ReadOnlyFilesystem => format!(
            "mount it for writing (findmnt -T {path} shows the mount; in a unit, ReadWritePaths= lets it), then \
             run the same command again"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("make it writable for this user: ls -ld {path} shows whose it is, id who this is")
        }
        io::ErrorKind::NotFound => format!("create it (mkdir -p {path}) or mount it, then run the same command again"),
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            format!("a file stands where a folder should be (ls -ld {path}): move it, or name another folder")
        }
        io::ErrorKind::InvalidFilename => {
            "the path is too long: set --directory to a shorter one, or choose shorter --folder-structure and \
             --file-name"
                .to_owned()
        }
        _ => format!("see that the disk is there and healthy (findmnt -T {path}; dmesg), then run the same command again"),
    }
}

/// There is no journal, and there was one: a new one is for a person to decide.
pub(crate) fn journal_gone(snapshots: &disk::Snapshots) -> Problem {
    Problem::new(Exit::Usage, "cannot use the journal: it is gone")
        .why(format!("missing or empty: {}", snapshots.journal().display()))
        .hint(
            "run \"rollbook journal restore\" (the newest sound snapshot), or \"rollbook journal rebuild\" (anew from \
             the files that are here)",
        )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn io_error(kind: io::ErrorKind) -> disk::Error {
        disk::Error::Io { action: "write", path: PathBuf::from("/p"), source: kind.into() }
    }

    #[test]
    fn every_way_to_end_early_has_its_exit_code_and_a_hint() {
        let offline = || SignInError::Offline { host: "h".to_owned(), detail: NoAnswer::network("d") };
        let refused = |status| SignInError::Refused { step: "s", status, said: String::new() };
        let path = PathBuf::from("/p");
        let denied = icloud::Error::Denied(Denial::AccessOff("d".to_owned()));
        for (problem, exit) in [
            (Problem::from(SignInError::WrongPassword), Exit::NeedsPerson),
            (SignInError::NeedsPerson(Need::Code).into(), Exit::NeedsPerson),
            (SignInError::RefusedBefore { at: 0, locked: false }.into(), Exit::NeedsPerson),
            (SignInError::RepairNeeded(String::new()).into(), Exit::NeedsPerson),
            (SignInError::TooManyCodes.into(), Exit::NeedsPerson),
            (SignInError::KeepsEnding { times: 6 }.into(), Exit::Wait),
            (SignInError::WrongRegion { domain: "iCloud.com.cn".to_owned() }.into(), Exit::Usage),
            (SignInError::Throttled { retry_after: None }.into(), Exit::Wait),
            (refused(403).into(), Exit::NeedsPerson),
            (refused(503).into(), Exit::Wait),
            (offline().into(), Exit::Wait),
            (icloud::Error::NeedsPerson(Box::new(SignInError::TermsNeeded)).into(), Exit::NeedsPerson),
            (icloud::Error::from(offline()).into(), Exit::Wait),
            (engine::Error::Service(denied).into(), Exit::NeedsPerson),
            (io_error(io::ErrorKind::StorageFull).into(), Exit::Destination),
            (
                disk::Error::Absent { directory: path.clone(), missing: "m".to_owned() }.into(),
                Exit::Destination,
            ),
            (disk::Error::Locked { path: path.clone(), pid: Some(7) }.into(), Exit::Busy),
            (data_dir(disk::Error::Locked { path: path.clone(), pid: None }), Exit::Busy),
            (data_dir(io_error(io::ErrorKind::PermissionDenied)), Exit::Usage),
            (journal::Error::NotAJournal { path }.into(), Exit::Usage),
            (
                journal::Error::WriterStopped { reason: "full".to_owned(), trouble: Trouble::Disk }.into(),
                Exit::Destination,
            ),
            (data_dir(io_error(io::ErrorKind::StorageFull)), Exit::Destination),
            (system("s", &io::ErrorKind::StorageFull.into()), Exit::Destination),
            (
                SignInError::Store(std::sync::Arc::new(io::ErrorKind::StorageFull.into())).into(),
                Exit::Destination,
            ),
            (wait_until(0), Exit::Wait),
        ] {
            assert_eq!(problem.exit, exit, "{problem}");
            assert!(problem.hint.is_some() && problem.why.is_some(), "{problem}");
        }
        assert_eq!(interrupted().exit, Exit::Interrupted);
    }

    #[test]
    fn what_a_disk_refuses_has_a_hint_of_its_own_that_names_the_place() {
        let hint = |kind: io::ErrorKind| Problem::from(io_error(kind)).hint.unwrap_or_default();
        for (kind, says) in [
            (io::ErrorKind::PermissionDenied, "ls -ld /p"),
            (io::ErrorKind::NotFound, "mkdir -p /p"),
            (io::ErrorKind::ReadOnlyFilesystem, "findmnt -T /p"),
            (io::ErrorKind::NotADirectory, "a file stands where a folder should be"),
            (io::ErrorKind::InvalidFilename, "--folder-structure"),
            (io::ErrorKind::Other, "the disk is there and healthy"),
        ] {
            assert!(hint(kind).contains(says), "{kind}: {}", hint(kind));
        }
    }

    #[test]
    fn apples_wait_is_told_as_long_as_it_is() {
        let problem = Problem::from(SignInError::Throttled { retry_after: Some(Duration::from_secs(720)) });
        assert_eq!(problem.hint.as_deref(), Some("run the same command again in 12 min"));
    }
}
