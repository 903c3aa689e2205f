//! Accepting messages from outside: one look at all of them, a decision for each in order, one
//! script that stores what was accepted. Runs in the writer's transaction.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::{Row, SqliteConnection};

use crate::Timestamp;
use crate::model::{Accepted, Condition, Envelope, InstanceNo, PartitionId, Status};

use super::batch::{add_messages, create_pending, delete_marked};
use super::script::Script;
use super::sql;
use super::writer::Failure;

/// What is stored about an envelope's id and target.
#[derive(Default)]
struct Found {
    seen: bool,
    target: Option<Target>,
}

/// An instance that is there, or that an envelope before would have made or changed.
#[derive(Clone)]
struct Target {
    no: InstanceNo,
    status: Status,
    request: String,
}

/// What becomes of envelopes.
#[derive(Default)]
struct Decisions {
    answers: Vec<Accepted>,
    /// Instances that make room for others.
    replaced: Vec<i64>,
}

/// Stores those of `envelopes` whose condition holds, and adds the partitions that got one to
/// `hints`.
pub(super) async fn accept(
    connection: &mut SqliteConnection,
    envelopes: &[(&Envelope, Timestamp)],
    hints: &mut BTreeSet<PartitionId>,
) -> Result<Vec<Accepted>, Failure> {
    let found = look_up(connection, envelopes).await?;
    let Decisions { answers, replaced } = decide(envelopes, found);
    let sent: Vec<(&Envelope, Timestamp)> = envelopes
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| **answer == Accepted::Sent)
        .map(|(envelope, _)| *envelope)
        .collect();
    if sent.is_empty() {
        return Ok(answers);
    }
    let mut script = Script::default();
    if !replaced.is_empty() {
        script.push(sql::MARK_NUMBERS);
        script.bind_rows(&replaced)?;
        delete_marked(&mut script);
    }
    let reopened = sent.iter().filter(|(e, _)| matches!(e.condition, Condition::Reopens));
    let reopened: Vec<&str> = reopened.map(|(e, _)| &*e.message.target).collect();
    if !reopened.is_empty() {
        script.push(sql::REOPEN);
        script.bind_rows(&reopened)?;
    }
    let created = sent.iter().filter_map(|(envelope, _)| envelope.condition.created());
    create_pending(&mut script, sql::INSERT_INSTANCES, created)?;
    add_messages(&mut script, sent.iter().map(|(envelope, _)| &envelope.message))?;
    let receipts: Vec<_> =
        sent.iter().map(|(envelope, at)| (&envelope.message.id, at.as_micros())).collect();
    script.push(sql::INSERT_RECEIPTS);
    script.bind_rows(&receipts)?;
    script.run_all(connection).await?;
    hints.extend(sent.iter().map(|(envelope, _)| envelope.message.partition));
    Ok(answers)
}

async fn look_up(
    connection: &mut SqliteConnection,
    envelopes: &[(&Envelope, Timestamp)],
) -> Result<Vec<Found>, Failure> {
    let mut script = Script::of(sql::LOOK_UP);
    let keys: Vec<_> = envelopes.iter().map(|(e, _)| (&e.message.id, &e.message.target)).collect();
    script.bind_rows(&keys)?;
    let outcomes = script.run_all(connection).await?;
    let mut found: Vec<Found> = envelopes.iter().map(|_| Found::default()).collect();
    for row in outcomes.iter().flat_map(|outcome| &outcome.rows) {
        let place = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(usize::MAX);
        let seen = row.try_get(1)?;
        let status = row.try_get::<Option<i64>, _>(2)?.and_then(super::reader::status);
        let target = match status {
            Some(status) => {
                Some(Target { no: InstanceNo(row.try_get(4)?), status, request: row.try_get(3)? })
            }
            None => None,
        };
        if let Some(entry) = found.get_mut(place) {
            *entry = Found { seen, target };
        }
    }
    Ok(found)
}

/// Decides in order, where each envelope sees what those before it did.
fn decide(envelopes: &[(&Envelope, Timestamp)], found: Vec<Found>) -> Decisions {
    let mut ids: HashSet<&str> = HashSet::new();
    // What envelopes of this list made of their targets.
    let mut made: HashMap<&str, Target> = HashMap::new();
    let mut decisions = Decisions::default();
    for ((envelope, _), found) in envelopes.iter().zip(found) {
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
            decisions.replaced.extend(target.map(|old| old.no.0));
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
