//! What a backup has to do: its job, the paths in it, and the list made by walking the tree.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use examples::FilePath;
use examples::files::beside;
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

/// From where to where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) source: FilePath,
    pub(crate) destination: FilePath,
}

impl Job {
    /// Checks the two directories, so that a mistake is found before anything is recorded.
    pub(crate) fn new(source: &Path, destination: &Path) -> anyhow::Result<Self> {
        ensure!(source.is_dir(), "{} is not a directory", source.display());
        let source = source.canonicalize()?;
        if std::path::absolute(destination)?.starts_with(&source) {
            bail!("the source and the destination must not contain each other");
        }
        std::fs::create_dir_all(destination)
            .with_context(|| format!("creating {}", destination.display()))?;
        let destination = destination.canonicalize()?;
        if destination.starts_with(&source) || source.starts_with(&destination) {
            bail!("the source and the destination must not contain each other");
        }
        Ok(Self { source: FilePath::new(&source), destination: FilePath::new(&destination) })
    }

    /// A file's place in the source.
    pub(crate) fn from(&self, file: &FilePath) -> PathBuf {
        self.source.to_path().join(file.to_path())
    }

    /// A file's place in the destination.
    pub(crate) fn to(&self, file: &FilePath) -> PathBuf {
        self.destination.to_path().join(file.to_path())
    }

    /// Where copies are made before they are put into their place: beside the destination, so that
    /// the copy itself equals its source.
    pub(crate) fn parts(&self) -> PathBuf {
        beside(&self.destination.to_path(), ".durable.parts")
    }
}

/// Everything that is in a tree, relative to its root.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) directories: Vec<FilePath>,
    pub(crate) files: Vec<FilePath>,
    pub(crate) links: Vec<FilePath>,
    /// What can be seen but not copied, and why.
    pub(crate) problems: Vec<String>,
}

/// Walks the tree. What cannot be read is a problem, not an end.
pub(crate) fn scan(job: &Job) -> anyhow::Result<Plan> {
    let root = job.source.to_path();
    let mut plan = Plan::default();
    for entry in WalkDir::new(&root).min_depth(1).sort_by_file_name() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                plan.problems.push(error.to_string());
                continue;
            }
        };
        let path = FilePath::new(entry.path().strip_prefix(&root)?);
        let kind = entry.file_type();
        if kind.is_dir() {
            plan.directories.push(path);
        } else if kind.is_file() {
            plan.files.push(path);
        } else if kind.is_symlink() {
            plan.links.push(path);
        } else {
            plan.problems.push(format!("{path}: neither a file, a directory nor a symbolic link"));
        }
    }
    Ok(plan)
}

/// The files in groups of at most `size`.
pub(crate) fn batches(files: &[FilePath], size: usize) -> Vec<Vec<FilePath>> {
    files.chunks(size).map(<[FilePath]>::to_vec).collect()
}

/// The database of a destination.
pub(crate) fn database(destination: &Path) -> PathBuf {
    beside(destination, ".durable.db")
}
