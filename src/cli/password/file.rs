//! A password in a file of the person's own.

use std::path::Path;

use crate::cli::exit::Exit;
use crate::cli::password::{first_line, quoted};
use crate::cli::problem::Problem;
use crate::disk::secret_file::{self, SecretFileError};
use crate::model::secret::Secret;

/// Reads the first line of the file at `path`.
///
/// # Errors
/// A problem when it cannot be read, when others could read it, or when it holds no password.
pub(super) fn read(path: &Path) -> Result<Secret, Problem> {
    let problem =
        || Problem::new(Exit::Usage, format!("cannot take the password from the file {}", path.display()));
    let bytes = secret_file::read(path).map_err(|error| explain(problem(), path, &error))?;
    first_line(&bytes).map_err(|why| problem().why(why).hint("write the password into its first line"))
}

/// Says why a secret cannot be taken from its file.
pub(super) fn explain(problem: Problem, path: &Path, error: &SecretFileError) -> Problem {
    let hint = match error {
        SecretFileError::Exposed { .. } => format!("run: chmod 600 {}", quoted(path)),
        SecretFileError::TooLong => "name a file that holds the secret and nothing else".to_owned(),
        SecretFileError::Io(_) => "name a file that is there and that this user can read".to_owned(),
    };
    problem.why(error).hint(hint)
}
