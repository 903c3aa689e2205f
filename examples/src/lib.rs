//! What the example programs share: showing progress to a person or to a log, and the few things
//! that each of them does with files and with the instance that it waits for.

pub mod files;
mod instance;
mod path;

use std::io::IsTerminal;
use std::time::Duration;

use durable::prelude::TaskError;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub use crate::instance::{follow, open_database, start_or_resume};
pub use crate::path::FilePath;

/// Progress of work whose length is known: a bar on a terminal, a line now and then elsewhere.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    plain: bool,
    every: u64,
}

impl Progress {
    /// How many lines a log gets for the whole work.
    const LINES: u64 = 10;

    /// Progress over `length` steps of `what`, of which `done` are done already.
    pub fn new(what: &str, length: u64, done: u64) -> Self {
        let plain = !std::io::stderr().is_terminal();
        let target =
            if plain { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(length), target).with_position(done);
        let template = "{prefix} [{bar:40}] {pos}/{len} {msg} ({eta})";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, plain, every: (length / Self::LINES).max(1) }
    }

    /// Sets how many steps are done.
    pub fn set(&self, done: u64) {
        let before = self.bar.position();
        self.bar.set_position(done);
        if self.plain && done / self.every != before / self.every {
            eprintln!("{}: {done} of {}", self.bar.prefix(), self.bar.length().unwrap_or(0));
        }
    }

    /// Ends the display.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Shows warnings and errors of the library on standard error; `RUST_LOG` says which.
pub fn show_warnings() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .init();
}

/// What went wrong in a call, with its causes.
pub fn reason(error: &TaskError) -> String {
    let failure = error.failure();
    let causes = std::iter::once(&failure.message).chain(&failure.sources);
    causes.cloned().collect::<Vec<_>>().join(": ")
}

/// Runs file operations, which block, beside the async runtime.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await?
}

/// Waits in real time, as a program may that shows progress.
#[allow(clippy::disallowed_methods)]
pub async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}

/// Reads a length of time such as `500ms`, `90s` or `3days`, for options of programs.
///
/// ```
/// assert_eq!(examples::length("2h").unwrap().as_secs(), 7200);
/// assert!(examples::length("0s").is_err());
/// ```
pub fn length(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(length) if length.is_zero() => Err("it must be longer than nothing".to_owned()),
        Ok(length) => Ok(length),
        Err(error) => Err(format!("{error}; write for example `500ms`, `90s` or `3days`")),
    }
}

/// A number of bytes for people.
///
/// ```
/// assert_eq!(examples::bytes(200_000_000), "200.0 MB");
/// ```
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    #[allow(clippy::cast_precision_loss)] // It is rounded to one digit anyway.
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}
