//! How long to wait before something that failed is tried again, on the injected clock.

use std::future::Future;
use std::time::Duration;

use durable_store::{StoreError, StoreErrorKind};

use crate::clock::Clock;

/// The wait after the first failure.
const FIRST_DELAY: Duration = Duration::from_millis(50);
/// The longest wait.
const MAX_DELAY: Duration = Duration::from_secs(5);
/// How often a call from outside of a partition is made before its error is reported: with the
/// waits above, for about ten seconds.
pub(crate) const MAX_ATTEMPTS: u32 = 9;
/// How long somebody bears it that the calls which another makes for him fail: as long as he would
/// repeat a call of his own, so that the last attempt is beyond it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The wait after failure number `failures`, from 1. Doubles up to a limit.
pub(crate) fn delay(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    FIRST_DELAY.saturating_mul(1 << doublings).min(MAX_DELAY)
}

/// Makes a call that is safe to repeat, until it succeeds, or fails for good, or has been made
/// `attempts` times.
pub(crate) async fn retry<T, F>(
    clock: &dyn Clock,
    attempts: u32,
    mut call: impl FnMut() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut failures = 0;
    loop {
        match call().await {
            Err(error) if is_passing(&error) && failures + 1 < attempts => {
                failures += 1;
                clock.sleep_until(clock.now() + delay(failures)).await;
            }
            result => return result,
        }
    }
}

/// Whether the same call may succeed later. An unknown outcome is one of these where the call
/// changes nothing the second time.
fn is_passing(error: &StoreError) -> bool {
    error.is_retryable() || error.kind() == StoreErrorKind::OutcomeUnknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_ends_between_the_last_two_attempts() {
        let until = |attempt: u32| (1..attempt).map(delay).sum::<Duration>();
        assert!(until(MAX_ATTEMPTS - 1) < PATIENCE && PATIENCE < until(MAX_ATTEMPTS));
    }

    #[test]
    fn delays_double_up_to_the_limit() {
        let delays: Vec<_> = [1, 2, 3, 8, 100].into_iter().map(|n| delay(n).as_millis()).collect();
        assert_eq!(delays, [50, 100, 200, 5_000, 5_000]);
    }
}
