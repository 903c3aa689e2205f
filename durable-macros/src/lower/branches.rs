//! The branches of `join!`, `try_join!` and `select!`, as they are written.

use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Expr, Pat, Token};

use super::suspend::Waits;

/// Most branches of `join!`, `try_join!` and `select!`. Tokio's limit for `select!`.
pub(crate) const MAX_BRANCHES: usize = 64;

/// The branches of `join!` and `try_join!`.
pub(crate) struct Joined {
    pub(crate) branches: Vec<Expr>,
}

impl Parse for Joined {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let branches = Punctuated::<Expr, Token![,]>::parse_terminated(input)?;
        Ok(Self { branches: branches.into_iter().collect() })
    }
}

/// `select! { pat = call, if condition => handler, .. else => handler }`, as tokio writes it.
pub(crate) struct Select {
    pub(crate) arms: Vec<SelectArm>,
    /// Runs where no branch is left.
    pub(crate) otherwise: Option<Expr>,
}

/// A branch of [`Select`].
pub(crate) struct SelectArm {
    pub(crate) pat: Pat,
    pub(crate) call: Expr,
    /// Whether the branch takes part.
    pub(crate) condition: Option<Expr>,
    pub(crate) handler: Expr,
}

impl Parse for Select {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut select = Self { arms: Vec::new(), otherwise: None };
        if input.peek(biased) && input.peek2(Token![;]) {
            // It is always: of branches that are ready at once the first one wins.
            input.parse::<biased>()?;
            input.parse::<Token![;]>()?;
        }
        while !input.is_empty() {
            if input.peek(Token![else]) {
                input.parse::<Token![else]>()?;
                input.parse::<Token![=>]>()?;
                select.otherwise = Some(handler(input)?);
                if !input.is_empty() {
                    return Err(input.error("[D009] `else` is the last branch of a `select!`"));
                }
                break;
            }
            select.arms.push(input.parse()?);
        }
        Ok(select)
    }
}

syn::custom_keyword!(biased);

impl Parse for SelectArm {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let pat = Pat::parse_multi_with_leading_vert(input)?;
        input.parse::<Token![=]>()?;
        let call = input.parse()?;
        let condition = if input.peek(Token![,]) {
            input.parse::<Token![,]>()?;
            input.parse::<Token![if]>()?;
            Some(input.parse()?)
        } else {
            None
        };
        input.parse::<Token![=>]>()?;
        Ok(Self { pat, call, condition, handler: handler(input)? })
    }
}

/// A handler ends like the arm of a `match`: with a comma, or as a block.
fn handler(input: ParseStream<'_>) -> syn::Result<Expr> {
    let handler = Expr::parse_with_earlier_boundary_rule(input)?;
    let is_block = matches!(
        handler,
        Expr::Block(_)
            | Expr::If(_)
            | Expr::Match(_)
            | Expr::Loop(_)
            | Expr::While(_)
            | Expr::ForLoop(_)
    );
    if input.peek(Token![,]) {
        input.parse::<Token![,]>()?;
    } else if !input.is_empty() && !is_block {
        return Err(syn::Error::new(handler.span(), "[D009] a `,` must follow this branch"));
    }
    Ok(handler)
}

/// What a macro that awaits by itself runs concurrently; nothing for other macros.
pub(crate) fn awaited_together(mac: &syn::Macro) -> Vec<Expr> {
    match Waits::of(&mac.path) {
        Some(Waits::Select) => {
            let Ok(select) = syn::parse2::<Select>(mac.tokens.clone()) else { return Vec::new() };
            select.arms.into_iter().map(|arm| arm.call).collect()
        }
        Some(Waits::Join | Waits::TryJoin) => {
            let Ok(joined) = syn::parse2::<Joined>(mac.tokens.clone()) else { return Vec::new() };
            joined.branches
        }
        None => Vec::new(),
    }
}

/// The expressions in a macro that awaits by itself, with the patterns whose names they see; none
/// for other macros.
pub(crate) fn parts(mac: &syn::Macro) -> Vec<(Option<Pat>, Expr)> {
    match Waits::of(&mac.path) {
        Some(Waits::Select) => {
            let Ok(select) = syn::parse2::<Select>(mac.tokens.clone()) else { return Vec::new() };
            let arms = select.arms.into_iter().flat_map(|arm| {
                let outside = arm.condition.into_iter().chain([arm.call]).map(|expr| (None, expr));
                outside.chain([(Some(arm.pat), arm.handler)]).collect::<Vec<_>>()
            });
            arms.chain(select.otherwise.map(|expr| (None, expr))).collect()
        }
        Some(Waits::Join | Waits::TryJoin) | None => {
            awaited_together(mac).into_iter().map(|branch| (None, branch)).collect()
        }
    }
}

/// Visits the expressions in a macro that awaits by itself, each with the pattern whose names it
/// sees.
pub(crate) fn visit_parts_mut(
    mac: &mut syn::Macro,
    visit: &mut dyn FnMut(Option<&Pat>, &mut Expr),
) {
    match Waits::of(&mac.path) {
        Some(Waits::Select) => {
            let Ok(mut select) = syn::parse2::<Select>(mac.tokens.clone()) else { return };
            let mut tokens = proc_macro2::TokenStream::new();
            for SelectArm { pat, call, condition, handler } in &mut select.arms {
                visit(None, call);
                if let Some(condition) = condition.as_mut() {
                    visit(None, condition);
                }
                visit(Some(pat), handler);
                let condition = condition.iter();
                tokens.extend(quote::quote!(#pat = #call #(, if #condition)* => #handler,));
            }
            if let Some(otherwise) = &mut select.otherwise {
                visit(None, otherwise);
                tokens.extend(quote::quote!(else => #otherwise));
            }
            mac.tokens = tokens;
        }
        Some(Waits::Join | Waits::TryJoin) => {
            let Ok(mut joined) = syn::parse2::<Joined>(mac.tokens.clone()) else { return };
            joined.branches.iter_mut().for_each(|branch| visit(None, branch));
            let branches = joined.branches;
            mac.tokens = quote::quote!(#(#branches),*);
        }
        None => {}
    }
}

/// Whether a pattern visibly matches every value.
pub(crate) fn is_irrefutable(pat: &Pat) -> bool {
    match pat {
        Pat::Wild(_) | Pat::Rest(_) => true,
        Pat::Ident(name) => {
            name.subpat.as_ref().is_none_or(|(_, pat)| is_irrefutable(pat))
                && !name.ident.to_string().starts_with(char::is_uppercase)
        }
        Pat::Tuple(tuple) => tuple.elems.iter().all(is_irrefutable),
        Pat::Reference(reference) => is_irrefutable(&reference.pat),
        Pat::Paren(inner) => is_irrefutable(&inner.pat),
        Pat::Type(typed) => is_irrefutable(&typed.pat),
        _ => false,
    }
}
