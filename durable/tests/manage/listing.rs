//! Instances are found by what they are, page by page, in a stream, and counted.

use std::time::Duration;

use durable::{ClientError, InstanceQuery, Status, Tags};

use crate::world::*;

fn any() -> InstanceQuery {
    InstanceQuery::default()
}

async fn ids(client: &durable::Client, query: InstanceQuery) -> Vec<String> {
    let mut ids: Vec<String> =
        client.list(query.clone()).all().await.unwrap().into_iter().map(|i| i.id).collect();
    assert_eq!(client.count(&query).await.unwrap(), ids.len() as u64, "{query:?}");
    ids.sort_unstable();
    ids
}

on_every_store! {
    async fn filters_find_what_is_asked_for(world: World) {
        let worker = world.worker().await;
        let client = worker.client();
        let began = world.now();
        let done = client.start(steps(vec![]).instance_id("done").tag("team", "a")).await.unwrap();
        world.drive(done.result()).await.unwrap();
        world.clock.advance(Duration::from_hours(1));
        let later = world.now();
        let open = collect(1).instance_id("open").tag("team", "a").tag("prio", "1");
        let open = client.start(open).await.unwrap();
        world.drive(open.wait_for_start()).await.unwrap();
        let next = moment().instance_id("next").version("2").start_at(later + FAR);
        client.start(next.tag("team", "b")).await.unwrap();
        let parent = client.start(named_child(0).instance_id("parent")).await.unwrap();
        let leaf = client.orchestration::<Vec<u32>>("leaf");
        world.drive(async {
            while leaf.status().await.map_or(Status::Pending, |s| s.status) != Status::Running {
                tokio::task::yield_now().await;
            }
        }).await;

        let tagged = |tags: &[(&str, &str)]| {
            let tag = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
            InstanceQuery { tags: tags.iter().map(tag).collect::<Tags>(), ..any() }
        };
        assert_eq!(ids(&client, tagged(&[("team", "a")])).await, ["done", "open"]);
        assert_eq!(ids(&client, tagged(&[("team", "a"), ("prio", "1")])).await, ["open"]);
        assert_eq!(ids(&client, tagged(&[("team", "c")])).await, [""; 0]);
        let statuses = vec![Status::Completed, Status::Pending];
        assert_eq!(ids(&client, InstanceQuery { statuses, ..any() }).await, ["done", "next"]);
        let name = Some("collect".to_owned());
        assert_eq!(ids(&client, InstanceQuery { name, ..any() }).await, ["leaf", "open"]);
        let version = Some("2".to_owned());
        assert_eq!(ids(&client, InstanceQuery { version, ..any() }).await, ["next"]);
        let of = Some(parent.id().to_owned());
        assert_eq!(ids(&client, InstanceQuery { parent: of, ..any() }).await, ["leaf"]);
        let prefix = Some("o".to_owned());
        assert_eq!(ids(&client, InstanceQuery { id_prefix: prefix, ..any() }).await, ["open"]);
        let created_to = Some(later);
        assert_eq!(ids(&client, InstanceQuery { created_to, ..any() }).await, ["done"]);
        let (created_from, updated_to) = (Some(later), Some(later));
        let young = ids(&client, InstanceQuery { created_from, ..any() }).await;
        assert_eq!(young, ["leaf", "next", "open", "parent"]);
        assert_eq!(ids(&client, InstanceQuery { updated_to, ..any() }).await, ["done"]);
        let kind = Some(durable::InstanceKind::Entity);
        assert_eq!(ids(&client, InstanceQuery { kind, ..any() }).await, [""; 0]);
        let updated_from = Some(later);
        let recent = ids(&client, InstanceQuery { updated_from, ..any() }).await;
        assert_eq!(recent, ["leaf", "next", "open", "parent"]);
        let ended =
            InstanceQuery { finished_from: Some(began), finished_to: Some(later), ..any() };
        assert_eq!(ids(&client, ended).await, ["done"]);
    }

    async fn pages_go_on_from_a_token_while_instances_are_made(world: World) {
        let client = world.client();
        for n in 0..10 {
            client.start(collect(1).instance_id(format!("old-{n}"))).await.unwrap();
        }
        let (mut found, mut token) = (Vec::new(), None::<String>);
        for round in 0.. {
            let list = client.list(any()).page_rows(3);
            let mut list = match &token {
                Some(token) => list.continue_from(token).unwrap(),
                None => list,
            };
            assert_eq!(list.token(), token);
            let Some(page) = list.next_page().await.unwrap() else { break };
            found.extend(page.into_iter().map(|instance| instance.id));
            if round < 3 {
                client.start(collect(1).instance_id(format!("new-{round}"))).await.unwrap();
            }
            token = list.token();
            if token.is_none() {
                break;
            }
        }
        let old = found.iter().filter(|id| id.starts_with("old-")).count();
        assert_eq!(old, 10, "{found:?}");
        let distinct: std::collections::BTreeSet<_> = found.iter().collect();
        assert_eq!(distinct.len(), found.len(), "none comes twice: {found:?}");
        for bad in ["", "7", "p1-", "p1-xyz", "p2-1", "\u{0}"] {
            let error = client.list(any()).continue_from(bad).unwrap_err();
            assert!(matches!(error, ClientError::InvalidToken { .. }), "{error}");
        }
    }

    async fn a_stream_gives_them_one_by_one(world: World) {
        let client = world.client();
        for n in 0..7 {
            client.start(collect(1).instance_id(format!("i{n}"))).await.unwrap();
        }
        let mut stream = client.list(any()).page_rows(2).stream();
        let mut found = Vec::new();
        while let Some(instance) = stream.next().await {
            found.push(instance.unwrap().id);
        }
        found.sort_unstable();
        assert_eq!(found, (0..7).map(|n| format!("i{n}")).collect::<Vec<_>>());
        assert!(stream.next().await.is_none());
    }
}
