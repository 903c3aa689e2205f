//! The differential test: random bodies, compiled through the macro and as plain async Rust, must
//! do the same. `generate` writes a body, `project` writes the crate that runs many of them.

mod control;
mod expr;
mod generate;
pub mod project;
mod rng;
mod scope;
mod stmt;

pub use generate::{Body, body};
