//! The turn under way on this thread. A program's calls reach the engine's part of their instance
//! through it, so that tasks, proxies and guards can be plain saved values that name things.

use std::cell::RefCell;

use super::core::Core;

thread_local! {
    static CURRENT: RefCell<Option<Core>> = const { RefCell::new(None) };
}

/// Runs `program` with `core` as the instance whose turn it is, and gives `core` back. `program`
/// must not unwind.
pub(crate) fn enter<R>(core: Core, program: impl FnOnce() -> R) -> (Core, R) {
    let outer = CURRENT.replace(Some(core));
    debug_assert!(outer.is_none(), "turns do not nest");
    let result = program();
    let core = CURRENT.replace(outer);
    #[allow(clippy::expect_used)] // Nobody but this function takes it out.
    (core.expect("the turn is under way"), result)
}

/// Reaches the instance whose turn it is.
///
/// # Panics
/// Outside of a turn: the caller used a durable operation where none can work.
pub(crate) fn with<R>(f: impl FnOnce(&mut Core) -> R) -> R {
    match try_with(f) {
        Some(result) => result,
        None => panic!("durable operations work only while an orchestrator or an entity runs"),
    }
}

/// Reaches the instance whose turn it is, if a turn is under way.
pub(crate) fn try_with<R>(f: impl FnOnce(&mut Core) -> R) -> Option<R> {
    CURRENT.try_with(|current| current.try_borrow_mut().ok()?.as_mut().map(f)).ok().flatten()
}
