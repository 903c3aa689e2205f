//! Monitor: watches files and directories until they are complete, then writes their blake3 hashes
//! beside them, or reports that the deadline has passed. Timers are durable, and each path is watched
//! by one instance, however often it is asked for.
//!
//! ```sh
//! cargo run -p examples --bin monitor -- download.iso --deadline 1min &
//! head -c 300000000 /dev/urandom > download.iso
//! ```
//!
//! It says what it sees whenever that changes, and writes `download.iso.blake3` once the size has been
//! the same for three intervals. Interrupt it (Ctrl-C, or `kill -9`) and run it again: it goes on
//! watching, with the deadline that it had.

mod snapshot;
#[cfg(test)]
mod tests;
mod watch;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Parser;
use durable::{Client, Handle, IdReuse, Worker};
use examples::{blocking, bytes, files};
use tokio::task::JoinSet;

use crate::snapshot::Snapshot;
use crate::watch::{Outcome, Seen, Watch};

/// Waits for files or directories to be complete, and writes their hashes.
#[derive(Parser)]
struct Options {
    /// What is to be watched; it need not exist yet.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// How long to wait between two looks at something that is there.
    #[arg(long, default_value = "1s", value_parser = examples::length)]
    interval: Duration,
    /// How long to wait at most between two looks while nothing is there.
    #[arg(long, default_value = "30s", value_parser = examples::length)]
    longest: Duration,
    /// For how many intervals it must not change.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    stable: u32,
    /// When to give up.
    #[arg(long, default_value = "1day", value_parser = examples::length)]
    deadline: Duration,
    /// The database; it is created if it does not exist.
    #[arg(long, default_value = "monitor.db")]
    db: PathBuf,
}

impl Options {
    /// One watch for each path that was named.
    fn watches(&self) -> anyhow::Result<Vec<Watch>> {
        let Self { interval, longest, stable, deadline, .. } = *self;
        ensure!(longest >= interval, "--longest must not be shorter than --interval");
        let mut paths = Vec::new();
        for path in &self.paths {
            let path = files::whole_path(path)?;
            files::ensure_writable(files::folder(&path))
                .context("the hashes are to be written beside what is watched")?;
            paths.push(path);
        }
        paths.sort();
        paths.dedup();
        let watch = |path| Watch { path, interval, longest, stable, deadline };
        Ok(paths.into_iter().map(watch).collect())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    examples::show_warnings();
    let watches = options.watches()?;
    let worker = Worker::builder(examples::open_database(&options.db).await?)
        .orchestrator(watch::monitor)
        .activity(watch::look)
        .activity(watch::seal)
        .start()
        .await?;
    let mut watched = JoinSet::new();
    for watch in watches {
        let handle = start(&worker.client(), &watch).await?;
        watched.spawn(report(handle, watch.path));
    }
    let mut incomplete = 0;
    while let Some(reported) = watched.join_next().await {
        match reported? {
            Ok(complete) => incomplete += usize::from(!complete),
            Err(error) => {
                eprintln!("{error:#}");
                incomplete += 1;
            }
        }
    }
    worker.shutdown().await;
    if incomplete > 0 {
        bail!("{incomplete} of what was watched is not complete; run it again to go on watching");
    }
    Ok(())
}

/// Starts a watch, or joins the one that is under way.
async fn start(client: &Client, watch: &Watch) -> anyhow::Result<Handle<Outcome>> {
    let path = watch.path.display();
    let id = format!("watch-{}", files::short_hash(watch.path.as_os_str().as_encoded_bytes()));
    let call = watch::monitor(watch.clone()).instance_id(id).id_reuse(IdReuse::UseRunning);
    let handle = client.start(call).await?;
    if handle.is_new() {
        println!("{path}: watching");
        return Ok(handle);
    }
    let status = handle.status().await?;
    let (earlier,): (Watch,) = status.input.decode()?;
    let until = std::time::SystemTime::from(status.created_at + earlier.deadline);
    let until = humantime::format_rfc3339_seconds(until);
    println!("{path}: watched already, until {until}");
    if earlier != *watch {
        println!("{path}: that watch keeps the options that it was started with");
    }
    Ok(handle)
}

/// Says what is seen until the watch ends, checks the hashes, and says whether it is complete.
async fn report(handle: Handle<Outcome>, path: PathBuf) -> anyhow::Result<bool> {
    let shown = path.display();
    let mut last = None;
    let see = |seen: Seen| {
        let words = seen.last.as_ref().map(words);
        if words != last {
            println!("{shown}: {}", words.as_deref().unwrap_or("not there"));
            last = words;
        }
    };
    let outcome = examples::follow(&handle, see).await;
    match outcome.with_context(|| format!("watching {shown}"))? {
        Outcome::Complete(snapshot) => {
            let hashed = check(&path).await?;
            println!("{shown}: complete with {}, {hashed} hashes are verified", words(&snapshot));
            Ok(true)
        }
        Outcome::TimedOut(last) => {
            let last = last.as_ref().map_or("nothing was there".to_owned(), words);
            println!("{shown}: the deadline passed ({last})");
            Ok(false)
        }
    }
}

async fn check(path: &Path) -> anyhow::Result<usize> {
    let path = path.to_owned();
    blocking(move || snapshot::check(&path)).await
}

fn words(snapshot: &Snapshot) -> String {
    format!("{} in {} files", bytes(snapshot.bytes), snapshot.files)
}
