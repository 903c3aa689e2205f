//! Durable functions: ordinary async Rust compiled into resumable state machines.
//!
//! Annotate functions with [`#[orchestrator]`](macro@orchestrator) and
//! [`#[activity]`](macro@activity), impl blocks with [`#[entity]`](macro@entity). Calling an
//! annotated function makes a typed [`Call`]; an orchestrator awaits it, a [`Client`] starts it. A
//! [`Worker`] runs everything on a [`store`]. What is saved between two awaits is the name of a
//! state and the variables that are alive in it, so nothing is ever replayed.
//!
//! ```
//! use durable::Worker;
//! use durable::prelude::*;
//! # use durable::store::MemoryStore;
//!
//! #[activity]
//! async fn price(item: String) -> u64 {
//!     item.len() as u64
//! }
//!
//! #[orchestrator]
//! async fn total(items: Vec<String>) -> Result<u64, TaskError> {
//!     let mut total = 0;
//!     for item in items {
//!         total += price(item).await?;
//!     }
//!     Ok(total)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let worker = Worker::builder(MemoryStore::new())
//!     .orchestrator(total)
//!     .activity(price)
//!     .start()
//!     .await?;
//! let items = vec!["tea".to_owned(), "pot".to_owned()];
//! assert_eq!(worker.client().start(total(items)).await?.result().await?, 6);
//! worker.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! `sqlite` (default): the embedded store. `postgres`: the store for many workers on many machines.
//! `memory`: the store for tests. `http`: the HTTP API of Durable Functions, in the module `http`.
//! [`testing`] runs programs under a clock that a test holds in its hand.

// What our own orchestrations expand to names the crate as users do.
extern crate self as durable;

mod backoff;
mod client;
mod clock;
#[doc(hidden)]
pub mod codec;
mod connect;
mod connection;
mod context;
mod data;
mod doors;
mod drive;
mod entity;
mod error;
mod graph;
mod history;
#[cfg(feature = "http")]
pub mod http;
mod iterate;
mod json;
mod lock;
mod message;
mod placement;
mod polling;
mod program;
mod registry;
mod retry;
mod schedule;
mod start;
mod task;
mod telemetry;
pub mod testing;
mod turn;
mod version;
mod waiters;
mod worker;

pub use client::{
    Cleaned, Client, ClientError, DEFAULT_PURGE_INSTANCES, EntityList, EntityQuery, EntityStatus,
    FromClient, Handle, InstanceList, InstanceStatus, InstanceStream, MAX_EVENT_NAME_BYTES,
    MAX_REASON_BYTES, Purge, Purged, Restart, StartByName, StateRead, Terminate, Wait,
};
pub use clock::{Clock, Sleep, SystemClock, VirtualClock};
pub use connect::{ConnectError, connect};
pub use connection::IntoStore;
pub use context::{
    ActivityContext, EntityContext, MAX_CUSTOM_STATUS_BYTES, MissingData, OrchestrationContext,
    Random,
};
pub use data::{Argument, Arguments, EntityData, EventPayload, ReturnValue};
pub use durable_macros::{activity, deterministic, entity, orchestrator};
pub use durable_store::{self as store, InstanceKind, InstanceQuery, Status, Tags, Timestamp};
pub use entity::{Entity, EntityCall};
pub use error::{Failure, NonRetryable, TaskError, TaskErrorKind};
pub use graph::{StateGraph, StateNode};
pub use history::{Event as HistoryEvent, HistoryTurn};
pub use iterate::{Finite, ReborrowIter, SuspendingIter};
pub use json::Json;
pub use lock::{LockGuard, LockRequest, LockSet, LockTimeout, MAX_LOCKED_ENTITIES};
pub use program::{Activities, Activity, CallFn, Function, FunctionKind, Orchestration};
pub use retry::{
    DEFAULT_BACKOFF_COEFFICIENT, DEFAULT_MAX_ATTEMPTS, DEFAULT_MAX_INTERVAL, DelayRule, ErrorRule,
    FailedAttempt, RetryPolicy,
};
pub use schedule::{MIN_SCHEDULE_INTERVAL, Schedule, ScheduleHandle, ScheduleStatus};
pub use start::IdReuse;
pub use task::{
    Call, ContinueAsNew, Durable, Either, Event, EventName, EventTimeout, EventWait, JoinAll,
    Select, SelectAll, Spawn, Task, Timeout, Timer, TryJoinAll, join_all, select, select_all,
    try_join_all,
};
pub use turn::{EntityAddress, MAX_ACTIONS_PER_TURN, MAX_ENTITY_STATE_BYTES, MAX_LOST_ATTEMPTS};
pub use version::{VersionMatch, VersionMismatch};
pub use worker::{
    DEFAULT_ACTIVITIES_PER_CORE, DEFAULT_BATCH_INSTANCES, DEFAULT_LEASE_LENGTH,
    DEFAULT_POLL_INTERVAL, DEFAULT_RESIDENT_INSTANCES, DEFAULT_SHUTDOWN_GRACE, HistoryRetention,
    LifecycleEvent, Metrics, RESIDENT_INSTANCES_VARIABLE, Worker, WorkerBuilder, WorkerError,
};

/// Waits for two to eight durable operations at once, and gives their outputs as a tuple.
///
/// Works inside an orchestrator only, where the compiler knows it by its name.
#[macro_export]
macro_rules! join {
    ($($call:expr),* $(,)?) => {
        ::core::compile_error!("`join!` works inside an `#[orchestrator]` only")
    };
}

/// Waits for two to eight durable operations at once, and gives their values as a tuple, or the
/// first error as soon as there is one.
///
/// Works inside an orchestrator only, where the compiler knows it by its name.
#[macro_export]
macro_rules! try_join {
    ($($call:expr),* $(,)?) => {
        ::core::compile_error!("`try_join!` works inside an `#[orchestrator]` only")
    };
}

/// Waits for the first of several durable operations, and runs what belongs to it.
///
/// Reads as tokio's: `pattern = operation, if condition => handler`, and at the end perhaps
/// `else => handler`. An operation is a call, a timer, an event, a task or an `async` block.
/// Operations that lose are cancelled: a timer is removed, an event wait given up, a running
/// activity gets its cancellation signal; a sub-orchestration goes on by itself. A `&mut task`
/// stays the program's and is not cancelled. Of operations that are ready at once the first wins.
///
/// ```
/// # use std::time::Duration;
/// # use durable::prelude::*;
/// #[orchestrator]
/// async fn approved(ctx: &OrchestrationContext) -> Result<bool, TaskError> {
///     select! {
///         answer = ctx.wait_for_event::<bool>("Approval") => answer,
///         _ = ctx.sleep(Duration::from_secs(72 * 3600)) => Ok(false),
///     }
/// }
/// ```
///
/// Works inside an orchestrator only, where the compiler knows it by its name.
#[macro_export]
macro_rules! select {
    ($($branches:tt)*) => {
        ::core::compile_error!("`select!` works inside an `#[orchestrator]` only")
    };
}

/// Everything that programs usually name.
pub mod prelude {
    pub use crate::{
        ActivityContext, EntityContext, Event, FailedAttempt, OrchestrationContext, RetryPolicy,
        Task, TaskError, Timestamp, activity, deterministic, entity, join, join_all, orchestrator,
        select, select_all, try_join, try_join_all,
    };
}

/// What generated code names. Not for people: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use serde;

    pub use crate::client::{FromClient, read_entity_state};

    /// Drives an orchestration without a worker.
    pub mod drive {
        pub use crate::drive::{Drive, DriveError, Open};
    }
    pub use crate::client::StateRead;
    pub use crate::data::{Operation, initial_state};
    pub use crate::entity::{
        AsyncOperation, EntityCall, EntityRef, InEntity, InOrchestrator, awaited_in_entity,
        delete_entity, read_state,
    };
    pub use crate::error::Outcome;
    pub use crate::error::TaskFailure;
    pub use crate::iterate::{item_again, item_at, item_gone, iterate};
    pub use crate::json::Json;
    pub use crate::lock::end_section;
    pub use crate::program::{
        Activity, ActivityFuture, Cursor, FromResidual, Function, FunctionKind, Link, Machine,
        NotResult, OptionType, Orchestration, Program, Progress, ResultType, ReturnProbe,
        SavedMachine, Slots, States, Try, decode_args, describe, done, encode_output,
        encode_return, failed, fell_through, finish_result, no_branch_left, poll, program_option,
        program_plain, program_result, suspended, take, with_rules,
    };
    pub use crate::registry::ActivityRegistrar;
    pub use crate::retry::{RetryRule, retry_after, retry_if, rule_name};
    pub use crate::task::{Join, TryJoin};
}

/// The program in the README compiles.
#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The programs in the documentation compile, and those that should not do not.
#[cfg(doctest)]
#[doc = include_str!("../../docs/orchestrator-rust.md")]
struct OrchestratorRust;

/// The programs in the page about entities compile.
#[cfg(all(doctest, feature = "memory"))]
#[doc = include_str!("../../docs/entities.md")]
struct Entities;

/// The programs in the documentation of versions compile.
#[cfg(all(doctest, feature = "memory"))]
#[doc = include_str!("../../docs/versioning.md")]
struct Versioning;

/// The program in the page about the HTTP API compiles.
#[cfg(all(doctest, feature = "http"))]
#[doc = include_str!("../../docs/http.md")]
struct HttpApi;

/// The programs in the page about tests compile.
#[cfg(all(doctest, feature = "memory"))]
#[doc = include_str!("../../docs/testing.md")]
struct Testing;
