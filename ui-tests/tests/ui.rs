//! What the compiler accepts, and what it says about the rest. `TRYBUILD=overwrite` writes the
//! expected messages anew; the change then shows in the diff.

#[test]
fn programs_and_messages() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/pass/*.rs");
    cases.compile_fail("tests/ui/*/*.rs");
}
