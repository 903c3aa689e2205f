//! How deep code may nest. The parser and every pass go down it on the stack of the compiler, which
//! would otherwise end without a message.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::diag::{Code, Diagnostics};

/// The deepest code that is compiled, in steps: [`GROUP_STEPS`] for each bracket that is open, and
/// one for each token before it in the same expression, for operators nest as well. The compiler gives
/// 8 MiB of stack, of which a debug build of the macros needs less than 6 for this much.
pub(crate) const MAX_NESTING_STEPS: usize = 600;

/// What an open bracket counts: the parser comes through all levels of precedence for it.
const GROUP_STEPS: usize = 8;

/// Refuses code that is nested too deeply. Gives whether it may be parsed.
pub(crate) fn check(tokens: &TokenStream, diag: &mut Diagnostics) -> bool {
    let steps = nesting(tokens);
    if steps <= MAX_NESTING_STEPS {
        return true;
    }
    diag.error_at(
        Code::Nesting,
        proc_macro2::Span::call_site(),
        &format!(
            "this code is nested too deeply, by {steps} steps where {MAX_NESTING_STEPS} are \
             possible: move parts of it into functions, or give parts of long expressions names"
        ),
    );
    false
}

/// One open bracket.
struct Level {
    rest: proc_macro2::token_stream::IntoIter,
    /// The tokens of the current expression so far.
    steps: usize,
    /// The most steps below this level, from its beginning.
    deepest: usize,
    after_block: bool,
}

impl Level {
    fn new(tokens: TokenStream) -> Self {
        Self { rest: tokens.into_iter(), steps: 0, deepest: 0, after_block: false }
    }
}

/// The most steps that lead down to any token. It keeps its own stack.
fn nesting(tokens: &TokenStream) -> usize {
    let mut levels = vec![Level::new(tokens.clone())];
    loop {
        let Some(level) = levels.last_mut() else { return 0 };
        match level.rest.next() {
            Some(token) => {
                if level.is_next_expression(&token) {
                    level.end_expression();
                }
                level.after_block = false;
                match token {
                    TokenTree::Group(group) => {
                        level.after_block = group.delimiter() == Delimiter::Brace;
                        levels.push(Level::new(group.stream()));
                    }
                    TokenTree::Punct(punct) if matches!(punct.as_char(), ';' | ',') => {
                        level.end_expression();
                    }
                    _ => level.steps += 1,
                }
            }
            None => {
                let below = level.deepest.max(level.steps);
                levels.pop();
                let Some(outer) = levels.last_mut() else { return below };
                outer.deepest = outer.deepest.max(outer.steps + GROUP_STEPS + below);
                outer.steps += 1;
            }
        }
    }
}

impl Level {
    /// Whether a statement or an arm ended in a block, and this is not more of it: only `else` and
    /// operators go on behind a block.
    fn is_next_expression(&self, token: &TokenTree) -> bool {
        self.after_block
            && match token {
                TokenTree::Ident(ident) => ident != "else" && ident != "as",
                TokenTree::Punct(punct) => punct.as_char() == '#',
                TokenTree::Literal(_) | TokenTree::Group(_) => true,
            }
    }

    fn end_expression(&mut self) {
        self.deepest = self.deepest.max(self.steps);
        self.steps = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_and_brackets_count_and_statements_do_not() {
        let steps = |text: &str| nesting(&text.parse().unwrap());
        assert_eq!(steps("a + b"), 3);
        assert_eq!(steps("a; b; c, d"), 1);
        assert_eq!(steps("f(a)"), 1 + GROUP_STEPS + 1);
        assert_eq!(steps("if a {} if b {} if c {}"), 2 + GROUP_STEPS);
        assert_eq!(steps("1 => {} 2 => {} (x, y) => {}"), 3 + GROUP_STEPS);
        assert_eq!(steps("if a {} else if b {} else {}"), 8 + GROUP_STEPS);
    }
}
