//! What a commit does to instances, wholly or not at all.
#![allow(missing_docs, clippy::missing_panics_doc, clippy::unwrap_used, clippy::wildcard_imports)]

use crate::StoreErrorKind::{Conflict, LeaseLost, Limit};
use crate::limits;
use crate::model::{
    Accepted, Batch, InstanceChange, InstanceKind, InstanceNo, InstanceQuery, Payload, Receipt,
    Renewal, Reply, Status,
};

use super::world::*;

pub async fn an_empty_batch_is_fine(hub: Fixture) {
    let lease = own_one(&hub).await;
    hub.commit(&lease, Batch::default()).await.unwrap();
}

pub async fn a_created_instance_is_pending_first(hub: Fixture) {
    let no = number(&hub, P0).await;
    let mut new = new_instance(no, "a");
    new.kind = InstanceKind::Entity;
    new.version = "v2".into();
    new.parent = Some("parent".to_owned());
    send(&hub, starting("m1", new.clone())).await;
    let record = read(&hub, "a").await.unwrap();
    assert_eq!((record.no, record.status), (no, Status::Pending));
    assert_eq!((record.kind, &record.name, &record.version), (new.kind, &new.name, &new.version));
    assert_eq!((&record.parent, &record.request), (&new.parent, &new.request));
    assert_eq!((record.created_at, record.updated_at), (new.created_at, new.created_at));
    assert_eq!((record.finished_at, record.blocked, &record.input), (None, None, &new.input));
    assert_eq!((record.state, record.output, record.custom_status), (None, None, None));
}

pub async fn a_start_can_be_fused_with_its_first_turn(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = number(&hub, P0).await;
    let mut change = creation(no, "a");
    change.status = Status::Completed;
    change.state = Some(text("state"));
    change.output = Some(text("output"));
    change.custom_status = Some(Some(text("custom")));
    change.finished_at = Some(at(2));
    change.put_side = vec![(1, text("side"))];
    change.history = vec![(1, text("events"))];
    hub.commit(&lease, changes(vec![change])).await.unwrap();
    let stored = load(&hub, &lease, "a").await;
    assert_eq!((stored.record.status, stored.record.finished_at), (Status::Completed, Some(at(2))));
    assert_eq!(stored.record.state, Some(text("state")));
    assert_eq!(stored.record.output, Some(text("output")));
    assert_eq!(stored.record.custom_status, Some(text("custom")));
    assert_eq!(stored.side, [(1, text("side"))]);
    assert_eq!(hub.read_history(no, 0, LIMIT).await.unwrap(), [(1, text("events"))]);
}

pub async fn a_change_is_read_back(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = create(&hub, &lease, "a").await;
    let mut change = change(no);
    change.status = Status::Suspended;
    change.blocked = Some("no such activity".to_owned());
    change.state = Some(text("state"));
    change.updated_at = at(7);
    hub.commit(&lease, changes(vec![change])).await.unwrap();
    let record = read(&hub, "a").await.unwrap();
    assert_eq!((record.status, record.updated_at), (Status::Suspended, at(7)));
    assert_eq!(record.blocked.as_deref(), Some("no such activity"));
    assert_eq!((record.state, record.created_at), (Some(text("state")), at(0)));
}

/// An instance with a state, an output and a custom status.
async fn filled(hub: &Fixture) -> (crate::Lease, InstanceNo) {
    let lease = own_one(hub).await;
    let no = create(hub, &lease, "a").await;
    let mut change = change(no);
    change.blocked = Some("reason".to_owned());
    change.state = Some(text("state"));
    change.output = Some(text("output"));
    change.custom_status = Some(Some(text("custom")));
    hub.commit(&lease, changes(vec![change])).await.unwrap();
    (lease, no)
}

pub async fn what_is_not_given_stays(hub: Fixture) {
    let (lease, no) = filled(&hub).await;
    hub.commit(&lease, changes(vec![change(no)])).await.unwrap();
    let record = read(&hub, "a").await.unwrap();
    assert_eq!((record.state, record.output), (Some(text("state")), Some(text("output"))));
    assert_eq!(record.custom_status, Some(text("custom")));
    // The reason is a part of every change.
    assert_eq!(record.blocked, None);
}

pub async fn a_custom_status_can_be_cleared(hub: Fixture) {
    let (lease, no) = filled(&hub).await;
    let change = InstanceChange { custom_status: Some(None), ..change(no) };
    hub.commit(&lease, changes(vec![change])).await.unwrap();
    let record = read(&hub, "a").await.unwrap();
    assert_eq!((record.custom_status, record.state), (None, Some(text("state"))));
}

pub async fn an_end_is_kept_and_can_be_taken_back(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = create(&hub, &lease, "a").await;
    let ended = InstanceChange { status: Status::Failed, finished_at: Some(at(5)), ..change(no) };
    hub.commit(&lease, changes(vec![ended.clone()])).await.unwrap();
    let touched = InstanceChange { finished_at: None, ..ended };
    hub.commit(&lease, changes(vec![touched])).await.unwrap();
    assert_eq!(read(&hub, "a").await.unwrap().finished_at, Some(at(5)));
    hub.commit(&lease, changes(vec![change(no)])).await.unwrap();
    assert_eq!(read(&hub, "a").await.unwrap().finished_at, None);
}

pub async fn an_instance_can_begin_anew(hub: Fixture) {
    let (lease, no) = filled(&hub).await;
    let other = create(&hub, &lease, "b").await;
    let renew = Some(Renewal { version: "v2".to_owned(), input: text("next") });
    let next = InstanceChange {
        renew,
        state: Some(text("anew")),
        history: vec![(5, text("events"))],
        forget_history_before: Some(5),
        ..change(no)
    };
    hub.commit(&lease, changes(vec![next, change(other)])).await.unwrap();
    let record = load(&hub, &lease, "a").await.record;
    assert_eq!((record.no, &*record.version, record.input), (no, "v2", text("next")));
    assert_eq!((record.state, record.created_at), (Some(text("anew")), at(0)));
    let other = read(&hub, "b").await.unwrap();
    assert_eq!((&*other.version, other.input), ("", text("input")));
    let of_version = InstanceQuery { version: Some("v2".to_owned()), ..InstanceQuery::default() };
    assert_eq!(hub.count_instances(&of_version).await.unwrap(), 1);
    // What follows leaves it as it is.
    hub.commit(&lease, changes(vec![change(no)])).await.unwrap();
    assert_eq!(&*read(&hub, "a").await.unwrap().version, "v2");
}

pub async fn texts_come_back_unchanged(hub: Fixture) {
    let lease = own_one(&hub).await;
    let odd = "{\"a\":\"\\u0000 \\n \\\\\"} \u{1}\t\r\n'\"\\ \u{7f}\u{2028} ü 日本 🦀 \u{10FFFF}";
    for (place, odd) in [odd, "", "null", "17", "[1]", "-0.0"].iter().enumerate() {
        let id = format!("{odd} {place}");
        let no = create(&hub, &lease, &id).await;
        let change = InstanceChange {
            state: Some(text(odd)),
            put_side: vec![(1, text(odd))],
            history: vec![(1, text(odd))],
            ..change(no)
        };
        hub.commit(&lease, changes(vec![change])).await.unwrap();
        let stored = load(&hub, &lease, &id).await;
        assert_eq!((stored.record.id, stored.record.state), (id, Some(text(odd))));
        assert_eq!(stored.side, [(1, text(odd))]);
        assert_eq!(hub.read_history(no, 0, LIMIT).await.unwrap(), [(1, text(odd))]);
    }
}

pub async fn a_large_payload_comes_back(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = create(&hub, &lease, "a").await;
    let large = text(&"ü\"".repeat(limits::MAX_PAYLOAD_BYTES / 3));
    let change = InstanceChange { state: Some(large.clone()), ..change(no) };
    hub.commit(&lease, changes(vec![change])).await.unwrap();
    assert!(read(&hub, "a").await.unwrap().state == Some(large));
}

pub async fn creating_an_id_that_exists_conflicts(hub: Fixture) {
    let (zero, one) = own_two(&hub).await;
    create(&hub, &zero, "a").await;
    for lease in [zero, one] {
        let no = number(&hub, lease.partition).await;
        assert_refused(hub.commit(&lease, changes(vec![creation(no, "a")])).await, Conflict);
    }
}

pub async fn creating_a_number_that_exists_conflicts(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = create(&hub, &lease, "a").await;
    assert_refused(hub.commit(&lease, changes(vec![creation(no, "b")])).await, Conflict);
    assert_eq!(read(&hub, "b").await, None);
}

pub async fn changing_an_unknown_instance_conflicts(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = number(&hub, P0).await;
    assert_refused(hub.commit(&lease, changes(vec![change(no)])).await, Conflict);
}

pub async fn changing_an_instance_of_another_partition_conflicts(hub: Fixture) {
    let (zero, one) = own_two(&hub).await;
    let no = create(&hub, &zero, "a").await;
    assert_refused(hub.commit(&one, changes(vec![change(no)])).await, Conflict);
}

pub async fn consuming_a_missing_message_conflicts(hub: Fixture) {
    let lease = own_one(&hub).await;
    fill(&hub, P0, &["m1"]).await;
    assert_refused(hub.commit(&lease, consuming(&["m1", "m2"])).await, Conflict);
    assert_eq!(inbox(&hub, &lease).await, ["m1"]);
    hub.commit(&lease, consuming(&["m1"])).await.unwrap();
    assert_refused(hub.commit(&lease, consuming(&["m1"])).await, Conflict);
}

pub async fn consuming_a_message_of_another_partition_conflicts(hub: Fixture) {
    let (zero, one) = own_two(&hub).await;
    fill(&hub, P0, &["m1"]).await;
    assert_refused(hub.commit(&one, consuming(&["m1"])).await, Conflict);
    assert_eq!(inbox(&hub, &zero).await, ["m1"]);
}

pub async fn consuming_a_message_twice_conflicts(hub: Fixture) {
    let lease = own_one(&hub).await;
    fill(&hub, P0, &["m1"]).await;
    assert_refused(hub.commit(&lease, consuming(&["m1", "m1"])).await, Conflict);
    assert_eq!(inbox(&hub, &lease).await, ["m1"]);
}

fn receiving(ids: &[&str]) -> Batch {
    let receipts = ids.iter().map(|id| Receipt { id: (*id).to_owned(), at: at(1) }).collect();
    Batch { receipts, ..Batch::default() }
}

pub async fn a_message_received_directly_is_recognised(hub: Fixture) {
    let lease = own_one(&hub).await;
    hub.commit(&lease, receiving(&["direct"])).await.unwrap();
    // By another commit, and by who sends it once more.
    assert_refused(hub.commit(&lease, receiving(&["direct"])).await, Conflict);
    let again = plain(message("direct", P0, "a"));
    assert_eq!(send(&hub, again).await, Accepted::Duplicate);
    assert_refused(hub.commit(&lease, receiving(&["x", "x"])).await, Conflict);
    hub.commit(&lease, receiving(&["x"])).await.unwrap();
}

pub async fn a_message_that_was_sent_is_not_received_directly_too(hub: Fixture) {
    let lease = own_one(&hub).await;
    fill(&hub, P0, &["waiting", "consumed"]).await;
    fill(&hub, P1, &["elsewhere"]).await;
    assert_eq!(send(&hub, plain(due("later", P0, at(9)))).await, Accepted::Sent);
    hub.commit(&lease, consuming(&["consumed"])).await.unwrap();
    for id in ["waiting", "consumed", "elsewhere", "later"] {
        assert_refused(hub.commit(&lease, receiving(&[id])).await, Conflict);
        assert_refused(hub.commit(&lease, receiving(&["other", id])).await, Conflict);
    }
    assert_eq!(inbox(&hub, &lease).await, ["waiting"]);
    hub.commit(&lease, receiving(&["other"])).await.unwrap();
}

/// Looking for the messages themselves would cost every commit something, and find nothing: owners
/// give their messages ids of another kind, and nobody sends again what is forgotten.
pub async fn only_receipts_say_what_was_received(hub: Fixture) {
    let lease = own_one(&hub).await;
    let stored = Batch {
        schedule: vec![due("timer", P0, at(9))],
        send: vec![plain(message("own", P0, "a"))],
        ..Batch::default()
    };
    hub.commit(&lease, stored).await.unwrap();
    fill(&hub, P0, &["forgotten"]).await;
    hub.clean(at(1_000_000), at(0)).await.unwrap();
    hub.commit(&lease, receiving(&["timer", "own", "forgotten"])).await.unwrap();
    assert_eq!(inbox(&hub, &lease).await, ["own", "forgotten"]);
    assert_eq!(scheduled(&hub, &lease, at(9)).await, ["timer"]);
}

pub async fn naming_an_instance_twice_conflicts(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = create(&hub, &lease, "a").await;
    let twice = changes(vec![change(no), change(no)]);
    assert_refused(hub.commit(&lease, twice).await, Conflict);
}

/// A batch that changes everything that a batch can change.
fn everything(no: InstanceNo, created: InstanceNo, sent: InstanceNo) -> Batch {
    let change = InstanceChange {
        status: Status::Completed,
        busy: true,
        state: Some(text("new")),
        put_side: vec![(2, text("new"))],
        delete_side: vec![1],
        history: vec![(2, text("new"))],
        ..change(no)
    };
    Batch {
        instances: vec![change, creation(created, "created")],
        consume: strings(&["m1"]),
        receipts: vec![Receipt { id: "direct".to_owned(), at: at(1) }],
        unschedule: strings(&["timer"]),
        schedule: vec![due("new timer", P0, at(5))],
        send: vec![
            plain(message("to zero", P0, "a")),
            plain(message("to one", P1, "b")),
            starting("starts", new_instance(sent, "child")),
        ],
        replies: vec![Reply { request: "r".to_owned(), body: text("new"), at: at(1) }],
        news: true,
    }
}

/// Commits [`everything`] after `spoil` made it impossible, and checks that nothing changed.
async fn changes_nothing(
    hub: Fixture,
    kind: crate::StoreErrorKind,
    spoil: impl FnOnce(&mut Batch, &mut crate::Lease),
) {
    let (zero, one) = own_two(&hub).await;
    let no = create(&hub, &zero, "a").await;
    let before = InstanceChange {
        state: Some(text("old")),
        put_side: vec![(1, text("old"))],
        history: vec![(1, text("old"))],
        ..change(no)
    };
    let timer = due("timer", P0, at(3));
    let batch = Batch { instances: vec![before], schedule: vec![timer], ..Batch::default() };
    hub.commit(&zero, batch).await.unwrap();
    fill(&hub, P0, &["m1"]).await;
    let old = load(&hub, &zero, "a").await;

    let mut batch = everything(no, number(&hub, P0).await, number(&hub, P1).await);
    let mut lease = zero.clone();
    spoil(&mut batch, &mut lease);
    assert_refused(hub.commit(&lease, batch).await, kind);

    assert_eq!(load(&hub, &zero, "a").await, old);
    assert_eq!(hub.read_history(no, 0, LIMIT).await.unwrap(), [(1, text("old"))]);
    assert_eq!(read(&hub, "created").await, None);
    assert_eq!(read(&hub, "child").await, None);
    assert_eq!(hub.load_partition(&zero).await.unwrap(), []);
    assert_eq!(inbox(&hub, &zero).await, ["m1"]);
    assert_eq!(inbox(&hub, &one).await, [""; 0]);
    assert_eq!(scheduled(&hub, &zero, at(99)).await, ["timer"]);
    assert_eq!(hub.read_replies(&strings(&["r"])).await.unwrap(), []);

    // The same without the flaw goes through.
    let batch = everything(no, number(&hub, P0).await, number(&hub, P1).await);
    hub.commit(&zero, batch).await.unwrap();
    let loaded = load(&hub, &zero, "a").await;
    assert_eq!((loaded.record.state, loaded.side), (Some(text("new")), vec![(2, text("new"))]));
    assert_eq!(hub.load_partition(&zero).await.unwrap().len(), 1);
    assert_eq!(inbox(&hub, &zero).await, ["to zero"]);
    assert_eq!(inbox(&hub, &one).await, ["to one", "starts"]);
    assert_eq!(scheduled(&hub, &zero, at(99)).await, ["new timer"]);
    assert!(read(&hub, "created").await.is_some() && read(&hub, "child").await.is_some());
}

pub async fn a_batch_that_conflicts_changes_nothing(hub: Fixture) {
    changes_nothing(hub, Conflict, |batch, _| {
        batch.consume.push("missing".to_owned());
    })
    .await;
}

pub async fn a_stale_batch_changes_nothing(hub: Fixture) {
    changes_nothing(hub, LeaseLost, |_, lease| lease.epoch -= 1).await;
}

pub async fn busy_instances_are_listed(hub: Fixture) {
    let (zero, one) = own_two(&hub).await;
    let busy = |no, busy| InstanceChange { busy, put_side: vec![(1, text("task"))], ..change(no) };
    let a = create(&hub, &zero, "a").await;
    let b = create(&hub, &zero, "b").await;
    let c = create(&hub, &one, "c").await;
    hub.commit(&zero, changes(vec![busy(a, true), busy(b, false)])).await.unwrap();
    hub.commit(&one, changes(vec![busy(c, true)])).await.unwrap();
    let listed = hub.load_partition(&zero).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].record.id.as_str(), listed[0].side.len()), ("a", 1));
    hub.commit(&zero, changes(vec![busy(a, false), busy(b, true)])).await.unwrap();
    let listed = hub.load_partition(&zero).await.unwrap();
    assert_eq!((listed.len(), listed[0].record.id.as_str()), (1, "b"));
}

pub async fn side_rows_are_put_replaced_and_deleted(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = create(&hub, &lease, "a").await;
    let other = create(&hub, &lease, "b").await;
    let put = |no, rows: &[(i64, &str)]| InstanceChange {
        put_side: rows.iter().map(|(key, body)| (*key, text(body))).collect(),
        ..change(no)
    };
    let batch = changes(vec![put(no, &[(1, "one"), (2, "two")]), put(other, &[(1, "other")])]);
    hub.commit(&lease, batch).await.unwrap();
    let mut replace = put(no, &[(1, "new"), (3, "three")]);
    // Deleting comes first, so a key in both lists is there afterwards.
    replace.delete_side = vec![2, 3, 99];
    hub.commit(&lease, changes(vec![replace])).await.unwrap();
    assert_eq!(load(&hub, &lease, "a").await.side, [(1, text("new")), (3, text("three"))]);
    assert_eq!(load(&hub, &lease, "b").await.side, [(1, text("other"))]);
}

pub async fn side_rows_can_be_cleared(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = create(&hub, &lease, "a").await;
    let put_side = vec![(1, text("one")), (2, text("two"))];
    let put = InstanceChange { put_side, ..change(no) };
    hub.commit(&lease, changes(vec![put])).await.unwrap();
    let put_side = vec![(2, text("new"))];
    let clear = InstanceChange { clear_side: true, put_side, ..change(no) };
    hub.commit(&lease, changes(vec![clear])).await.unwrap();
    assert_eq!(load(&hub, &lease, "a").await.side, [(2, text("new"))]);
}

pub async fn side_rows_come_in_the_order_of_their_keys(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = create(&hub, &lease, "a").await;
    let keys = [5, -3, i64::MAX, 0, i64::MIN, 17];
    let put_side = keys.iter().map(|key| (*key, text("row"))).collect();
    hub.commit(&lease, changes(vec![InstanceChange { put_side, ..change(no) }])).await.unwrap();
    let side = load(&hub, &lease, "a").await.side;
    let stored: Vec<i64> = side.into_iter().map(|(key, _)| key).collect();
    assert_eq!(stored, [i64::MIN, -3, 0, 5, 17, i64::MAX]);
}

pub async fn history_is_appended_and_paged(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = create(&hub, &lease, "a").await;
    for turns in [vec![1, 2, 3], vec![4], vec![7, 8]] {
        let history = turns.into_iter().map(|turn| (turn, text(&format!("turn {turn}")))).collect();
        hub.commit(&lease, changes(vec![InstanceChange { history, ..change(no) }])).await.unwrap();
    }
    let mut turns = Vec::new();
    let mut after = 0;
    loop {
        let page = hub.read_history(no, after, 4).await.unwrap();
        let Some((last, events)) = page.last() else {
            break;
        };
        assert!(page.len() <= 4);
        assert_eq!(*events, text(&format!("turn {last}")));
        after = *last;
        turns.extend(page.iter().map(|(turn, _)| *turn));
    }
    assert_eq!(turns, [1, 2, 3, 4, 7, 8]);
}

/// Instances that come with history which a store may keep in different ways: one that goes on and
/// one that has ended, with little to tell and with much.
fn told_of() -> [(&'static str, Status, Payload); 4] {
    let (short, long) = (text("one"), text(&"one ".repeat(1_000)));
    [
        ("a", Status::Running, short.clone()),
        ("b", Status::Completed, short),
        ("c", Status::Running, long.clone()),
        ("d", Status::Completed, long),
    ]
}

pub async fn history_may_come_with_the_instance(hub: Fixture) {
    let lease = own_one(&hub).await;
    for (id, status, one) in told_of() {
        let no = number(&hub, P0).await;
        let history = vec![(1, one.clone()), (2, text("two"))];
        let new = InstanceChange { status, history, ..creation(no, id) };
        hub.commit(&lease, changes(vec![new])).await.unwrap();
        let history = vec![(3, text("three"))];
        let next = InstanceChange { status, history, ..change(no) };
        hub.commit(&lease, changes(vec![next])).await.unwrap();
        let all = [(1, one), (2, text("two")), (3, text("three"))];
        assert_eq!(hub.read_history(no, 0, LIMIT).await.unwrap(), all);
        assert_eq!(hub.read_history(no, 0, 2).await.unwrap(), all[..2]);
        assert_eq!(hub.read_history(no, 1, LIMIT).await.unwrap(), all[1..]);
        assert_eq!(hub.read_history(no, 3, LIMIT).await.unwrap(), []);
        assert_eq!(hub.read_history(no, 0, 0).await.unwrap(), []);
    }
}

pub async fn a_turn_that_came_with_the_instance_is_never_replaced(hub: Fixture) {
    let lease = own_one(&hub).await;
    for (id, status, one) in told_of() {
        let no = number(&hub, P0).await;
        let twice = vec![(1, one.clone()), (1, text("again"))];
        let new = InstanceChange { status, history: twice, ..creation(no, id) };
        assert_refused(hub.commit(&lease, changes(vec![new])).await, Conflict);
        let history = vec![(1, one)];
        let new = InstanceChange { status, history: history.clone(), ..creation(no, id) };
        hub.commit(&lease, changes(vec![new])).await.unwrap();
        let again = InstanceChange { status, history: vec![(1, text("again"))], ..change(no) };
        assert_refused(hub.commit(&lease, changes(vec![again])).await, Conflict);
        assert_eq!(hub.read_history(no, 0, LIMIT).await.unwrap(), history);
    }
}

pub async fn a_turn_of_history_is_never_replaced(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = create(&hub, &lease, "a").await;
    let history = vec![(1, text("first"))];
    let change = InstanceChange { history, ..change(no) };
    hub.commit(&lease, changes(vec![change.clone()])).await.unwrap();
    assert_refused(hub.commit(&lease, changes(vec![change])).await, Conflict);
}

pub async fn many_instances_in_one_batch(hub: Fixture) {
    let lease = own_one(&hub).await;
    let first = hub.reserve_numbers(500).await.unwrap();
    let numbers: Vec<_> = (first..first + 500).map(|n| InstanceNo::new(P0, n)).collect();
    let created = numbers.iter().map(|no| creation(*no, &format!("i{}", no.0))).collect();
    hub.commit(&lease, changes(created)).await.unwrap();
    let state = |no: &InstanceNo| Some(text(&format!("state {}", no.0)));
    let changed = numbers
        .iter()
        .map(|no| InstanceChange { state: state(no), history: vec![(1, text("e"))], ..change(*no) })
        .collect();
    hub.commit(&lease, changes(changed)).await.unwrap();
    let ids: Vec<_> = numbers.iter().map(|no| format!("i{}", no.0)).collect();
    let loaded = hub.load_instances(&lease, &ids).await.unwrap();
    assert_eq!(loaded.len(), 500);
    assert!(loaded.iter().all(|stored| stored.record.state == state(&stored.record.no)));
}

pub async fn partitions_commit_at_the_same_time(hub: Fixture) {
    let (zero, one) = own_two(&hub).await;
    let mut tasks = tokio::task::JoinSet::new();
    for lease in [zero, one] {
        let no = create(&hub, &lease, &format!("in {}", lease.partition.0)).await;
        let hub = hub.clone();
        tasks.spawn(async move {
            for turn in 1..=50 {
                let history = vec![(turn, text("events"))];
                let change = InstanceChange { history, ..change(no) };
                hub.commit(&lease, changes(vec![change])).await.unwrap();
            }
            hub.read_history(no, 0, LIMIT).await.unwrap().len()
        });
    }
    assert_eq!(tasks.join_all().await, [50, 50]);
}

pub async fn what_is_too_large_is_refused(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = create(&hub, &lease, "a").await;
    let large = text(&"x".repeat(limits::MAX_PAYLOAD_BYTES + 1));
    let change = InstanceChange { state: Some(large), ..change(no) };
    assert_refused(hub.commit(&lease, changes(vec![change])).await, Limit);
    let id = "x".repeat(limits::MAX_INSTANCE_ID_BYTES + 1);
    let no = number(&hub, P0).await;
    assert_refused(hub.commit(&lease, changes(vec![creation(no, &id)])).await, Limit);
    assert_refused(hub.commit(&lease, changes(vec![creation(no, "n\0l")])).await, Limit);
    let mut longest = creation(no, &id[1..]);
    longest.create.as_mut().unwrap().name = "n".repeat(limits::MAX_NAME_BYTES);
    hub.commit(&lease, changes(vec![longest])).await.unwrap();
}
