//! What is emitted beside the errors: the item still exists with its signature, so that one
//! mistake gives one message and editors keep working.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::call_items;
use crate::parse::FunctionItem;

/// The items of a function that could not be compiled. `sound` says whether its signature is.
pub(crate) fn function(item: &FunctionItem, kind: &str, sound: bool) -> TokenStream {
    if item.receiver.is_some() {
        return TokenStream::new();
    }
    let marker = &item.sig.ident;
    let cfgs = item.cfgs();
    let name = item.name();
    let kind_ident = format_ident!("{kind}");
    let (calls, input, output) = if sound {
        let types = item.params.iter().map(|param| &param.ty);
        let output = super::output_type(&item.ret);
        (call_items(item, marker), quote!((#(#types,)*)), output)
    } else {
        let (vis, inputs) = (&item.vis, &item.sig.inputs);
        let calls = quote! {
            #(#cfgs)*
            #[doc(hidden)]
            #[allow(non_camel_case_types)]
            #vis struct #marker {}

            #(#cfgs)*
            #[allow(unused_variables)]
            #vis fn #marker(#inputs) -> ::durable::Call<#marker> {
                ::core::unreachable!()
            }
        };
        (calls, quote!(()), quote!(()))
    };
    let implementation = if kind == "Orchestration" {
        quote! {
            #(#cfgs)*
            impl ::durable::__private::Orchestration for #marker {
                fn program() -> ::std::boxed::Box<dyn ::durable::__private::Program> {
                    ::core::unreachable!()
                }
            }
        }
    } else {
        quote! {
            #(#cfgs)*
            impl ::durable::__private::Activity for #marker {
                fn run(
                    _: ::std::sync::Arc<()>,
                    _: ::durable::ActivityContext,
                    _: Self::Input,
                ) -> ::durable::__private::ActivityFuture {
                    ::core::unreachable!()
                }
            }
        }
    };
    quote! {
        #calls
        #(#cfgs)*
        impl ::durable::__private::Function for #marker {
            const NAME: &'static str = #name;
            const VERSION: &'static str = "";
            const KIND: ::durable::__private::FunctionKind =
                ::durable::__private::FunctionKind::#kind_ident;
            type Input = #input;
            type Output = #output;
        }
        #implementation
    }
}
