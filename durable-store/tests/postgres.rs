//! The `PostgreSQL` backend against the suite, and what is its own: opening, fencing, lost
//! connections, notifications. Needs a server: `scripts/postgres --fast cargo test ..`.
#![cfg(all(feature = "postgres", feature = "conformance"))]
#![allow(clippy::unwrap_used)] // Helpers of tests count as code outside them.

#[path = "postgres/world.rs"]
mod world;

#[path = "postgres/grouping.rs"]
mod grouping;
#[path = "postgres/opening.rs"]
mod opening;
#[path = "postgres/plans.rs"]
mod plans;
#[path = "postgres/proxy.rs"]
mod proxy;
#[path = "postgres/sharing.rs"]
mod sharing;

use world::{new_schema, open};

durable_store::conformance!(postgres, || open(new_schema()), || {
    let schema = new_schema();
    move || open(schema.clone())
});
