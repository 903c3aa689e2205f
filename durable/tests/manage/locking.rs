//! Critical sections: who locks entities has them alone until the scope of the guard ends, whatever
//! ends it; and the rules that make a deadlock impossible.

use std::time::Duration;

use durable::prelude::*;
use durable::{Status, Worker};
use serde::{Deserialize, Serialize};

use crate::world::{World, work};

/// Has a child under way that wants what it locks.
#[orchestrator]
async fn awaits_rival(ctx: &OrchestrationContext, borrowed: bool) -> Result<(), TaskError> {
    let mut rival = ctx.spawn(writes("rival".to_owned(), vec!["d".to_owned()]));
    let diary = ctx.entity::<Diary>("d");
    let _guard = ctx.lock(diary.id()).await;
    if borrowed {
        (&mut rival).await?;
    } else {
        rival.await?;
    }
    Ok(())
}

/// Notes what was done to it, in order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Diary {
    lines: Vec<String>,
}

#[entity]
impl Diary {
    pub fn note(&mut self, line: String) -> usize {
        self.lines.push(line);
        self.lines.len()
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.clone()
    }

    pub fn fail(&mut self) -> Result<(), String> {
        Err("it cannot be".to_owned())
    }
}

/// Writes twice under a lock, with a wait between.
#[orchestrator]
async fn writes(
    ctx: &OrchestrationContext,
    name: String,
    books: Vec<String>,
) -> Result<(), TaskError> {
    let diaries: Vec<_> = books.iter().map(|book| ctx.entity::<Diary>(book.clone())).collect();
    let set = books.iter().map(|book| ctx.entity::<Diary>(book.clone()).id()).collect::<Vec<_>>();
    let guard = ctx.lock(set).await;
    for diary in &diaries {
        diary.note(format!("{name} begins")).await?;
    }
    ctx.sleep(Duration::from_secs(1)).await;
    for diary in &diaries {
        diary.note(format!("{name} ends")).await?;
    }
    drop(guard);
    Ok(())
}

/// Leaves its section in one of many ways, and then writes once more.
#[orchestrator]
async fn leaves(ctx: &OrchestrationContext, how: String) -> Result<String, TaskError> {
    let (diary, other) = (ctx.entity::<Diary>("d"), ctx.entity::<Diary>("other"));
    match &*how {
        "scope" => {
            let _guard = ctx.lock(diary.id()).await;
            diary.note("in".to_owned()).await?;
        }
        "block value" => {
            let count = {
                let _guard = ctx.lock(diary.id()).await;
                diary.note("in".to_owned()).await?
            };
            other.note(count.to_string()).await?;
        }
        "break" => loop {
            let _guard = ctx.lock(diary.id()).await;
            if diary.note("in".to_owned()).await? > 0 {
                break;
            }
        },
        "continue" => {
            for round in 0..3 {
                let _guard = ctx.lock(diary.id()).await;
                if round < 2 {
                    continue;
                }
                diary.note("in".to_owned()).await?;
            }
        }
        "labelled" => {
            let text = 'outer: loop {
                let _guard = ctx.lock(diary.id()).await;
                for n in 0..5 {
                    if diary.note("in".to_owned()).await? > 2 {
                        break 'outer format!("after {n}");
                    }
                }
            };
            other.note(text).await?;
        }
        "drop on a path" => {
            let guard = ctx.lock(diary.id()).await;
            let count = diary.note("in".to_owned()).await?;
            if count > 0 {
                drop(guard);
                other.note("early".to_owned()).await?;
            }
        }
        "wild" => {
            let _ = ctx.lock(diary.id()).await;
        }
        "time limit" => {
            let Ok(_guard) = ctx.lock(diary.id()).timeout(Duration::from_mins(1)).await else {
                return Ok("late".to_owned());
            };
            diary.note("in".to_owned()).await?;
        }
        "return" => {
            let _guard = ctx.lock(diary.id()).await;
            diary.note("in".to_owned()).await?;
            return Ok("returned".to_owned());
        }
        "error" => {
            let _guard = ctx.lock(diary.id()).await;
            diary.note("in".to_owned()).await?;
            diary.fail().await?;
        }
        "panic" => {
            let _guard = ctx.lock(diary.id()).await;
            diary.note("in".to_owned()).await?;
            assert!(how.is_empty(), "on purpose");
        }
        "panic after drop" => {
            let guard = ctx.lock(diary.id()).await;
            diary.note("in".to_owned()).await?;
            drop(guard);
            assert!(how.is_empty(), "on purpose");
        }
        "refused after scope" => {
            {
                let _guard = ctx.lock(diary.id()).await;
                diary.note("in".to_owned()).await?;
            }
            let _none = ctx.lock(Vec::new()).await;
        }
        "too much after drop" => {
            let guard = ctx.lock(diary.id()).await;
            diary.note("in".to_owned()).await?;
            drop(guard);
            for _ in 0..=durable::MAX_ACTIONS_PER_TURN {
                other.note("much".to_owned()).signal();
            }
        }
        "macro value" => {
            let value = {
                let _guard = ctx.lock(diary.id()).await;
                select! {
                    count = diary.note("in".to_owned()) => count? > 0,
                    _ = ctx.sleep(Duration::from_hours(1)) => false,
                }
            };
            assert!(value);
        }
        "wait" => {
            let _guard = ctx.lock(diary.id()).await;
            loop {
                if ctx.wait_for_event::<bool>("go").await? {
                    return Ok("went".to_owned());
                }
            }
        }
        "again" => {
            let _guard = ctx.lock(diary.id()).await;
            ctx.wait_for_event::<bool>("go").await?;
            ctx.continue_as_new(leaves("scope".to_owned())).await
        }
        _ => return Ok("unknown".to_owned()),
    }
    other.note("after".to_owned()).await?;
    diary.note("after".to_owned()).await?;
    Ok("done".to_owned())
}

/// Waits for a lock no longer than a second.
#[orchestrator]
async fn impatient(ctx: &OrchestrationContext, books: Vec<String>) -> Result<bool, TaskError> {
    let diaries: Vec<_> = books.iter().map(|book| ctx.entity::<Diary>(book.clone())).collect();
    let set = books.iter().map(|book| ctx.entity::<Diary>(book.clone()).id()).collect::<Vec<_>>();
    let Ok(_guard) = ctx.lock(set).timeout(Duration::from_secs(1)).await else {
        return Ok(false);
    };
    diaries[0].note("impatient".to_owned()).await?;
    Ok(true)
}

#[orchestrator]
async fn violates(ctx: &OrchestrationContext, how: String) -> Result<String, TaskError> {
    let (diary, other) = (ctx.entity::<Diary>("d"), ctx.entity::<Diary>("other"));
    if how == "empty" {
        let _guard = ctx.lock(Vec::new()).await;
    }
    let _guard = ctx.lock((diary.id(), diary.id())).await;
    match &*how {
        "nested" => {
            let _second = ctx.lock(other.id()).await;
        }
        "child" => violates("none".to_owned()).await.map(|_| ())?,
        "signal" => diary.note("signalled".to_owned()).signal(),
        "other" => other.note("called".to_owned()).await.map(|_| ())?,
        "twice" => {
            join!(diary.note("one".to_owned()), diary.note("two".to_owned())).1?;
        }
        "allowed" => {
            other.note("signalled".to_owned()).signal();
            work("activity".to_owned()).await?;
            ctx.start(violates("none".to_owned()));
            diary.note("called".to_owned()).await?;
        }
        _ => {}
    }
    Ok(how)
}

async fn worker(world: &World) -> Worker {
    world
        .builder()
        .orchestrator(writes)
        .orchestrator(leaves)
        .orchestrator(impatient)
        .orchestrator(violates)
        .orchestrator(awaits_rival)
        .entity::<Diary>()
        .start()
        .await
        .unwrap()
}

async fn lines(world: &World, book: &str) -> Vec<String> {
    let client = world.client();
    let diary = client.entity::<Diary>(book);
    world.drive(async { diary.lines().await }).await.unwrap()
}

fn books(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Whether every line that begins a section is followed by the one that ends it.
fn is_in_sections(lines: &[String]) -> bool {
    lines.chunks(2).all(|pair| pair.len() == 2 && pair[0].replace("begins", "ends") == pair[1])
}

on_every_store! {
    async fn sections_do_not_overlap(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        let sets = [&["a", "b"][..], &["b", "a"], &["b", "c"], &["c", "a", "b"], &["a"]];
        let mut handles = Vec::new();
        for round in 0..3 {
            for (n, set) in sets.iter().enumerate() {
                let call = writes(format!("{round}-{n}"), books(set));
                handles.push(client.start(call).await.unwrap());
            }
        }
        for handle in &handles {
            world.drive(handle.result()).await.unwrap();
        }
        for (book, count) in [("a", 12), ("b", 12), ("c", 6)] {
            let lines = lines(&world, book).await;
            assert_eq!(lines.len(), count * 2, "{book}: {lines:?}");
            assert!(is_in_sections(&lines), "{book}: {lines:?}");
        }
    }

    async fn others_wait_and_come_in_their_order(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        let diary = client.entity::<Diary>("d");
        diary.note("first".to_owned()).await.unwrap();
        let handle = client.start(leaves("wait".to_owned())).await.unwrap();
        world.drive(async {
            while locked_by(&client, "d").await.is_none() { world.pass(Duration::from_millis(10)).await; }
        }).await;
        for n in 0..40 {
            diary.note(format!("signal {n}")).signal().await.unwrap();
        }
        let waiting = diary.note("call".to_owned());
        assert_eq!(diary.state().await.unwrap().unwrap().lines, ["first"]);
        handle.raise_event("go", true).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), "went");
        world.drive(async { waiting.await }).await.unwrap();
        let lines = lines(&world, "d").await;
        let expected: Vec<String> = (0..40).map(|n| format!("signal {n}")).collect();
        assert_eq!(lines[1..41], expected);
        assert_eq!(lines[41], "call");
    }

    async fn no_child_is_awaited_within_a_section(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        for borrowed in [false, true] {
            let handle = client.start(awaits_rival(borrowed)).await.unwrap();
            let failed = world.drive(handle.result()).await;
            // Whoever got the lock second either waits for a rival that has ended, or is told.
            if let Err(error) = failed {
                assert!(error.to_string().contains("cannot be awaited within"), "{error}");
            }
            // The rival is not the parent's any more, and takes its turn.
            let query = durable::InstanceQuery {
                parent: Some(handle.id().to_owned()),
                ..Default::default()
            };
            let rivals = || client.list(query.clone()).all();
            world.drive(async {
                while !rivals().await.unwrap().iter().any(|rival| rival.status.is_terminal()) {
                    world.pass(Duration::from_millis(10)).await;
                }
            }).await;
            lines(&world, "d").await;
            assert_eq!(locked_by(&client, "d").await, None);
        }
    }

    async fn a_section_ends_with_its_scope_however_that_ends(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        for how in [
            "scope", "block value", "break", "continue", "labelled", "drop on a path", "wild",
            "time limit", "return", "error", "panic", "panic after drop", "refused after scope",
            "too much after drop", "macro value",
        ] {
            let handle = client.start(leaves(how.to_owned())).await.unwrap();
            let result = world.drive(handle.result()).await;
            match how {
                "error" | "panic" | "panic after drop" | "refused after scope" | "too much after drop" => {
                    assert!(result.is_err(), "{how}");
                }
                "return" => assert_eq!(result.unwrap(), "returned"),
                _ => assert_eq!(result.unwrap(), "done", "{how}"),
            }
            // Whoever comes next is served, and nobody holds anything.
            lines(&world, "d").await;
            assert_eq!(locked_by(&client, "d").await, None, "{how}");
        }
    }

    async fn a_termination_or_a_new_run_releases_the_locks(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        for how in ["wait", "again"] {
            let handle = client.start(leaves(how.to_owned())).await.unwrap();
            world.drive(async {
                while locked_by(&client, "d").await.is_none() {
                    world.pass(Duration::from_millis(10)).await;
                }
            }).await;
            if how == "wait" {
                handle.terminate("enough").await.unwrap();
                world.until(&handle, Status::Terminated).await;
            } else {
                handle.raise_event("go", true).await.unwrap();
                assert_eq!(world.drive(handle.result()).await.unwrap(), "done");
            }
            lines(&world, "d").await;
            assert_eq!(locked_by(&client, "d").await, None);
        }
    }

    async fn a_lock_that_is_not_waited_for_any_more_is_nowhere(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        let holder = client.start(leaves("wait".to_owned())).await.unwrap();
        world.drive(async {
            while locked_by(&client, "d").await.is_none() { world.pass(Duration::from_millis(10)).await; }
        }).await;
        // It gets the first of its entities and waits for the second.
        let late = client.start(impatient(books(&["a", "d", "z"]))).await.unwrap();
        assert!(!world.drive(late.result()).await.unwrap());
        lines(&world, "a").await;
        assert_eq!(locked_by(&client, "a").await, None);
        holder.raise_event("go", true).await.unwrap();
        world.drive(holder.result()).await.unwrap();
        for book in ["a", "d", "z"] {
            lines(&world, book).await;
            assert_eq!(locked_by(&client, book).await, None, "{book}");
        }
        let again = client.start(impatient(books(&["z", "d", "a"]))).await.unwrap();
        assert!(world.drive(again.result()).await.unwrap());
    }

    async fn what_breaks_the_rules_is_named(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        for (how, expected) in [
            ("empty", "needs at least one entity"),
            ("nested", "cannot begin a critical section while it is in one"),
            ("child", "a sub-orchestration cannot be called within a critical section"),
            ("signal", "is locked by this critical section and cannot be signalled"),
            ("other", "`@diary@other` is not one of them"),
            ("twice", "while an earlier call of it is under way"),
        ] {
            let handle = client.start(violates(how.to_owned())).await.unwrap();
            let text = world.failure(&handle).await;
            assert!(text.contains(expected), "{how}: {text}");
        }
        let allowed = client.start(violates("allowed".to_owned())).await.unwrap();
        assert_eq!(world.drive(allowed.result()).await.unwrap(), "allowed");
        lines(&world, "d").await;
        assert_eq!(locked_by(&client, "d").await, None);
    }

    async fn a_failure_within_a_section_is_not_rewound(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(leaves("error".to_owned())).await.unwrap();
        world.failure(&handle).await;
        handle.rewind("try").await.unwrap();
        world.until(&handle, Status::Failed).await;
        let history = handle.history().await.unwrap();
        let text = format!("{history:?}");
        assert!(text.contains("within a critical section"), "{text}");
    }

    async fn sections_survive_workers_that_die(world: World) {
        let client = world.client();
        let mut handles = Vec::new();
        for n in 0..6_u32 {
            let set: &[&str] = if n % 2 == 0 { &["a", "b"] } else { &["b", "a", "c"] };
            handles.push(client.start(writes(n.to_string(), books(set))).await.unwrap());
        }
        for pause in 0..10_u32 {
            let worker = worker(&world).await;
            world.drive(async { for _ in 0..pause * 17 { tokio::task::yield_now().await; } }).await;
            drop(worker);
        }
        let worker = worker(&world).await;
        for handle in &handles {
            world.drive(handle.result()).await.unwrap();
        }
        for book in ["a", "b", "c"] {
            let lines = lines(&world, book).await;
            assert!(is_in_sections(&lines), "{lines:?}");
            assert_eq!(locked_by(&client, book).await, None);
        }
        worker.shutdown().await;
    }
}

/// Who has locked a diary.
async fn locked_by(client: &durable::Client, book: &str) -> Option<String> {
    let id = client.entity::<Diary>(book).id();
    client.entity_status(&id).await.unwrap().and_then(|status| status.locked_by)
}
