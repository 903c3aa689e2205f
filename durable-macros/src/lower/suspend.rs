//! Whether a piece of code suspends: whether it contains an await of the orchestrator itself.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

/// Whether evaluating the expression can suspend the orchestrator.
pub(crate) fn suspends(expr: &syn::Expr) -> bool {
    let mut finder = Finder(false);
    finder.visit_expr(expr);
    finder.0
}

/// The same for a statement.
pub(crate) fn stmt_suspends(stmt: &syn::Stmt) -> bool {
    let mut finder = Finder(false);
    finder.visit_stmt(stmt);
    finder.0
}

struct Finder(bool);

impl<'ast> Visit<'ast> for Finder {
    fn visit_expr_await(&mut self, _: &'ast syn::ExprAwait) {
        self.0 = true;
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        // A macro that is opaque to us but awaits is an error that lowering reports.
        self.0 |= Waits::of(&mac.path).is_some() || has_await(&mac.tokens);
    }

    fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {}

    fn visit_expr_async(&mut self, _: &'ast syn::ExprAsync) {}

    fn visit_item(&mut self, _: &'ast syn::Item) {}

    fn visit_stmt(&mut self, stmt: &'ast syn::Stmt) {
        if !self.0 {
            visit::visit_stmt(self, stmt);
        }
    }
}

/// Whether the tokens contain `.await`, or a macro that awaits by itself.
pub(crate) fn has_await(tokens: &TokenStream) -> bool {
    let (mut after_dot, mut after_macro) = (false, false);
    for token in tokens.clone() {
        let (dot, name) = (after_dot, after_macro);
        (after_dot, after_macro) = (false, false);
        match token {
            TokenTree::Ident(ident) if dot && ident == "await" => return true,
            TokenTree::Ident(ident) => after_macro = Waits::named(&ident.to_string()).is_some(),
            TokenTree::Group(group) if has_await(&group.stream()) => return true,
            TokenTree::Punct(punct) if name && punct.as_char() == '!' => return true,
            TokenTree::Punct(punct) => after_dot = punct.as_char() == '.',
            TokenTree::Group(_) | TokenTree::Literal(_) => {}
        }
    }
    false
}

/// The macros that await by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    Join,
    TryJoin,
    Select,
}

impl Waits {
    /// Which of them a path names.
    pub(crate) fn of(path: &syn::Path) -> Option<Self> {
        Self::named(&path.segments.last()?.ident.to_string())
    }

    fn named(name: &str) -> Option<Self> {
        match name {
            "join" => Some(Self::Join),
            "try_join" => Some(Self::TryJoin),
            "select" => Some(Self::Select),
            _ => None,
        }
    }

    /// Its name with the mark of a macro.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Join => "join!",
            Self::TryJoin => "try_join!",
            Self::Select => "select!",
        }
    }
}
