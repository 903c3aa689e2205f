//! Who in this process waits for what: ends of instances, and answers to calls. The worker of the
//! process tells them directly; for everything else one poll at a time serves all of them
//! (`polling.rs`).

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use durable_store::{InstanceNo, PartitionId, Payload, Status};
use lru::LruCache;
use tokio::sync::{Notify, oneshot, watch};

use crate::connection::Connection;
use crate::error::Outcome;
use crate::polling::Polling;

/// How many instances that began here and go on are remembered.
const MAX_UNDER_WAY: NonZeroUsize = match NonZeroUsize::new(4_096) {
    Some(count) => count,
    None => NonZeroUsize::MIN,
};

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

/// What somebody waits for.
#[derive(Debug)]
pub(crate) struct Open {
    /// Ids of instances.
    pub(crate) ids: Vec<String>,
    /// Requests that were not answered yet.
    pub(crate) requests: Vec<String>,
}

impl Open {
    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.requests.is_empty()
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
    /// Somebody has begun to wait for what others do.
    pub(crate) begun: Notify,
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

    /// Nobody polls any more; the next one who waits begins again.
    pub(crate) fn polling_ended(&self) {
        self.lock().polling = false;
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

    /// What people wait for in partitions like these. `None` if nobody waits for anything, in which
    /// case polling has ended.
    pub(crate) fn open(&self, is_wanted: impl Fn(PartitionId) -> bool) -> Option<Open> {
        let mut state = self.lock();
        state.instances.retain(|_, watched| watched.news.receiver_count() > 0);
        state.answers.retain(|_, asked| !asked.answer.is_closed());
        if state.instances.is_empty() && state.answers.is_empty() {
            state.polling = false;
            return None;
        }
        let ids = state.instances.iter().filter(|(_, watched)| is_wanted(watched.partition));
        let requests = state.answers.iter().filter(|(_, asked)| is_wanted(asked.partition));
        Some(Open {
            ids: ids.map(|(id, _)| id.clone()).collect(),
            requests: requests.map(|(request, _)| request.clone()).collect(),
        })
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
        self.ensure_polling(partition);
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
        self.ensure_polling(partition);
        receiver
    }

    fn ensure_polling(self: &Arc<Self>, partition: PartitionId) {
        // The owner in this process tells by itself.
        if !self.doors.is_open(partition) {
            self.waiters.begun.notify_one();
        }
        if !std::mem::replace(&mut self.waiters.lock().polling, true) {
            let polling = Polling::new(Arc::clone(self), partition);
            tokio::spawn(async move { polling.run().await });
        }
    }
}
