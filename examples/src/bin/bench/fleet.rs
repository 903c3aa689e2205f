//! Workers in processes of their own, for what several machines would do.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use durable::store::Store;
use durable::{Client, Worker};

use super::Options;
use super::programs::register;

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

/// A worker as the options want it.
pub(crate) async fn worker(options: &Options, store: Arc<dyn Store>) -> anyhow::Result<Worker> {
    let mut builder = register(Worker::builder(store)).check_determinism(false);
    if let Some(count) = options.resident {
        builder = builder.resident_instances(count);
    }
    Ok(builder.start().await?)
}
