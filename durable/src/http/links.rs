//! The URLs in answers.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::BASE_PATH;
use super::options::{Access, HttpOptions};

/// What stays as it is in a segment of a path or in a value of a query.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// Where to ask about an instance and what can be done to it, with the names of the original.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ManagementUrls {
    /// The id of the instance.
    pub id: String,
    /// Its status.
    pub status_query_get_uri: String,
    /// Raises an event, whose name stands for `{eventName}`.
    pub send_event_post_uri: String,
    /// Terminates it, for the reason that stands for `{text}`.
    pub terminate_post_uri: String,
    /// Rewinds it, for the reason that stands for `{text}`.
    pub rewind_post_uri: String,
    /// Purges it.
    pub purge_history_delete_uri: String,
    /// Starts it once more.
    pub restart_post_uri: String,
    /// Suspends it, for the reason that stands for `{text}`.
    pub suspend_post_uri: String,
    /// Resumes it, for the reason that stands for `{text}`.
    pub resume_post_uri: String,
}

impl ManagementUrls {
    /// The URLs for an instance of a server at `url`, such as `https://jobs.example.com`, for
    /// programs that have routes of their own and answer as the original does. They hold the key, if
    /// there is one.
    ///
    /// ```
    /// use durable::http::{HttpOptions, ManagementUrls};
    ///
    /// let urls = ManagementUrls::new("http://localhost:7071", &HttpOptions::new(), "order-7");
    /// assert_eq!(
    ///     urls.status_query_get_uri,
    ///     "http://localhost:7071/runtime/webhooks/durabletask/instances/order-7\
    ///      ?taskHub=DurableFunctionsHub&connection=Storage",
    /// );
    /// ```
    pub fn new(url: &str, options: &HttpOptions, id: &str) -> Self {
        let instance = format!("{}{BASE_PATH}/instances/{}", url.trim_end_matches('/'), escape(id));
        let mut query = format!(
            "taskHub={}&connection={}",
            escape(&options.task_hub),
            escape(&options.connection)
        );
        if let Access::Key(key) = &options.access {
            query.push_str("&code=");
            query.push_str(&escape(key));
        }
        let with_reason =
            |operation: &str| format!("{instance}/{operation}?reason={{text}}&{query}");
        Self {
            id: id.to_owned(),
            status_query_get_uri: format!("{instance}?{query}"),
            send_event_post_uri: format!("{instance}/raiseEvent/{{eventName}}?{query}"),
            terminate_post_uri: with_reason("terminate"),
            rewind_post_uri: with_reason("rewind"),
            purge_history_delete_uri: format!("{instance}?{query}"),
            restart_post_uri: format!("{instance}/restart?{query}"),
            suspend_post_uri: with_reason("suspend"),
            resume_post_uri: with_reason("resume"),
        }
    }
}

/// How the server was reached.
#[derive(Debug)]
pub(super) struct Base {
    /// Scheme, host and port.
    origin: String,
    /// What stands before the paths of the API, if its router is nested in another one.
    prefix: String,
    /// Path and query of the request.
    request: String,
}

impl Base {
    /// `path` is the path as the API sees it, which is the end of the original one.
    pub(super) fn of(
        options: &HttpOptions,
        headers: &HeaderMap,
        original: &Uri,
        path: &str,
    ) -> Self {
        let origin = match &options.public_url {
            Some(url) => url.clone(),
            None => origin(options, headers, original),
        };
        let prefix = original.path().strip_suffix(path).unwrap_or_default().to_owned();
        let request = original.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Self { origin, prefix, request }
    }

    /// The URL of the request itself.
    pub(super) fn request_url(&self) -> String {
        format!("{}{}", self.origin, self.request)
    }

    pub(super) fn management(&self, options: &HttpOptions, id: &str) -> ManagementUrls {
        ManagementUrls::new(&format!("{}{}", self.origin, self.prefix), options, id)
    }
}

/// Scheme and host as the request has them. A host that is none is not repeated.
fn origin(options: &HttpOptions, headers: &HeaderMap, uri: &Uri) -> String {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let valid = |host: &str| host.parse::<Authority>().ok();
    if options.use_forwarded_host
        && let Some(host) = header("x-forwarded-host").and_then(valid)
        && let Some(scheme @ ("http" | "https")) = header("x-forwarded-proto")
    {
        return format!("{scheme}://{host}");
    }
    let host = uri.authority().cloned();
    let host = host.or_else(|| header(header::HOST.as_str()).and_then(valid));
    let host = host.as_ref().map_or("localhost", Authority::as_str);
    format!("{}://{host}", uri.scheme_str().unwrap_or("http"))
}
