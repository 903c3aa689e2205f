//! From result codes of `SQLite` to kinds of errors that say what, where and what to do. It looks
//! at codes and never at text.

use std::path::Path;
use std::sync::Arc;

use crate::error::{StoreError, StoreErrorKind};

/// Result codes, from <https://www.sqlite.org/rescode.html>.
mod code {
    pub(super) const PERM: i32 = 3;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const TOOBIG: i32 = 18;
    pub(super) const CONSTRAINT: i32 = 19;
    pub(super) const NOTADB: i32 = 26;
    /// The primary code is the low byte of an extended one.
    pub(super) const PRIMARY: i32 = 0xff;
}

/// An error of one of the two libraries, which may come from `SQLite` itself.
pub(super) trait Cause: std::error::Error + Send + Sync + 'static {
    /// The result code, if it does.
    fn code(&self) -> Option<i32>;
}

impl Cause for rusqlite::Error {
    fn code(&self) -> Option<i32> {
        Some(self.sqlite_error()?.extended_code)
    }
}

impl Cause for sqlx::Error {
    fn code(&self) -> Option<i32> {
        self.as_database_error()?.code()?.parse().ok()
    }
}

fn primary_code(error: &impl Cause) -> Option<i32> {
    Some(error.code()? & code::PRIMARY)
}

/// Whether a constraint of the schema refused a statement, which leaves the transaction usable.
pub(super) fn is_constraint(error: &impl Cause) -> bool {
    primary_code(error) == Some(code::CONSTRAINT)
}

/// Whether another connection held a lock for longer than the busy timeout.
pub(super) fn is_busy(error: &impl Cause) -> bool {
    matches!(primary_code(error), Some(code::BUSY | code::LOCKED))
}

/// The error of `operation` on the database at `path`.
pub(super) fn classify<E: Cause>(
    operation: &'static str,
    path: &Path,
    error: &Arc<E>,
) -> StoreError {
    let path = path.display();
    let (kind, detail) = match primary_code(&**error) {
        Some(code::BUSY | code::LOCKED) => (
            StoreErrorKind::Locked,
            format!(
                "another process or connection has `{path}` locked: \
                 end what holds it (a shell, a backup, a viewer), then try again"
            ),
        ),
        Some(code::READONLY | code::PERM) => (
            StoreErrorKind::ReadOnly,
            format!("`{path}` can only be read: make the file and its directory writable"),
        ),
        Some(code::CORRUPT) => (
            StoreErrorKind::Corrupt,
            format!("`{path}` is damaged: restore it from a backup, or recover it with sqlite3"),
        ),
        Some(code::NOTADB) => (
            StoreErrorKind::Corrupt,
            format!("`{path}` is not a SQLite database: check the path, the file is left as it is"),
        ),
        Some(code::FULL) => (
            StoreErrorKind::Full,
            format!("no space is left for `{path}`: free some on its disk, then try again"),
        ),
        Some(code::CANTOPEN) => (
            StoreErrorKind::NotFound,
            format!(
                "`{path}` cannot be opened: check that it exists, and the rights of its directory"
            ),
        ),
        Some(code::IOERR) => {
            (StoreErrorKind::Other, format!("the disk of `{path}` failed: check the system's log"))
        }
        Some(code::TOOBIG) => {
            (StoreErrorKind::Limit, format!("a value is larger than SQLite takes in `{path}`"))
        }
        Some(code::CONSTRAINT) => {
            (StoreErrorKind::Conflict, format!("the change contradicts what is stored in `{path}`"))
        }
        _ => (StoreErrorKind::Other, format!("the database `{path}` failed: see the cause")),
    };
    StoreError::new(kind, operation, detail).with_source(Arc::clone(error))
}

/// The error of `operation` that read with a connection of the pool.
pub(super) fn classify_read(
    operation: &'static str,
    path: &Path,
    error: sqlx::Error,
) -> StoreError {
    match error {
        sqlx::Error::PoolClosed => closed(operation),
        sqlx::Error::PoolTimedOut => {
            let path = path.display();
            let detail =
                format!("every connection that reads `{path}` was in use for too long: try again");
            StoreError::new(StoreErrorKind::Unavailable, operation, detail).with_source(error)
        }
        error => classify(operation, path, &Arc::new(error)),
    }
}

/// The error of `operation` whose transaction was complete and failed to be committed: there, and
/// only there, can a failing disk leave the outcome open.
pub(super) fn classify_commit<E: Cause>(
    operation: &'static str,
    path: &Path,
    error: &Arc<E>,
) -> StoreError {
    if primary_code(&**error) != Some(code::IOERR) {
        return classify(operation, path, error);
    }
    let detail = format!(
        "the disk of `{}` failed during a commit: check the system's log, and open the store again",
        path.display()
    );
    StoreError::new(StoreErrorKind::OutcomeUnknown, operation, detail)
        .with_source(Arc::clone(error))
}

/// The store was closed, or its writer failed.
pub(super) fn closed(operation: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Other, operation, "the store is closed: open it again")
}
