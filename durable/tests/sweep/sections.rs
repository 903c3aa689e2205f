//! Critical sections, and operations of entities that run outside of the turn.

use durable::prelude::*;
use durable::testing::TestHub;
use durable::{EntityQuery, Handle};
use serde::{Deserialize, Serialize};

use crate::programs::*;

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Page {
    lines: Vec<String>,
}

#[entity]
impl Page {
    pub fn write(&mut self, line: String) {
        self.lines.push(line);
    }

    /// Outside of the turn, and passed on.
    pub async fn copy(&mut self, ctx: &EntityContext, line: String) -> usize {
        tokio::task::yield_now().await;
        self.lines.push(line.clone());
        ctx.entity::<Page>("copy").write(line).signal();
        self.lines.len()
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.clone()
    }
}

/// Writes two lines on each of two pages, with nobody between.
#[orchestrator]
async fn writes(ctx: &OrchestrationContext, name: String) -> Result<(), TaskError> {
    let (a, b) = (ctx.entity::<Page>("a"), ctx.entity::<Page>("b"));
    let _guard = ctx.lock((b.id(), a.id())).await;
    for part in ["begins", "ends"] {
        a.write(format!("{name} {part}")).await?;
        b.write(format!("{name} {part}")).await?;
    }
    Ok(())
}

async fn lines(hub: &TestHub, page: &str) -> Vec<String> {
    let page = hub.client().entity::<Page>(page);
    hub.run(async { page.lines().await }).await.unwrap()
}

#[tokio::test]
async fn two_sections_over_the_same_entities() {
    sweep(
        || TestHub::builder().orchestrator(writes).entity::<Page>(),
        "4 lines, 4 lines, in pairs: true, 0 locked",
        async |hub| {
            let client = hub.client();
            let mut handles: Vec<Handle<()>> = Vec::new();
            for name in ["x", "y"] {
                handles.push(client.start(writes(name.to_owned())).await.unwrap());
            }
            for handle in &handles {
                hub.run(handle.result()).await.unwrap();
            }
            let (a, b) = (lines(hub, "a").await, lines(hub, "b").await);
            let in_pairs = |lines: &[String]| {
                lines.chunks(2).all(|pair| pair[0].replace("begins", "ends") == pair[1])
            };
            let entities = client.entities(EntityQuery::default()).all().await.unwrap();
            let locked = entities.iter().filter(|entity| entity.locked_by.is_some()).count();
            let paired = in_pairs(&a) && in_pairs(&b);
            let (a, b) = (a.len(), b.len());
            format!("{a} lines, {b} lines, in pairs: {paired}, {locked} locked")
        },
    )
    .await;
}

#[orchestrator]
async fn copies(ctx: &OrchestrationContext) -> Result<usize, TaskError> {
    let page = ctx.entity::<Page>("page");
    page.write("one".to_owned()).signal();
    page.copy("two".to_owned()).signal();
    page.write("three".to_owned()).signal();
    page.copy("four".to_owned()).await
}

#[tokio::test]
async fn operations_outside_of_the_turn() {
    sweep(
        || TestHub::builder().orchestrator(copies).entity::<Page>(),
        "4: one two three four; two four",
        async |hub| {
            let handle = hub.client().start(copies()).await.unwrap();
            let count = hub.run(handle.result()).await.unwrap();
            let page = lines(hub, "page").await.join(" ");
            format!("{count}: {page}; {}", lines(hub, "copy").await.join(" "))
        },
    )
    .await;
}
