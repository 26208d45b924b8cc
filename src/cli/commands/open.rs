//! What every command that talks to Apple opens first: data directory, lock, journal, session.
//!
//! The lock comes first. Two processes with one session would make it worthless to both, so a
//! command that only lists takes it too.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::cli::account::Account;
use crate::cli::clock::now;
use crate::cli::code::{Call, Codes, Sources};
use crate::cli::config::Config;
use crate::cli::exit::Exit;
use crate::cli::notify::Notifier;
use crate::cli::password::Passwords;
use crate::cli::person::AtTerminal;
use crate::cli::problem::Problem;
use crate::cli::{explain, output, person, standing};
use crate::disk::{DataDir, Destination, PrivateFile, RunLock, network};
use crate::engine::{self, Bench, Settings, Stop};
use crate::icloud::{Client, CodeEntry, Credentials, Need, Options, SessionStore, SignInError};
use crate::journal::{Journal, Trouble};

/// How long to ask nothing when Apple asks to wait and does not say how long.
const WAIT_DEFAULT: Duration = Duration::from_secs(15 * 60);

/// What all accounts share: one journal, one lock, one place for sessions.
pub(super) struct House {
    pub(super) journal: Arc<Journal>,
    pub(super) data_dir: DataDir,
    /// Held while a snapshot is made: the accounts of a watch end their runs when they like.
    snapshot: Arc<Mutex<()>>,
    /// Who hears how a run ended, and that a person is waited for.
    pub(super) notifier: Notifier,
    /// Whether several accounts are configured, so that each needs a code file of its own.
    several: bool,
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

/// Opens what all accounts share.
///
/// # Errors
/// A problem of the data directory or the journal, or of another run that is at work.
pub(super) fn house(config: &Config) -> Result<House, Problem> {
    let data_dir = DataDir::create(&config.data_dir).map_err(explain::data_dir)?;
    let lock = data_dir.lock().map_err(explain::data_dir)?;
    warn_of_network(&data_dir);
    let snapshots = data_dir.snapshots();
    if snapshots.journal_is_gone().map_err(explain::data_dir)?
        && !snapshots.list().map_err(explain::data_dir)?.is_empty()
    {
        return Err(explain::journal_gone(&snapshots));
    }
    let journal = Arc::new(Journal::open(&data_dir.journal().map_err(explain::data_dir)?)?);
    let several = config.accounts().is_ok_and(|accounts| accounts.len() > 1);
    let notifier = config.notifier.clone();
    Ok(House { journal, data_dir, snapshot: Arc::default(), notifier, several, _lock: lock })
}

/// A journal that another machine stores breaks sooner or later. Not refused: some have no other disk.
pub(super) fn warn_of_network(data_dir: &DataDir) {
    if let Some(kind) = network::file_system(data_dir.path()) {
        output::talk(&format!(
            "warning: the data directory lies on a network file system ({kind}): the journal shares memory between \
             its readers and its writer, which a network cannot, and may break; set --data-dir to a folder on a \
             local disk (photos may lie where they like): {}",
            output::sanitize(&data_dir.path().to_string_lossy())
        ));
    }
}

/// Leaves a snapshot of the journal, if anything happened since the last one.
///
/// # Errors
/// A problem if the journal is damaged. A snapshot that cannot be made is worth a warning only.
pub(super) async fn keep_snapshot(house: &House) -> Result<(), Problem> {
    let snapshots = house.data_dir.snapshots();
    let one_at_a_time = Arc::clone(&house.snapshot);
    let keep = move || {
        let _held = one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        engine::keep_snapshot(&snapshots)
    };
    let kept = tokio::task::spawn_blocking(keep).await;
    match kept {
        Ok(Err(engine::Error::Journal(error))) if error.trouble() == Trouble::Damage => Err(error.into()),
        Ok(Err(error)) => {
            output::talk(&format!(
                "warning: no snapshot of the journal was made: {}",
                output::sanitize(&error.to_string())
            ));
            Ok(())
        }
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

/// Opens an account's destination, and then signs it in.
///
/// # Errors
/// A problem; nobody is asked for anything where nothing can be written.
pub(super) async fn destination_and_client(
    house: &House,
    account: &Account,
    settings: &Settings,
    manner: Manner,
    stop: &Stop,
) -> Result<(Destination, Client), Problem> {
    let destination = engine::open_destination(&house.journal, settings).await?;
    settings.album_views.as_ref().map_or(Ok(()), |views| views.check(&destination))?;
    let client = sign_in(house, account, account.passwords()?, manner, stop).await?;
    Ok((destination, client))
}

/// Refuses a command that only looks at what is here, where nothing was ever brought here.
///
/// # Errors
/// A problem that says so.
pub(super) fn journal_is_there(config: &Config) -> Result<std::path::PathBuf, Problem> {
    let path = DataDir::at(&config.data_dir).journal_path();
    if path.try_exists().map_err(|error| explain::system("cannot look for the journal", &error))? {
        return Ok(path);
    }
    Err(Problem::new(Exit::Usage, "cannot look at what is here before the first sync")
        .why(format!("there is no journal yet: {}", path.display()))
        .hint("run \"rollbook sync\", or set --data-dir to where the journal is"))
}

/// Opens what a command needs that looks at the files of an account.
///
/// # Errors
/// A problem; of a destination that is not there, above all.
pub(super) async fn bench(house: &House, settings: &Settings, stop: Stop) -> Result<Bench, Problem> {
    let username = settings.username.clone();
    let reader = house.journal.reader();
    let known = reader.known_account(&username)?;
    let has_files = reader.destination(&username)?.is_some();
    let Some((account, _)) = known.filter(|_| has_files) else {
        return Err(Problem::new(Exit::Usage, "cannot look at what is here before the first sync")
            .why(format!("the journal knows no files of {username}"))
            .hint("run \"rollbook sync\", or set --username to the account of this journal"));
    };
    let journal = Arc::clone(&house.journal);
    let destination = engine::open_destination(&journal, settings).await?;
    Ok(Bench { account, username, journal, destination, stop })
}

/// Signs an account in.
///
/// # Errors
/// A problem; of exit code 130 when someone asks to stop first.
pub(super) async fn sign_in(
    house: &House,
    account: &Account,
    passwords: &Passwords,
    manner: Manner,
    stop: &Stop,
) -> Result<Client, Problem> {
    tokio::select! {
        client = ask_apple(house, account, passwords, manner, stop) => client,
        () = stop.requested() => Err(explain::interrupted()),
    }
}

async fn ask_apple(
    house: &House,
    account: &Account,
    passwords: &Passwords,
    manner: Manner,
    stop: &Stop,
) -> Result<Client, Problem> {
    let (journal, username) = (&house.journal, account.username()?);
    if let Some(at) = journal.reader().next_allowed_at(username, now())?
        && at > now()
    {
        return Err(explain::wait_until(at));
    }
    let by_message = matches!(manner.entry, Some(CodeEntry::Sms(_)));
    let sources =
        Sources { in_hand: manner.entry, wait_max: manner.wait_max, attended: person::is_attended() };
    let desk = house.data_dir.desk(username);
    let desk = if house.several { desk.among_several() } else { desk };
    let call = Call { notifier: house.notifier.clone(), username: username.to_owned() };
    let codes = Codes::new(sources, desk, stop.clone()).calling(call);
    let credentials = Credentials {
        username: username.to_owned(),
        store: Box::new(Store(house.data_dir.session(username))),
        person: Arc::new(AtTerminal::new(passwords.clone(), codes, journal.reader().clone())),
        deliberate: manner.deliberate,
    };
    let options = Options::of(&account.endpoints);
    let signed_in = Client::sign_in(account.endpoints.clone(), credentials, options).await;
    if let Err(SignInError::Throttled { retry_after }) = &signed_in {
        // Kept in the journal: an hourly job must not make the wait longer with each run.
        let until = now().saturating_add_unsigned(retry_after.unwrap_or(WAIT_DEFAULT).as_secs());
        journal.wait_until(username, until, now()).await?;
        // Sign-ins are counted by address as well: no other account tries its password meanwhile.
        journal.put_off_sign_ins(until).await?;
        return Err(explain::wait_until(until));
    }
    let client = signed_in.map_err(|error| match error {
        SignInError::WrongPassword => Problem::from(error).hint(passwords.correction()),
        SignInError::NeedsPerson(Need::Code) if by_message => explain::message_sent(),
        error => error.into(),
    })?;
    if let Some(warning) = standing::warning(&client.standing(), now()) {
        output::talk(&warning);
    }
    Ok(client)
}

/// Keeps the session in its file.
struct Store(PrivateFile);

impl SessionStore for Store {
    fn load(&self) -> io::Result<Option<Vec<u8>>> {
        self.0.load().map_err(|error| self.named(&error))
    }

    fn save(&self, bytes: &[u8]) -> io::Result<()> {
        self.0.save(bytes).map_err(|error| self.named(&error))
    }
}

impl Store {
    fn named(&self, error: &io::Error) -> io::Error {
        let path = output::sanitize(&self.0.path().to_string_lossy()).into_owned();
        io::Error::new(error.kind(), format!("{path}: {error}"))
    }
}
