//! Forms that are written with simpler ones before they are lowered: chains of `let` conditions
//! and guards of `match` arms that suspend.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, Pat};

use super::macros::{takes_expressions, visit_arguments_mut};
use super::place::{is_place, root};
use super::scope::{Binding, bindings};
use super::{Lowering, suspends};
use crate::diag::Code;
use crate::ir::DeriveId;

impl Lowering<'_> {
    fn fresh_label(&mut self, what: &str) -> syn::Lifetime {
        self.next_temporary += 1;
        syn::Lifetime::new(&format!("'__{what}{}", self.next_temporary), Span::mixed_site())
    }

    // --- chains -----------------------------------------------------------------------------------

    /// `if a && let P = b.await {..} else {..}` as conditions inside each other, which a `break`
    /// leaves with the value.
    pub(super) fn if_chain(&mut self, expr: syn::ExprIf) -> Expr {
        let label = self.fresh_label("chain");
        let then = &expr.then_branch;
        let inner = syn::parse_quote!({ break #label #then });
        let conditions = nested(&expr.cond, inner);
        let otherwise = expr.else_branch.map(|(_, otherwise)| otherwise);
        syn::parse_quote!(#label: { #conditions #otherwise })
    }

    /// The same for `while`.
    pub(super) fn while_chain(&mut self, expr: syn::ExprWhile) -> Expr {
        let label = match expr.label {
            Some(label) => label.name,
            None => self.fresh_label("chain"),
        };
        let body = &expr.body;
        let conditions = nested(&expr.cond, syn::parse_quote!({ #body continue #label; }));
        syn::parse_quote!(#label: loop { #conditions break #label; })
    }

    // --- guards -----------------------------------------------------------------------------------

    /// A `match` with a guard that suspends: what comes before that arm is tested, then its pattern
    /// and guard, then the rest.
    pub(super) fn guarded_match(&mut self, expr: syn::ExprMatch) -> Expr {
        let label = self.fresh_label("match");
        let (bind, scrutinee) = self.scrutinee(*expr.expr);
        let by_reference = self.is_borrowed(&scrutinee);
        let mut stmts = TokenStream::new();
        let mut group: Vec<syn::Arm> = Vec::new();
        // Arms that were tested before without a guard: what they match does not get further.
        let mut excluded: Vec<Pat> = Vec::new();
        for arm in expr.arms {
            let (pat, guard) = match arm.pat.clone() {
                Pat::Guard(guard) => (*guard.pat, Some(*guard.guard)),
                pat => (pat, None),
            };
            let Some(guard) = guard.filter(suspends) else {
                group.push(arm);
                continue;
            };
            if has_alternatives(&pat) {
                self.diag.error(
                    Code::AwaitPlace,
                    &pat,
                    "a guard is asked again for each alternative of its pattern, and here it awaits: \
                     write an arm for each alternative",
                );
            }
            stmts.extend(tested(&label, &scrutinee, &excluded, &group, false));
            excluded.extend(group.drain(..).map(|arm| arm.pat).filter(|p| !is_guarded(p)));
            let own = without_unused(&pat, &guard, &arm.body);
            let (test, guard) = test_of(&pat, guard, by_reference);
            let body = &arm.body;
            let again = Ident::new(AGAIN, Span::mixed_site());
            stmts.extend(quote! {
                if (#[#again] if let #test = #scrutinee { #guard } else { false }) {
                    match #scrutinee {
                        #own => break #label #body,
                        #[allow(unreachable_patterns)]
                        _ => ::core::unreachable!(),
                    }
                }
            });
        }
        let rest = tested(&label, &scrutinee, &excluded, &group, true);
        syn::parse_quote!({ #bind #label: { #stmts #rest } })
    }

    /// How the bindings of an `if let` are made again after an await, if it is one that tests a
    /// guard: they borrow from what is matched.
    pub(super) fn taken_again(
        &mut self,
        attrs: &[syn::Attribute],
        condition: &Expr,
    ) -> Option<DeriveId> {
        match condition {
            Expr::Let(binding) if attrs.iter().any(|attr| attr.path().is_ident(AGAIN)) => {
                Some(self.new_derive(&binding.pat, (*binding.expr).clone()))
            }
            _ => None,
        }
    }

    /// An expression for the value that can be matched more than once.
    fn scrutinee(&mut self, value: Expr) -> (TokenStream, Expr) {
        if can_match_again(&value) {
            return (TokenStream::new(), value);
        }
        self.next_temporary += 1;
        let name = format!("__matched{}", self.next_temporary);
        let ident = Ident::new(&name, Span::mixed_site());
        (quote!(let #ident = #value;), syn::parse_quote!(#ident))
    }

    /// Whether the bindings of a pattern visibly are references.
    fn is_borrowed(&self, scrutinee: &Expr) -> bool {
        (!is_place(scrutinee) && !matches!(scrutinee, Expr::Index(_)))
            || root(scrutinee)
                .and_then(|name| super::resolve(&self.body, &self.scopes, name))
                .is_some_and(|var| self.body.var(var).is_made_anew())
    }
}

/// Marks the test of a guard.
const AGAIN: &str = "__durable_again";

/// Conditions inside each other. Those that do not suspend stay in one chain.
fn nested(condition: &Expr, inner: syn::Block) -> Expr {
    let mut groups: Vec<Vec<Expr>> = Vec::new();
    for operand in operands(condition) {
        match groups.last_mut() {
            Some(group) if !suspends(&operand) && group.iter().all(|e| !suspends(e)) => {
                group.push(operand);
            }
            _ => groups.push(vec![operand]),
        }
    }
    let mut code: Expr = Expr::Block(syn::ExprBlock { attrs: vec![], label: None, block: inner });
    for group in groups.into_iter().rev() {
        let chain = group.into_iter().map(|e| e.to_token_stream()).reduce(|a, b| quote!(#a && #b));
        let block = match code {
            Expr::Block(block) => block.into_token_stream(),
            other => quote!({ #other }),
        };
        code = syn::parse_quote!(if #chain #block);
    }
    code
}

fn operands(condition: &Expr) -> Vec<Expr> {
    match condition {
        Expr::Binary(chain) if matches!(chain.op, syn::BinOp::And(_)) => {
            let mut all = operands(&chain.left);
            all.extend(operands(&chain.right));
            all
        }
        other => vec![other.clone()],
    }
}

/// A `match` of arms that were not tested yet. The last one gives the value.
fn tested(
    label: &syn::Lifetime,
    scrutinee: &Expr,
    excluded: &[Pat],
    arms: &[syn::Arm],
    is_last: bool,
) -> TokenStream {
    if arms.is_empty() && !is_last {
        return TokenStream::new();
    }
    let excluded = excluded.iter().map(without_bindings);
    let arms = arms.iter().map(|arm| {
        let syn::Arm { attrs, pat, body, .. } = arm;
        if is_last {
            quote!(#(#attrs)* #pat => { #body })
        } else {
            quote!(#(#attrs)* #pat => break #label { #body },)
        }
    });
    if is_last {
        quote! {
            match #scrutinee {
                #(#[allow(unreachable_patterns)] #excluded => ::core::unreachable!(),)*
                #(#arms)*
            }
        }
    } else {
        quote! {
            match #scrutinee {
                #(#[allow(unreachable_patterns)] #excluded => ::core::unreachable!(),)*
                #(#arms)*
                #[allow(unreachable_patterns)]
                _ => {}
            }
        }
    }
}

/// The pattern and the guard for a test that moves nothing: as in Rust, a guard sees what the
/// pattern binds by reference.
fn test_of(pat: &Pat, mut guard: Expr, by_reference: bool) -> (Pat, Expr) {
    struct Test<'a> {
        guard: &'a str,
        by_reference: bool,
        borrowed: Vec<Ident>,
    }
    impl VisitMut for Test<'_> {
        fn visit_pat_mut(&mut self, pat: &mut Pat) {
            if let Pat::Ident(name) = pat
                && !bindings(&Pat::Ident(name.clone())).is_empty()
            {
                if !mentions(self.guard, &name.ident) {
                    *pat = match name.subpat.take() {
                        Some((_, subpat)) => *subpat,
                        None => syn::parse_quote!(_),
                    };
                    return self.visit_pat_mut(pat);
                }
                name.mutability = None;
                if !self.by_reference && name.by_ref.is_none() {
                    name.by_ref = Some(syn::token::Ref(name.ident.span()));
                    self.borrowed.push(name.ident.clone());
                }
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
    let mut pat = pat.clone();
    let text = guard.to_token_stream().to_string();
    let mut test = Test { guard: &text, by_reference, borrowed: Vec::new() };
    test.visit_pat_mut(&mut pat);
    if matches!(pat, Pat::Or(_)) {
        pat = syn::parse_quote!((#pat));
    }
    Dereference(&test.borrowed).visit_expr_mut(&mut guard);
    (pat, guard)
}

fn mentions(code: &str, name: &Ident) -> bool {
    let name = name.to_string();
    code.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == name)
}

/// Puts `(*name)` for each of the names, where they are not hidden by others.
struct Dereference<'a>(&'a [Ident]);

impl Dereference<'_> {
    /// Visits code in which these names mean something else.
    fn hiding(&mut self, hidden: &[Binding], visit: impl FnOnce(&mut Dereference<'_>)) {
        let hides = |name: &Ident| hidden.iter().any(|binding| binding.ident == *name);
        let left: Vec<Ident> = self.0.iter().filter(|name| !hides(name)).cloned().collect();
        visit(&mut Dereference(&left));
    }
}

impl VisitMut for Dereference<'_> {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        if let Expr::Path(path) = expr
            && let Some(ident) = path.path.get_ident()
            && self.0.contains(ident)
        {
            *expr = syn::parse_quote!((*#ident));
            return;
        }
        visit_mut::visit_expr_mut(self, expr);
    }

    fn visit_field_value_mut(&mut self, field: &mut syn::FieldValue) {
        self.visit_expr_mut(&mut field.expr);
        if field.colon_token.is_none() && !matches!(field.expr, Expr::Path(_)) {
            // `Point { x }` is `Point { x: x }`.
            field.colon_token = Some(syn::token::Colon::default());
        }
    }

    fn visit_expr_closure_mut(&mut self, closure: &mut syn::ExprClosure) {
        let hidden: Vec<Binding> = closure.inputs.iter().flat_map(bindings).collect();
        self.hiding(&hidden, |inner| inner.visit_expr_mut(&mut closure.body));
    }

    fn visit_block_mut(&mut self, block: &mut syn::Block) {
        let mut hidden = Vec::new();
        for stmt in &mut block.stmts {
            if let syn::Stmt::Local(local) = stmt {
                if let Some(init) = &mut local.init {
                    self.hiding(&hidden, |inner| visit_mut::visit_local_init_mut(inner, init));
                }
                hidden.extend(bindings(&local.pat));
            } else {
                self.hiding(&hidden, |inner| inner.visit_stmt_mut(stmt));
            }
        }
    }

    fn visit_arm_mut(&mut self, arm: &mut syn::Arm) {
        let hidden = bindings(&arm.pat);
        self.hiding(&hidden, |inner| visit_mut::visit_arm_mut(inner, arm));
    }

    fn visit_expr_if_mut(&mut self, expr: &mut syn::ExprIf) {
        let hidden = condition_bindings(&expr.cond);
        self.visit_expr_mut(&mut expr.cond);
        self.hiding(&hidden, |inner| inner.visit_block_mut(&mut expr.then_branch));
        if let Some((_, otherwise)) = &mut expr.else_branch {
            self.visit_expr_mut(otherwise);
        }
    }

    fn visit_macro_mut(&mut self, mac: &mut syn::Macro) {
        let before = mac.tokens.to_string();
        visit_arguments_mut(mac, &mut |argument| self.visit_expr_mut(argument));
        // What is not known is seen as tokens.
        if mac.tokens.to_string() == before && !takes_expressions(mac) {
            mac.tokens = self.tokens(&mac.tokens);
        }
    }
}

fn condition_bindings(condition: &Expr) -> Vec<Binding> {
    match condition {
        Expr::Let(binding) => bindings(&binding.pat),
        Expr::Binary(chain) => {
            let mut all = condition_bindings(&chain.left);
            all.extend(condition_bindings(&chain.right));
            all
        }
        _ => Vec::new(),
    }
}

impl Dereference<'_> {
    fn tokens(&self, tokens: &TokenStream) -> TokenStream {
        let mut after_dot = false;
        let mut out = TokenStream::new();
        for token in tokens.clone() {
            let is_dot = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '.');
            match token {
                TokenTree::Ident(ident) if !after_dot && self.0.contains(&ident) => {
                    out.extend(quote!((*#ident)));
                }
                TokenTree::Group(group) => {
                    let mut inner =
                        proc_macro2::Group::new(group.delimiter(), self.tokens(&group.stream()));
                    inner.set_span(group.span());
                    out.extend([TokenTree::Group(inner)]);
                }
                other => out.extend([other]),
            }
            after_dot = is_dot;
        }
        out
    }
}

/// Whether a pattern has alternatives of which several may match.
fn has_alternatives(pat: &Pat) -> bool {
    use syn::visit::{self, Visit};

    struct Alternatives(bool);
    impl<'ast> Visit<'ast> for Alternatives {
        fn visit_pat_or(&mut self, pat: &'ast syn::PatOr) {
            let is_value = |case: &Pat| matches!(case, Pat::Lit(_) | Pat::Path(_));
            self.0 |= !pat.cases.iter().all(is_value);
            visit::visit_pat_or(self, pat);
        }
    }
    let mut alternatives = Alternatives(false);
    alternatives.visit_pat(pat);
    alternatives.0
}

fn is_guarded(pat: &Pat) -> bool {
    matches!(pat, Pat::Guard(_))
}

/// The pattern, binding nothing.
fn without_bindings(pat: &Pat) -> Pat {
    let (pat, _) = test_of(pat, syn::parse_quote!(()), true);
    pat
}

/// The pattern without what only the guard needs.
fn without_unused(pat: &Pat, guard: &Expr, body: &Expr) -> Pat {
    struct Unused<'a> {
        guard: &'a str,
        body: &'a str,
    }
    impl VisitMut for Unused<'_> {
        fn visit_pat_mut(&mut self, pat: &mut Pat) {
            if let Pat::Ident(name) = pat
                && mentions(self.guard, &name.ident)
                && !mentions(self.body, &name.ident)
                && !bindings(&Pat::Ident(name.clone())).is_empty()
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
                field.colon_token = Some(syn::token::Colon::default());
            }
        }
    }
    let (guard, body) = (guard.to_token_stream().to_string(), body.to_token_stream().to_string());
    let mut pat = pat.clone();
    Unused { guard: &guard, body: &body }.visit_pat_mut(&mut pat);
    pat
}

/// Whether evaluating an expression again gives the same and does nothing.
fn can_match_again(value: &Expr) -> bool {
    /// Methods that borrow from what they are called on, so that nothing can change it meanwhile.
    const VIEWS: [&str; 5] = ["as_bytes", "as_deref", "as_ref", "as_slice", "as_str"];
    match value {
        Expr::Reference(reference) => is_place(&reference.expr),
        Expr::Paren(inner) => can_match_again(&inner.expr),
        Expr::Index(index) => is_place(&index.expr) && matches!(*index.index, Expr::Lit(_)),
        Expr::MethodCall(call) => {
            call.args.is_empty()
                && is_place(&call.receiver)
                && VIEWS.iter().any(|name| call.method == name)
        }
        Expr::Tuple(tuple) => tuple
            .elems
            .iter()
            .all(|part| matches!(part, Expr::Reference(_)) && can_match_again(part)),
        place => is_place(place),
    }
}
