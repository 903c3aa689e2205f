//! For tests of programs: a hub whose time passes at once, with activities mocked or real, and
//! crashes at every commit.
//!
//! A [`TestHub`] is a worker and a client on a store in memory, with a clock that stands still
//! until [`TestHub::run`] or [`TestHub::advance`] moves it. Then it jumps from timer to timer, and
//! only when nothing else can happen: an event that is raised before a time limit is there before
//! it, and a wait of three days takes no time.
//!
//! ```
//! use std::time::Duration;
//! use durable::prelude::*;
//! use durable::testing::{self, TestHub};
//!
//! #[activity]
//! async fn request_approval(order: u64) -> anyhow::Result<()> {
//!     anyhow::bail!("no mail server to ask about {order}") // A test must not send mail.
//! }
//!
//! #[activity]
//! async fn escalate(order: u64) -> String {
//!     format!("order {order} is with the manager")
//! }
//!
//! #[orchestrator]
//! async fn approval(ctx: &OrchestrationContext, order: u64) -> Result<String, TaskError> {
//!     request_approval(order).await?;
//!     let answer = ctx.wait_for_event::<bool>("Approval");
//!     match answer.timeout(Duration::from_hours(72)).await? {
//!         Some(approved) => Ok(format!("order {order}: {approved}")),
//!         None => escalate(order).await,
//!     }
//! }
//!
//! // In a test of your own, `#[tokio::test] async fn ..`.
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let build = || {
//!     TestHub::builder()
//!         .orchestrator(approval)
//!         .activity(escalate)
//!         .mock(request_approval, |_order: u64| ())
//! };
//! let hub = build().start().await;
//!
//! // Nobody answers: three days pass at once.
//! let began = hub.now();
//! let handle = hub.client().start(approval(7)).await.unwrap();
//! let result = hub.run(handle.result()).await.unwrap();
//! assert_eq!(result, "order 7 is with the manager");
//! assert_eq!(hub.now(), began + Duration::from_hours(72));
//! assert_eq!(hub.calls_of(request_approval), [(7,)]);
//!
//! // Somebody answers in the last hour.
//! let handle = hub.client().start(approval(8)).await.unwrap();
//! hub.advance(Duration::from_hours(71)).await;
//! handle.raise_event("Approval", true).await.unwrap();
//! assert_eq!(hub.run(handle.result()).await.unwrap(), "order 8: true");
//!
//! // Wherever the worker dies, it comes to the same.
//! testing::crash_at_every_commit(build, async |hub| {
//!     let handle = hub.client().start(approval(9)).await.unwrap();
//!     hub.run(handle.result()).await.unwrap()
//! })
//! .await;
//! # }
//! ```
//!
//! Every turn of a hub under test begins with saved bytes, and is run a second time from them to
//! see whether it is deterministic, in release builds too.
//!
//! The default store needs the feature `memory`. [`FaultyStore`] is for tests of workers and
//! stores themselves.

mod builder;
mod calls;
mod faulty;
mod hub;
mod mock;
mod sweep;
mod watch;
mod watched;

pub use self::builder::{DEFAULT_PATIENCE, TestHubBuilder};
pub use self::faulty::{Fault, FaultyStore, Random};
pub use self::hub::TestHub;
pub use self::mock::{AsyncMock, Fallible, Mock, MockResult, Plain};
pub use self::sweep::{MAX_SWEPT_COMMITS, crash_at_every_commit};
pub use self::watch::{let_time_pass, sleep};
