//! Timers and event waits.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use durable_store::Timestamp;

use super::{Durable, EventTimeout, Pending, Spawn, Waiting, take_outcome};
use crate::data::EventPayload;
use crate::error::{Failure, TaskError, TaskErrorKind, TaskFailure};
use crate::json::Json;
use crate::turn::scope;

/// A wait until a point in time. Awaits to `()`.
#[derive(Debug, Clone, Copy)]
#[must_use = "a timer does nothing until it is awaited or spawned"]
pub struct Timer {
    pub(crate) due: Timestamp,
}

#[doc(hidden)]
pub struct TimerFired;

impl Pending for TimerFired {
    type Output = ();
    fn take(waiting: &Waiting) {
        if let Waiting::Task(task) = waiting {
            scope::with(|core| core.take(*task));
        }
    }
}

impl Durable for Timer {
    type Pending = TimerFired;
    type Output = ();

    fn begin(self) -> Waiting {
        Waiting::Task(scope::with(|core| core.begin_timer(self.due)))
    }
}

impl Spawn for Timer {
    type Value = ();
}

/// The name of an event together with the type of its payload, so that both ends agree.
///
/// ```
/// use durable::Event;
/// const APPROVAL: Event<bool> = Event::new("ApprovalEvent");
/// assert_eq!(APPROVAL.name(), "ApprovalEvent");
/// ```
pub struct Event<T> {
    name: &'static str,
    payload: PhantomData<fn() -> T>,
}

impl<T> Event<T> {
    /// An event of this name.
    pub const fn new(name: &'static str) -> Self {
        Self { name, payload: PhantomData }
    }

    /// Its name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<T> Clone for Event<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Event<T> {}

impl<T> fmt::Debug for Event<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Event({})", self.name)
    }
}

/// Anything that names an event with payload `T`: a string, or an [`Event`] constant.
pub trait EventName<T> {
    /// The name.
    fn event_name(self) -> String;
}

impl<T> EventName<T> for &str {
    fn event_name(self) -> String {
        self.to_owned()
    }
}

impl<T> EventName<T> for String {
    fn event_name(self) -> String {
        self
    }
}

impl<T> EventName<T> for &String {
    fn event_name(self) -> String {
        self.clone()
    }
}

impl<T> EventName<T> for Event<T> {
    fn event_name(self) -> String {
        self.name.to_owned()
    }
}

/// A wait for an event. Awaits to `Result<T, TaskError>`: the payload may not fit `T`.
#[must_use = "a wait does nothing until it is awaited or spawned"]
pub struct EventWait<T> {
    pub(crate) name: String,
    pub(crate) payload: PhantomData<fn() -> T>,
}

impl<T> EventWait<T> {
    /// Waits no longer than this, and awaits to `Result<Option<T>, TaskError>`: `None` when the time
    /// is over.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use durable::prelude::*;
    /// #[orchestrator]
    /// async fn approved(ctx: &OrchestrationContext) -> Result<bool, TaskError> {
    ///     let limit = Duration::from_secs(72 * 3600);
    ///     let answer = ctx.wait_for_event::<bool>("Approval").timeout(limit).await?;
    ///     Ok(answer.unwrap_or(false))
    /// }
    /// ```
    pub fn timeout(self, limit: Duration) -> EventTimeout<T> {
        EventTimeout { wait: self, limit }
    }
}

impl<T> fmt::Debug for EventWait<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventWait({})", self.name)
    }
}

/// The payload of an event, as a result.
#[doc(hidden)]
pub struct EventResult<T>(PhantomData<fn() -> T>);

impl<T: EventPayload> Pending for EventResult<T> {
    type Output = Result<T, TaskError>;
    fn take(waiting: &Waiting) -> Self::Output {
        take_outcome(waiting, Json::decode)
    }
}

impl<T> Durable for EventWait<T> {
    type Pending = EventResult<T>;
    type Output = Result<T, TaskError>;

    fn begin(self) -> Waiting {
        // No sender may use a name that is too long, and nobody should wait for ever.
        let checked = crate::client::check_event_name(&self.name);
        Waiting::Task(scope::with(|core| match checked {
            Ok(()) => core.begin_event(&self.name),
            Err(reason) => {
                let failure = Failure::final_one("InvalidEventName", reason);
                core.begin_failed("event", TaskFailure::new(TaskErrorKind::Refused, failure))
            }
        }))
    }
}

impl<T> Spawn for EventWait<T> {
    type Value = T;
}
