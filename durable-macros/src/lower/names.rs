//! What an await waits for, as words: the state is named after it.

use quote::ToTokens;
use syn::Expr;

/// The subject of a state name, in camel case: `ChargeCard`, `EventApproval`, `Timer`, `All`.
pub(crate) fn subject(call: &Expr) -> String {
    match call {
        Expr::Call(call) => match &*call.func {
            Expr::Path(path) => path.path.segments.last().map_or_else(unnamed, |segment| {
                let name = segment.ident.to_string();
                match name.as_str() {
                    "join_all" | "try_join_all" | "Join" | "TryJoin" => "All".to_owned(),
                    "select_all" => "Any".to_owned(),
                    _ => camel_case(&name),
                }
            }),
            _ => unnamed(),
        },
        Expr::MethodCall(call) => {
            let name = call.method.to_string();
            match name.as_str() {
                "sleep" | "sleep_until" => "Timer".to_owned(),
                "wait_for_event" => format!("Event{}", event_name(call.args.first())),
                "continue_as_new" => "ContinueAsNew".to_owned(),
                // Options of a call say nothing about what is called.
                "retry" | "timeout" | "instance_id" | "version" | "__held" => {
                    subject(&call.receiver)
                }
                "remove" | "swap_remove" | "unwrap" | "expect" | "pop" | "take" | "clone" => {
                    "Task".to_owned()
                }
                _ => camel_case(&name),
            }
        }
        Expr::Path(path) => path
            .path
            .segments
            .last()
            .map_or_else(unnamed, |segment| camel_case(&segment.ident.to_string())),
        Expr::Paren(inner) => subject(&inner.expr),
        Expr::Try(inner) => subject(&inner.expr),
        Expr::Reference(inner) => subject(&inner.expr),
        Expr::Field(field) => match &field.member {
            syn::Member::Named(name) => camel_case(&name.to_string()),
            syn::Member::Unnamed(_) => unnamed(),
        },
        _ => unnamed(),
    }
}

fn unnamed() -> String {
    "Task".to_owned()
}

fn event_name(name: Option<&Expr>) -> String {
    match name {
        Some(Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. })) => camel_case(&text.value()),
        Some(Expr::Path(path)) => path
            .path
            .segments
            .last()
            .map(|segment| camel_case(&segment.ident.to_string().to_lowercase()))
            .unwrap_or_default(),
        Some(Expr::Reference(inner)) => event_name(Some(&inner.expr)),
        _ => String::new(),
    }
}

/// `charge_card` and `Charge-card` become `ChargeCard`.
pub(crate) fn camel_case(name: &str) -> String {
    let name = name.trim_start_matches("r#").trim_start_matches('_');
    let mut out = String::new();
    let mut upper = true;
    for c in name.chars() {
        if c.is_alphanumeric() {
            if upper {
                out.extend(c.to_uppercase());
            } else {
                out.push(c);
            }
            upper = false;
        } else {
            upper = true;
        }
    }
    if out.is_empty() { unnamed() } else { out }
}

/// The source text of what is awaited, shortened.
pub(crate) fn text(call: &Expr) -> String {
    // The macros that await are calls of ours by now.
    let (name, tokens) = match call {
        Expr::Call(call) => match (&*call.func, call.args.first()) {
            (Expr::Path(path), Some(Expr::Tuple(branches))) => {
                let branches = branches.elems.to_token_stream();
                match path.path.segments.last().map(|segment| segment.ident.to_string()).as_deref()
                {
                    Some("Join") => ("join! ", quote::quote!((#branches))),
                    Some("TryJoin") => ("try_join! ", quote::quote!((#branches))),
                    _ => ("", call.to_token_stream()),
                }
            }
            _ => ("", call.to_token_stream()),
        },
        other => ("", other.to_token_stream()),
    };
    tidy(&format!("{name}{tokens}"))
}

/// Tokens as people write them, on one line.
pub(super) fn tidy(tokens: &str) -> String {
    let text = crate::ir::shorten(tokens);
    // Tokens print with spaces around them; people do not write them.
    [
        (" . ", "."),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        (" ,", ","),
        (",)", ")"),
        (" :: ", "::"),
        ("& ", "&"),
    ]
    .iter()
    .fold(text, |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::subject;

    #[test]
    fn states_are_named_after_what_they_wait_for() {
        for (source, expected) in [
            ("charge_card(order.clone())", "ChargeCard"),
            ("charge_card(order).retry(policy).timeout(limit)", "ChargeCard"),
            ("Payments::refund(receipt)", "Refund"),
            ("ctx.sleep(length)", "Timer"),
            ("ctx.wait_for_event::<bool>(\"approval-event\")", "EventApprovalEvent"),
            ("ctx.wait_for_event(APPROVAL)", "EventApproval"),
            ("join_all(calls)", "All"),
            ("select_all(calls)", "Any"),
            ("counter.add(5)", "Add"),
            ("task", "Task"),
            ("tasks[0]", "Task"),
        ] {
            assert_eq!(subject(&syn::parse_str(source).unwrap()), expected, "{source}");
        }
    }
}
