//! Lints of the user's own code still fire inside of what the macros make, at the user's lines. A
//! comment names the lint that its line has.

use durable::prelude::*;
use serde::{Deserialize, Serialize};

#[activity]
pub async fn work(n: u64) -> u64 {
    let unused = 1; //~ unused_variables
    return n; //~ clippy::needless_return
}

#[derive(Default, Serialize, Deserialize)]
pub struct Counter {
    count: i64,
}

#[entity]
impl Counter {
    pub fn add(&mut self, n: i64) -> i64 {
        let mut twice = n * 2; //~ unused_mut
        self.count = self.count + twice; //~ clippy::assign_op_pattern
        self.count
    }
}

#[orchestrator]
pub async fn orchestration(
    ctx: &OrchestrationContext,
    unused_argument: u64, //~ unused_variables
) -> Result<u64, TaskError> {
    let before = 1; //~ unused_variables
    let mut never_changed = 2; //~ unused_mut
    work(1); //~ unused_must_use
    ctx.sleep(std::time::Duration::from_secs(1)); //~ unused_must_use
    let n = work(never_changed).await?;
    let after = n; //~ unused_variables
    if n == 1 {
        let inner = work(2).await?; //~ unused_variables
    }
    let list = work(3).await.into_iter().collect::<Vec<_>>();
    if list.len() == 0 { //~ clippy::len_zero
        return Ok(0);
    }
    let size = list.len() as u64 + 0; //~ clippy::identity_op
    work(size).await?;
    Ok(n)
}

pub struct Host;

#[activity]
impl Host {
    pub async fn method(&self, n: u64) -> u64 {
        let unused = n; //~ unused_variables
        n.clone() //~ clippy::clone_on_copy
    }
}
