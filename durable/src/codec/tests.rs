//! The codec's promises, one test each: what plain JSON would lose, what a saved value looks
//! like, and that no text whatever makes the decoder panic. Random values are in `random`.

#![allow(
    clippy::items_after_statements,
    clippy::needless_pass_by_value,
    clippy::option_option,
    clippy::zero_sized_map_values,
    reason = "odd types are what is tested, and values are plainest when passed as they are"
)]

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::*;

mod buffered;
mod errors;
mod random;

/// A value is written as `text`, and read back from it.
#[track_caller]
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T, text: &str) {
    assert_eq!(encode(&value).unwrap(), text);
    assert_eq!(decode::<T>(text).unwrap(), value);
    let spaced = text.replace(':', " :\n").replace('[', "[ ").replace('{', "\t{\r ");
    if !text.contains('\\') && !text.contains("\":\"") {
        assert_eq!(decode::<T>(&spaced).unwrap(), value, "{spaced}");
    }
}

/// A value is written as `serde_json` writes it, and read back.
#[track_caller]
fn plain<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) {
    let text = serde_json::to_string(&value).unwrap();
    check(value, &text);
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, PartialOrd, Ord, Clone)]
struct Unit;

#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Hash)]
struct New<T>(T);

#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, PartialOrd, Ord, Clone)]
struct Point {
    x: i32,
    y: Option<u8>,
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, PartialOrd, Ord, Clone)]
enum Mixed {
    Bare,
    New(Option<u32>),
    Pair(i8, String),
    Fields {
        a: bool,
    },
    #[serde(rename = "$some")]
    Some(u8),
    #[serde(rename = "$$some")]
    BareSome,
}

fn map<K: Ord, V>(entries: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    entries.into_iter().collect()
}

#[test]
fn plain_values_look_like_plain_json() {
    plain(true);
    plain((i8::MIN, i16::MAX, -1_i32, i64::MIN, u8::MAX, u64::MAX));
    plain((0.1_f64, -0.5_f32, f64::MAX, f64::MIN_POSITIVE, 1e300, 3.0, f32::MAX));
    plain(('a', '"', '\u{10ffff}', '\0'));
    plain(String::from("\"\\/ \u{2028}\u{2029}\u{feff}\u{d7ff}\u{e000}\u{fffd}\u{1f600}é"));
    plain((0..=0x20_u8).map(char::from).collect::<String>());
    plain(Vec::<u8>::new());
    plain(vec![vec![1, 2], vec![]]);
    plain(((), Unit, New(5), New(String::new())));
    plain(Point { x: -3, y: None });
    plain(Point { x: -3, y: Some(1) });
    plain(vec![
        Mixed::Bare,
        Mixed::New(None),
        Mixed::New(Some(3)),
        Mixed::Pair(-1, "x".into()),
        Mixed::Fields { a: true },
    ]);
    plain(map([("a".to_owned(), 1), (String::new(), 2), ("k\n\"".to_owned(), 3)]));
    plain(BTreeMap::<(u8, u8), u8>::new());
    plain(HashMap::<String, Option<u8>>::new());
    plain(map([(u64::MAX, 'x'), (0, 'y')]));
    plain(map([(i64::MIN, ()), (-1, ())]));
    plain(map([(true, 1), (false, 0)]));
    plain(map([('x', 1), ('"', 0)]));
    plain(map([(New(-7), 1)]));
    plain(map([(Mixed::Bare, 1)]));
    plain(BTreeSet::from([New(1), New(2)]));
    plain(Ok::<u8, String>(1));
    plain(Err::<u8, String>("no".into()));
    plain(std::time::Duration::new(3, 5));
    plain(Cow::<'static, str>::Borrowed("a\tb"));
    plain(std::net::IpAddr::from([127, 0, 0, 1]));
    plain(std::path::PathBuf::from("/a"));
    plain(serde_json::json!({"a": [1, -2, 0.5, null, true, "x", {}, []], "b": {"$x": 1}}));
}

#[test]
fn nested_options_hold() {
    type Deep = Option<Option<Option<u8>>>;
    check::<Deep>(None, "null");
    check::<Deep>(Some(None), r#"{"$some":null}"#);
    check::<Deep>(Some(Some(None)), r#"{"$some":{"$some":null}}"#);
    check::<Deep>(Some(Some(Some(1))), "1");
    check::<Option<()>>(Some(()), r#"{"$some":null}"#);
    check::<Option<()>>(None, "null");
    check(Some(Unit), r#"{"$some":null}"#);
    check(Some(New(None::<u8>)), r#"{"$some":null}"#);
    check(Some(New(Some(()))), r#"{"$some":{"$some":null}}"#);
    check(Some(Box::new(None::<u8>)), r#"{"$some":null}"#);
    check(vec![Some(Some(1)), Some(None), None], r#"[1,{"$some":null},null]"#);
    check(map([(1, Some(None)), (2, None), (3, Some(Some(4)))]), {
        r#"{"1":{"$some":null},"2":null,"3":4}"#
    });
    check(Some(Value::Null), r#"{"$some":null}"#);
    check(Ok::<_, ()>(Some(None::<u8>)), r#"{"Ok":{"$some":null}}"#);
}

#[test]
fn a_users_own_mark_is_kept_apart() {
    check(map([("$some".to_owned(), 1)]), r#"{"$$some":1}"#);
    check(Some(map([("$some".to_owned(), None::<u8>)])), r#"{"$$some":null}"#);
    check(map([("$$some".to_owned(), 1), ("$".to_owned(), 2)]), r#"{"$":2,"$$$some":1}"#);
    check(
        map([("$sometimes".to_owned(), 1), ("some".to_owned(), 2)]),
        r#"{"$sometimes":1,"some":2}"#,
    );
    check(String::from("$some"), r#""$some""#);
    check(Some(Mixed::Some(1)), r#"{"$$some":1}"#);
    check(Some(Mixed::BareSome), r#""$$some""#);
    check(map([(Mixed::BareSome, 1)]), r#"{"$$$some":1}"#);
    check(map([(Mixed::Some(1), 1), (Mixed::BareSome, 2)]), {
        r#"[[{"$$some":1},1],["$$some",2]]"#
    });
    check(
        map([(Mixed::Bare, 1), (Mixed::Pair(1, "$some".into()), 2)]),
        r#"[["Bare",1],[{"Pair":[1,"$some"]},2]]"#,
    );
    check(Some(serde_json::json!({"$some": null})), r#"{"$$some":null}"#);
    // A map written by other hands, without our extra sign, reads as what it says.
    assert_eq!(decode::<BTreeMap<String, u8>>(r#"{"$some":1}"#).unwrap()["$some"], 1);
}

#[test]
fn floats_hold() {
    for (value, text) in [
        (f64::INFINITY, r#""inf""#),
        (f64::NEG_INFINITY, r#""-inf""#),
        (-0.0, "-0.0"),
        (0.0, "0.0"),
        (5e-324, "5e-324"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e16, "1e+16"),
    ] {
        assert_eq!(encode(&value).unwrap(), text);
        assert_eq!(decode::<f64>(text).unwrap().to_bits(), value.to_bits());
    }
    assert_eq!(encode(&[f64::NAN, -f64::NAN]).unwrap(), r#"["NaN","NaN"]"#);
    assert!(decode::<f64>(r#""NaN""#).unwrap().is_nan());
    assert!(decode::<f32>(r#""NaN""#).unwrap().is_nan());
    check(
        (f32::INFINITY, f32::NEG_INFINITY, 16_777_216_f32, 0.1_f32),
        r#"["inf","-inf",16777216.0,0.1]"#,
    );
    assert_eq!(decode::<(f64, f32)>("[3,-0]").unwrap(), (3.0, 0.0));
    for text in [r#""nan""#, r#""infinity""#, r#""1.0""#, "1e400", "-1e999", "null", "[]"] {
        assert!(decode::<f64>(text).is_err(), "{text}");
        assert!(decode::<f32>(text).is_err(), "{text}");
    }
    assert!(decode::<f32>("1e39").is_err());
}

#[test]
fn wide_integers_hold() {
    check((i128::from(i64::MIN), i128::from(u64::MAX), 0_i128), {
        "[-9223372036854775808,18446744073709551615,0]"
    });
    check(vec![i128::from(i64::MIN) - 1, i128::MIN, i128::MAX], {
        r#"["-9223372036854775809","-170141183460469231731687303715884105728","170141183460469231731687303715884105727"]"#
    });
    check(vec![0, u128::from(u64::MAX), u128::from(u64::MAX) + 1, u128::MAX], {
        r#"[0,18446744073709551615,"18446744073709551616","340282366920938463463374607431768211455"]"#
    });
    check(map([(u128::MAX, 1), (7, 2)]), {
        r#"{"7":2,"340282366920938463463374607431768211455":1}"#
    });
    assert_eq!(decode::<i128>("-170141183460469231731687303715884105728").unwrap(), i128::MIN);
    assert!(decode::<u128>("-1").is_err());
    assert!(decode::<u128>("340282366920938463463374607431768211456").is_err());
    assert!(decode::<u64>("18446744073709551616").is_err());
    assert!(decode::<i64>("-9223372036854775809").is_err());
    assert!(decode::<u64>("\"1\"").is_err());
}

/// A float that can be a map key in these tests.
#[derive(Serialize, Deserialize, Debug, Clone, Copy)]
struct Total(f64);

impl PartialEq for Total {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Total {}

impl PartialOrd for Total {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Total {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[serde(untagged)]
enum Loose {
    Number(i64),
    Truth(bool),
    Text(String),
    Pair(u8, Option<u8>),
}

#[test]
fn maps_hold_any_key() {
    check(
        map([(Total(f64::NEG_INFINITY), 1), (Total(-0.0), 2), (Total(f64::NAN), 3)]),
        r#"{"-inf":1,"-0.0":2,"NaN":3}"#,
    );
    check(map([((1, true), 'a'), ((2, false), 'b')]), r#"[[[1,true],"a"],[[2,false],"b"]]"#);
    check(map([(Point { x: 1, y: None }, Unit)]), r#"[[{"x":1,"y":null},null]]"#);
    check(map([(None, 1), (Some("null".to_owned()), 2)]), r#"[[null,1],["null",2]]"#);
    check(map([(Some(None), 1), (Some(Some(1)), 2)]), r#"[[{"$some":null},1],[1,2]]"#);
    check(map([((), 1)]), "[[null,1]]");
    check(map([(vec![1, 2], 1)]), "[[[1,2],1]]");
    check(map([(map([(1, 2)]), 3)]), r#"[[{"1":2},3]]"#);
    check(map([(1, map([((1, 2), map([(true, 3)]))]))]), r#"{"1":[[[1,2],{"true":3}]]}"#);
    // Which form it is shows only after some keys have been written.
    check(
        map([(Mixed::Bare, vec![1]), (Mixed::New(None), vec![]), (Mixed::BareSome, vec![2])]),
        r#"[["Bare",[1]],[{"New":null},[]],["$$some",[2]]]"#,
    );
    check(
        map([(Loose::Number(1), 1), (Loose::Number(2), 2), (Loose::Text("1".into()), 3)]),
        r#"[[1,1],[2,2],["1",3]]"#,
    );
    check(
        map([(Loose::Truth(true), "a,]}".to_owned()), (Loose::Pair(1, None), "b".to_owned())]),
        r#"[[true,"a,]}"],[[1,null],"b"]]"#,
    );
}

/// Bytes that ask for bytes.
#[derive(Debug, PartialEq)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

#[test]
fn bytes_hold() {
    check(Bytes(vec![]), "[]");
    check(Some(Bytes(vec![0, 255, 7])), "[0,255,7]");
    check(std::ffi::CString::from(c"hi"), "[104,105]");
    assert_eq!(decode::<Bytes>("\"hi\"").unwrap(), Bytes(b"hi".to_vec()));
    assert!(decode::<Bytes>("[256]").is_err());
}

#[test]
fn raw_json_stays_as_it_is() {
    type Raw = Box<serde_json::value::RawValue>;
    for text in [r#"{"a" : [1e2]}"#, "null", r#"{ "$some" : 1.50 }"#, "\"x\""] {
        let raw = Raw::deserialize(&mut serde_json::Deserializer::from_str(text)).unwrap();
        let encoded = encode(&(&raw, Some(&raw))).unwrap();
        let (one, two): (Raw, Option<Raw>) = decode(&encoded).unwrap();
        assert_eq!((one.get(), two.unwrap().get()), (text, text), "{encoded}");
    }
}

#[test]
fn generic_json_reads_what_is_written() {
    let text = encode(&(Some(None::<u8>), map([((1, 2), f64::NAN)]), u64::MAX)).unwrap();
    let value: Value = decode(&text).unwrap();
    assert_eq!(value, serde_json::json!([null, [[[1, 2], "NaN"]], u64::MAX]));
}

#[test]
fn text_types_are_text_and_strings_are_lent() {
    assert_eq!(encode(&format_args!("a{}\n", 1)).unwrap(), r#""a1\n""#);
    struct Lent(bool);
    impl<'de> Deserialize<'de> for Lent {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl serde::de::Visitor<'_> for Visitor {
                type Value = Lent;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("text")
                }
                fn visit_borrowed_str<E>(self, _: &str) -> Result<Lent, E> {
                    Ok(Lent(true))
                }
                fn visit_str<E>(self, _: &str) -> Result<Lent, E> {
                    Ok(Lent(false))
                }
                fn visit_string<E>(self, _: String) -> Result<Lent, E> {
                    Ok(Lent(false))
                }
            }
            assert!(deserializer.is_human_readable());
            deserializer.deserialize_str(Visitor)
        }
    }
    assert!(decode::<Lent>("\"abc\"").unwrap().0);
    assert!(!decode::<Lent>("\"a\\u0062c\"").unwrap().0);
    assert_eq!(decode::<String>(r#""\ud83d\ude00\u00E9\/\b\f""#).unwrap(), "😀é/\u{8}\u{c}");
}

#[test]
fn encode_into_appends_or_leaves_alone() {
    let mut out = b"x=".to_vec();
    encode_into(&[1], &mut out).unwrap();
    assert_eq!(out, b"x=[1]");
    assert!(encode_into(&(1, errors::Refusing), &mut out).is_err());
    assert_eq!(out, b"x=[1]");
}

#[test]
fn unknown_fields_are_skipped_and_missing_options_are_none() {
    let text = r#"{"new":[{"a":"\n","b":[]},-1.5e+3,null,true,false],"x":1}"#;
    assert_eq!(decode::<Point>(text).unwrap(), Point { x: 1, y: None });
    assert_eq!(decode::<Point>("[1,2]").unwrap(), Point { x: 1, y: Some(2) });
    assert_eq!(decode::<Mixed>(r#"{"Bare":null}"#).unwrap(), Mixed::Bare);
}
