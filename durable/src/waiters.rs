//! Who in this process waits for what: ends of instances, and answers to calls. The worker of the
//! process tells them directly; for everything else one poll at a time serves all of them.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use durable_store::{InstanceNo, PartitionId, Payload, Status, StoreError};
use lru::LruCache;
use tokio::sync::{Notify, oneshot, watch};

use crate::connection::Connection;
use crate::error::Outcome;
use crate::telemetry::store_call;

/// How soon news from other processes are polled for, when somebody has begun to wait or news have
/// just come.
const FIRST_POLL: Duration = Duration::from_millis(5);
/// How often they are polled for when nothing happens. In between the interval doubles.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// A poll takes at most such a part of the time.
const POLL_SHARE: u32 = 4;
/// Every so many polls also ask for what this process's own worker should have told.
const FULL_POLL_EVERY: u64 = 50;
/// How many instances that began here and go on are remembered.
const MAX_UNDER_WAY: NonZeroUsize = match NonZeroUsize::new(4_096) {
    Some(count) => count,
    None => NonZeroUsize::MIN,
};
/// Most ids in one question to the store.
const POLL_IDS: usize = 500;

/// What is known of an instance that somebody waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// Nothing yet: whoever waits reads the row first.
    Nothing,
    /// It is under way.
    Status(Status),
    /// It has ended.
    Ended(Status, Option<Payload>),
    /// The row has to be read to know.
    Unsure,
}

impl News {
    /// What a row says.
    pub(crate) fn of(status: Status, output: Option<&Payload>) -> Self {
        if status.is_terminal() {
            Self::Ended(status, output.cloned())
        } else {
            Self::Status(status)
        }
    }
}

/// What became of a commit that was interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is durable.
    Happened,
    /// It cannot happen any more.
    DidNotHappen,
    /// Nobody can tell.
    Unknown,
}

/// The registry.
#[derive(Default)]
pub(crate) struct Waiters {
    state: Mutex<State>,
    /// Somebody has begun to wait.
    begun: Notify,
}

struct State {
    instances: HashMap<String, Watched>,
    /// Instances that began here and are under way, as far as they are remembered. Whoever has
    /// begun to watch one of them will be told of its end.
    under_way: LruCache<InstanceNo, ()>,
    answers: HashMap<String, Asked>,
    polling: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            instances: HashMap::new(),
            under_way: LruCache::new(MAX_UNDER_WAY),
            answers: HashMap::new(),
            polling: false,
        }
    }
}

struct Watched {
    partition: PartitionId,
    news: watch::Sender<News>,
}

struct Asked {
    partition: PartitionId,
    answer: oneshot::Sender<Outcome>,
    /// The answer, if the commit that gave it was interrupted and may not have happened.
    in_doubt: Option<Outcome>,
}

impl Waiters {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who wait for the instance. Whether it was news to them.
    pub(crate) fn tell(&self, id: &str, news: &News) -> bool {
        let mut state = self.lock();
        let Some(watched) = state.instances.get(id) else { return false };
        if watched.news.receiver_count() == 0 {
            state.instances.remove(id);
            return false;
        }
        watched.news.send_if_modified(|known| {
            let is_new = known != news && !matches!(known, News::Ended(..));
            if is_new {
                known.clone_from(news);
            }
            is_new
        })
    }

    /// Lets everybody who waits for an instance read its row again. Returns whether anybody does.
    pub(crate) fn doubt_all(&self) -> bool {
        let state = self.lock();
        let watched = state.instances.values().filter(|watched| watched.news.receiver_count() > 0);
        let open: Vec<_> =
            watched.filter(|watched| !matches!(*watched.news.borrow(), News::Ended(..))).collect();
        for watched in &open {
            watched.news.send_replace(News::Unsure);
        }
        !open.is_empty()
    }

    /// Gives an answer to whoever asked, if he still waits.
    pub(crate) fn answer(&self, request: &str, outcome: Outcome) {
        if let Some(asked) = self.lock().answers.remove(request) {
            let _ = asked.answer.send(outcome);
        }
    }

    /// Keeps an answer whose commit was interrupted until the sender of the request finds out.
    pub(crate) fn doubt(&self, request: &str, outcome: Outcome) {
        if let Some(asked) = self.lock().answers.get_mut(request) {
            asked.in_doubt = Some(outcome);
        }
    }

    /// Whether an answer to this request is in doubt.
    pub(crate) fn is_in_doubt(&self, request: &str) -> bool {
        self.lock().answers.get(request).is_some_and(|asked| asked.in_doubt.is_some())
    }

    /// Says what became of the commit that took this request. If it happened, the answer in doubt
    /// was given; if not, another one follows.
    pub(crate) fn resolve(&self, request: &str, fate: Fate) {
        let mut state = self.lock();
        let Some(asked) = state.answers.get_mut(request) else { return };
        let Some(outcome) = asked.in_doubt.take() else { return };
        if fate == Fate::DidNotHappen {
            return;
        }
        if let Some(asked) = state.answers.remove(request)
            && fate == Fate::Happened
        {
            let _ = asked.answer.send(outcome);
        }
    }

    /// Notes that an instance began here and goes on, or that it has ended.
    pub(crate) fn set_under_way(&self, no: InstanceNo, goes_on: bool) {
        let mut state = self.lock();
        if goes_on {
            state.under_way.put(no, ());
        } else {
            state.under_way.pop(&no);
        }
    }

    /// Whether the instance is known to be under way. Only who watches it may ask.
    pub(crate) fn is_under_way(&self, no: InstanceNo) -> bool {
        self.lock().under_way.contains(&no)
    }

    /// A partition has another owner, who says nothing here.
    pub(crate) fn forget_under_way(&self) {
        self.lock().under_way.clear();
    }

    /// Nobody will ever answer: whoever asked is told that.
    pub(crate) fn forget(&self, request: &str) {
        self.lock().answers.remove(request);
    }

    /// What to ask the store about, or `None` if nobody waits, in which case polling has ended.
    fn open(&self, is_told: impl Fn(PartitionId) -> bool) -> Option<(Vec<String>, Vec<String>)> {
        let mut state = self.lock();
        state.instances.retain(|_, watched| watched.news.receiver_count() > 0);
        state.answers.retain(|_, asked| !asked.answer.is_closed());
        if state.instances.is_empty() && state.answers.is_empty() {
            state.polling = false;
            return None;
        }
        let ids = state.instances.iter().filter(|(_, watched)| !is_told(watched.partition));
        let requests = state.answers.iter().filter(|(_, asked)| !is_told(asked.partition));
        Some((
            ids.map(|(id, _)| id.clone()).collect(),
            requests.map(|(request, _)| request.clone()).collect(),
        ))
    }
}

impl Connection {
    /// News of an instance from now on. Register first, then read the row, then wait.
    pub(crate) fn watch(
        self: &Arc<Self>,
        id: &str,
        partition: PartitionId,
    ) -> watch::Receiver<News> {
        let receiver = {
            let mut state = self.waiters.lock();
            match state.instances.get(id) {
                Some(watched) if !matches!(*watched.news.borrow(), News::Ended(..)) => {
                    watched.news.subscribe()
                }
                _ => {
                    let (news, receiver) = watch::channel(News::Nothing);
                    state.instances.insert(id.to_owned(), Watched { partition, news });
                    receiver
                }
            }
        };
        self.ensure_polling();
        receiver
    }

    /// The answer to a request that is about to be sent.
    pub(crate) fn expect_answer(
        self: &Arc<Self>,
        request: &str,
        partition: PartitionId,
    ) -> oneshot::Receiver<Outcome> {
        let (answer, receiver) = oneshot::channel();
        self.waiters
            .lock()
            .answers
            .insert(request.to_owned(), Asked { partition, answer, in_doubt: None });
        self.ensure_polling();
        receiver
    }

    fn ensure_polling(self: &Arc<Self>) {
        self.waiters.begun.notify_one();
        if !std::mem::replace(&mut self.waiters.lock().polling, true) {
            let polling = Polling(Arc::clone(self));
            tokio::spawn(async move { polling.run().await });
        }
    }
}

/// The poll that is the fallback of everybody who waits. Lives while somebody does.
struct Polling(Arc<Connection>);

impl Drop for Polling {
    fn drop(&mut self) {
        // The runtime may end under it; the next one who waits begins again.
        self.0.waiters.lock().polling = false;
    }
}

impl Polling {
    async fn run(self) {
        let connection = &*self.0;
        let clock = &connection.clock;
        let mut interval = FIRST_POLL;
        for round in 1_u64.. {
            tokio::select! {
                () = clock.sleep_for_upkeep(clock.now() + interval) => {}
                () = connection.waiters.begun.notified(), if interval > FIRST_POLL => {
                    interval = FIRST_POLL;
                    continue;
                }
            }
            let is_full = round % FULL_POLL_EVERY == 0;
            let is_told = |partition| !is_full && connection.doors.is_open(partition);
            let Some((ids, requests)) = connection.waiters.open(is_told) else { return };
            if ids.is_empty() && requests.is_empty() {
                interval = POLL_INTERVAL;
                continue;
            }
            let begun = clock.now();
            // A failure has been reported, and the next round is the retry.
            let instances = poll_instances(connection, &ids).await.unwrap_or(0);
            let answers = poll_answers(connection, &requests).await.unwrap_or(0);
            let next = if instances + answers > 0 { FIRST_POLL } else { interval * 2 };
            let took = clock.now().saturating_since(begun);
            interval = next.max(took * POLL_SHARE).min(POLL_INTERVAL);
        }
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
