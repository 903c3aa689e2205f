//! The retry rules of an orchestrator: the closures and functions that it gives to `.retry_if(..)`
//! and `.retry_after(..)`. A policy is saved as data, so the rule in it becomes a name, and the code
//! goes into a list beside the program, where it is found again whenever an attempt has failed.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, ExprClosure, Pat};

use crate::diag::{Code, Diagnostics};
use crate::lower::branches::visit_parts_mut;
use crate::lower::macros::visit_arguments_mut;
use crate::parse::Param;

/// A rule that is written in the body.
pub(crate) struct Rule {
    /// The method that took it: `retry_if` or `retry_after`, which is also the maker of the rule.
    pub(crate) maker: proc_macro2::Ident,
    /// How saved policies call it.
    pub(crate) name: String,
    /// A closure that captures nothing, or a path of a function.
    pub(crate) code: Expr,
}

/// The methods that take rules.
const METHODS: [&str; 2] = ["retry_if", "retry_after"];

/// Takes the rules out of a body, which has their names afterwards.
/// `orchestrator` is part of the names, so that a policy that is passed on finds no rule of another.
pub(crate) fn take(
    body: &mut syn::Block,
    orchestrator: &str,
    params: &[Param],
    diag: &mut Diagnostics,
) -> Vec<Rule> {
    let mut variables = Names::default();
    variables.visit_block(body);
    variables.0.extend(params.iter().map(|param| param.ident.to_string()));
    let mut taker = Taker { orchestrator, variables: variables.0, rules: Vec::new(), diag };
    taker.visit_block_mut(body);
    taker.rules
}

struct Taker<'a> {
    orchestrator: &'a str,
    variables: BTreeSet<String>,
    rules: Vec<Rule>,
    diag: &'a mut Diagnostics,
}

impl VisitMut for Taker<'_> {
    fn visit_expr_method_call_mut(&mut self, call: &mut syn::ExprMethodCall) {
        visit_mut::visit_expr_method_call_mut(self, call);
        let takes_rule = METHODS.iter().any(|method| call.method == method);
        if takes_rule && call.args.len() == 1 {
            let code = call.args[0].clone();
            if self.is_sound(&call.method, &code) {
                let name = self.name(&call.method, code);
                call.args[0] = syn::parse_quote!(::durable::__private::rule_name(#name));
            }
        }
    }

    fn visit_macro_mut(&mut self, mac: &mut syn::Macro) {
        // What has no rule in it keeps its tokens.
        if METHODS.iter().any(|method| mac.tokens.to_string().contains(method)) {
            visit_parts_mut(mac, &mut |_, part| self.visit_expr_mut(part));
            visit_arguments_mut(mac, &mut |argument| self.visit_expr_mut(argument));
        }
    }

    fn visit_item_mut(&mut self, _: &mut syn::Item) {}
}

impl Taker<'_> {
    fn is_sound(&mut self, method: &proc_macro2::Ident, code: &Expr) -> bool {
        let closure = match code {
            Expr::Closure(closure) => closure,
            Expr::Path(path) if self.is_item(path) => return true,
            other => {
                let message = format!(
                    "`{method}` takes a closure that captures nothing, or the name of a function: \
                     the rule must be found again after a restart, when nothing is left of this \
                     expression. Write `|error: &PaymentError| error.is_temporary()`, say"
                );
                self.diag.error(Code::Rule, other, &message);
                return false;
            }
        };
        if method == "retry_if" && closure.inputs.iter().any(|pat| !matches!(pat, Pat::Type(_))) {
            self.diag.error(
                Code::Rule,
                &closure.inputs,
                "the argument of a retry rule needs its type, since no call stands beside the rule \
                 when it is asked: write `|error: &PaymentError|`, or `|error: &TaskError|` for \
                 every failure",
            );
            return false;
        }
        self.captures_nothing(closure)
    }

    /// Whether a path is not that of a variable.
    fn is_item(&self, path: &syn::ExprPath) -> bool {
        let name = path.path.get_ident();
        name.is_none_or(|name| !self.variables.contains(&name.to_string()))
    }

    fn captures_nothing(&mut self, closure: &ExprClosure) -> bool {
        let mut own = Names::default();
        own.visit_expr_closure(closure);
        let mut used = Used::default();
        used.visit_expr(&closure.body);
        let captured = used.0.iter().find(|name| {
            let text = name.to_string();
            self.variables.contains(&text) && !own.0.contains(&text)
        });
        if let Some(name) = captured {
            let message = format!(
                "a retry rule captures nothing, and this one uses the variable `{name}`: it is asked \
                 after restarts, when no variable is at hand. Use a constant, or put what decides \
                 into the error"
            );
            self.diag.error(Code::Rule, name, &message);
        }
        captured.is_none()
    }

    /// The name of a rule: the orchestrator, and the name of its function, or that of the method by order of appearance.
    fn name(&mut self, method: &proc_macro2::Ident, code: Expr) -> String {
        let base = match &code {
            Expr::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
            _ => None,
        };
        let base = base.unwrap_or_else(|| method.to_string());
        let base = format!("{}.{base}", self.orchestrator);
        let mut name = base.clone();
        for number in 2.. {
            match self.rules.iter().find(|rule| rule.name == name) {
                // The same function, named twice.
                Some(rule) if rule.code == code && rule.maker == *method => return name,
                Some(_) => name = format!("{base}{number}"),
                None => break,
            }
        }
        self.rules.push(Rule { maker: method.clone(), name: name.clone(), code });
        name
    }
}

/// The names that patterns bind.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl<'ast> Visit<'ast> for Names {
    fn visit_pat_ident(&mut self, pat: &'ast syn::PatIdent) {
        self.0.insert(pat.ident.to_string());
        visit::visit_pat_ident(self, pat);
    }

    fn visit_item(&mut self, _: &'ast syn::Item) {}
}

/// The names that expressions use by themselves.
#[derive(Default)]
struct Used(Vec<proc_macro2::Ident>);

impl<'ast> Visit<'ast> for Used {
    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        self.0.extend(path.path.get_ident().cloned());
        visit::visit_expr_path(self, path);
    }
}
