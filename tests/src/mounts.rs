//! Disks that are too small, and folders that nobody may write to, not even root: mounts of this process' name space.

use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, mount_remount, unmount};

/// A mount; dropped, it is taken away.
pub struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        // A house that is still there must not keep the mount, nor a folder be left that cannot be removed.
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

/// Mounts an empty disk in memory on a folder.
///
/// # Panics
///
/// Where this user may not mount.
pub fn small_disk(folder: &Path, kib: u64) -> Mounted {
    let options = std::ffi::CString::new(format!("size={kib}k")).expect("no zero byte");
    mount("tmpfs", folder, "tmpfs", MountFlags::empty(), options.as_c_str())
        .unwrap_or_else(|error| panic!("this test mounts a disk of {kib} KiB, and so runs as root: {error}"));
    Mounted(folder.to_owned())
}

/// Mounts a folder over itself so that it can only be read.
///
/// # Panics
///
/// Where this user may not mount.
pub fn read_only(folder: &Path) -> Mounted {
    mount_bind(folder, folder)
        .unwrap_or_else(|error| panic!("this test mounts a folder, and so runs as root: {error}"));
    let mounted = Mounted(folder.to_owned());
    mount_remount(folder, MountFlags::BIND | MountFlags::RDONLY, "").expect("the mount becomes read-only");
    mounted
}
