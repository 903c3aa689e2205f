//! The first of several: time limits, and `select_all`.

use std::marker::PhantomData;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Call, Durable, EventWait, Pending, Spawn, Task, TaskResult, Waiting};
use crate::data::EventPayload;
use crate::error::{Failure, TaskError, TaskErrorKind};
use crate::program::Function;
use crate::retry::RetryPolicy;
use crate::turn::{Core, scope, task_name};

/// A durable operation with a limit on its time. When that is over the operation is cancelled, and
/// the error says [`TaskError::is_timeout`].
#[derive(Debug)]
#[must_use = "it does nothing until it is awaited"]
pub struct Timeout<D> {
    pub(crate) inner: D,
    pub(crate) limit: Duration,
}

/// A wait for an event with a limit on its time. Awaits to `None` when that is over.
#[derive(Debug)]
#[must_use = "a wait does nothing until it is awaited"]
pub struct EventTimeout<T> {
    pub(crate) wait: EventWait<T>,
    pub(crate) limit: Duration,
}

/// Begins `inner` and the timer that races it.
pub(crate) fn begin_race<D: Durable>(inner: D, limit: Duration) -> Waiting {
    let inner = inner.begin();
    let timer = scope::with(|core| core.begin_timer(core.now + limit));
    Waiting::Any { any: vec![inner, Waiting::Task(timer)] }
}

/// The operation of a race if it has won; what has lost is cancelled.
pub(crate) fn winner(waiting: &Waiting) -> Option<&Waiting> {
    let [inner, timer] = waiting.parts() else { return None };
    scope::with(|core| {
        let has_won = inner.is_ready(core);
        let loser = if has_won { timer } else { inner };
        loser.cancel(core);
        has_won.then_some(inner)
    })
}

#[doc(hidden)]
pub struct TimeoutOf<P>(PhantomData<fn() -> P>);

impl<P, T> Pending for TimeoutOf<P>
where
    P: Pending<Output = Result<T, TaskError>>,
{
    type Output = Result<T, TaskError>;
    fn take(waiting: &Waiting) -> Self::Output {
        let name = waiting.parts().first().map(|inner| scope::with(|core| name_of(inner, core)));
        match winner(waiting) {
            Some(inner) => P::take(inner),
            None => {
                let failure = Failure::new("TimedOut", "the time allowed for it is over");
                Err(TaskError::new(TaskErrorKind::TimedOut, name.unwrap_or_default(), failure))
            }
        }
    }
}

fn name_of(waiting: &Waiting, core: &Core) -> String {
    let task = waiting.as_task().and_then(|task| core.tasks.get(task.0));
    task.map_or_else(|| "task".to_owned(), |task| task_name(&task.kind))
}

impl<D, T> Durable for Timeout<D>
where
    D: Durable<Output = Result<T, TaskError>>,
{
    type Pending = TimeoutOf<D::Pending>;
    type Output = Result<T, TaskError>;

    fn begin(self) -> Waiting {
        begin_race(self.inner, self.limit)
    }
}

impl<F: Function> Timeout<Call<F>> {
    /// Makes the call again when it fails, as the policy says. The time limit is that of each attempt.
    pub fn retry(self, mut policy: RetryPolicy) -> Call<F> {
        policy.limit_attempts_to(self.limit);
        self.inner.retry(policy)
    }
}

#[doc(hidden)]
pub struct EventTimeoutOf<T>(PhantomData<fn() -> T>);

impl<T: EventPayload> Pending for EventTimeoutOf<T> {
    type Output = Result<Option<T>, TaskError>;
    fn take(waiting: &Waiting) -> Self::Output {
        match winner(waiting) {
            Some(inner) => super::wait::EventResult::take(inner).map(Some),
            None => Ok(None),
        }
    }
}

impl<T> Durable for EventTimeout<T> {
    type Pending = EventTimeoutOf<T>;
    type Output = Result<Option<T>, TaskError>;

    fn begin(self) -> Waiting {
        begin_race(self.wait, self.limit)
    }
}

impl<T> Task<T> {
    /// Waits for it no longer than this: then it is cancelled, and the error says
    /// [`TaskError::is_timeout`].
    pub fn timeout(self, limit: Duration) -> Timeout<Self> {
        Timeout { inner: self, limit }
    }
}

/// Waits for the first of two. Gives its output and the task of the other, which goes on.
///
/// ```
/// # use std::time::Duration;
/// # use durable::prelude::*;
/// use durable::{Either, select};
/// # #[activity] async fn render(page: u64) -> u64 { page }
/// #[orchestrator]
/// async fn patient(ctx: &OrchestrationContext, page: u64) -> Result<u64, TaskError> {
///     match select(render(page), ctx.sleep(Duration::from_secs(60))).await {
///         Either::Left((rendered, _timer)) => rendered,
///         Either::Right(((), rendering)) => {
///             ctx.set_custom_status("it takes long");
///             rendering.await
///         }
///     }
/// }
/// ```
pub fn select<A: Spawn, B: Spawn>(first: A, second: B) -> Select<A, B> {
    Select(first, second)
}

/// See [`select`].
#[derive(Debug)]
#[must_use = "calls do nothing until they are awaited"]
pub struct Select<A, B>(A, B);

/// One of two: what [`select`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Either<A, B> {
    /// The first.
    Left(A),
    /// The second.
    Right(B),
}

#[doc(hidden)]
pub struct OneOfTwo<P, Q, T, U>(PhantomData<fn() -> (P, Q)>, PhantomData<fn() -> (T, U)>);

impl<P: Pending, Q: Pending, T, U> Pending for OneOfTwo<P, Q, T, U> {
    type Output = Either<(P::Output, Task<U>), (Q::Output, Task<T>)>;
    fn take(waiting: &Waiting) -> Self::Output {
        let parts = waiting.parts();
        if scope::with(|core| parts[0].is_ready(core)) {
            Either::Left((P::take(&parts[0]), Task::of(&parts[1])))
        } else {
            Either::Right((Q::take(&parts[1]), Task::of(&parts[0])))
        }
    }
}

impl<A: Spawn, B: Spawn> Durable for Select<A, B> {
    type Pending = OneOfTwo<A::Pending, B::Pending, A::Value, B::Value>;
    type Output = Either<(A::Output, Task<B::Value>), (B::Output, Task<A::Value>)>;

    fn begin(self) -> Waiting {
        Waiting::Any { any: vec![self.0.begin(), self.1.begin()] }
    }
}

/// Waits for the first of them. Gives its result, its place in the input, and the tasks that are
/// left, in order.
///
/// ```
/// # use durable::prelude::*;
/// # #[activity] async fn size_of(name: String) -> u64 { name.len() as u64 }
/// #[orchestrator]
/// async fn first(names: Vec<String>) -> Result<u64, TaskError> {
///     let (size, _, rest) = select_all(names.into_iter().map(size_of)).await;
///     drop(rest); // the calls go on by themselves
///     size
/// }
/// ```
///
/// # Panics
/// If there is none to wait for, which fails the orchestration.
pub fn select_all<I>(calls: I) -> SelectAll<I::Item>
where
    I: IntoIterator,
    I::Item: Spawn,
{
    let calls: Vec<I::Item> = calls.into_iter().collect();
    assert!(!calls.is_empty(), "`select_all` of nothing would wait for ever");
    SelectAll(calls)
}

/// See [`select_all`].
#[derive(Debug)]
#[must_use = "calls do nothing until they are awaited"]
pub struct SelectAll<D>(Vec<D>);

#[doc(hidden)]
pub struct FirstOf<T>(PhantomData<fn() -> T>);

impl<T: DeserializeOwned> Pending for FirstOf<T> {
    type Output = (Result<T, TaskError>, usize, Vec<Task<T>>);
    fn take(waiting: &Waiting) -> Self::Output {
        let parts = waiting.parts();
        let first = scope::with(|core| parts.iter().position(|part| part.is_ready(core)));
        let first = first.unwrap_or_default();
        let rest = parts.iter().enumerate().filter(|(index, _)| *index != first);
        let rest = rest.map(|(_, part)| Task::of(part)).collect();
        let result = parts.get(first).map_or_else(|| Err(super::mismatch()), TaskResult::take);
        (result, first, rest)
    }
}

impl<D: Spawn> Durable for SelectAll<D>
where
    D::Value: DeserializeOwned,
{
    type Pending = FirstOf<D::Value>;
    type Output = (Result<D::Value, TaskError>, usize, Vec<Task<D::Value>>);

    fn begin(self) -> Waiting {
        Waiting::Any { any: self.0.into_iter().map(Durable::begin).collect() }
    }
}
