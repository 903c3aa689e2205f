//! For backends that keep their data: what was answered is there when the hub is opened again,
//! though nobody closed it.
#![allow(missing_docs, clippy::missing_panics_doc, clippy::unwrap_used, clippy::wildcard_imports)]

use std::future::Future;

use crate::model::{Accepted, Batch, InstanceChange, Reply, Status};

use super::world::*;

pub async fn everything_committed_is_there<O, F>(open: O)
where
    O: Fn() -> F,
    F: Future<Output = Fixture>,
{
    let (no, before) = {
        let hub = open().await;
        let (zero, _) = own_two(&hub).await;
        let no = create(&hub, &zero, "a").await;
        let batch = Batch {
            instances: vec![InstanceChange {
                busy: true,
                state: Some(text("state")),
                put_side: vec![(1, text("side"))],
                history: vec![(1, text("events"))],
                ..change(no)
            }],
            schedule: vec![due("timer", P0, at(5))],
            replies: vec![Reply { request: "r".to_owned(), body: text("reply"), at: at(1) }],
            ..Batch::default()
        };
        hub.commit(&zero, batch).await.unwrap();
        fill(&hub, P0, &["m2", "m1"]).await;
        (no, load(&hub, &zero, "a").await)
    };
    let hub = open().await;
    let lease = own_one(&hub).await;
    assert_eq!(load(&hub, &lease, "a").await, before);
    assert_eq!(hub.load_partition(&lease).await.unwrap(), [before]);
    assert_eq!(hub.read_history(no, 0, LIMIT).await.unwrap(), [(1, text("events"))]);
    assert_eq!(inbox(&hub, &lease).await, ["m2", "m1"]);
    assert_eq!(scheduled(&hub, &lease, at(9)).await, ["timer"]);
    assert_eq!(
        hub.read_replies(&strings(&["r"])).await.unwrap(),
        [("r".to_owned(), text("reply"))]
    );
}

pub async fn epochs_and_numbers_go_on<O, F>(open: O)
where
    O: Fn() -> F,
    F: Future<Output = Fixture>,
{
    let hub = open().await;
    let (old, number) = (own_one(&hub).await, hub.reserve_numbers(5).await.unwrap());
    drop(hub);
    let hub = open().await;
    assert!(own_one(&hub).await.epoch > old.epoch);
    assert!(hub.reserve_numbers(1).await.unwrap() >= number + 5);
}

pub async fn receipts_are_remembered<O, F>(open: O)
where
    O: Fn() -> F,
    F: Future<Output = Fixture>,
{
    let hub = open().await;
    let lease = own_one(&hub).await;
    fill(&hub, P0, &["m1"]).await;
    hub.commit(&lease, consuming(&["m1"])).await.unwrap();
    drop(hub);
    let hub = open().await;
    assert_eq!(send(&hub, plain(message("m1", P0, "target"))).await, Accepted::Duplicate);
}

pub async fn the_number_of_partitions_stays<O, F>(open: O)
where
    O: Fn() -> F,
    F: Future<Output = Fixture>,
{
    let partitions = open().await.hub().await.unwrap().partitions;
    assert_eq!(open().await.hub().await.unwrap().partitions, partitions);
}

pub async fn what_was_purged_stays_away<O, F>(open: O)
where
    O: Fn() -> F,
    F: Future<Output = Fixture>,
{
    let (purged, replacing_no) = {
        let hub = open().await;
        let lease = own_one(&hub).await;
        let (purged, replaced) =
            (create(&hub, &lease, "purged").await, create(&hub, &lease, "replaced").await);
        for no in [purged, replaced] {
            set(&hub, &lease, no, Status::Completed).await;
        }
        hub.purge_instances(&[purged]).await.unwrap();
        let new = new_instance(number(&hub, P0).await, "replaced");
        let no = new.no;
        assert_eq!(send(&hub, replacing("m1", new, None)).await, Accepted::Sent);
        (purged, no)
    };
    let hub = open().await;
    assert_eq!(read(&hub, "purged").await, None);
    assert_eq!(read(&hub, "replaced").await.unwrap().no, replacing_no);
    hub.clean(at(0), at(0)).await.unwrap();
    assert!(hub.reserve_numbers(1).await.unwrap() > purged.0);
}
