//! Entities as clients reach them: calls that wait for the result, signals, and reading the state.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;

use durable_store::{Condition, Envelope, Message, Timestamp};
use serde::de::DeserializeOwned;

use super::id::{check_entity_key, check_entity_name};
use super::{Client, ClientError};
use crate::entity::{EntityCall, EntityRef};
use crate::error::{Outcome, TaskError, TaskFailure};
use crate::json::Json;
use crate::message::{Body, ReplyTo};
use crate::turn::{EntityAddress, SavedEntity};

/// The side of a proxy that a client gave.
#[derive(Debug, Clone)]
pub struct FromClient(Client);

impl FromClient {
    pub(super) fn new(client: Client) -> Self {
        Self(client)
    }
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// An operation on its way.
struct Sending {
    client: Client,
    body: Body,
    target: String,
    /// For people: the entity and its operation.
    name: String,
}

impl Sending {
    fn new<T>(call: EntityCall<FromClient, T>) -> Result<Self, ClientError> {
        let EntityCall { target, operation, args, .. } = call;
        Self::by_name(&target.side().0, target.address(), operation, args)
    }

    fn by_name(
        client: &Client,
        address: &EntityAddress,
        operation: &str,
        args: Result<Json, TaskFailure>,
    ) -> Result<Self, ClientError> {
        check_entity_key(&address.name, &address.key)
            .map_err(|reason| ClientError::InvalidId { reason })?;
        let name = format!("{}.{operation}", address.instance_id());
        let args = args.map_err(|failure| ClientError::invalid_arguments(&name, &failure))?;
        let body = Body::Operation {
            entity: address.name.clone(),
            key: address.key.clone(),
            name: operation.to_owned(),
            args,
            reply: None,
            within: None,
        };
        let client = client.clone();
        if let Some(registry) = &client.registry
            && registry.entity(&address.name).is_none()
        {
            return Err(ClientError::EntityNotRegistered { name: address.name.clone() });
        }
        Ok(Self { client, body, target: address.instance_id(), name })
    }

    /// Stores the operation as a message with this id, to be delivered at a time.
    async fn send(
        self,
        id: String,
        body: Body,
        due_at: Option<Timestamp>,
    ) -> Result<(), ClientError> {
        let connection = &self.client.connection;
        let message = Message {
            id,
            partition: connection.partition_of(&self.target).await?,
            target: self.target,
            due_at,
            body: body.to_payload(),
        };
        connection.send(Envelope { message, condition: Condition::None }).await?;
        Ok(())
    }

    fn new_request(&self) -> String {
        self.client.connection.clock.new_id().simple().to_string()
    }

    async fn signal(self, time: Option<Timestamp>) -> Result<(), ClientError> {
        let (id, body) = (self.new_request(), self.body.clone());
        let now = self.client.connection.clock.now();
        self.send(id, body, time.filter(|time| *time > now)).await
    }

    async fn call(self) -> Result<Json, ClientError> {
        let connection = self.client.connection.clone();
        let (request, name) = (self.new_request(), self.name.clone());
        let mut body = self.body.clone();
        if let Body::Operation { reply, .. } = &mut body {
            let process = connection.process.clone();
            *reply = Some(ReplyTo::Client { process, request: request.clone() });
        }
        let partition = connection.partition_of(&self.target).await?;
        let answer = connection.expect_answer(&request, partition);
        self.send(request, body, None).await?;
        let outcome: Outcome =
            answer.await.map_err(|_| ClientError::AnswerLost { of: name.clone() })?;
        outcome.map_err(|failure: TaskFailure| TaskError::of_task(failure, &name).into())
    }
}

impl Client {
    /// Signals an operation of an entity by their names: it is durable when this returns, and its
    /// result is dropped. `arguments` is the array of the operation's arguments, or `null` for none;
    /// anything else is taken as its only argument. An operation that the entity does not have
    /// changes nothing, except `delete`, which deletes it.
    ///
    /// ```no_run
    /// # async fn example(client: durable::Client) -> Result<(), durable::ClientError> {
    /// let clicks = durable::EntityAddress { name: "Counter".to_owned(), key: "clicks".to_owned() };
    /// client.signal_entity_by_name(&clicks, "add", serde_json::json!(5)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ClientError::InvalidId`] if the name or the key cannot be used,
    /// [`ClientError::EntityNotRegistered`] if the worker of this client has not registered it,
    /// [`ClientError::InvalidArguments`] if the arguments are too large.
    pub async fn signal_entity_by_name(
        &self,
        entity: &EntityAddress,
        operation: &str,
        arguments: serde_json::Value,
    ) -> Result<(), ClientError> {
        self.signal_entity_with_text(entity, operation, super::start::input_of(arguments)).await
    }

    /// The same with arguments that are JSON text already.
    pub(crate) async fn signal_entity_with_text(
        &self,
        entity: &EntityAddress,
        operation: &str,
        arguments: Json,
    ) -> Result<(), ClientError> {
        check_entity_name(&entity.name).map_err(|reason| ClientError::InvalidId { reason })?;
        let arguments = crate::task::check_size(&arguments).map(|()| arguments);
        Sending::by_name(self, entity, operation, arguments)?.signal(None).await
    }

    /// Deletes an entity and what is stored of it, when everything before it is done. Says whether
    /// something was there.
    #[cfg(feature = "http")]
    pub(crate) async fn purge_entity(&self, entity: &EntityAddress) -> Result<bool, ClientError> {
        let id = entity.instance_id();
        let Some(record) = self.record(&id).await? else { return Ok(false) };
        if !record.status.is_terminal() {
            let none = Ok(Json::null());
            Sending::by_name(self, entity, crate::entity::DELETE, none)?.call().await?;
        }
        let store = &self.connection.store;
        let numbers = [record.no];
        let purged = self.read("purge_instances", || store.purge_instances(&numbers)).await?;
        Ok(!purged.is_empty())
    }
}

impl<T> EntityCall<FromClient, T> {
    /// Sends the operation one-way: it is durable when this returns, and its result is dropped.
    pub async fn signal(self) -> Result<(), ClientError> {
        let sending = Sending::new(self);
        sending?.signal(None).await
    }

    /// The same, to be delivered at this time; one that is over is at once. Signals with a time have
    /// no order among each other and to those without.
    pub async fn signal_at(self, time: Timestamp) -> Result<(), ClientError> {
        let sending = Sending::new(self);
        sending?.signal(Some(time)).await
    }
}

impl<T: DeserializeOwned + 'static> IntoFuture for EntityCall<FromClient, T> {
    type Output = Result<T, ClientError>;
    type IntoFuture = BoxFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let sending = Sending::new(self);
        Box::pin(async move {
            let sending = sending?;
            let of = sending.name.clone();
            let json = sending.call().await?;
            decode(&json, of)
        })
    }
}

fn decode<T: DeserializeOwned>(json: &Json, of: String) -> Result<T, ClientError> {
    let expected = std::any::type_name::<T>();
    json.decode().map_err(|source| ClientError::Result { of, expected, source })
}

/// A reading of an entity's last committed state: await it.
#[must_use = "nothing is read until this is awaited"]
pub struct StateRead<E> {
    target: EntityRef<FromClient>,
    state: PhantomData<fn() -> E>,
}

impl<E> fmt::Debug for StateRead<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateRead({})", self.target.address().instance_id())
    }
}

/// Reads the state of an entity as of its last commit: `None` if it does not exist.
#[doc(hidden)]
pub fn read_entity_state<E>(target: EntityRef<FromClient>) -> StateRead<E> {
    StateRead { target, state: PhantomData }
}

impl<E: DeserializeOwned + 'static> IntoFuture for StateRead<E> {
    type Output = Result<Option<E>, ClientError>;
    type IntoFuture = BoxFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let address = self.target.address().clone();
        let client = self.target.side().0.clone();
        Box::pin(async move {
            check_entity_key(&address.name, &address.key)
                .map_err(|reason| ClientError::InvalidId { reason })?;
            let id = address.instance_id();
            let saved = client.record(&id).await?.and_then(|record| record.state);
            let Some(saved) = saved else { return Ok(None) };
            let saved: SavedEntity = serde_json::from_str(&saved).map_err(|error| {
                ClientError::Unreadable { id: id.clone(), what: format!("its state: {error}") }
            })?;
            saved.state.map(|state| decode(&state, id)).transpose()
        })
    }
}
