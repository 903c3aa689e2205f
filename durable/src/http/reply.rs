//! Answers: how they are written, and what a client's error becomes.

use std::any::Any;
use std::fmt::Display;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use durable_store::StoreErrorKind;
use serde::Serialize;

use super::wire::ErrorBody;
use crate::ClientError;

/// What a handler gives.
pub(super) type Answer = Result<Response, Fault>;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// What the original says where it has caught an exception of these kinds.
const BAD_ARGUMENT: &str = "One or more of the arguments submitted is incorrect";
const WENT_WRONG: &str = "Something went wrong while processing your request";

/// An answer that is not the one that was hoped for.
#[derive(Debug)]
pub(super) enum Fault {
    /// A status without a body.
    Empty(StatusCode),
    /// A status with a sentence, as a JSON string.
    Text(StatusCode, String),
    /// A status with a sentence in an error object.
    Message(StatusCode, String),
    /// The same where the original has caught an exception: what it says of it, and its type.
    Caught { status: StatusCode, message: String, exception: String, kind: &'static str },
    /// What a client said, to be told as its kind demands.
    Client(Box<ClientError>),
}

impl From<ClientError> for Fault {
    fn from(error: ClientError) -> Self {
        Self::Client(Box::new(error))
    }
}

impl Fault {
    /// An argument that cannot be used, with the sentence that the original has for it.
    pub(super) fn argument(message: impl Into<String>, exception: impl Display) -> Self {
        Self::Caught {
            status: StatusCode::BAD_REQUEST,
            message: message.into(),
            exception: exception.to_string(),
            kind: "System.ArgumentException",
        }
    }

    /// A body that is not JSON.
    pub(super) fn json(message: impl Into<String>, error: &serde_json::Error) -> Self {
        Self::Caught {
            status: StatusCode::BAD_REQUEST,
            message: message.into(),
            exception: error.to_string(),
            kind: "Newtonsoft.Json.JsonReaderException",
        }
    }

    pub(super) fn into_response(self) -> Response {
        match self {
            Self::Empty(status) => empty(status),
            Self::Text(status, text) => json(status, &text),
            Self::Message(status, message) => json(status, &ErrorBody::message(message)),
            Self::Caught { status, message, exception, kind } => {
                json(status, &ErrorBody::caught(message, exception, kind))
            }
            Self::Client(error) => of_client(&error),
        }
    }
}

/// What a client's error is, where the handler has nothing better to say.
fn of_client(error: &ClientError) -> Response {
    let fault = match error {
        ClientError::NotFound { .. } => Fault::Empty(StatusCode::NOT_FOUND),
        ClientError::Ended { .. } => Fault::Empty(StatusCode::GONE),
        ClientError::NotEnded { .. } | ClientError::NotFailed { .. } => {
            Fault::Text(StatusCode::PRECONDITION_FAILED, error.to_string())
        }
        ClientError::AlreadyExists { .. } => {
            Fault::Message(StatusCode::CONFLICT, error.to_string())
        }
        ClientError::InvalidId { .. }
        | ClientError::InvalidOption { .. }
        | ClientError::NotRegistered { .. }
        | ClientError::EntityNotRegistered { .. }
        | ClientError::InvalidArguments { .. }
        | ClientError::InvalidQuery { .. }
        | ClientError::InvalidToken { .. } => Fault::argument(BAD_ARGUMENT, error),
        ClientError::Store(store) if store.kind() == StoreErrorKind::Limit => {
            Fault::argument(BAD_ARGUMENT, error)
        }
        other => {
            // What is in it may come from outside: it is written with escapes.
            tracing::error!(error = ?other.to_string(), "a request failed");
            Fault::Caught {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                message: WENT_WRONG.to_owned(),
                exception: "the log of the server says more".to_owned(),
                kind: "System.Exception",
            }
        }
    };
    fault.into_response()
}

/// The answer of a handler that panicked. What the panic carries is in the log.
#[allow(clippy::needless_pass_by_value)] // The layer asks so.
pub(super) fn of_panic(_: Box<dyn Any + Send>) -> Response {
    let message = ErrorBody::message(WENT_WRONG.to_owned());
    json(StatusCode::INTERNAL_SERVER_ERROR, &message)
}

/// A status without a body.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A status with a JSON body.
pub(super) fn json<T: Serialize + ?Sized>(status: StatusCode, body: &T) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => {
            let mut response = Response::new(Body::from(bytes));
            *response.status_mut() = status;
            response.headers_mut().insert(header::CONTENT_TYPE, JSON);
            response
        }
        // Only what is stored can be no JSON, and the store was not written by us then.
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written");
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// The answer with a header more. What cannot stand in a header is left out.
pub(super) fn with_header(
    mut response: Response,
    name: header::HeaderName,
    value: &str,
) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}
