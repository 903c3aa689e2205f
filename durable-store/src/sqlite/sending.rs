//! Accepting messages from outside: a look at each, a decision for each in order, and the storing
//! of what was accepted. Runs in the writer's transaction.

use rusqlite::{Connection, OptionalExtension};

use crate::Timestamp;
use crate::codes::status;
use crate::deciding::{Decisions, Found, Target, decide};
use crate::model::{Accepted, Condition, Envelope, InstanceNo};

use super::instances::{create_pending, purge};
use super::messages::add;
use super::sql;
use super::statement::run_each;
use super::work::Failure;

/// Stores those of `envelopes` whose condition holds.
pub(super) fn accept(
    connection: &Connection,
    envelopes: &[Envelope],
    now: Timestamp,
) -> Result<Vec<Accepted>, Failure> {
    let found = look_up(connection, envelopes)?;
    let Decisions { answers, replaced } = decide(&envelopes.iter().collect::<Vec<_>>(), found);
    for no in replaced {
        purge(connection, no.0)?;
    }
    let sent = envelopes
        .iter()
        .zip(&answers)
        .filter_map(|(envelope, answer)| (*answer == Accepted::Sent).then_some(envelope));
    let reopened = sent.clone().filter(|e| matches!(e.condition, Condition::Reopens));
    run_each(connection, sql::REOPEN, reopened.map(|e| (&*e.message.target,)))?;
    for new in sent.clone().filter_map(|envelope| envelope.condition.created()) {
        create_pending(connection, sql::INSERT_INSTANCE, new)?;
    }
    add(connection, sent.clone().map(|envelope| &envelope.message))?;
    let receipts = sent.map(|envelope| (&*envelope.message.id, now.as_micros()));
    run_each(connection, sql::INSERT_RECEIPT, receipts)?;
    Ok(answers)
}

fn look_up(connection: &Connection, envelopes: &[Envelope]) -> rusqlite::Result<Vec<Found>> {
    let mut is_seen = connection.prepare_cached(sql::IS_SEEN)?;
    let mut read_target = connection.prepare_cached(sql::READ_TARGET)?;
    let look = |Envelope { message, .. }: &Envelope| {
        let seen = is_seen.exists((&*message.id,))?;
        let target = read_target.query_row((&*message.target,), |row| {
            let (no, code, request) = (InstanceNo(row.get(0)?), row.get(1)?, row.get(2)?);
            Ok(status(code).map(|status| Target { no, status, request }))
        });
        Ok(Found { seen, target: target.optional()?.flatten() })
    };
    envelopes.iter().map(look).collect()
}
