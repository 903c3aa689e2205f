//! Random bodies do the same as durable orchestrators as they do as plain async Rust, with the
//! state saved and loaded at every suspension.
//!
//! `DURABLE_DIFF_SEED` and `DURABLE_DIFF_BODIES` choose other bodies, `DURABLE_DIFF_INPUTS` the
//! number of inputs for each.

#![allow(clippy::unwrap_used)] // A test may panic; what it reads it has written itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use ui_tests::differential::project;

const DEFAULT_SEED: u64 = 1;
const DEFAULT_BODIES: u64 = 300;
const DEFAULT_INPUTS: u64 = 24;

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
        Err(_) => default,
    }
}

#[test]
fn machines_do_what_plain_rust_does() {
    let seed = number("DURABLE_DIFF_SEED", DEFAULT_SEED);
    let bodies = number("DURABLE_DIFF_BODIES", DEFAULT_BODIES);
    let inputs = number("DURABLE_DIFF_INPUTS", DEFAULT_INPUTS);
    println!("DURABLE_DIFF_SEED={seed} DURABLE_DIFF_BODIES={bodies} DURABLE_DIFF_INPUTS={inputs}");

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("differential");
    std::fs::create_dir_all(&dir).unwrap();
    project::write(&dir, &root.join("durable"), &root.join("Cargo.lock"), seed, bodies).unwrap();

    let target = dir.join("target");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--offline", "--bins", "--keep-going", "--quiet"])
        .current_dir(&dir)
        .env("CARGO_TARGET_DIR", &target)
        .status()
        .unwrap();
    assert!(
        status.success(),
        "bodies of seed {seed} do not compile; they are in {}",
        dir.join("src/bin").display()
    );

    let mut mismatches = Vec::new();
    for program in 0..project::programs(bodies) {
        let output = Command::new(target.join(format!("debug/part{program}")))
            .arg(inputs.to_string())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "part{program} failed: {text}");
        for line in text.lines().filter(|line| line.starts_with("TOTAL")) {
            println!("part{program}: {line}");
        }
        if text.contains("MISMATCH") {
            mismatches.push(text.into_owned());
        }
    }
    for text in &mismatches {
        report(text, seed);
    }
    assert!(mismatches.is_empty(), "machines differ from plain Rust, seed {seed}");
}

/// Prints mismatches, each body once, with its source.
fn report(text: &str, seed: u64) {
    let mut last = None;
    for block in text.split("MISMATCH ").skip(1) {
        let body: u64 = block.split_whitespace().nth(1).unwrap().parse().unwrap();
        if last.replace(body) == Some(body) {
            continue;
        }
        let source = ui_tests::differential::body(project::body_seed(seed, body));
        println!("\nMISMATCH in {}", block.split("END").next().unwrap());
        println!("async fn body{body}({}) -> {} {{", source.params, source.ret);
        println!("{}}}", project::indented(&source.text));
    }
}
