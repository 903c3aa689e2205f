//! Looks for what other processes have written. `SQLite` tells nobody of a commit, so whoever wants
//! to hear of one has to look; it is one number of the database that says whether there was any.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior};

use crate::listeners::Listeners;

use super::work::Job;

/// How often is looked while other processes write nothing.
const INTERVAL: Duration = Duration::from_millis(50);
/// The same while they do, and while a client waits for what they do.
const ATTENTIVE_INTERVAL: Duration = Duration::from_millis(10);
/// For so many looks after a change another one is expected.
const ATTENTION: u32 = 100;

/// Asks the writer to look, until the store is gone.
pub(super) async fn watch(queue: mpsc::WeakSender<Job>, listeners: Listeners) {
    let (mut now_and_then, mut often) = (pauses(INTERVAL), pauses(ATTENTIVE_INTERVAL));
    let mut attention = 0_u32;
    loop {
        let is_attentive = listeners.await_news() || attention > 0;
        let pause = if is_attentive { &mut often } else { &mut now_and_then };
        pause.tick().await;
        attention = attention.saturating_sub(1);
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
            attention = ATTENTION;
        }
    }
}

fn pauses(interval: Duration) -> Interval {
    let mut pauses = tokio::time::interval(interval);
    pauses.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pauses
}
