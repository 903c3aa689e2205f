//! The six patterns of durable functions under stable names, small enough to be tried with `curl`.
//! Each takes one JSON value, as functions of the original do.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use durable::prelude::*;
use serde::{Deserialize, Serialize};

/// 1, function chaining: cleans a text, capitalises its words, and greets them.
/// `"  new   york "` gives `"Hello New York!"`.
#[orchestrator(name = "Chaining")]
pub(crate) async fn chaining(text: String) -> Result<String, TaskError> {
    let clean = clean(text).await?;
    let capitalised = capitalise(clean).await?;
    say_hello(capitalised).await
}

/// The same without an input: the greetings of three cities, as in the original's first sample.
#[orchestrator(name = "HelloCities")]
pub(crate) async fn hello_cities() -> Result<Vec<String>, TaskError> {
    let mut greetings = Vec::new();
    greetings.push(say_hello("Tokyo".to_owned()).await?);
    greetings.push(say_hello("Seattle".to_owned()).await?);
    greetings.push(say_hello("London".to_owned()).await?);
    Ok(greetings)
}

#[activity(name = "Clean")]
pub(crate) async fn clean(text: String) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[activity(name = "Capitalise")]
pub(crate) async fn capitalise(text: String) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(char::to_uppercase);
        first.into_iter().flatten().chain(letters).collect::<String>()
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[activity(name = "SayHello")]
pub(crate) async fn say_hello(name: String) -> String {
    format!("Hello {name}!")
}

/// 2, fan-out and fan-in: squares numbers side by side and adds them up. `[1, 2, 3]` gives `14`.
#[orchestrator(name = "FanOutFanIn")]
pub(crate) async fn fan_out_fan_in(numbers: Vec<u32>) -> Result<u64, TaskError> {
    let squares: Vec<u64> = try_join_all(numbers.into_iter().map(square)).await?;
    Ok(squares.iter().sum())
}

#[activity(name = "Square")]
pub(crate) async fn square(number: u32) -> u64 {
    u64::from(number) * u64::from(number)
}

/// How many steps [`do_work`] has, if nothing else is said.
const STEPS: u32 = 3;

/// 3, the asynchronous HTTP API: work that takes a second a step and tells how far it is. No input,
/// or the number of steps, 3 by default; gives the number of steps that it took.
#[orchestrator(name = "DoWork")]
pub(crate) async fn do_work(ctx: &OrchestrationContext, steps: Option<u32>) -> u32 {
    let steps = steps.unwrap_or(STEPS);
    let mut done = 0;
    while done < steps {
        ctx.set_custom_status(format!("{done} of {steps}"));
        ctx.sleep(Duration::from_secs(1)).await;
        done += 1;
    }
    done
}

/// A job that [`monitor_job_status`] looks at.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Job {
    /// Its name.
    #[serde(rename = "jobId")]
    id: String,
    /// How often it has to be looked at until it is done.
    #[serde(default)]
    looks_until_done: u32,
    /// The time between two looks, in seconds.
    #[serde(default = "one")]
    polling_interval: u64,
    /// When it is given up, in seconds from the start.
    #[serde(default = "one_hour")]
    expiry: u64,
}

fn one() -> u64 {
    1
}

fn one_hour() -> u64 {
    3600
}

/// 4, monitor: looks at a job until it is done or its time is over.
/// `{"jobId": "j1", "looksUntilDone": 2}` gives `"j1 is done"` after two seconds.
#[orchestrator(name = "MonitorJobStatus")]
pub(crate) async fn monitor_job_status(
    ctx: &OrchestrationContext,
    job: Job,
) -> Result<String, TaskError> {
    let expiry = ctx.now() + Duration::from_secs(job.expiry);
    let mut looks = 0;
    while ctx.now() < expiry {
        let status = get_job_status(job.clone(), looks).await?;
        ctx.set_custom_status(status.clone());
        if status == "Completed" {
            return send_alert(job.id).await;
        }
        looks += 1;
        ctx.sleep(Duration::from_secs(job.polling_interval)).await;
    }
    Ok(format!("{} took too long", job.id))
}

#[activity(name = "GetJobStatus")]
pub(crate) async fn get_job_status(job: Job, looks: u32) -> String {
    let is_done = looks >= job.looks_until_done;
    if is_done { "Completed" } else { "Running" }.to_owned()
}

#[activity(name = "SendAlert")]
pub(crate) async fn send_alert(job: String) -> String {
    format!("{job} is done")
}

/// What is to be approved.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Approval {
    /// What it is about.
    #[serde(default)]
    subject: String,
    /// How long an answer is waited for, in seconds.
    #[serde(default = "three_days")]
    due_in: u64,
}

fn three_days() -> u64 {
    72 * 3600
}

/// 5, human interaction: asks for an approval and waits for the event `ApprovalEvent`, `true` or
/// `false`; without an answer the request is escalated. No input, or
/// `{"subject": "a new desk", "dueIn": 60}`.
#[orchestrator(name = "ApprovalWorkflow")]
pub(crate) async fn approval_workflow(
    ctx: &OrchestrationContext,
    approval: Option<Approval>,
) -> Result<String, TaskError> {
    let approval =
        approval.unwrap_or(Approval { subject: "something".to_owned(), due_in: three_days() });
    request_approval(approval.subject.clone()).await?;
    ctx.set_custom_status("waiting for ApprovalEvent");
    let answer = ctx.wait_for_event::<bool>("ApprovalEvent");
    match answer.timeout(Duration::from_secs(approval.due_in)).await? {
        Some(approved) => process_approval(approval.subject, approved).await,
        None => escalate(approval.subject).await,
    }
}

#[activity(name = "RequestApproval")]
pub(crate) async fn request_approval(subject: String) {
    tracing::info!("an approval is wanted: {subject:?}");
}

#[activity(name = "ProcessApproval")]
pub(crate) async fn process_approval(subject: String, approved: bool) -> String {
    format!("{subject}: {}", if approved { "approved" } else { "rejected" })
}

#[activity(name = "Escalate")]
pub(crate) async fn escalate(subject: String) -> String {
    format!("{subject}: escalated")
}

/// 6, aggregator: an entity that counts. Operations `add` with a number, `reset`, `get`, `delete`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Counter {
    value: i64,
}

#[entity]
impl Counter {
    pub(crate) fn add(&mut self, amount: i64) -> i64 {
        self.value += amount;
        self.value
    }

    pub(crate) fn reset(&mut self) {
        self.value = 0;
    }

    pub(crate) fn get(&self) -> i64 {
        self.value
    }
}

/// What has failed once already.
#[derive(Debug, Default)]
pub(crate) struct Failed(Mutex<HashSet<String>>);

/// Fails the first time that it is asked for a name, so that there is something to rewind:
/// `"anything"`.
#[orchestrator(name = "FailsOnce")]
pub(crate) async fn fails_once(name: String) -> Result<String, TaskError> {
    let clean = clean(name).await?;
    work_at_second_attempt(clean).await
}

#[activity(name = "WorkAtSecondAttempt")]
pub(crate) async fn work_at_second_attempt(
    ctx: &ActivityContext,
    name: String,
) -> anyhow::Result<String> {
    let failed = ctx.data::<Failed>()?;
    let is_new = failed.0.lock().is_ok_and(|mut failed| failed.insert(name.clone()));
    anyhow::ensure!(!is_new, "{name} does not work yet");
    Ok(format!("{name} works"))
}
