//! Who is answered. Without a key only programs of this machine are, and no page that a browser of
//! this machine shows.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use subtle::ConstantTimeEq;

use super::call::Query;
use super::options::{Access, HttpOptions};
use super::reply::Fault;

/// What [`serve`](super::serve) knows about the address of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listening {
    pub(super) is_loopback: bool,
}

const KEY_HEADER: &str = "x-functions-key";
const KEY_PARAMETER: &str = "code";

/// Whether the request may go on; if not, the answer.
pub(super) fn check(
    options: &HttpOptions,
    headers: &HeaderMap,
    query: &Query,
    listening: Option<&Listening>,
) -> Result<(), Fault> {
    match &options.access {
        Access::Anyone => Ok(()),
        Access::Key(key) => {
            let in_header = headers.get(KEY_HEADER).map(|key| key.as_bytes().to_vec());
            let given = in_header.or_else(|| query.text(KEY_PARAMETER).map(String::into_bytes));
            // Takes the same time wherever they differ; only the length can be seen.
            if given.is_some_and(|given| bool::from(given.ct_eq(key.as_bytes()))) {
                return Ok(());
            }
            Err(Fault::Empty(StatusCode::UNAUTHORIZED))
        }
        Access::Loopback => check_local(headers, listening),
    }
}

/// A browser sends the requests of any page to this machine. It names the page in `Origin`, and a
/// page that has its own name point to this machine is known by `Host`.
fn check_local(headers: &HeaderMap, listening: Option<&Listening>) -> Result<(), Fault> {
    if listening.is_some_and(|listening| !listening.is_loopback) {
        let why = "This server listens on an address that others can reach, so it needs a key.";
        return Err(Fault::Message(StatusCode::UNAUTHORIZED, why.to_owned()));
    }
    let refused = || {
        let why = "Without a key only programs of this machine are answered.";
        Fault::Message(StatusCode::FORBIDDEN, why.to_owned())
    };
    let host = headers.get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    if host.is_some_and(|host| !is_local(host)) {
        return Err(refused());
    }
    let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
    let authority = |origin: &str| origin.split_once("://").map(|(_, host)| host.to_owned());
    match origin {
        Some(origin) if authority(origin).as_deref() != host => Err(refused()),
        _ => Ok(()),
    }
}

/// Whether a host, perhaps with a port, is this machine.
fn is_local(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_matches(['[', ']']);
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        let local = ["localhost", "LOCALHOST:7071", "127.0.0.1", "127.1.2.3:80", "[::1]:7071"];
        assert!(local.iter().all(|host| is_local(host)));
        let others = ["example.com", "localhost.example.com", "10.0.0.1:7071", "", "[::2]", "a b"];
        assert!(others.iter().all(|host| !is_local(host)));
    }
}
