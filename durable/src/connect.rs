//! Opening a store by its URL, so that a program can leave the choice to its configuration.

use std::sync::Arc;

use durable_store::{Store, StoreError};

/// Why a store URL could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL names no kind of store that this build knows.
    #[error("`{url}` names no store: write {}", known())]
    UnknownScheme {
        /// The URL.
        url: String,
    },
    /// The store was found, and cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn known() -> String {
    let mut known = Vec::new();
    if cfg!(feature = "sqlite") {
        known.push("`sqlite:<file>`");
    }
    if cfg!(feature = "postgres") {
        known.push("`postgres://<user>@<host>/<database>`");
    }
    if cfg!(feature = "memory") {
        known.push("`memory:`");
    }
    if known.is_empty() {
        return "nothing: this build has no store (see the features of the crate)".to_owned();
    }
    known.join(" or ")
}

/// Opens the store that a URL names: `sqlite:durable.db`, `postgres://user@host/database` or
/// `memory:`, as far as their features are on. A file of `SQLite` that does not exist is created, and
/// so is the schema `durable` of a `PostgreSQL` database; for another one, and for what else can be
/// chosen, see `PostgresStore::options`.
///
/// # Errors
///
/// [`ConnectError::UnknownScheme`] if the URL begins with something else, [`ConnectError::Store`]
/// if the store cannot be opened.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = durable::connect("memory:").await?;
/// let worker = durable::Worker::builder(store).start().await?;
/// worker.shutdown().await;
/// assert!(durable::connect("mysql://localhost").await.is_err());
/// # Ok(())
/// # }
/// ```
#[allow(clippy::unused_async)] // Whether it waits depends on the features.
pub async fn connect(url: &str) -> Result<Arc<dyn Store>, ConnectError> {
    #[cfg(feature = "memory")]
    if url == "memory:" {
        return Ok(Arc::new(durable_store::MemoryStore::new()));
    }
    #[cfg(feature = "sqlite")]
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if !path.is_empty() {
            return Ok(Arc::new(durable_store::SqliteStore::open(path).await?));
        }
    }
    #[cfg(feature = "postgres")]
    if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        return Ok(Arc::new(durable_store::PostgresStore::connect(url).await?));
    }
    Err(ConnectError::UnknownScheme { url: url.to_owned() })
}
