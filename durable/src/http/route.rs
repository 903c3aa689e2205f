//! What a row of the table of routes is, and how a request finds its row.

use std::future::Future;
use std::pin::Pin;

use axum::http::Method;
use percent_encoding::percent_decode_str;

use super::call::Call;
use super::reply::Answer;

/// What a handler gives.
pub(super) type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// The methods of the API. All but the last are themselves.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verb {
    Get,
    Post,
    Delete,
    Any,
}

impl Verb {
    pub(super) fn method(self) -> Option<Method> {
        match self {
            Self::Get => Some(Method::GET),
            Self::Post => Some(Method::POST),
            Self::Delete => Some(Method::DELETE),
            Self::Any => None,
        }
    }
}

/// One row: a method and a path, and all that is known about them.
#[derive(Clone, Copy)]
pub(super) struct Route {
    pub(super) method: Verb,
    /// Segments in braces are parameters.
    pub(super) path: &'static str,
    /// Its name in the description.
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    /// Parameters in the query, with what they are.
    pub(super) query: &'static [(&'static str, Kind)],
    /// What the body is, if one is read.
    pub(super) body: Option<&'static str>,
    /// Status codes, with when they are given.
    pub(super) answers: &'static [(u16, &'static str)],
    /// Whether the key is needed, where there is one.
    pub(super) guarded: bool,
    pub(super) handler: fn(Call) -> Answering,
}

/// What a parameter in a query is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Text,
    Flag,
    Integer,
    Seconds,
    Time,
}

/// A route as others may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteInfo {
    /// The method; `None` is every method.
    pub method: Option<Method>,
    /// The path; segments in braces are parameters.
    pub path: &'static str,
    /// Its name in the description.
    pub name: &'static str,
}

impl Route {
    pub(super) fn info(&self) -> RouteInfo {
        RouteInfo { method: self.method.method(), path: self.path, name: self.name }
    }

    /// The names of the parameters in the path.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &'static str> {
        segments(self.path).filter_map(parameter)
    }

    /// The parameters of the path, if it is one of this route.
    fn matches(&self, path: &str) -> Option<Vec<String>> {
        let mut parameters = Vec::new();
        let mut wanted = segments(self.path);
        let mut given = segments(path);
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return Some(parameters),
                (Some(_), Some("")) => return None,
                (Some(segment), Some(text)) if parameter(segment).is_some() => {
                    parameters.push(text.to_owned());
                }
                (Some(segment), Some(text)) if segment.eq_ignore_ascii_case(text) => {}
                _ => return None,
            }
        }
    }
}

fn segments(path: &str) -> std::str::Split<'_, char> {
    path.trim_matches('/').split('/')
}

fn parameter(segment: &'static str) -> Option<&'static str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// The first row that fits, with the parameters of its path. The path is decoded before it is split,
/// as in the original: an escaped slash separates like any other.
pub(super) fn find<'a>(
    routes: &'a [Route],
    method: &Method,
    path: &str,
) -> Option<(&'a Route, Vec<String>)> {
    let path = decode(path);
    routes.iter().find_map(|route| {
        let fits = route.method.method().is_none_or(|wanted| wanted == method);
        fits.then(|| route.matches(&path)).flatten().map(|parameters| (route, parameters))
    })
}

/// Text of a path or a query as it is meant. What is not UTF-8 is replaced, a plus is a space.
pub(super) fn decode(text: &str) -> String {
    let spaces = text.replace('+', " ");
    percent_decode_str(&spaces).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::ROUTES;
    use super::*;

    fn found(method: &Method, path: &str) -> String {
        match find(ROUTES, method, path) {
            Some((route, parameters)) => format!("{} {parameters:?}", route.name),
            None => "nothing".to_owned(),
        }
    }

    #[test]
    fn paths_find_their_rows() {
        let at = |method, rest: &str| found(&method, &format!("{}{rest}", super::super::BASE_PATH));
        assert_eq!(at(Method::GET, "/instances"), "GetInstances []");
        assert_eq!(at(Method::GET, "/INSTANCES/"), "GetInstances []");
        assert_eq!(at(Method::GET, "/instances/a%20b+c"), r#"GetInstance ["a b c"]"#);
        assert_eq!(at(Method::GET, "/instances//"), "GetInstances []");
        assert_eq!(at(Method::POST, "/instances/a/Terminate"), r#"TerminateInstance ["a"]"#);
        assert_eq!(at(Method::GET, "/instances/a/terminate"), "nothing");
        assert_eq!(at(Method::POST, "/instances//terminate"), "nothing");
        assert_eq!(at(Method::GET, "/instances/a%2Fb"), "nothing");
        assert_eq!(at(Method::GET, "/instances/%ff"), "GetInstance [\"\u{fffd}\"]");
        assert_eq!(at(Method::PUT, "/makeprimary"), "MakePrimary []");
        assert_eq!(found(&Method::GET, "/healthz"), "GetHealth []");
        assert_eq!(found(&Method::GET, "/"), "nothing");
    }
}
