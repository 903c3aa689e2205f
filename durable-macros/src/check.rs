//! Shape rules, one function a rule. Each collects; none stops at the first.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::diag::{Code, Diagnostics};
use crate::ir::Body;
use crate::layout::{Layout, Place};
use crate::lower::branches::parts;
use crate::parse::FunctionItem;

/// Most parameters that a call can carry.
pub(crate) const MAX_PARAMS: usize = 12;

/// The rules for a function that is called by name. `what` names it in messages.
pub(crate) fn function(item: &FunctionItem, what: &str, context: &str, diag: &mut Diagnostics) {
    check_async(item, what, diag);
    check_signature(item, what, diag);
    check_params(item, what, context, diag);
    check_return(item, what, diag);
}

fn check_async(item: &FunctionItem, what: &str, diag: &mut Diagnostics) {
    if item.sig.asyncness.is_none() {
        diag.error(
            Code::NotAsync,
            &item.sig.fn_token,
            &format!("{what} must be an `async fn`: write `async fn {}`", item.sig.ident),
        );
    }
}

fn check_signature(item: &FunctionItem, what: &str, diag: &mut Diagnostics) {
    let sig = &item.sig;
    if !sig.generics.params.is_empty() || sig.generics.where_clause.is_some() {
        diag.error(
            Code::Signature,
            &sig.generics,
            &format!(
                "{what} cannot be generic: it is found by its name when the program runs, so write \
                 one for each concrete type"
            ),
        );
    }
    if sig.constness.is_some() {
        diag.error(Code::Signature, &sig.constness, &format!("{what} cannot be `const`"));
    }
    if let Some(abi) = &sig.abi {
        diag.error(Code::Signature, abi, &format!("{what} cannot be `extern`"));
    }
    if let Some(variadic) = &sig.variadic {
        diag.error(Code::Signature, variadic, &format!("{what} cannot be variadic"));
    }
}

fn check_params(item: &FunctionItem, what: &str, context: &str, diag: &mut Diagnostics) {
    for param in &item.params {
        if let Some(remedy) = unsavable(&param.ty) {
            diag.error(
                Code::Parameter,
                &param.ty,
                &format!(
                    "{what} cannot take this parameter: arguments are saved, so they are owned \
                     data; {remedy} (only `ctx: &{context}` is a reference)"
                ),
            );
        }
    }
    if let Some(extra) = item.params.get(MAX_PARAMS) {
        diag.error(
            Code::Parameter,
            &extra.ident,
            &format!("{what} can take {MAX_PARAMS} parameters: put them into a struct"),
        );
    }
}

fn check_return(item: &FunctionItem, what: &str, diag: &mut Diagnostics) {
    if let Some(remedy) = unsavable(&item.ret.ty) {
        diag.error(
            Code::ReturnType,
            &item.ret.ty,
            &format!("{what} cannot return this type: results are saved; {remedy}"),
        );
    }
}

/// What to write instead of a type that cannot be saved, if syntax alone tells that.
fn unsavable(ty: &syn::Type) -> Option<&'static str> {
    struct Finder(Option<&'static str>);
    impl<'ast> Visit<'ast> for Finder {
        fn visit_type_reference(&mut self, reference: &'ast syn::TypeReference) {
            self.0 = Some(match &*reference.elem {
                syn::Type::Path(path) if path.path.is_ident("str") => "take a `String`",
                syn::Type::Slice(_) => "take a `Vec`",
                _ => "take the value itself",
            });
        }
        fn visit_type_impl_trait(&mut self, _: &'ast syn::TypeImplTrait) {
            self.0 = Some("name a concrete type");
        }
        fn visit_type_trait_object(&mut self, _: &'ast syn::TypeTraitObject) {
            // An error type such as `Box<dyn Error>` is described when it is saved.
        }
        fn visit_type_ptr(&mut self, _: &'ast syn::TypePtr) {
            self.0 = Some("a pointer means nothing after a restart");
        }
        fn visit_type(&mut self, ty: &'ast syn::Type) {
            visit::visit_type(self, ty);
        }
    }
    let mut finder = Finder(None);
    finder.visit_type(ty);
    finder.0
}

/// The rules for a free function that becomes an item of its own.
pub(crate) fn free_function(item: &FunctionItem, what: &str, diag: &mut Diagnostics) {
    if let Some(receiver) = &item.receiver {
        diag.error(
            Code::Parameter,
            receiver,
            &format!("{what} is a free function: annotate the impl block for methods"),
        );
    }
}

/// What an orchestrator's body may not contain, apart from what is not deterministic.
pub(crate) fn body(item: &FunctionItem, diag: &mut Diagnostics) {
    struct Rules<'d>(&'d mut Diagnostics);
    impl Rules<'_> {
        /// A place where an `async` block may stand.
        fn branch(&mut self, branch: &syn::Expr) {
            match branch {
                syn::Expr::Async(block) => {
                    self.refuse_hidden_returns(&block.block);
                    self.visit_block(&block.block);
                }
                syn::Expr::Paren(inner) => self.branch(&inner.expr),
                other => self.visit_expr(other),
            }
        }

        /// A `return` inside of a macro would leave the orchestrator.
        fn refuse_hidden_returns(&mut self, block: &syn::Block) {
            struct Hidden<'d>(&'d mut Diagnostics);
            impl<'ast> Visit<'ast> for Hidden<'_> {
                fn visit_macro(&mut self, mac: &'ast syn::Macro) {
                    let name = mac.path.segments.last().map(|segment| segment.ident.to_string());
                    if name.is_some_and(|name| ["bail", "ensure"].contains(&name.as_str())) {
                        self.0.error(
                            Code::AsyncBlock,
                            &mac.path,
                            "this macro returns from the function, which the compiler cannot turn \
                             into leaving the `async` block: write `return Err(..)`",
                        );
                    }
                }
            }
            Hidden(self.0).visit_block(block);
        }
    }
    impl<'ast> Visit<'ast> for Rules<'_> {
        fn visit_expr_async(&mut self, block: &'ast syn::ExprAsync) {
            self.0.error_at(
                Code::AsyncBlock,
                block.async_token.span(),
                "an `async` block is not a value that can be saved: await it here, or make it a \
                 branch of `join!`, `try_join!` or `select!`; for any number of branches start \
                 sub-orchestrations",
            );
        }
        fn visit_expr_await(&mut self, awaited: &'ast syn::ExprAwait) {
            self.branch(&awaited.base);
        }
        fn visit_macro(&mut self, mac: &'ast syn::Macro) {
            // What cannot be parsed is an error that lowering reports.
            for (handles, part) in parts(mac) {
                // What is run is a branch; what handles its value is not.
                let mut rules = Rules(&mut *self.0);
                if handles.is_some() { rules.visit_expr(&part) } else { rules.branch(&part) }
            }
        }
        fn visit_expr_closure(&mut self, closure: &'ast syn::ExprClosure) {
            if let Some(token) = &closure.asyncness {
                self.0.error_at(
                    Code::AsyncBlock,
                    token.span(),
                    "an `async` closure cannot be saved: make it a loop, or a sub-orchestration",
                );
                return;
            }
            visit::visit_expr_closure(self, closure);
        }
        fn visit_item(&mut self, _: &'ast syn::Item) {}
    }
    Rules(diag).visit_block(&item.body);
}

/// A borrow that would have to be saved.
pub(crate) fn borrows(body: &Body, layout: &Layout, diag: &mut Diagnostics) {
    for slot in &layout.slots {
        let var = body.var(slot.var);
        if let Place::Saved { first, .. } = &slot.place
            && var.borrows
        {
            let name = &var.ident;
            let awaited = &body.awaits[first.0].text;
            diag.error(
                Code::Borrow,
                name,
                &format!(
                    "`{name}` borrows, and it is needed after the await of `{awaited}`: a borrow \
                     cannot be saved; borrow again after the await, or keep a copy \
                     (`.clone()`, `.to_owned()`, or `.collect()` into a `Vec`)"
                ),
            );
        }
    }
}

/// The rule for a helper that orchestrators call.
pub(crate) fn helper(item: &FunctionItem, diag: &mut Diagnostics) {
    if let Some(asyncness) = &item.sig.asyncness {
        diag.error(
            Code::NotAsync,
            asyncness,
            "a `#[deterministic]` function must be a plain `fn`: an orchestrator cannot await it; \
             make it an `#[orchestrator]` if it awaits durable calls, or an `#[activity]`",
        );
    }
}

/// Names that a proxy has of its own.
const RESERVED_OPERATIONS: [&str; 4] = ["id", "state", "signal", "clone"];

/// The rules for an operation of an entity.
pub(crate) fn operation(item: &FunctionItem, diag: &mut Diagnostics) {
    const WHAT: &str = "an entity operation";
    if RESERVED_OPERATIONS.iter().any(|name| item.sig.ident == name) {
        diag.error(
            Code::Reserved,
            &item.sig.ident,
            &format!(
                "an operation cannot be called `{}`: every proxy has a method of that name; give \
                 it another",
                item.sig.ident
            ),
        );
    }
    if let Some(receiver) = &item.receiver
        && !matches!(receiver.kind, syn::ReceiverKind::Reference(..))
    {
        diag.error(
            Code::Parameter,
            receiver,
            "an entity operation borrows the state: write `&self` or `&mut self`",
        );
    }
    check_signature(item, WHAT, diag);
    check_params(item, WHAT, "EntityContext", diag);
    check_return(item, WHAT, diag);
}
