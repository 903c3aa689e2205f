//! Entities: what their operations may be, deletion, signals with a time, operations outside of the turn,
//! lists, cleaning, and states that changed.

use std::time::Duration;

use durable::prelude::*;
use durable::{ClientError, EntityAddress, EntityQuery, HistoryEvent, InstanceKind, Worker};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::world::{World, moment};

/// A state that is an enum, and does not begin from a default.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum Light {
    Off,
    On { since: u32 },
}

#[entity(name = "light", initial = Light::Off)]
impl Light {
    /// Switches it.
    pub fn switch(&mut self, since: u32) -> bool {
        *self = if self.is_on() { Self::Off } else { Self::On { since } };
        self.is_on()
    }

    #[entity(skip)]
    fn is_on(&self) -> bool {
        matches!(self, Self::On { .. })
    }
}

/// A state that is a tuple struct, with operations of every kind.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Tally(i64, Vec<String>);

#[entity]
impl Tally {
    pub fn add(&mut self, amount: i64) -> i64 {
        self.0 += amount;
        self.0
    }

    pub fn many(&mut self, a: i64, b: Option<i64>, c: Vec<i64>) -> i64 {
        self.0 += a + b.unwrap_or(0) + c.iter().sum::<i64>();
        self.0
    }

    pub fn get(&self) -> i64 {
        self.0
    }

    /// Waits for something that is not ready at once, and tells others.
    pub async fn slowly(&mut self, ctx: &EntityContext, amount: i64) -> Result<i64, String> {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        self.0 += amount;
        ctx.entity::<Tally>("copy").add(amount).signal();
        if amount < 0 {
            return Err("negative".to_owned());
        }
        Ok(self.0)
    }

    pub async fn panics(&mut self) {
        self.0 = -1000;
        tokio::task::yield_now().await;
        panic!("on purpose");
    }

    pub async fn starts(&mut self, ctx: &EntityContext) -> String {
        tokio::task::yield_now().await;
        ctx.start(moment())
    }

    pub async fn vanishes(&mut self, ctx: &EntityContext) -> i64 {
        ctx.delete();
        self.0
    }

    pub fn leave(&mut self, ctx: &EntityContext, fails: bool) -> Result<i64, String> {
        ctx.delete();
        if fails { Err("not yet".to_owned()) } else { Ok(self.0) }
    }

    pub fn remember(&mut self, ctx: &EntityContext, text: String) {
        self.1.push(format!("{} {text}", ctx.key()));
    }

    pub fn grow(&mut self, bytes: usize) -> usize {
        self.1.push("x".repeat(bytes));
        self.1.len()
    }

    pub fn remembered(&self) -> Vec<String> {
        self.1.clone()
    }
}

/// An entity with its own idea of deletion, and a field that older states do not have.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Archive {
    deleted: bool,
    #[serde(default = "three")]
    shelves: u32,
}

fn three() -> u32 {
    3
}

#[entity]
impl Archive {
    pub fn delete(&mut self) -> bool {
        std::mem::replace(&mut self.deleted, true)
    }

    pub fn shelves(&self) -> u32 {
        self.shelves
    }
}

#[orchestrator]
async fn uses(ctx: &OrchestrationContext) -> Result<(i64, bool, Option<i64>), TaskError> {
    let tally = ctx.entity::<Tally>("t");
    let sum = tally.slowly(5).await?;
    tally.add(1).signal();
    tally.remember("later".to_owned()).signal_at(ctx.now() + Duration::from_mins(1));
    let on = ctx.entity::<Light>("l").switch(3).await?;
    tally.delete().await?;
    let state = tally.state().await?.map(|tally| tally.0);
    Ok((sum, on, state))
}

/// What was before a tally: states of an older build.
async fn edit(world: &World, id: &str, from: &str, to: &str) {
    world.edit_state(id, |state| state.replace(from, to)).await;
}

fn builder(world: &World) -> durable::WorkerBuilder {
    world.builder().orchestrator(uses).entity::<Light>().entity::<Tally>().entity::<Archive>()
}

async fn worker(world: &World) -> Worker {
    builder(world).start().await.unwrap()
}

fn failure(result: Result<impl std::fmt::Debug, ClientError>) -> String {
    match result {
        Err(ClientError::Task(error)) => error.to_string(),
        other => panic!("not a failure: {other:?}"),
    }
}

on_every_store! {
    async fn states_and_operations_of_every_shape(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        let (light, tally) = (client.entity::<Light>("hall"), client.entity::<Tally>("t"));
        world.drive(async {
            assert_eq!(light.state().await.unwrap(), None);
            assert!(light.switch(7).await.unwrap());
            assert_eq!(light.state().await.unwrap(), Some(Light::On { since: 7 }));
            assert_eq!(tally.many(1, None, vec![2, 3]).await.unwrap(), 6);
            assert_eq!(tally.many(1, Some(3), vec![]).await.unwrap(), 10);
            let archive = client.entity::<Archive>("a");
            assert_eq!((archive.delete().await.unwrap(), archive.delete().await.unwrap()), (false, true));
        }).await;
        assert_eq!(light.id().instance_id(), "@light@hall");
    }

    async fn orchestrators_use_all_of_it(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(uses()).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), (5, true, None));
        // The signal with a time brings the entity into being again.
        let tally = worker.client().entity::<Tally>("t");
        assert_eq!(tally.state().await.unwrap().map(|t| t.0), None);
        world.drive(world.pass(Duration::from_secs(65))).await;
        world.drive(async {
            assert_eq!(tally.remembered().await.unwrap(), ["t later"]);
        }).await;
    }

    async fn a_signal_with_a_time_comes_then(world: World) {
        let worker = worker(&world).await;
        let tally = worker.client().entity::<Tally>("t");
        let soon = world.now() + Duration::from_mins(10);
        tally.add(1).signal_at(soon).await.unwrap();
        tally.add(10).signal_at(world.now()).await.unwrap();
        world.drive(async { assert_eq!(tally.get().await.unwrap(), 10) }).await;
        world.clock.advance_to(soon);
        world.drive(world.pass(Duration::from_secs(2))).await;
        world.drive(async { assert_eq!(tally.get().await.unwrap(), 11) }).await;
    }

    async fn an_operation_outside_of_the_turn_is_a_transaction_too(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        let (tally, copy) = (client.entity::<Tally>("t"), client.entity::<Tally>("copy"));
        world.drive(async {
            // They run one at a time, in order, whatever their kind.
            for n in 1..=5 {
                tally.slowly(n).signal().await.unwrap();
                tally.add(100).signal().await.unwrap();
            }
            assert_eq!(tally.get().await.unwrap(), 515);
            assert_eq!(failure(tally.slowly(-1).await), "`@tally@t.slowly` failed: negative");
            assert_eq!(failure(tally.panics().await), "`@tally@t.panics` panicked: on purpose");
            assert_eq!(tally.get().await.unwrap(), 515);
            assert_eq!(copy.get().await.unwrap(), 15);
            let started = tally.starts().await.unwrap();
            let moment: durable::Handle<(Timestamp, String)> = client.orchestration(started);
            moment.result().await.unwrap();
            assert_eq!(tally.vanishes().await.unwrap(), 515);
            assert!(tally.state().await.unwrap().is_none());
        }).await;
    }

    async fn an_operation_outside_of_the_turn_survives_its_worker(world: World) {
        let client = world.client();
        let tally = client.entity::<Tally>("t");
        for n in 1..=10 {
            tally.slowly(n).signal().await.unwrap();
        }
        for pause in 0..12_u32 {
            let worker = worker(&world).await;
            world.drive(async { for _ in 0..pause * 9 { tokio::task::yield_now().await; } }).await;
            drop(worker);
        }
        let worker = worker(&world).await;
        world.drive(async {
            assert_eq!(tally.get().await.unwrap(), 55);
            assert_eq!(client.entity::<Tally>("copy").get().await.unwrap(), 55);
        }).await;
        worker.shutdown().await;
    }

    async fn operations_are_signalled_by_their_names(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        let (tally, archive) = (client.entity::<Tally>("t"), client.entity::<Archive>("a"));
        let named = |name: &str, key: &str| EntityAddress { name: name.to_owned(), key: key.to_owned() };
        let (t, a) = (named("TALLY", "t"), named("Archive", "a"));
        world.drive(async {
            client.signal_entity_by_name(&t, "add", json!(5)).await.unwrap();
            client.signal_entity_by_name(&t, "many", json!([1, null, [2]])).await.unwrap();
            client.signal_entity_by_name(&t, "unknown", json!(5)).await.unwrap();
            assert_eq!(tally.get().await.unwrap(), 8);
            // An entity that has no such operation is deleted by it.
            client.signal_entity_by_name(&t, "delete", Value::Null).await.unwrap();
            assert_eq!(tally.get().await.unwrap(), 0);
            client.signal_entity_by_name(&a, "delete", Value::Null).await.unwrap();
            assert!(archive.delete().await.unwrap());
            for wrong in ["", "a@b", "a/b"] {
                let refused = client.signal_entity_by_name(&named(wrong, "k"), "add", json!(1)).await;
                assert!(matches!(refused, Err(ClientError::InvalidId { .. })), "{wrong}: {refused:?}");
            }
            let unknown = client.signal_entity_by_name(&named("nothing", "k"), "add", json!(1)).await;
            assert!(matches!(unknown, Err(ClientError::EntityNotRegistered { .. })), "{unknown:?}");
        }).await;
    }

    async fn a_deleted_entity_begins_anew(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        let tally = client.entity::<Tally>("t");
        world.drive(async {
            assert_eq!(tally.add(5).await.unwrap(), 5);
            tally.delete().await.unwrap();
            assert!(tally.state().await.unwrap().is_none());
            assert_eq!(tally.add(2).await.unwrap(), 2);
            assert!(tally.leave(true).await.is_err());
            assert_eq!(tally.get().await.unwrap(), 2);
            assert_eq!(tally.leave(false).await.unwrap(), 2);
            assert!(tally.state().await.unwrap().is_none());
        }).await;
    }

    async fn lists_say_what_is_there_and_cleaning_removes_the_rest(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        world.drive(async {
            for key in ["a1", "a2", "b1"] {
                client.entity::<Tally>(key).add(1).await.unwrap();
            }
            client.entity::<Light>("a1").switch(1).await.unwrap();
            client.entity::<Tally>("a2").delete().await.unwrap();
        }).await;
        let keys = async |query: EntityQuery| -> Vec<String> {
            let found = client.entities(query).page_rows(1).all().await.unwrap();
            let mut keys: Vec<String> =
                found.into_iter().map(|e| format!("{} {}", e.id.name, e.id.key)).collect();
            keys.sort();
            keys
        };
        let tally = || EntityQuery { name: Some("Tally".to_owned()), ..EntityQuery::default() };
        assert_eq!(keys(EntityQuery::default()).await, ["Tally a1", "Tally b1", "light a1"]);
        assert_eq!(keys(tally()).await, ["Tally a1", "Tally b1"]);
        assert_eq!(keys(EntityQuery { include_empty: true, ..tally() }).await.len(), 3);
        let prefix = EntityQuery { key_prefix: Some("b".to_owned()), ..tally() };
        assert_eq!(keys(prefix).await, ["Tally b1"]);
        let wrong = EntityQuery { key_prefix: Some("b".to_owned()), ..EntityQuery::default() };
        let refused = client.entities(wrong).all().await.unwrap_err().to_string();
        assert!(refused.contains("needs the name"), "{refused}");
        let cleaned = client.clean_entities().await.unwrap();
        assert_eq!((cleaned.removed, cleaned.released), (1, 0));
        assert_eq!(keys(EntityQuery { include_empty: true, ..tally() }).await.len(), 2);
        let of_a2 = client.entity::<Tally>("a2");
        world.drive(async { assert_eq!(of_a2.add(9).await.unwrap(), 9) }).await;
    }

    async fn a_lock_without_an_owner_is_released_by_cleaning(world: World) {
        let first = worker(&world).await;
        let client = world.client();
        let tally = client.entity::<Tally>("t");
        world.drive(async { tally.add(1).await.unwrap() }).await;
        first.shutdown().await;
        edit(&world, "@tally@t", "\"next_queued\"",
            "\"lock\":{\"owner\":\"nobody\",\"number\":77,\"lock\":1},\"next_queued\"").await;
        let second = worker(&world).await;
        tally.add(1).signal().await.unwrap();
        world.drive(world.pass(Duration::from_secs(3))).await;
        let status = client.entity_status(&tally.id()).await.unwrap().unwrap();
        assert_eq!((status.locked_by.as_deref(), status.queued), (Some("nobody"), 1));
        assert_eq!(client.clean_entities().await.unwrap().released, 1);
        world.drive(async { assert_eq!(tally.get().await.unwrap(), 2) }).await;
        second.shutdown().await;
    }

    async fn a_state_that_no_longer_fits_blocks_its_entity_and_loses_nothing(world: World) {
        let first = worker(&world).await;
        let client = world.client();
        let (tally, other) = (client.entity::<Tally>("t"), client.entity::<Tally>("u"));
        world.drive(async { tally.add(1).await.unwrap() }).await;
        first.shutdown().await;
        edit(&world, "@tally@t", "[1,[]]", "[\"one\",[]]").await;
        let second = worker(&world).await;
        tally.add(1).signal().await.unwrap();
        world.drive(async { assert_eq!(other.add(3).await.unwrap(), 3) }).await;
        world.drive(async {
            while client.entity_status(&tally.id()).await.unwrap().unwrap().blocked.is_none() {
                world.pass(Duration::from_millis(10)).await;
            }
        }).await;
        let blocked = client.entity_status(&tally.id()).await.unwrap().unwrap().blocked.unwrap();
        assert!(blocked.contains("does not fit its type"), "{blocked}");
        second.shutdown().await;
        edit(&world, "@tally@t", "[\"one\",[]]", "[1,[]]").await;
        let third = worker(&world).await;
        world.drive(async { assert_eq!(tally.get().await.unwrap(), 2) }).await;
        third.shutdown().await;
    }

    async fn an_older_state_is_read_with_the_defaults_of_new_fields(world: World) {
        let first = worker(&world).await;
        let client = world.client();
        let archive = client.entity::<Archive>("a");
        world.drive(async { archive.delete().await.unwrap() }).await;
        first.shutdown().await;
        edit(&world, "@archive@a", ",\"shelves\":0", "").await;
        let second = worker(&world).await;
        world.drive(async { assert_eq!(archive.shelves().await.unwrap(), 3) }).await;
        second.shutdown().await;
    }

    async fn what_is_sent_to_a_deleted_entity_waits_for_a_worker_that_knows_it(world: World) {
        let first = worker(&world).await;
        let client = world.client();
        let tally = client.entity::<Tally>("t");
        world.drive(async { tally.delete().await.unwrap() }).await;
        first.shutdown().await;
        let stranger = world.bare_builder().start().await.unwrap();
        tally.add(5).signal().await.unwrap();
        world.drive(world.pass(Duration::from_secs(3))).await;
        let blocked = client.entity_status(&tally.id()).await.unwrap().unwrap().blocked.unwrap();
        assert!(blocked.contains("no worker has registered the entity `Tally`"), "{blocked}");
        stranger.shutdown().await;
        let second = worker(&world).await;
        world.drive(async { assert_eq!(tally.get().await.unwrap(), 5) }).await;
        second.shutdown().await;
    }

    async fn signals_of_one_sender_keep_their_order_whatever_happens(world: World) {
        let client = world.client();
        for n in 0..200 {
            client.entity::<Tally>("log").remember(n.to_string()).signal().await.unwrap();
            if n % 40 == 0 {
                let worker = worker(&world).await;
                world.drive(async { for _ in 0..n { tokio::task::yield_now().await; } }).await;
                drop(worker);
            }
        }
        let worker = worker(&world).await;
        let log = client.entity::<Tally>("log");
        let remembered = world.drive(async { log.remembered().await }).await.unwrap();
        let expected: Vec<String> = (0..200).map(|n| format!("log {n}")).collect();
        assert_eq!(remembered, expected);
        let query = durable::InstanceQuery {
            kind: Some(InstanceKind::Entity),
            ..durable::InstanceQuery::default()
        };
        assert_eq!(client.count(&query).await.unwrap(), 1);
        worker.shutdown().await;
    }
}

/// An operation that leaves too large a state fails, and leaves none of it.
#[tokio::test]
async fn a_state_has_a_limit() {
    let world = World::memory();
    let worker = worker(&world).await;
    let tally = worker.client().entity::<Tally>("t");
    let limit = durable::MAX_ENTITY_STATE_BYTES;
    assert_eq!(tally.grow(limit / 2).await.unwrap(), 1);
    let refused = failure(tally.grow(limit / 2).await);
    assert!(refused.contains(&format!("the limit is {limit}")), "{refused}");
    assert_eq!(tally.grow(1).await.unwrap(), 2);
    worker.shutdown().await;
}

#[tokio::test]
async fn the_history_of_an_entity_names_who_locked_it() {
    let event = HistoryEvent::Locked { owner: "transfer-1".to_owned() };
    let text = serde_json::to_string(&event).unwrap();
    assert_eq!(text, "{\"locked\":{\"owner\":\"transfer-1\"}}");
}
