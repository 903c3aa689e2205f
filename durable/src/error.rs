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
}

impl Failure {
    /// A failure that has no Rust error behind it.
    pub fn new(error_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            error_type: error_type.into(),
            message: cut(message.into()),
            sources: Vec::new(),
            payload: None,
        }
    }

    /// Describes any error, with the chain of its sources.
    pub fn of<E>(error: E) -> Self
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let boxed: Box<dyn Error + Send + Sync> = error.into();
        let mut sources = Vec::new();
        let mut next = boxed.source();
        while let Some(source) = next {
            if sources.len() == MAX_SOURCES {
                break;
            }
            sources.push(cut(source.to_string()));
            next = source.source();
        }
        Self {
            error_type: std::any::type_name::<E>().to_owned(),
            message: cut(boxed.to_string()),
            sources,
            payload: None,
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

    /// Whether the time allowed by `.timeout(..)` was over.
    pub fn is_timeout(&self) -> bool {
        self.0.kind == TaskErrorKind::TimedOut
    }

    /// The error value that the callee returned, if its type was serialisable and is `E`.
    pub fn downcast<E: DeserializeOwned>(&self) -> Option<E> {
        let failure = self.failure();
        if failure.error_type != std::any::type_name::<E>() {
            return None;
        }
        failure.payload.as_deref().and_then(|payload| codec::decode(payload).ok())
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
