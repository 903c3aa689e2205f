//! Workers in processes of their own, for what several machines would do.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use durable::store::Store;
use durable::{Client, Clock as _, SystemClock, Timestamp, Worker};

use super::Options;
use super::programs::register;

/// The lease of workers elsewhere: short, so that they soon have their shares.
const LEASE_LENGTH: Duration = Duration::from_secs(3);
/// How long they may take for that.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often is looked whether they have.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

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

    /// What the worker here has counted; those elsewhere keep it to themselves.
    pub(crate) fn metrics(&self) -> durable::Metrics {
        match self {
            Self::Here(worker) => worker.metrics(),
            Self::Elsewhere { .. } => durable::Metrics::default(),
        }
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        match self {
            Self::Here(worker) => worker.shutdown().await,
            Self::Elsewhere { processes, .. } => {
                for mut process in processes {
                    // The end of its input tells it to stop.
                    drop(process.stdin.take());
                    process.wait()?;
                }
            }
        }
        Ok(())
    }
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
