//! Every rule has a case that shows its message, and every case shows which rule it is for. The
//! rules are the codes in `diag.rs` and, where types decide, the messages of the traits in
//! `durable`. And every test that a page of the documentation names is there.

#![allow(clippy::unwrap_used)] // A test may panic; what it reads is in the repository.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The files of an extension below a folder, sorted.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The codes of the catalogue.
fn codes() -> BTreeSet<String> {
    let catalogue = read(&root().join("durable-macros/src/diag.rs"));
    catalogue
        .split("=> \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
        .collect()
}

/// Rules that the emitted code leaves to rustc without a trait: the assertion about return types, and
/// the labelled blocks that a jump hidden in a macro may not leave.
const WITHOUT_TRAIT: [&str; 2] = ["is a `Result` under another name", "inside of a labeled block"];

/// The fixed parts of the messages for types that do not fit.
fn type_messages() -> Vec<String> {
    let mut parts: Vec<String> = WITHOUT_TRAIT.iter().map(|part| (*part).to_owned()).collect();
    for file in files(&root().join("durable/src"), "rs") {
        let text = read(&file);
        for attribute in text.split("#[diagnostic::on_unimplemented(").skip(1) {
            let message = attribute.split("message = \"").nth(1).unwrap();
            let message = message.split("\",\n").next().unwrap();
            // A string goes on behind the backslash that ends its line.
            let message: String = message.split("\\\n").map(str::trim_start).collect();
            let fixed = message.split(['{', '}']).step_by(2).max_by_key(|part| part.len());
            parts.push(fixed.unwrap().trim_matches(['`', ' ']).to_owned());
        }
    }
    parts
}

#[test]
fn every_rule_has_a_case_and_every_case_a_rule() {
    let codes = codes();
    let messages = type_messages();
    assert!(codes.len() >= 13 && messages.len() >= 8, "{codes:?} {messages:?}");

    let cases = files(&root().join("ui-tests/tests/ui"), "rs");
    let mut shown = BTreeSet::new();
    for case in &cases {
        let expected = case.with_extension("stderr");
        assert!(expected.exists(), "{} has no expected messages", case.display());
        let text = read(&expected);
        let its_codes: Vec<&String> =
            codes.iter().filter(|code| text.contains(&format!("[{code}]"))).collect();
        let by_type = messages.iter().any(|message| text.contains(message));
        assert!(
            !its_codes.is_empty() || by_type,
            "{} shows neither a code nor the message of a trait",
            expected.display()
        );
        shown.extend(its_codes.into_iter().cloned());
    }
    let missing: Vec<&String> = codes.difference(&shown).collect();
    assert!(missing.is_empty(), "no case shows {missing:?}");

    let all: Vec<String> = cases.iter().map(|case| read(&case.with_extension("stderr"))).collect();
    for message in &messages {
        assert!(
            all.iter().any(|text| text.contains(message)),
            "no case shows the message {message:?}"
        );
    }
    println!("{} codes, {} messages of traits, {} cases", codes.len(), messages.len(), cases.len());
}

#[test]
fn no_expected_message_lacks_its_case() {
    for expected in files(&root().join("ui-tests/tests/ui"), "stderr") {
        assert!(expected.with_extension("rs").exists(), "{} is left over", expected.display());
    }
}

/// The tests that a page names, as `file.rs::function`, below `durable/tests`.
fn named_tests(page: &str) -> Vec<(&str, &str)> {
    let code = page.split('`').skip(1).step_by(2);
    code.filter_map(|code| code.split_once("::"))
        .filter(|(file, _)| Path::new(file).extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

#[test]
fn every_test_that_the_list_of_features_names_exists() {
    let page = read(&root().join("docs/features.md"));
    let named = named_tests(&page);
    assert!(named.len() > 100, "the page is not read as it is written: {named:?}");
    for (file, function) in named {
        let path = root().join("durable/tests").join(file);
        assert!(path.exists(), "docs/features.md names a file that is not there: {file}");
        let source = read(&path);
        assert!(
            source.contains(&format!("fn {function}(")),
            "docs/features.md names a test that is not there: {file}::{function}"
        );
    }
}

/// A row that shows no test says that the feature is not offered.
#[test]
fn every_row_of_the_list_of_features_shows_a_test_or_says_no() {
    let page = read(&root().join("docs/features.md"));
    let rows = page.lines().filter(|line| line.starts_with("| "));
    for row in rows.filter(|row| !row.starts_with("| The original ")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [_, here, _, shown] = cells[..] else { panic!("not four columns: {row}") };
        assert!(here == "No" || !named_tests(shown).is_empty(), "it shows no test: {row}");
    }
}
