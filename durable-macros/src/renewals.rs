//! Renewals: `ctx.continue_as_new(..)` ends the run as soon as it begins, so it is nothing to wait for
//! beside something else. Found where syntax shows it: as a branch of `select!`, `join!` or
//! `try_join!`, also by the name of a variable. An `async` block may await one: it says where.

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::visit::{self, Visit};
use syn::{Block, Expr, Pat};

use crate::diag::{Code, Diagnostics};
use crate::lower::branches::{awaited_together, parts};
use crate::lower::macros::visit_arguments_mut;
use crate::lower::scope::bindings;
use crate::lower::suspend::Waits;
use crate::scoped::{Names, Scoped, scoped_visits};

/// The method of the context that makes a renewal.
const METHOD: &str = "continue_as_new";

/// Refuses renewals among the branches of a body. `context` is the name of the context.
pub(crate) fn check(body: &Block, context: Option<&Pat>, diag: &mut Diagnostics) {
    if !mentions_renewal(quote!(#body)) {
        return;
    }
    let mut finder = Finder { diag, names: Names::new() };
    if let Some(Pat::Ident(context)) = context {
        finder.names.bind(&context.ident, Meaning::Context);
    }
    finder.visit_block(body);
}

/// Whether the tokens name the method: most bodies do not.
fn mentions_renewal(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == METHOD,
        TokenTree::Group(group) => mentions_renewal(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// What is known of a name, or of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Context,
    Renewal,
    Other,
}

struct Finder<'d> {
    diag: &'d mut Diagnostics,
    names: Names<Meaning>,
}

impl Scoped for Finder<'_> {
    type Meaning = Meaning;

    fn names(&mut self) -> &mut Names<Meaning> {
        &mut self.names
    }

    fn hide(&mut self, pat: &Pat) {
        for binding in bindings(pat) {
            self.names.bind(&binding.ident, Meaning::Other);
        }
    }
}

impl Finder<'_> {
    // --- names ------------------------------------------------------------------------------------

    /// The names that a condition gives with `let`.
    fn hide_by(&mut self, condition: &Expr) {
        match condition {
            Expr::Let(condition) => self.hide(&condition.pat),
            Expr::Binary(both) => {
                self.hide_by(&both.left);
                self.hide_by(&both.right);
            }
            _ => {}
        }
    }

    fn meaning_of_name(&self, path: &syn::Path) -> Meaning {
        let known = path.get_ident().and_then(|name| self.names.get(name));
        known.copied().unwrap_or(Meaning::Other)
    }

    /// What an expression gives, as far as it says.
    fn meaning(&mut self, expr: &Expr) -> Meaning {
        match expr {
            Expr::Path(path) => self.meaning_of_name(&path.path),
            Expr::Paren(inner) => self.meaning(&inner.expr),
            Expr::Group(inner) => self.meaning(&inner.expr),
            Expr::Reference(reference) => self.meaning(&reference.expr),
            Expr::Call(call) if is_method_by_path(&call.func) => Meaning::Renewal,
            Expr::MethodCall(call) => self.meaning_of_method(call),
            Expr::Block(block) => self.meaning_of_block(&block.block),
            Expr::If(choice) => self.meaning_of_if(choice),
            Expr::Match(choice) => one_of(choice.arms.iter().map(|arm| {
                self.scoped(|this| {
                    this.hide(&arm.pat);
                    this.meaning(&arm.body)
                })
            })),
            _ => Meaning::Other,
        }
    }

    fn meaning_of_method(&mut self, call: &syn::ExprMethodCall) -> Meaning {
        let makes = call.method == METHOD && self.meaning(&call.receiver) == Meaning::Context;
        let says_more =
            call.method == "discard_events" && self.meaning(&call.receiver) == Meaning::Renewal;
        if makes || says_more { Meaning::Renewal } else { Meaning::Other }
    }

    fn meaning_of_if(&mut self, choice: &syn::ExprIf) -> Meaning {
        let then = self.scoped(|this| {
            this.hide_by(&choice.cond);
            this.meaning_of_block(&choice.then_branch)
        });
        let otherwise = choice.else_branch.as_ref().map(|(_, other)| self.meaning(other));
        one_of(std::iter::once(then).chain(otherwise))
    }

    fn meaning_of_block(&mut self, block: &Block) -> Meaning {
        self.scoped(|this| {
            for stmt in &block.stmts {
                if let syn::Stmt::Local(local) = stmt {
                    this.learn(local);
                }
            }
            match block.stmts.last() {
                Some(syn::Stmt::Expr(tail, None)) => this.meaning(tail),
                _ => Meaning::Other,
            }
        })
    }

    /// What a `let` gives its names.
    fn learn(&mut self, local: &syn::Local) {
        let meaning = local.init.as_ref().map_or(Meaning::Other, |init| self.meaning(&init.expr));
        self.hide(&local.pat);
        let pat = match &local.pat {
            Pat::Type(typed) => &*typed.pat,
            pat => pat,
        };
        if let Pat::Ident(name) = pat {
            self.names.bind(&name.ident, meaning);
        }
    }

    // --- branches ---------------------------------------------------------------------------------

    fn refuse(&mut self, waits: Waits, branch: &Expr) {
        let name = waits.name();
        let instead = match waits {
            Waits::Select => {
                "await it in the handler of the branch that decides it, \
                 `.. => ctx.continue_as_new(..).await`, or"
            }
            Waits::Join | Waits::TryJoin => "await it",
        };
        self.diag.error(
            Code::Renewal,
            branch,
            &format!(
                "continuing as new ends the run as soon as it begins, whatever the other branches \
                 wait for, so it cannot be a branch of `{name}`: {instead} after the `{name}`"
            ),
        );
    }
}

/// What a choice gives: all that it chooses from is of one type, or leaves.
fn one_of(mut choices: impl Iterator<Item = Meaning>) -> Meaning {
    choices.find(|choice| *choice != Meaning::Other).unwrap_or(Meaning::Other)
}

/// Whether it is `OrchestrationContext::continue_as_new`.
fn is_method_by_path(function: &Expr) -> bool {
    let Expr::Path(path) = function else { return false };
    let mut ends = path.path.segments.iter().rev().map(|segment| &segment.ident);
    ends.next().is_some_and(|method| method == METHOD)
        && ends.next().is_some_and(|ty| ty == "OrchestrationContext")
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        if let Some(waits) = Waits::of(&mac.path) {
            for branch in awaited_together(mac) {
                if self.meaning(&branch) == Meaning::Renewal {
                    self.refuse(waits, &branch);
                }
            }
        }
        for (pat, part) in parts(mac) {
            self.scoped(|this| {
                if let Some(pat) = &pat {
                    this.hide(pat);
                }
                this.visit_expr(&part);
            });
        }
        visit_arguments_mut(&mut mac.clone(), &mut |argument| self.visit_expr(argument));
    }

    fn visit_block(&mut self, block: &'ast Block) {
        self.scoped(|this| visit::visit_block(this, block));
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        visit::visit_local(self, local);
        self.learn(local);
    }

    /// A variable that gets its value later.
    fn visit_expr_assign(&mut self, assign: &'ast syn::ExprAssign) {
        visit::visit_expr_assign(self, assign);
        let Expr::Path(path) = &*assign.left else { return };
        let Some(name) = path.path.get_ident() else { return };
        let meaning = self.meaning(&assign.right);
        self.names.rebind(name, meaning);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        self.walk_arm(arm);
    }

    fn visit_expr_for_loop(&mut self, expr: &'ast syn::ExprForLoop) {
        self.visit_expr(&expr.expr);
        self.walk_rounds(expr);
    }

    scoped_visits!();
}
