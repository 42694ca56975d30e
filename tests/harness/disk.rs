//! Disks that can lose power, and small ones that get full.
//!
//! An ext4 file system in a file, mounted through a loop device. A power cut is the file system's
//! own shutdown call without a flush of its journal: whatever was not synced is gone after the
//! next mount, which a SIGKILL alone does not do, because the page cache survives it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system that can be cut off.
pub struct LoopDisk {
    image: PathBuf,
    mount: PathBuf,
    device: Option<String>,
}

/// A file that takes all that is left of a disk, to the last byte, until it is dropped.
pub struct Filler {
    path: PathBuf,
}

/// Whether this process may mount file systems.
pub fn can_mount() -> bool {
    rustix::process::geteuid().is_root() && Path::new("/dev/loop-control").exists()
}

/// Cuts the power of several disks at once: nothing that was not synced before is there afterwards.
/// Whoever has files open there gets errors from now on, and must be ended before
/// [`restore`](LoopDisk::restore).
pub fn cut_power(disks: &[&LoopDisk]) {
    // EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH.
    let script = r#"
        use Fcntl;
        my $flags = pack("I", 2);
        my @roots = map { sysopen(my $root, $_, O_RDONLY) or die "open: $!"; $root } @ARGV;
        ioctl($_, 0x8004587d, $flags) or die "ioctl: $!" for @roots;
    "#;
    let mounts = disks.iter().map(|disk| &disk.mount);
    run(Command::new("perl").args(["-e", script]).args(mounts));
}

// === impl LoopDisk ===

impl LoopDisk {
    /// Makes a file system of that many MiB in the file `image` and mounts it at `mount`.
    pub fn new(image: PathBuf, mount: PathBuf, mebibytes: u64) -> Self {
        std::fs::create_dir_all(&mount).unwrap();
        let file = std::fs::File::create(&image).unwrap();
        file.set_len(mebibytes << 20).unwrap();
        run(Command::new("mkfs.ext4")
            .args(["-q", "-F", "-E", "lazy_itable_init=1"])
            .arg(&image));
        let mut disk = Self {
            image,
            mount,
            device: None,
        };
        disk.mount();
        disk
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    fn mount(&mut self) {
        let output = Command::new("losetup")
            .args(["--find", "--show"])
            .arg(&self.image)
            .output()
            .unwrap();
        assert!(output.status.success(), "losetup: {output:?}");
        let device = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        // A long commit interval, so that the journal does not write out by itself what was
        // never synced.
        run(Command::new("mount")
            .args(["-t", "ext4", "-o", "commit=600"])
            .arg(&device)
            .arg(&self.mount));
        self.device = Some(device);
    }

    /// Mounts it again after a cut.
    pub fn restore(&mut self) {
        self.unmount();
        self.mount();
    }

    /// Unmounts it; does nothing if it is not mounted.
    pub fn unmount(&mut self) {
        if let Some(device) = self.device.take() {
            run(Command::new("umount").arg(&self.mount));
            run(Command::new("losetup").arg("--detach").arg(device));
        }
    }
}

// === impl Filler ===

impl Filler {
    /// Fills the disk on which `folder` lies.
    pub fn new(folder: &Path) -> Self {
        let path = folder.join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        let mut piece = vec![0; 1 << 20];
        // Smaller and smaller pieces find the last gaps.
        while !piece.is_empty() {
            if file.write_all(&piece).is_err() {
                piece.truncate(piece.len() / 2);
            }
        }
        Self { path }
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).unwrap();
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.unmount();
        } else if let Some(device) = self.device.take() {
            // Clean as far as it goes; the test has failed already.
            drop(Command::new("umount").arg("-l").arg(&self.mount).status());
            drop(Command::new("losetup").arg("--detach").arg(device).status());
        }
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
}
