//! The expansion of an example, kept beside it as documentation. `UPDATE_EXPANSIONS=1` writes it
//! anew; the change then shows in the diff.

use std::path::{Path, PathBuf};

use quote::ToTokens;

use super::*;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// The attribute of ours among those of an item, taken off it: its name and its tokens.
fn take_ours(attrs: &mut Vec<syn::Attribute>) -> Option<(String, TokenStream)> {
    let names = ["orchestrator", "activity", "entity", "deterministic"];
    let at = attrs.iter().position(|attr| names.iter().any(|name| attr.path().is_ident(name)))?;
    let attr = attrs.remove(at);
    let name = attr.path().get_ident()?.to_string();
    let options = match attr.meta {
        syn::Meta::List(list) => list.tokens,
        _ => TokenStream::new(),
    };
    Some((name, options))
}

/// The items of a program with our attributes expanded.
fn expand(file: syn::File) -> syn::File {
    let mut items = Vec::new();
    for mut item in file.items {
        let ours = match &mut item {
            syn::Item::Fn(item) => take_ours(&mut item.attrs),
            syn::Item::Impl(item) => take_ours(&mut item.attrs),
            _ => None,
        };
        let Some((name, options)) = ours else {
            items.push(item);
            continue;
        };
        let tokens = item.into_token_stream();
        let out = match name.as_str() {
            "orchestrator" => orchestrator(options, tokens),
            "activity" => activity(options, tokens),
            "entity" => entity(options, tokens),
            _ => deterministic(options, tokens),
        };
        items.extend(syn::parse2::<syn::File>(out).unwrap().items);
    }
    syn::File { items, ..file }
}

#[test]
fn the_expansion_of_the_quickstart_is_as_recorded() {
    const HEAD: &str = "\
// What the macros make of `src/bin/quickstart.rs`, for reading. A test in durable-macros keeps it:
// UPDATE_EXPANSIONS=1 cargo test -p durable-macros expansion

";
    let source = std::fs::read_to_string(examples().join("src/bin/quickstart.rs")).unwrap();
    let expanded = prettyplease::unparse(&expand(syn::parse_file(&source).unwrap()));
    let expanded = format!("{HEAD}{expanded}");
    let path = examples().join("expansions/quickstart.rs");
    if std::env::var_os("UPDATE_EXPANSIONS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, expanded).unwrap();
        return;
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(expanded, recorded, "UPDATE_EXPANSIONS=1 writes {} anew", path.display());
}
