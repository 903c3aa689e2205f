//! What the compiler accepts, and what it says about the rest. `TRYBUILD=overwrite` writes the
//! expected messages anew; the change then shows in the diff.
//!
//! A test for each directory: the name of what fails says where to look. Only the accepted programs
//! are linked and run, so that the others can be checked all at once.

use trybuild::TestCases;

#[test]
fn accepted_programs() {
    TestCases::new().pass("tests/pass/*.rs");
}

#[test]
fn messages_about_bodies() {
    TestCases::new().compile_fail("tests/ui/body/*.rs");
}

#[test]
fn messages_about_determinism() {
    TestCases::new().compile_fail("tests/ui/determinism/*.rs");
}

#[test]
fn messages_about_items() {
    TestCases::new().compile_fail("tests/ui/items/*.rs");
}

#[test]
fn messages_about_signatures() {
    TestCases::new().compile_fail("tests/ui/signature/*.rs");
}

#[test]
fn messages_about_types() {
    TestCases::new().compile_fail("tests/ui/types/*.rs");
}

/// A directory that no test above names would not be looked at.
#[test]
fn every_directory_has_a_test() {
    let known = ["body", "determinism", "items", "signature", "types"];
    let mut found: Vec<String> = std::fs::read_dir("tests/ui")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, known);
}
