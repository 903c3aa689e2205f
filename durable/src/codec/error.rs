//! What can go wrong in the codec, and where in the value it did. The path is built while an
//! error travels outwards, so that it costs nothing when there is none. It must not hold on to
//! the text or the value that failed.

use std::fmt::{self, Write as _};

use serde::de::{Expected, Unexpected};

use super::{MAX_DEPTH, scan};

/// A quoted value or key in a message is cut after this many characters.
const MAX_QUOTE: usize = 60;

/// A path longer than this is shown without its middle.
const MAX_PATH: usize = 24;

/// A value could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct EncodeError(Box<Failure<EncodeErrorKind>>);

/// Why a value could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeErrorKind {
    /// The value is nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// A `Serialize` implementation reported an error.
    Value,
}

/// A value could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(Box<Failure<DecodeErrorKind>>);

/// Why a value could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The text is not JSON, ends too early, or goes on after the value.
    Syntax,
    /// The text is nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// The text is JSON, but not of the expected type.
    Value,
}

impl EncodeError {
    /// Why it failed.
    pub fn kind(&self) -> EncodeErrorKind {
        self.0.kind
    }

    /// Where in the value it failed, such as `order.items[3].price`; empty for the value itself.
    pub fn path(&self) -> String {
        self.0.path()
    }

    /// What went wrong, without the path.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub(super) fn too_deep() -> Self {
        Self(Box::new(Failure::new(EncodeErrorKind::TooDeep, too_deep())))
    }

    pub(super) fn within(mut self, segment: Segment) -> Self {
        self.0.inside_out.push(segment);
        self
    }
}

impl DecodeError {
    /// Why it failed.
    pub fn kind(&self) -> DecodeErrorKind {
        self.0.kind
    }

    /// Where in the value it failed, such as `order.items[3].price`; empty for the value itself.
    pub fn path(&self) -> String {
        self.0.path()
    }

    /// What went wrong, without the path.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub(super) fn too_deep() -> Self {
        Self(Box::new(Failure::new(DecodeErrorKind::TooDeep, too_deep())))
    }

    pub(super) fn syntax(what: &str, at: usize) -> Self {
        let message = format!("{what} at byte {at}");
        Self(Box::new(Failure::new(DecodeErrorKind::Syntax, message)))
    }

    pub(super) fn within(mut self, segment: Segment) -> Self {
        self.0.inside_out.push(segment);
        self
    }
}

impl serde::ser::Error for EncodeError {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Box::new(Failure::new(EncodeErrorKind::Value, message.to_string())))
    }
}

impl serde::de::Error for DecodeError {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Box::new(Failure::new(DecodeErrorKind::Value, message.to_string())))
    }

    #[cold]
    fn invalid_type(found: Unexpected, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {expected}, found {}", Found(found)))
    }

    #[cold]
    fn invalid_value(found: Unexpected, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }
}

fn too_deep() -> String {
    format!("the value is nested deeper than {MAX_DEPTH} levels")
}

/// One step from a value to a part of it.
#[derive(Debug, PartialEq)]
pub(super) enum Segment {
    /// A field, a variant or a map key.
    Name(String),
    /// An element of a sequence.
    Index(usize),
}

impl Segment {
    /// The step to a map entry, from the text of its key: a string is shown without its quotes.
    pub(super) fn key(text: &str) -> Self {
        let name = scan::Reader::new(text, 0).key();
        Self::Name(name.map_or_else(|_| text.to_owned(), Into::into))
    }
}

/// What both errors hold, boxed by them to keep every `Result` on the way small.
#[derive(Debug)]
struct Failure<Kind> {
    kind: Kind,
    message: String,
    /// The path, innermost step first.
    inside_out: Vec<Segment>,
}

impl<Kind> Failure<Kind> {
    fn new(kind: Kind, message: String) -> Self {
        let inside_out = Vec::new();
        Self { kind, message, inside_out }
    }

    fn path(&self) -> String {
        let mut path = String::new();
        // Writing to a string does not fail.
        let _ = self.write_path(&mut path);
        path
    }

    fn write_path(&self, path: &mut String) -> fmt::Result {
        let length = self.inside_out.len();
        for (position, segment) in self.inside_out.iter().rev().enumerate() {
            let hidden =
                length > MAX_PATH && (MAX_PATH / 2..length - MAX_PATH / 2).contains(&position);
            match segment {
                _ if hidden && position == MAX_PATH / 2 => path.push_str(" ... "),
                _ if hidden => {}
                Segment::Index(index) => write!(path, "[{index}]")?,
                Segment::Name(name) if is_plain(name) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(name);
                }
                Segment::Name(name) => write!(path, "[{}]", Quote(name))?,
            }
        }
        Ok(())
    }
}

impl<Kind> fmt::Display for Failure<Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.inside_out.is_empty() {
            write!(f, "{}: ", self.path())?;
        }
        f.write_str(&self.message)
    }
}

/// Whether a name reads as one step of a path without quotes.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    !name.is_empty() && name.len() <= MAX_QUOTE && name.chars().all(plain)
}

/// What was found instead, in the words of JSON rather than of Rust.
struct Found<'a>(Unexpected<'a>);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Unexpected::Bool(value) => value.fmt(f),
            Unexpected::Unsigned(value) => value.fmt(f),
            Unexpected::Signed(value) => value.fmt(f),
            Unexpected::Float(value) => write!(f, "{value:?}"),
            Unexpected::Char(value) => write!(f, "{:?}", value.to_string()),
            Unexpected::Str(value) => Quote(value).fmt(f),
            Unexpected::Unit => f.write_str("null"),
            Unexpected::Seq => f.write_str("an array"),
            Unexpected::Map => f.write_str("an object"),
            other => other.fmt(f),
        }
    }
}

/// Text in quotes, cut when it is long.
struct Quote<'a>(&'a str);

impl fmt::Display for Quote<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(MAX_QUOTE) {
            Some((end, _)) => write!(f, "{:?}...", &self.0[..end]),
            None => write!(f, "{:?}", self.0),
        }
    }
}
