//! The way of a message from a client to the owner of its partition in the same process. The owner
//! makes it durable together with what it leads to, so it need not be stored first and fetched
//! again. Whatever is unusual is refused here or there and goes through the store, which is always
//! right; a message that went both ways has its effect once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use durable_store::{Condition, Envelope, PartitionId};
use tokio::sync::{mpsc, oneshot};

/// Messages that may wait at the door of a partition; who brings more waits himself.
const DOOR_CAPACITY: usize = 1_024;

/// A message at the door.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) envelope: Envelope,
    /// Whether the instance that it creates has an id that nobody can have used before.
    pub(crate) is_fresh: bool,
    /// How much was known to be stored when it was sent: all of that comes first.
    pub(crate) after: u64,
    /// Told when what the message led to is durable; dropped if the owner does not take it.
    pub(crate) taken: oneshot::Sender<()>,
}

/// The partitions that this process owns, each with the door to its loop.
///
/// A message at a door must not overtake one in the store whose sender, or whose effect, was known
/// to its sender. So what becomes known here is counted, and a message comes in only after a poll
/// that began later than what it may know of.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_partition: HashMap<PartitionId, Door>,
    /// How often something was read from the store.
    seen: u64,
}

#[derive(Debug, Default)]
struct Door {
    entrance: Option<mpsc::Sender<Arrival>>,
    /// How often messages from here were stored.
    stored: u64,
}

impl Doors {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The partition is owned here from now on. Returns what comes through its door.
    pub(crate) fn open(&self, partition: PartitionId) -> mpsc::Receiver<Arrival> {
        let (entrance, arrivals) = mpsc::channel(DOOR_CAPACITY);
        self.lock().door(partition).entrance = Some(entrance);
        arrivals
    }

    /// It is not any more.
    pub(crate) fn close(&self, partition: PartitionId) {
        self.lock().door(partition).entrance = None;
    }

    pub(crate) fn is_open(&self, partition: PartitionId) -> bool {
        self.lock().by_partition.get(&partition).is_some_and(|door| door.entrance.is_some())
    }

    /// How much is known here to be stored for the partition, as a count that only grows.
    pub(crate) fn known(&self, partition: PartitionId) -> u64 {
        self.lock().known(partition)
    }

    /// Messages for the partition are stored, or may be.
    pub(crate) fn note_stored(&self, partition: PartitionId) {
        self.lock().door(partition).stored += 1;
    }

    /// Something was read from the store, which may be the effect of anything in it.
    pub(crate) fn note_seen(&self) {
        self.lock().seen += 1;
    }

    /// Hands a message to the owner of its partition. Whether he took it, and all that it led to
    /// is durable. If not, it may still come to that when the owner was interrupted: who sends it
    /// through the store then must send the same one.
    pub(crate) async fn pass(&self, envelope: &Envelope, is_fresh: bool) -> bool {
        let Some((entrance, after)) = self.entrance(envelope) else { return false };
        let (taken, is_taken) = oneshot::channel();
        let arrival = Arrival { envelope: envelope.clone(), is_fresh, after, taken };
        entrance.send(arrival).await.is_ok() && is_taken.await.is_ok()
    }

    /// The open door for a message that an owner can judge.
    fn entrance(&self, envelope: &Envelope) -> Option<(mpsc::Sender<Arrival>, u64)> {
        let may_pass = match &envelope.condition {
            Condition::None | Condition::Running | Condition::Creates(_) => true,
            Condition::Replaces { only, .. } => only.is_none(),
            Condition::Reopens => false,
        };
        if !may_pass || envelope.message.due_at.is_some() {
            return None;
        }
        let state = self.lock();
        let partition = envelope.message.partition;
        let entrance = state.by_partition.get(&partition)?.entrance.clone()?;
        Some((entrance, state.known(partition)))
    }
}

impl State {
    fn door(&mut self, partition: PartitionId) -> &mut Door {
        self.by_partition.entry(partition).or_default()
    }

    fn known(&self, partition: PartitionId) -> u64 {
        self.seen + self.by_partition.get(&partition).map_or(0, |door| door.stored)
    }
}

#[cfg(test)]
mod tests {
    use durable_store::Message;

    use super::*;

    fn envelope(due: bool) -> Envelope {
        let message = Message {
            id: "m".to_owned(),
            partition: PartitionId(1),
            target: "a".to_owned(),
            due_at: due.then_some(durable_store::Timestamp::MIN),
            body: "".into(),
        };
        Envelope { message, condition: Condition::None }
    }

    #[tokio::test]
    async fn nothing_passes_where_nobody_takes_it() {
        let doors = Doors::default();
        let message = envelope(false);
        assert!(!doors.pass(&message, false).await);
        drop(doors.open(PartitionId(1)));
        assert!(!doors.pass(&message, false).await);
        let mut arrivals = doors.open(PartitionId(1));
        let refuse = async { drop(arrivals.recv().await) };
        assert!(!tokio::join!(doors.pass(&message, false), refuse).0);
        // What is due later has to be stored.
        assert!(!doors.pass(&envelope(true), false).await);
        doors.close(PartitionId(1));
        assert!(!doors.is_open(PartitionId(1)));
        assert!(!doors.pass(&message, false).await);
    }

    #[tokio::test]
    async fn a_message_says_how_much_was_known_before_it() {
        let doors = Doors::default();
        doors.note_stored(PartitionId(1));
        let mut arrivals = doors.open(PartitionId(1));
        doors.note_stored(PartitionId(1));
        doors.note_stored(PartitionId(0));
        doors.note_seen();
        let take = async {
            let arrival = arrivals.recv().await.unwrap();
            arrival.taken.send(()).unwrap();
            arrival.after
        };
        let message = envelope(false);
        let (passed, after) = tokio::join!(doors.pass(&message, false), take);
        assert!(passed);
        assert_eq!((after, doors.known(PartitionId(1))), (3, 3));
    }
}
