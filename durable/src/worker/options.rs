//! The options of a worker, their defaults and their ranges.

use std::sync::Arc;
use std::time::Duration;

use durable_store::limits;

use super::lifecycle::Listener;
use super::upkeep::Retention;
use super::{HistoryRetention, WorkerError};
use crate::clock::{Clock, SystemClock};
use crate::version::{self, VersionMatch, VersionMismatch, Versioning};

/// Instances that stay decoded in memory, if nothing else is said: enough for those that are between
/// two steps at the same time on most workers, and a bound on what large states take.
pub const DEFAULT_RESIDENT_INSTANCES: usize = 2_000;
/// Overrides [`DEFAULT_RESIDENT_INSTANCES`], so that a whole test run can be made with 0.
pub const RESIDENT_INSTANCES_VARIABLE: &str = "DURABLE_RESIDENT_INSTANCES";
/// Activities that run at once for each core, if nothing else is said. The original's number.
pub const DEFAULT_ACTIVITIES_PER_CORE: usize = 10;
/// Orchestrations, and entities, whose turns one commit carries, if nothing else is said.
pub const DEFAULT_BATCH_INSTANCES: usize = 250;
/// How long a lease lasts, if nothing else is said.
pub const DEFAULT_LEASE_LENGTH: Duration = Duration::from_secs(30);
/// How often each partition is polled when no hint comes, if nothing else is said.
pub const DEFAULT_POLL_INTERVAL: Duration = Duration::from_millis(500);
/// How far ahead scheduled messages are read, at least.
const MIN_HORIZON: Duration = Duration::from_secs(2);
/// How long a shutdown waits for running activities, if nothing else is said.
pub const DEFAULT_SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// What the number of concurrent things may be.
const CONCURRENCY: std::ops::RangeInclusive<usize> = 1..=1_000_000;
/// What a lease length may be: below it renewal cannot keep up, above it a crash costs too long.
const LEASE_LENGTH: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_hours(1);
/// How many turns of history may be kept, if not all.
const HISTORY_TURNS: std::ops::RangeInclusive<u32> = 1..=1_000_000_000;
/// What a poll interval may be.
const POLL_INTERVAL: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_mins(1);

#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) resident_instances: Option<usize>,
    pub(super) max_concurrent_activities: Option<usize>,
    pub(super) max_concurrent_orchestrations: usize,
    pub(super) max_concurrent_entities: usize,
    pub(super) lease_length: Duration,
    pub(super) poll_interval: Duration,
    pub(super) horizon: Duration,
    pub(super) shutdown_grace: Duration,
    pub(super) history: HistoryRetention,
    pub(super) retention: Retention,
    pub(super) listener: Listener,
    pub(super) worker_id: Option<String>,
    pub(super) check_determinism: bool,
    pub(super) default_version: String,
    pub(super) version_match: VersionMatch,
    pub(super) on_version_mismatch: VersionMismatch,
    pub(super) clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            resident_instances: None,
            max_concurrent_activities: None,
            max_concurrent_orchestrations: DEFAULT_BATCH_INSTANCES,
            max_concurrent_entities: DEFAULT_BATCH_INSTANCES,
            lease_length: DEFAULT_LEASE_LENGTH,
            poll_interval: DEFAULT_POLL_INTERVAL,
            horizon: MIN_HORIZON,
            shutdown_grace: DEFAULT_SHUTDOWN_GRACE,
            history: HistoryRetention::All,
            retention: Retention::default(),
            listener: Listener::default(),
            worker_id: None,
            check_determinism: cfg!(debug_assertions),
            default_version: String::new(),
            version_match: VersionMatch::default(),
            on_version_mismatch: VersionMismatch::default(),
            clock: Arc::new(SystemClock),
        }
    }
}

/// The options once they are complete and checked.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) resident_instances: usize,
    pub(super) max_concurrent_activities: usize,
    pub(super) max_concurrent_orchestrations: usize,
    pub(super) max_concurrent_entities: usize,
    pub(super) lease_length: Duration,
    pub(super) poll_interval: Duration,
    /// How far ahead scheduled messages are read. Twice the poll interval or more, so that each is
    /// in memory before it is due.
    pub(super) horizon: Duration,
    pub(super) shutdown_grace: Duration,
    pub(super) history: HistoryRetention,
    pub(super) listener: Listener,
    pub(super) worker_id: String,
}

impl Options {
    /// What the worker makes of versions, if that goes together.
    pub(super) fn versioning(&self) -> Result<Versioning, WorkerError> {
        let (version, version_match) = (&self.default_version, self.version_match);
        if let Err(rule) = version::check(version) {
            let detail = format!("cannot be used: {rule}");
            return Err(WorkerError::Option { option: "default_version", detail });
        }
        if version.is_empty() && version_match != VersionMatch::Any {
            let detail = format!(
                "is `{version_match:?}`, which compares with the version of the worker: give it one \
                 with `.default_version(..)`"
            );
            return Err(WorkerError::Option { option: "version_match", detail });
        }
        Ok(Versioning {
            default_version: version.as_str().into(),
            version_match,
            on_mismatch: self.on_version_mismatch,
        })
    }

    /// Fills in the defaults and checks the ranges.
    pub(super) fn check(self) -> Result<Settings, WorkerError> {
        let resident_instances = match self.resident_instances {
            Some(count) => count,
            None => resident_default(std::env::var(RESIDENT_INSTANCES_VARIABLE).ok())?,
        };
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let settings = Settings {
            resident_instances,
            max_concurrent_activities: self
                .max_concurrent_activities
                .unwrap_or(cores * DEFAULT_ACTIVITIES_PER_CORE),
            max_concurrent_orchestrations: self.max_concurrent_orchestrations,
            max_concurrent_entities: self.max_concurrent_entities,
            lease_length: self.lease_length,
            poll_interval: self.poll_interval,
            horizon: self.horizon.max(self.poll_interval * 2),
            shutdown_grace: self.shutdown_grace,
            history: self.history,
            listener: self.listener,
            worker_id: match self.worker_id {
                Some(id) => id,
                None => self.clock.new_id().simple().to_string(),
            },
        };
        settings.check_ranges()?;
        if let Some(status) = self.retention.not_ended() {
            let detail =
                format!("names {status:?}, which is not an end: only what ended is purged");
            return Err(WorkerError::Option { option: "purge_after", detail });
        }
        Ok(settings)
    }
}

impl Settings {
    fn check_ranges(&self) -> Result<(), WorkerError> {
        in_range("max_concurrent_activities", &self.max_concurrent_activities, &CONCURRENCY)?;
        let orchestrations = &self.max_concurrent_orchestrations;
        in_range("max_concurrent_orchestrations", orchestrations, &CONCURRENCY)?;
        in_range("max_concurrent_entities", &self.max_concurrent_entities, &CONCURRENCY)?;
        in_range("lease_length", &self.lease_length, &LEASE_LENGTH)?;
        in_range("poll_interval", &self.poll_interval, &POLL_INTERVAL)?;
        if let HistoryRetention::LastTurns(turns) = &self.history {
            in_range("history", turns, &HISTORY_TURNS)?;
        }
        let length = self.worker_id.len();
        in_range("length of worker_id", &length, &(1..=limits::MAX_NAME_BYTES))
    }
}

fn in_range<T: PartialOrd + std::fmt::Debug>(
    option: &'static str,
    value: &T,
    range: &std::ops::RangeInclusive<T>,
) -> Result<(), WorkerError> {
    if range.contains(value) {
        return Ok(());
    }
    let detail = format!("is {value:?}, it must be in {:?}..={:?}", range.start(), range.end());
    Err(WorkerError::Option { option, detail })
}

fn resident_default(variable: Option<String>) -> Result<usize, WorkerError> {
    let Some(text) = variable else { return Ok(DEFAULT_RESIDENT_INSTANCES) };
    text.trim().parse().map_err(|_| WorkerError::Option {
        option: RESIDENT_INSTANCES_VARIABLE,
        detail: format!("is set to `{text}` in the environment, it must be a number"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_errors_that_name_the_option() {
        let error = |options: Options| options.check().map(|_| ()).unwrap_err().to_string();
        let text = error(Options { lease_length: Duration::ZERO, ..Options::default() });
        assert_eq!(text, "the worker's option `lease_length` is 0ns, it must be in 1s..=3600s");
        let text = error(Options { worker_id: Some(String::new()), ..Options::default() });
        assert!(text.contains("`length of worker_id` is 0"), "{text}");
        let strict = Options { version_match: VersionMatch::Strict, ..Options::default() };
        let text = strict.versioning().unwrap_err().to_string();
        assert!(text.contains("`version_match` is `Strict`, which compares"), "{text}");
        let blank = Options { default_version: " ".to_owned(), ..Options::default() };
        let text = blank.versioning().unwrap_err().to_string();
        assert!(text.contains("`default_version` cannot be used: a version must"), "{text}");
        let text = resident_default(Some("many".to_owned())).unwrap_err().to_string();
        assert!(text.contains("`DURABLE_RESIDENT_INSTANCES` is set to `many`"), "{text}");
        assert_eq!(resident_default(Some("0".to_owned())).unwrap(), 0);
    }
}
