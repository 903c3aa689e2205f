//! The connection that writes, and its transactions: what becomes of a group of operations, and
//! what of one among them that is refused.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::model::{Accepted, Envelope, Hint, InstanceNo, PartitionId};
use crate::store::Result;

use super::errors::{classify, classify_commit, is_constraint};
use super::liveness::LockFiles;
use super::statement::{number, run};
use super::work::{Failure, Output, Work};
use super::{SqliteOptions, Synchronous};
use super::{cleaning, committing, instances, leases, sending, sql};

/// Prepared statements that a connection keeps: more than there are.
const STATEMENTS: usize = 128;
/// The longest that `SQLite` can wait for a lock.
#[allow(clippy::cast_sign_loss)] // It is positive.
const MAX_BUSY_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);

/// Opens a connection that can write to the database at `path`.
pub(super) fn connect(options: &SqliteOptions, path: &Path, create: bool) -> Result<Connection> {
    try_connect(options, path, create).map_err(|error| classify("open", path, &Arc::new(error)))
}

fn try_connect(options: &SqliteOptions, path: &Path, create: bool) -> rusqlite::Result<Connection> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
    // An absolute path is never taken for a URI.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.busy_timeout(options.busy_timeout.min(MAX_BUSY_TIMEOUT))?;
    let synchronous = match options.synchronous {
        Synchronous::Full => sql::SYNCHRONOUS_FULL,
        Synchronous::Normal => sql::SYNCHRONOUS_NORMAL,
    };
    for pragma in [synchronous, sql::WRITER_CACHE, sql::LOG_LIMIT] {
        connection.execute_batch(pragma)?;
    }
    Ok(connection)
}

/// The connection that writes, and what goes with it.
pub(super) struct Database {
    pub(super) connection: Connection,
    pub(super) path: Arc<PathBuf>,
    pub(super) locks: LockFiles,
}

/// What was done in one transaction.
#[derive(Default)]
pub(super) struct Applied {
    /// An output for each operation.
    pub(super) outputs: Vec<Result<Output>>,
    /// What others may wait for.
    pub(super) hints: BTreeSet<Hint>,
    /// The partitions of which there is news.
    pub(super) news: BTreeSet<PartitionId>,
}

/// The failure of a whole transaction.
pub(super) struct Ended {
    /// Whether everything was applied already and the final `COMMIT` failed.
    at_commit: bool,
    error: Arc<rusqlite::Error>,
}

impl From<rusqlite::Error> for Ended {
    fn from(error: rusqlite::Error) -> Self {
        Self { at_commit: false, error: Arc::new(error) }
    }
}

type Attempt<T> = std::result::Result<T, Ended>;

impl Database {
    /// Applies all of `works` that are not refused, in one transaction. If that fails, every one
    /// has failed; see [`failed`](Self::failed).
    pub(super) fn apply_all(&mut self, works: &[Work]) -> Attempt<Applied> {
        // Refusals are rare, so the first attempt does without savepoints.
        if let Some(applied) = self.transaction(|this| this.apply_together(works))? {
            return Ok(applied);
        }
        let isolated = self.transaction(|this| this.apply_isolated(works).map(Some))?;
        Ok(isolated.unwrap_or_default())
    }

    /// What `work` is told if its transaction failed.
    pub(super) fn failed(&self, work: &Work, ended: &Ended) -> Result<Output> {
        let classify = if ended.at_commit { classify_commit } else { classify };
        Err(classify(work.operation(), &self.path, &ended.error))
    }

    /// Commits what `apply` did if it returns something, and undoes it otherwise.
    fn transaction<T>(
        &mut self,
        apply: impl FnOnce(&mut Self) -> Attempt<Option<T>>,
    ) -> Attempt<Option<T>> {
        run(&self.connection, sql::BEGIN, ())?;
        let applied = match apply(self) {
            Ok(Some(applied)) => match run(&self.connection, sql::COMMIT, ()) {
                Ok(_) => return Ok(Some(applied)),
                Err(error) => Err(Ended { at_commit: true, error: Arc::new(error) }),
            },
            undone => undone,
        };
        // Some failures have ended it already.
        if !self.connection.is_autocommit()
            && let Err(error) = run(&self.connection, sql::ROLLBACK, ())
        {
            tracing::debug!(%error, "a transaction was not rolled back");
        }
        applied
    }

    /// Without savepoints. `None` if one is refused, which spoils the others.
    fn apply_together(&mut self, works: &[Work]) -> Attempt<Option<Applied>> {
        let mut applied = Applied::default();
        for work in works {
            let output = self.apply(work, &mut applied)?;
            if output.is_err() {
                return Ok(None);
            }
            applied.outputs.push(output);
        }
        Ok(Some(applied))
    }

    /// With a savepoint around each operation.
    fn apply_isolated(&mut self, works: &[Work]) -> Attempt<Applied> {
        let mut applied = Applied::default();
        for work in works {
            run(&self.connection, sql::SAVEPOINT, ())?;
            let output = self.apply(work, &mut applied)?;
            if output.is_err() {
                run(&self.connection, sql::ROLLBACK_TO, ())?;
            }
            run(&self.connection, sql::RELEASE, ())?;
            applied.outputs.push(output);
        }
        Ok(applied)
    }
}

impl Database {
    /// Applies one operation. A refusal leaves what it did until then to be undone.
    fn apply(&mut self, work: &Work, applied: &mut Applied) -> Attempt<Result<Output>> {
        match self.try_apply(work, applied) {
            Ok(output) => Ok(Ok(output)),
            Err(Failure::Refused(refused)) => Ok(Err(refused)),
            Err(Failure::Database(error)) if is_constraint(&error) => {
                Ok(Err(classify(work.operation(), &self.path, &Arc::new(error))))
            }
            Err(Failure::Database(error)) => Err(error.into()),
        }
    }

    fn try_apply(
        &mut self,
        work: &Work,
        applied: &mut Applied,
    ) -> std::result::Result<Output, Failure> {
        let Self { connection, locks, .. } = self;
        Ok(match work {
            Work::Commit { lease, batch, .. } => {
                committing::commit(connection, lease, batch)?;
                applied.hints.extend(batch.send.iter().map(Envelope::hint));
                applied.news.extend(batch.news.then_some(lease.partition));
                Output::Done
            }
            Work::Send { envelopes, now, .. } => {
                let answers = sending::accept(connection, envelopes, *now)?;
                let sent = envelopes.iter().zip(&answers).filter(|(_, a)| **a == Accepted::Sent);
                applied.hints.extend(sent.map(|(envelope, _)| envelope.hint()));
                Output::Accepted(answers)
            }
            Work::Reserve { count } => {
                Output::Number(number(connection, sql::RESERVE_NUMBERS, (count,))?)
            }
            Work::CheckIn { worker, now, expires_at } => {
                Output::Peers(leases::check_in(connection, locks, worker, *now, *expires_at)?)
            }
            Work::Acquire { owner, limit, held, now, expires_at } => {
                let (limit, now, expires_at) = (*limit, *now, *expires_at);
                let taken =
                    leases::acquire(connection, locks, owner, limit, held, now, expires_at)?;
                Output::Leases(taken)
            }
            Work::Renew { leases, expires_at } => {
                Output::Leases(leases::renew(connection, leases, *expires_at)?)
            }
            Work::Release { leases } => {
                leases::release(connection, leases)?;
                Output::Done
            }
            Work::Clean { receipts_before, replies_before } => {
                Output::More(cleaning::clean(connection, *receipts_before, *replies_before)?)
            }
            Work::Purge { numbers } => Output::Purged(purge(connection, numbers)?),
            Work::Offers(work) => {
                let output = work.apply(connection)?;
                applied.hints.extend(work.hint());
                output
            }
            Work::Sweep => Output::More(cleaning::sweep(connection)?),
        })
    }

    /// Gives back the lock files of workers that hold no partition and are not checked in.
    pub(super) fn drop_locks(&mut self) {
        match owners(&self.connection) {
            Ok(owners) => self.locks.keep(&owners),
            Err(error) => tracing::debug!(%error, "the lock files are kept"),
        }
    }

    /// Copies the write-ahead log back and closes the connection.
    pub(super) fn close(self) -> Result<()> {
        let result = self.connection.query_row(sql::CHECKPOINT_ALL, (), |_| Ok(()));
        let closed = self.connection.close().map_err(|(_, error)| error);
        let failed = |error| classify("close", &self.path, &Arc::new(error));
        result.and(closed).map_err(failed)
    }
}

/// Deletes those of these instances that have ended.
fn purge(connection: &Connection, numbers: &[InstanceNo]) -> rusqlite::Result<Vec<InstanceNo>> {
    let mut purged = Vec::new();
    for no in numbers {
        if instances::purge(connection, no.0)? {
            purged.push(*no);
        }
    }
    Ok(purged)
}

fn owners(connection: &Connection) -> rusqlite::Result<HashSet<String>> {
    let mut query = connection.prepare_cached(sql::READ_OWNERS)?;
    query.query_map((), |row| row.get(0))?.collect()
}
