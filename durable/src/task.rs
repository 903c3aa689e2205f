//! What can be awaited in an orchestrator: calls, tasks, timers, events, and their combinations.
//! No tokio and no store: everything here reads and writes the turn under way.

use std::fmt;
use std::marker::PhantomData;

use durable_store::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Failure, TaskError, TaskErrorKind, TaskFailure};
use crate::json::Json;
use crate::message::TaskId;
use crate::program::{Function, FunctionKind, Orchestration};
use crate::turn::{Core, TaskKind, scope};

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
}

impl Waiting {
    /// Whether enough has arrived for the program to go on.
    pub(crate) fn is_ready(&self, core: &Core) -> bool {
        match self {
            Self::Task(task) => core.outcome(*task).is_some(),
            Self::All { all } => all.iter().all(|part| part.is_ready(core)),
            Self::AllOk { all_ok } => {
                all_ok.iter().any(|part| part.has_failed(core))
                    || all_ok.iter().all(|part| part.is_ready(core))
            }
        }
    }

    fn has_failed(&self, core: &Core) -> bool {
        match self {
            Self::Task(task) => core.outcome(*task).is_some_and(Result::is_err),
            Self::All { .. } => false,
            Self::AllOk { all_ok } => all_ok.iter().any(|part| part.has_failed(core)),
        }
    }

    /// Calls `f` with each task in it.
    pub fn for_each_task(&self, f: &mut impl FnMut(TaskId)) {
        match self {
            Self::Task(task) => f(*task),
            Self::All { all: parts } | Self::AllOk { all_ok: parts } => {
                for part in parts {
                    part.for_each_task(f);
                }
            }
        }
    }

    fn parts(&self) -> &[Waiting] {
        match self {
            Self::Task(_) => &[],
            Self::All { all: parts } | Self::AllOk { all_ok: parts } => parts,
        }
    }
}

/// Something an orchestrator can `.await`: it is saved while it waits.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not durable, so an orchestrator cannot await it",
    label = "not an activity, orchestration, entity call, timer, event or task",
    note = "only durable operations survive a restart: move other async code into an \
            `#[activity]` and await the call of it"
)]
pub trait Durable {
    /// What of it is saved while it waits.
    type Pending: Pending<Output = Self::Output>;
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
    type Value: DeserializeOwned;
}

// --- outcomes ---------------------------------------------------------------------------------

/// The outcome of one task, as a result.
#[doc(hidden)]
pub struct TaskResult<T>(PhantomData<fn() -> T>);

impl<T: DeserializeOwned> Pending for TaskResult<T> {
    type Output = Result<T, TaskError>;
    fn take(waiting: &Waiting) -> Self::Output {
        let Waiting::Task(task) = waiting else { return Err(mismatch()) };
        let Some((kind, outcome)) = scope::with(|core| core.take(*task)) else {
            return Err(mismatch());
        };
        let name = task_name(kind);
        match outcome {
            Err(failure) => Err(TaskError::of_task(failure, &name)),
            Ok(json) => json.decode().map_err(|e| {
                TaskError::new(TaskErrorKind::Payload, name, Failure::of(e))
            }),
        }
    }
}

fn task_name(kind: TaskKind) -> String {
    match kind {
        TaskKind::Activity { name, .. } | TaskKind::Event { name } => name,
        TaskKind::Timer { .. } => "timer".to_owned(),
        TaskKind::Child { id } => id,
        TaskKind::Operation { entity, name } => format!("{entity}.{name}"),
    }
}

/// Saved data was edited by hand, or is of another program with the same names.
fn mismatch() -> TaskError {
    let failure = Failure::new("Mismatch", "the saved state does not fit what is awaited here");
    TaskError::new(TaskErrorKind::Payload, "await", failure)
}

fn encode_failure(error: crate::codec::EncodeError) -> TaskFailure {
    TaskFailure::new(TaskErrorKind::Payload, Failure::of(error))
}

/// Encodes arguments and checks their size.
pub(crate) fn encode_input<T: Serialize + ?Sized>(input: &T) -> Result<Json, TaskFailure> {
    let json = Json::encode(input).map_err(encode_failure)?;
    check_size(&json)?;
    Ok(json)
}

/// Refuses a payload that no store would take.
pub(crate) fn check_size(json: &Json) -> Result<(), TaskFailure> {
    const LIMIT: usize = durable_store::limits::MAX_PAYLOAD_BYTES;
    let size = json.as_str().len();
    if size <= LIMIT {
        return Ok(());
    }
    let message = format!(
        "{size} bytes of data, the limit is {LIMIT}: keep large data elsewhere and pass a \
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
    pub(crate) instance_id: Option<String>,
}

impl<F: Function> Call<F> {
    #[doc(hidden)]
    pub fn new(input: F::Input) -> Self {
        Self { input, instance_id: None }
    }
}

impl<F: Orchestration> Call<F> {
    /// Gives the new instance this id instead of a generated one.
    pub fn instance_id(mut self, id: impl Into<String>) -> Self {
        self.instance_id = Some(id.into());
        self
    }
}

impl<F: Function> fmt::Debug for Call<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({})", F::NAME)
    }
}

impl<F: Function> Durable for Call<F> {
    type Pending = TaskResult<F::Output>;
    type Output = Result<F::Output, TaskError>;

    fn begin(self) -> Waiting {
        let input = encode_input(&self.input);
        let instance_id = self.instance_id;
        Waiting::Task(scope::with(|core| match (input, F::KIND) {
            (Err(failure), _) => core.begin_failed(F::NAME, failure),
            (Ok(input), FunctionKind::Activity) => core.begin_activity(F::NAME, input),
            (Ok(input), FunctionKind::Orchestration) => {
                match instance_id.as_deref().map_or(Ok(()), crate::client::check_instance_id) {
                    Ok(()) => core.begin_child(instance_id, F::NAME, F::VERSION, input),
                    Err(reason) => core.begin_failed(
                        F::NAME,
                        TaskFailure::new(
                            TaskErrorKind::Refused,
                            Failure::new("InvalidInstanceId", reason),
                        ),
                    ),
                }
            }
        }))
    }
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
        // The wait holds the task from here on.
        std::mem::forget(self);
        Waiting::Task(id)
    }
}

// --- timers and events ------------------------------------------------------------------------

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

impl<T> fmt::Debug for EventWait<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventWait({})", self.name)
    }
}

impl<T: DeserializeOwned> Durable for EventWait<T> {
    type Pending = TaskResult<T>;
    type Output = Result<T, TaskError>;

    fn begin(self) -> Waiting {
        Waiting::Task(scope::with(|core| core.begin_event(&self.name)))
    }
}

impl<T: DeserializeOwned> Spawn for EventWait<T> {
    type Value = T;
}

// --- combinators ------------------------------------------------------------------------------

/// Waits for all of them and gives their outputs in the order of the input.
///
/// All are begun at once. The orchestrator is resumed when the last one has ended; results that
/// arrive meanwhile are kept as rows and move only once.
///
/// ```
/// # use durable::prelude::*;
/// # #[activity] async fn size_of(name: String) -> u64 { name.len() as u64 }
/// #[orchestrator]
/// async fn sizes(names: Vec<String>) -> u64 {
///     let sizes = join_all(names.into_iter().map(size_of)).await;
///     sizes.into_iter().filter_map(Result::ok).sum()
/// }
/// ```
pub fn join_all<I>(calls: I) -> JoinAll<I::Item>
where
    I: IntoIterator,
    I::Item: Durable,
{
    JoinAll(calls.into_iter().collect())
}

/// Waits for all of them and gives their values, or the first error as soon as there is one.
///
/// When one fails the others are dropped as [`Task`]s are: timers and event waits are cancelled,
/// calls are detached.
///
/// ```
/// # use durable::prelude::*;
/// # #[activity] async fn size_of(name: String) -> u64 { name.len() as u64 }
/// #[orchestrator]
/// async fn total(names: Vec<String>) -> Result<u64, TaskError> {
///     let sizes = try_join_all(names.into_iter().map(size_of)).await?;
///     Ok(sizes.iter().sum())
/// }
/// ```
pub fn try_join_all<I, T, E>(calls: I) -> TryJoinAll<I::Item>
where
    I: IntoIterator,
    I::Item: Durable<Output = Result<T, E>>,
{
    TryJoinAll(calls.into_iter().collect())
}

/// See [`join_all`].
#[derive(Debug)]
#[must_use = "calls do nothing until they are awaited"]
pub struct JoinAll<D>(Vec<D>);

/// See [`try_join_all`].
#[derive(Debug)]
#[must_use = "calls do nothing until they are awaited"]
pub struct TryJoinAll<D>(Vec<D>);

#[doc(hidden)]
pub struct AllOf<P>(PhantomData<fn() -> P>);

#[doc(hidden)]
pub struct AllOkOf<P>(PhantomData<fn() -> P>);

#[doc(hidden)]
pub struct EachOf<P>(PhantomData<fn() -> P>);

#[doc(hidden)]
pub struct EachOkOf<P>(PhantomData<fn() -> P>);

impl<P: Pending> Pending for AllOf<P> {
    type Output = Vec<P::Output>;
    fn take(waiting: &Waiting) -> Self::Output {
        waiting.parts().iter().map(P::take).collect()
    }
}

impl<D: Durable> Durable for JoinAll<D> {
    type Pending = AllOf<D::Pending>;
    type Output = Vec<D::Output>;

    fn begin(self) -> Waiting {
        Waiting::All { all: self.0.into_iter().map(Durable::begin).collect() }
    }
}

impl<P, T, E> Pending for AllOkOf<P>
where
    P: Pending<Output = Result<T, E>>,
{
    type Output = Result<Vec<T>, E>;
    fn take(waiting: &Waiting) -> Self::Output {
        let parts = waiting.parts();
        if let Some(failed) = first_failed(parts) {
            let error = P::take(&parts[failed]);
            drop_others(parts, failed);
            return error.map(|value| vec![value]);
        }
        let mut values = Vec::with_capacity(parts.len());
        for (index, part) in parts.iter().enumerate() {
            match P::take(part) {
                Ok(value) => values.push(value),
                Err(error) => {
                    // It succeeded, but its value does not fit the type.
                    drop_others(parts, index);
                    return Err(error);
                }
            }
        }
        Ok(values)
    }
}

fn first_failed(parts: &[Waiting]) -> Option<usize> {
    scope::with(|core| parts.iter().position(|part| part.has_failed(core)))
}

fn drop_others(parts: &[Waiting], keep: usize) {
    scope::with(|core| {
        for (index, part) in parts.iter().enumerate() {
            if index != keep {
                part.for_each_task(&mut |task| core.abandon(task));
            }
        }
    });
}

impl<D, T, E> Durable for TryJoinAll<D>
where
    D: Durable<Output = Result<T, E>>,
{
    type Pending = AllOkOf<D::Pending>;
    type Output = Result<Vec<T>, E>;

    fn begin(self) -> Waiting {
        Waiting::AllOk { all_ok: self.0.into_iter().map(Durable::begin).collect() }
    }
}

/// What `join!` awaits.
#[doc(hidden)]
pub struct Join<T>(pub T);

/// What `try_join!` awaits.
#[doc(hidden)]
pub struct TryJoin<T>(pub T);

macro_rules! joins {
    ($($D:ident $P:ident $T:ident $index:tt),+) => {
        impl<$($P: Pending),+> Pending for EachOf<($($P,)+)> {
            type Output = ($($P::Output,)+);
            fn take(waiting: &Waiting) -> Self::Output {
                let parts = waiting.parts();
                ($($P::take(&parts[$index]),)+)
            }
        }

        impl<$($D: Durable),+> Durable for Join<($($D,)+)> {
            type Pending = EachOf<($($D::Pending,)+)>;
            type Output = ($($D::Output,)+);

            fn begin(self) -> Waiting {
                Waiting::All { all: vec![$(self.0.$index.begin()),+] }
            }
        }

        impl<Error, $($P, $T),+> Pending for EachOkOf<($($P,)+)>
        where
            $($P: Pending<Output = Result<$T, Error>>),+
        {
            type Output = Result<($($T,)+), Error>;
            fn take(waiting: &Waiting) -> Self::Output {
                let parts = waiting.parts();
                if let Some(failed) = first_failed(parts) {
                    $(
                        if failed == $index
                            && let Err(error) = $P::take(&parts[$index])
                        {
                            drop_others(parts, failed);
                            return Err(error);
                        }
                    )+
                }
                // An error here is a value that does not fit its type.
                Ok(($(match $P::take(&parts[$index]) {
                    Ok(value) => value,
                    Err(error) => {
                        drop_others(parts, $index);
                        return Err(error);
                    }
                },)+))
            }
        }

        impl<Error, $($D, $T),+> Durable for TryJoin<($($D,)+)>
        where
            $($D: Durable<Output = Result<$T, Error>>),+
        {
            type Pending = EachOkOf<($($D::Pending,)+)>;
            type Output = Result<($($T,)+), Error>;

            fn begin(self) -> Waiting {
                Waiting::AllOk { all_ok: vec![$(self.0.$index.begin()),+] }
            }
        }
    };
}

joins!(D0 P0 T0 0);
joins!(D0 P0 T0 0, D1 P1 T1 1);
joins!(D0 P0 T0 0, D1 P1 T1 1, D2 P2 T2 2);
joins!(D0 P0 T0 0, D1 P1 T1 1, D2 P2 T2 2, D3 P3 T3 3);
joins!(D0 P0 T0 0, D1 P1 T1 1, D2 P2 T2 2, D3 P3 T3 3, D4 P4 T4 4);
joins!(D0 P0 T0 0, D1 P1 T1 1, D2 P2 T2 2, D3 P3 T3 3, D4 P4 T4 4, D5 P5 T5 5);
joins!(D0 P0 T0 0, D1 P1 T1 1, D2 P2 T2 2, D3 P3 T3 3, D4 P4 T4 4, D5 P5 T5 5, D6 P6 T6 6);
joins!(
    D0 P0 T0 0, D1 P1 T1 1, D2 P2 T2 2, D3 P3 T3 3, D4 P4 T4 4, D5 P5 T5 5, D6 P6 T6 6, D7 P7 T7 7
);
