//! The end of one run of an orchestration and the beginning of the next, under the same id and the
//! same number. Only what others may still refer to is kept: events, who waits for the end, and the
//! counters.

use durable_store::Renewal;

use super::{Changes, OrchestrationInstance, Start, Watch};
use crate::turn::NextRun;

impl OrchestrationInstance {
    /// Ends this run. The next one begins with the message that is sent here.
    pub(super) fn renew(&mut self, next: Option<NextRun>, changes: &mut Changes) {
        let Some(NextRun { version, input, discards_events }) = next else { return };
        self.core.abandon_tasks();
        if discards_events {
            self.core.discard_events();
        }
        self.core.send_next_start();
        (self.machine, self.locals, self.watch) = (None, None, Watch::Nothing);
        (self.kept, self.start) = (None, Start::Again);
        changes.last_step = None;
        changes.reload |= version != self.core.identity.version;
        self.core.identity.version.clone_from(&version);
        self.input = input.text();
        changes.renewal = Some(Renewal { version, input: self.input.clone() });
    }
}
