//! Versions: which one a start gets, and which program runs it.

use durable::prelude::*;
use durable::{ClientError, InstanceQuery, Status, VersionMatch, WorkerBuilder, WorkerError};
use serde_json::json;

use crate::world::*;

/// The only one of its name, so that it runs all versions.
#[orchestrator]
pub async fn which(ctx: &OrchestrationContext) -> String {
    ctx.version()
}

/// Says its version once it is told to go on.
#[orchestrator]
pub async fn patient(ctx: &OrchestrationContext) -> Result<String, TaskError> {
    let word = ctx.wait_for_event::<String>("go").await?;
    Ok(format!("{word} {}", ctx.version()))
}

#[orchestrator(name = "order", version = "1")]
pub async fn order_one(ctx: &OrchestrationContext) -> Result<String, TaskError> {
    let number = ctx.wait_for_event::<u32>("number").await?;
    Ok(format!("one as {} with {number}", ctx.version()))
}

#[orchestrator(name = "order", version = "2")]
pub async fn order_two(ctx: &OrchestrationContext) -> Result<String, TaskError> {
    let number = ctx.wait_for_event::<u32>("number").await?;
    Ok(format!("two as {} with {number}", ctx.version()))
}

/// Everything that it starts says its version.
#[orchestrator]
pub async fn starter(ctx: &OrchestrationContext) -> Result<Vec<String>, TaskError> {
    ctx.start(which().instance_id("detached"));
    ctx.start(which().instance_id("detached seven").version("7"));
    let plain = which().await?;
    let spawned = ctx.spawn(which());
    let given = which().version("7").await?;
    let none = which().version("").await?;
    let number = ctx.spawn(order_two().instance_id("child"));
    let event = ctx.wait_for_event::<u32>("number").await?;
    ctx.send_event("child", "number", event);
    Ok(vec![ctx.version(), plain, spawned.await?, given, none, number.await?])
}

/// Starts what it does not wait for.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Launcher {
    count: u32,
}

#[entity]
impl Launcher {
    pub fn launch(&mut self, ctx: &EntityContext) -> String {
        self.count += 1;
        ctx.start(which())
    }
}

/// Waits for a child of a version that it names.
#[orchestrator]
pub async fn asks(version: String) -> Result<String, TaskError> {
    let first = work("first".to_owned()).await?;
    let answer = patient().version(version).instance_id("asked").await?;
    Ok(format!("{first} {answer}"))
}

pub fn builder(world: &World) -> WorkerBuilder {
    world
        .bare_builder()
        .orchestrator(which)
        .orchestrator(patient)
        .orchestrator(order_one)
        .orchestrator(order_two)
        .orchestrator(starter)
        .orchestrator(asks)
        .orchestrator(steps)
        .activity(work)
        .entity::<Launcher>()
}

on_every_store! {
    async fn each_version_runs_its_own_program(world: World) {
        let worker = builder(&world).start().await.unwrap();
        let client = worker.client();
        let by_name = client.start_by_name("order", json!([])).version("2").await.unwrap();
        by_name.raise_event("number", 5_u32).await.unwrap();
        assert_eq!(world.drive(by_name.result()).await.unwrap(), json!("two as 2 with 5"));
        for (call, expected) in [
            (order_one(), "one as 1 with 3"),
            (order_one().version("2"), "two as 2 with 3"),
        ] {
            let handle = client.start(call).await.unwrap();
            handle.raise_event("number", 3_u32).await.unwrap();
            assert_eq!(world.drive(handle.result()).await.unwrap(), expected);
        }
        let both = InstanceQuery { name: Some("order".to_owned()), ..InstanceQuery::default() };
        assert_eq!(client.count(&both).await.unwrap(), 3);
    }

    async fn instances_stay_on_their_version_while_a_new_one_is_deployed(world: World) {
        let client = world.client();
        let worker = world.bare_builder().orchestrator(order_one).start().await.unwrap();
        let old = client.start(order_one().instance_id("old")).await.unwrap();
        world.until(&old, Status::Running).await;
        // The old worker does not know what the new one can, which waits for it visibly.
        let new = client.start(order_two().instance_id("new")).await.unwrap();
        let reason = world.blocked(&new).await;
        assert_eq!(reason, "no worker has registered the orchestrator `order` version `2`");
        drop(worker);
        let worker = builder(&world).start().await.unwrap();
        for handle in [&old, &new] {
            handle.raise_event("number", 1_u32).await.unwrap();
        }
        assert_eq!(world.drive(old.result()).await.unwrap(), "one as 1 with 1");
        assert_eq!(world.drive(new.result()).await.unwrap(), "two as 2 with 1");
        assert_eq!(new.status().await.unwrap().blocked, None);
        let again = old.restart().await.unwrap();
        again.raise_event("number", 2_u32).await.unwrap();
        assert_eq!(world.drive(again.result()).await.unwrap(), "one as 1 with 2");
        worker.shutdown().await;
    }

    async fn a_new_worker_joins_and_the_old_one_leaves(world: World) {
        let client = world.client();
        let old = world.bare_builder().worker_id("old").orchestrator(order_one);
        let old = old.start().await.unwrap();
        let mut handles = Vec::new();
        for n in 0..4 {
            handles.push(client.start(order_one().instance_id(format!("one {n}"))).await.unwrap());
            handles.push(client.start(order_two().instance_id(format!("two {n}"))).await.unwrap());
        }
        for handle in &handles {
            handle.raise_event("number", 1_u32).await.unwrap();
        }
        world.blocked(&handles[1]).await;
        let _new = builder(&world).worker_id("new").start().await.unwrap();
        world.drive(old.shutdown()).await;
        for (n, handle) in handles.iter().enumerate() {
            let result = world.drive(handle.result()).await.unwrap();
            assert_eq!(result, if n % 2 == 0 { "one as 1 with 1" } else { "two as 2 with 1" });
            assert_eq!(handle.status().await.unwrap().blocked, None);
        }
    }

    async fn a_program_without_a_version_runs_all_while_it_is_the_only_one(world: World) {
        let worker = world.builder().orchestrator(which).start().await.unwrap();
        let client = worker.client();
        for version in ["", "1", "beta"] {
            let handle = client.start(which().version(version)).await.unwrap();
            assert_eq!(world.drive(handle.result()).await.unwrap(), version);
            assert_eq!(handle.status().await.unwrap().version, version);
        }
        // `moment` is there without a version and as version 2.
        let error = client.start(moment().version("1")).await.unwrap_err();
        let ClientError::NotRegistered { name, version } = &error else { panic!("{error}") };
        assert_eq!((name.as_str(), version.as_str()), ("moment", "1"));
        let error = client.start_by_name("moment", json!([])).version("1").await.unwrap_err();
        assert!(error.to_string().contains("no orchestrator `moment` version `1`"), "{error}");
        // From elsewhere it can be started, and waits for a worker that has it.
        let handle = world.client().start(moment().version("1")).await.unwrap();
        assert!(world.blocked(&handle).await.contains("orchestrator `moment` version `1`"));
        worker.shutdown().await;
        let _worker = world.bare_builder().orchestrator(moment).start().await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap().1, "1");
        assert_eq!(handle.status().await.unwrap().blocked, None);
    }

    async fn a_start_gets_the_first_version_that_is_given(world: World) {
        let worker = builder(&world).default_version("2.1").start().await.unwrap();
        let client = worker.client();
        let other = worker.client().default_version("3.0");
        let none = worker.client().default_version("");
        let stranger = world.client().default_version("4.0");
        for (client, call, expected) in [
            (&client, which(), "2.1"),
            (&client, which().version("7"), "7"),
            (&client, which().version(""), ""),
            (&other, which(), "3.0"),
            (&none, which(), ""),
            (&stranger, which(), "4.0"),
            (&world.client(), which(), ""),
        ] {
            let handle = client.start(call).await.unwrap();
            assert_eq!(world.drive(handle.result()).await.unwrap(), expected);
        }
        for (client, given, expected) in
            [(&client, None, "2.1"), (&client, Some("7"), "7"), (&other, None, "3.0")]
        {
            let start = client.start_by_name("which", json!(null));
            let start = match given {
                Some(version) => start.version(version),
                None => start,
            };
            let handle = start.await.unwrap();
            assert_eq!(world.drive(handle.result()).await.unwrap(), json!(expected));
        }
        // The function's own goes before the default.
        let handle = client.start(order_two()).await.unwrap();
        assert_eq!(handle.status().await.unwrap().version, "2");
        // A restart is the same again, whatever is the default by now.
        let old = stranger.start(which()).await.unwrap();
        world.drive(old.result()).await.unwrap();
        let old = client.orchestration::<String>(old.id());
        let again = old.restart().await.unwrap();
        assert_eq!(world.drive(again.result()).await.unwrap(), "4.0");
    }

    async fn what_cannot_be_a_version_is_an_error(world: World) {
        let client = world.client();
        for version in [" ".to_owned(), "v".repeat(257), "a\0".to_owned()] {
            let error = client.start(which().version(&version)).await.unwrap_err();
            assert!(matches!(error, ClientError::InvalidOption { .. }), "{error}");
            let unusable = client.clone().default_version(&version);
            let error = unusable.start_by_name("which", json!([])).await.unwrap_err();
            assert!(matches!(error, ClientError::InvalidOption { .. }), "{error}");
            let error = builder(&world).default_version(version).start().await.unwrap_err();
            let is_option =
                matches!(error, WorkerError::Option { option: "default_version", .. });
            assert!(is_option, "{error}");
        }
        for version_match in [VersionMatch::Strict, VersionMatch::CurrentOrOlder] {
            let builder = builder(&world).version_match(version_match);
            let error = builder.start().await.unwrap_err();
            assert!(matches!(error, WorkerError::Option { option: "version_match", .. }), "{error}");
        }
        let twice = builder(&world).orchestrator(order_two).start().await.unwrap_err();
        assert!(twice.to_string().contains("orchestrator `order` version `2`"), "{twice}");
    }

    async fn what_is_started_inside_gets_the_version_of_the_worker(world: World) {
        // The client's default does not count inside, nor does the parent's version.
        let client = world.client().default_version("5");
        let handle = client.start(starter().instance_id("parent")).await.unwrap();
        let worker = builder(&world).default_version("2.0").start().await.unwrap();
        world.until(&handle, Status::Running).await;
        let detached = client.orchestration::<String>("detached");
        assert_eq!(world.drive(detached.result()).await.unwrap(), "2.0");
        let child = client.orchestration::<String>("child");
        world.drive(async {
            while child.status().await.is_err() {
                tokio::task::yield_now().await;
            }
        }).await;
        drop(worker);
        let _worker = builder(&world).default_version("2.1").start().await.unwrap();
        handle.raise_event("number", 3_u32).await.unwrap();
        let versions = world.drive(handle.result()).await.unwrap();
        assert_eq!(versions, ["5", "2.0", "2.0", "7", "", "two as 2 with 3"]);
        let seven = client.orchestration::<String>("detached seven");
        assert_eq!(world.drive(seven.result()).await.unwrap(), "7");
        let launcher = client.entity::<Launcher>("l");
        let id = world.drive(launcher.launch().into_future()).await.unwrap();
        let launched = client.orchestration::<String>(id);
        assert_eq!(world.drive(launched.result()).await.unwrap(), "2.1");
    }
}
