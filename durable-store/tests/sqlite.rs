//! The `SQLite` backend against the suite, and what is its own: files, locks, processes.
#![cfg(all(feature = "sqlite", feature = "conformance"))]
#![allow(clippy::unwrap_used)] // Helpers of tests count as code outside them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use durable_store::conformance::Fixture;
use durable_store::conformance::world::{
    P0, P1, assert_refused, at, change, changes, consuming, create, creation, fill, hinted, inbox,
    load, message, number, own, own_two, plain, read, send, text,
};
use durable_store::{Batch, InstanceChange, SqliteStore, StoreError, StoreErrorKind};
use sqlx::{ConnectOptions, Connection, Executor, SqliteConnection};
use tempfile::TempDir;

async fn open(directory: Arc<TempDir>) -> Fixture {
    let path = directory.path().join("hub.db");
    Fixture::keeping(SqliteStore::open(path).await.unwrap(), directory)
}

fn directory() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir().unwrap())
}

durable_store::conformance!(sqlite, || open(directory()), || {
    let directory = directory();
    move || open(directory.clone())
});

/// A directory that is removed, and the path of a hub in it.
fn place() -> (Arc<TempDir>, PathBuf) {
    let directory = directory();
    let path = directory.path().join("hub.db");
    (directory, path)
}

async fn hub(path: &Path) -> Fixture {
    Fixture::from(SqliteStore::open(path).await.unwrap())
}

/// A connection of somebody else.
async fn other(path: &Path) -> SqliteConnection {
    sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

/// The error of opening, which must name the path.
async fn refusal(path: &Path, kind: StoreErrorKind) -> StoreError {
    let error = SqliteStore::options(path)
        .busy_timeout(Duration::from_millis(50))
        .open()
        .await
        .expect_err("the store opens");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    error
}

// --- files ----------------------------------------------------------------------------------

#[tokio::test]
async fn a_missing_directory_is_named() {
    let (directory, _) = place();
    refusal(&directory.path().join("no/such/hub.db"), StoreErrorKind::NotFound).await;
}

#[tokio::test]
async fn a_directory_is_not_a_database() {
    let (directory, _) = place();
    refusal(directory.path(), StoreErrorKind::NotFound).await;
}

#[tokio::test]
async fn a_missing_file_is_created_only_if_asked_for() {
    let (_directory, path) = place();
    let result = SqliteStore::options(&path).create(false).open().await;
    assert_refused(result.map(drop), StoreErrorKind::NotFound);
    assert!(!path.exists());
    SqliteStore::open(&path).await.unwrap().close().await.unwrap();
    SqliteStore::options(&path).create(false).open().await.unwrap();
}

#[tokio::test]
async fn a_read_only_file_is_named() {
    let (_directory, path) = place();
    SqliteStore::open(&path).await.unwrap().close().await.unwrap();
    let mut marks = std::fs::metadata(&path).unwrap().permissions();
    marks.set_readonly(true);
    std::fs::set_permissions(&path, marks).unwrap();
    refusal(&path, StoreErrorKind::ReadOnly).await;
}

#[tokio::test]
async fn a_text_file_is_not_a_database() {
    let (_directory, path) = place();
    let content = "This is a letter, long enough to be taken for the header of a file. ".repeat(99);
    std::fs::write(&path, &content).unwrap();
    refusal(&path, StoreErrorKind::Corrupt).await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
}

#[tokio::test]
async fn a_damaged_file_is_corrupt() {
    let (_directory, path) = place();
    SqliteStore::open(&path).await.unwrap().close().await.unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    refusal(&path, StoreErrorKind::Corrupt).await;
}

#[tokio::test]
async fn a_database_of_another_application_is_left_alone() {
    let (_directory, path) = place();
    std::fs::write(&path, "").unwrap();
    let mut other = other(&path).await;
    other.execute("CREATE TABLE accounts (id INTEGER)").await.unwrap();
    other.close().await.unwrap();
    let before = std::fs::read(&path).unwrap();
    refusal(&path, StoreErrorKind::Corrupt).await;
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (_directory, path) = place();
    SqliteStore::open(&path).await.unwrap().close().await.unwrap();
    let mut other = other(&path).await;
    other.execute("PRAGMA user_version = 4711").await.unwrap();
    other.close().await.unwrap();
    let error = refusal(&path, StoreErrorKind::SchemaTooNew).await;
    assert!(error.to_string().contains("4711"), "{error}");
}

#[tokio::test]
async fn the_number_of_partitions_has_limits() {
    let (_directory, path) = place();
    for partitions in [0, durable_store::limits::MAX_PARTITIONS + 1] {
        let result = SqliteStore::options(&path).partitions(partitions).open().await;
        assert_refused(result.map(drop), StoreErrorKind::Limit);
    }
    let options = SqliteStore::options(&path).partitions(3);
    let store = Fixture::from(options.clone().open().await.unwrap());
    assert_eq!(store.hub().await.unwrap().partitions, 3);
    let store = Fixture::from(options.partitions(5).open().await.unwrap());
    assert_eq!(store.hub().await.unwrap().partitions, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_file_may_be_opened_by_many_at_once() {
    let (_directory, path) = place();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let path = path.clone();
        tasks.spawn(async move { hub(&path).await.reserve_numbers(1).await.unwrap() });
    }
    let mut numbers = tasks.join_all().await;
    numbers.sort_unstable();
    assert_eq!(numbers, (numbers[0]..numbers[0] + 8).collect::<Vec<_>>());
}

// --- locks by others ------------------------------------------------------------------------

#[tokio::test]
async fn a_long_lock_is_reported_and_a_short_one_waited_for() {
    let (_directory, path) = place();
    let options = SqliteStore::options(&path);
    let impatient = Fixture::from(
        options.clone().busy_timeout(Duration::from_millis(20)).open().await.unwrap(),
    );
    let patient = Fixture::from(options.open().await.unwrap());
    let mut other = other(&path).await;
    other.execute("BEGIN EXCLUSIVE").await.unwrap();
    // Opening a hub that is up to date writes nothing.
    hub(&path).await;
    let result = impatient.reserve_numbers(1).await;
    assert!(result.as_ref().unwrap_err().is_retryable());
    assert!(result.unwrap_err().to_string().contains(path.to_str().unwrap()));
    let result = impatient.send(vec![plain(message("m1", P0, "a"))], at(0)).await;
    assert_refused(result, StoreErrorKind::Locked);
    let waiting = tokio::spawn(async move { patient.reserve_numbers(1).await });
    tokio::task::yield_now().await;
    other.execute("ROLLBACK").await.unwrap();
    waiting.await.unwrap().unwrap();
    impatient.reserve_numbers(1).await.unwrap();
}

#[tokio::test]
async fn a_locked_new_file_is_reported() {
    let (_directory, path) = place();
    std::fs::write(&path, "").unwrap();
    let mut other = other(&path).await;
    other.execute("BEGIN EXCLUSIVE").await.unwrap();
    refusal(&path, StoreErrorKind::Locked).await;
}

// --- two stores on one file -----------------------------------------------------------------

#[tokio::test]
async fn two_stores_share_a_file() {
    let (_directory, path) = place();
    let (one, two) = (hub(&path).await, hub(&path).await);
    let leases = one.acquire_leases("one", 1, &[], at(0), at(30)).await.unwrap();
    let others = two.acquire_leases("two", 99, &[], at(0), at(30)).await.unwrap();
    assert_eq!(leases.len() + others.len(), 4);
    assert!(others.iter().all(|lease| lease.partition != leases[0].partition));
    let mut hints = two.hints();
    let partition = others[0].partition;
    let send = vec![plain(message("m1", partition, "target"))];
    one.commit(&leases[0], Batch { send, ..Batch::default() }).await.unwrap();
    hinted(&mut hints, partition).await;
    assert_eq!(inbox(&two, &others[0]).await, ["m1"]);
}

#[tokio::test]
async fn a_worker_whose_store_is_gone_is_dead() {
    let (_directory, path) = place();
    let (one, two) = (SqliteStore::open(&path).await.unwrap(), hub(&path).await);
    let leases = own(&Fixture::from(one.clone()), "one").await;
    assert_eq!(own(&two, "two").await, []);
    one.close().await.unwrap();
    let taken = own(&two, "two").await;
    assert_eq!(taken.len(), leases.len());
    assert_eq!(taken[0].epoch, leases[0].epoch + 1);
}

/// Who is alive when `worker` says that it is.
async fn alive(hub: &Fixture, worker: &str) -> Vec<String> {
    let peers = hub.check_in(worker, at(0), at(30)).await.unwrap();
    peers.into_iter().map(|peer| peer.worker).collect()
}

#[tokio::test]
async fn a_worker_whose_store_is_gone_is_not_alive() {
    let (directory, path) = place();
    let (one, two) = (SqliteStore::open(&path).await.unwrap(), hub(&path).await);
    // It holds nothing, and its lock file tells of it all the same.
    assert_eq!(alive(&Fixture::from(one.clone()), "one").await, ["one"]);
    let leases = own(&two, "two").await;
    two.release_leases(&leases).await.unwrap();
    assert!(directory.path().join("hub.db.workers/one.lock").exists());
    assert_eq!(alive(&two, "two").await, ["one", "two"]);
    one.close().await.unwrap();
    assert_eq!(alive(&two, "two").await, ["two"]);
}

#[tokio::test]
async fn lock_files_go_when_a_worker_says_that_it_ends() {
    let (directory, path) = place();
    let hub = hub(&path).await;
    let file = directory.path().join("hub.db.workers/one.lock");
    alive(&hub, "one").await;
    assert!(file.exists());
    let leases = own(&hub, "one").await;
    hub.check_in("one", at(0), at(0)).await.unwrap();
    assert!(file.exists(), "it still holds leases");
    hub.release_leases(&leases).await.unwrap();
    assert!(!file.exists());
    alive(&hub, "one").await;
    assert!(file.exists());
    hub.check_in("one", at(0), at(0)).await.unwrap();
    assert!(!file.exists());
}

#[tokio::test]
async fn lock_files_go_with_the_last_lease() {
    let (directory, path) = place();
    let one = hub(&path).await;
    let leases = own(&one, "a/b").await;
    let file = directory.path().join("hub.db.workers/a%2fb.lock");
    assert!(file.exists());
    one.release_leases(&leases[1..]).await.unwrap();
    assert!(file.exists());
    one.release_leases(&leases[..1]).await.unwrap();
    assert!(!file.exists());
    own(&one, "a/b").await;
    assert!(file.exists());
}

#[tokio::test]
async fn a_worker_without_a_lock_file_keeps_its_leases() {
    let (directory, path) = place();
    // Something stands where the directory of the lock files should be.
    let in_the_way = directory.path().join("hub.db.workers");
    std::fs::write(&in_the_way, "").unwrap();
    let (one, two) = (hub(&path).await, hub(&path).await);
    assert_eq!(own(&one, "one").await.len(), 4);
    std::fs::remove_file(&in_the_way).unwrap();
    std::fs::create_dir(&in_the_way).unwrap();
    assert_eq!(own(&two, "two").await, []);
    assert_eq!(two.acquire_leases("two", 99, &[], at(30), at(60)).await.unwrap().len(), 4);
}

// --- the writer -----------------------------------------------------------------------------

#[tokio::test]
async fn a_group_isolates_failures() {
    let (_directory, path) = place();
    let hub = hub(&path).await;
    let (zero, one) = own_two(&hub).await;
    let no = create(&hub, &zero, "a").await;
    fill(&hub, P0, &["m1"]).await;
    let stale = durable_store::Lease { epoch: one.epoch - 1, ..one.clone() };
    let twin = number(&hub, P1).await;
    let turn = InstanceChange { state: Some(text("new")), ..change(no) };
    // All of them wait before the writer runs: this thread does not give way in between.
    let (kept, conflict, lost, exists, sent, reserved, consumed) = tokio::join!(
        hub.commit(&zero, changes(vec![turn])),
        hub.commit(&zero, consuming(&["m1", "missing"])),
        hub.commit(&stale, changes(vec![creation(twin, "b")])),
        hub.commit(&one, changes(vec![creation(twin, "a")])),
        hub.send(vec![plain(message("m2", P0, "a"))], at(0)),
        hub.reserve_numbers(1),
        hub.commit(&zero, consuming(&["m1"])),
    );
    kept.unwrap();
    assert_refused(conflict, StoreErrorKind::Conflict);
    assert_refused(lost, StoreErrorKind::LeaseLost);
    assert_refused(exists, StoreErrorKind::Conflict);
    assert_eq!(sent.unwrap(), [durable_store::Accepted::Sent]);
    reserved.unwrap();
    consumed.unwrap();
    assert_eq!(load(&hub, &zero, "a").await.record.state, Some(text("new")));
    assert_eq!(read(&hub, "b").await, None);
    assert_eq!(inbox(&hub, &zero).await, ["m2"]);
}

#[tokio::test]
async fn a_write_whose_caller_is_gone_is_applied() {
    let (_directory, path) = place();
    let hub = hub(&path).await;
    let (zero, _) = own_two(&hub).await;
    {
        let mut write = std::pin::pin!(send(&hub, plain(message("m1", P0, "a"))));
        let queued = std::future::poll_fn(|context| {
            std::task::Poll::Ready(write.as_mut().poll(context).is_pending())
        });
        assert!(queued.await);
    }
    // The queue is in order, so what follows comes after it.
    hub.reserve_numbers(1).await.unwrap();
    assert_eq!(inbox(&hub, &zero).await, ["m1"]);
}

#[tokio::test]
async fn closing_applies_what_was_accepted_and_ends_all_clones() {
    let (directory, path) = place();
    let store = SqliteStore::open(&path).await.unwrap();
    let hub_of_clone = Fixture::from(store.clone());
    let (sent, closed) =
        tokio::join!(send(&hub_of_clone, plain(message("m1", P0, "a"))), store.close());
    assert_eq!(sent, durable_store::Accepted::Sent);
    closed.unwrap();
    store.close().await.unwrap();
    assert_refused(hub_of_clone.reserve_numbers(1).await, StoreErrorKind::Other);
    assert_refused(hub_of_clone.read_instances(&[]).await, StoreErrorKind::Other);
    // The write-ahead log was copied back and removed.
    let files: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, ["hub.db"]);
    let hub = hub(&path).await;
    let (zero, _) = own_two(&hub).await;
    assert_eq!(inbox(&hub, &zero).await, ["m1"]);
}

#[tokio::test]
async fn payloads_are_readable_text() {
    let (_directory, path) = place();
    let hub = hub(&path).await;
    let (zero, _) = own_two(&hub).await;
    let no = create(&hub, &zero, "a").await;
    let change = InstanceChange { state: Some(text("{\"x\":\"ü\"}")), ..change(no) };
    hub.commit(&zero, changes(vec![change])).await.unwrap();
    let mut other = other(&path).await;
    let (kind, state): (String, String) =
        sqlx::query_as("SELECT typeof(state), state FROM progress")
            .fetch_one(&mut other)
            .await
            .unwrap();
    assert_eq!((kind.as_str(), state.as_str()), ("text", "{\"x\":\"ü\"}"));
}

// --- another process ------------------------------------------------------------------------

const WORKER_PATH: &str = "DURABLE_STORE_TEST_WORKER_PATH";

/// Not a test of its own: the process that [`a_killed_worker_is_taken_over_at_once`] kills.
#[tokio::test]
#[ignore = "run by a_killed_worker_is_taken_over_at_once"]
async fn worker_process() {
    let Some(path) = std::env::var_os(WORKER_PATH) else {
        return;
    };
    let hub = hub(Path::new(&path)).await;
    let (zero, _) = own_two(&hub).await;
    create(&hub, &zero, "committed").await;
    alive(&hub, "worker").await;
    println!("\nready");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_worker_is_taken_over_at_once() {
    let (_directory, path) = place();
    let mut worker = Command::new(std::env::current_exe().unwrap())
        .args(["worker_process", "--exact", "--ignored", "--nocapture"])
        .env(WORKER_PATH, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(worker.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "ready"));
    let hub = hub(&path).await;
    assert_eq!(own(&hub, "second").await, []);
    assert_eq!(alive(&hub, "second").await, ["second", "worker"]);
    worker.kill().unwrap();
    worker.wait().unwrap();
    assert_eq!(alive(&hub, "second").await, ["second"]);
    let leases = own(&hub, "second").await;
    assert_eq!(leases.len(), 4);
    assert_eq!(load(&hub, &leases[0], "committed").await.record.id, "committed");
}
