//! The form in which state, arguments and results are saved: JSON a person can read, from which
//! every Rust value comes back as it was. It knows serde and nothing of this crate; it must not
//! add decoration to a value that plain JSON already holds.
//!
//! Everything looks as `serde_json` writes it, except for what `serde_json` would lose:
//!
//! | value | written as |
//! |---|---|
//! | `Some(x)` where `x` is written `null`, or is itself so wrapped | `{"$some":x}` |
//! | an object key `$some`, `$$some`, ... of a map, a struct or an enum | one more `$` in front |
//! | a float that is not finite | `"NaN"`, `"inf"`, `"-inf"` |
//! | a 128-bit integer that fits neither `i64` nor `u64` | a string of decimal digits |
//! | a map with a key that an object cannot hold | `[[key,value],...]` |
//! | bytes | `[1,2,3]` |
//!
//! An object can hold keys of *one* of these kinds: text (strings, chars, unit variants), integers,
//! floats, bools. Keys of several kinds, as an untagged enum may give, make an array of pairs too.
//!
//! The second rule makes the first unambiguous without a look at the type, so nested options
//! hold even where serde buffers a value before it knows its type: in untagged and internally
//! tagged enums, in adjacently tagged ones whose tag comes last, and in flattened fields. The
//! other rules need the type. A float that is not finite, a wide integer, and a map whose keys are
//! not strings, chars or unit variants can be written there, but reading them back is an error,
//! or, in an untagged enum, finds the first variant that fits the text. `serde_json` has the same
//! limits or narrower ones.
//!
//! Two things are not kept anywhere: the payload bits of a NaN, and the spelling of JSON that
//! comes from elsewhere, except in a `serde_json::value::RawValue`.

use serde::Serialize;
use serde::de::DeserializeOwned;

mod de;
mod error;
mod scan;
mod ser;

pub use error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};

/// How many arrays and objects may be open at once in encoded text, and, counted apart, how many
/// `Some`s.
///
/// `serde_json` stops at 128; the difference is room for what the text is embedded in, so that
/// ordinary tools can still read it.
pub const MAX_DEPTH: usize = 100;

/// Writes a value as text.
///
/// # Errors
///
/// When a `Serialize` implementation reports an error, or the value is nested deeper than
/// [`MAX_DEPTH`].
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<String, EncodeError> {
    let mut out = Vec::with_capacity(128);
    encode_into(value, &mut out)?;
    String::from_utf8(out).map_err(serde::ser::Error::custom)
}

/// Appends a value's text to `out`, which is left as it was when there is an error.
///
/// # Errors
///
/// As for [`encode`].
pub fn encode_into<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    let written = value.serialize(&mut ser::Writer::new(out));
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Reads a value from the text that [`encode`] wrote, or from JSON that says the same.
///
/// # Errors
///
/// When the text is not JSON, is not JSON of this type, goes on after the value, or is nested
/// deeper than [`MAX_DEPTH`]. The error says where in the value.
pub fn decode<T: DeserializeOwned>(text: &str) -> Result<T, DecodeError> {
    let mut reader = scan::Reader::new(text, 0);
    let value = T::deserialize(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

#[cfg(test)]
mod tests;
