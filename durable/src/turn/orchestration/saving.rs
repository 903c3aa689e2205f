//! How an orchestration is saved and restored: legible JSON with the position and the variables of the
//! program, and the engine's part beside them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use durable_store::{Payload, SideKey, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Changes, OrchestrationInstance, Start};
use crate::error::Failure;
use crate::message::ReplyTo;
use crate::program::{Incompatible, Machine, SavedMachine, SavedPosition};
use crate::task::Waiting;
use crate::turn::core::{BufferedEvent, Task};
use crate::turn::kept::Kept;
use crate::turn::sections::Section;
use crate::turn::shelf::Shelf;
use crate::turn::watch::Watch;
use crate::turn::{Blocked, TURN_KEY};

/// What an orchestration saves.
#[derive(Serialize)]
struct Saved<'a> {
    state: &'a str,
    locals: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    awaiting: Option<&'a Waiting>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    branches: Vec<Option<SavedPosition>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tasks: BTreeMap<i64, &'a Task>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    events: BTreeMap<i64, &'a BufferedEvent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    section: Option<&'a Section>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<&'a ReplyTo>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    idle: bool,
    #[serde(skip_serializing_if = "Start::is_over")]
    start: Start,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<&'a Kept>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rewinding: Option<&'a str>,
    now: Timestamp,
    turn: i64,
    next_task: i64,
    next_event: i64,
    sent: i64,
    drawn: i64,
}

#[derive(Deserialize)]
struct Loaded<'a> {
    state: String,
    #[serde(borrow)]
    locals: &'a RawValue,
    #[serde(default)]
    awaiting: Option<Waiting>,
    #[serde(default)]
    branches: Vec<Option<SavedPosition>>,
    #[serde(default)]
    tasks: BTreeMap<i64, Task>,
    #[serde(default)]
    events: BTreeMap<i64, BufferedEvent>,
    #[serde(default)]
    section: Option<Section>,
    #[serde(default)]
    reply: Option<ReplyTo>,
    /// No program is under way: it has not begun, or it is over.
    #[serde(default)]
    idle: bool,
    #[serde(default = "Start::over")]
    start: Start,
    #[serde(default)]
    kept: Option<Kept>,
    #[serde(default)]
    rewinding: Option<String>,
    now: Timestamp,
    turn: i64,
    next_task: i64,
    next_event: i64,
    sent: i64,
    drawn: i64,
}

/// Side rows of buffered events have negative keys, below the one of the turn number.
fn event_key(number: i64) -> i64 {
    -number
}

impl OrchestrationInstance {
    /// Reads the numbers that were used in turns which did not write the state.
    pub(super) fn restore_numbers(&mut self, rows: &[(SideKey, Payload)]) -> Result<(), Blocked> {
        if let Some((_, row)) = rows.iter().find(|(key, _)| *key == TURN_KEY) {
            let (turn, sent) =
                serde_json::from_str(row).map_err(|e| Blocked::Malformed(e.to_string()))?;
            self.core.turn = turn;
            self.core.sent = sent;
            self.turn_in_row = true;
        }
        Ok(())
    }

    pub(super) fn restore(
        &mut self,
        state: &str,
        rows: &[(SideKey, Payload)],
    ) -> Result<(), Blocked> {
        let malformed = |e: serde_json::Error| Blocked::Malformed(e.to_string());
        let loaded: Loaded<'_> = serde_json::from_str(state).map_err(malformed)?;
        let (mut task_rows, mut event_rows) = (Vec::new(), Vec::new());
        for (key, row) in rows {
            if *key == TURN_KEY {
                continue;
            }
            if *key > 0 {
                task_rows.push((*key, serde_json::from_str(row).map_err(malformed)?));
            } else {
                event_rows.push((-*key, serde_json::from_str(row).map_err(malformed)?));
            }
        }
        let core = &mut self.core;
        core.now = loaded.now;
        core.turn = loaded.turn;
        core.next_task = loaded.next_task;
        // Events that came without a turn of the program have used up numbers since.
        let buffered = event_rows.iter().map(|(number, _): &(i64, BufferedEvent)| *number);
        let taken = task_rows.iter().filter_map(|(_, task): &(i64, Task)| task.event_number());
        core.next_event =
            buffered.chain(taken).map(|number| number + 1).fold(loaded.next_event, i64::max);
        core.sent = loaded.sent;
        core.drawn = loaded.drawn;
        core.reply = loaded.reply;
        core.section = loaded.section;
        self.start = loaded.start;
        self.kept = loaded.kept;
        self.rewinding = loaded.rewinding;
        core.tasks = Shelf::restore(loaded.tasks, task_rows);
        core.events = Shelf::restore(loaded.events, event_rows);
        core.running_activities =
            core.tasks.iter().filter(|(_, t)| t.is_running_activity()).count();
        self.restore_numbers(rows)?;
        self.check_rules()?;
        // What failed may be marked as running already, before it is told to go on.
        if !self.status.is_terminal() && !loaded.idle {
            let Loaded { state, awaiting, branches, locals, .. } = loaded;
            let position = SavedPosition { state, awaiting, branches };
            if let Some(misfit) = &mut self.misfit {
                misfit.stands(position, locals);
                return Ok(());
            }
            let saved = SavedMachine { position, locals };
            // The variables are decoded by code of the user's.
            let machine = catch_unwind(AssertUnwindSafe(|| self.program.load(&saved)))
                .map_err(|panic| Blocked::Malformed(Failure::of_panic(&*panic).message))??;
            self.watch = Watch::of(&*machine, &self.core);
            self.machine = Some(machine);
            self.locals = Some(locals.get().to_owned());
        }
        Ok(())
    }

    /// Whether the program still has the retry rules of the calls that are under way. One of another
    /// orchestrator it never had: that is an error of the call when the rule is asked.
    fn check_rules(&self) -> Result<(), Incompatible> {
        let rules = self.program.rules();
        let own = format!("{}.", self.core.identity.name);
        let of_calls = self.core.tasks.iter().filter_map(|(_, task)| task.retry.as_ref());
        let mut named =
            of_calls.flat_map(|retry| retry.rules()).filter(|name| name.starts_with(&own));
        match named.find(|name| rules.iter().all(|rule| rule.name() != *name)) {
            Some(rule) => Err(Incompatible::UnknownRule { rule: rule.to_owned() }),
            None => Ok(()),
        }
    }

    /// Encodes the state if it changed, and the side rows that did.
    pub(super) fn try_encode(&mut self, changes: &mut Changes) -> Result<(), Failure> {
        let rewrite = changes.stepped
            || changes.rewrite
            || self.core.tasks.inline_changed()
            || self.core.events.inline_changed();
        if rewrite {
            changes.state = Some(self.encode()?);
            if std::mem::take(&mut self.turn_in_row) {
                changes.delete_side.push(TURN_KEY);
            }
        } else {
            // The state stays as it is, but numbers that were used must not be used again.
            let row = serde_json::to_string(&(self.core.turn, self.core.sent));
            changes.put_side.push((TURN_KEY, row.map_err(Failure::of)?.into()));
            self.turn_in_row = true;
        }
        let (puts, deletes) = (&mut changes.put_side, &mut changes.delete_side);
        self.core
            .tasks
            .flush(|number| number, puts, deletes)
            .and_then(|()| self.core.events.flush(event_key, puts, deletes))
            .map_err(Failure::of)
    }

    fn encode(&mut self) -> Result<Payload, Failure> {
        let locals = match (&mut self.machine, self.locals.take()) {
            (Some(_), Some(locals)) => locals,
            // The variables are saved by code of the user's.
            (Some(machine), None) => catch_unwind(AssertUnwindSafe(|| machine.save()))
                .map_err(|panic| Failure::of_panic(&*panic))?
                .map_err(Failure::of)?,
            (None, _) => "{}".to_owned(),
        };
        let core = &self.core;
        let saved = Saved {
            state: self.state_name(),
            locals: serde_json::from_str(&locals).map_err(Failure::of)?,
            awaiting: self.machine.as_deref().and_then(Machine::awaiting),
            branches: self.machine.as_deref().map(Machine::branches).unwrap_or_default(),
            tasks: core.tasks.inline_items(),
            events: core.events.inline_items(),
            section: core.section.as_ref(),
            reply: core.reply.as_ref(),
            idle: self.machine.is_none(),
            start: self.start,
            kept: self.kept.as_ref(),
            rewinding: self.rewinding.as_deref(),
            now: core.now,
            turn: core.turn,
            next_task: core.next_task,
            next_event: core.next_event,
            sent: core.sent,
            drawn: core.drawn,
        };
        let text = serde_json::to_string(&saved).map_err(Failure::of)?;
        self.locals = self.machine.is_some().then_some(locals);
        let limit = durable_store::limits::MAX_PAYLOAD_BYTES;
        if text.len() > limit {
            let message = format!(
                "the state to be saved has {} bytes, the limit is {limit}: keep large data \
                 elsewhere and hold a reference to it",
                text.len()
            );
            return Err(Failure::new("StateTooLarge", message));
        }
        Ok(text.into())
    }
}
