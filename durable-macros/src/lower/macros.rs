//! Awaits inside the arguments of macros whose arguments are expressions: those of std.

use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, Pat, Token};

use super::place::can_stay;
use super::{Lowering, suspends};
use crate::diag::Code;

/// How a macro evaluates its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arguments {
    /// All of them, in order, by reference: a text and values.
    Format,
    /// A condition or value or two first; the rest only if it fails.
    First(usize),
    Vec,
    Matches,
}

impl Arguments {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "format" | "format_args" | "panic" | "unreachable" | "todo" | "unimplemented"
            | "print" | "println" | "eprint" | "eprintln" | "write" | "writeln" | "bail"
            | "anyhow" => Self::Format,
            "assert" | "debug_assert" | "ensure" => Self::First(1),
            "assert_eq" | "assert_ne" | "debug_assert_eq" | "debug_assert_ne" => Self::First(2),
            "vec" => Self::Vec,
            "matches" => Self::Matches,
            _ => return None,
        })
    }
}

impl Lowering<'_> {
    /// Lowers a macro of std that has awaits in its arguments. Gives the macro without them.
    pub(super) fn std_macro(&mut self, mut mac: syn::ExprMacro) -> Expr {
        let name = mac.mac.path.segments.last().map(|segment| segment.ident.to_string());
        let Some((name, arguments)) =
            name.and_then(|name| Arguments::of(&name).map(|arguments| (name, arguments)))
        else {
            self.diag.error(
                Code::AwaitInMacro,
                &mac.mac.path,
                "an await inside the arguments of this macro is not supported, since only the \
                 macro knows what it does with them: await before it and pass it the result",
            );
            return Expr::Macro(mac);
        };
        if let Some(always) = name.strip_prefix("debug_") {
            // Where these checks are off their arguments are not evaluated.
            let tokens = &mac.mac.tokens;
            let always = proc_macro2::Ident::new(always, proc_macro2::Span::call_site());
            return self.expr(syn::parse_quote! {
                if ::core::cfg!(debug_assertions) { ::core::#always!(#tokens) }
            });
        }
        let tokens = mac.mac.tokens.clone();
        let lowered = match arguments {
            Arguments::Matches => return self.matches_macro(mac),
            Arguments::Vec => self.vec_arguments(tokens),
            Arguments::Format => self.borrowed_arguments(tokens, usize::MAX),
            Arguments::First(count) => self.borrowed_arguments(tokens, count),
        };
        match lowered {
            Ok(tokens) => mac.mac.tokens = tokens,
            Err(error) => self.diag.syntax(error),
        }
        Expr::Macro(mac)
    }

    /// Arguments that the macro takes by reference; only the first `count` may suspend.
    fn borrowed_arguments(
        &mut self,
        tokens: proc_macro2::TokenStream,
        count: usize,
    ) -> syn::Result<proc_macro2::TokenStream> {
        let parser = Punctuated::<Expr, Token![,]>::parse_terminated;
        let arguments: Vec<Expr> = parser.parse2(tokens)?.into_iter().collect();
        let last = arguments.iter().rposition(suspends);
        if let Some(lazy) = arguments.iter().skip(count).find(|argument| suspends(argument)) {
            self.diag.error(
                Code::AwaitInMacro,
                lazy,
                "the message is made only if the check fails, so it cannot await: await before \
                 the macro, or write the `if` and the `panic!`",
            );
        }
        let mut lowered = Vec::new();
        for (index, argument) in arguments.iter().cloned().enumerate() {
            let is_before = last.is_some_and(|last| index < last) && index < count;
            let later = &arguments[index + 1..];
            lowered.push(match argument {
                // `name = value`
                Expr::Assign(mut named) => {
                    *named.right = self.borrowed_argument(*named.right, is_before, later);
                    Expr::Assign(named)
                }
                value => self.borrowed_argument(value, is_before, later),
            });
        }
        Ok(quote::quote!(#(#lowered),*))
    }

    fn borrowed_argument(&mut self, value: Expr, is_before: bool, later: &[Expr]) -> Expr {
        let stays = can_stay(&value, later);
        let value = self.expr(value);
        match (is_before, stays) {
            (false, _) => value,
            (true, true) => self.settled(value),
            (true, false) => self.kept(value),
        }
    }

    fn vec_arguments(
        &mut self,
        tokens: proc_macro2::TokenStream,
    ) -> syn::Result<proc_macro2::TokenStream> {
        match syn::parse2(tokens)? {
            Elements::List(elements) => {
                let elements = self.operands(elements, &[]);
                Ok(quote::quote!(#(#elements),*))
            }
            Elements::Repeat(element, count) => {
                let parts = self.operands(vec![*element, *count], &[]);
                Ok(quote::quote!(#(#parts);*))
            }
        }
    }

    /// `matches!(value, pattern if guard)` is a `match`.
    fn matches_macro(&mut self, mac: syn::ExprMacro) -> Expr {
        match syn::parse2(mac.mac.tokens.clone()) {
            Ok(Test { value, pat, guard }) => {
                let guard = guard.map(|guard| quote::quote!(if #guard));
                self.expr(syn::parse_quote! {
                    match #value { #pat #guard => true, #[allow(unreachable_patterns)] _ => false }
                })
            }
            Err(error) => {
                self.diag.syntax(error);
                Expr::Macro(mac)
            }
        }
    }
}

/// Whether the arguments of a macro are known to be expressions.
pub(super) fn takes_expressions(mac: &syn::Macro) -> bool {
    let name = mac.path.segments.last().map(|segment| segment.ident.to_string());
    name.is_some_and(|name| Arguments::of(&name).is_some())
}

/// Visits the arguments of a macro of std as the expressions that they are.
pub(crate) fn visit_arguments_mut(mac: &mut syn::Macro, visit: &mut dyn FnMut(&mut Expr)) {
    let name = mac.path.segments.last().map(|segment| segment.ident.to_string());
    let arguments = name.and_then(|name| Arguments::of(&name));
    match arguments {
        None => {}
        Some(Arguments::Matches) => {
            let Ok(Test { mut value, pat, mut guard }) = syn::parse2(mac.tokens.clone()) else {
                return;
            };
            visit(&mut value);
            guard.iter_mut().for_each(visit);
            let guard = guard.map(|guard| quote::quote!(if #guard));
            mac.tokens = quote::quote!(#value, #pat #guard);
        }
        Some(Arguments::Vec) => {
            let Ok(elements) = syn::parse2::<Elements>(mac.tokens.clone()) else { return };
            match elements {
                Elements::List(mut elements) => {
                    elements.iter_mut().for_each(&mut *visit);
                    mac.tokens = quote::quote!(#(#elements),*);
                }
                Elements::Repeat(mut element, mut count) => {
                    visit(&mut element);
                    visit(&mut count);
                    mac.tokens = quote::quote!(#element; #count);
                }
            }
        }
        Some(Arguments::Format | Arguments::First(_)) => {
            let parser = Punctuated::<Expr, Token![,]>::parse_terminated;
            let Ok(mut arguments) = parser.parse2(mac.tokens.clone()) else { return };
            for argument in &mut arguments {
                match argument {
                    // `name = value`
                    Expr::Assign(named) => visit(&mut named.right),
                    value => visit(value),
                }
            }
            mac.tokens = quote::quote!(#arguments);
        }
    }
}

/// The arguments of `vec!`.
pub(super) enum Elements {
    List(Vec<Expr>),
    Repeat(Box<Expr>, Box<Expr>),
}

/// The arguments of `matches!`.
pub(super) struct Test {
    pub(super) value: Expr,
    pub(super) pat: Pat,
    pub(super) guard: Option<Expr>,
}

impl Parse for Test {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let value = input.parse()?;
        input.parse::<Token![,]>()?;
        let pat = Pat::parse_multi_with_leading_vert(input)?;
        let guard = if input.peek(Token![if]) {
            input.parse::<Token![if]>()?;
            Some(input.parse()?)
        } else {
            None
        };
        input.parse::<Option<Token![,]>>()?;
        Ok(Self { value, pat, guard })
    }
}

impl Parse for Elements {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut elements = Vec::new();
        while !input.is_empty() {
            let element: Expr = input.parse()?;
            if elements.is_empty() && input.peek(Token![;]) {
                input.parse::<Token![;]>()?;
                return Ok(Self::Repeat(Box::new(element), Box::new(input.parse()?)));
            }
            elements.push(element);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(Self::List(elements))
    }
}
