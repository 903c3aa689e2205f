//! The test harness itself: what it promises to the tests of programs.
#![cfg(feature = "memory")]
#![allow(unreachable_pub, missing_docs)] // The programs are written as users write them.
#![allow(clippy::unwrap_used)] // Everything here is a test.

#[path = "harness/programs.rs"]
mod programs;

#[path = "harness/crashes.rs"]
mod crashes;
#[path = "harness/mocks.rs"]
mod mocks;
#[path = "harness/time.rs"]
mod time;
#[path = "harness/wrong_uses.rs"]
mod wrong_uses;
