//! The way of a message from a client to the owner of its partition in the same process. The owner
//! makes it durable together with what it leads to, so it need not be stored first and fetched
//! again. Whatever is unusual is refused here or there and goes through the store, which is always
//! right; a message that went both ways has its effect once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use durable_store::{Condition, Envelope, PartitionId, StoreError, StoreErrorKind};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::backoff::PATIENCE;
use crate::clock::Clock;

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

impl Arrival {
    /// Whether its sender waits no more. He may have sent something else by now, which must not be
    /// overtaken.
    pub(crate) fn is_given_up(&self) -> bool {
        self.taken.is_closed()
    }
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
    /// Told of each call of the owner to the store that failed.
    failures: Arc<Notify>,
}

/// What a message needs to pass.
struct Way {
    entrance: mpsc::Sender<Arrival>,
    failures: Arc<Notify>,
    after: u64,
}

/// A message for the partition is being stored.
#[must_use = "the message is counted when this is dropped"]
pub(crate) struct Storing<'a> {
    doors: &'a Doors,
    partition: PartitionId,
}

impl Drop for Storing<'_> {
    fn drop(&mut self) {
        self.doors.note_stored(self.partition);
    }
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

    /// The same for a call that stores a message, when what is returned is dropped: after the call,
    /// or with it if its caller gives up, who cannot know then whether it came to that.
    pub(crate) fn storing(&self, partition: PartitionId) -> Storing<'_> {
        Storing { doors: self, partition }
    }

    /// Something was read from the store, which may be the effect of anything in it.
    pub(crate) fn note_seen(&self) {
        self.lock().seen += 1;
    }

    /// A call of the partition's owner to the store has failed, and will be repeated.
    pub(crate) fn note_failure(&self, partition: PartitionId) {
        self.lock().door(partition).failures.notify_waiters();
    }

    /// Hands a message to the owner of its partition. Whether he took it, and all that it led to
    /// is durable. If not, it may still come to that when the owner was interrupted: who sends it
    /// through the store then must send the same one.
    ///
    /// An error says that the owner cannot reach the store for as long as anybody tries. What he
    /// has begun may still come to its end.
    pub(crate) async fn pass(
        &self,
        envelope: &Envelope,
        is_fresh: bool,
        clock: &dyn Clock,
    ) -> Result<bool, StoreError> {
        let Some(Way { entrance, failures, after }) = self.way(envelope) else { return Ok(false) };
        let (taken, is_taken) = oneshot::channel();
        let arrival = Arrival { envelope: envelope.clone(), is_fresh, after, taken };
        let handed = async { entrance.send(arrival).await.is_ok() && is_taken.await.is_ok() };
        tokio::select! {
            biased;
            taken = handed => Ok(taken),
            () = store_is_away(&failures, clock) => Err(store_away()),
        }
    }

    /// The way of a message that an owner can judge.
    fn way(&self, envelope: &Envelope) -> Option<Way> {
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
        let door = state.by_partition.get(&partition)?;
        let (entrance, failures) = (door.entrance.clone()?, Arc::clone(&door.failures));
        Some(Way { entrance, failures, after: state.known(partition) })
    }
}

/// Completes when a call to the store fails that others wait for longer than they would repeat it.
async fn store_is_away(failures: &Notify, clock: &dyn Clock) {
    let until = clock.now() + PATIENCE;
    loop {
        failures.notified().await;
        if clock.now() >= until {
            return;
        }
    }
}

fn store_away() -> StoreError {
    let detail = "the worker of this process cannot reach the store: what was sent may still have \
                  its effect when it can again";
    StoreError::new(StoreErrorKind::OutcomeUnknown, "send", detail)
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
    use crate::clock::VirtualClock;

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

    async fn pass(doors: &Doors, message: &Envelope) -> bool {
        doors.pass(message, false, &VirtualClock::new()).await.unwrap()
    }

    #[tokio::test]
    async fn nothing_passes_where_nobody_takes_it() {
        let doors = Doors::default();
        let message = envelope(false);
        assert!(!pass(&doors, &message).await);
        drop(doors.open(PartitionId(1)));
        assert!(!pass(&doors, &message).await);
        let mut arrivals = doors.open(PartitionId(1));
        let refuse = async { drop(arrivals.recv().await) };
        assert!(!tokio::join!(pass(&doors, &message), refuse).0);
        // What is due later has to be stored.
        assert!(!pass(&doors, &envelope(true)).await);
        doors.close(PartitionId(1));
        assert!(!doors.is_open(PartitionId(1)));
        assert!(!pass(&doors, &message).await);
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
        let (passed, after) = tokio::join!(pass(&doors, &message), take);
        assert!(passed);
        assert_eq!((after, doors.known(PartitionId(1))), (3, 3));
    }
}
