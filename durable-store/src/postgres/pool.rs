//! The connections of a store. One that was not given back in order is closed: nobody meets what
//! an operation that was dropped in the middle left behind. There is no ping before or after a
//! use; what is lost is found out by whoever uses it, and the others that lie idle go with it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::errors::{Failure, is_lost};
use super::sql;
use super::statement::Statement;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a free connection is waited for.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the answer to a statement is waited for. The longest that is sent has 128 MiB.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);
/// How often what may be repeated is tried while connections are lost.
const ATTEMPTS: u32 = 4;
/// The wait before the second attempt; it doubles.
const FIRST_DELAY: Duration = Duration::from_millis(20);

/// A result before it is known what it means to the caller.
pub(super) type Ran<T> = Result<T, Failure>;

/// The connections of a store.
#[derive(Debug)]
pub(super) struct Connections {
    options: PgConnectOptions,
    /// Whether a connection can be told how to plan.
    session: bool,
    idle: Mutex<VecDeque<PgConnection>>,
    permits: Arc<Semaphore>,
    /// One is made at a time: so there are never more than the limit, though whoever wanted one has
    /// taken another meanwhile. Each is a process of the server and takes longer than most statements:
    /// a worker that loaded its partitions on ten new ones answered its first start after 21 ms, and
    /// after 9 when it waited for those that were given back.
    connecting: Arc<Semaphore>,
    /// Told when one has become idle.
    returned: Notify,
    closed: AtomicBool,
}

impl Connections {
    pub(super) fn new(options: PgConnectOptions, limit: u32, session: bool) -> Self {
        Self {
            options,
            session,
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(usize::try_from(limit).unwrap_or(1))),
            connecting: Arc::new(Semaphore::new(1)),
            returned: Notify::new(),
            closed: AtomicBool::new(false),
        }
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<PgConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection nobody else uses.
    pub(super) async fn acquire(self: &Arc<Self>) -> Ran<Used<'_>> {
        let permit = timeout(ACQUIRE_TIMEOUT, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit
            .map_err(|_| Failure::before(sqlx::Error::PoolTimedOut))?
            .map_err(|_| Failure::before(sqlx::Error::PoolClosed))?;
        let connection = self.next().await.map_err(Failure::before)?;
        Ok(Used { pool: self, connection: Some(connection), _permit: permit })
    }

    /// One that is idle, is given back, or is made, whichever comes first.
    async fn next(self: &Arc<Self>) -> Result<PgConnection, sqlx::Error> {
        let next = async {
            loop {
                if let Some(connection) = self.idle().pop_back() {
                    return Ok(connection);
                }
                // Then none is kept for whoever wants one.
                if self.closed.load(Ordering::Acquire) {
                    return Err(sqlx::Error::PoolClosed);
                }
                tokio::select! {
                    biased;
                    () = self.returned.notified() => {}
                    made = self.make_one() => made?,
                }
            }
        };
        // There may be one more, but the server takes too long to make those that are asked for.
        timeout(CONNECT_TIMEOUT, next).await.unwrap_or_else(|_| Err(silent()))
    }

    /// Makes a connection for whoever wants it first. It is made to the end even if nobody waits any
    /// more.
    async fn make_one(self: &Arc<Self>) -> Result<(), sqlx::Error> {
        let turn = Arc::clone(&self.connecting).acquire_owned().await;
        let turn = turn.map_err(|_| sqlx::Error::PoolClosed)?;
        let pool = Arc::clone(self);
        let made = tokio::spawn(async move {
            let connection = pool.connect().await?;
            pool.take_in(connection);
            drop(turn);
            Ok(())
        });
        made.await.unwrap_or(Err(sqlx::Error::PoolClosed))
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = connect(&self.options).await?;
        self.prepare(&mut connection).await?;
        Ok(connection)
    }

    async fn prepare(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.session {
            connection.execute(sqlx::raw_sql(sql::SESSION)).await?;
        }
        Ok(())
    }

    /// Takes a connection in that was made for something else.
    pub(super) async fn add(&self, mut connection: PgConnection) -> Result<(), sqlx::Error> {
        self.prepare(&mut connection).await?;
        self.take_in(connection);
        Ok(())
    }

    fn take_in(&self, connection: PgConnection) {
        if !self.closed.load(Ordering::Acquire) {
            self.idle().push_back(connection);
            self.returned.notify_one();
        }
    }

    /// The rows of one statement, once.
    pub(super) async fn run(self: &Arc<Self>, statement: &Statement) -> Ran<Vec<PgRow>> {
        let mut used = self.acquire().await?;
        let result = used.run(statement).await;
        used.give_back();
        result
    }

    /// The rows of one statement that may run twice. Tries again on a connection that is lost.
    pub(super) async fn run_again(self: &Arc<Self>, statement: &Statement) -> Ran<Vec<PgRow>> {
        let mut delays = Delays::default();
        loop {
            match self.run(statement).await {
                Err(failure) if failure.is_passing() && delays.next().await => {}
                result => return result,
            }
        }
    }

    /// Closes what is idle, and what is in use when it is given back.
    pub(super) async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.permits.close();
        self.returned.notify_waiters();
        let idle: Vec<PgConnection> = self.idle().drain(..).collect();
        for connection in idle {
            if let Err(error) = connection.close().await {
                tracing::debug!(%error, "a connection was not closed in order");
            }
        }
    }
}

/// A new connection. A server that does not answer is not waited for without end.
pub(super) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    timeout(CONNECT_TIMEOUT, options.connect()).await.unwrap_or_else(|_| Err(silent()))
}

/// The waits between attempts.
#[derive(Default)]
pub(super) struct Delays {
    failures: u32,
}

impl Delays {
    /// Waits before the next attempt, if there is one.
    pub(super) async fn next(&mut self) -> bool {
        self.failures += 1;
        if self.failures >= ATTEMPTS {
            return false;
        }
        let delay = FIRST_DELAY * 2_u32.saturating_pow(self.failures - 1);
        // The end of a wait for nothing: how long an attempt waits is no business of the clock
        // that the engine's time is taken from.
        let _ = timeout(delay, std::future::pending::<()>()).await;
        true
    }
}

/// A connection in use.
pub(super) struct Used<'a> {
    pool: &'a Connections,
    connection: Option<PgConnection>,
    _permit: OwnedSemaphorePermit,
}

impl Used<'_> {
    /// The rows of a statement.
    pub(super) async fn run(&mut self, statement: &Statement) -> Ran<Vec<PgRow>> {
        let query = statement.query().map_err(Failure::before)?;
        let connection = self.connection.as_mut().ok_or_else(closed)?;
        let result = timeout(ANSWER_TIMEOUT, connection.fetch_all(query)).await;
        self.answered(result.unwrap_or_else(|_| Err(silent())))
    }

    /// Runs statements without parameters.
    pub(super) async fn execute(&mut self, text: &'static str) -> Ran<()> {
        let connection = self.connection.as_mut().ok_or_else(closed)?;
        let result = timeout(ANSWER_TIMEOUT, connection.execute(sqlx::raw_sql(text))).await;
        self.answered(result.unwrap_or_else(|_| Err(silent())).map(drop))
    }

    fn answered<T>(&mut self, result: Result<T, sqlx::Error>) -> Ran<T> {
        result.map_err(|error| {
            if is_lost(&error) {
                self.connection = None;
                // The others were made before it, so they are likely lost for the same reason.
                self.pool.idle().clear();
            }
            Failure::during(error)
        })
    }

    /// Nothing is under way on it any more.
    pub(super) fn give_back(mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.take_in(connection);
        }
    }
}

fn closed() -> Failure {
    Failure::before(sqlx::Error::PoolClosed)
}

fn silent() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
}
