//! Starting an orchestration once more, as it was started before.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;

use durable_store::{InstanceKind, InstanceRecord};

use super::start::Start;
use super::{Client, ClientError, Handle};
use crate::json::Json;
use crate::start::{IdReuse, StartOptions};

/// A new run of an orchestration with the same name, arguments, version and tags: await it.
#[must_use = "nothing is started until this is awaited"]
pub struct Restart<T> {
    client: Client,
    /// The instance that is run again.
    of: String,
    target: Target,
    result: PhantomData<fn() -> T>,
}

/// The id of the new run.
#[derive(Debug)]
enum Target {
    Same,
    Generated,
    Given(String),
}

impl<T> fmt::Debug for Restart<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Restart({} as {:?})", self.of, self.target)
    }
}

impl<T> Restart<T> {
    pub(super) fn new(client: Client, of: String) -> Self {
        Self { client, of, target: Target::Same, result: PhantomData }
    }

    /// Leaves the old instance as it is and starts the new one under a generated id.
    pub fn with_new_id(mut self) -> Self {
        self.target = Target::Generated;
        self
    }

    /// Leaves the old instance as it is and starts the new one under this id.
    pub fn instance_id(mut self, id: impl Into<String>) -> Self {
        self.target = Target::Given(id.into());
        self
    }

    async fn send(self) -> Result<Handle<T>, ClientError> {
        let Self { client, of, target, .. } = self;
        let record = client.record(&of).await?;
        let record = record
            .filter(|record| record.kind == InstanceKind::Orchestration)
            .ok_or_else(|| ClientError::NotFound { id: of.clone() })?;
        let InstanceRecord { no, name, version, tags, input, .. } = record;
        let (instance_id, only) = match target {
            // What is replaced must be what was read.
            Target::Same => (Some(of), Some(no)),
            Target::Generated => (None, None),
            Target::Given(id) => (Some(id), None),
        };
        let options = StartOptions {
            instance_id,
            // Not the default version, which may be another by now.
            version: Some(version),
            tags,
            start_at: None,
            id_reuse: IdReuse::ReplaceEnded,
        };
        let input = Json::from_text(input);
        let start = Start { name: &name, version: "", input, options, only };
        let started = client.start_instance(start).await?;
        Ok(Handle::started(client, started))
    }
}

impl<T: 'static> IntoFuture for Restart<T> {
    type Output = Result<Handle<T>, ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
