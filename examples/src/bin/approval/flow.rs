//! The orchestration: it asks one approver after the other, waits for an answer as long as it may,
//! and records what came of it. Nothing here knows of the command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use durable::prelude::*;
use examples::{blocking, files};
use serde::{Deserialize, Serialize};

/// The answer of an approver, as a typed event: both ends agree on its name and its data.
pub(crate) const ANSWER: Event<Answer> = Event::new("Answer");

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) what: String,
    pub(crate) cents: u64,
    /// Who is asked, one after the other.
    pub(crate) approvers: Vec<String>,
    /// How long each of them has.
    pub(crate) timeout: Duration,
}

/// What an approver says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) approved: bool,
    pub(crate) by: String,
}

/// What came of a request. The answer is missing if nobody gave one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Decision {
    pub(crate) request: String,
    pub(crate) what: String,
    pub(crate) cents: u64,
    pub(crate) answer: Option<Answer>,
    pub(crate) at: Timestamp,
}

impl Decision {
    /// In words.
    pub(crate) fn outcome(&self) -> String {
        match &self.answer {
            Some(Answer { approved: true, by }) => format!("approved by {by}"),
            Some(Answer { approved: false, by }) => format!("rejected by {by}"),
            None => "not answered in time".to_owned(),
        }
    }
}

/// The custom status of a request: who has to answer, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WaitsFor {
    pub(crate) approver: String,
    pub(crate) until: Timestamp,
}

/// A letter to an approver.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Letter {
    request: String,
    what: String,
    cents: u64,
    waits_for: WaitsFor,
    /// Who was asked before, and did not answer.
    silent: Vec<String>,
}

/// Where letters and decisions go, as application data of the worker.
#[derive(Debug, Clone)]
pub(crate) struct Outbox(pub(crate) PathBuf);

/// Puts a letter into the outbox. Written again it is the same file.
#[activity]
pub(crate) async fn send_letter(ctx: &ActivityContext, letter: Letter) -> anyhow::Result<()> {
    let Letter { request, what, cents, waits_for: WaitsFor { approver, until }, silent } = letter;
    let mut text = format!(
        "To: {approver}\nRequest: {request}\n\n{what} for {}\n\nPlease answer before {}:\n    \
         approval approve {request} --by {approver}\n    approval reject {request} --by {approver}\n",
        amount(cents),
        when(until),
    );
    for name in silent {
        text.push_str(&format!("\n{name} was asked before you, and has not answered.\n"));
    }
    let name = format!("{request}.to-{approver}.txt");
    write(ctx.data::<Outbox>()?.0.join(name), text).await
}

/// Records a decision. Written again it is the same file.
#[activity]
pub(crate) async fn record_decision(
    ctx: &ActivityContext,
    decision: Decision,
) -> anyhow::Result<()> {
    let Decision { request, what, cents, at, .. } = &decision;
    let outcome = decision.outcome();
    let text = format!("{request}: {what} for {}\n{outcome}\n{}\n", amount(*cents), when(*at));
    write(ctx.data::<Outbox>()?.0.join(format!("{request}.decision.txt")), text).await
}

async fn write(path: PathBuf, text: String) -> anyhow::Result<()> {
    let hint = "the outbox of the worker cannot be written to";
    let write = move || {
        files::write_atomically(&path, |out| Ok(out.write_all(text.as_bytes())?)).context(hint)
    };
    blocking(write).await
}

/// An amount of money, for people.
pub(crate) fn amount(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// A point in time, for people.
pub(crate) fn when(time: Timestamp) -> String {
    humantime::format_rfc3339_seconds(time.into()).to_string()
}

/// Asks one approver after the other, until one answers. A disk that is full for a while delays a
/// letter, and does not lose the request.
#[orchestrator]
pub(crate) async fn approval(
    ctx: &OrchestrationContext,
    request: Request,
) -> Result<Decision, TaskError> {
    let patient = RetryPolicy::exponential(Duration::from_secs(1))
        .max_interval(Duration::from_mins(10))
        .max_attempts(u32::MAX);
    let mut silent = Vec::new();
    let mut answer = None;
    for approver in request.approvers.clone() {
        let until = ctx.now() + request.timeout;
        let waits_for = WaitsFor { approver: approver.clone(), until };
        ctx.set_custom_status(waits_for.clone());
        let letter = Letter {
            request: ctx.instance_id(),
            what: request.what.clone(),
            cents: request.cents,
            waits_for,
            silent: silent.clone(),
        };
        send_letter(letter).retry(patient.clone()).await?;
        select! {
            given = ctx.wait_for_event(ANSWER) => {
                answer = Some(given?);
                break;
            }
            () = ctx.sleep_until(until) => silent.push(approver),
        }
    }
    let Request { what, cents, .. } = request;
    let decision = Decision { request: ctx.instance_id(), what, cents, answer, at: ctx.now() };
    record_decision(decision.clone()).retry(patient).await?;
    Ok(decision)
}
