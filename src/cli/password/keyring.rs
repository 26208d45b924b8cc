//! The keyring of the system, by the Secret Service interface (GNOME Keyring, KWallet, KeePassXC).
//!
//! Spoken over the session bus in pure Rust: no D-Bus headers to build it, and where there is no
//! bus or nobody answers on it, there is no keyring. A locked keyring is never unlocked from here:
//! that opens a window, and waits for somebody to look at it.

use std::collections::HashMap;

use secret_service::EncryptionType;
use secret_service::blocking::SecretService;
use zeroize::Zeroizing;

use crate::model::secret::Secret;

/// What the keyring calls an entry of ours, where a person looks through it.
const LABEL: &str = "rollbook: password of";

/// The password of an account; `None` if the keyring has none, or there is no keyring.
///
/// # Errors
/// When there is one, and the keyring is locked or gives something else.
pub(super) fn load(username: &str) -> Result<Option<Secret>, String> {
    let found = with_service(|service| {
        let found = service.search_items(attributes(username))?;
        let Some(item) = found.unlocked.first() else { return Ok(Err(!found.locked.is_empty())) };
        item.get_secret().map(Zeroizing::new).map(Ok)
    });
    match found {
        None | Some(Err(false)) => Ok(None),
        Some(Err(true)) => Err("the keyring is locked".to_owned()),
        Some(Ok(bytes)) => match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(Some(Secret::new(text))),
            Err(_) => Err("the keyring gives something that is no text".to_owned()),
        },
    }
}

/// Keeps a password in place of the one before. `false`: there is no keyring, or it is locked.
pub(super) fn save(username: &str, password: &Secret) -> bool {
    let kept = with_service(|service| {
        let collection = service.get_default_collection()?;
        collection.ensure_unlocked()?;
        let label = format!("{LABEL} {username}");
        let text = password.expose().as_bytes();
        collection.create_item(&label, attributes(username), text, true, "text/plain").map(|_| ())
    });
    kept.is_some()
}

/// Removes the password of an account. `false`: there was none to remove.
pub(super) fn forget(username: &str) -> bool {
    let removed = with_service(|service| {
        let found = service.search_items(attributes(username))?;
        let all = found.unlocked.iter().chain(&found.locked);
        all.map(|item| item.delete()).collect::<Result<Vec<()>, _>>().map(|all| !all.is_empty())
    });
    removed.unwrap_or(false)
}

fn attributes(username: &str) -> HashMap<&str, &str> {
    HashMap::from([("application", "rollbook"), ("username", username)])
}

/// Talks to the keyring; `None` when there is none, or it refuses.
///
/// On a thread of its own: the bus brings its own runtime, which must not start within another.
fn with_service<T: Send>(
    talk: impl FnOnce(&SecretService<'_>) -> Result<T, secret_service::Error> + Send,
) -> Option<T> {
    let talk = || {
        // What goes over the bus is encrypted too: others may listen to a bus.
        let service = SecretService::connect(EncryptionType::Dh)?;
        talk(&service)
    };
    let done = std::thread::scope(|scope| scope.spawn(talk).join());
    match done {
        Ok(Ok(value)) => Some(value),
        Ok(Err(error)) => {
            tracing::debug!("no help from the keyring: {error}");
            None
        }
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
