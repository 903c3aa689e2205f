//! How the databases keep what the model has types for: numbers for statuses and kinds, ranges for
//! partitions and prefixes, JSON for tags. It knows no table.

use crate::model::{InstanceKind, InstanceNo, NewInstance, PartitionId, Status};

/// The instance numbers of a partition: from the first, before the second.
pub(crate) fn number_range(partition: PartitionId) -> (i64, i64) {
    let first = InstanceNo::new(partition, 0).0;
    (first, first + (1 << InstanceNo::COUNTER_BITS))
}

/// The stored code of a status: its place in [`Status::ALL`].
pub(crate) const fn status_code(status: Status) -> i64 {
    match status {
        Status::Pending => 0,
        Status::Running => 1,
        Status::Suspended => 2,
        Status::Completed => 3,
        Status::Failed => 4,
        Status::Terminated => 5,
    }
}

/// The status of a stored code.
pub(crate) fn status(code: i64) -> Option<Status> {
    Status::ALL.get(usize::try_from(code).ok()?).copied()
}

/// The stored code of a kind.
pub(crate) const fn kind_code(kind: InstanceKind) -> i64 {
    match kind {
        InstanceKind::Orchestration => 0,
        InstanceKind::Entity => 1,
    }
}

/// The kind of a stored code.
pub(crate) const fn kind(code: i64) -> InstanceKind {
    match code {
        0 => InstanceKind::Orchestration,
        _ => InstanceKind::Entity,
    }
}

/// The tags of an instance as its row has them.
pub(crate) fn tags_text(new: &NewInstance) -> Option<String> {
    // A map of texts: writing it cannot fail.
    let text = || serde_json::to_string(&new.tags).unwrap_or_default();
    (!new.tags.is_empty()).then(text)
}

/// The first text after all those that begin with `prefix`, if there is one: the prefix with its
/// last character replaced by the next. Bytes of UTF-8 sort like the characters they stand for.
pub(crate) fn prefix_end(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // A range of characters steps over the surrogates.
        if let Some(next) = (last..=char::MAX).nth(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_the_next_text() {
        assert_eq!(prefix_end("ab").as_deref(), Some("ac"));
        assert_eq!(prefix_end("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(prefix_end("\u{D7FF}").as_deref(), Some("\u{E000}"));
        assert_eq!(prefix_end(""), None);
    }

    #[test]
    fn status_codes_are_places_in_the_list() {
        for each in Status::ALL {
            assert_eq!(status(status_code(each)), Some(each));
        }
    }
}
