//! What clients are told: errors that say what to do, lists, and answers from other processes.

use std::sync::Arc;
use std::time::Duration;

use durable::store::{InstanceKind, InstanceQuery, PartitionId, Status};
use durable::testing::FaultyStore;
use durable::{Client, ClientError, Clock, IdReuse};
use serde_json::json;

use crate::programs::*;

#[tokio::test]
async fn errors_say_what_where_and_what_to_do() {
    let world = World::new();
    let worker = world.bare_builder().orchestrator(chain).activity(add_one).start().await.unwrap();
    let client = worker.client();
    let first = client.start(chain(1).instance_id("a")).await.unwrap();
    first.result().await.unwrap();

    let again = chain(1).instance_id("a").id_reuse(IdReuse::Refuse);
    let error = client.start(again).await.unwrap_err();
    assert!(matches!(error, ClientError::AlreadyExists { status: Status::Completed, .. }));
    let error = client.start(approval()).await.unwrap_err().to_string();
    assert!(error.contains("`approval`") && error.contains(".orchestrator(..)"), "{error}");
    let error = client.start(chain(1).instance_id("a/b")).await.unwrap_err().to_string();
    assert!(error.contains("\"a/b\"") && error.contains("`/`"), "{error}");
    let error = client.orchestration::<u64>("nobody").result().await.unwrap_err();
    assert!(matches!(error, ClientError::NotFound { .. }), "{error}");
    let error = client.orchestration::<u64>("nobody").terminate("x").await.unwrap_err();
    assert!(matches!(error, ClientError::NotFound { .. }), "{error}");
    let error = client.orchestration::<String>("a").result().await.unwrap_err();
    assert!(matches!(error, ClientError::Result { .. }), "{error}");
    let error = client.entity::<Counter>("a#").get().await.unwrap_err();
    assert!(matches!(error, ClientError::InvalidId { .. }), "{error}");
}

#[tokio::test]
async fn an_error_comes_to_the_client_as_it_was() {
    let world = World::new();
    let worker = world.worker().await;
    let handle = worker.client().start(careless("error".to_owned())).await.unwrap();
    let ClientError::Task(error) = handle.result().await.unwrap_err() else {
        panic!("it is a task error")
    };
    assert!(error.failure().message.contains("refused because of the weather"), "{error}");
    let shop = worker.client().entity::<Counter>("a").take(1).await.unwrap_err();
    let ClientError::Task(error) = shop else { panic!("{shop}") };
    assert_eq!(error.downcast::<Refusal>().unwrap().reason, "too little");
}

#[tokio::test]
async fn a_client_in_another_process_is_served_through_the_store() {
    let world = World::new();
    let _worker = world.worker().await;
    let client = world.stranger();
    let handle = client.start(chain(3)).await.unwrap();
    assert_eq!(world.drive(handle.result()).await.unwrap(), 3);
    let counter = client.entity::<Counter>("a");
    assert_eq!(world.drive(counter.add(2).into_future()).await.unwrap(), 2);
    // A client with no worker cannot know what others run.
    let handle = client.start_by_name("chain", json!([2])).instance_id("n").await.unwrap();
    assert_eq!(world.drive(handle.result()).await.unwrap(), json!(2));
    let handle = client.start_by_name("approval", json!([])).await.unwrap();
    world.drive(handle.wait_for_start()).await.unwrap();
    assert_eq!(handle.status().await.unwrap().status, Status::Running);
    let handle = client.start_by_name("chain", json!(2)).await.unwrap();
    assert_eq!(world.drive(handle.result()).await.unwrap(), json!(2));
}

#[tokio::test]
async fn a_client_in_another_process_hears_of_news_and_need_not_poll() {
    let world = World::new();
    let _worker = world.worker().await;
    let client = world.stranger();
    // Time stands, so no poll comes.
    let waiting = client.start_by_name("approval", json!([])).await.unwrap();
    waiting.wait_for_start().await.unwrap();
    let handle = client.start(chain(3)).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 3);
    assert_eq!(client.entity::<Counter>("a").add(2).await.unwrap(), 2);
    waiting.terminate("enough").await.unwrap();
    let error = waiting.result().await.unwrap_err();
    assert!(matches!(error, ClientError::Task(_)), "{error}");
}

/// A client in another process, and the store through which it sees the hub.
fn client_of_a_faulty_store(world: &World) -> (Client, Arc<FaultyStore>) {
    let store = Arc::new(FaultyStore::new(world.memory.clone()));
    (Client::with_clock(store.clone(), world.clock.clone()), store)
}

#[tokio::test]
async fn news_of_others_do_not_keep_a_client_from_polling() {
    let world = World::with_partitions(1);
    let _worker = world.worker().await;
    let (client, store) = client_of_a_faulty_store(&world);
    let news = store.take_over_news();
    let began = world.now();
    // What it waits for is not told, and time passes only with news of something else.
    let handle = world.drive(client.start(chain(3)).into_future()).await.unwrap();
    let noise = async {
        for _ in 0..1_000 {
            news.send(PartitionId(77)).ok();
            world.clock.sleep_until(world.now() + Duration::from_millis(1)).await;
        }
        panic!("it has not polled");
    };
    let result = world.drive(async {
        tokio::select! {
            result = handle.result() => result,
            () = noise => unreachable!(),
        }
    });
    assert_eq!(result.await.unwrap(), 3);
    assert!(world.now().saturating_since(began) < Duration::from_secs(1));
}

#[tokio::test]
async fn a_client_whose_store_tells_no_news_polls() {
    let world = World::new();
    let _worker = world.worker().await;
    let (client, store) = client_of_a_faulty_store(&world);
    drop(store.take_over_news());
    let handle = client.start(chain(3)).await.unwrap();
    assert_eq!(world.drive(handle.result()).await.unwrap(), 3);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let world = World::new();
    let worker = world.worker().await;
    let client: Client = worker.client();
    for n in 0..7 {
        client.start(chain(1).instance_id(format!("c{n}"))).await.unwrap().result().await.unwrap();
    }
    client.entity::<Counter>("x").add(1).await.unwrap();
    let query = InstanceQuery { id_prefix: Some("c".to_owned()), ..InstanceQuery::default() };
    assert_eq!(client.count(&query).await.unwrap(), 7);
    let mut list = client.list(query).page_rows(3);
    let mut sizes = Vec::new();
    while let Some(page) = list.next_page().await.unwrap() {
        sizes.push(page.len());
    }
    assert_eq!(sizes, [3, 3, 1]);
    let entities = InstanceQuery { kind: Some(InstanceKind::Entity), ..InstanceQuery::default() };
    let entities = client.list(entities).all().await.unwrap();
    assert_eq!(entities.iter().map(|e| e.id.as_str()).collect::<Vec<_>>(), ["@counter@x"]);
}

#[tokio::test]
async fn a_status_shows_what_is_saved() {
    let world = World::new();
    let worker = world.worker().await;
    let handle = worker.client().start(approval().instance_id("a")).await.unwrap();
    handle.wait_for_start().await.unwrap();
    let status = handle.status().await.unwrap();
    assert_eq!((status.status, status.name.as_str()), (Status::Running, "approval"));
    assert!(status.state.starts_with("Await"), "{}", status.state);
    assert!(status.saved.unwrap().contains("\"locals\""));
    assert_eq!(status.input.as_str(), "null");
    assert!(status.output.is_none() && status.failure.is_none() && status.blocked.is_none());
}
