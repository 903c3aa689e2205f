//! When a call that failed is made again: the policy of a program, as data, and the rules in it that
//! are code. Pure: the time and the randomness are passed in.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Failure, TaskError, TaskErrorKind, TaskFailure};

/// Most attempts of a policy that does not say how many.
pub const DEFAULT_MAX_ATTEMPTS: u32 = 10;
/// The longest wait before an attempt of a policy that does not say how long. The default of the
/// original's portable SDK.
pub const DEFAULT_MAX_INTERVAL: Duration = Duration::from_hours(1);
/// By what [`RetryPolicy::exponential`] multiplies the wait after each attempt.
pub const DEFAULT_BACKOFF_COEFFICIENT: f64 = 2.0;

/// When a failed call of an activity or a sub-orchestration is made again, and how long is waited
/// before. Given to [`Call::retry`](crate::Call::retry).
///
/// It is data, and saved with the call: attempts go on where they were after a crash. A call fails
/// with the failure of its last attempt. Errors that are [`NonRetryable`](crate::NonRetryable),
/// arguments that do not fit, functions that no worker knows, and sub-orchestrations that were
/// terminated are not tried again.
///
/// ```
/// # use std::time::Duration;
/// # use durable::prelude::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Debug, Serialize, Deserialize, thiserror::Error)]
/// # #[error("{code}")]
/// # struct PaymentError { code: u32 }
/// # #[activity] async fn charge(order: u64) -> Result<String, PaymentError> { Ok(String::new()) }
/// #[orchestrator]
/// async fn pay(order: u64) -> Result<String, TaskError> {
///     let policy = RetryPolicy::exponential(Duration::from_secs(1))
///         .max_attempts(5)
///         .max_interval(Duration::from_secs(20))
///         .attempt_timeout(Duration::from_secs(10))
///         .retry_if(|error: &PaymentError| error.code >= 500);
///     charge(order).retry(policy).await
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[must_use = "a policy does nothing until it is given to a call"]
pub struct RetryPolicy {
    max_attempts: u32,
    first_interval: Duration,
    backoff_coefficient: f64,
    max_interval: Duration,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    total_timeout: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempt_timeout: Option<Duration>,
    #[serde(default, skip_serializing_if = "is_zero")]
    jitter: f64,
    /// The rules are code of the orchestrator, which has them by these names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_if: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks so.
fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

impl RetryPolicy {
    /// Waits this long before the second attempt, and twice as long after each further one, but
    /// never longer than [`DEFAULT_MAX_INTERVAL`], for up to [`DEFAULT_MAX_ATTEMPTS`].
    pub fn exponential(first_interval: Duration) -> Self {
        Self {
            max_attempts: DEFAULT_MAX_ATTEMPTS,
            first_interval,
            backoff_coefficient: DEFAULT_BACKOFF_COEFFICIENT,
            max_interval: DEFAULT_MAX_INTERVAL.max(first_interval),
            total_timeout: None,
            attempt_timeout: None,
            jitter: 0.0,
            retry_if: None,
            retry_after: None,
        }
    }

    /// Waits this long before each attempt after the first, for up to [`DEFAULT_MAX_ATTEMPTS`].
    pub fn fixed(interval: Duration) -> Self {
        Self { backoff_coefficient: 1.0, ..Self::exponential(interval) }
    }

    /// Most attempts, the first one included; 1 is no retry. An attempt whose worker dies is made
    /// again beside this, up to [`MAX_LOST_ATTEMPTS`](crate::MAX_LOST_ATTEMPTS).
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// By what the wait is multiplied after each attempt: at least 1.
    pub fn backoff_coefficient(mut self, coefficient: f64) -> Self {
        self.backoff_coefficient = coefficient;
        self
    }

    /// The longest wait before an attempt: at least the first.
    pub fn max_interval(mut self, interval: Duration) -> Self {
        self.max_interval = interval;
        self
    }

    /// No attempt begins when so much time is over since the first one began.
    pub fn total_timeout(mut self, limit: Duration) -> Self {
        self.total_timeout = Some(limit);
        self
    }

    /// How long each attempt may take. One that takes longer has failed, with an error that says
    /// [`TaskError::is_timeout`]: an activity gets its cancellation signal, a sub-orchestration is
    /// terminated with its children.
    pub fn attempt_timeout(mut self, limit: Duration) -> Self {
        self.attempt_timeout = Some(limit);
        self
    }

    /// Shortens each wait by a random part of at most this much of it, from 0 to 1, so that calls
    /// that failed together are not made again together. What it comes to is decided once, and
    /// saved.
    pub fn jitter(mut self, part: f64) -> Self {
        self.jitter = part;
        self
    }

    /// Makes the call again only if this says so of the error.
    ///
    /// The rule is a closure that captures nothing, or the name of a function, and stands in the
    /// body of the orchestrator: the compiler lists it there, so that it is found again whenever
    /// an attempt has failed, however often the program was restarted in between. Its argument is
    /// a reference to the error type of what was called, which must be serialisable, or to
    /// [`TaskError`]. It is not asked about failures without a value of that type (a panic, an
    /// attempt that timed out), which are tried again.
    ///
    /// The number of attempts and the time limits are obeyed in any case.
    pub fn retry_if<R: ErrorRule>(mut self, rule: R) -> Self {
        self.retry_if = Some(rule.into_name());
        self
    }

    /// Waits as long before the next attempt as this says, in place of the intervals. The rule is
    /// written as that of [`retry_if`](Self::retry_if), and gets a `&`[`FailedAttempt`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use durable::prelude::*;
    /// # #[activity] async fn poll(job: u64) -> Result<(), String> { Ok(()) }
    /// #[orchestrator]
    /// async fn watch(job: u64) -> Result<(), TaskError> {
    ///     let policy = RetryPolicy::fixed(Duration::from_secs(1)).retry_after(
    ///         |failed: &FailedAttempt| Duration::from_secs(u64::from(failed.attempt).pow(2)),
    ///     );
    ///     poll(job).retry(policy).await
    /// }
    /// ```
    pub fn retry_after<R: DelayRule>(mut self, rule: R) -> Self {
        self.retry_after = Some(rule.into_name());
        self
    }

    /// How long one attempt may take.
    pub(crate) fn attempt_limit(&self) -> Option<Duration> {
        self.attempt_timeout
    }

    pub(crate) fn limit_attempts_to(&mut self, limit: Duration) {
        self.attempt_timeout = Some(limit);
    }

    /// The names of its rules.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &str> {
        self.retry_if.as_deref().into_iter().chain(self.retry_after.as_deref())
    }

    /// Says what is wrong with it, if something is.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.max_attempts == 0 {
            return Err("a retry policy needs at least one attempt".to_owned());
        }
        let coefficient = self.backoff_coefficient;
        if !coefficient.is_finite() || coefficient < 1.0 {
            return Err(format!("the backoff coefficient is {coefficient}, it must be 1 or more"));
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(format!("the jitter is {}, it must be from 0 to 1", self.jitter));
        }
        if self.max_interval < self.first_interval {
            return Err(format!(
                "the longest interval {:?} is shorter than the first, {:?}",
                self.max_interval, self.first_interval
            ));
        }
        Ok(())
    }

    /// How long to wait before the next attempt, or that there is none. `random` is from 0 to 1.
    pub(crate) fn next_delay(
        &self,
        failed: &FailedAttempt,
        rules: &[RetryRule],
        random: f64,
    ) -> Result<Option<Duration>, TaskFailure> {
        if !may_succeed_later(&failed.error) || failed.attempt >= self.max_attempts {
            return Ok(None);
        }
        if let Some(rule) = &self.retry_if
            && !find(rules, rule)?.allows(failed)?
        {
            return Ok(None);
        }
        let delay = match &self.retry_after {
            Some(rule) => find(rules, rule)?.delay(failed)?,
            None => self.interval(failed.attempt),
        };
        let delay = shorten(delay, self.jitter * random);
        let is_late =
            self.total_timeout.is_some_and(|limit| failed.elapsed.saturating_add(delay) >= limit);
        Ok((!is_late).then_some(delay))
    }

    /// The wait after this attempt: `first * coefficient ^ (attempt - 1)`, within the limit.
    fn interval(&self, attempt: u32) -> Duration {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        // The factor may be infinite, and no time that often is none.
        let factor = self.backoff_coefficient.powi(exponent).min(f64::MAX);
        let seconds = self.first_interval.as_secs_f64() * factor;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).min(self.max_interval)
    }
}

/// What is left of a delay without a part of it.
fn shorten(delay: Duration, part: f64) -> Duration {
    if part <= 0.0 {
        return delay;
    }
    let seconds = delay.as_secs_f64() * (1.0 - part.min(1.0));
    Duration::try_from_secs_f64(seconds).unwrap_or(delay)
}

/// Whether another attempt could come to something else.
fn may_succeed_later(error: &TaskError) -> bool {
    let kind = match error.kind() {
        TaskErrorKind::Failed
        | TaskErrorKind::Panicked
        | TaskErrorKind::TimedOut
        | TaskErrorKind::Refused => true,
        TaskErrorKind::Terminated
        | TaskErrorKind::Cancelled
        | TaskErrorKind::NotRegistered
        | TaskErrorKind::Payload
        | TaskErrorKind::WorkerLost => false,
    };
    kind && !error.is_non_retryable()
}

/// An attempt of a call that has failed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FailedAttempt {
    /// The number of the attempt, from 1. Attempts whose worker died are not counted.
    pub attempt: u32,
    /// Why it failed.
    pub error: TaskError,
    /// How long ago the first attempt began.
    pub elapsed: Duration,
}

// --- rules ----------------------------------------------------------------------------------------

/// What a rule says of a failed attempt.
enum Answer {
    Retry(bool),
    After(Duration),
}

/// A rule of a policy, under the name by which saved policies know it.
#[doc(hidden)]
#[derive(Clone)]
pub struct RetryRule {
    name: &'static str,
    ask: Arc<dyn Fn(&FailedAttempt) -> Answer + Send + Sync>,
}

impl fmt::Debug for RetryRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RetryRule({})", self.name)
    }
}

impl RetryRule {
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Asks the rule, which is code of the user's.
    fn ask(&self, failed: &FailedAttempt) -> Result<Answer, TaskFailure> {
        catch_unwind(AssertUnwindSafe(|| (self.ask)(failed))).map_err(|panic| {
            let message = format!("the retry rule `{}`: {}", self.name, Failure::of_panic(&*panic));
            TaskFailure::new(TaskErrorKind::Panicked, Failure::final_one("panic", message))
        })
    }

    fn allows(&self, failed: &FailedAttempt) -> Result<bool, TaskFailure> {
        Ok(!matches!(self.ask(failed)?, Answer::Retry(false)))
    }

    fn delay(&self, failed: &FailedAttempt) -> Result<Duration, TaskFailure> {
        match self.ask(failed)? {
            Answer::After(delay) => Ok(delay),
            Answer::Retry(_) => Ok(Duration::ZERO),
        }
    }
}

fn find<'a>(rules: &'a [RetryRule], name: &str) -> Result<&'a RetryRule, TaskFailure> {
    rules.iter().find(|rule| rule.name == name).ok_or_else(|| unknown_rule(name))
}

/// A policy names a rule that the orchestrator does not have.
fn unknown_rule(name: &str) -> TaskFailure {
    let message = format!(
        "this orchestrator has no retry rule `{name}`: a policy with rules is for the orchestrator \
         in which they are written"
    );
    TaskFailure::new(TaskErrorKind::Refused, Failure::final_one("UnknownRetryRule", message))
}

/// Decides whether a failed call is made again: see [`RetryPolicy::retry_if`].
#[diagnostic::on_unimplemented(
    message = "a retry rule is written in the body of an orchestrator",
    label = "this is not in one, or not where the compiler sees it",
    note = "rules are found again by the orchestrator that is resumed: give the policy its \
            `.retry_if(..)` or `.retry_after(..)` in the `#[orchestrator]`, and not inside of a macro"
)]
pub trait ErrorRule {
    #[doc(hidden)]
    fn into_name(self) -> String;
}

/// Decides how long is waited: see [`RetryPolicy::retry_after`].
#[diagnostic::on_unimplemented(
    message = "a retry rule is written in the body of an orchestrator",
    label = "this is not in one, or not where the compiler sees it",
    note = "rules are found again by the orchestrator that is resumed: give the policy its \
            `.retry_if(..)` or `.retry_after(..)` in the `#[orchestrator]`, and not inside of a macro"
)]
pub trait DelayRule {
    #[doc(hidden)]
    fn into_name(self) -> String;
}

/// What stands in a body in place of a rule.
#[doc(hidden)]
#[derive(Debug)]
pub struct RuleName(&'static str);

#[doc(hidden)]
pub fn rule_name(name: &'static str) -> RuleName {
    RuleName(name)
}

#[diagnostic::do_not_recommend]
impl ErrorRule for RuleName {
    fn into_name(self) -> String {
        self.0.to_owned()
    }
}

#[diagnostic::do_not_recommend]
impl DelayRule for RuleName {
    fn into_name(self) -> String {
        self.0.to_owned()
    }
}

/// A rule about errors of type `E`.
#[doc(hidden)]
pub fn retry_if<E, F>(name: &'static str, rule: F) -> RetryRule
where
    E: DeserializeOwned + 'static,
    F: Fn(&E) -> bool + Send + Sync + 'static,
{
    let ask = move |failed: &FailedAttempt| {
        let error: &dyn Any = &failed.error;
        let answer = match error.downcast_ref::<E>() {
            // It asks for the failure of the call itself.
            Some(error) => rule(error),
            None => failed.error.downcast::<E>().is_none_or(|error| rule(&error)),
        };
        Answer::Retry(answer)
    };
    RetryRule { name, ask: Arc::new(ask) }
}

/// A rule about the wait before the next attempt.
#[doc(hidden)]
pub fn retry_after<F>(name: &'static str, rule: F) -> RetryRule
where
    F: Fn(&FailedAttempt) -> Duration + Send + Sync + 'static,
{
    RetryRule { name, ask: Arc::new(move |failed| Answer::After(rule(failed))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(attempt: u32, failure: Failure) -> FailedAttempt {
        let error = TaskError::new(TaskErrorKind::Failed, "call", failure);
        FailedAttempt { attempt, error, elapsed: Duration::from_secs(u64::from(attempt)) }
    }

    fn delays(policy: &RetryPolicy, rules: &[RetryRule], random: f64) -> Vec<u64> {
        let delay = |attempt| {
            let failed = failed(attempt, Failure::new("Error", "no"));
            policy.next_delay(&failed, rules, random).unwrap()
        };
        let millis = |delay: Duration| u64::try_from(delay.as_millis()).unwrap();
        (1..).map_while(delay).map(millis).take(20).collect()
    }

    #[test]
    fn intervals_grow_up_to_their_limit_and_attempts_end() {
        let policy = RetryPolicy::exponential(Duration::from_secs(1)).max_attempts(6);
        let policy = policy.max_interval(Duration::from_secs(5));
        assert_eq!(delays(&policy, &[], 0.0), [1_000, 2_000, 4_000, 5_000, 5_000]);
        let fixed = RetryPolicy::fixed(Duration::from_secs(3)).max_attempts(3);
        assert_eq!(delays(&fixed, &[], 0.0), [3_000, 3_000]);
        let once = RetryPolicy::fixed(Duration::ZERO).max_attempts(1);
        assert!(delays(&once, &[], 0.0).is_empty());
        let many = RetryPolicy::exponential(Duration::from_secs(1)).max_attempts(u32::MAX);
        let last = failed(u32::MAX - 1, Failure::new("Error", "no"));
        assert_eq!(many.next_delay(&last, &[], 0.0).unwrap(), Some(DEFAULT_MAX_INTERVAL));
    }

    #[test]
    fn no_attempt_begins_after_the_total_timeout() {
        let policy =
            RetryPolicy::fixed(Duration::from_secs(1)).total_timeout(Duration::from_secs(4));
        // The attempt after the third would begin when 4 seconds are over.
        assert_eq!(delays(&policy, &[], 0.0).len(), 2);
    }

    #[test]
    fn jitter_shortens_and_never_lengthens() {
        let policy = RetryPolicy::fixed(Duration::from_secs(1)).max_attempts(2).jitter(0.5);
        assert_eq!(delays(&policy, &[], 0.0), [1_000]);
        assert_eq!(delays(&policy, &[], 1.0), [500]);
        assert_eq!(delays(&policy, &[], 0.5), [750]);
    }

    #[test]
    fn some_failures_are_final() {
        let policy = RetryPolicy::fixed(Duration::from_secs(1));
        let next = |failed: &FailedAttempt| policy.next_delay(failed, &[], 0.0).unwrap();
        assert!(next(&failed(1, Failure::new("Error", "no"))).is_some());
        assert!(next(&failed(1, Failure::final_one("Error", "no"))).is_none());
        let terminated = TaskError::new(TaskErrorKind::Terminated, "call", Failure::new("T", "t"));
        let terminated = FailedAttempt { error: terminated, ..failed(1, Failure::new("E", "")) };
        assert!(next(&terminated).is_none());
    }

    #[test]
    fn rules_see_the_typed_error_or_the_failure() {
        let coded = |code: u32| {
            let mut failure = Failure::new(std::any::type_name::<u32>(), "coded");
            failure.payload = Some(code.to_string());
            failed(1, failure)
        };
        let typed = retry_if("typed", |code: &u32| *code > 5);
        let whole = retry_if("whole", |error: &TaskError| error.task() == "x");
        let panics = retry_if("panics", |_: &u32| panic!("oh no"));
        let rules = [typed, whole, panics];
        let policy = |rule: &str| RetryPolicy {
            retry_if: Some(rule.to_owned()),
            ..RetryPolicy::fixed(Duration::from_secs(1))
        };
        let next = |rule, failed: &FailedAttempt| policy(rule).next_delay(failed, &rules, 0.0);
        assert!(next("typed", &coded(6)).unwrap().is_some());
        assert!(next("typed", &coded(5)).unwrap().is_none());
        assert!(next("typed", &failed(1, Failure::new("panic", "no value"))).unwrap().is_some());
        assert!(next("whole", &coded(6)).unwrap().is_none());
        let message = next("panics", &coded(1)).unwrap_err().failure.message;
        assert_eq!(message, "the retry rule `panics`: oh no");
        assert!(next("gone", &coded(1)).unwrap_err().failure.message.contains("`gone`"));
    }

    #[test]
    fn a_rule_may_decide_the_delay() {
        let squares =
            |failed: &FailedAttempt| Duration::from_secs(u64::from(failed.attempt).pow(2));
        let rules = [retry_after("squares", squares)];
        let policy = RetryPolicy {
            retry_after: Some("squares".to_owned()),
            ..RetryPolicy::fixed(Duration::from_secs(1)).max_attempts(4)
        };
        assert_eq!(delays(&policy, &rules, 0.0), [1_000, 4_000, 9_000]);
    }

    #[test]
    fn values_that_cannot_work_are_named() {
        let policy = || RetryPolicy::exponential(Duration::from_secs(2));
        assert!(policy().check().is_ok());
        let wrong = |policy: RetryPolicy| policy.check().unwrap_err();
        assert!(wrong(policy().max_attempts(0)).contains("at least one attempt"));
        assert!(wrong(policy().backoff_coefficient(0.5)).contains("0.5"));
        assert!(wrong(policy().backoff_coefficient(f64::NAN)).contains("NaN"));
        assert!(wrong(policy().jitter(1.5)).contains("1.5"));
        assert!(wrong(policy().max_interval(Duration::from_secs(1))).contains("shorter"));
    }

    #[test]
    fn no_time_stays_none_however_often() {
        let policy = RetryPolicy::exponential(Duration::ZERO);
        assert_eq!(policy.interval(5_000), Duration::ZERO);
        let policy = RetryPolicy::exponential(Duration::from_secs(1));
        assert_eq!(policy.interval(5_000), policy.max_interval);
    }

    #[test]
    fn it_is_saved_without_what_it_does_not_say() {
        let policy = RetryPolicy::fixed(Duration::from_secs(1));
        let text = serde_json::to_string(&policy).unwrap();
        assert!(!text.contains("jitter") && !text.contains("retry_if"), "{text}");
        assert_eq!(serde_json::from_str::<RetryPolicy>(&text).unwrap(), policy);
    }
}
