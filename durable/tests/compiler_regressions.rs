//! Programs that the compiler once got wrong, found by the differential test. Each is driven by
//! hand, with its state saved and loaded between all turns; the activity `echo` gives back what it
//! is given.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)] // A test may panic.

use durable::__private::drive::{Drive, Open};
use durable::__private::{Json, Orchestration};
use durable::prelude::*;
use serde::de::DeserializeOwned;

#[activity]
async fn echo(value: i64) -> i64 {
    value
}

#[activity]
async fn word(value: String) -> String {
    value
}

/// Answers every call with its first argument until the orchestration ends.
fn run<F: Orchestration>(input: F::Input) -> Result<F::Output, String>
where
    F::Output: DeserializeOwned,
{
    let mut drive = Drive::start::<F>(&input).unwrap();
    while drive.outcome().is_none() {
        let (task, open) = drive.open().iter().next().map(|(t, o)| (*t, o.clone())).unwrap();
        match open {
            Open::Timer { .. } => drive.fire(task).unwrap(),
            Open::Activity { name, input, .. } if name == "word" => {
                let (value,): (String,) = input.decode().unwrap();
                drive.answer(task, Ok(Json::encode(&value).unwrap())).unwrap();
            }
            Open::Activity { input, .. } => {
                let (value,): (i64,) = input.decode().unwrap();
                drive.answer(task, Ok(Json::encode(&value).unwrap())).unwrap();
            }
        }
    }
    match drive.outcome().unwrap() {
        Ok(json) => Ok(json.decode().unwrap()),
        Err(failure) => Err(failure.failure.message.clone()),
    }
}

/// A variable that is declared before an await and gets its value in branches behind it.
#[orchestrator]
async fn assigned_in_branches(a: i64) -> Result<i64, TaskError> {
    let x: i64;
    let y;
    echo(1).await?;
    if a > 1 {
        x = a;
    } else {
        x = -a;
    }
    match a {
        0 => y = 10,
        _ => {
            y = 20;
        }
    }
    echo(x).await?;
    Ok(x + y)
}

#[test]
fn a_declared_variable_gets_its_value_in_branches() {
    assert_eq!(run::<assigned_in_branches>((5,)), Ok(25));
    assert_eq!(run::<assigned_in_branches>((0,)), Ok(10));
}

/// The declaration is in a block that says nothing about the type.
#[orchestrator]
async fn declared_far_away(a: i64) -> Result<i64, TaskError> {
    let x;
    echo(1).await?;
    x = echo(a).await?;
    Ok(x)
}

#[test]
fn a_declaration_does_not_need_a_type() {
    assert_eq!(run::<declared_far_away>((7,)), Ok(7));
}

/// One branch leaves, so only the other gives the value.
#[orchestrator]
async fn value_or_break(a: i64) -> Result<i64, TaskError> {
    let mut sum = 0;
    for x in 0..10 {
        let y = if echo(x).await? == a { break } else { x * 2 };
        sum += y;
    }
    Ok(sum)
}

#[test]
fn a_branch_that_breaks_gives_no_value() {
    assert_eq!(run::<value_or_break>((3,)), Ok(6));
}

/// Elements are changed and compared in their place, which rustc would not move out of.
#[orchestrator]
async fn elements(mut names: Vec<String>, i: usize) -> Result<Vec<String>, TaskError> {
    let mut i = i;
    names[i].push_str(&word("!".to_owned()).await?);
    if names[{
        i += 1;
        i
    }] == word("b".to_owned()).await?
    {
        names[0].push('?');
    }
    Ok(names)
}

#[test]
fn elements_are_used_in_their_place() {
    let names = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(run::<elements>((names, 0)), Ok(vec!["a!?".to_owned(), "b".to_owned()]));
}

/// An index is out of bounds before the call behind it is made.
#[orchestrator]
async fn out_of_bounds(mut values: Vec<Vec<i64>>) -> Result<usize, TaskError> {
    values[1].push(echo(1).await?);
    Ok(values.len())
}

#[test]
fn an_index_out_of_bounds_panics_before_the_call() {
    let drive = Drive::start::<out_of_bounds>(&(vec![vec![]],)).unwrap();
    assert!(drive.outcome().unwrap().is_err());
    assert!(drive.open().is_empty());
}

/// The left operand is read before the right one changes its variable.
#[orchestrator]
async fn operand_changes(mut x: i64) -> Result<(i64, bool), TaskError> {
    let sum = x.wrapping_add({
        x += 1;
        echo(x).await?
    });
    let less = x < {
        x += 1;
        echo(x).await?
    };
    // The later variable of the same name has nothing to do with it.
    let again = x < {
        x -= 2;
        echo(x).await?;
        let x = 12;
        x
    };
    Ok((sum, less && !again))
}

#[test]
fn an_operand_is_read_before_the_next_changes_it() {
    assert_eq!(run::<operand_changes>((10,)), Ok((21, true)));
}

/// Code behind a `todo!` is not reached, so nothing says what it returns.
#[orchestrator]
async fn unfinished(a: i64) -> Result<i64, TaskError> {
    let x = echo(a).await?;
    todo!("the rest, for {x}");
}

#[test]
fn an_unfinished_body_compiles() {
    assert_eq!(run::<unfinished>((1,)), Err("not yet implemented: the rest, for 1".to_owned()));
}

/// A labelled block at the end of the body gives the value that it is left with.
#[orchestrator]
async fn labelled_tail(a: i64) -> Option<i64> {
    'found: {
        if echo(a).await == Ok(3) {
            break 'found Some(a + 1);
        }
        None
    }
}

#[test]
fn a_labelled_block_at_the_end_gives_its_value() {
    assert_eq!(run::<labelled_tail>((3,)), Ok(Some(4)));
    assert_eq!(run::<labelled_tail>((4,)), Ok(None));
}

/// Code that is never reached keeps the types of the parameters.
#[orchestrator]
#[allow(unused_variables, clippy::needless_return, clippy::redundant_else)]
async fn dead_code(a: i64) -> Result<i64, TaskError> {
    let first = echo(a).await?;
    Ok({
        if first > 0 {
            return Ok(first);
        } else {
            return Ok(-first);
        }
        vec![3_i64; 2].into_iter().map(|k| k + a).sum::<i64>()
    })
}

#[test]
fn code_that_is_never_reached_compiles() {
    assert_eq!(run::<dead_code>((3,)), Ok(3));
}

/// A string literal is borrowed for ever; it is written again after the await.
#[orchestrator]
async fn literals(a: i64) -> Result<String, TaskError> {
    let greeting = "hello";
    let typed: &'static str = "world";
    let first = echo(a).await?;
    let second = echo(first + 1).await?;
    Ok(format!("{greeting} {typed} {first} {second}"))
}

#[test]
fn a_literal_lives_across_awaits() {
    assert_eq!(run::<literals>((1,)), Ok("hello world 1 2".to_owned()));
    assert_eq!(literals::state_machine().variables, ["first"]);
}
