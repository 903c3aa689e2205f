//! Looking at a file or a directory, and the list of hashes that is written beside it. Each can be
//! done again after it was cut off at any point.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, ensure};
use examples::files;
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

/// What can be seen of a file, or of all files in a directory, without reading them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// When the last of them was changed, in nanoseconds since 1970.
    changed: u64,
}

/// What is there now; nothing if there is no such file or directory.
pub(crate) fn look(path: &Path) -> anyhow::Result<Option<Snapshot>> {
    let hint = || format!("looking at {}", path.display());
    // The path itself may be a symbolic link; links in a directory are not followed.
    let Some(path) = there(fs::canonicalize(path)).with_context(hint)? else { return Ok(None) };
    let mut snapshot = Snapshot::default();
    for entry in WalkDir::new(path) {
        let metadata = entry.and_then(|entry| entry.metadata()).map_err(io::Error::from);
        // What goes while the others are looked at is no error.
        let Some(metadata) = there(metadata).with_context(hint)? else { continue };
        if metadata.is_file() {
            let changed = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            let changed = u64::try_from(changed.as_nanos()).unwrap_or(u64::MAX);
            snapshot.files += 1;
            snapshot.bytes += metadata.len();
            snapshot.changed = snapshot.changed.max(changed);
        }
    }
    Ok(Some(snapshot))
}

fn there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

/// The list of hashes of a path.
pub(crate) fn list_of(path: &Path) -> PathBuf {
    files::beside(path, ".blake3")
}

/// Hashes what is there and writes the list of hashes, unless it is not what was seen any more: says
/// whether it did.
pub(crate) fn seal(path: &Path, seen: Snapshot) -> anyhow::Result<bool> {
    let mut lines = Vec::new();
    for entry in WalkDir::new(fs::canonicalize(path)?).sort_by_file_name() {
        let entry = entry?;
        if entry.file_type().is_file() {
            let hash = files::hash(entry.path())?;
            lines.push(line(&hash, &name(path, entry.path())?));
        }
    }
    if look(path)? != Some(seen) {
        return Ok(false);
    }
    let text = lines.concat();
    files::write_atomically(&list_of(path), |out| Ok(out.write_all(text.as_bytes())?))?;
    Ok(true)
}

/// The name of a file, as seen from where the list is.
fn name(path: &Path, file: &Path) -> anyhow::Result<String> {
    let below = file.strip_prefix(fs::canonicalize(path)?)?;
    let own = path.file_name().unwrap_or_default();
    let name = if below.as_os_str().is_empty() { own.into() } else { Path::new(own).join(below) };
    let name = name.to_str().with_context(|| format!("{} is not UTF-8", file.display()))?;
    Ok(name.to_owned())
}

/// A line as `b3sum` writes and checks it: names of several lines are escaped, and marked.
fn line(hash: &str, name: &str) -> String {
    let escaped = name.replace('\\', "\\\\").replace('\n', "\\n");
    let mark = if escaped == name { "" } else { "\\" };
    format!("{mark}{hash}  {escaped}\n")
}

/// Reads back the list of a path and all files that it names; says how many they are.
pub(crate) fn check(path: &Path) -> anyhow::Result<usize> {
    let list = list_of(path);
    let text = fs::read_to_string(&list).with_context(|| format!("reading {}", list.display()))?;
    for line in text.lines() {
        let (escaped, line) = line.strip_prefix('\\').map_or((false, line), |line| (true, line));
        let (hash, name) = line.split_once("  ").context("a line without a name")?;
        let name = if escaped { unescape(name) } else { name.to_owned() };
        let file = files::folder(path).join(&name);
        ensure!(files::hash(&file)? == hash, "{name} was changed after it was hashed");
    }
    Ok(text.lines().count())
}

fn unescape(name: &str) -> String {
    let mut letters = name.chars();
    let mut plain = String::new();
    while let Some(letter) = letters.next() {
        plain.push(match letter {
            '\\' if letters.next() == Some('n') => '\n',
            letter => letter,
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_seen_sealed_and_checked() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("data");
        assert_eq!(look(&path).unwrap(), None);
        fs::create_dir_all(path.join("in/ner")).unwrap();
        for name in ["plain", "in/two\nlines", "in/ner/back\\slash"] {
            fs::write(path.join(name), name).unwrap();
        }
        let seen = look(&path).unwrap().unwrap();
        assert_eq!((seen.files, seen.bytes), (3, 34));
        assert!(seal(&path, seen).unwrap());
        assert_eq!(check(&path).unwrap(), 3);
        // One that grew is not sealed, and one that was changed is found.
        fs::write(path.join("plain"), "longer than before").unwrap();
        assert!(!seal(&path, seen).unwrap());
        assert!(check(&path).unwrap_err().to_string().contains("plain was changed"));
    }

    #[test]
    fn lines_are_as_b3sum_writes_them() {
        assert_eq!(line("ab", "a b"), "ab  a b\n");
        assert_eq!(line("ab", "a\nb\\"), "\\ab  a\\nb\\\\\n");
        assert_eq!(unescape("a\\nb\\\\"), "a\nb\\");
    }
}
