//! Golden tests: an orchestrator in, the text of each pass out. `UPDATE_GOLDENS=1` writes the
//! files anew; the change then shows in the diff.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::*;
use crate::ir::BlockKind;
use crate::layout::Place;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("goldens")
}

/// Compares with the golden file, or writes it.
fn check(file: &str, text: &str) {
    let path = folder().join(file);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{file}: {e}; UPDATE_GOLDENS=1 writes it"));
    assert_eq!(text, expected, "{file} differs; UPDATE_GOLDENS=1 writes it anew");
}

fn parsed(source: &str) -> FunctionItem {
    let function: syn::ItemFn = syn::parse_str(source).unwrap();
    let mut item = free_function(function, Options::default(), "OrchestrationContext");
    bind_patterns(&mut item);
    item
}

fn compiled(source: &str) -> (FunctionItem, Compiled) {
    let item = parsed(source);
    let mut diag = Diagnostics::new();
    let compiled = passes(&item, &mut diag);
    assert!(!diag.has_errors(), "{}", diag.into_tokens());
    (item, compiled)
}

/// What liveness and layout decided.
fn layout_text(compiled: &Compiled) -> String {
    let Compiled { body, liveness, layout, .. } = compiled;
    let name = |var: VarId| format!("{}#{}", body.var(var).ident, var.0);
    let mut out = String::from("states\n");
    for id in body.block_ids() {
        let live: Vec<String> = liveness.live_in(id).iter().map(|var| name(*var)).collect();
        let saved = if layout.states[id.0].saved { "" } else { " (not saved)" };
        let _ =
            writeln!(out, "    b{} {}{saved}: {}", id.0, layout.states[id.0].name, live.join(" "));
        if let BlockKind::Resume { site, .. } = body.block(id).kind {
            let _ = writeln!(out, "        waits for {}", body.awaits[site.0].text);
        }
    }
    out.push_str("slots\n");
    for slot in &layout.slots {
        let place = match &slot.place {
            Place::Saved { name, first } => format!("saved as {name}, first across a{}", first.0),
            Place::Argument => "argument".to_owned(),
            Place::Local => "local".to_owned(),
        };
        let _ = writeln!(out, "    {}: {place}", name(slot.var));
    }
    out
}

use crate::ir::VarId;

#[test]
fn every_golden_orchestrator_compiles_as_recorded() {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| Some(name.strip_suffix(".in.rs")?.to_owned()))
        .collect();
    names.sort();
    assert!(names.len() >= 6, "the goldens are gone: {names:?}");
    for name in names {
        let source = std::fs::read_to_string(folder().join(format!("{name}.in.rs"))).unwrap();
        let (item, compiled) = compiled(&source);
        check(&format!("{name}.ir.txt"), &compiled.body.to_string());
        check(&format!("{name}.layout.txt"), &layout_text(&compiled));
        let tokens = emit::orchestrator(&item, &compiled);
        let file: syn::File = syn::parse2(tokens).unwrap();
        check(&format!("{name}.out.rs"), &prettyplease::unparse(&file));
    }
}

#[test]
fn the_same_source_gives_the_same_output() {
    let source =
        "async fn f(a: u8) -> u8 { for x in vec![a] { g(x).await; } join!(g(a), g(a)); a }";
    let once = orchestrator(TokenStream::new(), source.parse().unwrap()).to_string();
    let twice = orchestrator(TokenStream::new(), source.parse().unwrap()).to_string();
    assert_eq!(once, twice);
}

#[test]
fn an_await_elsewhere_renames_no_state() {
    let states = |source: &str| -> Vec<String> {
        let (_, compiled) = compiled(source);
        compiled.layout.states.into_iter().filter(|s| s.saved).map(|s| s.name).collect()
    };
    let before = states("async fn f() { charge(1).await; audit(2).await; charge(3).await; }");
    let after =
        states("async fn f() { charge(1).await; ship(9).await; audit(2).await; charge(3).await; }");
    let without_new: Vec<_> = after.into_iter().filter(|name| name != "AwaitShip").collect();
    assert_eq!(before, without_new);
}

#[test]
fn a_pinned_name_stays_where_its_await_goes() {
    let states = |source: &str| -> Vec<String> {
        let (_, compiled) = compiled(source);
        compiled.layout.states.into_iter().filter(|s| s.saved).map(|s| s.name).collect()
    };
    let before = states(
        "async fn f() { charge(1).await; #[state = \"Second\"] charge(2).await; \
         #[state = \"Race\"] select! { x = audit(1) => x, _ = ship(2) => 1 }; }",
    );
    assert_eq!(before, ["Start", "AwaitCharge", "Second", "AwaitAudit", "AwaitShip", "Race"]);
    // Without the pins the second charge would be the third here, and the audit the second.
    let after = states(
        "async fn f() { charge(1).await; charge(9).await; #[state = \"Second\"] charge(2).await; \
         #[state = \"Race\"] select! { x = audit(1) => x, _ = ship(2) => 1 }; }",
    );
    assert_eq!(
        after,
        ["Start", "AwaitCharge", "AwaitCharge2", "Second", "AwaitAudit", "AwaitShip", "Race"]
    );
}

/// The messages for a source, one a line.
fn messages(attr: &str, source: &str) -> Vec<String> {
    let tokens = orchestrator(attr.parse().unwrap(), source.parse().unwrap());
    let file: syn::File = syn::parse2(tokens).unwrap();
    file.items
        .iter()
        .filter_map(|item| match item {
            syn::Item::Macro(mac) if mac.mac.path.segments.last()?.ident == "compile_error" => {
                Some(mac.mac.parse_body::<syn::LitStr>().ok()?.value())
            }
            _ => None,
        })
        .collect()
}

#[test]
fn all_errors_of_a_function_are_reported_together() {
    let found = messages(
        "",
        "fn f<T>(a: &str) -> u8 { let t = std::time::Instant::now(); let x = async { 1 }; 1 }",
    );
    let codes: Vec<&str> = found.iter().map(|message| &message[1..5]).collect();
    assert_eq!(codes, ["D001", "D003", "D002", "D007", "D010"], "{found:#?}");
}

#[test]
fn unknown_options_are_refused() {
    assert_eq!(
        messages("color = \"red\"", "async fn f() {}"),
        ["[D004] unknown option: this attribute takes `name = \"..\"` and `version = \"..\"`"]
    );
}

#[test]
fn garbage_gives_items_or_errors_and_never_a_panic() {
    for source in ["", "struct X;", "async fn", "impl X {}", "1 + 1", "async fn f() { x.await ; y("]
    {
        let Ok(tokens) = source.parse::<TokenStream>() else { continue };
        for macro_fn in [orchestrator, activity, entity] {
            let out = macro_fn(TokenStream::new(), tokens.clone());
            assert!(syn::parse2::<syn::File>(out.clone()).is_ok(), "{source:?} gave {out}");
        }
    }
}
