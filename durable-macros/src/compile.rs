//! THE PIPELINE: parse -> check -> lower -> liveness -> layout -> emit. One page; each pass is a
//! module of that name. Before it `nesting` refuses what would not fit on the stack.

use std::collections::BTreeSet;

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};

use crate::determinism::Subject;
use crate::diag::{Code, Diagnostics};
use crate::emit::{self, Compiled};
use crate::layout::Layout;
use crate::liveness::Liveness;
use crate::lower::{Lowered, Source, lower};
use crate::parse::{FunctionItem, ORCHESTRATION_CONTEXT, Options};
use crate::{check, conditional, determinism, guards, nesting, parse, renewals, rules};

/// Compiles an orchestrator.
pub(crate) fn orchestrator(attr: TokenStream, item: TokenStream) -> TokenStream {
    let mut diag = Diagnostics::new();
    if !nesting::check(&item, &mut diag) {
        return diag.into_tokens();
    }
    let options = Options::parse(attr, &["name", "version"], &mut diag);
    let Some(function) = parse::function(item, "#[orchestrator]", &mut diag) else {
        return diag.into_tokens();
    };
    let mut item = free_function(function, options, ORCHESTRATION_CONTEXT);
    bind_patterns(&mut item);

    check::free_function(&item, "an orchestrator", &mut diag);
    check::function(&item, "an orchestrator", ORCHESTRATION_CONTEXT, &mut diag);
    let sound = !diag.has_errors();
    let variants = conditional::variants(item, &mut diag);
    let errors = diag.into_tokens();
    let items = variants
        .into_iter()
        .map(|item| orchestrator_variant(item, sound && errors.is_empty(), sound));
    quote!(#errors #(#items)*)
}

/// Compiles the body of an orchestrator. `ok` says whether there was no error so far, `sound`
/// whether there is none in the signature.
fn orchestrator_variant(mut item: FunctionItem, ok: bool, sound: bool) -> TokenStream {
    let mut diag = Diagnostics::new();
    check::body(&item, &mut diag);
    scan(&mut item, "an orchestrator", &mut diag);
    let name = item.name();
    let rules = rules::take(&mut item.body, &name, &item.params, &mut diag);
    let context = item.context.as_ref().map(|context| &context.pat);
    renewals::check(&item.body, context, &mut diag);
    guards::end_scopes(&mut item.body, context, &mut diag);
    let compiled = Compiled { rules, ..passes(&item, &mut diag) };
    debug::print(&item, &compiled, &diag);
    let items = if ok && !diag.has_errors() {
        emit::orchestrator(&item, &compiled)
    } else {
        emit::fallback(&item, "Orchestration", sound)
    };
    let errors = conditional::only_where(&item, diag.into_tokens());
    quote!(#errors #items)
}

/// Applies the rules of determinism.
fn scan(item: &mut FunctionItem, what: &str, diag: &mut Diagnostics) {
    determinism::refuse_on_function(&mut item.attrs, diag);
    let FunctionItem { params, context, body, .. } = item;
    determinism::check(body, Subject { what, params, context: context.as_ref() }, diag);
}

/// lower -> liveness -> layout.
fn passes(item: &FunctionItem, diag: &mut Diagnostics) -> Compiled {
    let lowered = lower(&Source { params: &item.params, body: &item.body }, diag);
    let liveness = Liveness::of(&lowered.body);
    let layout = Layout::of(&lowered.body, &liveness, &lowered.params);
    check::borrows(&lowered.body, &layout, diag);
    let Lowered { body, items, params } = lowered;
    Compiled { body, items, params, liveness, layout, rules: Vec::new() }
}

/// Compiles an activity: a function, or the async methods of an impl block.
pub(crate) fn activity(attr: TokenStream, item: TokenStream) -> TokenStream {
    let mut diag = Diagnostics::new();
    if !nesting::check(&item, &mut diag) {
        return diag.into_tokens();
    }
    match syn::parse2::<syn::Item>(item.clone()) {
        Ok(syn::Item::Impl(block)) => activities(attr, &block),
        _ => activity_function(attr, item),
    }
}

fn activity_function(attr: TokenStream, item: TokenStream) -> TokenStream {
    let mut diag = Diagnostics::new();
    let options = Options::parse(attr, &["name"], &mut diag);
    let Some(function) = parse::function(item, "#[activity]", &mut diag) else {
        return diag.into_tokens();
    };
    let item = free_function(function, options, "ActivityContext");
    check::free_function(&item, "an activity", &mut diag);
    check::function(&item, "an activity", "ActivityContext", &mut diag);
    let sound = !diag.has_errors();
    finish(
        diag,
        |ok| {
            if ok { emit::activity(&item) } else { emit::fallback(&item, "Activity", sound) }
        },
    )
}

fn activities(attr: TokenStream, block: &syn::ItemImpl) -> TokenStream {
    let mut diag = Diagnostics::new();
    Options::parse(attr, &[], &mut diag);
    check_impl(block, "#[activity]", &mut diag);
    let mut methods = Vec::new();
    let mut rest = Vec::new();
    for item in block.items.clone() {
        match item {
            syn::ImplItem::Fn(method) if is_activity(&method) => {
                let (attrs, options) = method_options(method.attrs, &mut diag);
                methods.push(FunctionItem::new(
                    attrs,
                    method.vis,
                    method.sig,
                    method.block,
                    options,
                    "ActivityContext",
                ));
            }
            other => rest.push(other),
        }
    }
    if methods.is_empty() {
        diag.error(
            Code::Item,
            &block.self_ty,
            "`#[activity]` on an impl block makes activities of its `async fn`s that take \
             `&self`, and this block has none",
        );
    }
    for method in &methods {
        check::function(method, "an activity", "ActivityContext", &mut diag);
    }
    check_duplicates(&methods, &mut diag);
    finish(diag, |ok| if ok { emit::activities(block, &methods, &rest) } else { quote!(#block) })
}

fn is_activity(method: &syn::ImplItemFn) -> bool {
    method.sig.asyncness.is_some() && method.sig.receiver().is_some()
}

/// Takes `#[activity(name = "..")]` off a method.
fn method_options(
    attrs: Vec<syn::Attribute>,
    diag: &mut Diagnostics,
) -> (Vec<syn::Attribute>, Options) {
    let mut options = Options::default();
    let mut kept = Vec::new();
    for attr in attrs {
        match &attr.meta {
            syn::Meta::List(list) if attr.path().is_ident("activity") => {
                options = Options::parse(list.tokens.clone(), &["name"], diag);
            }
            _ => kept.push(attr),
        }
    }
    (kept, options)
}

/// Compiles an entity.
pub(crate) fn entity(attr: TokenStream, item: TokenStream) -> TokenStream {
    let mut diag = Diagnostics::new();
    if !nesting::check(&item, &mut diag) {
        return diag.into_tokens();
    }
    let options = Options::parse(attr, &["name", "initial"], &mut diag);
    let Some(mut block) = parse::impl_block(item, "#[entity]", &mut diag) else {
        return diag.into_tokens();
    };
    let helpers = take_helpers(&mut block);
    check_impl(&block, "#[entity]", &mut diag);
    prepare_operations(&mut block, &helpers);
    let name = type_name(&block);
    if name.is_none() {
        diag.error(Code::Item, &block.self_ty, "an entity is a type with a name");
    }
    let operations: Vec<FunctionItem> = block
        .items
        .iter()
        .filter_map(|item| match item {
            syn::ImplItem::Fn(method)
                if method.sig.receiver().is_some() && !helpers.contains(&method.sig.ident) =>
            {
                Some(method.clone())
            }
            _ => None,
        })
        .map(|method| {
            FunctionItem::new(
                method.attrs,
                method.vis,
                method.sig,
                method.block,
                Options::default(),
                "EntityContext",
            )
        })
        .collect();
    for operation in &operations {
        check::operation(operation, &mut diag);
    }
    check_duplicates(&operations, &mut diag);
    finish(diag, |ok| match (ok, &name) {
        (true, Some(name)) => emit::entity(&block, name, &options, &operations),
        _ => quote!(#block),
    })
}

/// Checks a helper of orchestrators: a function, or those of an impl block. It stays what it is.
pub(crate) fn deterministic(attr: TokenStream, item: TokenStream) -> TokenStream {
    let mut diag = Diagnostics::new();
    if !nesting::check(&item, &mut diag) {
        return diag.into_tokens();
    }
    Options::parse(attr, &[], &mut diag);
    let mut item = match syn::parse2::<syn::Item>(item) {
        Ok(item) => item,
        Err(error) => {
            diag.syntax(error);
            return diag.into_tokens();
        }
    };
    match &mut item {
        syn::Item::Fn(function) => {
            let syn::ItemFn { attrs, vis, sig, block, .. } = function;
            helper(attrs, vis, sig, block, &mut diag);
        }
        syn::Item::Impl(block) => {
            for item in &mut block.items {
                if let syn::ImplItem::Fn(method) = item {
                    let syn::ImplItemFn { attrs, vis, sig, block, .. } = method;
                    helper(attrs, vis, sig, block, &mut diag);
                }
            }
        }
        other => diag.error(
            Code::Item,
            other,
            "`#[deterministic]` goes on a `fn` or an `impl` block that orchestrators use",
        ),
    }
    finish(diag, |_| quote!(#item))
}

fn helper(
    attrs: &mut Vec<syn::Attribute>,
    vis: &syn::Visibility,
    sig: &syn::Signature,
    body: &mut syn::Block,
    diag: &mut Diagnostics,
) {
    let mut item = FunctionItem::new(
        attrs.clone(),
        vis.clone(),
        sig.clone(),
        body.clone(),
        Options::default(),
        ORCHESTRATION_CONTEXT,
    );
    check::helper(&item, diag);
    scan(&mut item, "a `#[deterministic]` function", diag);
    *attrs = item.attrs;
    *body = item.body;
}

fn type_name(block: &syn::ItemImpl) -> Option<Ident> {
    match &*block.self_ty {
        syn::Type::Path(path) => Some(path.path.segments.last()?.ident.clone()),
        _ => None,
    }
}

/// Takes `#[entity(skip)]` off the methods that are no operations, and gives their names.
fn take_helpers(block: &mut syn::ItemImpl) -> BTreeSet<Ident> {
    let mut helpers = BTreeSet::new();
    for item in &mut block.items {
        let syn::ImplItem::Fn(method) = item else { continue };
        let before = method.attrs.len();
        method.attrs.retain(|attr| !is_skip(attr));
        if method.attrs.len() < before {
            helpers.insert(method.sig.ident.clone());
        }
    }
    helpers
}

/// Lets operations take what they need to take, and has rustc say why they cannot await what is no
/// future, which may be another entity.
fn prepare_operations(block: &mut syn::ItemImpl, helpers: &BTreeSet<Ident>) {
    struct Mark;
    impl VisitMut for Mark {
        fn visit_expr_await_mut(&mut self, awaited: &mut syn::ExprAwait) {
            visit_mut::visit_expr_await_mut(self, awaited);
            let base = &awaited.base;
            let marked = quote_spanned!(base.span()=> ::durable::__private::awaited_in_entity);
            awaited.base = syn::parse_quote!(#marked(#base));
        }
    }
    for item in &mut block.items {
        let syn::ImplItem::Fn(method) = item else { continue };
        if method.sig.receiver().is_none() || helpers.contains(&method.sig.ident) {
            continue;
        }
        // An operation owns its arguments, whatever it does with them.
        method.attrs.push(syn::parse_quote! {
            #[allow(clippy::needless_pass_by_value, clippy::unused_async, clippy::unused_self)]
        });
        if method.sig.asyncness.is_some() {
            Mark.visit_block_mut(&mut method.block);
        }
    }
}

fn is_skip(attr: &syn::Attribute) -> bool {
    attr.path().is_ident("entity")
        && attr.parse_args::<Ident>().is_ok_and(|option| option == "skip")
}

fn check_impl(block: &syn::ItemImpl, what: &str, diag: &mut Diagnostics) {
    if let Some((path, _)) = &block.trait_ {
        diag.error(
            Code::Item,
            path,
            &format!("`{what}` goes on an impl block of the type itself, not of a trait"),
        );
    }
    if !block.generics.params.is_empty() {
        diag.error(
            Code::Signature,
            &block.generics,
            &format!("`{what}` cannot go on a generic impl block: name a concrete type"),
        );
    }
}

fn check_duplicates(items: &[FunctionItem], diag: &mut Diagnostics) {
    let mut seen = BTreeSet::new();
    for item in items {
        let name = item.name();
        // Two methods under different `#[cfg]`s may share a name.
        if item.cfgs().is_empty() && !seen.insert(name.clone()) {
            diag.error(
                Code::Duplicate,
                &item.sig.ident,
                &format!("the name `{name}` is used twice in this block: give one another"),
            );
        }
    }
}

fn free_function(function: syn::ItemFn, options: Options, context: &str) -> FunctionItem {
    FunctionItem::new(function.attrs, function.vis, function.sig, *function.block, options, context)
}

/// A parameter that is a pattern becomes a name, and a `let` at the head of the body.
fn bind_patterns(item: &mut FunctionItem) {
    let lets: Vec<syn::Stmt> = item
        .params
        .iter()
        .filter_map(|param| {
            let (ident, pat) = (&param.ident, param.pat.as_ref()?);
            Some(syn::parse_quote!(let #pat = #ident;))
        })
        .collect();
    item.body.stmts.splice(0..0, lets);
}

fn finish(diag: Diagnostics, emit: impl FnOnce(bool) -> TokenStream) -> TokenStream {
    let items = emit(!diag.has_errors());
    let errors = diag.into_tokens();
    quote!(#errors #items)
}

/// The debug knob: `DURABLE_MACROS_PRINT=name` prints the IR and the expansion of the orchestrator
/// of that name while it compiles.
mod debug {
    use super::{Compiled, Diagnostics, FunctionItem, emit};

    const KNOB: &str = "DURABLE_MACROS_PRINT";

    pub(super) fn print(item: &FunctionItem, compiled: &Compiled, diag: &Diagnostics) {
        if diag.has_errors() || std::env::var(KNOB).ok() != Some(item.name()) {
            return;
        }
        let tokens = emit::orchestrator(item, compiled);
        let code = match syn::parse2::<syn::File>(tokens.clone()) {
            Ok(file) => prettyplease::unparse(&file),
            Err(_) => tokens.to_string(),
        };
        // This runs inside the compiler, whose standard error the person is reading.
        #[allow(clippy::print_stderr)]
        {
            eprintln!("{}\n{code}", compiled.body);
        }
    }
}

#[cfg(test)]
mod expansion;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
