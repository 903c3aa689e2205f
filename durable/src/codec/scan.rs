//! JSON as characters: white space, strings, numbers, and how deep we are. A cursor over the
//! text, with no table of values behind it, so that the decoder can look ahead for free. It must
//! not know which Rust type is being read.

use std::borrow::Cow;

use super::MAX_DEPTH;
use super::error::DecodeError;

/// The key that marks a `Some` which would otherwise read as `None`.
pub(super) const SOME: &str = "$some";

/// Whether encoded text is a wrapped `Some`, with or without white space as reformatting leaves.
pub(super) fn is_wrapped(text: &[u8]) -> bool {
    text.strip_prefix(b"{")
        .is_some_and(|inside| inside.trim_ascii_start().starts_with(b"\"$some\""))
}

/// Whether an object key must be written with one more `$` so that it is not taken for a mark.
pub(super) fn is_reserved(key: &str) -> bool {
    key.starts_with('$') && key.trim_start_matches('$') == &SOME[1..]
}

/// The float that one of the three words stands for.
pub(super) fn float_word(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "inf" => Some(f64::INFINITY),
        "-inf" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// Marks the first of eight bytes that may not stand for itself in a string: its top bit is the
/// lowest one set. The arithmetic is Mycroft's, as `serde_json` uses it.
#[inline]
fn special(bytes: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    let zero = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes;
    let quote = zero(bytes ^ (ONES * 0x22));
    let backslash = zero(bytes ^ (ONES * 0x5c));
    let control = bytes.wrapping_sub(ONES * 0x20) & !bytes;
    (quote | backslash | control) & (ONES * 0x80)
}

/// A number, as exact as 64 bits can hold it.
pub(super) enum Number<'de> {
    Unsigned(u64),
    Signed(i64),
    /// An integer beyond 64 bits.
    Wide(&'de str),
    /// Anything with a fraction or an exponent, and `-0`, which no integer can hold.
    Float(&'de str),
}

/// A position in JSON text.
pub(super) struct Reader<'de> {
    text: &'de str,
    at: usize,
    depth: usize,
    somes: usize,
}

impl<'de> Reader<'de> {
    /// Starts at the front of a text that stands inside `depth` arrays and objects.
    pub(super) fn new(text: &'de str, depth: usize) -> Self {
        Self { text, at: 0, depth, somes: 0 }
    }

    /// The position, as a number of bytes.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The text between two positions.
    pub(super) fn since(&self, start: usize) -> &'de str {
        &self.text[start..self.at]
    }

    /// Goes on to the next character that is not white space and shows it.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
        let blank = blank.count();
        self.at += blank;
        rest.get(blank).copied()
    }

    /// Steps over the next character that is not white space, if it is this one.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Steps over a character that must be there.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), DecodeError> {
        if self.take(byte) {
            return Ok(());
        }
        Err(self.syntax(&format!("expected `{}`", byte as char)))
    }

    /// Steps over `null`, `true` or `false`.
    pub(super) fn word(&mut self, word: &str) -> Result<(), DecodeError> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.syntax("expected a value"));
        }
        self.at += word.len();
        Ok(())
    }

    /// Makes sure that nothing but white space is left.
    pub(super) fn finish(&mut self) -> Result<(), DecodeError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.syntax("expected the end of the text")),
        }
    }

    /// An error about the text at the current position.
    #[cold]
    pub(super) fn syntax(&self, what: &str) -> DecodeError {
        if self.at >= self.text.len() {
            return DecodeError::syntax("the text ends too early", self.at);
        }
        DecodeError::syntax(what, self.at)
    }

    /// Reads an array or object whose opening bracket is next.
    #[inline]
    pub(super) fn nested<T>(
        &mut self,
        close: u8,
        body: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        self.open()?;
        let value = body(self)?;
        self.close(close)?;
        Ok(value)
    }

    /// Steps over an opening bracket.
    #[inline]
    pub(super) fn open(&mut self) -> Result<(), DecodeError> {
        if self.depth == MAX_DEPTH {
            return Err(DecodeError::too_deep());
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Steps over a closing bracket, which must be there.
    #[inline]
    pub(super) fn close(&mut self, close: u8) -> Result<(), DecodeError> {
        self.depth -= 1;
        self.expect(close)
    }

    /// Reads what is inside a `Some`, whether or not the text shows one.
    ///
    /// The count guards the stack: a type such as `struct Loop(Option<Box<Loop>>)` finds a `Some`
    /// inside a `Some` forever without reading a character.
    #[inline]
    pub(super) fn some<T>(
        &mut self,
        body: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        if !self.at_wrapped() {
            return self.bare_some(body);
        }
        self.nested(b'}', |reader| {
            reader.peek();
            reader.at += SOME.len() + 2;
            reader.expect(b':')?;
            reader.bare_some(body)
        })
    }

    /// Reads what is inside a `Some` of which the text shows nothing.
    #[inline]
    pub(super) fn bare_some<T>(
        &mut self,
        body: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        if self.somes == MAX_DEPTH {
            return Err(DecodeError::too_deep());
        }
        self.somes += 1;
        let value = body(self);
        self.somes -= 1;
        value
    }

    /// Whether a wrapped `Some` is next.
    #[inline]
    pub(super) fn at_wrapped(&self) -> bool {
        is_wrapped(&self.text.as_bytes()[self.at..])
    }

    /// Moves to the next element or entry and says whether there is one.
    #[inline]
    pub(super) fn next(&mut self, first: bool, close: u8) -> Result<bool, DecodeError> {
        match self.peek() {
            Some(byte) if byte == close => Ok(false),
            Some(_) if first => Ok(true),
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            _ => Err(self.syntax(&format!("expected `,` or `{}`", close as char))),
        }
    }

    /// Reads an object key and takes off the `$` that kept it apart from a mark.
    #[inline]
    pub(super) fn key(&mut self) -> Result<Cow<'de, str>, DecodeError> {
        if self.peek() != Some(b'"') {
            return Err(self.syntax("expected a key"));
        }
        let key = self.string()?;
        if !key.starts_with("$$") || !is_reserved(&key) {
            return Ok(key);
        }
        Ok(match key {
            Cow::Borrowed(key) => Cow::Borrowed(&key[1..]),
            Cow::Owned(key) => Cow::Owned(key[1..].to_owned()),
        })
    }

    /// Reads a string whose opening quote is next; it is borrowed unless something is escaped.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Cow<'de, str>, DecodeError> {
        self.at += 1;
        let start = self.at;
        self.plain();
        if self.text.as_bytes().get(self.at) == Some(&b'"') {
            let string = self.since(start);
            self.at += 1;
            return Ok(Cow::Borrowed(string));
        }
        self.escaped(start).map(Cow::Owned)
    }

    /// Goes on to the next character in a string that does not stand for itself.
    #[inline]
    fn plain(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        for block in rest.as_chunks().0 {
            let special = special(u64::from_le_bytes(*block));
            if special != 0 {
                self.at += special.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        let rest = &self.text.as_bytes()[self.at..];
        let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
        self.at += rest.iter().position(special).unwrap_or(rest.len());
    }

    /// Reads the rest of a string with escapes in it.
    fn escaped(&mut self, start: usize) -> Result<String, DecodeError> {
        let mut string = self.since(start).to_owned();
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => string.push(self.escape()?),
                _ => return Err(self.syntax("a control character in a string")),
            }
            let start = self.at;
            self.plain();
            string.push_str(self.since(start));
        }
    }

    fn escape(&mut self) -> Result<char, DecodeError> {
        let letter = self.text.as_bytes().get(self.at + 1);
        let char = match letter {
            Some(b'u') => return self.unicode(),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(&byte @ (b'"' | b'\\' | b'/')) => byte as char,
            _ => return Err(self.syntax("an unknown escape in a string")),
        };
        self.at += 2;
        Ok(char)
    }

    /// Reads `\uXXXX`, or two of them that make one character together.
    fn unicode(&mut self) -> Result<char, DecodeError> {
        let high = self.hex(self.at);
        let low = self.hex(self.at + 6);
        let (code, length) = match (high, low) {
            (Some(high @ 0xd800..0xdc00), Some(low @ 0xdc00..0xe000)) => {
                (Some(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)), 12)
            }
            (high, _) => (high, 6),
        };
        let Some(char) = code.and_then(char::from_u32) else {
            return Err(self.syntax("an escape in a string that is no character"));
        };
        self.at += length;
        Ok(char)
    }

    fn hex(&self, at: usize) -> Option<u32> {
        let digits = self.text.get(at..at + 6)?.strip_prefix("\\u")?;
        let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        hex.then(|| u32::from_str_radix(digits, 16).ok())?
    }

    /// Reads a number whose first character is next.
    #[inline]
    pub(super) fn number(&mut self) -> Result<Number<'de>, DecodeError> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let negative = bytes.get(self.at) == Some(&b'-');
        self.at += usize::from(negative);
        let first = self.at;
        let mut value = Some(0_u64);
        while let Some(digit) = bytes.get(self.at).filter(|byte| byte.is_ascii_digit()) {
            let digit = u64::from(digit - b'0');
            value = value.and_then(|value| value.checked_mul(10)?.checked_add(digit));
            self.at += 1;
        }
        if self.at == first || (bytes[first] == b'0' && self.at > first + 1) {
            return Err(self.syntax("a malformed number"));
        }
        if matches!(bytes.get(self.at), Some(b'.' | b'e' | b'E')) {
            self.fraction()?;
            return Ok(Number::Float(self.since(start)));
        }
        Ok(match value {
            Some(0) if negative => Number::Float(self.since(start)),
            Some(value) if !negative => Number::Unsigned(value),
            Some(value) => 0_i64
                .checked_sub_unsigned(value)
                .map_or_else(|| Number::Wide(self.since(start)), Number::Signed),
            None => Number::Wide(self.since(start)),
        })
    }

    fn fraction(&mut self) -> Result<(), DecodeError> {
        let bytes = self.text.as_bytes();
        if bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(bytes.get(self.at), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), DecodeError> {
        let rest = &self.text.as_bytes()[self.at..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        if digits == 0 {
            return Err(self.syntax("a malformed number"));
        }
        Ok(())
    }

    /// Steps over a value of any kind.
    pub(super) fn skip(&mut self) -> Result<(), DecodeError> {
        match self.peek() {
            Some(b'n') => self.word("null"),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number().map(drop),
            Some(b'[') => self.nested(b']', |reader| {
                let mut first = true;
                while reader.next(first, b']')? {
                    first = false;
                    reader.skip()?;
                }
                Ok(())
            }),
            Some(b'{') => self.nested(b'}', |reader| {
                let mut first = true;
                while reader.next(first, b'}')? {
                    first = false;
                    reader.key()?;
                    reader.expect(b':')?;
                    reader.skip()?;
                }
                Ok(())
            }),
            _ => Err(self.syntax("expected a value")),
        }
    }
}
