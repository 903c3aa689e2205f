//! What is measured: time, latencies, and what the process and its worker have used.

use std::time::Duration;

use durable::{Clock as _, Metrics, SystemClock, Timestamp};
use serde_json::{Value, json};

/// How long each of many things took.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn add(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// The latency that so many of a hundred do not exceed, in milliseconds.
    fn percentile(&mut self, percent: usize) -> Option<f64> {
        self.0.sort_unstable();
        let index = (self.0.len() * percent / 100).min(self.0.len().checked_sub(1)?);
        self.0.get(index).map(|latency| latency.as_secs_f64() * 1_000.0)
    }
}

/// A point in time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Timestamp);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(SystemClock.now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        SystemClock.now().saturating_since(self.0)
    }
}

/// What one run came to.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) workload: &'static str,
    pub(crate) params: Value,
    pub(crate) wall: Duration,
    /// How many orchestrations, messages or steps were done.
    pub(crate) n: u64,
    pub(crate) activities: u64,
    pub(crate) latencies: Latencies,
    /// Set where the price of a step is the point.
    pub(crate) steps: Option<u64>,
    pub(crate) metrics: Metrics,
    /// What else a workload has to say.
    pub(crate) more: Value,
}

impl Report {
    /// The run as a line of JSON; fields that say nothing are left out.
    pub(crate) fn line(mut self, store: &str) -> anyhow::Result<String> {
        let wall = self.wall.as_secs_f64();
        let per_second = |count: u64| rounded(as_float(count) / wall);
        let mut line = json!({
            "workload": self.workload,
            "store": store,
            "params": self.params,
            "wall_s": rounded(wall),
            "n": self.n,
            "per_s": per_second(self.n),
            "cpu_s": rounded(cpu_seconds()?),
            "peak_rss_mb": peak_rss_mb()?,
            "commits": self.metrics.commits,
        });
        let mut set = |name: &str, value: Option<f64>| {
            if let Some(value) = value {
                line[name] = json!(rounded(value));
            }
        };
        let activities = (self.activities > 0).then_some(self.activities);
        set("act_per_s", activities.map(|count| as_float(count) / wall));
        set("p50_ms", self.latencies.percentile(50));
        set("p99_ms", self.latencies.percentile(99));
        set("ms_per_step", self.steps.map(|steps| wall * 1_000.0 / as_float(steps)));
        let commits = self.metrics.commits;
        set(
            "rows_per_commit",
            (commits > 0).then(|| as_float(self.metrics.rows) / as_float(commits)),
        );
        if let (Value::Object(line), Value::Object(more)) = (&mut line, self.more) {
            line.extend(more);
        }
        Ok(line.to_string())
    }
}

#[allow(clippy::cast_precision_loss)] // It is rounded anyway.
fn as_float(count: u64) -> f64 {
    count as f64
}

/// To four digits behind the point.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

/// User and system time of this process, from `/proc` (see `proc(5)`).
fn cpu_seconds() -> anyhow::Result<f64> {
    /// The unit of the times, fixed on Linux.
    const TICKS_PER_SECOND: u64 = 100;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name of the program, in parentheses, may hold anything.
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok());
    let ticks = ticks(11).unwrap_or(0) + ticks(12).unwrap_or(0);
    Ok(as_float(ticks) / as_float(TICKS_PER_SECOND))
}

/// The largest resident memory of this process so far.
pub(crate) fn peak_rss_mb() -> anyhow::Result<u64> {
    memory("VmHWM:")
}

/// The resident memory of this process now.
pub(crate) fn rss_mb() -> anyhow::Result<u64> {
    memory("VmRSS:")
}

fn memory(name: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kilobytes.unwrap_or(0) / 1_024)
}
