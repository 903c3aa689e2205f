//! Accepting messages from outside: one look at all of them, a decision for each in order, one
//! script that stores what was accepted. Runs in the writer's transaction.

use std::collections::BTreeSet;

use sqlx::{Row, SqliteConnection};

use crate::Timestamp;
use crate::codes::status;
use crate::deciding::{Decisions, Found, Target, decide};
use crate::model::{Accepted, Condition, Envelope, InstanceNo, PartitionId};

use super::batch::{add_messages, create_pending, delete_marked};
use super::script::Script;
use super::sql;
use super::writer::Failure;

/// Stores those of `envelopes` whose condition holds, and adds the partitions that got one to
/// `hints`.
pub(super) async fn accept(
    connection: &mut SqliteConnection,
    envelopes: &[(&Envelope, Timestamp)],
    hints: &mut BTreeSet<PartitionId>,
) -> Result<Vec<Accepted>, Failure> {
    let found = look_up(connection, envelopes).await?;
    let only: Vec<&Envelope> = envelopes.iter().map(|(envelope, _)| *envelope).collect();
    let Decisions { answers, replaced } = decide(&only, found);
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
        script.bind_rows(&replaced.iter().map(|no| no.0).collect::<Vec<_>>())?;
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
        let status = row.try_get::<Option<i64>, _>(2)?.and_then(status);
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
