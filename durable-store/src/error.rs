//! What can go wrong in a store, told apart by kind and never by text.

use std::fmt;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// A store operation that did not happen, or whose outcome is not known.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    operation: &'static str,
    detail: String,
    source: Option<Source>,
}

/// What a caller can do about a [`StoreError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The lease named by the caller is no longer current. Drop the partition from memory.
    LeaseLost,
    /// The batch contradicts what is stored (an id that exists, a row that is gone). Nothing was
    /// changed. Drop the partition from memory and load it again.
    Conflict,
    /// The database cannot be reached or is busy now. Nothing was changed; try again.
    Unavailable,
    /// The connection broke while a commit was under way: it may or may not have happened.
    OutcomeUnknown,
    /// The database, its file or its directory can only be read.
    ReadOnly,
    /// The file is not a database of ours, or it is damaged.
    Corrupt,
    /// Another process holds the database exclusively.
    Locked,
    /// The schema was written by a newer version of this library.
    SchemaTooNew,
    /// There is no such database, or its directory does not exist.
    NotFound,
    /// The disk is full.
    Full,
    /// Something over a limit of this crate was passed in.
    Limit,
    /// Anything else; the source says what.
    Other,
}

impl StoreError {
    /// An error of `kind` in `operation` (the trait method, or `open`), with what, where and what
    /// to do in `detail`.
    pub fn new(kind: StoreErrorKind, operation: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, operation, detail: detail.into(), source: None }
    }

    /// The same error with the cause attached.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// The operation that failed.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// Whether nothing was changed and the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, StoreErrorKind::Unavailable | StoreErrorKind::Locked)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "store operation `{}` failed: {}", self.operation, self.detail)
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
