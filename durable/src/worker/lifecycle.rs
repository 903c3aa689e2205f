//! Tells the application of the beginnings and ends of orchestrations, once they are durable.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use durable_store::{Status, Timestamp};

use crate::error::Failure;

/// An orchestration has come to another status. The counterpart of the original's lifecycle events.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LifecycleEvent {
    /// The id of the instance.
    pub instance_id: String,
    /// The registered name of the orchestration.
    pub name: String,
    /// Its version, empty for none.
    pub version: String,
    /// What it is now: [`Status::Running`] when it has been started, resumed or rewound.
    pub status: Status,
    /// The engine's time of the turn in which that happened.
    pub at: Timestamp,
}

type Callback = dyn Fn(&LifecycleEvent) + Send + Sync;

/// What the application wants to be told.
#[derive(Clone, Default)]
pub(super) struct Listener(Option<Arc<Callback>>);

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listener({})", self.0.is_some())
    }
}

impl Listener {
    pub(super) fn new(listener: impl Fn(&LifecycleEvent) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    /// Whether anybody listens.
    pub(super) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Tells of an event. The application's code must not take the worker down.
    pub(super) fn tell(&self, event: &LifecycleEvent) {
        let Some(listener) = &self.0 else { return };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| listener(event))) {
            let panic = Failure::of_panic(&*panic);
            tracing::error!(instance = event.instance_id, %panic, "the lifecycle listener panicked");
        }
    }
}

/// The statuses that an instance went through in a turn.
pub(super) fn passed(before: Status, after: Status) -> impl Iterator<Item = Status> {
    // Who ends in its first turn was started too.
    let started = before == Status::Pending && matches!(after, Status::Completed | Status::Failed);
    let last = (before != after).then_some(after);
    started.then_some(Status::Running).into_iter().chain(last)
}
