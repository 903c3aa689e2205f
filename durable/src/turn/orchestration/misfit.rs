//! Instances whose version is not for this worker, where they are not simply left alone: one that is
//! to fail fails before its program could run, and keeps where it stood, to be rewound elsewhere.

use std::sync::Arc;

use durable_store::{Status, StoredInstance};
use serde_json::value::RawValue;

use super::super::Blocked;
use super::super::kept::Kept;
use super::manage::NoProgram;
use super::{Changes, OrchestrationInstance, Start};
use crate::error::{Failure, TaskErrorKind};
use crate::message::Body;
use crate::program::SavedPosition;
use crate::registry::Registry;
use crate::turn::Inbound;
use crate::version::{VERSION_MISMATCH, VersionMismatch};

/// Why this worker must not run the program of an instance.
#[derive(Debug)]
pub(super) struct Misfit {
    why: String,
    /// What becomes of it.
    then: VersionMismatch,
    /// Where the program stands that was under way when the instance was loaded.
    stands: Option<Kept>,
}

impl Misfit {
    pub(super) fn of(version: &str, registry: &Registry) -> Option<Self> {
        let versioning = registry.versioning();
        let why = versioning.mismatch(version)?;
        Some(Self { why, then: versioning.on_mismatch, stands: None })
    }

    /// Whether the instance is only to be left alone: nothing of it has to be decoded.
    pub(super) fn is_rejected(&self) -> bool {
        self.then == VersionMismatch::Reject
    }

    pub(super) fn why(&self) -> &str {
        &self.why
    }

    /// The program is under way, and stays where it is.
    pub(super) fn stands(&mut self, position: SavedPosition, locals: &RawValue) {
        self.stands = Some(Kept::saved(position, locals.to_owned()));
    }
}

impl OrchestrationInstance {
    /// Reads the engine's part of an instance that is to fail: the program's may be of any build.
    pub(super) fn load_to_fail(stored: &StoredInstance, misfit: Misfit) -> Result<Self, Blocked> {
        let mut instance = Self::before(stored, Arc::new(NoProgram));
        instance.misfit = Some(misfit);
        match &stored.record.state {
            Some(state) => instance.restore(state, &stored.side)?,
            None => instance.restore_numbers(&stored.side)?,
        }
        Ok(instance)
    }

    /// Ends an instance that is not for this worker, if this message would have its program run.
    /// Before its start nothing runs, and a termination says how it is to end.
    pub(super) fn fail_misfit(&mut self, message: &Inbound, changes: &mut Changes) {
        let Some(misfit) = &mut self.misfit else { return };
        if self.status.is_terminal() || matches!(message, Inbound::Message(Body::Terminate { .. }))
        {
            return;
        }
        let stands = match self.start {
            // It was told to go on from where it failed, and no build could so far.
            Start::Over if self.rewinding.is_some() => self.kept.take(),
            // What has failed before is only told to go on by a message to come.
            Start::Over => misfit.stands.take(),
            Start::Due => Some(Kept::unbegun()),
            Start::Again => {
                matches!(message, Inbound::Message(Body::Start { .. })).then(Kept::unbegun)
            }
            Start::First | Start::Scheduled => match message {
                Inbound::Message(Body::Start { request, reply })
                    if *request == self.core.identity.request =>
                {
                    self.core.reply.clone_from(reply);
                    Some(Kept::unbegun())
                }
                _ => None,
            },
        };
        let Some(stands) = stands else { return };
        let failure = Failure::final_one(VERSION_MISMATCH, misfit.why.clone());
        self.start = Start::Over;
        self.fail(TaskErrorKind::Refused, failure, changes);
        self.kept = Some(stands);
    }

    /// Why an instance that failed is not to go on here, but to stay failed.
    pub(super) fn why_not_again(&self) -> Option<&str> {
        self.misfit.as_ref().filter(|misfit| !misfit.is_rejected()).map(Misfit::why)
    }

    /// Whether an instance that is to go on from where it failed is not for this worker. One that is
    /// rejected is blocked then, until it has another owner.
    pub(super) fn stays_misfit(&mut self, changes: &mut Changes) -> bool {
        let Some(misfit) = &self.misfit else { return false };
        if misfit.is_rejected() {
            self.rewinding = Some(misfit.why.clone());
            self.status = Status::Running;
            changes.rewrite = true;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use durable_store::{InstanceKind, InstanceNo, InstanceRecord, PartitionId, Tags, Timestamp};

    use super::*;

    fn failed() -> StoredInstance {
        let at = Timestamp::from_micros(0);
        let record = InstanceRecord {
            no: InstanceNo::new(PartitionId(0), 1),
            id: "a".to_owned(),
            kind: InstanceKind::Orchestration,
            name: "a".to_owned(),
            version: "1".to_owned(),
            parent: None,
            request: "r".to_owned(),
            status: Status::Failed,
            blocked: None,
            created_at: at,
            starts_at: None,
            tags: Tags::new(),
            updated_at: at,
            finished_at: Some(at),
            input: "null".into(),
            state: None,
            output: None,
            custom_status: None,
        };
        StoredInstance { record, side: Vec::new() }
    }

    /// It was in memory for a late message, when it was told to go on.
    #[test]
    fn what_has_failed_does_not_go_on_where_it_does_not_fit() {
        for (then, status, blocked) in [
            (VersionMismatch::Reject, Status::Running, Some("why".to_owned())),
            (VersionMismatch::Fail, Status::Failed, None),
        ] {
            let mut instance = OrchestrationInstance::before(&failed(), Arc::new(NoProgram));
            instance.start = Start::Over;
            instance.kept = Some(Kept::unbegun());
            instance.misfit = Some(Misfit { why: "why".to_owned(), then, stands: None });
            let rewind = Body::Rewind { reason: String::new(), reply: None };
            let out = instance.turn(vec![Inbound::Message(rewind)], Timestamp::from_micros(1));
            assert_eq!((out.change.status, out.change.blocked), (status, blocked), "{then:?}");
            // Who takes it over goes on from there.
            assert_eq!(out.change.busy, then == VersionMismatch::Reject);
            assert!(instance.kept.is_some());
        }
    }
}
