//! The backup program as a person runs it: killed at random moments and started again, and on
//! trees with everything that makes copying hard.

#![allow(clippy::unwrap_used)] // A test may panic.

#[path = "support/process.rs"]
mod process;

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use durable::store::SqliteStore;
use durable::{Client, HistoryEvent};

use crate::process::{kill_when, text};

const FILES: usize = 4_000;
const FILE_BYTES: usize = 100_000;
const KILLS: u32 = 12;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("source")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backup"));
        command.arg(self.path("source")).arg(self.path("copy")).arg("--log").arg(self.path("log"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn log(&self) -> Vec<String> {
        fs::read_to_string(self.path("log"))
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    fn assert_same(&self) {
        let diff = Command::new("diff")
            .args(["-r", "--no-dereference"])
            .arg(self.path("source"))
            .arg(self.path("copy"))
            .output()
            .unwrap();
        assert!(diff.status.success(), "{}", String::from_utf8_lossy(&diff.stdout));
    }

    /// The files that the database records as copied.
    async fn recorded(&self) -> HashSet<String> {
        let Ok(store) = SqliteStore::open(self.path("copy.durable.db")).await else {
            return HashSet::new();
        };
        let client = Client::new(store);
        let Ok(history) = client.orchestration::<serde::de::IgnoredAny>("backup-1").history().await
        else {
            return HashSet::new();
        };
        let (mut files, mut copied) = (HashMap::new(), HashSet::new());
        for event in history.into_iter().flat_map(|turn| turn.events) {
            match event {
                HistoryEvent::ActivityScheduled { task, name, input } if name == "copy_file" => {
                    let (_, file): (serde::de::IgnoredAny, String) = input.decode().unwrap();
                    files.insert(task, file);
                }
                HistoryEvent::ActivityCompleted { task, .. } => {
                    copied.extend(files.get(&task).cloned());
                }
                _ => {}
            }
        }
        copied
    }
}

#[tokio::test]
async fn killed_at_random_moments_it_copies_no_recorded_file_again() {
    let mut random = process::random();
    let place = Place::new();
    for n in 0..FILES {
        let folder = place.path("source").join(format!("d{}", n % 40));
        fs::create_dir_all(&folder).unwrap();
        let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(FILE_BYTES).collect();
        fs::write(folder.join(format!("f{n}")), bytes).unwrap();
    }

    // After each kill: what is recorded as copied, and how many copies had begun.
    let mut checks: Vec<(HashSet<String>, usize)> = Vec::new();
    let mut kills = 0;
    let last = loop {
        if kills == KILLS {
            break place.command().output().unwrap();
        }
        let child = place.command().spawn().unwrap();
        // By progress, not by time, which differs between machines: all kills together come before
        // the last file, and each comes after some copies, since a copy whose worker dies ten
        // times is given up.
        let begun = place.log().len() + random.usize(60..FILES / KILLS as usize);
        let run = kill_when(child, || place.log().len() >= begun);
        if !run.killed {
            // Another run would be a new backup.
            break run.output;
        }
        kills += 1;
        checks.push((place.recorded().await, place.log().len()));
    };
    assert!(last.status.success(), "{}", text(&last));

    place.assert_same();
    let out = text(&last);
    let total = format!(
        "{FILES} files, {} ({} bytes)",
        examples::bytes((FILES * FILE_BYTES) as u64),
        FILES * FILE_BYTES
    );
    assert!(out.contains(&total), "{out}");
    assert!(kills >= 10, "it was done after {kills} kills: make the tree larger");
    let log = place.log();
    for (recorded, begun) in &checks {
        let again: Vec<&String> =
            log[*begun..].iter().filter(|file| recorded.contains(*file)).collect();
        assert!(again.is_empty(), "copied again although recorded: {again:?}");
    }
    let most = checks.iter().map(|(recorded, _)| recorded.len()).max().unwrap_or(0);
    assert!(most > 0, "no kill came after a recorded copy: the test shows nothing");
    println!(
        "{kills} kills, {} copies begun for {FILES} files, {most} recorded at the last",
        log.len()
    );
}

#[test]
fn odd_files_are_copied_or_reported_and_never_fatal() {
    let place = Place::new();
    let source = place.path("source");
    fs::create_dir_all(source.join("empty/inner")).unwrap();
    fs::write(source.join("zero"), "").unwrap();
    fs::write(source.join("name with spaces and ünïcode"), "text").unwrap();
    fs::write(source.join(OsStr::from_bytes(b"not-utf8-\xff\xfe")), "bytes").unwrap();
    std::os::unix::fs::symlink("zero", source.join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", source.join("dangling")).unwrap();
    std::os::unix::fs::symlink("..", source.join("loop")).unwrap();
    // A socket can be seen but not copied, whoever runs the test.
    let _socket = std::os::unix::net::UnixListener::bind(source.join("socket")).unwrap();

    let first = place.command().output().unwrap();
    let out = text(&first);
    assert!(first.status.success(), "{out}");
    assert!(out.contains("3 files, 9 B (9 bytes), 2 directories, 3 links, 1 problems"), "{out}");
    assert!(out.contains("not copied: socket"), "{out}");
    fs::remove_file(source.join("socket")).unwrap();
    place.assert_same();

    // Again: a new backup of the same tree.
    let second = place.command().output().unwrap();
    assert!(text(&second).contains("starting backup-2"), "{}", text(&second));
}

#[test]
fn wrong_directories_are_refused_before_anything_is_recorded() {
    let place = Place::new();
    let run = |source: &Path, destination: &Path| {
        let output = Command::new(env!("CARGO_BIN_EXE_backup"))
            .args([source, destination])
            .output()
            .unwrap();
        assert!(!output.status.success());
        text(&output)
    };
    assert!(run(&place.path("missing"), &place.path("copy")).contains("is not a directory"));
    let inside = place.path("source/inside");
    assert!(run(&place.path("source"), &inside).contains("must not contain each other"));
}
