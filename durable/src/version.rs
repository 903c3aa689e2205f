//! Versions of orchestrations: how two of them compare, which instances a worker takes, and what a
//! version may be. Data only: it knows no instances, programs or stores.

use std::cmp::Ordering;
use std::sync::Arc;

use durable_store::limits;

/// The error type of an instance that failed because no program was to run it: see
/// [`VersionMismatch::Fail`].
pub(crate) const VERSION_MISMATCH: &str = "VersionMismatch";

/// Which instances a worker takes, by their version and the worker's
/// [`default_version`](crate::WorkerBuilder::default_version).
///
/// Versions compare as in Durable Functions: no version is below any other; two that are numbers
/// with dots between them compare number by number, so that `1.10` is above `1.9`, and `1.0.0` is
/// above `1.0`; all others compare as text, in which upper and lower case are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum VersionMatch {
    /// All. Which program runs one is decided by its name and its version alone.
    #[default]
    Any,
    /// Those of the worker's version.
    Strict,
    /// Those of the worker's version, and of any before it.
    CurrentOrOlder,
}

/// What becomes of an instance whose version a worker does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum VersionMismatch {
    /// It is left untouched, with its messages, until a worker that takes it has its partition.
    /// Until then its [`InstanceStatus::blocked`](crate::InstanceStatus::blocked) says why.
    #[default]
    Reject,
    /// It fails with the error type `VersionMismatch` when the next message comes for it. Nothing
    /// is lost: a [`rewind`](crate::Handle::rewind) on a worker that takes it goes on from there.
    Fail,
}

/// What a worker makes of versions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Versioning {
    /// Empty for none.
    pub(crate) default_version: Arc<str>,
    pub(crate) version_match: VersionMatch,
    pub(crate) on_mismatch: VersionMismatch,
}

impl Versioning {
    /// Why an instance of this version is not for the worker, if so. The texts are the original's.
    pub(crate) fn mismatch(&self, version: &str) -> Option<String> {
        let own = &*self.default_version;
        let order = compare(version, own);
        match self.version_match {
            VersionMatch::Strict if order.is_ne() => Some(format!(
                "The orchestration version '{version}' does not match the worker version '{own}'."
            )),
            VersionMatch::CurrentOrOlder if order.is_gt() => Some(format!(
                "The orchestration version '{version}' is greater than the worker version '{own}'."
            )),
            _ => None,
        }
    }
}

/// What follows the name of an orchestrator in messages.
pub(crate) fn in_words(version: &str) -> String {
    if version.is_empty() { String::new() } else { format!(" version `{version}`") }
}

/// Whether a version can be stored and told from no version: if not, the rule that it breaks.
pub(crate) fn check(version: &str) -> Result<(), String> {
    const LIMIT: usize = limits::MAX_NAME_BYTES;
    let length = version.len();
    if length > LIMIT {
        return Err(format!("a version of {length} bytes, the limit is {LIMIT}"));
    }
    if version.contains('\0') {
        return Err("a version must not hold a NUL character".to_owned());
    }
    if !version.is_empty() && version.trim().is_empty() {
        return Err("a version must not be blank: leave it empty for none".to_owned());
    }
    Ok(())
}

/// Which of two versions is the later one, by the rules of [`VersionMatch`].
fn compare(first: &str, second: &str) -> Ordering {
    if let (Some(first), Some(second)) = (numbers(first), numbers(second)) {
        return first.cmp(&second);
    }
    let folded = |text: &str| text.chars().flat_map(char::to_uppercase).collect::<Vec<_>>();
    // No version is the empty text, which is below any other.
    folded(first).cmp(&folded(second))
}

/// The numbers of a dotted version. The original wants two to four of them; here one is enough, so
/// that `10` is above `9`.
fn numbers(version: &str) -> Option<Vec<u64>> {
    let number = |part: &str| {
        let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|_| is_number)
    };
    version.split('.').map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_in_the_original() {
        use Ordering::{Equal, Greater, Less};
        let table = [
            ("", "", Equal),
            ("", "0", Less),
            ("", "a", Less),
            ("1.0", "", Greater),
            ("1.0", "1.0", Equal),
            ("1.0", "1.00", Equal),
            ("1.9", "1.10", Less),
            ("2.0", "1.10.5", Greater),
            ("1.0", "1.0.0", Less),
            ("9", "10", Less),
            ("1.2.3.4.5", "1.2.3.4.10", Less),
            ("v1", "V1", Equal),
            ("v10", "v9", Less),
            ("beta", "Alpha", Greater),
            ("a_", "aZ", Greater),
            ("1.0-beta", "1.0", Greater),
            ("1.", "1.0", Less),
            ("+1", "1", Less),
            // Too large for a number, so it is a text.
            ("99999999999999999999", "1", Greater),
            ("99999999999999999999", "9.0", Greater),
            ("ä", "Ä", Equal),
        ];
        for (first, second, expected) in table {
            assert_eq!(compare(first, second), expected, "`{first}` and `{second}`");
            assert_eq!(compare(second, first), expected.reverse(), "`{second}` and `{first}`");
        }
    }

    fn texts(version_match: VersionMatch, own: &str, version: &str) -> String {
        let on_mismatch = VersionMismatch::default();
        let versioning = Versioning { default_version: own.into(), version_match, on_mismatch };
        versioning.mismatch(version).unwrap_or_default()
    }

    #[test]
    fn a_mismatch_is_told_in_the_words_of_the_original() {
        let greater = "The orchestration version '2.1' is greater than the worker version '2.0'.";
        let differs = "The orchestration version '2.1' does not match the worker version '2.0'.";
        let older = "The orchestration version '' does not match the worker version '2.0'.";
        let table = [
            (VersionMatch::Any, "2.1", ""),
            (VersionMatch::Any, "", ""),
            (VersionMatch::Strict, "2.0", ""),
            (VersionMatch::Strict, "2.1", differs),
            (VersionMatch::Strict, "", older),
            (VersionMatch::CurrentOrOlder, "2.0", ""),
            (VersionMatch::CurrentOrOlder, "1.12", ""),
            (VersionMatch::CurrentOrOlder, "", ""),
            (VersionMatch::CurrentOrOlder, "2.1", greater),
        ];
        for (version_match, version, expected) in table {
            let text = texts(version_match, "2.0", version);
            assert_eq!(text, expected, "{version_match:?} and `{version}`");
        }
    }

    #[test]
    fn what_cannot_be_a_version_is_told_with_its_rule() {
        assert!(check("").is_ok() && check("2.1 beta").is_ok() && check(&"v".repeat(256)).is_ok());
        let rule = |version: &str| check(version).unwrap_err();
        assert_eq!(rule(&"v".repeat(257)), "a version of 257 bytes, the limit is 256");
        assert!(rule("a\0").contains("NUL") && rule(" \t").contains("blank"));
    }
}
