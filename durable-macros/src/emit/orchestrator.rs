//! The items of an orchestrator: the call, its graph, and the program made of frame and step.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};

use super::step::{Machine, field, own};
use super::{call_items, describe, function_impl};
use crate::ir::{AwaitId, BlockId, BlockKind, Body, VarId};
use crate::layout::{Layout, Place};
use crate::liveness::Liveness;
use crate::lower::fields::{DOT, PART};
use crate::parse::{FunctionItem, ReturnKind};
use crate::rules::Rule;

/// What the passes before made.
pub(crate) struct Compiled {
    pub(crate) body: Body,
    pub(crate) items: Vec<syn::Item>,
    pub(crate) params: Vec<VarId>,
    pub(crate) liveness: Liveness,
    pub(crate) layout: Layout,
    pub(crate) rules: Vec<Rule>,
}

/// All items of an orchestrator.
pub(crate) fn orchestrator(item: &FunctionItem, compiled: &Compiled) -> TokenStream {
    let marker = &item.sig.ident;
    let cfgs = item.cfgs();
    let calls = call_items(item, marker);
    let function = function_impl(item, marker, "Orchestration");
    let graph = graph(item, compiled);
    let program = program(item, compiled);
    let markers = markers(compiled);
    let lints = item.lints();
    quote! {
        #calls
        #function

        #(#cfgs)*
        impl #marker {
            const GRAPH: &'static ::durable::StateGraph = &#graph;

            /// The states of this orchestrator, what is saved in each, and how they follow.
            #[allow(dead_code)]
            pub const fn state_machine() -> &'static ::durable::StateGraph {
                Self::GRAPH
            }
        }

        #(#cfgs)*
        const _: () = {
            #markers

            impl ::durable::__private::Orchestration for #marker {
                #(#lints)*
                #[allow(
                    unreachable_code,
                    unused_labels,
                    clippy::needless_late_init,
                    clippy::used_underscore_binding,
                )]
                fn program() -> ::std::boxed::Box<dyn ::durable::__private::Program> {
                    #program
                }
            }
        };
    }
}

fn program(item: &FunctionItem, compiled: &Compiled) -> TokenStream {
    let Compiled { body, liveness, layout, items, .. } = compiled;
    let ret = &item.ret.ty;
    let ret_alias = own("__Return");
    let done = match item.ret.kind {
        ReturnKind::Result => quote! {
            ::durable::__private::done::result::<
                <#ret_alias as ::durable::__private::ResultType>::Value,
                <#ret_alias as ::durable::__private::ResultType>::Error,
            >
        },
        ReturnKind::Option => quote! {
            ::durable::__private::done::option::<
                <#ret_alias as ::durable::__private::OptionType>::Value,
            >
        },
        ReturnKind::Plain => quote!(::durable::__private::done::plain::<#ret_alias>),
    };
    let step = Machine { body, liveness, layout, done }.step();
    let states = states(layout);
    let frame = frame_type(layout);
    let new_frame = new_frame(item, compiled);
    let slots = slots(compiled);
    let (context, cursor, frame_ident) = (context_pat(item), own("__cursor"), own("__frame"));
    let step = quote! {
        |#context, #cursor, #frame_ident| {
            #(#items)*
            #step
        }
    };
    let build = match item.ret.kind {
        ReturnKind::Result => {
            let error = own("__error");
            let describe = describe(&error);
            let state = own("__State");
            quote! {
                ::durable::__private::program_result::<
                    Self,
                    #state,
                    _,
                    <#ret_alias as ::durable::__private::ResultType>::Error,
                >(
                    Self::GRAPH,
                    #new_frame,
                    #step,
                    #slots,
                    |step| ::durable::__private::finish_result::<Self, _>(step, |#error| #describe),
                )
            }
        }
        ReturnKind::Option | ReturnKind::Plain => {
            let state = own("__State");
            let (build, value) = if item.ret.kind == ReturnKind::Option {
                let value = quote!(<#ret_alias as ::durable::__private::OptionType>::Value);
                (format_ident!("program_option"), Some(value))
            } else {
                (format_ident!("program_plain"), None)
            };
            quote! {
                ::durable::__private::#build::<Self, #state, _, #value>(
                    Self::GRAPH, #new_frame, #step, #slots,
                )
            }
        }
    };
    let build = with_rules(compiled, build);
    quote! {
        type #ret_alias = #ret;
        #states
        #frame
        #build
    }
}

/// Adds the retry rules to a program, if it has any. They see what stands in the body and can be
/// said twice.
fn with_rules(compiled: &Compiled, build: TokenStream) -> TokenStream {
    if compiled.rules.is_empty() {
        return build;
    }
    let can_repeat = |item: &&syn::Item| {
        matches!(item, syn::Item::Use(_) | syn::Item::Fn(_) | syn::Item::Const(_))
    };
    let items = compiled.items.iter().filter(can_repeat);
    let rules = compiled.rules.iter().map(|Rule { maker, name, code }| {
        let maker = Ident::new(&maker.to_string(), Span::mixed_site());
        quote!(::durable::__private::#maker(#name, #code))
    });
    quote! {
        ::durable::__private::with_rules(
            #build,
            {
                #(#[allow(dead_code, unused_imports)] #items)*
                ::std::vec![#(#rules),*]
            },
        )
    }
}

fn context_pat(item: &FunctionItem) -> TokenStream {
    match &item.context {
        Some(context) => {
            let (pat, ty) = (&context.pat, &context.ty);
            quote!(#pat: #ty)
        }
        None => quote!(_),
    }
}

/// The enum of states. Saved ones come first, in the order of the graph.
fn states(layout: &Layout) -> TokenStream {
    let states = own("__State");
    let names = |saved: bool| {
        layout
            .states
            .iter()
            .filter(move |state| state.saved == saved)
            .map(|state| format_ident!("{}", state.name))
    };
    let (saved, joins) = (names(true), names(false));
    let all = names(true);
    quote! {
        #[derive(::core::clone::Clone, ::core::marker::Copy)]
        #[allow(non_camel_case_types)]
        enum #states { #(#saved,)* #(#joins,)* }

        impl ::durable::__private::States for #states {
            const ALL: &'static [Self] = &[#(Self::#all),*];
            fn index(self) -> usize {
                self as usize
            }
        }
    }
}

fn frame_type(layout: &Layout) -> TokenStream {
    let frame = own("__Frame");
    let (fields, types): (Vec<Ident>, Vec<Ident>) =
        frame_slots(layout).map(|index| (field(index), own(&format!("T{index}")))).unzip();
    quote! {
        struct #frame<#(#types),*> {
            #(#fields: ::core::option::Option<#types>,)*
        }
    }
}

fn frame_slots(layout: &Layout) -> impl Iterator<Item = usize> + '_ {
    layout
        .slots
        .iter()
        .enumerate()
        .filter(|(_, slot)| slot.place != Place::Local)
        .map(|(index, _)| index)
}

/// Makes an empty frame, or one with the arguments in it.
fn new_frame(item: &FunctionItem, compiled: &Compiled) -> TokenStream {
    let Compiled { layout, params, .. } = compiled;
    let (frame, made, input) = (own("__Frame"), own("__made"), own("__input"));
    let fields = frame_slots(layout).map(field);
    let types: Vec<_> = item.params.iter().map(|param| &param.ty).collect();
    // An argument that the body does not use keeps its name, so that rustc says so.
    let arguments: Vec<Ident> = params
        .iter()
        .enumerate()
        .map(|(n, var)| match layout.slot(*var) {
            Some(_) => own(&format!("__argument{n}")),
            None => item.params[n].ident.clone(),
        })
        .collect();
    let puts = params.iter().zip(&arguments).filter_map(|(var, argument)| {
        let (index, _) = layout.slot(*var)?;
        let field = field(index);
        Some(quote!(#made.#field = ::core::option::Option::Some(#argument);))
    });
    quote! {
        |#input: ::core::option::Option<(#(#types,)*)>| {
            #[allow(unused_mut)]
            let mut #made = #frame { #(#fields: ::core::option::Option::None,)* };
            if let ::core::option::Option::Some((#(#arguments,)*)) = #input {
                #(#puts)*
            }
            #made
        }
    }
}

/// Saves and loads each variable once, whatever the number of states it is alive in.
fn slots(compiled: &Compiled) -> TokenStream {
    let Compiled { body, layout, .. } = compiled;
    let (frame, slots) = (own("__frame"), own("__slots"));
    let (variables, awaits) = (own(VARIABLES), own(AWAITS));
    let mut calls = TokenStream::new();
    for (position, (index, slot)) in layout.saved_slots().enumerate() {
        let Place::Saved { first, .. } = &slot.place else { continue };
        let var = body.var(slot.var);
        let site = &body.awaits[first.0];
        let variable = marker_ident(&var.ident, var.temporary);
        let state = own(&layout.states[site.resume.0].name);
        let span = if var.temporary { site.span } else { var.ident.span() };
        let field = field(index);
        // The error of a variable that cannot be saved is shown at the variable.
        calls.extend(quote_spanned! {span=>
            #slots.slot::<#variables::#variable, #awaits::#state, _>(#position, &mut #frame.#field);
        });
    }
    // This closure is checked before the others, so it names the frame itself.
    let frame_type = own("__Frame");
    let unknown = frame_slots(layout).map(|_| quote!(_));
    quote! {
        |#frame: &mut #frame_type<#(#unknown),*>, #slots| {
            let _ = (&#frame, &#slots);
            #calls
        }
    }
}

/// The types that stand for variables and awaits in messages. They are outside of the function,
/// where rustc prints short paths of them, and in modules, where they hide nothing of the user's.
fn markers(compiled: &Compiled) -> TokenStream {
    let Compiled { body, layout, .. } = compiled;
    let mut variables: Vec<Ident> = Vec::new();
    let mut awaits: Vec<Ident> = Vec::new();
    for (_, slot) in layout.saved_slots() {
        let Place::Saved { first, .. } = &slot.place else { continue };
        let var = body.var(slot.var);
        let variable = marker_ident(&var.ident, var.temporary);
        let state = own(&layout.states[body.awaits[first.0].resume.0].name);
        if !variables.contains(&variable) {
            variables.push(variable);
        }
        if !awaits.contains(&state) {
            awaits.push(state);
        }
    }
    let markers = |module: &str, names: &[Ident]| {
        let module = own(module);
        quote! {
            #[allow(non_camel_case_types, dead_code)]
            mod #module {
                #(pub(super) struct #names {})*
            }
        }
    };
    let variables = (!variables.is_empty()).then(|| markers(VARIABLES, &variables));
    let awaits = (!awaits.is_empty()).then(|| markers(AWAITS, &awaits));
    quote!(#variables #awaits)
}

/// The modules of the types that stand for variables and awaits.
const VARIABLES: &str = "__variable";
const AWAITS: &str = "__await";

/// A type that stands for a variable in messages. It has a span of ours, so that it is no item of
/// the user's.
fn marker_ident(ident: &Ident, temporary: bool) -> Ident {
    if temporary {
        return Ident::new("value_of_this_expression", Span::mixed_site());
    }
    if let Some(part) = ident.to_string().strip_prefix(PART) {
        return Ident::new(&part.replace(DOT, "_"), Span::mixed_site());
    }
    let mut marker = ident.clone();
    marker.set_span(Span::mixed_site());
    marker
}

fn graph(item: &FunctionItem, compiled: &Compiled) -> TokenStream {
    let Compiled { body, liveness, layout, .. } = compiled;
    let name = item.name();
    let positions: Vec<VarId> = layout.saved_slots().map(|(_, slot)| slot.var).collect();
    let variables = layout.saved_slots().filter_map(|(_, slot)| match &slot.place {
        Place::Saved { name, .. } => Some(name),
        Place::Argument | Place::Local => None,
    });
    let states = layout.saved_states().into_iter().enumerate().map(|(index, block)| {
        let name = &layout.states[block.0].name;
        let live = positions
            .iter()
            .enumerate()
            .filter(|(_, var)| liveness.live_in(block).contains(*var))
            .filter(|(_, var)| !results(body, block).contains(&Some(**var)))
            .map(|(position, _)| position);
        let (awaits, line) = match await_of(body, block) {
            Some(site) => {
                let site = &body.awaits[site.0];
                (site.text.as_str(), quote_spanned!(site.span=> ::core::line!()))
            }
            None => ("", quote!(0)),
        };
        let ends = layout.ends.contains(&index);
        let within = within(compiled, block);
        let branches = results(body, block).into_iter().map(|result| {
            let position = positions.iter().position(|var| Some(*var) == result);
            option(position.map(|position| quote!(#position)))
        });
        quote! {
            ::durable::StateNode {
                name: #name, awaits: #awaits, line: #line, live: &[#(#live),*], ends: #ends,
                within: #within, branches: &[#(#branches),*],
            }
        }
    });
    let edges = layout.edges.iter().map(|(from, to)| quote!((#from, #to)));
    quote! {
        ::durable::StateGraph {
            name: #name,
            variables: &[#(#variables),*],
            states: &[#(#states),*],
            edges: &[#(#edges),*],
        }
    }
}

/// What a saved state waits for.
fn await_of(body: &Body, block: BlockId) -> Option<AwaitId> {
    match body.block(block).kind {
        BlockKind::Resume { site, .. } => Some(site),
        BlockKind::Joined(fork) => Some(body.fork(fork).site),
        BlockKind::Start | BlockKind::Join | BlockKind::Branch => None,
    }
}

/// The variables that hold the values of a fork's branches; empty where none are waited for.
fn results(body: &Body, block: BlockId) -> Vec<Option<VarId>> {
    match body.block(block).kind {
        BlockKind::Joined(fork) => {
            body.fork(fork).branches.iter().map(|branch| body.branch(*branch).result).collect()
        }
        _ => Vec::new(),
    }
}

/// The state that waits for the branch in which a state is, and the number of the branch.
fn within(compiled: &Compiled, block: BlockId) -> TokenStream {
    let Compiled { body, layout, .. } = compiled;
    option(body.block(block).branch.and_then(|branch| {
        let fork = body.fork(body.branch(branch).fork);
        let state = layout.saved_states().iter().position(|state| *state == fork.joined)?;
        let number = fork.branches.iter().position(|other| *other == branch)?;
        Some(quote!((#state, #number)))
    }))
}

fn option(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}
