//! A handle of one orchestration: its result, its status, and what can be said to it.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use durable_store::{
    Accepted, Condition, Envelope, InstanceRecord, Message, Payload, Status, limits,
};
use serde::Serialize;

use super::status::failure;
use super::{Client, ClientError, InstanceStatus};
use crate::data::ReturnValue;
use crate::history::HistoryTurn;
use crate::json::Json;
use crate::message::Body;
use crate::task::EventName;
use crate::waiters::News;

/// An orchestration with a result of type `T`, by its id.
pub struct Handle<T> {
    client: Client,
    id: String,
    result: PhantomData<fn() -> T>,
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Self::new(self.client.clone(), self.id.clone())
    }
}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", self.id)
    }
}

impl<T> Handle<T> {
    pub(super) fn new(client: Client, id: String) -> Self {
        Self { client, id, result: PhantomData }
    }

    /// The id of the instance.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn not_found(&self) -> ClientError {
        ClientError::NotFound { id: self.id.clone() }
    }

    async fn record(&self) -> Result<InstanceRecord, ClientError> {
        self.client.record(&self.id).await?.ok_or_else(|| self.not_found())
    }

    /// What is stored about the instance now.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`] if there is none.
    pub async fn status(&self) -> Result<InstanceStatus, ClientError> {
        self.record().await.map(InstanceStatus::of)
    }

    /// Waits until the first turn has run.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`] if there is no such instance.
    pub async fn wait_for_start(&self) -> Result<(), ClientError> {
        self.wait(|status| status != Status::Pending).await.map(|_| ())
    }

    /// Waits until the row's status is as wanted, and gives what is known then.
    async fn wait(&self, wanted: impl Fn(Status) -> bool) -> Result<News, ClientError> {
        let connection = &self.client.connection;
        let partition = connection.partition_of(&self.id).await?;
        // Register, then read, then wait: what happens after the reading is told.
        let mut news = connection.watch(&self.id, partition);
        loop {
            let known = news.borrow_and_update().clone();
            let known = match known {
                News::Nothing | News::Unsure => {
                    let record = self.record().await?;
                    News::of(record.status, record.output.as_ref())
                }
                known => known,
            };
            if let News::Status(status) | News::Ended(status, _) = &known
                && wanted(*status)
            {
                return Ok(known);
            }
            if news.changed().await.is_err() {
                // Its entry was replaced, because the instance ended and began anew.
                news = connection.watch(&self.id, partition);
            }
        }
    }

    /// Raises an event, by name or by an [`Event`](crate::Event) constant. It is durable when
    /// this returns; if nobody waits for it yet, it is kept until somebody does.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`] if there is no such instance, [`ClientError::Ended`] if it has
    /// ended.
    pub async fn raise_event<P: Serialize>(
        &self,
        name: impl EventName<P>,
        value: P,
    ) -> Result<(), ClientError> {
        let name = name.event_name();
        let encoded = crate::task::encode_input(&value)
            .map_err(|failure| ClientError::invalid_arguments(&name, &failure))?;
        // It is not kept across the await, so it need not be `Send`.
        drop(value);
        self.send(Body::Event { name, value: encoded }).await
    }

    /// Ends the instance from outside, in its next turn. Running activities get their
    /// cancellation signal; orchestrations that it started go on.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`] if there is no such instance, [`ClientError::Ended`] if it has
    /// ended.
    pub async fn terminate(&self, reason: impl Into<String>) -> Result<(), ClientError> {
        self.send(Body::Terminate { reason: reason.into() }).await
    }

    fn send(&self, body: Body) -> impl Future<Output = Result<(), ClientError>> + Send {
        let (client, target) = (self.client.clone(), self.id.clone());
        async move {
            let connection = &client.connection;
            let message = Message {
                id: connection.clock.new_id().simple().to_string(),
                partition: connection.partition_of(&target).await?,
                target: target.clone(),
                due_at: None,
                body: body.to_payload(),
            };
            let condition = Condition::Running;
            match connection.send(Envelope { message, condition }).await? {
                Accepted::Unknown => Err(ClientError::NotFound { id: target }),
                Accepted::Ended(status) => Err(ClientError::Ended { id: target, status }),
                Accepted::Sent | Accepted::Duplicate | Accepted::Exists(_) => Ok(()),
            }
        }
    }

    /// What happened to the instance, turn by turn.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`] if there is no such instance.
    pub async fn history(&self) -> Result<Vec<HistoryTurn>, ClientError> {
        let no = self.record().await?.no;
        let store = &self.client.connection.store;
        let mut turns = Vec::new();
        let mut after = i64::MIN;
        loop {
            let read = || store.read_history(no, after, limits::MAX_PAGE_ROWS);
            let rows = self.client.read("read_history", read).await?;
            let Some((last, _)) = rows.last() else { return Ok(turns) };
            after = *last;
            for (turn, row) in rows {
                turns.push(self.parse_turn(turn, &row)?);
            }
        }
    }

    fn parse_turn(&self, turn: i64, row: &Payload) -> Result<HistoryTurn, ClientError> {
        serde_json::from_str(row).map_err(|error| ClientError::Unreadable {
            id: self.id.clone(),
            what: format!("turn {turn} of its history: {error}"),
        })
    }
}

impl<T: ReturnValue> Handle<T> {
    /// Waits for the result. While the instance is blocked this goes on waiting:
    /// [`Handle::status`] says why.
    ///
    /// # Errors
    ///
    /// [`ClientError::Task`] if the orchestration failed or was terminated,
    /// [`ClientError::Result`] if its result is not a `T`, [`ClientError::NotFound`] if there is
    /// no such instance.
    pub async fn result(&self) -> Result<T, ClientError> {
        let news = self.wait(Status::is_terminal).await?;
        if let News::Ended(Status::Completed, Some(output)) = news {
            return self.decode(output);
        }
        // The row says under which name it failed.
        let record = self.record().await?;
        match failure(&record) {
            Some(error) => Err(error.into()),
            None => self.decode(record.output.unwrap_or_else(|| "null".into())),
        }
    }

    fn decode(&self, output: Payload) -> Result<T, ClientError> {
        T::decode(&Json::from_text(output)).map_err(|source| ClientError::Result {
            of: self.id.clone(),
            expected: std::any::type_name::<T>(),
            source,
        })
    }
}
