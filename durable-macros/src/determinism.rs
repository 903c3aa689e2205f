//! What an orchestrator may not call, and what to write instead: the table of banned paths,
//! methods and macros, and the visitor that finds them. The rules are those of the original's
//! analyzer, in terms of Rust's crates.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::diag::{Code, Diagnostics};

const CLOCK: &str = "`ctx.now()`, which is the same whenever the turn runs again";
const RANDOM: &str = "`ctx.random()`, or draw it in an `#[activity]`";
const UUID: &str = "`ctx.new_uuid()`";
const SLEEP: &str = "`ctx.sleep(..).await`";
const SPAWN: &str = "`ctx.spawn(..)` for durable calls, or an `#[activity]` for other work";
const ACTIVITY: &str = "an `#[activity]`";
const ENV: &str = "an `#[activity]`, or an argument of the orchestration";
const SYNC: &str = "an entity: an orchestrator runs alone and shares nothing";

/// A banned path: the segments that it ends with or, with a `*` at the end, contains.
struct Rule {
    path: &'static [&'static str],
    instead: &'static str,
}

const fn rule(path: &'static [&'static str], instead: &'static str) -> Rule {
    Rule { path, instead }
}

const PATHS: &[Rule] = &[
    rule(&["SystemTime", "now"], CLOCK),
    rule(&["Instant", "now"], CLOCK),
    rule(&["Utc", "now"], CLOCK),
    rule(&["Local", "now"], CLOCK),
    rule(&["Timestamp", "now"], CLOCK),
    rule(&["Zoned", "now"], CLOCK),
    rule(&["OffsetDateTime", "now_utc"], CLOCK),
    rule(&["OffsetDateTime", "now_local"], CLOCK),
    rule(&["Uuid", "new_v4"], UUID),
    rule(&["Uuid", "now_v7"], UUID),
    rule(&["Uuid", "now_v1"], UUID),
    rule(&["rand", "*"], RANDOM),
    rule(&["fastrand", "*"], RANDOM),
    rule(&["getrandom", "*"], RANDOM),
    rule(&["RandomState", "new"], RANDOM),
    rule(&["thread", "sleep"], SLEEP),
    rule(&["tokio", "time", "*"], SLEEP),
    rule(&["thread", "*"], SPAWN),
    rule(&["tokio", "spawn"], SPAWN),
    rule(&["tokio", "task", "*"], SPAWN),
    rule(&["std", "env", "*"], ENV),
    rule(&["env", "var"], ENV),
    rule(&["env", "vars"], ENV),
    rule(&["env", "args"], ENV),
    rule(&["env", "current_dir"], ENV),
    rule(&["std", "fs", "*"], ACTIVITY),
    rule(&["tokio", "fs", "*"], ACTIVITY),
    rule(&["fs", "read"], ACTIVITY),
    rule(&["fs", "write"], ACTIVITY),
    rule(&["fs", "read_to_string"], ACTIVITY),
    rule(&["fs", "read_dir"], ACTIVITY),
    rule(&["File", "open"], ACTIVITY),
    rule(&["File", "create"], ACTIVITY),
    rule(&["std", "net", "*"], ACTIVITY),
    rule(&["tokio", "net", "*"], ACTIVITY),
    rule(&["TcpStream", "connect"], ACTIVITY),
    rule(&["TcpListener", "bind"], ACTIVITY),
    rule(&["UdpSocket", "bind"], ACTIVITY),
    rule(&["Command", "new"], ACTIVITY),
    rule(&["std", "process", "*"], ACTIVITY),
    rule(&["process", "exit"], ACTIVITY),
    rule(&["std", "io", "stdin"], ACTIVITY),
    rule(&["std", "io", "stdout"], ACTIVITY),
    rule(&["io", "stdin"], ACTIVITY),
    rule(&["io", "stdout"], ACTIVITY),
    rule(&["io", "stderr"], ACTIVITY),
    rule(&["reqwest", "*"], ACTIVITY),
    rule(&["hyper", "*"], ACTIVITY),
    rule(&["sqlx", "*"], ACTIVITY),
    rule(&["tokio", "sync", "*"], SYNC),
    rule(&["Mutex", "new"], SYNC),
    rule(&["RwLock", "new"], SYNC),
    rule(&["mpsc", "channel"], SYNC),
    rule(&["oneshot", "channel"], SYNC),
];

const METHODS: &[(&str, &str)] = &[("elapsed", CLOCK)];

const MACROS: &[(&str, &str)] = &[
    ("println", "an `#[activity]`, or `ctx.set_custom_status(..)`"),
    ("print", "an `#[activity]`, or `ctx.set_custom_status(..)`"),
    ("eprintln", "an `#[activity]`, or `ctx.set_custom_status(..)`"),
    ("eprint", "an `#[activity]`, or `ctx.set_custom_status(..)`"),
    ("dbg", "an `#[activity]`, or `ctx.set_custom_status(..)`"),
    ("thread_local", SYNC),
];

impl Rule {
    fn matches(&self, path: &[String]) -> bool {
        match self.path.split_last() {
            Some((&"*", prefix)) => {
                // The crate or module itself, as the path begins.
                path.len() > prefix.len() && prefix.iter().zip(path).all(|(a, b)| a == b)
            }
            _ => {
                path.len() >= self.path.len()
                    && self.path.iter().rev().zip(path.iter().rev()).all(|(a, b)| a == b)
            }
        }
    }
}

/// Reports every call in an orchestrator's body that is not deterministic.
pub(crate) fn check(body: &syn::Block, diag: &mut Diagnostics) {
    Finder { diag }.visit_block(body);
}

struct Finder<'d> {
    diag: &'d mut Diagnostics,
}

impl Finder<'_> {
    fn report(&mut self, at: proc_macro2::Span, what: &str, instead: &str) {
        self.diag.error_at(
            Code::Nondeterministic,
            at,
            &format!(
                "`{what}` is not deterministic: an orchestrator must do the same whenever a turn \
                 runs again; use {instead}"
            ),
        );
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_expr_path(&mut self, expr: &'ast syn::ExprPath) {
        let path: Vec<String> =
            expr.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if path.len() > 1
            && let Some(rule) = PATHS.iter().find(|rule| rule.matches(&path))
        {
            self.report(expr.path.span(), &path.join("::"), rule.instead);
        }
        visit::visit_expr_path(self, expr);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if let Some((name, instead)) = METHODS.iter().find(|(name, _)| call.method == name) {
            self.report(call.method.span(), &format!(".{name}()"), instead);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        let Some(last) = mac.path.segments.last() else { return };
        if let Some((name, instead)) = MACROS.iter().find(|(name, _)| last.ident == name) {
            self.report(mac.path.span(), &format!("{name}!"), instead);
        }
    }

    fn visit_item_fn(&mut self, _: &'ast syn::ItemFn) {
        // An inner function is a helper, which the run-time check covers.
    }
}

#[cfg(test)]
mod tests {
    use super::PATHS;

    fn is_banned(path: &str) -> bool {
        let path: Vec<String> = path.split("::").map(str::to_owned).collect();
        PATHS.iter().any(|rule| rule.matches(&path))
    }

    #[test]
    fn paths_match_by_their_end_or_by_their_crate() {
        for banned in
            ["SystemTime::now", "std::time::Instant::now", "rand::random", "std::fs::read"]
        {
            assert!(is_banned(banned), "{banned}");
        }
        for allowed in ["Order::now", "my::rand", "Duration::from_secs", "Vec::new"] {
            assert!(!is_banned(allowed), "{allowed}");
        }
    }
}
