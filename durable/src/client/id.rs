//! What instance ids and entity keys may be.

use durable_store::limits::MAX_INSTANCE_ID_BYTES;

/// Characters that would have to be escaped in a URL path, which the original forbids too.
const FORBIDDEN: [char; 4] = ['/', '\\', '#', '?'];

/// Whether an orchestration may have this id; if not, why.
pub(crate) fn check_instance_id(id: &str) -> Result<(), String> {
    let wrong = |rule: &str| Err(format!("the instance id {id:?} cannot be used: {rule}"));
    if id.is_empty() {
        return wrong("it must not be empty");
    }
    if id.starts_with('@') {
        return wrong("it must not begin with `@`, which marks entities");
    }
    match check_text(id, id.len()) {
        Ok(()) => Ok(()),
        Err(rule) => wrong(&rule),
    }
}

/// Whether an entity of type `name` may have this key; if not, why. An empty key is allowed.
pub(crate) fn check_entity_key(name: &str, key: &str) -> Result<(), String> {
    let id_length = crate::message::entity_id(name, key).len();
    check_text(key, id_length)
        .map_err(|rule| format!("the key {key:?} of an entity `{name}` cannot be used: {rule}"))
}

/// Whether an entity may have this name, if it comes from outside; if not, why. It must not hold
/// what separates name and key in an id.
pub(crate) fn check_entity_name(name: &str) -> Result<(), String> {
    let wrong = |rule: &str| Err(format!("the entity name {name:?} cannot be used: {rule}"));
    if name.is_empty() {
        return wrong("it must not be empty");
    }
    if name.contains('@') {
        return wrong("it must not contain `@`");
    }
    check_text(name, name.len()).or_else(|rule| wrong(&rule))
}

fn check_text(text: &str, id_length: usize) -> Result<(), String> {
    if id_length > MAX_INSTANCE_ID_BYTES {
        return Err(format!("the id has {id_length} bytes, the limit is {MAX_INSTANCE_ID_BYTES}"));
    }
    if let Some(bad) = text.chars().find(|c| FORBIDDEN.contains(c)) {
        return Err(format!("it must not contain `{bad}`"));
    }
    if text.chars().any(char::is_control) {
        return Err("it must not contain control characters".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked_and_the_reason_is_told() {
        let error = |id: &str| check_instance_id(id).unwrap_err();
        assert!(check_instance_id("order-42").is_ok());
        assert!(check_instance_id(&"x".repeat(256)).is_ok());
        assert!(error(&"x".repeat(257)).contains("257 bytes"));
        assert!(error("").contains("empty"));
        assert!(error("@counter@a").contains("`@`"));
        for bad in ["a/b", "a\\b", "a#b", "a?b", "a\nb", "a\0b"] {
            assert!(error(bad).contains("must not contain"), "{bad:?}");
        }
    }

    #[test]
    fn keys_are_checked_together_with_the_name() {
        assert!(check_entity_key("Counter", "").is_ok());
        assert!(check_entity_key("Counter", "a@b").is_ok());
        assert!(check_entity_key("Counter", &"x".repeat(248)).unwrap_err().contains("257 bytes"));
        assert!(check_entity_key("Counter", "a?").unwrap_err().contains("`?`"));
    }

    #[test]
    fn names_from_outside_cannot_reach_into_the_key() {
        assert!(check_entity_name("Counter").is_ok());
        assert!(check_entity_name("").unwrap_err().contains("empty"));
        assert!(check_entity_name("a@b").unwrap_err().contains("`@`"));
        assert!(check_entity_name("a/b").unwrap_err().contains("`/`"));
    }
}
