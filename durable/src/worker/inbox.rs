//! Which stored messages of a partition are in memory, so that none is taken in twice, and the
//! timers that will be due soon. It does not know what a message says.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;

use durable_store::{Message, Timestamp};

/// The messages of a partition that are in memory.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// Ids of stored messages that are known: waiting, in a turn that is not durable, or kept for
    /// an instance that is blocked.
    known: HashSet<Arc<str>>,
    /// Messages that were used up while a poll was under way, which may still bring them.
    gone: HashSet<Arc<str>>,
    polling: bool,
    /// Messages that are not due yet.
    timers: BinaryHeap<Reverse<Scheduled>>,
    /// Grows with each timer: those of one time fire in this order.
    sequence: u64,
}

/// A message that is not due yet. Ordered by its time.
#[derive(Debug)]
struct Scheduled {
    due: Timestamp,
    sequence: u64,
    id: Arc<str>,
    message: Message,
}

impl Scheduled {
    fn key(&self) -> (Timestamp, u64) {
        (self.due, self.sequence)
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl Inbox {
    /// How many stored messages are known; a poll has to look past them.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Notes a message that a poll brought. `None` if it is in memory, or used up, already.
    pub(super) fn admit(&mut self, id: &str) -> Option<Arc<str>> {
        if self.known.contains(id) || self.gone.contains(id) {
            return None;
        }
        let id: Arc<str> = id.into();
        self.known.insert(Arc::clone(&id));
        Some(id)
    }

    /// A message is stored no more.
    pub(super) fn forget(&mut self, id: Arc<str>) {
        self.known.remove(&id);
        if self.polling {
            self.gone.insert(id);
        }
    }

    /// A message is in memory no more, and still stored: a poll brings it again.
    pub(super) fn put_back(&mut self, id: &str) {
        self.known.remove(id);
    }

    pub(super) fn poll_begins(&mut self) {
        self.polling = true;
    }

    /// What the poll brought has been admitted.
    pub(super) fn poll_ends(&mut self) {
        self.polling = false;
        self.gone.clear();
    }

    /// Keeps a scheduled message until it is due, unless it is in memory already.
    pub(super) fn add_timer(&mut self, message: Message) {
        let Some(id) = self.admit(&message.id) else { return };
        self.sequence += 1;
        let due = message.due_at.unwrap_or(Timestamp::MIN);
        self.timers.push(Reverse(Scheduled { due, sequence: self.sequence, id, message }));
    }

    /// The next message that is due.
    pub(super) fn next_due(&mut self, now: Timestamp) -> Option<(Arc<str>, Message)> {
        while self.timers.peek().is_some_and(|Reverse(first)| first.due <= now) {
            let Reverse(Scheduled { id, message, .. }) = self.timers.pop()?;
            // A cancelled one is not known any more.
            if self.known.contains(&id) {
                return Some((id, message));
            }
        }
        None
    }

    /// When the next message is due.
    pub(super) fn due_at(&mut self) -> Option<Timestamp> {
        // Nobody wakes for a cancelled one.
        while self.timers.peek().is_some_and(|Reverse(first)| !self.known.contains(&first.id)) {
            self.timers.pop();
        }
        self.timers.peek().map(|Reverse(first)| first.due)
    }
}

#[cfg(test)]
mod tests {
    use durable_store::PartitionId;

    use super::*;

    fn timer(id: &str, due: i64) -> Message {
        Message {
            id: id.to_owned(),
            partition: PartitionId(0),
            target: "a".to_owned(),
            due_at: Some(Timestamp::from_micros(due)),
            body: "".into(),
        }
    }

    fn fire(inbox: &mut Inbox, now: i64) -> Vec<String> {
        std::iter::from_fn(|| inbox.next_due(Timestamp::from_micros(now)))
            .map(|(id, _)| id.to_string())
            .collect()
    }

    #[test]
    fn a_message_is_admitted_once_until_it_is_forgotten() {
        let mut inbox = Inbox::default();
        let id = inbox.admit("m").unwrap();
        assert!(inbox.admit("m").is_none());
        inbox.forget(id);
        assert!(inbox.admit("m").is_some());
    }

    #[test]
    fn a_poll_that_was_under_way_does_not_bring_a_message_back() {
        let mut inbox = Inbox::default();
        let id = inbox.admit("m").unwrap();
        inbox.poll_begins();
        inbox.forget(id);
        assert!(inbox.admit("m").is_none());
        inbox.poll_ends();
        assert!(inbox.admit("m").is_some());
    }

    #[test]
    fn timers_fire_in_order_and_cancelled_ones_do_not() {
        let mut inbox = Inbox::default();
        for (id, due) in [("c", 3), ("a", 1), ("b", 1), ("x", 2), ("later", 9)] {
            inbox.add_timer(timer(id, due));
        }
        inbox.add_timer(timer("a", 1));
        inbox.forget("x".into());
        assert_eq!(fire(&mut inbox, 5), ["a", "b", "c"]);
        assert_eq!(inbox.due_at(), Some(Timestamp::from_micros(9)));
        inbox.forget("later".into());
        assert_eq!(inbox.due_at(), None);
    }
}
