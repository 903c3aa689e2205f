//! Requests in virtual time: days pass at once, and the worker dies at every commit.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use durable::testing::{TestHub, TestHubBuilder, crash_at_every_commit};

use crate::flow::{ANSWER, Answer, Outbox, Request, WaitsFor, approval};
use crate::flow::{record_decision, send_letter};

const DAY: Duration = Duration::from_hours(24);

fn builder(outbox: &Path) -> TestHubBuilder {
    TestHub::builder()
        .orchestrator(approval)
        .activity(send_letter)
        .activity(record_decision)
        .data(Outbox(outbox.to_owned()))
}

fn request() -> Request {
    let approvers = vec!["manager".to_owned(), "director".to_owned()];
    Request { what: "a new desk".to_owned(), cents: 49_050, approvers, timeout: 3 * DAY }
}

fn answer(approved: bool, by: &str) -> Answer {
    Answer { approved, by: by.to_owned() }
}

fn files(outbox: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = std::fs::read_dir(outbox)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let text = std::fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), text)
        })
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn the_first_approver_has_three_days() {
    let outbox = tempfile::tempdir().unwrap();
    let hub = builder(outbox.path()).start().await;
    let call = approval(request()).instance_id("request-1");
    let handle = hub.client().start(call).await.unwrap();
    hub.advance(Duration::from_hours(71)).await;
    handle.raise_event(ANSWER, answer(true, "manager")).await.unwrap();
    let decision = hub.run(handle.result()).await.unwrap();
    assert_eq!(decision.outcome(), "approved by manager");
    let files = files(outbox.path());
    assert_eq!(files.len(), 2);
    assert_eq!(files[0].0, "request-1.decision.txt");
    assert!(files[0].1.starts_with("request-1: a new desk for 490.50\napproved by manager\n"));
    assert!(files[1].1.starts_with("To: manager\nRequest: request-1\n"), "{}", files[1].1);
}

#[tokio::test]
async fn silence_escalates_and_then_ends_the_request() {
    let outbox = tempfile::tempdir().unwrap();
    let hub = builder(outbox.path()).start().await;
    let began = hub.now();
    let late = hub.client().start(approval(request()).instance_id("late")).await.unwrap();
    let never = hub.client().start(approval(request()).instance_id("never")).await.unwrap();
    hub.advance(3 * DAY).await;
    let said = late.status().await.unwrap().custom_status.unwrap();
    let until = began + 6 * DAY;
    assert_eq!(
        said.decode::<WaitsFor>().unwrap(),
        WaitsFor { approver: "director".to_owned(), until }
    );
    late.raise_event(ANSWER, answer(false, "director")).await.unwrap();
    assert_eq!(hub.run(late.result()).await.unwrap().outcome(), "rejected by director");
    let decision = hub.run(never.result()).await.unwrap();
    assert_eq!((decision.outcome().as_str(), decision.at), ("not answered in time", until));
    let letter = std::fs::read_to_string(outbox.path().join("late.to-director.txt")).unwrap();
    assert!(letter.contains("manager was asked before you, and has not answered"), "{letter}");
}

#[tokio::test]
async fn a_full_disk_delays_a_letter() {
    let outbox = tempfile::tempdir().unwrap();
    let mut attempts = 0;
    let hub = TestHub::builder()
        .orchestrator(approval)
        .activity(record_decision)
        .data(Outbox(outbox.path().to_owned()))
        .mock(send_letter, move |_| {
            attempts += 1;
            if attempts <= 20 { Err("no space left") } else { Ok(()) }
        })
        .start()
        .await;
    let handle = hub.client().start(approval(request())).await.unwrap();
    handle.raise_event(ANSWER, answer(true, "manager")).await.unwrap();
    let decision = hub.run(handle.result()).await.unwrap();
    assert_eq!(decision.outcome(), "approved by manager");
}

#[tokio::test]
async fn a_crash_at_any_commit_writes_the_same_letters_and_decisions() {
    let outbox = RefCell::new(tempfile::tempdir().unwrap());
    let build = || {
        outbox.replace(tempfile::tempdir().unwrap());
        builder(outbox.borrow().path())
    };
    crash_at_every_commit(build, async |hub| {
        let start = async |id| hub.client().start(approval(request()).instance_id(id)).await;
        let (answered, silent) = (start("answered").await.unwrap(), start("silent").await.unwrap());
        hub.advance(4 * DAY).await;
        answered.raise_event(ANSWER, answer(true, "director")).await.unwrap();
        hub.run(answered.result()).await.unwrap();
        hub.run(silent.result()).await.unwrap();
        files(outbox.borrow().path())
    })
    .await;
}
