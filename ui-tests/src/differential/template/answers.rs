//! What every activity answers: a function of its name and its arguments, and of the run.

use std::cell::Cell;

use durable::__private::{Json, Outcome, TaskFailure};
use durable::{Failure, TaskErrorKind};

use crate::Item;

thread_local! {
    static SALT: Cell<u64> = const { Cell::new(0) };
}

/// Makes the answers of the next run differ from those of the last.
pub fn set_salt(salt: u64) {
    SALT.set(salt);
}

fn hash(name: &str, args: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ SALT.get();
    for byte in name.bytes().chain(args.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^ (hash >> 29)
}

/// The answer to a call.
pub fn answer(name: &str, args: &str) -> Outcome {
    let hash = hash(name, args);
    let fails = match SALT.get() % 3 {
        0 => false,
        1 => hash % 16 == 0,
        _ => hash % 6 == 0,
    };
    if fails {
        let failure = Failure::new("Refused", format!("{name} refused {args}"));
        return Err(TaskFailure::new(TaskErrorKind::Failed, failure));
    }
    let bits = hash >> 8;
    let n = (bits % 7) as i64 - 1;
    let word = ["", "a", "b", "cd", "{x}", "\"q\""][(bits % 6) as usize].to_owned();
    let numbers: Vec<i64> = (0..(bits % 4) as i64).map(|i| i * n).collect();
    let json = match name {
        "num" | "add" | "consume" => Json::encode(&n),
        "flag" => Json::encode(&(bits % 2 == 0)),
        "text" | "label" | "join_names" => Json::encode(&word),
        "list" => Json::encode(&numbers),
        "names" => Json::encode(&numbers.iter().map(i64::to_string).collect::<Vec<_>>()),
        "maybe" => Json::encode(&(bits % 3 != 0).then_some(n)),
        "item" => Json::encode(&Item { id: n, name: word, tags: numbers }),
        "pair" => Json::encode(&(n, word)),
        "ping" => Json::encode(&()),
        other => panic!("no answer for {other}"),
    };
    Ok(json.unwrap())
}
