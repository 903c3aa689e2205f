//! Starting orchestrations: the row and the first message are stored together.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use durable_store::{
    Accepted, Condition, Envelope, InstanceKind, InstanceNo, Message, NewInstance, Status,
    Timestamp,
};
use serde_json::Value;

use super::{Client, ClientError, Handle};
use crate::json::Json;
use crate::message::Body;
use crate::start::{IdReuse, InvalidStart, StartOptions};

/// How often a start terminates who has its id, before it gives up: others race it for the id.
const MAX_REPLACE_ATTEMPTS: u32 = 10;

/// What is started.
pub(super) struct Start<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) input: Json,
    pub(super) options: StartOptions,
    /// The one instance that may be replaced, if it has to be a certain one.
    pub(super) only: Option<InstanceNo>,
}

/// What became of a start.
pub(super) struct Started {
    pub(super) id: String,
    /// The instance that it made; if none, there was one that is used instead.
    pub(super) new: Option<InstanceNo>,
}

impl From<InvalidStart> for ClientError {
    fn from(invalid: InvalidStart) -> Self {
        match invalid {
            InvalidStart::Id(reason) => Self::InvalidId { reason },
            InvalidStart::Option(reason) => Self::InvalidOption { reason },
        }
    }
}

impl Client {
    /// Stores the start of an instance.
    pub(super) async fn start_instance(&self, start: Start<'_>) -> Result<Started, ClientError> {
        let Start { name, version, input, mut options, only } = start;
        options.version = Some(options.version_for(version, &self.default_version));
        options.check()?;
        let version = options.version.take().unwrap_or_default();
        self.check_registered(name, &version)?;
        let connection = &self.connection;
        let now = connection.clock.now();
        let given = options.instance_id.take();
        let policy = given.as_ref().map(|_| options.id_reuse);
        let id = given.unwrap_or_else(|| connection.clock.new_id().simple().to_string());
        let partition = connection.partition_of(&id).await?;
        let number = connection.take_numbers(1).await?.into_iter().next().unwrap_or_default();
        let request = connection.clock.new_id().simple().to_string();
        let starts_at = options.start_at.filter(|time| *time > now);
        let no = InstanceNo::new(partition, number);
        let new = Box::new(NewInstance {
            no,
            id: id.clone(),
            kind: InstanceKind::Orchestration,
            name: name.to_owned(),
            version,
            parent: None,
            request: request.clone(),
            created_at: now,
            starts_at,
            tags: options.tags,
            input: input.text(),
        });
        let message = Message {
            id: request.clone(),
            partition,
            target: id.clone(),
            due_at: starts_at,
            body: Body::Start { request, reply: None }.to_payload(),
        };
        let condition = match policy {
            None | Some(IdReuse::Refuse | IdReuse::UseExisting) => Condition::Creates(new),
            Some(_) => Condition::Replaces { new, only },
        };
        let envelope = Envelope { message, condition };
        for _ in 0..MAX_REPLACE_ATTEMPTS {
            let envelope = envelope.clone();
            let accepted = match policy {
                None => connection.send_fresh(envelope).await?,
                Some(_) => connection.send(envelope).await?,
            };
            // A duplicate is this start.
            let status = match accepted {
                Accepted::Exists(status) => status,
                Accepted::Unknown => return Err(ClientError::NotFound { id }),
                _ => return Ok(Started { id, new: Some(no) }),
            };
            match policy {
                Some(IdReuse::UseExisting | IdReuse::UseRunning) => {
                    return Ok(Started { id, new: None });
                }
                Some(IdReuse::TerminateAndReplace) => self.end(&id).await?,
                _ => return Err(ClientError::AlreadyExists { id, status }),
            }
        }
        Err(ClientError::AlreadyExists { id, status: Status::Running })
    }

    /// Whether the worker of this client could run what is to be started.
    fn check_registered(&self, name: &str, version: &str) -> Result<(), ClientError> {
        match &self.registry {
            Some(registry) if registry.orchestration(name, version).is_none() => {
                let (name, version) = (name.to_owned(), version.to_owned());
                Err(ClientError::NotRegistered { name, version })
            }
            _ => Ok(()),
        }
    }

    /// Terminates an instance that is to be replaced, and waits for its end.
    async fn end(&self, id: &str) -> Result<(), ClientError> {
        let handle: Handle<Value> = self.orchestration(id);
        let ended = match handle.terminate("another instance is started under its id").await {
            Ok(()) => handle.wait(Status::is_terminal).await.map(|_| ()),
            Err(error) => Err(error),
        };
        match ended {
            // It ended by itself, or somebody purged it.
            Err(ClientError::Ended { .. } | ClientError::NotFound { .. }) => Ok(()),
            ended => ended,
        }
    }
}

/// The input that these arguments are saved as: an array, or `null` for none.
pub(super) fn input_of(arguments: Value) -> Json {
    let arguments = match arguments {
        Value::Array(none) if none.is_empty() => Value::Null,
        Value::Array(_) | Value::Null => arguments,
        only => Value::Array(vec![only]),
    };
    // It is JSON already: encoding it would decorate it once more.
    Json::from_text(arguments.to_string())
}

/// A start by name that has not been made yet: await it.
#[derive(Debug)]
#[must_use = "nothing is started until this is awaited"]
pub struct StartByName {
    client: Client,
    name: String,
    input: Json,
    options: StartOptions,
}

impl StartByName {
    /// With an input that is the array of the arguments, or `null`.
    pub(super) fn new(client: Client, name: String, input: Json) -> Self {
        Self { client, name, input, options: StartOptions::default() }
    }

    /// Gives the new instance this id instead of a generated one.
    pub fn instance_id(mut self, id: impl Into<String>) -> Self {
        self.options.instance_id = Some(id.into());
        self
    }

    /// Starts this version instead of the client's
    /// [`default_version`](Client::default_version). The empty text is no version.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.options.version = Some(version.into());
        self
    }

    /// Labels the new instance; see [`Call::tag`](crate::Call::tag).
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.tags.insert(key.into(), value.into());
        self
    }

    /// Runs its first turn at this time; see [`Call::start_at`](crate::Call::start_at).
    pub fn start_at(mut self, time: Timestamp) -> Self {
        self.options.start_at = Some(time);
        self
    }

    /// What happens if the id is taken. Default: [`IdReuse::ReplaceEnded`].
    pub fn id_reuse(mut self, policy: IdReuse) -> Self {
        self.options.id_reuse = policy;
        self
    }

    async fn send(self) -> Result<Handle<Value>, ClientError> {
        let Self { client, name, input, options } = self;
        crate::task::check_size(&input)
            .map_err(|failure| ClientError::invalid_arguments(&name, &failure))?;
        let start = Start { name: &name, version: "", input, options, only: None };
        let started = client.start_instance(start).await?;
        Ok(Handle::started(client, started))
    }
}

impl IntoFuture for StartByName {
    type Output = Result<Handle<Value>, ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
