//! Who may own a partition, and what one who no longer does can do: nothing.
#![allow(missing_docs, clippy::missing_panics_doc, clippy::unwrap_used, clippy::wildcard_imports)]

use std::collections::HashSet;

use crate::StoreErrorKind::LeaseLost;
use crate::Timestamp;
use crate::model::{Lease, PartitionId};

use super::world::*;

/// Who is alive at `now` when `worker` says that it is until `until`, and what each holds.
async fn check_in(hub: &Fixture, worker: &str, now: i64, until: i64) -> Vec<(String, u16)> {
    let peers = hub.check_in(worker, at(now), at(until)).await.unwrap();
    peers.into_iter().map(|peer| (peer.worker, peer.partitions)).collect()
}

fn peers(peers: &[(&str, u16)]) -> Vec<(String, u16)> {
    peers.iter().map(|(worker, partitions)| ((*worker).to_owned(), *partitions)).collect()
}

pub async fn workers_that_checked_in_are_alive(hub: Fixture) {
    assert_eq!(check_in(&hub, "b", 0, 30).await, peers(&[("b", 0)]));
    let leases = hub.acquire_leases("b", 2, &[], at(0), at(30)).await.unwrap();
    assert_eq!(check_in(&hub, "a", 0, 30).await, peers(&[("a", 0), ("b", 2)]));
    // Who holds something and does not check in is not heard of.
    hub.release_leases(&leases[..1]).await.unwrap();
    own(&hub, "silent").await;
    assert_eq!(check_in(&hub, "a", 1, 31).await, peers(&[("a", 0), ("b", 1)]));
    assert_eq!(check_in(&hub, "a", 1, 31).await, peers(&[("a", 0), ("b", 1)]));
}

pub async fn a_worker_whose_time_is_over_is_not_alive(hub: Fixture) {
    check_in(&hub, "one", 0, 30).await;
    assert_eq!(check_in(&hub, "two", 29, 60).await, peers(&[("one", 0), ("two", 0)]));
    assert_eq!(check_in(&hub, "two", 30, 60).await, peers(&[("two", 0)]));
    // It comes back.
    assert_eq!(check_in(&hub, "one", 31, 60).await, peers(&[("one", 0), ("two", 0)]));
    // A later word counts, also one that shortens the time.
    assert_eq!(check_in(&hub, "two", 31, 40).await, peers(&[("one", 0), ("two", 0)]));
    assert_eq!(check_in(&hub, "one", 40, 60).await, peers(&[("one", 0)]));
}

pub async fn a_worker_that_ends_says_so(hub: Fixture) {
    check_in(&hub, "one", 0, 30).await;
    check_in(&hub, "two", 0, 30).await;
    let left = hub.check_in("one", at(1), Timestamp::MIN).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(check_in(&hub, "two", 1, 31).await, peers(&[("two", 0)]));
    // Saying so twice, or without having been there, changes nothing.
    hub.check_in("three", at(1), Timestamp::MIN).await.unwrap();
    hub.check_in("one", at(1), Timestamp::MIN).await.unwrap();
    assert_eq!(check_in(&hub, "two", 1, 31).await, peers(&[("two", 0)]));
}

pub async fn many_workers_check_in_at_once(hub: Fixture) {
    const WORKERS: usize = 20;
    let name = |kind: &str, n: usize| format!("{kind} {n:02}");
    for n in 0..WORKERS {
        check_in(&hub, &name("over", n), 0, 1).await;
    }
    // Each finds the same that is over, and some of them are among it.
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..WORKERS {
        for kind in ["over", "new"] {
            let (hub, worker) = (hub.clone(), name(kind, n));
            tasks.spawn(async move { check_in(&hub, &worker, 2, 30).await.len() });
        }
    }
    while let Some(alive) = tasks.join_next().await {
        assert!((1..=2 * WORKERS).contains(&alive.unwrap()));
    }
    assert_eq!(check_in(&hub, &name("new", 0), 3, 30).await.len(), 2 * WORKERS);
}

pub async fn every_partition_is_acquired_once(hub: Fixture) {
    let count = hub.hub().await.unwrap().partitions;
    let leases = own(&hub, "one").await;
    let partitions: HashSet<u16> = leases.iter().map(|lease| lease.partition.0).collect();
    assert_eq!(partitions, (0..count).collect());
    for lease in &leases {
        assert_eq!((lease.owner.as_str(), lease.expires_at), ("one", at(30)));
    }
}

pub async fn a_held_partition_is_not_acquired(hub: Fixture) {
    own(&hub, "one").await;
    assert_eq!(hub.acquire_leases("two", 9, &[], at(29), at(60)).await.unwrap(), []);
}

pub async fn the_limit_of_partitions_is_kept(hub: Fixture) {
    let first = hub.acquire_leases("one", 1, &[], at(0), at(30)).await.unwrap();
    assert_eq!(first.len(), 1);
    assert_eq!(hub.acquire_leases("one", 0, &[], at(0), at(30)).await.unwrap(), []);
    // What is free is preferred to what the owner has already.
    let second = hub.acquire_leases("one", 1, &[], at(0), at(30)).await.unwrap();
    assert_ne!(first[0].partition, second[0].partition);
}

pub async fn what_an_owner_holds_is_not_taken_from_it(hub: Fixture) {
    let leases = own(&hub, "one").await;
    let held: Vec<PartitionId> = leases.iter().map(|lease| lease.partition).collect();
    // Not even when nobody renewed it.
    assert_eq!(hub.acquire_leases("one", 9, &held, at(31), at(60)).await.unwrap(), []);
    let again = hub.acquire_leases("one", 9, &held[1..], at(31), at(60)).await.unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!((again[0].partition, again[0].epoch), (held[0], leases[0].epoch + 1));
    hub.commit(&leases[1], consuming(&[])).await.unwrap();
}

pub async fn takeover_after_expiry_raises_the_epoch(hub: Fixture) {
    let old = own_one(&hub).await;
    let leases = hub.acquire_leases("two", u16::MAX, &[], at(30), at(60)).await.unwrap();
    assert_eq!(leases[0].partition, old.partition);
    assert_eq!((leases[0].epoch, leases[0].owner.as_str()), (old.epoch + 1, "two"));
}

pub async fn takeover_after_release_is_immediate(hub: Fixture) {
    let leases = own(&hub, "one").await;
    hub.release_leases(&leases).await.unwrap();
    let taken = own(&hub, "two").await;
    assert_eq!(taken.len(), leases.len());
    assert!(taken[0].epoch > leases[0].epoch);
}

pub async fn the_same_owner_takes_over_at_once(hub: Fixture) {
    let old = own_one(&hub).await;
    let new = own_one(&hub).await;
    assert_eq!(new.epoch, old.epoch + 1);
    assert_refused(hub.commit(&old, consuming(&[])).await, LeaseLost);
    hub.commit(&new, consuming(&[])).await.unwrap();
}

pub async fn a_renewed_lease_does_not_expire(hub: Fixture) {
    let leases = own(&hub, "one").await;
    let renewed = hub.renew_leases(&leases, at(90)).await.unwrap();
    assert_eq!(renewed.len(), leases.len());
    assert_eq!((renewed[0].epoch, renewed[0].expires_at), (leases[0].epoch, at(90)));
    assert_eq!(hub.acquire_leases("two", 9, &[], at(60), at(99)).await.unwrap(), []);
}

pub async fn only_current_leases_are_renewed(hub: Fixture) {
    let old = own(&hub, "one").await;
    let taken = hub.acquire_leases("two", 1, &[], at(30), at(60)).await.unwrap();
    let renewed = hub.renew_leases(&old, at(90)).await.unwrap();
    assert_eq!(renewed.len(), old.len() - 1);
    assert!(renewed.iter().all(|lease| lease.partition != taken[0].partition));
    assert_eq!(hub.renew_leases(&[], at(90)).await.unwrap(), []);
    // The new owner's term is its own.
    assert_eq!(hub.renew_leases(&taken, at(91)).await.unwrap()[0].expires_at, at(91));
}

/// A lease that somebody else has taken over, and the instance and message of its partition.
async fn stale(hub: &Fixture) -> (Lease, Lease) {
    let old = own_one(hub).await;
    create(hub, &old, "known").await;
    fill(hub, P0, &["m1"]).await;
    let new = hub.acquire_leases("two", u16::MAX, &[], at(30), at(60)).await.unwrap().remove(0);
    (old, new)
}

pub async fn a_stale_owner_cannot_commit(hub: Fixture) {
    let (old, new) = stale(&hub).await;
    assert_refused(hub.commit(&old, consuming(&["m1"])).await, LeaseLost);
    // Losing the lease is said even where the batch would conflict as well.
    let no = number(&hub, P0).await;
    assert_refused(hub.commit(&old, changes(vec![creation(no, "known")])).await, LeaseLost);
    assert_refused(hub.commit(&old, consuming(&["missing"])).await, LeaseLost);
    assert_eq!(inbox(&hub, &new).await, ["m1"]);
    hub.commit(&new, consuming(&["m1"])).await.unwrap();
}

pub async fn a_stale_owner_cannot_read(hub: Fixture) {
    let (old, new) = stale(&hub).await;
    assert_refused(hub.poll(&old, at(0), LIMIT).await, LeaseLost);
    assert_refused(hub.load_partition(&old).await, LeaseLost);
    assert_refused(hub.load_instances(&old, &strings(&["known"])).await, LeaseLost);
    assert_eq!(load(&hub, &new, "known").await.record.id, "known");
}

pub async fn a_stale_release_changes_nothing(hub: Fixture) {
    let (old, new) = stale(&hub).await;
    hub.release_leases(&[old]).await.unwrap();
    hub.release_leases(&[]).await.unwrap();
    assert_eq!(hub.acquire_leases("three", 9, &[], at(31), at(60)).await.unwrap(), []);
    hub.commit(&new, consuming(&["m1"])).await.unwrap();
}

pub async fn a_released_lease_is_stale(hub: Fixture) {
    let lease = own_one(&hub).await;
    hub.release_leases(std::slice::from_ref(&lease)).await.unwrap();
    assert_refused(hub.commit(&lease, consuming(&[])).await, LeaseLost);
    assert_refused(hub.poll(&lease, at(0), LIMIT).await, LeaseLost);
    assert_eq!(hub.renew_leases(&[lease], at(90)).await.unwrap(), []);
}

pub async fn an_expired_lease_is_good_until_it_is_taken(hub: Fixture) {
    let lease = hub.acquire_leases("one", 1, &[], at(0), at(1)).await.unwrap().remove(0);
    fill(&hub, lease.partition, &["m1"]).await;
    hub.commit(&lease, consuming(&["m1"])).await.unwrap();
    assert_eq!(hub.renew_leases(&[lease], at(90)).await.unwrap().len(), 1);
}

pub async fn a_partition_that_does_not_exist_is_lost(hub: Fixture) {
    let mut lease = own_one(&hub).await;
    lease.partition = PartitionId(hub.hub().await.unwrap().partitions);
    assert_refused(hub.poll(&lease, at(0), LIMIT).await, LeaseLost);
    assert_refused(hub.commit(&lease, consuming(&[])).await, LeaseLost);
}

pub async fn numbers_are_never_reserved_twice(hub: Fixture) {
    let mut tasks = tokio::task::JoinSet::new();
    for count in 1..=20_u32 {
        let hub = hub.clone();
        tasks.spawn(async move { (hub.reserve_numbers(count).await.unwrap(), count) });
    }
    let mut seen = HashSet::new();
    while let Some(reserved) = tasks.join_next().await {
        let (first, count) = reserved.unwrap();
        assert!(first > 0);
        assert!((first..first + i64::from(count)).all(|number| seen.insert(number)));
    }
    assert_eq!(seen.len(), 210);
}
