//! Several stores on one hub, connections that are lost, and commits whose answer is.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use durable_store::StoreErrorKind::{LeaseLost, OutcomeUnknown, Unavailable};
use durable_store::conformance::Fixture;
use durable_store::conformance::world::{
    LIMIT, P0, P1, assert_refused, at, change, changes, create, fill, heard, hinted, inbox,
    message, own, own_two, plain, read, send, text,
};
use durable_store::{
    Accepted, Batch, InstanceChange, InstanceNo, InstanceRecord, Lease, PostgresStore, Result,
    Store,
};
use sqlx::PgConnection;
use tokio::task::JoinHandle;

use crate::proxy::Proxy;
use crate::world::{new_schema, number, open, other, run, until};

/// A turn that adds a row to the history.
fn turn(no: InstanceNo, turn: i64) -> Batch {
    let state = Some(text(&format!("state {turn}")));
    changes(vec![InstanceChange { state, history: vec![(turn, text("events"))], ..change(no) }])
}

pub(crate) async fn turns(hub: &Fixture, no: InstanceNo) -> Vec<i64> {
    let rows = hub.read_history(no, 0, LIMIT).await.unwrap();
    rows.into_iter().map(|(turn, _)| turn).collect()
}

async fn commits(other: &mut PgConnection, schema: &str) -> i64 {
    number(other, schema, "SELECT commits FROM @part WHERE id = 0").await
}

/// A lease of the first partition, and an instance in it.
async fn with_an_instance(hub: &Fixture) -> (Lease, InstanceNo) {
    let (lease, _) = own_two(hub).await;
    let no = create(hub, &lease, "a").await;
    (lease, no)
}

/// A hub with an instance in its first partition, and somebody else's connection.
async fn prepared(schema: &str) -> (Fixture, Lease, InstanceNo, PgConnection) {
    let hub = open(schema.to_owned()).await;
    let (lease, no) = with_an_instance(&hub).await;
    (hub, lease, no, other().await)
}

// --- fencing --------------------------------------------------------------------------------

#[tokio::test]
async fn who_lost_its_lease_to_another_store_changes_nothing() {
    let schema = new_schema();
    let (one, two) = (open(schema.clone()).await, open(schema).await);
    let old = own(&one, "one").await;
    let no = create(&one, &old[0], "a").await;
    assert_eq!(own(&two, "two").await, []);
    let new = two.acquire_leases("two", u16::MAX, &[], at(30), at(60)).await.unwrap();
    assert_eq!((new.len(), new[0].epoch), (8, old[0].epoch + 1));
    assert_refused(one.commit(&old[0], turn(no, 1)).await, LeaseLost);
    assert_refused(one.poll(&old[0], at(0), LIMIT).await, LeaseLost);
    assert_refused(one.load_partition(&old[0]).await, LeaseLost);
    assert_eq!(one.renew_leases(&old, at(90)).await.unwrap(), []);
    two.commit(&new[0], turn(no, 1)).await.unwrap();
    assert_eq!(turns(&one, no).await, [1]);
}

/// Waits until some statement waits for a lock, and returns the process that runs it.
pub(crate) async fn waits_for_a_lock(other: &mut PgConnection, schema: &str) -> i64 {
    let text = format!(
        "SELECT coalesce(max(pid), 0)::bigint FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND query LIKE '%\"{schema}\".part%'"
    );
    until(async || Some(number(other, schema, &text).await).filter(|pid| *pid != 0)).await
}

#[tokio::test]
async fn a_commit_that_waited_for_a_takeover_is_refused() {
    let schema = new_schema();
    let (hub, lease, no, mut other) = prepared(&schema).await;
    let before = commits(&mut other, &schema).await;
    let mut watch = crate::world::other().await;
    run(&mut other, &schema, "BEGIN").await;
    run(&mut other, &schema, "UPDATE @part SET epoch = epoch + 1, owner = 'heir'").await;
    let commit = tokio::spawn({
        let (hub, lease) = (hub.clone(), lease.clone());
        async move { hub.commit(&lease, turn(no, 1)).await }
    });
    waits_for_a_lock(&mut watch, &schema).await;
    run(&mut other, &schema, "COMMIT").await;
    assert_refused(commit.await.unwrap(), LeaseLost);
    assert_eq!(turns(&hub, no).await, [0; 0]);
    assert_eq!(commits(&mut other, &schema).await, before);
}

#[tokio::test]
async fn a_commit_that_waited_for_a_renewal_goes_through() {
    let schema = new_schema();
    let (hub, lease, no, mut other) = prepared(&schema).await;
    let mut watch = crate::world::other().await;
    run(&mut other, &schema, "BEGIN").await;
    run(&mut other, &schema, "UPDATE @part SET expires_at = expires_at + 1").await;
    let commit = tokio::spawn({
        let (hub, lease) = (hub.clone(), lease.clone());
        async move { hub.commit(&lease, turn(no, 1)).await }
    });
    waits_for_a_lock(&mut watch, &schema).await;
    run(&mut other, &schema, "COMMIT").await;
    commit.await.unwrap().unwrap();
    assert_eq!(turns(&hub, no).await, [1]);
}

#[tokio::test]
async fn commits_under_one_lease_come_one_after_the_other() {
    let schema = new_schema();
    let (hub, lease, no, mut other) = prepared(&schema).await;
    let before = commits(&mut other, &schema).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 1..=20 {
        let (hub, lease) = (hub.clone(), lease.clone());
        tasks.spawn(async move { hub.commit(&lease, turn(no, n)).await.unwrap() });
    }
    tasks.join_all().await;
    assert_eq!(turns(&hub, no).await, (1..=20).collect::<Vec<_>>());
    assert_eq!(commits(&mut other, &schema).await, before + 20);
    // Another store may go on under the same lease, as one that was opened again does.
    let again = open(schema).await;
    again.commit(&lease, turn(no, 21)).await.unwrap();
    hub.commit(&lease, turn(no, 22)).await.unwrap();
    assert_eq!(turns(&hub, no).await.len(), 22);
}

// --- outcomes -------------------------------------------------------------------------------

#[tokio::test]
async fn a_commit_whose_server_process_is_killed_happens_once() {
    let schema = new_schema();
    let (hub, lease, no, mut other) = prepared(&schema).await;
    let before = commits(&mut other, &schema).await;
    let mut watch = crate::world::other().await;
    run(&mut other, &schema, "BEGIN").await;
    run(&mut other, &schema, "SELECT 1 FROM @part WHERE id = 0 FOR UPDATE").await;
    let commit = tokio::spawn({
        let (hub, lease) = (hub.clone(), lease.clone());
        async move { hub.commit(&lease, turn(no, 1)).await }
    });
    let killed = waits_for_a_lock(&mut watch, &schema).await;
    run(&mut watch, &schema, &format!("SELECT pg_terminate_backend({killed})")).await;
    // It is sent again, and waits again.
    until(async || {
        let waiting = waits_for_a_lock(&mut watch, &schema).await;
        (waiting != killed).then_some(())
    })
    .await;
    run(&mut other, &schema, "COMMIT").await;
    commit.await.unwrap().unwrap();
    assert_eq!(turns(&hub, no).await, [1]);
    assert_eq!(commits(&mut other, &schema).await, before + 1);
}

/// A store behind a proxy.
async fn behind_a_proxy(schema: &str) -> (Proxy, PostgresStore) {
    let proxy = Proxy::start().await;
    let options = PostgresStore::options(proxy.url.clone()).schema(schema).notifications(false);
    let store = options.open().await.unwrap();
    (proxy, store)
}

/// A hub behind a proxy, with an instance in its first partition.
async fn proxied(schema: &str) -> (Proxy, Fixture, Lease, InstanceNo) {
    let (proxy, store) = behind_a_proxy(schema).await;
    let hub = Fixture::from(store);
    let (lease, no) = with_an_instance(&hub).await;
    (proxy, hub, lease, no)
}

/// A hub whose only connection waits for a lock, and that gets no other. Who has the lock, and the
/// commit that waits for it.
async fn without_connections(
    schema: &str,
) -> (Proxy, PostgresStore, PgConnection, JoinHandle<Result<()>>) {
    let (proxy, store) = behind_a_proxy(schema).await;
    let hub = Fixture::from(store.clone());
    let (lease, no) = with_an_instance(&hub).await;
    let (mut other, mut watch) = (other().await, crate::world::other().await);
    run(&mut other, schema, "BEGIN").await;
    run(&mut other, schema, "SELECT 1 FROM @part WHERE id = 0 FOR UPDATE").await;
    let commit = tokio::spawn(async move { hub.commit(&lease, turn(no, 1)).await });
    waits_for_a_lock(&mut watch, schema).await;
    proxy.answer_nobody_new();
    (proxy, store, other, commit)
}

/// So many reads, of which each waits for a connection.
async fn waiting_reads(
    proxy: &Proxy,
    store: &PostgresStore,
    count: usize,
) -> Vec<JoinHandle<Result<Vec<InstanceRecord>>>> {
    let read = |_| {
        let store = store.clone();
        tokio::spawn(async move { store.read_instances(&["a".to_owned()]).await })
    };
    let reads = (0..count).map(read).collect();
    until(async || (proxy.unanswered() > 0).then_some(())).await;
    reads
}

#[tokio::test]
async fn whoever_waits_for_a_connection_takes_one_that_is_given_back() {
    let schema = new_schema();
    let (proxy, store, mut other, commit) = without_connections(&schema).await;
    let reads = waiting_reads(&proxy, &store, 3).await;
    run(&mut other, &schema, "COMMIT").await;
    commit.await.unwrap().unwrap();
    for read in reads {
        assert_eq!(read.await.unwrap().unwrap().len(), 1);
    }
    // They waited for the same one to be made.
    assert_eq!(proxy.unanswered(), 1);
}

#[tokio::test]
async fn whoever_waits_for_a_connection_hears_that_the_store_is_closed() {
    let schema = new_schema();
    let (proxy, store, mut other, commit) = without_connections(&schema).await;
    let reads = waiting_reads(&proxy, &store, 3).await;
    store.close().await;
    for read in reads {
        // It is not left to the ten seconds that a connection may take.
        let read = tokio::time::timeout(Duration::from_secs(5), read).await.unwrap();
        let error = read.unwrap().unwrap_err();
        assert!(error.to_string().contains("closed"), "{error}");
    }
    run(&mut other, &schema, "COMMIT").await;
    commit.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_happens_once() {
    let schema = new_schema();
    let (proxy, hub, lease, no) = proxied(&schema).await;
    let mut other = other().await;
    let before = commits(&mut other, &schema).await;
    for n in 1..=3 {
        hub.commit(&lease, turn(no, 10 * n)).await.unwrap();
        proxy.lose_next_answer();
        hub.commit(&lease, turn(no, 10 * n + 1)).await.unwrap();
    }
    assert_eq!(turns(&hub, no).await, [10, 11, 20, 21, 30, 31]);
    assert_eq!(commits(&mut other, &schema).await, before + 6);
}

#[tokio::test]
async fn a_commit_of_which_nothing_can_be_learnt_says_so() {
    let schema = new_schema();
    let (proxy, hub, lease, no) = proxied(&schema).await;
    hub.commit(&lease, turn(no, 1)).await.unwrap();
    proxy.lose_next_answer_and_go_down();
    assert_refused(hub.commit(&lease, turn(no, 2)).await, OutcomeUnknown);
    assert_refused(hub.commit(&lease, turn(no, 3)).await, Unavailable);
    assert_refused(hub.poll(&lease, at(0), LIMIT).await, Unavailable);
    proxy.come_up();
    // It had happened.
    assert_eq!(turns(&hub, no).await, [1, 2]);
    hub.commit(&lease, turn(no, 3)).await.unwrap();
    assert_eq!(turns(&hub, no).await, [1, 2, 3]);
}

#[tokio::test]
async fn a_send_whose_answer_is_lost_stores_its_message_once() {
    let (proxy, hub, lease, _) = proxied(&new_schema()).await;
    // Prepares the statement, so that the next answer is the last.
    send(&hub, plain(message("m1", P0, "a"))).await;
    proxy.lose_next_answer();
    let answer = send(&hub, plain(message("m2", P0, "a"))).await;
    // It cannot be told from one that was sent before.
    assert_eq!(answer, Accepted::Duplicate);
    assert_eq!(inbox(&hub, &lease).await, ["m1", "m2"]);
    proxy.lose_next_answer();
    assert_refused(hub.purge_instances(&[InstanceNo(1)]).await, OutcomeUnknown);
    proxy.lose_next_answer();
    assert!(hub.reserve_numbers(1).await.unwrap() > 0);
}

#[tokio::test]
async fn connections_that_were_cut_while_they_lay_idle_are_made_anew() {
    let schema = new_schema();
    let (hub, lease, no, mut other) = prepared(&schema).await;
    let poll = || hub.poll(&lease, at(0), LIMIT);
    // Several lie idle.
    let (one, two, three) = tokio::join!(poll(), poll(), poll());
    assert!([one, two, three].iter().all(Result::is_ok));
    let kill = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE pid <> pg_backend_pid() AND query LIKE '%\"{schema}\"%'"
    );
    for n in 1..=3 {
        run(&mut other, &schema, &kill).await;
        assert_eq!(read(&hub, "a").await.unwrap().no, no);
        run(&mut other, &schema, &kill).await;
        hub.commit(&lease, turn(no, n)).await.unwrap();
        run(&mut other, &schema, &kill).await;
        fill(&hub, P0, &[&format!("m{n}")]).await;
        run(&mut other, &schema, &kill).await;
        assert_eq!(hub.renew_leases(std::slice::from_ref(&lease), at(90)).await.unwrap().len(), 1);
    }
    assert_eq!(turns(&hub, no).await, [1, 2, 3]);
    assert_eq!(inbox(&hub, &lease).await, ["m1", "m2", "m3"]);
}

#[tokio::test]
async fn a_commit_that_nobody_waits_for_harms_no_other() {
    let schema = new_schema();
    let (hub, lease, no, mut other) = prepared(&schema).await;
    for n in 0..10 {
        {
            let mut dropped = pin!(hub.commit(&lease, turn(no, 2 * n + 1)));
            // As far as it gets without waiting, and a little further each time.
            for _ in 0..n {
                let done = poll_fn(|context| Poll::Ready(dropped.as_mut().poll(context))).await;
                if done.is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        hub.commit(&lease, turn(no, 2 * n + 2)).await.unwrap();
    }
    let turns = turns(&hub, no).await;
    let waited: Vec<i64> = turns.iter().copied().filter(|turn| turn % 2 == 0).collect();
    assert_eq!(waited, (1..=10).map(|n| 2 * n).collect::<Vec<_>>());
    assert!(commits(&mut other, &schema).await >= 11);
}

// --- hints ----------------------------------------------------------------------------------

async fn wait_for_listeners(schema: &str, count: i64) {
    let mut other = other().await;
    let listens =
        format!("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%{schema}%'");
    until(async || (number(&mut other, schema, &listens).await == count).then_some(())).await;
}

#[tokio::test]
async fn a_store_hears_of_news_of_another() {
    let schema = new_schema();
    let (one, two) = (open(schema.clone()).await, open(schema.clone()).await);
    let _owner = one.hints();
    let mut news = two.news();
    wait_for_listeners(&schema, 2).await;
    while news.try_recv().is_ok() {}
    let (_, lease) = own_two(&one).await;
    one.commit(&lease, Batch { news: true, ..Batch::default() }).await.unwrap();
    heard(&mut news, P1).await;
}

#[tokio::test]
async fn a_store_hears_of_messages_of_another() {
    let schema = new_schema();
    let (one, two) = (open(schema.clone()).await, open(schema.clone()).await);
    let mut hints = two.hints();
    wait_for_listeners(&schema, 1).await;
    // What it was told when it began to listen says nothing.
    while hints.try_recv().is_ok() {}
    let (lease, _) = own_two(&one).await;
    let send = vec![plain(message("m1", P1, "target"))];
    one.commit(&lease, Batch { send, ..Batch::default() }).await.unwrap();
    hinted(&mut hints, P1).await;
    fill(&one, P0, &["m2"]).await;
    hinted(&mut hints, P0).await;
}
