//! Which message of an entity is next: who has locked it goes first, and all others wait in the order
//! in which they came. Locks are data here: a message asks for one, and another one ends it.

use super::{EntityInstance, MAX_QUEUED_PER_TURN};
use crate::history::Event;
use crate::json::Json;
use crate::message::{Body, LockId, ReplyTo};
use crate::turn::EntityAddress;

impl EntityInstance {
    /// Takes in a message: it is processed, or waits.
    pub(super) fn accept(&mut self, body: Body) {
        if let Body::Unlock { lock, .. } = &body
            && self.holder.as_ref() != Some(lock)
        {
            // Who asks no more has not got it here, nor at the entities behind this one.
            return self.forget_request(lock);
        }
        // Unless something before it could run, nothing in the queue is in its way.
        if !self.behind && self.may_run(&body) {
            return self.process(body);
        }
        self.behind |= self.may_run(&body);
        self.queue.insert(self.next_queued, body);
        self.next_queued += 1;
    }

    /// Processes what waits no longer, in order.
    pub(super) fn process_queue(&mut self) {
        for _ in 0..MAX_QUEUED_PER_TURN {
            let Some(number) = self.next_in_queue() else {
                self.behind = false;
                return;
            };
            if let Some(body) = self.queue.remove(number) {
                self.process(body);
            }
        }
        self.look_behind();
        if self.behind {
            // The rest has a turn of its own, so that others get theirs.
            let id = self.core.identity.id.clone();
            self.core.send(id, Body::Proceed);
        }
    }

    /// Something may have come out of the way of what is queued, which goes before what comes.
    pub(super) fn look_behind(&mut self) {
        self.behind = self.next_in_queue().is_some();
    }

    fn next_in_queue(&self) -> Option<i64> {
        self.queue.iter().find(|(_, body)| self.may_run(body)).map(|(number, _)| number)
    }

    /// Whether nothing is in the way of a message but those before it.
    pub(super) fn may_run(&self, body: &Body) -> bool {
        if self.running.is_some() {
            return false;
        }
        let Some(holder) = &self.holder else { return true };
        match body {
            Body::Operation { within, .. } => within.as_ref() == Some(holder),
            Body::Unlock { lock, .. } => lock == holder,
            _ => false,
        }
    }

    fn process(&mut self, body: Body) {
        match body {
            Body::Operation { name, args, reply, .. } => self.operate(&name, &args, reply),
            Body::Lock { lock, entities, position, reply } => {
                self.grant(lock, entities, position, reply);
            }
            Body::Unlock { lock, onward } => self.unlock(lock, onward),
            _ => {}
        }
    }

    /// Locks the entity, and passes the request on, or tells who asked that all are locked.
    fn grant(
        &mut self,
        lock: LockId,
        entities: Vec<EntityAddress>,
        position: usize,
        reply: ReplyTo,
    ) {
        self.core.actions.history.push(Event::Locked { owner: lock.owner.clone() });
        self.holder = Some(lock.clone());
        match entities.get(position + 1).map(EntityAddress::instance_id) {
            Some(next) => {
                let position = position + 1;
                self.core.send(next, Body::Lock { lock, entities, position, reply });
            }
            None => self.core.reply(reply, Ok(Json::null())),
        }
    }

    fn unlock(&mut self, lock: LockId, mut onward: Vec<EntityAddress>) {
        self.core.actions.history.push(Event::Unlocked { owner: lock.owner.clone() });
        self.holder = None;
        self.look_behind();
        if !onward.is_empty() {
            let next = onward.remove(0).instance_id();
            self.core.send(next, Body::Unlock { lock, onward });
        }
    }

    /// Drops a request that still waits here.
    fn forget_request(&mut self, given_up: &LockId) {
        let is_it = |body: &Body| matches!(body, Body::Lock { lock, .. } if lock == given_up);
        let waiting = self.queue.iter().find(|(_, body)| is_it(body)).map(|(number, _)| number);
        if let Some(number) = waiting {
            self.queue.remove(number);
        }
    }
}
