//! The bank as a person runs it, on each store: its own check says whether money was made or lost.

#![allow(clippy::unwrap_used)] // Everything here is a test.

use std::process::Command;

#[path = "support/process.rs"]
mod process;

fn bank(store: &str, transfers: u32) -> String {
    process::succeed(
        Command::new(env!("CARGO_BIN_EXE_bank"))
            .args(["--store", store, "--seed", "7", "--kill-ms", "300", "--accounts", "30"])
            .args(["--transfers", &transfers.to_string()]),
    )
}

#[test]
fn no_money_is_made_or_lost_in_memory() {
    let said = bank("memory:", 1_500);
    assert!(said.contains("sum 3000000 of 3000000 cents; 0 locks left"), "{said}");
}

#[test]
fn no_money_is_made_or_lost_in_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let said = bank(&format!("sqlite:{}", folder.path().join("bank.db").display()), 400);
    assert!(said.contains("sum 3000000 of 3000000 cents; 0 locks left"), "{said}");
}

#[test]
fn options_that_cannot_work_are_named() {
    let program = || Command::new(env!("CARGO_BIN_EXE_bank"));
    let said = process::fail(program().args(["--accounts", "1"]));
    assert!(said.contains("--accounts"), "{said}");
    let said = process::fail(program().args(["--store", "mysql://here"]));
    assert!(said.contains("mysql"), "{said}");
}
