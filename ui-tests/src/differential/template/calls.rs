//! The activities as the macro makes them. Their bodies never run: the driver answers them.

use durable::activity;

use crate::Item;

macro_rules! activities {
    ($($name:ident($($arg:ident: $ty:ty),*) -> $out:ty;)*) => {
        $(
            #[activity]
            pub async fn $name($($arg: $ty),*) -> $out {
                let _ = ($($arg,)*);
                unreachable!()
            }
        )*
    };
}

activities! {
    num(a: i64) -> i64;
    add(a: i64, b: i64) -> i64;
    flag(a: i64) -> bool;
    text(a: String) -> String;
    label(a: i64, b: String) -> String;
    list(a: i64) -> Vec<i64>;
    names(a: i64) -> Vec<String>;
    maybe(a: i64) -> Option<i64>;
    item(a: i64, b: String) -> Item;
    pair(a: i64) -> (i64, String);
    consume(a: Vec<i64>, b: Item) -> i64;
    join_names(a: Vec<String>, b: bool) -> String;
    ping() -> ();
}
