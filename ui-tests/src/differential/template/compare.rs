//! Runs a body both ways on many inputs and compares what it did.

use std::any::Any;

use durable::__private::drive::{Drive, Open};
use durable::__private::{Json, Orchestration, Outcome};
use durable::{HistoryEvent, TaskErrorKind};
use serde::Serialize;

use crate::answers::{answer, set_salt};
use crate::plain::{Done, TooLong};
use crate::{Fault, Item};

/// The arguments that every body takes.
pub type Args = (i64, i64, bool, String, Vec<i64>, Item);

/// A small generator of pseudo-random numbers: SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// What one run did.
#[derive(PartialEq, Eq)]
struct Run {
    trace: Vec<String>,
    end: String,
}

/// What all runs of this program came to.
#[derive(Default)]
pub struct Report {
    pub only_body: Option<u64>,
    pub only_input: Option<u64>,
    pub inputs: u64,
    pub bodies: u64,
    pub runs: u64,
    pub skipped: u64,
    pub panics: u64,
    pub suspensions: u64,
    pub mismatches: u64,
}

impl Report {
    /// Reads `inputs [body [input]]` from the command line.
    pub fn from_args() -> Self {
        std::panic::set_hook(Box::new(|_| {}));
        let mut numbers = std::env::args().skip(1).map(|arg| arg.parse().unwrap());
        Self {
            inputs: numbers.next().unwrap_or(8),
            only_body: numbers.next(),
            only_input: numbers.next(),
            ..Self::default()
        }
    }

    /// Prints the totals in a line that the test reads.
    pub fn finish(&self) {
        println!(
            "TOTAL bodies {} runs {} skipped {} panics {} suspensions {} mismatches {}",
            self.bodies, self.runs, self.skipped, self.panics, self.suspensions, self.mismatches
        );
    }

    /// Compares one body on all inputs.
    pub fn check<F>(&mut self, body: u64, plain: impl Fn(Args, u64) -> Done<String>)
    where
        F: Orchestration<Input = Args>,
    {
        if self.only_body.is_some_and(|only| only != body) {
            return;
        }
        self.bodies += 1;
        for input in 0..self.inputs {
            if self.only_input.is_some_and(|only| only != input) {
                continue;
            }
            let seed = body.wrapping_mul(1_000_003).wrapping_add(input);
            set_salt(seed);
            let args = arguments(seed);
            let Some(expected) = run_plain(args.clone(), seed, &plain) else {
                self.skipped += 1;
                continue;
            };
            self.panics += u64::from(expected.end.starts_with("panic"));
            let (actual, suspensions) = run_machine::<F>(&args, seed);
            self.runs += 1;
            self.suspensions += suspensions;
            if expected != actual {
                self.mismatches += 1;
                print_mismatch(body, input, &args, &expected, &actual);
            }
        }
    }
}

fn print_mismatch(body: u64, input: u64, args: &Args, expected: &Run, actual: &Run) {
    println!("MISMATCH body {body} input {input}");
    println!("arguments: {args:?}");
    for (name, run) in [("plain", expected), ("machine", actual)] {
        println!("--- {name}");
        for line in &run.trace {
            println!("{line}");
        }
        println!("=> {}", run.end);
    }
    println!("END");
}

fn arguments(seed: u64) -> Args {
    let mut random = Random(seed);
    let mut small = move || random.below(6) as i64 - 1;
    let word = |n: i64| ["", "a", "b", "cd"][(n + 1) as usize % 4].to_owned();
    let numbers: Vec<i64> = (0..small()).map(|_| small()).collect();
    let item = Item { id: small(), name: word(small()), tags: vec![small(); (small() + 1) as usize] };
    (small(), small(), small() > 1, word(small()), numbers, item)
}

/// What a body that returns a `Result` ended with.
pub fn end_result<T: Serialize>(result: Result<T, Fault>) -> String {
    match result {
        Ok(value) => end_plain(value),
        Err(error) => format!("err {error}"),
    }
}

/// What a body that returns a value ended with.
pub fn end_plain<T: Serialize>(value: T) -> String {
    format!("ok {}", Json::encode(&value).unwrap())
}

fn run_plain(args: Args, seed: u64, plain: &impl Fn(Args, u64) -> Done<String>) -> Option<Run> {
    let Done { trace, end } = plain(args, seed);
    let end = match end {
        Ok(end) => end,
        Err(panic) if panic.is::<TooLong>() => return None,
        Err(panic) => format!("panic {}", panic_text(&*panic)),
    };
    Some(Run { trace, end })
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => String::new(),
    }
}

/// Runs the machine, which is saved and loaded between all turns, and answers what it calls in an
/// order that depends on the seed.
fn run_machine<F: Orchestration>(args: &F::Input, seed: u64) -> (Run, u64) {
    let mut random = Random(!seed);
    let mut drive = match Drive::start::<F>(args) {
        Ok(drive) => drive,
        Err(error) => return (Run { trace: Vec::new(), end: error.to_string() }, 0),
    };
    let mut suspensions = 0;
    let end = loop {
        if let Some(outcome) = drive.outcome() {
            break end_of(outcome);
        }
        suspensions += 1;
        let open = drive.open().iter().map(|(task, open)| match open {
            Open::Timer { .. } => (*task, None),
            Open::Activity { name, input, .. } => (*task, Some((name.as_str(), input.as_str()))),
        });
        let Some((task, outcome)) = choose(open, &mut random) else {
            break format!("stuck in {}", drive.state().unwrap_or("no state"));
        };
        let step = match outcome {
            Some(outcome) => drive.answer(task, outcome),
            None => drive.fire(task),
        };
        if let Err(error) = step {
            break format!("{error} in {}", drive.state().unwrap_or("no state"));
        }
    };
    (Run { trace: trace(&drive), end }, suspensions)
}

/// Picks what ends next. Failures end in the order in which they began, so that a join that stops
/// at the first is the same in both.
pub fn choose<'a>(
    open: impl Iterator<Item = (i64, Option<(&'a str, &'a str)>)>,
    random: &mut Random,
) -> Option<(i64, Option<Outcome>)> {
    let mut failure = false;
    let mut candidates = Vec::new();
    for (task, call) in open {
        let outcome = call.map(|(name, input)| answer(name, input));
        if matches!(outcome, Some(Err(_))) && std::mem::replace(&mut failure, true) {
            continue;
        }
        candidates.push((task, outcome));
    }
    if candidates.is_empty() {
        return None;
    }
    let index = random.below(candidates.len() as u64) as usize;
    Some(candidates.swap_remove(index))
}

fn end_of(outcome: &Outcome) -> String {
    match outcome {
        Ok(json) => format!("ok {json}"),
        Err(e) if e.kind == TaskErrorKind::Panicked => format!("panic {}", e.failure.message),
        Err(e) => format!("err {}", e.failure.message),
    }
}

/// The calls and timers in the order in which they were begun.
fn trace(drive: &Drive) -> Vec<String> {
    let mut lines = Vec::new();
    for turn in drive.history() {
        for event in &turn.events {
            match event {
                HistoryEvent::ActivityScheduled { name, input, .. } => {
                    lines.push(format!("{name}{input}"));
                }
                HistoryEvent::TimerCreated { due, .. } => {
                    lines.push(format!("sleep[{}]", due.as_micros() - turn.at.as_micros()));
                }
                _ => {}
            }
        }
    }
    lines
}
