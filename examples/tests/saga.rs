//! A season of trips as a person books it: at once, killed at random moments, and with options that
//! do not go together. The program checks itself that stock, payments and trips agree.

#![allow(clippy::unwrap_used)] // A test may panic.

#[path = "support/process.rs"]
mod process;

use std::process::Command;

use tempfile::TempDir;

const CHECKED: &str = "checked: exactly the booked trips hold stock and are paid";

fn command(place: &TempDir, options: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_saga"));
    command.current_dir(place.path()).args(options.split_whitespace());
    command
}

/// The tables without what tells of progress.
fn tables(out: &str) -> &str {
    let from = out.find("service  stock").unwrap();
    &out[from..out.find(CHECKED).unwrap()]
}

#[test]
fn a_season_is_booked_once() {
    let place = tempfile::tempdir().unwrap();
    let first = process::succeed(&mut command(&place, "--trips 60"));
    assert!(first.contains(CHECKED), "{first}");
    assert!(first.contains("booked") && first.contains("card declined"), "{first}");
    // What is recorded is shown again.
    let second = process::succeed(&mut command(&place, "--trips 60"));
    assert_eq!(tables(&first), tables(&second));
    let other = process::fail(&mut command(&place, "--trips 60 --cars 3"));
    assert!(other.contains("other options is recorded here: give the same options"), "{other}");
}

#[test]
fn without_a_bank_or_without_cars_everything_is_given_back() {
    let place = tempfile::tempdir().unwrap();
    let out = process::succeed(&mut command(&place, "--trips 15 --outages 100"));
    assert!(out.contains("   15  no bank") && out.contains(CHECKED), "{out}");
    let place = tempfile::tempdir().unwrap();
    let out = process::succeed(&mut command(&place, "--trips 15 --cars 0"));
    assert!(out.contains("   15  no car left") && out.contains(CHECKED), "{out}");
}

#[test]
fn killed_at_random_moments_it_books_the_same_trips() {
    let mut random = process::random();
    // With stock enough it does not matter who comes first.
    let enough = "--trips 150 --flights 150 --hotels 150 --cars 150";
    let (undisturbed, took) = process::timed(&mut command(&tempfile::tempdir().unwrap(), enough));
    let place = tempfile::tempdir().unwrap();
    let done = process::interrupted(|| command(&place, enough), &mut random, took, 8);
    assert!(done.kills >= 2, "it was done after {} kills: book more trips", done.kills);
    assert_eq!(tables(done.last()), tables(&undisturbed));

    // With less, who comes first differs, but what the program checks does not.
    let less = "--trips 150 --flights 120 --hotels 100 --cars 80";
    let place = tempfile::tempdir().unwrap();
    let done = process::interrupted(|| command(&place, less), &mut random, took, 8);
    assert!(done.last().contains(CHECKED), "{}", done.last());
}

#[test]
fn wrong_options_are_refused() {
    let place = tempfile::tempdir().unwrap();
    assert!(process::fail(&mut command(&place, "--trips 0")).contains("1..=10000"));
    assert!(process::fail(&mut command(&place, "--outages 101")).contains("0..=100"));
    let out = process::fail(&mut command(&place, "--db no/such.db"));
    assert!(out.contains("--db names another"), "{out}");
    std::fs::write(place.path().join("saga.db.bank"), "a file").unwrap();
    let out = process::fail(&mut command(&place, ""));
    assert!(out.contains("saga.db.bank cannot be created"), "{out}");
}
