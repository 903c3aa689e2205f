//! Storage of the `durable` crate: the contract, its backends, and the suite that checks them.
//!
//! The contract is the [`Store`] trait and the types in [`model`]; it knows nothing of
//! orchestrators, activities or JSON.

mod error;
pub mod model;
mod store;
mod timestamp;

pub use error::{StoreError, StoreErrorKind};
pub use model::*;
pub use store::{Result, Store};
pub use timestamp::{ParseTimestampError, Timestamp};
