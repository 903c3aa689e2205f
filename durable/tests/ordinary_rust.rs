//! Ordinary Rust with awaits in all places. Each program is driven by hand, with its state saved and
//! loaded between all turns; the activity `echo` gives back what it is given.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, clippy::cast_possible_wrap)] // A test may panic.

use std::collections::{BTreeMap, VecDeque};

use durable::__private::drive::{Drive, Open};
use durable::__private::{Json, Orchestration};
use durable::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[activity]
async fn echo(value: i64) -> i64 {
    value
}

#[activity]
async fn word(value: String) -> String {
    value
}

/// Answers every call with its argument until the orchestration ends; gives what was called.
fn trace<F: Orchestration>(input: F::Input) -> (F::Output, Vec<String>)
where
    F::Output: DeserializeOwned,
{
    let mut drive = Drive::start::<F>(&input).unwrap();
    let mut calls = Vec::new();
    while drive.outcome().is_none() {
        let (task, open) = drive.open().iter().next().map(|(t, o)| (*t, o.clone())).unwrap();
        match open {
            Open::Timer { .. } => drive.fire(task).unwrap(),
            Open::Activity { input, .. } => {
                let (value,): (serde_json::Value,) = input.decode().unwrap();
                calls.push(value.to_string().replace('"', ""));
                drive.answer(task, Ok(Json::encode(&value).unwrap())).unwrap();
            }
        }
    }
    match drive.outcome().unwrap() {
        Ok(json) => (json.decode().unwrap(), calls),
        Err(failure) => panic!("failed: {}", failure.failure.message),
    }
}

fn run<F: Orchestration>(input: F::Input) -> F::Output
where
    F::Output: DeserializeOwned,
{
    trace::<F>(input).0
}

// --- conditions -------------------------------------------------------------------------------------

#[orchestrator]
async fn chains(a: Option<i64>, limit: i64) -> Result<String, TaskError> {
    let mut log = Vec::new();
    if let Some(x) = a
        && echo(x).await? > limit
        && let Some(y) = x.checked_sub(1)
    {
        log.push(format!("{x} {y}"));
    } else if a.is_none()
        && echo(100).await? == 100
        && let z = echo(3).await?
        && z > 2
    {
        log.push(format!("none {z}"));
    } else {
        log.push("small".to_owned());
    }
    let mut left = 3;
    while left > 0
        && let n = echo(left).await?
        && n != 1
    {
        left -= 1;
        if n == 2 {
            continue;
        }
        log.push(format!("left {n}"));
    }
    let text = if echo(limit).await? > 1
        && let [first, ..] = &log[..]
    {
        first.clone()
    } else {
        String::new()
    };
    Ok(format!("{text}/{}", log.join(",")))
}

#[test]
fn chains_of_conditions_await() {
    assert_eq!(run::<chains>((Some(9), 5)), "9 8/9 8,left 3");
    assert_eq!(run::<chains>((Some(4), 5)), "small/small,left 3");
    assert_eq!(run::<chains>((None, 1)), "/none 3,left 3");
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Dot,
    Line(i64),
    Named { name: String, size: i64 },
}

#[orchestrator]
async fn guards(shape: Shape) -> Result<String, TaskError> {
    let text = match shape {
        Shape::Dot => "dot".to_owned(),
        Shape::Line(0) => "no line".to_owned(),
        Shape::Line(n) if echo(n).await? > 10 => format!("long line {n}"),
        Shape::Named { name, size }
            if word(name.clone()).await? == "big" || echo(size).await? > 5 =>
        {
            echo(-1).await?;
            format!("{name} is big")
        }
        Shape::Line(n) if n < 0 => format!("negative {n}"),
        Shape::Line(_) => "line".to_owned(),
        Shape::Named { name, .. } => name,
    };
    Ok(text)
}

#[test]
fn guards_of_match_arms_await() {
    assert_eq!(run::<guards>((Shape::Dot,)), "dot");
    assert_eq!(trace::<guards>((Shape::Line(0),)), ("no line".to_owned(), vec![]));
    assert_eq!(run::<guards>((Shape::Line(11),)), "long line 11");
    assert_eq!(run::<guards>((Shape::Line(-3),)), "negative -3");
    assert_eq!(run::<guards>((Shape::Line(3),)), "line");
    let named = |name: &str, size| Shape::Named { name: name.to_owned(), size };
    assert_eq!(run::<guards>((named("big", 1),)), "big is big");
    assert_eq!(run::<guards>((named("x", 7),)), "x is big");
    assert_eq!(
        trace::<guards>((named("x", 2),)),
        ("x".to_owned(), vec!["x".to_owned(), "2".to_owned()])
    );
}

// --- macros -----------------------------------------------------------------------------------------

#[orchestrator]
async fn macros(a: i64, name: String) -> Result<Vec<String>, TaskError> {
    let x = 5;
    let list = vec![echo(1).await?, x, echo(a).await?];
    let zeros = vec![echo(7).await?; list.len()];
    assert!(echo(1).await? == 1, "one is {x}");
    assert_eq!(echo(2).await?, x - 3);
    debug_assert_ne!(echo(3).await?, 4);
    let same = matches!(echo(a).await?, 1..=3 if name.len() > 1);
    Ok(vec![
        format!("{name} {} {x} {:?} {z}", echo(a + 1).await?, list, z = zeros.len()),
        format!("{}", word(name.clone()).await?),
        same.to_string(),
        name,
    ])
}

#[test]
fn known_macros_await_in_their_arguments() {
    let (out, calls) = trace::<macros>((2, "ab".to_owned()));
    assert_eq!(out, ["ab 3 5 [1, 5, 2] 3", "ab", "true", "ab"]);
    assert_eq!(calls, ["1", "2", "7", "1", "2", "3", "2", "3", "ab"]);
}

// --- loops over borrowed items ------------------------------------------------------------------------

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Item {
    name: String,
    sizes: Vec<i64>,
}

fn items() -> Vec<Item> {
    vec![
        Item { name: "a".to_owned(), sizes: vec![1, 2] },
        Item { name: "b".to_owned(), sizes: vec![] },
        Item { name: "c".to_owned(), sizes: vec![3] },
    ]
}

#[orchestrator]
async fn borrowed(items: Vec<Item>) -> Result<Vec<String>, TaskError> {
    let mut out = Vec::new();
    for item in &items {
        let name = word(item.name.clone()).await?;
        for (i, size) in item.sizes.iter().enumerate() {
            let size = echo(*size).await? + i as i64;
            out.push(format!("{name}{size}{}", item.name));
        }
        if item.sizes.is_empty() {
            continue;
        }
        echo(item.sizes.len() as i64).await?;
        out.push(item.name.to_uppercase());
    }
    for Item { name, sizes } in items.iter().rev().skip(1) {
        echo(sizes.len() as i64).await?;
        out.push(name.clone());
    }
    out.push(items.len().to_string());
    Ok(out)
}

#[test]
fn loops_borrow_their_items() {
    assert_eq!(run::<borrowed>((items(),)), ["a1a", "a3a", "A", "c3c", "C", "b", "a", "3"]);
}

#[orchestrator]
async fn windows(numbers: Vec<i64>, n: usize) -> Result<Vec<i64>, TaskError> {
    let mut out = Vec::new();
    let mut n = n;
    for chunk in numbers.chunks(n) {
        n += 1; // The size was taken when the loop began.
        let sum: i64 = chunk.iter().sum();
        out.push(echo(sum).await? + chunk.len() as i64);
    }
    for mut x in numbers[1..].iter().copied() {
        x += 1;
        echo(x).await?;
        x *= 2;
        out.push(x);
    }
    for x in numbers.iter().filter(|x| **x > 2).map(|x| x * 10) {
        out.push(echo(x).await?);
    }
    for &x in &numbers {
        if x == 3 {
            break;
        }
        out.push(echo(x).await? - x);
    }
    let map = BTreeMap::from([(1, "x".to_owned()), (2, "y".to_owned())]);
    for (key, value) in &map {
        word(value.clone()).await?;
        out.push(*key + value.len() as i64);
    }
    let queue: VecDeque<i64> = numbers.iter().copied().collect();
    for x in queue.iter() {
        out.push(echo(*x).await?);
    }
    Ok(out)
}

#[test]
fn loops_go_over_chunks_maps_and_copies() {
    assert_eq!(
        run::<windows>((vec![1, 2, 3, 4, 5], 2)),
        [5, 9, 6, 6, 8, 10, 12, 30, 40, 50, 0, 0, 2, 3, 1, 2, 3, 4, 5]
    );
}

#[orchestrator]
async fn changed(mut items: Vec<Item>) -> Result<Vec<i64>, TaskError> {
    for item in &mut items {
        let n = echo(item.sizes.len() as i64).await?;
        item.sizes.push(n * 10);
        for size in item.sizes.iter_mut() {
            *size += echo(*size).await?;
        }
    }
    Ok(items.into_iter().flat_map(|item| item.sizes).collect())
}

#[test]
fn loops_change_their_items_in_place() {
    assert_eq!(run::<changed>((items(),)), [2, 4, 40, 0, 6, 20]);
}

#[orchestrator]
async fn literals() -> Result<String, TaskError> {
    let mut out = String::new();
    for name in ["x", "y"] {
        out += &word(name.to_owned()).await?;
        out += name;
    }
    for (name, n) in [("p", 1), ("q", 2)] {
        let n: i64 = n;
        out += &format!("{name}{}", echo(n).await?);
    }
    for c in "ab".chars() {
        out += &word(c.to_string()).await?;
    }
    let text = String::from("k l");
    for part in text.split(' ') {
        out += &word(part.to_owned()).await?;
        out += part;
    }
    for line in word("m\nn".to_owned()).await?.lines() {
        out += &word(line.to_owned()).await?;
        out.push_str(line);
    }
    Ok(out)
}

#[test]
fn loops_go_over_literals_and_texts() {
    assert_eq!(run::<literals>(()), "xxyyp1q2abkkllmmnn");
}

/// The item shadows what it is borrowed from.
#[orchestrator]
async fn shadowing_items(x: Vec<Vec<i64>>) -> Result<i64, TaskError> {
    let mut sum = 0;
    for x in &x {
        for x in x {
            sum += echo(*x).await?;
            echo(*x + 100).await?;
        }
        sum += echo(x.len() as i64).await?;
    }
    Ok(sum + x.len() as i64)
}

#[test]
fn an_item_may_shadow_its_collection() {
    assert_eq!(run::<shadowing_items>((vec![vec![1, 2], vec![3]],)), 6 + 3 + 2);
}

/// Only the collection suspends, so the loop is an ordinary one.
#[orchestrator]
async fn awaited_collection() -> Result<i64, TaskError> {
    let mut sum = 0;
    for c in word("123".to_owned()).await?.chars().filter_map(|c| c.to_digit(10)).skip(1) {
        if c == 9 {
            continue;
        }
        sum += i64::from(c);
    }
    Ok(sum)
}

#[test]
fn a_collection_can_be_awaited() {
    assert_eq!(run::<awaited_collection>(()), 5);
}

// --- partial moves ------------------------------------------------------------------------------------

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    files: Vec<String>,
    links: Vec<String>,
    owner: Owner,
    count: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Owner {
    name: String,
    mail: String,
}

fn a_plan() -> Plan {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Plan {
        files: texts(&["f", "g"]),
        links: texts(&["l"]),
        owner: Owner { name: "n".to_owned(), mail: "m".to_owned() },
        count: 4,
    }
}

#[orchestrator]
async fn moved_by_field(plan: Plan, mut plans: Vec<Plan>) -> Result<Vec<String>, TaskError> {
    let mut out = Vec::new();
    out.push(format!("{}", plan.files.len()));
    for file in plan.files {
        out.push(word(file).await? + &plan.links[0]);
    }
    out.extend(plan.links);
    out.push(word(plan.owner.name).await?);
    echo(plan.count).await?;
    out.push(word(plan.owner.mail).await?);
    while let Some(mut plan) = plans.pop() {
        plan.count += 1;
        let count = plan.count;
        word(plan.owner.mail).await?;
        plan.count += echo(count).await?;
        out.push(format!("{} {}", plan.links.len(), plan.count));
    }
    Ok(out)
}

#[test]
fn fields_move_one_by_one() {
    assert_eq!(
        run::<moved_by_field>((a_plan(), vec![a_plan()])),
        ["2", "fl", "gl", "l", "n", "m", "1 10"]
    );
    let graph = moved_by_field::state_machine();
    assert!(graph.variables.contains(&"plan.links"), "{:?}", graph.variables);
}

// --- conditional compilation --------------------------------------------------------------------------

#[orchestrator]
async fn conditional(a: i64) -> Result<i64, TaskError> {
    let mut sum = 0;
    #[cfg(debug_assertions)]
    let step = echo(1).await?;
    #[cfg(not(debug_assertions))]
    let step = echo(1).await?;
    #[cfg(not(test))]
    {
        sum += no_such_function(1).await?;
    }
    sum += match a {
        #[cfg(not(test))]
        0 => no_such_function(2).await?,
        #[cfg(test)]
        0 => echo(20).await?,
        _ => step,
    };
    Ok(sum)
}

#[test]
fn statements_can_be_conditional() {
    assert_eq!(trace::<conditional>((0,)), (20, vec!["1".to_owned(), "20".to_owned()]));
    assert_eq!(run::<conditional>((5,)), 1);
}

// --- borrows ------------------------------------------------------------------------------------------

#[orchestrator]
async fn borrows(mut plan: Plan, shape: Shape) -> Result<Vec<String>, TaskError> {
    let mut out = Vec::new();
    let owner = &plan.owner;
    let name: &str = &owner.name;
    word(name.to_owned()).await?;
    out.push(name.to_owned());
    let first = &plan.files[0];
    let text = first.as_str();
    word(text.to_owned()).await?;
    out.push(format!("{text} {first}"));
    let links = &mut plan.links;
    echo(links.len() as i64).await?;
    links.push("new".to_owned());
    let &count = &plan.count;
    plan.count = 0;
    echo(1).await?;
    out.push(format!("{count} {}", plan.links.len()));
    if let Shape::Named { name, size } = &shape {
        echo(*size).await?;
        out.push(name.clone());
    }
    let size = match &shape {
        Shape::Line(n) if *n > 3 => {
            echo(*n).await?;
            *n
        }
        Shape::Named { size, .. } => echo(*size).await? + size,
        _ => 0,
    };
    let Shape::Named { name, .. } = &shape else {
        echo(-1).await?;
        return Ok(out);
    };
    echo(size).await?;
    out.push(format!("{name}{size}"));
    Ok(out)
}

#[test]
fn borrows_of_locals_cross_awaits() {
    let named = Shape::Named { name: "s".to_owned(), size: 2 };
    assert_eq!(run::<borrows>((a_plan(), named)), ["n", "f f", "4 2", "s", "s4"]);
    assert_eq!(run::<borrows>((a_plan(), Shape::Line(7))), ["n", "f f", "4 2"]);
}

// --- what a review found --------------------------------------------------------------------------------

#[orchestrator]
async fn collected(mut m: BTreeMap<String, i64>, mut v: Vec<i64>) -> Result<Vec<i64>, TaskError> {
    let mut seen = Vec::new();
    for key in m.keys().cloned().collect::<Vec<_>>() {
        let n = echo(m[&key]).await?;
        seen.push(n);
        m.remove(&key);
    }
    for n in v.as_slice().to_vec() {
        seen.push(echo(n).await?);
        v.remove(0);
    }
    let mut text = String::from("ab");
    for c in text.chars().rev().collect::<String>().chars() {
        text.push_str(&word(c.to_string()).await?);
    }
    seen.push(text.len() as i64);
    Ok(seen)
}

#[test]
fn what_is_collected_before_a_loop_is_collected_once() {
    let map = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2), ("c".to_owned(), 3)]);
    assert_eq!(run::<collected>((map, vec![4, 5])), [1, 2, 3, 4, 5, 4]);
}

#[orchestrator]
async fn indexed_argument(v: Vec<i64>, w: Vec<i64>) -> Result<Vec<i64>, TaskError> {
    let mut out = Vec::new();
    let mut i = 0;
    for (a, b) in v.iter().zip(&w[i..]) {
        i += 1;
        out.push(echo(*a).await? + b);
    }
    out.push(i as i64);
    Ok(out)
}

#[test]
fn arguments_of_a_borrowing_iterator_are_evaluated_once() {
    assert_eq!(run::<indexed_argument>((vec![1, 2], vec![10, 20, 30])), [11, 22, 2]);
}

#[orchestrator]
async fn changed_match(mut shape: Shape, v: Vec<i64>) -> Result<Shape, TaskError> {
    match &mut shape {
        Shape::Line(n @ 1..=9) => {
            *n += 100;
            echo(*n).await?;
            *n += 1;
        }
        _ => {}
    }
    let mut v = v;
    let n = match v.len() {
        1 => 100,
        n if {
            v.push(9);
            echo(n as i64).await? > 0
        } =>
        {
            n
        }
        n => n + 50,
    };
    if let Shape::Line(m) = &mut shape {
        *m += n as i64;
    }
    Ok(shape)
}

#[test]
fn what_was_matched_may_change() {
    assert_eq!(run::<changed_match>((Shape::Line(4), vec![])), Shape::Line(155));
}

#[orchestrator]
async fn renamed(plan: Plan, plans: Vec<Plan>) -> Result<i64, TaskError> {
    let mut plan = plan;
    for file in plan.files {
        word(file).await?;
    }
    plan.count += 1;
    echo(plan.count).await?;
    let first = &plans[0];
    echo(first.count).await?;
    let mut length = first.links.len();
    if let Some(last) = plans.last() {
        length += last.links.len();
    }
    for plan in &plans {
        echo(plan.count).await?;
        length += plan.owner.name.len();
    }
    Ok(plan.count + length as i64)
}

#[test]
fn fields_of_shadowing_variables_and_of_references_stay_what_they_are() {
    assert_eq!(run::<renamed>((a_plan(), vec![a_plan()])), 5 + 1 + 1 + 1);
}

#[orchestrator]
async fn captured(v: Vec<String>) -> Result<usize, TaskError> {
    let first = &v[0];
    let (a, b) = join!(
        async move {
            word(first.clone()).await?;
            Ok::<_, TaskError>(first.len())
        },
        async { v.len() },
    );
    Ok(a? + b + v.len())
}

#[test]
fn a_moving_block_takes_a_reference_and_not_what_it_points_to() {
    assert_eq!(run::<captured>((vec!["abc".to_owned()],)), 5);
}

macro_rules! tries {
    ($name:ident) => {
        #[orchestrator]
        async fn $name(a: i64) -> i64 {
            let (a, _) = join!(
                async {
                    let a = echo(a).await?;
                    Ok::<i64, TaskError>(a + 1)
                },
                echo(2),
            );
            a.unwrap_or(0)
        }
    };
}

tries!(made_by_a_macro);

#[test]
fn a_macro_can_make_orchestrators() {
    assert_eq!(run::<made_by_a_macro>((4,)), 5);
}

#[orchestrator]
async fn mutable_items(w: Vec<i64>) -> Result<Vec<i64>, TaskError> {
    let mut out = Vec::new();
    for mut x in w.iter().copied() {
        x += echo(x).await?;
        out.push(x);
    }
    Ok(out)
}

#[test]
fn items_can_be_changed_copies() {
    assert_eq!(run::<mutable_items>((vec![1, 2],)), [2, 4]);
}

#[orchestrator]
async fn taken_apart(
    shapes: Vec<Option<Shape>>,
    a: Option<i64>,
    b: Shape,
) -> Result<Vec<String>, TaskError> {
    let mut out = Vec::new();
    for shape in &shapes {
        let Some(shape) = shape else { continue };
        let size = match shape {
            Shape::Line(n) => echo(*n).await? + n,
            Shape::Named { name, size } => {
                word(name.clone()).await?;
                out.push(name.clone());
                *size
            }
            Shape::Dot => 0,
        };
        out.push(size.to_string());
    }
    if let (Some(a), Shape::Line(n)) = (&a, &b) {
        echo(*a).await?;
        out.push((a + n).to_string());
    }
    Ok(out)
}

#[test]
fn references_are_taken_apart_across_awaits() {
    let named = Shape::Named { name: "s".to_owned(), size: 3 };
    let shapes = vec![Some(Shape::Line(2)), None, Some(named), Some(Shape::Dot)];
    assert_eq!(run::<taken_apart>((shapes, Some(4), Shape::Line(5))), ["4", "s", "3", "0", "9"]);
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Size {
    n: i64,
}

#[orchestrator]
async fn hidden_in_guards(shapes: Vec<Shape>, v: Vec<i64>) -> Result<i64, TaskError> {
    Ok(match shapes[0] {
        Shape::Line(n) if v.iter().any(|n| *n > 2) && echo(n).await? > 5 => n,
        Shape::Line(n)
            if {
                let n = n + 1;
                echo(n).await? > 4 && matches!(Some(n), Some(n) if n > 2)
            } =>
        {
            n + 100
        }
        Shape::Line(n) if echo(Size { n }.n).await? > 2 && format!("{n}").len() == 1 => n + 200,
        _ => 0,
    })
}

#[test]
fn names_are_hidden_inside_of_guards() {
    let run = |n, v| run::<hidden_in_guards>((vec![Shape::Line(n)], v));
    assert_eq!(run(9, vec![3]), 9);
    assert_eq!(run(4, vec![3]), 104);
    assert_eq!(run(3, vec![]), 203);
    assert_eq!(run(1, vec![3]), 0);
}

#[orchestrator]
async fn moved_by_branches(plan: Plan) -> Result<i64, TaskError> {
    let (files, links) = try_join!(
        async {
            let mut n = 0;
            for file in plan.files {
                n += word(file).await?.len();
            }
            Ok::<usize, TaskError>(n)
        },
        async {
            let mut n = 0;
            for link in plan.links {
                n += word(link).await?.len();
            }
            Ok(n)
        },
    )?;
    let label = if files > links { "files".to_owned() } else { "links".to_owned() };
    word(label.clone()).await?;
    Ok((files + links + label.len()) as i64 + plan.count)
}

#[test]
fn branches_move_different_fields() {
    assert_eq!(run::<moved_by_branches>((a_plan(),)), 2 + 1 + 5 + 4);
}
