//! What every command that talks to Apple opens first: data directory, lock, journal, session.
//!
//! The lock comes first. Two processes with one session would make it worthless to both, so a
//! command that only lists takes it too.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::code::{Codes, Sources};
use crate::cli::commands::now;
use crate::cli::config::Config;
use crate::cli::person::AtTerminal;
use crate::cli::problem::Problem;
use crate::cli::{explain, output, person, standing};
use crate::disk::{DataDir, RunLock, SessionFile, space};
use crate::engine::Stop;
use crate::icloud::{Client, CodeEntry, Credentials, Options, SessionStore, SignInError};
use crate::journal::Journal;

/// How long to ask nothing when Apple asks to wait and does not say how long.
const WAIT_DEFAULT: Duration = Duration::from_secs(15 * 60);

/// An account that is signed in, and the journal of its files.
pub(super) struct Open {
    pub(super) journal: Arc<Journal>,
    pub(super) client: Client,
    // Last, so that it is given back after the journal has closed.
    _lock: RunLock,
}

/// How a command signs in.
#[derive(Debug, Default)]
pub(super) struct Manner {
    /// What the command line brings to the second factor.
    pub(super) entry: Option<CodeEntry>,
    /// How long to wait for a code when there is no terminal; `None` for not at all.
    pub(super) wait_max: Option<Duration>,
    /// Whether signing in is what the person asked for.
    pub(super) deliberate: bool,
}

/// Opens everything, and signs in. Waits for nobody who is not there.
///
/// # Errors
/// As [`open_as`].
pub(super) async fn open(config: &Config, username: &str, stop: &Stop) -> Result<Open, Problem> {
    open_as(config, username, stop, Manner::default()).await
}

/// Opens everything, and signs in.
///
/// # Errors
/// A problem; of exit code 130 when someone asks to stop first.
pub(super) async fn open_as(
    config: &Config,
    username: &str,
    stop: &Stop,
    manner: Manner,
) -> Result<Open, Problem> {
    let data_dir = DataDir::create(&config.data_dir).map_err(explain::data_dir)?;
    let lock = data_dir.lock().map_err(explain::data_dir)?;
    if let Some(kind) = space::network_file_system(data_dir.path()) {
        output::talk(&format!(
            "warning: the data directory lies on a network file system ({kind}), where a journal can break: set \
             --data-dir to a folder on a local disk"
        ));
    }
    let journal = Arc::new(Journal::open(&data_dir.journal().map_err(explain::data_dir)?)?);
    let signing_in = sign_in(config, username, (&data_dir, &journal), manner, stop);
    let client = tokio::select! {
        client = signing_in => client?,
        () = stop.requested() => return Err(explain::interrupted()),
    };
    Ok(Open { journal, client, _lock: lock })
}

async fn sign_in(
    config: &Config,
    username: &str,
    (data_dir, journal): (&DataDir, &Journal),
    manner: Manner,
    stop: &Stop,
) -> Result<Client, Problem> {
    if let Some(at) = journal.reader().next_allowed_at(username)?
        && at > now()
    {
        return Err(explain::wait_until(at));
    }
    let sources =
        Sources { in_hand: manner.entry, wait_max: manner.wait_max, attended: person::is_attended() };
    let codes = Codes::new(sources, data_dir.desk(username), stop.clone());
    let credentials = Credentials {
        username: username.to_owned(),
        store: Box::new(Store(data_dir.session(username))),
        person: Arc::new(AtTerminal::new(username, config.password.clone(), codes)),
        deliberate: manner.deliberate,
    };
    let options = Options::of(&config.endpoints);
    let signed_in = Client::sign_in(config.endpoints.clone(), credentials, options).await;
    if let Err(SignInError::Throttled { retry_after }) = &signed_in {
        // Kept in the journal: an hourly job must not make the wait longer with each run.
        let until = now().saturating_add_unsigned(retry_after.unwrap_or(WAIT_DEFAULT).as_secs());
        journal.wait_until(username, until, now()).await?;
        return Err(explain::wait_until(until));
    }
    let client = signed_in?;
    if let Some(warning) = standing::warning(&client.standing(), now()) {
        output::talk(&warning);
    }
    Ok(client)
}

/// Keeps the session in its file.
struct Store(SessionFile);

impl SessionStore for Store {
    fn load(&self) -> io::Result<Option<Vec<u8>>> {
        self.0.load()
    }

    fn save(&self, bytes: &[u8]) -> io::Result<()> {
        self.0.save(bytes)
    }
}
