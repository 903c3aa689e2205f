//! Concurrent branches: `select!`, and `join!` and `try_join!` with `async` blocks. Each program is
//! driven by hand, with its state saved and loaded between all turns.

#![allow(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)] // A test may panic.

use std::time::Duration;

use durable::__private::drive::{Drive, Open};
use durable::__private::{Json, Orchestration};
use durable::prelude::*;
use durable::{Either, select};
use serde::Serialize;
use serde::de::DeserializeOwned;

#[activity]
async fn echo(value: i64) -> i64 {
    value
}

/// The calls of `echo` that are open, by what they were given.
fn calls(drive: &Drive) -> Vec<i64> {
    let calls = drive.open().values().filter_map(|open| match open {
        Open::Activity { input, .. } => Some(input.decode::<(i64,)>().unwrap().0),
        Open::Timer { .. } => None,
    });
    calls.collect()
}

/// Answers the call that was given `value` with it.
fn answer(drive: &mut Drive, value: i64) {
    let task = drive.open().iter().find_map(|(task, open)| match open {
        Open::Activity { input, .. } if input.decode::<(i64,)>().unwrap().0 == value => Some(*task),
        _ => None,
    });
    let task = task.unwrap_or_else(|| panic!("{value} is not open: {:?}", drive.open()));
    drive.answer(task, Ok(Json::encode(&value).unwrap())).unwrap();
}

fn fire(drive: &mut Drive) {
    let timer = drive.open().iter().find(|(_, open)| matches!(open, Open::Timer { .. }));
    let task = *timer.unwrap().0;
    drive.fire(task).unwrap();
}

fn start<F: Orchestration>(input: F::Input) -> Drive {
    Drive::start::<F>(&input).unwrap()
}

fn output<T: DeserializeOwned>(drive: &Drive) -> T {
    match drive.outcome().unwrap_or_else(|| panic!("not ended: {:?}", drive.state())) {
        Ok(json) => json.decode().unwrap(),
        Err(failure) => panic!("failed: {}", failure.failure.message),
    }
}

fn raise<T: Serialize>(drive: &mut Drive, name: &str, value: T) {
    drive.raise(name, Json::encode(&value).unwrap()).unwrap();
}

// --- select -----------------------------------------------------------------------------------------

#[orchestrator]
async fn approval(ctx: &OrchestrationContext, order: String) -> Result<String, TaskError> {
    let label = format!("order {order}");
    let what = select! {
        approved = ctx.wait_for_event::<bool>("Approval") => {
            let approved = approved?;
            echo(i64::from(approved)).await?;
            format!("{label}: {approved}")
        }
        _ = ctx.sleep(Duration::from_mins(1)) => {
            echo(7).await?;
            format!("{label}: too late")
        }
    };
    Ok(what)
}

#[test]
fn the_first_branch_of_a_select_wins_and_the_other_is_cancelled() {
    let mut drive = start::<approval>(("a".to_owned(),));
    assert_eq!(drive.open().len(), 1, "the timer");
    assert!(drive.state().unwrap().contains(r#""state":"AwaitAny""#), "{:?}", drive.state());
    assert!(
        drive.state().unwrap().contains(r#""branches":[{"state":"AwaitEventApproval""#),
        "{:?}",
        drive.state()
    );
    raise(&mut drive, "Approval", true);
    assert_eq!(calls(&drive), [1]);
    assert_eq!(drive.open().len(), 1, "the timer is cancelled");
    answer(&mut drive, 1);
    assert_eq!(output::<String>(&drive), "order a: true");

    let mut drive = start::<approval>(("b".to_owned(),));
    fire(&mut drive);
    raise(&mut drive, "Approval", true);
    answer(&mut drive, 7);
    assert_eq!(output::<String>(&drive), "order b: too late");
}

/// Losing activities are cancelled; jumps in handlers mean what is around the `select!`.
#[orchestrator]
async fn race(ctx: &OrchestrationContext, rounds: i64) -> Result<Vec<i64>, TaskError> {
    let mut seen = Vec::new();
    let mut round = 0;
    'rounds: loop {
        round += 1;
        select! {
            value = echo(round) => {
                seen.push(value?);
                if round < rounds { continue 'rounds; }
                break;
            }
            value = echo(100 + round) => seen.push(value?),
            _ = ctx.sleep(Duration::from_secs(1)) => return Ok(vec![-1]),
        }
        if round >= rounds {
            break 'rounds;
        }
    }
    Ok(seen)
}

#[test]
fn losing_activities_are_cancelled_and_jumps_leave_handlers() {
    let mut drive = start::<race>((3,));
    assert_eq!(calls(&drive), [1, 101]);
    answer(&mut drive, 1);
    assert_eq!(calls(&drive), [2, 102], "the loser is gone");
    answer(&mut drive, 102);
    answer(&mut drive, 3);
    assert!(drive.open().is_empty(), "{:?}", drive.open());
    assert_eq!(output::<Vec<i64>>(&drive), [1, 102, 3]);

    let mut drive = start::<race>((3,));
    fire(&mut drive);
    assert!(drive.open().is_empty());
    assert_eq!(output::<Vec<i64>>(&drive), [-1]);
}

/// A task that the program holds survives a lost race.
#[orchestrator]
async fn held(ctx: &OrchestrationContext) -> Result<(i64, u32), TaskError> {
    let mut slow = ctx.spawn(echo(5));
    let mut ticks = 0;
    let value = loop {
        select! {
            value = &mut slow => break value?,
            _ = ctx.sleep(Duration::from_secs(1)) => ticks += 1,
        }
    };
    Ok((value, ticks))
}

#[test]
fn a_held_task_is_not_cancelled_by_losing() {
    let mut drive = start::<held>(());
    fire(&mut drive);
    fire(&mut drive);
    assert_eq!(calls(&drive), [5]);
    answer(&mut drive, 5);
    assert_eq!(output::<(i64, u32)>(&drive), (5, 2));
    assert!(drive.open().is_empty());
}

/// Conditions, patterns that do not match, and `else`.
#[orchestrator]
async fn guarded(ctx: &OrchestrationContext, first: bool) -> Result<String, TaskError> {
    let name = String::from("nobody");
    Ok(select! {
        biased;
        Ok(1) = echo(1), if first => "one".to_owned(),
        Ok(value @ 2..=3) = echo(2), if !first => format!("small {value}"),
        Ok(true) = ctx.wait_for_event::<bool>("Go") => "go".to_owned(),
        else => name,
    })
}

#[test]
fn branches_can_be_disabled_and_patterns_can_fail() {
    let mut drive = start::<guarded>((true,));
    assert_eq!(calls(&drive), [1], "the other condition is false");
    raise(&mut drive, "Go", false);
    assert!(drive.outcome().is_none());
    answer(&mut drive, 1);
    assert_eq!(output::<String>(&drive), "one");

    let mut drive = start::<guarded>((false,));
    answer(&mut drive, 2);
    assert_eq!(output::<String>(&drive), "small 2");

    let mut drive = start::<guarded>((false,));
    raise(&mut drive, "Go", false);
    let task = *drive.open().keys().next().unwrap();
    drive.answer(task, Ok(Json::encode(&9).unwrap())).unwrap();
    assert_eq!(output::<String>(&drive), "nobody");
}

/// `async` blocks as branches of a `select!`: each has its own variables and position.
#[orchestrator]
async fn racing_blocks(ctx: &OrchestrationContext, n: i64) -> Result<i64, TaskError> {
    let offset = n * 10;
    let won = select! {
        sum = async {
            let mut sum = 0;
            for i in 0..n {
                sum += echo(offset + i).await?;
            }
            Ok::<i64, TaskError>(sum)
        } => sum?,
        late = async {
            ctx.sleep(Duration::from_secs(5)).await;
            let late = echo(-1).await;
            ctx.sleep(Duration::from_secs(offset as u64)).await;
            late
        } => late? - offset,
    };
    echo(won).await.map_err(Into::into)
}

#[test]
fn async_blocks_race() {
    let mut drive = start::<racing_blocks>((2,));
    answer(&mut drive, 20);
    fire(&mut drive);
    assert_eq!(calls(&drive), [21, -1]);
    answer(&mut drive, 21);
    assert_eq!(calls(&drive), [41], "the loser's call is cancelled");
    answer(&mut drive, 41);
    assert_eq!(output::<i64>(&drive), 41);

    let mut drive = start::<racing_blocks>((2,));
    fire(&mut drive);
    answer(&mut drive, -1);
    fire(&mut drive);
    answer(&mut drive, -21);
    assert_eq!(output::<i64>(&drive), -21);
    assert!(drive.open().is_empty());
}

// --- join -------------------------------------------------------------------------------------------

/// Branches of different lengths, one nested, one a plain call; they share variables around them.
#[orchestrator]
async fn branches(a: i64, names: Vec<String>) -> Result<(i64, usize, i64, i64), TaskError> {
    let (sum, length, plain) = join!(
        async {
            let x = echo(a).await?;
            let (y, z) = join!(async { echo(x + 1).await }, async move {
                let mut total = a;
                while total < 3 {
                    total += echo(50 + total).await? - 49 - total;
                }
                Ok::<_, TaskError>(total)
            });
            Ok::<i64, TaskError>(x + y? + z?)
        },
        async {
            let mut length = 0;
            for name in names.clone() {
                length += name.len();
                if echo(length as i64 + 200).await.is_err() {
                    return 0;
                }
            }
            length
        },
        echo(9),
    );
    Ok((sum?, length, plain?, names.len() as i64))
}

#[test]
fn branches_of_a_join_run_side_by_side() {
    let input = || (1, vec!["ab".to_owned(), "c".to_owned()]);
    let mut forward = start::<branches>(input());
    assert_eq!(calls(&forward), [1, 202, 9]);
    while forward.outcome().is_none() {
        let value = calls(&forward)[0];
        answer(&mut forward, value);
    }
    let mut backward = start::<branches>(input());
    while backward.outcome().is_none() {
        let value = *calls(&backward).last().unwrap();
        answer(&mut backward, value);
    }
    assert_eq!(output::<(i64, usize, i64, i64)>(&forward), (1 + 2 + 3, 3, 9, 2));
    assert_eq!(output::<(i64, usize, i64, i64)>(&backward), (1 + 2 + 3, 3, 9, 2));
}

#[orchestrator]
async fn fails_first(fail: bool) -> Result<i64, TaskError> {
    let (a, b) = try_join!(
        async {
            let a = echo(1).await?;
            let b = echo(2).await?;
            Ok::<_, TaskError>(a + b)
        },
        async move {
            echo(3).await?;
            if fail {
                ctxless(echo(4).await)?;
            }
            Ok(10)
        },
    )?;
    Ok(a + b)
}

fn ctxless(outcome: Result<i64, TaskError>) -> Result<i64, TaskError> {
    outcome
}

#[test]
fn the_first_error_of_a_try_join_decides() {
    let mut drive = start::<fails_first>((false,));
    for value in [3, 1, 2] {
        answer(&mut drive, value);
    }
    assert_eq!(output::<i64>(&drive), 13);

    let mut drive = start::<fails_first>((true,));
    answer(&mut drive, 3);
    let task = *drive.open().keys().last().unwrap();
    let failure = durable::Failure::new("Refused", "no");
    drive.answer(task, Err(durable::__private::failed(failure))).unwrap();
    assert!(drive.outcome().unwrap().is_err());
    assert_eq!(calls(&drive), [1], "the call of the other branch is detached");
}

/// An `async` block that is awaited at once is a block that `?` and `return` leave.
#[orchestrator]
async fn inline(a: i64) -> i64 {
    let value: Result<i64, TaskError> = async {
        if a > 1 {
            return Ok(echo(a).await? * 2);
        }
        echo(-a).await
    }
    .await;
    value.unwrap_or(0)
}

#[test]
fn an_async_block_can_be_awaited_directly() {
    let mut drive = start::<inline>((3,));
    answer(&mut drive, 3);
    assert_eq!(output::<i64>(&drive), 6);
    let mut drive = start::<inline>((1,));
    answer(&mut drive, -1);
    assert_eq!(output::<i64>(&drive), -1);
}

/// Operands of the macros are evaluated before, one after the other.
#[orchestrator]
async fn operands(a: i64) -> Result<(i64, i64), TaskError> {
    try_join!(echo(echo(a).await? + 1), echo(2))
}

#[test]
fn awaits_in_operands_come_first() {
    let mut drive = start::<operands>((4,));
    assert_eq!(calls(&drive), [4]);
    answer(&mut drive, 4);
    assert_eq!(calls(&drive), [5, 2]);
    answer(&mut drive, 5);
    answer(&mut drive, 2);
    assert_eq!(output::<(i64, i64)>(&drive), (5, 2));
}

/// Names that are shadowed where the branches begin and end.
#[orchestrator]
async fn shadowed(x: i64) -> Result<i64, TaskError> {
    let y = x + 1;
    let sum = {
        let x = format!("{x}!");
        select! {
            y = async {
                let x = x.len() as i64;
                echo(x).await
            } => y? + i64::try_from(x.len()).unwrap_or(0),
            y = echo(y) => y?,
        }
    };
    echo(sum + 1000).await?;
    Ok(x + y + sum)
}

#[test]
fn names_are_shadowed_around_branches() {
    let mut drive = start::<shadowed>((8,));
    answer(&mut drive, 2);
    answer(&mut drive, 1004);
    assert_eq!(output::<i64>(&drive), 8 + 9 + 4);
    let mut drive = start::<shadowed>((8,));
    answer(&mut drive, 9);
    answer(&mut drive, 1009);
    assert_eq!(output::<i64>(&drive), 8 + 9 + 9);
}

// --- time limits --------------------------------------------------------------------------------------

#[orchestrator]
async fn limited(ctx: &OrchestrationContext) -> Result<String, TaskError> {
    let limit = Duration::from_secs(30);
    let first = match echo(1).timeout(limit).await {
        Err(error) if error.is_timeout() => format!("{} is late", error.task()),
        outcome => outcome?.to_string(),
    };
    let answer = ctx.wait_for_event::<bool>("Answer").timeout(limit).await?;
    let task = ctx.spawn(echo(2));
    let spawned = task.timeout(limit).await.is_ok();
    Ok(format!("{first}, {answer:?}, {spawned}"))
}

#[test]
fn what_is_in_time_is_taken_and_its_timer_is_gone() {
    let mut drive = start::<limited>(());
    answer(&mut drive, 1);
    raise(&mut drive, "Answer", true);
    answer(&mut drive, 2);
    assert_eq!(output::<String>(&drive), "1, Some(true), true");
    assert!(drive.open().is_empty());
}

#[test]
fn what_is_late_is_cancelled() {
    let mut drive = start::<limited>(());
    fire(&mut drive);
    assert!(calls(&drive).is_empty(), "the late call is cancelled");
    fire(&mut drive);
    raise(&mut drive, "Answer", true);
    fire(&mut drive);
    assert_eq!(output::<String>(&drive), "echo is late, None, false");
    assert!(drive.open().is_empty());
}

#[orchestrator]
async fn one_by_one(mut left: Vec<i64>) -> Result<Vec<i64>, TaskError> {
    left.truncate(3);
    let mut order = Vec::new();
    let (first, place, mut rest) = select_all(left.into_iter().map(echo)).await;
    order.push(first? * 10 + place as i64);
    while !rest.is_empty() {
        let (next, place, others) = select_all(rest).await;
        order.push(next? * 10 + place as i64);
        rest = others;
    }
    Ok(order)
}

#[test]
fn select_all_gives_the_first_and_the_rest() {
    let mut drive = start::<one_by_one>((vec![4, 5, 6],));
    for value in [5, 6, 4] {
        answer(&mut drive, value);
    }
    assert_eq!(output::<Vec<i64>>(&drive), [51, 61, 40]);
}

// --- select of two ----------------------------------------------------------------------------------

#[orchestrator]
async fn two(ctx: &OrchestrationContext, value: i64) -> Result<String, TaskError> {
    let first = match select(echo(value), ctx.wait_for_event::<String>("name")).await {
        Either::Left((echoed, waiting)) => format!("{} {}", echoed?, waiting.await?),
        Either::Right((name, echoing)) => format!("{} {}", name?, echoing.await?),
    };
    match select(ctx.sleep(Duration::from_secs(1)), ctx.wait_for_event::<String>("name")).await {
        Either::Left(((), waiting)) => {
            drop(waiting);
            Ok(format!("{first} late"))
        }
        Either::Right((name, _timer)) => Ok(format!("{first} {}", name?)),
    }
}

#[test]
fn select_gives_the_first_of_two_and_the_task_of_the_other() {
    let mut drive = start::<two>((7,));
    answer(&mut drive, 7);
    raise(&mut drive, "name", "Ann");
    fire(&mut drive);
    assert_eq!(output::<String>(&drive), "7 Ann late");

    let mut drive = start::<two>((7,));
    raise(&mut drive, "name", "Bob");
    answer(&mut drive, 7);
    raise(&mut drive, "name", "Cid");
    assert_eq!(output::<String>(&drive), "Bob 7 Cid");
    assert!(drive.open().is_empty());
}

// --- events that nobody looked at -------------------------------------------------------------------

/// Waits twice at once, gives the waits up after both have their event, and waits again.
#[orchestrator]
async fn gives_back(ctx: &OrchestrationContext) -> Result<Vec<u32>, TaskError> {
    let waits =
        [ctx.spawn(ctx.wait_for_event::<u32>("n")), ctx.spawn(ctx.wait_for_event::<u32>("n"))];
    ctx.wait_for_event::<()>("go").await?;
    drop(waits);
    let mut numbers = Vec::new();
    for _ in 0..4 {
        numbers.push(ctx.wait_for_event::<u32>("n").await?);
    }
    Ok(numbers)
}

#[test]
fn an_event_that_was_not_looked_at_keeps_its_place() {
    let mut drive = start::<gives_back>(());
    for number in 1..=4_u32 {
        raise(&mut drive, "n", number);
    }
    raise(&mut drive, "go", ());
    assert_eq!(output::<Vec<u32>>(&drive), [1, 2, 3, 4]);
}
