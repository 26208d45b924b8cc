//! Word to the outside: the command of the setting `notify-command`, run when a run has ended and when
//! a person is waited for.
//!
//! It finds what happened in its environment. What becomes of it changes nothing here: one that fails,
//! or cannot be started, is worth a warning, and one that hangs is left to itself. It has a process group of
//! its own: who stops us at a terminal stops no mail that is half sent.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::settings;
use crate::engine::Stop;

/// How long the end of a run waits for the command, unless somebody asks to stop: long for a mail, short for
/// a scheduler.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Something that somebody may want to hear of.
#[derive(Debug)]
pub(crate) enum Event {
    /// A run of an account has ended.
    RunEnded {
        /// How.
        exit: Exit,
        /// How the run before it ended, if there was one.
        before: Option<u8>,
        /// The same in words: the summary, or the problem.
        said: String,
    },
    /// A run waits for a person.
    PersonNeeded {
        /// For what.
        said: String,
    },
}

/// Runs the command, if one is set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notifier(Option<Arc<str>>);

impl Notifier {
    /// With the setting `notify-command`.
    pub(crate) fn new(command: Option<&str>) -> Self {
        Self(command.map(Arc::from))
    }

    /// Tells of an event, and waits for the command, for a while. Who asks to stop does not wait for it.
    pub(crate) async fn told(&self, username: &str, event: Event, stop: &Stop) {
        let Some(ended) = self.tell(username, event) else { return };
        tokio::select! {
            _ = ended => {}
            () = stop.requested() => {}
            () = tokio::time::sleep(WAIT_MAX) => {
                output::talk("warning: notify-command takes long; it is left to itself");
            }
        }
    }

    /// Tells of an event. What is returned ends with the command, and need not be waited for.
    pub(crate) fn tell(&self, username: &str, event: Event) -> Option<oneshot::Receiver<()>> {
        let mut command = command(self.0.as_deref()?, username, &event);
        let (end, ended) = oneshot::channel();
        std::thread::spawn(move || {
            match command.status() {
                Ok(status) if status.success() => {}
                Ok(status) => output::talk(&format!("warning: notify-command ended with {status}")),
                Err(error) => output::talk(&format!("warning: cannot run notify-command: {error}")),
            }
            // Nobody may be waiting any more.
            let _ = end.send(());
        });
        Some(ended)
    }
}

fn command(line: &str, username: &str, event: &Event) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line]).stdin(Stdio::null()).process_group(0);
    // Standard output is for data, and this is none of ours.
    command.stdout(std::io::stderr());
    command.env_remove(settings::PASSWORD.variable()).env(settings::USERNAME.variable(), username);
    for name in ["ROLLBOOK_EXIT", "ROLLBOOK_EXIT_BEFORE", "ROLLBOOK_MESSAGE"] {
        command.env_remove(name);
    }
    let said = match event {
        Event::RunEnded { exit, before, said } => {
            command.env("ROLLBOOK_EVENT", "run-ended").env("ROLLBOOK_EXIT", exit.code().to_string());
            if let Some(before) = before {
                command.env("ROLLBOOK_EXIT_BEFORE", before.to_string());
            }
            said
        }
        Event::PersonNeeded { said } => {
            command.env("ROLLBOOK_EVENT", "person-needed");
            said
        }
    };
    // A message may hold a stranger's words: no control character of theirs gets into a mail.
    command.env("ROLLBOOK_MESSAGE", output::sanitize(said).as_ref());
    command
}
