//! What the generated bodies stand on: their types, their activities twice, and the comparison.
//! This file is compiled in the throw-away crate that the differential test writes.

pub mod answers;
pub mod calls;
pub mod compare;
pub mod plain;

use std::fmt;

use durable::TaskError;
use serde::{Deserialize, Serialize};

/// A value with parts that do not copy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Item {
    pub id: i64,
    pub name: String,
    pub tags: Vec<i64>,
}

/// How a body fails.
#[derive(Debug, Serialize, Deserialize)]
pub enum Fault {
    Task(TaskError),
    Custom(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(error) => error.fmt(f),
            Self::Custom(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Fault {}

impl From<TaskError> for Fault {
    fn from(error: TaskError) -> Self {
        Self::Task(error)
    }
}
