//! What a server of the API may be told.

use std::fmt;

/// The name of the task hub in URLs, if nothing else is said. A store is one hub, so that the name is
/// only for show.
pub const DEFAULT_TASK_HUB: &str = "DurableFunctionsHub";
/// The name of the connection in URLs, if nothing else is said; only for show as well.
pub const DEFAULT_CONNECTION: &str = "Storage";
/// Largest body of a request, in bytes, if nothing else is said.
pub const DEFAULT_MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// Who may use the API.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Access {
    /// Programs of this machine.
    Loopback,
    /// Who has the key.
    Key(String),
    /// Who can reach it.
    Anyone,
}

/// What a server of the API may be told: everything has a default.
///
/// ```
/// use durable::http::HttpOptions;
///
/// let options = HttpOptions::new().key("a long random text").public_url("https://jobs.example.com");
/// # let _ = options;
/// ```
#[derive(Clone)]
#[must_use = "options do nothing by themselves"]
pub struct HttpOptions {
    pub(super) access: Access,
    pub(super) task_hub: String,
    pub(super) connection: String,
    pub(super) public_url: Option<String>,
    pub(super) use_forwarded_host: bool,
    pub(super) max_body_bytes: usize,
    pub(super) unwrap_python: bool,
}

impl fmt::Debug for HttpOptions {
    // Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("task_hub", &self.task_hub)
            .field("public_url", &self.public_url)
            .finish_non_exhaustive()
    }
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            access: Access::Loopback,
            task_hub: DEFAULT_TASK_HUB.to_owned(),
            connection: DEFAULT_CONNECTION.to_owned(),
            public_url: None,
            use_forwarded_host: false,
            max_body_bytes: DEFAULT_MAX_BODY_BYTES,
            unwrap_python: true,
        }
    }
}

impl HttpOptions {
    /// The defaults: only programs of this machine are answered.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers who has this key, in the query as `code` or in the header `x-functions-key`. An empty
    /// key is no key.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        let key = key.into();
        self.access = if key.is_empty() { Access::Loopback } else { Access::Key(key) };
        self
    }

    /// Answers everybody who can reach the address, and any page in their browsers. For servers that
    /// have something in front of them which knows who may ask.
    pub fn without_key(mut self) -> Self {
        self.access = Access::Anyone;
        self
    }

    /// What the URLs in answers begin with, such as `https://jobs.example.com`, instead of what the
    /// request was sent to.
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = Some(url.into().trim_end_matches('/').to_owned());
        self
    }

    /// Takes host and scheme of the URLs in answers from `X-Forwarded-Host` and `X-Forwarded-Proto`.
    /// Only for servers that can be reached through a proxy that sets both.
    pub fn use_forwarded_host(mut self, is_used: bool) -> Self {
        self.use_forwarded_host = is_used;
        self
    }

    /// The name of the task hub in URLs. Default: [`DEFAULT_TASK_HUB`].
    pub fn task_hub(mut self, name: impl Into<String>) -> Self {
        self.task_hub = name.into();
        self
    }

    /// The name of the connection in URLs. Default: [`DEFAULT_CONNECTION`].
    pub fn connection(mut self, name: impl Into<String>) -> Self {
        self.connection = name.into();
        self
    }

    /// Largest body of a request, in bytes. Default: [`DEFAULT_MAX_BODY_BYTES`].
    pub fn max_body_bytes(mut self, bytes: usize) -> Self {
        self.max_body_bytes = bytes;
        self
    }

    /// Whether a body that is a JSON text inside of a JSON string is taken as what is in the string,
    /// if it comes from the original's client library for Python, which sends everything so. That is
    /// told by its HTTP library (`aiohttp`). Default: yes.
    pub fn unwrap_python(mut self, is_unwrapped: bool) -> Self {
        self.unwrap_python = is_unwrapped;
        self
    }
}
