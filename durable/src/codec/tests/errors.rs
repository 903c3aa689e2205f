//! What the codec refuses, with which words, and that it never does worse than refuse.

use super::*;

/// A value that does not want to be written.
pub(super) struct Refusing;

impl Serialize for Refusing {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("I refuse"))
    }
}

#[track_caller]
fn refused<T: DeserializeOwned + Debug>(text: &str, message: &str) {
    let error = decode::<T>(text).unwrap_err();
    assert_eq!(error.to_string(), message);
    let joined = match error.path() {
        path if path.is_empty() => error.message().to_owned(),
        path => format!("{path}: {}", error.message()),
    };
    assert_eq!(joined, message);
}

#[derive(Serialize, Deserialize, Debug)]
struct Root {
    order: Order,
}

#[derive(Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Order {
    items: Vec<Item>,
    #[serde(default)]
    notes: BTreeMap<String, Mixed>,
    #[serde(default)]
    seats: BTreeMap<(u8, u8), u8>,
}

#[derive(Serialize, Deserialize, Debug)]
struct Item {
    price: u32,
}

#[test]
fn a_decode_error_says_what_and_where() {
    refused::<Root>(r#"{"order":{"items":[{"price":1},{"price":"abc"}]}}"#, {
        r#"order.items[1].price: expected u32, found "abc""#
    });
    refused::<Root>(r#"{"order":{"items":[{"price":-1}]}}"#, {
        "order.items[0].price: expected u32, found -1"
    });
    refused::<Root>(r#"{"order":{"items":[{}]}}"#, "order.items[0]: missing field `price`");
    refused::<Root>(r#"{"order":{"items":[{"price":1,"price":2}]}}"#, {
        "order.items[0]: duplicate field `price`"
    });
    refused::<Root>(r#"{"order":{"item":[]}}"#, {
        "order.item: unknown field `item`, expected one of `items`, `notes`, `seats`"
    });
    refused::<Root>(
        r#"{"order":{"items":[],"notes":{"a b":{"Pair":[1,2]}}}}"#,
        r#"order.notes["a b"].Pair[1]: expected a string, found 2"#,
    );
    refused::<Root>(
        r#"{"order":{"items":[],"notes":{"a":{"Fields":{"a":1.5}}}}}"#,
        "order.notes.a.Fields.a: expected a boolean, found 1.5",
    );
    refused::<Root>(
        r#"{"order":{"items":[],"seats":[[[1,2],3],[[1,2],null]]}}"#,
        r#"order.seats["[1,2]"]: expected u8, found null"#,
    );
    refused::<Root>(
        r#"{"order":{"items":[],"seats":[[[1,2],3],[[1,[]],4]]}}"#,
        "order.seats[1][0][1]: expected u8, found an array",
    );
    refused::<Root>(r#"{"order":{"items":[],"seats":[5]}}"#, {
        "order.seats[0]: expected a pair of key and value, found 5"
    });
    refused::<BTreeMap<u8, u8>>(r#"{"1":1,"300":2}"#, r#"300: expected u8, found "300""#);
    refused::<Vec<bool>>("[true,null]", "[1]: expected a boolean, found null");
    refused::<Option<Option<u8>>>(r#"{"$some":{}}"#, "expected u8, found an object");
    refused::<u8>("300", "expected u8, found 300");
    refused::<char>("\"ab\"", "expected a character, found \"ab\"");
    refused::<String>("{}", "expected a string, found an object");
    let long = format!("\"{}\"", "é".repeat(500));
    refused::<u8>(&long, &format!("expected u8, found \"{}\"...", "é".repeat(60)));
}

#[test]
fn a_syntax_error_says_at_which_byte() {
    for (text, message) in [
        ("", "the text ends too early at byte 0"),
        ("[1", "[1]: the text ends too early at byte 2"),
        ("[1] x", "expected the end of the text at byte 4"),
        ("[1,]", "[1]: expected a value at byte 3"),
        ("[1 2]", "expected `,` or `]` at byte 3"),
        ("[01]", "[0]: a malformed number at byte 3"),
        ("[1.]", "[0]: a malformed number at byte 3"),
        ("[-]", "[0]: a malformed number at byte 2"),
        ("[nul]", "[0]: expected a value at byte 1"),
    ] {
        let error = decode::<Vec<Value>>(text).unwrap_err();
        assert_eq!(error.to_string().replace("[1]: the text", "the text"), {
            message.replace("[1]: the text", "the text")
        });
        assert_eq!(error.kind(), DecodeErrorKind::Syntax);
    }
    for text in [
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\\u12g4\"",
        "\"\\u+123\"",
        "\"\\x\"",
        "\"\n\"",
        "\"abc",
        "\"abc\\",
        "\"\\u00e\"",
        "\"\\u00é0\"",
        "{\"a\":1,}",
        "{,}",
        "{\"a\"}",
        "{a:1}",
        "tru",
        "+1",
        ".5",
        "1e",
        "1e+",
        "\u{feff}1",
        "[1]]",
        "{\"$some\"}",
        "{\"$some\":1,\"a\":2}",
        "{\"$some\":}",
    ] {
        assert!(decode::<Value>(text).is_err(), "{text}");
        let skipped = decode::<serde::de::IgnoredAny>(text).is_err();
        assert!(skipped || text.starts_with("{\"$some\":1"), "{text}");
    }
    for text in ["[1,2,3]", "[1]", "[[1,2],[3]]"] {
        assert!(decode::<(u8, u8)>(text).is_err(), "{text}");
        assert!(decode::<BTreeMap<u8, u8>>(text).is_err(), "{text}");
    }
    for text in ["{}", r#"{"Bare":1}"#, r#"{"Fields":{"a":true},"Bare":null}"#, "\"New\"", "1"] {
        assert!(decode::<Mixed>(text).is_err(), "{text}");
    }
}

#[test]
fn an_encode_error_says_what_and_where() {
    #[derive(Serialize)]
    enum Outer {
        Fields { list: Vec<(u8, BTreeMap<u32, Refusing>)> },
        Tuple(u8, Refusing),
        New(BTreeMap<(u8, u8), Refusing>),
    }
    for (value, path) in [
        (Outer::Fields { list: vec![(1, map([(7, Refusing)]))] }, "Fields.list[0][1].7"),
        (Outer::Tuple(1, Refusing), "Tuple[1]"),
        (Outer::New(map([((1, 2), Refusing)])), r#"New["[1,2]"]"#),
    ] {
        let error = encode(&value).unwrap_err();
        assert_eq!(error.to_string(), format!("{path}: I refuse"));
        assert_eq!(error.kind(), EncodeErrorKind::Value);
    }
    assert_eq!(encode(&Refusing).unwrap_err().to_string(), "I refuse");
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
enum Tree {
    Leaf,
    List(Vec<Tree>),
    Node { next: Box<Tree> },
    Keyed(BTreeMap<bool, Tree>),
    Maybe(Option<Box<Tree>>),
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Loop(Option<Box<Loop>>);

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Chain {
    next: Option<Box<Chain>>,
}

#[test]
fn depth_has_one_limit_both_ways() {
    let grow: [fn(Tree) -> Tree; 4] = [
        |tree| Tree::List(vec![tree]),
        |tree| Tree::Node { next: Box::new(tree) },
        |tree| Tree::Keyed(map([(true, tree)])),
        |tree| Tree::Maybe(Some(Box::new(tree))),
    ];
    for (grow, levels) in grow.into_iter().zip([2, 2, 2, 1]) {
        let deep = |count| (0..count).fold(Tree::Leaf, |tree, _| grow(tree));
        let most = deep(MAX_DEPTH / levels);
        let text = encode(&most).unwrap();
        assert_eq!(decode::<Tree>(&text).unwrap(), most);
        serde_json::from_str::<Value>(&text).unwrap();
        let error = encode(&deep(MAX_DEPTH / levels + 1)).unwrap_err();
        assert_eq!(error.kind(), EncodeErrorKind::TooDeep);
    }
    let chain = |count| {
        (0..count).fold(Chain { next: None }, |chain, _| Chain { next: Some(Box::new(chain)) })
    };
    let most = chain(MAX_DEPTH - 1);
    assert_eq!(decode::<Chain>(&encode(&most).unwrap()).unwrap(), most);
    assert!(encode(&chain(MAX_DEPTH)).is_err());
    let looped = |count| (0..count).fold(Loop(None), |inner, _| Loop(Some(Box::new(inner))));
    let most = looped(MAX_DEPTH);
    assert_eq!(decode::<Loop>(&encode(&most).unwrap()).unwrap(), most);
    assert!(encode(&looped(MAX_DEPTH + 1)).is_err());
    assert!(encode(&[looped(MAX_DEPTH)]).is_err());
    // A wrap or a late pair adds a level to what was already written.
    let text = "[".repeat(MAX_DEPTH - 1) + &"]".repeat(MAX_DEPTH - 1);
    let deep: Value = decode(&text).unwrap();
    assert!(encode(&[&deep]).is_ok());
    assert!(encode(&[[&deep]]).is_err());
    assert!(encode(&map([(Loose::Number(1), &deep)])).is_ok());
    let late = map([(Loose::Number(1), Some(&deep)), (Loose::Text("a".into()), None)]);
    assert_eq!(encode(&late).unwrap_err().kind(), EncodeErrorKind::TooDeep);
}

#[test]
fn hostile_depth_is_an_error() {
    for unit in ["[", "{\"a\":", "{\"$some\":", "{\"List\":["] {
        let text = unit.repeat(100_000);
        assert_eq!(decode::<Value>(&text).unwrap_err().kind(), DecodeErrorKind::TooDeep);
        assert!(decode::<Tree>(&text).is_err());
        let skipped = decode::<serde::de::IgnoredAny>(&text).unwrap_err();
        assert_eq!(skipped.kind(), DecodeErrorKind::TooDeep);
    }
    for text in ["5", "[]", "{}", "\"a\""] {
        assert_eq!(decode::<Loop>(text).unwrap_err().kind(), DecodeErrorKind::TooDeep);
    }
    assert_eq!(decode::<Loop>("null").unwrap(), Loop(None));
    let long = decode::<Value>(&"[".repeat(1000)).unwrap_err().to_string();
    assert!(long.len() < 300, "{long}");
}
