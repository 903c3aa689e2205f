//! The client: starts orchestrations, talks to entities, asks about instances. It reaches them
//! only through the store, and knows nothing of how they run.

mod entities;
mod entity;
mod error;
mod handle;
mod id;
mod list;
mod manage;
mod pages;
mod purge;
mod restart;
mod start;
mod status;
mod wait;

use std::fmt;
use std::sync::Arc;

use durable_store::{InstanceRecord, StoreError};

pub use self::entities::{Cleaned, EntityList, EntityQuery, EntityStatus};
pub use self::entity::{FromClient, StateRead, read_entity_state};
pub use self::error::ClientError;
pub use self::handle::Handle;
#[cfg(feature = "http")]
pub(crate) use self::id::check_entity_name;
pub(crate) use self::id::{check_entity_key, check_instance_id};
pub use self::list::{InstanceList, InstanceStream};
pub(crate) use self::manage::check_event_name;
pub use self::manage::{MAX_EVENT_NAME_BYTES, MAX_REASON_BYTES, Terminate};
pub use self::purge::{DEFAULT_PURGE_INSTANCES, Purge, Purged};
pub use self::restart::Restart;
use self::start::Start;
pub use self::start::StartByName;
pub use self::status::InstanceStatus;
pub use self::wait::Wait;
use crate::backoff::{self, retry};
use crate::clock::{Clock, SystemClock};
use crate::connection::{Connection, IntoStore};
use crate::data::Arguments as _;
use crate::entity::{Entity, EntityRef};
#[cfg(feature = "http")]
use crate::json;
use crate::program::Orchestration;
use crate::registry::Registry;
use crate::task::Call;
use crate::telemetry::store_call;
use crate::turn::EntityAddress;

/// Starts orchestrations and talks to instances, from any process that can reach the store.
///
/// Cheap to clone. Calls that fail because the store cannot be reached are repeated for about ten
/// seconds; every message has an id, so repeating one is harmless. The [`ClientError::Store`] after
/// that does not say that nothing happened.
#[derive(Clone)]
pub struct Client {
    connection: Arc<Connection>,
    /// What the worker of this process can run; `None` in a process without one.
    registry: Option<Arc<Registry>>,
    /// Of starts that have no other, empty for none.
    default_version: Arc<str>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl Client {
    /// A client in a process that has no worker. Where there is one,
    /// [`Worker::client`](crate::Worker::client) is faster.
    pub fn new(store: impl IntoStore) -> Self {
        Self::with_clock(store, SystemClock)
    }

    /// The same, with time and ids from `clock`.
    pub fn with_clock(store: impl IntoStore, clock: impl Clock) -> Self {
        let connection = Arc::new(Connection::new(store.into_store(), Arc::new(clock)));
        Self { connection, registry: None, default_version: Arc::default() }
    }

    pub(crate) fn of_worker(connection: Arc<Connection>, registry: Arc<Registry>) -> Self {
        let default_version = Arc::clone(&registry.versioning().default_version);
        Self { connection, registry: Some(registry), default_version }
    }

    /// The version of what this client starts without a version of its own. Default: that of the
    /// worker whose client it is, or none.
    ///
    /// The version of a start is the first that is given of [`Call::version`], the version of the
    /// called function, and this. One that is blank, too long or holds a NUL character makes the
    /// start a [`ClientError::InvalidOption`].
    ///
    /// ```no_run
    /// # use durable::{Client, store::Store};
    /// # use durable::prelude::*;
    /// # #[orchestrator]
    /// # async fn checkout(order: u64) {}
    /// # async fn example(store: std::sync::Arc<dyn Store>) -> Result<(), durable::ClientError> {
    /// let client = Client::new(store).default_version("2.1");
    /// client.start(checkout(7)).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "the client that is given back has the default, not this one"]
    pub fn default_version(mut self, version: impl Into<String>) -> Self {
        self.default_version = version.into().into();
        self
    }

    /// Starts an orchestration. When this returns, the start is durable.
    ///
    /// # Errors
    ///
    /// [`ClientError::AlreadyExists`] if the id is taken and the call's
    /// [`id_reuse`](Call::id_reuse) does not say what to do, [`ClientError::InvalidId`] or
    /// [`ClientError::InvalidOption`] if the id or another option cannot be used,
    /// [`ClientError::NotRegistered`] if the worker of this client has not registered it in this
    /// version, [`ClientError::InvalidArguments`] if the arguments cannot be serialised.
    pub async fn start<F: Orchestration>(
        &self,
        call: Call<F>,
    ) -> Result<Handle<F::Output>, ClientError> {
        let input = crate::task::checked(call.input.encode())
            .map_err(|failure| ClientError::invalid_arguments(F::NAME, &failure))?;
        call.check_start()?;
        let (name, version, options) = (F::NAME, F::VERSION, call.options);
        let start = Start { name, version, input, options, only: None };
        let started = self.start_instance(start).await?;
        Ok(Handle::started(self.clone(), started))
    }

    /// Starts the orchestration of this registered name. `arguments` is the array of its
    /// arguments, or `null` for none; anything else is taken as its only argument.
    ///
    /// ```no_run
    /// # async fn example(client: durable::Client) -> Result<(), durable::ClientError> {
    /// let handle = client
    ///     .start_by_name("checkout", serde_json::json!([{ "id": 7 }]))
    ///     .instance_id("order-7")
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_by_name(
        &self,
        name: impl Into<String>,
        arguments: serde_json::Value,
    ) -> StartByName {
        StartByName::new(self.clone(), name.into(), start::input_of(arguments))
    }

    /// The same with JSON text that stays as it is: the only argument, or none.
    #[cfg(feature = "http")]
    pub(crate) fn start_with_text(&self, name: String, argument: Option<&str>) -> StartByName {
        StartByName::new(self.clone(), name, json::only_argument(argument))
    }

    /// The names of the orchestrations and of the entities that the worker of this client can run,
    /// if there is one in this process.
    #[cfg(feature = "http")]
    pub(crate) fn registered_names(&self) -> Option<(Vec<&str>, Vec<&str>)> {
        let registry = self.registry.as_ref()?;
        Some((registry.orchestration_names(), registry.entity_names()))
    }

    /// A handle of the orchestration with this id, whose result is a `T`. Whether it exists is
    /// seen when the handle is used.
    pub fn orchestration<T>(&self, id: impl Into<String>) -> Handle<T> {
        Handle::new(self.clone(), id.into())
    }

    /// A proxy of the entity of type `E` with this key, to call and to signal it.
    pub fn entity<E: Entity>(&self, key: impl Into<String>) -> E::Proxy<FromClient> {
        let address = EntityAddress::of::<E>(key.into());
        E::proxy(EntityRef::new(address, FromClient::new(self.clone())))
    }

    /// The instances that match, page by page.
    pub fn list(&self, query: durable_store::InstanceQuery) -> InstanceList {
        InstanceList::new(self.clone(), query)
    }

    /// How many instances match.
    pub async fn count(&self, query: &durable_store::InstanceQuery) -> Result<u64, ClientError> {
        let Connection { store, .. } = &*self.connection;
        Ok(self.read("count_instances", || store.count_instances(query)).await?)
    }

    /// Reads, and tries again if the store cannot be reached.
    async fn read<T, F>(
        &self,
        operation: &'static str,
        mut call: impl FnMut() -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let clock = &*self.connection.clock;
        let read = retry(clock, backoff::MAX_ATTEMPTS, || store_call(operation, call())).await;
        if read.is_ok() {
            self.connection.doors.note_seen();
        }
        read
    }

    /// Whether the store answers now.
    #[cfg(feature = "http")]
    pub(crate) async fn is_reachable(&self) -> bool {
        let ids = [String::new()];
        let read = self.connection.store.read_instances(&ids);
        store_call("read_instances", read).await.is_ok()
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.connection.clock
    }

    /// The row of an instance, if there is one.
    async fn record(&self, id: &str) -> Result<Option<InstanceRecord>, StoreError> {
        let ids = [id.to_owned()];
        let Connection { store, .. } = &*self.connection;
        let records = self.read("read_instances", || store.read_instances(&ids)).await?;
        Ok(records.into_iter().next())
    }
}
