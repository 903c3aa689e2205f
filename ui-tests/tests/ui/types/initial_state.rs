//! An entity begins from `Default`, or from the state that it names.

use durable::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
enum Light {
    Off,
    On,
}

#[entity]
impl Light {
    fn switch(&mut self) {
        *self = if matches!(self, Self::On) { Self::Off } else { Self::On };
    }
}

fn main() {}
