//! Names of folders: which are durable, and where the others stand.
//!
//! A folder that was just made, by us or by one who crashed, may be gone after a power cut, with all that
//! is in it. So its name is synced once in a run, before a file in it is called verified or a part of one
//! is promised. That need not be when it is made: many new folders that stand in one are made durable by
//! one sync, and those of a group of files by few.

use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::io::Errno;

/// What is known of the folders of one destination, by full path.
#[derive(Debug, Default)]
pub(super) struct FolderNames(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    durable: HashSet<PathBuf>,
    /// Folders in which a name may not be durable yet. Open once, however many files wait for it: a
    /// process may hold only so many files open.
    parents: HashMap<PathBuf, Weak<OwnedFd>>,
}

/// A folder whose name was not durable when it was entered.
#[derive(Clone, Debug)]
pub(super) struct NewName {
    /// The folder itself.
    pub(super) path: PathBuf,
    /// What it stands in: to be synced.
    pub(super) parent: Arc<OwnedFd>,
}

impl FolderNames {
    /// The folder at `path`, which stands in the open `parent`, if its name may not be durable.
    pub(super) fn new_name(&self, parent: &OwnedFd, path: &Path) -> Result<Option<NewName>, Errno> {
        let mut known = self.known();
        if known.durable.contains(path) {
            return Ok(None);
        }
        let parent_path = path.parent().unwrap_or(path);
        let open = known.parents.get(parent_path).and_then(Weak::upgrade);
        let parent = match open {
            Some(open) => open,
            None => {
                let open = Arc::new(rustix::io::dup(parent)?);
                known.parents.insert(parent_path.to_owned(), Arc::downgrade(&open));
                open
            }
        };
        Ok(Some(NewName { path: path.to_owned(), parent }))
    }

    /// Whether it was synced meanwhile, for another file.
    pub(super) fn is_durable(&self, path: &Path) -> bool {
        self.known().durable.contains(path)
    }

    /// What these folders stand in is synced.
    pub(super) fn became_durable<'a>(&self, names: impl IntoIterator<Item = &'a NewName>) {
        let mut known = self.known();
        for name in names {
            if !known.durable.contains(&name.path) {
                known.durable.insert(name.path.clone());
            }
        }
    }

    /// The folder is gone, or another one has the name: what was known of it is worth nothing.
    pub(super) fn forget(&self, path: &Path) {
        let mut known = self.known();
        known.durable.remove(path);
        known.parents.remove(path);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
