//! Storage of the `durable` crate: the contract, its backends, and the suite that checks them.
//!
//! The contract is the [`Store`] trait and the types in [`model`]; it knows nothing of
//! orchestrators, activities or JSON.

#[cfg_attr(
    not(any(feature = "memory", feature = "sqlite", feature = "postgres")),
    allow(dead_code) // Most of it is for backends.
)]
mod check;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod codes;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod deciding;
mod error;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod first_turn;
#[cfg(any(feature = "memory", feature = "sqlite", feature = "postgres"))]
mod listeners;
#[cfg(feature = "memory")]
mod memory;
pub mod model;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
mod timestamp;

pub use error::{StoreError, StoreErrorKind};
#[cfg(feature = "memory")]
pub use memory::MemoryStore;
pub use model::*;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresOptions, PostgresStore};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteOptions, SqliteStore, Synchronous};
pub use store::{Ready, Result, Store};
pub use timestamp::{ParseTimestampError, Timestamp};
