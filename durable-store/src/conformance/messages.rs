//! How messages wait, become due, are consumed and cancelled, and who is told about them.
#![allow(missing_docs, clippy::missing_panics_doc, clippy::unwrap_used, clippy::wildcard_imports)]

use crate::StoreErrorKind::Other;
use crate::model::{Batch, Message, Status};

use super::world::*;

pub async fn a_message_stays_until_it_is_consumed(hub: Fixture) {
    let lease = own_one(&hub).await;
    let sent = message("m1", P0, "target");
    send(&hub, plain(sent.clone())).await;
    for _ in 0..2 {
        let polled = hub.poll(&lease, at(0), LIMIT).await.unwrap();
        assert_eq!((polled.inbox, polled.scheduled), (vec![sent.clone()], vec![]));
    }
    hub.commit(&lease, consuming(&["m1"])).await.unwrap();
    assert_eq!(inbox(&hub, &lease).await, [""; 0]);
}

pub async fn a_poll_returns_the_oldest_up_to_its_limit(hub: Fixture) {
    let lease = own_one(&hub).await;
    fill(&hub, P0, &["z", "y", "x"]).await;
    let batch = Batch {
        schedule: (1..=3).map(|second| due(&format!("t{second}"), P0, at(second))).collect(),
        ..Batch::default()
    };
    hub.commit(&lease, batch).await.unwrap();
    let ids = |messages: Vec<Message>| messages.into_iter().map(|m| m.id).collect::<Vec<_>>();
    let polled = hub.poll(&lease, at(9), 2).await.unwrap();
    assert_eq!(
        (ids(polled.inbox), ids(polled.scheduled)),
        (strings(&["z", "y"]), strings(&["t1", "t2"]))
    );
    let polled = hub.poll(&lease, at(9), 0).await.unwrap();
    assert_eq!((polled.inbox, polled.scheduled), (vec![], vec![]));
}

pub async fn a_poll_sees_its_partition_only(hub: Fixture) {
    let (zero, one) = own_two(&hub).await;
    fill(&hub, P0, &["a"]).await;
    fill(&hub, P1, &["b"]).await;
    send(&hub, plain(due("later", P1, at(5)))).await;
    assert_eq!(inbox(&hub, &zero).await, ["a"]);
    assert_eq!(inbox(&hub, &one).await, ["b"]);
    assert_eq!(scheduled(&hub, &zero, at(9)).await, [""; 0]);
    assert_eq!(scheduled(&hub, &one, at(9)).await, ["later"]);
}

pub async fn messages_to_another_partition_arrive(hub: Fixture) {
    let (zero, one) = own_two(&hub).await;
    let away = message("m1", P1, "elsewhere");
    let send = vec![plain(away.clone()), plain(message("m2", P0, "here"))];
    hub.commit(&zero, Batch { send, ..Batch::default() }).await.unwrap();
    assert_eq!(hub.poll(&one, at(0), LIMIT).await.unwrap().inbox, [away]);
    assert_eq!(inbox(&hub, &zero).await, ["m2"]);
}

pub async fn messages_come_in_the_order_they_were_sent(hub: Fixture) {
    let (zero, one) = own_two(&hub).await;
    let mut expected = Vec::new();
    for round in 0..10 {
        // Ids that sort the other way round.
        let ids: Vec<String> = (0..5).map(|n| format!("m{:03}", 900 - (round * 5 + n))).collect();
        let envelopes: Vec<_> = ids.iter().map(|id| plain(message(id, P1, "target"))).collect();
        if round % 2 == 0 {
            hub.send(envelopes, at(0)).await.unwrap();
        } else {
            hub.commit(&zero, Batch { send: envelopes, ..Batch::default() }).await.unwrap();
        }
        expected.extend(ids);
        // What is consumed in between does not change the order of the rest.
        if round == 5 {
            let consume: Vec<String> = expected.drain(3..30).collect();
            hub.commit(&one, Batch { consume, ..Batch::default() }).await.unwrap();
        }
    }
    assert_eq!(inbox(&hub, &one).await, expected);
}

pub async fn a_message_is_not_due_before_its_time(hub: Fixture) {
    let lease = own_one(&hub).await;
    let timer = due("timer", P0, at(10));
    let batch = Batch { schedule: vec![timer.clone()], ..Batch::default() };
    hub.commit(&lease, batch).await.unwrap();
    let polled = hub.poll(&lease, at(9), LIMIT).await.unwrap();
    assert_eq!((polled.inbox, polled.scheduled), (vec![], vec![]));
    let polled = hub.poll(&lease, at(11), LIMIT).await.unwrap();
    assert_eq!((polled.inbox, polled.scheduled), (vec![], vec![timer]));
}

pub async fn the_horizon_includes_its_own_time(hub: Fixture) {
    let lease = own_one(&hub).await;
    send(&hub, plain(due("timer", P0, at(10)))).await;
    assert_eq!(scheduled(&hub, &lease, at(10)).await, ["timer"]);
}

pub async fn due_messages_come_earliest_first(hub: Fixture) {
    let lease = own_one(&hub).await;
    let timers = [("c", 3), ("a", 1), ("b2", 2), ("b1", 2), ("d", 4)];
    let schedule = timers.map(|(id, second)| due(id, P0, at(second))).to_vec();
    hub.commit(&lease, Batch { schedule, ..Batch::default() }).await.unwrap();
    // Of the same moment, the one that came first.
    assert_eq!(scheduled(&hub, &lease, at(3)).await, ["a", "b2", "b1", "c"]);
}

pub async fn a_sent_message_can_have_a_due_time(hub: Fixture) {
    let (zero, one) = own_two(&hub).await;
    let (outside, inside) = (due("outside", P1, at(5)), due("inside", P1, at(6)));
    send(&hub, plain(outside.clone())).await;
    let batch = Batch { send: vec![plain(inside.clone())], ..Batch::default() };
    hub.commit(&zero, batch).await.unwrap();
    assert_eq!(inbox(&hub, &one).await, [""; 0]);
    let polled = hub.poll(&one, at(9), LIMIT).await.unwrap();
    assert_eq!(polled.scheduled, [outside, inside]);
}

fn unscheduling(ids: &[&str]) -> Batch {
    Batch { unschedule: strings(ids), ..Batch::default() }
}

pub async fn a_scheduled_message_can_be_cancelled(hub: Fixture) {
    let (zero, one) = own_two(&hub).await;
    for id in ["a", "b"] {
        send(&hub, plain(due(id, P0, at(5)))).await;
    }
    hub.commit(&one, unscheduling(&["a"])).await.unwrap();
    assert_eq!(scheduled(&hub, &zero, at(9)).await, ["a", "b"]);
    hub.commit(&zero, unscheduling(&["a"])).await.unwrap();
    assert_eq!(scheduled(&hub, &zero, at(9)).await, ["b"]);
}

pub async fn cancelling_a_missing_message_is_ignored(hub: Fixture) {
    let lease = own_one(&hub).await;
    hub.commit(&lease, unscheduling(&["never", "never"])).await.unwrap();
}

pub async fn a_message_can_be_cancelled_and_scheduled_anew(hub: Fixture) {
    let lease = own_one(&hub).await;
    send(&hub, plain(due("a", P0, at(5)))).await;
    let batch = Batch { schedule: vec![due("a", P0, at(7))], ..unscheduling(&["a"]) };
    hub.commit(&lease, batch).await.unwrap();
    let polled = hub.poll(&lease, at(9), LIMIT).await.unwrap();
    assert_eq!(polled.scheduled, [due("a", P0, at(7))]);
}

pub async fn a_consumed_message_is_not_cancelled_by_its_id(hub: Fixture) {
    let lease = own_one(&hub).await;
    fill(&hub, P0, &["m1"]).await;
    hub.commit(&lease, unscheduling(&["m1"])).await.unwrap();
    assert_eq!(inbox(&hub, &lease).await, ["m1"]);
}

pub async fn a_message_that_is_stored_is_not_stored_again(hub: Fixture) {
    let (zero, one) = own_two(&hub).await;
    let (first, later) = (message("m1", P1, "target"), due("m2", P1, at(5)));
    let batch = Batch {
        send: vec![plain(first.clone()), plain(first.clone()), plain(later.clone())],
        ..Batch::default()
    };
    hub.commit(&zero, batch.clone()).await.unwrap();
    hub.commit(&zero, batch).await.unwrap();
    // Neither does an id move between the inbox and the schedule.
    let swapped = vec![plain(due("m1", P1, at(5))), plain(message("m2", P1, "target"))];
    hub.commit(&zero, Batch { send: swapped, ..Batch::default() }).await.unwrap();
    let polled = hub.poll(&one, at(9), LIMIT).await.unwrap();
    assert_eq!((polled.inbox, polled.scheduled), (vec![first], vec![later]));
}

pub async fn a_commit_can_start_an_instance_elsewhere(hub: Fixture) {
    let (zero, one) = own_two(&hub).await;
    let no = number(&hub, P1).await;
    let send = vec![starting("m1", new_instance(no, "child"))];
    hub.commit(&zero, Batch { send, ..Batch::default() }).await.unwrap();
    let child = load(&hub, &one, "child").await;
    assert_eq!((child.record.no, child.record.status), (no, Status::Pending));
    assert_eq!(inbox(&hub, &one).await, ["m1"]);
}

pub async fn a_commit_that_starts_what_exists_sends_only(hub: Fixture) {
    let (zero, one) = own_two(&hub).await;
    let no = create(&hub, &one, "child").await;
    let before = load(&hub, &one, "child").await;
    let (a, b) = (number(&hub, P1).await, number(&hub, P1).await);
    let send = vec![
        starting("m1", new_instance(a, "child")),
        starting("m2", new_instance(a, "other")),
        starting("m3", new_instance(b, "other")),
    ];
    hub.commit(&zero, Batch { send, ..Batch::default() }).await.unwrap();
    assert_eq!(load(&hub, &one, "child").await, before);
    assert_eq!(before.record.no, no);
    assert_eq!(load(&hub, &one, "other").await.record.no, a);
    assert_eq!(inbox(&hub, &one).await, ["m1", "m2", "m3"]);
}

pub async fn scheduling_for_another_partition_is_refused(hub: Fixture) {
    let lease = own_one(&hub).await;
    let batch = Batch { schedule: vec![due("a", P1, at(5))], ..Batch::default() };
    assert_refused(hub.commit(&lease, batch).await, Other);
}
