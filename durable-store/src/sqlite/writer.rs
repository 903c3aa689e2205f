//! The one writer of a store, on a thread of its own. Operations queue up; whatever waits is applied
//! in one transaction, so that many callers share one flush. An operation, once queued, is applied
//! wholly or not at all, whether or not its caller still waits.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use crate::error::{StoreError, StoreErrorKind};
use crate::listeners::Listeners;
use crate::model::Hint;
use crate::store::Result;

use super::checkpointer::Checkpointer;
use super::database::{Applied, Database, connect};
use super::errors::{classify, closed};
use super::liveness::LockFiles;
use super::statement::number;
use super::work::{Answer, Job, Work};
use super::{SqliteOptions, schema, sql, watcher};

/// Operations that may wait for the writer; further callers wait to enter the queue.
const MAX_QUEUED_OPERATIONS: usize = 1024;
/// Operations that one transaction takes.
const MAX_GROUP_OPERATIONS: usize = 256;
/// Text that one transaction takes, in bytes; a single larger operation is taken too.
const MAX_GROUP_BYTES: usize = 64 * 1024 * 1024;
/// How often the writer looks for a job before it sleeps, giving way to other threads in between:
/// some 20 to 50 microseconds.
const LOOKS_BEFORE_SLEEP: u32 = 100;
/// Transactions after which the write-ahead log is copied back in the background.
const CHECKPOINT_GROUPS: usize = 1024;
/// Bytes of text after which it is copied back, if that comes first.
const CHECKPOINT_BYTES: usize = 8 * 1024 * 1024;

/// A writer at work.
pub(super) struct Running {
    /// Where it takes its jobs from. It ends when nobody has this any more.
    pub(super) queue: mpsc::Sender<Job>,
    /// The file, by the one name that all have for it.
    pub(super) path: Arc<PathBuf>,
    /// The number of partitions in it.
    pub(super) partitions: u16,
}

/// Starts the thread that opens the database and writes to it.
pub(super) async fn start(options: SqliteOptions, listeners: Listeners) -> Result<Running> {
    let (queue, jobs) = mpsc::channel(MAX_QUEUED_OPERATIONS);
    let (answer, opened) = oneshot::channel();
    let told = listeners.clone();
    let body = move || match Writer::open(&options, told) {
        Ok(writer) => {
            // Nobody waits for it any more: then nobody has the queue either.
            let _ = answer.send(Ok((Arc::clone(&writer.database.path), writer.partitions)));
            writer.run(jobs);
        }
        Err(refused) => {
            let _ = answer.send(Err(refused));
        }
    };
    spawned(std::thread::Builder::new().name("durable-sqlite".to_owned()).spawn(body))?;
    let (path, partitions) = opened.await.map_err(|_| closed("open"))??;
    tokio::spawn(watcher::watch(queue.downgrade(), listeners));
    Ok(Running { queue, path, partitions })
}

/// What comes of starting a thread.
fn spawned<T>(result: std::io::Result<T>) -> Result<T> {
    result.map_err(|cause| {
        let detail = "no thread can be started: raise the limits of the process";
        StoreError::new(StoreErrorKind::Other, "open", detail).with_source(cause)
    })
}

/// The next job. Whoever was just answered often has one within the time that it takes to wake a
/// thread, so the writer looks a few times before it sleeps.
fn next(queue: &mut mpsc::Receiver<Job>) -> Option<Job> {
    for _ in 0..LOOKS_BEFORE_SLEEP {
        match queue.try_recv() {
            Ok(job) => return Some(job),
            Err(TryRecvError::Empty) => std::thread::yield_now(),
            Err(TryRecvError::Disconnected) => return None,
        }
    }
    queue.blocking_recv()
}

struct Writer {
    database: Database,
    checkpointer: Checkpointer,
    listeners: Listeners,
    partitions: u16,
    /// The other connections' changes as last seen.
    data_version: i64,
    groups: usize,
    bytes: usize,
}

impl Writer {
    fn open(options: &SqliteOptions, listeners: Listeners) -> Result<Self> {
        let connection = connect(options, &options.path, options.create)?;
        let partitions = schema::prepare(&connection, options)?;
        // One name for one file, however it was reached: the lock files lie beside it.
        let path = options.path.canonicalize().unwrap_or_else(|_| options.path.clone());
        let path = Arc::new(path);
        let checkpointer = spawned(Checkpointer::start(connect(options, &path, false)?))?;
        let data_version = number(&connection, sql::DATA_VERSION, ())
            .map_err(|error| classify("open", &path, &Arc::new(error)))?;
        let locks = LockFiles::beside(&path);
        let database = Database { connection, path, locks };
        Ok(Self {
            database,
            checkpointer,
            listeners,
            partitions,
            data_version,
            groups: 0,
            bytes: 0,
        })
    }

    /// Works until the store is closed or dropped.
    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(job) = next(&mut queue) {
            let close = match job {
                Job::Work(work, answer) => self.group(work, answer, &mut queue),
                Job::Watch(seen) => {
                    // Nobody asks any more: others were told all the same.
                    let _ = seen.send(self.watch());
                    None
                }
                Job::Close(closed) => Some(closed),
            };
            if let Some(closed) = close {
                return self.close(queue, closed);
            }
        }
    }

    /// Applies a group of operations that begins with `work`. Returns who wants the store closed,
    /// if that is what comes next.
    fn group(
        &mut self,
        work: Work,
        answer: Answer,
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
                Ok(Job::Watch(seen)) => {
                    let _ = seen.send(self.watch());
                }
                Ok(Job::Close(closed)) => {
                    close = Some(closed);
                    break;
                }
                Err(_) => break,
            }
        }
        self.apply(&works, answers);
        self.groups += 1;
        self.bytes += bytes;
        if self.groups >= CHECKPOINT_GROUPS || self.bytes >= CHECKPOINT_BYTES {
            (self.groups, self.bytes) = (0, 0);
            self.checkpointer.wake();
        }
        close
    }

    fn apply(&mut self, works: &[Work], answers: Vec<Answer>) {
        match self.database.apply_all(works) {
            Ok(Applied { outputs, hints, news }) => {
                if works.iter().any(Work::is_farewell) {
                    self.database.drop_locks();
                }
                // Who is told that it happened finds the hints there.
                self.listeners.tell_all(hints);
                for partition in news {
                    self.listeners.tell_news(partition);
                }
                for (answer, output) in answers.into_iter().zip(outputs) {
                    // Nobody waits any more: it happened all the same.
                    let _ = answer.send(output);
                }
            }
            Err(ended) => {
                for (work, answer) in works.iter().zip(answers) {
                    let _ = answer.send(self.database.failed(work, &ended));
                }
            }
        }
    }

    /// Tells everybody if another connection has changed something, and whether one has.
    /// `data_version` does not count what its own connection wrote, which is why the writer asks.
    fn watch(&mut self) -> bool {
        match number(&self.database.connection, sql::DATA_VERSION, ()) {
            Ok(version) if version != self.data_version => {
                self.data_version = version;
                self.listeners.tell_of_partitions(self.partitions);
                // A claim writes, so nobody is sent to make one for nothing.
                if self.has_free_offers() {
                    self.listeners.tell(Hint::Offers);
                }
                true
            }
            Ok(_) => false,
            Err(error) => {
                tracing::debug!(%error, "changes by others are not seen");
                false
            }
        }
    }

    fn has_free_offers(&self) -> bool {
        number(&self.database.connection, sql::HAS_FREE_OFFERS, ()).is_ok_and(|found| found > 0)
    }

    fn close(self, mut queue: mpsc::Receiver<Job>, closed: oneshot::Sender<Result<()>>) {
        // What is queued from here on is dropped, which tells its callers.
        queue.close();
        // The last connection to be closed removes the log, so the other one must be gone.
        self.checkpointer.end();
        // The log is read at the next opening, so a failure here loses nothing.
        let result = self.database.close().or_else(|error| match error.kind() {
            StoreErrorKind::Locked => Ok(()),
            _ => Err(error),
        });
        let _ = closed.send(result);
    }
}
