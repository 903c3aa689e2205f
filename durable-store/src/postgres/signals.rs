//! Hints between processes: who stored messages says so after the commit, on another connection
//! and never on the way of a commit, and gathers for a few milliseconds what there is to say.
//! A notification that is lost costs its receiver the wait for the next poll.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::runtime::Handle;
use tokio::sync::{Notify, broadcast};
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::model::PartitionId;

use super::pool::Connections;
use super::sql;
use super::statement::{Names, Statement, Value};

/// How long hints are gathered before one notification says them all.
const NOTIFY_INTERVAL: Duration = Duration::from_millis(5);
/// How long to wait before listening is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Stands between the sender of a notification and what it says.
const SENDER_END: char = ':';
/// Stands between partitions.
const SEPARATOR: char = ',';
/// Partitions that one notification names. A payload has less than 8000 bytes.
const MAX_NAMED: usize = 1_000;

/// What there is to say.
#[derive(Debug, Default)]
struct Outbox {
    partitions: Mutex<BTreeSet<PartitionId>>,
    filled: Notify,
}

/// The hints of a store.
#[derive(Debug)]
pub(super) struct Signals {
    hints: broadcast::Sender<PartitionId>,
    /// What other processes are told through; `None` if they are not.
    remote: Option<Remote>,
}

#[derive(Debug)]
struct Remote {
    outbox: Arc<Outbox>,
    speaker: AbortHandle,
    listener: OnceLock<AbortHandle>,
    runtime: Handle,
    options: PgConnectOptions,
    channel: String,
    sender: String,
    partitions: u16,
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
    /// Hints within this process only.
    pub(super) fn local(hints: broadcast::Sender<PartitionId>) -> Self {
        Self { hints, remote: None }
    }

    /// Hints between the processes that use the hub.
    pub(super) fn remote(
        hints: broadcast::Sender<PartitionId>,
        pool: Arc<Connections>,
        options: PgConnectOptions,
        names: &Names,
        seed: u64,
        partitions: u16,
    ) -> Self {
        let outbox = Arc::new(Outbox::default());
        let channel = format!("durable.{}", names.schema());
        let sender = format!("{seed:x}");
        let speaking = speak(pool, names.clone(), channel.clone(), sender.clone(), outbox.clone());
        let remote = Remote {
            outbox,
            speaker: tokio::spawn(speaking).abort_handle(),
            listener: OnceLock::new(),
            runtime: Handle::current(),
            options,
            channel,
            sender,
            partitions,
        };
        Self { hints, remote: Some(remote) }
    }

    /// Says that these partitions have messages.
    pub(super) fn hint(&self, partitions: BTreeSet<PartitionId>) {
        if partitions.is_empty() {
            return;
        }
        for partition in &partitions {
            // An error says that nobody listens here.
            let _ = self.hints.send(*partition);
        }
        if let Some(remote) = &self.remote {
            let mut outbox =
                remote.outbox.partitions.lock().unwrap_or_else(PoisonError::into_inner);
            outbox.extend(partitions);
            remote.outbox.filled.notify_one();
        }
    }

    /// Listens from here on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<PartitionId> {
        if let Some(remote) = &self.remote {
            remote.listener.get_or_init(|| {
                let listening = listen(
                    remote.options.clone(),
                    remote.channel.clone(),
                    remote.sender.clone(),
                    self.hints.clone(),
                    remote.partitions,
                );
                remote.runtime.spawn(listening).abort_handle()
            });
        }
        self.hints.subscribe()
    }
}

/// Tells the others what is in the outbox, again and again.
async fn speak(
    pool: Arc<Connections>,
    names: Names,
    channel: String,
    sender: String,
    outbox: Arc<Outbox>,
) {
    let mut ticks = interval(NOTIFY_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        outbox.filled.notified().await;
        ticks.tick().await;
        let taken =
            std::mem::take(&mut *outbox.partitions.lock().unwrap_or_else(PoisonError::into_inner));
        let taken: Vec<PartitionId> = taken.into_iter().collect();
        for part in taken.chunks(MAX_NAMED) {
            let payload = payload(&sender, part);
            let values = vec![Value::Text(&channel), Value::Text(&payload)];
            let statement = Statement::of(&names, sql::NOTIFY, values);
            if let Err(failure) = pool.run(&statement).await {
                tracing::debug!(error = %failure.error, "others are not told of messages");
            }
        }
    }
}

fn payload(sender: &str, partitions: &[PartitionId]) -> String {
    let mut payload = format!("{sender}{SENDER_END}");
    for (place, partition) in partitions.iter().enumerate() {
        if place > 0 {
            payload.push(SEPARATOR);
        }
        payload.push_str(&partition.0.to_string());
    }
    payload
}

/// The partitions that a notification of somebody else names.
fn named<'a>(payload: &'a str, own: &str) -> impl Iterator<Item = PartitionId> + 'a {
    let (sender, list) = payload.split_once(SENDER_END).unwrap_or_default();
    let list = if sender == own { "" } else { list };
    list.split(SEPARATOR).filter_map(|number| number.parse().ok().map(PartitionId))
}

/// Passes on what others say, until it is aborted.
async fn listen(
    options: PgConnectOptions,
    channel: String,
    sender: String,
    hints: broadcast::Sender<PartitionId>,
    partitions: u16,
) {
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
    let mut retries = interval(RETRY_INTERVAL);
    retries.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        retries.tick().await;
        let heard = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(&channel).await?;
            loop {
                // What was said while nobody listened is not known.
                for partition in 0..partitions {
                    let _ = hints.send(PartitionId(partition));
                }
                while let Some(notification) = listener.try_recv().await? {
                    for partition in named(notification.payload(), &sender) {
                        let _ = hints.send(partition);
                    }
                }
            }
        };
        let heard: Result<(), sqlx::Error> = heard.await;
        if let Err(error) = heard {
            tracing::debug!(%error, "messages of others are seen by polling only");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_names_partitions_to_all_but_its_sender() {
        let partitions = [PartitionId(0), PartitionId(17)];
        let payload = payload("a1", &partitions);
        assert_eq!(payload, "a1:0,17");
        assert_eq!(named(&payload, "b2").collect::<Vec<_>>(), partitions);
        assert_eq!(named(&payload, "a1").count(), 0);
        assert_eq!(named("nonsense", "a1").count(), 0);
    }
}
