//! What other processes have done is read from the store: at once when the store says that there is
//! news, and now and then in case that it does not. One poll at a time serves all who wait.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use durable_store::{PartitionId, StoreError, Timestamp};
use tokio::sync::broadcast::{self, error::RecvError};

use crate::connection::Connection;
use crate::error::Outcome;
use crate::telemetry::store_call;
use crate::waiters::{News, Open};

/// How soon is polled when somebody has begun to wait or news have just come.
const FIRST_POLL: Duration = Duration::from_millis(5);
/// How often is polled when nothing happens. In between the interval doubles.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// A poll takes at most such a part of the time.
const POLL_SHARE: u32 = 4;
/// Every so many polls also ask for what this process's own worker should have told.
const FULL_POLL_EVERY: u64 = 50;
/// Most ids in one question to the store.
const POLL_IDS: usize = 500;

/// Where there may be news.
enum Where {
    Anywhere,
    In(HashSet<PartitionId>),
}

/// What the store says of news.
enum Ear {
    /// Nobody waits for what others do.
    Closed,
    Open(broadcast::Receiver<PartitionId>),
    /// The store says nothing any more.
    Deaf,
}

impl Ear {
    /// Waits for news.
    async fn hear(&mut self) -> Where {
        if let Self::Open(news) = self {
            match news.recv().await {
                Ok(partition) => {
                    let mut partitions = HashSet::from([partition]);
                    partitions.extend(std::iter::from_fn(|| news.try_recv().ok()));
                    return Where::In(partitions);
                }
                Err(RecvError::Lagged(_)) => return Where::Anywhere,
                Err(RecvError::Closed) => *self = Self::Deaf,
            }
        }
        std::future::pending().await
    }
}

/// The poll of a connection. Lives while somebody waits.
pub(crate) struct Polling {
    connection: Arc<Connection>,
    ear: Ear,
    /// The time to the next poll, if no news come before.
    interval: Duration,
    /// No poll begins before.
    rests_until: Timestamp,
    rounds: u64,
}

impl Drop for Polling {
    fn drop(&mut self) {
        // The runtime may end under it.
        self.connection.waiters.polling_ended();
    }
}

impl Polling {
    /// For somebody who is about to wait for something in the partition.
    pub(crate) fn new(connection: Arc<Connection>, partition: PartitionId) -> Self {
        let is_told = connection.doors.is_open(partition);
        Self {
            // Before he reads for himself, so that he misses nothing.
            ear: if is_told { Ear::Closed } else { Ear::Open(connection.store.news()) },
            connection,
            interval: FIRST_POLL,
            rests_until: Timestamp::MIN,
            rounds: 0,
        }
    }

    /// Polls until nobody waits any more.
    pub(crate) async fn run(mut self) {
        loop {
            let place = self.next_news().await;
            let Some(open) = self.look(&place) else { return };
            if !open.is_empty() {
                self.poll(&open).await;
            }
        }
    }

    /// Waits until there may be news, and says where.
    async fn next_news(&mut self) -> Where {
        let Connection { clock, waiters, .. } = &*self.connection;
        if self.rests_until > clock.now() {
            clock.sleep_for_upkeep(self.rests_until).await;
        }
        loop {
            tokio::select! {
                biased;
                place = self.ear.hear() => return place,
                () = waiters.begun.notified(), if self.interval > FIRST_POLL => {
                    self.interval = FIRST_POLL;
                    if matches!(self.ear, Ear::Closed) {
                        // What was told before he listens is read.
                        return Where::Anywhere;
                    }
                }
                () = clock.sleep_for_upkeep(clock.now() + self.interval) => return Where::Anywhere,
            }
        }
    }

    /// What to ask the store about, or `None` if nobody waits.
    fn look(&mut self, place: &Where) -> Option<Open> {
        let connection = Arc::clone(&self.connection);
        let Connection { doors, waiters, .. } = &*connection;
        if let Where::In(partitions) = place {
            let is_wanted =
                |partition| partitions.contains(&partition) && !doors.is_open(partition);
            return waiters.open(is_wanted);
        }
        let elsewhere = waiters.open(|partition| !doors.is_open(partition))?;
        self.listen(!elsewhere.is_empty());
        self.rounds += 1;
        if self.rounds.is_multiple_of(FULL_POLL_EVERY) {
            waiters.open(|_| true)
        } else {
            Some(elsewhere)
        }
    }

    /// Listens for news, or does not.
    fn listen(&mut self, somebody_waits: bool) {
        match &self.ear {
            Ear::Closed if somebody_waits => self.ear = Ear::Open(self.connection.store.news()),
            Ear::Open(_) | Ear::Closed if !somebody_waits => {
                self.ear = Ear::Closed;
                self.interval = POLL_INTERVAL;
            }
            _ => {}
        }
    }

    async fn poll(&mut self, open: &Open) {
        let connection = &*self.connection;
        let begun = connection.clock.now();
        // A failure has been reported, and the next round is the retry.
        let instances = poll_instances(connection, &open.ids).await.unwrap_or(0);
        let answers = poll_answers(connection, &open.requests).await.unwrap_or(0);
        let next = if instances + answers > 0 { FIRST_POLL } else { self.interval * 2 };
        let now = connection.clock.now();
        let rest = (now.saturating_since(begun) * POLL_SHARE).min(POLL_INTERVAL);
        self.rests_until = now + rest;
        self.interval = next.min(POLL_INTERVAL);
    }
}

/// Returns how many news there were.
async fn poll_instances(connection: &Connection, ids: &[String]) -> Result<usize, StoreError> {
    let mut news = 0;
    for ids in ids.chunks(POLL_IDS) {
        let records = store_call("read_instances", connection.store.read_instances(ids)).await?;
        connection.doors.note_seen();
        let mut gone: HashSet<&str> = ids.iter().map(String::as_str).collect();
        for record in &records {
            gone.remove(record.id.as_str());
            let known = News::of(record.status, record.output.as_ref());
            news += usize::from(connection.waiters.tell(&record.id, &known));
        }
        for id in gone {
            connection.waiters.tell(id, &News::Unsure);
        }
    }
    Ok(news)
}

/// Returns how many answers there were.
async fn poll_answers(connection: &Connection, requests: &[String]) -> Result<usize, StoreError> {
    let mut news = 0;
    for requests in requests.chunks(POLL_IDS) {
        let replies = store_call("read_replies", connection.store.read_replies(requests)).await?;
        connection.doors.note_seen();
        news += replies.len();
        for (request, body) in replies {
            match serde_json::from_str::<Outcome>(&body) {
                Ok(outcome) => connection.waiters.answer(&request, outcome),
                Err(error) => tracing::error!(request, %error, "a stored answer is not readable"),
            }
        }
    }
    Ok(news)
}
