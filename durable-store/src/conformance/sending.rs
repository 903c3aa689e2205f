//! What is accepted from outside: conditions, duplicates, and many senders at once.
#![allow(missing_docs, clippy::missing_panics_doc, clippy::unwrap_used, clippy::wildcard_imports)]

use std::collections::HashSet;

use crate::StoreErrorKind::Limit;
use crate::limits;
use crate::model::{Accepted, Batch, InstanceChange, PartitionId, Receipt, Status};

use super::world::*;

pub async fn a_message_without_condition_is_accepted(hub: Fixture) {
    assert_eq!(send(&hub, plain(message("m1", P0, "nobody"))).await, Accepted::Sent);
    assert_eq!(hub.send(Vec::new(), at(0)).await.unwrap(), []);
    assert_eq!(read(&hub, "nobody").await, None);
}

pub async fn a_running_target_takes_messages(hub: Fixture) {
    let lease = own_one(&hub).await;
    send(&hub, starting("start", new_instance(number(&hub, P0).await, "a"))).await;
    let no = read(&hub, "a").await.unwrap().no;
    assert_eq!(send(&hub, if_running(message("m1", P0, "a"))).await, Accepted::Sent);
    for (id, status) in [("m2", Status::Running), ("m3", Status::Suspended)] {
        let change = InstanceChange { status, ..change(no) };
        hub.commit(&lease, changes(vec![change])).await.unwrap();
        assert_eq!(send(&hub, if_running(message(id, P0, "a"))).await, Accepted::Sent);
    }
    assert_eq!(inbox(&hub, &lease).await, ["start", "m1", "m2", "m3"]);
}

pub async fn an_unknown_target_refuses(hub: Fixture) {
    let lease = own_one(&hub).await;
    assert_eq!(send(&hub, if_running(message("m1", P0, "nobody"))).await, Accepted::Unknown);
    assert_eq!(inbox(&hub, &lease).await, [""; 0]);
}

pub async fn an_ended_target_refuses(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = create(&hub, &lease, "a").await;
    for status in [Status::Completed, Status::Failed, Status::Terminated] {
        let change = InstanceChange { status, ..change(no) };
        hub.commit(&lease, changes(vec![change])).await.unwrap();
        let answer = send(&hub, if_running(message("m1", P0, "a"))).await;
        assert_eq!(answer, Accepted::Ended(status));
    }
    assert_eq!(inbox(&hub, &lease).await, [""; 0]);
}

pub async fn a_start_creates_the_instance(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = number(&hub, P0).await;
    assert_eq!(send(&hub, starting("m1", new_instance(no, "a"))).await, Accepted::Sent);
    assert_eq!(load(&hub, &lease, "a").await.record.no, no);
    assert_eq!(inbox(&hub, &lease).await, ["m1"]);
}

pub async fn a_start_of_an_id_that_exists_is_refused(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = create(&hub, &lease, "a").await;
    for status in Status::ALL {
        let change = InstanceChange { status, ..change(no) };
        hub.commit(&lease, changes(vec![change])).await.unwrap();
        let mut new = new_instance(number(&hub, P0).await, "a");
        new.request = "another request".into();
        assert_eq!(send(&hub, starting("m1", new)).await, Accepted::Exists(status));
    }
    assert_eq!(inbox(&hub, &lease).await, [""; 0]);
    assert_eq!(read(&hub, "a").await.unwrap().no, no);
}

pub async fn a_start_resent_is_a_duplicate(hub: Fixture) {
    let lease = own_one(&hub).await;
    let no = number(&hub, P0).await;
    send(&hub, starting("m1", new_instance(no, "a"))).await;
    // A client that asks again uses a new number and may use a new message id.
    let again = new_instance(number(&hub, P0).await, "a");
    assert_eq!(send(&hub, starting("m2", again)).await, Accepted::Duplicate);
    assert_eq!(read(&hub, "a").await.unwrap().no, no);
    assert_eq!(inbox(&hub, &lease).await, ["m1"]);
}

pub async fn a_message_resent_is_a_duplicate(hub: Fixture) {
    let lease = own_one(&hub).await;
    for sent in [message("m1", P0, "target"), due("m2", P0, at(5))] {
        assert_eq!(send(&hub, plain(sent.clone())).await, Accepted::Sent);
        assert_eq!(send(&hub, plain(sent)).await, Accepted::Duplicate);
    }
    assert_eq!(inbox(&hub, &lease).await, ["m1"]);
    assert_eq!(scheduled(&hub, &lease, at(9)).await, ["m2"]);
}

pub async fn a_message_resent_after_it_was_consumed_is_a_duplicate(hub: Fixture) {
    let lease = own_one(&hub).await;
    create(&hub, &lease, "a").await;
    let sent = if_running(message("m1", P0, "a"));
    send(&hub, sent.clone()).await;
    hub.commit(&lease, consuming(&["m1"])).await.unwrap();
    assert_eq!(send(&hub, sent).await, Accepted::Duplicate);
    assert_eq!(inbox(&hub, &lease).await, [""; 0]);
}

pub async fn whether_a_message_is_known_can_be_asked(hub: Fixture) {
    let lease = own_one(&hub).await;
    let ask = |id: &str| if_running(message(id, P0, "nobody"));
    send(&hub, plain(message("sent", P0, "a"))).await;
    let received = Receipt { id: "received".to_owned(), at: at(1) };
    let batch = Batch { receipts: vec![received], ..Batch::default() };
    hub.commit(&lease, batch).await.unwrap();
    for id in ["sent", "received"] {
        assert_eq!(send(&hub, ask(id)).await, Accepted::Duplicate);
    }
    // Asking leaves nothing behind.
    for _ in 0..2 {
        assert_eq!(send(&hub, ask("other")).await, Accepted::Unknown);
    }
    assert_eq!(send(&hub, plain(message("other", P0, "a"))).await, Accepted::Sent);
    assert_eq!(inbox(&hub, &lease).await, ["sent", "other"]);
}

pub async fn a_refused_message_may_be_sent_again(hub: Fixture) {
    let lease = own_one(&hub).await;
    let sent = if_running(message("m1", P0, "a"));
    assert_eq!(send(&hub, sent.clone()).await, Accepted::Unknown);
    create(&hub, &lease, "a").await;
    assert_eq!(send(&hub, sent).await, Accepted::Sent);
}

pub async fn a_refusal_does_not_stop_the_others(hub: Fixture) {
    let lease = own_one(&hub).await;
    let envelopes = vec![
        plain(message("m1", P0, "x")),
        if_running(message("m2", P0, "nobody")),
        plain(message("m1", P0, "x")),
        plain(message("m3", P0, "x")),
    ];
    let answers = hub.send(envelopes, at(0)).await.unwrap();
    let expected = [Accepted::Sent, Accepted::Unknown, Accepted::Duplicate, Accepted::Sent];
    assert_eq!(answers, expected);
    assert_eq!(inbox(&hub, &lease).await, ["m1", "m3"]);
}

pub async fn envelopes_see_those_before_them(hub: Fixture) {
    let lease = own_one(&hub).await;
    let new = new_instance(number(&hub, P0).await, "a");
    let same = new_instance(number(&hub, P0).await, "a");
    let mut other = new_instance(number(&hub, P0).await, "a");
    other.request = "another request".into();
    let envelopes = vec![
        if_running(message("early", P0, "a")),
        starting("m1", new),
        if_running(message("m2", P0, "a")),
        starting("m3", same),
        starting("m4", other),
    ];
    let answers = hub.send(envelopes, at(0)).await.unwrap();
    let expected = [
        Accepted::Unknown,
        Accepted::Sent,
        Accepted::Sent,
        Accepted::Duplicate,
        Accepted::Exists(Status::Pending),
    ];
    assert_eq!(answers, expected);
    assert_eq!(inbox(&hub, &lease).await, ["m1", "m2"]);
}

pub async fn a_cleaned_receipt_is_forgotten(hub: Fixture) {
    let lease = own_one(&hub).await;
    for (id, second) in [("old", 0), ("new", 10)] {
        hub.send(vec![plain(message(id, P0, "x"))], at(second)).await.unwrap();
    }
    hub.commit(&lease, consuming(&["old", "new"])).await.unwrap();
    hub.clean(at(10), at(10)).await.unwrap();
    assert_eq!(send(&hub, plain(message("old", P0, "x"))).await, Accepted::Sent);
    assert_eq!(send(&hub, plain(message("new", P0, "x"))).await, Accepted::Duplicate);
}

pub async fn what_is_too_large_is_refused(hub: Fixture) {
    let lease = own_one(&hub).await;
    let mut large = message("m2", P0, "x");
    large.body = text(&"x".repeat(limits::MAX_PAYLOAD_BYTES + 1));
    let envelopes = vec![plain(message("m1", P0, "x")), plain(large)];
    assert_refused(hub.send(envelopes, at(0)).await, Limit);
    let long = message(&"x".repeat(limits::MAX_MESSAGE_ID_BYTES + 1), P0, "x");
    assert_refused(hub.send(vec![plain(long)], at(0)).await, Limit);
    let long = message("m3", P0, &"x".repeat(limits::MAX_INSTANCE_ID_BYTES + 1));
    assert_refused(hub.send(vec![plain(long)], at(0)).await, Limit);
    assert_eq!(inbox(&hub, &lease).await, [""; 0]);
}

pub async fn a_partition_beyond_the_hub_is_refused(hub: Fixture) {
    let beyond = PartitionId(hub.hub().await.unwrap().partitions);
    let result = hub.send(vec![plain(message("m1", beyond, "x"))], at(0)).await;
    assert_refused(result, Limit);
}

pub async fn concurrent_senders_lose_nothing(hub: Fixture) {
    const SENDERS: usize = 8;
    const MESSAGES: usize = 25;
    let lease = own_one(&hub).await;
    let mut tasks = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let hub = hub.clone();
        tasks.spawn(async move {
            for n in 0..MESSAGES {
                let sent = plain(message(&format!("{sender}/{n}"), P0, "x"));
                assert_eq!(send(&hub, sent).await, Accepted::Sent);
            }
        });
    }
    // The owner consumes while they send.
    let mut consumed: Vec<String> = Vec::new();
    while consumed.len() < SENDERS * MESSAGES {
        let ids = inbox(&hub, &lease).await;
        let refs: Vec<&str> = ids.iter().map(String::as_str).collect();
        hub.commit(&lease, consuming(&refs)).await.unwrap();
        consumed.extend(ids);
        tokio::task::yield_now().await;
    }
    tasks.join_all().await;
    assert_eq!(inbox(&hub, &lease).await, [""; 0]);
    assert_eq!(consumed.iter().collect::<HashSet<_>>().len(), SENDERS * MESSAGES);
    for sender in 0..SENDERS {
        let prefix = format!("{sender}/");
        let of_one: Vec<_> = consumed.iter().filter(|id| id.starts_with(&prefix)).collect();
        let expected: Vec<_> = (0..MESSAGES).map(|n| format!("{prefix}{n}")).collect();
        assert_eq!(of_one, expected.iter().collect::<Vec<_>>());
    }
}

pub async fn a_start_raced_by_many_happens_once(hub: Fixture) {
    let lease = own_one(&hub).await;
    let mut tasks = tokio::task::JoinSet::new();
    for racer in 0..10 {
        let hub = hub.clone();
        tasks.spawn(async move {
            let mut new = new_instance(number(&hub, P0).await, "a");
            new.request = format!("request {racer}");
            send(&hub, starting(&format!("m{racer}"), new)).await
        });
    }
    let answers = tasks.join_all().await;
    assert_eq!(answers.iter().filter(|answer| **answer == Accepted::Sent).count(), 1);
    let refused = Accepted::Exists(Status::Pending);
    assert_eq!(answers.iter().filter(|answer| **answer == refused).count(), 9);
    assert_eq!(inbox(&hub, &lease).await.len(), 1);
}
