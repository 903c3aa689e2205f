//! The accumulator of diagnostics and the catalogue of their codes. Every message names the thing,
//! states the rule and offers the remedy; all of one function are reported together.

use proc_macro2::{Span, TokenStream};
use syn::spanned::Spanned;

/// What can be wrong with annotated code. The number never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Code {
    /// D001: not an `async fn`.
    NotAsync,
    /// D002: a parameter that the runtime cannot pass.
    Parameter,
    /// D003: generics, `impl Trait`, `unsafe`, `extern` or `const`.
    Signature,
    /// D004: an attribute option that is unknown or has the wrong form.
    Option,
    /// D005: the annotated item is of the wrong kind.
    Item,
    /// D006: a return type that the runtime cannot use.
    ReturnType,
    /// D007: an `async` block or closure in an orchestrator.
    AsyncBlock,
    /// D008: an await inside a macro.
    AwaitInMacro,
    /// D009: an await in a place that is not supported.
    AwaitPlace,
    /// D010: a call that is not deterministic.
    Nondeterministic,
    /// D011: a name that is reserved.
    Reserved,
    /// D012: a name that is used twice.
    Duplicate,
    /// D013: a borrow that would have to be saved.
    Borrow,
    /// D014: an exemption from the determinism rules without a reason, or too wide.
    Reason,
    /// D015: durable calls in the order of a hash map or set.
    Order,
    /// D016: code that is nested too deeply.
    Nesting,
    /// D017: a retry rule that could not be found again.
    Rule,
    /// D018: a critical section that would not last as long as it looks.
    Guard,
    /// D019: the end of the run among things that are waited for.
    Renewal,
}

impl Code {
    /// The code as it is printed.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::NotAsync => "D001",
            Self::Parameter => "D002",
            Self::Signature => "D003",
            Self::Option => "D004",
            Self::Item => "D005",
            Self::ReturnType => "D006",
            Self::AsyncBlock => "D007",
            Self::AwaitInMacro => "D008",
            Self::AwaitPlace => "D009",
            Self::Nondeterministic => "D010",
            Self::Reserved => "D011",
            Self::Duplicate => "D012",
            Self::Borrow => "D013",
            Self::Reason => "D014",
            Self::Order => "D015",
            Self::Nesting => "D016",
            Self::Rule => "D017",
            Self::Guard => "D018",
            Self::Renewal => "D019",
        }
    }
}

/// Collects diagnostics. Must be checked before it goes out of scope.
#[derive(Default)]
pub(crate) struct Diagnostics {
    errors: Vec<syn::Error>,
    checked: bool,
}

impl Diagnostics {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Notes an error at the tokens of `at`.
    pub(crate) fn error(
        &mut self,
        code: Code,
        at: &(impl Spanned + quote::ToTokens),
        message: &str,
    ) {
        let text = format!("[{}] {message}", code.label());
        self.errors.push(syn::Error::new_spanned(at, text));
    }

    /// Notes an error at one span.
    pub(crate) fn error_at(&mut self, code: Code, at: Span, message: &str) {
        self.errors.push(syn::Error::new(at, format!("[{}] {message}", code.label())));
    }

    /// Notes an error of the parser.
    pub(crate) fn syntax(&mut self, error: syn::Error) {
        self.errors.push(error);
    }

    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// All errors as `compile_error!` calls; empty if there are none.
    pub(crate) fn into_tokens(mut self) -> TokenStream {
        self.checked = true;
        self.errors.drain(..).map(|error| error.to_compile_error()).collect()
    }
}

impl Drop for Diagnostics {
    fn drop(&mut self) {
        assert!(
            self.checked || self.errors.is_empty() || std::thread::panicking(),
            "diagnostics were dropped without being reported"
        );
    }
}
