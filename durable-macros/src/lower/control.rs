//! Control flow that suspends: branches, loops, bindings. Each form says where its value goes.

use quote::quote_spanned;
use syn::spanned::Spanned;

use super::branches::parts;
use super::scope::bindings;
use super::suspend::stmt_suspends;
use super::{Dest, End, JumpTarget, Lowering, suspends};
use crate::diag::Code;
use crate::ir::{Arm, BlockKind, Exit, Let, Node, Var, VarId};

impl Lowering<'_> {
    // --- let --------------------------------------------------------------------------------------

    pub(super) fn local(&mut self, local: &syn::Local) {
        let mut attrs = local.attrs.clone();
        self.take_pin(Some(&mut attrs));
        let is_guard = attrs.iter().any(|attr| attr.path().is_ident(crate::guards::MARK));
        attrs.retain(|attr| !attr.path().is_ident(crate::guards::MARK));
        let first = self.body.vars.len();
        self.binding(local, attrs);
        if is_guard {
            let named = bindings(&local.pat);
            let is_named = |var: &Var| named.iter().any(|binding| binding.ident == var.ident);
            self.body.vars[first..].iter_mut().filter(|v| is_named(v)).for_each(|v| v.guard = true);
        }
    }

    fn binding(&mut self, local: &syn::Local, attrs: Vec<syn::Attribute>) {
        let (pat, ty) = match &local.pat {
            syn::Pat::Type(typed) => ((*typed.pat).clone(), Some((*typed.ty).clone())),
            pat => (pat.clone(), None),
        };
        let Some(init) = &local.init else {
            let named = matches!(pat, syn::Pat::Ident(_));
            for var in self.bind_pat(&pat) {
                // The type of a pattern is not that of the variables in it.
                self.body.vars[var.0].ty = ty.clone().filter(|_| named);
                self.push(Node::Declare { var });
            }
            return;
        };
        let value = self.expr((*init.expr).clone());
        self.pinned = None;
        if !self.is_reachable() {
            return;
        }
        let init_fragment = self.expr_fragment(value);
        match &init.diverge {
            None => {
                let literal = literal(&pat, ty.as_ref(), &init.expr);
                let binds = self.bind_borrowing(&pat, ty.as_ref(), &init.expr);
                if let (Some(literal), [var]) = (literal, binds.as_slice()) {
                    self.body.vars[var.0].literal = Some(literal);
                }
                self.push(Node::Let(Box::new(Let {
                    attrs,
                    pat,
                    ty,
                    init: init_fragment,
                    otherwise: None,
                    binds,
                })));
            }
            Some((_, otherwise)) => {
                let (code, end) = self.branch(|this| {
                    this.in_branch_scope(|this| {
                        this.expr_into((**otherwise).clone(), Dest::Ignore);
                    });
                });
                if let End::Moved(position) = end {
                    // It suspended and then ended in something that rustc knows does not return.
                    self.seal(position);
                }
                let binds = self.bind_borrowing(&pat, ty.as_ref(), &init.expr);
                self.push(Node::Let(Box::new(Let {
                    attrs,
                    pat,
                    ty,
                    init: init_fragment,
                    otherwise: Some(code),
                    binds,
                })));
            }
        }
    }

    // --- blocks -----------------------------------------------------------------------------------

    pub(super) fn block(&mut self, block: &syn::ExprBlock, dest: Dest) {
        match &block.label {
            None => self.in_scope(|this| this.block_contents(&block.block.stmts, &dest)),
            Some(label) => {
                let exit = self.new_block(BlockKind::Join);
                self.targets.push(JumpTarget {
                    label: Some(label.name.ident.to_string()),
                    head: None,
                    exit,
                    value: self.dest_ident(dest),
                });
                self.in_scope(|this| this.block_contents(&block.block.stmts, &dest));
                self.targets.pop();
                self.exit(Exit::Goto(exit));
                self.enter(exit);
            }
        }
    }

    fn dest_ident(&self, dest: Dest) -> Option<proc_macro2::Ident> {
        match dest {
            Dest::Var(var) => Some(self.body.var(var).ident.clone()),
            Dest::Ignore | Dest::Return => None,
        }
    }

    /// A branch: its own scope, then its code.
    fn branch_block(&mut self, block: &syn::Block, dest: Dest) {
        self.in_branch_scope(|this| this.block_contents(&block.stmts, &dest));
    }

    // --- if ---------------------------------------------------------------------------------------

    pub(super) fn if_expr(&mut self, expr: syn::ExprIf, dest: Dest) {
        if is_chain(&expr.cond) && suspends(&expr.cond) {
            let chain = self.if_chain(expr);
            return self.expr_into(chain, dest);
        }
        let condition = self.condition(*expr.cond);
        if !self.is_reachable() {
            return;
        }
        let (mut binds, mut condition_fragment) = (Vec::new(), None);
        let (then, then_end) = self.branch(|this| {
            this.in_branch_scope(|this| {
                condition_fragment = Some(this.expr_fragment(condition.clone()));
                let derive = this.taken_again(&expr.attrs, &condition);
                binds = this.bind_condition(&condition);
                if let Some(derive) = derive {
                    this.derive(derive, &binds);
                }
                this.block_contents(&expr.then_branch.stmts, &dest);
            });
        });
        let (otherwise, else_end) = self.branch(|this| match expr.else_branch {
            Some((_, otherwise)) => this.in_branch_scope(|this| match *otherwise {
                syn::Expr::Block(block) if block.label.is_none() => {
                    this.block_contents(&block.block.stmts, &dest);
                }
                other => this.expr_into(other, dest),
            }),
            None => this.empty_value(dest),
        });
        let Some(condition) = condition_fragment else { return };
        self.join(Node::If { condition, binds, then, otherwise }, vec![then_end, else_end]);
    }

    fn empty_value(&mut self, dest: Dest) {
        match dest {
            Dest::Ignore => {}
            Dest::Var(var) => self.assign_unit(var),
            Dest::Return => {
                let unit = self.expr_fragment(syn::parse_quote!(()));
                self.exit(Exit::Return(unit));
            }
        }
    }

    /// A condition with its awaits pulled out. `let` conditions stay as they are.
    fn condition(&mut self, condition: syn::Expr) -> syn::Expr {
        match condition {
            syn::Expr::Let(mut binding) => {
                *binding.expr = self.expr(*binding.expr);
                syn::Expr::Let(binding)
            }
            chain if has_let(&chain) => chain,
            plain => self.expr(plain),
        }
    }

    /// Binds what the `let`s of a condition bind.
    fn bind_condition(&mut self, condition: &syn::Expr) -> Vec<VarId> {
        match condition {
            syn::Expr::Let(binding) => self.bind_borrowing(&binding.pat, None, &binding.expr),
            syn::Expr::Binary(chain) if matches!(chain.op, syn::BinOp::And(_)) => {
                let mut binds = self.bind_condition(&chain.left);
                binds.extend(self.bind_condition(&chain.right));
                binds
            }
            _ => Vec::new(),
        }
    }

    // --- match ------------------------------------------------------------------------------------

    pub(super) fn match_expr(&mut self, expr: syn::ExprMatch, dest: Dest) {
        if expr.arms.iter().any(|arm| split_guard(arm).1.is_some_and(|guard| suspends(&guard))) {
            let guarded = self.guarded_match(expr);
            return self.expr_into(guarded, dest);
        }
        let scrutinee = self.expr(*expr.expr);
        if !self.is_reachable() {
            return;
        }
        let matched = scrutinee.clone();
        let scrutinee = self.expr_fragment(scrutinee);
        let mut arms = Vec::new();
        let mut ends = Vec::new();
        for arm in expr.arms {
            let (mut binds, mut guard_fragment) = (Vec::new(), None);
            let (pat, guard) = split_guard(&arm);
            let (code, end) = self.branch(|this| {
                this.in_branch_scope(|this| {
                    binds = this.bind_borrowing(&pat, None, &matched);
                    guard_fragment = guard.map(|guard| this.expr_fragment(guard));
                    this.expr_into((*arm.body).clone(), dest);
                });
            });
            ends.push(end);
            arms.push(Arm { pat, guard: guard_fragment, binds, code });
        }
        self.join(Node::Match { scrutinee, arms }, ends);
    }

    // --- loops ------------------------------------------------------------------------------------

    /// Lowers a loop: `round` is one round, at the end of which the next begins. What leaves the
    /// round by falling through its condition has already jumped to the exit.
    pub(super) fn looped(
        &mut self,
        label: Option<&syn::Label>,
        dest: Dest,
        ends: bool,
        round: impl FnOnce(&mut Self, crate::ir::BlockId),
    ) {
        let head = self.new_block(BlockKind::Join);
        let exit = self.new_block(BlockKind::Join);
        self.exit(Exit::Goto(head));
        self.enter(head);
        self.targets.push(JumpTarget {
            label: label.map(|label| label.name.ident.to_string()),
            head: Some(head),
            exit,
            value: self.dest_ident(dest),
        });
        round(self, exit);
        self.targets.pop();
        self.exit(Exit::Goto(head));
        if ends {
            self.enter(exit);
        }
    }

    pub(super) fn loop_expr(&mut self, expr: &syn::ExprLoop, dest: Dest) {
        // Where nothing breaks out of it, what follows cannot be reached.
        let ends = leaves(&expr.body, expr.label.as_ref());
        self.looped(expr.label.as_ref(), dest, ends, |this, _| {
            this.in_scope(|this| this.block_contents(&expr.body.stmts, &Dest::Ignore));
        });
    }

    pub(super) fn while_expr(&mut self, expr: syn::ExprWhile) {
        if is_chain(&expr.cond) && suspends(&expr.cond) {
            let chain = self.while_chain(expr);
            return self.expr_into(chain, Dest::Ignore);
        }
        let syn::ExprWhile { label, cond, body, .. } = expr;
        self.looped(label.as_ref(), Dest::Ignore, true, |this, exit| {
            let condition = this.condition(*cond);
            this.round(&condition, &body, exit);
        });
    }

    /// One round of a loop with a condition.
    fn round(&mut self, condition: &syn::Expr, body: &syn::Block, exit: crate::ir::BlockId) {
        if !self.is_reachable() {
            return;
        }
        let (mut binds, mut fragment) = (Vec::new(), None);
        let (then, then_end) = self.branch(|this| {
            this.in_branch_scope(|this| {
                fragment = Some(this.expr_fragment(condition.clone()));
                binds = this.bind_condition(condition);
                this.branch_block(body, Dest::Ignore);
            });
        });
        let (otherwise, else_end) = self.branch(|this| this.exit(Exit::Goto(exit)));
        let Some(condition) = fragment else { return };
        self.join(Node::If { condition, binds, then, otherwise }, vec![then_end, else_end]);
    }

    pub(super) fn for_expr(&mut self, expr: syn::ExprForLoop) {
        let syn::ExprForLoop { label, pat, expr: collection, body, .. } = expr;
        let collection = self.expr(*collection);
        if !self.is_reachable() {
            return;
        }
        if !body.stmts.iter().any(stmt_suspends) {
            let label = label.into_iter();
            return self.plain_stmt(syn::parse_quote!(#(#label)* for #pat in #collection #body));
        }
        self.refuse_changes(&collection);
        if !self.is_borrowable(&collection) && holds_string_literals(&collection) {
            self.diag.error(
                Code::Borrow,
                &collection,
                "the rest of these string literals would have to be saved, and a `&str` cannot be: \
                 make them owned with `.map(str::to_owned)` on the array",
            );
        }
        if self.is_borrowable(&collection) {
            return self.in_scope(|this| {
                if let Some(items) = this.borrowed_items(&collection) {
                    this.for_borrowed(label.as_ref(), &pat, &items, &body);
                }
            });
        }
        let iterate = {
            let span = collection.span();
            let tokens = quote_spanned!(span=> ::durable::__private::iterate(#collection));
            syn::parse_quote!(#tokens)
        };
        self.in_scope(|this| {
            let init = this.expr_fragment(iterate);
            let rest = this.temporary(&rest_name(&pat), true);
            this.bind_temporary(rest, init);
            let rest = this.body.var(rest).ident.clone();
            this.looped(label.as_ref(), Dest::Ignore, true, |this, exit| {
                let condition: syn::Expr = syn::parse_quote! {
                    let ::core::option::Option::Some(#pat) =
                        ::core::iter::Iterator::next(&mut #rest)
                };
                this.round(&condition, &body, exit);
            });
        });
    }
}

/// Whether the items of a `for` are visibly string literals.
fn holds_string_literals(collection: &syn::Expr) -> bool {
    match collection {
        syn::Expr::Array(array) => array
            .elems
            .iter()
            .any(|item| matches!(item, syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(_), .. }))),
        syn::Expr::Reference(inner) => holds_string_literals(&inner.expr),
        syn::Expr::Paren(inner) => holds_string_literals(&inner.expr),
        _ => false,
    }
}

/// The literal that a `let` names, if it is one that cannot be saved: `let s = "text";`.
fn literal(pat: &syn::Pat, ty: Option<&syn::Type>, init: &syn::Expr) -> Option<syn::Lit> {
    let is_plain_name = matches!(pat, syn::Pat::Ident(name)
        if name.mutability.is_none() && name.by_ref.is_none() && name.subpat.is_none());
    let is_reference = ty.is_none_or(|ty| matches!(ty, syn::Type::Reference(_)));
    match init {
        syn::Expr::Lit(literal) if is_plain_name && is_reference => match &literal.lit {
            lit @ (syn::Lit::Str(_) | syn::Lit::ByteStr(_) | syn::Lit::CStr(_)) => {
                Some(lit.clone())
            }
            _ => None,
        },
        _ => None,
    }
}

/// The name under which the rest of an iteration is saved.
fn rest_name(pat: &syn::Pat) -> String {
    match super::scope::bindings(pat).first() {
        Some(binding) => format!("rest_of_{}_", binding.ident.to_string().trim_start_matches("r#")),
        None => "rest".to_owned(),
    }
}

/// The pattern of an arm and its guard.
fn split_guard(arm: &syn::Arm) -> (syn::Pat, Option<syn::Expr>) {
    match &arm.pat {
        syn::Pat::Guard(guard) => ((*guard.pat).clone(), Some((*guard.guard).clone())),
        pat => (pat.clone(), None),
    }
}

/// Whether a condition has a `let` among others.
fn is_chain(condition: &syn::Expr) -> bool {
    !matches!(condition, syn::Expr::Let(_)) && has_let(condition)
}

fn has_let(condition: &syn::Expr) -> bool {
    match condition {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(chain) if matches!(chain.op, syn::BinOp::And(_)) => {
            has_let(&chain.left) || has_let(&chain.right)
        }
        _ => false,
    }
}

/// Whether a `break` leaves the loop with this body.
fn leaves(body: &syn::Block, label: Option<&syn::Label>) -> bool {
    use syn::visit::{self, Visit};

    struct Breaks<'a> {
        label: Option<&'a syn::Label>,
        depth: usize,
        found: bool,
    }
    impl<'ast> Visit<'ast> for Breaks<'_> {
        fn visit_expr_break(&mut self, jump: &'ast syn::ExprBreak) {
            self.found |= match (&jump.label, self.label) {
                (None, _) => self.depth == 0,
                (Some(target), Some(own)) => target.ident == own.name.ident,
                (Some(_), None) => false,
            };
            visit::visit_expr_break(self, jump);
        }
        fn visit_expr_loop(&mut self, inner: &'ast syn::ExprLoop) {
            self.depth += 1;
            visit::visit_expr_loop(self, inner);
            self.depth -= 1;
        }
        fn visit_expr_while(&mut self, inner: &'ast syn::ExprWhile) {
            self.depth += 1;
            visit::visit_expr_while(self, inner);
            self.depth -= 1;
        }
        fn visit_expr_for_loop(&mut self, inner: &'ast syn::ExprForLoop) {
            self.depth += 1;
            visit::visit_expr_for_loop(self, inner);
            self.depth -= 1;
        }
        fn visit_macro(&mut self, mac: &'ast syn::Macro) {
            for (_, part) in parts(mac) {
                let mut inner = Breaks { label: self.label, depth: self.depth, found: false };
                inner.visit_expr(&part);
                self.found |= inner.found;
            }
        }
        fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {}
        fn visit_expr_async(&mut self, _: &'ast syn::ExprAsync) {}
        fn visit_item(&mut self, _: &'ast syn::Item) {}
    }
    let mut breaks = Breaks { label, depth: 0, found: false };
    breaks.visit_block(body);
    breaks.found
}
