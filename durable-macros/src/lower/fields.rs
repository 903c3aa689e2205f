//! Values that are moved field by field: where only fields of a variable are still needed and some
//! are moved, each becomes a variable of its own, so that those that are left can be saved.
//!
//! `copy(plan.files).await?; link(plan.links).await?` is written as
//! `let files = plan.files; let links = plan.links; copy(files).await?; link(links).await?`.

use std::collections::BTreeSet;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{Block, Expr, Member, Pat, Stmt};

use super::borrow::borrowable;
use super::branches::visit_parts_mut;
use super::scope::{Binding, bindings};
use super::suspend::{Waits, has_await, stmt_suspends};
use crate::parse::Param;

/// Begins the names of such variables; the saved name is without it.
pub(crate) const PART: &str = "__part_";
/// Stands for the dot in such a name.
pub(crate) const DOT: &str = "_dot_";

/// Methods that take what they are called on by value, besides those called `into_..`.
const CONSUMING: [&str; 14] = [
    "and_then",
    "expect",
    "expect_err",
    "map",
    "map_err",
    "ok",
    "ok_or",
    "ok_or_else",
    "or_else",
    "unwrap",
    "unwrap_err",
    "unwrap_or",
    "unwrap_or_default",
    "unwrap_or_else",
];

/// Macros whose arguments are expressions that are taken by reference.
const FORMAT: [&str; 5] = ["format", "assert", "assert_eq", "assert_ne", "panic"];

/// Gives moved fields variables of their own, in the whole body.
pub(super) fn split(body: &mut Block, params: &[Param]) {
    let names = params
        .iter()
        .filter(|param| is_owner(&param.ty))
        .map(|param| Binding { ident: param.ident.clone(), mutable: param.mutable });
    let mut splitter = Splitter { borrowed: Vec::new() };
    splitter.block(body, names.collect());
    splitter.visit_block_mut(body);
}

/// Whether the fields of a type can be moved out of it, as far as its name tells.
fn is_owner(ty: &syn::Type) -> bool {
    match ty {
        syn::Type::Reference(_) => false,
        syn::Type::Path(path) => path.path.segments.last().is_none_or(|last| {
            !["Arc", "Rc", "Cow", "Ref", "RefMut"].iter().any(|shared| last.ident == shared)
        }),
        _ => true,
    }
}

struct Splitter {
    /// Names that are references into something else.
    borrowed: Vec<String>,
}

impl Splitter {
    /// Splits what is bound before the block, and what its own statements bind.
    fn block(&self, block: &mut Block, names: Vec<Binding>) {
        for name in names {
            self.split_in(block, 0, &name);
        }
        let mut index = 0;
        while index < block.stmts.len() {
            if let Stmt::Local(local) = &block.stmts[index]
                && local.init.as_ref().is_some_and(|init| self.is_owned(&init.expr))
                && !matches!(&local.pat, Pat::Type(typed) if !is_owner(&typed.ty))
            {
                for name in bindings(&local.pat) {
                    self.split_in(block, index + 1, &name);
                }
            }
            index += 1;
        }
    }

    /// Whether a value is certainly not a reference into something else.
    fn is_owned(&self, value: &Expr) -> bool {
        /// Methods that give what they take out or make anew.
        const OWNING: [&str; 16] = [
            "clone",
            "cloned",
            "into_inner",
            "into_iter",
            "into_keys",
            "into_values",
            "pop",
            "pop_back",
            "pop_first",
            "pop_front",
            "pop_last",
            "remove",
            "replace",
            "swap_remove",
            "take",
            "to_owned",
        ];
        match value {
            Expr::Await(_) | Expr::Call(_) | Expr::Struct(_) => true,
            Expr::Try(inner) => self.is_owned(&inner.expr),
            Expr::Paren(inner) => self.is_owned(&inner.expr),
            Expr::Field(field) => self.is_owned(&field.base),
            Expr::Path(path) => {
                path.path.get_ident().is_some_and(|name| !self.borrowed.contains(&name.to_string()))
            }
            Expr::MethodCall(call) => {
                let name = call.method.to_string();
                OWNING.contains(&name.as_str())
                    || (CONSUMING.contains(&name.as_str()) && self.is_owned(&call.receiver))
                    || (name == "next" && self.is_owned(&call.receiver))
            }
            _ => false,
        }
    }

    fn split_in(&self, block: &mut Block, from: usize, name: &Binding) {
        if self.borrowed.contains(&name.ident.to_string()) {
            return;
        }
        let Some((at, fields)) = plan(&mut block.stmts[from..], &name.ident) else { return };
        let mut rewrite = Mentions::new(&name.ident, true);
        for stmt in &mut block.stmts[from + at..] {
            rewrite.visit_stmt_mut(stmt);
        }
        let parts = fields.into_iter().map(|field| {
            let whole = &name.ident;
            let part = part_name(whole, &field);
            let member: Member = syn::parse_str(&field)
                .unwrap_or_else(|_| Member::Named(Ident::new(&field, whole.span())));
            let mutability = name.mutable.then(|| Ident::new("mut", Span::call_site()));
            syn::parse_quote!(#[allow(unused_mut)] let #mutability #part = #whole.#member;)
        });
        let mut parts: Vec<Stmt> = parts.collect();
        if name.mutable {
            // The parts are changed instead, which rustc would call an unused `mut`.
            let whole = &name.ident;
            parts.insert(0, syn::parse_quote!(let _ = &mut #whole;));
        }
        block.stmts.splice(from + at..from + at, parts);
    }

    fn condition_bindings(&self, condition: &Expr) -> Vec<Binding> {
        match condition {
            Expr::Let(binding) if self.is_owned(&binding.expr) => bindings(&binding.pat),
            Expr::Binary(chain) => {
                let mut all = self.condition_bindings(&chain.left);
                all.extend(self.condition_bindings(&chain.right));
                all
            }
            _ => Vec::new(),
        }
    }

    /// Visits code in which these names are references.
    fn borrowing(&mut self, pat: &Pat, visit: impl FnOnce(&mut Self)) {
        let before = self.borrowed.len();
        self.borrowed.extend(bindings(pat).into_iter().map(|binding| binding.ident.to_string()));
        visit(self);
        self.borrowed.truncate(before);
    }
}

impl VisitMut for Splitter {
    fn visit_block_mut(&mut self, block: &mut Block) {
        self.block(block, Vec::new());
        visit_mut::visit_block_mut(self, block);
    }

    fn visit_expr_for_loop_mut(&mut self, expr: &mut syn::ExprForLoop) {
        let is_derived = match &*expr.expr {
            Expr::Path(path) => {
                path.path.get_ident().is_some_and(|name| self.borrowed.contains(&name.to_string()))
            }
            collection => borrowable(collection),
        };
        if is_derived || !self.is_owned(&expr.expr) {
            let pat = expr.pat.clone();
            self.borrowing(&pat, |this| visit_mut::visit_expr_for_loop_mut(this, expr));
        } else {
            self.block(&mut expr.body, bindings(&expr.pat));
            visit_mut::visit_expr_for_loop_mut(self, expr);
        }
    }

    fn visit_expr_if_mut(&mut self, expr: &mut syn::ExprIf) {
        self.block(&mut expr.then_branch, self.condition_bindings(&expr.cond));
        visit_mut::visit_expr_if_mut(self, expr);
    }

    fn visit_expr_while_mut(&mut self, expr: &mut syn::ExprWhile) {
        self.block(&mut expr.body, self.condition_bindings(&expr.cond));
        visit_mut::visit_expr_while_mut(self, expr);
    }

    fn visit_expr_match_mut(&mut self, expr: &mut syn::ExprMatch) {
        if self.is_owned(&expr.expr) {
            for arm in &mut expr.arms {
                if let Expr::Block(body) = &mut *arm.body {
                    self.block(&mut body.block, bindings(&arm.pat));
                }
            }
        }
        visit_mut::visit_expr_match_mut(self, expr);
    }

    fn visit_expr_closure_mut(&mut self, _: &mut syn::ExprClosure) {}

    fn visit_item_mut(&mut self, _: &mut syn::Item) {}
}

/// Where to split a variable, counted in statements, and into which fields; `None` if it can stay
/// whole.
fn plan(stmts: &mut [Stmt], name: &Ident) -> Option<(usize, BTreeSet<String>)> {
    if !stmts.iter().any(stmt_suspends) {
        return None;
    }
    // A statement may hide the name from those behind it.
    let mut mentions = Mentions::new(name, false);
    let events: Vec<Vec<Event>> = stmts
        .iter_mut()
        .map(|stmt| {
            mentions.visit_stmt_mut(stmt);
            std::mem::take(&mut mentions.events)
        })
        .collect();
    // Behind the last mention of the whole.
    let at = events.iter().rposition(|events| events.contains(&Event::Whole)).map_or(0, |i| i + 1);
    let first = at + events[at..].iter().position(|e| e.iter().any(Event::is_mention))?;
    let after: Vec<&Event> = events[first..].iter().flatten().collect();
    let moved = after.iter().position(|event| matches!(event, Event::Moved(_)))?;
    let waits = moved + after[moved..].iter().position(|event| matches!(event, Event::Await))?;
    after[waits..].iter().find(|event| event.is_mention())?;
    let fields = after.iter().filter_map(|event| match event {
        Event::Moved(field) | Event::Used(field) => Some(field.clone()),
        Event::Whole | Event::Await => None,
    });
    Some((first, fields.collect()))
}

/// What happens to a variable, in the order of the source.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Whole,
    /// A field that is perhaps moved.
    Moved(String),
    Used(String),
    Await,
}

impl Event {
    fn is_mention(&self) -> bool {
        !matches!(self, Self::Await)
    }
}

fn part_name(whole: &Ident, field: &str) -> Ident {
    let whole_name = whole.to_string();
    let whole_name = whole_name.trim_start_matches("r#").trim_start_matches(PART);
    let field = field.trim_start_matches("r#");
    Ident::new(
        &format!("{PART}{whole_name}{DOT}{field}"),
        Span::mixed_site().located_at(whole.span()),
    )
}

/// Finds the mentions of a variable, or puts the variables of its fields in their place.
struct Mentions<'a> {
    name: &'a Ident,
    rewrite: bool,
    shadowed: bool,
    events: Vec<Event>,
}

impl<'a> Mentions<'a> {
    fn new(name: &'a Ident, rewrite: bool) -> Self {
        Self { name, rewrite, shadowed: false, events: Vec::new() }
    }

    /// The innermost field of the variable in a chain of fields.
    fn field<'e>(&self, expr: &'e mut Expr) -> Option<(&'e mut Expr, String)> {
        let Expr::Field(field) = expr else { return None };
        if let Expr::Path(path) = &*field.base
            && path.path.is_ident(self.name)
        {
            let name = field.member.to_token_stream().to_string();
            return Some((expr, name));
        }
        match expr {
            Expr::Field(field) => self.field(&mut field.base),
            _ => None,
        }
    }

    fn note(&mut self, expr: &mut Expr, moved: bool) -> bool {
        if self.shadowed {
            return false;
        }
        let Some((place, name)) = self.field(expr) else { return false };
        if self.rewrite {
            let part = part_name(self.name, &name);
            *place = syn::parse_quote!(#part);
        }
        self.events.push(if moved { Event::Moved(name) } else { Event::Used(name) });
        true
    }

    /// A place where a value is moved to.
    fn moved(&mut self, expr: &mut Expr) {
        if !self.note(expr, true) {
            self.visit_expr_mut(expr);
        }
    }

    fn scoped(&mut self, visit: impl FnOnce(&mut Self)) {
        let outside = self.shadowed;
        visit(self);
        self.shadowed = outside;
    }

    fn tokens(&mut self, tokens: &TokenStream) {
        let name = self.name.to_string();
        let mentioned = tokens.clone().into_iter().any(|token| match token {
            TokenTree::Ident(ident) => ident == *self.name,
            TokenTree::Literal(literal) => literal.to_string().contains(&name),
            TokenTree::Group(group) => {
                let mut inner = Mentions::new(self.name, false);
                inner.tokens(&group.stream());
                !inner.events.is_empty()
            }
            TokenTree::Punct(_) => false,
        });
        if mentioned && !self.shadowed {
            self.events.push(Event::Whole);
        }
    }
}

impl VisitMut for Mentions<'_> {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        match expr {
            Expr::Path(path) if path.path.is_ident(self.name) && !self.shadowed => {
                self.events.push(Event::Whole);
            }
            Expr::Field(_) => {
                if !self.note(expr, false) {
                    visit_mut::visit_expr_mut(self, expr);
                }
            }
            Expr::Call(call) => {
                self.visit_expr_mut(&mut call.func);
                call.args.iter_mut().for_each(|argument| self.moved(argument));
            }
            Expr::MethodCall(call) => {
                let name = call.method.to_string();
                if name.starts_with("into_") || CONSUMING.contains(&name.as_str()) {
                    self.moved(&mut call.receiver);
                } else {
                    self.visit_expr_mut(&mut call.receiver);
                }
                call.args.iter_mut().for_each(|argument| self.moved(argument));
            }
            Expr::Await(call) => {
                self.moved(&mut call.base);
                self.events.push(Event::Await);
            }
            Expr::Try(tried) => self.moved(&mut tried.expr),
            Expr::Tuple(tuple) => tuple.elems.iter_mut().for_each(|part| self.moved(part)),
            Expr::Array(array) => array.elems.iter_mut().for_each(|part| self.moved(part)),
            Expr::Struct(value) => {
                for field in &mut value.fields {
                    if field.colon_token.is_none() {
                        // `Order { id }` is `Order { id: id }`.
                        self.visit_expr_mut(&mut field.expr);
                    } else {
                        self.moved(&mut field.expr);
                    }
                }
                if let Some(rest) = &mut value.rest {
                    self.visit_expr_mut(rest);
                }
            }
            Expr::Assign(assign) => {
                self.moved(&mut assign.right);
                self.visit_expr_mut(&mut assign.left);
            }
            Expr::Return(syn::ExprReturn { expr: Some(value), .. })
            | Expr::Break(syn::ExprBreak { expr: Some(value), .. }) => self.moved(value),
            Expr::Match(branch) => {
                self.moved(&mut branch.expr);
                branch.arms.iter_mut().for_each(|arm| self.visit_arm_mut(arm));
            }
            _ => visit_mut::visit_expr_mut(self, expr),
        }
    }

    fn visit_stmt_mut(&mut self, stmt: &mut Stmt) {
        match stmt {
            Stmt::Expr(value, None) => self.moved(value),
            other => visit_mut::visit_stmt_mut(self, other),
        }
    }

    fn visit_macro_mut(&mut self, mac: &mut syn::Macro) {
        if Waits::of(&mac.path).is_some() {
            // Its tokens stay as they are while nothing is rewritten.
            let mut seen = mac.clone();
            visit_parts_mut(if self.rewrite { mac } else { &mut seen }, &mut |pat, part| {
                self.scoped(|this| {
                    pat.cloned().iter_mut().for_each(|pat| this.visit_pat_mut(pat));
                    this.moved(part);
                });
            });
            self.events.push(Event::Await);
            return;
        }
        let name = mac.path.segments.last().map(|segment| segment.ident.to_string());
        let is_known = name.is_some_and(|name| FORMAT.contains(&name.as_str()));
        let parser = Punctuated::<Expr, syn::Token![,]>::parse_terminated;
        let arguments = if is_known { parser.parse2(mac.tokens.clone()).ok() } else { None };
        match arguments {
            Some(mut arguments) => {
                for argument in &mut arguments {
                    match argument {
                        Expr::Lit(literal) => self.tokens(&literal.to_token_stream()),
                        Expr::Assign(named) => self.visit_expr_mut(&mut named.right),
                        value => self.visit_expr_mut(value),
                    }
                }
                if self.rewrite {
                    mac.tokens = arguments.into_token_stream();
                }
            }
            None => self.tokens(&mac.tokens),
        }
        if has_await(&mac.tokens) {
            self.events.push(Event::Await);
        }
    }

    fn visit_pat_ident_mut(&mut self, pat: &mut syn::PatIdent) {
        self.shadowed |= pat.ident == *self.name;
        visit_mut::visit_pat_ident_mut(self, pat);
    }

    fn visit_local_mut(&mut self, local: &mut syn::Local) {
        // The initial value does not see the name yet.
        if let Some(init) = &mut local.init {
            self.moved(&mut init.expr);
            if let Some((_, otherwise)) = &mut init.diverge {
                self.visit_expr_mut(otherwise);
            }
        }
        self.visit_pat_mut(&mut local.pat);
    }

    fn visit_block_mut(&mut self, block: &mut Block) {
        self.scoped(|this| visit_mut::visit_block_mut(this, block));
    }

    fn visit_arm_mut(&mut self, arm: &mut syn::Arm) {
        self.scoped(|this| visit_mut::visit_arm_mut(this, arm));
    }

    fn visit_expr_let_mut(&mut self, binding: &mut syn::ExprLet) {
        self.moved(&mut binding.expr);
        self.visit_pat_mut(&mut binding.pat);
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

    fn visit_expr_while_mut(&mut self, expr: &mut syn::ExprWhile) {
        self.scoped(|this| visit_mut::visit_expr_while_mut(this, expr));
    }

    fn visit_expr_for_loop_mut(&mut self, expr: &mut syn::ExprForLoop) {
        self.moved(&mut expr.expr);
        self.scoped(|this| {
            this.visit_pat_mut(&mut expr.pat);
            this.visit_block_mut(&mut expr.body);
        });
    }

    fn visit_expr_closure_mut(&mut self, closure: &mut syn::ExprClosure) {
        self.scoped(|this| visit_mut::visit_expr_closure_mut(this, closure));
    }

    fn visit_item_mut(&mut self, _: &mut syn::Item) {}
}
