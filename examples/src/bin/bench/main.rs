//! The benchmark: one workload against one store, and one line of JSON about it.
//!
//! ```sh
//! cargo run --release -p examples --bin bench -- --store memory: --workload chain --concurrency 512
//! cargo run --release -p examples --bin bench -- --store sqlite:/tmp/b.db --workload entity --keys 1000
//! scripts/postgres bash -c 'cargo run --release -p examples --bin bench -- \
//!     --store "$DURABLE_TEST_POSTGRES_URL" --workload chain'
//! ```
//!
//! Activities are dispatched: queued, run by whichever worker takes them, their results stored; and
//! they do nothing. `SQLite` flushes every commit.

mod fleet;
mod measure;
mod programs;
mod workloads;

use clap::{Parser, ValueEnum};

use self::measure::Report;

/// What a turn allocates is freed on another thread than its own: the allocator of glibc has the
/// threads wait for each other then, which was a quarter of the time of the workload `chain` in
/// memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs one workload and prints one line of JSON for each run.
#[derive(Debug, Clone, Parser)]
struct Options {
    /// Where the hub lives: `memory:`, `sqlite:<path>` or `postgres://<user>@<host>/<database>`. It
    /// should be empty.
    #[arg(long, default_value = "memory:")]
    store: String,
    /// What is run.
    #[arg(long)]
    workload: Workload,
    /// How many orchestrations, or senders, are under way at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    concurrency: u64,
    /// How many orchestrations, activities, steps, messages or timers there are; each workload has
    /// its own default.
    #[arg(long)]
    n: Option<u64>,
    /// Over how many entities the messages are spread.
    #[arg(long, default_value_t = 1)]
    keys: u64,
    /// How long each activity of a fan-out takes, in milliseconds.
    #[arg(long, default_value_t = 0)]
    pause_ms: u64,
    /// How long a closed loop runs, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How many processes run a worker; without it one worker runs in this process.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    workers: Option<u32>,
    /// Only runs a worker, until its standard input ends. What `--workers` starts.
    #[arg(long, hide = true)]
    serve: bool,
    /// Instances that stay decoded in memory; the worker's default if it is not given.
    #[arg(long)]
    resident: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Workload {
    /// Orchestrations of five activities, one after the other, in a closed loop.
    Chain,
    /// One orchestration over `--n` activities.
    Fanout,
    /// One orchestration of `--n` activities, one after the other.
    Loop,
    /// Signals to `--keys` entities from `--concurrency` senders.
    EntitySignals,
    /// Calls of `--keys` entities from `--concurrency` callers.
    EntityCalls,
    /// Signals, then calls.
    Entity,
    /// `--n` orchestrations that sleep for one second.
    Timers,
    /// `--n` starts.
    Start,
    /// `--n` orchestrations that wait for an event; then each gets one.
    Parked,
    /// A worker dies with `--n` orchestrations in flight, 50 steps deep and with 50 to come; the next
    /// one ends them.
    Recover,
    /// Fan-outs and chains with 1, 2 and 4 processes.
    Workers,
}

impl Options {
    /// The runs that were asked for.
    fn runs(self) -> Vec<Self> {
        let with = |workload| Self { workload, ..self.clone() };
        match self.workload {
            Workload::Entity => vec![with(Workload::EntitySignals), with(Workload::EntityCalls)],
            Workload::Workers => [1, 2, 4]
                .into_iter()
                .flat_map(|count| {
                    [Workload::Fanout, Workload::Chain]
                        .map(|workload| Self { workers: Some(count), ..with(workload) })
                })
                .collect(),
            _ => vec![self],
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    examples::show_warnings();
    if options.serve {
        return fleet::serve(&options).await;
    }
    for run in options.runs() {
        let report: Report = workloads::run(&run).await?;
        println!("{}", report.line(&run.store)?);
    }
    Ok(())
}
