//! Commits of several partitions that share a statement: all happen, or each is on its own.

use durable_store::StoreErrorKind::{Conflict, LeaseLost};
use durable_store::conformance::Fixture;
use durable_store::conformance::world::{
    P1, assert_refused, change, changes, consuming, create, fill, message, own, plain, read,
    strings, text,
};
use durable_store::{Batch, InstanceChange, InstanceNo, Lease, PostgresStore, Result};
use sqlx::PgConnection;
use tokio::task::JoinHandle;

use crate::proxy::Proxy;
use crate::sharing::{turns, waits_for_a_lock};
use crate::world::{new_schema, number, open, other, run};

/// Statements that a store has under way at the same time.
const LANES: usize = 2;

/// A hub whose partitions have an instance each.
struct Team {
    schema: String,
    hub: Fixture,
    leases: Vec<Lease>,
    instances: Vec<InstanceNo>,
    watch: PgConnection,
}

impl Team {
    async fn new() -> Self {
        let schema = new_schema();
        Self::of(schema.clone(), open(schema).await).await
    }

    async fn of(schema: String, hub: Fixture) -> Self {
        let leases = own(&hub, "owner").await;
        let mut instances = Vec::new();
        for lease in &leases {
            instances.push(create(&hub, lease, &format!("in {}", lease.partition.0)).await);
        }
        Self { schema, hub, leases, instances, watch: other().await }
    }

    /// Keeps every lane busy until the row of the last partition of each is let go.
    async fn occupy(&mut self) -> (PgConnection, Vec<JoinHandle<Result<()>>>) {
        let mut other = other().await;
        run(&mut other, &self.schema, "BEGIN").await;
        let first = self.leases.len() - LANES;
        let lock = format!("SELECT 1 FROM @part WHERE id >= {first} FOR UPDATE");
        run(&mut other, &self.schema, &lock).await;
        let commits = (first..self.leases.len()).map(|index| self.commit(index, self.turn(index)));
        let commits = commits.collect();
        waits_for_a_lock(&mut self.watch, &self.schema).await;
        (other, commits)
    }

    /// Commits of the first three partitions in one statement, which waits for the second row. Who
    /// has locked that, and the server process that waits for it.
    async fn group_that_waits(&mut self) -> (PgConnection, Vec<JoinHandle<Result<()>>>, i64) {
        let (mut blocker, first) = self.occupy().await;
        let group = (0..3).map(|index| self.commit(index, self.turn(index))).collect();
        settle().await;
        let mut second = other().await;
        run(&mut second, &self.schema, "BEGIN").await;
        run(&mut second, &self.schema, "SELECT 1 FROM @part WHERE id = 1 FOR UPDATE").await;
        run(&mut blocker, &self.schema, "COMMIT").await;
        all_happen(first).await;
        let waiting = waits_for_a_lock(&mut self.watch, &self.schema).await;
        (second, group, waiting)
    }

    fn turn(&self, index: usize) -> Batch {
        let history = vec![(1, text("events"))];
        changes(vec![InstanceChange { history, ..change(self.instances[index]) }])
    }

    /// A turn of the first instance that leaves it in this state.
    fn saying(&self, state: &str, turn: i64) -> Batch {
        let (state, history) = (Some(text(state)), vec![(turn, text("events"))]);
        changes(vec![InstanceChange { state, history, ..change(self.instances[0]) }])
    }

    fn commit(&self, index: usize, batch: Batch) -> JoinHandle<Result<()>> {
        let (hub, lease) = (self.hub.clone(), self.leases[index].clone());
        tokio::spawn(async move { hub.commit(&lease, batch).await })
    }

    /// In how many transactions the rows of these partitions were written last.
    async fn transactions(&mut self, ids: &str) -> i64 {
        let text = format!("SELECT count(DISTINCT xmin::text) FROM @part WHERE id IN ({ids})");
        number(&mut self.watch, &self.schema, &text).await
    }

    /// How many commits each partition has seen.
    async fn commits(&mut self) -> Vec<i64> {
        let mut all = Vec::new();
        for lease in &self.leases {
            let text = format!("SELECT commits FROM @part WHERE id = {}", lease.partition.0);
            all.push(number(&mut self.watch, &self.schema, &text).await);
        }
        all
    }

    async fn turns(&self, index: usize) -> Vec<i64> {
        turns(&self.hub, self.instances[index]).await
    }
}

/// Lets tasks that were spawned come as far as they do without waiting.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

async fn all_happen(commits: impl IntoIterator<Item = JoinHandle<Result<()>>>) {
    for commit in commits {
        commit.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_came_meanwhile_shares_a_statement() {
    let mut team = Team::new().await;
    let (mut blocker, first) = team.occupy().await;
    let group: Vec<_> = (0..3).map(|index| team.commit(index, team.turn(index))).collect();
    settle().await;
    run(&mut blocker, &team.schema, "COMMIT").await;
    all_happen(first.into_iter().chain(group)).await;
    assert_eq!(team.transactions("0, 1, 2").await, 1);
    for index in 0..3 {
        assert_eq!(team.turns(index).await, [1]);
    }
    // Each goes on from there.
    all_happen((3..6).map(|index| team.commit(index, team.turn(index)))).await;
}

#[tokio::test]
async fn commits_of_much_text_share_no_statement() {
    let mut team = Team::new().await;
    let (mut blocker, first) = team.occupy().await;
    // Two of them are more than the 4 MiB of a group.
    let large = text(&"x".repeat(5 << 19));
    let group: Vec<_> = (0..3)
        .map(|index| {
            let change =
                InstanceChange { state: Some(large.clone()), ..change(team.instances[index]) };
            team.commit(index, changes(vec![change]))
        })
        .collect();
    settle().await;
    run(&mut blocker, &team.schema, "COMMIT").await;
    all_happen(first.into_iter().chain(group)).await;
    assert_eq!(team.transactions("0, 1, 2").await, 3);
    for index in 0..3 {
        assert_eq!(
            read(&team.hub, &format!("in {index}")).await.unwrap().state,
            Some(large.clone())
        );
    }
}

#[tokio::test]
async fn one_that_is_refused_is_refused_alone() {
    let mut team = Team::new().await;
    run(&mut team.watch, &team.schema, "UPDATE @part SET epoch = epoch + 1 WHERE id = 3").await;
    let (mut blocker, first) = team.occupy().await;
    let good: Vec<_> = [0, 2].map(|index| team.commit(index, team.turn(index))).into();
    let conflicts = team.commit(1, consuming(&["unknown"]));
    let is_stale = team.commit(3, team.turn(3));
    settle().await;
    run(&mut blocker, &team.schema, "COMMIT").await;
    all_happen(first.into_iter().chain(good)).await;
    assert_refused(conflicts.await.unwrap(), Conflict);
    assert_refused(is_stale.await.unwrap(), LeaseLost);
    assert_eq!((team.turns(0).await, team.turns(2).await), (vec![1], vec![1]));
    assert!(team.turns(1).await.is_empty() && team.turns(3).await.is_empty());
    all_happen([team.commit(1, team.turn(1))]).await;
}

#[tokio::test]
async fn a_commit_would_be_worked_on_at_once_while_a_lane_is_free() {
    let mut team = Team::new().await;
    assert!(team.hub.ready_to_commit().is_none());
    let (mut blocker, first) = team.occupy().await;
    let mut ready = team.hub.ready_to_commit().unwrap();
    tokio::select! {
        biased;
        () = &mut ready => panic!("no lane is free"),
        () = settle() => {}
    }
    run(&mut blocker, &team.schema, "COMMIT").await;
    all_happen(first).await;
    ready.await;
    assert!(team.hub.ready_to_commit().is_none());
}

#[tokio::test]
async fn commits_whose_answer_is_lost_happen_once() {
    let schema = new_schema();
    let proxy = Proxy::start().await;
    let options = PostgresStore::options(proxy.url.clone()).schema(&*schema).notifications(false);
    let hub = Fixture::from(options.open().await.unwrap());
    let mut team = Team::of(schema, hub).await;
    let before: Vec<i64> = team.commits().await;
    let (mut second, group, _) = team.group_that_waits().await;
    proxy.lose_next_answer();
    run(&mut second, &team.schema, "COMMIT").await;
    all_happen(group).await;
    assert_eq!(team.transactions("0, 1, 2").await, 1);
    for index in 0..3 {
        assert_eq!(team.turns(index).await, [1]);
    }
    let after: Vec<i64> = team.commits().await;
    assert_eq!(after[..3], before[..3].iter().map(|count| count + 1).collect::<Vec<_>>());
    // What is known of each partition is right.
    let again = |index: usize| {
        let history = vec![(2, text("events"))];
        changes(vec![InstanceChange { history, ..change(team.instances[index]) }])
    };
    all_happen((0..3).map(|index| team.commit(index, again(index)))).await;
}

#[tokio::test]
async fn one_that_nobody_waits_for_does_not_come_after_a_later_one() {
    let mut team = Team::new().await;
    for round in 0..10 {
        let (mut blocker, first) = team.occupy().await;
        let dropped = team.commit(0, team.saying("earlier", 2 * round + 1));
        settle().await;
        dropped.abort();
        settle().await;
        let later = team.commit(0, team.saying("later", 2 * round + 2));
        settle().await;
        run(&mut blocker, &team.schema, "COMMIT").await;
        for blocked in first {
            // The same turn is refused from the second round on.
            drop(blocked.await.unwrap());
        }
        all_happen([later]).await;
        // Whether or not the other one has happened, and then before it.
        let record = read(&team.hub, "in 0").await.unwrap();
        assert_eq!(record.state.as_deref(), Some("later"), "round {round}");
    }
}

#[tokio::test]
async fn commits_that_depend_on_each_other_are_apart() {
    let mut team = Team::new().await;
    fill(&team.hub, P1, &["m1"]).await;
    let (mut blocker, first) = team.occupy().await;
    // One sends what the other takes from its inbox.
    let send = vec![plain(message("m1", P1, "in 1"))];
    let sending = Batch { send, ..team.turn(0) };
    let taking = Batch { consume: strings(&["m1"]), ..team.turn(1) };
    let group = vec![team.commit(0, sending), team.commit(1, taking)];
    settle().await;
    run(&mut blocker, &team.schema, "COMMIT").await;
    all_happen(first.into_iter().chain(group)).await;
    assert_eq!(team.transactions("0, 1").await, 2);
    assert_eq!(team.turns(1).await, [1]);
}

#[tokio::test]
async fn commits_whose_server_process_is_killed_happen_once() {
    let mut team = Team::new().await;
    let (mut second, group, killed) = team.group_that_waits().await;
    run(&mut team.watch, &team.schema, &format!("SELECT pg_terminate_backend({killed})")).await;
    let mut group = group.into_iter();
    let (zero, one, two) = (group.next().unwrap(), group.next().unwrap(), group.next().unwrap());
    all_happen([zero, two]).await;
    assert!(!one.is_finished());
    run(&mut second, &team.schema, "COMMIT").await;
    all_happen([one]).await;
    for index in 0..3 {
        assert_eq!(team.turns(index).await, [1]);
    }
}
