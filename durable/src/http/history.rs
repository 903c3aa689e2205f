//! The history as the original shows it: what has no counterpart there is left out.
//!
//! A call is one event, that of its end, which says when it was made; one that has not ended is the
//! event of its beginning. Entity operations are events between instances.

use std::collections::HashMap;

use durable_store::Timestamp;
use serde::Serialize;

use super::wire::{only_argument, text};
use crate::error::Failure;
use crate::message::TaskId;
use crate::{HistoryEvent, HistoryTurn, Json};

/// An event. The original has Pascal case here.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EventBody {
    event_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    orchestration_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_details: Option<FailureBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fire_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_time: Option<Timestamp>,
    timestamp: Timestamp,
}

/// Why something failed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct FailureBody {
    error_type: String,
    error_message: String,
    stack_trace: Option<String>,
    inner_failure: Option<Box<FailureBody>>,
    is_non_retriable: bool,
}

impl FailureBody {
    fn of(failure: Failure) -> Self {
        let inner = failure.sources.iter().rev().fold(None, |inner, message| {
            Some(Box::new(Self {
                error_type: String::new(),
                error_message: message.clone(),
                stack_trace: None,
                inner_failure: inner,
                is_non_retriable: false,
            }))
        });
        Self {
            error_type: failure.error_type,
            error_message: failure.message,
            stack_trace: None,
            inner_failure: inner,
            is_non_retriable: failure.non_retryable,
        }
    }
}

/// What is to be shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Show {
    pub(super) input: bool,
    pub(super) output: bool,
}

/// The history of the orchestration of this name.
pub(super) fn events(name: &str, turns: Vec<HistoryTurn>, show: Show) -> Vec<EventBody> {
    let mut shaping = Shaping { name, show, events: Vec::new(), open: HashMap::new() };
    for turn in turns {
        for event in turn.events {
            shaping.add(turn.at, event);
        }
    }
    shaping.events.into_iter().flatten().collect()
}

/// A call that was made, or a timer that was set.
struct Begun {
    /// Where its event is, as long as it has not ended.
    place: usize,
    name: String,
    input: Option<Json>,
    at: Timestamp,
    fire_at: Option<Timestamp>,
}

struct Shaping<'a> {
    name: &'a str,
    show: Show,
    /// Events of beginnings are taken out when the end is known.
    events: Vec<Option<EventBody>>,
    open: HashMap<TaskId, Begun>,
}

impl Shaping<'_> {
    #[allow(clippy::match_same_arms)] // One kind of event a row.
    fn add(&mut self, at: Timestamp, event: HistoryEvent) {
        use HistoryEvent as E;
        match event {
            E::Started { input } => self.push(EventBody {
                function_name: Some(self.name.to_owned()),
                input: self.show.input.then(|| only_argument(&input)),
                ..of("ExecutionStarted", at)
            }),
            E::Completed { output } => self.end(at, "Completed", output, None),
            E::Failed { failure } => {
                self.end(at, "Failed", text(&failure.message), Some(FailureBody::of(failure)));
            }
            E::Terminated { reason } => {
                let input = self.show.input.then(|| text(&reason));
                self.push(EventBody { input, ..of("ExecutionTerminated", at) });
                self.end(at, "Terminated", text(&reason), None);
            }
            E::Suspended { reason } => self.reason(at, "ExecutionSuspended", reason),
            E::Resumed { reason } => self.reason(at, "ExecutionResumed", reason),
            E::Rewound { reason } => self.reason(at, "ExecutionRewound", reason),
            E::ContinuedAsNew => self.push(of("ContinueAsNew", at)),
            E::ActivityScheduled { task, name, input } => {
                self.begin(task, name, Some(only_argument(&input)), None, of("TaskScheduled", at));
            }
            E::ActivityCompleted { task, output } => self.ended(task, at, "TaskCompleted", output),
            E::ActivityFailed { task, failure } => self.failed(task, at, "TaskFailed", failure),
            // The original schedules each attempt as a task of its own.
            E::AttemptFailed { task, failure, .. } => {
                let body = self.failure(task, at, "TaskFailed", failure);
                self.push(body);
            }
            E::ActivityRestarted { task, .. } => {
                if let Some(begun) = self.open.get_mut(&task) {
                    begun.at = at;
                }
            }
            E::ChildStarted { task, id, name } => {
                let instance_id = Some(id);
                let body = EventBody { instance_id, ..of("SubOrchestrationInstanceCreated", at) };
                self.begin(task, name, None, None, body);
            }
            E::ChildCompleted { task, output } => {
                self.ended(task, at, "SubOrchestrationInstanceCompleted", output);
            }
            E::ChildFailed { task, failure } => {
                self.failed(task, at, "SubOrchestrationInstanceFailed", failure);
            }
            E::TimerCreated { task, due } => {
                let body = EventBody { fire_at: Some(due), ..of("TimerCreated", at) };
                self.begin(task, String::new(), None, Some(due), body);
            }
            E::TimerFired { task } => {
                let fire_at = self.open.remove(&task).and_then(|begun| begun.fire_at);
                self.push(EventBody { fire_at, ..of("TimerFired", at) });
            }
            E::EventRaised { name, value } => self.raised(at, name, value),
            E::EventSent { instance, name } => self.sent(at, instance, name),
            E::OperationCalled { task, entity, name } => {
                let named = name.clone();
                self.sent(at, entity, name);
                let place = self.events.len() - 1;
                self.open
                    .insert(task, Begun { place, name: named, input: None, at, fire_at: None });
            }
            E::OperationSignalled { entity, name } => self.sent(at, entity, name),
            E::OperationCompleted { task, output } => {
                let name = self.open.remove(&task).map(|begun| begun.name).unwrap_or_default();
                self.raised(at, name, output);
            }
            E::OperationFailed { task, failure } => {
                let name = self.open.remove(&task).map(|begun| begun.name).unwrap_or_default();
                self.raised(at, name, text(&failure.message));
            }
            // The original tells nothing of the rest: what was cancelled, locks, custom statuses.
            _ => {}
        }
    }

    fn push(&mut self, body: EventBody) {
        self.events.push(Some(body));
    }

    fn end(
        &mut self,
        at: Timestamp,
        status: &'static str,
        result: Json,
        failure_details: Option<FailureBody>,
    ) {
        self.push(EventBody {
            orchestration_status: Some(status),
            result: self.show.output.then_some(result),
            failure_details,
            ..of("ExecutionCompleted", at)
        });
    }

    fn reason(&mut self, at: Timestamp, kind: &'static str, reason: String) {
        self.push(EventBody { reason: Some(reason), ..of(kind, at) });
    }

    fn raised(&mut self, at: Timestamp, name: String, value: Json) {
        let input = self.show.input.then_some(value);
        self.push(EventBody { name: Some(name), input, ..of("EventRaised", at) });
    }

    fn sent(&mut self, at: Timestamp, instance: String, name: String) {
        let (name, instance_id) = (Some(name), Some(instance));
        self.push(EventBody { name, instance_id, ..of("EventSent", at) });
    }

    fn begin(
        &mut self,
        task: TaskId,
        name: String,
        input: Option<Json>,
        fire_at: Option<Timestamp>,
        body: EventBody,
    ) {
        let input = input.filter(|_| self.show.input);
        let (place, at) = (self.events.len(), body.timestamp);
        let shown = Some(name.clone()).filter(|name| !name.is_empty());
        self.push(EventBody { name: shown, input: input.clone(), ..body });
        self.open.insert(task, Begun { place, name, input, at, fire_at });
    }

    fn ended(&mut self, task: TaskId, at: Timestamp, kind: &'static str, output: Json) {
        let mut body = self.begun(task, at, kind);
        body.result = self.show.output.then_some(output);
        self.push(body);
        self.open.remove(&task);
    }

    fn failed(&mut self, task: TaskId, at: Timestamp, kind: &'static str, failure: Failure) {
        let body = self.failure(task, at, kind, failure);
        self.push(body);
        self.open.remove(&task);
    }

    fn failure(
        &mut self,
        task: TaskId,
        at: Timestamp,
        kind: &'static str,
        failure: Failure,
    ) -> EventBody {
        let mut body = self.begun(task, at, kind);
        body.reason = Some(failure.message.clone());
        body.details = Some(failure.sources.join(": "));
        body.failure_details = Some(FailureBody::of(failure));
        body
    }

    /// The event of an end, with what is known of the beginning, whose own event goes.
    fn begun(&mut self, task: TaskId, at: Timestamp, kind: &'static str) -> EventBody {
        let body = of(kind, at);
        let Some(begun) = self.open.get(&task) else { return body };
        self.events[begun.place] = None;
        EventBody {
            function_name: Some(begun.name.clone()),
            input: begun.input.clone(),
            scheduled_time: Some(begun.at),
            ..body
        }
    }
}

fn of(event_type: &'static str, timestamp: Timestamp) -> EventBody {
    EventBody { event_type, timestamp, ..EventBody::default() }
}
