//! How an orchestration is started: its id, its version, its labels, its time, and what happens if
//! the id is taken. Data and checks only.

use durable_store::{Tags, Timestamp, limits};

use crate::client::check_instance_id;
use crate::error::{Failure, TaskErrorKind, TaskFailure};
use crate::version;

/// What becomes of a start whose instance id is taken already.
///
/// The store decides in the transaction that stores the start, so of many who race for an id
/// exactly one starts an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum IdReuse {
    /// An instance that has ended is purged and makes room; one that has not is an error. The
    /// original's default.
    #[default]
    ReplaceEnded,
    /// An instance that has not ended is terminated first, and its end waited for, which needs a
    /// worker. For clients only.
    TerminateAndReplace,
    /// Any instance with the id is an error.
    Refuse,
    /// Any instance with the id is used, whether it has ended or not; nothing is started. For
    /// clients only.
    UseExisting,
    /// An instance that has not ended is used; one that has makes room. This is how to have
    /// something run exactly once at a time. For clients only.
    UseRunning,
}

/// Everything that a start may say beside what to start.
#[derive(Debug, Clone, Default)]
pub(crate) struct StartOptions {
    pub(crate) instance_id: Option<String>,
    /// `None` leaves it to the function that was called, and then to the default version.
    pub(crate) version: Option<String>,
    pub(crate) tags: Tags,
    pub(crate) start_at: Option<Timestamp>,
    pub(crate) id_reuse: IdReuse,
}

/// Options that cannot be used: what, and the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InvalidStart {
    Id(String),
    Option(String),
}

impl From<InvalidStart> for TaskFailure {
    fn from(invalid: InvalidStart) -> Self {
        let (kind, reason) = match invalid {
            InvalidStart::Id(reason) => ("InvalidInstanceId", reason),
            InvalidStart::Option(reason) => ("InvalidStartOption", reason),
        };
        // The same options are refused whenever they are tried.
        Self::new(TaskErrorKind::Refused, Failure::final_one(kind, reason))
    }
}

impl StartOptions {
    /// The version of the new instance, the first of these that is given: the one of the options,
    /// the one of the called function, the default one of who starts it.
    pub(crate) fn version_for(&self, function: &str, default: &str) -> String {
        let of_function = if function.is_empty() { default } else { function };
        self.version.as_deref().unwrap_or(of_function).to_owned()
    }

    /// Checks what can be checked without asking anybody.
    pub(crate) fn check(&self) -> Result<(), InvalidStart> {
        if let Some(id) = &self.instance_id {
            check_instance_id(id).map_err(InvalidStart::Id)?;
        }
        if let Some(version) = &self.version {
            version::check(version).map_err(InvalidStart::Option)?;
        }
        if self.tags.len() > limits::MAX_TAGS {
            return Err(InvalidStart::Option(format!(
                "{} tags on one instance, the limit is {}",
                self.tags.len(),
                limits::MAX_TAGS
            )));
        }
        for (key, value) in &self.tags {
            check_text("key of a tag", key, limits::MAX_TAG_KEY_BYTES)?;
            check_text("value of a tag", value, limits::MAX_TAG_VALUE_BYTES)?;
        }
        Ok(())
    }

    /// The same for a start within an orchestration, which cannot wait for what others do.
    pub(crate) fn check_inside(&self) -> Result<(), InvalidStart> {
        self.check()?;
        match self.id_reuse {
            IdReuse::ReplaceEnded | IdReuse::Refuse => Ok(()),
            policy => Err(InvalidStart::Option(format!(
                "the id-reuse policy {policy:?} is for clients: within an orchestration use \
                 `ReplaceEnded` or `Refuse`"
            ))),
        }
    }
}

fn check_text(what: &str, text: &str, limit: usize) -> Result<(), InvalidStart> {
    let length = text.len();
    if length > limit {
        let rule = format!("a {what} of {length} bytes, the limit is {limit}");
        return Err(InvalidStart::Option(rule));
    }
    if text.contains('\0') {
        return Err(InvalidStart::Option(format!("a {what} must not hold a NUL character")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_named_with_its_rule() {
        let check = |options: StartOptions| options.check().unwrap_err();
        let tag = |key: String, value: String| StartOptions {
            tags: Tags::from([(key, value)]),
            ..StartOptions::default()
        };
        assert!(StartOptions::default().check().is_ok());
        assert!(tag("k".repeat(256), "v".repeat(1024)).check().is_ok());
        let long_key = check(tag("k".repeat(257), String::new()));
        assert_eq!(
            long_key,
            InvalidStart::Option("a key of a tag of 257 bytes, the limit is 256".into())
        );
        assert!(matches!(check(tag("k".into(), "v\0".into())), InvalidStart::Option(_)));
        let many = (0..65).map(|n| (n.to_string(), String::new())).collect();
        let many = check(StartOptions { tags: many, ..StartOptions::default() });
        assert_eq!(many, InvalidStart::Option("65 tags on one instance, the limit is 64".into()));
        let version = Some("v".repeat(257));
        assert!(StartOptions { version, ..StartOptions::default() }.check().is_err());
        let id = Some("@a".to_owned());
        let id = check(StartOptions { instance_id: id, ..StartOptions::default() });
        assert!(matches!(id, InvalidStart::Id(reason) if reason.contains("`@`")));
    }

    #[test]
    fn the_version_is_the_first_that_is_given() {
        let version = |given: Option<&str>, function, default| {
            let version = given.map(str::to_owned);
            StartOptions { version, ..StartOptions::default() }.version_for(function, default)
        };
        assert_eq!(version(Some("3"), "2", "1"), "3");
        assert_eq!(version(Some(""), "2", "1"), "", "no version is a version too");
        assert_eq!(version(None, "2", "1"), "2");
        assert_eq!(version(None, "", "1"), "1");
        assert_eq!(version(None, "", ""), "");
    }

    #[test]
    fn policies_that_need_a_client_are_refused_inside() {
        let inside = |id_reuse| StartOptions { id_reuse, ..StartOptions::default() }.check_inside();
        assert!(inside(IdReuse::ReplaceEnded).is_ok() && inside(IdReuse::Refuse).is_ok());
        let refused = inside(IdReuse::UseRunning).unwrap_err();
        let failure = TaskFailure::from(refused).failure;
        assert!(failure.message.contains("UseRunning"), "{failure:?}");
    }
}
