//! Programs as a person runs them: started, killed at random moments, and started again.

#![allow(dead_code)] // No test needs all of it.
#![allow(clippy::unwrap_used)] // A test may panic.

use std::ops::Range;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Random moments, from a seed that is printed; `DURABLE_KILL_SEED` gives another one.
pub(crate) fn random() -> fastrand::Rng {
    let seed = std::env::var("DURABLE_KILL_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or(7);
    println!("seed {seed}");
    fastrand::Rng::with_seed(seed)
}

/// What a program wrote.
pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Runs a program that must succeed, and gives what it wrote.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}

/// Runs a program that must fail, and gives what it wrote.
pub(crate) fn fail(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(!output.status.success(), "it should have failed:\n{}", text(&output));
    text(&output)
}

/// Waits for a real process, which keeps real time.
#[allow(clippy::disallowed_methods)]
pub(crate) fn wait(length: Duration) {
    std::thread::sleep(length);
}

/// What came of a program that was to be killed.
pub(crate) struct Run {
    /// Whether it was; otherwise it ended by itself.
    pub(crate) killed: bool,
    pub(crate) output: Output,
}

/// Kills a program after this time, unless it has ended.
pub(crate) fn kill_after(child: Child, length: Duration) -> Run {
    wait(length);
    kill(child)
}

/// Kills a program when something is so, unless it has ended.
pub(crate) fn kill_when(mut child: Child, so: impl Fn() -> bool) -> Run {
    while !so() && child.try_wait().unwrap().is_none() {
        wait(Duration::from_millis(1));
    }
    kill(child)
}

fn kill(mut child: Child) -> Run {
    let running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    // One that was killed while it ended may have succeeded all the same.
    Run { killed: running && !output.status.success(), output }
}

/// What came of a program that was killed and run again.
pub(crate) struct Interrupted {
    pub(crate) kills: usize,
    /// What each run wrote; the last one is the run that was not killed.
    pub(crate) runs: Vec<String>,
}

impl Interrupted {
    /// What the last run wrote.
    pub(crate) fn last(&self) -> &str {
        &self.runs[self.kills]
    }
}

/// Runs a program to its good end, and gives what it wrote and how long that took.
#[allow(clippy::disallowed_methods)] // A real process keeps real time.
pub(crate) fn timed(command: &mut Command) -> (String, Duration) {
    let start = Instant::now();
    let text = succeed(command);
    (text, start.elapsed())
}

/// A moment in a program that takes this long in all, between these percents of it. Kills are
/// placed by it because machines differ: a fixed time comes too early on one, too late on another.
pub(crate) fn moment(random: &mut fastrand::Rng, whole: Duration, percent: Range<u32>) -> Duration {
    whole * random.u32(percent) / 100
}

/// Runs a program again and again, killed at random moments of the time that it takes in all,
/// until it ends by itself or was killed often enough; then lets it run to its end, which must be
/// a good one.
pub(crate) fn interrupted(
    command: impl Fn() -> Command,
    random: &mut fastrand::Rng,
    whole: Duration,
    most: usize,
) -> Interrupted {
    let mut runs = Vec::new();
    loop {
        let mut command = command();
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let Run { killed, output } = if runs.len() < most {
            kill_after(child, moment(random, whole, 5..40))
        } else {
            Run { killed: false, output: child.wait_with_output().unwrap() }
        };
        runs.push(text(&output));
        if !killed {
            assert!(output.status.success(), "{}", text(&output));
            println!("{} kills", runs.len() - 1);
            return Interrupted { kills: runs.len() - 1, runs };
        }
    }
}
