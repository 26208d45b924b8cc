//! Which file systems lie on another machine. The journal must not: its readers and its writer share
//! memory beside the file (WAL), and memory is not shared over a network; locks there may lie as well.

use std::path::Path;

use crate::fault;

/// Numbers of `linux/magic.h` and of the projects themselves, and how people call what has them.
const NETWORKED: [(u32, &str); 16] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x564c, "NCP"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x786f_4256, "a shared folder of VirtualBox"),
];
/// File systems that a program of some user serves: the mount says which.
const FUSE: u32 = 0x6573_5546;
/// Those of them that lie on this machine. All others are taken for networked: sshfs, rclone, s3fs.
const LOCAL_FUSE: [&str; 10] = [
    "fuseblk",
    "fuse.bindfs",
    "fuse.cryfs",
    "fuse.encfs",
    "fuse.exfat",
    "fuse.ext4",
    "fuse.fuse-overlayfs",
    "fuse.gocryptfs",
    "fuse.mergerfs",
    "fuse.ntfs-3g",
];

/// The name of the network file system that holds `path`, if it is one.
#[must_use]
pub fn file_system(path: &Path) -> Option<String> {
    let magic = fault::file_system(magic(path)?);
    if magic == FUSE {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        return networked_fuse(&mounts, &path);
    }
    NETWORKED.iter().find(|(of, _)| *of == magic).map(|(_, name)| (*name).to_owned())
}

#[cfg(target_os = "linux")]
fn magic(path: &Path) -> Option<u32> {
    rustix::fs::statfs(path).ok().map(|found| found.f_type as u32)
}

#[cfg(not(target_os = "linux"))]
fn magic(_: &Path) -> Option<u32> {
    None
}

/// What serves `path`, by the table of mounts, unless it is local.
fn networked_fuse(mounts: &str, path: &Path) -> Option<String> {
    // `36 35 98:0 /root /mount/point options - type source super-options`; a later line covers an
    // earlier one, and a longer mount point a shorter.
    let mount = |line: &str| {
        let (place, kind) = line.split_once(" - ")?;
        let point = place.split(' ').nth(4)?.replace("\\040", " ");
        let kind = kind.split(' ').next()?.to_owned();
        path.starts_with(&point).then_some((point.len(), kind))
    };
    let kind = mounts.lines().filter_map(mount).max_by_key(|(len, _)| *len).map(|(_, kind)| kind);
    match kind {
        Some(kind) if LOCAL_FUSE.contains(&kind.as_str()) => None,
        Some(kind) => Some(kind.strip_prefix("fuse.").unwrap_or("FUSE").to_owned()),
        None => Some("FUSE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_serves_a_mount_is_known_by_name_and_local_ones_are_no_network() {
        let mounts = "\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
40 22 0:50 / /mnt/far\\040away rw - fuse.sshfs user@host:/ rw
41 22 0:51 / /mnt/pool rw shared:7 - fuse.mergerfs a:b rw
42 22 8:2 / /mnt/usb rw - fuseblk /dev/sdb1 rw
43 22 0:52 / /mnt/other rw - fuse none rw";
        let of = |path: &str| networked_fuse(mounts, Path::new(path));
        assert_eq!(of("/mnt/far away/data").as_deref(), Some("sshfs"));
        assert_eq!(of("/mnt/other/x").as_deref(), Some("FUSE"));
        assert_eq!(of("/mnt/pool/x"), None);
        assert_eq!(of("/mnt/usb"), None);
    }

    #[test]
    fn a_local_folder_is_no_network() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(file_system(folder.path()), None);
    }
}
