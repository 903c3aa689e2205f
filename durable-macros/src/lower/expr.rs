//! Expressions that suspend: operands are evaluated from left to right, and what was evaluated
//! before a suspension is kept in temporaries. What is returned is the rest of the expression,
//! without awaits, to be evaluated where the code is now.

use proc_macro2::Span;
use quote::quote_spanned;
use syn::Expr;
use syn::spanned::Spanned;

use super::branches::Joined;
use super::fork::AsyncExit;
use super::place::{can_keep_index, can_stay, has_index, is_assignable};
use super::suspend::Waits;
use super::{Dest, Lowering, suspends};
use crate::diag::Code;
use crate::ir::{BlockKind, Exit, Node};

impl Lowering<'_> {
    /// Lowers an expression whose value goes to `dest`.
    pub(super) fn expr_into(&mut self, expr: Expr, dest: Dest) {
        if !self.is_reachable() {
            return;
        }
        match expr {
            Expr::Return(ret) => {
                let value = ret.expr.map_or_else(|| syn::parse_quote!(()), |value| *value);
                self.return_value(value);
            }
            Expr::Break(_) | Expr::Continue(_) if !suspends(&expr) => {
                // The jump is marked inside the fragment; nothing follows it.
                let fragment = self.expr_fragment(expr);
                self.push(Node::Code(fragment));
                self.leave_unreachable();
            }
            Expr::Paren(inner) if suspends(&inner.expr) => self.expr_into(*inner.expr, dest),
            Expr::Block(block) if suspends(&Expr::Block(block.clone())) => {
                if block.label.is_some() && matches!(dest, Dest::Return) {
                    // A `break` with a value brings it to the end of the block.
                    self.value_then(dest, |this, var| this.block(&block, var));
                } else {
                    self.block(&block, dest);
                }
            }
            Expr::If(branch) if suspends(&Expr::If(branch.clone())) => self.if_expr(branch, dest),
            Expr::Match(branch) if suspends(&Expr::Match(branch.clone())) => {
                self.match_expr(branch, dest);
            }
            Expr::Loop(repeat) if suspends(&Expr::Loop(repeat.clone())) => {
                if matches!(dest, Dest::Return) {
                    self.value_then(dest, |this, var| this.loop_expr(&repeat, var));
                } else {
                    self.loop_expr(&repeat, dest);
                }
            }
            Expr::While(repeat) if suspends(&Expr::While(repeat.clone())) => {
                self.while_expr(repeat);
                self.unit_into(dest);
            }
            Expr::ForLoop(repeat) if suspends(&Expr::ForLoop(repeat.clone())) => {
                self.for_expr(repeat);
                self.unit_into(dest);
            }
            Expr::Macro(mac) if Waits::of(&mac.mac.path) == Some(Waits::Select) => {
                self.select(&mac, dest);
            }
            other => {
                let value = self.expr(other);
                self.value_into(value, dest);
            }
        }
    }

    /// `return`, which in an `async` block leaves that.
    fn return_value(&mut self, value: Expr) {
        let Some(AsyncExit { exit, value: var, .. }) = self.async_exits.last().cloned() else {
            return self.expr_into(value, Dest::Return);
        };
        self.expr_into(value, Dest::Var(var));
        if self.is_reachable() {
            self.exit(Exit::Goto(exit));
            if let Some(async_exit) = self.async_exits.last_mut() {
                async_exit.used = true;
            }
        }
    }

    /// Lowers code whose value can come from several places into a temporary, and uses that.
    fn value_then(&mut self, dest: Dest, lower: impl FnOnce(&mut Self, Dest)) {
        let var = self.temporary("value", false);
        self.push(Node::Declare { var });
        lower(self, Dest::Var(var));
        let value = self.var_expr(var);
        self.value_into(value, dest);
    }

    fn unit_into(&mut self, dest: Dest) {
        match dest {
            Dest::Ignore => {}
            Dest::Var(_) | Dest::Return => self.value_into(syn::parse_quote!(()), dest),
        }
    }

    pub(super) fn value_into(&mut self, value: Expr, dest: Dest) {
        if !self.is_reachable() {
            return;
        }
        let value = without_braces(value);
        match dest {
            Dest::Ignore => {
                if self.is_temporary(&value) {
                    // The value of an await that nobody wants.
                    let value = self.expr_fragment(syn::parse_quote!(::core::mem::drop(#value)));
                    self.push(Node::Code(value));
                } else {
                    self.plain_stmt(value);
                }
            }
            Dest::Var(var) => {
                let value = self.expr_fragment(value);
                self.push(Node::Assign { var, value });
            }
            Dest::Return => {
                let value = self.expr_fragment(value);
                self.exit(Exit::Return(value));
            }
        }
    }

    pub(super) fn is_temporary(&self, expr: &Expr) -> bool {
        self.as_var(expr).is_some_and(|var| self.body.var(var).temporary)
    }

    /// Lowers an expression to one without awaits, to be evaluated here.
    pub(super) fn expr(&mut self, expr: Expr) -> Expr {
        if !suspends(&expr) {
            return expr;
        }
        match expr {
            Expr::Await(call) => self.await_expr(call),
            Expr::Macro(mac) => self.macro_expr(mac),
            Expr::Try(mut e) => {
                *e.expr = self.expr(*e.expr);
                Expr::Try(e)
            }
            Expr::Paren(mut e) => {
                *e.expr = self.expr(*e.expr);
                Expr::Paren(e)
            }
            Expr::Group(e) => self.expr(*e.expr),
            Expr::Unary(mut e) => {
                *e.expr = self.expr(*e.expr);
                Expr::Unary(e)
            }
            Expr::Cast(mut e) => {
                *e.expr = self.expr(*e.expr);
                Expr::Cast(e)
            }
            Expr::Field(mut e) => {
                *e.base = self.expr(*e.base);
                Expr::Field(e)
            }
            Expr::Reference(mut e) => {
                *e.expr = self.expr(*e.expr);
                Expr::Reference(e)
            }
            Expr::Return(_) => {
                self.expr_into(expr, Dest::Ignore);
                unreachable_value()
            }
            Expr::Break(jump) => self.break_expr(jump),
            Expr::Assign(e) => self.assign_expr(e),
            Expr::Binary(e) => self.binary_expr(e),
            Expr::Call(_)
            | Expr::MethodCall(_)
            | Expr::Tuple(_)
            | Expr::Array(_)
            | Expr::Struct(_)
            | Expr::Index(_)
            | Expr::Repeat(_)
            | Expr::Range(_) => self.operands_expr(expr),
            Expr::If(_) | Expr::Match(_) | Expr::Block(_) | Expr::Loop(_) => {
                let var = self.temporary("value", false);
                self.push(Node::Declare { var });
                self.expr_into(expr, Dest::Var(var));
                self.var_expr(var)
            }
            Expr::While(_) | Expr::ForLoop(_) => {
                self.expr_into(expr, Dest::Ignore);
                syn::parse_quote!(())
            }
            other => {
                self.diag.error(
                    Code::AwaitPlace,
                    &other,
                    "an await in this kind of expression is not supported: await before it and \
                     bind the result to a variable",
                );
                other
            }
        }
    }

    // --- awaits -------------------------------------------------------------------------------------

    fn await_expr(&mut self, call: syn::ExprAwait) -> Expr {
        let mut call = call;
        while let Expr::Paren(inner) = *call.base {
            call.base = inner.expr;
        }
        if let Expr::Async(block) = &*call.base {
            let var = self.temporary("value", false);
            self.push(Node::Declare { var });
            self.async_block(block, var);
            return self.var_expr(var);
        }
        let span = call.await_token.span;
        let name = (*call.base).clone();
        let call = self.expr(*call.base);
        self.suspend(call, &name, span)
    }

    /// Suspends on `call`, and goes on where its result is taken.
    pub(super) fn suspend(&mut self, call: Expr, name: &Expr, span: Span) -> Expr {
        if !self.is_reachable() {
            return unreachable_value();
        }
        let call = self.expr_fragment(call);
        let site = self.new_await(name, span);
        self.exit(Exit::Suspend { site, call });
        let result = self.temporary("result", true);
        let resume = self.new_block(BlockKind::Resume { site, result });
        self.body.awaits[site.0].resume = resume;
        self.enter(resume);
        // The result is bound inside the block, so it is not open where the block begins.
        for scope in &mut self.body.blocks[resume.0].scopes {
            scope.vars.retain(|var| *var != result);
        }
        self.var_expr(result)
    }

    fn macro_expr(&mut self, mac: syn::ExprMacro) -> Expr {
        let Some(waits) = Waits::of(&mac.mac.path) else { return self.std_macro(mac) };
        if waits == Waits::Select {
            let var = self.temporary("value", false);
            self.push(Node::Declare { var });
            self.select(&mac, Dest::Var(var));
            return self.var_expr(var);
        }
        let Joined { branches } = match syn::parse2(mac.mac.tokens.clone()) {
            Ok(joined) => joined,
            Err(error) => {
                self.diag.syntax(error);
                return Expr::Macro(mac);
            }
        };
        if !self.check_count(branches.len(), &mac.mac.path) {
            return Expr::Macro(mac);
        }
        if branches.len() > MAX_TUPLE || branches.iter().any(is_async_block) {
            return self.fork_join(waits, &mac, branches);
        }
        let span = mac.mac.path.span();
        let branches = self.operands(branches, &[]);
        let call = if waits == Waits::Join {
            quote_spanned!(span=> ::durable::__private::Join((#(#branches,)*)))
        } else {
            quote_spanned!(span=> ::durable::__private::TryJoin((#(#branches,)*)))
        };
        let call: Expr = syn::parse_quote!(#call);
        self.suspend(call.clone(), &call, span)
    }

    // --- operators ----------------------------------------------------------------------------------

    fn break_expr(&mut self, mut jump: syn::ExprBreak) -> Expr {
        if let Some(value) = jump.expr.take() {
            let value = self.expr(*value);
            jump.expr = Some(Box::new(value));
        }
        if self.is_reachable() {
            let fragment = self.expr_fragment(Expr::Break(jump));
            self.push(Node::Code(fragment));
            self.leave_unreachable();
        }
        unreachable_value()
    }

    fn assign_expr(&mut self, mut e: syn::ExprAssign) -> Expr {
        // The value first, then the place, as in plain Rust.
        *e.right = self.expr(*e.right);
        if suspends(&e.left) {
            *e.right = self.kept(*e.right.clone());
            *e.left = self.expr(*e.left);
        }
        Expr::Assign(e)
    }

    fn binary_expr(&mut self, mut e: syn::ExprBinary) -> Expr {
        use syn::BinOp;
        match e.op {
            BinOp::And(_) | BinOp::Or(_) => return self.short_circuit(e),
            BinOp::AddAssign(_)
            | BinOp::SubAssign(_)
            | BinOp::MulAssign(_)
            | BinOp::DivAssign(_)
            | BinOp::RemAssign(_)
            | BinOp::BitXorAssign(_)
            | BinOp::BitAndAssign(_)
            | BinOp::BitOrAssign(_)
            | BinOp::ShlAssign(_)
            | BinOp::ShrAssign(_) => {
                let is_fixed = !has_index(&e.left) || can_keep_index(&e.left, &e.right);
                if !is_assignable(&e.left) || !is_fixed {
                    self.diag.error(
                        Code::AwaitPlace,
                        &e.left,
                        "the place of a compound assignment with an await must be a variable, a \
                         field or an element of one: await first and bind the result to a variable",
                    );
                }
                *e.right = self.expr(*e.right);
                return Expr::Binary(e);
            }
            _ => {}
        }
        let compares = matches!(
            e.op,
            BinOp::Eq(_) | BinOp::Ne(_) | BinOp::Lt(_) | BinOp::Le(_) | BinOp::Gt(_) | BinOp::Ge(_)
        );
        *e.left = self.expr(*e.left);
        if suspends(&e.right) {
            // A comparison borrows its operands, so a variable is not moved out of its place.
            *e.left = if compares && can_stay(&e.left, std::slice::from_ref(&*e.right)) {
                self.settled(*e.left.clone())
            } else {
                self.kept(*e.left.clone())
            };
            *e.right = self.expr(*e.right);
        }
        Expr::Binary(e)
    }

    fn short_circuit(&mut self, mut e: syn::ExprBinary) -> Expr {
        *e.left = self.expr(*e.left);
        if !suspends(&e.right) {
            return Expr::Binary(e);
        }
        let left = *e.left;
        let otherwise: Expr = match e.op {
            syn::BinOp::And(_) => syn::parse_quote!(false),
            _ => syn::parse_quote!(true),
        };
        let var = self.temporary("value", false);
        self.push(Node::Declare { var });
        let condition = match e.op {
            syn::BinOp::And(_) => left,
            _ => syn::parse_quote!(!(#left)),
        };
        let condition = self.expr_fragment(condition);
        let right = *e.right;
        let (then, then_end) = self.branch(|this| {
            this.in_branch_scope(|this| this.expr_into(right, Dest::Var(var)));
        });
        let (otherwise, else_end) = self.branch(|this| this.value_into(otherwise, Dest::Var(var)));
        self.join(
            Node::If { condition, binds: Vec::new(), then, otherwise },
            vec![then_end, else_end],
        );
        self.var_expr(var)
    }
}

/// Most calls that are joined as one wait. More are branches.
const MAX_TUPLE: usize = 8;

fn is_async_block(branch: &Expr) -> bool {
    match branch {
        Expr::Async(_) => true,
        Expr::Paren(inner) => is_async_block(&inner.expr),
        _ => false,
    }
}

/// A block that is just a value, as that value: rustc calls the braces of `x = { value }`
/// unnecessary.
pub(super) fn without_braces(value: Expr) -> Expr {
    match value {
        Expr::Block(syn::ExprBlock { attrs, label: None, block })
            if attrs.is_empty()
                && matches!(&block.stmts[..], [syn::Stmt::Expr(value, None)]
                    if !matches!(value, Expr::Let(_))) =>
        {
            match block.stmts.into_iter().next() {
                Some(syn::Stmt::Expr(value, _)) => without_braces(value),
                _ => unreachable_value(),
            }
        }
        value => value,
    }
}

/// Stands where control never comes.
pub(super) fn unreachable_value() -> Expr {
    syn::parse_quote!(::core::unreachable!())
}
