//! Expressions that suspend: operands are evaluated from left to right, and what was evaluated
//! before a suspension is kept in temporaries. What is returned is the rest of the expression,
//! without awaits, to be evaluated where the code is now.

use proc_macro2::Span;
use quote::{ToTokens, quote_spanned};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Expr, Token};

use super::suspend::Join;
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
                self.expr_into(value, Dest::Return);
            }
            Expr::Break(_) | Expr::Continue(_) if !suspends(&expr) => {
                // The jump is marked inside the fragment; nothing follows it.
                let fragment = self.expr_fragment(expr);
                self.push(Node::Code(fragment));
                self.leave_unreachable();
            }
            Expr::Paren(inner) if suspends(&inner.expr) => self.expr_into(*inner.expr, dest),
            Expr::Block(block) if suspends(&Expr::Block(block.clone())) => self.block(&block, dest),
            Expr::If(branch) if suspends(&Expr::If(branch.clone())) => self.if_expr(branch, dest),
            Expr::Match(branch) if suspends(&Expr::Match(branch.clone())) => {
                self.match_expr(branch, dest);
            }
            Expr::Loop(repeat) if suspends(&Expr::Loop(repeat.clone())) => {
                if matches!(dest, Dest::Return) {
                    self.value_of_loop(&repeat, dest);
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
            other => {
                let value = self.expr(other);
                self.value_into(value, dest);
            }
        }
    }

    fn value_of_loop(&mut self, repeat: &syn::ExprLoop, dest: Dest) {
        let var = self.temporary("value", false);
        self.push(Node::Declare { var });
        self.loop_expr(repeat, Dest::Var(var));
        let value = self.var_expr(var);
        self.value_into(value, dest);
    }

    fn unit_into(&mut self, dest: Dest) {
        match dest {
            Dest::Ignore => {}
            Dest::Var(_) | Dest::Return => self.value_into(syn::parse_quote!(()), dest),
        }
    }

    fn value_into(&mut self, value: Expr, dest: Dest) {
        if !self.is_reachable() {
            return;
        }
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

    fn is_temporary(&self, expr: &Expr) -> bool {
        self.as_var(expr).is_some_and(|var| self.body.var(var).temporary)
    }

    /// Lowers an expression to one without awaits, to be evaluated here.
    pub(super) fn expr(&mut self, expr: Expr) -> Expr {
        if !suspends(&expr) {
            return expr;
        }
        match expr {
            Expr::Await(call) => self.await_expr(call),
            Expr::Macro(mac) => self.join_macro(mac),
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
                self.expr_into(expr, Dest::Return);
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
        let span = call.await_token.span;
        let name = (*call.base).clone();
        let call = self.expr(*call.base);
        self.suspend(call, &name, span)
    }

    /// Suspends on `call`, and goes on where its result is taken.
    fn suspend(&mut self, call: Expr, name: &Expr, span: Span) -> Expr {
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

    fn join_macro(&mut self, mac: syn::ExprMacro) -> Expr {
        let Some(join) = Join::of(&mac.mac.path) else {
            self.diag.error(
                Code::AwaitInMacro,
                &mac.mac.path,
                "an await inside the arguments of a macro is not supported: await before the \
                 macro and pass it the result",
            );
            return Expr::Macro(mac);
        };
        let span = mac.mac.path.span();
        let parser = Punctuated::<Expr, Token![,]>::parse_terminated;
        let branches = match parser.parse2(mac.mac.tokens.clone()) {
            Ok(branches) => branches,
            Err(error) => {
                self.diag.syntax(error);
                return Expr::Macro(mac);
            }
        };
        for branch in &branches {
            if suspends(branch) {
                self.diag.error(
                    Code::AwaitPlace,
                    branch,
                    "an await inside a branch of `join!` is not supported: pass the calls \
                     themselves, which `join!` awaits",
                );
            }
        }
        if branches.is_empty() || branches.len() > MAX_JOIN_BRANCHES {
            self.diag.error_at(
                Code::AwaitPlace,
                span,
                "`join!` and `try_join!` take one to eight branches: use `join_all` for more",
            );
            return Expr::Macro(mac);
        }
        let branches = self.operands(branches.into_iter().collect(), &[]);
        let call = match join {
            Join::All => quote_spanned!(span=> ::durable::__private::Join((#(#branches,)*))),
            Join::AllOk => quote_spanned!(span=> ::durable::__private::TryJoin((#(#branches,)*))),
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
                if !is_assignable(&e.left) {
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

    // --- operands -----------------------------------------------------------------------------------

    /// An expression that evaluates its parts in order.
    fn operands_expr(&mut self, expr: Expr) -> Expr {
        match expr {
            Expr::Call(mut e) => {
                let mut parts = vec![*e.func];
                parts.extend(std::mem::take(&mut e.args));
                let mut parts = self.operands(parts, &[0]).into_iter();
                if let Some(func) = parts.next() {
                    e.func = Box::new(func);
                    e.args = parts.collect();
                    return Expr::Call(e);
                }
                unreachable_value()
            }
            Expr::MethodCall(mut e) => {
                let mut parts = vec![*e.receiver];
                parts.extend(std::mem::take(&mut e.args));
                let mut parts = self.operands(parts, &[0]).into_iter();
                if let Some(receiver) = parts.next() {
                    e.receiver = Box::new(receiver);
                    e.args = parts.collect();
                    return Expr::MethodCall(e);
                }
                unreachable_value()
            }
            Expr::Tuple(mut e) => {
                e.elems = self
                    .operands(std::mem::take(&mut e.elems).into_iter().collect(), &[])
                    .into_iter()
                    .collect();
                if e.elems.len() == 1 {
                    e.elems.push_punct(<Token![,]>::default());
                }
                Expr::Tuple(e)
            }
            Expr::Array(mut e) => {
                e.elems = self
                    .operands(std::mem::take(&mut e.elems).into_iter().collect(), &[])
                    .into_iter()
                    .collect();
                Expr::Array(e)
            }
            Expr::Struct(mut e) => {
                let mut parts: Vec<Expr> = e.fields.iter().map(|f| f.expr.clone()).collect();
                parts.extend(e.rest.take().map(|rest| *rest));
                let rest = usize::from(parts.len() > e.fields.len());
                let mut parts = self.operands(parts, &[]).into_iter();
                for field in &mut e.fields {
                    if let Some(part) = parts.next() {
                        field.expr = part;
                        field.colon_token.get_or_insert_default();
                    }
                }
                if rest == 1 {
                    e.rest = parts.next().map(Box::new);
                }
                Expr::Struct(e)
            }
            Expr::Index(mut e) => {
                let mut parts = self.operands(vec![*e.expr, *e.index], &[0]).into_iter();
                if let (Some(base), Some(index)) = (parts.next(), parts.next()) {
                    e.expr = Box::new(base);
                    e.index = Box::new(index);
                    return Expr::Index(e);
                }
                unreachable_value()
            }
            Expr::Repeat(mut e) => {
                *e.expr = self.expr(*e.expr);
                Expr::Repeat(e)
            }
            Expr::Range(mut e) => {
                match (e.start.take(), e.end.take()) {
                    (Some(start), Some(end)) => {
                        let mut parts = self.operands(vec![*start, *end], &[]).into_iter();
                        e.start = parts.next().map(Box::new);
                        e.end = parts.next().map(Box::new);
                    }
                    (start, end) => {
                        e.start = start.map(|part| Box::new(self.expr(*part)));
                        e.end = end.map(|part| Box::new(self.expr(*part)));
                    }
                }
                Expr::Range(e)
            }
            other => other,
        }
    }

    /// Lowers operands in order. Those before the last one that suspends are kept in temporaries,
    /// except where evaluating them later is the same; the ones at `places` are used as places.
    fn operands(&mut self, parts: Vec<Expr>, places: &[usize]) -> Vec<Expr> {
        let last = parts.iter().rposition(suspends);
        let stays: Vec<bool> = (0..parts.len())
            .map(|index| places.contains(&index) && can_stay(&parts[index], &parts[index + 1..]))
            .collect();
        let mut out = Vec::with_capacity(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            let before = last.is_some_and(|last| index < last);
            let part = self.expr(part);
            out.push(match (before, stays[index]) {
                (false, _) => part,
                (true, false) => self.kept(part),
                (true, true) => self.settled(part),
            });
        }
        out
    }

    /// A place that is used behind the suspension that follows. What its indices are is decided
    /// here, and whether they are in bounds, as in plain Rust.
    fn settled(&mut self, place: Expr) -> Expr {
        if !has_index(&place) || !self.is_reachable() {
            return place;
        }
        let place = self.keep_indices(place);
        let check = self.expr_fragment(syn::parse_quote!({ let _ = &#place; }));
        self.push(Node::Code(check));
        place
    }

    fn keep_indices(&mut self, place: Expr) -> Expr {
        match place {
            Expr::Index(mut e) => {
                *e.expr = self.keep_indices(*e.expr);
                *e.index = self.kept(*e.index);
                Expr::Index(e)
            }
            Expr::Field(mut e) => {
                *e.base = self.keep_indices(*e.base);
                Expr::Field(e)
            }
            Expr::Paren(mut e) => {
                *e.expr = self.keep_indices(*e.expr);
                Expr::Paren(e)
            }
            Expr::Unary(mut e) => {
                *e.expr = self.keep_indices(*e.expr);
                Expr::Unary(e)
            }
            other => other,
        }
    }

    /// Keeps a value over the suspension that follows, unless evaluating it later is the same.
    fn kept(&mut self, value: Expr) -> Expr {
        if !self.is_reachable() || self.is_temporary(&value) || is_constant(&value) {
            return value;
        }
        if let Expr::Path(path) = &value
            && path.path.get_ident().is_none_or(|_| self.as_var(&value).is_none())
        {
            // A function, a constant or a unit variant.
            return value;
        }
        match value {
            Expr::Reference(mut reference) if root(&reference.expr).is_some() => {
                // Nothing can change what is borrowed before the borrow is used.
                *reference.expr = self.settled(*reference.expr);
                Expr::Reference(reference)
            }
            value => self.spill(value),
        }
    }
}

/// Most branches of `join!` and `try_join!`.
const MAX_JOIN_BRANCHES: usize = 8;

/// Stands where control never comes.
fn unreachable_value() -> Expr {
    syn::parse_quote!(::core::unreachable!())
}

/// A variable, or a field of one: reading it twice is reading it once.
fn is_place(expr: &Expr) -> bool {
    match expr {
        Expr::Path(path) => path.qself.is_none(),
        Expr::Field(field) => is_place(&field.base),
        Expr::Paren(inner) => is_place(&inner.expr),
        Expr::Unary(unary) => matches!(unary.op, syn::UnOp::Deref(_)) && is_place(&unary.expr),
        _ => false,
    }
}

/// The variable in which a place is, if it is in one: fields and indices of it included.
fn root(place: &Expr) -> Option<&syn::Ident> {
    match place {
        Expr::Path(path) if path.qself.is_none() => path.path.get_ident(),
        Expr::Field(field) => root(&field.base),
        Expr::Index(index) => root(&index.expr),
        Expr::Paren(inner) => root(&inner.expr),
        Expr::Unary(unary) if matches!(unary.op, syn::UnOp::Deref(_)) => root(&unary.expr),
        _ => None,
    }
}

fn has_index(place: &Expr) -> bool {
    match place {
        Expr::Index(_) => true,
        Expr::Field(field) => has_index(&field.base),
        Expr::Paren(inner) => has_index(&inner.expr),
        Expr::Unary(unary) => has_index(&unary.expr),
        _ => false,
    }
}

/// Whether a place can be used after `later` was evaluated. Where `later` changes the variable the
/// place was not borrowed but copied before, or rustc would not have it.
fn can_stay(place: &Expr, later: &[Expr]) -> bool {
    use syn::visit::{self, Visit};

    struct Changes<'a> {
        variable: &'a syn::Ident,
        found: bool,
        /// Whether the name means another variable where the visitor is.
        shadowed: bool,
    }
    impl<'ast> Visit<'ast> for Changes<'_> {
        fn visit_pat_ident(&mut self, pat: &'ast syn::PatIdent) {
            self.shadowed |= pat.ident == *self.variable;
            visit::visit_pat_ident(self, pat);
        }
        fn visit_local(&mut self, local: &'ast syn::Local) {
            // The initial value does not see the name yet.
            if let Some(init) = &local.init {
                visit::visit_local_init(self, init);
            }
            self.visit_pat(&local.pat);
        }
        fn visit_block(&mut self, block: &'ast syn::Block) {
            let outside = self.shadowed;
            visit::visit_block(self, block);
            self.shadowed = outside;
        }
        fn visit_arm(&mut self, arm: &'ast syn::Arm) {
            let outside = self.shadowed;
            visit::visit_arm(self, arm);
            self.shadowed = outside;
        }
        fn visit_expr_if(&mut self, e: &'ast syn::ExprIf) {
            let outside = self.shadowed;
            self.visit_expr(&e.cond);
            self.visit_block(&e.then_branch);
            self.shadowed = outside;
            if let Some((_, otherwise)) = &e.else_branch {
                self.visit_expr(otherwise);
            }
        }
        fn visit_expr_while(&mut self, e: &'ast syn::ExprWhile) {
            let outside = self.shadowed;
            visit::visit_expr_while(self, e);
            self.shadowed = outside;
        }
        fn visit_expr_for_loop(&mut self, e: &'ast syn::ExprForLoop) {
            self.visit_expr(&e.expr);
            let outside = self.shadowed;
            self.visit_pat(&e.pat);
            self.visit_block(&e.body);
            self.shadowed = outside;
        }
        fn visit_expr_closure(&mut self, e: &'ast syn::ExprClosure) {
            let outside = self.shadowed;
            visit::visit_expr_closure(self, e);
            self.shadowed = outside;
        }
        fn visit_expr_assign(&mut self, e: &'ast syn::ExprAssign) {
            self.found |= !self.shadowed && root(&e.left) == Some(self.variable);
            visit::visit_expr_assign(self, e);
        }
        fn visit_expr_binary(&mut self, e: &'ast syn::ExprBinary) {
            // Of the operators only compound assignments change anything.
            let compares = e.op.to_token_stream().to_string();
            let assigns = compares.ends_with('=') && !["==", "!=", "<=", ">="].contains(&&*compares);
            self.found |= !self.shadowed && assigns && root(&e.left) == Some(self.variable);
            visit::visit_expr_binary(self, e);
        }
        fn visit_expr_reference(&mut self, e: &'ast syn::ExprReference) {
            self.found |= !self.shadowed && e.mutability.is_some() && root(&e.expr) == Some(self.variable);
            visit::visit_expr_reference(self, e);
        }
    }
    if suspends(place) {
        return false;
    }
    let Some(variable) = root(place) else { return is_place(place) };
    let mut changes = Changes { variable, found: false, shadowed: false };
    later.iter().for_each(|part| changes.visit_expr(part));
    !changes.found
}

/// A place that a compound assignment can name after its value was awaited: primitive operands
/// evaluate the value first anyway.
fn is_assignable(expr: &Expr) -> bool {
    match expr {
        Expr::Index(index) => {
            is_assignable(&index.expr) && (is_place(&index.index) || is_constant(&index.index))
        }
        Expr::Field(field) => is_assignable(&field.base),
        other => is_place(other),
    }
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Lit(_) => true,
        Expr::Unary(unary) => is_constant(&unary.expr),
        Expr::Closure(_) => true,
        other => other.to_token_stream().is_empty(),
    }
}
