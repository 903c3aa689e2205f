//! From batches, or from accepted messages, to the parts of the statement that applies them. It
//! decides only whether the parts can go in one statement, where none sees what another did.

use std::collections::HashSet;

use crate::Timestamp;
use crate::codes::{kind_code, status_code, tags_text};
use crate::first_turn::{HistoryRow, first_history, lowest_turn};
use crate::model::{
    Batch, Condition, Envelope, InstanceChange, Lease, Message, NewInstance, Receipt, Reply,
};

use super::sql;
use super::statement::{Part, Value, body};

/// A history row of more bytes than this is not kept in the row of its instance, which each turn
/// copies, unless the instance has no more turns to come.
const MAX_KEPT_HISTORY_BYTES: usize = 512;

/// Parts that belong together: a change, and what is expected of it.
pub(super) type Group<'a> = Vec<Part<'a>>;

/// A checked batch, and the lease under which it is committed.
pub(super) type Leased<'a> = (&'a Lease, &'a Batch);

/// All parts of batches, in the order in which they take effect one after the other.
pub(super) fn of_batches<'a>(batches: &[Leased<'a>]) -> Vec<Group<'a>> {
    let mut groups = Vec::new();
    let all = || batches.iter().map(|(_, batch)| *batch);
    let changes: Vec<&InstanceChange> = all().flat_map(|batch| &batch.instances).collect();
    instances(&mut groups, &changes);
    side_rows(&mut groups, &changes);
    history(&mut groups, &changes);
    let consumed = Ids::of(batches, |batch| &batch.consume);
    if let Some(values) = consumed.values() {
        let part = Part::of_rows(sql::CONSUME, values);
        groups.push(vec![part, expectation(sql::EXPECT_CONSUMED, consumed.ids.len())]);
    }
    if let Some(values) = Ids::of(batches, |batch| &batch.unschedule).values() {
        groups.push(vec![Part::of_rows(sql::UNSCHEDULE, values)]);
    }
    let received: Vec<&Receipt> = all().flat_map(|batch| &batch.receipts).collect();
    if !received.is_empty() {
        let values = vec![
            Value::texts(&received, |receipt| &receipt.id),
            Value::times(&received, |receipt| receipt.at),
        ];
        groups.push(vec![Part::of_rows(sql::INSERT_RECEIPTS, values)]);
    }
    let sent: Vec<&Envelope> = all().flat_map(|batch| &batch.send).collect();
    conditions(&mut groups, &sent);
    let scheduled = all().flat_map(|batch| &batch.schedule);
    let stored = scheduled.chain(sent.iter().map(|envelope| &envelope.message));
    messages(&mut groups, stored, sql::INSERT_INBOX_IF_ABSENT, sql::INSERT_SCHEDULED_IF_ABSENT);
    let replies: Vec<&Reply> = all().flat_map(|batch| &batch.replies).collect();
    answers(&mut groups, &replies);
    groups
}

/// Ids of messages, and the partitions that they are taken from.
struct Ids<'a> {
    ids: Vec<&'a str>,
    partitions: Vec<i64>,
}

impl<'a> Ids<'a> {
    fn of(batches: &[Leased<'a>], ids: impl Fn(&'a Batch) -> &'a [String]) -> Self {
        let mut all = Self { ids: Vec::new(), partitions: Vec::new() };
        for (lease, batch) in batches {
            for id in ids(batch) {
                all.ids.push(id);
                all.partitions.push(i64::from(lease.partition.0));
            }
        }
        all
    }

    fn values(&self) -> Option<Vec<Value<'a>>> {
        let columns =
            || vec![Value::Texts(self.ids.clone()), Value::Numbers(self.partitions.clone())];
        (!self.ids.is_empty()).then(columns)
    }
}

/// Whether a part of the batches would have to see what another did: then each is a statement of
/// its own. This is rare.
pub(super) fn is_entangled(batches: &[Leased<'_>]) -> bool {
    let all = || batches.iter().map(|(_, batch)| *batch);
    let mut ids: HashSet<&str> = HashSet::new();
    ids.extend(all().flat_map(|b| b.consume.iter().chain(&b.unschedule)).map(String::as_str));
    let sent = || all().flat_map(|batch| &batch.send);
    let mut messages =
        all().flat_map(|batch| &batch.schedule).chain(sent().map(|envelope| &envelope.message));
    if !ids.is_empty() && messages.any(|message| ids.contains(&*message.id)) {
        return true;
    }
    let mut created: HashSet<&str> = HashSet::new();
    let changes = all().flat_map(|batch| &batch.instances);
    created.extend(changes.filter_map(|change| Some(&*change.create.as_deref()?.id)));
    sent().any(|envelope| match &envelope.condition {
        Condition::Replaces { .. } | Condition::Reopens => true,
        Condition::Creates(new) => created.contains(&*new.id),
        Condition::None | Condition::Running => false,
    })
}

pub(super) fn expectation(text: &'static str, rows: usize) -> Part<'static> {
    Part::new(text, vec![Value::Number(i64::try_from(rows).unwrap_or(i64::MAX))])
}

fn instances<'a>(groups: &mut Vec<Group<'a>>, changes: &[&'a InstanceChange]) {
    let mut created: Vec<(&NewInstance, &InstanceChange)> =
        changes.iter().filter_map(|c| Some((c.create.as_deref()?, *c))).collect();
    if !created.is_empty() {
        // Those who create the same ids wait for each other in the same order.
        created.sort_by_key(|(new, _)| &new.id);
        let new: Vec<&NewInstance> = created.iter().map(|(new, _)| *new).collect();
        let changes: Vec<&InstanceChange> = created.iter().map(|(_, change)| *change).collect();
        groups.push(vec![insert(&new, &changes)]);
    }
    let changed: Vec<&InstanceChange> =
        changes.iter().copied().filter(|c| c.create.is_none()).collect();
    if !changed.is_empty() {
        let part = update(&changed);
        groups.push(vec![part, expectation(sql::EXPECT_CHANGED, changed.len())]);
    }
}

fn insert<'a>(new: &[&'a NewInstance], changes: &[&'a InstanceChange]) -> Part<'a> {
    let first: Vec<_> = changes.iter().map(|c| kept_history(c).0).collect();
    let mut values = usual_columns(new);
    values.extend([
        Value::numbers(changes, |c| status_code(c.status)),
        Value::Flags(changes.iter().map(|c| c.busy).collect()),
        Value::times(changes, |c| c.updated_at),
        Value::maybe_texts(changes, |c| c.state.as_deref()),
        Value::maybe_numbers(&first, |row| row.map(|(turn, _)| *turn)),
        Value::maybe_texts(&first, |row| row.map(|(_, events)| body(events))),
    ]);
    let mut more = rare_columns(new);
    more.extend([
        Value::maybe_texts(changes, |c| c.blocked.as_deref()),
        Value::maybe_times(changes, |c| finished_at(c)),
        Value::maybe_texts(changes, |c| c.output.as_deref()),
        custom_statuses(changes),
    ]);
    if more.iter().all(Value::is_nothing) {
        return Part::of_rows(sql::INSERT_INSTANCES, values);
    }
    values.extend(more);
    Part::of_rows(sql::INSERT_INSTANCES_WHOLLY, values)
}

fn update<'a>(changes: &[&'a InstanceChange]) -> Part<'a> {
    let mut values = vec![
        Value::numbers(changes, |c| c.no.0),
        Value::numbers(changes, |c| status_code(c.status)),
        Value::maybe_texts(changes, |c| c.blocked.as_deref()),
        Value::Flags(changes.iter().map(|c| c.busy).collect()),
        Value::times(changes, |c| c.updated_at),
        Value::maybe_times(changes, |c| finished_at(c)),
        Value::maybe_texts(changes, |c| c.state.as_deref()),
        Value::maybe_texts(changes, |c| c.output.as_deref()),
        Value::maybe_numbers(changes, |c| lowest_turn(c)),
    ];
    let is_plain = |c: &&InstanceChange| {
        c.custom_status.is_none() && c.renew.is_none() && c.forget_history_before.is_none()
    };
    if changes.iter().all(is_plain) {
        return Part::of_rows(sql::UPDATE_INSTANCES, values);
    }
    let renewal = |c: &&'a InstanceChange| c.renew.as_ref();
    values.extend([
        custom_statuses(changes),
        Value::Flags(changes.iter().map(|c| c.custom_status.is_none()).collect()),
        Value::maybe_texts(changes, |c| renewal(c).map(|new| &*new.version)),
        Value::maybe_texts(changes, |c| renewal(c).map(|new| body(&new.input))),
        Value::maybe_numbers(changes, |c| c.forget_history_before),
    ]);
    Part::of_rows(sql::UPDATE_INSTANCES_WHOLLY, values)
}

/// When it ended, if this ended it.
fn finished_at(change: &InstanceChange) -> Option<Timestamp> {
    change.finished_at.filter(|_| change.status.is_terminal())
}

fn custom_statuses<'a>(changes: &[&'a InstanceChange]) -> Value<'a> {
    Value::maybe_texts(changes, |c| c.custom_status.as_ref().and_then(|text| text.as_deref()))
}

/// The history row that is kept in the row of an instance, and the others.
fn kept_history(change: &InstanceChange) -> (Option<&HistoryRow>, &[HistoryRow]) {
    match first_history(change) {
        (Some((_, events)), _)
            if events.len() > MAX_KEPT_HISTORY_BYTES && !change.status.is_terminal() =>
        {
            (None, &change.history)
        }
        kept => kept,
    }
}

/// What every instance begins with.
fn usual_columns<'a>(new: &[&'a NewInstance]) -> Vec<Value<'a>> {
    vec![
        Value::numbers(new, |new| new.no.0),
        Value::texts(new, |new| &new.id),
        Value::numbers(new, |new| kind_code(new.kind)),
        Value::texts(new, |new| &new.name),
        Value::texts(new, |new| &new.version),
        Value::texts(new, |new| &new.request),
        Value::times(new, |new| new.created_at),
        Value::texts(new, |new| body(&new.input)),
    ]
}

/// What most instances begin without.
fn rare_columns<'a>(new: &[&'a NewInstance]) -> Vec<Value<'a>> {
    vec![
        Value::maybe_texts(new, |new| new.parent.as_deref()),
        Value::maybe_times(new, |new| new.starts_at),
        Value::MadeTexts(new.iter().map(|new| tags_text(new)).collect()),
    ]
}

fn side_rows<'a>(groups: &mut Vec<Group<'a>>, changes: &[&'a InstanceChange]) {
    let cleared: Vec<i64> = changes.iter().filter(|c| c.clear_side).map(|c| c.no.0).collect();
    if !cleared.is_empty() {
        groups.push(vec![Part::new(sql::CLEAR_SIDE, vec![Value::Numbers(cleared)])]);
    }
    let put: Vec<_> = changes
        .iter()
        .flat_map(|c| c.put_side.iter().map(|(key, row)| (c.no.0, *key, row)))
        .collect();
    let mut deleted: Vec<(i64, i64)> =
        changes.iter().flat_map(|c| c.delete_side.iter().map(|key| (c.no.0, *key))).collect();
    if !deleted.is_empty() {
        // What is deleted and written is written.
        let written: HashSet<(i64, i64)> = put.iter().map(|(no, key, _)| (*no, *key)).collect();
        deleted.retain(|row| !written.contains(row));
        let values =
            vec![Value::numbers(&deleted, |row| row.0), Value::numbers(&deleted, |row| row.1)];
        groups.push(vec![Part::of_rows(sql::DELETE_SIDE, values)]);
    }
    if !put.is_empty() {
        let values = vec![
            Value::numbers(&put, |row| row.0),
            Value::numbers(&put, |row| row.1),
            Value::texts(&put, |row| body(row.2)),
        ];
        groups.push(vec![Part::of_rows(sql::PUT_SIDE, values)]);
    }
}

fn history<'a>(groups: &mut Vec<Group<'a>>, changes: &[&'a InstanceChange]) {
    // A row that is to be forgotten at once is not written.
    let kept = |c: &InstanceChange, turn| c.forget_history_before.is_none_or(|first| turn >= first);
    let told: Vec<_> = changes
        .iter()
        .copied()
        .flat_map(|c| kept_history(c).1.iter().map(move |(turn, events)| (c, *turn, events)))
        .filter(|(c, turn, _)| kept(c, *turn))
        .collect();
    if !told.is_empty() {
        let values = vec![
            Value::numbers(&told, |row| row.0.no.0),
            Value::numbers(&told, |row| row.1),
            Value::texts(&told, |row| body(row.2)),
        ];
        groups.push(vec![Part::of_rows(sql::INSERT_HISTORY, values)]);
    }
    let forgotten: Vec<_> =
        changes.iter().filter_map(|c| Some((c.no.0, c.forget_history_before?))).collect();
    if !forgotten.is_empty() {
        let values =
            vec![Value::numbers(&forgotten, |row| row.0), Value::numbers(&forgotten, |row| row.1)];
        groups.push(vec![Part::of_rows(sql::FORGET_HISTORY, values)]);
    }
}

/// What goes with the conditions of messages, where they hold. Who replaces comes first.
fn conditions<'a>(groups: &mut Vec<Group<'a>>, send: &[&'a Envelope]) {
    let (mut reopened, mut replacing, mut creating) = (vec![], vec![], vec![]);
    for envelope in send {
        match &envelope.condition {
            Condition::Reopens => reopened.push(&*envelope.message.target),
            Condition::Replaces { new, .. } => replacing.push(&**new),
            Condition::Creates(new) => creating.push(&**new),
            Condition::None | Condition::Running => {}
        }
    }
    if !reopened.is_empty() {
        groups.push(vec![Part::new(sql::REOPEN, vec![Value::Texts(reopened)])]);
    }
    if !replacing.is_empty() {
        let ids = vec![Value::texts(&replacing, |new| &new.id)];
        groups.push(vec![Part::new(sql::REPLACE_IDS, ids)]);
    }
    let new = replacing.into_iter().chain(creating);
    starts(groups, sql::START_IF_ABSENT, new);
}

/// The creation of instances whose first message comes with them, each id once.
pub(super) fn starts<'a>(
    groups: &mut Vec<Group<'a>>,
    text: &'static str,
    new: impl Iterator<Item = &'a NewInstance>,
) {
    let mut seen = HashSet::new();
    let mut new: Vec<&NewInstance> = new.filter(|new| seen.insert(&*new.id)).collect();
    if !new.is_empty() {
        new.sort_by_key(|new| &new.id);
        let mut values = usual_columns(&new);
        values.extend(rare_columns(&new));
        groups.push(vec![Part::of_rows(text, values)]);
    }
}

/// The storing of messages, each id once: those with a due time in the schedule, the others in the
/// inbox, in their order.
pub(super) fn messages<'a>(
    groups: &mut Vec<Group<'a>>,
    messages: impl Iterator<Item = &'a Message>,
    inbox: &'static str,
    scheduled: &'static str,
) {
    let mut seen = HashSet::new();
    let (timed, at_once): (Vec<&Message>, Vec<&Message>) = messages
        .filter(|message| seen.insert(&*message.id))
        .partition(|message| message.due_at.is_some());
    for (text, messages) in [(inbox, at_once), (scheduled, timed)] {
        if messages.is_empty() {
            continue;
        }
        let mut values = vec![
            Value::numbers(&messages, |message| i64::from(message.partition.0)),
            Value::texts(&messages, |message| &message.id),
            Value::texts(&messages, |message| &message.target),
            Value::texts(&messages, |message| body(&message.body)),
        ];
        if text == scheduled {
            values.push(Value::maybe_times(&messages, |message| message.due_at));
        }
        groups.push(vec![Part::new(text, values)]);
    }
}

fn answers<'a>(groups: &mut Vec<Group<'a>>, replies: &[&'a Reply]) {
    // The last answer to a request is the one that stays.
    let mut seen = HashSet::new();
    let replies: Vec<&Reply> =
        replies.iter().copied().rev().filter(|reply| seen.insert(&*reply.request)).collect();
    if !replies.is_empty() {
        let values = vec![
            Value::texts(&replies, |reply| &reply.request),
            Value::texts(&replies, |reply| body(&reply.body)),
            Value::times(&replies, |reply| reply.at),
        ];
        groups.push(vec![Part::of_rows(sql::PUT_REPLIES, values)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{InstanceKind, InstanceNo, PartitionId, Status, Tags};

    fn lease(partition: u16) -> Lease {
        let owner = "worker".to_owned();
        Lease { partition: PartitionId(partition), epoch: 1, owner, expires_at: Timestamp::MAX }
    }

    fn new_instance(id: &str) -> Box<NewInstance> {
        Box::new(NewInstance {
            no: InstanceNo(1),
            id: id.to_owned(),
            kind: InstanceKind::Orchestration,
            name: "name".to_owned(),
            version: String::new(),
            parent: None,
            request: "request".to_owned(),
            created_at: Timestamp::MIN,
            starts_at: None,
            tags: Tags::new(),
            input: "null".into(),
        })
    }

    fn sending(id: &str, condition: Condition) -> Batch {
        let (id, target) = (id.to_owned(), "target".to_owned());
        let message =
            Message { id, partition: PartitionId(0), target, due_at: None, body: "null".into() };
        Batch { send: vec![Envelope { message, condition }], ..Batch::default() }
    }

    fn consuming(id: &str) -> Batch {
        Batch { consume: vec![id.to_owned()], ..Batch::default() }
    }

    fn unscheduling(id: &str) -> Batch {
        Batch { unschedule: vec![id.to_owned()], ..Batch::default() }
    }

    fn creating(id: &str) -> Batch {
        let change = InstanceChange {
            no: InstanceNo(1),
            create: Some(new_instance(id)),
            renew: None,
            status: Status::Running,
            blocked: None,
            busy: false,
            state: None,
            custom_status: None,
            output: None,
            updated_at: Timestamp::MIN,
            finished_at: None,
            put_side: Vec::new(),
            delete_side: Vec::new(),
            clear_side: false,
            history: Vec::new(),
            forget_history_before: None,
        };
        Batch { instances: vec![change], ..Batch::default() }
    }

    #[test]
    fn what_has_rows_takes_all_its_parameters_from_them() {
        let texts = [
            sql::INSERT_INSTANCES,
            sql::INSERT_INSTANCES_WHOLLY,
            sql::UPDATE_INSTANCES,
            sql::UPDATE_INSTANCES_WHOLLY,
            sql::DELETE_SIDE,
            sql::PUT_SIDE,
            sql::INSERT_HISTORY,
            sql::FORGET_HISTORY,
            sql::CONSUME,
            sql::UNSCHEDULE,
            sql::INSERT_RECEIPTS,
            sql::START,
            sql::START_IF_ABSENT,
            sql::PUT_REPLIES,
        ];
        for text in texts {
            let (before, rows) = text.split_once("unnest(").unwrap();
            let (columns, after) = rows.split_once(')').unwrap();
            assert!(!before.contains('?') && !after.contains('?'), "{text}");
            assert!(
                after.trim_start().starts_with("AS v(") && !after.contains("unnest("),
                "{text}"
            );
            let (names, _) = after.split_once("AS v(").unwrap().1.split_once(')').unwrap();
            let named = names.split(',').count();
            assert_eq!(columns.matches("?::").count(), named, "{text}");
            assert_eq!(columns.matches("[]").count(), named, "{text}");
        }
    }

    #[test]
    fn batches_that_would_have_to_see_each_other_are_entangled() {
        let (zero, one) = (lease(0), lease(1));
        let together = |a: &Batch, b: &Batch| {
            let both = is_entangled(&[(&zero, a), (&one, b)]);
            assert_eq!(both, is_entangled(&[(&one, b), (&zero, a)]), "{a:?} {b:?}");
            both
        };
        let sends = sending("m", Condition::None);
        assert!(together(&sends, &consuming("m")));
        assert!(together(&sends, &unscheduling("m")));
        assert!(!together(&sends, &consuming("other")));
        assert!(!together(&sends, &sends), "the first one is stored");
        let starts = |id: &str| sending("m", Condition::Creates(new_instance(id)));
        assert!(together(&starts("a"), &creating("a")));
        assert!(!together(&starts("a"), &creating("b")));
        assert!(!together(&creating("a"), &consuming("m")));
        let replaces = Condition::Replaces { new: new_instance("a"), only: None };
        assert!(together(&sending("m", replaces), &consuming("other")));
        assert!(together(&sending("m", Condition::Reopens), &consuming("other")));
    }
}
