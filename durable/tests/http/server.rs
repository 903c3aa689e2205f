//! A server without a network, and requests that are a line each.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use durable::Worker;
use durable::http::{HttpOptions, router};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::world::*;

/// Where the management API is.
pub const BASE: &str = "/runtime/webhooks/durabletask";

/// A world with a worker, and the API over its client.
pub struct Server {
    pub world: World,
    pub worker: Worker,
    pub router: Router,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Status and body as a line.
    pub fn line(&self) -> String {
        let body = String::from_utf8_lossy(&self.body);
        format!("{} {body}", self.status.as_u16()).trim_end().to_owned()
    }
}

impl Server {
    pub async fn start(world: World) -> Self {
        Self::with(world, HttpOptions::new()).await
    }

    pub async fn with(world: World, options: HttpOptions) -> Self {
        let worker = world.worker().await;
        let router = router(worker.client(), options);
        Self { world, worker, router }
    }

    pub async fn memory() -> Self {
        Self::start(World::memory()).await
    }

    /// Asks with whatever request.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.world.drive(self.router.clone().oneshot(request)).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Asks with a line: the method, a path below the management API or from the root of the host
    /// (`//healthz`), and perhaps a JSON body.
    pub async fn ask(&self, line: &str) -> Answer {
        self.ask_with(line, &[]).await
    }

    /// The same with headers.
    pub async fn ask_with(&self, line: &str, headers: &[(&str, &str)]) -> Answer {
        let mut parts = line.splitn(3, ' ');
        let (method, path) = (parts.next().unwrap(), parts.next().unwrap());
        let path = path.strip_prefix('/').filter(|path| path.starts_with('/'));
        let path = path
            .map_or_else(|| format!("{BASE}{}", line.split(' ').nth(1).unwrap()), str::to_owned);
        let mut request = Request::builder().method(method).uri(path);
        let usual = [("host", "localhost:7071"), ("content-type", "application/json")];
        for (name, value) in usual {
            if !headers.iter().any(|(given, _)| *given == name) {
                request = request.header(name, value);
            }
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = parts.next().map_or_else(Body::empty, |body| Body::from(body.to_owned()));
        self.send(request.body(body).unwrap()).await
    }

    /// Asks each of the lines, and compares status and body. `..` at the end of what is expected
    /// stands for anything.
    pub async fn check(&self, table: &[(&str, &str)]) {
        for (line, expected) in table {
            let answer = self.ask(line).await.line();
            let fits = match expected.strip_suffix("..") {
                Some(begin) => answer.starts_with(begin),
                None => answer == *expected,
            };
            assert!(fits, "{line}\n   gives {answer}\ninstead of {expected}");
        }
    }

    /// Asks until the answer is this.
    pub async fn until_answer(&self, line: &str, wanted: &str) {
        for _ in 0..10_000 {
            if self.ask(line).await.line() == wanted {
                return;
            }
            self.world.drive(settle()).await;
        }
        panic!("{line} does not give {wanted}");
    }

    /// Asks for the status of an instance until it is this.
    pub async fn until(&self, id: &str, wanted: &str) -> Value {
        for _ in 0..10_000 {
            let answer = self.ask(&format!("GET /instances/{id}")).await;
            // One that another instance starts may not be there yet.
            if answer.status != StatusCode::NOT_FOUND {
                let status = answer.json();
                if status["runtimeStatus"] == wanted {
                    return status;
                }
            }
            self.world.drive(settle()).await;
        }
        panic!("{id} is not {wanted}");
    }
}
