//! The insides of arrays and objects, one part at a time, and the path to a part that fails. It
//! must not look into the parts.

use serde::de::{DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::super::error::Segment;
use super::key::Text;
use super::{DecodeError, Reader, Result};

/// The elements of an array.
pub(super) struct Elements<'r, 'de> {
    reader: &'r mut Reader<'de>,
    index: usize,
}

impl<'r, 'de> Elements<'r, 'de> {
    pub(super) fn new(reader: &'r mut Reader<'de>) -> Self {
        Self { reader, index: 0 }
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if !self.reader.next(self.index == 0, b']')? {
            return Ok(None);
        }
        let index = self.index;
        self.index += 1;
        match seed.deserialize(&mut *self.reader) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(error.within(Segment::Index(index))),
        }
    }
}

/// A key in the text, remembered only as a place.
#[derive(Clone, Copy)]
struct Place<'de>(&'de str);

impl Place<'_> {
    #[cold]
    fn locate(self, error: DecodeError) -> DecodeError {
        error.within(Segment::key(self.0))
    }
}

/// The entries of an object.
pub(super) struct Entries<'r, 'de> {
    reader: &'r mut Reader<'de>,
    first: bool,
    key: Place<'de>,
}

impl<'r, 'de> Entries<'r, 'de> {
    pub(super) fn new(reader: &'r mut Reader<'de>) -> Self {
        Self { reader, first: true, key: Place("") }
    }
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if !self.reader.next(self.first, b'}')? {
            return Ok(None);
        }
        self.first = false;
        self.reader.peek();
        let start = self.reader.at();
        let text = self.reader.key()?;
        self.key = Place(self.reader.since(start));
        match seed.deserialize(Text::new(text, self.reader)) {
            Ok(key) => Ok(Some(key)),
            Err(error) => Err(self.key.locate(error)),
        }
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        self.reader.expect(b':')?;
        seed.deserialize(&mut *self.reader).map_err(|error| self.key.locate(error))
    }
}

/// The entries of a map that is an array of pairs.
pub(super) struct Pairs<'r, 'de> {
    reader: &'r mut Reader<'de>,
    index: usize,
    key: Place<'de>,
}

impl<'r, 'de> Pairs<'r, 'de> {
    pub(super) fn new(reader: &'r mut Reader<'de>) -> Self {
        Self { reader, index: 0, key: Place("") }
    }
}

impl<'de> MapAccess<'de> for Pairs<'_, 'de> {
    type Error = DecodeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if !self.reader.next(self.index == 0, b']')? {
            return Ok(None);
        }
        let index = self.index;
        self.index += 1;
        if self.reader.peek() != Some(b'[') {
            let error = self.reader.mismatch(&"a pair of key and value");
            return Err(error.within(Segment::Index(index)));
        }
        self.reader.open()?;
        self.reader.peek();
        let start = self.reader.at();
        let key = seed
            .deserialize(&mut *self.reader)
            .map_err(|error| error.within(Segment::Index(0)).within(Segment::Index(index)))?;
        self.key = Place(self.reader.since(start));
        Ok(Some(key))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        self.reader.expect(b',')?;
        let value = seed.deserialize(&mut *self.reader).map_err(|error| self.key.locate(error))?;
        self.reader.close(b']')?;
        Ok(value)
    }
}

/// A variant with data: the only entry of its object.
pub(super) struct Data<'r, 'de> {
    reader: &'r mut Reader<'de>,
    variant: Place<'de>,
}

impl<'r, 'de> Data<'r, 'de> {
    pub(super) fn new(reader: &'r mut Reader<'de>) -> Self {
        Self { reader, variant: Place("") }
    }
}

impl<'de> EnumAccess<'de> for Data<'_, 'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(mut self, seed: S) -> Result<(S::Value, Self)> {
        self.reader.peek();
        let start = self.reader.at();
        let text = self.reader.key()?;
        self.variant = Place(self.reader.since(start));
        let variant = seed.deserialize(Text::new(text, self.reader))?;
        self.reader.expect(b':')?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Data<'_, 'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<()> {
        serde::Deserialize::deserialize(self.reader).map_err(|error| self.variant.locate(error))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value> {
        seed.deserialize(self.reader).map_err(|error| self.variant.locate(error))
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value> {
        serde::Deserializer::deserialize_tuple(self.reader, length, visitor)
            .map_err(|error| self.variant.locate(error))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        serde::Deserializer::deserialize_struct(self.reader, "", fields, visitor)
            .map_err(|error| self.variant.locate(error))
    }
}
