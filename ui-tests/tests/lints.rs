//! Users never see our warnings, and always their own: clippy and rustc go over a crate that uses
//! every feature under strict lints, and over one whose own code has violations.

#![allow(clippy::unwrap_used)] // A test may panic; what it reads it has written itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Writes a crate of one file below the target directory, and gives its folder.
fn scratch(name: &str, source: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lints").join(name);
    fs::create_dir_all(dir.join("src")).unwrap();
    // TOML quotes strings as Rust does.
    let durable = format!("{:?}", root.join("durable").display().to_string());
    let manifest = format!(
        "[package]\nname = \"lints-{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         publish = false\n\n\
         [workspace]\n\n\
         [dependencies]\n\
         durable = {{ path = {durable}, default-features = false, features = [\"memory\"] }}\n\
         serde = {{ version = \"1\", features = [\"derive\"] }}\n"
    );
    fs::write(dir.join("Cargo.toml"), manifest).unwrap();
    fs::copy(root.join("Cargo.lock"), dir.join("Cargo.lock")).unwrap();
    fs::write(dir.join("src/lib.rs"), source).unwrap();
    dir
}

/// A warning or an error: its line and its lint, and the whole of it for people.
struct Finding {
    line: usize,
    lint: String,
    text: String,
}

/// What clippy and rustc say about a crate.
fn lint(dir: &Path) -> Vec<Finding> {
    let output = Command::new(env!("CARGO"))
        .args(["clippy", "--offline", "--quiet", "--message-format=json"])
        .current_dir(dir)
        // Both crates share what they are built on.
        .env("CARGO_TARGET_DIR", dir.with_file_name("target"))
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut built = false;
    let mut findings = Vec::new();
    for line in text.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let ours = record["target"]["name"].as_str().is_some_and(|name| name.starts_with("lints"));
        built |= ours;
        if record["reason"] != "compiler-message" || !ours {
            continue;
        }
        let message = &record["message"];
        let Some(lint) = message["code"]["code"].as_str() else { continue };
        let spans = message["spans"].as_array().unwrap();
        let primary = spans.iter().find(|span| span["is_primary"] == true);
        let line = primary.and_then(|span| span["line_start"].as_u64()).unwrap_or_default();
        findings.push(Finding {
            line: usize::try_from(line).unwrap(),
            lint: lint.to_owned(),
            text: message["rendered"].as_str().unwrap_or_default().to_owned(),
        });
    }
    assert!(built, "clippy did not run: {}", String::from_utf8_lossy(&output.stderr));
    findings
}

#[test]
fn the_macros_add_no_warnings() {
    let dir = scratch("clean", include_str!("lints/clean.rs"));
    let findings = lint(&dir);
    let text: String = findings.iter().map(|finding| finding.text.as_str()).collect();
    assert!(findings.is_empty(), "{text}");
}

#[test]
fn the_macros_hide_no_warnings() {
    let source = include_str!("lints/dirty.rs");
    let dir = scratch("dirty", source);
    let found: BTreeSet<(usize, String)> =
        lint(&dir).into_iter().map(|finding| (finding.line, finding.lint)).collect();
    let expected: BTreeSet<(usize, String)> = source
        .lines()
        .enumerate()
        .filter_map(|(index, line)| Some((index + 1, line.split_once("//~ ")?.1.to_owned())))
        .collect();
    let hidden: Vec<_> = expected.difference(&found).collect();
    let ours: Vec<_> = found.difference(&expected).collect();
    assert!(hidden.is_empty() && ours.is_empty(), "hidden: {hidden:#?} not the user's: {ours:#?}");
}
