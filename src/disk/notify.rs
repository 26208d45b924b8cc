//! The service manager: one line of state on a datagram socket, as `sd_notify(3)` describes it.
//!
//! No library is needed for that. Where nobody listens nothing is said, and a manager that cannot
//! be reached never disturbs a run.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Whoever started us and wants to hear how it goes.
#[derive(Debug)]
pub struct ServiceManager(Option<(UnixDatagram, SocketAddr)>);

impl ServiceManager {
    /// The manager behind the value of `NOTIFY_SOCKET`: a path, or an abstract name after an `@`.
    ///
    /// An address that cannot be used is as good as none.
    #[must_use]
    pub fn at(address: Option<&OsStr>) -> Self {
        Self(address.and_then(|address| open(address).ok()))
    }

    /// Tells the manager. It may be gone by now: that is its business.
    pub fn tell(&self, state: &str) {
        if let Some((socket, address)) = &self.0 {
            let _ = socket.send_to_addr(state.as_bytes(), address);
        }
    }
}

fn open(address: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let socket = UnixDatagram::unbound()?;
    // A manager that does not read must not hold us up.
    socket.set_nonblocking(true)?;
    Ok((socket, name(address.as_bytes())?))
}

fn name(address: &[u8]) -> io::Result<SocketAddr> {
    match address.split_first() {
        #[cfg(target_os = "linux")]
        Some((b'@', abstract_name)) => {
            <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(abstract_name)
        }
        Some((b'/', _)) => SocketAddr::from_pathname(OsStr::from_bytes(address)),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_arrives_and_nobody_is_missed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        ServiceManager::at(Some(path.as_os_str())).tell("READY=1");
        let mut heard = [0; 64];
        let length = manager.recv(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"READY=1");
        drop(manager);
        ServiceManager::at(Some(path.as_os_str())).tell("READY=1");
        ServiceManager::at(Some(OsStr::new("vsock:2:1"))).tell("READY=1");
        ServiceManager::at(None).tell("READY=1");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_abstract_name_is_reached_too() {
        let abstract_name = format!("rollbook-test-{}", std::process::id());
        let address =
            <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(&abstract_name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        ServiceManager::at(Some(OsStr::new(&format!("@{abstract_name}")))).tell("STOPPING=1");
        let mut heard = [0; 64];
        let length = manager.recv(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"STOPPING=1");
    }
}
