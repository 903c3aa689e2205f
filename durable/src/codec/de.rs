//! Text to values: a serde deserializer that reads as it goes and lends strings from the text
//! where it can. What it accepts beyond the encoder's own output is what `serde_json` accepts.
//! It must not recurse without counting, since a text may come from anywhere.

use std::borrow::Cow;

use serde::de::value::{BorrowedStrDeserializer, MapDeserializer};
use serde::de::{Deserializer, Error, Expected, Unexpected, Visitor};

use super::error::DecodeError;
use super::scan::{Number, Reader, float_word};
use super::ser::RAW;

mod access;
mod key;

use access::{Data, Elements, Entries, Pairs};
use key::Text;

type Result<T> = std::result::Result<T, DecodeError>;

impl<'de> Reader<'de> {
    /// The error for a value that is not what was asked for.
    #[cold]
    fn mismatch(&mut self, expected: &dyn Expected) -> DecodeError {
        self.found(expected).unwrap_or_else(|malformed| malformed)
    }

    fn found(&mut self, expected: &dyn Expected) -> Result<DecodeError> {
        let mismatch = |found| DecodeError::invalid_type(found, expected);
        Ok(match self.peek() {
            Some(b'n') => {
                self.word("null")?;
                mismatch(Unexpected::Unit)
            }
            Some(b't' | b'f') => mismatch(Unexpected::Bool(self.bool()?)),
            Some(b'"') => mismatch(Unexpected::Str(&self.string()?)),
            Some(b'-' | b'0'..=b'9') => match self.number()? {
                Number::Unsigned(value) => mismatch(Unexpected::Unsigned(value)),
                Number::Signed(value) => mismatch(Unexpected::Signed(value)),
                Number::Wide(text) | Number::Float(text) => mismatch(Unexpected::Other(text)),
            },
            Some(b'[') => mismatch(Unexpected::Seq),
            Some(b'{') => mismatch(Unexpected::Map),
            _ => self.syntax("expected a value"),
        })
    }

    fn bool(&mut self) -> Result<bool> {
        let value = self.peek() == Some(b't');
        self.word(if value { "true" } else { "false" })?;
        Ok(value)
    }

    #[inline]
    fn string_into<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.string()? {
            Cow::Borrowed(string) => visitor.visit_borrowed_str(string),
            Cow::Owned(string) => visitor.visit_string(string),
        }
    }

    #[inline]
    fn array_into<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        self.nested(b']', |reader| visitor.visit_seq(Elements::new(reader)))
    }

    #[inline]
    fn object_into<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        self.nested(b'}', |reader| visitor.visit_map(Entries::new(reader)))
    }

    #[inline]
    fn number_into<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.number()? {
            Number::Unsigned(value) => visitor.visit_u64(value),
            Number::Signed(value) => visitor.visit_i64(value),
            Number::Wide(text) | Number::Float(text) => visitor.visit_f64(float(text)?),
        }
    }

    #[inline]
    fn integer_into<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        if !matches!(self.peek(), Some(b'-' | b'0'..=b'9')) {
            return Err(self.mismatch(&visitor));
        }
        match self.number()? {
            Number::Unsigned(value) => visitor.visit_u64(value),
            Number::Signed(value) => visitor.visit_i64(value),
            Number::Wide(text) | Number::Float(text) => {
                Err(DecodeError::invalid_type(Unexpected::Other(text), &visitor))
            }
        }
    }

    /// The text of a number, or of a string that stands for a number.
    fn wide(&mut self, expected: &dyn Expected) -> Result<Cow<'de, str>> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => {
                let start = self.at();
                self.number()?;
                Ok(self.since(start).into())
            }
            _ => Err(self.mismatch(expected)),
        }
    }
}

/// A float from a number's text. Infinity has a word of its own, so a number may not become it.
fn float(text: &str) -> Result<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite()).ok_or_else(|| out_of_range(text))
}

#[cold]
fn out_of_range(text: &str) -> DecodeError {
    DecodeError::custom(format_args!("the number {text} is out of range"))
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.integer_into(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = DecodeError;

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek() {
            Some(b'n') => self.deserialize_unit(visitor),
            Some(b't' | b'f') => visitor.visit_bool(self.bool()?),
            Some(b'"') => self.string_into(visitor),
            Some(b'-' | b'0'..=b'9') => self.number_into(visitor),
            Some(b'[') => self.array_into(visitor),
            Some(b'{') if self.at_wrapped() => self.some(|reader| visitor.visit_some(reader)),
            Some(b'{') => self.object_into(visitor),
            _ => Err(self.syntax("expected a value")),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek() {
            Some(b't' | b'f') => visitor.visit_bool(self.bool()?),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let text = self.wide(&visitor)?;
        match text.parse() {
            Ok(value) => visitor.visit_i128(value),
            Err(_) => Err(DecodeError::invalid_type(Unexpected::Str(&text), &visitor)),
        }
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let text = self.wide(&visitor)?;
        match text.parse() {
            Ok(value) => visitor.visit_u128(value),
            Err(_) => Err(DecodeError::invalid_type(Unexpected::Str(&text), &visitor)),
        }
    }

    /// Reads the digits as an `f32` at once: a detour through `f64` would round twice.
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let quoted = self.peek() == Some(b'"');
        let text = self.wide(&visitor)?;
        let value = match text.parse::<f32>() {
            Ok(value) if quoted && float_word(&text).is_some() => value,
            Ok(value) if !quoted && value.is_finite() => value,
            Ok(_) if !quoted => return Err(out_of_range(&text)),
            _ => {
                return Err(DecodeError::invalid_type(Unexpected::Str(&text), &visitor));
            }
        };
        visitor.visit_f32(value)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let quoted = self.peek() == Some(b'"');
        let text = self.wide(&visitor)?;
        if !quoted {
            return visitor.visit_f64(float(&text)?);
        }
        match float_word(&text) {
            Some(value) => visitor.visit_f64(value),
            None => Err(DecodeError::invalid_type(Unexpected::Str(&text), &visitor)),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek() {
            Some(b'"') => self.string_into(visitor),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_byte_buf(visitor)
    }

    /// Collects the array: a visitor of bytes need not accept a sequence.
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek() {
            Some(b'[') => visitor.visit_byte_buf(serde::Deserialize::deserialize(self)?),
            Some(b'"') => match self.string()? {
                Cow::Borrowed(text) => visitor.visit_borrowed_bytes(text.as_bytes()),
                Cow::Owned(text) => visitor.visit_byte_buf(text.into_bytes()),
            },
            _ => Err(self.mismatch(&visitor)),
        }
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.peek() == Some(b'n') {
            self.word("null")?;
            return visitor.visit_none();
        }
        self.some(|reader| visitor.visit_some(reader))
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.peek() != Some(b'n') {
            return Err(self.mismatch(&visitor));
        }
        self.word("null")?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_unit(visitor)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        if name != RAW {
            return visitor.visit_newtype_struct(self);
        }
        self.peek();
        let start = self.at();
        self.skip()?;
        let text = BorrowedStrDeserializer::new(self.since(start));
        visitor.visit_map(MapDeserializer::new(std::iter::once((RAW, text))))
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek() {
            Some(b'[') => self.array_into(visitor),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek() {
            Some(b'{') => self.object_into(visitor),
            Some(b'[') => self.nested(b']', |reader| visitor.visit_map(Pairs::new(reader))),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.peek() {
            Some(b'{') => self.object_into(visitor),
            Some(b'[') => self.array_into(visitor),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.peek() {
            Some(b'"') => {
                let text = self.string()?;
                visitor.visit_enum(Text::new(text, self))
            }
            Some(b'{') => self.nested(b'}', |reader| visitor.visit_enum(Data::new(reader))),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    /// Falls back on the value itself: the keys of a map of pairs may be of any kind, and a
    /// struct with a flattened map is such a map.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_any(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.skip()?;
        visitor.visit_unit()
    }
}
