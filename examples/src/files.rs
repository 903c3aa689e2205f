//! Files as activities have to write them: whole or not at all, so that an activity that was cut
//! off can simply be run again.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

/// Writes a file under another name and then gives it its own: who reads it sees all of it. It
/// survives a loss of power when this returns.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    // The same name each time, so that what an interrupted writer left is written over.
    let part = beside(path, ".part");
    let file = File::create(&part).with_context(|| format!("creating {}", part.display()))?;
    let mut out = BufWriter::new(file);
    write(&mut out).with_context(|| format!("writing {}", part.display()))?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    fs::rename(&part, path).with_context(|| format!("renaming {}", part.display()))?;
    File::open(folder(path))?.sync_all()?;
    Ok(())
}

/// The blake3 hash of what a file holds.
pub fn hash(path: &Path) -> anyhow::Result<String> {
    let mut file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut file, &mut hasher).with_context(|| format!("reading {}", path.display()))?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// A short name that is the same for the same text, to make an instance id of a path.
pub fn short_hash(text: &[u8]) -> String {
    const LETTERS: usize = 16;
    blake3::hash(text).to_hex()[..LETTERS].to_owned()
}

/// The path whose name has this suffix more.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_else(|| OsStr::new("file")).to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

/// The whole path of something that may not exist yet, in a directory that does. It is text, so
/// that it can be an argument.
pub fn whole_path(path: &Path) -> anyhow::Result<PathBuf> {
    let Some(name) = path.file_name() else {
        bail!("{} does not end in a name: write the path of a file", path.display());
    };
    let within = folder(path);
    let within = within
        .canonicalize()
        .with_context(|| format!("{}: create the directory first", within.display()))?;
    let whole = within.join(name);
    ensure!(whole.to_str().is_some(), "{} is not UTF-8: rename it", path.display());
    Ok(whole)
}

/// Fails if no file could be written to this directory, before any work is begun.
pub fn ensure_writable(folder: &Path) -> anyhow::Result<()> {
    tempfile::tempfile_in(folder).with_context(|| {
        format!("{} cannot be written to: choose another directory", folder.display())
    })?;
    Ok(())
}

/// The directory that a path is in.
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_over_what_was_left() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("report.txt");
        fs::write(beside(&path, ".part"), "left by a longer attempt").unwrap();
        write_atomically(&path, |out| Ok(out.write_all(b"text")?)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
        assert!(!beside(&path, ".part").exists());
        assert_eq!(hash(&path).unwrap(), blake3::hash(b"text").to_hex().as_str());

        let failed = write_atomically(&path, |_| bail!("no more"));
        assert!(failed.is_err() && fs::read_to_string(&path).unwrap() == "text");
    }

    #[test]
    fn paths_are_made_whole_or_refused_with_a_reason() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        assert_eq!(whole_path(&place.path().join("new")).unwrap(), root.join("new"));
        let error = |path: &Path| format!("{:#}", whole_path(path).unwrap_err());
        assert!(error(&place.path().join("no/file")).contains("create the directory first"));
        assert!(error(Path::new("..")).contains("does not end in a name"));
    }
}
