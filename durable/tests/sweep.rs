//! The worker is killed before and after each commit of many small scenarios, one for each thing
//! that orchestrations can do: every run must come to the same result, and to the same effects where
//! the engine promises that they happen once.
#![cfg(feature = "memory")]
#![allow(unreachable_pub, missing_docs)] // The programs are written as users write them.
#![allow(clippy::unwrap_used)] // Everything here is a test.

#[path = "sweep/programs.rs"]
mod programs;

#[path = "sweep/calls.rs"]
mod calls;
#[path = "sweep/effects.rs"]
mod effects;
#[path = "sweep/families.rs"]
mod families;
#[path = "sweep/lives.rs"]
mod lives;
#[path = "sweep/sections.rs"]
mod sections;
#[path = "sweep/waits.rs"]
mod waits;
