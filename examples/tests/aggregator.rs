//! A tree added up as a person does it: at once, killed at random moments, and with what makes a
//! walk hard. The program compares its totals with an ordinary walk itself.

#![allow(clippy::unwrap_used)] // A test may panic.

#[path = "support/process.rs"]
mod process;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use tempfile::TempDir;

const CHECKED: &str = "checked: an ordinary walk finds the same";

fn command(place: &TempDir, options: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aggregator"));
    command.current_dir(place.path()).args(options.split_whitespace());
    command
}

/// The lines of the table and what is below it.
fn table(out: &str) -> &str {
    let from = out.find("   files ").unwrap();
    &out[from..out.find(CHECKED).unwrap()]
}

#[test]
fn odd_names_links_and_empty_directories_are_added_up() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("root");
    fs::create_dir_all(root.join("empty/inner")).unwrap();
    fs::create_dir_all(root.join("deep/er/still")).unwrap();
    fs::write(root.join("one.txt"), "12345").unwrap();
    fs::write(root.join("deep/er/two.txt"), "123").unwrap();
    fs::write(root.join("deep/er/still/no extension"), "1").unwrap();
    fs::write(root.join("a.b#?c\\"), "12").unwrap();
    fs::write(root.join(OsStr::from_bytes(b"not-utf8-\xff.\xfe")), "1234").unwrap();
    let long = "x".repeat(240);
    fs::write(root.join(format!("long.{long}")), "").unwrap();
    fs::create_dir(root.join(OsStr::from_bytes(b"dir-\xff"))).unwrap();
    fs::write(root.join(OsStr::from_bytes(b"dir-\xff/three.txt")), "1234567").unwrap();
    std::os::unix::fs::symlink("..", root.join("loop")).unwrap();
    std::os::unix::fs::symlink("one.txt", root.join("link.txt")).unwrap();

    let out = process::succeed(&mut command(&place, "root"));
    assert!(out.contains("       3       15 B  txt\n"), "{out}");
    assert!(out.contains("       1        4 B  \\xfe\n"), "{out}");
    assert!(out.contains("22 bytes in 7 directories, 0 entries cannot be read"), "{out}");
    assert!(out.contains(CHECKED), "{out}");
    // Another time it begins anew, and does not add to what was there.
    let again = process::succeed(&mut command(&place, "root"));
    assert_eq!(table(&out), table(&again));
    // The database in the tree is left out, as it changes while the tree is walked.
    let out = process::succeed(&mut command(&place, ". --by directory"));
    assert!(out.contains("       7       22 B  root\n") && out.contains(CHECKED), "{out}");
    let out = process::succeed(&mut command(&place, "root --by directory"));
    assert!(out.contains("       2        4 B  deep\n") && out.contains(CHECKED), "{out}");
}

#[test]
fn killed_at_random_moments_it_counts_everything_once() {
    let mut random = process::random();
    let place = tempfile::tempdir().unwrap();
    for n in 0..1_200 {
        let folder = place.path().join(format!("root/{}/{}/{n}", n % 5, n % 11));
        fs::create_dir_all(&folder).unwrap();
        for file in 0..random.u32(0..8) {
            let bytes = vec![b'x'; random.usize(0..300)];
            fs::write(folder.join(format!("{file}.e{}", random.u32(0..12))), bytes).unwrap();
        }
    }
    let (undisturbed, took) = process::timed(&mut command(&place, "root --db undisturbed.db"));
    let done = process::interrupted(|| command(&place, "root"), &mut random, took, 8);
    let resumed = done.runs.iter().filter(|run| run.contains("resuming tree-")).count();
    assert!(resumed >= 2, "it was resumed {resumed} times: make the tree larger");
    assert_eq!(table(done.last()), table(&undisturbed));
}

#[test]
fn what_cannot_work_is_refused_with_what_to_do() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("file"), "").unwrap();
    let error = |options: &str| process::fail(&mut command(&place, options));
    assert!(error("missing").contains("missing cannot be read: name a directory"));
    assert!(error("file").contains("file cannot be read: name a directory"));
    assert!(error(". --by size").contains("possible values: extension, directory"));
    assert!(error(". --db no/such.db").contains("--db names another"));
}
