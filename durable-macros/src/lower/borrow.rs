//! Loops over borrowed items: what is saved is the position, and the items are borrowed anew in
//! every block. It is the one borrow that may cross an await.

use quote::{ToTokens, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, Pat};

use super::place::{self, is_constant, is_place, root};
use super::scope::bindings;
use super::{Dest, Lowering};
use crate::diag::Code;
use crate::ir::{Derive, DeriveId, Exit, Node, VarId};

/// Methods that borrow from what they are called on.
const BORROWING: [&str; 26] = [
    "as_bytes",
    "as_mut_slice",
    "as_ref",
    "as_slice",
    "as_str",
    "bytes",
    "char_indices",
    "chars",
    "chunks",
    "chunks_exact",
    "chunks_mut",
    "iter",
    "iter_mut",
    "keys",
    "lines",
    "matches",
    "range",
    "rchunks",
    "split",
    "split_ascii_whitespace",
    "split_terminator",
    "split_whitespace",
    "splitn",
    "values",
    "values_mut",
    "windows",
];

/// Adaptors that give an item when they are asked for it, and nothing before. What any other method
/// gives is evaluated once.
const LAZY: [&str; 16] = [
    "by_ref",
    "chain",
    "cloned",
    "copied",
    "enumerate",
    "filter",
    "filter_map",
    "inspect",
    "map",
    "rev",
    "skip",
    "skip_while",
    "step_by",
    "take",
    "take_while",
    "zip",
];

/// Adaptors whose items depend on what an item says, which the body may have changed by now.
const CHOOSING: [&str; 4] = ["filter", "filter_map", "skip_while", "take_while"];

impl Lowering<'_> {
    /// What a `for` borrows its items from, as an expression that can be evaluated again.
    pub(super) fn borrowed_items(&mut self, collection: &Expr) -> Option<Expr> {
        match collection {
            Expr::Paren(inner) => self.borrowed_items(&inner.expr),
            Expr::Group(inner) => self.borrowed_items(&inner.expr),
            Expr::Reference(reference) => {
                let mut reference = reference.clone();
                *reference.expr = self.lasting(*reference.expr);
                Some(Expr::Reference(reference))
            }
            Expr::Array(_) if is_literal(collection) => Some(collection.clone()),
            Expr::MethodCall(_) if borrows(collection) => Some(self.lasting_chain(collection)),
            Expr::Path(_) => Some(collection.clone()),
            _ => None,
        }
    }

    /// A chain of methods of which the first borrows. Their arguments are evaluated once.
    fn lasting_chain(&mut self, chain: &Expr) -> Expr {
        let Expr::MethodCall(call) = chain else { return self.lasting(chain.clone()) };
        let mut call = call.clone();
        *call.receiver = if borrows(&call.receiver) {
            self.lasting_chain(&call.receiver)
        } else {
            self.lasting(*call.receiver)
        };
        if CHOOSING.iter().any(|name| call.method == name) && changes_items(&call.receiver) {
            self.diag.error(
                Code::Borrow,
                &call.method,
                "after a wait the items are counted again, and the body may have changed what this \
                 asks of them: go over all items and test inside the loop",
            );
        }
        for argument in &mut call.args {
            *argument = self.lasting_argument(argument.clone());
        }
        Expr::MethodCall(call)
    }

    /// A closure in the iterator of a loop that suspends does not run when the item is asked for: it
    /// runs for all items before, or again in every round.
    pub(super) fn refuse_changes(&mut self, collection: &Expr) {
        let Expr::MethodCall(call) = collection else { return };
        self.refuse_changes(&call.receiver);
        for argument in &call.args {
            if let Expr::Closure(closure) = argument {
                self.refuse_change(closure);
            }
        }
    }

    fn refuse_change(&mut self, closure: &syn::ExprClosure) {
        let is_mutable = |name: &proc_macro2::Ident| {
            super::resolve(&self.body, &self.scopes, name)
                .is_some_and(|var| self.body.var(var).mutable)
        };
        if let Some(change) = place::change_of_captured(closure, &is_mutable) {
            self.diag.error(
                Code::Borrow,
                &change,
                "this closure does not run when its item is asked for: after a wait it runs again, \
                 or it has run for all items before; so it must not change anything outside of \
                 itself: do that in the body, or collect the items into a `Vec` before the loop",
            );
        }
    }

    /// Something that outlives the loop: a place with its indices decided, or a temporary.
    fn lasting(&mut self, value: Expr) -> Expr {
        if is_literal(&value) || (is_place(&value) && root(&value).is_some()) {
            return value;
        }
        if root(&value).is_some() {
            let mut place = self.keep_indices(value);
            CloneIndices.visit_expr_mut(&mut place);
            return place;
        }
        self.spill(value)
    }

    fn lasting_argument(&mut self, argument: Expr) -> Expr {
        let is_function = matches!(&argument, Expr::Path(_)) && self.as_var(&argument).is_none();
        if is_constant(&argument) || is_function {
            return argument;
        }
        if let Expr::Reference(mut reference) = argument {
            *reference.expr = self.lasting(*reference.expr);
            return Expr::Reference(reference);
        }
        if self::borrows(&argument) {
            return self.lasting_chain(&argument);
        }
        let once = self.spill(argument);
        syn::parse_quote!(::core::clone::Clone::clone(&#once))
    }

    /// Lowers a loop over `items`, which can be evaluated again.
    pub(super) fn for_borrowed(
        &mut self,
        label: Option<&syn::Label>,
        pat: &Pat,
        items: &Expr,
        body: &syn::Block,
    ) {
        let position = self.temporary(&position_name(pat), true);
        let zero = self.expr_fragment(syn::parse_quote!(0_usize));
        self.bind_temporary(position, zero);
        let at = self.body.var(position).ident.clone();
        let span = items.span();
        let item: Expr = {
            let tokens = quote_spanned!(span=> ::durable::__private::item_at(#items, #at));
            syn::parse_quote!(#tokens)
        };
        self.looped(label, Dest::Ignore, true, |this, exit| {
            let condition: Expr = syn::parse_quote!(let ::core::option::Option::Some(#pat) = #item);
            let fragment = this.expr_fragment(condition);
            let again = syn::parse_quote!(::durable::__private::item_again(#items, #at));
            let derive =
                this.new_derive(&syn::parse_quote!(::core::option::Option::Some(#pat)), again);
            let mut binds = Vec::new();
            let (then, then_end) = this.branch(|this| {
                this.in_branch_scope(|this| {
                    binds = this.bind_pat(pat);
                    this.derive(derive, &binds);
                    let next = this.expr_fragment(syn::parse_quote!(#at += 1));
                    this.push(Node::Code(next));
                    this.in_scope(|this| this.block_contents(&body.stmts, &Dest::Ignore));
                });
            });
            let (otherwise, else_end) = this.branch(|this| this.exit(Exit::Goto(exit)));
            this.join(
                Node::If { condition: fragment, binds, then, otherwise },
                vec![then_end, else_end],
            );
        });
    }

    // --- bindings that borrow -----------------------------------------------------------------------

    /// Binds a pattern whose value is `init`. Bindings that borrow from a local are borrowed again
    /// where they are needed after an await.
    pub(super) fn bind_borrowing(
        &mut self,
        pat: &Pat,
        ty: Option<&syn::Type>,
        init: &Expr,
    ) -> Vec<VarId> {
        if !self.borrows_again(init) {
            let binds = self.bind_pat(pat);
            let is_reference =
                matches!(ty, Some(syn::Type::Reference(_))) && !matches!(init, Expr::Lit(_));
            if is_reference || visibly_borrows(init) {
                for var in &binds {
                    self.body.vars[var.0].borrows = true;
                }
            }
            return binds;
        }
        let mut again = pat.clone();
        ForgetCopies.visit_pat_mut(&mut again);
        ForgetValues.visit_pat_mut(&mut again);
        let kept = bindings(&again);
        let typed: Pat = match ty {
            Some(ty) => Pat::Type(syn::PatType {
                attrs: Vec::new(),
                pat: Box::new(again),
                colon_token: syn::token::Colon::default(),
                ty: Box::new(ty.clone()),
            }),
            None => again,
        };
        let derive = self.new_derive(&typed, init.clone());
        let binds = self.bind_pat(pat);
        let borrowing: Vec<VarId> = binds
            .iter()
            .copied()
            .filter(|var| kept.iter().any(|kept| kept.ident == self.body.var(*var).ident))
            .collect();
        self.derive(derive, &borrowing);
        for var in borrowing {
            let var = &mut self.body.vars[var.0];
            var.borrows = var.derived.is_none();
        }
        binds
    }

    /// Whether evaluating an expression again gives the same borrow, as long as that is alive.
    fn borrows_again(&self, init: &Expr) -> bool {
        /// Methods that by convention give a view of what they are called on.
        const VIEWS: [&str; 10] = [
            "as_bytes",
            "as_deref",
            "as_deref_mut",
            "as_mut",
            "as_mut_slice",
            "as_os_str",
            "as_path",
            "as_ref",
            "as_slice",
            "as_str",
        ];
        match init {
            Expr::Paren(inner) => self.borrows_again(&inner.expr),
            // What is made anew can be taken apart anew.
            Expr::Path(_) => {
                self.as_var(init).is_some_and(|var| self.body.var(var).derived.is_some())
            }
            Expr::Tuple(tuple) => {
                !tuple.elems.is_empty() && tuple.elems.iter().all(|part| self.borrows_again(part))
            }
            Expr::Reference(reference) => self.is_lasting_place(&reference.expr),
            Expr::MethodCall(call) => {
                call.args.is_empty()
                    && VIEWS.iter().any(|name| call.method == name)
                    && (self.is_lasting_place(&call.receiver) || self.borrows_again(&call.receiver))
            }
            _ => false,
        }
    }

    /// A part of a local whose place is fixed.
    fn is_lasting_place(&self, place: &Expr) -> bool {
        match place {
            Expr::Path(_) => self.as_var(place).is_some(),
            Expr::Field(field) => self.is_lasting_place(&field.base),
            Expr::Paren(inner) => self.is_lasting_place(&inner.expr),
            Expr::Unary(unary) if matches!(unary.op, syn::UnOp::Deref(_)) => {
                self.is_lasting_place(&unary.expr)
            }
            Expr::Index(index) => {
                self.is_lasting_place(&index.expr) && self.is_fixed_index(&index.index)
            }
            _ => false,
        }
    }

    fn is_fixed_index(&self, index: &Expr) -> bool {
        match index {
            Expr::Range(range) => {
                range.start.iter().chain(&range.end).all(|end| self.is_fixed_index(end))
            }
            Expr::Path(_) => self.as_var(index).is_some_and(|var| !self.body.var(var).mutable),
            other => is_literal(other),
        }
    }

    /// A binding of this name hides what others borrow from: they cannot borrow again.
    pub(super) fn hide(&mut self, name: &proc_macro2::Ident) {
        let Some(scope) = self.scopes.last() else { return };
        for var in scope.vars.clone() {
            let Some(derive) = self.body.var(var).derived else { continue };
            let uses = &self.body.derives[derive.0].uses;
            if uses.iter().any(|used| self.body.var(*used).ident == *name) {
                self.body.vars[var.0].derived = None;
                self.body.vars[var.0].borrows = true;
            }
        }
    }

    /// A way to make the variables of a pattern again; to be called before they are bound.
    pub(super) fn new_derive(&mut self, pat: &Pat, again: Expr) -> DeriveId {
        let id = DeriveId(self.body.derives.len());
        let uses = self.expr_fragment(again.clone()).uses;
        let mut pat = pat.clone();
        ForgetMutable.visit_pat_mut(&mut pat);
        self.body.derives.push(Derive { pat, again, uses });
        id
    }

    /// Notes that variables are made again in this way. Those that can be changed are saved.
    pub(super) fn derive(&mut self, derive: DeriveId, binds: &[VarId]) {
        for var in binds {
            let var = &mut self.body.vars[var.0];
            if !var.mutable {
                var.derived = Some(derive);
            }
        }
    }

    /// Whether a `for` visibly borrows its items.
    pub(super) fn is_borrowable(&self, collection: &Expr) -> bool {
        let is_derived =
            self.as_var(collection).is_some_and(|var| self.body.var(var).derived.is_some());
        is_derived || borrowable(collection)
    }
}

/// Whether a `for` visibly borrows its items.
pub(super) fn borrowable(collection: &Expr) -> bool {
    match collection {
        Expr::Paren(inner) => borrowable(&inner.expr),
        Expr::Group(inner) => borrowable(&inner.expr),
        Expr::Reference(_) => true,
        Expr::Array(_) => is_literal(collection),
        other => borrows(other),
    }
}

fn borrows(expr: &Expr) -> bool {
    match expr {
        Expr::MethodCall(call) => {
            let is_lazy = LAZY.iter().any(|name| call.method == name);
            BORROWING.iter().any(|name| call.method == name) || (is_lazy && borrows(&call.receiver))
        }
        Expr::Paren(inner) => borrows(&inner.expr),
        _ => false,
    }
}

/// Whether the items of an iterator can be changed through it.
fn changes_items(expr: &Expr) -> bool {
    match expr {
        Expr::MethodCall(call) => {
            call.method.to_string().ends_with("_mut") || changes_items(&call.receiver)
        }
        Expr::Paren(inner) => changes_items(&inner.expr),
        Expr::Reference(reference) => reference.mutability.is_some(),
        _ => false,
    }
}

/// Whether an expression is made of literals, so that it can stand anywhere.
fn is_literal(expr: &Expr) -> bool {
    match expr {
        Expr::Lit(_) => true,
        Expr::Unary(unary) => is_literal(&unary.expr),
        Expr::Reference(reference) => is_literal(&reference.expr),
        Expr::Paren(inner) => is_literal(&inner.expr),
        Expr::Array(array) => array.elems.iter().all(is_literal),
        Expr::Tuple(tuple) => !tuple.elems.is_empty() && tuple.elems.iter().all(is_literal),
        _ => false,
    }
}

/// A range is not `Copy`, and an index is used in every block.
struct CloneIndices;

impl VisitMut for CloneIndices {
    fn visit_expr_index_mut(&mut self, index: &mut syn::ExprIndex) {
        visit_mut::visit_expr_index_mut(self, index);
        if !is_literal(&index.index) {
            let at = index.index.to_token_stream();
            *index.index = syn::parse_quote!(::core::clone::Clone::clone(&#at));
        }
    }
}

/// Whether an expression visibly gives a borrow.
fn visibly_borrows(init: &Expr) -> bool {
    /// Methods whose name says that they borrow, and that no owned type has.
    const CERTAIN: [&str; 12] = [
        "as_bytes",
        "as_mut_slice",
        "as_slice",
        "as_str",
        "char_indices",
        "chars",
        "chunks",
        "iter",
        "iter_mut",
        "lines",
        "split_whitespace",
        "windows",
    ];
    match init {
        Expr::Reference(reference) => !is_literal(&reference.expr),
        Expr::Paren(inner) => visibly_borrows(&inner.expr),
        Expr::MethodCall(call) => CERTAIN.iter().any(|name| call.method == name),
        other => is_text(other),
    }
}

/// Whether a branching visibly gives a string literal.
fn is_text(value: &Expr) -> bool {
    let ends_in_text = |block: &syn::Block| {
        matches!(block.stmts.last(), Some(syn::Stmt::Expr(value, None))
            if is_text(value)
                || matches!(value, Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(_), .. })))
    };
    match value {
        Expr::If(branch) => ends_in_text(&branch.then_branch),
        Expr::Block(block) => ends_in_text(&block.block),
        Expr::Match(branch) => branch.arms.iter().any(|arm| {
            is_text(&arm.body)
                || matches!(&*arm.body, Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(_), .. }))
        }),
        Expr::Paren(inner) => is_text(&inner.expr),
        _ => false,
    }
}

/// What is bound behind a `&` is a copy, and what it was copied from may change.
struct ForgetCopies;

impl VisitMut for ForgetCopies {
    fn visit_pat_mut(&mut self, pat: &mut Pat) {
        if matches!(pat, Pat::Reference(_)) {
            *pat = syn::parse_quote!(_);
        }
        visit_mut::visit_pat_mut(self, pat);
    }
}

/// What is matched may have been changed through a `&mut` since: only its shape is still the same.
struct ForgetValues;

impl VisitMut for ForgetValues {
    fn visit_pat_mut(&mut self, pat: &mut Pat) {
        match pat {
            Pat::Lit(_) | Pat::Range(_) => *pat = syn::parse_quote!(_),
            Pat::Or(_) if bindings(pat).is_empty() => *pat = syn::parse_quote!(_),
            Pat::Ident(name)
                if name.subpat.as_ref().is_some_and(|(_, pat)| bindings(pat).is_empty()) =>
            {
                name.subpat = None;
            }
            _ => {}
        }
        visit_mut::visit_pat_mut(self, pat);
    }
}

/// A `mut` binding has a slot of its own, which the item must not overwrite.
struct ForgetMutable;

impl VisitMut for ForgetMutable {
    fn visit_pat_mut(&mut self, pat: &mut Pat) {
        if let Pat::Ident(name) = pat
            && name.mutability.is_some()
            && name.by_ref.is_none()
        {
            *pat = match name.subpat.take() {
                Some((_, subpat)) => *subpat,
                None => syn::parse_quote!(_),
            };
        }
        visit_mut::visit_pat_mut(self, pat);
    }

    fn visit_field_pat_mut(&mut self, field: &mut syn::FieldPat) {
        self.visit_pat_mut(&mut field.pat);
        if field.colon_token.is_none() && !matches!(*field.pat, Pat::Ident(_)) {
            // `Point { x }` is `Point { x: x }`.
            field.colon_token = Some(syn::token::Colon::default());
        }
    }
}

/// The name under which a position is saved.
fn position_name(pat: &Pat) -> String {
    match bindings(pat).first() {
        Some(binding) => {
            format!("position_of_{}_", binding.ident.to_string().trim_start_matches("r#"))
        }
        None => "position".to_owned(),
    }
}
