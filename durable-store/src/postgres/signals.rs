//! Waking between processes: who stored something says so after the commit, on another connection
//! and never on the way of a commit, and gathers for a few milliseconds what there is to say.
//! A notification that is lost costs its receiver the wait for the next poll.
//!
//! News of instances is said only while somebody listens for it in another process, who says so
//! again and again. Nobody does where the clients are in the processes of the workers.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::runtime::Handle;
use tokio::sync::{Notify, broadcast};
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::listeners::Listeners;
use crate::model::{Hint, PartitionId};

use super::pool::Connections;
use super::sql;
use super::statement::{Names, Statement, Value};
use super::words::{Word, payload, said};

/// How long words are gathered before one notification says them all.
const NOTIFY_INTERVAL: Duration = Duration::from_millis(2);
/// How long to wait before listening is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How often it is said that somebody listens for news.
const LISTENING_INTERVAL: Duration = Duration::from_secs(5);
/// It is believed for so many intervals.
const LISTENING_FOR: u32 = 3;
/// Words of one notification. A payload has less than 8000 bytes.
const MAX_WORDS: usize = 1_000;

/// What there is to say, and to whom.
#[derive(Debug, Default)]
struct Outbox {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    words: BTreeSet<Word>,
    /// For so many intervals others listen for news.
    others_listen: u32,
    /// Whether it was said in this interval that somebody listens here.
    said_so: bool,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, words: impl IntoIterator<Item = Word>) {
        self.lock().words.extend(words);
        self.filled.notify_one();
    }

    /// Says it if anybody listens for it.
    fn say_news(&self, partition: PartitionId) {
        let mut state = self.lock();
        if state.others_listen > 0 {
            state.words.insert(Word::News(partition));
            self.filled.notify_one();
        }
    }

    /// Somebody else listens for news from now on.
    fn others_listen(&self) {
        self.lock().others_listen = LISTENING_FOR;
    }

    /// Says that somebody listens here, if it was not said lately.
    fn listen(&self) {
        let mut state = self.lock();
        if !std::mem::replace(&mut state.said_so, true) {
            state.words.insert(Word::Listening);
            self.filled.notify_one();
        }
    }

    /// An interval is over.
    fn pass(&self) {
        let mut state = self.lock();
        state.others_listen = state.others_listen.saturating_sub(1);
        state.said_so = false;
    }

    fn take(&self) -> Vec<Word> {
        std::mem::take(&mut self.lock().words).into_iter().collect()
    }
}

/// The ways in which a store wakes others.
#[derive(Debug)]
pub(super) struct Signals {
    listeners: Listeners,
    /// What other processes are told through; `None` if they are not.
    remote: Option<Remote>,
}

#[derive(Debug)]
struct Remote {
    speaker: AbortHandle,
    listener: OnceLock<AbortHandle>,
    runtime: Handle,
    ear: Ear,
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.speaker.abort();
        if let Some(listener) = self.listener.get() {
            listener.abort();
        }
    }
}

impl Signals {
    /// Within this process only.
    pub(super) fn local() -> Self {
        Self { listeners: Listeners::new(), remote: None }
    }

    /// Between the processes that use the hub.
    pub(super) fn remote(
        pool: Arc<Connections>,
        options: PgConnectOptions,
        names: &Names,
        seed: u64,
        partitions: u16,
    ) -> Self {
        let (listeners, outbox) = (Listeners::new(), Arc::<Outbox>::default());
        let channel = format!("durable.{}", names.schema());
        let sender = format!("{seed:x}");
        let mouth = Mouth {
            pool,
            names: names.clone(),
            channel: channel.clone(),
            sender: sender.clone(),
            outbox: Arc::clone(&outbox),
            listeners: listeners.clone(),
        };
        let ear =
            Ear { options, channel, sender, outbox, listeners: listeners.clone(), partitions };
        let remote = Remote {
            speaker: tokio::spawn(mouth.speak()).abort_handle(),
            listener: OnceLock::new(),
            runtime: Handle::current(),
            ear,
        };
        Self { listeners, remote: Some(remote) }
    }

    /// Says what workers may wait for.
    pub(super) fn hint(&self, hints: BTreeSet<Hint>) {
        if hints.is_empty() {
            return;
        }
        self.listeners.tell_all(hints.iter().copied());
        if let Some(remote) = &self.remote {
            remote.ear.outbox.say(hints.into_iter().map(Word::Hint));
        }
    }

    /// Says that there is something in the partition that clients may wait for.
    pub(super) fn news(&self, partition: PartitionId) {
        self.listeners.tell_news(partition);
        if let Some(remote) = &self.remote {
            remote.ear.outbox.say_news(partition);
        }
    }

    /// Listens for hints from here on.
    pub(super) fn hints(&self) -> broadcast::Receiver<Hint> {
        let receiver = self.listeners.hints();
        self.ensure_listening();
        receiver
    }

    /// Listens for news from here on.
    pub(super) fn hear_news(&self) -> broadcast::Receiver<PartitionId> {
        let receiver = self.listeners.news();
        self.ensure_listening();
        if let Some(remote) = &self.remote {
            remote.ear.outbox.listen();
        }
        receiver
    }

    fn ensure_listening(&self) {
        if let Some(Remote { listener, runtime, ear, .. }) = &self.remote {
            listener.get_or_init(|| runtime.spawn(ear.clone().listen()).abort_handle());
        }
    }
}

/// Tells the others what is in the outbox.
struct Mouth {
    pool: Arc<Connections>,
    names: Names,
    channel: String,
    sender: String,
    outbox: Arc<Outbox>,
    listeners: Listeners,
}

impl Mouth {
    /// Speaks until it is aborted.
    async fn speak(self) {
        let mut pauses = interval(NOTIFY_INTERVAL);
        pauses.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reminders = interval(LISTENING_INTERVAL);
        reminders.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.outbox.filled.notified() => {
                    pauses.tick().await;
                    self.say(&self.outbox.take()).await;
                }
                _ = reminders.tick() => {
                    self.outbox.pass();
                    if self.listeners.await_news() {
                        self.outbox.listen();
                    }
                }
            }
        }
    }

    async fn say(&self, words: &[Word]) {
        for words in words.chunks(MAX_WORDS) {
            let payload = payload(&self.sender, words);
            let values = vec![Value::Text(&self.channel), Value::Text(&payload)];
            let statement = Statement::of(&self.names, sql::NOTIFY, values);
            if let Err(failure) = self.pool.run(&statement).await {
                tracing::debug!(error = %failure.error, "others are not told of anything");
            }
        }
    }
}

/// Passes on what others say.
#[derive(Debug, Clone)]
struct Ear {
    options: PgConnectOptions,
    channel: String,
    sender: String,
    outbox: Arc<Outbox>,
    listeners: Listeners,
    partitions: u16,
}

impl Ear {
    /// Listens until it is aborted.
    async fn listen(self) {
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(self.options.clone());
        let mut retries = interval(RETRY_INTERVAL);
        retries.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            retries.tick().await;
            let heard: Result<(), sqlx::Error> = async {
                let mut listener = PgListener::connect_with(&pool).await?;
                listener.listen(&self.channel).await?;
                loop {
                    self.missed();
                    while let Some(notification) = listener.try_recv().await? {
                        for word in said(notification.payload(), &self.sender) {
                            self.hear(word);
                        }
                    }
                }
            }
            .await;
            if let Err(error) = heard {
                tracing::debug!(%error, "what others do is seen by polling only");
            }
        }
    }

    /// What was said while nobody listened is not known.
    fn missed(&self) {
        self.listeners.tell_of_partitions(self.partitions);
        self.listeners.tell(Hint::Offers);
        self.outbox.others_listen();
    }

    fn hear(&self, word: Word) {
        match word {
            Word::Hint(hint) => self.listeners.tell(hint),
            Word::News(partition) => self.listeners.tell_news(partition),
            Word::Listening => self.outbox.others_listen(),
        }
    }
}
