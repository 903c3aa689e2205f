//! Function chaining: the words of a text file are cleaned, counted, ranked and reported, one
//! activity after the other, and the report is verified by its hash. What is large goes from step to
//! step in files, what is small as a value.
//!
//! ```sh
//! cargo run -p examples --bin chaining -- README.md words.txt
//! ```
//!
//! It says which step is under way, and in the end how many words there were and that the report is
//! what was written. Interrupt it (Ctrl-C, or `kill -9`) and run it again with a longer text: steps
//! that were done are not done again.

mod steps;

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Parser;
use durable::Worker;
use durable::prelude::*;
use examples::{blocking, files};
use serde::{Deserialize, Serialize};

use crate::steps::{Cleaned, Job, Ranked};

/// Writes a report of the most frequent words of a text file.
#[derive(Parser)]
struct Options {
    /// The text.
    text: PathBuf,
    /// The report; a file of this name is replaced.
    report: PathBuf,
    /// How many words the report has.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    top: u16,
    /// The database; it is created if it does not exist.
    #[arg(long, default_value = "chaining.db")]
    db: PathBuf,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Summary {
    words: u64,
    distinct: u64,
    /// Of the report.
    hash: String,
}

#[activity]
async fn clean(job: Job) -> anyhow::Result<Cleaned> {
    blocking(move || steps::clean(&job)).await
}

#[activity]
async fn count(job: Job) -> anyhow::Result<u64> {
    blocking(move || steps::count(&job)).await
}

#[activity]
async fn rank(job: Job) -> anyhow::Result<Vec<Ranked>> {
    blocking(move || steps::rank(&job)).await
}

#[activity]
async fn write_report(
    job: Job,
    cleaned: Cleaned,
    distinct: u64,
    ranked: Vec<Ranked>,
) -> anyhow::Result<String> {
    blocking(move || steps::write_report(&job, &cleaned, distinct, &ranked)).await
}

#[activity]
async fn verify(job: Job, cleaned: Cleaned, report: String) -> anyhow::Result<()> {
    blocking(move || steps::verify(&job, &cleaned, &report)).await
}

#[activity]
async fn remove_work(job: Job) -> anyhow::Result<()> {
    blocking(move || steps::remove_work(&job)).await
}

#[orchestrator]
async fn report_words(ctx: &OrchestrationContext, job: Job) -> Result<Summary, TaskError> {
    ctx.set_custom_status("cleaning the text");
    let cleaned = clean(job.clone()).await?;
    ctx.set_custom_status(format!("counting {} words", cleaned.words));
    let distinct = count(job.clone()).await?;
    ctx.set_custom_status(format!("ranking {distinct} different words"));
    let ranked = rank(job.clone()).await?;
    ctx.set_custom_status("writing the report");
    let hash = write_report(job.clone(), cleaned.clone(), distinct, ranked).await?;
    ctx.set_custom_status("verifying the report");
    verify(job.clone(), cleaned.clone(), hash.clone()).await?;
    remove_work(job).await?;
    Ok(Summary { words: cleaned.words, distinct, hash })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    examples::show_warnings();
    let job = Job::new(&options.text, &options.report, options.top.into())?;
    let worker = Worker::builder(examples::open_database(&options.db).await?)
        .orchestrator(report_words)
        .activity(clean)
        .activity(count)
        .activity(rank)
        .activity(write_report)
        .activity(verify)
        .activity(remove_work)
        .start()
        .await?;
    // One report is written by one instance at a time, whoever asks for it.
    let id = format!("report-{}", files::short_hash(job.report.as_os_str().as_encoded_bytes()));
    let call = report_words(job.clone());
    let handle = examples::start_or_resume(&worker.client(), &id, &job, call).await?;
    let show = |step: String| println!("  {step}");
    let summary = examples::follow(&handle, show).await.context("the report is not complete")?;
    worker.shutdown().await;

    let found = files::hash(&job.report)?;
    ensure!(found == summary.hash, "{} was changed by somebody else", job.report.display());
    println!(
        "{} words, {} of them different; {} is verified, its blake3 hash is {found}",
        summary.words,
        summary.distinct,
        options.report.display()
    );
    Ok(())
}
