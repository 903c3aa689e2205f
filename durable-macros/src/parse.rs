//! Parsing: attribute options, and the syn item as our own `Orchestrator`, `Activity` or `Entity`.
//! Looks at shape only; `check` applies the rules.

use proc_macro2::{Ident, Span, TokenStream};
use syn::parse::Parser;
use syn::spanned::Spanned;

use crate::diag::{Code, Diagnostics};

/// `name = ".."` and `version = ".."` of an attribute.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) name: Option<syn::LitStr>,
    pub(crate) version: Option<syn::LitStr>,
    /// The state from which an entity begins.
    pub(crate) initial: Option<syn::Expr>,
}

impl Options {
    /// Parses the tokens of the attribute; `allowed` are the options that it takes.
    pub(crate) fn parse(tokens: TokenStream, allowed: &[&str], diag: &mut Diagnostics) -> Self {
        let mut options = Self::default();
        let parser = syn::meta::parser(|meta| {
            let Some(name) = meta.path.get_ident().map(ToString::to_string) else {
                return Err(meta.error(unknown_option(allowed)));
            };
            if !allowed.contains(&name.as_str()) {
                return Err(meta.error(unknown_option(allowed)));
            }
            if name == "initial" {
                if options.initial.replace(meta.value()?.parse()?).is_some() {
                    return Err(meta.error("[D004] `initial` is given twice: keep one"));
                }
                return Ok(());
            }
            let value: syn::LitStr = meta.value()?.parse()?;
            if value.value().is_empty() || value.value().len() > MAX_NAME_BYTES {
                return Err(syn::Error::new(
                    value.span(),
                    format!("[D004] `{name}` takes 1 to {MAX_NAME_BYTES} bytes of text"),
                ));
            }
            let place = if name == "name" { &mut options.name } else { &mut options.version };
            if place.replace(value).is_some() {
                return Err(meta.error(format!("[D004] `{name}` is given twice: keep one")));
            }
            Ok(())
        });
        if let Err(error) = parser.parse2(tokens) {
            diag.syntax(error);
        }
        options
    }
}

/// The type of an orchestrator's context.
pub(crate) const ORCHESTRATION_CONTEXT: &str = "OrchestrationContext";

/// The longest name that a store takes, in bytes.
const MAX_NAME_BYTES: usize = 256;

fn unknown_option(allowed: &[&str]) -> String {
    if allowed.is_empty() {
        return "[D004] this attribute takes no options: remove them".to_owned();
    }
    let value = |name: &&str| if *name == "initial" { "value" } else { "\"..\"" };
    let allowed: Vec<String> =
        allowed.iter().map(|name| format!("`{name} = {}`", value(name))).collect();
    format!("[D004] unknown option: this attribute takes {}", allowed.join(" and "))
}

/// A parameter that the caller passes.
#[derive(Debug, Clone)]
pub(crate) struct Param {
    /// The name it has in generated signatures.
    pub(crate) ident: Ident,
    pub(crate) mutable: bool,
    pub(crate) ty: syn::Type,
    /// The pattern, if it is more than a name.
    pub(crate) pat: Option<syn::Pat>,
}

/// The context parameter: its name in the body.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) pat: syn::Pat,
    pub(crate) ty: syn::Type,
}

/// How a function returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReturnKind {
    Result,
    Option,
    Plain,
}

/// A return type.
#[derive(Debug, Clone)]
pub(crate) struct Return {
    pub(crate) kind: ReturnKind,
    pub(crate) ty: syn::Type,
}

impl Return {
    /// `Result` and `Option` are recognised by name; a macro knows no types.
    pub(crate) fn of(output: &syn::ReturnType) -> Self {
        let ty = match output {
            syn::ReturnType::Default => syn::parse_quote!(()),
            syn::ReturnType::Type(_, ty) => (**ty).clone(),
        };
        let kind = match &ty {
            syn::Type::Path(path) => match path.path.segments.last() {
                Some(segment) if segment.ident == "Result" => ReturnKind::Result,
                Some(segment) if segment.ident == "Option" => ReturnKind::Option,
                _ => ReturnKind::Plain,
            },
            _ => ReturnKind::Plain,
        };
        Self { kind, ty }
    }

    /// Where the type of the value is written: for a `Result` its first argument.
    pub(crate) fn value_span(&self) -> Span {
        if let syn::Type::Path(path) = &self.ty
            && let Some(segment) = path.path.segments.last()
            && let syn::PathArguments::AngleBracketed(arguments) = &segment.arguments
            && let Some(value) = arguments.args.first()
        {
            return value.span();
        }
        self.ty.span()
    }
}

/// A free function, or a method, that can be called by name.
#[derive(Debug, Clone)]
pub(crate) struct FunctionItem {
    pub(crate) attrs: Vec<syn::Attribute>,
    pub(crate) vis: syn::Visibility,
    pub(crate) sig: syn::Signature,
    pub(crate) receiver: Option<syn::Receiver>,
    pub(crate) context: Option<Context>,
    pub(crate) params: Vec<Param>,
    pub(crate) ret: Return,
    pub(crate) body: syn::Block,
    pub(crate) options: Options,
}

impl FunctionItem {
    /// Takes a function apart. `context` is the name of the context type.
    pub(crate) fn new(
        attrs: Vec<syn::Attribute>,
        vis: syn::Visibility,
        sig: syn::Signature,
        body: syn::Block,
        options: Options,
        context: &str,
    ) -> Self {
        let mut item = Self {
            attrs,
            vis,
            receiver: None,
            context: None,
            params: Vec::new(),
            ret: Return::of(&sig.output),
            body,
            options,
            sig,
        };
        for (index, input) in item.sig.inputs.clone().into_iter().enumerate() {
            match input {
                syn::FnArg::Receiver(receiver) => item.receiver = Some(receiver),
                syn::FnArg::Typed(typed) if is_reference_to(&typed.ty, context) => {
                    item.context = Some(Context { pat: *typed.pat, ty: *typed.ty });
                }
                syn::FnArg::Typed(typed) => item.params.push(param(index, typed)),
            }
        }
        item
    }

    /// The registered name.
    pub(crate) fn name(&self) -> String {
        self.options.name.as_ref().map_or_else(
            || self.sig.ident.to_string().trim_start_matches("r#").to_owned(),
            syn::LitStr::value,
        )
    }

    /// The version, empty for none.
    pub(crate) fn version(&self) -> String {
        self.options.version.as_ref().map(syn::LitStr::value).unwrap_or_default()
    }

    /// The attributes that go onto every generated item: those that remove it.
    pub(crate) fn cfgs(&self) -> Vec<&syn::Attribute> {
        self.attrs.iter().filter(|attr| attr.path().is_ident("cfg")).collect()
    }

    /// The attributes that go onto the function that makes calls.
    pub(crate) fn docs(&self) -> Vec<&syn::Attribute> {
        let on_signature = |attr: &&syn::Attribute| {
            ["cfg", "doc", "deprecated"].iter().any(|name| attr.path().is_ident(name))
        };
        self.attrs.iter().filter(on_signature).collect()
    }

    /// The attributes that go onto the body.
    pub(crate) fn lints(&self) -> Vec<&syn::Attribute> {
        let on_body = |attr: &&syn::Attribute| {
            ["allow", "expect", "warn", "deny"].iter().any(|name| attr.path().is_ident(name))
        };
        self.attrs.iter().filter(on_body).collect()
    }
}

fn param(index: usize, typed: syn::PatType) -> Param {
    match *typed.pat {
        syn::Pat::Ident(ref pat) if pat.by_ref.is_none() && pat.subpat.is_none() => Param {
            ident: pat.ident.clone(),
            mutable: pat.mutability.is_some(),
            ty: *typed.ty,
            pat: None,
        },
        pat => Param {
            ident: Ident::new(
                &format!("argument{index}"),
                Span::mixed_site().located_at(pat.span()),
            ),
            mutable: false,
            ty: *typed.ty,
            pat: Some(pat),
        },
    }
}

/// Whether a type is a reference to the type of this name.
pub(crate) fn is_reference_to(ty: &syn::Type, name: &str) -> bool {
    match ty {
        syn::Type::Reference(reference) => match &*reference.elem {
            syn::Type::Path(path) => {
                path.path.segments.last().is_some_and(|segment| segment.ident == name)
            }
            _ => false,
        },
        _ => false,
    }
}

/// Parses an item that must be a function.
pub(crate) fn function(
    item: TokenStream,
    what: &str,
    diag: &mut Diagnostics,
) -> Option<syn::ItemFn> {
    match syn::parse2::<syn::Item>(item) {
        Ok(syn::Item::Fn(function)) => Some(function),
        Ok(other) => {
            diag.error(Code::Item, &other, &format!("`{what}` goes on an `async fn`"));
            None
        }
        Err(error) => {
            diag.syntax(error);
            None
        }
    }
}

/// Parses an item that must be an impl block.
pub(crate) fn impl_block(
    item: TokenStream,
    what: &str,
    diag: &mut Diagnostics,
) -> Option<syn::ItemImpl> {
    match syn::parse2::<syn::Item>(item) {
        Ok(syn::Item::Impl(block)) => Some(block),
        Ok(other) => {
            diag.error(Code::Item, &other, &format!("`{what}` goes on an `impl` block of a type"));
            None
        }
        Err(error) => {
            diag.syntax(error);
            None
        }
    }
}
