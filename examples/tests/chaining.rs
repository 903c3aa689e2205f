//! The report of words as a person asks for it: at once, killed at random moments, and with files
//! that cannot be used.

#![allow(clippy::unwrap_used)] // A test may panic.

#[path = "support/process.rs"]
mod process;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use durable::store::SqliteStore;
use durable::{Client, HistoryEvent, InstanceQuery};

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chaining"));
        command.current_dir(self.folder.path()).args(["text.txt", "report.txt", "--top", "50"]);
        command
    }

    /// A text of random words, some with what separates and surrounds words.
    fn write_text(&self, words: usize, random: &mut fastrand::Rng) {
        let mut text = Vec::new();
        for n in 0..words {
            let number = random.u32(0..2_000);
            let word = match number % 5 {
                0 => format!("Über{number}, "),
                1 => format!("don't{number}. "),
                2 => format!("'W{number}' "),
                3 => format!("{number}-x\t"),
                _ => format!("w{number} "),
            };
            text.extend_from_slice(word.as_bytes());
            if n % 12 == 0 {
                text.extend_from_slice(b"\xff\n");
            }
        }
        fs::write(self.path("text.txt"), text).unwrap();
    }

    /// The report as it has to be.
    fn expected(&self) -> String {
        let text = fs::read(self.path("text.txt")).unwrap();
        let mut counts = BTreeMap::<String, u64>::new();
        let lower = String::from_utf8_lossy(&text).to_lowercase();
        for word in lower.split(|c: char| !(c.is_alphanumeric() || c == '\'')) {
            let word = word.trim_matches('\'');
            if !word.is_empty() {
                *counts.entry(word.to_owned()).or_default() += 1;
            }
        }
        let (words, distinct): (u64, _) = (counts.values().sum(), counts.len());
        let mut ranked: Vec<_> = counts.into_iter().collect();
        ranked.sort_by_key(|(word, count)| (std::cmp::Reverse(*count), word.clone()));
        let mut report = format!(
            "text     {}\nblake3   {}\nwords    {words}\ndistinct {distinct}\n\n",
            self.path("text.txt").display(),
            blake3::hash(&text)
        );
        for (place, (word, count)) in ranked.iter().take(50).enumerate() {
            report.push_str(&format!("{:5} {count:9} {word}\n", place + 1));
        }
        report
    }

    /// How often each step was scheduled, over all instances.
    async fn scheduled(&self) -> BTreeMap<String, u32> {
        let client = Client::new(SqliteStore::open(self.path("chaining.db")).await.unwrap());
        let mut scheduled = BTreeMap::new();
        for instance in client.list(InstanceQuery::default()).all().await.unwrap() {
            let handle = client.orchestration::<serde::de::IgnoredAny>(instance.id);
            for event in handle.history().await.unwrap().into_iter().flat_map(|turn| turn.events) {
                if let HistoryEvent::ActivityScheduled { name, .. } = event {
                    *scheduled.entry(name).or_default() += 1;
                }
            }
        }
        scheduled
    }
}

#[test]
fn a_report_is_written_verified_and_replaced() {
    let place = Place::new();
    place.write_text(5_000, &mut process::random());
    let out = process::succeed(&mut place.command());
    let report = fs::read_to_string(place.path("report.txt")).unwrap();
    assert_eq!(report, place.expected());
    let hash = blake3::hash(report.as_bytes()).to_string();
    assert!(out.contains("starting report-") && out.contains(&hash), "{out}");
    assert!(!place.path("report.txt.work").exists());

    // Another text under the same name is a new run.
    fs::write(place.path("text.txt"), "one two two").unwrap();
    let out = process::succeed(&mut place.command());
    assert!(out.contains("starting report-") && out.contains("3 words, 2 of them"), "{out}");
    assert_eq!(fs::read_to_string(place.path("report.txt")).unwrap(), place.expected());
    fs::write(place.path("text.txt"), "").unwrap();
    assert!(process::succeed(&mut place.command()).contains("0 words"));
}

#[tokio::test]
async fn killed_at_random_moments_it_writes_the_same_report_and_does_no_step_twice() {
    let mut random = process::random();
    let place = Place::new();
    place.write_text(500_000, &mut random);
    let undisturbed = Place::new();
    fs::copy(place.path("text.txt"), undisturbed.path("text.txt")).unwrap();
    let (_, took) = process::timed(&mut undisturbed.command());
    let done = process::interrupted(|| place.command(), &mut random, took, 8);
    let resumed = done.runs.iter().filter(|run| run.contains("resuming report-")).count();
    assert!(resumed >= 2, "it was resumed {resumed} times: make the text longer");
    assert_eq!(fs::read_to_string(place.path("report.txt")).unwrap(), place.expected());
    let once = ["clean", "count", "rank", "remove_work", "verify", "write_report"];
    let once: BTreeMap<String, u32> = once.map(|step| (step.to_owned(), 1)).into();
    assert_eq!(place.scheduled().await, once);
}

#[test]
fn what_cannot_work_is_refused_with_what_to_do() {
    let place = Place::new();
    fs::write(place.path("text.txt"), "some text").unwrap();
    let run = |text: &str, report: &Path, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chaining"));
        command.current_dir(place.folder.path()).arg(text).arg(report).args(more);
        process::fail(&mut command)
    };
    let report = Path::new("report.txt");
    assert!(run("missing.txt", report, &[]).contains("missing.txt cannot be read: name a text"));
    assert!(run(".", report, &[]).contains("is not a file"));
    assert!(run("text.txt", Path::new("no/report"), &[]).contains("create the directory first"));
    assert!(run("text.txt", Path::new("text.txt"), &[]).contains("would replace the text"));
    assert!(run("text.txt", &place.path(""), &[]).contains("is a directory"));
    assert!(run("text.txt", report, &["--top", "0"]).contains("1..=10000"));
    let out = run("text.txt", report, &["--db", "no/such.db"]);
    assert!(out.contains("--db names another"), "{out}");
    assert!(!place.path("report.txt").exists());
}
