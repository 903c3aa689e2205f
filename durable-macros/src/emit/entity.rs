//! The items of an entity: the dispatch of its operations, and the typed proxy.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;

use super::step::own;
use super::{assert_not_result, encode_outcome, input_type, output_type};
use crate::parse::{FunctionItem, Options};

/// The items of an entity. The impl block itself stays as it is.
pub(crate) fn entity(
    block: &syn::ItemImpl,
    name: &Ident,
    options: &Options,
    operations: &[FunctionItem],
) -> TokenStream {
    let ty = &block.self_ty;
    let cfgs: Vec<_> = block.attrs.iter().filter(|attr| attr.path().is_ident("cfg")).collect();
    let registered = options.name.as_ref().map_or_else(|| name.to_string(), syn::LitStr::value);
    let proxy = format_ident!("{name}Proxy");
    let (asynchronous, plain): (Vec<_>, Vec<_>) =
        operations.iter().partition(|item| item.sig.asyncness.is_some());
    let arms = plain.iter().map(|item| dispatch(item));
    let run_async = run_async(&asynchronous);
    let delete = (!operations.iter().any(|item| operation_name(item) == "delete")).then(|| {
        quote! {
            /// Deletes the entity: it does not exist then, and the next operation begins from the
            /// initial state.
            #[allow(dead_code)]
            pub fn delete(&self) -> ::durable::__private::EntityCall<Side, ()> {
                ::durable::__private::delete_entity(::core::clone::Clone::clone(&self.target))
            }
        }
    });
    let initial = match &options.initial {
        Some(value) => quote!(#value),
        None => quote_spanned!(ty.span()=> ::durable::__private::initial_state()),
    };
    let assertions = operations.iter().map(|item| assert_not_result(&item.ret, &item.cfgs()));
    let methods = operations.iter().map(proxy_method);
    let markers = operations.iter().map(operation_marker);
    let (state, context, operation, args) =
        (own("__state"), own("__context"), own("__operation"), own("__args"));
    // What is wrong with the state is shown at its type.
    let header = quote_spanned!(ty.span()=> impl ::durable::Entity for #ty);
    quote! {
        #block

        #(#cfgs)*
        const _: () = {
            #(#assertions)*
            #(#markers)*

            /// Calls the operations of one entity.
            #[derive(::core::clone::Clone, ::core::fmt::Debug)]
            pub struct #proxy<Side> {
                target: ::durable::__private::EntityRef<Side>,
            }

            impl<Side: ::core::clone::Clone> #proxy<Side> {
                #(#methods)*

                #delete

                /// The address of the entity.
                #[allow(dead_code)]
                pub fn id(&self) -> ::durable::EntityAddress {
                    ::core::clone::Clone::clone(self.target.address())
                }
            }

            impl #proxy<::durable::__private::InOrchestrator> {
                /// Reads the state; `None` if the entity does not exist.
                #[allow(dead_code)]
                pub fn state(&self) -> ::durable::__private::EntityCall<
                    ::durable::__private::InOrchestrator,
                    ::core::option::Option<#ty>,
                > {
                    ::durable::__private::read_state(::core::clone::Clone::clone(&self.target))
                }
            }

            impl #proxy<::durable::__private::FromClient> {
                /// Reads the last committed state; `None` if the entity does not exist.
                #[allow(dead_code)]
                pub fn state(&self) -> ::durable::__private::StateRead<#ty> {
                    ::durable::__private::read_entity_state(
                        ::core::clone::Clone::clone(&self.target),
                    )
                }
            }

            // A proxy lives across awaits as the address that it is.
            impl ::durable::__private::serde::Serialize
                for #proxy<::durable::__private::InOrchestrator>
            {
                fn serialize<S: ::durable::__private::serde::Serializer>(
                    &self,
                    serializer: S,
                ) -> ::core::result::Result<S::Ok, S::Error> {
                    ::durable::__private::serde::Serialize::serialize(&self.target, serializer)
                }
            }

            impl<'de> ::durable::__private::serde::Deserialize<'de>
                for #proxy<::durable::__private::InOrchestrator>
            {
                fn deserialize<D: ::durable::__private::serde::Deserializer<'de>>(
                    deserializer: D,
                ) -> ::core::result::Result<Self, D::Error> {
                    ::durable::__private::serde::Deserialize::deserialize(deserializer)
                        .map(|target| Self { target })
                }
            }

            #header {
                const NAME: &'static str = #registered;
                type Proxy<Side> = #proxy<Side>;

                fn proxy<Side>(
                    target: ::durable::__private::EntityRef<Side>,
                ) -> #proxy<Side> {
                    #proxy { target }
                }

                fn initial() -> Self {
                    #initial
                }

                #run_async

                #[allow(unused_variables, clippy::let_unit_value)]
                fn apply(
                    &mut self,
                    #context: &::durable::EntityContext,
                    #operation: &str,
                    #args: &::durable::__private::Json,
                ) -> ::core::option::Option<
                    ::core::result::Result<
                        ::durable::__private::Json,
                        ::durable::__private::TaskFailure,
                    >,
                > {
                    let #state = self;
                    match #operation {
                        #(#arms)*
                        _ => ::core::option::Option::None,
                    }
                }
            }
        };
    }
}

/// How operations that are `async` run: outside of a turn, with the state as their own.
fn run_async(operations: &[&FunctionItem]) -> Option<TokenStream> {
    if operations.is_empty() {
        return None;
    }
    let (state, context, operation, args) =
        (own("__state"), own("__context"), own("__operation"), own("__args"));
    let names = operations.iter().map(|item| {
        let (cfgs, name) = (item.cfgs(), operation_name(item));
        quote!(#(#cfgs)* #name => true,)
    });
    let arms = operations.iter().map(|item| dispatch(item));
    Some(quote! {
        fn is_async(#operation: &str) -> bool {
            match #operation {
                #(#names)*
                _ => false,
            }
        }

        #[allow(unused_variables, clippy::let_unit_value)]
        fn run_async(
            mut self,
            #context: ::durable::EntityContext,
            #operation: ::std::string::String,
            #args: ::durable::__private::Json,
        ) -> ::durable::__private::AsyncOperation<Self> {
            ::std::boxed::Box::pin(async move {
                let #state = &mut self;
                let (#context, #args) = (&#context, &#args);
                let result = match &*#operation {
                    #(#arms)*
                    _ => ::core::option::Option::None,
                };
                (self, result)
            })
        }
    })
}

fn operation_name(operation: &FunctionItem) -> String {
    operation.sig.ident.to_string().trim_start_matches("r#").to_owned()
}

/// The type that stands for an operation. It has a span of ours, so that it is no item of the
/// user's.
fn marker(item: &FunctionItem) -> Ident {
    own(&format!("__Operation_{}", operation_name(item)))
}

fn operation_marker(item: &FunctionItem) -> TokenStream {
    let cfgs = item.cfgs();
    let marker = marker(item);
    let name = operation_name(item);
    let input = input_type(item);
    let output = output_type(&item.ret);
    quote! {
        #(#cfgs)*
        #[allow(non_camel_case_types)]
        struct #marker {}

        #(#cfgs)*
        impl ::durable::__private::Operation for #marker {
            const NAME: &'static str = #name;
            type Input = #input;
            type Output = #output;
        }
    }
}

/// The match arm that decodes the arguments, runs the operation and encodes its result.
fn dispatch(item: &FunctionItem) -> TokenStream {
    let (state, context, args, output) =
        (own("__state"), own("__context"), own("__args"), own("__output"));
    let cfgs = item.cfgs();
    let name = operation_name(item);
    let ident = &item.sig.ident;
    let marker = marker(item);
    let arguments: Vec<Ident> =
        (0..item.params.len()).map(|n| own(&format!("__argument{n}"))).collect();
    let passed_context = item.context.is_some().then(|| quote!(#context,));
    let awaited = item.sig.asyncness.is_some().then(|| quote!(.await));
    let finish =
        encode_outcome(&item.ret, &output, &quote!(::durable::__private::encode_return::<#marker>));
    quote! {
        #(#cfgs)*
        #name => ::core::option::Option::Some(
            match ::durable::__private::decode_args::<#marker>(#args) {
                ::core::result::Result::Ok((#(#arguments,)*)) => {
                    let #output = #state.#ident(#passed_context #(#arguments),*) #awaited;
                    #finish
                }
                ::core::result::Result::Err(failure) => ::core::result::Result::Err(failure),
            }
        ),
    }
}

fn proxy_method(item: &FunctionItem) -> TokenStream {
    let cfgs_and_docs = item.docs();
    let vis = &item.vis;
    let ident = &item.sig.ident;
    let marker = marker(item);
    let idents: Vec<_> = item.params.iter().map(|param| &param.ident).collect();
    let types: Vec<_> = item.params.iter().map(|param| &param.ty).collect();
    let output = output_type(&item.ret);
    quote! {
        #(#cfgs_and_docs)*
        #[allow(dead_code, clippy::too_many_arguments)]
        #vis fn #ident(&self, #(#idents: #types),*)
            -> ::durable::__private::EntityCall<Side, #output>
        {
            ::durable::__private::EntityCall::new::<#marker>(
                ::core::clone::Clone::clone(&self.target),
                &(#(#idents,)*),
            )
        }
    }
}
