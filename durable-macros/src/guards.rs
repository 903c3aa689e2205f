//! Guards of critical sections: what `ctx.lock(..).await` is bound to lives until the end of its scope,
//! as in ordinary Rust, and not until its last use, as other variables do. A source-to-source pass
//! before lowering: it writes down where the scope ends.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::quote;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{Block, Expr, Local, Pat, Stmt};

use crate::diag::{Code, Diagnostics};
use crate::emit::step::own;
use crate::lower::branches::visit_parts_mut;
use crate::lower::macros::visit_arguments_mut;

/// Marks the binding of a guard for lowering.
pub(crate) const MARK: &str = "__durable_guard";

/// Writes down where the critical sections of a body end. `context` is the name of the context.
pub(crate) fn end_scopes(body: &mut Block, context: Option<&Pat>, diag: &mut Diagnostics) {
    let Some(Pat::Ident(context)) = context else { return };
    let context = &context.ident;
    if !mentions_lock(quote!(#body)) {
        return;
    }
    let mut pass = Pass { context, diag };
    pass.block(body, true);
    Misplaced { context, diag: pass.diag }.visit_block(body);
}

/// Whether the tokens have a word `lock` in them: most bodies have not.
fn mentions_lock(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "lock",
        TokenTree::Group(group) => mentions_lock(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

struct Pass<'a> {
    context: &'a Ident,
    diag: &'a mut Diagnostics,
}

impl Pass<'_> {
    /// `is_function` says that the function ends with the block, which ends all sections anyway.
    fn block(&mut self, block: &mut Block, is_function: bool) {
        let mut guards = Vec::new();
        let mut index = 0;
        while index < block.stmts.len() {
            let guard = match &mut block.stmts[index] {
                Stmt::Local(local) => self.guard_of(local),
                _ => None,
            };
            let (head, rest) = block.stmts.split_at_mut(index + 1);
            if let Some(guard) = guard {
                if let Stmt::Local(local) = &mut head[index] {
                    let mark = own(MARK);
                    local.attrs.push(syn::parse_quote!(#[#mark]));
                }
                self.follow(&guard, rest);
                guards.push(guard);
            }
            index += 1;
        }
        if !is_function && !guards.is_empty() {
            end_block(block, &guards);
        }
        for stmt in &mut block.stmts {
            self.visit_stmt_mut(stmt);
        }
    }

    /// The name of a guard, if the statement binds one.
    fn guard_of(&mut self, local: &mut Local) -> Option<Ident> {
        let init = local.init.as_mut()?;
        if !is_lock(&init.expr, self.context) {
            return None;
        }
        hold(&mut init.expr);
        let pat = match &local.pat {
            Pat::Type(typed) => &*typed.pat,
            pat => pat,
        };
        match bound(pat) {
            Bound::Guard(ident) => Some(ident.clone()),
            Bound::Nothing => None,
            Bound::Other => {
                self.diag.error(
                    Code::Guard,
                    pat,
                    "a critical section is held by one variable: write `let guard = \
                     ctx.lock(..).await`, or `let Ok(guard) = ctx.lock(..).timeout(limit).await \
                     else { .. }`",
                );
                None
            }
        }
    }

    /// Goes through what stands in the scope of a guard.
    fn follow(&mut self, guard: &Ident, rest: &mut [Stmt]) {
        let mut follower = Follower { guard, loops: 0, labels: Vec::new(), other_uses: Vec::new() };
        for stmt in rest {
            follower.visit_stmt_mut(stmt);
        }
        for other in follower.other_uses {
            let message = format!(
                "`{guard}` holds a critical section, which ends with the scope of this variable: it \
                 cannot be moved, borrowed or hidden. Write `drop({guard})` to end the section \
                 earlier"
            );
            self.diag.error(Code::Guard, &other, &message);
        }
    }
}

impl VisitMut for Pass<'_> {
    fn visit_block_mut(&mut self, block: &mut Block) {
        self.block(block, false);
    }

    fn visit_macro_mut(&mut self, mac: &mut syn::Macro) {
        if mentions_lock(mac.tokens.clone()) {
            visit_parts_mut(mac, &mut |_, part| self.visit_expr_mut(part));
            visit_arguments_mut(mac, &mut |argument| self.visit_expr_mut(argument));
        }
    }

    fn visit_item_mut(&mut self, _: &mut syn::Item) {}
}

/// What a pattern does with a guard.
enum Bound<'a> {
    Guard(&'a Ident),
    /// It is dropped at once.
    Nothing,
    Other,
}

fn bound(pat: &Pat) -> Bound<'_> {
    match pat {
        Pat::Ident(name) if name.by_ref.is_none() && name.subpat.is_none() => {
            Bound::Guard(&name.ident)
        }
        Pat::Wild(_) => Bound::Nothing,
        Pat::TupleStruct(wrapped) if wrapped.elems.len() == 1 => bound(&wrapped.elems[0]),
        _ => Bound::Other,
    }
}

/// Says of the request that is awaited that its section is held: no other request can be awaited.
fn hold(expr: &mut Expr) {
    match expr {
        Expr::Await(awaited) => {
            let request = &awaited.base;
            *awaited.base = syn::parse_quote!(#request.__held());
        }
        Expr::Try(inner) => hold(&mut inner.expr),
        Expr::Paren(inner) => hold(&mut inner.expr),
        _ => {}
    }
}

/// Whether an expression awaits `ctx.lock(..)`, perhaps with a time limit.
fn is_lock(expr: &Expr, context: &Ident) -> bool {
    match expr {
        Expr::Await(awaited) => is_request(&awaited.base, context),
        Expr::Try(inner) => is_lock(&inner.expr, context),
        Expr::Paren(inner) => is_lock(&inner.expr, context),
        _ => false,
    }
}

fn is_request(expr: &Expr, context: &Ident) -> bool {
    match expr {
        Expr::MethodCall(call) if call.method == "timeout" || call.method == "__held" => {
            is_request(&call.receiver, context)
        }
        Expr::MethodCall(call) => call.method == "lock" && is_name(&call.receiver, context),
        Expr::Paren(inner) => is_request(&inner.expr, context),
        _ => false,
    }
}

fn is_name(expr: &Expr, name: &Ident) -> bool {
    matches!(expr, Expr::Path(path) if path.path.is_ident(name))
}

/// Drops the guards at the end of a block, in the order of Rust.
fn end_block(block: &mut Block, guards: &[Ident]) {
    let drops = drops(guards);
    match block.stmts.pop().map(tail_macro_as_value) {
        Some(Stmt::Expr(tail, None)) if !always_leaves(&tail) => {
            let value = own("__value");
            block.stmts.push(syn::parse_quote!(let #value = #tail;));
            block.stmts.extend(drops);
            block.stmts.push(Stmt::Expr(syn::parse_quote!(#value), None));
        }
        Some(last) => {
            let leaves = matches!(&last, Stmt::Expr(expr, _) if always_leaves(expr));
            block.stmts.push(last);
            if !leaves {
                block.stmts.extend(drops);
            }
        }
        None => {}
    }
}

/// A macro in braces at the end of a block is a statement to the parser, and its value that of the block.
fn tail_macro_as_value(stmt: Stmt) -> Stmt {
    match stmt {
        Stmt::Macro(syn::StmtMacro { attrs, mac, semi_token: None }) => {
            Stmt::Expr(Expr::Macro(syn::ExprMacro { attrs, mac }), None)
        }
        other => other,
    }
}

/// Whether nothing comes after the expression.
fn always_leaves(expr: &Expr) -> bool {
    matches!(expr, Expr::Break(_) | Expr::Continue(_) | Expr::Return(_))
}

fn drops(guards: &[Ident]) -> impl Iterator<Item = Stmt> {
    guards.iter().rev().map(|guard| syn::parse_quote!(::core::mem::drop(#guard);))
}

/// Ends the section where a jump leaves the scope of its guard, and where the user drops it.
struct Follower<'a> {
    guard: &'a Ident,
    /// How many loops are open within the scope.
    loops: usize,
    /// The labels within the scope.
    labels: Vec<Ident>,
    /// Where the guard is used for anything else.
    other_uses: Vec<Ident>,
}

impl Follower<'_> {
    fn leaves(&self, label: Option<&syn::Lifetime>) -> bool {
        match label {
            Some(label) => !self.labels.contains(&label.ident),
            None => self.loops == 0,
        }
    }

    fn in_loop(&mut self, label: Option<&syn::Label>, visit: impl FnOnce(&mut Self)) {
        self.loops += 1;
        self.labelled(label, visit);
        self.loops -= 1;
    }

    fn labelled(&mut self, label: Option<&syn::Label>, visit: impl FnOnce(&mut Self)) {
        self.labels.extend(label.map(|label| label.name.ident.clone()));
        visit(self);
        if label.is_some() {
            self.labels.pop();
        }
    }

    /// Whether it is `drop(guard)`.
    fn is_drop(&self, call: &syn::ExprCall) -> bool {
        let Expr::Path(path) = &*call.func else { return false };
        let is_drop = path.path.segments.last().is_some_and(|last| last.ident == "drop");
        is_drop && call.args.len() == 1 && is_name(&call.args[0], self.guard)
    }
}

impl VisitMut for Follower<'_> {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        match expr {
            Expr::Call(call) if self.is_drop(call) => {
                // The variable stays what it is, so that no path has moved it.
                let guard = &call.args[0];
                *expr = syn::parse_quote!(::durable::__private::end_section(&#guard));
            }
            Expr::Break(jump) if self.leaves(jump.label.as_ref()) => {
                if let Some(value) = &mut jump.expr {
                    self.visit_expr_mut(value);
                }
                let (guard, label, value) = (self.guard, &jump.label, jump.expr.take());
                *expr = match value {
                    Some(value) => {
                        let result = own("__value");
                        syn::parse_quote!({
                            let #result = #value;
                            ::core::mem::drop(#guard);
                            break #label #result
                        })
                    }
                    None => syn::parse_quote!({ ::core::mem::drop(#guard); break #label }),
                };
            }
            Expr::Continue(jump) if self.leaves(jump.label.as_ref()) => {
                let (guard, label) = (self.guard, &jump.label);
                *expr = syn::parse_quote!({ ::core::mem::drop(#guard); continue #label });
            }
            Expr::Path(path) if path.path.is_ident(self.guard) => {
                self.other_uses.extend(path.path.get_ident().cloned());
            }
            _ => visit_mut::visit_expr_mut(self, expr),
        }
    }

    fn visit_pat_ident_mut(&mut self, pat: &mut syn::PatIdent) {
        if pat.ident == *self.guard {
            self.other_uses.push(pat.ident.clone());
        }
        visit_mut::visit_pat_ident_mut(self, pat);
    }

    fn visit_expr_loop_mut(&mut self, expr: &mut syn::ExprLoop) {
        let label = expr.label.clone();
        self.in_loop(label.as_ref(), |this| this.visit_block_mut(&mut expr.body));
    }

    fn visit_expr_while_mut(&mut self, expr: &mut syn::ExprWhile) {
        let label = expr.label.clone();
        self.in_loop(label.as_ref(), |this| {
            this.visit_expr_mut(&mut expr.cond);
            this.visit_block_mut(&mut expr.body);
        });
    }

    fn visit_expr_for_loop_mut(&mut self, expr: &mut syn::ExprForLoop) {
        self.visit_pat_mut(&mut expr.pat);
        self.visit_expr_mut(&mut expr.expr);
        let label = expr.label.clone();
        self.in_loop(label.as_ref(), |this| this.visit_block_mut(&mut expr.body));
    }

    fn visit_expr_block_mut(&mut self, expr: &mut syn::ExprBlock) {
        let label = expr.label.clone();
        self.labelled(label.as_ref(), |this| this.visit_block_mut(&mut expr.block));
    }

    fn visit_expr_closure_mut(&mut self, closure: &mut syn::ExprClosure) {
        // Jumps do not leave a closure.
        let loops = std::mem::replace(&mut self.loops, 1);
        visit_mut::visit_expr_closure_mut(self, closure);
        self.loops = loops;
    }

    fn visit_macro_mut(&mut self, mac: &mut syn::Macro) {
        visit_parts_mut(mac, &mut |_, part| self.visit_expr_mut(part));
        visit_arguments_mut(mac, &mut |argument| self.visit_expr_mut(argument));
    }

    fn visit_item_mut(&mut self, _: &mut syn::Item) {}
}

/// Finds critical sections that nothing holds as long as they are meant to last.
struct Misplaced<'a> {
    context: &'a Ident,
    diag: &'a mut Diagnostics,
}

impl<'ast> Visit<'ast> for Misplaced<'_> {
    fn visit_local(&mut self, local: &'ast Local) {
        let Some(init) = &local.init else { return };
        if !is_lock(&init.expr, self.context) {
            return visit::visit_local(self, local);
        }
        if let Some((_, otherwise)) = &init.diverge {
            self.visit_expr(otherwise);
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if call.method == "lock" && is_name(&call.receiver, self.context) {
            self.diag.error(
                Code::Guard,
                &call.method,
                "a critical section lasts as long as the variable that holds it: bind it by itself, \
                 `let guard = ctx.lock(..).await;`",
            );
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_async(&mut self, block: &'ast syn::ExprAsync) {
        let mut locks = Locks { context: self.context, at: Vec::new() };
        locks.visit_block(&block.block);
        for at in locks.at {
            self.diag.error(
                Code::Guard,
                &at,
                "an orchestration has one critical section at a time, so its concurrent branches \
                 cannot each begin one: take the lock before the branches",
            );
        }
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        let mut mac = mac.clone();
        let mut inner = Misplaced { context: self.context, diag: &mut *self.diag };
        visit_parts_mut(&mut mac, &mut |_, part| inner.visit_expr(part));
        visit_arguments_mut(&mut mac, &mut |argument| inner.visit_expr(argument));
    }

    fn visit_item(&mut self, _: &'ast syn::Item) {}
}

/// Every `ctx.lock` in a piece of code.
struct Locks<'a> {
    context: &'a Ident,
    at: Vec<Ident>,
}

impl<'ast> Visit<'ast> for Locks<'_> {
    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if call.method == "lock" && is_name(&call.receiver, self.context) {
            self.at.push(call.method.clone());
        }
        visit::visit_expr_method_call(self, call);
    }
}
