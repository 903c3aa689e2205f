//! Fan-out/fan-in: backs up a directory tree, one activity a file. Kill it at any moment and run
//! it again: files that were recorded as copied are not copied again.

mod files;
mod plan;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, bail};
use clap::Parser;
use durable::prelude::*;
use durable::store::{InstanceKind, InstanceQuery, SqliteStore, Status};
use durable::{Client, Worker};
use examples::{FilePath, Progress, blocking, bytes, reason};
use serde::{Deserialize, Serialize};

use crate::plan::{Job, Plan};

/// Copies a directory tree and verifies every file by its hash.
#[derive(Parser)]
struct Options {
    /// The directory to back up.
    source: PathBuf,
    /// Where it goes; it is created if it does not exist.
    destination: PathBuf,
    /// The database that records what is done [default: the destination with `.durable.db`].
    #[arg(long)]
    db: Option<PathBuf>,
    /// Appends a line for every copy that begins, so that a test can count them.
    #[arg(long)]
    log: Option<PathBuf>,
}

/// How many files are copied between two reports of progress.
const BATCH_FILES: usize = 256;

/// What came of a backup.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Summary {
    files: u64,
    bytes: u64,
    directories: u64,
    links: u64,
    problems: Vec<String>,
}

/// What the orchestration says about itself while it runs.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    done: u64,
    total: u64,
}

#[activity]
async fn scan(job: Job) -> anyhow::Result<Plan> {
    blocking(move || plan::scan(&job)).await
}

#[activity]
async fn make_directories(job: Job, directories: Vec<FilePath>) -> anyhow::Result<Vec<String>> {
    blocking(move || Ok(files::make_directories(&job, &directories))).await
}

#[activity]
async fn copy_file(ctx: &ActivityContext, job: Job, file: FilePath) -> anyhow::Result<u64> {
    ctx.data::<CopyLog>()?.note(&file)?;
    blocking(move || files::copy_verified(&job, &file)).await
}

#[activity]
async fn copy_link(job: Job, link: FilePath) -> anyhow::Result<()> {
    blocking(move || files::copy_link(&job, &link)).await
}

#[activity]
async fn remove_parts(job: Job) -> anyhow::Result<()> {
    blocking(move || files::remove_parts(&job)).await
}

#[orchestrator]
async fn backup(ctx: &OrchestrationContext, job: Job) -> Result<Summary, TaskError> {
    let Plan { directories, files, links, problems } = scan(job.clone()).await?;
    let total = files.len() as u64;
    let mut summary =
        Summary { directories: directories.len() as u64, problems, ..Summary::default() };
    ctx.set_custom_status(Report { done: 0, total });
    summary.problems.extend(make_directories(job.clone(), directories).await?);

    let mut done = 0;
    for batch in plan::batches(&files, BATCH_FILES) {
        let copies = batch.iter().map(|file| copy_file(job.clone(), file.clone()));
        let copied = join_all(copies).await;
        for (file, result) in batch.iter().zip(copied) {
            match result {
                Ok(size) => {
                    summary.files += 1;
                    summary.bytes += size;
                }
                Err(error) => summary.problems.push(format!("{file}: {}", reason(&error))),
            }
        }
        done += batch.len() as u64;
        ctx.set_custom_status(Report { done, total });
    }

    let copies = links.iter().map(|link| copy_link(job.clone(), link.clone()));
    let copied = join_all(copies).await;
    for (link, result) in links.iter().zip(copied) {
        match result {
            Ok(()) => summary.links += 1,
            Err(error) => summary.problems.push(format!("{link}: {}", reason(&error))),
        }
    }
    remove_parts(job).await?;
    Ok(summary)
}

/// Counts copies for tests.
struct CopyLog(Option<Mutex<std::fs::File>>);

impl CopyLog {
    fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let open = |path: &Path| {
            std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .with_context(|| format!("opening {}", path.display()))
        };
        Ok(Self(path.map(open).transpose()?.map(Mutex::new)))
    }

    fn note(&self, file: &FilePath) -> anyhow::Result<()> {
        if let Some(log) = &self.0
            && let Ok(mut log) = log.lock()
        {
            // One write, so that a kill leaves whole lines.
            log.write_all(format!("{file}\n").as_bytes())?;
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    examples::show_warnings();
    let job = Job::new(&options.source, &options.destination)?;
    let db = options.db.unwrap_or_else(|| plan::database(&options.destination));
    let store =
        SqliteStore::open(&db).await.with_context(|| format!("opening {}", db.display()))?;
    let worker = Worker::builder(store)
        .orchestrator(backup)
        .activity(scan)
        .activity(make_directories)
        .activity(copy_file)
        .activity(copy_link)
        .activity(remove_parts)
        .data(CopyLog::open(options.log.as_deref())?)
        .start()
        .await?;
    let client = worker.client();
    let id = match unfinished(&client, &job).await? {
        Some(id) => id,
        None => start(&client, job).await?,
    };
    let summary = follow(&client, &id).await?;
    worker.shutdown().await;

    for problem in &summary.problems {
        eprintln!("not copied: {problem}");
    }
    println!(
        "{} files, {} ({} bytes), {} directories, {} links, {} problems",
        summary.files,
        bytes(summary.bytes),
        summary.bytes,
        summary.directories,
        summary.links,
        summary.problems.len()
    );
    Ok(())
}

/// The backup that an earlier run left, if there is one.
async fn unfinished(client: &Client, job: &Job) -> anyhow::Result<Option<String>> {
    let query = InstanceQuery {
        kind: Some(InstanceKind::Orchestration),
        statuses: vec![Status::Pending, Status::Running],
        ..InstanceQuery::default()
    };
    let Some(found) = client.list(query).all().await?.into_iter().next() else { return Ok(None) };
    let (earlier,): (Job,) = found.input.decode()?;
    if earlier != *job {
        bail!(
            "an unfinished backup of {} is recorded here: run it to its end first, or name \
             another database with --db",
            earlier.source
        );
    }
    println!("resuming {} in state {}", found.id, found.state);
    Ok(Some(found.id))
}

async fn start(client: &Client, job: Job) -> anyhow::Result<String> {
    let id = format!("backup-{}", 1 + client.count(&InstanceQuery::default()).await?);
    println!("starting {id}: {} to {}", job.source, job.destination);
    client.start(backup(job).instance_id(&id)).await?;
    Ok(id)
}

/// Shows progress until the backup ends.
async fn follow(client: &Client, id: &str) -> anyhow::Result<Summary> {
    let handle = client.orchestration::<Summary>(id);
    let mut progress: Option<Progress> = None;
    let result = examples::follow(&handle, |report: Report| {
        progress
            .get_or_insert_with(|| Progress::new("files", report.total, report.done))
            .set(report.done);
    })
    .await;
    if let Some(progress) = progress {
        progress.finish();
    }
    Ok(result?)
}
