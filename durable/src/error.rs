//! How a failed call is described: to the orchestrator that awaits it, to the client that asked
//! for the result, and in saved state.

use std::error::Error;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::json::Json;

/// The longest source chain that is kept, in errors.
pub(crate) const MAX_SOURCES: usize = 32;
/// The longest message that is kept of one error, in bytes. Longer ones are cut, and say so.
pub(crate) const MAX_MESSAGE_BYTES: usize = 16 * 1024;

/// The largest error value that is kept beside its description, in bytes of JSON. A larger one is
/// left out: it would grow with each orchestration that it passes through.
pub(crate) const MAX_ERROR_PAYLOAD_BYTES: usize = 64 * 1024;

/// The longest chain of failed calls that is kept in an error: one for each orchestration that it
/// passed through.
pub(crate) const MAX_CAUSES: usize = 32;

/// The largest cause that is kept with the values of its errors, in bytes of JSON. Of a larger one
/// the types and messages are kept.
const MAX_CAUSE_BYTES: usize = 64 * 1024;

/// An error as it is saved: its type, its message, and the chain of its causes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The name of the Rust type of the error, or `panic`.
    #[serde(rename = "type")]
    pub error_type: String,
    /// What its `Display` said.
    pub message: String,
    /// What the `Display` of each of its sources said, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// The error itself as JSON text, if its type can be serialised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// Whether trying again is of no use: no retry policy does. See [`NonRetryable`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub non_retryable: bool,
    /// The failed call that this error came of, if there is one among its sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Box<TaskError>>,
}

impl Failure {
    /// A failure that has no Rust error behind it.
    pub fn new(error_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            error_type: error_type.into(),
            message: cut(message.into()),
            sources: Vec::new(),
            payload: None,
            non_retryable: false,
            cause: None,
        }
    }

    /// The same, which no retry policy tries again.
    pub(crate) fn final_one(error_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self { non_retryable: true, ..Self::new(error_type, message) }
    }

    /// Describes any error, with the chain of its sources.
    pub fn of<E>(error: E) -> Self
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let boxed: Box<dyn Error + Send + Sync> = error.into();
        Self::of_dyn(std::any::type_name::<E>(), &*boxed)
    }

    /// The same for an error of the type of this name.
    pub(crate) fn of_dyn(error_type: &str, error: &(dyn Error + 'static)) -> Self {
        let mut failure = Self::new(error_type, error.to_string());
        if let Some(wrapper) = error.downcast_ref::<NonRetryable>() {
            wrapper.error_type.clone_into(&mut failure.error_type);
            failure.payload.clone_from(&wrapper.payload);
        }
        failure.look_into(error);
        let mut next = error.source();
        while let Some(source) = next {
            if failure.sources.len() == MAX_SOURCES {
                break;
            }
            failure.sources.push(cut(source.to_string()));
            failure.look_into(source);
            next = source.source();
        }
        failure
    }

    /// Takes note of what an error of the chain says to the engine.
    fn look_into(&mut self, error: &(dyn Error + 'static)) {
        self.non_retryable |= error.is::<NonRetryable>();
        if self.cause.is_none()
            && let Some(call) = error.downcast_ref::<TaskError>()
        {
            self.non_retryable |= call.failure().non_retryable;
            self.cause = Some(Box::new(call.clone().into_cause()));
        }
    }

    /// Describes what a panic carried.
    pub(crate) fn of_panic(panic: &(dyn std::any::Any + Send)) -> Self {
        let message = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a message".to_owned());
        Self::new("panic", message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

fn cut(mut text: String) -> String {
    const MARK: &str = " [cut]";
    if text.len() > MAX_MESSAGE_BYTES {
        let mut end = MAX_MESSAGE_BYTES - MARK.len();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(MARK);
    }
    text
}

/// Why a durable call did not give a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskErrorKind {
    /// The called function returned an error.
    Failed,
    /// The called function panicked.
    Panicked,
    /// The time allowed by `.timeout(..)` is over.
    TimedOut,
    /// The called orchestration was terminated.
    Terminated,
    /// The call was cancelled.
    Cancelled,
    /// No worker knows the called function or operation.
    NotRegistered,
    /// The arguments, the result or the payload do not fit the declared types.
    Payload,
    /// The workers that ran the activity died each time, up to the limit of attempts.
    WorkerLost,
    /// The call was refused, for example because its instance id is taken, or because the worker does
    /// not take its version.
    Refused,
}

/// The failure of an activity, a sub-orchestration, an entity operation or an event payload.
///
/// Converts into the usual error types with `?`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "SavedTaskError")]
pub struct TaskError(Box<Details>);

/// Boxed, so that the `Result`s of calls stay small.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Details {
    kind: TaskErrorKind,
    task: String,
    failure: Failure,
    #[serde(skip)]
    source: Option<Box<Chain>>,
}

/// What of a [`TaskError`] is saved; the chain of sources is built again from the failure.
#[derive(Deserialize)]
struct SavedTaskError {
    kind: TaskErrorKind,
    task: String,
    failure: Failure,
}

impl From<SavedTaskError> for TaskError {
    fn from(saved: SavedTaskError) -> Self {
        Self::new(saved.kind, saved.task, saved.failure)
    }
}

impl TaskError {
    /// A failure of the call named `task`.
    pub fn new(kind: TaskErrorKind, task: impl Into<String>, failure: Failure) -> Self {
        let source = Chain::of(&failure.sources);
        Self(Box::new(Details { kind, task: task.into(), failure, source }))
    }

    pub(crate) fn of_task(failure: TaskFailure, task: &str) -> Self {
        Self::new(failure.kind, task, failure.failure)
    }

    /// Why there is no result.
    pub fn kind(&self) -> TaskErrorKind {
        self.0.kind
    }

    /// The name of the function, operation or event that was awaited.
    pub fn task(&self) -> &str {
        &self.0.task
    }

    /// What the callee said: type, message, sources.
    pub fn failure(&self) -> &Failure {
        &self.0.failure
    }

    /// Whether trying again is of no use; see [`NonRetryable`].
    pub fn is_non_retryable(&self) -> bool {
        self.0.failure.non_retryable
    }

    /// The failed call that this one failed of: what the sub-orchestration that was called here had
    /// called itself.
    pub fn cause(&self) -> Option<&TaskError> {
        self.0.failure.cause.as_deref()
    }

    /// The last of the [causes](Self::cause), or this error if it has none.
    pub fn root_cause(&self) -> &TaskError {
        let mut error = self;
        while let Some(cause) = error.cause() {
            error = cause;
        }
        error
    }

    /// Whether the time allowed by `.timeout(..)` was over.
    pub fn is_timeout(&self) -> bool {
        self.0.kind == TaskErrorKind::TimedOut
    }

    /// The error value that the callee returned, if its type was serialisable and is `E`.
    pub fn downcast<E: DeserializeOwned + 'static>(&self) -> Option<E> {
        let failure = self.failure();
        if failure.error_type != std::any::type_name::<E>() {
            return None;
        }
        match (&failure.payload, &failure.cause) {
            (Some(payload), _) => codec::decode(payload).ok(),
            // What the callee returned was the failure of a call that it had made.
            (None, Some(cause)) => {
                let value: Box<dyn std::any::Any> = cause.clone();
                value.downcast().ok().map(|value| *value)
            }
            (None, None) => None,
        }
    }

    /// The first error value of type `E` among this error and its [causes](Self::cause).
    ///
    /// ```
    /// # use durable::prelude::*;
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Debug, Serialize, Deserialize, thiserror::Error)]
    /// #[error("declined")]
    /// struct Declined;
    ///
    /// #[activity]
    /// async fn charge(order: u64) -> Result<(), Declined> {
    ///     Err(Declined)
    /// }
    ///
    /// #[orchestrator]
    /// async fn pay(order: u64) -> Result<(), TaskError> {
    ///     charge(order).await
    /// }
    ///
    /// #[orchestrator]
    /// async fn checkout(order: u64) -> Result<String, TaskError> {
    ///     match pay(order).await {
    ///         Err(error) if error.find::<Declined>().is_some() => Ok("declined".to_owned()),
    ///         paid => paid.map(|()| "paid".to_owned()),
    ///     }
    /// }
    /// ```
    pub fn find<E: DeserializeOwned + 'static>(&self) -> Option<E> {
        let mut next = Some(self);
        while let Some(error) = next {
            if let Some(value) = error.downcast() {
                return Some(value);
            }
            next = error.cause();
        }
        None
    }

    /// As it is kept in the error that it caused: within limits.
    fn into_cause(mut self) -> Self {
        let size = |error: &Self| serde_json::to_string(error).map_or(0, |text| text.len());
        if size(&self) > MAX_CAUSE_BYTES {
            self.strip(0);
        }
        self
    }

    /// Leaves out the values of the errors, and causes that are too deep.
    fn strip(&mut self, depth: usize) {
        let failure = &mut self.0.failure;
        failure.payload = None;
        if depth + 1 >= MAX_CAUSES {
            failure.cause = None;
        }
        if let Some(cause) = &mut failure.cause {
            cause.strip(depth + 1);
        }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.0.kind {
            TaskErrorKind::Failed => "failed",
            TaskErrorKind::Panicked => "panicked",
            TaskErrorKind::TimedOut => "timed out",
            TaskErrorKind::Terminated => "was terminated",
            TaskErrorKind::Cancelled => "was cancelled",
            TaskErrorKind::NotRegistered => "is not registered",
            TaskErrorKind::Payload => "has data that does not fit its type",
            TaskErrorKind::WorkerLost => "lost its worker too often",
            TaskErrorKind::Refused => "was refused",
        };
        write!(f, "`{}` {what}: {}", self.task(), self.failure().message)
    }
}

impl Error for TaskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// The saved sources of an error, made into a chain of errors again.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Chain {
    message: String,
    next: Option<Box<Chain>>,
}

impl Chain {
    fn of(sources: &[String]) -> Option<Box<Self>> {
        sources
            .iter()
            .rev()
            .fold(None, |next, message| Some(Box::new(Self { message: message.clone(), next })))
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Chain {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.next.as_deref().map(|next| next as _)
    }
}

/// How a task ended badly, before it is given the name of the task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskFailure {
    /// Why there is no result.
    pub kind: TaskErrorKind,
    /// What was said.
    pub failure: Failure,
}

impl TaskFailure {
    /// Puts the two together.
    pub fn new(kind: TaskErrorKind, failure: Failure) -> Self {
        Self { kind, failure }
    }
}

/// How a task ended.
pub type Outcome = Result<Json, TaskFailure>;

/// An error that is of no use to try again: whatever a retry policy says, the call fails at once.
///
/// It may be anywhere in the chain of an error's sources. What is wrapped keeps its type name, and
/// with [`NonRetryable::with_data`] its value.
///
/// ```
/// # use durable::prelude::*;
/// use durable::NonRetryable;
///
/// #[activity]
/// async fn charge(cents: i64) -> anyhow::Result<()> {
///     if cents < 0 {
///         return Err(NonRetryable::message("the amount is negative").into());
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct NonRetryable {
    error_type: String,
    payload: Option<String>,
    error: Box<dyn Error + Send + Sync>,
}

impl NonRetryable {
    /// Marks an error.
    pub fn new<E: Into<Box<dyn Error + Send + Sync>>>(error: E) -> Self {
        let error_type = std::any::type_name::<E>().to_owned();
        Self { error_type, payload: None, error: error.into() }
    }

    /// Marks an error whose value the caller can get with [`TaskError::downcast`].
    pub fn with_data<E>(error: E) -> Self
    where
        E: Serialize + Into<Box<dyn Error + Send + Sync>>,
    {
        let payload = encode_payload(&error);
        Self { payload, ..Self::new(error) }
    }

    /// An error that is only a text.
    pub fn message(text: impl Into<String>) -> Self {
        Self::new(text.into())
    }
}

impl fmt::Display for NonRetryable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl Error for NonRetryable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// The value of an error as JSON text, if it can be kept.
pub(crate) fn encode_payload<E: Serialize>(error: &E) -> Option<String> {
    codec::encode(error).ok().filter(|text| text.len() <= MAX_ERROR_PAYLOAD_BYTES)
}
