//! The one writer of a store. Operations queue up; whatever waits is applied in one transaction,
//! so that many callers share one flush. An operation, once queued, is applied wholly or not at
//! all, whether or not its caller still waits.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, Executor, Row, SqliteConnection};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use crate::Timestamp;
use crate::error::{StoreError, StoreErrorKind};
use crate::model::{Accepted, Envelope, InstanceNo, Lease, PartitionId, Peer};
use crate::store::Result;

use super::batch::{CommitScript, delete_marked};
use super::errors::{classify, classify_commit, is_constraint};
use super::liveness::LockFiles;
use super::script::{Place, Script, Stopped};
use super::{leases, sending, sql};

/// Operations that may wait for the writer; further callers wait to enter the queue.
pub(super) const MAX_QUEUED_OPERATIONS: usize = 1024;
/// Operations that one transaction takes.
const MAX_GROUP_OPERATIONS: usize = 256;
/// Size of the lists that one transaction takes, in bytes; a single larger operation is taken too.
const MAX_GROUP_BYTES: usize = 64 * 1024 * 1024;
/// How often changes by other processes are looked for while somebody listens for hints.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);
/// Transactions after which the write-ahead log is copied back in the background.
const CHECKPOINT_GROUPS: usize = 1024;
/// Bytes of lists after which it is copied back, if that comes first.
const CHECKPOINT_BYTES: usize = 8 * 1024 * 1024;
/// Rows that one operation of a cleaning deletes, so that no commit waits long for it.
pub(super) const CLEAN_ROWS: u32 = 5_000;

/// What the writer can be asked for.
pub(super) enum Work {
    Commit(CommitScript),
    Send {
        envelopes: Vec<Envelope>,
        now: Timestamp,
    },
    Reserve {
        count: u32,
    },
    CheckIn {
        worker: String,
        now: Timestamp,
        expires_at: Timestamp,
    },
    Acquire {
        owner: String,
        limit: u16,
        held: Vec<PartitionId>,
        now: Timestamp,
        expires_at: Timestamp,
    },
    Renew {
        leases: Vec<Lease>,
        expires_at: Timestamp,
    },
    Release {
        leases: Vec<Lease>,
    },
    Clean {
        receipts_before: Timestamp,
        replies_before: Timestamp,
    },
    Purge {
        numbers: Vec<InstanceNo>,
    },
    Sweep,
}

impl Work {
    fn operation(&self) -> &'static str {
        match self {
            Self::Commit(_) => "commit",
            Self::Send { .. } => "send",
            Self::Reserve { .. } => "reserve_numbers",
            Self::CheckIn { .. } => "check_in",
            Self::Acquire { .. } => "acquire_leases",
            Self::Renew { .. } => "renew_leases",
            Self::Release { .. } => "release_leases",
            Self::Clean { .. } | Self::Sweep => "clean",
            Self::Purge { .. } => "purge_instances",
        }
    }

    /// Whether a worker may need its lock file no more.
    fn is_farewell(&self) -> bool {
        match self {
            Self::Release { .. } => true,
            Self::CheckIn { now, expires_at, .. } => expires_at <= now,
            _ => false,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Commit(commit) => commit.script().bytes(),
            Self::Send { envelopes, .. } => {
                envelopes.iter().map(|envelope| envelope.message.body.len()).sum()
            }
            _ => 0,
        }
    }
}

/// What it answers.
pub(super) enum Output {
    Done,
    Accepted(Vec<Accepted>),
    Number(i64),
    Purged(Vec<InstanceNo>),
    Leases(Vec<Lease>),
    Peers(Vec<Peer>),
    /// Whether there may be more to clean.
    More(bool),
}

/// An entry of the queue.
pub(super) enum Job {
    Work(Work, oneshot::Sender<Result<Output>>),
    /// Finish what was queued before, and end.
    Close(oneshot::Sender<Result<()>>),
}

/// Why an operation did not happen.
pub(super) enum Failure {
    /// It was refused, and the transaction goes on without it.
    Refused(StoreError),
    /// The database failed, and the transaction with it.
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

/// The writer's connection and what goes with it.
pub(super) struct Writer {
    pub(super) connection: SqliteConnection,
    pub(super) path: Arc<PathBuf>,
    pub(super) locks: LockFiles,
    pub(super) hints: broadcast::Sender<PartitionId>,
    pub(super) partitions: u16,
    /// Wakes the task that copies the write-ahead log back.
    pub(super) checkpoint: mpsc::Sender<()>,
    pub(super) checkpointer: tokio::task::JoinHandle<()>,
    /// The other connections' changes as last seen.
    pub(super) data_version: i64,
    pub(super) groups: usize,
    pub(super) bytes: usize,
}

type Answers = Vec<oneshot::Sender<Result<Output>>>;
type Outputs = Vec<Result<Output>>;

impl Writer {
    /// Works until the store is closed or dropped.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut watch = tokio::time::interval(WATCH_INTERVAL);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let job = tokio::select! {
                job = queue.recv() => job,
                _ = watch.tick() => {
                    self.watch().await;
                    continue;
                }
            };
            match job {
                None => return,
                Some(Job::Close(closed)) => return self.close(queue, closed).await,
                Some(Job::Work(work, answer)) => {
                    if let Some(closed) = self.group(work, answer, &mut queue).await {
                        return self.close(queue, closed).await;
                    }
                }
            }
        }
    }

    /// Applies a group of operations that begins with `work`. Returns who wants the store closed,
    /// if that is what comes next.
    async fn group(
        &mut self,
        work: Work,
        answer: oneshot::Sender<Result<Output>>,
        queue: &mut mpsc::Receiver<Job>,
    ) -> Option<oneshot::Sender<Result<()>>> {
        let mut bytes = work.bytes();
        let (mut works, mut answers, mut close) = (vec![work], vec![answer], None);
        while works.len() < MAX_GROUP_OPERATIONS && bytes < MAX_GROUP_BYTES {
            match queue.try_recv() {
                Ok(Job::Work(work, answer)) => {
                    bytes += work.bytes();
                    works.push(work);
                    answers.push(answer);
                }
                Ok(Job::Close(closed)) => {
                    close = Some(closed);
                    break;
                }
                Err(_) => break,
            }
        }
        self.apply_group(&works, answers).await;
        self.groups += 1;
        self.bytes += bytes;
        if self.groups >= CHECKPOINT_GROUPS || self.bytes >= CHECKPOINT_BYTES {
            (self.groups, self.bytes) = (0, 0);
            // Full means that the task is about to run anyway.
            let _ = self.checkpoint.try_send(());
        }
        close
    }

    async fn apply_group(&mut self, works: &[Work], answers: Answers) {
        // Refusals are rare, so the first attempt does without savepoints.
        let mut hints = BTreeSet::new();
        let mut result = self.attempt(works, false, &mut hints).await;
        if works.len() > 1
            && let Ok(outputs) = &result
            && outputs.iter().any(Result::is_err)
        {
            hints.clear();
            result = self.attempt(works, true, &mut hints).await;
        }
        match result {
            Ok(outputs) => {
                if works.iter().any(Work::is_farewell) {
                    self.drop_locks().await;
                }
                for (answer, output) in answers.into_iter().zip(outputs) {
                    // Nobody waits any more: it happened all the same.
                    let _ = answer.send(output);
                }
                for partition in hints {
                    let _ = self.hints.send(partition);
                }
            }
            Err(Ended { at_commit, error }) => {
                let classify = if at_commit { classify_commit } else { classify };
                for (work, answer) in works.iter().zip(answers) {
                    let _ = answer.send(Err(classify(work.operation(), &self.path, &error)));
                }
            }
        }
    }
}

/// The failure of a whole transaction.
struct Ended {
    /// Whether everything was applied already and the final `COMMIT` failed.
    at_commit: bool,
    error: Arc<sqlx::Error>,
}

impl From<sqlx::Error> for Ended {
    fn from(error: sqlx::Error) -> Self {
        Self { at_commit: false, error: Arc::new(error) }
    }
}

/// What a script does besides its statements, to save a call.
#[derive(Clone, Copy, Default)]
struct Edges {
    begins: bool,
    ends: bool,
}

impl Writer {
    /// Applies every operation in one transaction. If `isolated`, a refused one is undone alone;
    /// otherwise a refusal undoes everything, and there may be fewer outputs than operations.
    async fn attempt(
        &mut self,
        works: &[Work],
        isolated: bool,
        hints: &mut BTreeSet<PartitionId>,
    ) -> std::result::Result<Outputs, Ended> {
        let outputs = if isolated {
            self.apply_isolated(works, hints).await
        } else {
            self.apply_together(works, hints).await
        };
        let refused = |outputs: &Outputs| !isolated && outputs.iter().any(Result::is_err);
        if outputs.as_ref().map_or(true, refused) {
            self.roll_back().await;
        }
        outputs
    }

    /// Without savepoints; stops at the first refusal. All sends of the group are one.
    async fn apply_together(
        &mut self,
        works: &[Work],
        hints: &mut BTreeSet<PartitionId>,
    ) -> std::result::Result<Outputs, Ended> {
        let mut edges = Edges {
            begins: matches!(works.first(), Some(Work::Commit(_))),
            ends: matches!(works.last(), Some(Work::Commit(_))),
        };
        let ends = edges.ends;
        if !edges.begins {
            self.connection.execute(sql::BEGIN).await?;
        }
        let mut sent = VecDeque::new();
        let mut outputs = Vec::with_capacity(works.len());
        for (place, work) in works.iter().enumerate() {
            if matches!(work, Work::Send { .. }) {
                if sent.is_empty() {
                    match self.send_all(&works[place..], hints).await? {
                        Ok(answers) => sent = answers,
                        Err(refused) => return Ok(vec![Err(refused)]),
                    }
                }
                outputs.push(Ok(Output::Accepted(sent.pop_front().unwrap_or_default())));
                continue;
            }
            edges.ends = ends && place + 1 == works.len();
            let output = self.apply(work, edges, hints).await?;
            edges.begins = false;
            let refused = output.is_err();
            outputs.push(output);
            if refused {
                return Ok(outputs);
            }
        }
        if !ends {
            self.commit().await?;
        }
        Ok(outputs)
    }

    /// With a savepoint around each operation.
    async fn apply_isolated(
        &mut self,
        works: &[Work],
        hints: &mut BTreeSet<PartitionId>,
    ) -> std::result::Result<Outputs, Ended> {
        self.connection.execute(sql::BEGIN).await?;
        let mut outputs = Vec::with_capacity(works.len());
        for work in works {
            self.connection.execute(sql::SAVEPOINT).await?;
            let output = self.apply(work, Edges::default(), hints).await?;
            let end = if output.is_ok() { sql::RELEASE } else { sql::ROLLBACK_TO };
            self.connection.execute(end).await?;
            outputs.push(output);
        }
        self.commit().await?;
        Ok(outputs)
    }

    async fn commit(&mut self) -> std::result::Result<(), Ended> {
        let committed = self.connection.execute(sql::COMMIT).await;
        committed.map(drop).map_err(|error| Ended { at_commit: true, error: Arc::new(error) })
    }

    /// Sends what all the sends among `works` hold, and returns the answers of each.
    async fn send_all(
        &mut self,
        works: &[Work],
        hints: &mut BTreeSet<PartitionId>,
    ) -> std::result::Result<Result<VecDeque<Vec<Accepted>>>, Ended> {
        let sends = || {
            works.iter().filter_map(|work| match work {
                Work::Send { envelopes, now } => Some((envelopes, *now)),
                _ => None,
            })
        };
        let envelopes: Vec<_> =
            sends().flat_map(|(envelopes, now)| envelopes.iter().map(move |e| (e, now))).collect();
        let accepted = sending::accept(&mut self.connection, &envelopes, hints).await;
        let mut answers = match self.settle("send", accepted)? {
            Ok(answers) => answers.into_iter(),
            Err(refused) => return Ok(Err(refused)),
        };
        let split = sends().map(|(envelopes, _)| answers.by_ref().take(envelopes.len()).collect());
        Ok(Ok(split.collect()))
    }

    /// Tells apart what concerns one operation and what ends the transaction.
    fn settle<T>(
        &self,
        operation: &'static str,
        result: std::result::Result<T, Failure>,
    ) -> std::result::Result<Result<T>, Ended> {
        match result {
            Ok(output) => Ok(Ok(output)),
            Err(Failure::Refused(refused)) => Ok(Err(refused)),
            Err(Failure::Database(error)) if is_constraint(&error) => {
                Ok(Err(classify(operation, &self.path, &Arc::new(error))))
            }
            Err(Failure::Database(error)) => Err(error.into()),
        }
    }

    async fn apply(
        &mut self,
        work: &Work,
        edges: Edges,
        hints: &mut BTreeSet<PartitionId>,
    ) -> std::result::Result<Result<Output>, Ended> {
        if let Work::Commit(commit) = work {
            return self.apply_commit(commit, edges, hints).await;
        }
        let output = self.apply_other(work, hints).await;
        self.settle(work.operation(), output)
    }

    async fn apply_commit(
        &mut self,
        commit: &CommitScript,
        edges: Edges,
        hints: &mut BTreeSet<PartitionId>,
    ) -> std::result::Result<Result<Output>, Ended> {
        let script = commit.script();
        match script.run_as_part(&mut self.connection, edges.begins, edges.ends).await {
            Ok(()) => {
                hints.extend(&commit.hints);
                Ok(Ok(Output::Done))
            }
            Err(Stopped { at: Place::Statement(done), error }) if is_constraint(&error) => {
                let refused = commit.refusal(done);
                Ok(Err(refused.unwrap_or_else(|| classify("commit", &self.path, &Arc::new(error)))))
            }
            Err(Stopped { at, error }) => {
                Err(Ended { at_commit: at == Place::Commit, error: Arc::new(error) })
            }
        }
    }

    async fn apply_other(
        &mut self,
        work: &Work,
        hints: &mut BTreeSet<PartitionId>,
    ) -> std::result::Result<Output, Failure> {
        let connection = &mut self.connection;
        match work {
            // Commits have their own way, because they can begin and end a transaction.
            Work::Commit(_) => Ok(Output::Done),
            Work::Send { envelopes, now } => {
                let envelopes: Vec<_> = envelopes.iter().map(|e| (e, *now)).collect();
                sending::accept(connection, &envelopes, hints).await.map(Output::Accepted)
            }
            Work::Reserve { count } => {
                let row = sqlx::query(sql::RESERVE_NUMBERS)
                    .bind(i64::from(*count))
                    .bind(i64::from(*count))
                    .fetch_one(connection)
                    .await?;
                Ok(Output::Number(row.try_get(0)?))
            }
            Work::CheckIn { worker, now, expires_at } => {
                leases::check_in(connection, &mut self.locks, worker, *now, *expires_at)
                    .await
                    .map(Output::Peers)
            }
            Work::Acquire { owner, limit, held, now, expires_at } => {
                let locks = &mut self.locks;
                leases::acquire(connection, locks, owner, *limit, held, *now, *expires_at)
                    .await
                    .map(Output::Leases)
            }
            Work::Renew { leases, expires_at } => {
                leases::renew(connection, leases, *expires_at).await.map(Output::Leases)
            }
            Work::Release { leases } => {
                leases::release(connection, leases).await.map(|()| Output::Done)
            }
            Work::Clean { receipts_before, replies_before } => {
                clean(connection, *receipts_before, *replies_before).await
            }
            Work::Purge { numbers } => purge(connection, numbers).await,
            Work::Sweep => sweep(connection).await,
        }
    }

    /// Ends the transaction, unless the failure has ended it already.
    async fn roll_back(&mut self) {
        if let Err(error) = self.connection.execute(sql::ROLLBACK).await {
            tracing::debug!(%error, "nothing to roll back");
        }
    }

    /// Gives back the lock files of workers that hold no partition any more.
    async fn drop_locks(&mut self) {
        match sqlx::query_scalar(sql::READ_OWNERS).fetch_all(&mut self.connection).await {
            Ok(owners) => self.locks.keep(&HashSet::from_iter(owners)),
            Err(error) => tracing::debug!(%error, "the lock files are kept"),
        }
    }

    /// Hints at every partition if another connection changed something. `data_version` does not
    /// count what its own connection wrote, which is why the writer asks.
    async fn watch(&mut self) {
        if self.hints.receiver_count() == 0 {
            return;
        }
        let version = sqlx::query_scalar(sql::DATA_VERSION).fetch_one(&mut self.connection).await;
        match version {
            Ok(version) if version != self.data_version => {
                self.data_version = version;
                for partition in 0..self.partitions {
                    let _ = self.hints.send(PartitionId(partition));
                }
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "changes by others are not seen"),
        }
    }

    async fn close(mut self, mut queue: mpsc::Receiver<Job>, closed: oneshot::Sender<Result<()>>) {
        // What is queued from here on is dropped, which tells its callers.
        queue.close();
        // The last connection to be closed removes the log, so the other one must be gone.
        drop(self.checkpoint);
        if let Err(error) = self.checkpointer.await {
            tracing::debug!(%error, "the task that copies the log back had ended");
        }
        let result = match self.connection.execute(sql::CHECKPOINT_ALL).await {
            Ok(_) => self.connection.close().await,
            Err(error) => Err(error),
        };
        drop(self.locks);
        let result = result.map_err(|error| classify("close", &self.path, &Arc::new(error)));
        // The log is read at the next opening, so a failure here loses nothing.
        let _ = closed.send(result.or_else(|error| match error.kind() {
            StoreErrorKind::Locked => Ok(()),
            _ => Err(error),
        }));
    }
}

async fn clean(
    connection: &mut SqliteConnection,
    receipts_before: Timestamp,
    replies_before: Timestamp,
) -> std::result::Result<Output, Failure> {
    let mut script = Script::default();
    for (statement, before) in
        [(sql::CLEAN_RECEIPTS, receipts_before), (sql::CLEAN_REPLIES, replies_before)]
    {
        script.push(statement);
        script.bind(before.as_micros())?;
        script.bind(i64::from(CLEAN_ROWS))?;
    }
    let outcomes = script.run_all(connection).await?;
    Ok(Output::More(outcomes.iter().any(|outcome| outcome.changes >= u64::from(CLEAN_ROWS))))
}

/// Deletes those of these instances that have ended, but for their side rows and history.
async fn purge(
    connection: &mut SqliteConnection,
    numbers: &[InstanceNo],
) -> std::result::Result<Output, Failure> {
    let mut script = Script::of(sql::MARK_NUMBERS);
    script.bind_rows(&numbers.iter().map(|no| no.0).collect::<Vec<_>>())?;
    delete_marked(&mut script);
    let outcomes = script.run_all(connection).await?;
    let mut purged = Vec::new();
    for row in outcomes.iter().flat_map(|outcome| &outcome.rows) {
        purged.push(InstanceNo(row.try_get(0)?));
    }
    Ok(Output::Purged(purged))
}

/// Deletes some side rows and history of instances that were purged.
async fn sweep(connection: &mut SqliteConnection) -> std::result::Result<Output, Failure> {
    let mut script = Script::default();
    for statement in [sql::SWEEP_SIDE, sql::SWEEP_HISTORY, sql::SWEEP_NUMBERS] {
        script.push(statement);
        script.bind(i64::from(CLEAN_ROWS))?;
    }
    let outcomes = script.run_all(connection).await?;
    Ok(Output::More(outcomes.iter().any(|outcome| outcome.changes >= u64::from(CLEAN_ROWS))))
}

/// Copies the write-ahead log back each time it is woken, until the writer ends.
pub(super) async fn checkpoint(mut connection: SqliteConnection, mut wake: mpsc::Receiver<()>) {
    while wake.recv().await.is_some() {
        if let Err(error) = connection.execute(sql::CHECKPOINT).await {
            tracing::debug!(%error, "the write-ahead log is not copied back yet");
        }
    }
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "a connection was not closed in order");
    }
}
