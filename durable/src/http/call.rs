//! A request, as the handlers see it: parameters, query, body. Everything in it comes from outside.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::{HeaderMap, StatusCode, header};
use durable_store::{Status, Timestamp};
use serde_json::Value;

use super::links::Base;
use super::reply::Fault;
use super::{Api, BODY_TIMEOUT, route};

/// How the library for Python names its HTTP library.
const PYTHON_AGENT: &str = "aiohttp/";

/// One request.
pub(super) struct Call {
    pub(super) api: Arc<Api>,
    /// Of the path, in its order.
    pub(super) parameters: Vec<String>,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    pub(super) base: Base,
    pub(super) body: Bytes,
}

impl Call {
    /// A parameter of the path; one that the path does not have is empty.
    pub(super) fn parameter(&self, number: usize) -> &str {
        self.parameters.get(number).map_or("", String::as_str)
    }

    /// A header that is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Where a list is to go on, if it is.
    pub(super) fn continuation(&self) -> Option<&str> {
        self.header("x-ms-continuation-token").filter(|token| !token.is_empty())
    }

    /// Whether the body says that it is JSON.
    pub(super) fn says_json(&self) -> bool {
        let content_type = self.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case("application/json")
    }

    /// The body as text, without the mark that may stand before it.
    pub(super) fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned()
    }

    /// The body as JSON text that was checked.
    pub(super) fn json(&self) -> Result<String, serde_json::Error> {
        // Parsed as a value, so that what is nested too deeply is refused here.
        let bytes = self.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.body);
        let value: Value = serde_json::from_slice(bytes)?;
        if let Value::String(inner) = &value
            && self.is_from_python()
            && serde_json::from_str::<Value>(inner).is_ok()
        {
            return Ok(inner.trim().to_owned());
        }
        // The text and not the value: a value has no place for very large numbers.
        Ok(String::from_utf8_lossy(bytes).trim().to_owned())
    }

    fn is_from_python(&self) -> bool {
        let agent = self.header(header::USER_AGENT.as_str()).unwrap_or_default();
        self.api.options.unwrap_python && self.says_json() && agent.contains(PYTHON_AGENT)
    }

    /// The body as input: `None` if there is none.
    pub(super) fn input(&self) -> Result<Option<String>, serde_json::Error> {
        if self.text().trim().is_empty() {
            return Ok(None);
        }
        self.json().map(|text| Some(text).filter(|text| text != "null"))
    }
}

/// Reads a body, within its limits.
pub(super) async fn read_body(api: &Api, body: Body) -> Result<Bytes, Fault> {
    let limit = api.options.max_body_bytes;
    let too_large = || {
        let message = format!("The body could not be read, or has more than {limit} bytes.");
        Fault::Message(StatusCode::PAYLOAD_TOO_LARGE, message)
    };
    // One that says how long it is need not be read to know.
    if usize::try_from(body.size_hint().lower()).map_or(true, |length| length > limit) {
        return Err(too_large());
    }
    let clock = api.client.clock();
    let until = clock.now() + BODY_TIMEOUT;
    tokio::select! {
        biased;
        read = axum::body::to_bytes(body, limit) => read.map_err(|_| too_large()),
        () = clock.sleep_until(until) => Err(Fault::Empty(StatusCode::REQUEST_TIMEOUT)),
    }
}

/// The parameters of a query. Names are compared without case; what cannot be read as what it is to
/// be counts as absent, as in the original.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(query: &str) -> Self {
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (route::decode(name), route::decode(value))
        };
        Self(query.split('&').filter(|text| !text.is_empty()).map(pair).collect())
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = move |(n, _): &&(String, String)| n.eq_ignore_ascii_case(name);
        self.0.iter().filter(named).map(|(_, value)| value.as_str())
    }

    /// A text; several of one name are one with commas.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let values: Vec<&str> = self.values(name).collect();
        (!values.is_empty()).then(|| values.join(","))
    }

    fn read<T: FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.trim().parse().ok()
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.text(name)?.trim().to_ascii_lowercase().parse().ok()
    }

    /// A number of rows that is wanted. One that is none is absent.
    pub(super) fn rows(&self, name: &str) -> Option<usize> {
        self.read::<i32>(name).and_then(|rows| usize::try_from(rows).ok()).filter(|rows| *rows > 0)
    }

    /// A length of time, at least zero.
    pub(super) fn seconds(&self, name: &str) -> Option<Duration> {
        let seconds = self.read::<f64>(name).filter(|seconds| seconds.is_finite())?;
        Some(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
    }

    pub(super) fn time(&self, name: &str) -> Option<Timestamp> {
        parse_time(self.text(name)?.trim())
    }

    /// The statuses that are wanted: `None` if none was named. One that no instance here has is known
    /// and selects nothing.
    pub(super) fn statuses(&self, name: &str) -> Option<Vec<Status>> {
        let known: Vec<&[Status]> = self
            .values(name)
            .flat_map(|values| values.split(','))
            .filter_map(|value| parse_status(value.trim()))
            .collect();
        (!known.is_empty()).then(|| known.concat())
    }
}

/// What the original's name or number of a status selects: nothing, if no instance here has it.
fn parse_status(text: &str) -> Option<&'static [Status]> {
    const NAMES: [(&str, &[Status]); 8] = [
        ("Running", &[Status::Running]),
        ("Completed", &[Status::Completed]),
        ("ContinuedAsNew", &[]),
        ("Failed", &[Status::Failed]),
        ("Canceled", &[]),
        ("Terminated", &[Status::Terminated]),
        ("Pending", &[Status::Pending]),
        ("Suspended", &[Status::Suspended]),
    ];
    if let Ok(number) = text.parse::<i32>() {
        let named = usize::try_from(number).ok().and_then(|number| NAMES.get(number));
        return Some(named.map_or(&[], |(_, statuses)| *statuses));
    }
    NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, statuses)| *statuses)
}

/// A point in time in the forms that people and the original's client libraries write: a date, and
/// perhaps a time of day, seconds, parts of them and an offset. Without an offset it is UTC.
fn parse_time(text: &str) -> Option<Timestamp> {
    let (date, rest) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], text[at + 1..].trim()),
        None => (text, ""),
    };
    let date = parse_date(date)?;
    if rest.is_empty() {
        return format!("{date}T00:00:00Z").parse().ok();
    }
    let (rest, offset) = match rest.find(['Z', 'z', '+', '-']) {
        Some(at) => (rest[..at].trim(), rest[at..].to_ascii_uppercase()),
        // In a query a plus that was not escaped is a space.
        None => match rest.split_once(' ') {
            Some((rest, offset)) => (rest, format!("+{}", offset.trim())),
            None => (rest, "Z".to_owned()),
        },
    };
    let seconds = if rest.matches(':').count() == 1 { ":00" } else { "" };
    format!("{date}T{rest}{seconds}{offset}").parse().ok()
}

/// A date as `2026-01-31` or `1/31/2026`, as `2026-01-31`.
fn parse_date(text: &str) -> Option<String> {
    let parts = |separator| {
        let parts: Vec<u32> = text.split(separator).map_while(|part| part.parse().ok()).collect();
        <[u32; 3]>::try_from(parts).ok()
    };
    let [year, month, day] = match parts('-') {
        Some(date) => date,
        None => parts('/').map(|[month, day, year]| [year, month, day])?,
    };
    Some(format!("{year:04}-{month:02}-{day:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_many_forms() {
        let read = |text: &str| parse_time(text).map(|time| time.to_string());
        let table = [
            ("2026-01-31T10:20:30Z", Some("2026-01-31T10:20:30Z")),
            ("2026-01-31T10:20:30.123456Z", Some("2026-01-31T10:20:30.123456Z")),
            ("2026-01-31T10:20:30.1234567Z", Some("2026-01-31T10:20:30.123456Z")),
            ("2026-01-31T10:20:30+01:00", Some("2026-01-31T09:20:30Z")),
            ("2026-01-31T10:20:30 01:00", Some("2026-01-31T09:20:30Z")),
            ("2026-01-31 10:20:30", Some("2026-01-31T10:20:30Z")),
            ("2026-01-31T10:20", Some("2026-01-31T10:20:00Z")),
            ("2026-01-31", Some("2026-01-31T00:00:00Z")),
            ("1/31/2026", Some("2026-01-31T00:00:00Z")),
            ("1-01-01T00:00:00.000000Z", Some("0001-01-01T00:00:00Z")),
            ("2026-02-30", None),
            ("2026-13-01T00:00:00Z", None),
            ("yesterday", None),
            ("", None),
            ("T", None),
            ("é", None),
            ("99999-01-01", None),
        ];
        for (text, expected) in table {
            assert_eq!(read(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_absent() {
        let query = Query::parse(
            "Top=5&top=x&a=%ff&flag=TRUE&bad=yes&n=-3&s=1.5&neg=-1&nan=NaN&inf=inf&huge=1e300&\
             st=Failed,nonsense&st=3,99&none=Canceled&odd=%zz&=x&empty=&&plain",
        );
        assert_eq!(query.text("top").as_deref(), Some("5,x"));
        assert_eq!(query.rows("top"), None);
        assert_eq!(query.rows("n"), None);
        assert_eq!(query.text("a").as_deref(), Some("\u{fffd}"));
        assert_eq!((query.flag("flag"), query.flag("bad")), (Some(true), None));
        assert_eq!(query.seconds("s"), Some(Duration::from_millis(1500)));
        assert_eq!(query.seconds("neg"), Some(Duration::ZERO));
        assert_eq!((query.seconds("nan"), query.seconds("inf")), (None, None));
        assert_eq!(query.seconds("huge"), Some(Duration::MAX));
        assert_eq!(query.statuses("st"), Some(vec![Status::Failed, Status::Failed]));
        assert_eq!(query.statuses("none"), Some(vec![]));
        assert_eq!(query.statuses("nothing"), None);
        assert_eq!(query.text("odd").as_deref(), Some("%zz"));
        assert_eq!(query.text("plain").as_deref(), Some(""));
    }
}
