//! The part of a partition that takes messages in at its door, from clients in the same process.
//! Such a message is stored nowhere before the commit that holds what it led to. One that is not
//! taken is given back by dropping its sign; its sender then stores it, and all is as usual.

use std::collections::VecDeque;
use std::sync::Arc;

use durable_store::{Condition, Envelope, NewInstance, Status, StoredInstance};
use tokio::sync::{mpsc, oneshot};

use super::committer::{Origin, Part};
use super::deliver::record_of;
use super::partition::Partition;
use super::slots::{Mail, Resident};
use crate::doors::Arrival;
use crate::message::Body;
use crate::turn::Inbound;

/// Messages that are taken in at once, so that commits and polls get their turn.
const MAX_ARRIVALS: usize = 1_024;

/// A message that came through the door, while it is in memory.
#[derive(Debug)]
pub(super) struct Direct {
    /// Its id.
    pub(super) id: Arc<str>,
    /// The instance that it makes.
    pub(super) creates: Option<Box<NewInstance>>,
    /// Whether it is only for an instance that has not ended.
    if_running: bool,
    taken: oneshot::Sender<()>,
}

impl Direct {
    /// What it led to is durable.
    pub(super) fn done(self) {
        // Nobody waits any more: it happened all the same.
        let _ = self.taken.send(());
    }

    /// Whether a resident instance may be given the message. One that makes an instance is for the
    /// one that it made.
    pub(super) fn may_reach(&self, resident: &Resident) -> bool {
        match &self.creates {
            Some(new) => {
                resident.create.as_ref().is_some_and(|created| created.request == new.request)
            }
            // The first message of an instance that was stored is on its way, and comes first: this
            // one is stored behind it.
            None if resident.status == Status::Pending => resident.create.is_some(),
            None => !(self.if_running && resident.status.is_terminal()),
        }
    }
}

/// The door of a partition, and what waits behind it.
#[derive(Debug)]
pub(super) struct Entrance {
    pub(super) door: mpsc::Receiver<Arrival>,
    /// Messages that must not overtake what is stored and no poll has brought yet.
    early: VecDeque<Arrival>,
    /// How much was known to be stored when the poll under way began.
    poll_covers: u64,
    /// The same of the last poll that brought everything. `None` before there was one.
    covered: Option<u64>,
    /// Messages that cannot be judged before what is not durable now is: given back then.
    unclear: Vec<Direct>,
    /// The same, for the commit under way.
    unclear_in_flight: Vec<Direct>,
}

impl Entrance {
    pub(super) fn new(door: mpsc::Receiver<Arrival>) -> Self {
        Self {
            door,
            early: VecDeque::new(),
            poll_covers: 0,
            covered: None,
            unclear: Vec::new(),
            unclear_in_flight: Vec::new(),
        }
    }

    /// Takes no more messages.
    pub(super) fn close(&mut self) {
        self.door.close();
        self.early.clear();
        while self.door.try_recv().is_ok() {}
    }

    /// A commit begins.
    pub(super) fn commit_begins(&mut self) {
        self.unclear_in_flight.append(&mut self.unclear);
    }

    /// It has ended. `more` says whether another one follows.
    pub(super) fn commit_ends(&mut self, more: bool) {
        self.unclear_in_flight.clear();
        if !more {
            self.unclear.clear();
        }
    }

    /// Messages of the inbox that were in memory come again: nothing may come in before them.
    fn await_poll(&mut self) {
        self.covered = None;
    }
}

impl Partition {
    /// A poll begins: what is known to be stored by now it will bring.
    pub(super) fn note_poll(&mut self) {
        let doors = &self.shared.connection.doors;
        self.entrance.poll_covers = doors.known(self.committer.lease.partition);
    }

    /// A poll has brought everything.
    pub(super) fn poll_was_complete(&mut self) {
        self.entrance.covered = Some(self.entrance.poll_covers);
        for arrival in std::mem::take(&mut self.entrance.early) {
            self.take_arrival(arrival);
        }
    }

    /// Takes in what waits at the door.
    pub(super) fn take_arrivals(&mut self) {
        for _ in 0..MAX_ARRIVALS {
            if !self.takes_arrivals() {
                return;
            }
            let Ok(arrival) = self.entrance.door.try_recv() else { return };
            self.take_arrival(arrival);
        }
    }

    /// Whether more messages may come in. If not, they wait at the door, and their senders there.
    pub(super) fn takes_arrivals(&self) -> bool {
        self.has_room() && self.entrance.early.len() < MAX_ARRIVALS
    }

    /// A poll has not brought everything. Nobody can say how long it takes until one does, so those
    /// who wait for it are sent to the store, which puts them in their place.
    pub(super) fn poll_was_incomplete(&mut self) {
        self.entrance.early.clear();
    }

    pub(super) fn take_arrival(&mut self, arrival: Arrival) {
        if arrival.is_given_up() {
            return;
        }
        if self.entrance.covered.is_none_or(|covered| covered < arrival.after) {
            self.poll_wanted = true;
            self.entrance.early.push_back(arrival);
            return;
        }
        let Arrival { envelope: Envelope { message, condition }, is_fresh, taken, .. } = arrival;
        // What cannot be read is reported when it is stored.
        let Ok(body) = serde_json::from_str::<Body>(&message.body) else { return };
        let if_running = matches!(condition, Condition::Running);
        let creates = match condition {
            Condition::Creates(new) | Condition::Replaces { new, .. } => Some(new),
            Condition::None | Condition::Running | Condition::Reopens => None,
        };
        if is_fresh
            && let Some(new) = &creates
            && !self.slots.knows(&new.id)
            && !self.make(new.clone())
        {
            return;
        }
        let direct = Direct { id: message.id.into(), creates, if_running, taken };
        let (origin, since) = (Origin::Direct(direct), self.now());
        let mail = Mail { origin, inbound: Inbound::Message(body), since };
        self.slots.deliver(&message.target, mail);
    }

    /// Makes an instance in memory, if this build can run it.
    pub(super) fn make(&mut self, new: Box<NewInstance>) -> bool {
        let id: Arc<str> = new.id.as_str().into();
        let stored = StoredInstance { record: record_of(&new), side: Vec::new() };
        let Ok(instance) = self.decode(&stored) else { return false };
        self.slots.loaded(&id, Resident::new(instance, &stored.record, Some(new)));
        true
    }

    /// There is no instance with this id. Makes the one that a waiting message wants made; what
    /// came before it was for nobody. Whether there is one now.
    pub(super) fn make_missing(&mut self, id: &Arc<str>) -> bool {
        let Some(new) = self.slots.first_creation(id) else { return false };
        drop(self.slots.refuse_until_creation(id));
        if self.make(new) {
            return true;
        }
        drop(self.slots.refuse(id, |_| true));
        false
    }

    /// An instance is in the store. Messages that cannot be for it are given back.
    pub(super) fn refuse_for(&mut self, id: &str, has_ended: bool) {
        drop(
            self.slots
                .refuse(id, |direct| direct.creates.is_some() || (has_ended && direct.if_running)),
        );
    }

    /// The instance that a start made here cannot be stored: its id is taken meanwhile, or the start
    /// itself is too large. It was never there. What it was told goes back to where it came from, and
    /// comes again for the instance that the store knows.
    pub(super) fn unmake(&mut self, part: Part) {
        let Some((id, _)) = &part.instance else { return };
        tracing::debug!(instance = &**id, "a start is given back to be stored");
        let next = self.pending.remove(id);
        let mail = self.slots.unmake(id);
        for part in std::iter::once(part).chain(next) {
            self.put_back(part.consume.into_iter().chain(part.unschedule));
        }
        self.put_back(mail.into_iter().filter_map(|mail| mail.origin.stored_id()));
    }

    /// The messages with these ids are in the store, and in memory no more.
    fn put_back(&mut self, ids: impl Iterator<Item = Arc<str>>) {
        for id in ids {
            self.inbox.put_back(&id);
            self.entrance.await_poll();
            self.poll_wanted = true;
        }
    }

    /// Gives messages back once it is clear what became of the instance that they met.
    pub(super) fn give_back_later(&mut self, mut refused: Vec<Direct>) {
        if !self.is_settled() {
            self.entrance.unclear.append(&mut refused);
        }
    }
}
