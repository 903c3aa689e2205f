//! Requests as people make and answer them, over one database and several processes, while the
//! worker is killed again and again.

#![allow(clippy::unwrap_used)] // A test may panic.

#[path = "support/process.rs"]
mod process;

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{fail, succeed};

fn approval(place: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_approval"));
    command.current_dir(place.path()).args(arguments);
    command
}

/// A worker, which is killed at the end of the test.
struct Worker(Child);

impl Worker {
    fn start(place: &TempDir) -> Self {
        let mut command = approval(place, &["work"]);
        Self(command.stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The decisions in the outbox: the second line of each.
fn decisions(place: &TempDir) -> BTreeMap<String, String> {
    let Ok(outbox) = fs::read_dir(place.path().join("outbox")) else { return BTreeMap::new() };
    let mut decisions = BTreeMap::new();
    for entry in outbox {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if let Some(id) = name.strip_suffix(".decision.txt") {
            let text = fs::read_to_string(&path).unwrap();
            decisions.insert(id.to_owned(), text.lines().nth(1).unwrap().to_owned());
        }
    }
    decisions
}

/// Waits until so many requests are decided.
fn wait_for_decisions(place: &TempDir, count: usize) -> BTreeMap<String, String> {
    for _ in 0..300 {
        let decisions = decisions(place);
        if decisions.len() >= count {
            return decisions;
        }
        process::wait(Duration::from_millis(50));
    }
    panic!("only {:?} are decided", decisions(place));
}

#[test]
fn requests_are_made_listed_and_answered_by_different_processes() {
    let place = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| succeed(&mut approval(&place, arguments));
    // Nobody works yet: what is asked and answered is kept.
    assert_eq!(run(&["request", "a new desk", "490.50"]), "request-1\n");
    assert_eq!(run(&["request", "a chair", "80"]), "request-2\n");
    assert!(run(&["list"]).contains("request-1        490.50  a new desk: no worker has it yet"));
    assert!(run(&["approve", "request-2", "--by", "bob"]).contains("the answer is kept"));

    let _worker = Worker::start(&place);
    assert_eq!(wait_for_decisions(&place, 1)["request-2"], "approved by bob");
    let list = run(&["list"]);
    assert!(list.contains("a new desk: waits for manager until 20"), "{list}");
    assert!(!list.contains("request-2"), "{list}");
    assert_eq!(run(&["reject", "request-1"]), "request-1 is rejected by manager\n");
    let again = fail(&mut approval(&place, &["approve", "request-1"]));
    assert!(again.contains("request-1 is closed: it was rejected by manager"), "{again}");
    assert_eq!(run(&["list"]), "no requests wait\n");
    let all = run(&["list", "--all"]);
    assert!(all.contains("80.00  a chair: approved by bob"), "{all}");
    let letter = fs::read_to_string(place.path().join("outbox/request-1.to-manager.txt")).unwrap();
    assert!(letter.contains("approval reject request-1 --by manager"), "{letter}");
}

#[test]
fn with_a_worker_that_is_killed_all_the_time_every_request_is_decided_once() {
    const REQUESTS: usize = 12;
    let mut random = process::random();
    let place = tempfile::tempdir().unwrap();
    let mut expected = BTreeMap::new();
    let mut lives = 0;
    let mut worker = Worker::start(&place);
    for number in 1..=REQUESTS {
        process::wait(Duration::from_millis(random.u64(0..150)));
        // A third of them is answered, the others are escalated and then given up.
        let timeout = if number % 3 == 0 { "1h" } else { "400ms" };
        let made = succeed(&mut approval(&place, &["request", "it", "1", "--timeout", timeout]));
        assert_eq!(made, format!("request-{number}\n"));
        let outcome = if number % 3 == 0 { "approved by carol" } else { "not answered in time" };
        expected.insert(made.trim().to_owned(), outcome.to_owned());
        process::wait(Duration::from_millis(random.u64(0..250)));
        if number % 3 == 0 {
            succeed(&mut approval(&place, &["approve", made.trim(), "--by", "carol"]));
        }
        drop(worker);
        worker = Worker::start(&place);
        lives += 1;
    }
    assert_eq!(wait_for_decisions(&place, REQUESTS), expected);
    println!("{lives} kills");
    // Who was escalated has two letters, who was answered has one.
    let outbox = fs::read_dir(place.path().join("outbox")).unwrap();
    let letters = outbox
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().contains(".to-")
        })
        .count();
    assert_eq!(letters, REQUESTS * 2 - REQUESTS / 3);
}

#[test]
fn what_cannot_work_is_refused_with_what_to_do() {
    let place = tempfile::tempdir().unwrap();
    let error = |arguments: &[&str]| fail(&mut approval(&place, arguments));
    assert!(error(&["list"]).contains("`approval request` makes one"));
    for amount in ["much", "-5", "4.5", "1.234", ".50", "99999999999999999999"] {
        let out = error(&["request", "a desk", "--", amount]);
        assert!(out.contains("write an amount such as 490 or 490.50"), "{amount}: {out}");
    }
    assert!(error(&["request", "it", "1", "--timeout", "soon"]).contains("write for example"));
    assert!(error(&["request", "it", "1", "--approvers", "a/b"]).contains("write a name"));
    succeed(&mut approval(&place, &["request", "it", "1"]));
    let out = error(&["approve", "request-7"]);
    assert!(out.contains("there is no request request-7: `approval list --all` shows"), "{out}");
    fs::write(place.path().join("outbox"), "a file").unwrap();
    assert!(error(&["work"]).contains("the outbox outbox cannot be created"));
    assert!(error(&["request", "it", "1", "--db", "no/a.db"]).contains("--db names another"));
}
