//! Accepts messages from outside. What most of them need is assumed at first (no message known,
//! targets that run, ids that are free) and checked by the statement that stores them: one round
//! trip. Where that is not so they are looked up, decided, and stored on the same terms.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::Row;
use sqlx::postgres::PgRow;
use tokio::sync::oneshot;

use crate::Timestamp;
use crate::codes::status;
use crate::deciding::{Decisions, Found, Target, decide};
use crate::error::{StoreError, StoreErrorKind};
use crate::model::{Accepted, Condition, Envelope, InstanceNo, Status};

use super::Inner;
use super::committing::{behind, close, is_open, transaction};
use super::errors::Failure;
use super::gathering::{Gathering, Grouped, hand_in};
use super::parts::{Group, expectation, messages, starts};
use super::pool::{Delays, Ran};
use super::sql;
use super::statement::{Part, Statement, Value};

/// How often envelopes are looked up and decided while others change what they depend on. Each
/// time somebody else got further.
const MAX_DECISIONS: u32 = 100;

/// Groups that are under way at the same time.
const LANES: usize = 4;
/// Envelopes of one group; a single caller may bring more.
const MAX_GROUP_ENVELOPES: usize = 500;

/// What one caller sends.
#[derive(Debug)]
pub(super) struct Sending {
    envelopes: Vec<Envelope>,
    now: Timestamp,
    answer: oneshot::Sender<crate::Result<Vec<Accepted>>>,
}

impl Grouped for Sending {
    fn gathering(inner: &Inner) -> &Gathering<Self> {
        &inner.sends
    }

    fn weight(&self) -> usize {
        self.envelopes.len()
    }

    async fn run(inner: &Arc<Inner>, group: Vec<Self>) {
        inner.send_group(group).await;
    }
}

/// What is sent, as it waits.
pub(super) fn sends() -> Gathering<Sending> {
    Gathering::new(LANES, MAX_GROUP_ENVELOPES)
}

/// See [`Store::send`](crate::Store::send). The envelopes were checked.
pub(super) async fn send(
    inner: &Arc<Inner>,
    envelopes: Vec<Envelope>,
    now: Timestamp,
) -> crate::Result<Vec<Accepted>> {
    let (answer, answers) = oneshot::channel();
    hand_in(inner, Sending { envelopes, now, answer });
    let ended = || StoreError::new(StoreErrorKind::Other, "send", "the runtime has ended");
    answers.await.unwrap_or_else(|_| Err(ended()))
}

/// An envelope, and the time that opens the window in which its id is remembered.
pub(super) type Sent<'a> = (&'a Envelope, Timestamp);

impl Inner {
    async fn send_group(&self, group: Vec<Sending>) {
        let sent: Vec<Sent<'_>> = group
            .iter()
            .flat_map(|entry| entry.envelopes.iter().map(|envelope| (envelope, entry.now)))
            .collect();
        match self.accept(&sent).await {
            Ok(answers) => {
                let mut answers = answers.into_iter();
                for Sending { envelopes, answer, .. } in group {
                    // Nobody waits any more: it happened all the same.
                    let _ = answer.send(Ok(answers.by_ref().take(envelopes.len()).collect()));
                }
            }
            Err(failure) if failure.is_passing() || group.len() == 1 => {
                let text = failure.error.to_string();
                let first = self.failed_once("send", failure);
                let kind = first.kind();
                let mut first = Some(first);
                for Sending { answer, .. } in group {
                    let error =
                        first.take().unwrap_or_else(|| StoreError::new(kind, "send", &text));
                    let _ = answer.send(Err(error));
                }
            }
            // Something is wrong with what one of them sends: it is his alone.
            Err(_) => {
                for Sending { envelopes, now, answer } in group {
                    let sent: Vec<Sent<'_>> =
                        envelopes.iter().map(|envelope| (envelope, now)).collect();
                    let answers = self.accept(&sent).await;
                    let answers = answers.map_err(|failure| self.failed_once("send", failure));
                    let _ = answer.send(answers);
                }
            }
        }
    }

    /// Stores those of `envelopes` whose condition holds, and hints at the partitions that got one.
    pub(super) async fn accept(&self, envelopes: &[Sent<'_>]) -> Ran<Vec<Accepted>> {
        let only: Vec<&Envelope> = envelopes.iter().map(|(envelope, _)| *envelope).collect();
        let mut found = assumptions(&only);
        let mut delays = Delays::default();
        for _ in 0..MAX_DECISIONS {
            let known = match found.take() {
                Some(found) => found,
                None => self.look_up(&only).await?,
            };
            let Decisions { answers, replaced } = decide(&only, known);
            match self.store(envelopes, &answers, &replaced).await {
                Ok(true) => {
                    let accepted = only.iter().zip(&answers);
                    let accepted = accepted.filter(|(_, answer)| **answer == Accepted::Sent);
                    self.signals.hint(accepted.map(|(sent, _)| sent.hint()).collect());
                    return Ok(answers);
                }
                Ok(false) => {}
                Err(failure) if failure.is_surprise() => {}
                // What was stored before the connection was lost is found as a duplicate.
                Err(failure) if failure.is_passing() && delays.next().await => {}
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::before(sqlx::Error::PoolTimedOut))
    }

    async fn look_up(&self, envelopes: &[&Envelope]) -> Ran<Vec<Found>> {
        let values = vec![
            Value::texts(envelopes, |envelope| &envelope.message.id),
            Value::texts(envelopes, |envelope| &envelope.message.target),
        ];
        let statement = Statement::of(&self.names, sql::LOOK_UP, values);
        let rows = self.pool.run_again(&statement).await?;
        let mut found: Vec<Found> = envelopes.iter().map(|_| Found::default()).collect();
        for row in &rows {
            let (place, entry) = read_found(row).map_err(Failure::before)?;
            let place = usize::try_from(place - 1).unwrap_or(usize::MAX);
            if let Some(slot) = found.get_mut(place) {
                *slot = entry;
            }
        }
        Ok(found)
    }

    /// Stores what was decided, if everything still is as it was decided on. Whether it did.
    async fn store(
        &self,
        envelopes: &[Sent<'_>],
        answers: &[Accepted],
        replaced: &[InstanceNo],
    ) -> Ran<bool> {
        let sent: Vec<Sent<'_>> = envelopes
            .iter()
            .zip(answers)
            .filter(|(_, answer)| **answer == Accepted::Sent)
            .map(|(sent, _)| *sent)
            .collect();
        if sent.is_empty() {
            return Ok(true);
        }
        let mut gate = self.gate(&sent, !replaced.is_empty());
        let (groups, entangled) = groups(&sent, replaced);
        if !entangled {
            close(&mut gate, groups.into_iter().flatten());
            return is_open(&self.pool.run(&gate).await?);
        }
        close(&mut gate, std::iter::empty());
        let then = behind(&self.names, groups);
        let mut used = self.pool.acquire().await?;
        let result = transaction(&mut used, &gate, &then).await;
        if matches!(result, Ok(true)) || used.execute(sql::ROLLBACK).await.is_ok() {
            used.give_back();
        }
        result
    }

    /// The part that checks what was decided on. An id that is to be free after a replacement is
    /// checked by its index.
    fn gate(&self, sent: &[Sent<'_>], replaces: bool) -> Statement {
        // For the receipts, the inbox and the schedule.
        let ids = || Value::texts(sent, |(envelope, _)| &envelope.message.id);
        let values = vec![ids(), ids(), ids()];
        let mut gate = Statement::of(&self.names, sql::GATE_SEND, values);
        let new = sent.iter().filter_map(|(envelope, _)| envelope.condition.created());
        let new: Vec<&str> = new.map(|new| &*new.id).collect();
        let running = running_before(sent);
        if !running.is_empty() {
            let count = i64::try_from(running.len()).unwrap_or(i64::MAX);
            let running = Value::Texts(running.into_iter().collect());
            gate.push(Part::new(sql::IF_RUNNING, vec![running, Value::Number(count)]));
        }
        if !new.is_empty() && !replaces {
            gate.push(Part::new(sql::IF_ABSENT, vec![Value::Texts(new)]));
        }
        gate.extend(sql::GATE_SEND_END);
        gate
    }
}

/// The targets that must run already: what envelopes before made or set running does not count.
fn running_before<'a>(sent: &[Sent<'a>]) -> HashSet<&'a str> {
    let (mut running, mut made) = (HashSet::new(), HashSet::new());
    for (envelope, _) in sent {
        let target = &*envelope.message.target;
        match &envelope.condition {
            Condition::Running if !made.contains(target) => drop(running.insert(target)),
            Condition::None | Condition::Running => {}
            Condition::Creates(_) | Condition::Replaces { .. } | Condition::Reopens => {
                made.insert(target);
            }
        }
    }
    running
}

/// What is assumed of envelopes without looking. None if that would not do for one of them.
fn assumptions(envelopes: &[&Envelope]) -> Option<Vec<Found>> {
    let running = || Target { no: InstanceNo(0), status: Status::Running, request: String::new() };
    let found = |envelope: &&Envelope| match &envelope.condition {
        Condition::Running => Some(Found { seen: false, target: Some(running()) }),
        Condition::None | Condition::Creates(_) | Condition::Replaces { only: None, .. } => {
            Some(Found::default())
        }
        Condition::Replaces { only: Some(_), .. } | Condition::Reopens => None,
    };
    envelopes.iter().map(found).collect()
}

/// A row of the look-up: the place of an envelope, from one, and what is there.
fn read_found(row: &PgRow) -> Result<(i64, Found), sqlx::Error> {
    let code = row.try_get::<Option<i16>, _>(2)?;
    let target = match code.and_then(|code| status(i64::from(code))) {
        Some(status) => {
            Some(Target { no: InstanceNo(row.try_get(4)?), status, request: row.try_get(3)? })
        }
        None => None,
    };
    Ok((row.try_get(0)?, Found { seen: row.try_get(1)?, target }))
}

/// The parts that store what was accepted, and whether one has to see what another did.
fn groups<'a>(sent: &[Sent<'a>], replaced: &[InstanceNo]) -> (Vec<Group<'a>>, bool) {
    let mut groups = Vec::new();
    let mut entangled = false;
    if !replaced.is_empty() {
        entangled = true;
        let numbers = Value::numbers(replaced, |no| no.0);
        groups.push(vec![
            Part::new(sql::REPLACE_NUMBERS, vec![numbers]),
            expectation(sql::EXPECT_REPLACED, replaced.len()),
        ]);
    }
    let reopened = sent.iter().filter(|(e, _)| matches!(e.condition, Condition::Reopens));
    let reopened: Vec<&str> = reopened.map(|(e, _)| &*e.message.target).collect();
    if !reopened.is_empty() {
        let count = reopened.len();
        groups.push(vec![
            Part::new(sql::REOPEN, vec![Value::Texts(reopened)]),
            expectation(sql::EXPECT_REOPENED, count),
        ]);
    }
    starts(&mut groups, sql::START, sent.iter().filter_map(|(e, _)| e.condition.created()));
    let all = sent.iter().map(|(envelope, _)| &envelope.message);
    messages(&mut groups, all, sql::INSERT_INBOX, sql::INSERT_SCHEDULED);
    let receipts = vec![
        Value::texts(sent, |(envelope, _)| &envelope.message.id),
        Value::times(sent, |(_, at)| *at),
    ];
    groups.push(vec![Part::of_rows(sql::INSERT_RECEIPTS, receipts)]);
    (groups, entangled)
}
