//! The names of spans and fields, and the two wrappers that use them: one round a turn, one round
//! a call of the store. It must not decide anything.

use std::future::Future;

use durable_store::{StoreError, StoreErrorKind};
use tracing::Instrument as _;

/// The span of one turn of an instance.
pub(crate) const TURN: &str = "durable.turn";
/// The span of one call of the store.
pub(crate) const STORE: &str = "durable.store";
/// The span of one attempt of an activity.
pub(crate) const ACTIVITY: &str = "durable.activity";

/// Calls the store within its span, and reports what failed.
pub(crate) async fn store_call<T>(
    operation: &'static str,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let span = tracing::debug_span!(STORE, operation);
    let result = call.instrument(span).await;
    if let Err(error) = &result {
        // A lost lease is part of ordinary life among several workers.
        if error.kind() == StoreErrorKind::LeaseLost {
            tracing::info!(operation, %error, "lease lost");
        } else {
            tracing::warn!(operation, %error, kind = ?error.kind(), "store call failed");
        }
    }
    result
}

/// Runs a turn within its span.
pub(crate) fn turn<T>(instance: &str, messages: usize, run: impl FnOnce() -> T) -> T {
    tracing::debug_span!(TURN, instance, messages).in_scope(run)
}
