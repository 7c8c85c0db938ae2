//! Writes a value down as CBOR (RFC 8949): straight into a buffer, one way only, so that equal values have equal bytes.
//!
//! In: anything serde can express. Out: its bytes, in the shapes that `ciborium` reads. A sequence of `u8` is a byte string, which serde does
//! not tell apart from other sequences; the kind of its first element does.

use serde::{
    Serialize, Serializer,
    ser::{
        Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
        SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
    },
};

use super::value::NotAValue;

/// Major types (RFC 8949, 3.1) in their place in a first byte.
const UNSIGNED: u8 = 0 << 5;
const NEGATIVE: u8 = 1 << 5;
const BYTES: u8 = 2 << 5;
const TEXT: u8 = 3 << 5;
const ARRAY: u8 = 4 << 5;
const MAP: u8 = 5 << 5;
const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const NULL: u8 = 0xf6;
const FLOAT: u8 = 0xfb;

/// Appends a value to `out`. What was appended before an error is to be cut off again.
///
/// # Errors
/// When a value refuses to be written, or a sequence or map does not know its length.
pub(super) fn encode(
    value: &(impl Serialize + ?Sized),
    out: &mut Vec<u8>,
) -> Result<(), NotAValue> {
    value.serialize(Encoder { out })
}

struct Encoder<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Encoder<'a> {
    fn head(&mut self, major: u8, value: u64) {
        let [.., c, d, e, f, g, h] = value.to_be_bytes();
        match value {
            0..=23 => self.out.push(major | h),
            24..=0xff => self.out.extend_from_slice(&[major | 24, h]),
            0x100..=0xffff => self.out.extend_from_slice(&[major | 25, g, h]),
            0x1_0000..=0xffff_ffff => self.out.extend_from_slice(&[major | 26, e, f, g, h]),
            _ => {
                let [a, b, ..] = value.to_be_bytes();
                self.out
                    .extend_from_slice(&[major | 27, a, b, c, d, e, f, g, h]);
            }
        }
    }

    fn length(&mut self, major: u8, length: usize) {
        self.head(major, length as u64);
    }

    fn text(&mut self, text: &str) {
        self.length(TEXT, text.len());
        self.out.extend_from_slice(text.as_bytes());
    }

    /// A variant with something in it is a map of one.
    fn variant(&mut self, variant: &str) {
        self.head(MAP, 1);
        self.text(variant);
    }

    fn items(mut self, length: usize) -> Items<'a> {
        self.length(ARRAY, length);
        Items { out: self.out }
    }

    fn pairs(mut self, length: usize) -> Items<'a> {
        self.length(MAP, length);
        Items { out: self.out }
    }
}

type Done = Result<(), NotAValue>;

fn known(length: Option<usize>) -> Result<usize, NotAValue> {
    length.ok_or_else(|| NotAValue("a sequence or map of unknown length".into()))
}

impl<'a> Serializer for Encoder<'a> {
    type Ok = ();
    type Error = NotAValue;
    type SerializeSeq = Sequence<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = Items<'a>;
    type SerializeMap = Items<'a>;
    type SerializeStruct = Items<'a>;
    type SerializeStructVariant = Items<'a>;

    fn serialize_bool(self, v: bool) -> Done {
        self.out.push(if v { TRUE } else { FALSE });
        Ok(())
    }

    fn serialize_i8(self, v: i8) -> Done {
        self.serialize_i64(v.into())
    }

    fn serialize_i16(self, v: i16) -> Done {
        self.serialize_i64(v.into())
    }

    fn serialize_i32(self, v: i32) -> Done {
        self.serialize_i64(v.into())
    }

    fn serialize_i64(mut self, v: i64) -> Done {
        match u64::try_from(v) {
            Ok(v) => self.head(UNSIGNED, v),
            // "-1 minus the argument": the complement.
            Err(_) => self.head(NEGATIVE, !v.cast_unsigned()),
        }
        Ok(())
    }

    fn serialize_u8(self, v: u8) -> Done {
        self.serialize_u64(v.into())
    }

    fn serialize_u16(self, v: u16) -> Done {
        self.serialize_u64(v.into())
    }

    fn serialize_u32(self, v: u32) -> Done {
        self.serialize_u64(v.into())
    }

    fn serialize_u64(mut self, v: u64) -> Done {
        self.head(UNSIGNED, v);
        Ok(())
    }

    fn serialize_f32(self, v: f32) -> Done {
        self.serialize_f64(v.into())
    }

    fn serialize_f64(self, v: f64) -> Done {
        self.out.push(FLOAT);
        self.out.extend_from_slice(&v.to_be_bytes());
        Ok(())
    }

    fn serialize_char(self, v: char) -> Done {
        self.serialize_str(v.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(mut self, v: &str) -> Done {
        self.text(v);
        Ok(())
    }

    fn serialize_bytes(mut self, v: &[u8]) -> Done {
        self.length(BYTES, v.len());
        self.out.extend_from_slice(v);
        Ok(())
    }

    fn serialize_none(self) -> Done {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Done {
        self.out.push(NULL);
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Done {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Done {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Done {
        self.variant(variant);
        value.serialize(self)
    }

    fn serialize_seq(mut self, length: Option<usize>) -> Result<Sequence<'a>, NotAValue> {
        let length = known(length)?;
        if length == 0 {
            // Bytes or not, nobody can tell; it reads back as either.
            self.head(BYTES, 0);
        }
        Ok(Sequence {
            out: self.out,
            length,
            kind: Kind::Unknown,
        })
    }

    fn serialize_tuple(self, length: usize) -> Result<Items<'a>, NotAValue> {
        Ok(self.items(length))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        length: usize,
    ) -> Result<Items<'a>, NotAValue> {
        Ok(self.items(length))
    }

    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Items<'a>, NotAValue> {
        self.variant(variant);
        Ok(self.items(length))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Items<'a>, NotAValue> {
        Ok(self.pairs(known(length)?))
    }

    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Items<'a>, NotAValue> {
        Ok(self.pairs(length))
    }

    fn serialize_struct_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Items<'a>, NotAValue> {
        self.variant(variant);
        Ok(self.pairs(length))
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// A sequence whose first element decides whether it is a byte string.
struct Sequence<'a> {
    out: &'a mut Vec<u8>,
    length: usize,
    kind: Kind,
}

#[derive(PartialEq)]
enum Kind {
    Unknown,
    Bytes,
    Items,
}

impl SerializeSeq for Sequence<'_> {
    type Ok = ();
    type Error = NotAValue;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        if self.kind == Kind::Unknown {
            let is_bytes = value.serialize(Byte).is_ok();
            let (kind, major) = if is_bytes {
                self.out.reserve(self.length + 9);
                (Kind::Bytes, BYTES)
            } else {
                (Kind::Items, ARRAY)
            };
            self.kind = kind;
            let length = self.length;
            Encoder { out: self.out }.length(major, length);
        }
        match self.kind {
            Kind::Bytes => match value.serialize(Byte) {
                Ok(byte) => self.out.push(byte),
                Err(NotAByte) => return Err(NotAValue("a byte string with other things".into())),
            },
            Kind::Unknown | Kind::Items => encode(value, self.out)?,
        }
        Ok(())
    }

    fn end(self) -> Done {
        Ok(())
    }
}

/// Elements or pairs, one after the other.
struct Items<'a> {
    out: &'a mut Vec<u8>,
}

impl SerializeTuple for Items<'_> {
    type Ok = ();
    type Error = NotAValue;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        encode(value, self.out)
    }

    fn end(self) -> Done {
        Ok(())
    }
}

impl SerializeTupleStruct for Items<'_> {
    type Ok = ();
    type Error = NotAValue;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        encode(value, self.out)
    }

    fn end(self) -> Done {
        Ok(())
    }
}

impl SerializeTupleVariant for Items<'_> {
    type Ok = ();
    type Error = NotAValue;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        encode(value, self.out)
    }

    fn end(self) -> Done {
        Ok(())
    }
}

impl SerializeMap for Items<'_> {
    type Ok = ();
    type Error = NotAValue;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        encode(key, self.out)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        encode(value, self.out)
    }

    fn end(self) -> Done {
        Ok(())
    }
}

impl SerializeStruct for Items<'_> {
    type Ok = ();
    type Error = NotAValue;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Done {
        encode(key, self.out)?;
        encode(value, self.out)
    }

    fn end(self) -> Done {
        Ok(())
    }
}

impl SerializeStructVariant for Items<'_> {
    type Ok = ();
    type Error = NotAValue;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Done {
        encode(key, self.out)?;
        encode(value, self.out)
    }

    fn end(self) -> Done {
        Ok(())
    }
}

/// Takes one `u8` and nothing else.
struct Byte;

#[derive(Debug)]
struct NotAByte;

impl std::fmt::Display for NotAByte {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not a byte")
    }
}

impl std::error::Error for NotAByte {}

impl serde::ser::Error for NotAByte {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        NotAByte
    }
}

/// Every kind of value but `u8` is none.
macro_rules! not_a_byte {
    ($($name:ident($($argument:ty),*);)*) => {
        $(fn $name(self, $(_: $argument),*) -> Result<u8, NotAByte> { Err(NotAByte) })*
    };
}

macro_rules! not_bytes {
    ($($name:ident($($argument:ty),*) -> $kind:ident;)*) => {
        $(fn $name(self, $(_: $argument),*) -> Result<Self::$kind, NotAByte> { Err(NotAByte) })*
    };
}

impl Serializer for Byte {
    type Ok = u8;
    type Error = NotAByte;
    type SerializeSeq = Impossible<u8, NotAByte>;
    type SerializeTuple = Impossible<u8, NotAByte>;
    type SerializeTupleStruct = Impossible<u8, NotAByte>;
    type SerializeTupleVariant = Impossible<u8, NotAByte>;
    type SerializeMap = Impossible<u8, NotAByte>;
    type SerializeStruct = Impossible<u8, NotAByte>;
    type SerializeStructVariant = Impossible<u8, NotAByte>;

    fn serialize_u8(self, v: u8) -> Result<u8, NotAByte> {
        Ok(v)
    }

    not_a_byte! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
    }

    not_bytes! {
        serialize_seq(Option<usize>) -> SerializeSeq;
        serialize_tuple(usize) -> SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> SerializeTupleVariant;
        serialize_map(Option<usize>) -> SerializeMap;
        serialize_struct(&'static str, usize) -> SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> SerializeStructVariant;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<u8, NotAByte> {
        Err(NotAByte)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<u8, NotAByte> {
        Err(NotAByte)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<u8, NotAByte> {
        Err(NotAByte)
    }
}
