//! What an orchestrator, or a `#[deterministic]` helper of one, may not do: the visitor that looks
//! for it. The rules are data in `determinism/table.rs`. Syntax shows neither types nor what stands
//! in other functions; the second run of a turn in debug builds finds the rest.

mod aliases;
mod allow;
mod order;
mod table;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::visit_mut::VisitMut;

use self::aliases::{Aliases, segments};
use self::table::Group;
use crate::diag::{Code, Diagnostics};
use crate::parse::{Context, ORCHESTRATION_CONTEXT, Param, is_reference_to};

/// The function that is scanned.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// Names it in messages.
    pub(crate) what: &'a str,
    pub(crate) params: &'a [Param],
    /// Its context, whose methods are durable.
    pub(crate) context: Option<&'a Context>,
}

impl Subject<'_> {
    fn context_name(&self) -> Option<String> {
        self.context.and_then(|context| plain_name(&context.pat)).map(ToString::to_string)
    }
}

/// Reports what is not deterministic in a body, and takes the escapes off it.
pub(crate) fn check(body: &mut syn::Block, subject: Subject<'_>, diag: &mut Diagnostics) {
    let mut finder = Finder::new(subject, diag);
    finder.visit_block(body);
    order::check(body, subject, diag);
    allow::TakeOff(diag).visit_block_mut(body);
}

/// Refuses the escape on a whole function: it would hide what is added later.
pub(crate) fn refuse_on_function(attrs: &mut Vec<syn::Attribute>, diag: &mut Diagnostics) {
    attrs.retain(|attr| {
        let escape = attr.path().is_ident(allow::NAME);
        if escape {
            diag.error(
                Code::Reason,
                attr,
                "an exemption is for one statement, not for a whole function: put it on the \
                 statement that needs it",
            );
        }
        !escape
    });
}

fn plain_name(pat: &syn::Pat) -> Option<&syn::Ident> {
    match pat {
        syn::Pat::Ident(pat) => Some(&pat.ident),
        _ => None,
    }
}

struct Finder<'d> {
    diag: &'d mut Diagnostics,
    what: String,
    contexts: Vec<String>,
    aliases: Aliases,
}

impl<'d> Finder<'d> {
    fn new(subject: Subject<'_>, diag: &'d mut Diagnostics) -> Self {
        let contexts = subject.context_name().into_iter().collect();
        Self { diag, what: subject.what.to_owned(), contexts, aliases: Aliases::default() }
    }

    fn report(&mut self, at: &impl ToTokens, what: &str, group: &Group) {
        let Group { does, instead, .. } = group;
        self.diag.error(
            Code::Nondeterministic,
            at,
            &format!(
                "{what} {does}, and {} must do the same whenever a turn runs again: use \
                 {instead}\n(if it does no harm here, say why: `#[{}(\"..\")]` on the statement)",
                self.what,
                allow::NAME,
            ),
        );
    }

    /// Reports a path that is forbidden. `written` is how it stands in the code.
    fn path(&mut self, at: &impl ToTokens, written: &[String], meant: Option<Vec<String>>) {
        let Some(meant) = meant else { return };
        let Some(group) = table::find(&meant) else { return };
        let written = written.join("::");
        let meant = meant.join("::");
        // An import in the body gave it another name.
        let what = if meant == written {
            format!("`{written}`")
        } else {
            format!("`{written}` (that is `{meant}`)")
        };
        self.report(at, &what, group);
    }

    fn is_context(&self, expr: &syn::Expr) -> bool {
        match expr {
            syn::Expr::Path(path) => path
                .path
                .get_ident()
                .is_some_and(|ident| self.contexts.iter().any(|name| ident == name)),
            syn::Expr::Paren(e) => self.is_context(&e.expr),
            syn::Expr::Reference(e) => self.is_context(&e.expr),
            _ => false,
        }
    }

    /// What is awaited, spawned, joined or signalled is a durable call, by whatever name.
    fn durable(&mut self, expr: &syn::Expr) {
        match expr {
            syn::Expr::Paren(e) => self.durable(&e.expr),
            syn::Expr::MethodCall(call) => visit::visit_expr_method_call(self, call),
            expr => self.visit_expr(expr),
        }
    }

    /// The tokens of a macro that are no list of expressions: the paths and macros in them.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<proc_macro2::Ident> = Vec::new();
        let mut absolute = false;
        let mut colons = 0;
        for token in tokens {
            match &token {
                TokenTree::Ident(ident) if path.is_empty() || colons == 2 => {
                    absolute |= path.is_empty() && colons == 2;
                    path.push(ident.clone());
                    colons = 0;
                    continue;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && colons < 2 => {
                    colons += 1;
                    continue;
                }
                TokenTree::Punct(punct) if punct.as_char() == '!' && path.len() == 1 => {
                    let name = [path[0].to_string()];
                    if let Some(group) = table::find_macro(&name) {
                        self.report(&path[0], &format!("`{}!`", name[0]), group);
                        path.clear();
                    }
                }
                _ => {}
            }
            self.token_path(&path, absolute);
            path.clear();
            (absolute, colons) = (false, 0);
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(ident) => path.push(ident),
                _ => {}
            }
        }
        self.token_path(&path, absolute);
    }

    fn token_path(&mut self, path: &[proc_macro2::Ident], absolute: bool) {
        let Some(first) = path.first() else { return };
        let written: Vec<String> = path.iter().map(ToString::to_string).collect();
        let meant = self.aliases.resolve_segments(written.clone(), absolute);
        // A bare name may be anything here, unless the body imports it.
        if path.len() > 1 || meant.as_ref().is_some_and(|meant| meant.len() > 1) {
            self.path(first, &written, meant);
        }
    }
}

/// The arguments of a macro, if they are expressions as those of `format!` and `vec!` are.
fn arguments(mac: &syn::Macro) -> Option<Vec<syn::Expr>> {
    type List = Punctuated<syn::Expr, syn::Token![,]>;
    type Repeat = Punctuated<syn::Expr, syn::Token![;]>;
    let list = List::parse_terminated.parse2(mac.tokens.clone());
    let list = list.map(|list| list.into_iter().collect());
    list.or_else(|_| {
        let repeat = Repeat::parse_terminated.parse2(mac.tokens.clone());
        repeat.map(|repeat| repeat.into_iter().collect())
    })
    .ok()
}

/// Macros whose arguments are awaited.
const JOINS: [&str; 3] = ["join", "try_join", "select"];

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_block(&mut self, block: &'ast syn::Block) {
        self.aliases.open(block);
        visit::visit_block(self, block);
        self.aliases.close();
    }

    fn visit_stmt(&mut self, stmt: &'ast syn::Stmt) {
        if !allow::is_stmt_allowed(stmt) {
            visit::visit_stmt(self, stmt);
        }
    }

    fn visit_expr(&mut self, expr: &'ast syn::Expr) {
        if !allow::is_expr_allowed(expr) {
            visit::visit_expr(self, expr);
        }
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if !allow::is_allowed(&arm.attrs) {
            visit::visit_arm(self, arm);
        }
    }

    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !allow::is_item_allowed(item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        if !allow::is_impl_item_allowed(item) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_signature(&mut self, sig: &'ast syn::Signature) {
        // An inner function may be handed the context.
        for input in &sig.inputs {
            if let syn::FnArg::Typed(typed) = input
                && is_reference_to(&typed.ty, ORCHESTRATION_CONTEXT)
                && let Some(name) = plain_name(&typed.pat)
            {
                self.contexts.push(name.to_string());
            }
        }
        visit::visit_signature(self, sig);
    }

    fn visit_expr_path(&mut self, expr: &'ast syn::ExprPath) {
        let written = segments(&expr.path);
        let meant = match &expr.qself {
            None => self.aliases.resolve(&expr.path),
            // `<Type>::function` and `<Type as Trait>::function`.
            Some(qself) => match &*qself.ty {
                syn::Type::Path(ty) => self.aliases.resolve(&ty.path).map(|mut meant| {
                    meant.extend(written.iter().skip(qself.position).cloned());
                    meant
                }),
                _ => None,
            },
        };
        self.path(expr, &written, meant);
        visit::visit_expr_path(self, expr);
    }

    fn visit_expr_await(&mut self, expr: &'ast syn::ExprAwait) {
        self.durable(&expr.base);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if self.is_context(&call.receiver) {
            for argument in &call.args {
                self.durable(argument);
            }
            return;
        }
        let name = call.method.to_string();
        if name == "signal" {
            self.durable(&call.receiver);
            return;
        }
        if let Some(group) = table::find_method(&name, call.args.len()) {
            self.report(&call.method, &format!("`.{name}()`"), group);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        let written = segments(&mac.path);
        if let Some(meant) = self.aliases.resolve(&mac.path)
            && let Some(group) = table::find_macro(&meant)
        {
            self.report(&mac.path, &format!("`{}!`", written.join("::")), group);
            return;
        }
        let awaits = written.last().is_some_and(|name| JOINS.contains(&name.as_str()));
        match arguments(mac) {
            Some(arguments) if awaits => arguments.iter().for_each(|expr| self.durable(expr)),
            Some(arguments) => arguments.iter().for_each(|expr| self.visit_expr(expr)),
            None => self.tokens(mac.tokens.clone()),
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        for module in globs(&item.tree) {
            let mut inside = module.clone();
            inside.push("*".to_owned());
            let meant = self.aliases.resolve_segments(inside, item.leading_colon.is_some());
            // What comes from a module that is forbidden as a whole cannot be told from other names.
            if let Some(group) = meant.and_then(|meant| table::find(&meant)) {
                self.report(&item.tree, &format!("`use {}::*`", module.join("::")), group);
            }
        }
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        let mutable = !matches!(item.mutability, syn::StaticMutability::None);
        if mutable || is_mutable(&item.ty) {
            let what = format!("`static {}`", item.ident);
            self.report(&item.ident, &what, table::shared_state());
        } else {
            visit::visit_item_static(self, item);
        }
    }
}

/// The modules from which a `use` takes everything.
fn globs(tree: &syn::UseTree) -> Vec<Vec<String>> {
    let below = |first: &syn::Ident, tree: &syn::UseTree| {
        let mut found = globs(tree);
        for path in &mut found {
            path.insert(0, first.to_string());
        }
        found
    };
    match tree {
        syn::UseTree::Glob(_) => vec![Vec::new()],
        syn::UseTree::Path(path) => below(&path.ident, &path.tree),
        syn::UseTree::Group(group) => group.items.iter().flat_map(globs).collect(),
        _ => Vec::new(),
    }
}

/// Whether a static of this type can be changed by code.
fn is_mutable(ty: &syn::Type) -> bool {
    struct Types(bool);
    impl<'ast> Visit<'ast> for Types {
        fn visit_path_segment(&mut self, segment: &'ast syn::PathSegment) {
            let name = segment.ident.to_string();
            self.0 |= table::MUTABLE_TYPES.contains(&name.as_str()) || name.starts_with("Atomic");
            visit::visit_path_segment(self, segment);
        }
    }
    let mut types = Types(false);
    types.visit_type(ty);
    types.0
}

#[cfg(test)]
mod tests;
