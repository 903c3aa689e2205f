//! A server for the API: connections within limits, and a clean end.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::guard::Listening;
use crate::{Clock, SystemClock};

/// Connections that are open at once; more wait until one is closed.
pub const MAX_CONNECTIONS: usize = 1024;
/// Headers that a request may have.
pub const MAX_HEADERS: usize = 64;
/// What of a request the server buffers before its body, in bytes.
pub const MAX_HEADER_BYTES: usize = 64 * 1024;
/// How long the headers of a request may take to arrive, and a connection may be idle.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests that are under way may take when the server is to end.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
/// How long nothing is accepted after accepting has failed: most likely too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// Serves a router over HTTP/1.1 until `shutdown` completes; then lets requests that are under way
/// end, for [`SHUTDOWN_GRACE`] at most.
///
/// A router with [`HttpOptions`](super::HttpOptions) that have no key answers nobody if the listener
/// can be reached from other machines.
///
/// # Errors
///
/// If the listener has no address.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let is_loopback = listener.local_addr()?.ip().is_loopback();
    let router = router.layer(Extension(Listening { is_loopback }));
    let (places, graceful) = (Arc::new(Semaphore::new(MAX_CONNECTIONS)), GracefulShutdown::new());
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = async {
            // Nobody closes the semaphore.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        // What has ended is forgotten.
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) => {
                let connection = graceful.watch(connection(stream, router.clone()));
                connections.spawn(async move {
                    // A connection that breaks is the business of who broke it.
                    let _ = connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                SystemClock.sleep_until(SystemClock.now() + ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = SystemClock.sleep_until(SystemClock.now() + SHUTDOWN_GRACE) => {
            tracing::warn!("requests that are under way are given up");
        }
    }
    Ok(())
}

type Connection =
    hyper::server::conn::http1::Connection<TokioIo<TcpStream>, TowerToHyperService<Router>>;

fn connection(stream: TcpStream, router: Router) -> Connection {
    // Answers are small: waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
}
