//! Disks that can lose power, small ones that get full, and ones whose syncs fail.
//!
//! An ext4 file system in a file, mounted through a loop device. A power cut is the file system's
//! own shutdown call without a flush of its journal: whatever was not synced is gone after the
//! next mount, which a SIGKILL alone does not do, because the page cache survives it.
//!
//! A sync fails where a file system believes to have room, and what it lies on has none: its image
//! has holes where it is free ([`thin`](LoopDisk::thin)), and lies in a [`Backing`] that is full.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FallocateFlags, fallocate};

/// A file system that can be cut off.
pub struct LoopDisk {
    image: PathBuf,
    mount: PathBuf,
    device: Option<String>,
}

/// A folder in memory with little room, for the images of disks. To be dropped after them.
pub struct Backing {
    folder: PathBuf,
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
        Self::make(image, mount, mebibytes, &[])
    }

    /// The same with blocks of a page each. A loop device takes a write that its backing cut short
    /// for a whole one, and reports no error; so [`thin`](Self::thin) must leave no part of a page.
    pub fn of_pages(image: PathBuf, mount: PathBuf, mebibytes: u64) -> Self {
        Self::make(image, mount, mebibytes, &["-b", "4096"])
    }

    fn make(image: PathBuf, mount: PathBuf, mebibytes: u64, options: &[&str]) -> Self {
        std::fs::create_dir_all(&mount).unwrap();
        let file = std::fs::File::create(&image).unwrap();
        file.set_len(mebibytes << 20).unwrap();
        run(Command::new("mkfs.ext4")
            .args(["-q", "-F", "-E", "lazy_itable_init=1"])
            .args(options)
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

    /// Has what backs the disk keep nothing for the blocks that are free now: a write to one of
    /// them finds room there only when it happens. All others, the journal and the tables among
    /// them, can be written whatever happens.
    pub fn thin(&mut self) {
        self.unmount();
        let image = std::fs::OpenOptions::new().write(true).open(&self.image);
        let image = image.unwrap();
        let length = image.metadata().unwrap().len();
        fallocate(&image, FallocateFlags::empty(), 0, length).unwrap();
        for (start, length) in self.free() {
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(&image, hole, start, length).unwrap();
        }
        self.mount();
    }

    /// Where it is free, and how far, in bytes.
    fn free(&self) -> Vec<(u64, u64)> {
        let output = Command::new("dumpe2fs").arg(&self.image).output().unwrap();
        assert!(output.status.success(), "dumpe2fs: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let size = text.lines().find_map(|l| l.strip_prefix("Block size:"));
        let size: u64 = size.unwrap().trim().parse().unwrap();
        // Those of a group are indented; one line before says how many there are in all.
        let lists = text
            .lines()
            .filter_map(|l| l.strip_prefix("  Free blocks: "));
        let ranges = lists.flat_map(|list| list.split(", ").filter(|range| !range.is_empty()));
        let bytes = ranges.map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (u64, u64) = (first.parse().unwrap(), last.parse().unwrap());
            (first * size, (last + 1 - first) * size)
        });
        bytes.collect()
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

// === impl Backing ===

impl Backing {
    /// Makes one of that many MiB at `folder`.
    pub fn new(folder: PathBuf, mebibytes: u64) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        let size = format!("size={mebibytes}m");
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "none"])
            .arg(&folder));
        Self { folder }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Leaves no room for anything, until the filler is dropped.
    pub fn fill(&self) -> Filler {
        Filler::new(&self.folder)
    }
}

impl Drop for Backing {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Clean as far as it goes; the test has failed already.
            drop(Command::new("umount").arg("-l").arg(&self.folder).status());
        } else {
            run(Command::new("umount").arg(&self.folder));
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
