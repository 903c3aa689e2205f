//! Storage of the `durable` crate: the contract, its backends, and the suite that checks them.
//!
//! The contract is the [`Store`] trait and the types in [`model`]; it knows nothing of
//! orchestrators, activities or JSON.

#[cfg(any(feature = "memory", feature = "sqlite"))]
mod check;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
#[cfg(feature = "memory")]
mod memory;
pub mod model;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
mod timestamp;

pub use error::{StoreError, StoreErrorKind};
#[cfg(feature = "memory")]
pub use memory::MemoryStore;
pub use model::*;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteOptions, SqliteStore, Synchronous};
pub use store::{Result, Store};
pub use timestamp::{ParseTimestampError, Timestamp};
