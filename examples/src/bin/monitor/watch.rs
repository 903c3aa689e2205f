//! The orchestration: it looks, decides whether what it sees is complete, and waits, longer and
//! longer while nothing is there.

use std::path::PathBuf;
use std::time::Duration;

use durable::prelude::*;
use examples::blocking;
use serde::{Deserialize, Serialize};

use crate::snapshot::{self, Snapshot};

/// What is to be watched, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Watch {
    pub(crate) path: PathBuf,
    /// Between two looks at something that is there.
    pub(crate) interval: Duration,
    /// Between two looks at nothing, at the longest.
    pub(crate) longest: Duration,
    /// For so many intervals it must not change.
    pub(crate) stable: u32,
    /// After this time it is given up.
    pub(crate) deadline: Duration,
}

/// What is known so far; the custom status too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) last: Option<Snapshot>,
    /// For so many intervals it has not changed.
    pub(crate) unchanged: u32,
    /// Until the next look.
    pub(crate) interval: Duration,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// It is complete, and its list of hashes is written.
    Complete(Snapshot),
    /// The deadline passed; this was there at last.
    TimedOut(Option<Snapshot>),
}

#[deterministic]
impl Seen {
    fn nothing(watch: &Watch) -> Self {
        Self { last: None, unchanged: 0, interval: watch.interval }
    }

    /// Takes note of a look. What changes is looked at often, and nothing less and less often.
    fn note(&mut self, now: Option<Snapshot>, watch: &Watch) {
        if now.is_none() && self.last.is_none() {
            self.interval = (self.interval * 2).min(watch.longest);
        } else if now == self.last {
            self.unchanged += 1;
        } else {
            *self = Self { last: now, ..Self::nothing(watch) };
        }
    }

    /// What is there, if it has not changed for long enough.
    fn complete(&self, watch: &Watch) -> Option<Snapshot> {
        self.last.filter(|_| self.unchanged >= watch.stable)
    }
}

#[activity]
pub(crate) async fn look(path: PathBuf) -> anyhow::Result<Option<Snapshot>> {
    blocking(move || snapshot::look(&path)).await
}

#[activity]
pub(crate) async fn seal(path: PathBuf, seen: Snapshot) -> anyhow::Result<bool> {
    blocking(move || snapshot::seal(&path, seen)).await
}

/// Watches until it is complete or the deadline passes.
#[orchestrator]
pub(crate) async fn monitor(
    ctx: &OrchestrationContext,
    watch: Watch,
) -> Result<Outcome, TaskError> {
    // A file that cannot be read for a moment is no reason to give up.
    let patient = RetryPolicy::exponential(watch.interval).max_attempts(4);
    let deadline = ctx.now() + watch.deadline;
    let mut seen = Seen::nothing(&watch);
    loop {
        let now = look(watch.path.clone()).retry(patient.clone()).await?;
        seen.note(now, &watch);
        ctx.set_custom_status(seen.clone());
        if let Some(complete) = seen.complete(&watch) {
            if seal(watch.path.clone(), complete).retry(patient.clone()).await? {
                return Ok(Outcome::Complete(complete));
            }
            // It has changed while it was read.
            seen = Seen::nothing(&watch);
        }
        if ctx.now() >= deadline {
            return Ok(Outcome::TimedOut(seen.last));
        }
        // The last look is at the deadline itself.
        ctx.sleep_until(deadline.min(ctx.now() + seen.interval)).await;
    }
}
