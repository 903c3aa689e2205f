//! Knowing that a worker is dead without waiting for its leases to expire: a worker holds an
//! operating-system lock on a file of its own, and the system frees the lock when the process
//! ends, however it ends. Evidence for liveness only; safety is in the epochs.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

/// Longest name of a lock file that is made of the owner's identity alone, in bytes. File systems
/// take 255.
const MAX_FILE_NAME_BYTES: usize = 200;

/// Attempts to take an own lock. Another worker that looks whether we live disturbs for a moment.
const LOCK_ATTEMPTS: usize = 3;

/// The lock files beside one database.
pub(super) struct LockFiles {
    directory: PathBuf,
    held: HashMap<String, HeldLock>,
}

/// A locked file, removed when it is dropped.
struct HeldLock {
    path: PathBuf,
    _file: File,
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        // Removed while the lock is held, so that nobody locks a file that then disappears without
        // being told the truth about us. A file that cannot be removed does no harm: it is free.
        let _ = fs::remove_file(&self.path);
    }
}

impl LockFiles {
    /// The lock files of the database at `path`, in `<path>.workers`.
    pub(super) fn beside(path: &Path) -> Self {
        let mut directory = path.as_os_str().to_owned();
        directory.push(".workers");
        Self { directory: directory.into(), held: HashMap::new() }
    }

    /// Takes the lock of `owner`, if it is not held yet. Whether it is held now: if not, others
    /// wait for the leases of `owner` to expire.
    pub(super) fn hold(&mut self, owner: &str) -> bool {
        if self.held.contains_key(owner) {
            return true;
        }
        let path = self.path(owner);
        match lock(&self.directory, &path) {
            Ok(Some(file)) => {
                self.held.insert(owner.to_owned(), HeldLock { path, _file: file });
                true
            }
            Ok(None) => {
                tracing::warn!(
                    owner,
                    "another process works under the same identity: give each worker its own"
                );
                false
            }
            Err(error) => {
                tracing::debug!(%error, path = %path.display(), "no lock file for the worker");
                false
            }
        }
    }

    /// Whether `owner`, who held its lock when it took a lease, is dead for certain.
    ///
    /// A missing file counts only while its directory is there: the file is made before the holder
    /// is first noted in the database and removed when it ends. Without the directory the database may
    /// have come from elsewhere, so nothing is known.
    pub(super) fn is_dead(&self, owner: &str) -> bool {
        if self.held.contains_key(owner) {
            return false;
        }
        match File::open(self.path(owner)) {
            // Shared, so that two workers who look at the same time do not see each other.
            Ok(file) => file.try_lock_shared().is_ok(),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound && self.directory.is_dir(),
        }
    }

    /// Gives back the locks of those who are not among `owners`.
    pub(super) fn keep(&mut self, owners: &HashSet<String>) {
        self.held.retain(|owner, _| owners.contains(owner));
    }

    fn path(&self, owner: &str) -> PathBuf {
        self.directory.join(file_name(owner))
    }
}

/// Makes and locks a file; `None` if somebody else holds it.
fn lock(directory: &Path, path: &Path) -> std::io::Result<Option<File>> {
    fs::create_dir_all(directory)?;
    for _ in 0..LOCK_ATTEMPTS {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        match file.try_lock() {
            // The previous holder may have removed the file between the two calls.
            Ok(()) if path.exists() => return Ok(Some(file)),
            Ok(()) | Err(fs::TryLockError::WouldBlock) => std::thread::yield_now(),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(None)
}

/// The identity of a worker as a file name: what may be special is escaped, and what is too long
/// is cut and told apart by its hash.
fn file_name(owner: &str) -> String {
    let mut name = String::with_capacity(owner.len() + 5);
    for byte in owner.bytes() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@');
        if plain && !(byte == b'.' && name.is_empty()) {
            name.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(name, "%{byte:02x}");
        }
    }
    if name.len() > MAX_FILE_NAME_BYTES {
        let hash = fnv1a(owner);
        name.truncate(MAX_FILE_NAME_BYTES);
        let _ = write!(name, "~{hash:016x}");
    }
    name.push_str(".lock");
    name
}

/// 64-bit FNV-1a (<http://www.isthe.com/chongo/tech/comp/fnv/>): the same in every version of
/// every program, which the hashes of the standard library do not promise.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_safe_and_distinct() {
        assert_eq!(file_name("worker-1"), "worker-1.lock");
        assert_eq!(file_name("../a/b"), "%2e.%2fa%2fb.lock");
        let (long, longer) = ("x".repeat(256), "x".repeat(255) + "y");
        assert!(file_name(&long).len() < 255);
        assert_ne!(file_name(&long), file_name(&longer));
    }

    #[test]
    fn a_holder_is_alive_until_it_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("hub.db");
        let (mut one, two) = (LockFiles::beside(&database), LockFiles::beside(&database));
        assert!(!two.is_dead("one"), "nothing is known without the directory");
        assert!(one.hold("one") && one.hold("one"));
        assert!(!two.is_dead("one") && !one.is_dead("one"));
        drop(one);
        assert!(two.is_dead("one"));
    }
}
