//! An object key, or the name of a unit variant, as a value: a string from which a map's key type
//! takes a number, a bool or a char. It must not be used for strings that are values.

use std::borrow::Cow;
use std::str::FromStr;

use serde::de::{Deserializer, EnumAccess, Error, Unexpected, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::super::scan::float_word;
use super::{DecodeError, Reader, Result};

/// A string that stands for a value.
pub(super) struct Text<'r, 'de> {
    text: Cow<'de, str>,
    reader: &'r mut Reader<'de>,
}

impl<'r, 'de> Text<'r, 'de> {
    /// The reader lends its count of open `Some`s, which a key may add to.
    pub(super) fn new(text: Cow<'de, str>, reader: &'r mut Reader<'de>) -> Self {
        Self { text, reader }
    }

    fn parse<T: FromStr>(&self, expected: &impl Visitor<'de>) -> Result<T> {
        let mismatch = |_| DecodeError::invalid_type(Unexpected::Str(&self.text), expected);
        self.text.parse().map_err(mismatch)
    }

    /// Whether the text is one that a float is written as: Rust would parse more words.
    fn is_float(&self) -> bool {
        let digit = |c: char| c.is_ascii_digit();
        float_word(&self.text).is_some() || self.text.trim_start_matches('-').starts_with(digit)
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            let value = self.parse(&visitor)?;
            visitor.$visit(value)
        }
    )*};
}

impl<'de> Deserializer<'de> for Text<'_, 'de> {
    type Error = DecodeError;

    parsed! {
        deserialize_bool visit_bool
        deserialize_i8 visit_i8
        deserialize_i16 visit_i16
        deserialize_i32 visit_i32
        deserialize_i64 visit_i64
        deserialize_i128 visit_i128
        deserialize_u8 visit_u8
        deserialize_u16 visit_u16
        deserialize_u32 visit_u32
        deserialize_u64 visit_u64
        deserialize_u128 visit_u128
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if !self.is_float() {
            return self.deserialize_any(visitor);
        }
        let value = self.parse(&visitor)?;
        visitor.visit_f32(value)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if !self.is_float() {
            return self.deserialize_any(visitor);
        }
        let value = self.parse(&visitor)?;
        visitor.visit_f64(value)
    }

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.text {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let text = self.text;
        self.reader.bare_some(|reader| visitor.visit_some(Text { text, reader }))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

impl<'de> EnumAccess<'de> for Text<'_, 'de> {
    type Error = DecodeError;
    type Variant = Bare;

    fn variant_seed<S: serde::de::DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Bare)> {
        Ok((seed.deserialize(self)?, Bare))
    }
}

/// The nothing that follows a variant's name when there is only the name.
pub(super) struct Bare;

impl<'de> VariantAccess<'de> for Bare {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<()> {
        Ok(())
    }

    fn newtype_variant_seed<S: serde::de::DeserializeSeed<'de>>(
        self,
        _seed: S,
    ) -> Result<S::Value> {
        Err(DecodeError::invalid_type(Unexpected::UnitVariant, &"newtype variant"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value> {
        Err(DecodeError::invalid_type(Unexpected::UnitVariant, &visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        Err(DecodeError::invalid_type(Unexpected::UnitVariant, &visitor))
    }
}
