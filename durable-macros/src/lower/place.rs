//! Places: expressions that name something, so that using them later can be the same as using them
//! now.

use quote::ToTokens;
use syn::Expr;

use super::branches::parts;
use super::suspends;

/// A variable, or a field of one: reading it twice is reading it once.
pub(super) fn is_place(expr: &Expr) -> bool {
    match expr {
        Expr::Path(path) => path.qself.is_none(),
        Expr::Field(field) => is_place(&field.base),
        Expr::Paren(inner) => is_place(&inner.expr),
        Expr::Unary(unary) => matches!(unary.op, syn::UnOp::Deref(_)) && is_place(&unary.expr),
        _ => false,
    }
}

/// The variable in which a place is, if it is in one: fields and indices of it included.
pub(super) fn root(place: &Expr) -> Option<&syn::Ident> {
    match place {
        Expr::Path(path) if path.qself.is_none() => path.path.get_ident(),
        Expr::Field(field) => root(&field.base),
        Expr::Index(index) => root(&index.expr),
        Expr::Paren(inner) => root(&inner.expr),
        Expr::Unary(unary) if matches!(unary.op, syn::UnOp::Deref(_)) => root(&unary.expr),
        _ => None,
    }
}

pub(super) fn has_index(place: &Expr) -> bool {
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
pub(super) fn can_stay(place: &Expr, later: &[Expr]) -> bool {
    use syn::visit::{self, Visit};

    struct Changes<'a> {
        variable: &'a syn::Ident,
        found: bool,
        /// Whether the name means another variable where the visitor is.
        shadowed: bool,
    }
    impl Changes<'_> {
        /// A value that goes elsewhere: if it is the variable, that is moved or copied.
        fn moved(&mut self, value: &Expr) {
            self.found |= !self.shadowed
                && matches!(value, Expr::Path(path) if path.path.is_ident(self.variable));
        }
    }
    impl<'ast> Visit<'ast> for Changes<'_> {
        fn visit_pat_ident(&mut self, pat: &'ast syn::PatIdent) {
            self.shadowed |= pat.ident == *self.variable;
            visit::visit_pat_ident(self, pat);
        }
        fn visit_local(&mut self, local: &'ast syn::Local) {
            // The initial value does not see the name yet.
            if let Some(init) = &local.init {
                self.moved(&init.expr);
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
        fn visit_macro(&mut self, mac: &'ast syn::Macro) {
            for (pat, part) in parts(mac) {
                let mut inner =
                    Changes { variable: self.variable, found: false, shadowed: self.shadowed };
                if let Some(pat) = &pat {
                    inner.visit_pat(pat);
                }
                inner.visit_expr(&part);
                self.found |= inner.found;
            }
        }
        fn visit_expr_assign(&mut self, e: &'ast syn::ExprAssign) {
            self.found |= !self.shadowed && root(&e.left) == Some(self.variable);
            visit::visit_expr_assign(self, e);
        }
        fn visit_expr_binary(&mut self, e: &'ast syn::ExprBinary) {
            // Of the operators only compound assignments change anything.
            self.found |= !self.shadowed
                && is_compound_assignment(e.op)
                && root(&e.left) == Some(self.variable);
            visit::visit_expr_binary(self, e);
        }
        fn visit_expr_call(&mut self, e: &'ast syn::ExprCall) {
            e.args.iter().for_each(|argument| self.moved(argument));
            visit::visit_expr_call(self, e);
        }
        fn visit_expr_method_call(&mut self, e: &'ast syn::ExprMethodCall) {
            e.args.iter().for_each(|argument| self.moved(argument));
            visit::visit_expr_method_call(self, e);
        }
        fn visit_expr_tuple(&mut self, e: &'ast syn::ExprTuple) {
            e.elems.iter().for_each(|part| self.moved(part));
            visit::visit_expr_tuple(self, e);
        }
        fn visit_expr_array(&mut self, e: &'ast syn::ExprArray) {
            e.elems.iter().for_each(|part| self.moved(part));
            visit::visit_expr_array(self, e);
        }
        fn visit_field_value(&mut self, field: &'ast syn::FieldValue) {
            self.moved(&field.expr);
            visit::visit_field_value(self, field);
        }
        fn visit_stmt(&mut self, stmt: &'ast syn::Stmt) {
            if let syn::Stmt::Expr(value, None) = stmt {
                self.moved(value);
            }
            visit::visit_stmt(self, stmt);
        }
        fn visit_expr_reference(&mut self, e: &'ast syn::ExprReference) {
            self.found |=
                !self.shadowed && e.mutability.is_some() && root(&e.expr) == Some(self.variable);
            visit::visit_expr_reference(self, e);
        }
    }
    if suspends(place) {
        return false;
    }
    let Some(variable) = root(place) else { return is_place(place) };
    let mut changes = Changes { variable, found: false, shadowed: false };
    for part in later {
        changes.visit_expr(part);
    }
    !changes.found
}

/// Where a closure changes something that is not its own, if it may. `is_mutable` says whether a
/// name from outside can be changed at all.
pub(super) fn change_of_captured(
    closure: &syn::ExprClosure,
    is_mutable: &dyn Fn(&syn::Ident) -> bool,
) -> Option<Expr> {
    use syn::visit::{self, Visit};

    /// Methods of std that change nothing.
    const READING: [&str; 28] = [
        "as_bytes",
        "as_ref",
        "as_slice",
        "as_str",
        "binary_search",
        "clone",
        "cmp",
        "contains",
        "contains_key",
        "copied",
        "ends_with",
        "eq",
        "first",
        "get",
        "is_empty",
        "is_none",
        "is_some",
        "iter",
        "keys",
        "last",
        "len",
        "max",
        "min",
        "starts_with",
        "to_owned",
        "to_string",
        "to_vec",
        "values",
    ];
    struct Changes<'a> {
        own: Vec<String>,
        is_mutable: &'a dyn Fn(&syn::Ident) -> bool,
        found: Option<Expr>,
    }
    impl Changes<'_> {
        fn check(&mut self, place: &Expr) {
            if let Some(name) = root(place)
                && !self.own.contains(&name.to_string())
                && (self.is_mutable)(name)
                && self.found.is_none()
            {
                self.found = Some(place.clone());
            }
        }
    }
    impl<'ast> Visit<'ast> for Changes<'_> {
        fn visit_pat_ident(&mut self, pat: &'ast syn::PatIdent) {
            self.own.push(pat.ident.to_string());
            visit::visit_pat_ident(self, pat);
        }
        fn visit_expr_assign(&mut self, e: &'ast syn::ExprAssign) {
            self.check(&e.left);
            visit::visit_expr_assign(self, e);
        }
        fn visit_expr_binary(&mut self, e: &'ast syn::ExprBinary) {
            if is_compound_assignment(e.op) {
                self.check(&e.left);
            }
            visit::visit_expr_binary(self, e);
        }
        fn visit_expr_reference(&mut self, e: &'ast syn::ExprReference) {
            if e.mutability.is_some() {
                self.check(&e.expr);
            }
            visit::visit_expr_reference(self, e);
        }
        fn visit_expr_method_call(&mut self, e: &'ast syn::ExprMethodCall) {
            if !READING.iter().any(|name| e.method == name) {
                self.check(&e.receiver);
            }
            visit::visit_expr_method_call(self, e);
        }
        fn visit_macro(&mut self, mac: &'ast syn::Macro) {
            // `write!` and unknown macros may change what they are given first.
            let first = mac.tokens.clone().into_iter().next();
            let takes_place = mac
                .path
                .segments
                .last()
                .is_some_and(|last| ["write", "writeln"].iter().any(|name| last.ident == name));
            if let (true, Some(proc_macro2::TokenTree::Ident(name))) = (takes_place, first) {
                self.check(&syn::parse_quote!(#name));
            }
        }
    }
    let mut changes = Changes { own: Vec::new(), is_mutable, found: None };
    changes.visit_expr_closure(closure);
    changes.found
}

fn is_compound_assignment(op: syn::BinOp) -> bool {
    let text = op.to_token_stream().to_string();
    text.ends_with('=') && !["==", "!=", "<=", ">="].contains(&&*text)
}

/// A place that a compound assignment can name after its value was awaited: primitive operands
/// evaluate the value first anyway.
pub(super) fn is_assignable(expr: &Expr) -> bool {
    match expr {
        Expr::Index(index) => {
            is_assignable(&index.expr) && (is_place(&index.index) || is_constant(&index.index))
        }
        Expr::Field(field) => is_assignable(&field.base),
        other => is_place(other),
    }
}

/// Whether the indices of a place are the same after `value` was evaluated.
pub(super) fn can_keep_index(place: &Expr, value: &Expr) -> bool {
    match place {
        Expr::Index(index) => {
            can_keep_index(&index.expr, value)
                && (is_constant(&index.index)
                    || can_stay(&index.index, std::slice::from_ref(value)))
        }
        Expr::Field(field) => can_keep_index(&field.base, value),
        Expr::Paren(inner) => can_keep_index(&inner.expr, value),
        _ => true,
    }
}

pub(super) fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Lit(_) | Expr::Closure(_) => true,
        Expr::Unary(unary) => is_constant(&unary.expr),
        Expr::Range(range) => range.start.is_none() && range.end.is_none(),
        other => other.to_token_stream().is_empty(),
    }
}
