//! A part file that stands under an earlier name of its file.
//!
//! When a stranger's file takes the name while ours is fetched, the row gets another path first and
//! its part file follows. A crash between the two leaves the part where it was, and it would stay
//! there for ever. The tag in its name tells whose it is.

use rustix::fs::{AtFlags, Dir};

use crate::disk::error::Error;
use crate::disk::publish::rename_new;
use crate::disk::tree::Folder;
use crate::fault;

impl Folder {
    /// Gives the part file of this file its present name, or removes it if there is one of that name
    /// already. Reads the whole folder: for repairs only.
    ///
    /// # Errors
    /// The system's word.
    pub fn gather_part(&self) -> Result<(), Error> {
        let (mine, suffix) = (self.part_name(), self.part_suffix());
        let reading = |e| Error::io("read folder", self.path(), e);
        for entry in Dir::read_from(&self.handle).map_err(reading)? {
            let entry = entry.map_err(reading)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            // Told by another spelling, it is our own all the same.
            if name != mine && name.ends_with(&suffix) && !self.is_mine(name) {
                self.take_in(name)?;
            }
        }
        Ok(())
    }

    /// Whether a name means the part file that has its present name already.
    fn is_mine(&self, name: &str) -> bool {
        let number = |name: &str| {
            let stat = rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
            (stat.st_nlink == 1).then_some(stat.st_ino)
        };
        number(name).is_some_and(|of| Some(of) == number(&self.part_name()))
    }

    fn take_in(&self, stray: &str) -> Result<(), Error> {
        let path = self.path().join(stray);
        fault::rename(&path, &self.part_name()).map_err(|e| Error::io("rename part file", &path, e))?;
        match rename_new(&self.handle, stray, &self.part_name()) {
            Ok(true) => Ok(()),
            Ok(false) => rustix::fs::unlinkat(&self.handle, stray, AtFlags::empty())
                .map_err(|e| Error::io("remove part file", &path, e)),
            Err(e) => Err(Error::io("rename part file", &path, e)),
        }
    }
}
