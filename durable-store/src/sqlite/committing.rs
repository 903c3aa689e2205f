//! Applying a batch, part by part in the order of its fields. Stops at the first thing that is not
//! as it should be; what was written by then is undone by the transaction.

use rusqlite::{Connection, OptionalExtension};

use crate::Timestamp;
use crate::check::lease_lost;
use crate::codes::status_code;
use crate::error::{StoreError, StoreErrorKind};
use crate::first_turn::{first_history, lowest_turn};
use crate::model::{Batch, Condition, Envelope, InstanceChange, Lease};

use super::instances::{create, create_pending, purge};
use super::messages::{add, seq_range};
use super::sql;
use super::statement::{exists, run, run_each};
use super::work::Failure;

type Applied = Result<(), Failure>;

/// Applies a checked batch under `lease`.
pub(super) fn commit(connection: &Connection, lease: &Lease, batch: &Batch) -> Applied {
    if !exists(connection, sql::FENCE, (lease.partition.0, lease.epoch))? {
        return Err(lease_lost("commit", lease).into());
    }
    instances(connection, lease, &batch.instances)?;
    side_rows(connection, &batch.instances)?;
    taken_messages(connection, lease, batch)?;
    conditions(connection, &batch.send)?;
    let sent = batch.send.iter().map(|envelope| &envelope.message);
    add(connection, batch.schedule.iter().chain(sent))?;
    let replies = batch.replies.iter().map(|r| (&*r.request, &*r.body, r.at.as_micros()));
    run_each(connection, sql::PUT_REPLY, replies)?;
    Ok(())
}

fn instances(connection: &Connection, lease: &Lease, changes: &[InstanceChange]) -> Applied {
    for change in changes {
        if let Some(new) = change.create.as_deref() {
            let first_events = first_history(change).0.map(|(_, events)| &**events);
            create(connection, sql::INSERT_INSTANCE, new, first_events)?;
        }
    }
    let new = changes.iter().filter(|change| change.create.is_some());
    run_each(connection, sql::INSERT_PROGRESS, new.map(progress_row))?;
    let old = changes.iter().filter(|change| change.create.is_none());
    let changed = run_each(connection, sql::UPDATE_PROGRESS, old.clone().map(progress_row))?;
    expect(lease, changed, old.count(), "instances to change: not all are as it expects")?;
    let renewed = changes.iter().filter_map(|change| Some((change.no.0, change.renew.as_ref()?)));
    run_each(
        connection,
        sql::RENEW_INSTANCE,
        renewed.map(|(no, new)| (no, &*new.version, &*new.input)),
    )?;
    let history = changes.iter().flat_map(|change| {
        first_history(change).1.iter().map(|(turn, events)| (change.no.0, *turn, &**events))
    });
    run_each(connection, sql::INSERT_HISTORY, history)?;
    forgotten_history(connection, changes)
}

fn forgotten_history(connection: &Connection, changes: &[InstanceChange]) -> Applied {
    let forgotten =
        changes.iter().filter_map(|change| Some((change.no.0, change.forget_history_before?)));
    run_each(connection, sql::FORGET_HISTORY, forgotten.clone())?;
    for (no, first_kept) in forgotten {
        if run(connection, sql::FORGET_FIRST_TURN, (no, first_kept))? > 0 {
            run(connection, sql::FORGET_FIRST_EVENTS, (no,))?;
        }
    }
    Ok(())
}

type ProgressRow<'a> = (
    i64,
    i64,
    Option<&'a str>,
    bool,
    i64,
    Option<i64>,
    Option<&'a str>,
    Option<&'a str>,
    bool,
    Option<&'a str>,
    Option<i64>,
);

fn progress_row(change: &InstanceChange) -> ProgressRow<'_> {
    let finished_at = change.finished_at.filter(|_| change.status.is_terminal());
    // Of a new instance the turn that is kept with it, of others the first that is told of.
    let turn = match change.create {
        Some(_) => first_history(change).0.map(|(turn, _)| *turn),
        None => lowest_turn(change),
    };
    (
        change.no.0,
        status_code(change.status),
        change.blocked.as_deref(),
        change.busy,
        change.updated_at.as_micros(),
        finished_at.map(Timestamp::as_micros),
        change.state.as_deref(),
        change.output.as_deref(),
        change.custom_status.is_none(),
        change.custom_status.as_ref().and_then(|custom| custom.as_deref()),
        turn,
    )
}

fn side_rows(connection: &Connection, changes: &[InstanceChange]) -> Applied {
    let cleared = changes.iter().filter(|change| change.clear_side);
    run_each(connection, sql::CLEAR_SIDE, cleared.map(|change| (change.no.0,)))?;
    let deleted =
        changes.iter().flat_map(|change| change.delete_side.iter().map(|key| (change.no.0, *key)));
    run_each(connection, sql::DELETE_SIDE, deleted)?;
    let put = changes
        .iter()
        .flat_map(|change| change.put_side.iter().map(|(key, body)| (change.no.0, *key, &**body)));
    run_each(connection, sql::PUT_SIDE, put)?;
    Ok(())
}

fn taken_messages(connection: &Connection, lease: &Lease, batch: &Batch) -> Applied {
    let (first, end) = seq_range(lease.partition);
    let consumed = batch.consume.iter().map(|id| (&**id, first, end));
    let consumed = run_each(connection, sql::CONSUME, consumed)?;
    expect(lease, consumed, batch.consume.len(), "messages to consume: not all exist")?;
    let partition = lease.partition.0;
    let unscheduled = batch.unschedule.iter().map(|id| (&**id, partition));
    run_each(connection, sql::UNSCHEDULE, unscheduled)?;
    let received = batch.receipts.iter().map(|receipt| (&*receipt.id, receipt.at.as_micros()));
    run_each(connection, sql::INSERT_RECEIPT, received)?;
    Ok(())
}

/// What goes with the conditions of messages, where they hold. Who replaces comes first.
fn conditions(connection: &Connection, send: &[Envelope]) -> Applied {
    let reopens = send.iter().filter(|envelope| matches!(envelope.condition, Condition::Reopens));
    run_each(connection, sql::REOPEN, reopens.map(|envelope| (&*envelope.message.target,)))?;
    let replacing = send.iter().filter_map(|envelope| match &envelope.condition {
        Condition::Replaces { new, .. } => Some(&**new),
        Condition::None | Condition::Running | Condition::Creates(_) | Condition::Reopens => None,
    });
    for new in replacing.clone() {
        let mut find = connection.prepare_cached(sql::FIND_NUMBER)?;
        let old: Option<i64> = find.query_row((&*new.id,), |row| row.get(0)).optional()?;
        if let Some(old) = old {
            purge(connection, old)?;
        }
    }
    let created = send.iter().filter_map(|envelope| match &envelope.condition {
        Condition::Creates(new) => Some(&**new),
        Condition::None | Condition::Running | Condition::Replaces { .. } | Condition::Reopens => {
            None
        }
    });
    for new in replacing.chain(created) {
        create_pending(connection, sql::INSERT_INSTANCE_IF_ABSENT, new)?;
    }
    Ok(())
}

/// Refuses the batch unless as many rows were changed as it names.
fn expect(lease: &Lease, changed: usize, named: usize, what: &str) -> Applied {
    if changed == named {
        return Ok(());
    }
    let partition = lease.partition.0;
    let detail = format!("the batch of partition {partition} names {named} {what}");
    Err(StoreError::new(StoreErrorKind::Conflict, "commit", detail).into())
}
