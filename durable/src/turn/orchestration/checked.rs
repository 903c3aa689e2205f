//! The determinism check: a turn that runs the program is run a second time from the same saved bytes,
//! and must come to the same, or the instance fails with the first difference.

use std::sync::Arc;

use durable_store::{Payload, SideKey, Status, Timestamp};

use super::{Changes, OrchestrationInstance, Start};
use crate::error::{Failure, TaskErrorKind};
use crate::message::Body;
use crate::turn::check::{self, Snapshot};
use crate::turn::core::Core;
use crate::turn::watch::Watch;
use crate::turn::{Blocked, Inbound, TurnOutput};

impl OrchestrationInstance {
    pub(in super::super) fn turn(&mut self, inbound: Vec<Inbound>, now: Timestamp) -> TurnOutput {
        let Some(mut snapshot) = self.saved.take() else { return self.run(inbound, now) };
        let owed = inbound.clone();
        let mut out = self.run(inbound.clone(), now);
        let twin = self.stepped.then(|| self.twin(&snapshot));
        let difference = match twin {
            // Nothing of the program ran: there is nothing to check.
            None => None,
            Some(Ok(mut twin)) => check::difference(&out, &quietly(|| twin.run(inbound, now))),
            Some(Err(blocked)) => Some(format!("what was saved cannot be read back: {blocked}")),
        };
        if let Some(difference) = difference
            && let Ok(mut again) = self.twin(&snapshot)
        {
            out = again.refuse(&difference, owed, now);
            *self = again;
        }
        snapshot.apply(&out.change);
        self.saved = Some(snapshot);
        out
    }

    /// The same instance, made again from its saved bytes. Its own turns are not checked.
    fn twin(&self, snapshot: &Snapshot) -> Result<Self, Blocked> {
        let mut identity = self.core.identity.clone();
        identity.version.clone_from(&snapshot.version);
        let mut twin = Self {
            core: Core::new(identity),
            program: Arc::clone(&self.program),
            input: Arc::clone(&snapshot.input),
            status: snapshot.status,
            output: snapshot.output.clone(),
            machine: None,
            watch: Watch::Nothing,
            locals: None,
            kept: None,
            start: Start::before(snapshot.scheduled),
            rewinding: None,
            misfit: None,
            turn_in_row: false,
            stepped: false,
            saved: None,
        };
        twin.core.default_version = Arc::clone(&self.core.default_version);
        let rows: Vec<(SideKey, Payload)> =
            snapshot.rows.iter().map(|(key, row)| (*key, Arc::clone(row))).collect();
        match &snapshot.state {
            Some(state) => twin.restore(state, &rows)?,
            None => twin.restore_numbers(&rows)?,
        }
        Ok(twin)
    }

    /// Ends an orchestration that does not do the same again.
    fn refuse(&mut self, difference: &str, owed: Vec<Inbound>, now: Timestamp) -> TurnOutput {
        let mut changes = Changes::default();
        self.core.now = self.core.now.max(now);
        self.core.turn += 1;
        self.status = Status::Running;
        let message = format!(
            "the orchestrator is not deterministic: run again from the same saved state, {difference}"
        );
        for message in &owed {
            if let Inbound::Message(Body::Start { request, reply }) = message
                && *request == self.core.identity.request
                && self.core.reply.is_none()
            {
                self.core.reply.clone_from(reply);
            }
        }
        self.fail(TaskErrorKind::Failed, Failure::new("NonDeterministic", message), &mut changes);
        // Others may be waiting for answers to what came with this turn.
        for message in owed {
            self.deliver(message, &mut changes);
        }
        self.finish_turn(changes)
    }
}

/// Runs what was run before: the program's log says everything once.
fn quietly<T>(run: impl FnOnce() -> T) -> T {
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::new(), run)
}
