//! Values to text: a serde serializer that appends to a byte buffer as it goes. Text already
//! written is touched again in two rare cases only, a `Some` that would read as `None` and a map
//! whose later keys turn out not to be object keys. It must not build a tree.

use serde::ser::{
    Serialize, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::MAX_DEPTH;
use super::error::{DecodeErrorKind, EncodeError, Segment};
use super::scan::{self, Reader};

mod map;

type Result<T = ()> = std::result::Result<T, EncodeError>;

/// The name by which `serde_json`'s `RawValue` asks for its text to be taken as it is.
pub(super) const RAW: &str = "$serde_json::private::RawValue";

/// The buffer, and how deep in the value we are.
pub(super) struct Writer<'o> {
    out: &'o mut Vec<u8>,
    depth: usize,
    somes: usize,
}

impl<'o> Writer<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out, depth: 0, somes: 0 }
    }

    /// Writes what needs no rule of ours.
    #[inline]
    fn plain<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        serde_json::to_writer(&mut *self.out, value).map_err(serde::ser::Error::custom)
    }

    #[inline]
    fn open(&mut self, bracket: u8) -> Result {
        self.enter()?;
        self.out.push(bracket);
        Ok(())
    }

    #[inline]
    fn close(&mut self, bracket: u8) {
        self.depth -= 1;
        self.out.push(bracket);
    }

    #[inline]
    fn enter(&mut self) -> Result {
        if self.depth == MAX_DEPTH {
            return Err(EncodeError::too_deep());
        }
        self.depth += 1;
        Ok(())
    }

    /// Writes an object key, kept apart from our own marks.
    #[inline]
    fn key(&mut self, key: &str) -> Result {
        // Nearly every key is a field's name and needs no escape.
        if key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            self.out.push(b'"');
            self.out.extend_from_slice(key.as_bytes());
            self.out.push(b'"');
            return Ok(());
        }
        if scan::is_reserved(key) {
            return self.plain(&format!("${key}"));
        }
        self.plain(key)
    }

    /// Opens the object that holds the data of a variant.
    fn open_variant(&mut self, variant: &str) -> Result {
        self.open(b'{')?;
        self.key(variant)?;
        self.out.push(b':');
        Ok(())
    }

    /// Writes a float that JSON has no number for.
    fn float_word(&mut self, value: f64) {
        let word: &[u8] = match value {
            value if value.is_nan() => b"\"NaN\"",
            value if value > 0.0 => b"\"inf\"",
            _ => b"\"-inf\"",
        };
        self.out.extend_from_slice(word);
    }

    /// Wraps what was written since `start`, the inside of a `Some`, if it would not read as one.
    fn wrap_some(&mut self, start: usize) -> Result {
        let inside = &self.out[start..];
        if inside != b"null" && !scan::is_wrapped(inside) {
            return Ok(());
        }
        // The inside was written as if one level further out.
        let inside = utf8(inside)?;
        check(inside, self.depth + 1)?;
        self.out.splice(start..start, *b"{\"$some\":");
        self.out.push(b'}');
        Ok(())
    }

    /// Writes the text of a `RawValue`, given as the string that `serde_json` makes of it.
    fn raw<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        let quoted = serde_json::to_vec(value).map_err(serde::ser::Error::custom)?;
        let text: String = serde_json::from_slice(&quoted).map_err(serde::ser::Error::custom)?;
        check(&text, self.depth)?;
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Makes sure that a text will be readable inside `depth` arrays and objects.
fn check(text: &str, depth: usize) -> Result {
    if depth > MAX_DEPTH {
        return Err(EncodeError::too_deep());
    }
    let mut reader = Reader::new(text, depth);
    reader.skip().and_then(|()| reader.finish()).map_err(|error| match error.kind() {
        DecodeErrorKind::TooDeep => EncodeError::too_deep(),
        _ => serde::ser::Error::custom(error),
    })
}

/// Looks at our own output as text.
fn utf8(written: &[u8]) -> Result<&str> {
    std::str::from_utf8(written).map_err(serde::ser::Error::custom)
}

macro_rules! plain {
    ($($method:ident($type:ty))*) => {$(
        #[inline]
        fn $method(self, value: $type) -> Result {
            self.plain(&value)
        }
    )*};
}

impl<'w, 'o> Serializer for &'w mut Writer<'o> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Elements<'w, 'o>;
    type SerializeTuple = Elements<'w, 'o>;
    type SerializeTupleStruct = Elements<'w, 'o>;
    type SerializeTupleVariant = Elements<'w, 'o>;
    type SerializeMap = map::Entries<'w, 'o>;
    type SerializeStruct = Fields<'w, 'o>;
    type SerializeStructVariant = Fields<'w, 'o>;

    plain! {
        serialize_bool(bool) serialize_char(char) serialize_str(&str)
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
    }

    fn serialize_i128(self, value: i128) -> Result {
        match (i64::try_from(value), u64::try_from(value)) {
            (Ok(value), _) => self.plain(&value),
            (_, Ok(value)) => self.plain(&value),
            _ => self.plain(&value.to_string()),
        }
    }

    fn serialize_u128(self, value: u128) -> Result {
        match u64::try_from(value) {
            Ok(value) => self.plain(&value),
            Err(_) => self.plain(&value.to_string()),
        }
    }

    fn serialize_f32(self, value: f32) -> Result {
        if value.is_finite() {
            return self.plain(&value);
        }
        self.float_word(value.into());
        Ok(())
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result {
        if value.is_finite() {
            return self.plain(&value);
        }
        self.float_word(value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result {
        self.open(b'[')?;
        for (index, byte) in value.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.plain(byte)?;
        }
        self.close(b']');
        Ok(())
    }

    fn collect_str<T: std::fmt::Display + ?Sized>(self, value: &T) -> Result {
        serde_json::Serializer::new(&mut *self.out)
            .collect_str(value)
            .map_err(serde::ser::Error::custom)
    }

    #[inline]
    fn serialize_none(self) -> Result {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        if self.somes == MAX_DEPTH {
            return Err(EncodeError::too_deep());
        }
        let start = self.out.len();
        self.somes += 1;
        value.serialize(&mut *self)?;
        self.somes -= 1;
        self.wrap_some(start)
    }

    #[inline]
    fn serialize_unit(self) -> Result {
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result {
        self.plain(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result {
        self.open_variant(variant)?;
        value.serialize(&mut *self).map_err(|error| error.within(name(variant)))?;
        self.close(b'}');
        Ok(())
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Elements<'w, 'o>> {
        self.open(b'[')?;
        Ok(Elements { writer: self, index: 0, variant: None })
    }

    fn serialize_tuple(self, _length: usize) -> Result<Elements<'w, 'o>> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Elements<'w, 'o>> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Elements<'w, 'o>> {
        self.open_variant(variant)?;
        self.open(b'[')?;
        Ok(Elements { writer: self, index: 0, variant: Some(variant) })
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<map::Entries<'w, 'o>> {
        map::Entries::open(self)
    }

    #[inline]
    fn serialize_struct(self, name: &'static str, _length: usize) -> Result<Fields<'w, 'o>> {
        let raw = name == RAW;
        if !raw {
            self.open(b'{')?;
        }
        Ok(Fields { writer: self, first: true, raw, variant: None })
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Fields<'w, 'o>> {
        self.open_variant(variant)?;
        self.open(b'{')?;
        Ok(Fields { writer: self, first: true, raw: false, variant: Some(variant) })
    }
}

/// The step to a field or variant.
#[cold]
fn name(name: &str) -> Segment {
    Segment::Name(name.to_owned())
}

/// Adds the way to the part that failed.
#[cold]
fn locate(error: EncodeError, part: Segment, variant: Option<&str>) -> EncodeError {
    let error = error.within(part);
    match variant {
        Some(variant) => error.within(name(variant)),
        None => error,
    }
}

/// An array that is being written, alone or as the data of a variant.
pub(super) struct Elements<'w, 'o> {
    writer: &'w mut Writer<'o>,
    index: usize,
    variant: Option<&'static str>,
}

impl Elements<'_, '_> {
    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        if self.index > 0 {
            self.writer.out.push(b',');
        }
        value
            .serialize(&mut *self.writer)
            .map_err(|error| locate(error, Segment::Index(self.index), self.variant))?;
        self.index += 1;
        Ok(())
    }

    #[inline]
    fn close(self) {
        self.writer.close(b']');
        if self.variant.is_some() {
            self.writer.close(b'}');
        }
    }
}

/// An object that is being written for a struct, alone or as the data of a variant.
pub(super) struct Fields<'w, 'o> {
    writer: &'w mut Writer<'o>,
    first: bool,
    raw: bool,
    variant: Option<&'static str>,
}

impl Fields<'_, '_> {
    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, field: &'static str, value: &T) -> Result {
        if self.raw {
            return self.writer.raw(value);
        }
        if !self.first {
            self.writer.out.push(b',');
        }
        self.first = false;
        self.writer.key(field)?;
        self.writer.out.push(b':');
        value.serialize(&mut *self.writer).map_err(|error| locate(error, name(field), self.variant))
    }

    #[inline]
    fn close(self) {
        if self.raw {
            return;
        }
        self.writer.close(b'}');
        if self.variant.is_some() {
            self.writer.close(b'}');
        }
    }
}

macro_rules! array {
    ($($trait:ident::$method:ident)*) => {$(
        impl $trait for Elements<'_, '_> {
            type Ok = ();
            type Error = EncodeError;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
                self.element(value)
            }

            #[inline]
            fn end(self) -> Result {
                self.close();
                Ok(())
            }
        }
    )*};
}

array! {
    SerializeSeq::serialize_element SerializeTuple::serialize_element
    SerializeTupleStruct::serialize_field SerializeTupleVariant::serialize_field
}

macro_rules! object {
    ($($trait:ident)*) => {$(
        impl $trait for Fields<'_, '_> {
            type Ok = ();
            type Error = EncodeError;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                field: &'static str,
                value: &T,
            ) -> Result {
                self.field(field, value)
            }

            #[inline]
            fn end(self) -> Result {
                self.close();
                Ok(())
            }
        }
    )*};
}

object! { SerializeStruct SerializeStructVariant }
