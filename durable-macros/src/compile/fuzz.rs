//! Any tokens give code or an error, and never a panic: random changes to programs and to programs
//! with errors, random token trees, and code that is nested very deeply.
//!
//! `DURABLE_FUZZ_SEED` and `DURABLE_FUZZ_CASES` choose other and more of them.

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};
use quote::ToTokens;

use super::*;

const DEFAULT_SEED: u64 = 1;
const DEFAULT_CASES: u64 = 1_500;
const MOST_CHANGES: u64 = 4;

type Entry = (&'static str, fn(TokenStream, TokenStream) -> TokenStream);

const ENTRIES: [Entry; 4] = [
    ("orchestrator", orchestrator),
    ("activity", activity),
    ("entity", entity),
    ("deterministic", deterministic),
];

/// The generator `SplitMix64` (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
        Err(_) => default,
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Functions and impl blocks of the goldens, the examples and the cases for users.
fn corpus() -> Vec<TokenStream> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let mut files = Vec::new();
    for folder in ["durable-macros/goldens", "ui-tests/tests", "examples/src"] {
        sources(&crates.join(folder), &mut files);
    }
    files.retain(|file| !file.to_string_lossy().ends_with(".out.rs"));
    files.sort();
    let mut items = Vec::new();
    for file in files {
        let Ok(file) = syn::parse_file(&std::fs::read_to_string(file).unwrap()) else { continue };
        for item in file.items {
            match item {
                syn::Item::Fn(mut function) => {
                    function.attrs.clear();
                    items.push(function.into_token_stream());
                }
                syn::Item::Impl(mut block) => {
                    block.attrs.clear();
                    items.push(block.into_token_stream());
                }
                _ => {}
            }
        }
    }
    assert!(items.len() > 50, "the corpus is gone: {} items", items.len());
    items
}

/// Every token tree in the corpus, to be put elsewhere.
fn trees(tokens: &TokenStream, found: &mut Vec<TokenTree>) {
    for tree in tokens.clone() {
        if let TokenTree::Group(group) = &tree {
            trees(&group.stream(), found);
        }
        found.push(tree);
    }
}

const WORDS: [&str; 40] = [
    "async",
    "await",
    "fn",
    "let",
    "mut",
    "if",
    "else",
    "match",
    "for",
    "in",
    "while",
    "loop",
    "return",
    "break",
    "continue",
    "move",
    "ref",
    "self",
    "Self",
    "impl",
    "dyn",
    "unsafe",
    "static",
    "const",
    "use",
    "as",
    "where",
    "x",
    "ctx",
    "_",
    "join",
    "try_join",
    "join_all",
    "HashMap",
    "Instant",
    "now",
    "state",
    "allow_nondeterminism",
    "yield",
    "union",
];
const MARKS: [char; 23] = [
    '.', ',', ';', ':', '=', '!', '?', '&', '|', '+', '-', '*', '/', '<', '>', '#', '@', '$', '%',
    '^', '~', '\'', '.',
];
const DELIMITERS: [Delimiter; 4] =
    [Delimiter::Parenthesis, Delimiter::Brace, Delimiter::Bracket, Delimiter::None];

fn random_tree(random: &mut Random, depth: usize) -> TokenTree {
    match random.below(if depth == 0 { 6 } else { 8 }) {
        0..3 => Ident::new(WORDS[random.below(WORDS.len())], Span::call_site()).into(),
        3 | 4 => {
            let spacing = if random.below(2) == 0 { Spacing::Joint } else { Spacing::Alone };
            // A lone quote is no token.
            let mark = *random.pick(&MARKS);
            Punct::new(if mark == '\'' { '.' } else { mark }, spacing).into()
        }
        5 => match random.below(3) {
            0 => Literal::u64_unsuffixed(random.next() % 100).into(),
            1 => Literal::string("a {x} {0:?} {").into(),
            _ => Literal::f64_unsuffixed(1.5).into(),
        },
        _ => {
            let inner = random_stream(random, depth - 1);
            Group::new(*random.pick(&DELIMITERS), inner).into()
        }
    }
}

fn random_stream(random: &mut Random, depth: usize) -> TokenStream {
    (0..random.below(8)).map(|_| random_tree(random, depth)).collect()
}

/// Changes one place, somewhere down in the tree.
fn change(tokens: &TokenStream, random: &mut Random, pool: &[TokenTree]) -> TokenStream {
    let mut list: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let groups: Vec<usize> =
        (0..list.len()).filter(|at| matches!(list[*at], TokenTree::Group(_))).collect();
    if !groups.is_empty() && random.below(4) != 0 {
        let at = *random.pick(&groups);
        if let TokenTree::Group(group) = &list[at] {
            let delimiter =
                if random.below(30) == 0 { *random.pick(&DELIMITERS) } else { group.delimiter() };
            list[at] = Group::new(delimiter, change(&group.stream(), random, pool)).into();
        }
        return list.into_iter().collect();
    }
    let at = random.below(list.len());
    let other =
        if random.below(2) == 0 { random.pick(pool).clone() } else { random_tree(random, 2) };
    match random.below(5) {
        _ if list.is_empty() => list.push(other),
        0 => {
            list.remove(at);
        }
        1 => list.insert(at, other),
        2 => list[at] = other,
        3 => {
            let to = random.below(list.len());
            list.swap(at, to);
        }
        _ => {
            let end = at + random.below(list.len() - at + 1);
            let inner = list.drain(at..end).collect();
            list.insert(at, Group::new(*random.pick(&DELIMITERS), inner).into());
        }
    }
    list.into_iter().collect()
}

/// Runs all macros on the tokens; a panic is reported together with them.
fn run(attr: &TokenStream, item: &TokenStream, panics: &mut Vec<String>) {
    for (name, entry) in ENTRIES {
        let text = (attr.to_string(), item.to_string());
        let (attr, item) = (attr.clone(), item.clone());
        // Tokens outside of the compiler are plain data, which a panic leaves as they are.
        let guarded = std::panic::AssertUnwindSafe(|| {
            let out = entry(attr, item);
            let is_error = out.to_string().contains("compile_error");
            assert!(is_error || syn::parse2::<syn::File>(out).is_ok(), "neither code nor an error");
        });
        if catch_unwind(guarded).is_err() {
            panics.push(format!("#[{name}({})]\n{}\n", text.0, text.1));
        }
    }
}

#[test]
fn no_tokens_make_the_macros_panic() {
    let seed = number("DURABLE_FUZZ_SEED", DEFAULT_SEED);
    let cases = number("DURABLE_FUZZ_CASES", DEFAULT_CASES);
    println!("DURABLE_FUZZ_SEED={seed} DURABLE_FUZZ_CASES={cases}");
    let mut random = Random(seed);
    let corpus = corpus();
    let mut pool = Vec::new();
    for item in &corpus {
        trees(item, &mut pool);
    }
    let mut panics = Vec::new();
    for item in &corpus {
        run(&TokenStream::new(), item, &mut panics);
    }
    for case in 0..cases {
        let attr = if case % 8 == 0 { random_stream(&mut random, 1) } else { TokenStream::new() };
        let item = if case % 16 == 1 {
            random_stream(&mut random, 4)
        } else {
            let changes = 1 + random.next() % MOST_CHANGES;
            let item = random.pick(&corpus).clone();
            (0..changes).fold(item, |item, _| change(&item, &mut random, &pool))
        };
        run(&attr, &item, &mut panics);
    }
    assert!(panics.is_empty(), "{} panics, seed {seed}:\n{}", panics.len(), panics.join("\n"));
}

/// Code that nests `depth` times in one way.
fn nested(way: usize, depth: usize) -> Option<String> {
    let around = |open: &str, inner: &str, close: &str| {
        format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
    };
    let body = match way {
        0 => around("(", "x", ")"),
        1 => around("{", "x", "}"),
        2 => around("[", "x", "]"),
        3 => around("!", "x", ""),
        4 => around("&", "x", ""),
        5 => around("x + ", "y", ""),
        6 => around("", "x", ".a()"),
        7 => around("", "x", ".await"),
        8 => around("", "x", "?"),
        9 => around("if a { b } else ", "{ c }", ""),
        10 => around("if a { ", "b", " }"),
        11 => around("|a| ", "x", ""),
        12 => around("return ", "x", ""),
        13 => around("x = ", "y", ""),
        14 => around("f(", "a().await", ")"),
        15 => around("vec![", "a().await", "]"),
        16 => around("match a { b => ", "c().await", " }"),
        17 => around("let x: Vec<", "u8", ">; "),
        18 => around("let &", "x = y; ", ""),
        19 => around("for x in y { ", "z().await;", " }"),
        20 => around("fn f() { ", "", " }"),
        21 => around("a && ", "b().await", ""),
        22 => around("loop { ", "a().await;", " }"),
        23 => around("x as ", "u8", ""),
        24 => around("if a().await { ", "b().await;", " } else { c().await; }"),
        25 => around("macro_call! { ", "b", " }"),
        26 => around("a().await + ", "b().await", ""),
        _ => return None,
    };
    Some(format!("async fn f() {{ {body} }}"))
}

/// A little less than the 8 MiB that the compiler gives.
const STACK_BYTES: usize = 6 * 1024 * 1024;

#[test]
fn deep_code_gives_an_error_and_not_an_overflow() {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    thread.spawn(compile_deep_code).unwrap().join().unwrap();
}

fn compile_deep_code() {
    for way in 0.. {
        // Where it is let through, the stack has to do.
        for depth in [10, 30, 60, 100, 200, 300, 600, 2_000, 50_000] {
            let Some(source) = nested(way, depth) else { return };
            let Ok(tokens) = source.parse::<TokenStream>() else { continue };
            for (_, entry) in ENTRIES {
                drop(entry(TokenStream::new(), tokens.clone()));
            }
            if depth > nesting::MAX_NESTING_STEPS {
                let out = orchestrator(TokenStream::new(), tokens).to_string();
                assert!(out.contains("[D016]"), "way {way} at depth {depth}");
            }
        }
    }
}
