//! The end of a run that the next run under the same id follows.

use std::fmt;

use super::{Call, Durable, Pending, Waiting, checked};
use crate::data::Arguments as _;
use crate::json::Json;
use crate::program::Orchestration;
use crate::start::{IdReuse, StartOptions};
use crate::turn::{NextRun, scope};

/// What [`OrchestrationContext::continue_as_new`](crate::OrchestrationContext::continue_as_new)
/// makes: await it.
#[must_use = "the run goes on until this is awaited"]
pub struct ContinueAsNew {
    name: &'static str,
    /// The version of the function that was called.
    version: &'static str,
    input: Result<Json, String>,
    options: StartOptions,
    has_policy: bool,
    discards_events: bool,
}

impl ContinueAsNew {
    pub(crate) fn of<F: Orchestration>(call: Call<F>) -> Self {
        let input = checked(call.input.encode()).map_err(|failure| failure.failure.message);
        Self {
            name: F::NAME,
            version: F::VERSION,
            input,
            options: call.options,
            has_policy: call.retry.is_some(),
            discards_events: false,
        }
    }

    /// Drops the events that came and were not waited for. Without this the next run gets them.
    pub fn discard_events(mut self) -> Self {
        self.discards_events = true;
        self
    }

    /// Says what cannot be said of the next run.
    fn check(&self, running: &str) -> Result<(), String> {
        if self.name != running {
            return Err(format!(
                "`{running}` cannot go on as `{}`: the next run is one of the same orchestrator. \
                 Start the other one, or await it",
                self.name
            ));
        }
        let StartOptions { instance_id, version: _, tags, start_at, id_reuse } = &self.options;
        let says_more = instance_id.is_some()
            || !tags.is_empty()
            || start_at.is_some()
            || *id_reuse != IdReuse::default()
            || self.has_policy;
        if says_more {
            return Err(
                "of a next run only the arguments and the version can be said: it keeps the \
                        id and the tags, and begins at once"
                    .to_owned(),
            );
        }
        self.options
            .check_inside()
            .map_err(|invalid| crate::error::TaskFailure::from(invalid).failure.message)
    }
}

impl fmt::Debug for ContinueAsNew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContinueAsNew({})", self.name)
    }
}

/// Names the never type, which stable Rust has no other name for.
#[doc(hidden)]
pub trait ReturnType {
    type Type;
}

impl<T> ReturnType for fn() -> T {
    type Type = T;
}

type Never = <fn() -> ! as ReturnType>::Type;

#[doc(hidden)]
pub struct NeverComes;

impl Pending for NeverComes {
    type Output = Never;
    fn take(_: &Waiting) -> Never {
        unreachable!("a run that was to end goes on: this is an error of the engine")
    }
}

impl Durable for ContinueAsNew {
    type Pending = NeverComes;
    type Output = Never;

    fn begin(self) -> Waiting {
        let (name, current) =
            scope::with(|core| (core.identity.name.clone(), core.identity.version.clone()));
        let checked = self.check(&name).and(self.input);
        let input = checked.unwrap_or_else(|reason| panic!("{reason}"));
        let own = Some(self.version).filter(|version| !version.is_empty()).map(str::to_owned);
        let version = self.options.version.or(own).unwrap_or(current);
        let discards_events = self.discards_events;
        scope::with(|core| core.next_run = Some(NextRun { version, input, discards_events }));
        // Nothing makes this ready: the engine ends the run when the program waits.
        Waiting::Any { any: Vec::new() }
    }
}
