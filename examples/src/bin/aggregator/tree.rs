//! What is in a directory, and in a whole tree. Both only read, so they can be done again.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::Context;
use clap::ValueEnum;
use examples::{FilePath, files};
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

/// What is to be added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tree {
    pub(crate) root: FilePath,
    pub(crate) by: By,
    /// The database and what lies beside it under its name, which change while they are counted.
    except: FilePath,
}

impl Tree {
    /// A tree, which must be there.
    pub(crate) fn new(root: &Path, by: By, database: &Path) -> anyhow::Result<Self> {
        let hint = || format!("{} cannot be read: name a directory", root.display());
        fs::read_dir(root).with_context(hint)?;
        let except = files::whole_path(database).context("--db names another database")?;
        Ok(Self { root: FilePath::new(&root.canonicalize()?), by, except: FilePath::new(&except) })
    }

    fn is_excepted(&self, path: &Path) -> bool {
        path.as_os_str().as_bytes().starts_with(self.except.as_bytes())
    }
}

/// What files are put together by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub(crate) enum By {
    /// The extension of the name.
    Extension,
    /// The directory below the root that the file is in.
    Directory,
}

impl By {
    /// The group of a file, which lies in `directory` below the root.
    fn group(self, directory: &Path, file: &Path) -> String {
        let part = match self {
            Self::Extension => file.extension(),
            Self::Directory => directory.iter().next(),
        };
        let part = part.map(|part| FilePath::new(Path::new(part)).to_string());
        part.unwrap_or_else(|| "(none)".to_owned())
    }
}

/// How many files, and how large they are together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sums {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

impl Sums {
    pub(crate) fn add(&mut self, more: Self) {
        self.files += more.files;
        self.bytes += more.bytes;
    }
}

/// What is directly in a directory.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Listing {
    pub(crate) sums: BTreeMap<String, Sums>,
    /// Relative to the root.
    pub(crate) directories: Vec<FilePath>,
    /// How many entries cannot be read.
    pub(crate) unreadable: u64,
}

/// Lists a directory. Symbolic links are not followed and not counted.
pub(crate) fn list(tree: &Tree, directory: &Path) -> Listing {
    let root = tree.root.to_path();
    let mut listing = Listing::default();
    let Ok(entries) = fs::read_dir(root.join(directory)) else {
        return Listing { unreadable: 1, ..listing };
    };
    for entry in entries {
        let Ok((entry, metadata)) = entry.and_then(|entry| {
            let metadata = entry.metadata()?;
            Ok((entry, metadata))
        }) else {
            listing.unreadable += 1;
            continue;
        };
        let path = directory.join(entry.file_name());
        if tree.is_excepted(&entry.path()) {
            continue;
        }
        if metadata.is_dir() {
            listing.directories.push(FilePath::new(&path));
        } else if metadata.is_file() {
            let sums = listing.sums.entry(tree.by.group(directory, &path)).or_default();
            sums.add(Sums { files: 1, bytes: metadata.len() });
        }
    }
    // The order of a directory is not that of its next reading.
    listing.directories.sort();
    listing
}

/// The sums of a whole tree, by an ordinary walk in one go.
pub(crate) fn walk(tree: &Tree) -> BTreeMap<String, Sums> {
    let root = tree.root.to_path();
    let mut sums = BTreeMap::<String, Sums>::new();
    let walk = WalkDir::new(&root).min_depth(1).into_iter();
    for entry in walk.filter_entry(|entry| !tree.is_excepted(entry.path())).flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_file()
            && let Ok(path) = entry.path().strip_prefix(&root)
        {
            let directory = path.parent().unwrap_or(Path::new(""));
            let group = sums.entry(tree.by.group(directory, path)).or_default();
            group.add(Sums { files: 1, bytes: metadata.len() });
        }
    }
    sums
}
