//! Maps to text: an object as long as every key is one kind of text, an array of pairs as soon
//! as one is not. The entries before that one are then rewritten from their own text. It must
//! not decide by the type of the key, which the serializer does not know.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::super::error::EncodeError;
use super::super::scan::{self, Reader};
use super::{Elements, Fields, Result, Segment, Writer, utf8};

/// The kinds of key that an object can hold; two kinds in one object could read as equal keys.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Integer,
    Float,
    Bool,
}

/// What the map looks like so far.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Empty,
    Object(Kind),
    Pairs,
}

/// Where the map and its latest key begin in the buffer, and how it is written.
struct Shape {
    form: Form,
    start: usize,
    key: usize,
}

/// A map that is being written.
pub(in super::super) struct Entries<'w, 'o> {
    writer: &'w mut Writer<'o>,
    shape: Shape,
    key_end: usize,
}

impl<'w, 'o> Entries<'w, 'o> {
    pub(super) fn open(writer: &'w mut Writer<'o>) -> Result<Self> {
        let start = writer.out.len();
        writer.open(b'{')?;
        let shape = Shape { form: Form::Empty, start, key: start };
        Ok(Self { writer, shape, key_end: start })
    }
}

impl SerializeMap for Entries<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result {
        let writer = &mut *self.writer;
        if self.shape.form == Form::Pairs {
            self.shape.open_pair(writer)?;
            key.serialize(&mut *writer)?;
        } else {
            key.serialize(Key { shape: &mut self.shape, writer })?;
        }
        self.key_end = self.writer.out.len();
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        let pairs = self.shape.form == Form::Pairs;
        self.writer.out.push(if pairs { b',' } else { b':' });
        if let Err(error) = value.serialize(&mut *self.writer) {
            let key = utf8(&self.writer.out[self.shape.key..self.key_end])?;
            return Err(error.within(Segment::key(key)));
        }
        if pairs {
            self.writer.close(b']');
        }
        Ok(())
    }

    fn end(self) -> Result {
        let pairs = self.shape.form == Form::Pairs;
        self.writer.close(if pairs { b']' } else { b'}' });
        Ok(())
    }
}

impl Shape {
    /// Begins an entry of a map that is an array of pairs.
    fn open_pair(&mut self, writer: &mut Writer<'_>) -> Result {
        if writer.out.len() > self.start + 1 {
            writer.out.push(b',');
        }
        writer.open(b'[')?;
        self.key = writer.out.len();
        Ok(())
    }

    /// Rewrites the entries so far, which make an object, as an array of pairs.
    fn pair_up(&mut self, writer: &mut Writer<'_>) -> Result {
        if let Form::Object(kind) = self.form {
            let object = writer.out.split_off(self.start);
            let entries = utf8(&object[1..])?;
            writer.out.push(b'[');
            pairs(entries, kind, writer).map_err(|_| EncodeError::too_deep())?;
        } else {
            writer.out[self.start] = b'[';
        }
        self.form = Form::Pairs;
        Ok(())
    }
}

/// Writes the entries of an object as pairs. The text is our own, so that the only error left is
/// one level of nesting too many.
fn pairs(
    entries: &str,
    kind: Kind,
    writer: &mut Writer<'_>,
) -> std::result::Result<(), super::super::DecodeError> {
    let mut reader = Reader::new(entries, writer.depth + 1);
    let mut first = true;
    while reader.peek().is_some() {
        if !first {
            reader.expect(b',')?;
            writer.out.push(b',');
        }
        first = false;
        writer.out.push(b'[');
        let start = reader.at();
        reader.string()?;
        writer.out.extend_from_slice(kind.value(reader.since(start)).as_bytes());
        reader.expect(b':')?;
        writer.out.push(b',');
        let start = reader.at();
        reader.skip()?;
        writer.out.extend_from_slice(reader.since(start).as_bytes());
        writer.out.push(b']');
    }
    Ok(())
}

impl Kind {
    /// What a key is written as where it is not an object key.
    fn value(self, quoted: &str) -> String {
        let text = &quoted[1..quoted.len() - 1];
        let bare = match self {
            Kind::Text if text.starts_with("$$") && scan::is_reserved(text) => {
                return format!("\"{}\"", &text[1..]);
            }
            Kind::Text => false,
            Kind::Integer => text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok(),
            Kind::Float => scan::float_word(text).is_none(),
            Kind::Bool => true,
        };
        if bare { text.to_owned() } else { quoted.to_owned() }
    }
}

/// Where a key goes while the map is an object or empty: it finds out what kind it is by being
/// written.
struct Key<'k, 'o> {
    shape: &'k mut Shape,
    writer: &'k mut Writer<'o>,
}

impl<'k, 'o> Key<'k, 'o> {
    /// Makes room for a key of this kind: in the object if it fits there, else in a pair.
    fn place(self, kind: Kind) -> Result<(bool, &'k mut Writer<'o>)> {
        match self.shape.form {
            Form::Empty => self.shape.form = Form::Object(kind),
            Form::Object(present) if present == kind => self.writer.out.push(b','),
            _ => return Ok((false, self.pair()?)),
        }
        self.shape.key = self.writer.out.len();
        Ok((true, self.writer))
    }

    /// Makes room for a key that no object can hold.
    fn pair(self) -> Result<&'k mut Writer<'o>> {
        self.shape.pair_up(self.writer)?;
        self.shape.open_pair(self.writer)?;
        Ok(self.writer)
    }

    fn text(self, text: &str) -> Result {
        match self.place(Kind::Text)? {
            (true, writer) => writer.key(text),
            (false, writer) => writer.plain(text),
        }
    }

    /// Writes what is a bare word or number as a value, and therefore needs quotes as a key.
    fn bare<T: Serialize>(self, kind: Kind, value: T) -> Result {
        let (in_object, writer) = self.place(kind)?;
        if !in_object {
            return value.serialize(writer);
        }
        let start = writer.out.len();
        writer.out.push(b'"');
        value.serialize(&mut *writer)?;
        if writer.out[start + 1] == b'"' {
            writer.out.remove(start);
        } else {
            writer.out.push(b'"');
        }
        Ok(())
    }
}

macro_rules! bare {
    ($($method:ident($type:ty) $kind:ident)*) => {$(
        fn $method(self, value: $type) -> Result {
            self.bare(Kind::$kind, value)
        }
    )*};
}

impl<'k, 'o> Serializer for Key<'k, 'o> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Elements<'k, 'o>;
    type SerializeTuple = Elements<'k, 'o>;
    type SerializeTupleStruct = Elements<'k, 'o>;
    type SerializeTupleVariant = Elements<'k, 'o>;
    type SerializeMap = Entries<'k, 'o>;
    type SerializeStruct = Fields<'k, 'o>;
    type SerializeStructVariant = Fields<'k, 'o>;

    bare! {
        serialize_bool(bool) Bool
        serialize_i8(i8) Integer
        serialize_i16(i16) Integer
        serialize_i32(i32) Integer
        serialize_i64(i64) Integer
        serialize_i128(i128) Integer
        serialize_u8(u8) Integer
        serialize_u16(u16) Integer
        serialize_u32(u32) Integer
        serialize_u64(u64) Integer
        serialize_u128(u128) Integer
        serialize_f32(f32) Float
        serialize_f64(f64) Float
    }

    fn serialize_char(self, value: char) -> Result {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result {
        self.text(value)
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result {
        value.serialize(self)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result {
        self.pair()?.serialize_bytes(value)
    }

    fn serialize_none(self) -> Result {
        self.pair()?.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        self.pair()?.serialize_some(value)
    }

    fn serialize_unit(self) -> Result {
        self.pair()?.serialize_unit()
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result {
        self.pair()?.serialize_unit_struct(name)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result {
        self.pair()?.serialize_newtype_variant(name, index, variant, value)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq> {
        self.pair()?.serialize_seq(length)
    }

    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple> {
        self.pair()?.serialize_tuple(length)
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleStruct> {
        self.pair()?.serialize_tuple_struct(name, length)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant> {
        self.pair()?.serialize_tuple_variant(name, index, variant, length)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap> {
        self.pair()?.serialize_map(length)
    }

    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Self::SerializeStruct> {
        self.pair()?.serialize_struct(name, length)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant> {
        self.pair()?.serialize_struct_variant(name, index, variant, length)
    }
}
