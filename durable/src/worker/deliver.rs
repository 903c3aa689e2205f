//! The part of a partition that takes in what arrives: stored messages, loaded instances, results
//! of activities. Nothing that arrives here may harm more than the instance it is for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use durable_store::{
    InstanceKind, InstanceNo, InstanceRecord, Message, NewInstance, Polled, Status, StoredInstance,
    Timestamp,
};

use super::activities::Ended;
use super::committer::{Origin, Sender, blocked_change};
use super::fetch::Loaded;
use super::metrics::add;
use super::partition::Partition;
use super::slots::{Mail, Resident};
use crate::error::{Failure, TaskErrorKind, TaskFailure};
use crate::message::{Body, ReplyTo, entity_id};
use crate::turn::{Inbound, Instance, Outgoing};

impl Mail {
    pub(super) fn local(inbound: Inbound, since: Timestamp) -> Self {
        Self { origin: Origin::Local, inbound, since }
    }
}

impl Partition {
    /// Takes in what a poll brought.
    pub(super) fn take_polled(&mut self, polled: Polled) {
        for message in polled.inbox {
            if let Some(id) = self.inbox.admit(&message.id) {
                self.accept(Origin::Inbox(id), &message);
            }
        }
        for message in polled.scheduled {
            self.inbox.add_timer(message);
        }
    }

    /// Takes in a scheduled message that is due.
    pub(super) fn accept_scheduled(&mut self, id: Arc<str>, message: &Message) {
        self.accept(Origin::Scheduled(id), message);
    }

    fn accept(&mut self, origin: Origin, message: &Message) {
        match serde_json::from_str::<Body>(&message.body) {
            Ok(body) => {
                if let Body::AttemptEnded { number, task, attempt, .. } = &body {
                    self.offered_attempt_ended(InstanceNo(*number), *task, *attempt);
                }
                let since = self.now();
                let mail = Mail { origin, inbound: Inbound::Message(body), since };
                self.slots.deliver(&message.target, mail);
            }
            Err(error) => {
                tracing::error!(
                    message = message.id,
                    target = message.target,
                    %error,
                    "a message cannot be read and is dropped"
                );
                self.pending.drop_message(origin, None);
            }
        }
    }

    /// Takes in the result of an activity.
    pub(super) fn activity_ended(&mut self, ended: Ended) {
        let Ended { no, instance, start, outcome, effects } = ended;
        let key = (no, start.task);
        if self.running.get(&key).is_some_and(|running| running.attempt == start.attempt) {
            self.running.remove(&key);
        }
        self.offers.close(no, start.task, start.attempt);
        // While the partition is about to be left, an error may only say that. The attempt is left
        // to the next owner, who runs it again.
        if self.draining.is_cancelled() && outcome.is_err() {
            return;
        }
        let (task, attempt) = (start.task, start.attempt);
        let inbound = match start.entity {
            Some(_) => {
                let result = outcome.map(|output| (output, effects.unwrap_or_default()));
                Inbound::OperationEnded { attempt, result }
            }
            None => Inbound::ActivityEnded { number: no, task, attempt, outcome },
        };
        self.slots.deliver(&instance, Mail::local(inbound, self.now()));
    }

    /// Takes in what a load brought.
    pub(super) fn take_loaded(&mut self, loaded: Loaded) {
        add(&self.shared.counters.loads, loaded.found.len());
        for stored in loaded.found {
            let id: Arc<str> = stored.record.id.as_str().into();
            self.adopt(&id, &stored);
        }
        for (id, number) in loaded.missing {
            self.take_missing(&id, number);
        }
    }

    /// Decodes an instance; one that does not fit this build is blocked, visibly.
    pub(super) fn adopt(&mut self, id: &Arc<str>, stored: &StoredInstance) {
        let record = &stored.record;
        self.refuse_for(id, record.status.is_terminal());
        match self.decode(stored) {
            Ok(instance) => self.slots.loaded(id, Resident::new(instance, record, None)),
            Err(reason)
                if record.kind == InstanceKind::Orchestration && record.status.is_terminal() =>
            {
                // It has ended: nothing that comes now can matter to it. An entity never does.
                tracing::info!(instance = record.id, reason, "late messages are dropped");
                for mail in self.slots.take_mail(id) {
                    self.pending.drop_message(mail.origin, None);
                }
            }
            Err(reason) if !self.adopt_to_end(id, stored) => {
                self.block(id, record, reason, None);
            }
            Err(_) => {}
        }
    }

    /// Takes an instance that does not fit this build, if all that is wanted is its end.
    fn adopt_to_end(&mut self, id: &Arc<str>, stored: &StoredInstance) -> bool {
        let Some(instance) = Instance::load_to_end(stored) else { return false };
        let InstanceRecord { state, starts_at, request, .. } = &stored.record;
        // A scheduled one may be ended before its first message comes.
        let start = (state.is_none() && starts_at.is_none()).then_some(request.as_str());
        let Some(others) = self.slots.take_all_but_termination(id, start) else { return false };
        for mail in others {
            // Its first message stays stored: it says who is to be told of the end.
            if !mail.starts(request) {
                self.pending.drop_message(mail.origin, None);
            }
        }
        self.slots.loaded(id, Resident::new(instance, &stored.record, None));
        true
    }

    /// Nobody has this id: an operation brings the entity into being, all else is dropped.
    fn take_missing(&mut self, id: &Arc<str>, number: Option<i64>) {
        if self.make_missing(id) {
            return;
        }
        let Some((origin, entity, key)) = self.slots.first_operation(id) else {
            return self.drop_mail(id, "there is no such instance");
        };
        if entity_id(entity, key) != **id {
            return self.drop_mail(id, "its entity and key do not make its target");
        }
        let Some(number) = number else { return self.slots.load_again(id) };
        let request = match origin {
            Origin::Inbox(request) | Origin::Scheduled(request) => request,
            Origin::Direct(direct) => &direct.id,
            Origin::Local => return self.drop_mail(id, "an operation comes from somebody"),
        };
        let new = NewInstance {
            no: InstanceNo::new(self.committer.lease.partition, number),
            id: id.to_string(),
            kind: InstanceKind::Entity,
            name: entity.to_owned(),
            version: String::new(),
            parent: None,
            request: request.to_string(),
            created_at: self.now(),
            starts_at: None,
            tags: durable_store::Tags::new(),
            input: "null".into(),
        };
        let stored = StoredInstance { record: record_of(&new), side: Vec::new() };
        let create = Some(Box::new(new));
        match self.decode(&stored) {
            Ok(instance) => self.slots.loaded(id, Resident::new(instance, &stored.record, create)),
            Err(reason) => self.block(id, &stored.record, reason, create),
        }
    }

    fn drop_mail(&mut self, id: &Arc<str>, reason: &str) {
        for mail in self.slots.take_mail(id) {
            tracing::warn!(instance = &**id, origin = ?mail.origin, reason, "message dropped");
            let answer = answer_for_missing(id, &mail);
            let sender =
                Sender { connection: &self.shared.connection, partitions: self.shared.partitions };
            let answer = answer.map(|answer| sender.envelope(answer, self.now()));
            self.pending.drop_message(mail.origin, answer);
        }
    }

    /// Leaves an instance alone until the partition is loaded again, and says why in its row. Its
    /// messages stay stored.
    pub(super) fn block(
        &mut self,
        id: &Arc<str>,
        record: &InstanceRecord,
        reason: String,
        create: Option<Box<NewInstance>>,
    ) {
        tracing::error!(instance = &**id, reason, "the instance is blocked");
        self.slots.block(id);
        if record.blocked.as_ref() == Some(&reason) {
            return;
        }
        let busy = self.busy.contains(&record.no);
        let mut change = blocked_change(record.no, record.status, busy, reason, self.now());
        change.create = create;
        self.pending.with_part(id, record.kind, |part| part.change(change));
    }
}

/// A parent that wants a child rewound that is gone must not wait for ever.
fn answer_for_missing(id: &str, mail: &Mail) -> Option<Outgoing> {
    let (Origin::Inbox(message), Inbound::Message(Body::Rewind { reply, .. })) =
        (&mail.origin, &mail.inbound)
    else {
        return None;
    };
    let Some(ReplyTo::Task { instance, number, task, call }) = reply else { return None };
    let text = format!("there is no instance `{id}` any more that could be rewound");
    let failure = Failure::new("NotRewound", text);
    let outcome = Err(TaskFailure::new(TaskErrorKind::Refused, failure));
    Some(Outgoing {
        id: format!("{message}-gone"),
        target: instance.clone(),
        due: None,
        body: Body::Done { number: *number, task: *task, call: *call, outcome },
        creates: None,
        reopens: false,
    })
}

impl Partition {
    /// Decoding runs user code, which may panic.
    pub(super) fn decode(&self, stored: &StoredInstance) -> Result<Instance, String> {
        let registry = &self.shared.registry;
        match catch_unwind(AssertUnwindSafe(|| Instance::load(stored, registry))) {
            Ok(Ok(instance)) => Ok(instance),
            Ok(Err(blocked)) => Err(blocked.to_string()),
            Err(panic) => Err(format!("reading it panicked: {}", Failure::of_panic(&*panic))),
        }
    }
}

/// The row of an instance before its first turn.
pub(super) fn record_of(new: &NewInstance) -> InstanceRecord {
    InstanceRecord {
        no: new.no,
        id: new.id.clone(),
        kind: new.kind,
        name: new.name.clone(),
        version: new.version.clone(),
        parent: new.parent.clone(),
        request: new.request.clone(),
        status: match new.kind {
            InstanceKind::Orchestration => Status::Pending,
            InstanceKind::Entity => Status::Running,
        },
        blocked: None,
        created_at: new.created_at,
        starts_at: new.starts_at,
        tags: new.tags.clone(),
        updated_at: new.created_at,
        finished_at: None,
        input: Arc::clone(&new.input),
        state: None,
        output: None,
        custom_status: None,
    }
}
