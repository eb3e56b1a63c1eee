//! The store on a real file system that is full or read-only: what was kept stays, what is asked later is kept. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test stops at the first thing that is not as it should be"
)]

#[path = "fixture/namespace.rs"]
mod namespace;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dlan_agent::store::durable;
use dlan_agent::store::history::ApplyOutcome;
use dlan_agent::store::recovery::{self, Attempt};
use dlan_agent::store::snapshot::{FileContent, FileSnapshot};
use dlan_agent::window::Window;
use namespace::is_inside;

/// What a page of the file system holds, in octets.
const PAGE: usize = 4096;
/// How many pages the file system has.
const PAGES: usize = 16;

/// Runs a test's body with a small file system of its own: the test program again, for this test only, in a mount namespace.
fn on_a_small_disk(test: &str, body: impl FnOnce(&Path)) {
    if !is_inside(test, &["--mount"]) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    mount(&["-t", "tmpfs", "-o", &format!("size={}", PAGE * PAGES), "none"], root.path());
    body(root.path());
}

fn mount(arguments: &[&str], at: &Path) {
    let status = Command::new("mount").args(arguments).arg(at).status().unwrap();
    assert!(status.success(), "mount {arguments:?}");
}

/// A router's disk with something kept on it.
struct Disk {
    root: PathBuf,
}

impl Disk {
    fn kept(root: &Path) -> Self {
        let disk = Self { root: root.to_owned() };
        fs::write(disk.path("config"), "before").unwrap();
        durable::write(&disk.path("last-good"), "before").unwrap();
        disk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Leaves so many pages free.
    fn fill(&self, free: usize) {
        let mut pages = PAGES;
        while fs::write(self.path("filler"), vec![0; pages * PAGE]).is_err() {
            pages -= 1;
        }
        fs::write(self.path("filler"), vec![0; pages.saturating_sub(free) * PAGE]).unwrap();
    }

    /// Does what an apply in a window does to the disk, up to the first thing that fails; returns whether all went well.
    fn apply(&self) -> bool {
        let before = FileSnapshot::take(&self.path("config")).unwrap();
        let content = Some(FileContent { text: "after".to_owned(), mode: 0o600, owner: None });
        let after = FileSnapshot { path: before.path.clone(), content };
        let window = Window {
            token: "abcd-efgh".to_owned(),
            by: "root".to_owned(),
            time: 7,
            tried: "after".to_owned(),
            confirmed: vec![before],
        };
        recovery::write(&self.path("window"), &window).is_ok()
            && after.put().is_ok()
            && durable::write(&self.path("last-good"), "after").is_ok()
            && durable::remove(&self.path("window")).is_ok()
    }

    /// Starts as an agent does behind a crash, until the disk lets it; returns the configuration.
    fn recover(&self) -> Result<String, durable::StoreError> {
        recovery::recover(&self.path("window"), &self.path("history"))?;
        Ok(fs::read_to_string(self.path("config")).unwrap())
    }
}

#[test]
fn a_full_disk_loses_nothing_whatever_room_is_left() {
    on_a_small_disk("a_full_disk_loses_nothing_whatever_room_is_left", |root| {
        let mut outcomes = Vec::new();
        for free in 0..PAGES - 2 {
            let disk = Disk::kept(root);
            disk.fill(free);
            let is_done = disk.apply();
            outcomes.push(is_done);
            let good = durable::read(&disk.path("last-good")).unwrap();
            assert_eq!(good.as_deref() == Some("after"), is_done, "{free} pages free");
            // Whether the way back finds room or not, it comes about once there is some.
            let _ = disk.recover();
            fs::remove_file(disk.path("filler")).unwrap();
            assert_eq!(
                disk.recover().unwrap(),
                if is_done { "after" } else { "before" },
                "{free} pages free"
            );
            assert!(!disk.path("window").exists());
            let entries = fs::read_dir(root).unwrap();
            entries.for_each(|entry| fs::remove_file(entry.unwrap().path()).unwrap());
        }
        assert!(outcomes.contains(&true) && outcomes.contains(&false), "{outcomes:?}");
    });
}

#[test]
fn a_read_only_disk_is_an_error_and_keeps_what_it_has() {
    on_a_small_disk("a_read_only_disk_is_an_error_and_keeps_what_it_has", |root| {
        let disk = Disk::kept(root);
        mount(&["-o", "remount,ro"], root);
        assert!(!disk.apply());
        let error = durable::write(&disk.path("last-good"), "after").unwrap_err();
        let words = dlan_agent::causes::with_causes(&error);
        assert!(words.contains("Read-only"), "{words}");
        let attempt = Attempt { by: "root", time: 7, config: "after", window: None };
        recovery::remember(&disk.path("history"), attempt, ApplyOutcome::Applied);
        assert_eq!(durable::read(&disk.path("last-good")).unwrap().as_deref(), Some("before"));
        assert_eq!(disk.recover().unwrap(), "before");
        mount(&["-o", "remount,rw"], root);
        assert!(disk.apply());
        assert_eq!(disk.recover().unwrap(), "after");
    });
}
