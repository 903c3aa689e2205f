//! Values that serde buffers before it knows their type: tagged and untagged enums, flattened
//! fields. Options hold there too; the rest of the limits are in the module's documentation.

use super::*;

#[derive(Serialize, Deserialize, Debug, PartialEq)]
#[serde(tag = "type")]
enum Internal {
    Bare,
    Data { deep: Option<Option<u8>>, unit: Option<()> },
    Map(BTreeMap<String, i32>),
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    Bare,
    Deep(Option<Option<u8>>),
    Keyed(BTreeMap<(u8, u8), f64>),
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
#[serde(untagged)]
enum Untagged {
    Data { deep: Option<Option<u8>> },
    List(Vec<Option<Option<i8>>>),
    Text(String),
    Float(f64),
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
#[serde(untagged)]
enum Keyed {
    Map(BTreeMap<String, Option<Option<u8>>>),
    Deep(Option<Option<u8>>),
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Flat<M> {
    name: String,
    #[serde(flatten)]
    rest: M,
}

#[test]
fn buffered_values_hold_as_much_as_they_can() {
    check(Internal::Bare, r#"{"type":"Bare"}"#);
    check(
        Internal::Data { deep: Some(None), unit: Some(()) },
        r#"{"type":"Data","deep":{"$some":null},"unit":{"$some":null}}"#,
    );
    check(Internal::Data { deep: None, unit: None }, r#"{"type":"Data","deep":null,"unit":null}"#);
    check(Internal::Map(map([("$some".to_owned(), 1)])), r#"{"type":"Map","$$some":1}"#);
    check(Adjacent::Bare, r#"{"t":"Bare"}"#);
    check(Adjacent::Deep(Some(None)), r#"{"t":"Deep","c":{"$some":null}}"#);
    check(Adjacent::Keyed(map([((1, 2), f64::INFINITY)])), {
        r#"{"t":"Keyed","c":[[[1,2],"inf"]]}"#
    });
    check(Untagged::Data { deep: Some(None) }, r#"{"deep":{"$some":null}}"#);
    check(Untagged::List(vec![Some(None), None, Some(Some(-1))]), r#"[{"$some":null},null,-1]"#);
    check(Untagged::Text("inf".into()), r#""inf""#);
    check(Untagged::Float(-0.0), "-0.0");
    check(Keyed::Map(map([("$some".into(), None)])), r#"{"$$some":null}"#);
    check(Keyed::Map(map([("$some".into(), Some(None))])), r#"{"$$some":{"$some":null}}"#);
    check(Keyed::Deep(Some(None)), r#"{"$some":null}"#);
    check(
        Flat { name: "n".into(), rest: map([("$some".to_owned(), Some(None::<u8>))]) },
        r#"{"name":"n","$$some":{"$some":null}}"#,
    );
    check(
        Flat { name: "n".into(), rest: Point { x: 1, y: Some(2) } },
        r#"{"name":"n","x":1,"y":2}"#,
    );
    check(
        Flat { name: "n".into(), rest: map([(1_u64, 2), (300, 4)]) },
        r#"[["name","n"],[1,2],[300,4]]"#,
    );
    // The documented limits: an error, or another untagged variant that fits the text.
    let text = encode(&Untagged::Float(f64::INFINITY)).unwrap();
    assert_eq!(decode::<Untagged>(&text).unwrap(), Untagged::Text("inf".into()));
    let text = encode(&Flat { name: "n".into(), rest: map([("x", f32::NAN)]) }).unwrap();
    assert!(decode::<Flat<BTreeMap<String, f32>>>(&text).is_err());
}
