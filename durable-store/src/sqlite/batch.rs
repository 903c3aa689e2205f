//! From a batch to the script that applies it, and from the place where the script stopped to why.
//! Built on the caller's task, so that the writer only has to run it.

use std::collections::{BTreeSet, HashSet};

use crate::check::lease_lost;
use crate::codes::{kind_code, status_code, tags_text};
use crate::error::{StoreError, StoreErrorKind};
use crate::model::{
    Batch, Condition, Envelope, InstanceChange, Lease, Message, NewInstance, PartitionId,
};
use crate::store::Result;

use super::script::Script;
use super::sql;

/// The partition stands above these bits of `inbox.seq`.
const SEQ_BITS: u32 = 48;

/// The part of `inbox.seq` that belongs to a partition: from the first, before the second.
pub(super) fn seq_range(partition: PartitionId) -> (i64, i64) {
    (i64::from(partition.0) << SEQ_BITS, (i64::from(partition.0) + 1) << SEQ_BITS)
}

/// A batch as a script that stops at the first thing that is not as it should be.
pub(super) struct CommitScript {
    script: Script,
    lease: Lease,
    expected: Vec<Expected>,
    /// The partitions that get messages.
    pub(super) hints: BTreeSet<PartitionId>,
}

/// A place in the script that is not passed unless the statement before changed all its rows.
struct Expected {
    statement: usize,
    rows: usize,
    what: &'static str,
}

impl CommitScript {
    /// The script of a checked batch.
    pub(super) fn new(lease: &Lease, batch: &Batch) -> Result<Self> {
        let mut this = Self {
            script: Script::of(sql::EXPECT_LEASE),
            lease: lease.clone(),
            expected: Vec::new(),
            hints: batch.send.iter().map(|envelope| envelope.message.partition).collect(),
        };
        this.script.bind(i64::from(lease.partition.0))?;
        this.script.bind(lease.epoch)?;
        this.instances(&batch.instances)?;
        this.side_rows(&batch.instances)?;
        this.taken_messages(batch)?;
        let receipts: Vec<_> =
            batch.receipts.iter().map(|receipt| (&receipt.id, receipt.at.as_micros())).collect();
        this.rows(sql::INSERT_RECEIPTS, &receipts)?;
        this.conditions(&batch.send)?;
        let messages = batch.schedule.iter().chain(batch.send.iter().map(|e| &e.message));
        add_messages(&mut this.script, messages)?;
        let replies: Vec<_> =
            batch.replies.iter().map(|r| (&r.request, &*r.body, r.at.as_micros())).collect();
        this.rows(sql::PUT_REPLIES, &replies)?;
        Ok(this)
    }

    /// What there is to run.
    pub(super) fn script(&self) -> &Script {
        &self.script
    }

    /// The refusal, if the script stopped at one of its expectations after `done` statements.
    pub(super) fn refusal(&self, done: usize) -> Option<StoreError> {
        if done == 0 {
            return Some(lease_lost("commit", &self.lease));
        }
        let Expected { rows, what, .. } = self.expected.iter().find(|e| e.statement == done)?;
        let partition = self.lease.partition.0;
        Some(StoreError::new(
            StoreErrorKind::Conflict,
            "commit",
            format!("the batch of partition {partition} names {rows} {what}: not all exist"),
        ))
    }

    /// Adds a statement over a list of rows, unless there is none. Whether there was one.
    fn rows<T: serde::Serialize>(&mut self, statement: &'static str, rows: &[T]) -> Result<bool> {
        if rows.is_empty() {
            return Ok(false);
        }
        self.script.push(statement);
        self.script.bind_rows(rows)?;
        Ok(true)
    }

    /// The statement just added must change so many rows.
    fn expect(&mut self, rows: usize, what: &'static str) -> Result<()> {
        let statement = self.script.push(sql::EXPECT_CHANGES);
        self.script.bind(i64::try_from(rows).unwrap_or(i64::MAX))?;
        self.expected.push(Expected { statement, rows, what });
        Ok(())
    }

    fn instances(&mut self, changes: &[InstanceChange]) -> Result<()> {
        let created: Vec<_> =
            changes.iter().filter_map(|c| c.create.as_deref()).map(instance_row).collect();
        self.rows(sql::INSERT_INSTANCES, &created)?;
        insert_tags(&mut self.script, changes.iter().filter_map(|c| c.create.as_deref()))?;
        let new: Vec<_> = changes.iter().filter(|c| c.create.is_some()).map(progress_row).collect();
        self.rows(sql::INSERT_PROGRESS, &new)?;
        let old: Vec<_> = changes.iter().filter(|c| c.create.is_none()).map(progress_row).collect();
        if self.rows(sql::UPDATE_PROGRESS, &old)? {
            self.expect(old.len(), "instances to change")?;
        }
        let renewed: Vec<_> = changes
            .iter()
            .filter_map(|c| c.renew.as_ref().map(|new| (c.no.0, &new.version, &*new.input)))
            .collect();
        self.rows(sql::RENEW_INSTANCES, &renewed)?;
        let history: Vec<_> = changes
            .iter()
            .flat_map(|c| c.history.iter().map(|(turn, events)| (c.no.0, *turn, &**events)))
            .collect();
        self.rows(sql::INSERT_HISTORY, &history)?;
        let forgotten: Vec<_> =
            changes.iter().filter_map(|c| Some((c.no.0, c.forget_history_before?))).collect();
        self.rows(sql::FORGET_HISTORY, &forgotten)?;
        Ok(())
    }

    /// What goes with the conditions of messages, where they hold. Who replaces comes first.
    fn conditions(&mut self, send: &[Envelope]) -> Result<()> {
        let reopened: Vec<&str> = send
            .iter()
            .filter(|envelope| matches!(envelope.condition, Condition::Reopens))
            .map(|envelope| &*envelope.message.target)
            .collect();
        self.rows(sql::REOPEN, &reopened)?;
        let (mut replacing, mut created) = (Vec::new(), Vec::new());
        for envelope in send {
            match &envelope.condition {
                Condition::Replaces { new, .. } => replacing.push(&**new),
                Condition::Creates(new) => created.push(&**new),
                Condition::None | Condition::Running | Condition::Reopens => {}
            }
        }
        let replaced: Vec<&str> = replacing.iter().map(|new| &*new.id).collect();
        if self.rows(sql::MARK_IDS, &replaced)? {
            delete_marked(&mut self.script);
        }
        let new = replacing.into_iter().chain(created);
        create_pending(&mut self.script, sql::INSERT_INSTANCES_IF_ABSENT, new)
    }

    fn side_rows(&mut self, changes: &[InstanceChange]) -> Result<()> {
        let cleared: Vec<_> = changes.iter().filter(|c| c.clear_side).map(|c| c.no.0).collect();
        self.rows(sql::CLEAR_SIDE, &cleared)?;
        let deleted: Vec<_> =
            changes.iter().flat_map(|c| c.delete_side.iter().map(|key| (c.no.0, *key))).collect();
        self.rows(sql::DELETE_SIDE, &deleted)?;
        let put: Vec<_> = changes
            .iter()
            .flat_map(|c| c.put_side.iter().map(|(key, body)| (c.no.0, *key, &**body)))
            .collect();
        self.rows(sql::PUT_SIDE, &put)?;
        Ok(())
    }

    fn taken_messages(&mut self, batch: &Batch) -> Result<()> {
        if self.rows(sql::CONSUME, &batch.consume)? {
            let (first, end) = seq_range(self.lease.partition);
            self.script.bind(first)?;
            self.script.bind(end)?;
            self.expect(batch.consume.len(), "messages to consume")?;
        }
        if self.rows(sql::UNSCHEDULE, &batch.unschedule)? {
            self.script.bind(i64::from(self.lease.partition.0))?;
        }
        Ok(())
    }
}

type InstanceRow<'a> = (
    i64,
    &'a str,
    i64,
    &'a str,
    &'a str,
    Option<&'a str>,
    &'a str,
    i64,
    &'a str,
    Option<i64>,
    Option<String>,
);

fn instance_row(new: &NewInstance) -> InstanceRow<'_> {
    (
        new.no.0,
        &new.id,
        kind_code(new.kind),
        &new.name,
        &new.version,
        new.parent.as_deref(),
        &new.request,
        new.created_at.as_micros(),
        &new.input,
        new.starts_at.map(crate::Timestamp::as_micros),
        tags_text(new),
    )
}

type ProgressRow<'a> = (
    i64,
    i64,
    Option<&'a str>,
    u8,
    i64,
    Option<i64>,
    Option<&'a str>,
    Option<&'a str>,
    u8,
    Option<&'a str>,
);

fn progress_row(change: &InstanceChange) -> ProgressRow<'_> {
    let finished_at = change.finished_at.filter(|_| change.status.is_terminal());
    (
        change.no.0,
        status_code(change.status),
        change.blocked.as_deref(),
        u8::from(change.busy),
        change.updated_at.as_micros(),
        finished_at.map(crate::Timestamp::as_micros),
        change.state.as_deref(),
        change.output.as_deref(),
        u8::from(change.custom_status.is_none()),
        change.custom_status.as_ref().and_then(|custom| custom.as_deref()),
    )
}

/// Adds the creation of instances whose first message comes with them.
pub(super) fn create_pending<'a>(
    script: &mut Script,
    statement: &'static str,
    created: impl Iterator<Item = &'a NewInstance>,
) -> Result<()> {
    let created: Vec<&NewInstance> = created.collect();
    if created.is_empty() {
        return Ok(());
    }
    script.push(statement);
    script.bind_rows(&created.iter().map(|new| instance_row(new)).collect::<Vec<_>>())?;
    let numbers: Vec<_> = created.iter().map(|new| new.no.0).collect();
    script.push(sql::INSERT_PENDING);
    script.bind_rows(&numbers)?;
    insert_tags(script, created.into_iter())
}

/// Adds the tags of new instances, after their rows.
fn insert_tags<'a>(
    script: &mut Script,
    created: impl Iterator<Item = &'a NewInstance>,
) -> Result<()> {
    let tags: Vec<_> = created
        .flat_map(|new| new.tags.iter().map(|(key, value)| (new.no.0, key, value)))
        .collect();
    if tags.is_empty() {
        return Ok(());
    }
    script.push(sql::INSERT_TAGS);
    script.bind_rows(&tags)
}

/// Adds the deletion of instances that are marked as garbage.
pub(super) fn delete_marked(script: &mut Script) {
    for statement in sql::DELETE_MARKED {
        script.push(statement);
    }
}

type MessageRow<'a> = (i64, usize, &'a str, &'a str, &'a str, Option<i64>);

/// Adds the storing of messages, each unless its id is stored already: those with a due time in
/// the schedule, the others in the inbox, in their order.
pub(super) fn add_messages<'a>(
    script: &mut Script,
    messages: impl Iterator<Item = &'a Message>,
) -> Result<()> {
    let mut seen = HashSet::new();
    let messages: Vec<&Message> = messages.filter(|message| seen.insert(&message.id)).collect();
    if messages.is_empty() {
        return Ok(());
    }
    let (mut inbox, mut scheduled): (Vec<MessageRow<'_>>, Vec<MessageRow<'_>>) = (vec![], vec![]);
    for (place, message) in messages.iter().enumerate() {
        // Counted back from the number that `ADVANCE_SEQ` leaves.
        let back = messages.len() - place;
        let Message { id, partition, target, due_at, body } = message;
        if let Some(due_at) = due_at {
            let partition = i64::from(partition.0);
            scheduled.push((partition, back, id, target, body, Some(due_at.as_micros())));
        } else {
            inbox.push((seq_range(*partition).0, back, id, target, body, None));
        }
    }
    script.push(sql::ADVANCE_SEQ);
    script.bind(i64::try_from(messages.len()).unwrap_or(i64::MAX))?;
    for (statement, rows) in [(sql::INSERT_INBOX, inbox), (sql::INSERT_SCHEDULED, scheduled)] {
        if !rows.is_empty() {
            script.push(statement);
            script.bind_rows(&rows)?;
        }
    }
    Ok(())
}
