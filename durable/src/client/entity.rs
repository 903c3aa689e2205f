//! Entities as clients reach them: calls that wait for the result, signals, and reading the state.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;

use durable_store::{Condition, Envelope, Message, Timestamp};
use serde::de::DeserializeOwned;

use super::id::check_entity_key;
use super::{Client, ClientError};
use crate::entity::{EntityCall, EntityRef};
use crate::error::{Outcome, TaskError, TaskFailure};
use crate::json::Json;
use crate::message::{Body, ReplyTo};
use crate::turn::SavedEntity;

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
        let address = target.address();
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
        let client = target.side().0.clone();
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
