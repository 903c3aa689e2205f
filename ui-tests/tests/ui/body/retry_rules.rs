//! Retry rules are found again after a restart, so they capture nothing and stand in the orchestrator.

use std::time::Duration;

use durable::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Coded {
    code: u32,
}

impl std::fmt::Display for Coded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.code)
    }
}

impl std::error::Error for Coded {}

#[activity]
async fn call() -> Result<(), Coded> {
    Ok(())
}

fn policy() -> RetryPolicy {
    RetryPolicy::fixed(Duration::from_secs(1))
}

#[orchestrator]
async fn captures(limit: u32) -> Result<(), TaskError> {
    call().retry(policy().retry_if(|error: &Coded| error.code < limit)).await
}

#[orchestrator]
async fn untyped() -> Result<(), TaskError> {
    call().retry(policy().retry_if(|error| error.code < 500)).await
}

#[orchestrator]
async fn made() -> Result<(), TaskError> {
    call().retry(policy().retry_if(Box::new(|error: &Coded| error.code < 500))).await
}

#[orchestrator]
async fn other_result() -> Result<(), TaskError> {
    call().retry(policy().retry_after(|failed: &FailedAttempt| failed.attempt)).await
}

fn elsewhere() -> RetryPolicy {
    policy().retry_if(|error: &Coded| error.code < 500)
}

fn main() {}
