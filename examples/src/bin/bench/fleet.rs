//! Workers in processes of their own, for what several machines would do.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use durable::store::Store;
use durable::{Client, Clock as _, Metrics, SystemClock, Timestamp, Worker};
use serde::{Deserialize, Serialize};

use super::Options;
use super::programs::register;

/// The lease of workers elsewhere: short, so that they soon have their shares.
const LEASE_LENGTH: Duration = Duration::from_secs(3);
/// How long they may take for that.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often is looked whether they have.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// What a worker elsewhere has done.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ran {
    pub(crate) turns: u64,
    /// Attempts of activities that it ran.
    pub(crate) activities: u64,
    /// Those among them that it took from what all workers offer.
    pub(crate) claimed: u64,
    pub(crate) commits: u64,
    pub(crate) rows: u64,
}

/// The workers of a run: one in this process, or several elsewhere.
pub(crate) enum Fleet {
    Here(Worker),
    Elsewhere { client: Client, processes: Vec<Child> },
}

impl Fleet {
    pub(crate) async fn start(options: &Options, store: Arc<dyn Store>) -> anyhow::Result<Self> {
        let Some(count) = options.workers else {
            return Ok(Self::Here(worker(options, store).await?));
        };
        let program = std::env::current_exe()?;
        let start = || {
            Command::new(&program)
                .args(["--serve", "--workload", "chain", "--store", &options.store])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
        };
        let processes = (0..count).map(|_| start()).collect::<Result<_, _>>()?;
        tokio::time::timeout(PATIENCE, even_shares(&*store, count))
            .await
            .context("the workers did not get their shares")??;
        Ok(Self::Elsewhere { client: Client::new(store), processes })
    }

    pub(crate) fn client(&self) -> Client {
        match self {
            Self::Here(worker) => worker.client(),
            Self::Elsewhere { client, .. } => client.clone(),
        }
    }

    /// What the worker here has counted; those elsewhere say it as they stop.
    pub(crate) fn metrics(&self) -> Metrics {
        match self {
            Self::Here(worker) => worker.metrics(),
            Self::Elsewhere { .. } => Metrics::default(),
        }
    }

    /// Stops all workers. Returns what each of those elsewhere says of itself.
    pub(crate) async fn stop(self) -> anyhow::Result<Vec<Ran>> {
        match self {
            Self::Here(worker) => {
                worker.shutdown().await;
                Ok(Vec::new())
            }
            Self::Elsewhere { mut processes, .. } => {
                // The end of its input tells a worker to stop. All are told before the first has
                // stopped, so that none takes over what others leave.
                for process in &mut processes {
                    drop(process.stdin.take());
                }
                // All have stopped before the first failure is told.
                let said: Vec<_> = processes.into_iter().map(last_words).collect();
                said.into_iter().collect()
            }
        }
    }
}

/// Runs a worker until the standard input ends, and says what it did.
pub(crate) async fn serve(options: &Options) -> anyhow::Result<()> {
    let store = durable::connect(&options.store).await?;
    let worker = worker(options, store).await?;
    let ended =
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    ended.await??;
    let Metrics { turns, begun, claimed, commits, rows, .. } = worker.metrics();
    worker.shutdown().await;
    let ran = Ran { turns, activities: begun, claimed, commits, rows };
    // Nobody listens if the run has failed.
    let _ = writeln!(std::io::stdout(), "{}", serde_json::to_string(&ran)?);
    Ok(())
}

/// What a worker says of itself as it stops.
fn last_words(process: Child) -> anyhow::Result<Ran> {
    let output = process.wait_with_output()?;
    ensure!(output.status.success(), "a worker ended with {}", output.status);
    serde_json::from_slice(&output.stdout).context("a worker did not say what it did")
}

/// Waits until so many workers share the partitions evenly.
async fn even_shares(store: &dyn Store, count: u32) -> anyhow::Result<()> {
    let (workers, partitions) =
        (usize::try_from(count)?, usize::from(store.hub().await?.partitions));
    let even = partitions / workers..=partitions.div_ceil(workers);
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    loop {
        let peers = store.check_in("bench", SystemClock.now(), Timestamp::MIN).await?;
        let is_even = peers.iter().all(|peer| even.contains(&usize::from(peer.partitions)));
        let held: usize = peers.iter().map(|peer| usize::from(peer.partitions)).sum();
        if peers.len() == workers && is_even && held == partitions {
            return Ok(());
        }
        ticks.tick().await;
    }
}

/// A worker as the options want it.
pub(crate) async fn worker(options: &Options, store: Arc<dyn Store>) -> anyhow::Result<Worker> {
    let mut builder = register(Worker::builder(store)).check_determinism(false);
    if options.serve {
        builder = builder.lease_length(LEASE_LENGTH);
    }
    if let Some(count) = options.resident {
        builder = builder.resident_instances(count);
    }
    Ok(builder.start().await?)
}
