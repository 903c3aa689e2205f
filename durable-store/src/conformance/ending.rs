//! What becomes of instances that have ended: they are purged, replaced, or set running again.
#![allow(missing_docs, clippy::missing_panics_doc, clippy::unwrap_used, clippy::wildcard_imports)]

use crate::StoreErrorKind::{Conflict, Limit, Other};
use crate::limits;
use crate::model::{
    Accepted, Batch, Condition, InstanceChange, InstanceNo, InstanceQuery, Status, Tags,
};

use super::world::*;

const ENDED: [Status; 3] = [Status::Completed, Status::Failed, Status::Terminated];
const UNDER_WAY: [Status; 3] = [Status::Pending, Status::Running, Status::Suspended];

/// An instance with a tag, a side row and a history, that has ended.
async fn ended(hub: &Fixture, lease: &crate::Lease, id: &str) -> InstanceNo {
    let no = number(hub, lease.partition).await;
    let mut created = creation(no, id);
    created.create.as_mut().unwrap().tags = tags(&[("kind", "old")]);
    created.status = Status::Completed;
    created.finished_at = Some(at(9));
    created.busy = true;
    created.put_side = vec![(1, text("side"))];
    created.history = vec![(1, text("events"))];
    hub.commit(lease, changes(vec![created])).await.unwrap();
    no
}

/// That nothing is left of an instance.
async fn is_gone(hub: &Fixture, lease: &crate::Lease, no: InstanceNo, id: &str) {
    assert!(read(hub, id).await.is_none_or(|record| record.no != no));
    assert_eq!(hub.read_history(no, i64::MIN, LIMIT).await.unwrap(), []);
    let busy = hub.load_partition(lease).await.unwrap();
    assert!(busy.iter().all(|stored| stored.record.no != no), "it is not busy any more");
    let query = InstanceQuery { tags: tags(&[("kind", "old")]), ..InstanceQuery::default() };
    let found = hub.find_instances(&query, None, LIMIT).await.unwrap().records;
    assert!(found.iter().all(|record| record.no != no), "no tag finds it");
}

pub async fn what_has_ended_is_purged_with_all_that_hangs_on_it(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = ended(&hub, &lease, "a").await;
    let other = ended(&hub, &lease, "b").await;
    assert_eq!(hub.purge_instances(&[no]).await.unwrap(), [no]);
    is_gone(&hub, &lease, no, "a").await;
    assert_eq!(read(&hub, "a").await, None);
    assert_eq!(load(&hub, &lease, "b").await.side, [(1, text("side"))]);
    assert_eq!(hub.read_history(other, 0, LIMIT).await.unwrap(), [(1, text("events"))]);
    assert_eq!(hub.purge_instances(&[no]).await.unwrap(), []);
}

pub async fn what_is_under_way_is_not_purged(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = create(&hub, &lease, "a").await;
    for status in UNDER_WAY {
        set(&hub, &lease, no, status).await;
        assert_eq!(hub.purge_instances(&[no, InstanceNo(4711)]).await.unwrap(), []);
        assert_eq!(read(&hub, "a").await.unwrap().status, status);
    }
    assert_eq!(hub.purge_instances(&[]).await.unwrap(), []);
}

pub async fn many_are_purged_at_once_up_to_the_limit(hub: Fixture) {
    let lease = own_one(&hub).await;
    let mut numbers = Vec::new();
    for n in 0..5 {
        numbers.push(ended(&hub, &lease, &format!("i{n}")).await);
    }
    let mut purged = hub.purge_instances(&numbers).await.unwrap();
    purged.sort_unstable();
    assert_eq!(purged, numbers);
    let too_many = vec![InstanceNo(1); limits::MAX_PAGE_ROWS + 1];
    assert_refused(hub.purge_instances(&too_many).await, Limit);
}

pub async fn an_owner_cannot_bring_back_what_was_purged(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = ended(&hub, &lease, "a").await;
    fill(&hub, P0, &["late"]).await;
    hub.purge_instances(&[no]).await.unwrap();
    let late = InstanceChange { status: Status::Completed, ..change(no) };
    let batch = Batch { consume: strings(&["late"]), ..changes(vec![late]) };
    assert_refused(hub.commit(&lease, batch).await, Conflict);
    assert_eq!(inbox(&hub, &lease).await, ["late"]);
    // The id is free, and nothing of the old instance is there for the new one.
    let again = create(&hub, &lease, "a").await;
    assert_ne!(again, no);
    let stored = load(&hub, &lease, "a").await;
    assert_eq!((stored.side, stored.record.tags), (vec![], Tags::new()));
}

pub async fn a_start_replaces_what_has_ended(hub: Fixture) {
    let lease = own_one(&hub).await;
    for status in ENDED {
        let id = format!("{status:?}");
        let old = ended(&hub, &lease, &id).await;
        set(&hub, &lease, old, status).await;
        let mut new = new_instance(number(&hub, P0).await, &id);
        new.tags = tags(&[("kind", "new")]);
        let no = new.no;
        let start = replacing(&format!("again {id}"), new, None);
        assert_eq!(send(&hub, start.clone()).await, Accepted::Sent);
        is_gone(&hub, &lease, old, &id).await;
        let stored = load(&hub, &lease, &id).await;
        assert_eq!((stored.record.no, stored.record.status), (no, Status::Pending));
        assert_eq!((stored.side, stored.record.output), (vec![], None));
        assert_eq!(stored.record.tags, tags(&[("kind", "new")]));
        assert_eq!(send(&hub, start).await, Accepted::Duplicate);
    }
}

pub async fn a_start_that_replaces_may_find_nothing(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = number(&hub, P0).await;
    let start = replacing("m1", new_instance(no, "a"), None);
    assert_eq!(send(&hub, start.clone()).await, Accepted::Sent);
    assert_eq!(load(&hub, &lease, "a").await.record.no, no);
    hub.commit(&lease, consuming(&["m1"])).await.unwrap();
    assert_eq!(send(&hub, start).await, Accepted::Duplicate);
}

pub async fn a_start_does_not_replace_what_is_under_way(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = create(&hub, &lease, "a").await;
    for status in UNDER_WAY {
        set(&hub, &lease, no, status).await;
        let new = new_instance(number(&hub, P0).await, "a");
        assert_eq!(send(&hub, replacing("m1", new, None)).await, Accepted::Exists(status));
        assert_eq!(read(&hub, "a").await.unwrap().no, no);
    }
    assert_eq!(inbox(&hub, &lease).await, [""; 0]);
}

pub async fn a_start_may_name_the_one_that_it_replaces(hub: Fixture) {
    let lease = own_one(&hub).await;
    let absent = new_instance(number(&hub, P0).await, "a");
    let start = replacing("m0", absent, Some(InstanceNo(1)));
    assert_eq!(send(&hub, start).await, Accepted::Unknown);
    let no = ended(&hub, &lease, "a").await;
    let (one, two) = (number(&hub, P0).await, number(&hub, P0).await);
    let wrong = replacing("m1", new_instance(one, "a"), Some(InstanceNo(no.0 + 1_000)));
    assert_eq!(send(&hub, wrong).await, Accepted::Exists(Status::Completed));
    let right = replacing("m2", new_instance(two, "a"), Some(no));
    assert_eq!(send(&hub, right).await, Accepted::Sent);
    assert_eq!(read(&hub, "a").await.unwrap().no, two);
}

pub async fn a_replacement_raced_by_many_happens_once(hub: Fixture) {
    let lease = own_one(&hub).await;
    ended(&hub, &lease, "a").await;
    let mut tasks = tokio::task::JoinSet::new();
    for racer in 0..10 {
        let hub = hub.clone();
        tasks.spawn(async move {
            let new = new_instance(number(&hub, P0).await, "a");
            send(&hub, replacing(&format!("m{racer}"), new, None)).await
        });
    }
    let answers = tasks.join_all().await;
    assert_eq!(answers.iter().filter(|answer| **answer == Accepted::Sent).count(), 1);
    let refused = Accepted::Exists(Status::Pending);
    assert_eq!(answers.iter().filter(|answer| **answer == refused).count(), 9);
    assert_eq!(inbox(&hub, &lease).await.len(), 1);
}

pub async fn replacements_see_the_envelopes_before_them(hub: Fixture) {
    let lease = own_one(&hub).await;
    ended(&hub, &lease, "a").await;
    let (one, two) = (number(&hub, P0).await, number(&hub, P0).await);
    let envelopes = vec![
        if_running(message("early", P0, "a")),
        replacing("m1", new_instance(one, "a"), None),
        if_running(message("m2", P0, "a")),
        replacing("m3", new_instance(two, "a"), None),
    ];
    let answers = hub.send(envelopes, at(0)).await.unwrap();
    let expected = [
        Accepted::Ended(Status::Completed),
        Accepted::Sent,
        Accepted::Sent,
        Accepted::Exists(Status::Pending),
    ];
    assert_eq!(answers, expected);
    assert_eq!(read(&hub, "a").await.unwrap().no, one);
}

pub async fn a_commit_replaces_what_has_ended(hub: Fixture) {
    let (zero, one) = own_two(&hub).await;
    let old = ended(&hub, &one, "ended").await;
    let running = create(&hub, &one, "running").await;
    let mut numbers = Vec::new();
    for _ in 0..3 {
        numbers.push(number(&hub, P1).await);
    }
    let send = vec![
        replacing("m1", new_instance(numbers[0], "ended"), None),
        replacing("m2", new_instance(numbers[1], "running"), None),
        replacing("m3", new_instance(numbers[2], "absent"), None),
    ];
    hub.commit(&zero, Batch { send, ..Batch::default() }).await.unwrap();
    is_gone(&hub, &one, old, "ended").await;
    assert_eq!(read(&hub, "ended").await.unwrap().no, numbers[0]);
    assert_eq!(read(&hub, "running").await.unwrap().no, running);
    assert_eq!(read(&hub, "absent").await.unwrap().no, numbers[2]);
    assert_eq!(inbox(&hub, &one).await, ["m1", "m2", "m3"]);

    let named = replacing("m4", new_instance(numbers[1], "running"), Some(running));
    assert_refused(hub.commit(&zero, Batch { send: vec![named], ..Batch::default() }).await, Other);
}

pub async fn what_has_failed_is_set_running_again(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = create(&hub, &lease, "a").await;
    for status in Status::ALL.into_iter().filter(|status| *status != Status::Failed) {
        set(&hub, &lease, no, status).await;
        let answer = send(&hub, reopening(message("m1", P0, "a"))).await;
        assert_eq!(answer, Accepted::NotFailed(status));
    }
    assert_eq!(send(&hub, reopening(message("m1", P0, "b"))).await, Accepted::Unknown);
    assert_eq!(inbox(&hub, &lease).await, [""; 0]);

    set(&hub, &lease, no, Status::Failed).await;
    let envelopes = vec![reopening(message("m2", P0, "a")), reopening(message("m3", P0, "a"))];
    let answers = hub.send(envelopes, at(0)).await.unwrap();
    assert_eq!(answers, [Accepted::Sent, Accepted::NotFailed(Status::Running)]);
    let record = read(&hub, "a").await.unwrap();
    assert_eq!((record.status, record.finished_at), (Status::Running, None));
    assert_eq!(record.output, Some(text("output")), "it is there until there is another");
    assert_eq!(inbox(&hub, &lease).await, ["m2"]);
    assert_eq!(hub.purge_instances(&[no]).await.unwrap(), []);
}

pub async fn late_news_of_a_failure_does_not_undo_that(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = create(&hub, &lease, "a").await;
    set(&hub, &lease, no, Status::Failed).await;
    send(&hub, reopening(message("m1", P0, "a"))).await;
    let late = InstanceChange { status: Status::Failed, ..change(no) };
    hub.commit(&lease, changes(vec![late.clone()])).await.unwrap();
    let record = read(&hub, "a").await.unwrap();
    assert_eq!((record.status, record.finished_at), (Status::Running, None));
    set(&hub, &lease, no, Status::Failed).await;
    hub.commit(&lease, changes(vec![late])).await.unwrap();
    let record = read(&hub, "a").await.unwrap();
    assert_eq!((record.status, record.finished_at), (Status::Failed, Some(at(9))));
}

pub async fn a_commit_sets_running_again_what_has_failed(hub: Fixture) {
    let (zero, one) = own_two(&hub).await;
    let (a, b) = (create(&hub, &one, "a").await, create(&hub, &one, "b").await);
    set(&hub, &one, a, Status::Failed).await;
    set(&hub, &one, b, Status::Terminated).await;
    let send = ["a", "b", "absent"].map(|id| reopening(message(id, P1, id))).to_vec();
    assert!(matches!(send[0].condition, Condition::Reopens));
    hub.commit(&zero, Batch { send, ..Batch::default() }).await.unwrap();
    assert_eq!(read(&hub, "a").await.unwrap().status, Status::Running);
    assert_eq!(read(&hub, "b").await.unwrap().status, Status::Terminated);
    assert_eq!(inbox(&hub, &one).await, ["a", "b", "absent"]);
}

pub async fn old_history_can_be_forgotten(hub: Fixture) {
    let lease = own_one(&hub).await;
    let (a, b) = (create(&hub, &lease, "a").await, create(&hub, &lease, "b").await);
    let turns = |turns: std::ops::RangeInclusive<i64>| turns.map(|n| (n, text("e"))).collect();
    for no in [a, b] {
        let all = InstanceChange { history: turns(1..=5), ..change(no) };
        hub.commit(&lease, changes(vec![all])).await.unwrap();
    }
    // Rows of the same change are forgotten too.
    let forget =
        InstanceChange { history: turns(6..=9), forget_history_before: Some(8), ..change(a) };
    hub.commit(&lease, changes(vec![forget])).await.unwrap();
    let left = |rows: Vec<(i64, crate::Payload)>| rows.into_iter().map(|row| row.0).collect();
    let rows: Vec<i64> = left(hub.read_history(a, 0, LIMIT).await.unwrap());
    assert_eq!(rows, [8, 9]);
    let rows: Vec<i64> = left(hub.read_history(b, 0, LIMIT).await.unwrap());
    assert_eq!(rows, [1, 2, 3, 4, 5]);
}

pub async fn history_that_came_with_the_instance_can_be_forgotten(hub: Fixture) {
    let lease = own_one(&hub).await;
    let turns = |turns: std::ops::RangeInclusive<i64>| turns.map(|n| (n, text("e"))).collect();
    let numbers = |rows: Vec<(i64, crate::Payload)>| -> Vec<i64> {
        rows.into_iter().map(|row| row.0).collect()
    };
    for (id, status) in [("a", Status::Running), ("b", Status::Completed)] {
        let no = number(&hub, P0).await;
        let new = InstanceChange {
            history: turns(1..=3),
            forget_history_before: Some(2),
            status,
            ..creation(no, id)
        };
        hub.commit(&lease, changes(vec![new])).await.unwrap();
        assert_eq!(numbers(hub.read_history(no, 0, LIMIT).await.unwrap()), [2, 3]);
        let no = number(&hub, P0).await;
        let new = InstanceChange { history: turns(1..=2), status, ..creation(no, &id.repeat(2)) };
        hub.commit(&lease, changes(vec![new])).await.unwrap();
        for (first_kept, left) in [(1, [1, 2].as_slice()), (2, &[2]), (3, &[])] {
            let forget_history_before = Some(first_kept);
            let forget = InstanceChange { status, forget_history_before, ..change(no) };
            hub.commit(&lease, changes(vec![forget])).await.unwrap();
            assert_eq!(numbers(hub.read_history(no, 0, LIMIT).await.unwrap()), left);
        }
    }
}

pub async fn turns_of_one_batch_may_forget_and_keep(hub: Fixture) {
    let lease = own_one(&hub).await;
    let mut numbers = Vec::new();
    for id in ["a", "b", "c"] {
        let no = number(&hub, P0).await;
        let new = InstanceChange { history: vec![(1, text(id))], ..creation(no, id) };
        hub.commit(&lease, changes(vec![new])).await.unwrap();
        numbers.push(no);
    }
    let forgets = [Some(2), None, Some(1)];
    let next = numbers.iter().zip(forgets).map(|(no, forget_history_before)| InstanceChange {
        history: vec![(2, text("two"))],
        forget_history_before,
        ..change(*no)
    });
    hub.commit(&lease, changes(next.collect())).await.unwrap();
    let two = (2, text("two"));
    for ((no, id), forgets) in numbers.into_iter().zip(["a", "b", "c"]).zip(forgets) {
        let first = (1, text(id));
        let left = if forgets == Some(2) { vec![two.clone()] } else { vec![first, two.clone()] };
        assert_eq!(hub.read_history(no, 0, LIMIT).await.unwrap(), left);
    }
}

pub async fn history_that_came_with_the_instance_outlives_a_failure(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = number(&hub, P0).await;
    let failed = InstanceChange {
        status: Status::Failed,
        finished_at: Some(at(1)),
        history: vec![(1, text("one"))],
        ..creation(no, "a")
    };
    hub.commit(&lease, changes(vec![failed])).await.unwrap();
    send(&hub, reopening(message("m", P0, "a"))).await;
    let ended = InstanceChange {
        status: Status::Completed,
        finished_at: Some(at(2)),
        history: vec![(2, text("two"))],
        ..change(no)
    };
    hub.commit(&lease, changes(vec![ended])).await.unwrap();
    let all = [(1, text("one")), (2, text("two"))];
    assert_eq!(hub.read_history(no, 0, LIMIT).await.unwrap(), all);
    assert_eq!(hub.purge_instances(&[no]).await.unwrap(), [no]);
    assert_eq!(hub.read_history(no, 0, LIMIT).await.unwrap(), []);
}
