//! Starting orchestrations: the row and the first message are stored together.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use durable_store::{
    Accepted, Condition, Envelope, InstanceKind, InstanceNo, Message, NewInstance,
};
use serde_json::Value;

use super::{Client, ClientError, Handle, check_instance_id};
use crate::json::Json;
use crate::message::Body;

impl Client {
    /// Stores the start of an instance, and gives its id.
    pub(super) async fn start_instance(
        &self,
        name: &str,
        version: &str,
        id: Option<String>,
        input: Json,
    ) -> Result<String, ClientError> {
        let connection = &self.connection;
        if let Some(registry) = &self.registry
            && registry.orchestration(name, version).is_none()
        {
            let (name, version) = (name.to_owned(), version.to_owned());
            return Err(ClientError::NotRegistered { name, version });
        }
        let id = match id {
            Some(id) => {
                check_instance_id(&id).map_err(|reason| ClientError::InvalidId { reason })?;
                id
            }
            None => connection.clock.new_id().simple().to_string(),
        };
        let partition = connection.partition_of(&id).await?;
        let number = connection.take_numbers(1).await?.into_iter().next().unwrap_or_default();
        let request = connection.clock.new_id().simple().to_string();
        let new = NewInstance {
            no: InstanceNo::new(partition, number),
            id: id.clone(),
            kind: InstanceKind::Orchestration,
            name: name.to_owned(),
            version: version.to_owned(),
            parent: None,
            request: request.clone(),
            created_at: connection.clock.now(),
            input: input.text(),
        };
        let message = Message {
            id: request.clone(),
            partition,
            target: id.clone(),
            due_at: None,
            body: Body::Start { request, reply: None }.to_payload(),
        };
        let condition = Condition::Creates(Box::new(new));
        match connection.send(Envelope { message, condition }).await? {
            Accepted::Exists(status) => Err(ClientError::AlreadyExists { id, status }),
            // Of the conditions only this one can be refused here, and a duplicate is this start.
            _ => Ok(id),
        }
    }
}

/// A start by name that has not been made yet: await it.
#[derive(Debug)]
#[must_use = "nothing is started until this is awaited"]
pub struct StartByName {
    client: Client,
    name: String,
    version: String,
    id: Option<String>,
    arguments: Value,
}

impl StartByName {
    pub(super) fn new(client: Client, name: String, arguments: Value) -> Self {
        Self { client, name, version: String::new(), id: None, arguments }
    }

    /// Gives the new instance this id instead of a generated one.
    pub fn instance_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Starts this version.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    async fn send(self) -> Result<Handle<Value>, ClientError> {
        let Self { client, name, version, id, arguments } = self;
        let arguments = match arguments {
            // No arguments are saved as `null`.
            Value::Array(none) if none.is_empty() => Value::Null,
            Value::Array(_) | Value::Null => arguments,
            only => Value::Array(vec![only]),
        };
        // It is JSON already: encoding it would decorate it once more.
        let input = Json::from_text(arguments.to_string());
        crate::task::check_size(&input)
            .map_err(|failure| ClientError::invalid_arguments(&name, &failure))?;
        let id = client.start_instance(&name, &version, id, input).await?;
        Ok(Handle::new(client, id))
    }
}

impl IntoFuture for StartByName {
    type Output = Result<Handle<Value>, ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
