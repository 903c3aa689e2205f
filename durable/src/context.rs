//! What user code sees of the engine while it runs.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use durable_store::Timestamp;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::data::Arguments as _;
use crate::entity::{Entity, EntityRef, InEntity, InOrchestrator};
use crate::error::TaskFailure;
use crate::history::Event as HistoryEvent;
use crate::json::Json;
use crate::lock::{LockRequest, LockSet};
use crate::program::Orchestration;
use crate::start::{InvalidStart, StartOptions};
use crate::task::{
    Call, ContinueAsNew, EventName, EventWait, Spawn, Task, Timer, checked, encode_input,
};
use crate::turn::{EntityAddress, scope};

/// Largest custom status, in bytes of JSON. The original allows 16 KB of UTF-16 text.
pub const MAX_CUSTOM_STATUS_BYTES: usize = 16 * 1024;

/// The engine, as an orchestrator sees it. Everything it gives is the same whenever the turn runs
/// again.
#[derive(Debug)]
pub struct OrchestrationContext {
    /// Bound to the thread of the turn.
    _turn: PhantomData<*const ()>,
}

impl OrchestrationContext {
    pub(crate) fn new() -> Self {
        Self { _turn: PhantomData }
    }

    /// The time of this turn. It does not move while the code runs, and never goes back.
    pub fn now(&self) -> Timestamp {
        scope::with(|core| core.now)
    }

    /// A timer of this length. A zero length fires at once.
    pub fn sleep(&self, length: Duration) -> Timer {
        Timer { due: self.now() + length }
    }

    /// A timer until this point in time. One that is past fires at once.
    pub fn sleep_until(&self, due: Timestamp) -> Timer {
        Timer { due }
    }

    /// A wait for an event, by name or by an [`Event`](crate::Event) constant. Names are compared
    /// exactly. An event that came before is taken at once; the oldest wait gets the next one.
    pub fn wait_for_event<T>(&self, name: impl EventName<T>) -> EventWait<T> {
        EventWait { name: name.event_name(), payload: PhantomData }
    }

    /// Sends an event to another orchestration. It acts at once and is not awaited; an event for
    /// an instance that does not exist or has ended is dropped.
    ///
    /// # Panics
    /// If the payload cannot be serialised, or the id or the name is not valid, which fails this
    /// orchestration.
    pub fn send_event<T: Serialize>(&self, instance: &str, name: impl EventName<T>, value: T) {
        let name = name.event_name();
        let checked = crate::client::check_instance_id(instance)
            .and_then(|()| crate::client::check_event_name(&name));
        if let Err(reason) = checked {
            panic!("{reason}");
        }
        let value = encoded("the payload of an event", &value);
        scope::with(|core| core.send_event(instance, &name, value));
    }

    /// A proxy of the entity of type `E` with this key.
    pub fn entity<E: Entity>(&self, key: impl Into<String>) -> E::Proxy<InOrchestrator> {
        E::proxy(EntityRef::new(EntityAddress::of::<E>(key.into()), InOrchestrator))
    }

    /// Begins a critical section over these entities: await it, and keep the guard. Until the guard
    /// goes out of scope, or is dropped, operations that others send to the entities wait.
    ///
    /// The entities are locked one after the other, in one order for all, and an orchestration is in
    /// one section at a time, so that no set of orchestrations can wait for each other. Within the
    /// section, call only its own entities, each one call at a time, and no sub-orchestration; whatever
    /// breaks these rules is an error that names the rule. A section is no transaction: what was
    /// done in it stays if a later step fails. Locks do not time out.
    ///
    /// ```
    /// # use durable::prelude::*;
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Default, Serialize, Deserialize)]
    /// struct Account { cents: i64 }
    ///
    /// #[entity]
    /// impl Account {
    ///     fn balance(&self) -> i64 { self.cents }
    ///     fn change(&mut self, cents: i64) { self.cents += cents }
    /// }
    ///
    /// #[orchestrator]
    /// async fn transfer(
    ///     ctx: &OrchestrationContext, from: String, to: String, cents: i64,
    /// ) -> Result<bool, TaskError> {
    ///     let (from, to) = (ctx.entity::<Account>(from), ctx.entity::<Account>(to));
    ///     let guard = ctx.lock((from.id(), to.id())).await;
    ///     let enough = from.balance().await? >= cents;
    ///     if enough {
    ///         from.change(-cents).await?;
    ///         to.change(cents).await?;
    ///     }
    ///     drop(guard); // or at the end of its scope
    ///     Ok(enough)
    /// }
    /// ```
    ///
    /// # Panics
    /// When it is awaited, if it names no entity, more than
    /// [`MAX_LOCKED_ENTITIES`](crate::MAX_LOCKED_ENTITIES), or one with a key that cannot be used, and
    /// within another critical section. This fails the orchestration.
    pub fn lock(&self, entities: impl LockSet) -> LockRequest {
        LockRequest::new(entities)
    }

    /// Begins a call, a timer or an event wait now, to be awaited later.
    pub fn spawn<D: Spawn>(&self, call: D) -> Task<D::Value> {
        Task::of(&call.begin())
    }

    /// Starts an orchestration that this one does not wait for, and gives its id. It acts at once
    /// and is not awaited.
    ///
    /// # Panics
    /// If the arguments cannot be serialised or an option of the start is not valid, which fails
    /// this orchestration.
    pub fn start<F: Orchestration>(&self, call: Call<F>) -> String {
        let input = passed("the arguments of an orchestration", checked(call.input.encode()));
        if let Err(InvalidStart::Id(reason) | InvalidStart::Option(reason)) =
            call.check_start().and_then(|()| call.options.check_inside())
        {
            panic!("{reason}");
        }
        scope::with(|core| core.start_detached(call.options, F::NAME, F::VERSION, input))
    }

    /// Ends this run and begins the next one, with other arguments, under the same id: await it. It
    /// fits any type, for nothing comes after it.
    ///
    /// The next run keeps the id, the tags and who waits for the result. Timers and waits of this
    /// run are cancelled and calls under way are left to themselves, as when a
    /// [`Task`] is dropped; events that nobody waited for yet are kept for the next run. Its history
    /// begins anew. A plain `loop` costs no more from round to round, so that this is for a fresh
    /// start, or to go on as another [version](Call::version).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use durable::prelude::*;
    /// # #[activity] async fn check(job: u64) -> bool { job > 0 }
    /// #[orchestrator]
    /// async fn monitor(ctx: &OrchestrationContext, job: u64) -> Result<u64, TaskError> {
    ///     if check(job).await? {
    ///         return Ok(job);
    ///     }
    ///     ctx.sleep(Duration::from_secs(60)).await;
    ///     ctx.continue_as_new(monitor(job + 1)).await
    /// }
    /// ```
    ///
    /// The run ends where this is awaited: of branches that run concurrently no other gets any
    /// further. By itself it cannot be a branch, which the compiler says: await it in a handler of
    /// `select!`, or after the macro.
    ///
    /// # Panics
    /// When it is awaited, if the call is one of another orchestrator, says more than arguments and
    /// version, or has arguments that cannot be serialised. This fails the orchestration.
    pub fn continue_as_new<F: Orchestration>(&self, call: Call<F>) -> ContinueAsNew {
        ContinueAsNew::of(call)
    }

    /// Sets what clients see as the custom status. It is stored with this turn.
    ///
    /// # Panics
    /// If the value cannot be serialised or is over [`MAX_CUSTOM_STATUS_BYTES`], which fails this
    /// orchestration.
    pub fn set_custom_status<T: Serialize>(&self, value: T) {
        let value = encoded("the custom status", &value);
        let size = value.as_str().len();
        assert!(
            size <= MAX_CUSTOM_STATUS_BYTES,
            "the custom status has {size} bytes, the limit is {MAX_CUSTOM_STATUS_BYTES}"
        );
        scope::with(|core| {
            core.actions.history.push(HistoryEvent::CustomStatus { value: value.clone() });
            core.actions.custom_status = Some(Some(value));
        });
    }

    /// A new UUID, version 5, different for each call.
    pub fn new_uuid(&self) -> Uuid {
        scope::with(crate::turn::Core::new_uuid)
    }

    /// A random value, different for each call. Not for secrets: it follows from the instance.
    ///
    /// ```
    /// # use durable::prelude::*;
    /// #[orchestrator]
    /// async fn coin(ctx: &OrchestrationContext) -> bool {
    ///     ctx.random::<bool>()
    /// }
    /// ```
    pub fn random<T: Random>(&self) -> T {
        T::from_bits(self.new_uuid().as_u128())
    }

    /// The id of this instance.
    pub fn instance_id(&self) -> String {
        scope::with(|core| core.identity.id.clone())
    }

    /// The id of the orchestration that waits for this one, if one does.
    pub fn parent(&self) -> Option<String> {
        scope::with(|core| core.identity.parent.clone())
    }

    /// The version that this instance runs on, empty for none.
    pub fn version(&self) -> String {
        scope::with(|core| core.identity.version.clone())
    }
}

/// Starts an orchestration by its name, within the turn under way.
pub(crate) fn start_named(options: StartOptions, name: &str, version: &str, input: &Json) {
    scope::with(|core| core.start_detached(options, name, version, input.clone()));
}

/// Encodes what a program passes where it gets no result back.
pub(crate) fn encoded<T: Serialize>(what: &str, value: &T) -> Json {
    passed(what, encode_input(value))
}

fn passed(what: &str, json: Result<Json, TaskFailure>) -> Json {
    match json {
        Ok(json) => json,
        Err(failure) => panic!("{what} cannot be sent: {}", failure.failure),
    }
}

/// A type of which [`OrchestrationContext::random`] gives values.
pub trait Random {
    /// A value from random bits. The six version and variant bits of the UUID are fixed.
    #[doc(hidden)]
    fn from_bits(bits: u128) -> Self;
}

macro_rules! random_ints {
    ($($int:ty)*) => {
        $(impl Random for $int {
            #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
            fn from_bits(bits: u128) -> Self {
                // The lowest 62 bits are hash; folding the upper half in covers the wider types.
                let mixed = (bits as u64) ^ ((bits >> 64) as u64).rotate_left(17);
                mixed as Self
            }
        })*
    };
}

random_ints!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);

impl Random for bool {
    fn from_bits(bits: u128) -> Self {
        bits & 1 == 1
    }
}

impl Random for f64 {
    /// Uniform in `[0, 1)`, with 53 bits.
    fn from_bits(bits: u128) -> Self {
        #[allow(clippy::cast_precision_loss)] // 53 bits fit exactly.
        let as_float = |bits: u64| bits as Self;
        as_float(<u64 as Random>::from_bits(bits) >> 11) / as_float(1 << 53)
    }
}

/// The engine, as an entity operation sees it.
#[derive(Debug)]
pub struct EntityContext {
    address: EntityAddress,
}

impl EntityContext {
    pub(crate) fn new(address: EntityAddress) -> Self {
        Self { address }
    }

    /// The key of this entity.
    pub fn key(&self) -> &str {
        &self.address.key
    }

    /// The time of this turn. It never goes back.
    pub fn now(&self) -> Timestamp {
        scope::with(|core| core.now)
    }

    /// Deletes this entity when the operation has succeeded: it does not exist then, and the next
    /// operation begins from the initial state.
    pub fn delete(&self) {
        scope::with(|core| core.deletes_self = true);
    }

    /// A proxy of another entity, to signal it.
    pub fn entity<E: Entity>(&self, key: impl Into<String>) -> E::Proxy<InEntity> {
        E::proxy(EntityRef::new(EntityAddress::of::<E>(key.into()), InEntity))
    }

    /// Starts an orchestration and gives its id.
    ///
    /// # Panics
    /// If the arguments cannot be serialised, which fails this operation.
    pub fn start<F: Orchestration>(&self, call: Call<F>) -> String {
        OrchestrationContext::new().start(call)
    }
}

/// What an activity knows about the attempt that it is.
#[derive(Debug, Clone)]
pub struct ActivityContext {
    inner: Arc<ActivityAttempt>,
}

#[derive(Debug)]
pub(crate) struct ActivityAttempt {
    pub(crate) instance_id: String,
    pub(crate) activity: String,
    pub(crate) attempt: u32,
    pub(crate) cancellation: CancellationToken,
    pub(crate) data: DataMap,
}

impl ActivityContext {
    pub(crate) fn new(attempt: ActivityAttempt) -> Self {
        Self { inner: Arc::new(attempt) }
    }

    /// The id of the orchestration that called the activity.
    pub fn instance_id(&self) -> &str {
        &self.inner.instance_id
    }

    /// The name of the activity.
    pub fn name(&self) -> &str {
        &self.inner.activity
    }

    /// The number of this attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.inner.attempt
    }

    /// The application data of type `T` that was given to the worker's builder with `.data(..)`.
    pub fn data<T: Send + Sync + 'static>(&self) -> Result<&T, MissingData> {
        self.inner.data.get().ok_or(MissingData { type_name: std::any::type_name::<T>() })
    }

    /// Whether the result is no longer wanted, or the worker shuts down.
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancellation.is_cancelled()
    }

    /// Waits until the result is no longer wanted, or the worker shuts down.
    pub async fn cancelled(&self) {
        crate::testing::let_time_pass(self.inner.cancellation.cancelled()).await;
    }
}

/// An activity asked for application data that the worker was not given.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the worker has no data of type `{type_name}`: give it to the builder with `.data(..)`")]
pub struct MissingData {
    type_name: &'static str,
}

/// Application data by type. Cheap to clone: every attempt of an activity gets one.
#[derive(Debug, Clone, Default)]
pub(crate) struct DataMap(Arc<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl DataMap {
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, data: T) {
        Arc::make_mut(&mut self.0).insert(TypeId::of::<T>(), Arc::new(data));
    }

    pub(crate) fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.get(&TypeId::of::<T>()).and_then(|data| data.downcast_ref())
    }
}
