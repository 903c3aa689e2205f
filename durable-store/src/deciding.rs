//! Which messages from outside are accepted, from what is stored about them: a decision for each
//! in order. It reads and writes nothing.

use std::collections::{HashMap, HashSet};

use crate::model::{Accepted, Condition, Envelope, InstanceNo, Status};

/// What is stored about an envelope's id and target.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) seen: bool,
    pub(crate) target: Option<Target>,
}

/// An instance that is there, or that an envelope before would have made or changed.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) no: InstanceNo,
    pub(crate) status: Status,
    pub(crate) request: String,
}

/// What becomes of envelopes.
#[derive(Default)]
pub(crate) struct Decisions {
    pub(crate) answers: Vec<Accepted>,
    /// Instances that make room for others.
    pub(crate) replaced: Vec<InstanceNo>,
}

/// Decides in order, where each envelope sees what those before it did.
pub(crate) fn decide(envelopes: &[&Envelope], found: Vec<Found>) -> Decisions {
    let mut ids: HashSet<&str> = HashSet::new();
    // What envelopes of this list made of their targets.
    let mut made: HashMap<&str, Target> = HashMap::new();
    let mut decisions = Decisions::default();
    for (envelope, found) in envelopes.iter().zip(found) {
        let message = &envelope.message;
        let seen = found.seen || ids.contains(&*message.id);
        let target = made.get(&*message.target).cloned().or(found.target);
        let answer =
            if seen { Accepted::Duplicate } else { answer(&envelope.condition, target.as_ref()) };
        decisions.answers.push(answer);
        if answer != Accepted::Sent {
            continue;
        }
        ids.insert(&message.id);
        if let Some(new) = envelope.condition.created() {
            decisions.replaced.extend(target.map(|old| old.no));
            let (no, status, request) = (new.no, Status::Pending, new.request.clone());
            made.insert(&new.id, Target { no, status, request });
        } else if let (Condition::Reopens, Some(target)) = (&envelope.condition, target) {
            made.insert(&message.target, Target { status: Status::Running, ..target });
        }
    }
    decisions
}

/// Whether a condition holds for a target.
fn answer(condition: &Condition, target: Option<&Target>) -> Accepted {
    let Some(Target { no, status, request }) = target else {
        return match condition {
            Condition::Running | Condition::Reopens | Condition::Replaces { only: Some(_), .. } => {
                Accepted::Unknown
            }
            Condition::None | Condition::Creates(_) | Condition::Replaces { only: None, .. } => {
                Accepted::Sent
            }
        };
    };
    match condition {
        Condition::Running if status.is_terminal() => Accepted::Ended(*status),
        Condition::None | Condition::Running => Accepted::Sent,
        Condition::Reopens if *status == Status::Failed => Accepted::Sent,
        Condition::Reopens => Accepted::NotFailed(*status),
        Condition::Creates(new) | Condition::Replaces { new, .. } if new.request == *request => {
            Accepted::Duplicate
        }
        Condition::Replaces { only, .. }
            if status.is_terminal() && only.is_none_or(|only| only == *no) =>
        {
            Accepted::Sent
        }
        Condition::Creates(_) | Condition::Replaces { .. } => Accepted::Exists(*status),
    }
}
