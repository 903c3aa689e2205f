//! From the SQLSTATE of an error to a kind of error that says what, where and what to do. It looks
//! at codes and never at text.

use std::fmt;

use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgSeverity};

use crate::error::{StoreError, StoreErrorKind};

/// Codes and classes of codes, from <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
mod state {
    pub(super) const CLASS_CONNECTION: &str = "08";
    pub(super) const CLASS_DATA: &str = "22";
    pub(super) const CLASS_AUTHORIZATION: &str = "28";
    pub(super) const CLASS_CONSTRAINT: &str = "23";
    pub(super) const CLASS_LIMIT: &str = "54";
    pub(super) const CLASS_CORRUPT: &str = "XX";
    pub(super) const UNIQUE_VIOLATION: &str = "23505";
    pub(super) const CHECK_VIOLATION: &str = "23514";
    pub(super) const CARDINALITY_VIOLATION: &str = "21000";
    pub(super) const READ_ONLY_TRANSACTION: &str = "25006";
    pub(super) const UNKNOWN_DATABASE: &str = "3D000";
    pub(super) const UNKNOWN_SCHEMA: &str = "3F000";
    pub(super) const SERIALIZATION_FAILURE: &str = "40001";
    pub(super) const DEADLOCK: &str = "40P01";
    pub(super) const NO_PRIVILEGE: &str = "42501";
    pub(super) const DUPLICATE_TABLE: &str = "42P07";
    pub(super) const UNDEFINED_TABLE: &str = "42P01";
    pub(super) const DISK_FULL: &str = "53100";
    pub(super) const OUT_OF_MEMORY: &str = "53200";
    pub(super) const TOO_MANY_CONNECTIONS: &str = "53300";
    pub(super) const LOCK_NOT_AVAILABLE: &str = "55P03";
    pub(super) const CANCELED: &str = "57014";
    pub(super) const CLASS_SHUTDOWN: &str = "57P";
}

/// What failed, and whether the server may have done it nevertheless.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: sqlx::Error,
    /// Whether the statement was on its way.
    sent: bool,
}

impl Failure {
    /// Nothing was sent.
    pub(super) fn before(error: sqlx::Error) -> Self {
        Self { error, sent: false }
    }

    /// While a statement was under way.
    pub(super) fn during(error: sqlx::Error) -> Self {
        Self { error, sent: true }
    }

    /// Whether the server may have done what it was asked for.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.sent && is_lost(&self.error)
    }

    /// The same for one of several who sent something together, if it is in doubt.
    pub(super) fn doubt(&self) -> Option<Self> {
        let copy = || sqlx::Error::Io(std::io::Error::other(self.error.to_string()));
        self.is_in_doubt().then(|| Self::during(copy()))
    }

    /// Whether the same may succeed in a moment: it collided with something else, or the connection
    /// was lost.
    pub(super) fn is_passing(&self) -> bool {
        is_lost(&self.error) || self.is_collision()
    }

    /// Whether two transactions were in each other's way, and this one was given up.
    pub(super) fn is_collision(&self) -> bool {
        matches!(code(&self.error), Some(state::SERIALIZATION_FAILURE | state::DEADLOCK))
    }

    /// Whether something turned up, or was gone, that was not so when it was looked at.
    pub(super) fn is_surprise(&self) -> bool {
        matches!(code(&self.error), Some(state::UNIQUE_VIOLATION | state::CHECK_VIOLATION))
    }
}

fn postgres(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

fn code(error: &sqlx::Error) -> Option<&str> {
    Some(postgres(error)?.code())
}

/// Whether the connection is of no use any more, or could not be made just now.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match postgres(error) {
        Some(answer) => {
            let fatal = matches!(answer.severity(), PgSeverity::Fatal | PgSeverity::Panic);
            let code = answer.code();
            code.starts_with(state::CLASS_CONNECTION)
                || (fatal && code.starts_with(state::CLASS_SHUTDOWN))
                || code == state::TOO_MANY_CONNECTIONS
        }
        None => matches!(
            error,
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed
        ),
    }
}

/// Where a hub is, for messages: never with a password.
#[derive(Debug, Clone)]
pub(super) struct Place {
    server: String,
    database: String,
    schema: String,
    user: String,
}

impl Place {
    pub(super) fn new(options: &PgConnectOptions, schema: &str) -> Self {
        let server = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        let user = options.get_username().to_owned();
        Self {
            server,
            database: options.get_database().unwrap_or(&user).to_owned(),
            schema: schema.to_owned(),
            user,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "schema `{}` of database `{}` on {}", self.schema, self.database, self.server)
    }
}

/// The error of `operation` on the hub at `place`, of which nothing was done.
pub(super) fn classify(operation: &'static str, place: &Place, failure: Failure) -> StoreError {
    let (kind, detail) = match code(&failure.error) {
        Some(code) => of_code(code, place),
        None => of_client(&failure.error, place),
    };
    StoreError::new(kind, operation, detail).with_source(failure.error)
}

fn of_code(code: &str, place: &Place) -> (StoreErrorKind, String) {
    let Place { server, database, schema, user } = place;
    match code {
        state::UNKNOWN_DATABASE => (
            StoreErrorKind::NotFound,
            format!(
                "there is no database `{database}` on {server}: create it (`createdb {database}`), \
                 or check the URL"
            ),
        ),
        state::NO_PRIVILEGE => (
            StoreErrorKind::Other,
            format!(
                "`{user}` may not do this in {place}: let its owner grant the rights, or create \
                 the schema for it (`CREATE SCHEMA {schema} AUTHORIZATION {user}`)"
            ),
        ),
        state::READ_ONLY_TRANSACTION => (StoreErrorKind::ReadOnly, read_only(place)),
        state::TOO_MANY_CONNECTIONS => (
            StoreErrorKind::Unavailable,
            format!(
                "{server} has no connection left for `{user}`: lower `max_connections` of the \
                 stores, or raise that of the server or the role"
            ),
        ),
        state::DISK_FULL => (
            StoreErrorKind::Full,
            format!("the disk of {server} is full: free some space, then try again"),
        ),
        state::OUT_OF_MEMORY => {
            (StoreErrorKind::Unavailable, format!("{server} is out of memory: try again later"))
        }
        state::SERIALIZATION_FAILURE | state::DEADLOCK | state::LOCK_NOT_AVAILABLE => (
            StoreErrorKind::Unavailable,
            format!("other transactions were in the way in {place}: try again"),
        ),
        state::CANCELED => (
            StoreErrorKind::Unavailable,
            format!("{server} cancelled the statement (a timeout or an operator): try again"),
        ),
        state::UNDEFINED_TABLE | state::UNKNOWN_SCHEMA => (
            StoreErrorKind::NotFound,
            format!("{place} is no hub any more: a table is gone; open the store again"),
        ),
        state::DUPLICATE_TABLE => (
            StoreErrorKind::Corrupt,
            format!(
                "{place} belongs to something else, and is left as it is: give the hub a schema \
                 of its own"
            ),
        ),
        state::CARDINALITY_VIOLATION => contradiction(place),
        _ if code.starts_with(state::CLASS_CONSTRAINT) => contradiction(place),
        _ if code.starts_with(state::CLASS_CONNECTION)
            || code.starts_with(state::CLASS_SHUTDOWN) =>
        {
            (StoreErrorKind::Unavailable, unreachable(place))
        }
        _ if code.starts_with(state::CLASS_AUTHORIZATION) => (
            StoreErrorKind::Other,
            format!("{server} does not let `{user}` in: check the user and the password"),
        ),
        _ if code.starts_with(state::CLASS_LIMIT) => {
            (StoreErrorKind::Limit, format!("this is more than PostgreSQL takes in {place}"))
        }
        _ if code.starts_with(state::CLASS_DATA) => {
            (StoreErrorKind::Limit, format!("PostgreSQL cannot store this value in {place}"))
        }
        _ if code.starts_with(state::CLASS_CORRUPT) => {
            (StoreErrorKind::Corrupt, format!("{place} is damaged: see the log of the server"))
        }
        _ => (StoreErrorKind::Other, format!("{place} failed with SQLSTATE {code}: see the cause")),
    }
}

fn of_client(error: &sqlx::Error, place: &Place) -> (StoreErrorKind, String) {
    match error {
        sqlx::Error::PoolTimedOut => (
            StoreErrorKind::Unavailable,
            format!(
                "every connection to {place} was in use for too long: try again, or raise \
                 `max_connections` of the store"
            ),
        ),
        sqlx::Error::PoolClosed => {
            (StoreErrorKind::Other, "the store is closed: open it again".to_owned())
        }
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
            (StoreErrorKind::Unavailable, unreachable(place))
        }
        sqlx::Error::Tls(_) => (
            StoreErrorKind::Other,
            format!("no secure connection to {}: check `sslmode` of the URL", place.server),
        ),
        _ => (StoreErrorKind::Other, format!("{place} failed: see the cause")),
    }
}

fn unreachable(place: &Place) -> String {
    format!("{} cannot be reached, or the connection was lost: try again", place.server)
}

fn contradiction(place: &Place) -> (StoreErrorKind, String) {
    (StoreErrorKind::Conflict, format!("the change contradicts what is stored in {place}"))
}

/// What is wrong with a server that only answers.
pub(super) fn read_only(place: &Place) -> String {
    format!(
        "{place} can only be read: connect to the primary server \
         (`default_transaction_read_only` must be off)"
    )
}

/// The error of `operation` whose answer was lost, and that may have been done or not.
pub(super) fn in_doubt(operation: &'static str, place: &Place, failure: Failure) -> StoreError {
    let detail = format!(
        "the connection to {} was lost before the answer came: it may have happened or not",
        place.server
    );
    StoreError::new(StoreErrorKind::OutcomeUnknown, operation, detail).with_source(failure.error)
}

/// What a check of the schema refused a commit for, by the name of the constraint.
pub(super) fn broken_expectation(error: &sqlx::Error) -> Option<&str> {
    let answer = postgres(error)?;
    answer.constraint().filter(|_| answer.code() == state::CHECK_VIOLATION)
}
