//! What the visitor finds in code, and that the documentation shows the table as it is.

use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::parse::{FunctionItem, Options};

/// The scanned function as text, and the messages.
fn scan(source: &str) -> (String, Vec<String>) {
    let function: syn::ItemFn = syn::parse_str(source).unwrap();
    let syn::ItemFn { attrs, vis, sig, block, .. } = function;
    let mut item =
        FunctionItem::new(attrs, vis, sig, *block, Options::default(), ORCHESTRATION_CONTEXT);
    let mut diag = Diagnostics::new();
    let FunctionItem { params, context, body, .. } = &mut item;
    let subject = Subject { what: "an orchestrator", params, context: context.as_ref() };
    check(body, subject, &mut diag);
    let errors = syn::parse2::<syn::File>(diag.into_tokens()).unwrap();
    let messages = errors
        .items
        .into_iter()
        .filter_map(|item| match item {
            syn::Item::Macro(mac) => Some(mac.mac.parse_body::<syn::LitStr>().unwrap().value()),
            _ => None,
        })
        .collect();
    (quote::ToTokens::to_token_stream(&item.body).to_string(), messages)
}

/// What the messages about a body name, without reason and remedy.
fn found(body: &str) -> Vec<String> {
    let source = format!("async fn f(ctx: &OrchestrationContext, m: HashMap<u8, u8>) {{ {body} }}");
    let (_, messages) = scan(&source);
    messages
        .iter()
        .map(|message| {
            let named = message.split('`').nth(1).unwrap();
            format!("{} {named}", &message[1..5])
        })
        .collect()
}

#[track_caller]
fn finds(body: &str, expected: &[&str]) {
    let expected: Vec<String> = expected.iter().map(|name| format!("D010 {name}")).collect();
    assert_eq!(found(body), expected, "{body}");
}

#[test]
fn calls_are_found_wherever_they_stand() {
    finds("let t = Instant::now();", &["Instant::now"]);
    finds("let t = ::std::time::Instant::now();", &["std::time::Instant::now"]);
    finds("let t = <std::time::Instant>::now();", &["now"]);
    finds("let f = || rand::random::<u8>();", &["rand::random"]);
    finds("x.unwrap_or_else(Uuid::new_v4);", &["Uuid::new_v4"]);
    finds("fn inner() -> u8 { rand::random() }", &["rand::random"]);
    finds("struct S; impl S { fn go() { std::fs::read(x); } }", &["std::fs::read"]);
    finds("if std::env::var(x).is_ok() { work().await; }", &["std::env::var"]);
    finds("static HITS: AtomicU32 = AtomicU32::new(0);", &["static HITS"]);
    finds("static mut HITS: u32 = 0;", &["static HITS"]);
    finds("HITS.fetch_add(1, Ordering::SeqCst);", &["Ordering::SeqCst"]);
    finds("static NAMES: [&str; 1] = [\"a\"];", &[]);
    finds("const LIMIT: u32 = 1; let m = HashMap::new();", &[]);
}

#[test]
fn names_given_in_the_body_are_seen_through() {
    finds("use std::time::Instant as Clock; Clock::now();", &["Clock::now"]);
    finds("use std::{fs, env::var}; var(x); fs::read(y);", &["var", "fs::read"]);
    finds("use std::fs::{self as files}; files::read(y);", &["files::read"]);
    finds("use rand::random as r; r::<u8>();", &["r"]);
    finds("type Clock = std::time::SystemTime; Clock::now();", &["Clock::now"]);
    finds("use a::b as c; use c as a; a::now();", &[]);
    finds("use std::fs::*; read(x);", &["use std::fs::*"]);
    finds("use std::collections::*; let m = BTreeMap::new();", &[]);
    finds("{ use std::env::var; } var(x);", &[]);
}

#[test]
fn things_of_the_user_are_left_alone() {
    finds("struct Instant; impl Instant { fn now() {} } Instant::now();", &[]);
    finds("use crate::clock::Instant; Instant::now();", &[]);
    finds("crate::env::var(x); self::fs::read(y); storage::fs::read(z);", &[]);
    finds("mod process { pub fn exit() {} } process::exit();", &[]);
}

#[test]
fn macros_are_looked_into() {
    finds("println!(\"{}\", 1);", &["println!"]);
    finds(
        "let t = format!(\"{} {x}\", Instant::now(), x = rand::random::<u8>());",
        &["Instant::now", "rand::random"],
    );
    finds("let v = vec![Uuid::new_v4(); 3];", &["Uuid::new_v4"]);
    finds("odd! { when x => std::fs::read(y) }", &["std::fs::read"]);
    finds("odd! { when x => println!(\"a\") }", &["println!"]);
    finds("use std::env::var; odd! { a => var(y), b }", &["var"]);
    finds("tracing::info!(n, \"begun\"); log::warn!(\"x\"); info!(\"y\");", &[]);
    finds("tokio::select! { a = b => c }", &["tokio::select!"]);
}

#[test]
fn methods_are_found_unless_the_call_is_durable() {
    finds("let d = begin.elapsed();", &[".elapsed()"]);
    finds("let g = counter.lock().unwrap();", &[".lock()"]);
    finds("pool.spawn(job);", &[".spawn()"]);
    finds("handle.blocking_recv();", &[".blocking_recv()"]);
    finds("let d = later.duration_since(earlier);", &[]);
    finds("let guard = ctx.lock().await; ctx.spawn(door.lock());", &[]);
    finds("door.lock().await; door.lock().signal(); join!(door.lock(), door.lock());", &[]);
}

#[test]
fn an_escape_exempts_what_is_under_it_and_is_taken_off() {
    for body in [
        "#[allow_nondeterminism(\"a\")] let t = Instant::now();",
        "#[allow_nondeterminism(\"a\")] x = rand::random();",
        "#[allow_nondeterminism(\"a\")] work(Uuid::new_v4()).await;",
        "#[allow_nondeterminism(\"a\")] { Instant::now(); }",
        "#[allow_nondeterminism(\"a\")] for x in std::env::args() { work(x).await; }",
        "#[allow_nondeterminism(\"a\")] for x in m { work(x).await; }",
        "#[allow_nondeterminism(\"a\")] if x { Instant::now(); }",
        "match x { #[allow_nondeterminism(\"a\")] A => Instant::now(), _ => y }",
        "#[allow_nondeterminism(\"a\")] fn inner() { Instant::now(); }",
        "#[allow_nondeterminism(\"a\")] static HITS: AtomicU32 = AtomicU32::new(0);",
        "#[allow_nondeterminism(\"a\")] println!();",
    ] {
        let (out, messages) = scan(&format!("async fn f(m: HashMap<u8, u8>) {{ {body} }}"));
        assert!(messages.is_empty(), "{body}: {messages:?}");
        assert!(!out.contains("allow_nondeterminism"), "{out}");
    }
    for body in [
        "#[allow_nondeterminism] Instant::now();",
        "#[allow_nondeterminism(\" \")] Instant::now();",
        "#[allow_nondeterminism(reason)] Instant::now();",
    ] {
        let (_, messages) = scan(&format!("async fn f() {{ {body} }}"));
        assert!(messages.len() == 1 && messages[0].starts_with("[D014]"), "{messages:?}");
    }
}

#[test]
fn durable_calls_do_not_follow_a_hash_map() {
    for body in [
        "for (k, v) in m { work(k).await; }",
        "for k in m.keys() { ctx.set_custom_status(k); }",
        "for (k, v) in &m { counter.add(1).signal(); }",
        "let m = HashSet::from([1]); for k in m.iter().rev() { work(k).await; }",
        "let m: std::collections::HashSet<u8> = x(); for k in m { join!(a(k), b(k)); }",
        "let m = v.into_iter().collect::<HashMap<_, _>>(); for k in m.drain() { w(k).await; }",
        "use std::collections::HashMap as Map; let n: Map<u8, u8> = x(); for k in n { w().await; }",
        "let n = m.clone(); join_all(n.into_iter().map(work)).await;",
        "let t: Vec<_> = m.into_iter().map(|(k, v)| ctx.spawn(work(k))).collect();",
        "m.values().for_each(|v| ctx.start(child(v)));",
        "for x in HashSet::from([1, 2]) { work(x).await; }",
        "while let Some(m) = v.pop() { work(m).await; } for k in m { work(k).await; }",
    ] {
        let found = found(body);
        assert!(found.len() == 1 && found[0].starts_with("D015"), "{body}: {found:?}");
    }
    for body in [
        "for (k, v) in &m { sum += v * ctx.now(); }",
        "let mut v: Vec<_> = m.into_iter().collect(); v.sort(); for x in v { work(x).await; }",
        "for k in m.keys().sorted() { work(k).await; }",
        "for x in m.get(&1).into_iter() { work(x).await; }",
        "let n = m.values().sum(); for x in 0..n { work(x).await; }",
        "let m = BTreeMap::new(); for x in m { work(x).await; }",
        "for m in lists { for x in m { work(x).await; } }",
    ] {
        assert_eq!(found(body), Vec::<String>::new(), "{body}");
    }
}

/// The page shows the rules between these lines.
const BEGIN: &str = "<!-- The table in durable-macros/src/determinism/table.rs: -->\n";
const END: &str = "<!-- End of the table. -->\n";

fn rules_as_text() -> String {
    let mut out = String::from("\n| what | instead |\n|---|---|\n");
    for group in table::GROUPS {
        let methods = group.methods.iter().map(|method| format!("`.{}()`", method.name));
        let macros = group.macros.iter().map(|name| format!("`{name}!`"));
        let paths = group.paths.iter().map(|path| format!("`{path}`"));
        let all: Vec<String> = paths.chain(methods).chain(macros).collect();
        let Group { title, does, instead, .. } = group;
        let _ = writeln!(out, "| **{title}**, for it {does}: {} | {instead} |", all.join(" "));
    }
    let data: Vec<String> = table::DATA.iter().map(|path| format!("`{path}`")).collect();
    let _ = writeln!(out, "| allowed all the same, for it is data: {} | |\n", data.join(" "));
    out
}

#[test]
fn the_documentation_shows_the_rules() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/determinism.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let (head, rest) = text.split_once(BEGIN).expect("the page has a place for the table");
    let (table, tail) = rest.split_once(END).expect("the table ends");
    let rules = rules_as_text();
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&page, format!("{head}{BEGIN}{rules}{END}{tail}")).unwrap();
        return;
    }
    assert_eq!(table, rules, "docs/determinism.md differs; UPDATE_GOLDENS=1 writes it anew");
}
