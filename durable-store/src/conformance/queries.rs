//! What anyone can read: instances by id, by filter and by page, history, replies.
#![allow(missing_docs, clippy::missing_panics_doc, clippy::unwrap_used, clippy::wildcard_imports)]

use std::collections::HashSet;

use crate::limits;
use crate::model::{Batch, InstanceChange, InstanceKind, InstanceNo, InstanceQuery, Reply, Status};

use super::world::*;

pub async fn unknown_ids_are_left_out(hub: Fixture) {
    let (zero, one) = own_two(&hub).await;
    create(&hub, &zero, "a").await;
    create(&hub, &one, "b").await;
    let found = hub.read_instances(&strings(&["x", "a", "b", "y"])).await.unwrap();
    let ids: HashSet<_> = found.iter().map(|record| record.id.as_str()).collect();
    assert_eq!(ids, HashSet::from(["a", "b"]));
    assert_eq!(hub.read_instances(&[]).await.unwrap(), []);
    // An owner loads what is in its partition.
    let loaded = hub.load_instances(&zero, &strings(&["x", "a", "b"])).await.unwrap();
    assert_eq!((loaded.len(), loaded[0].record.id.as_str()), (1, "a"));
    assert_eq!(hub.load_instances(&zero, &[]).await.unwrap(), []);
}

pub async fn an_id_asked_for_twice_comes_once(hub: Fixture) {
    let lease = own_one(&hub).await;
    create(&hub, &lease, "a").await;
    assert_eq!(hub.read_instances(&strings(&["a", "a"])).await.unwrap().len(), 1);
    assert_eq!(hub.load_instances(&lease, &strings(&["a", "a"])).await.unwrap().len(), 1);
}

pub async fn instances_load_with_their_side_rows(hub: Fixture) {
    let lease = own_one(&hub).await;
    let mut all = Vec::new();
    for (id, rows) in [("a", 0), ("b", 2), ("c", 1)] {
        let no = create(&hub, &lease, id).await;
        let put_side = (0..rows).map(|key| (key, text(&format!("{id} {key}")))).collect();
        all.push(InstanceChange { put_side, ..change(no) });
    }
    hub.commit(&lease, changes(all)).await.unwrap();
    let mut loaded = hub.load_instances(&lease, &strings(&["c", "b", "a"])).await.unwrap();
    loaded.sort_by_key(|stored| stored.record.no);
    assert_eq!(loaded[0].side, []);
    assert_eq!(loaded[1].side, [(0, text("b 0")), (1, text("b 1"))]);
    assert_eq!(loaded[2].side, [(0, text("c 0"))]);
    assert_eq!(loaded[2].record, read(&hub, "c").await.unwrap());
}

/// A hub with orchestrations `order-0` to `order-5` and an entity `@counter@a`.
async fn filled(hub: &Fixture) {
    let (zero, one) = own_two(hub).await;
    for n in 0..6_i64 {
        let lease = if n % 2 == 0 { &zero } else { &one };
        let no = number(hub, lease.partition).await;
        let mut change = creation(no, &format!("order-{n}"));
        change.status = if n < 2 { Status::Completed } else { Status::Running };
        change.finished_at = (n < 2).then(|| at(50 + n));
        change.updated_at = at(10 + n);
        let new = change.create.as_mut().unwrap();
        new.created_at = at(n);
        new.version = if n < 3 { String::new() } else { "2".to_owned() };
        new.tags = match n {
            4 => tags(&[("region", "north"), ("tier", "gold")]),
            0 | 2 => tags(&[("region", "north")]),
            _ => tags(&[("region", "south")]),
        };
        new.parent = (n >= 4).then(|| "order-0".to_owned());
        hub.commit(lease, changes(vec![change])).await.unwrap();
    }
    let no = number(hub, P0).await;
    let mut change = creation(no, "@counter@a");
    let new = change.create.as_mut().unwrap();
    new.kind = InstanceKind::Entity;
    new.name = "counter".into();
    new.created_at = at(100);
    hub.commit(&zero, changes(vec![change])).await.unwrap();
}

/// Checks which instances a query finds, and that it counts as many.
async fn finds(hub: &Fixture, query: InstanceQuery, expected: &[&str]) {
    let page = hub.find_instances(&query, None, LIMIT).await.unwrap();
    let mut ids: Vec<_> = page.records.iter().map(|record| record.id.as_str()).collect();
    assert!(page.records.is_sorted_by_key(|record| record.no));
    assert_eq!(page.next, None);
    ids.sort_unstable();
    assert_eq!(ids, expected, "{query:?}");
    assert_eq!(hub.count_instances(&query).await.unwrap(), expected.len() as u64, "{query:?}");
}

fn any() -> InstanceQuery {
    InstanceQuery::default()
}

pub async fn each_filter_narrows(hub: Fixture) {
    filled(&hub).await;
    let orders = ["order-0", "order-1", "order-2", "order-3", "order-4", "order-5"];
    let all = [&["@counter@a"], &orders[..]].concat();
    finds(&hub, any(), &all).await;
    let orchestrations = Some(InstanceKind::Orchestration);
    finds(&hub, InstanceQuery { kind: orchestrations, ..any() }, &orders).await;
    finds(&hub, InstanceQuery { kind: Some(InstanceKind::Entity), ..any() }, &all[..1]).await;
    finds(&hub, InstanceQuery { id_prefix: Some("order-".into()), ..any() }, &orders).await;
    finds(&hub, InstanceQuery { id_prefix: Some("order-3".into()), ..any() }, &orders[3..4]).await;
    finds(&hub, InstanceQuery { id_prefix: Some(String::new()), ..any() }, &all).await;
    finds(&hub, InstanceQuery { name: Some("counter".into()), ..any() }, &all[..1]).await;
    finds(&hub, InstanceQuery { name: Some("count".into()), ..any() }, &[]).await;
    finds(&hub, InstanceQuery { statuses: vec![Status::Completed], ..any() }, &orders[..2]).await;
    let two = vec![Status::Running, Status::Completed];
    finds(&hub, InstanceQuery { statuses: two, ..any() }, &all).await;
    finds(&hub, InstanceQuery { statuses: vec![Status::Failed], ..any() }, &[]).await;
    finds(&hub, InstanceQuery { parent: Some("order-0".into()), ..any() }, &orders[4..]).await;
    finds(
        &hub,
        InstanceQuery { created_from: Some(at(3)), ..any() },
        &[&all[..1], &orders[3..]].concat(),
    )
    .await;
    finds(&hub, InstanceQuery { created_to: Some(at(3)), ..any() }, &orders[..3]).await;
    let north = ["order-0", "order-2", "order-4"];
    finds(&hub, InstanceQuery { tags: tags(&[("region", "north")]), ..any() }, &north).await;
    let gold = tags(&[("region", "north"), ("tier", "gold")]);
    finds(&hub, InstanceQuery { tags: gold, ..any() }, &north[2..]).await;
    finds(&hub, InstanceQuery { tags: tags(&[("region", "")]), ..any() }, &[]).await;
    finds(&hub, InstanceQuery { version: Some("2".into()), ..any() }, &orders[3..]).await;
    let unversioned = [&all[..1], &orders[..3]].concat();
    finds(&hub, InstanceQuery { version: Some(String::new()), ..any() }, &unversioned).await;
    finds(&hub, InstanceQuery { updated_from: Some(at(13)), ..any() }, &orders[3..]).await;
    let early = [&all[..1], &orders[..3]].concat();
    finds(&hub, InstanceQuery { updated_to: Some(at(13)), ..any() }, &early).await;
    finds(&hub, InstanceQuery { finished_from: Some(at(51)), ..any() }, &orders[1..2]).await;
    finds(&hub, InstanceQuery { finished_to: Some(at(51)), ..any() }, &orders[..1]).await;
}

pub async fn filters_combine(hub: Fixture) {
    filled(&hub).await;
    let query = InstanceQuery {
        kind: Some(InstanceKind::Orchestration),
        id_prefix: Some("order".into()),
        version: Some("2".into()),
        tags: tags(&[("region", "north")]),
        name: Some("order".into()),
        statuses: vec![Status::Running, Status::Pending],
        parent: Some("order-0".into()),
        created_from: Some(at(0)),
        created_to: Some(at(5)),
        updated_from: Some(at(14)),
        updated_to: Some(at(15)),
        ..any()
    };
    finds(&hub, query, &["order-4"]).await;
}

pub async fn a_prefix_is_taken_literally(hub: Fixture) {
    let lease = own_one(&hub).await;
    for id in ["a%b", "a_b", "aXb", "A%b", "a%", "ü1", "ü\u{10FFFF}x", "v"] {
        create(&hub, &lease, id).await;
    }
    let prefix = |prefix: &str| InstanceQuery { id_prefix: Some(prefix.into()), ..any() };
    finds(&hub, prefix("a%"), &["a%", "a%b"]).await;
    finds(&hub, prefix("a_"), &["a_b"]).await;
    finds(&hub, prefix("A"), &["A%b"]).await;
    finds(&hub, prefix("ü"), &["ü1", "ü\u{10FFFF}x"]).await;
    finds(&hub, prefix("ü\u{10FFFF}"), &["ü\u{10FFFF}x"]).await;
}

pub async fn pages_cover_everything_once(hub: Fixture) {
    filled(&hub).await;
    for limit in [1, 2, 3, 7, 8] {
        let (mut ids, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = hub.find_instances(&any(), after, limit).await.unwrap();
            assert!(page.records.len() <= limit);
            ids.extend(page.records.into_iter().map(|record| record.id));
            pages += 1;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(ids.len(), 7);
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 7);
        assert_eq!(pages, 7_usize.div_ceil(limit));
    }
    assert_eq!(hub.find_instances(&any(), None, 0).await.unwrap().records, []);
}

pub async fn pages_stay_as_they_are_while_instances_are_made(hub: Fixture) {
    let (zero, one) = own_two(&hub).await;
    for n in 0..6 {
        create(&hub, if n % 2 == 0 { &zero } else { &one }, &format!("old-{n}")).await;
    }
    let narrow = InstanceQuery { created_from: Some(at(0)), ..any() };
    for (round, query) in [any(), narrow].into_iter().enumerate() {
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let page = hub.find_instances(&query, after, 2).await.unwrap();
            ids.extend(page.records.into_iter().map(|record| record.id));
            after = page.next;
            if after.is_none() || ids.len() > 40 {
                break;
            }
            let count = ids.len();
            create(&hub, &zero, &format!("new-{round}-{count}-0")).await;
            create(&hub, &one, &format!("new-{round}-{count}-1")).await;
            // What was on an earlier page may go.
            let gone = create(&hub, &zero, &format!("gone-{round}-{count}")).await;
            set(&hub, &zero, gone, Status::Completed).await;
            hub.purge_instances(&[gone]).await.unwrap();
        }
        let old: Vec<_> = ids.iter().filter(|id| id.starts_with("old-")).collect();
        assert_eq!(old.len(), 6, "{ids:?}");
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "none comes twice");
    }
}

pub async fn a_start_keeps_its_labels_and_its_time(hub: Fixture) {
    let lease = own_one(&hub).await;
    let labels = tags(&[("a", "ü\"'"), ("b", ""), ("", "c")]);
    let mut new = new_instance(number(&hub, P0).await, "a");
    (new.tags, new.starts_at) = (labels.clone(), Some(at(7)));
    let mut start = starting("m1", new);
    start.message.due_at = Some(at(7));
    assert_eq!(send(&hub, start).await, crate::Accepted::Sent);
    let record = read(&hub, "a").await.unwrap();
    assert_eq!((&record.tags, record.starts_at), (&labels, Some(at(7))));
    assert_eq!(record.status, Status::Pending);
    assert_eq!(load(&hub, &lease, "a").await.record, record);
    assert_eq!(scheduled(&hub, &lease, at(7)).await, ["m1"]);
    // A commit makes them the same way.
    let mut other = new_instance(number(&hub, P0).await, "b");
    other.tags.clone_from(&labels);
    let send = vec![starting("m2", other)];
    hub.commit(&lease, Batch { send, ..Batch::default() }).await.unwrap();
    finds(&hub, InstanceQuery { tags: labels, ..any() }, &["a", "b"]).await;
    let mut large = new_instance(number(&hub, P0).await, "c");
    large.tags = (0..=limits::MAX_TAGS).map(|n| (n.to_string(), String::new())).collect();
    assert_refused(
        hub.send(vec![starting("m3", large)], at(0)).await,
        crate::StoreErrorKind::Limit,
    );
}

pub async fn a_page_has_a_limit(hub: Fixture) {
    let lease = own_one(&hub).await;
    let count = limits::MAX_PAGE_ROWS + 1;
    let first = hub.reserve_numbers(u32::try_from(count).unwrap()).await.unwrap();
    let numbers = (0_i64..).take(count).map(|n| InstanceNo::new(P0, first + n));
    let created = numbers.map(|no| creation(no, &format!("i{}", no.0))).collect();
    hub.commit(&lease, changes(created)).await.unwrap();
    let page = hub.find_instances(&any(), None, usize::MAX).await.unwrap();
    assert_eq!(page.records.len(), limits::MAX_PAGE_ROWS);
    let rest = hub.find_instances(&any(), page.next, usize::MAX).await.unwrap();
    assert_eq!((rest.records.len(), rest.next), (1, None));
    assert_eq!(hub.count_instances(&any()).await.unwrap(), count as u64);
}

pub async fn history_of_an_unknown_instance_is_empty(hub: Fixture) {
    let no = InstanceNo::new(P0, 4711);
    assert_eq!(hub.read_history(no, i64::MIN, LIMIT).await.unwrap(), []);
}

async fn reply(hub: &Fixture, lease: &crate::Lease, request: &str, body: &str, second: i64) {
    let reply = Reply { request: request.to_owned(), body: text(body), at: at(second) };
    hub.commit(lease, Batch { replies: vec![reply], ..Batch::default() }).await.unwrap();
}

pub async fn replies_are_kept_until_cleaned(hub: Fixture) {
    let lease = own_one(&hub).await;
    reply(&hub, &lease, "r1", "one", 0).await;
    reply(&hub, &lease, "r2", "two", 10).await;
    let requests = strings(&["r1", "r2", "r3"]);
    let mut found = hub.read_replies(&requests).await.unwrap();
    found.sort();
    assert_eq!(found, [("r1".to_owned(), text("one")), ("r2".to_owned(), text("two"))]);
    hub.clean(at(0), at(10)).await.unwrap();
    let found = hub.read_replies(&requests).await.unwrap();
    assert_eq!(found, [("r2".to_owned(), text("two"))]);
    assert_eq!(hub.read_replies(&[]).await.unwrap(), []);
}

pub async fn a_later_reply_replaces_the_earlier(hub: Fixture) {
    let lease = own_one(&hub).await;
    reply(&hub, &lease, "r1", "one", 0).await;
    reply(&hub, &lease, "r1", "two", 10).await;
    hub.clean(at(0), at(10)).await.unwrap();
    let found = hub.read_replies(&strings(&["r1"])).await.unwrap();
    assert_eq!(found, [("r1".to_owned(), text("two"))]);
}
