//! The order of hash maps and sets: it changes from run to run, so durable calls may not follow it.
//! Found where syntax tells the type of a local: its declared type, or how it is made.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::visit::{self, Visit};

use super::aliases::Aliases;
use super::{Subject, allow};
use crate::diag::{Code, Diagnostics};
use crate::scoped::{Names, Scoped, scoped_visits};

/// Types whose iteration has no order, and what to use instead.
const UNORDERED: [(&str, &str); 2] = [("HashMap", "BTreeMap"), ("HashSet", "BTreeSet")];

/// Methods that go through a map or a set.
const ITERATION: [&str; 11] = [
    "iter",
    "iter_mut",
    "keys",
    "values",
    "values_mut",
    "into_iter",
    "into_keys",
    "into_values",
    "drain",
    "retain",
    "extract_if",
];

/// Methods whose result does not show the order in which they went through the items.
const ORDERLESS: [&str; 12] = [
    "all",
    "any",
    "count",
    "len",
    "max",
    "max_by",
    "max_by_key",
    "min",
    "min_by",
    "min_by_key",
    "product",
    "sum",
];

/// Methods of the context that give the same in any order.
const PURE: [&str; 4] = ["now", "instance_id", "parent", "version"];

/// Functions that begin all items of their argument.
const JOINS: [&str; 3] = ["join_all", "try_join_all", "select_all"];

/// Reports where durable calls follow the order of a hash map or set.
pub(super) fn check(body: &syn::Block, subject: Subject<'_>, diag: &mut Diagnostics) {
    let mut finder = Finder {
        diag,
        context: subject.context_name(),
        aliases: Aliases::default(),
        names: Names::new(),
    };
    for param in subject.params {
        let kind = finder.kind_of_type(&param.ty);
        finder.names.bind(&param.ident, kind);
    }
    finder.visit_block(body);
}

/// An index into [`UNORDERED`].
type Kind = usize;

struct Finder<'d> {
    diag: &'d mut Diagnostics,
    context: Option<String>,
    aliases: Aliases,
    /// `None` for a name that is something else.
    names: Names<Option<Kind>>,
}

/// A map or a set whose order shows.
struct Source {
    kind: Kind,
    name: Option<String>,
}

impl Scoped for Finder<'_> {
    type Meaning = Option<Kind>;

    fn names(&mut self) -> &mut Names<Option<Kind>> {
        &mut self.names
    }

    /// What they are is known where the pattern says it.
    fn hide(&mut self, pat: &syn::Pat) {
        struct Bindings<'f, 'd>(&'f mut Finder<'d>);
        impl<'ast> Visit<'ast> for Bindings<'_, '_> {
            fn visit_pat_ident(&mut self, pat: &'ast syn::PatIdent) {
                self.0.names.bind(&pat.ident, None);
                visit::visit_pat_ident(self, pat);
            }
            fn visit_pat_type(&mut self, pat: &'ast syn::PatType) {
                self.visit_pat(&pat.pat);
                let kind = self.0.kind_of_type(&pat.ty);
                if let syn::Pat::Ident(name) = &*pat.pat {
                    self.0.names.bind(&name.ident, kind);
                }
            }
            fn visit_expr(&mut self, _: &'ast syn::Expr) {}
        }
        Bindings(self).visit_pat(pat);
    }
}

impl Finder<'_> {
    fn kind_of_name(&self, expr: &syn::Expr) -> Option<Source> {
        let syn::Expr::Path(path) = expr else { return None };
        let name = path.path.get_ident()?;
        let kind = (*self.names.get(name)?)?;
        Some(Source { kind, name: Some(name.to_string()) })
    }

    fn kind_of_type(&self, ty: &syn::Type) -> Option<Kind> {
        match ty {
            syn::Type::Reference(ty) => self.kind_of_type(&ty.elem),
            syn::Type::Paren(ty) => self.kind_of_type(&ty.elem),
            syn::Type::Path(ty) => kind_called(self.aliases.resolve(&ty.path)?.last()?),
            _ => None,
        }
    }

    /// What an expression makes, as far as it says.
    fn kind_of_value(&self, expr: &syn::Expr) -> Option<Kind> {
        match expr {
            syn::Expr::Paren(e) => self.kind_of_value(&e.expr),
            syn::Expr::Group(e) => self.kind_of_value(&e.expr),
            syn::Expr::Reference(e) => self.kind_of_value(&e.expr),
            syn::Expr::Try(e) => self.kind_of_value(&e.expr),
            syn::Expr::Path(_) => self.kind_of_name(expr).map(|source| source.kind),
            syn::Expr::Call(call) => {
                let syn::Expr::Path(path) = &*call.func else { return None };
                let path = self.aliases.resolve(&path.path)?;
                kind_called(path.iter().rev().nth(1)?)
            }
            syn::Expr::MethodCall(call) if call.method == "clone" => {
                self.kind_of_value(&call.receiver)
            }
            syn::Expr::MethodCall(call) if call.method == "collect" => {
                let argument = call.turbofish.as_ref()?.args.first()?;
                let syn::GenericArgument::Type(ty) = argument else { return None };
                self.kind_of_type(ty)
            }
            _ => None,
        }
    }

    /// The map or set in whose order an expression goes. `whole` says whether the expression itself
    /// is gone through.
    fn source(&self, expr: &syn::Expr, whole: bool) -> Option<Source> {
        match expr {
            syn::Expr::Paren(e) => self.source(&e.expr, whole),
            syn::Expr::Group(e) => self.source(&e.expr, whole),
            syn::Expr::Reference(e) => self.source(&e.expr, whole),
            syn::Expr::MethodCall(call) => {
                let name = call.method.to_string();
                if name.starts_with("sorted") || ORDERLESS.contains(&name.as_str()) {
                    return None;
                }
                let iterates = ITERATION.contains(&name.as_str());
                self.source(&call.receiver, iterates).or_else(|| {
                    let kind = self.kind_of_value(expr).filter(|_| whole)?;
                    Some(Source { kind, name: None })
                })
            }
            expr if whole => self.kind_of_name(expr).or_else(|| {
                let kind = self.kind_of_value(expr)?;
                Some(Source { kind, name: None })
            }),
            _ => None,
        }
    }

    fn report(&mut self, at: &impl ToTokens, source: &Source) {
        let (unordered, ordered) = UNORDERED[source.kind];
        let what = match &source.name {
            Some(name) => format!("`{name}` is a `{unordered}`"),
            None => format!("this is a `{unordered}`"),
        };
        self.diag.error(
            Code::Order,
            at,
            &format!(
                "{what}, whose order changes from run to run, and durable calls follow it here: \
                 make it a `{ordered}`, or collect the items into a `Vec` and sort it first"
            ),
        );
    }

    /// Whether code begins something durable, or awaits.
    fn acts(&self, visit: impl FnOnce(&mut Acts<'_>)) -> bool {
        let mut acts = Acts { context: self.context.as_deref(), found: false };
        visit(&mut acts);
        acts.found
    }
}

fn kind_called(name: &str) -> Option<Kind> {
    UNORDERED.iter().position(|(unordered, _)| *unordered == name)
}

/// Whether a function's path ends with one that begins all its items.
fn begins_all(function: &syn::Expr) -> bool {
    let syn::Expr::Path(path) = function else { return false };
    path.path.segments.last().is_some_and(|last| JOINS.iter().any(|name| last.ident == name))
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_block(&mut self, block: &'ast syn::Block) {
        self.aliases.open(block);
        self.scoped(|this| visit::visit_block(this, block));
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

    fn visit_local(&mut self, local: &'ast syn::Local) {
        visit::visit_local(self, local);
        let kind = local.init.as_ref().and_then(|init| self.kind_of_value(&init.expr));
        self.hide(&local.pat);
        if let syn::Pat::Ident(pat) = &local.pat {
            self.names.bind(&pat.ident, kind);
        }
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if !allow::is_allowed(&arm.attrs) {
            self.walk_arm(arm);
        }
    }

    fn visit_expr_for_loop(&mut self, expr: &'ast syn::ExprForLoop) {
        if let Some(source) = self.source(&expr.expr, true)
            && self.acts(|acts| acts.visit_block(&expr.body))
        {
            self.report(&expr.expr, &source);
        } else {
            self.visit_expr(&expr.expr);
        }
        self.walk_rounds(expr);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if begins_all(&call.func)
            && let Some(argument) = call.args.first()
            && let Some(source) = self.source(argument, true)
        {
            self.report(argument, &source);
            return;
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let closures = call.args.iter().filter(|arg| matches!(arg, syn::Expr::Closure(_)));
        if self.acts(|acts| closures.for_each(|closure| acts.visit_expr(closure))) {
            let whole = ITERATION.iter().any(|name| call.method == name);
            if let Some(source) = self.source(&call.receiver, whole) {
                self.report(&call.receiver, &source);
                return;
            }
        }
        visit::visit_expr_method_call(self, call);
    }

    scoped_visits!();
}

/// Looks for what begins something durable.
struct Acts<'a> {
    context: Option<&'a str>,
    found: bool,
}

impl<'ast> Visit<'ast> for Acts<'_> {
    fn visit_expr_await(&mut self, _: &'ast syn::ExprAwait) {
        self.found = true;
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let on_context = matches!(&*call.receiver, syn::Expr::Path(path)
            if path.path.get_ident().is_some_and(|name| self.context == Some(&name.to_string())));
        let pure = PURE.iter().any(|name| call.method == name);
        self.found |= (on_context && !pure) || call.method == "signal";
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        self.found |= mac.path.segments.last().is_some_and(|last| {
            ["join", "try_join", "select"].iter().any(|name| last.ident == name)
        }) || has_await(&mac.tokens);
    }
}

fn has_await(tokens: &TokenStream) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        proc_macro2::TokenTree::Ident(ident) => ident == "await",
        proc_macro2::TokenTree::Group(group) => has_await(&group.stream()),
        _ => false,
    })
}
