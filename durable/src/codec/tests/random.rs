//! Random values of a type with every serde shape in it, and random damage to their text. Each
//! case has a seed of its own, which a failure prints.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "cut numbers are as random as whole ones"
)]

use super::*;

/// Vigna's `SplitMix64`: small, and good enough to choose test cases.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn integer(&mut self) -> u64 {
        let shift = self.below(64);
        let near = self.pick(&[0, 1, u64::MAX, 1 << 63, (1 << 63) - 1]);
        self.pick(&[near, self.0 >> shift, self.0 % 10])
    }

    fn wide(&mut self) -> u128 {
        let high = self.pick(&[0, 0, 1, u64::MAX, self.0]);
        u128::from(high) << 64 | u128::from(self.integer())
    }

    fn float(&mut self) -> f64 {
        let bits = f64::from_bits(self.next());
        let round = f64::from(self.0 as i16) / 4.0;
        let odd = [-0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, f64::MIN_POSITIVE];
        let odd = self.pick(&odd);
        self.pick(&[bits, round, odd])
    }

    fn char(&mut self) -> char {
        let any = char::from_u32(self.below(0x11_0000) as u32).unwrap_or('\u{fffd}');
        let special = self.pick(&['"', '\\', '/', '\u{2028}', '\u{7f}', '$', '{', '\0']);
        let low = char::from(self.below(0x80) as u8);
        self.pick(&[any, special, low, low])
    }

    fn text(&mut self) -> String {
        let known = ["", "$some", "$$some", "$", "null", "true", "1", "-1", "NaN", "inf", "1.5"];
        if self.below(3) == 0 {
            return self.pick(&known).to_owned();
        }
        (0..self.below(8)).map(|_| self.char()).collect()
    }

    fn some<T>(&mut self, of: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(3) > 0).then(|| of(self))
    }

    fn map<K: Ord, V>(&mut self, of: impl Fn(&mut Self) -> (K, V)) -> BTreeMap<K, V> {
        (0..self.below(4)).map(|_| of(self)).collect()
    }
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Any {
    Unit,
    Nothing(()),
    Truth(bool),
    Small(i8, u8, i16, u16),
    Large {
        signed: i64,
        unsigned: u64,
        wide: i128,
        wider: u128,
    },
    Float(Total),
    Single(OrderedSingle),
    Char(char),
    Text(String),
    #[serde(with = "bytes")]
    Bytes(Vec<u8>),
    Deep(Option<Option<Option<()>>>),
    Maybe(Option<Box<Any>>),
    MaybeNew(Option<New<Option<Box<Any>>>>),
    Array([Option<u8>; 2]),
    List(Vec<Any>),
    Set(BTreeSet<Any>),
    ByText(BTreeMap<String, Any>),
    ByInteger(BTreeMap<i64, Any>),
    ByWide(BTreeMap<u128, Option<Any>>),
    ByTruth(BTreeMap<bool, Any>),
    ByFloat(BTreeMap<Total, Any>),
    ByChar(BTreeMap<char, Any>),
    ByPair(BTreeMap<(u8, Option<String>), Any>),
    ByOption(BTreeMap<Option<Option<bool>>, ()>),
    ByMixed(BTreeMap<Mixed, Any>),
    ByEach(BTreeMap<Any, Any>),
    #[serde(rename = "$some")]
    Marked(Option<Box<Any>>),
    Tagged(Tagged),
    Flat(Flattened),
}

/// An `f32` by its total order.
#[derive(Serialize, Deserialize, Debug, Clone, Copy)]
struct OrderedSingle(f32);

impl PartialEq for OrderedSingle {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for OrderedSingle {}

impl PartialOrd for OrderedSingle {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OrderedSingle {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

mod bytes {
    use super::*;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<u8>, D::Error> {
        Bytes::deserialize(from).map(|bytes| bytes.0)
    }
}

/// An internally tagged enum: serde buffers what is in it.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[serde(tag = "$some")]
enum Tagged {
    Bare,
    Data { deep: Option<Option<Option<i16>>>, text: String, list: Vec<Option<()>> },
    Map(BTreeMap<char, Option<Option<u64>>>),
}

/// A struct with a part that serde buffers.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flattened {
    own: Option<Option<u8>>,
    #[serde(flatten)]
    rest: BTreeMap<String, Option<Option<Vec<Mixed>>>>,
}

impl Random {
    fn mixed(&mut self) -> Mixed {
        match self.below(6) {
            0 => Mixed::Bare,
            1 => Mixed::New(self.some(|random| random.0 as u32)),
            2 => Mixed::Pair(self.0 as i8, self.text()),
            3 => Mixed::Fields { a: self.0 & 64 == 0 },
            4 => Mixed::Some(self.0 as u8),
            _ => Mixed::BareSome,
        }
    }

    fn tagged(&mut self) -> Tagged {
        match self.below(3) {
            0 => Tagged::Bare,
            1 => Tagged::Data {
                deep: self.some(|random| random.some(|random| random.some(|_| -3))),
                text: self.text(),
                list: (0..self.below(3)).map(|_| self.some(|_| ())).collect(),
            },
            _ => Tagged::Map(self.map(|random| {
                let value = random.some(|random| random.some(Random::integer));
                (random.char(), value)
            })),
        }
    }

    fn flattened(&mut self) -> Flattened {
        let rest = self.map(|random| {
            let list = random.some(|random| random.some(|random| vec![random.mixed()]));
            (random.text() + "_", list)
        });
        Flattened { own: self.some(|random| random.some(|_| 1)), rest }
    }

    fn any(&mut self, depth: usize) -> Any {
        let any = |random: &mut Self| random.any(depth.saturating_sub(1));
        match self.below(if depth == 0 { 14 } else { 31 }) {
            0 => Any::Unit,
            1 => Any::Nothing(()),
            2 => Any::Truth(self.0 & 64 == 0),
            3 => Any::Small(self.0 as i8, self.integer() as u8, self.0 as i16, u16::MAX),
            4 => Any::Large {
                signed: self.integer() as i64,
                unsigned: self.integer(),
                wide: self.wide() as i128,
                wider: self.wide(),
            },
            5 => Any::Float(self.total()),
            6 => {
                let single = f32::from_bits(self.next() as u32);
                Any::Single(OrderedSingle(if single.is_nan() { f32::NAN } else { single }))
            }
            7 => Any::Char(self.char()),
            8 => Any::Text(self.text()),
            9 => Any::Bytes(self.text().into_bytes()),
            10 => Any::Deep(self.some(|random| random.some(|random| random.some(|_| ())))),
            11 => Any::Array([self.some(|random| random.0 as u8), None]),
            12 => Any::Tagged(self.tagged()),
            13 => Any::Flat(self.flattened()),
            14 | 15 => Any::Maybe(self.some(any).map(Box::new)),
            16 => Any::MaybeNew(self.some(|random| New(random.some(any).map(Box::new)))),
            17 | 18 => Any::List((0..self.below(4)).map(|_| any(self)).collect()),
            19 => Any::Set((0..self.below(4)).map(|_| any(self)).collect()),
            20 => Any::ByText(self.map(|random| (random.text(), any(random)))),
            21 => Any::ByInteger(self.map(|random| (random.integer() as i64, any(random)))),
            22 => Any::ByWide(self.map(|random| (random.wide(), random.some(any)))),
            23 => Any::ByTruth(self.map(|random| (random.0 & 64 == 0, any(random)))),
            24 => Any::ByFloat(self.map(|random| (random.total(), any(random)))),
            25 => Any::ByChar(self.map(|random| (random.char(), any(random)))),
            26 => Any::ByPair(self.map(|random| ((1, random.some(Random::text)), any(random)))),
            27 => Any::ByOption(self.map(|random| {
                (random.some(|random| random.some(|random| random.0 & 64 == 0)), ())
            })),
            28 => Any::ByMixed(self.map(|random| (random.mixed(), any(random)))),
            29 => Any::ByEach(self.map(|random| (any(random), any(random)))),
            _ => Any::Marked(self.some(any).map(Box::new)),
        }
    }

    fn total(&mut self) -> Total {
        let float = self.float();
        // Only one NaN has a name.
        Total(if float.is_nan() { f64::NAN } else { float })
    }
}

#[test]
fn random_values_come_back() {
    for seed in 0..6_000 {
        let value = Random(seed).any(5);
        let text = encode(&value).unwrap();
        match decode::<Any>(&text) {
            Ok(back) => assert_eq!(back, value, "seed {seed}: {text}"),
            Err(error) => panic!("seed {seed}: {error}: {value:?} as {text}"),
        }
        let json: Value = serde_json::from_str(&text).unwrap();
        // Tools may lay the text out anew.
        let pretty = serde_json::to_string_pretty(&json).unwrap();
        match decode::<Any>(&pretty) {
            Ok(back) => assert_eq!(back, value, "seed {seed}: {pretty}"),
            Err(error) => panic!("seed {seed}: {error}: {value:?} as {pretty}"),
        }
    }
}

#[test]
fn the_deepest_value_fits_the_stack() {
    let wrap: [fn(Any) -> Any; 3] = [
        |any| Any::List(vec![any]),
        |any| Any::Maybe(Some(Box::new(any))),
        |any| Any::ByEach(map([(any, Any::Unit)])),
    ];
    for wrap in wrap {
        let mut value = Any::Unit;
        let mut deepest = encode(&value).unwrap();
        while let Ok(text) = encode(&value) {
            deepest = text;
            value = wrap(value);
        }
        assert!(decode::<Any>(&deepest).is_ok(), "{deepest}");
    }
}

#[test]
fn damaged_text_is_no_panic() {
    for seed in 0..1_500 {
        let mut random = Random(seed);
        let text = encode(&random.any(3)).unwrap();
        for end in 0..text.len() {
            let Some(prefix) = text.get(..end) else {
                continue;
            };
            assert!(decode::<Any>(prefix).is_err(), "seed {seed}: {prefix}");
            assert!(decode::<Value>(prefix).is_err(), "seed {seed}: {prefix}");
        }
        for _ in 0..20 {
            let mut bytes = text.clone().into_bytes();
            let position = random.below(bytes.len());
            bytes[position] = random.pick(b"\"\\{}[],:$0-1eEnu \n\x1f\x7f");
            let Ok(damaged) = String::from_utf8(bytes) else {
                continue;
            };
            let reference = serde_json::from_str::<serde::de::IgnoredAny>(&damaged).is_ok();
            let skipped = decode::<serde::de::IgnoredAny>(&damaged).is_ok();
            assert_eq!(skipped, reference, "seed {seed}: {damaged}");
            if let Ok(value) = decode::<Any>(&damaged) {
                let again = encode(&value).unwrap();
                assert_eq!(decode::<Any>(&again).unwrap(), value, "seed {seed}: {damaged}");
            }
        }
    }
}
