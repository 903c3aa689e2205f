//! The escape: `#[allow_nondeterminism("reason")]` on a statement, an expression, a match arm or an
//! item. What is under it is not scanned, and the attribute is taken off the emitted code.

use syn::visit_mut::VisitMut;

use crate::diag::{Code, Diagnostics};

pub(super) const NAME: &str = "allow_nondeterminism";

/// Whether the attributes have the escape among them.
pub(super) fn is_allowed(attrs: &[syn::Attribute]) -> bool {
    attrs.iter().any(|attr| attr.path().is_ident(NAME))
}

/// Whether a statement is under the escape.
pub(super) fn is_stmt_allowed(stmt: &syn::Stmt) -> bool {
    match stmt {
        syn::Stmt::Local(local) => is_allowed(&local.attrs),
        syn::Stmt::Item(item) => is_item_allowed(item),
        syn::Stmt::Expr(expr, _) => is_allowed(attrs(leftmost(expr))),
        syn::Stmt::Macro(mac) => is_allowed(&mac.attrs),
    }
}

/// Whether an expression is under the escape.
pub(super) fn is_expr_allowed(expr: &syn::Expr) -> bool {
    is_allowed(attrs(expr))
}

/// The expression to which the parser gives the attributes of a statement.
fn leftmost(expr: &syn::Expr) -> &syn::Expr {
    match expr {
        syn::Expr::Assign(e) => leftmost(&e.left),
        syn::Expr::Binary(e) => leftmost(&e.left),
        syn::Expr::Cast(e) => leftmost(&e.expr),
        _ => expr,
    }
}

fn attrs(expr: &syn::Expr) -> &[syn::Attribute] {
    macro_rules! of {
        ($($variant:ident)*) => {
            match expr {
                $(syn::Expr::$variant(e) => &e.attrs,)*
                _ => &[],
            }
        };
    }
    of!(
        Array Assign Async Await Binary Block Break Call Cast Closure Const Continue Field ForLoop
        Group If Index Infer Let Lit Loop Macro Match MethodCall Paren Path Range RawAddr Reference
        Repeat Return Struct Try TryBlock Tuple Unary Unsafe While Yield
    )
}

pub(super) fn is_item_allowed(item: &syn::Item) -> bool {
    let attrs = match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => return false,
    };
    is_allowed(attrs)
}

pub(super) fn is_impl_item_allowed(item: &syn::ImplItem) -> bool {
    match item {
        syn::ImplItem::Const(item) => is_allowed(&item.attrs),
        syn::ImplItem::Fn(item) => is_allowed(&item.attrs),
        syn::ImplItem::Macro(item) => is_allowed(&item.attrs),
        _ => false,
    }
}

/// Takes the escapes off the code, and reports those that give no reason.
pub(super) struct TakeOff<'d>(pub(super) &'d mut Diagnostics);

impl VisitMut for TakeOff<'_> {
    fn visit_attributes_mut(&mut self, attrs: &mut Vec<syn::Attribute>) {
        attrs.retain(|attr| {
            if !attr.path().is_ident(NAME) {
                return true;
            }
            if !has_reason(attr) {
                self.0.error(
                    Code::Reason,
                    attr,
                    "this exemption needs a reason for those who read it later: write \
                     `#[allow_nondeterminism(\"why it does no harm here\")]`",
                );
            }
            false
        });
    }
}

fn has_reason(attr: &syn::Attribute) -> bool {
    let reason = attr.parse_args::<syn::LitStr>();
    reason.is_ok_and(|reason| !reason.value().trim().is_empty())
}
