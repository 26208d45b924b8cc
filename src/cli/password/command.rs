//! A password that a command prints: `pass show icloud`, `secret-tool lookup …`, `op read …`.
//!
//! The command may talk to a person: its standard input and standard error are ours. What it prints
//! goes nowhere but into the sign-in, and the command itself into no message.

use std::io::{self, Read as _};
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

use crate::cli::exit::Exit;
use crate::cli::password::first_line;
use crate::cli::problem::Problem;
use crate::cli::settings;
use crate::disk::secret_file::SECRET_BYTES_MAX;
use crate::model::secret::Secret;

/// Runs `command` in a shell, and takes the first line it prints. Blocks until it ends.
///
/// The account stands in its environment, so one command can serve several.
///
/// # Errors
/// A problem when it cannot be started, fails, or prints no password.
pub(super) fn run(command: &str, username: &str) -> Result<Secret, Problem> {
    let problem = || Problem::new(Exit::Usage, "cannot take the password from password-command");
    let failed = |error: io::Error| problem().why(error).hint("see that \"sh\" is in PATH and can be run");
    let mut child = Command::new("sh")
        .args(["-c", command])
        .env(settings::USERNAME.variable(), username)
        .env_remove(settings::PASSWORD.variable())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    // Sized once: a buffer that grows leaves copies of the secret behind.
    let mut printed = Zeroizing::new(Vec::with_capacity(2 * SECRET_BYTES_MAX));
    if let Some(stdout) = child.stdout.take() {
        // Reading stops here, and a command that goes on writing gets a closed pipe.
        stdout.take(SECRET_BYTES_MAX as u64 + 1).read_to_end(&mut printed).map_err(failed)?;
    }
    let status = child.wait().map_err(failed)?;
    if printed.len() > SECRET_BYTES_MAX {
        let why = format!("it printed more than {SECRET_BYTES_MAX} bytes");
        return Err(problem().why(why).hint("let it print the password and nothing else"));
    }
    if !status.success() {
        return Err(problem()
            .why(format!("it ended with {status}"))
            .hint("run it in a shell and see what it says; what it wrote to standard error stands above"));
    }
    first_line(&printed).map_err(|_| {
        problem()
            .why("the first line it printed is empty, or is not text")
            .hint("let it print the password in the first line of standard output")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_counts_and_a_failure_is_told_without_the_command_or_its_output() {
        let password = run("printf '%s\\nmore\\n' \"for $ROLLBOOK_USERNAME\"", "a@b.c").unwrap();
        assert_eq!(password.expose(), "for a@b.c");
        for (command, why) in [
            ("echo hunter2; exit 3", "it ended with exit status: 3"),
            ("true # hunter2", "the first line it printed is empty, or is not text"),
            ("yes hunter2", "it printed more than 4096 bytes"),
        ] {
            let problem = run(command, "a@b.c").unwrap_err();
            assert_eq!((problem.exit, problem.why.as_deref()), (Exit::Usage, Some(why)));
            assert!(!problem.to_string().contains("hunter2"), "{problem}");
        }
    }
}
