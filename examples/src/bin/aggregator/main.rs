//! Aggregator: an orchestration for each directory of a tree signals what it finds to an entity for
//! each kind of file, which adds it up. The totals are compared with an ordinary walk.
//!
//! ```sh
//! cargo run -p examples --bin aggregator -- .
//! ```
//!
//! It prints a table of extensions with the number of files and their size, and that the walk agrees.
//! Interrupt it (Ctrl-C, or `kill -9`) at any moment and run it again: it goes on, and each file is
//! counted once.

mod tree;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Parser;
use durable::prelude::*;
use durable::{Client, IdReuse, InstanceKind, InstanceQuery, Worker};
use examples::{FilePath, blocking, bytes, files};
use serde::{Deserialize, Serialize};

use crate::tree::{By, Listing, Sums, Tree};

/// Adds up the files of a directory tree by their kind.
#[derive(Parser)]
struct Options {
    /// The root of the tree.
    root: PathBuf,
    /// What files are put together by.
    #[arg(long, value_enum, default_value = "extension")]
    by: By,
    /// The database; it is created if it does not exist.
    #[arg(long, default_value = "aggregator.db")]
    db: PathBuf,
}

/// How many directories of a directory are walked at once.
const WALKED_AT_ONCE: usize = 100;

/// What came of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Walked {
    /// The run, which is part of the keys of its entities.
    run: String,
    directories: u64,
    unreadable: u64,
}

/// The files of one kind.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Total {
    kind: String,
    sums: Sums,
}

#[entity]
impl Total {
    /// Adds what one directory has.
    fn add(&mut self, kind: String, sums: Sums) {
        self.kind = kind;
        self.sums.add(sums);
    }

    fn get(&self) -> Sums {
        self.sums
    }
}

/// The key of the entity for a kind. A name may hold what a key may not, so it is hashed.
fn key(run: &str, kind: &str) -> String {
    format!("{run}-{}", files::short_hash(kind.as_bytes()))
}

#[activity]
async fn list_directory(tree: Tree, directory: FilePath) -> anyhow::Result<Listing> {
    blocking(move || Ok(tree::list(&tree, &directory.to_path()))).await
}

/// Signals what is in a directory, and walks the directories in it.
#[orchestrator]
async fn walk_directory(
    ctx: &OrchestrationContext,
    tree: Tree,
    run: String,
    directory: FilePath,
) -> Result<Walked, TaskError> {
    let Listing { sums, directories, unreadable } =
        list_directory(tree.clone(), directory.clone()).await?;
    // The signals leave with the turn that makes them: all of them once, or none.
    for (kind, sums) in sums {
        ctx.entity::<Total>(key(&run, &kind)).add(kind, sums).signal();
    }
    let mut walked = Walked { run: run.clone(), directories: 1, unreadable };
    for some in directories.chunks(WALKED_AT_ONCE) {
        let below = try_join_all(some.iter().map(|directory| walk(&tree, &run, directory))).await?;
        for below in below {
            walked.directories += below.directories;
            walked.unreadable += below.unreadable;
        }
    }
    Ok(walked)
}

/// The walk of a directory. Its id follows from the directory, and there is no second of that id.
fn walk(tree: &Tree, run: &str, directory: &FilePath) -> durable::Call<walk_directory> {
    let id = format!("{run}-{}", files::short_hash(directory.as_bytes()));
    let call = walk_directory(tree.clone(), run.to_owned(), directory.clone());
    call.instance_id(id).id_reuse(IdReuse::Refuse)
}

/// Walks the whole tree, for entities of its own.
#[orchestrator]
async fn walk_tree(ctx: &OrchestrationContext, tree: Tree) -> Result<Walked, TaskError> {
    let run = ctx.new_uuid().simple().to_string();
    ctx.set_custom_status(run.clone());
    let root = FilePath::new(Path::new(""));
    walk(&tree, &run, &root).await
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    examples::show_warnings();
    let tree = Tree::new(&options.root, options.by, &options.db)?;
    let worker = Worker::builder(examples::open_database(&options.db).await?)
        .orchestrator(walk_tree)
        .orchestrator(walk_directory)
        .activity(list_directory)
        .entity::<Total>()
        .start()
        .await?;
    let client = worker.client();
    let id = format!("tree-{}", files::short_hash(tree.root.as_bytes()));
    let call = walk_tree(tree.clone());
    let handle = examples::start_or_resume(&client, &id, &tree, call).await?;
    let walked = handle.result().await.context("the tree is not added up")?;
    let expected = blocking(move || Ok(tree::walk(&tree))).await?;
    let totals = totals(&client, &walked.run, &expected).await?;
    let kinds = count_kinds(&client, &walked.run).await?;
    worker.shutdown().await;

    print(&totals, &walked);
    let changed = "if files came, went or grew meanwhile, run it again";
    ensure!(totals == expected, "an ordinary walk finds other sums: {changed}");
    ensure!(kinds == expected.len() as u64, "an ordinary walk finds other kinds: {changed}");
    println!("checked: an ordinary walk finds the same");
    Ok(())
}

/// Asks the entities. A call stands behind every signal in the inbox of its entity, and when the walk
/// is done all signals are there.
async fn totals(
    client: &Client,
    run: &str,
    kinds: &BTreeMap<String, Sums>,
) -> anyhow::Result<BTreeMap<String, Sums>> {
    let mut totals = BTreeMap::new();
    for kind in kinds.keys() {
        let sums = client.entity::<Total>(key(run, kind)).get().await?;
        totals.insert(kind.clone(), sums);
    }
    Ok(totals)
}

/// How many entities this run has.
async fn count_kinds(client: &Client, run: &str) -> anyhow::Result<u64> {
    let query = InstanceQuery {
        kind: Some(InstanceKind::Entity),
        id_prefix: Some(format!("@total@{run}-")),
        ..InstanceQuery::default()
    };
    Ok(client.count(&query).await?)
}

fn print(totals: &BTreeMap<String, Sums>, walked: &Walked) {
    let mut rows: Vec<_> = totals.iter().collect();
    rows.sort_by_key(|(kind, sums)| (std::cmp::Reverse(sums.bytes), *kind));
    let mut all = Sums::default();
    println!("   files       size  kind");
    for (kind, sums) in rows {
        println!("{:8} {:>10}  {kind}", sums.files, bytes(sums.bytes));
        all.add(*sums);
    }
    println!("{:8} {:>10}  together", all.files, bytes(all.bytes));
    println!(
        "{} bytes in {} directories, {} entries cannot be read",
        all.bytes, walked.directories, walked.unreadable
    );
}
