//! The HTTP API of Durable Functions, as an axum router over a [`Client`]: the same
//! routes, parameters, status codes, headers and JSON names, so that clients and scripts that were
//! written for the original work here.
//!
//! `ROUTES` is the whole API, one handler a row; matching, the description at `/openapi.json` and
//! the tests read it. This module speaks to the client only: no store, no worker, no turn. Nothing
//! outside of it knows axum.
//!
//! ```no_run
//! # async fn example(worker: durable::Worker) -> std::io::Result<()> {
//! use durable::http::{self, HttpOptions};
//!
//! let router = http::router(worker.client(), HttpOptions::new());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:7071").await?;
//! http::serve(listener, router, std::future::pending()).await
//! # }
//! ```

mod call;
mod entities;
mod guard;
mod history;
mod links;
mod manage;
mod openapi;
mod options;
mod query;
mod reply;
mod route;
mod routes;
mod server;
mod start;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{OriginalUri, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Router, routing};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use self::call::Call;
use self::guard::Listening;
use self::links::Base;
pub use self::links::ManagementUrls;
pub use self::options::{
    DEFAULT_CONNECTION, DEFAULT_MAX_BODY_BYTES, DEFAULT_TASK_HUB, HttpOptions,
};
use self::reply::Fault;
pub use self::route::RouteInfo;
use self::routes::ROUTES;
pub use self::server::{
    HEADER_TIMEOUT, MAX_CONNECTIONS, MAX_HEADER_BYTES, MAX_HEADERS, SHUTDOWN_GRACE, serve,
};
pub use self::start::MAX_WAIT;
use crate::Client;

/// Where the management API begins.
pub const BASE_PATH: &str = "/runtime/webhooks/durabletask";
/// Where orchestrations are started as in the original's examples of the asynchronous HTTP pattern.
pub const START_PATH: &str = "/api/orchestrators";
/// How long the body of a request may take to arrive.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a request may take in all: the longest wait that can be asked for, and the work beside it.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(MAX_WAIT.as_secs() + 60);

/// What all requests share.
struct Api {
    client: Client,
    options: HttpOptions,
}

/// The API over this client, to be served by [`serve`], nested in another router or merged with one.
pub fn router(client: Client, options: HttpOptions) -> Router {
    let api = Arc::new(Api { client, options });
    let below = |path: &str| format!("{path}/{{*rest}}");
    // Matching is ours, because the original ignores the case of segments and answers a known path
    // with another method as an unknown path.
    Router::new()
        .route(&below(BASE_PATH), routing::any(dispatch))
        .route(&below(START_PATH), routing::any(dispatch))
        .route("/healthz", routing::any(dispatch))
        .route("/openapi.json", routing::any(dispatch))
        .with_state(api)
        .layer(CatchPanicLayer::custom(reply::of_panic))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT))
}

/// The routes of the API, in the order in which they are matched.
pub fn routes() -> impl Iterator<Item = RouteInfo> {
    ROUTES.iter().map(route::Route::info)
}

async fn dispatch(State(api): State<Arc<Api>>, request: Request) -> Response {
    answer(api, request).await.unwrap_or_else(Fault::into_response)
}

async fn answer(api: Arc<Api>, request: Request) -> reply::Answer {
    let (parts, body) = request.into_parts();
    let Some((route, parameters)) = route::find(ROUTES, &parts.method, parts.uri.path()) else {
        return Err(Fault::Empty(StatusCode::NOT_FOUND));
    };
    let query = call::Query::parse(parts.uri.query().unwrap_or_default());
    if route.guarded {
        let listening = parts.extensions.get::<Listening>();
        guard::check(&api.options, &parts.headers, &query, listening)?;
    }
    let original = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |uri| &uri.0);
    let base = Base::of(&api.options, &parts.headers, original, parts.uri.path());
    let body = match &route.body {
        Some(_) => call::read_body(&api, body).await?,
        None => axum::body::Bytes::new(),
    };
    let headers = parts.headers;
    (route.handler)(Call { api, parameters, query, headers, base, body }).await
}
