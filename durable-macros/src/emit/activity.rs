//! The items of an activity: the call, and how a worker runs the body.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};

use super::step::own;
use super::{call_items, describe, encode_outcome, function_impl};
use crate::parse::{FunctionItem, ReturnKind};

/// The items of an activity that is a free function.
pub(crate) fn activity(item: &FunctionItem) -> TokenStream {
    let marker = &item.sig.ident;
    let cfgs = item.cfgs();
    let calls = call_items(item, marker);
    let function = function_impl(item, marker, "Activity");
    let body = original_body(item);
    let run = run(item, &quote!(()));
    quote! {
        #calls
        #function
        #(#cfgs)*
        impl #marker {
            #body
        }
        #(#cfgs)*
        impl ::durable::__private::Activity<()> for #marker {
            #run
        }
    }
}

/// The user's function under the name `body`, for the worker and for unit tests.
fn original_body(item: &FunctionItem) -> TokenStream {
    let attrs = item.attrs.iter().filter(|attr| !attr.path().is_ident("cfg"));
    let mut sig = item.sig.clone();
    sig.ident = Ident::new("body", sig.ident.span());
    let (vis, block) = (&item.vis, &item.body);
    quote! {
        #(#attrs)*
        #[allow(dead_code, clippy::unused_async)]
        #vis #sig #block
    }
}

/// The implementation of `Activity`: decode, run, encode.
fn run(item: &FunctionItem, host_type: &TokenStream) -> TokenStream {
    let (host, context, input, output) =
        (own("__host"), own("__context"), own("__input"), own("__output"));
    let arguments: Vec<Ident> =
        (0..item.params.len()).map(|n| own(&format!("__argument{n}"))).collect();
    let passed_context = item.context.is_some().then(|| quote!(&#context,));
    let callee = match &item.receiver {
        // A method call on a value finds the trait's method; a path would find the call maker.
        Some(_) => {
            let method = &item.sig.ident;
            quote!(#host.#method)
        }
        None => quote!(Self::body),
    };
    let describe_error = describe_error(item);
    let finish =
        encode_outcome(&item.ret, &output, &quote!(::durable::__private::encode_output::<Self>));
    quote! {
        fn run(
            #host: ::std::sync::Arc<#host_type>,
            #context: ::durable::ActivityContext,
            #input: Self::Input,
        ) -> ::durable::__private::ActivityFuture {
            ::std::boxed::Box::pin(async move {
                let (#(#arguments,)*) = #input;
                let _ = (&#host, &#context);
                #[allow(clippy::let_unit_value)]
                let #output = #callee(#passed_context #(#arguments),*).await;
                #finish
            })
        }
        #describe_error
    }
}

/// What describes an error that a test puts in the place of the body's, where the type is known.
fn describe_error(item: &FunctionItem) -> TokenStream {
    if item.ret.kind != ReturnKind::Result {
        return TokenStream::new();
    }
    let (slot, error) = (own("__slot"), own("__error"));
    let ty = &item.ret.ty;
    // With the span of the result's type, rustc reports once what is wrong with it.
    let declared =
        quote_spanned!(item.ret.value_span()=> <#ty as ::durable::__private::ResultType>::Error);
    let described = describe(&error);
    quote! {
        fn describe_error(
            #slot: &mut dyn ::core::any::Any,
        ) -> ::core::option::Option<::durable::Failure> {
            fn taken(slot: &mut dyn ::core::any::Any) -> ::core::option::Option<#declared> {
                slot.downcast_mut::<::core::option::Option<_>>()?.take()
            }
            let #error = taken(#slot)?;
            ::core::option::Option::Some(#described)
        }
    }
}

/// The items of the async methods of an impl block. `rest` is what stays in the block.
pub(crate) fn activities(
    block: &syn::ItemImpl,
    methods: &[FunctionItem],
    rest: &[syn::ImplItem],
) -> TokenStream {
    let ty = &block.self_ty;
    let attrs = &block.attrs;
    let calls = methods.iter().map(|method| method_call(method, ty));
    let registrations = methods.iter().map(|method| {
        let (cfgs, marker) = (method.cfgs(), &method.sig.ident);
        quote!(#(#cfgs)* registrar.add::<#marker>();)
    });
    let trait_ident = methods_trait(ty, methods);
    let signatures = methods.iter().map(trait_signature);
    let bodies = methods.iter().map(trait_body);
    let kept = (!rest.is_empty()).then(|| quote!(#(#attrs)* impl #ty { #(#rest)* }));
    quote! {
        #kept

        #[doc(hidden)]
        #[allow(non_camel_case_types)]
        trait #trait_ident {
            #(#signatures)*
        }

        impl #trait_ident for #ty {
            #(#bodies)*
        }

        const _: () = {
            #(#calls)*

            impl ::durable::Activities for #ty {
                fn register(registrar: &mut ::durable::__private::ActivityRegistrar<'_, Self>) {
                    #(#registrations)*
                }
            }
        };
    }
}

/// The trait through which the methods stay callable on a value, in this module and those below. An
/// associated function of the same name makes the calls, and takes no `self`, so the two do not
/// meet.
fn methods_trait(ty: &syn::Type, methods: &[FunctionItem]) -> Ident {
    let name = match ty {
        syn::Type::Path(path) => {
            path.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default()
        }
        _ => String::new(),
    };
    let first = methods.first().map(|method| method.sig.ident.to_string()).unwrap_or_default();
    format_ident!("__{name}Activities_{}", first.trim_start_matches("r#"))
}

fn method_call(method: &FunctionItem, ty: &syn::Type) -> TokenStream {
    let marker = &method.sig.ident;
    let cfgs = method.cfgs();
    let docs = method.docs();
    let vis = &method.vis;
    let ident = &method.sig.ident;
    let idents: Vec<_> = method.params.iter().map(|param| &param.ident).collect();
    let types: Vec<_> = method.params.iter().map(|param| &param.ty).collect();
    let function = function_impl(method, marker, "Activity");
    let run = run(method, &quote!(#ty));
    quote! {
        #(#cfgs)*
        #[allow(non_camel_case_types)]
        #[derive(::core::fmt::Debug)]
        #vis struct #marker {}

        #(#cfgs)*
        impl #ty {
            #(#docs)*
            #[allow(clippy::too_many_arguments, clippy::used_underscore_binding, private_interfaces)]
            #vis fn #ident(#(#idents: #types),*) -> ::durable::Call<#marker> {
                ::durable::Call::new((#(#idents,)*))
            }
        }
        #function
        #(#cfgs)*
        impl ::durable::__private::Activity<#ty> for #marker {
            #run
        }
    }
}

fn trait_signature(method: &FunctionItem) -> TokenStream {
    let cfgs = method.cfgs();
    let ident = &method.sig.ident;
    let context = method.context.as_ref().map(|_| quote!(ctx: &::durable::ActivityContext,));
    let idents: Vec<_> = method.params.iter().map(|param| &param.ident).collect();
    let types = method.params.iter().map(|param| &param.ty);
    let ret = &method.ret.ty;
    quote! {
        #(#cfgs)*
        #[allow(clippy::too_many_arguments, missing_docs)]
        fn #ident(
            &self, #context #(#idents: #types),*
        ) -> impl ::core::future::Future<Output = #ret> + ::core::marker::Send;
    }
}

fn trait_body(method: &FunctionItem) -> TokenStream {
    let attrs = &method.attrs;
    let (sig, block) = (&method.sig, &method.body);
    quote! {
        #(#attrs)*
        #[allow(clippy::unused_async)]
        #sig #block
    }
}
