//! Human interaction: requests wait for a person's answer, for days if need be, and go to a second
//! approver when the first does not answer in time. Several processes share one database: a worker
//! that runs the requests, and short commands that make, list and answer them.
//!
//! ```sh
//! cargo run -p examples --bin approval -- work &
//! cargo run -p examples --bin approval -- request "a new desk" 490.00 --timeout 2days
//! cargo run -p examples --bin approval -- list
//! cargo run -p examples --bin approval -- approve request-1 --by alice
//! ```
//!
//! The worker writes a letter to the approver, and in the end the decision, into the folder
//! `outbox`. Stop it (Ctrl-C, or `kill -9`) and start it again: whatever was requested or answered
//! meanwhile is taken up, and time limits count on.

mod flow;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::{Parser, Subcommand};
use durable::{
    Client, ClientError, Handle, IdReuse, InstanceKind, InstanceQuery, InstanceStatus, Status,
    Worker,
};
use examples::files;

use crate::flow::{ANSWER, Answer, Decision, Outbox, Request, WaitsFor, amount};

/// Asks people for approval.
#[derive(Parser)]
struct Options {
    /// The database that all commands share; it is created if it does not exist.
    #[arg(long, global = true, default_value = "approval.db")]
    db: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the requests until it is stopped with Ctrl-C.
    Work {
        /// Where letters and decisions go; it is created if it does not exist.
        #[arg(long, default_value = "outbox")]
        outbox: PathBuf,
    },
    /// Makes a request, and prints its id.
    Request {
        /// What it is about.
        what: String,
        /// What it costs, for example 490 or 490.50.
        #[arg(value_parser = cents)]
        amount: u64,
        /// How long each approver has, for example 30s, 8h or 3days.
        #[arg(long, default_value = "3days", value_parser = examples::length)]
        timeout: Duration,
        /// Who is asked, one after the other.
        #[arg(long, value_delimiter = ',', default_value = "manager,director", value_parser = name)]
        approvers: Vec<String>,
    },
    /// Lists the requests that wait.
    List {
        /// Those that are decided too.
        #[arg(long)]
        all: bool,
    },
    /// Says yes to a request.
    Approve {
        /// The id of the request.
        id: String,
        /// Who says so; the one who is asked, if it is not given.
        #[arg(long, value_parser = name)]
        by: Option<String>,
    },
    /// Says no to a request.
    Reject {
        /// The id of the request.
        id: String,
        /// Who says so; the one who is asked, if it is not given.
        #[arg(long, value_parser = name)]
        by: Option<String>,
    },
}

/// How long a command waits for a worker to take an answer.
const TAKEN_WITHIN: Duration = Duration::from_secs(3);

/// Reads an amount of money.
fn cents(text: &str) -> Result<u64, String> {
    let wrong = || "write an amount such as 490 or 490.50".to_owned();
    let (whole, part) = text.split_once('.').unwrap_or((text, "00"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() != 2 {
        return Err(wrong());
    }
    format!("{whole}{part}").parse().map_err(|_| wrong())
}

/// Reads the name of a person, which is part of a file's name too.
fn name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.len() > 64 || !text.chars().all(is_plain) {
        return Err("write a name of up to 64 letters, digits, `-`, `_` and `.`".to_owned());
    }
    Ok(text.to_owned())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Options { db, command } = Options::parse();
    examples::show_warnings();
    match command {
        Command::Work { outbox } => work(&db, &outbox).await,
        Command::Request { what, amount, timeout, approvers } => {
            request(&db, Request { what, cents: amount, approvers, timeout }).await
        }
        Command::List { all } => list(&client(&db).await?, all).await,
        Command::Approve { id, by } => answer(&client(&db).await?, &id, true, by).await,
        Command::Reject { id, by } => answer(&client(&db).await?, &id, false, by).await,
    }
}

/// A client of a database that must be there.
async fn client(db: &Path) -> anyhow::Result<Client> {
    let hint = "there are no requests here: `approval request` makes one, --db names another place";
    ensure!(db.exists(), "{} does not exist, so {hint}", db.display());
    Ok(Client::new(examples::open_database(db).await?))
}

async fn work(db: &Path, outbox: &Path) -> anyhow::Result<()> {
    let hint = || format!("the outbox {} cannot be created", outbox.display());
    std::fs::create_dir_all(outbox).with_context(hint)?;
    files::ensure_writable(outbox)?;
    let worker = Worker::builder(examples::open_database(db).await?)
        .orchestrator(flow::approval)
        .activity(flow::send_letter)
        .activity(flow::record_decision)
        .data(Outbox(outbox.to_owned()))
        .start()
        .await?;
    println!("working on {}, letters go to {}; stop with Ctrl-C", db.display(), outbox.display());
    tokio::signal::ctrl_c().await?;
    worker.shutdown().await;
    Ok(())
}

/// Starts the orchestration under the first number that is free.
async fn request(db: &Path, request: Request) -> anyhow::Result<()> {
    let client = Client::new(examples::open_database(db).await?);
    let mut number = 1 + client.count(&requests(Vec::new())).await?;
    loop {
        let id = format!("request-{number}");
        let call = flow::approval(request.clone()).instance_id(&id).id_reuse(IdReuse::Refuse);
        match client.start(call).await {
            // Somebody else was faster.
            Err(ClientError::AlreadyExists { .. }) => number += 1,
            started => {
                println!("{}", started?.id());
                return Ok(());
            }
        }
    }
}

/// All requests with one of these statuses.
fn requests(statuses: Vec<Status>) -> InstanceQuery {
    let kind = Some(InstanceKind::Orchestration);
    InstanceQuery { kind, name: Some("approval".to_owned()), statuses, ..InstanceQuery::default() }
}

async fn list(client: &Client, all: bool) -> anyhow::Result<()> {
    let open = vec![Status::Pending, Status::Running, Status::Suspended];
    let statuses = if all { Vec::new() } else { open };
    let mut found = client.list(requests(statuses)).stream();
    let mut count = 0;
    while let Some(status) = found.next().await {
        let status = status?;
        let (Request { what, cents, .. },) = status.input.decode()?;
        let stands = stands(&status)?;
        println!("{:12} {:>10}  {what}: {stands}", status.id, amount(cents));
        count += 1;
    }
    if count == 0 {
        println!("no requests wait");
    }
    Ok(())
}

/// Where a request stands, in words.
fn stands(status: &InstanceStatus) -> anyhow::Result<String> {
    if let Some(output) = &status.output {
        return Ok(output.decode::<Decision>()?.outcome());
    }
    if let Some(failure) = &status.failure {
        return Ok(format!("failed: {}", examples::reason(failure)));
    }
    Ok(match &status.custom_status {
        Some(said) => {
            let WaitsFor { approver, until } = said.decode()?;
            format!("waits for {approver} until {}", flow::when(until))
        }
        None => "no worker has it yet (`approval work`)".to_owned(),
    })
}

/// Gives an answer, and waits a moment for the decision.
async fn answer(
    client: &Client,
    id: &str,
    approved: bool,
    by: Option<String>,
) -> anyhow::Result<()> {
    let handle: Handle<Decision> = client.orchestration(id);
    let status = match handle.status().await {
        Err(ClientError::NotFound { .. }) => {
            bail!("there is no request {id}: `approval list --all` shows what there is")
        }
        status => status?,
    };
    let asked = status.custom_status.as_ref().and_then(|said| said.decode::<WaitsFor>().ok());
    let by = by.or(asked.map(|asked| asked.approver)).unwrap_or_else(|| "somebody".to_owned());
    match handle.raise_event(ANSWER, Answer { approved, by: by.clone() }).await {
        Err(ClientError::Ended { .. }) => {
            bail!("{id} is closed: it was {}", stands(&handle.status().await?)?)
        }
        raised => raised?,
    }
    match handle.result().timeout(TAKEN_WITHIN).await {
        Err(ClientError::TimedOut { .. }) => {
            println!(
                "the answer is kept; `approval work` on this database takes it, if it is in time"
            );
        }
        decision => {
            let decision = decision?;
            println!("{id} is {}", decision.outcome());
            let ours = decision.answer == Some(Answer { approved, by });
            ensure!(ours, "another answer was there before this one");
        }
    }
    Ok(())
}
