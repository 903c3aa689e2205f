//! What a program begins: tasks of every kind, and messages to others. Each is noted in the history and
//! among the actions of the turn.

use durable_store::{InstanceNo, Timestamp};
use uuid::Uuid;

use super::actions::{NewChild, Outgoing};
use super::core::{Core, EntityAddress, Identity, Task, TaskKind};
use super::retrying::ChildCall;
use crate::error::TaskFailure;
use crate::history::Event;
use crate::json::Json;
use crate::message::{Body, ReplyTo, TaskId, TimerKey};
use crate::retry::RetryPolicy;
use crate::start::{IdReuse, StartOptions};

impl Core {
    /// A task that has failed before it began.
    pub(crate) fn begin_failed(&mut self, name: &str, failure: TaskFailure) -> TaskId {
        let kind = TaskKind::Event { name: name.to_owned(), number: 0 };
        self.add_task(kind, Some(Err(failure)), None)
    }

    /// Sets a timer.
    pub(crate) fn begin_timer(&mut self, due: Timestamp) -> TaskId {
        let task = self.add_task(TaskKind::Timer { due }, None, None);
        self.actions.history.push(Event::TimerCreated { task, due });
        self.actions.schedule.push((TimerKey::of(task), due));
        task
    }

    /// Waits for an event, or takes the oldest one of that name that is buffered.
    pub(crate) fn begin_event(&mut self, name: &str) -> TaskId {
        let buffered =
            self.events.iter().find(|(_, event)| event.name == name).map(|(number, _)| number);
        let taken = buffered.and_then(|number| Some((number, self.events.remove(number)?.value)));
        let (number, outcome) = match taken {
            Some((number, value)) => (number, Some(Ok(value))),
            None => (0, None),
        };
        self.add_task(TaskKind::Event { name: name.to_owned(), number }, outcome, None)
    }

    /// Starts a sub-orchestration whose result is awaited.
    pub(crate) fn begin_child(
        &mut self,
        mut options: StartOptions,
        name: &str,
        version: &str,
        input: Json,
        retry: Option<RetryPolicy>,
    ) -> TaskId {
        if let Some(failure) = self.refuse_child() {
            return self.begin_failed(name, failure);
        }
        let task = TaskId(self.next_task);
        let given = options.instance_id.take();
        let derived = given.is_none();
        let replaces = !derived && options.id_reuse == IdReuse::ReplaceEnded;
        let id = given.unwrap_or_else(|| derived_id(&self.identity, task, 1));
        let parent = Some(self.identity.id.clone());
        let child = self.new_child(options, name, version, input);
        let child = NewChild { parent, replaces, ..child };
        if let Some(policy) = retry {
            let call = ChildCall {
                name: child.name.clone(),
                version: child.version.clone(),
                input: child.input.clone(),
                tags: child.tags.clone(),
                replaces,
                derived,
                starts: 1,
            };
            return self.begin_child_attempts(id, call, policy, child);
        }
        let task = self.add_task(TaskKind::Child { id: id.clone() }, None, None);
        self.actions.history.push(Event::ChildStarted {
            task,
            id: id.clone(),
            name: name.to_owned(),
        });
        let reply = self.reply_to(task);
        self.send_start(id, child, Some(reply));
        task
    }

    /// Starts an orchestration that nobody here waits for.
    pub(crate) fn start_detached(
        &mut self,
        mut options: StartOptions,
        name: &str,
        version: &str,
        input: Json,
    ) -> String {
        let given = options.instance_id.take();
        let replaces = given.is_some() && options.id_reuse == IdReuse::ReplaceEnded;
        let id = given.unwrap_or_else(|| self.new_uuid().to_string());
        let child = self.new_child(options, name, version, input);
        self.send_start(id.clone(), NewChild { replaces, ..child }, None);
        id
    }

    fn new_child(&self, options: StartOptions, name: &str, version: &str, input: Json) -> NewChild {
        let version = options.version_for(version, &self.default_version);
        let StartOptions { tags, start_at, .. } = options;
        NewChild {
            name: name.to_owned(),
            version,
            input,
            parent: None,
            tags,
            starts_at: start_at.filter(|time| *time > self.now),
            replaces: false,
        }
    }

    /// Where the outcome of a task is to be sent.
    pub(super) fn reply_to(&self, task: TaskId) -> ReplyTo {
        let Identity { id, no, .. } = &self.identity;
        // The number of an activity is of no use here: it is not told of by messages.
        let call = self.tasks.get(task.0).map_or(0, Task::call_number);
        ReplyTo::Task { instance: id.clone(), number: no.0, task, call }
    }

    pub(super) fn send_start(&mut self, id: String, child: NewChild, reply: Option<ReplyTo>) {
        let request = self.next_message_id();
        let body = Body::Start { request: request.clone(), reply };
        self.actions.send.push(Outgoing {
            id: request,
            target: id,
            due: child.starts_at,
            body,
            creates: Some(child),
            reopens: false,
        });
    }

    /// Calls an operation of an entity.
    pub(crate) fn begin_operation(&mut self, to: &EntityAddress, name: &str, args: Json) -> TaskId {
        if let Err(failure) = self.check_call(to) {
            return self.begin_failed(name, failure);
        }
        let entity = to.instance_id();
        let task = self.add_task(
            TaskKind::Operation {
                entity: entity.clone(),
                name: name.to_owned(),
                to: to.clone(),
                args: args.clone(),
            },
            None,
            None,
        );
        self.actions.history.push(Event::OperationCalled { task, entity, name: name.to_owned() });
        self.send_call(task, to, name, args);
        task
    }

    /// Sends a call for which a task waits.
    pub(super) fn send_call(&mut self, task: TaskId, to: &EntityAddress, name: &str, args: Json) {
        let within = self.section_id(to);
        let reply = Some(self.reply_to(task));
        let body = Body::Operation {
            entity: to.name.clone(),
            key: to.key.clone(),
            name: name.to_owned(),
            args,
            reply,
            within,
        };
        self.send(to.instance_id(), body);
    }

    /// Sends an operation whose result nobody wants.
    /// With a time, it is delivered then.
    pub(crate) fn signal(
        &mut self,
        to: &EntityAddress,
        name: &str,
        args: Json,
        due: Option<Timestamp>,
    ) {
        self.actions
            .history
            .push(Event::OperationSignalled { entity: to.instance_id(), name: name.to_owned() });
        let body = Body::Operation {
            entity: to.name.clone(),
            key: to.key.clone(),
            name: name.to_owned(),
            args,
            reply: None,
            within: None,
        };
        let message = self.send(to.instance_id(), body);
        message.due = due;
    }

    /// Sends an event to another orchestration.
    pub(crate) fn send_event(&mut self, instance: &str, name: &str, value: Json) {
        self.actions
            .history
            .push(Event::EventSent { instance: instance.to_owned(), name: name.to_owned() });
        self.send(instance.to_owned(), Body::Event { name: name.to_owned(), value });
    }
}

/// The id of a sub-orchestration that was not given one: the parent's id, the counter of its number,
/// the task's number, and the attempt if it is not the first. The portable SDKs of the original do
/// without the counter; it keeps the children apart of instances that have the same id one after the
/// other.
pub(super) fn derived_id(parent: &Identity, task: TaskId, attempt: u32) -> String {
    let counter = parent.no.0 & ((1 << InstanceNo::COUNTER_BITS) - 1);
    let mut id = format!("{}:{counter:x}:{:04x}", parent.id, task.0);
    if attempt > 1 {
        id.push_str(&format!("-{attempt}"));
    }
    if id.len() <= durable_store::limits::MAX_INSTANCE_ID_BYTES {
        return id;
    }
    // Deep nesting would outgrow the limit; a hash of the whole path is as unique.
    Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()).to_string()
}
