//! `#[cfg]` inside of a body. A macro cannot know which conditions hold, so an orchestrator with
//! such conditions is compiled once for each combination, and rustc keeps the one that applies.

use quote::quote;
use syn::visit::Visit;
use syn::visit_mut::{self, VisitMut};

use crate::diag::{Code, Diagnostics};
use crate::parse::FunctionItem;

/// Most different conditions in one body: each doubles what is compiled.
pub(crate) const MAX_CONDITIONS: usize = 4;

/// The function for each combination of the conditions in its body.
pub(crate) fn variants(item: FunctionItem, diag: &mut Diagnostics) -> Vec<FunctionItem> {
    let mut found = Conditions(Vec::new());
    found.visit_block(&item.body);
    let conditions = found.0;
    if conditions.is_empty() {
        return vec![item];
    }
    if conditions.len() > MAX_CONDITIONS {
        diag.error(
            Code::Option,
            &item.sig.ident,
            &format!(
                "the body of an orchestrator can have {MAX_CONDITIONS} different `#[cfg]` \
                 conditions, and this one has {}: move parts of it into functions",
                conditions.len()
            ),
        );
        return vec![item];
    }
    (0..1_usize << conditions.len())
        .map(|mask| {
            let holds: Vec<(&Condition, bool)> = conditions
                .iter()
                .enumerate()
                .map(|(bit, condition)| (condition, mask & (1 << bit) != 0))
                .collect();
            variant(&item, &holds)
        })
        .collect()
}

fn variant(item: &FunctionItem, holds: &[(&Condition, bool)]) -> FunctionItem {
    let mut item = item.clone();
    Choose(holds).visit_block_mut(&mut item.body);
    let conditions = holds.iter().map(|(condition, holds)| {
        let tokens = &condition.tokens;
        if *holds { tokens.clone() } else { quote!(not(#tokens)) }
    });
    item.attrs.push(syn::parse_quote!(#[cfg(all(#(#conditions),*))]));
    item
}

/// What a `#[cfg]` asks, without the `not` around it.
struct Condition {
    text: String,
    tokens: proc_macro2::TokenStream,
}

/// The condition of an attribute, and whether it is negated.
fn condition(attr: &syn::Attribute) -> Option<(Condition, bool)> {
    if !attr.path().is_ident("cfg") {
        return None;
    }
    let tokens = attr.meta.require_list().ok()?.tokens.clone();
    if let Ok(syn::Meta::List(list)) = syn::parse2::<syn::Meta>(tokens.clone())
        && list.path.is_ident("not")
    {
        let text = list.tokens.to_string();
        return Some((Condition { text, tokens: list.tokens }, true));
    }
    Some((Condition { text: tokens.to_string(), tokens }, false))
}

/// Finds the conditions on statements and arms. Items in the body are left to rustc.
struct Conditions(Vec<Condition>);

impl<'ast> Visit<'ast> for Conditions {
    fn visit_attribute(&mut self, attr: &'ast syn::Attribute) {
        if let Some((condition, _)) = condition(attr)
            && self.0.iter().all(|known| known.text != condition.text)
        {
            self.0.push(condition);
        }
    }

    fn visit_item(&mut self, _: &'ast syn::Item) {}
}

/// Removes what is off, and the attributes of what is on.
struct Choose<'a>(&'a [(&'a Condition, bool)]);

impl Choose<'_> {
    fn is_on(&self, attr: &syn::Attribute) -> bool {
        condition(attr).is_none_or(|(condition, negated)| {
            let known = self.0.iter().find(|(known, _)| known.text == condition.text);
            known.is_none_or(|(_, holds)| *holds != negated)
        })
    }

    fn keep(&self, attrs: &mut Vec<syn::Attribute>) -> bool {
        let on = attrs.iter().all(|attr| self.is_on(attr));
        attrs.retain(|attr| condition(attr).is_none());
        on
    }
}

impl VisitMut for Choose<'_> {
    fn visit_block_mut(&mut self, block: &mut syn::Block) {
        block.stmts.retain_mut(|stmt| match stmt {
            syn::Stmt::Item(_) => true,
            syn::Stmt::Local(local) => self.keep(&mut local.attrs),
            syn::Stmt::Macro(mac) => self.keep(&mut mac.attrs),
            syn::Stmt::Expr(expr, _) => match attrs_of(expr) {
                Some(attrs) => self.keep(attrs),
                None => true,
            },
        });
        visit_mut::visit_block_mut(self, block);
    }

    fn visit_expr_match_mut(&mut self, expr: &mut syn::ExprMatch) {
        expr.arms.retain_mut(|arm| self.keep(&mut arm.attrs));
        visit_mut::visit_expr_match_mut(self, expr);
    }

    fn visit_expr_struct_mut(&mut self, expr: &mut syn::ExprStruct) {
        let fields = std::mem::take(&mut expr.fields);
        expr.fields = fields
            .into_iter()
            .filter_map(|mut field| self.keep(&mut field.attrs).then_some(field))
            .collect();
        visit_mut::visit_expr_struct_mut(self, expr);
    }

    fn visit_item_mut(&mut self, _: &mut syn::Item) {}
}

/// The attributes of an expression that is a statement.
fn attrs_of(expr: &mut syn::Expr) -> Option<&mut Vec<syn::Attribute>> {
    match expr {
        syn::Expr::Closure(e) => Some(&mut e.attrs),
        syn::Expr::Break(e) => Some(&mut e.attrs),
        syn::Expr::Continue(e) => Some(&mut e.attrs),
        syn::Expr::Path(e) => Some(&mut e.attrs),
        syn::Expr::Tuple(e) => Some(&mut e.attrs),
        other => crate::lower::expr_attrs(other),
    }
}

/// The errors of one variant, which count only where it applies.
pub(crate) fn only_where(
    item: &FunctionItem,
    errors: proc_macro2::TokenStream,
) -> proc_macro2::TokenStream {
    let cfgs = item.cfgs();
    if cfgs.is_empty() || errors.is_empty() {
        return errors;
    }
    quote!(#(#cfgs)* const _: () = { #errors };)
}
