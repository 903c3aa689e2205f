//! Runs operations of entities that are `async`: a future of the user's on a copy of the state. What it
//! sends and starts is only noted, by entering the instance's scope around each poll, and takes
//! effect with the turn that takes in the result.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use crate::context::EntityContext;
use crate::error::{Failure, TaskErrorKind, TaskFailure};
use crate::json::Json;
use crate::registry::Registry;
use crate::turn::{ActivityStart, Core, OperationEffects, OperationStart, scope};

/// Runs one attempt to its end.
pub(super) async fn run(
    registry: &Registry,
    start: &ActivityStart,
    operation: &OperationStart,
) -> Result<(Json, OperationEffects), TaskFailure> {
    let OperationStart { address, state, .. } = operation;
    let Some(runner) = registry.entity(&address.name) else {
        let message = format!("the worker knows no entity `{}`", address.name);
        let failure = Failure::final_one("NotRegistered", message);
        return Err(TaskFailure::new(TaskErrorKind::NotRegistered, failure));
    };
    // Decoding runs code of the user's.
    let context = EntityContext::new(address.clone());
    let begin = || runner.run_async(state.as_ref(), context, &start.name, &start.input);
    let mut future = catch_unwind(AssertUnwindSafe(begin)).map_err(|e| panicked(&*e))??;
    let mut core = core_of(operation);
    let result = std::future::poll_fn(|waker| {
        let noted = std::mem::replace(&mut core, core_of(operation));
        let poll = || catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(waker)));
        let (noted, polled) = scope::enter(noted, poll);
        core = noted;
        match polled {
            Ok(poll) => poll,
            Err(panic) => Poll::Ready(Err(panicked(&*panic))),
        }
    })
    .await;
    if let Err(panic) = catch_unwind(AssertUnwindSafe(move || drop(future))) {
        return Err(panicked(&*panic));
    }
    let (output, saved) = result?;
    if core.is_over_limit() {
        let message = format!(
            "more than {} messages and starts in one operation",
            crate::turn::MAX_ACTIONS_PER_TURN
        );
        let failure = Failure::new("TooManyActions", message);
        return Err(TaskFailure::new(TaskErrorKind::Failed, failure));
    }
    let state = (!core.deletes_self).then_some(saved);
    let (send, history) = (core.actions.send, core.actions.history);
    Ok((output, OperationEffects { state, send, history }))
}

fn core_of(operation: &OperationStart) -> Core {
    let mut core = Core::new(operation.identity.clone());
    core.now = operation.now;
    core.default_version = operation.default_version.clone();
    core
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> TaskFailure {
    TaskFailure::new(TaskErrorKind::Panicked, Failure::of_panic(panic))
}
