//! The determinism check: a turn that runs again from the same saved bytes must come to the same.
//! Finds the first difference, in words. Covers the helpers that no scan of the source can see into.

use std::collections::BTreeMap;

use durable_store::{InstanceChange, Payload, Renewal, SideKey, Status, StoredInstance};
use serde_json::Value;

use super::TurnOutput;
use crate::version::in_words;

/// What is stored of an instance between two turns.
pub(super) struct Snapshot {
    pub(super) status: Status,
    pub(super) version: String,
    pub(super) input: Payload,
    pub(super) state: Option<Payload>,
    pub(super) output: Option<Payload>,
    /// Whether the first message comes later than others may.
    pub(super) scheduled: bool,
    pub(super) rows: BTreeMap<SideKey, Payload>,
}

impl Snapshot {
    pub(super) fn of(stored: &StoredInstance) -> Self {
        Self {
            status: stored.record.status,
            version: stored.record.version.clone(),
            input: stored.record.input.clone(),
            state: stored.record.state.clone(),
            output: stored.record.output.clone(),
            scheduled: stored.record.starts_at.is_some(),
            rows: stored.side.iter().cloned().collect(),
        }
    }

    /// Follows what a store does with a change.
    pub(super) fn apply(&mut self, change: &InstanceChange) {
        self.status = change.status;
        if let Some(Renewal { version, input }) = &change.renew {
            self.version.clone_from(version);
            self.input.clone_from(input);
        }
        if change.state.is_some() {
            self.state.clone_from(&change.state);
        }
        if change.output.is_some() {
            self.output.clone_from(&change.output);
        }
        self.rows.extend(change.put_side.iter().cloned());
        for key in &change.delete_side {
            self.rows.remove(key);
        }
    }
}

/// The first thing that two runs of a turn did differently, if there is one.
pub(super) fn difference(first: &TurnOutput, second: &TurnOutput) -> Option<String> {
    in_order(&actions(first), &actions(second))
        .or_else(|| in_state(first.change.state.as_deref(), second.change.state.as_deref()))
        .or_else(|| in_payload("the custom status", custom_status(first), custom_status(second)))
        .or_else(|| in_payload("the next run's input", next_input(first), next_input(second)))
        .or_else(|| {
            let (a, b) = (first.change.output.as_deref(), second.change.output.as_deref());
            in_payload("the result", a, b)
        })
}

/// Something that a turn wants done: what it is, and its data.
struct Action {
    what: String,
    data: Value,
}

fn actions(out: &TurnOutput) -> Vec<Action> {
    let calls = out.start.iter().map(|call| Action {
        what: format!("the call of `{}` with", call.name),
        data: parsed(Some(call.input.as_str())),
    });
    let timers = out.schedule.iter().map(|(key, due)| Action {
        what: format!("timer {} until", key.task.0),
        data: Value::String(due.to_string()),
    });
    let messages = out.send.iter().map(|message| match &message.creates {
        Some(child) => Action {
            what: format!(
                "starting `{}`{} as `{}` with",
                child.name,
                in_words(&child.version),
                message.target
            ),
            data: parsed(Some(child.input.as_str())),
        },
        None => Action {
            what: format!("sending to `{}`", message.target),
            data: parsed(Some(&message.body.to_payload())),
        },
    });
    calls.chain(timers).chain(messages).collect()
}

fn parsed(text: Option<&str>) -> Value {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn custom_status(out: &TurnOutput) -> Option<&str> {
    out.change.custom_status.as_ref().and_then(|status| status.as_deref())
}

fn next_input(out: &TurnOutput) -> Option<&str> {
    out.change.renew.as_ref().map(|next| &*next.input)
}

/// Actions must be the same in the same order.
fn in_order(first: &[Action], second: &[Action]) -> Option<String> {
    let alike = |index: usize| match (first.get(index), second.get(index)) {
        (Some(a), Some(b)) => a.what == b.what && same(&a.data, &b.data),
        (a, b) => a.is_none() && b.is_none(),
    };
    let index = (0..first.len().max(second.len())).find(|index| !alike(*index))?;
    let name = |action: Option<&Action>| match action {
        Some(action) => format!("{} {}", action.what, shorten(&action.data.to_string())),
        None => "nothing".to_owned(),
    };
    Some(format!(
        "action {} was {} the first time and {} the second",
        index + 1,
        name(first.get(index)),
        name(second.get(index))
    ))
}

fn in_state(first: Option<&str>, second: Option<&str>) -> Option<String> {
    if first == second {
        return None;
    }
    let (first, second) = (parsed(first), parsed(second));
    if first["state"] != second["state"] {
        return Some(format!(
            "it came to state {} the first time and {} the second",
            first["state"], second["state"]
        ));
    }
    let locals = |state: &Value| state["locals"].as_object().cloned().unwrap_or_default();
    let (first_locals, second_locals) = (locals(&first), locals(&second));
    first_locals.iter().find_map(|(name, value)| {
        let other = second_locals.get(name).unwrap_or(&Value::Null);
        (!same(value, other)).then(|| {
            format!(
                "variable `{name}` was {} the first time and {} the second",
                shorten(&value.to_string()),
                shorten(&other.to_string())
            )
        })
    })
}

fn in_payload(what: &str, first: Option<&str>, second: Option<&str>) -> Option<String> {
    let is_same = first == second
        || (first.is_some() && second.is_some() && same(&parsed(first), &parsed(second)));
    (!is_same).then(|| {
        format!(
            "{what} was {} the first time and {} the second",
            shorten(first.unwrap_or("nothing")),
            shorten(second.unwrap_or("nothing"))
        )
    })
}

/// Whether two values are the same where the order in a map or a set means nothing.
fn same(first: &Value, second: &Value) -> bool {
    match (first, second) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w)))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && (a.iter().zip(b).all(|(v, w)| same(v, w)) || same_elements(a, b))
        }
        (a, b) => a == b,
    }
}

fn same_elements(first: &[Value], second: &[Value]) -> bool {
    let sorted = |values: &[Value]| {
        let mut texts: Vec<String> = values.iter().map(Value::to_string).collect();
        texts.sort_unstable();
        texts
    };
    sorted(first) == sorted(second)
}

fn shorten(text: &str) -> String {
    /// How much of a value a message shows, in characters.
    const SHOWN: usize = 200;
    let mut short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}
