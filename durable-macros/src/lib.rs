//! The macros of the `durable` crate: a small compiler from ordinary async functions to explicit,
//! resumable state machines. See `compile.rs` for its passes.

mod check;
mod compile;
mod conditional;
mod determinism;
mod diag;
mod emit;
mod guards;
mod ir;
mod layout;
mod liveness;
mod lower;
mod nesting;
mod parse;
mod renewals;
mod rules;
mod scoped;

use proc_macro::TokenStream;

/// Compiles an `async fn` into a durable orchestration.
///
/// Calling the function then gives a call value, to be started by a client or awaited by another
/// orchestrator. The body is ordinary Rust; what it awaits must be durable, and everything that
/// lives across an await is saved by name.
///
/// Options: `name = ".."` registers it under another name, `version = ".."` side by side with
/// other versions of the same name.
#[proc_macro_attribute]
pub fn orchestrator(attr: TokenStream, item: TokenStream) -> TokenStream {
    compile::orchestrator(attr.into(), item.into()).into()
}

/// Makes an activity of an `async fn`, or of each `async fn` with `&self` in an impl block.
///
/// Calling it then gives a call value; the body stays callable as `name::body(..)`, a method as
/// the method that it is.
///
/// Option: `name = ".."` registers it under another name.
#[proc_macro_attribute]
pub fn activity(attr: TokenStream, item: TokenStream) -> TokenStream {
    compile::activity(attr.into(), item.into()).into()
}

/// Makes a durable entity of a type: each method with `self` in the impl block is an operation.
///
/// Option: `name = ".."` registers it under another name.
#[proc_macro_attribute]
pub fn entity(attr: TokenStream, item: TokenStream) -> TokenStream {
    compile::entity(attr.into(), item.into()).into()
}

/// Checks a helper function, or those of an impl block, by the rules for orchestrators: no clocks,
/// random numbers, I/O or shared state. The function itself stays as it is.
///
/// The macros see one function at a time: what an orchestrator calls is checked only if it says so.
/// `#[allow_nondeterminism("reason")]` on a statement exempts it, here and in an orchestrator.
#[proc_macro_attribute]
pub fn deterministic(attr: TokenStream, item: TokenStream) -> TokenStream {
    compile::deterministic(attr.into(), item.into()).into()
}
