//! Walks over code that know what the names mean where they are: an inner name hides an outer one,
//! and is forgotten where its scope ends.

use std::collections::HashMap;

use syn::visit::{self, Visit};
use syn::{Arm, ExprForLoop, Ident, Pat};

/// What is known of the names in the open scopes.
#[derive(Debug)]
pub(crate) struct Names<T> {
    scopes: Vec<HashMap<String, T>>,
}

impl<T> Names<T> {
    /// With the outermost scope open.
    pub(crate) fn new() -> Self {
        Self { scopes: vec![HashMap::new()] }
    }

    /// Gives a name its meaning in the innermost scope.
    pub(crate) fn bind(&mut self, name: &Ident, meaning: T) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name.to_string(), meaning);
        }
    }

    /// What a name means here.
    pub(crate) fn get(&self, name: &Ident) -> Option<&T> {
        let name = name.to_string();
        self.scopes.iter().rev().find_map(|scope| scope.get(&name))
    }

    /// Gives a name that has a meaning another one.
    pub(crate) fn rebind(&mut self, name: &Ident, meaning: T) {
        let name = name.to_string();
        if let Some(known) = self.scopes.iter_mut().rev().find_map(|scope| scope.get_mut(&name)) {
            *known = meaning;
        }
    }
}

/// A walk that knows names.
pub(crate) trait Scoped {
    type Meaning;

    fn names(&mut self) -> &mut Names<Self::Meaning>;

    /// Has the names of a pattern hide others.
    fn hide(&mut self, pat: &Pat);

    /// Looks at what has a scope of its own.
    fn scoped<T>(&mut self, look: impl FnOnce(&mut Self) -> T) -> T {
        self.names().scopes.push(HashMap::new());
        let seen = look(self);
        self.names().scopes.pop();
        seen
    }

    /// Walks an arm of a `match`.
    fn walk_arm<'ast>(&mut self, arm: &'ast Arm)
    where
        Self: Visit<'ast>,
    {
        self.scoped(|this| {
            this.hide(&arm.pat);
            visit::visit_arm(this, arm);
        });
    }

    /// Walks what a `for` does with each item.
    fn walk_rounds<'ast>(&mut self, expr: &'ast ExprForLoop)
    where
        Self: Visit<'ast>,
    {
        self.scoped(|this| {
            this.hide(&expr.pat);
            this.visit_block(&expr.body);
        });
    }
}

/// The visits that are the same in every walk that is [`Scoped`], for its `impl Visit`.
macro_rules! scoped_visits {
    () => {
        fn visit_expr_if(&mut self, expr: &'ast syn::ExprIf) {
            self.scoped(|this| syn::visit::visit_expr_if(this, expr));
        }

        fn visit_expr_while(&mut self, expr: &'ast syn::ExprWhile) {
            self.scoped(|this| syn::visit::visit_expr_while(this, expr));
        }

        fn visit_expr_let(&mut self, expr: &'ast syn::ExprLet) {
            syn::visit::visit_expr_let(self, expr);
            self.hide(&expr.pat);
        }

        fn visit_expr_closure(&mut self, closure: &'ast syn::ExprClosure) {
            self.scoped(|this| {
                closure.inputs.iter().for_each(|pat| this.hide(pat));
                syn::visit::visit_expr_closure(this, closure);
            });
        }

        // An inner function sees none of these names.
        fn visit_item(&mut self, _: &'ast syn::Item) {}
    };
}
pub(crate) use scoped_visits;
