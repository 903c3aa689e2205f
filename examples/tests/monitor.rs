//! Watches as a person starts them: on files that come and grow, killed at random moments, and given
//! up in time.

#![allow(clippy::unwrap_used)] // A test may panic.

#[path = "support/process.rs"]
mod process;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

fn command(place: &TempDir, options: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_monitor"));
    command.current_dir(place.path()).args(options.split_whitespace());
    command
}

/// Appends to a file, piece by piece.
fn grow(path: &Path, pieces: u8, every: Duration) -> JoinHandle<()> {
    let path = path.to_owned();
    std::thread::spawn(move || {
        for piece in 0..pieces {
            process::wait(every);
            let mut file = fs::OpenOptions::new().create(true).append(true).open(&path).unwrap();
            file.write_all(&[piece; 1000]).unwrap();
        }
    })
}

/// What `b3sum` would write for one file.
fn list(path: &Path) -> String {
    let hash = blake3::hash(&fs::read(path).unwrap());
    format!("{hash}  {}\n", path.file_name().unwrap().to_string_lossy())
}

#[test]
fn files_and_directories_are_hashed_once_they_are_complete() {
    let place = tempfile::tempdir().unwrap();
    let (late, folder) = (place.path().join("late.bin"), place.path().join("folder"));
    fs::create_dir_all(folder.join("in")).unwrap();
    fs::write(folder.join("in/b"), "bb").unwrap();
    fs::write(folder.join("a"), "a").unwrap();
    let growing = grow(&late, 8, Duration::from_millis(80));
    let out = process::succeed(&mut command(
        &place,
        "late.bin folder late.bin --interval 100ms --longest 200ms --deadline 1min",
    ));
    growing.join().unwrap();
    assert_eq!(fs::read_to_string(place.path().join("late.bin.blake3")).unwrap(), list(&late));
    let (a, b) = (blake3::hash(b"a"), blake3::hash(b"bb"));
    let listed = fs::read_to_string(place.path().join("folder.blake3")).unwrap();
    assert_eq!(listed, format!("{a}  folder/a\n{b}  folder/in/b\n"));
    assert_eq!(out.matches("late.bin: watching").count(), 1, "{out}");
    assert!(out.contains("late.bin: complete with 8.0 kB in 1 files, 1 hashes are ver"), "{out}");
    assert!(out.contains("folder: complete with 3 B in 2 files, 2 hashes are verified"), "{out}");
}

#[test]
fn what_does_not_come_is_reported() {
    let place = tempfile::tempdir().unwrap();
    let out = process::fail(&mut command(&place, "nothing --interval 50ms --deadline 300ms"));
    assert!(out.contains("nothing: the deadline passed (nothing was there)"), "{out}");
    assert!(out.contains("1 of what was watched is not complete"), "{out}");
    assert!(!place.path().join("nothing.blake3").exists());
}

#[test]
fn killed_at_random_moments_it_keeps_the_watch_and_its_deadline() {
    let mut random = process::random();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    let growing = grow(&file, 25, Duration::from_millis(100));
    let options = "file nothing --interval 200ms --longest 400ms --stable 5 --deadline 7s";
    let mut kills = 0;
    while !growing.is_finished() {
        let mut command = command(&place, options);
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        kills += usize::from(
            process::kill_after(child, Duration::from_millis(random.u64(50..500))).killed,
        );
    }
    growing.join().unwrap();
    println!("{kills} kills");
    let out = process::fail(&mut command(&place, options));
    assert!(out.contains("file: watched already, until 20"), "{out}");
    assert!(out.contains("file: complete with 25.0 kB in 1 files"), "{out}");
    assert!(out.contains("nothing: the deadline passed"), "{out}");
    assert_eq!(fs::read_to_string(place.path().join("file.blake3")).unwrap(), list(&file));
}

#[test]
fn what_cannot_work_is_refused_with_what_to_do() {
    let place = tempfile::tempdir().unwrap();
    let error = |options: &str| process::fail(&mut command(&place, options));
    assert!(error("").contains("<PATHS>"));
    assert!(error("no/such/file").contains("create the directory first"));
    assert!(error("file --stable 0").contains("0 is not in"));
    assert!(error("file --interval fast").contains("write for example"));
    let out = error("file --interval 1min");
    assert!(out.contains("--longest must not be shorter than --interval"), "{out}");
    assert!(error("file --db no/such.db").contains("--db names another"));
}
