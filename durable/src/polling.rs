//! What other processes have done is read from the store: at once when the store says that there is
//! news, and now and then in case that it does not. One poll at a time serves all who wait.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use durable_store::{PartitionId, StoreError, Timestamp};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

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
                Ok(partition) => return more(partition, news),
                Err(RecvError::Lagged(_)) => return Where::Anywhere,
                Err(RecvError::Closed) => *self = Self::Deaf,
            }
        }
        std::future::pending().await
    }
}

/// What there is beside the first.
fn more(first: PartitionId, news: &mut broadcast::Receiver<PartitionId>) -> Where {
    let mut partitions = HashSet::from([first]);
    loop {
        match news.try_recv() {
            Ok(partition) => partitions.insert(partition),
            Err(TryRecvError::Lagged(_)) => return Where::Anywhere,
            // What is closed is noticed by who waits for it.
            Err(TryRecvError::Empty | TryRecvError::Closed) => return Where::In(partitions),
        };
    }
}

/// The poll of a connection. Lives while somebody waits.
pub(crate) struct Polling {
    connection: Arc<Connection>,
    ear: Ear,
    /// The time from one poll to the next, whatever is told in between.
    interval: Duration,
    next_poll: Timestamp,
    /// Nothing is looked for before.
    rests_until: Timestamp,
    rounds: u64,
    /// Nobody waits, which has been noted.
    has_ended: bool,
}

impl Drop for Polling {
    fn drop(&mut self) {
        // The runtime may end under it. If not, there may be another one by now.
        if !self.has_ended {
            self.connection.waiters.polling_ended();
        }
    }
}

impl Polling {
    /// For somebody who is about to wait for something in the partition.
    pub(crate) fn new(connection: Arc<Connection>, partition: PartitionId) -> Self {
        let is_told = connection.doors.is_open(partition);
        Self {
            // Before he reads for himself, so that he misses nothing.
            ear: if is_told { Ear::Closed } else { Ear::Open(connection.store.news()) },
            interval: FIRST_POLL,
            next_poll: connection.clock.now() + FIRST_POLL,
            rests_until: Timestamp::MIN,
            rounds: 0,
            has_ended: false,
            connection,
        }
    }

    /// Polls until nobody waits any more.
    pub(crate) async fn run(mut self) {
        loop {
            let place = self.next_news().await;
            let begun = self.connection.clock.now();
            let Some(open) = self.look(&place) else {
                self.has_ended = true;
                return;
            };
            let found = if open.is_empty() { 0 } else { self.poll(&open).await };
            let now = self.connection.clock.now();
            let rest = now.saturating_since(begun) * POLL_SHARE;
            self.rests_until = now + rest.min(POLL_INTERVAL);
            if matches!(place, Where::Anywhere) {
                let next = if found > 0 { FIRST_POLL } else { self.interval * 2 };
                self.interval = next.min(POLL_INTERVAL);
                self.next_poll = now + self.interval;
            }
        }
    }

    /// Waits until there may be news of what others do, and says where.
    async fn next_news(&mut self) -> Where {
        let Connection { clock, waiters, doors, .. } = &*self.connection;
        // A clock that was set back must not keep it from looking.
        let now = clock.now();
        self.rests_until = self.rests_until.min(now + POLL_INTERVAL);
        self.next_poll = self.next_poll.min(now + self.interval);
        if self.rests_until > now {
            clock.sleep_for_upkeep(self.rests_until).await;
        }
        loop {
            tokio::select! {
                biased;
                // However much is told: what is lost is found by this.
                () = clock.sleep_for_upkeep(self.next_poll) => return Where::Anywhere,
                () = waiters.begun.notified(), if self.interval > FIRST_POLL => {
                    self.interval = FIRST_POLL;
                    self.next_poll = self.next_poll.min(clock.now() + FIRST_POLL);
                    if matches!(self.ear, Ear::Closed) {
                        // What was told before he listens is read.
                        return Where::Anywhere;
                    }
                }
                place = self.ear.hear() => match place {
                    Where::Anywhere => return Where::Anywhere,
                    Where::In(mut partitions) => {
                        partitions.retain(|partition| !doors.is_open(*partition));
                        if !partitions.is_empty() {
                            return Where::In(partitions);
                        }
                    }
                },
            }
        }
    }

    /// What to ask the store about, or `None` if nobody waits.
    fn look(&mut self, place: &Where) -> Option<Open> {
        let connection = Arc::clone(&self.connection);
        let Connection { doors, waiters, .. } = &*connection;
        if let Where::In(partitions) = place {
            return waiters.open(|partition| partitions.contains(&partition));
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
        if !somebody_waits {
            self.interval = POLL_INTERVAL;
        }
        match &self.ear {
            Ear::Closed if somebody_waits => self.ear = Ear::Open(self.connection.store.news()),
            Ear::Open(_) if !somebody_waits => self.ear = Ear::Closed,
            _ => {}
        }
    }

    /// Returns how many news there were.
    async fn poll(&self, open: &Open) -> usize {
        // A failure has been reported, and the next round is the retry.
        let instances = poll_instances(&self.connection, &open.ids).await.unwrap_or(0);
        let answers = poll_answers(&self.connection, &open.requests).await.unwrap_or(0);
        instances + answers
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
