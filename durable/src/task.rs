//! What can be awaited in an orchestrator: calls, tasks, timers, events, and their combinations.
//! No tokio and no store: everything here reads and writes the turn under way.

mod join;
mod race;
mod renew;
mod wait;

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use durable_store::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::join::{Join, JoinAll, TryJoin, TryJoinAll, join_all, try_join_all};
pub use self::race::{Either, EventTimeout, Select, SelectAll, Timeout, select, select_all};
pub(crate) use self::race::{begin_race, winner};
pub use self::renew::ContinueAsNew;
pub use self::wait::{Event, EventName, EventWait, Timer};
use crate::codec::DecodeError;
use crate::data::{Arguments as _, ReturnValue as _};
use crate::error::{Failure, TaskError, TaskErrorKind, TaskFailure};
use crate::json::Json;
use crate::message::TaskId;
use crate::program::{Function, FunctionKind, Orchestration};
use crate::retry::RetryPolicy;
use crate::start::{IdReuse, InvalidStart, StartOptions};
use crate::turn::{Core, scope, task_name};

/// What an instance waits for, as it is saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Waiting {
    /// The outcome of one task.
    Task(TaskId),
    /// All of these.
    All {
        /// The parts.
        all: Vec<Waiting>,
    },
    /// All of these, or the first of them that fails.
    AllOk {
        /// The parts.
        all_ok: Vec<Waiting>,
    },
    /// The first of these.
    Any {
        /// The parts.
        any: Vec<Waiting>,
    },
    /// One task that the program still holds, whatever comes of this wait.
    Held {
        /// The task.
        held: TaskId,
    },
}

impl Waiting {
    /// Whether enough has arrived for the program to go on.
    pub(crate) fn is_ready(&self, core: &Core) -> bool {
        match self {
            Self::Task(task) | Self::Held { held: task } => core.is_settled(*task),
            Self::All { all } => all.iter().all(|part| part.is_ready(core)),
            Self::AllOk { all_ok } => {
                all_ok.iter().any(|part| part.has_failed(core))
                    || all_ok.iter().all(|part| part.is_ready(core))
            }
            Self::Any { any } => any.iter().any(|part| part.is_ready(core)),
        }
    }

    fn has_failed(&self, core: &Core) -> bool {
        match self {
            Self::Task(task) | Self::Held { held: task } => {
                core.outcome(*task).is_some_and(Result::is_err)
            }
            Self::AllOk { all_ok } => all_ok.iter().any(|part| part.has_failed(core)),
            Self::All { .. } | Self::Any { .. } => false,
        }
    }

    /// Calls `f` with each task in it.
    pub fn for_each_task(&self, f: &mut impl FnMut(TaskId)) {
        match self {
            Self::Task(task) | Self::Held { held: task } => f(*task),
            _ => self.parts().iter().for_each(|part| part.for_each_task(f)),
        }
    }

    /// The task, if it is one.
    pub(crate) fn as_task(&self) -> Option<TaskId> {
        match self {
            Self::Task(task) | Self::Held { held: task } => Some(*task),
            _ => None,
        }
    }

    /// It has lost a race: what the program does not hold any more is cancelled.
    pub(crate) fn cancel(&self, core: &mut Core) {
        match self {
            Self::Task(task) => core.cancel(*task),
            Self::Held { .. } => {}
            _ => self.parts().iter().for_each(|part| part.cancel(core)),
        }
    }

    /// It is not looked at any more: what the program does not hold is dropped.
    pub(crate) fn abandon(&self, core: &mut Core) {
        match self {
            Self::Task(task) => core.abandon(*task),
            Self::Held { .. } => {}
            _ => self.parts().iter().for_each(|part| part.abandon(core)),
        }
    }

    fn parts(&self) -> &[Waiting] {
        match self {
            Self::Task(_) | Self::Held { .. } => &[],
            Self::All { all: parts } | Self::AllOk { all_ok: parts } | Self::Any { any: parts } => {
                parts
            }
        }
    }
}

/// Something an orchestrator can `.await`: it is saved while it waits.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not durable, so an orchestrator cannot await it",
    label = "not an activity, orchestration, entity call, timer, event or task",
    note = "only durable operations survive a restart: move other async code into an \
            `#[activity]` and await the call of it",
    note = "a lock is taken in one statement, in which the compiler sees the name of the context: \
            `let guard = ctx.lock(..).await;`"
)]
pub trait Durable {
    /// What of it is saved while it waits. How its outcome is read is asked for where it is read,
    /// so that rustc reports an outcome that cannot be read once.
    type Pending;
    /// What awaiting it gives.
    type Output;

    /// Begins it within the turn under way.
    #[doc(hidden)]
    fn begin(self) -> Waiting;
}

/// How the outcome of a [`Durable`] is read once it is there. Holds no data of its own.
#[doc(hidden)]
pub trait Pending {
    type Output;
    /// Takes the outcome of `waiting`, which is ready.
    fn take(waiting: &Waiting) -> Self::Output;
}

/// A durable operation that is one task, so that it can be spawned.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be spawned",
    label = "not a single call, timer or event",
    note = "spawn the calls one by one, and join the tasks"
)]
pub trait Spawn: Durable {
    /// What the task gives when it succeeds.
    type Value;
}

// --- outcomes ---------------------------------------------------------------------------------

/// The outcome of one task, as a result.
#[doc(hidden)]
pub struct TaskResult<T>(PhantomData<fn() -> T>);

impl<T: DeserializeOwned> Pending for TaskResult<T> {
    type Output = Result<T, TaskError>;
    fn take(waiting: &Waiting) -> Self::Output {
        take_outcome(waiting, Json::decode)
    }
}

/// The outcome of a call, as a result.
#[doc(hidden)]
pub struct CallResult<F>(PhantomData<fn() -> F>);

impl<F: Function> Pending for CallResult<F> {
    type Output = Result<F::Output, TaskError>;
    fn take(waiting: &Waiting) -> Self::Output {
        take_outcome(waiting, F::Output::decode)
    }
}

fn take_outcome<T>(
    waiting: &Waiting,
    decode: fn(&Json) -> Result<T, DecodeError>,
) -> Result<T, TaskError> {
    let Some(task) = waiting.as_task() else { return Err(mismatch()) };
    let Some((kind, outcome)) = scope::with(|core| core.take(task)) else {
        return Err(match waiting {
            Waiting::Held { .. } => taken_before(),
            _ => mismatch(),
        });
    };
    let name = task_name(&kind);
    match outcome {
        Err(failure) => Err(TaskError::of_task(failure, &name)),
        Ok(json) => {
            decode(&json).map_err(|e| TaskError::new(TaskErrorKind::Payload, name, Failure::of(e)))
        }
    }
}

/// Saved data was edited by hand, or is of another program with the same names.
fn mismatch() -> TaskError {
    let failure = Failure::new("Mismatch", "the saved state does not fit what is awaited here");
    TaskError::new(TaskErrorKind::Payload, "await", failure)
}

/// A task was awaited through a reference, and is awaited again.
fn taken_before() -> TaskError {
    let failure = Failure::new("TakenBefore", "this task has given its result before");
    TaskError::new(TaskErrorKind::Refused, "task", failure)
}

fn encode_failure(error: crate::codec::EncodeError) -> TaskFailure {
    TaskFailure::new(TaskErrorKind::Payload, Failure::of(error))
}

/// Encodes arguments and checks their size.
pub(crate) fn encode_input<T: Serialize + ?Sized>(input: &T) -> Result<Json, TaskFailure> {
    checked(Json::encode(input))
}

/// The same for what is encoded already.
pub(crate) fn checked(json: Result<Json, crate::codec::EncodeError>) -> Result<Json, TaskFailure> {
    let json = json.map_err(encode_failure)?;
    check_size(&json)?;
    Ok(json)
}

/// Refuses a payload that no store would take.
pub(crate) fn check_size(json: &Json) -> Result<(), TaskFailure> {
    check_size_within(json, durable_store::limits::MAX_PAYLOAD_BYTES)
}

/// Refuses a payload over a limit, in bytes.
pub(crate) fn check_size_within(json: &Json, limit: usize) -> Result<(), TaskFailure> {
    let size = json.as_str().len();
    if size <= limit {
        return Ok(());
    }
    let message = format!(
        "{size} bytes of data, the limit is {limit}: keep large data elsewhere and pass a \
         reference to it"
    );
    Err(TaskFailure::new(TaskErrorKind::Payload, Failure::new("PayloadTooLarge", message)))
}

// --- calls ------------------------------------------------------------------------------------

/// A call of an activity or an orchestration that has not been made yet.
///
/// Calling an annotated function gives one. Await it in an orchestrator, spawn it with
/// [`OrchestrationContext::spawn`](crate::OrchestrationContext::spawn), or start it with
/// [`Client::start`](crate::Client::start).
#[must_use = "a call does nothing until it is awaited, spawned or started"]
pub struct Call<F: Function> {
    pub(crate) input: F::Input,
    pub(crate) options: StartOptions,
    pub(crate) retry: Option<RetryPolicy>,
}

impl<F: Function> Call<F> {
    #[doc(hidden)]
    pub fn new(input: F::Input) -> Self {
        Self { input, options: StartOptions::default(), retry: None }
    }
}

impl<F: Orchestration> Call<F> {
    /// Gives the new instance this id instead of a generated one.
    pub fn instance_id(mut self, id: impl Into<String>) -> Self {
        self.options.instance_id = Some(id.into());
        self
    }

    /// Starts this version instead of the one of the function that was called, or the default one
    /// of the [client](crate::Client::default_version) or the
    /// [worker](crate::WorkerBuilder::default_version). The empty text is no version.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.options.version = Some(version.into());
        self
    }

    /// Labels the new instance, so that it can be found. A later value of the same key wins.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.tags.insert(key.into(), value.into());
        self
    }

    /// Labels the new instance with all of these.
    pub fn tags<K, V>(mut self, tags: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<String>,
    {
        let tags = tags.into_iter().map(|(key, value)| (key.into(), value.into()));
        self.options.tags.extend(tags);
        self
    }

    /// Runs its first turn at this time; a time that is over is at once. Until then it is there,
    /// with the status [`Status::Pending`](crate::Status::Pending), takes events and can be
    /// terminated.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use durable::prelude::*;
    /// # #[orchestrator]
    /// # async fn report(day: u32) {}
    /// # fn example(now: Timestamp) {
    /// let call = report(1)
    ///     .instance_id("report-1")
    ///     .tag("team", "sales")
    ///     .start_at(now + Duration::from_secs(3600));
    /// # drop(call);
    /// # }
    /// ```
    pub fn start_at(mut self, time: Timestamp) -> Self {
        self.options.start_at = Some(time);
        self
    }

    /// What happens if the id is taken. Default: [`IdReuse::ReplaceEnded`].
    pub fn id_reuse(mut self, policy: IdReuse) -> Self {
        self.options.id_reuse = policy;
        self
    }
}

impl<F: Function> Call<F> {
    /// Makes the call again when it fails, as the policy says. The instance is not run in between,
    /// and the attempts are in its history. A sub-orchestration is started anew: under its own id
    /// if it was given one, else under an id of its own for each attempt.
    ///
    /// `.retry(policy).timeout(limit)` limits all attempts together, and `.timeout(limit)
    /// .retry(policy)` each of them.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// Waits for it no longer than this: then it is cancelled, and the error says
    /// [`TaskError::is_timeout`]. An activity under way gets its cancellation signal; a
    /// sub-orchestration goes on by itself.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use durable::prelude::*;
    /// # #[activity] async fn charge(order: u64) -> u64 { order }
    /// #[orchestrator]
    /// async fn in_time(order: u64) -> Result<Option<u64>, TaskError> {
    ///     match charge(order).timeout(Duration::from_secs(30)).await {
    ///         Err(error) if error.is_timeout() => Ok(None),
    ///         charged => charged.map(Some),
    ///     }
    /// }
    /// ```
    pub fn timeout(self, limit: Duration) -> Timeout<Self> {
        Timeout { inner: self, limit }
    }
}

impl<F: Function> Call<F> {
    /// Whether it can be started where nobody waits for it.
    pub(crate) fn check_start(&self) -> Result<(), InvalidStart> {
        match self.retry {
            None => Ok(()),
            Some(_) => Err(InvalidStart::Option(
                "a retry policy is for calls that an orchestrator awaits, and nobody would make \
                 this start again: start an orchestrator that awaits the call"
                    .to_owned(),
            )),
        }
    }
}

impl<F: Function> fmt::Debug for Call<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({})", F::NAME)
    }
}

impl<F: Function> Durable for Call<F> {
    type Pending = CallResult<F>;
    type Output = Result<F::Output, TaskError>;

    fn begin(self) -> Waiting {
        let Self { input, options, retry } = self;
        let begun = checked(input.encode()).and_then(|input| {
            options.check_inside()?;
            retry.as_ref().map_or(Ok(()), check_policy)?;
            Ok(input)
        });
        Waiting::Task(scope::with(|core| match (begun, F::KIND) {
            (Err(failure), _) => core.begin_failed(F::NAME, failure),
            (Ok(input), FunctionKind::Activity) => core.begin_activity(F::NAME, input, retry),
            (Ok(input), FunctionKind::Orchestration) => {
                core.begin_child(options, F::NAME, F::VERSION, input, retry)
            }
        }))
    }
}

/// A policy that cannot work fails the call.
fn check_policy(policy: &RetryPolicy) -> Result<(), TaskFailure> {
    policy.check().map_err(|reason| {
        let failure = Failure::final_one("InvalidRetryPolicy", reason);
        TaskFailure::new(TaskErrorKind::Refused, failure)
    })
}

impl<F: Function> Spawn for Call<F> {
    type Value = F::Output;
}

// --- tasks ------------------------------------------------------------------------------------

/// Something under way whose result can be awaited later. It is a saved value.
///
/// Dropping a task cancels a timer or an event wait, and detaches a call.
#[must_use = "dropping a task cancels a timer or an event wait"]
pub struct Task<T> {
    id: TaskId,
    result: PhantomData<fn() -> T>,
}

impl<T> Task<T> {
    pub(crate) fn of(waiting: &Waiting) -> Self {
        let mut id = TaskId::default();
        waiting.for_each_task(&mut |task| id = task);
        Self { id, result: PhantomData }
    }

    /// The number of the task, as it stands in the saved state.
    pub fn id(&self) -> i64 {
        self.id.0
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        // Outside of a turn the instance merely leaves memory: the task goes on. And while
        // unwinding, nothing that the program does counts any more.
        if !std::thread::panicking() {
            scope::try_with(|core| core.abandon(self.id));
        }
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task({})", self.id.0)
    }
}

impl<T> Serialize for Task<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.id.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Task<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        TaskId::deserialize(deserializer).map(|id| Self { id, result: PhantomData })
    }
}

impl<T: DeserializeOwned> Durable for Task<T> {
    type Pending = TaskResult<T>;
    type Output = Result<T, TaskError>;

    fn begin(self) -> Waiting {
        let id = self.id;
        if let Some(refused) = scope::with(|core| core.refuse_wait(id)) {
            return Waiting::Task(refused);
        }
        // The wait holds the task from here on.
        std::mem::forget(self);
        Waiting::Task(id)
    }
}

/// A task that is spawned again stays the one that it is.
impl<T: DeserializeOwned> Spawn for Task<T> {
    type Value = T;
}

/// Waits for a task that stays the program's: if the wait loses a race, the task goes on.
impl<T: DeserializeOwned> Durable for &mut Task<T> {
    type Pending = TaskResult<T>;
    type Output = Result<T, TaskError>;

    fn begin(self) -> Waiting {
        match scope::with(|core| core.refuse_wait(self.id)) {
            Some(refused) => Waiting::Task(refused),
            None => Waiting::Held { held: self.id },
        }
    }
}
