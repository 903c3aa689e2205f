//! What can be done to an orchestration from outside, beside starting it and asking about it.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use durable_store::{Accepted, Condition, Envelope, Message, limits};
use serde::Serialize;

use super::{Client, ClientError, Handle, check_instance_id};
use crate::message::Body;
use crate::task::EventName;

/// Longest reason that is given for what is done to an instance, in bytes of UTF-8.
pub const MAX_REASON_BYTES: usize = 16 * 1024;
/// Longest name of an event, in bytes of UTF-8.
pub const MAX_EVENT_NAME_BYTES: usize = limits::MAX_NAME_BYTES;

impl Client {
    /// Stores a message for an orchestration, if the condition holds.
    pub(super) async fn send_to(
        &self,
        target: &str,
        body: Body,
        condition: Condition,
    ) -> Result<(), ClientError> {
        check_instance_id(target).map_err(|reason| ClientError::InvalidId { reason })?;
        let connection = &self.connection;
        let message = Message {
            id: connection.clock.new_id().simple().to_string(),
            partition: connection.partition_of(target).await?,
            target: target.to_owned(),
            due_at: None,
            body: body.to_payload(),
        };
        let id = target.to_owned();
        match connection.send(Envelope { message, condition }).await? {
            Accepted::Unknown => Err(ClientError::NotFound { id }),
            Accepted::Ended(status) => Err(ClientError::Ended { id, status }),
            Accepted::NotFailed(status) => Err(ClientError::NotFailed { id, status }),
            Accepted::Sent | Accepted::Duplicate | Accepted::Exists(_) => Ok(()),
        }
    }
}

/// A reason that is not too long.
fn checked(what: &str, reason: String) -> Result<String, ClientError> {
    check_text("reason", &reason, MAX_REASON_BYTES).map_err(|rule| invalid(what, rule))?;
    Ok(reason)
}

/// Whether an event may have this name; if not, why.
pub(crate) fn check_event_name(name: &str) -> Result<(), String> {
    check_text("name of the event", name, MAX_EVENT_NAME_BYTES)
}

fn check_text(what: &str, text: &str, limit: usize) -> Result<(), String> {
    if text.len() > limit {
        return Err(format!("the {what} has {} bytes, the limit is {limit}", text.len()));
    }
    if text.contains('\0') {
        return Err(format!("the {what} must not hold a NUL character"));
    }
    Ok(())
}

fn invalid(function: &str, reason: String) -> ClientError {
    ClientError::InvalidArguments { function: function.to_owned(), reason }
}

impl<T> Handle<T> {
    /// Raises an event, by name or by an [`Event`](crate::Event) constant. It is durable when
    /// this returns; if nobody waits for it yet, it is kept until somebody does.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`] if there is no such instance, [`ClientError::Ended`] if it has
    /// ended, [`ClientError::InvalidArguments`] if the payload cannot be serialised or is too
    /// large, or if the name has more than [`MAX_EVENT_NAME_BYTES`].
    pub async fn raise_event<P: Serialize>(
        &self,
        name: impl EventName<P>,
        value: P,
    ) -> Result<(), ClientError> {
        let name = name.event_name();
        check_event_name(&name).map_err(|reason| invalid("raise_event", reason))?;
        let encoded = crate::task::encode_input(&value)
            .map_err(|failure| ClientError::invalid_arguments(&name, &failure))?;
        // It is not kept across the await, so it need not be `Send`.
        drop(value);
        self.send(Body::Event { name, value: encoded }, Condition::Running).await
    }

    /// The same with a payload that is JSON text already.
    #[cfg(feature = "http")]
    pub(crate) async fn raise_event_text(
        &self,
        name: &str,
        value: &str,
    ) -> Result<(), ClientError> {
        check_event_name(name).map_err(|reason| invalid("raise_event", reason))?;
        let value = crate::json::Json::from_text(value);
        crate::task::check_size(&value)
            .map_err(|failure| ClientError::invalid_arguments(name, &failure))?;
        self.send(Body::Event { name: name.to_owned(), value }, Condition::Running).await
    }

    /// Ends the instance from outside, in its next turn. Running activities get their
    /// cancellation signal; orchestrations that it started go on, unless
    /// [`recursive`](Terminate::recursive) is asked for.
    ///
    /// ```no_run
    /// # async fn example(handle: durable::Handle<u64>) -> Result<(), durable::ClientError> {
    /// handle.terminate("the order was withdrawn").recursive().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`] if there is no such instance, [`ClientError::Ended`] if it has
    /// ended, [`ClientError::InvalidArguments`] if the reason has more than
    /// [`MAX_REASON_BYTES`], as for the other things that are done for a reason.
    pub fn terminate(&self, reason: impl Into<String>) -> Terminate {
        let (client, id, reason) = (self.client.clone(), self.id.clone(), reason.into());
        Terminate { client, id, reason, recursive: false }
    }

    /// Lets the instance wait from its next turn on, whatever arrives: events, results and timers
    /// are kept until it is resumed. What runs already goes on running. To suspend one that is
    /// suspended changes nothing.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`] if there is no such instance, [`ClientError::Ended`] if it has
    /// ended.
    pub async fn suspend(&self, reason: impl Into<String> + Send) -> Result<(), ClientError> {
        let reason = checked("suspend", reason.into())?;
        self.send(Body::Suspend { reason }, Condition::Running).await
    }

    /// Lets a suspended instance go on with what arrived meanwhile, in its order. To resume one
    /// that is not suspended changes nothing.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`] if there is no such instance, [`ClientError::Ended`] if it has
    /// ended.
    pub async fn resume(&self, reason: impl Into<String> + Send) -> Result<(), ClientError> {
        let reason = checked("resume", reason.into())?;
        self.send(Body::Resume { reason }, Condition::Running).await
    }

    /// Lets an instance that has failed go on from where it stood before. The calls that failed
    /// there are made again: activities, entity operations, and sub-orchestrations, which are
    /// rewound themselves. Whatever succeeded is not done again, and if no call failed, the
    /// program runs again from its last wait. From when this returns the instance counts as
    /// running.
    ///
    /// If this build of the program cannot continue what was saved, the instance is blocked until a
    /// worker can, and its status says why.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`] if there is no such instance, [`ClientError::NotFailed`] if it
    /// has not failed.
    pub async fn rewind(&self, reason: impl Into<String> + Send) -> Result<(), ClientError> {
        let reason = checked("rewind", reason.into())?;
        self.send(Body::Rewind { reason, reply: None }, Condition::Reopens).await
    }

    fn send(
        &self,
        body: Body,
        condition: Condition,
    ) -> impl Future<Output = Result<(), ClientError>> + Send + 'static {
        let (client, target) = (self.client.clone(), self.id.clone());
        async move { client.send_to(&target, body, condition).await }
    }
}

/// A termination that was not asked for yet: await it.
#[must_use = "nothing is terminated until this is awaited"]
pub struct Terminate {
    client: Client,
    id: String,
    reason: String,
    recursive: bool,
}

impl fmt::Debug for Terminate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Terminate({}, recursive {})", self.id, self.recursive)
    }
}

impl Terminate {
    /// Ends the sub-orchestrations that are under way too, and theirs.
    pub fn recursive(mut self) -> Self {
        self.recursive = true;
        self
    }
}

impl IntoFuture for Terminate {
    type Output = Result<(), ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { client, id, reason, recursive } = self;
            let reason = checked("terminate", reason)?;
            let body = Body::Terminate { reason, recursive, parent: None };
            client.send_to(&id, body, Condition::Running).await
        })
    }
}
