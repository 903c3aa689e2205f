//! A server of the HTTP API with all six patterns of durable functions, to be tried with `curl` or
//! with a client library of Azure Durable Functions.

mod patterns;

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use clap::Parser;
use durable::Worker;
use durable::http::{self, HttpOptions};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::patterns::{
    Counter, Failed, approval_workflow, capitalise, chaining, clean, do_work, escalate, fails_once,
    fan_out_fan_in, get_job_status, hello_cities, monitor_job_status, process_approval,
    request_approval, say_hello, send_alert, square, work_at_second_attempt,
};

/// Serves the HTTP API of Durable Functions.
#[derive(Parser)]
struct Options {
    /// Where to listen. An address that others can reach needs a key.
    #[arg(long, default_value = "127.0.0.1:7071")]
    listen: SocketAddr,
    /// Where everything is kept: `memory:` or `sqlite:<file>`.
    #[arg(long, default_value = "memory:")]
    store: String,
    /// The key that requests must have, as `code` in the query or in the header `x-functions-key`.
    #[arg(long, env = "DURABLE_HTTP_KEY", hide_env_values = true)]
    key: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    examples::show_warnings();
    let key = options.key.unwrap_or_default();
    ensure!(
        options.listen.ip().is_loopback() || !key.is_empty(),
        "{} can be reached by others: give a key with --key",
        options.listen
    );
    let store = durable::connect(&options.store)
        .await
        .with_context(|| format!("opening the store {} (--store)", options.store))?;
    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("listening on {} (--listen)", options.listen))?;
    let address = listener.local_addr()?;
    let worker = start_worker(store).await?;
    let router = http::router(worker.client(), HttpOptions::new().key(key.clone()));

    show_commands(address, &key);
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        println!("stopping");
    };
    http::serve(listener, router, stop).await?;
    worker.shutdown().await;
    println!("stopped");
    Ok(())
}

async fn start_worker(store: std::sync::Arc<dyn durable::store::Store>) -> anyhow::Result<Worker> {
    let worker = Worker::builder(store)
        .orchestrator(chaining)
        .orchestrator(hello_cities)
        .orchestrator(fan_out_fan_in)
        .orchestrator(do_work)
        .orchestrator(monitor_job_status)
        .orchestrator(approval_workflow)
        .orchestrator(fails_once)
        .activity(clean)
        .activity(capitalise)
        .activity(say_hello)
        .activity(square)
        .activity(get_job_status)
        .activity(send_alert)
        .activity(request_approval)
        .activity(process_approval)
        .activity(escalate)
        .activity(work_at_second_attempt)
        .entity::<Counter>()
        .data(Failed::default())
        .start()
        .await?;
    Ok(worker)
}

fn show_commands(address: SocketAddr, key: &str) {
    let url = format!("http://{address}");
    let base = format!("{url}{}", http::BASE_PATH);
    let key = if key.is_empty() { "" } else { " -H \"x-functions-key: $KEY\"" };
    println!("listening on {url}\n");
    println!("try{}:", if key.is_empty() { "" } else { ", with the key in $KEY" });
    let commands = [
        ("-d '\"new york\"'", format!("{url}/api/orchestrators/Chaining?timeout=10")),
        ("-X POST", format!("{url}/api/orchestrators/HelloCities?timeout=10")),
        ("-d '[1, 2, 3]'", format!("{url}/api/orchestrators/FanOutFanIn?timeout=10")),
        ("-i -X POST", format!("{url}/api/orchestrators/DoWork/work-1")),
        ("-i", format!("{base}/instances/work-1")),
        (
            "-d '{\"jobId\": \"j1\", \"looksUntilDone\": 2}'",
            format!("{url}/api/orchestrators/MonitorJobStatus?timeout=10"),
        ),
        (
            "-d '{\"subject\": \"a new desk\"}'",
            format!("{url}/api/orchestrators/ApprovalWorkflow/desk"),
        ),
        (
            "-H 'Content-Type: application/json' -d true",
            format!("{base}/instances/desk/raiseEvent/ApprovalEvent"),
        ),
        (
            "-H 'Content-Type: application/json' -d 5",
            format!("{base}/entities/Counter/clicks?op=add"),
        ),
        ("", format!("{base}/entities/Counter/clicks")),
        ("", format!("{base}/instances?runtimeStatus=Completed&showInput=false")),
        ("", format!("{url}/openapi.json")),
    ];
    for (options, url) in commands {
        let options = if options.is_empty() { String::new() } else { format!(" {options}") };
        println!("  curl{key}{options} '{url}'");
    }
}
