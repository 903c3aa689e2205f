//! The part of a partition that runs turns, and what follows from them once they are durable.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use durable_store::{InstanceChange, InstanceKind, Status, StoreError};

use super::activities::Job;
use super::committer::{Origin, Part, Sender, blocked_change};
use super::lifecycle::{self, LifecycleEvent, Listener};
use super::metrics::add;
use super::partition::{Partition, Running};
use super::slots::{Mail, Resident};
use crate::error::Failure;
use crate::telemetry;
use crate::turn::TurnOutput;
use crate::waiters::News;

/// Messages that one turn takes at most.
const MAX_MESSAGES_PER_TURN: usize = 1_000;

/// What is to be told of a turn of an orchestration.
fn lifecycle_events(
    listener: &Listener,
    resident: &Resident,
    before: Status,
    output: &TurnOutput,
) -> Vec<LifecycleEvent> {
    if !listener.is_there() || resident.kind != InstanceKind::Orchestration {
        return Vec::new();
    }
    let (instance_id, name, version) = resident.instance.names();
    let event = |status| LifecycleEvent {
        instance_id: instance_id.to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
        status,
        at: output.change.updated_at,
    };
    lifecycle::passed(before, output.change.status).map(event).collect()
}

impl Partition {
    /// Runs the turns that can run, until the next batch is full.
    pub(super) fn run_turns(&mut self) {
        let limits = self.batch_limits();
        while let Some(id) = self.slots.pop_ready() {
            let Some(kind) = self.slots.resident(&id).map(|resident| resident.kind) else {
                continue;
            };
            if self.pending.is_full(&id, kind, limits) {
                self.slots.push_back_ready(&id);
                return;
            }
            self.run_turn(&id, kind);
        }
    }

    fn run_turn(&mut self, id: &Arc<str>, kind: InstanceKind) {
        let now = self.now();
        let Some((resident, mails)) = self.slots.begin_turn(id, MAX_MESSAGES_PER_TURN) else {
            return;
        };
        let mut origins = Vec::with_capacity(mails.len());
        let mut inbound = Vec::with_capacity(mails.len());
        let mut refused = Vec::new();
        let mut waited = Duration::ZERO;
        for Mail { origin, inbound: message, since } in mails {
            waited += now.saturating_since(since);
            match origin {
                Origin::Direct(direct) if !direct.may_reach(resident) => refused.push(direct),
                origin => {
                    origins.push(origin);
                    inbound.push(message);
                }
            }
        }
        if inbound.is_empty() {
            self.slots.end_turn(id, false, false);
            return self.give_back_later(refused);
        }
        let count = inbound.len();
        add(&self.shared.counters.turns, 1);
        self.shared.counters.taken_in(count, waited);
        let turn = || telemetry::turn(id, count, || resident.instance.turn(inbound, now));
        // User code cannot unwind out of a turn. This is for errors of the engine.
        let mut output = match catch_unwind(AssertUnwindSafe(turn)) {
            Ok(output) => output,
            Err(panic) => {
                let mut part = Part::of(id, kind);
                for origin in origins {
                    part.consume(origin);
                }
                return self.engine_panicked(id, part, &Failure::of_panic(&*panic));
            }
        };
        output.change.create = resident.create.take();
        let is_first = !std::mem::replace(&mut resident.had_turn, true);
        self.shared.settings.history.apply(&mut output.change, is_first);
        let before = std::mem::replace(&mut resident.status, output.change.status);
        let lifecycle = lifecycle_events(&self.shared.settings.listener, resident, before, &output);
        self.forget_timers(&output);
        let reload = output.reload;
        let sender =
            Sender { connection: &self.shared.connection, partitions: self.shared.partitions };
        let (new_part, ()) = self.pending.with_part(id, kind, |part| {
            for origin in origins {
                part.consume(origin);
            }
            part.take(id, before, output, &sender);
            part.lifecycle.extend(lifecycle);
        });
        self.slots.end_turn(id, new_part, reload);
        self.give_back_later(refused);
    }

    /// A cancelled timer does not fire any more, even though its row is still there.
    fn forget_timers(&mut self, output: &TurnOutput) {
        for key in &output.unschedule {
            self.inbox.forget(super::committer::timer_id(output.change.no, *key).into());
        }
        if let Some(start) = &output.unschedule_start {
            self.inbox.forget(start.as_str().into());
        }
    }

    /// Blocks an instance. `part` has the messages that its turn took.
    fn engine_panicked(&mut self, id: &Arc<str>, part: Part, failure: &Failure) {
        let Some(resident) = self.slots.resident(id) else { return };
        let (no, kind, status) = (resident.no, resident.kind, resident.status);
        if resident.create.is_some() && part.has_unstored_start() {
            // Its first message has to be stored before the instance can be blocked with it.
            return self.unmake(part);
        }
        let create = resident.create.clone();
        let reason = format!("the engine panicked in a turn of it: {failure}");
        tracing::error!(instance = &**id, reason, "the instance is blocked");
        let busy = self.busy.contains(&no);
        let mut change = blocked_change(no, status, busy, reason, self.now());
        change.create = create;
        self.slots.block(id);
        self.pending.with_part(id, kind, |part| {
            change.busy = part.row().map_or(change.busy, |row| row.busy);
            part.change(change);
        });
    }

    /// The parts are durable: their effects may leave the worker.
    pub(super) fn release(&mut self, parts: Vec<Part>) {
        // Before anybody is told of anything.
        for partition in parts.iter().flat_map(Part::partitions_sent_to) {
            self.shared.connection.doors.note_stored(partition);
        }
        for part in parts {
            self.release_part(part);
        }
    }

    fn release_part(&mut self, mut part: Part) {
        self.poll_wanted |= part.sends_to(self.committer.lease.partition);
        for id in part.consume.drain(..).chain(part.unschedule.drain(..)) {
            self.inbox.forget(id);
        }
        let horizon = self.now() + self.horizon();
        for message in part.schedule.drain(..) {
            if message.due_at.is_none_or(|due| due <= horizon) {
                self.inbox.add_timer(message);
            }
        }
        for answer in part.answers.drain(..) {
            self.shared.connection.waiters.answer(&answer.request, answer.outcome);
        }
        let Some((id, _)) = part.instance.clone() else { return };
        for event in part.lifecycle.drain(..) {
            self.shared.settings.listener.tell(&event);
        }
        if let Some(row) = part.row() {
            let no = row.no;
            if row.busy {
                self.busy.insert(no);
            } else {
                self.busy.remove(&no);
            }
            let news = News::of(row.status, row.output.as_ref());
            // Before the news: whoever has not heard of an end must not find that it goes on.
            self.note_under_way(&part, row);
            self.shared.connection.waiters.tell(&id, &news);
            // Before the next attempts, which take the places of these.
            for (task, attempt) in part.cancel.drain(..) {
                let running = self.running.get(&(no, task));
                if let Some(running) = running.filter(|running| running.attempt == attempt) {
                    running.cancellation.cancel();
                }
                self.withdraw_cancelled(no, task, attempt);
            }
            for start in part.start.drain(..) {
                self.start_activity(no, &id, start);
            }
        }
        for direct in part.received.drain(..) {
            direct.done();
        }
        self.slots.settle(&id);
    }

    /// Remembers an instance whose client will want to know whether it goes on.
    fn note_under_way(&self, part: &Part, row: &InstanceChange) {
        let waiters = &self.shared.connection.waiters;
        if row.status.is_terminal() {
            waiters.set_under_way(row.no, false);
        } else if !self.stopped.is_cancelled() && part.has_unstored_start() {
            waiters.set_under_way(row.no, true);
        }
    }

    fn start_activity(
        &mut self,
        no: durable_store::InstanceNo,
        id: &Arc<str>,
        start: crate::turn::ActivityStart,
    ) {
        // Who begins while the partition is about to be left would only be lost with it.
        if self.draining.is_cancelled() {
            return;
        }
        add(&self.shared.counters.attempts, 1);
        let cancellation = self.stopped.child_token();
        let running = Running { attempt: start.attempt, cancellation: cancellation.clone() };
        self.running.insert((no, start.task), running);
        let since = self.now();
        self.shared.activities.start(Job {
            since,
            no,
            instance: Arc::clone(id),
            start,
            cancellation,
            results: self.results.clone(),
            is_claimed: false,
        });
    }

    /// The store refused the batch for its size. Its halves are tried; a part that is refused alone
    /// is taken back, and its instance blocked.
    pub(super) fn refused(&mut self, mut parts: Vec<Part>, error: &StoreError) {
        if parts.len() > 1 {
            return self.try_halves(parts);
        }
        let Some(part) = parts.pop() else { return };
        if part.makes_unstored() {
            // Its first message has to be stored before the instance can be blocked with it.
            return self.unmake(part);
        }
        let (Some((id, kind)), Some(row)) = (part.instance.clone(), part.row()) else {
            // Ids of messages alone, which the store itself gave.
            tracing::error!(%error, "messages cannot be removed");
            return;
        };
        let reason = format!("what its turn came to cannot be stored: {error}");
        tracing::error!(instance = &*id, reason, "the instance is blocked");
        // What was built on the refused turn goes with it.
        let taken_back = self.pending.remove(&id).is_some();
        self.slots.block(&id);
        if taken_back {
            self.slots.settle(&id);
        }
        let busy = self.busy.contains(&row.no);
        let status = part.status_before().unwrap_or(row.status);
        let mut change = blocked_change(row.no, status, busy, reason, self.now());
        change.create.clone_from(&row.create);
        self.pending.with_part(&id, kind, |part| part.change(change));
    }

    /// The batch does not agree with the store, and holds starts that are stored nowhere: their ids
    /// may have been taken by others meanwhile. Its halves are tried, and what such a start made here
    /// is dropped if it conflicts alone.
    pub(super) fn outrun(&mut self, mut parts: Vec<Part>) {
        if parts.len() > 1 {
            return self.try_halves(parts);
        }
        if let Some(part) = parts.pop() {
            self.unmake(part);
        }
    }

    fn try_halves(&mut self, mut parts: Vec<Part>) {
        let second = parts.split_off(parts.len() / 2);
        self.halves.push_front(second);
        self.halves.push_front(parts);
    }
}
