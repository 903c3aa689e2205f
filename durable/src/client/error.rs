//! What can go wrong for a client: each error says what, where, and what to do.

use std::time::Duration;

use durable_store::{Status, StoreError};

use crate::codec::DecodeError;
use crate::error::{TaskError, TaskFailure};
use crate::version::in_words;

/// Why a client did not get what it asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// An instance id or an entity key cannot be used.
    #[error("{reason}")]
    InvalidId {
        /// The id or key, the rule, and how it was broken.
        reason: String,
    },
    /// An option of a start cannot be used.
    #[error("the start is refused: {reason}")]
    InvalidOption {
        /// The option, the rule, and how it was broken.
        reason: String,
    },
    /// Another start has taken the instance id.
    #[error(
        "an instance with the id `{id}` exists already and is {status:?}: start with another id, \
         or use `client.orchestration(\"{id}\")` to follow the one that exists"
    )]
    AlreadyExists {
        /// The instance id.
        id: String,
        /// Where the instance that exists stands.
        status: Status,
    },
    /// The worker of this client could not run what was to be started.
    #[error(
        "the worker of this client knows no orchestrator `{name}`{}: register it with \
         `.orchestrator(..)` on the worker's builder, or start it with a `Client::new(store)` if \
         other workers run it",
        in_words(version)
    )]
    NotRegistered {
        /// The registered name that was asked for.
        name: String,
        /// The version, empty for none.
        version: String,
    },
    /// The worker of this client could not run the operations of an entity.
    #[error(
        "the worker of this client knows no entity `{name}`: register it with `.entity::<..>()` on \
         the worker's builder, or call it with a `Client::new(store)` if other workers run it"
    )]
    EntityNotRegistered {
        /// The registered name that was asked for.
        name: String,
    },
    /// Arguments or a payload cannot be sent.
    #[error("the arguments of `{function}` cannot be sent: {reason}")]
    InvalidArguments {
        /// The function, operation or event.
        function: String,
        /// What is wrong with them.
        reason: String,
    },
    /// No instance has the id.
    #[error("there is no instance with the id `{id}`: check the id, and that the store is right")]
    NotFound {
        /// The instance id.
        id: String,
    },
    /// The instance has ended, so that it takes no more messages.
    #[error("the instance `{id}` has ended and is {status:?}: it takes no more messages")]
    Ended {
        /// The instance id.
        id: String,
        /// How it ended.
        status: Status,
    },
    /// The instance has not ended, so that it cannot be purged.
    #[error(
        "the instance `{id}` has not ended, it is {status:?}: terminate it before it is purged"
    )]
    NotEnded {
        /// The instance id.
        id: String,
        /// Where it stands.
        status: Status,
    },
    /// A query asks for what cannot be.
    #[error("the query is refused: {reason}")]
    InvalidQuery {
        /// What, and why.
        reason: String,
    },
    /// A continuation token is none that a list gave.
    #[error("`{token}` is not the token of a list: pass one from `InstanceList::token` unchanged")]
    InvalidToken {
        /// How it begins.
        token: String,
    },
    /// The instance has not failed, so that there is nothing to go back from.
    #[error("the instance `{id}` has not failed, it is {status:?}: only what failed is rewound")]
    NotFailed {
        /// The instance id.
        id: String,
        /// Where it stands.
        status: Status,
    },
    /// What was waited for did not come in the time given.
    #[error("the instance `{id}` did not get there in {after:?}; it goes on")]
    TimedOut {
        /// The instance id.
        id: String,
        /// How long was waited.
        after: Duration,
    },
    /// The orchestration or the operation failed; the error is its own.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The result does not fit the type that was asked for.
    #[error(
        "the result of `{of}` does not fit the type `{expected}`: ask for the type that it \
         returns"
    )]
    Result {
        /// The instance or operation.
        of: String,
        /// The name of the Rust type that was asked for.
        expected: &'static str,
        /// Where it does not fit.
        #[source]
        source: DecodeError,
    },
    /// Something that is stored about the instance is not readable.
    #[error("what is stored about `{id}` is not readable: {what}")]
    Unreadable {
        /// The instance id.
        id: String,
        /// What, and why.
        what: String,
    },
    /// The worker that was to answer went away and left no answer.
    #[error(
        "the answer of `{of}` was lost together with the worker that gave it: read the entity's \
         state to learn what happened"
    )]
    AnswerLost {
        /// The operation.
        of: String,
    },
    /// The store failed, or could not be reached for about ten seconds. What was on its way then
    /// may have its effect nevertheless, now or when the store is there again, but only once: read
    /// what became of it before sending it anew.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ClientError {
    pub(super) fn invalid_arguments(function: &str, failure: &TaskFailure) -> Self {
        Self::InvalidArguments {
            function: function.to_owned(),
            reason: failure.failure.message.clone(),
        }
    }
}
