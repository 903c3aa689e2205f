//! Looks for what other processes have written. `SQLite` tells nobody of a commit, so whoever wants
//! to hear of one has to look; it is one number of the database that says whether there was any.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use crate::listeners::Listeners;

use super::work::Job;

/// How often is looked while other processes write nothing.
const INTERVAL: Duration = Duration::from_millis(50);
/// The same while they do, and while a client waits for what they do.
const ATTENTIVE_INTERVAL: Duration = Duration::from_millis(10);
/// How long after a change another one is expected.
const ATTENTION: Duration = Duration::from_secs(1);

/// Asks the writer to look, until the store is gone.
pub(super) async fn watch(queue: mpsc::WeakSender<Job>, listeners: Listeners) {
    let mut attentive_until = Instant::now();
    loop {
        let is_attentive = listeners.await_news() || Instant::now() < attentive_until;
        sleep(if is_attentive { ATTENTIVE_INTERVAL } else { INTERVAL }).await;
        let Some(queue) = queue.upgrade().filter(|queue| !queue.is_closed()) else {
            return;
        };
        if !listeners.are_there() {
            continue;
        }
        let (seen, changed) = oneshot::channel();
        if queue.send(Job::Watch(seen)).await.is_err() {
            return;
        }
        // Who waits here does not keep the store open.
        drop(queue);
        if changed.await.unwrap_or_default() {
            attentive_until = Instant::now() + ATTENTION;
        }
    }
}
