//! The file operations of a backup. Each can be done again after it was cut off at any point.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::{Context, ensure};

use examples::FilePath;

use crate::plan::Job;

/// How much is copied at once, in bytes.
const BUFFER_BYTES: usize = 128 * 1024;

/// Creates the directories, and says which could not be.
pub(crate) fn make_directories(job: &Job, directories: &[FilePath]) -> Vec<String> {
    directories
        .iter()
        .filter_map(|directory| {
            let error = fs::create_dir_all(job.to(directory)).err()?;
            Some(format!("{directory}: {error}"))
        })
        .collect()
}

/// Copies a file under another name, verifies the copy by its hash, and puts it in its place.
/// Returns its size in bytes.
pub(crate) fn copy_verified(job: &Job, file: &FilePath) -> anyhow::Result<u64> {
    let (from, to) = (job.from(file), job.to(file));
    fs::create_dir_all(job.parts())?;
    let part = job.parts().join(blake3::hash(file.as_bytes()).to_hex().as_str());
    // An interrupted copy may have left one that is read-only already.
    remove_if_there(&part)?;
    let (size, written) = copy_hashed(&from, &part)?;
    let read_back = hash(&part)?;
    ensure!(written == read_back, "the copy differs from what was read");
    let metadata = fs::metadata(&from)?;
    fs::set_permissions(&part, metadata.permissions())?;
    fs::rename(&part, &to).with_context(|| format!("renaming {}", part.display()))?;
    Ok(size)
}

fn copy_hashed(from: &Path, to: &Path) -> anyhow::Result<(u64, blake3::Hash)> {
    let mut source = File::open(from).context("opening it")?;
    let mut target = File::create(to).with_context(|| format!("creating {}", to.display()))?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut size = 0;
    loop {
        let count = source.read(&mut buffer).context("reading it")?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        target.write_all(&buffer[..count]).context("writing the copy")?;
        size += count as u64;
    }
    // What is recorded as copied must survive a loss of power.
    target.sync_all()?;
    Ok((size, hasher.finalize()))
}

fn hash(path: &Path) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(hasher.finalize())
}

/// Removes what interrupted copies left.
pub(crate) fn remove_parts(job: &Job) -> anyhow::Result<()> {
    match fs::remove_dir_all(job.parts()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the same symbolic link.
pub(crate) fn copy_link(job: &Job, link: &FilePath) -> anyhow::Result<()> {
    let target = fs::read_link(job.from(link))?;
    let to = job.to(link);
    remove_if_there(&to)?;
    std::os::unix::fs::symlink(target, to).context("making the link")
}
