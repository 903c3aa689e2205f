//! Names: which variable a name means where it stands, and which jumps leave a piece of code.

use std::collections::BTreeSet;

use proc_macro2::{Ident, Span};
use quote::quote_spanned;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};

use super::macros::visit_arguments_mut;
use crate::ir::{BlockId, Body, Jump, Scope, VarId};

/// A name that a pattern binds.
pub(crate) struct Binding {
    pub(crate) ident: Ident,
    pub(crate) mutable: bool,
}

/// The names that a pattern binds, in order. An upper-case name without a subpattern is a constant
/// or a variant: a macro cannot know more, and Rust's naming rules agree.
pub(crate) fn bindings(pat: &syn::Pat) -> Vec<Binding> {
    struct Finder(Vec<Binding>);
    impl<'ast> Visit<'ast> for Finder {
        fn visit_pat_ident(&mut self, pat: &'ast syn::PatIdent) {
            let is_constant = pat.by_ref.is_none()
                && pat.mutability.is_none()
                && pat.subpat.is_none()
                && pat.ident.to_string().starts_with(char::is_uppercase);
            if !is_constant {
                self.0.push(Binding { ident: pat.ident.clone(), mutable: is_mut(pat) });
            }
            visit::visit_pat_ident(self, pat);
        }
        fn visit_expr(&mut self, _: &'ast syn::Expr) {}
    }
    let mut finder = Finder(Vec::new());
    finder.visit_pat(pat);
    let mut seen = BTreeSet::new();
    // The alternatives of an or-pattern bind the same names.
    finder.0.retain(|binding| seen.insert(binding.ident.to_string()));
    finder.0
}

fn is_mut(pat: &syn::PatIdent) -> bool {
    pat.mutability.is_some()
}

/// The variable that `name` means where `scopes` are open.
pub(crate) fn resolve(body: &Body, scopes: &[Scope], name: &Ident) -> Option<VarId> {
    scopes
        .iter()
        .rev()
        .flat_map(|scope| scope.vars.iter().rev())
        .copied()
        .find(|var| body.var(*var).ident == *name)
}

/// A lowered loop or block that can be left or continued by a jump.
#[derive(Debug, Clone)]
pub(crate) struct JumpTarget {
    pub(crate) label: Option<String>,
    /// `None` for a labelled block, which cannot be continued and is left by its label only.
    pub(crate) head: Option<BlockId>,
    pub(crate) exit: BlockId,
    /// Takes the value of `break value`.
    pub(crate) value: Option<Ident>,
}

/// The target that a `break` or `continue` with this label means.
pub(crate) fn jump_target<'t>(
    targets: &'t [JumpTarget],
    label: Option<&syn::Lifetime>,
) -> Option<&'t JumpTarget> {
    match label {
        Some(label) => {
            let name = label.ident.to_string();
            targets.iter().rev().find(|target| target.label.as_deref() == Some(name.as_str()))
        }
        None => targets.iter().rev().find(|target| target.head.is_some()),
    }
}

/// Replaces the jumps of a fragment whose targets are blocks by marks.
pub(crate) struct JumpMarks<'a> {
    targets: &'a [JumpTarget],
    /// Where `return` and `?` lead in an `async` block, and what takes its value.
    async_exit: Option<(BlockId, &'a Ident)>,
    next_mark: &'a mut usize,
    /// The labels of the loops inside the fragment, empty for a loop that has none.
    labels: Vec<String>,
    local: Vec<BTreeSet<String>>,
    pub(crate) jumps: Vec<Jump>,
}

impl<'a> JumpMarks<'a> {
    pub(crate) fn new(
        targets: &'a [JumpTarget],
        async_exit: Option<(BlockId, &'a Ident)>,
        next_mark: &'a mut usize,
    ) -> Self {
        Self {
            targets,
            async_exit,
            next_mark,
            labels: Vec::new(),
            local: vec![BTreeSet::new()],
            jumps: Vec::new(),
        }
    }

    fn is_inner(&self, label: Option<&syn::Lifetime>) -> bool {
        match label {
            None => !self.labels.is_empty(),
            Some(label) => self.labels.contains(&label.ident.to_string()),
        }
    }

    fn mark(&mut self, target: BlockId) -> syn::Expr {
        let mark = Ident::new(&format!("__jump{}", self.next_mark), Span::mixed_site());
        *self.next_mark += 1;
        let shadowed = self.local.iter().flatten().cloned().collect();
        self.jumps.push(Jump { mark: mark.clone(), target, shadowed, defines: None });
        syn::parse_quote!(#mark)
    }

    /// Makes a `return` or `?` leave the `async` block that it stands in.
    fn leave_async(&mut self, expr: &mut syn::Expr) {
        let Some((exit, result)) = self.async_exit else { return };
        let result = result.clone();
        let mark = self.mark(exit);
        match expr {
            syn::Expr::Return(ret) => {
                let value = ret.expr.take().map_or_else(|| syn::parse_quote!(()), |value| *value);
                *expr = syn::parse_quote!({ #result = #value; #mark });
            }
            syn::Expr::Try(tried) => {
                let span = tried.question_token.span;
                let tried = &tried.expr;
                let branch = quote_spanned!(span=> ::durable::__private::Try::branch(#tried));
                let rest = Ident::new("residual", Span::mixed_site());
                let value = Ident::new("value", Span::mixed_site());
                let residual = quote_spanned! {span=>
                    ::durable::__private::FromResidual::from_residual(#rest)
                };
                *expr = syn::parse_quote! {
                    match #branch {
                        ::core::ops::ControlFlow::Continue(#value) => #value,
                        ::core::ops::ControlFlow::Break(#rest) => {
                            #result = #residual;
                            #mark
                        }
                    }
                };
            }
            _ => {}
        }
    }

    fn bind(&mut self, pat: &syn::Pat) {
        if let Some(names) = self.local.last_mut() {
            names.extend(bindings(pat).into_iter().map(|binding| binding.ident.to_string()));
        }
    }

    fn scoped(&mut self, f: impl FnOnce(&mut Self)) {
        self.local.push(BTreeSet::new());
        f(self);
        self.local.pop();
    }

    fn in_loop(&mut self, label: Option<&syn::Label>, f: impl FnOnce(&mut Self)) {
        let name = label.map_or_else(String::new, |label| label.name.ident.to_string());
        self.labels.push(name);
        f(self);
        self.labels.pop();
    }
}

impl VisitMut for JumpMarks<'_> {
    fn visit_expr_mut(&mut self, expr: &mut syn::Expr) {
        match expr {
            syn::Expr::Break(jump) if !self.is_inner(jump.label.as_ref()) => {
                if let Some(value) = &mut jump.expr {
                    self.visit_expr_mut(value);
                }
                let Some(target) = jump_target(self.targets, jump.label.as_ref()) else { return };
                let (exit, variable) = (target.exit, target.value.clone());
                let value = jump.expr.take().map(|value| super::expr::without_braces(*value));
                let mark = self.mark(exit);
                *expr = match (value, variable) {
                    (Some(value), Some(variable)) => {
                        syn::parse_quote!({ #variable = #value; #mark })
                    }
                    (Some(value), None) => syn::parse_quote!({ let _ = #value; #mark }),
                    (None, Some(variable)) => {
                        syn::parse_quote!({ #variable = (); #mark })
                    }
                    (None, None) => mark,
                };
            }
            syn::Expr::Continue(jump) if !self.is_inner(jump.label.as_ref()) => {
                let head = jump_target(self.targets, jump.label.as_ref()).and_then(|t| t.head);
                if let Some(head) = head {
                    *expr = self.mark(head);
                }
            }
            syn::Expr::Return(_) | syn::Expr::Try(_) if self.async_exit.is_some() => {
                visit_mut::visit_expr_mut(self, expr);
                self.leave_async(expr);
            }
            _ => visit_mut::visit_expr_mut(self, expr),
        }
    }

    fn visit_expr_loop_mut(&mut self, expr: &mut syn::ExprLoop) {
        let label = expr.label.clone();
        self.in_loop(label.as_ref(), |this| visit_mut::visit_expr_loop_mut(this, expr));
    }

    fn visit_expr_while_mut(&mut self, expr: &mut syn::ExprWhile) {
        let label = expr.label.clone();
        self.in_loop(label.as_ref(), |this| {
            this.scoped(|this| visit_mut::visit_expr_while_mut(this, expr));
        });
    }

    fn visit_expr_for_loop_mut(&mut self, expr: &mut syn::ExprForLoop) {
        self.visit_expr_mut(&mut expr.expr);
        let label = expr.label.clone();
        self.in_loop(label.as_ref(), |this| {
            this.scoped(|this| {
                this.bind(&expr.pat);
                this.visit_block_mut(&mut expr.body);
            });
        });
    }

    fn visit_expr_block_mut(&mut self, expr: &mut syn::ExprBlock) {
        match &expr.label {
            Some(label) => {
                // Takes jumps with its label only.
                let label = label.name.ident.to_string();
                let shadowing: Vec<JumpTarget> = self
                    .targets
                    .iter()
                    .filter(|target| target.label.as_deref() != Some(label.as_str()))
                    .cloned()
                    .collect();
                let mut inner = JumpMarks {
                    targets: &shadowing,
                    async_exit: self.async_exit,
                    next_mark: self.next_mark,
                    labels: std::mem::take(&mut self.labels),
                    local: std::mem::take(&mut self.local),
                    jumps: std::mem::take(&mut self.jumps),
                };
                visit_mut::visit_expr_block_mut(&mut inner, expr);
                let JumpMarks { labels, local, jumps, .. } = inner;
                self.labels = labels;
                self.local = local;
                self.jumps = jumps;
            }
            None => visit_mut::visit_expr_block_mut(self, expr),
        }
    }

    fn visit_block_mut(&mut self, block: &mut syn::Block) {
        self.scoped(|this| visit_mut::visit_block_mut(this, block));
    }

    fn visit_local_mut(&mut self, local: &mut syn::Local) {
        visit_mut::visit_local_mut(self, local);
        self.bind(&local.pat);
    }

    fn visit_arm_mut(&mut self, arm: &mut syn::Arm) {
        self.scoped(|this| {
            this.bind(&arm.pat);
            visit_mut::visit_arm_mut(this, arm);
        });
    }

    fn visit_expr_if_mut(&mut self, expr: &mut syn::ExprIf) {
        self.scoped(|this| {
            this.visit_expr_mut(&mut expr.cond);
            this.visit_block_mut(&mut expr.then_branch);
        });
        if let Some((_, otherwise)) = &mut expr.else_branch {
            self.visit_expr_mut(otherwise);
        }
    }

    fn visit_expr_let_mut(&mut self, expr: &mut syn::ExprLet) {
        self.visit_expr_mut(&mut expr.expr);
        self.bind(&expr.pat);
    }

    fn visit_macro_mut(&mut self, mac: &mut syn::Macro) {
        visit_arguments_mut(mac, &mut |argument| self.visit_expr_mut(argument));
    }

    fn visit_expr_closure_mut(&mut self, _: &mut syn::ExprClosure) {
        // Jumps do not leave a closure.
    }

    fn visit_expr_async_mut(&mut self, _: &mut syn::ExprAsync) {}

    fn visit_item_mut(&mut self, _: &mut syn::Item) {}
}
