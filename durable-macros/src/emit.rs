//! Emission: the only place that makes output tokens. Generated code names `::durable::__private`
//! and the user's own items; our own identifiers cannot clash with the user's.

mod activity;
mod entity;
mod fallback;
mod orchestrator;
pub(crate) mod step;

pub(crate) use self::activity::{activities, activity};
pub(crate) use self::entity::entity;
pub(crate) use self::fallback::function as fallback;
pub(crate) use self::orchestrator::{Compiled, orchestrator};

use proc_macro2::{Delimiter, Group, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;

use crate::parse::{FunctionItem, Return, ReturnKind};

/// The type that describes calls, and the function that makes them, under the user's name.
fn call_items(item: &FunctionItem, marker: &syn::Ident) -> TokenStream {
    let cfgs = item.cfgs();
    let docs = item.docs();
    let vis = &item.vis;
    let ident = &item.sig.ident;
    let idents: Vec<_> = item.params.iter().map(|param| &param.ident).collect();
    let types: Vec<_> = item.params.iter().map(|param| &param.ty).collect();
    quote! {
        #(#cfgs)*
        #[doc(hidden)]
        #[allow(non_camel_case_types)]
        #[derive(::core::fmt::Debug)]
        #vis struct #marker {}

        #(#docs)*
        #[allow(clippy::too_many_arguments, clippy::used_underscore_binding)]
        #vis fn #ident(#(#idents: #types),*) -> ::durable::Call<#marker> {
            ::durable::Call::new((#(#idents,)*))
        }
    }
}

/// The implementation of `Function`.
fn function_impl(item: &FunctionItem, marker: &syn::Ident, kind: &str) -> TokenStream {
    let cfgs = item.cfgs();
    let name = item.name();
    let version = item.version();
    let kind = format_ident!("{kind}");
    let input = input_type(item);
    let output = output_type(&item.ret);
    let assertion = assert_not_result(&item.ret, &cfgs);
    quote! {
        #assertion
        #(#cfgs)*
        impl ::durable::__private::Function for #marker {
            const NAME: &'static str = #name;
            const VERSION: &'static str = #version;
            const KIND: ::durable::__private::FunctionKind =
                ::durable::__private::FunctionKind::#kind;
            type Input = #input;
            type Output = #output;
        }
    }
}

/// The arguments as a tuple. Its parentheses have a span of the user's, for rustc shows the whole
/// of it when one of the types cannot be an argument.
fn input_type(item: &FunctionItem) -> TokenStream {
    let types = item.params.iter().map(|param| &param.ty);
    let mut tuple = Group::new(Delimiter::Parenthesis, quote!(#(#types,)*));
    tuple.set_span(match item.params.as_slice() {
        [only] => only.ty.span(),
        _ => item.sig.paren_token.span.join(),
    });
    tuple.into_token_stream()
}

/// What a caller gets: for a `Result` its value.
fn output_type(ret: &Return) -> TokenStream {
    let ty = &ret.ty;
    match ret.kind {
        ReturnKind::Result => {
            quote_spanned!(ret.value_span()=> <#ty as ::durable::__private::ResultType>::Value)
        }
        ReturnKind::Option | ReturnKind::Plain => quote!(#ty),
    }
}

/// Stops at a return type that is a `Result` under another name: its errors would be values.
fn assert_not_result(ret: &Return, cfgs: &[&syn::Attribute]) -> TokenStream {
    if ret.kind != ReturnKind::Plain {
        return TokenStream::new();
    }
    let ty = &ret.ty;
    let span = ty.span();
    let message = "this return type is a `Result` under another name, so that its errors would not \
                   be failures: name the alias `Result`, or write the type out";
    quote_spanned! {span=>
        #(#cfgs)*
        const _: () = {
            #[allow(unused_imports)]
            use ::durable::__private::NotResult as _;
            ::core::assert!(!::durable::__private::ReturnProbe::<#ty>::IS_RESULT, #message);
        };
    }
}

/// Encodes what the user's function returned into `output` with `encode`: a value, or the failure of
/// an error.
fn encode_outcome(ret: &Return, output: &syn::Ident, encode: &TokenStream) -> TokenStream {
    if ret.kind != ReturnKind::Result {
        return quote!(#encode(&#output));
    }
    let error = step::own("__error");
    let describe = describe(&error);
    quote! {
        match #output {
            ::core::result::Result::Ok(value) => #encode(&value),
            ::core::result::Result::Err(#error) => {
                ::core::result::Result::Err(::durable::__private::failed(#describe))
            }
        }
    }
}

/// Describes `error`, of a type that is known here, with its data if it can be serialised.
fn describe(error: &syn::Ident) -> TokenStream {
    quote! {{
        #[allow(unused_imports)]
        use ::durable::__private::describe::{
            DescribeDynamic as _, DescribePlain as _, DescribeWithData as _,
        };
        (&#error).describe_kind().describe(#error)
    }}
}
