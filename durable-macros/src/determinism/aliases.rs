//! What names mean where the body itself says so: `use` declarations, type aliases and items inside
//! of it. What stands outside of the body is out of a macro's sight.

use std::collections::HashMap;

/// The names that the open blocks give to things, innermost last.
#[derive(Default)]
pub(super) struct Aliases {
    blocks: Vec<HashMap<String, Meaning>>,
}

enum Meaning {
    /// Another name of this path.
    Path(Vec<String>),
    /// An item of the user's.
    Item,
}

impl Aliases {
    /// Opens a block: its items are visible in all of it.
    pub(super) fn open(&mut self, block: &syn::Block) {
        let mut names = HashMap::new();
        for stmt in &block.stmts {
            let syn::Stmt::Item(item) = stmt else { continue };
            match item {
                syn::Item::Use(item) => imports(&item.tree, &mut Vec::new(), &mut names),
                syn::Item::Type(item) => {
                    let meaning = match &*item.ty {
                        syn::Type::Path(ty) if ty.qself.is_none() => {
                            Meaning::Path(segments(&ty.path))
                        }
                        _ => Meaning::Item,
                    };
                    names.insert(item.ident.to_string(), meaning);
                }
                item => {
                    if let Some(name) = item_name(item) {
                        names.insert(name.to_string(), Meaning::Item);
                    }
                }
            }
        }
        self.blocks.push(names);
    }

    pub(super) fn close(&mut self) {
        self.blocks.pop();
    }

    /// The path that `path` means; `None` if it is the user's own.
    pub(super) fn resolve(&self, path: &syn::Path) -> Option<Vec<String>> {
        self.resolve_segments(segments(path), path.leading_colon.is_some())
    }

    /// The same for the segments of a path; `absolute` if it begins with `::`.
    pub(super) fn resolve_segments(
        &self,
        mut path: Vec<String>,
        absolute: bool,
    ) -> Option<Vec<String>> {
        if absolute {
            return Some(with_std(path));
        }
        // An alias of an alias is looked up again. Each is taken once, so that a cycle ends.
        let mut taken = Vec::new();
        while let Some(first) = path.first() {
            if ["crate", "self", "super", "Self"].contains(&first.as_str()) {
                return None;
            }
            if taken.contains(first) {
                break;
            }
            match self.blocks.iter().rev().find_map(|names| names.get(first)) {
                Some(Meaning::Item) => return None,
                Some(Meaning::Path(meant)) => {
                    taken.push(first.clone());
                    let mut meant = meant.clone();
                    meant.extend(path.drain(1..));
                    path = meant;
                }
                None => break,
            }
        }
        Some(with_std(path))
    }
}

/// `core` and `alloc` are parts of `std`.
fn with_std(mut path: Vec<String>) -> Vec<String> {
    if path.len() > 1
        && let Some(first) = path.first_mut()
        && (first == "core" || first == "alloc")
    {
        "std".clone_into(first);
    }
    path
}

/// The segments of a path, without generic arguments.
pub(super) fn segments(path: &syn::Path) -> Vec<String> {
    path.segments
        .iter()
        .map(|segment| segment.ident.to_string().trim_start_matches("r#").to_owned())
        .collect()
}

fn imports(tree: &syn::UseTree, prefix: &mut Vec<String>, names: &mut HashMap<String, Meaning>) {
    match tree {
        syn::UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            imports(&path.tree, prefix, names);
            prefix.pop();
        }
        syn::UseTree::Name(name) => import(&name.ident, &name.ident, prefix, names),
        syn::UseTree::Rename(rename) => import(&rename.ident, &rename.rename, prefix, names),
        syn::UseTree::Group(group) => {
            for tree in &group.items {
                imports(tree, prefix, names);
            }
        }
        syn::UseTree::Glob(_) => {}
    }
}

fn import(
    what: &syn::Ident,
    name: &syn::Ident,
    prefix: &[String],
    names: &mut HashMap<String, Meaning>,
) {
    let mut path = prefix.to_vec();
    // `use std::fs::{self}` names the module.
    if what != "self" {
        path.push(what.to_string());
    }
    let name = if name == "self" { path.last().cloned() } else { Some(name.to_string()) };
    // `use rand;` adds nothing to what the name means anyway.
    if let Some(name) = name
        && path != [name.as_str()]
    {
        names.insert(name, Meaning::Path(path));
    }
}

fn item_name(item: &syn::Item) -> Option<&syn::Ident> {
    Some(match item {
        syn::Item::Const(item) => &item.ident,
        syn::Item::Enum(item) => &item.ident,
        syn::Item::Fn(item) => &item.sig.ident,
        syn::Item::Mod(item) => &item.ident,
        syn::Item::Static(item) => &item.ident,
        syn::Item::Struct(item) => &item.ident,
        syn::Item::Trait(item) => &item.ident,
        syn::Item::Union(item) => &item.ident,
        _ => return None,
    })
}
