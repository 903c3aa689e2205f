//! Accepting messages from outside: one look at all of them, a decision for each in order, one
//! script that stores what was accepted. Runs in the writer's transaction.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::{Row, SqliteConnection};

use crate::Timestamp;
use crate::model::{Accepted, Condition, Envelope, NewInstance, PartitionId, Status};

use super::batch::{add_messages, create_pending};
use super::script::Script;
use super::sql;
use super::writer::Failure;

/// What is stored about an envelope's id and target.
struct Found {
    seen: bool,
    target: Option<(Status, String)>,
}

/// Stores those of `envelopes` whose condition holds, and adds the partitions that got one to
/// `hints`.
pub(super) async fn accept(
    connection: &mut SqliteConnection,
    envelopes: &[(&Envelope, Timestamp)],
    hints: &mut BTreeSet<PartitionId>,
) -> Result<Vec<Accepted>, Failure> {
    let found = look_up(connection, envelopes).await?;
    let answers = decide(envelopes, &found);
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
    let created = sent.iter().filter_map(|(envelope, _)| creates(envelope));
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

fn creates(envelope: &Envelope) -> Option<&NewInstance> {
    match &envelope.condition {
        Condition::Creates(new) => Some(new),
        Condition::None | Condition::Running => None,
    }
}

async fn look_up(
    connection: &mut SqliteConnection,
    envelopes: &[(&Envelope, Timestamp)],
) -> Result<Vec<Found>, Failure> {
    let mut script = Script::of(sql::LOOK_UP);
    let keys: Vec<_> = envelopes.iter().map(|(e, _)| (&e.message.id, &e.message.target)).collect();
    script.bind_rows(&keys)?;
    let outcomes = script.run_all(connection).await?;
    let mut found: Vec<Found> =
        envelopes.iter().map(|_| Found { seen: false, target: None }).collect();
    for row in outcomes.iter().flat_map(|outcome| &outcome.rows) {
        let place = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(usize::MAX);
        let seen = row.try_get(1)?;
        let status = row.try_get::<Option<i64>, _>(2)?.and_then(super::reader::status);
        let target = status.zip(row.try_get(3)?);
        if let Some(entry) = found.get_mut(place) {
            *entry = Found { seen, target };
        }
    }
    Ok(found)
}

/// Decides in order, where each envelope sees what those before it did.
fn decide(envelopes: &[(&Envelope, Timestamp)], found: &[Found]) -> Vec<Accepted> {
    let mut ids: HashSet<&str> = HashSet::new();
    let mut created: HashMap<&str, &str> = HashMap::new();
    let mut answers = Vec::with_capacity(envelopes.len());
    for ((envelope, _), found) in envelopes.iter().zip(found) {
        let message = &envelope.message;
        let new = created.get(&*message.target).map(|request| (Status::Pending, *request));
        let target = new.or(found.target.as_ref().map(|(status, request)| (*status, &**request)));
        let answer = match (&envelope.condition, target) {
            _ if found.seen || ids.contains(&*message.id) => Accepted::Duplicate,
            (Condition::Running, None) => Accepted::Unknown,
            (Condition::Running, Some((status, _))) if status.is_terminal() => {
                Accepted::Ended(status)
            }
            (Condition::Creates(new), Some((_, request))) if request == new.request => {
                Accepted::Duplicate
            }
            (Condition::Creates(_), Some((status, _))) => Accepted::Exists(status),
            (Condition::Creates(new), None) => {
                created.insert(&new.id, &new.request);
                Accepted::Sent
            }
            (Condition::None, _) | (Condition::Running, Some(_)) => Accepted::Sent,
        };
        if answer == Accepted::Sent {
            ids.insert(&message.id);
        }
        answers.push(answer);
    }
    answers
}
