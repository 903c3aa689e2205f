//! Applies batches. A commit is one statement, which begins with the row of its partition and
//! changes nothing unless the lease is current and the last commit is the one that the sender
//! knows. So it can be sent again, byte for byte, when its answer was lost: it is applied once, and
//! the mark in the row says whether it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sqlx::Row;
use sqlx::postgres::PgRow;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::check::lease_lost;
use crate::error::{StoreError, StoreErrorKind};
use crate::model::{Batch, Lease, PartitionId};
use crate::store::Result;

use super::Inner;
use super::errors::{Failure, broken_expectation, classify, in_doubt};
use super::gathering::{Gathering, Grouped, Lane, hand_in};
use super::parts::{Group, Leased, is_entangled, of_batches};
use super::pool::{Delays, Ran, Used};
use super::sql;
use super::statement::{Names, Part, Statement, Value};

/// Statements that are under way at the same time. Each has its price however much it carries: a
/// start took 19 µs of the server's processor with one lane, 26 with two, 29 with three, and 33 when
/// each partition had a statement of its own. A second one works while the first waits for the disk.
const LANES: usize = 2;
/// How long a lane waits for commits that could not share a statement.
const LANE_PATIENCE: Duration = Duration::from_secs(1);
/// Most text of commits that share a statement, in bytes; a larger one is sent alone.
const MAX_GROUP_BYTES: usize = 4 * 1024 * 1024;

/// The last commit of a partition as this process knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    epoch: i64,
    commits: i64,
}

impl Known {
    /// After one more.
    fn next(self) -> Self {
        Self { commits: self.commits + 1, ..self }
    }
}

/// What this process knows of the commits of each partition. They are made one after the other.
#[derive(Debug)]
pub(super) struct Ledger {
    known: Vec<Mutex<Option<Known>>>,
    /// The mark of the next commit: different in every process by its random beginning.
    next_mark: AtomicI64,
}

impl Ledger {
    pub(super) fn new(partitions: u16, seed: u64) -> Self {
        Self {
            known: (0..partitions).map(|_| Mutex::default()).collect(),
            next_mark: AtomicI64::new(seed.cast_signed()),
        }
    }

    fn of(&self, partition: PartitionId) -> Option<&Mutex<Option<Known>>> {
        self.known.get(usize::from(partition.0))
    }

    /// Remembers what the taking of a lease told. A commit under way finds out by itself.
    pub(super) fn begin(&self, lease: &Lease, commits: i64) {
        let Some(Ok(mut known)) = self.of(lease.partition).map(Mutex::try_lock) else { return };
        *known = Some(Known { epoch: lease.epoch, commits });
    }
}

/// The row of a partition.
struct Stored {
    epoch: i64,
    owned: bool,
    commits: i64,
    mark: i64,
}

/// A commit that is to be made.
#[derive(Debug)]
pub(super) struct Commit {
    lease: Lease,
    batch: Batch,
    bytes: usize,
    before: Known,
    mark: i64,
}

/// One that shares a statement with others.
#[derive(Debug)]
pub(super) struct Shared {
    commit: Commit,
    answer: oneshot::Sender<Result<Known>>,
}

impl Grouped for Shared {
    fn gathering(inner: &Inner) -> &Gathering<Self> {
        &inner.commits
    }

    fn weight(&self) -> usize {
        self.commit.bytes
    }

    async fn run(inner: &Arc<Inner>, group: Vec<Self>) {
        commit_group(inner, group).await;
    }
}

/// What is committed, as it waits.
pub(super) fn commits() -> Gathering<Shared> {
    Gathering::new(LANES, MAX_GROUP_BYTES)
}

/// Makes a commit, alone or with others.
async fn make(inner: &Arc<Inner>, commit: Commit) -> Result<Known> {
    if let Some(_lane) = Lane::<Shared>::alone(inner) {
        return inner.apply(commit, None, || true).await;
    }
    let (answer, answers) = oneshot::channel();
    hand_in(inner, Shared { commit, answer });
    let ended = |_| {
        let detail = "the runtime has ended: the commit may have happened";
        Err(StoreError::new(StoreErrorKind::OutcomeUnknown, "commit", detail))
    };
    answers.await.unwrap_or_else(ended)
}

/// Makes commits of several partitions in one statement, or each alone if that cannot be.
async fn commit_group(inner: &Arc<Inner>, group: Vec<Shared>) {
    // One whose own parts have to see each other would keep the others from it.
    let (apart, mut together): (Vec<Shared>, Vec<Shared>) =
        group.into_iter().partition(|shared| is_entangled(&leased(&[&shared.commit])));
    // Whoever locks the same rows does so in the same order.
    together.sort_by_key(|shared| shared.commit.lease.partition);
    let mut alone = JoinSet::new();
    match inner.apply_together(&together).await {
        Ok(true) => {
            for Shared { commit, answer } in together {
                // Nobody waits any more: it happened all the same.
                let _ = answer.send(Ok(commit.before.next()));
            }
        }
        failed => {
            for shared in together {
                let doubt = failed.as_ref().err().and_then(Failure::doubt);
                alone.spawn(apply_alone(Arc::clone(inner), shared, doubt));
            }
        }
    }
    for shared in apart {
        alone.spawn(apply_alone(Arc::clone(inner), shared, None));
    }
    // The lane is left when all is done, but it does not wait for one that gets no answer.
    let all_done = async { while alone.join_next().await.is_some() {} };
    if timeout(LANE_PATIENCE, all_done).await.is_err() {
        alone.detach_all();
    }
}

async fn apply_alone(inner: Arc<Inner>, shared: Shared, doubt: Option<Failure>) {
    let Shared { commit, answer } = shared;
    let result = inner.apply(commit, doubt, || !answer.is_closed()).await;
    let _ = answer.send(result);
}

impl Inner {
    /// See [`Store::commit`](crate::Store::commit). The batch was checked, and has so much text.
    pub(super) async fn commit(
        self: &Arc<Self>,
        lease: &Lease,
        batch: Batch,
        bytes: usize,
    ) -> Result<()> {
        let Some(known) = self.ledger.of(lease.partition) else {
            return Err(lease_lost("commit", lease));
        };
        let mut known = known.lock().await;
        // Forgotten first: whoever drops this in the middle does not know how it ended.
        let before = match known.take().filter(|known| known.epoch == lease.epoch) {
            Some(known) => known,
            None => self.look(lease).await?,
        };
        let mark = self.ledger.next_mark.fetch_add(1, Ordering::Relaxed);
        let commit = Commit { lease: lease.clone(), batch, bytes, before, mark };
        *known = Some(make(self, commit).await?);
        Ok(())
    }

    /// Reads what is to be known before a commit.
    async fn look(&self, lease: &Lease) -> Result<Known> {
        match self.read_part(lease).await? {
            Some(part) if part.owned && part.epoch == lease.epoch => {
                Ok(Known { epoch: part.epoch, commits: part.commits })
            }
            _ => Err(lease_lost("commit", lease)),
        }
    }

    async fn read_part(&self, lease: &Lease) -> Result<Option<Stored>> {
        let values = vec![Value::Number(i64::from(lease.partition.0))];
        let statement = Statement::of(&self.names, sql::READ_PART, values);
        let rows = self.pool.run_again(&statement).await;
        let rows = rows.map_err(|failure| classify("commit", &self.place, failure))?;
        let decode = |row: &PgRow| {
            Ok(Stored {
                epoch: row.try_get(0)?,
                owned: row.try_get(1)?,
                commits: row.try_get(2)?,
                mark: row.try_get(3)?,
            })
        };
        let part = rows.first().map(decode).transpose();
        part.map_err(|error| classify("commit", &self.place, Failure::before(error)))
    }

    /// Sends commits of several partitions in one statement. Whether that was possible and all of
    /// them have happened; otherwise none has.
    async fn apply_together(&self, group: &[Shared]) -> Ran<bool> {
        let commits: Vec<&Commit> = group.iter().map(|shared| &shared.commit).collect();
        if commits.len() < 2 || is_entangled(&leased(&commits)) {
            return Ok(false);
        }
        self.run_script(&Script::in_one(&self.names, &commits)).await
    }

    /// Sends the commit until it is known what became of it. If it is open whether it has happened
    /// already, `doubt` is the failure that left it so. `is_wanted` says whether somebody still waits
    /// for it: one that nobody waits for must not come after one that was begun later.
    async fn apply(
        &self,
        mut commit: Commit,
        mut doubt: Option<Failure>,
        is_wanted: impl Fn() -> bool,
    ) -> Result<Known> {
        let mut delays = Delays::default();
        loop {
            let script = Script::of(&self.names, &commit);
            let Commit { lease, before, mark, .. } = &mut commit;
            let failure = match self.run_script(&script).await {
                Ok(true) => return Ok(before.next()),
                Ok(false) => {
                    let part = match self.read_part(lease).await {
                        Ok(part) => part,
                        Err(error) => return Err(self.unresolved(doubt, error)),
                    };
                    match part {
                        // It had happened. The lease may be lost since then, as after any commit.
                        Some(part) if part.mark == *mark => {
                            return Ok(Known { commits: part.commits, ..*before });
                        }
                        Some(part)
                            if part.owned
                                && part.epoch == lease.epoch
                                && is_wanted()
                                && delays.next().await =>
                        {
                            // A commit of this process that nobody waited for came in between.
                            before.commits = part.commits;
                            continue;
                        }
                        // Another owner: it may have happened before him.
                        _ => return Err(self.unresolved(doubt, lease_lost("commit", lease))),
                    }
                }
                Err(failure) => failure,
            };
            let again = failure.is_passing() && delays.next().await;
            if failure.is_in_doubt() {
                doubt = Some(failure);
            } else if !again {
                let error = self.refusal(lease, failure);
                return Err(self.unresolved(doubt, error));
            }
            if !again && let Some(failure) = doubt {
                return Err(in_doubt("commit", &self.place, failure));
            }
        }
    }

    /// The error of a commit that was refused now, and may have happened before if there is a doubt.
    fn unresolved(&self, doubt: Option<Failure>, error: StoreError) -> StoreError {
        match doubt {
            // What is refused for what it says was refused before: it had no effect.
            Some(_) if error.kind() == StoreErrorKind::Conflict => error,
            Some(failure) => in_doubt("commit", &self.place, failure),
            None => error,
        }
    }

    fn refusal(&self, lease: &Lease, failure: Failure) -> StoreError {
        let Some(expectation) = broken_expectation(&failure.error) else {
            return classify("commit", &self.place, failure);
        };
        let what = expectation.replace('_', " ");
        let partition = lease.partition.0;
        let detail =
            format!("the batch of partition {partition} names {what}: not all are as it expects");
        StoreError::new(StoreErrorKind::Conflict, "commit", detail).with_source(failure.error)
    }

    /// Runs a commit. Whether its gate was open.
    async fn run_script(&self, script: &Script) -> Ran<bool> {
        let Script { first, then } = script;
        let mut used = self.pool.acquire().await?;
        if then.is_empty() {
            let result = used.run(first).await;
            used.give_back();
            return is_open(&result?);
        }
        let result = transaction(&mut used, first, then).await;
        match &result {
            Ok(true) => used.give_back(),
            // Rolled back with its connection, if not in order.
            _ => {
                if used.execute(sql::ROLLBACK).await.is_ok() {
                    used.give_back();
                }
            }
        }
        result
    }
}

/// Runs the statements of a transaction, as long as the first finds its gate open.
pub(super) async fn transaction(
    used: &mut Used<'_>,
    first: &Statement,
    then: &[Statement],
) -> Ran<bool> {
    used.execute(sql::BEGIN).await?;
    if !is_open(&used.run(first).await?)? {
        return Ok(false);
    }
    for statement in then {
        used.run(statement).await?;
    }
    used.execute(sql::COMMIT).await?;
    Ok(true)
}

/// Whether the statement found its gate open.
pub(super) fn is_open(rows: &[PgRow]) -> Ran<bool> {
    let count =
        rows.first().ok_or(sqlx::Error::RowNotFound).and_then(|row| row.try_get::<i64, _>(0));
    count.map(|count| count > 0).map_err(Failure::before)
}

/// The statements of a commit: one, or as many as there are parts that have to see each other.
struct Script {
    first: Statement,
    then: Vec<Statement>,
}

impl Script {
    /// Of one commit.
    fn of(names: &Names, commit: &Commit) -> Self {
        let leased = leased(&[commit]);
        if !is_entangled(&leased) {
            return Self::in_one(names, &[commit]);
        }
        let mut first = gate(names, &[commit]);
        close(&mut first, std::iter::empty());
        Self { first, then: behind(names, of_batches(&leased)) }
    }

    /// Of commits that happen together or not at all, none of which has to see what another did.
    fn in_one(names: &Names, commits: &[&Commit]) -> Self {
        let mut first = gate(names, commits);
        close(&mut first, of_batches(&leased(commits)).into_iter().flatten());
        Self { first, then: Vec::new() }
    }
}

/// The beginning of a statement that makes commits.
fn gate(names: &Names, commits: &[&Commit]) -> Statement {
    if let [Commit { lease, before, mark, .. }] = commits {
        let (partition, epoch) = (i64::from(lease.partition.0), lease.epoch);
        let values = [*mark, partition, epoch, before.commits].map(Value::Number);
        return Statement::of(names, sql::GATE_COMMIT, values.into());
    }
    let values = vec![
        Value::numbers(commits, |commit| commit.mark),
        Value::numbers(commits, |commit| i64::from(commit.lease.partition.0)),
        Value::numbers(commits, |commit| commit.lease.epoch),
        Value::numbers(commits, |commit| commit.before.commits),
        Value::Number(i64::try_from(commits.len()).unwrap_or(i64::MAX)),
    ];
    Statement::of(names, sql::GATE_COMMITS, values)
}

fn leased<'a>(commits: &[&'a Commit]) -> Vec<Leased<'a>> {
    commits.iter().map(|commit| (&commit.lease, &commit.batch)).collect()
}

/// Adds the rest of a statement to its gate. What has a single row has it throughout: there are few
/// texts to be prepared so.
pub(super) fn close<'a>(statement: &mut Statement, parts: impl Iterator<Item = Part<'a>>) {
    let parts: Vec<Part<'_>> = parts.collect();
    let push =
        if parts.iter().all(Part::is_single) { Statement::push_single } else { Statement::push };
    for part in parts {
        statement.extend(",\n");
        push(statement, part);
    }
    statement.extend(sql::END);
}

/// Statements that follow a gate in its transaction.
pub(super) fn behind(names: &Names, groups: Vec<Group<'_>>) -> Vec<Statement> {
    let statement = |group: Group<'_>| {
        let mut statement = Statement::of(names, sql::GATE_OPEN, vec![]);
        close(&mut statement, group.into_iter());
        statement
    };
    groups.into_iter().map(statement).collect()
}
