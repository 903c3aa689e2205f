//! Waiting for an orchestration to begin or to end, as long as the caller wants to.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::data::ReturnValue;
use durable_store::{Payload, Status};

use super::status::failure;
use super::{ClientError, Handle};
use crate::json::Json;
use crate::waiters::News;

type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, ClientError>> + Send>>;

/// A wait for the start or the result of an orchestration: await it.
///
/// ```no_run
/// # use std::time::Duration;
/// # async fn example(handle: durable::Handle<u64>) -> Result<(), durable::ClientError> {
/// let result = handle.result().timeout(Duration::from_secs(30)).await;
/// if let Err(durable::ClientError::TimedOut { .. }) = result {
///     handle.terminate("it takes too long").await?;
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is waited for until this is awaited"]
pub struct Wait<T> {
    handle: Handle<T>,
    timeout: Option<Duration>,
    begin: fn(Handle<T>) -> BoxFuture<T>,
    running: Option<BoxFuture<T>>,
}

impl<T> fmt::Debug for Wait<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wait({}, timeout {:?})", self.handle.id(), self.timeout)
    }
}

impl<T> Wait<T> {
    fn new(handle: Handle<T>, begin: fn(Handle<T>) -> BoxFuture<T>) -> Self {
        Self { handle, timeout: None, begin, running: None }
    }

    /// Gives up after this long with [`ClientError::TimedOut`]. The instance goes on; the result
    /// can be waited for again.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl<T: 'static> Future for Wait<T> {
    type Output = Result<T, ClientError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let running = this.running.get_or_insert_with(|| {
            let wait = (this.begin)(this.handle.clone());
            match this.timeout {
                None => wait,
                Some(after) => within(this.handle.clone(), after, wait),
            }
        });
        running.as_mut().poll(context)
    }
}

/// The same wait with an end.
fn within<T: 'static>(handle: Handle<T>, after: Duration, wait: BoxFuture<T>) -> BoxFuture<T> {
    Box::pin(async move {
        let clock = &handle.client.connection.clock;
        let until = clock.now() + after;
        tokio::select! {
            biased;
            result = wait => result,
            () = clock.sleep_until(until) => {
                Err(ClientError::TimedOut { id: handle.id().to_owned(), after })
            }
        }
    })
}

impl<T> Handle<T> {
    /// Waits until the first turn has run.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`] if there is no such instance, [`ClientError::TimedOut`] if a
    /// timeout was given and is over.
    pub fn wait_for_start(&self) -> Wait<()> {
        let handle = Handle::<()>::new(self.client.clone(), self.id.clone());
        Wait::new(handle, |handle| {
            Box::pin(
                async move { handle.wait(|status| status != Status::Pending).await.map(|_| ()) },
            )
        })
    }

    /// Whether the owner in this process has said that the instance of this handle goes on. Then
    /// its row need not be read.
    fn is_under_way(&self) -> bool {
        self.new.is_some_and(|no| self.client.connection.waiters.is_under_way(no))
    }

    /// Waits until the row's status is as wanted, and gives what is known then.
    pub(crate) async fn wait(&self, wanted: impl Fn(Status) -> bool) -> Result<News, ClientError> {
        let connection = &self.client.connection;
        let partition = connection.partition_of(&self.id).await?;
        // Register, then read, then wait: what happens after the reading is told.
        let mut news = connection.watch(&self.id, partition);
        loop {
            let known = news.borrow_and_update().clone();
            let known = match known {
                News::Nothing if self.is_under_way() => News::Status(Status::Running),
                News::Nothing | News::Unsure => {
                    // Boxed: many may wait at once, and this is rare.
                    let record = Box::pin(self.record()).await?;
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
}

impl<T: ReturnValue> Handle<T> {
    /// Waits for the result. While the instance is blocked or suspended this goes on waiting:
    /// [`Handle::status`] says why.
    ///
    /// # Errors
    ///
    /// [`ClientError::Task`] if the orchestration failed or was terminated,
    /// [`ClientError::Result`] if its result is not a `T`, [`ClientError::NotFound`] if there is
    /// no such instance, [`ClientError::TimedOut`] if a timeout was given and is over.
    pub fn result(&self) -> Wait<T> {
        Wait::new(self.clone(), |handle| Box::pin(async move { handle.wait_for_result().await }))
    }

    async fn wait_for_result(&self) -> Result<T, ClientError> {
        loop {
            let news = self.wait(Status::is_terminal).await?;
            if let News::Ended(Status::Completed, Some(output)) = news {
                return self.decode(output);
            }
            // The row says under which name it failed.
            let record = Box::pin(self.record()).await?;
            if let Some(error) = failure(&record) {
                return Err(error.into());
            }
            // It may go on again by now.
            if record.status.is_terminal() {
                return self.decode(record.output.unwrap_or_else(|| "null".into()));
            }
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
