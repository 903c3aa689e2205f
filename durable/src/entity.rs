//! Entities: their operations, and the typed proxies through which they are called.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use durable_store::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::context::EntityContext;
use crate::data::{Arguments as _, EntityData, Operation};
use crate::error::{Failure, TaskError, TaskErrorKind, TaskFailure};
use crate::json::Json;
use crate::task::{Durable, Spawn, TaskResult, Timeout, Waiting, checked, encode_input};
use crate::turn::{EntityAddress, scope};

/// The built-in operation that gives the entity's state to an orchestrator.
pub(crate) const READ_STATE: &str = "$state";

/// The built-in operation that deletes an entity.
pub(crate) const DELETE: &str = "$delete";

/// The operation that deletes an entity which has none of this name itself.
pub(crate) const IMPLICIT_DELETE: &str = "delete";

/// A type with an impl block annotated with `#[entity]`.
pub trait Entity: EntityData + Send {
    /// The registered name.
    const NAME: &'static str;
    /// The typed proxy, for each side that can use one.
    type Proxy<Side>;

    /// Wraps a reference into the typed proxy.
    #[doc(hidden)]
    fn proxy<Side>(target: EntityRef<Side>) -> Self::Proxy<Side>;

    /// The state before the first operation.
    #[doc(hidden)]
    fn initial() -> Self;

    /// Whether the operation of this name is `async`.
    #[doc(hidden)]
    fn is_async(operation: &str) -> bool {
        let _ = operation;
        false
    }

    /// Runs an `async` operation; `None` if there is none of that name.
    #[doc(hidden)]
    fn run_async(
        self,
        context: EntityContext,
        operation: String,
        args: Json,
    ) -> AsyncOperation<Self> {
        let _ = (context, operation, args);
        Box::pin(async move { (self, None) })
    }

    /// Runs an operation that is not `async`; `None` if there is none of that name.
    #[doc(hidden)]
    fn apply(
        &mut self,
        context: &EntityContext,
        operation: &str,
        args: &Json,
    ) -> Option<Result<Json, TaskFailure>>;
}

/// An `async` operation under way: gives the state back with the result.
#[doc(hidden)]
pub type AsyncOperation<E> =
    Pin<Box<dyn Future<Output = (E, Option<Result<Json, TaskFailure>>)> + Send>>;

impl EntityAddress {
    /// The address of the entity of type `E` with this key.
    pub fn of<E: Entity>(key: String) -> Self {
        Self { name: E::NAME.to_owned(), key }
    }
}

/// The side of a proxy that an orchestrator got from its context.
#[derive(Debug, Clone, Copy, Default)]
pub struct InOrchestrator;

/// The side of a proxy that an entity got from its context: it can only signal.
#[derive(Debug, Clone, Copy, Default)]
pub struct InEntity;

/// What a typed proxy wraps: an address, and from where it is used.
#[derive(Debug, Clone)]
pub struct EntityRef<Side> {
    address: EntityAddress,
    side: Side,
}

impl<Side> EntityRef<Side> {
    #[doc(hidden)]
    pub fn new(address: EntityAddress, side: Side) -> Self {
        Self { address, side }
    }

    /// The name and the key.
    pub fn address(&self) -> &EntityAddress {
        &self.address
    }

    pub(crate) fn side(&self) -> &Side {
        &self.side
    }
}

impl Serialize for EntityRef<InOrchestrator> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.address.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for EntityRef<InOrchestrator> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        EntityAddress::deserialize(deserializer).map(|address| Self::new(address, InOrchestrator))
    }
}

/// A call of an entity operation that has not been made yet: await it, or `.signal()` it.
#[must_use = "an operation is not called until it is awaited or signalled"]
pub struct EntityCall<Side, T> {
    pub(crate) target: EntityRef<Side>,
    pub(crate) operation: &'static str,
    pub(crate) args: Result<Json, TaskFailure>,
    result: PhantomData<fn() -> T>,
}

impl<Side, T> EntityCall<Side, T> {
    #[doc(hidden)]
    pub fn new<O>(target: EntityRef<Side>, args: &O::Input) -> Self
    where
        O: Operation<Output = T>,
    {
        Self { target, operation: O::NAME, args: checked(args.encode()), result: PhantomData }
    }
}

impl<T> EntityCall<InOrchestrator, T> {
    /// Waits for the result no longer than this: then the error says
    /// [`TaskError::is_timeout`](crate::TaskError::is_timeout). The operation itself runs.
    pub fn timeout(self, limit: Duration) -> Timeout<Self> {
        Timeout { inner: self, limit }
    }
}

impl<Side, T> fmt::Debug for EntityCall<Side, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntityCall({}.{})", self.target.address.instance_id(), self.operation)
    }
}

impl<T: DeserializeOwned> Durable for EntityCall<InOrchestrator, T> {
    type Pending = TaskResult<T>;
    type Output = Result<T, TaskError>;

    fn begin(self) -> Waiting {
        let Self { target, operation, args, .. } = self;
        let args = args.and_then(|args| checked_key(target.address()).map(|()| args));
        Waiting::Task(scope::with(|core| match args {
            Ok(args) => core.begin_operation(target.address(), operation, args),
            Err(failure) => core.begin_failed(operation, failure),
        }))
    }
}

/// What an `async` operation of an entity may await: any future, but no other entity.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "an operation of an entity cannot await `{Self}`",
    label = "not a future; and an entity cannot wait for another one",
    note = "entities never wait for each other, so that they cannot block each other: send a \
            `.signal()`, or let an orchestration make the calls, which `ctx.start(..)` starts"
)]
pub trait AwaitedInEntity {}

#[diagnostic::do_not_recommend]
impl<F: IntoFuture> AwaitedInEntity for F {}

/// Stands around what an operation awaits. An associated type here would have rustc speak of that
/// first, and not of entities.
#[doc(hidden)]
pub fn awaited_in_entity<F: AwaitedInEntity>(future: F) -> F {
    future
}

impl<T: DeserializeOwned> Spawn for EntityCall<InOrchestrator, T> {
    type Value = T;
}

/// Refuses a key that no client could name and no store would take.
fn checked_key(address: &EntityAddress) -> Result<(), TaskFailure> {
    crate::client::check_entity_key(&address.name, &address.key).map_err(|reason| {
        TaskFailure::new(TaskErrorKind::Refused, Failure::new("InvalidEntityKey", reason))
    })
}

/// Sends a signal within the turn under way.
///
/// # Panics
/// If the arguments could not be encoded, which fails the caller.
fn signal<Side, T>(call: EntityCall<Side, T>, due: Option<Timestamp>) {
    let EntityCall { target, operation, args, .. } = call;
    match args.and_then(|args| checked_key(target.address()).map(|()| args)) {
        Ok(args) => scope::with(|core| match core.refuse_signal(target.address()) {
            Some(rule) => panic!("{rule}"),
            None => core.signal(target.address(), operation, args, due),
        }),
        Err(failure) => panic!("`{operation}` cannot be signalled: {}", failure.failure),
    }
}

impl<T> EntityCall<InOrchestrator, T> {
    /// Sends the operation one-way. It acts at once and is not awaited.
    pub fn signal(self) {
        signal(self, None);
    }

    /// The same, to be delivered at this time; one that is over is at once. Signals with a time have
    /// no order among each other and to those without.
    pub fn signal_at(self, time: Timestamp) {
        signal(self, Some(time));
    }
}

impl<T> EntityCall<InEntity, T> {
    /// Sends the operation one-way. It acts at once and is not awaited.
    pub fn signal(self) {
        signal(self, None);
    }

    /// The same, to be delivered at this time; one that is over is at once. Signals with a time have
    /// no order among each other and to those without.
    pub fn signal_at(self, time: Timestamp) {
        signal(self, Some(time));
    }
}

/// Deletes an entity.
#[doc(hidden)]
pub fn delete_entity<Side>(target: EntityRef<Side>) -> EntityCall<Side, ()> {
    EntityCall { target, operation: DELETE, args: encode_input(&()), result: PhantomData }
}

/// Reads the state of an entity, in an orchestrator: `None` if it does not exist.
#[doc(hidden)]
pub fn read_state<E>(target: EntityRef<InOrchestrator>) -> EntityCall<InOrchestrator, Option<E>> {
    EntityCall { target, operation: READ_STATE, args: encode_input(&()), result: PhantomData }
}
