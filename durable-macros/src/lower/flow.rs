//! What a piece of code does to the variables around it: which it reads before it has given them
//! a value itself, which it assigns, and which have a value for certain at its end and at each
//! jump out of it. A variable that is only given a value is not needed before.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};

use super::macros::{Elements, Test};
use super::scope::{bindings, resolve};
use crate::ir::{Body, Scope, VarId};

/// The macros that visibly do not come back.
pub(super) const DIVERGING: [&str; 5] = ["panic", "unreachable", "todo", "unimplemented", "bail"];

/// The macros of std whose arguments are expressions, which therefore need not be opaque.
const TAKES_EXPRESSIONS: [&str; 18] = [
    "assert",
    "assert_eq",
    "assert_ne",
    "dbg",
    "debug_assert",
    "debug_assert_eq",
    "debug_assert_ne",
    "eprint",
    "eprintln",
    "format",
    "format_args",
    "panic",
    "print",
    "println",
    "unreachable",
    "vec",
    "write",
    "writeln",
];

/// The variables that have been assigned on every way to a place; `None` where no way leads.
type Assigned = Option<BTreeSet<VarId>>;

fn meet(left: Assigned, right: Assigned) -> Assigned {
    match (left, right) {
        (None, other) | (other, None) => other,
        (Some(left), Some(right)) => Some(left.intersection(&right).copied().collect()),
    }
}

/// A loop or labelled block inside the code.
struct Target {
    label: Option<String>,
    is_loop: bool,
    /// At the jumps that leave it.
    left: Assigned,
}

/// Follows the flow of control through a piece of code.
pub(crate) struct Flow<'a> {
    body: &'a Body,
    scopes: &'a [Scope],
    /// The marks of the jumps that leave the code.
    marks: Vec<&'a Ident>,
    /// Names bound inside the code itself, innermost last.
    local: Vec<BTreeSet<String>>,
    targets: Vec<Target>,
    assigned: Assigned,
    in_closure: usize,
    /// Read before they are assigned here.
    pub(crate) uses: BTreeSet<VarId>,
    /// Assigned somewhere.
    pub(crate) assigns: BTreeSet<VarId>,
    /// Assigned wherever the jump with this mark is reached.
    pub(crate) at_jumps: BTreeMap<String, BTreeSet<VarId>>,
    pub(crate) returns: bool,
}

impl<'a> Flow<'a> {
    pub(crate) fn new(body: &'a Body, scopes: &'a [Scope], marks: Vec<&'a Ident>) -> Self {
        Self {
            body,
            scopes,
            marks,
            local: vec![BTreeSet::new()],
            targets: Vec::new(),
            assigned: Some(BTreeSet::new()),
            in_closure: 0,
            uses: BTreeSet::new(),
            assigns: BTreeSet::new(),
            at_jumps: BTreeMap::new(),
            returns: false,
        }
    }

    /// What has been assigned on every way to the end, `None` if no way leads there.
    pub(crate) fn defines(&self) -> Option<BTreeSet<VarId>> {
        self.assigned.clone()
    }

    fn variable(&self, ident: &Ident) -> Option<VarId> {
        if self.local.iter().any(|names| names.contains(&ident.to_string())) {
            return None;
        }
        resolve(self.body, self.scopes, ident)
    }

    fn mention(&mut self, ident: &Ident) {
        if self.marks.contains(&ident) {
            if let Some(assigned) = self.assigned.take() {
                self.at_jumps.insert(ident.to_string(), assigned);
            }
            return;
        }
        if let Some(var) = self.variable(ident) {
            let read = self.assigned.as_ref().is_some_and(|assigned| !assigned.contains(&var));
            if read {
                self.uses.insert(var);
            } else {
                // It is a local of the block all the same.
                self.assigns.insert(var);
            }
        }
    }

    fn assign(&mut self, var: VarId) {
        self.assigns.insert(var);
        let Some(assigned) = &mut self.assigned else { return };
        if self.in_closure == 0 {
            assigned.insert(var);
        } else if !assigned.contains(&var) {
            // The closure borrows it, so it must have a value.
            self.uses.insert(var);
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

    /// Follows one of several ways; `assigned` is put back for the next.
    fn way(&mut self, f: impl FnOnce(&mut Self)) -> Assigned {
        let before = self.assigned.clone();
        f(self);
        std::mem::replace(&mut self.assigned, before)
    }

    /// Follows code that may run or not, or any number of times.
    fn perhaps(&mut self, f: impl FnOnce(&mut Self)) {
        let after = self.way(f);
        self.assigned = meet(self.assigned.take(), after);
    }

    fn target(
        &mut self,
        label: Option<&syn::Label>,
        is_loop: bool,
        f: impl FnOnce(&mut Self),
    ) -> Assigned {
        let label = label.map(|label| label.name.ident.to_string());
        self.targets.push(Target { label, is_loop, left: None });
        f(self);
        self.targets.pop().and_then(|target| target.left)
    }

    fn leave(&mut self, label: Option<&syn::Lifetime>) {
        let assigned = self.assigned.take();
        let target = self.targets.iter_mut().rev().find(|target| match label {
            None => target.is_loop,
            Some(label) => target.label.as_ref().is_some_and(|name| label.ident == name),
        });
        if let Some(target) = target {
            target.left = meet(target.left.take(), assigned);
        }
    }

    /// An argument of a macro that formats: a text with names in it, a value, or a named value.
    fn argument(&mut self, argument: &syn::Expr) {
        match argument {
            syn::Expr::Lit(literal) => self.tokens(&literal.to_token_stream()),
            syn::Expr::Assign(named) => self.visit_expr(&named.right),
            value => self.visit_expr(value),
        }
    }

    /// Opaque tokens mention every name in them, those captured by format strings included.
    fn tokens(&mut self, tokens: &TokenStream) {
        for token in tokens.clone() {
            match token {
                TokenTree::Ident(ident) => self.mention(&ident),
                TokenTree::Group(group) => self.tokens(&group.stream()),
                TokenTree::Literal(literal) => {
                    for name in captured_names(&literal.to_string()) {
                        self.mention(&Ident::new(&name, Span::call_site()));
                    }
                }
                TokenTree::Punct(_) => {}
            }
        }
    }
}

/// The names in `{name}` and `{name:..}` of a string literal, and in `{:name$}`.
fn captured_names(literal: &str) -> Vec<String> {
    if !literal.contains('"') {
        return Vec::new();
    }
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut names = Vec::new();
    let mut inside = 0_usize;
    let mut word = String::new();
    for c in literal.chars() {
        if is_name(c) && inside > 0 {
            word.push(c);
            continue;
        }
        if word.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && syn::parse_str::<Ident>(&word).is_ok()
        {
            names.push(std::mem::take(&mut word));
        }
        word.clear();
        match c {
            '{' => inside += 1,
            '}' => inside = inside.saturating_sub(1),
            _ => {}
        }
    }
    names
}

impl<'ast> Visit<'ast> for Flow<'_> {
    fn visit_expr_path(&mut self, expr: &'ast syn::ExprPath) {
        if expr.qself.is_none()
            && let Some(ident) = expr.path.get_ident()
        {
            self.mention(ident);
        }
        visit::visit_expr_path(self, expr);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        let name = mac.path.segments.last().map(|segment| &segment.ident);
        let parser = Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated;
        let known = name.is_some_and(|name| TAKES_EXPRESSIONS.iter().any(|known| name == known));
        if name.is_some_and(|name| name == "matches")
            && let Ok(Test { value, pat, guard }) = syn::parse2(mac.tokens.clone())
        {
            self.visit_expr(&value);
            return self.scoped(|this| {
                this.bind(&pat);
                if let Some(guard) = &guard {
                    this.perhaps(|this| this.visit_expr(guard));
                }
            });
        }
        if name.is_some_and(|name| name == "vec")
            && let Ok(Elements::Repeat(element, count)) = syn::parse2(mac.tokens.clone())
        {
            self.visit_expr(&element);
            return self.visit_expr(&count);
        }
        match parser.parse2(mac.tokens.clone()) {
            Ok(arguments) if known => arguments.iter().for_each(|argument| self.argument(argument)),
            _ => self.tokens(&mac.tokens),
        }
        if name.is_some_and(|name| DIVERGING.iter().any(|diverging| name == diverging)) {
            self.assigned = None;
        } else {
            // There may be a `break` in what it expands to.
            for target in &mut self.targets {
                target.left = meet(target.left.take(), self.assigned.clone());
            }
        }
    }

    fn visit_expr_assign(&mut self, expr: &'ast syn::ExprAssign) {
        self.visit_expr(&expr.right);
        let var = match &*expr.left {
            syn::Expr::Path(path) if path.qself.is_none() => {
                path.path.get_ident().and_then(|ident| self.variable(ident))
            }
            _ => None,
        };
        match var {
            Some(var) => self.assign(var),
            None => self.visit_expr(&expr.left),
        }
    }

    fn visit_expr_binary(&mut self, expr: &'ast syn::ExprBinary) {
        self.visit_expr(&expr.left);
        if !matches!(expr.op, syn::BinOp::And(_) | syn::BinOp::Or(_)) {
            self.visit_expr(&expr.right);
        } else if contains_let(&expr.left) || contains_let(&expr.right) {
            // A chain of conditions: what follows runs only where all of it has run.
            self.visit_expr(&expr.right);
        } else {
            self.perhaps(|this| this.visit_expr(&expr.right));
        }
    }

    fn visit_expr_closure(&mut self, closure: &'ast syn::ExprClosure) {
        self.in_closure += 1;
        self.perhaps(|this| {
            this.scoped(|this| {
                for input in &closure.inputs {
                    this.bind(input);
                }
                visit::visit_expr_closure(this, closure);
            });
        });
        self.in_closure -= 1;
    }

    fn visit_expr_async(&mut self, expr: &'ast syn::ExprAsync) {
        self.in_closure += 1;
        self.perhaps(|this| visit::visit_expr_async(this, expr));
        self.in_closure -= 1;
    }

    fn visit_expr_return(&mut self, expr: &'ast syn::ExprReturn) {
        self.returns |= self.in_closure == 0;
        visit::visit_expr_return(self, expr);
        self.assigned = None;
    }

    fn visit_expr_try(&mut self, expr: &'ast syn::ExprTry) {
        self.returns |= self.in_closure == 0;
        visit::visit_expr_try(self, expr);
    }

    fn visit_expr_break(&mut self, expr: &'ast syn::ExprBreak) {
        if let Some(value) = &expr.expr {
            self.visit_expr(value);
        }
        self.leave(expr.label.as_ref());
    }

    fn visit_expr_continue(&mut self, _: &'ast syn::ExprContinue) {
        self.assigned = None;
    }

    fn visit_block(&mut self, block: &'ast syn::Block) {
        self.scoped(|this| visit::visit_block(this, block));
    }

    fn visit_expr_block(&mut self, expr: &'ast syn::ExprBlock) {
        if expr.label.is_none() {
            return self.visit_block(&expr.block);
        }
        let left = self.target(expr.label.as_ref(), false, |this| this.visit_block(&expr.block));
        self.assigned = meet(self.assigned.take(), left);
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if let Some(init) = &local.init {
            self.visit_expr(&init.expr);
            if let Some((_, otherwise)) = &init.diverge {
                self.way(|this| this.visit_expr(otherwise));
            }
        }
        self.visit_pat(&local.pat);
        self.bind(&local.pat);
    }

    fn visit_expr_match(&mut self, expr: &'ast syn::ExprMatch) {
        self.visit_expr(&expr.expr);
        let mut after = None;
        for arm in &expr.arms {
            let end = self.way(|this| this.visit_arm(arm));
            after = meet(after, end);
        }
        self.assigned = after;
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        self.scoped(|this| {
            this.bind(&arm.pat);
            visit::visit_arm(this, arm);
        });
    }

    fn visit_expr_let(&mut self, expr: &'ast syn::ExprLet) {
        self.visit_expr(&expr.expr);
        self.visit_pat(&expr.pat);
        self.bind(&expr.pat);
    }

    fn visit_expr_if(&mut self, expr: &'ast syn::ExprIf) {
        let before = self.assigned.clone();
        let then = self.way(|this| {
            this.scoped(|this| {
                this.visit_expr(&expr.cond);
                this.visit_block(&expr.then_branch);
            });
        });
        // Without patterns the condition has run as a whole in the other branch as well.
        if contains_let(&expr.cond) {
            self.assigned = before;
        } else {
            self.visit_expr(&expr.cond);
        }
        if let Some((_, otherwise)) = &expr.else_branch {
            self.visit_expr(otherwise);
        }
        self.assigned = meet(self.assigned.take(), then);
    }

    fn visit_expr_loop(&mut self, expr: &'ast syn::ExprLoop) {
        self.assigned = self.target(expr.label.as_ref(), true, |this| this.visit_block(&expr.body));
    }

    fn visit_expr_while(&mut self, expr: &'ast syn::ExprWhile) {
        let before = self.assigned.clone();
        self.target(expr.label.as_ref(), true, |this| {
            this.scoped(|this| visit::visit_expr_while(this, expr));
        });
        self.assigned = before;
    }

    fn visit_expr_for_loop(&mut self, expr: &'ast syn::ExprForLoop) {
        self.visit_expr(&expr.expr);
        let before = self.assigned.clone();
        self.target(expr.label.as_ref(), true, |this| {
            this.scoped(|this| {
                this.bind(&expr.pat);
                this.visit_block(&expr.body);
            });
        });
        self.assigned = before;
    }

    fn visit_item(&mut self, _: &'ast syn::Item) {
        // Items see no variables.
    }
}

fn contains_let(condition: &syn::Expr) -> bool {
    match condition {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(chain) if matches!(chain.op, syn::BinOp::And(_)) => {
            contains_let(&chain.left) || contains_let(&chain.right)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::captured_names;

    #[test]
    fn names_in_format_strings_are_found() {
        assert_eq!(
            captured_names(r#""{a} and {b:?} {0} {{c}} {d:>width$}""#),
            ["a", "b", "c", "d", "width"]
        );
        assert_eq!(captured_names("'x'"), Vec::<String>::new());
    }
}
