//! A handle of one orchestration: its id, its status and its history.

use std::fmt;
use std::marker::PhantomData;

use durable_store::{InstanceNo, InstanceRecord, Payload, limits};

use super::start::Started;
use super::{Client, ClientError, InstanceStatus, Restart};
use crate::history::HistoryTurn;

/// An orchestration with a result of type `T`, by its id.
pub struct Handle<T> {
    pub(super) client: Client,
    pub(super) id: String,
    /// The instance that was made for this handle.
    pub(super) new: Option<InstanceNo>,
    result: PhantomData<fn() -> T>,
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Self { new: self.new, ..Self::new(self.client.clone(), self.id.clone()) }
    }
}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", self.id)
    }
}

impl<T> Handle<T> {
    pub(super) fn new(client: Client, id: String) -> Self {
        Self { client, id, new: None, result: PhantomData }
    }

    pub(super) fn started(client: Client, started: Started) -> Self {
        Self { new: started.new, ..Self::new(client, started.id) }
    }

    /// The id of the instance.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether the start that gave this handle made the instance. It did not if there was one that
    /// is used instead, as [`IdReuse::UseExisting`](crate::IdReuse::UseExisting) and
    /// [`IdReuse::UseRunning`](crate::IdReuse::UseRunning) say.
    pub fn is_new(&self) -> bool {
        self.new.is_some()
    }

    /// Runs the orchestration again from its beginning, with the same name, arguments, version and
    /// tags. Under the same id, unless the returned value is told otherwise; then the old run must
    /// have ended, and is purged.
    ///
    /// ```no_run
    /// # async fn example(handle: durable::Handle<u64>) -> Result<(), durable::ClientError> {
    /// let again = handle.restart().await?;
    /// let beside_it = handle.restart().with_new_id().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`] if there is no such instance, [`ClientError::AlreadyExists`] if
    /// it has not ended and the id is to be the same, or if the new id is taken.
    pub fn restart(&self) -> Restart<T> {
        Restart::new(self.client.clone(), self.id.clone())
    }

    fn not_found(&self) -> ClientError {
        ClientError::NotFound { id: self.id.clone() }
    }

    pub(super) async fn record(&self) -> Result<InstanceRecord, ClientError> {
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
