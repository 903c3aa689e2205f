//! The worker and the client together, on the memory store and under a clock that the tests hold.
#![allow(unreachable_pub, missing_docs)] // The programs are written as users write them.
#![allow(clippy::unwrap_used)] // Everything here is a test.

#[path = "worker/programs.rs"]
mod programs;

#[path = "worker/clients.rs"]
mod clients;
#[path = "worker/direct.rs"]
mod direct;
#[path = "worker/entities.rs"]
mod entities;
#[path = "worker/faults.rs"]
mod faults;
#[path = "worker/lives.rs"]
mod lives;
#[path = "worker/running.rs"]
mod running;
