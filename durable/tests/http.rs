//! The HTTP API as clients of the original use it: requests in, status and JSON out. The router is
//! asked directly, under a clock that the tests hold.
#![cfg(feature = "http")]
#![allow(unreachable_pub, missing_docs, dead_code, unused_macros)] // Programs are shared.
#![allow(clippy::unwrap_used)] // Everything here is a test.

#[macro_use]
#[path = "manage/world.rs"]
mod world;
#[path = "manage/watched.rs"]
mod watched;

#[path = "http/asking.rs"]
mod asking;
#[path = "http/describing.rs"]
mod describing;
#[path = "http/entities.rs"]
mod entities;
#[path = "http/guarding.rs"]
mod guarding;
#[path = "http/listing.rs"]
mod listing;
#[path = "http/malformed.rs"]
mod malformed;
#[path = "http/managing.rs"]
mod managing;
#[path = "http/server.rs"]
mod server;
#[path = "http/starting.rs"]
mod starting;
