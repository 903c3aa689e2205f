//! Durable functions: ordinary async Rust compiled into resumable state machines.

#[doc(hidden)]
pub mod codec;
mod client;
mod context;
mod entity;
mod error;
mod graph;
mod history;
mod iterate;
mod json;
mod message;
mod program;
mod registry;
mod task;
mod turn;

pub use task::Event;
