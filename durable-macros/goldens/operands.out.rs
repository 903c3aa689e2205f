#[doc(hidden)]
#[allow(non_camel_case_types)]
#[derive(::core::fmt::Debug)]
struct operands {}
#[allow(clippy::too_many_arguments, clippy::used_underscore_binding)]
fn operands(a: u64, b: String) -> ::durable::Call<operands> {
    ::durable::Call::new((a, b))
}
const _: () = {
    #[allow(unused_imports)]
    use ::durable::__private::NotResult as _;
    ::core::assert!(
        ! ::durable::__private::ReturnProbe:: < u64 > ::IS_RESULT,
        "this return type is a `Result` under another name, so that its errors would not be failures: name the alias `Result`, or write the type out"
    );
};
impl ::durable::__private::Function for operands {
    const NAME: &'static str = "operands";
    const VERSION: &'static str = "";
    const KIND: ::durable::__private::FunctionKind = ::durable::__private::FunctionKind::Orchestration;
    type Input = (u64, String);
    type Output = u64;
}
impl operands {
    const GRAPH: &'static ::durable::StateGraph = &::durable::StateGraph {
        name: "operands",
        variables: &["a", "b", "result", "x", "ok", "list", "value", "result_2"],
        states: &[
            ::durable::StateNode {
                name: "Start",
                awaits: "",
                line: 0,
                live: &[0usize, 1usize],
                ends: false,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitF",
                awaits: "f(a)",
                line: ::core::line!(),
                live: &[0usize, 1usize],
                ends: false,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitF2",
                awaits: "f(a + 1)",
                line: ::core::line!(),
                live: &[0usize, 1usize, 2usize],
                ends: false,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitG",
                awaits: "g(f(a + 1).await, b.clone())",
                line: ::core::line!(),
                live: &[0usize, 1usize, 2usize],
                ends: false,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitCheck",
                awaits: "check(x)",
                line: ::core::line!(),
                live: &[0usize, 1usize, 3usize],
                ends: false,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitCheck2",
                awaits: "check(a)",
                line: ::core::line!(),
                live: &[1usize, 3usize],
                ends: false,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitF3",
                awaits: "f(x)",
                line: ::core::line!(),
                live: &[1usize, 4usize, 5usize],
                ends: false,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitF4",
                awaits: "f(1)",
                line: ::core::line!(),
                live: &[1usize, 4usize, 5usize],
                ends: false,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitF5",
                awaits: "f(2)",
                line: ::core::line!(),
                live: &[4usize, 6usize],
                ends: false,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitF6",
                awaits: "f(3)",
                line: ::core::line!(),
                live: &[4usize, 6usize, 7usize],
                ends: true,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitF7",
                awaits: "f(4)",
                line: ::core::line!(),
                live: &[],
                ends: true,
                within: ::core::option::Option::None,
                branches: &[],
            },
        ],
        edges: &[
            (0usize, 1usize),
            (1usize, 2usize),
            (2usize, 3usize),
            (3usize, 4usize),
            (4usize, 5usize),
            (4usize, 6usize),
            (5usize, 6usize),
            (6usize, 7usize),
            (7usize, 8usize),
            (8usize, 9usize),
            (9usize, 10usize),
        ],
    };
    /// The states of this orchestrator, what is saved in each, and how they follow.
    #[allow(dead_code)]
    pub const fn state_machine() -> &'static ::durable::StateGraph {
        Self::GRAPH
    }
}
const _: () = {
    #[allow(non_camel_case_types, dead_code)]
    mod __variable {
        pub(super) struct a {}
        pub(super) struct b {}
        pub(super) struct value_of_this_expression {}
        pub(super) struct x {}
        pub(super) struct ok {}
        pub(super) struct list {}
    }
    #[allow(non_camel_case_types, dead_code)]
    mod __await {
        pub(super) struct AwaitF {}
        pub(super) struct AwaitF2 {}
        pub(super) struct AwaitCheck {}
        pub(super) struct AwaitF3 {}
        pub(super) struct AwaitF5 {}
        pub(super) struct AwaitF6 {}
    }
    impl ::durable::__private::Orchestration for operands {
        #[allow(
            unreachable_code,
            unused_labels,
            clippy::needless_late_init,
            clippy::used_underscore_binding,
        )]
        fn program() -> ::std::boxed::Box<dyn ::durable::__private::Program> {
            type __Return = u64;
            #[derive(::core::clone::Clone, ::core::marker::Copy)]
            #[allow(non_camel_case_types)]
            enum __State {
                Start,
                AwaitF,
                AwaitF2,
                AwaitG,
                AwaitCheck,
                AwaitCheck2,
                AwaitF3,
                AwaitF4,
                AwaitF5,
                AwaitF6,
                AwaitF7,
                __Join1,
                __Join2,
            }
            impl ::durable::__private::States for __State {
                const ALL: &'static [Self] = &[
                    Self::Start,
                    Self::AwaitF,
                    Self::AwaitF2,
                    Self::AwaitG,
                    Self::AwaitCheck,
                    Self::AwaitCheck2,
                    Self::AwaitF3,
                    Self::AwaitF4,
                    Self::AwaitF5,
                    Self::AwaitF6,
                    Self::AwaitF7,
                ];
                fn index(self) -> usize {
                    self as usize
                }
            }
            struct __Frame<T0, T1, T2, T3, T5, T6, T7, T8> {
                slot0: ::core::option::Option<T0>,
                slot1: ::core::option::Option<T1>,
                slot2: ::core::option::Option<T2>,
                slot3: ::core::option::Option<T3>,
                slot5: ::core::option::Option<T5>,
                slot6: ::core::option::Option<T6>,
                slot7: ::core::option::Option<T7>,
                slot8: ::core::option::Option<T8>,
            }
            ::durable::__private::program_plain::<
                Self,
                __State,
                _,
            >(
                Self::GRAPH,
                |__input: ::core::option::Option<(u64, String)>| {
                    #[allow(unused_mut)]
                    let mut __made = __Frame {
                        slot0: ::core::option::Option::None,
                        slot1: ::core::option::Option::None,
                        slot2: ::core::option::Option::None,
                        slot3: ::core::option::Option::None,
                        slot5: ::core::option::Option::None,
                        slot6: ::core::option::Option::None,
                        slot7: ::core::option::Option::None,
                        slot8: ::core::option::Option::None,
                    };
                    if let ::core::option::Option::Some((__argument0, __argument1)) = __input {
                        __made.slot0 = ::core::option::Option::Some(__argument0);
                        __made.slot1 = ::core::option::Option::Some(__argument1);
                    }
                    __made
                },
                |_, __cursor, __frame| {
                    let __link0 = ::durable::__private::Link::new();
                    let __link1 = ::durable::__private::Link::new();
                    let __link2 = ::durable::__private::Link::new();
                    let __link3 = ::durable::__private::Link::new();
                    let __link4 = ::durable::__private::Link::new();
                    let __link5 = ::durable::__private::Link::new();
                    let __link6 = ::durable::__private::Link::new();
                    let __link7 = ::durable::__private::Link::new();
                    let __link8 = ::durable::__private::Link::new();
                    let __link9 = ::durable::__private::Link::new();
                    let mut __local4 = ::core::option::Option::None;
                    let mut __local9 = ::core::option::Option::None;
                    '__durable: loop {
                        match __cursor.state {
                            __State::Start => '__state: {
                                #[allow(unused_mut)]
                                let a = ::durable::__private::take(&mut __frame.slot0);
                                __cursor.begin(&__link0, f(a));
                                __frame.slot0 = ::core::option::Option::Some(a);
                                __cursor.state = __State::AwaitF;
                                continue '__durable;
                            }
                            __State::AwaitF => '__state: {
                                let __polled = match ::durable::__private::poll(
                                    __cursor,
                                    __link0,
                                ) {
                                    ::core::option::Option::Some(output) => output,
                                    ::core::option::Option::None => {
                                        return ::durable::__private::suspended();
                                    }
                                };
                                #[allow(unused_mut)]
                                let a = ::durable::__private::take(&mut __frame.slot0);
                                {
                                    ::core::mem::drop(__polled);
                                    __cursor.begin(&__link1, f(a + 1));
                                    __frame.slot0 = ::core::option::Option::Some(a);
                                    __cursor.state = __State::AwaitF2;
                                    continue '__durable;
                                }
                            }
                            __State::AwaitF2 => '__state: {
                                let __polled = match ::durable::__private::poll(
                                    __cursor,
                                    __link1,
                                ) {
                                    ::core::option::Option::Some(output) => output,
                                    ::core::option::Option::None => {
                                        return ::durable::__private::suspended();
                                    }
                                };
                                #[allow(unused_mut)]
                                let b = ::durable::__private::take(&mut __frame.slot1);
                                {
                                    #[allow(unused_mut)]
                                    let mut __result2 = __polled;
                                    __cursor.begin(&__link2, g(__result2, b.clone()));
                                    __frame.slot1 = ::core::option::Option::Some(b);
                                    __cursor.state = __State::AwaitG;
                                    continue '__durable;
                                }
                            }
                            __State::AwaitG => '__state: {
                                let __polled = match ::durable::__private::poll(
                                    __cursor,
                                    __link2,
                                ) {
                                    ::core::option::Option::Some(output) => output,
                                    ::core::option::Option::None => {
                                        return ::durable::__private::suspended();
                                    }
                                };
                                {
                                    #[allow(unused_mut)]
                                    let mut __result1 = ::durable::__private::take(
                                        &mut __frame.slot2,
                                    );
                                    #[allow(unused_mut)]
                                    let mut __result3 = __polled;
                                    let x = __result1 + __result3 * 2;
                                    __cursor.begin(&__link3, check(x));
                                    __frame.slot3 = ::core::option::Option::Some(x);
                                    __cursor.state = __State::AwaitCheck;
                                    continue '__durable;
                                }
                            }
                            __State::AwaitCheck => '__state: {
                                let __polled = match ::durable::__private::poll(
                                    __cursor,
                                    __link3,
                                ) {
                                    ::core::option::Option::Some(output) => output,
                                    ::core::option::Option::None => {
                                        return ::durable::__private::suspended();
                                    }
                                };
                                #[allow(unused_mut)]
                                let a = ::durable::__private::take(&mut __frame.slot0);
                                {
                                    #[allow(unused_mut)]
                                    let x = ::durable::__private::take(&mut __frame.slot3);
                                    #[allow(unused_mut)]
                                    let mut __result4 = __polled;
                                    #[allow(unused_mut)]
                                    let __value5;
                                    if !(__result4 && x > 3) {
                                        __cursor.begin(&__link4, check(a));
                                        __frame.slot3 = ::core::option::Option::Some(x);
                                        __cursor.state = __State::AwaitCheck2;
                                        continue '__durable;
                                    } else {
                                        __value5 = true;
                                    }
                                    __frame.slot3 = ::core::option::Option::Some(x);
                                    __local4 = ::core::option::Option::Some(__value5);
                                    __cursor.state = __State::__Join1;
                                    continue '__durable;
                                }
                            }
                            __State::AwaitCheck2 => '__state: {
                                let __polled = match ::durable::__private::poll(
                                    __cursor,
                                    __link4,
                                ) {
                                    ::core::option::Option::Some(output) => output,
                                    ::core::option::Option::None => {
                                        return ::durable::__private::suspended();
                                    }
                                };
                                {
                                    #[allow(unused_mut)]
                                    let __value5;
                                    {
                                        #[allow(unused_mut)]
                                        let mut __result6 = __polled;
                                        __value5 = __result6;
                                    }
                                    __local4 = ::core::option::Option::Some(__value5);
                                    __cursor.state = __State::__Join1;
                                    continue '__durable;
                                }
                            }
                            __State::__Join1 => '__state: {
                                {
                                    #[allow(unused_mut)]
                                    let x = ::durable::__private::take(&mut __frame.slot3);
                                    #[allow(unused_mut)]
                                    let __value5 = ::durable::__private::take(&mut __local4);
                                    let ok = __value5;
                                    let mut list = vec![x];
                                    __cursor.begin(&__link5, f(x));
                                    __frame.slot5 = ::core::option::Option::Some(ok);
                                    __frame.slot6 = ::core::option::Option::Some(list);
                                    __cursor.state = __State::AwaitF3;
                                    continue '__durable;
                                }
                            }
                            __State::AwaitF3 => '__state: {
                                let __polled = match ::durable::__private::poll(
                                    __cursor,
                                    __link5,
                                ) {
                                    ::core::option::Option::Some(output) => output,
                                    ::core::option::Option::None => {
                                        return ::durable::__private::suspended();
                                    }
                                };
                                {
                                    #[allow(unused_mut)]
                                    let mut list = ::durable::__private::take(
                                        &mut __frame.slot6,
                                    );
                                    #[allow(unused_mut)]
                                    let mut __result7 = __polled;
                                    list.push(__result7);
                                    __cursor.begin(&__link6, f(1));
                                    __frame.slot6 = ::core::option::Option::Some(list);
                                    __cursor.state = __State::AwaitF4;
                                    continue '__durable;
                                }
                            }
                            __State::AwaitF4 => '__state: {
                                let __polled = match ::durable::__private::poll(
                                    __cursor,
                                    __link6,
                                ) {
                                    ::core::option::Option::Some(output) => output,
                                    ::core::option::Option::None => {
                                        return ::durable::__private::suspended();
                                    }
                                };
                                #[allow(unused_mut)]
                                let b = ::durable::__private::take(&mut __frame.slot1);
                                {
                                    #[allow(unused_mut)]
                                    let mut list = ::durable::__private::take(
                                        &mut __frame.slot6,
                                    );
                                    #[allow(unused_mut)]
                                    let mut __result8 = __polled;
                                    list[0] += __result8;
                                    let mut __value9 = b;
                                    __cursor.begin(&__link7, f(2));
                                    __frame.slot7 = ::core::option::Option::Some(__value9);
                                    __cursor.state = __State::AwaitF5;
                                    continue '__durable;
                                }
                            }
                            __State::AwaitF5 => '__state: {
                                let __polled = match ::durable::__private::poll(
                                    __cursor,
                                    __link7,
                                ) {
                                    ::core::option::Option::Some(output) => output,
                                    ::core::option::Option::None => {
                                        return ::durable::__private::suspended();
                                    }
                                };
                                {
                                    ::core::mem::drop(__polled);
                                    __cursor.begin(&__link8, f(3));
                                    __cursor.state = __State::AwaitF6;
                                    continue '__durable;
                                }
                            }
                            __State::AwaitF6 => '__state: {
                                let __polled = match ::durable::__private::poll(
                                    __cursor,
                                    __link8,
                                ) {
                                    ::core::option::Option::Some(output) => output,
                                    ::core::option::Option::None => {
                                        return ::durable::__private::suspended();
                                    }
                                };
                                {
                                    #[allow(unused_mut)]
                                    let ok = ::durable::__private::take(&mut __frame.slot5);
                                    #[allow(unused_mut)]
                                    let mut __value9 = ::durable::__private::take(
                                        &mut __frame.slot7,
                                    );
                                    #[allow(unused_mut)]
                                    let mut __result10 = ::durable::__private::take(
                                        &mut __frame.slot8,
                                    );
                                    #[allow(unused_mut)]
                                    let mut __result11 = __polled;
                                    let pair = (
                                        __value9,
                                        __result10,
                                        Point { x: __result11, y: ok },
                                    );
                                    #[allow(unused_mut)]
                                    let __value12;
                                    if ok {
                                        __cursor.begin(&__link9, f(4));
                                        __cursor.state = __State::AwaitF7;
                                        continue '__durable;
                                    } else {
                                        __value12 = pair.1;
                                    }
                                    __local9 = ::core::option::Option::Some(__value12);
                                    __cursor.state = __State::__Join2;
                                    continue '__durable;
                                }
                            }
                            __State::AwaitF7 => '__state: {
                                let __polled = match ::durable::__private::poll(
                                    __cursor,
                                    __link9,
                                ) {
                                    ::core::option::Option::Some(output) => output,
                                    ::core::option::Option::None => {
                                        return ::durable::__private::suspended();
                                    }
                                };
                                {
                                    #[allow(unused_mut)]
                                    let __value12;
                                    {
                                        #[allow(unused_mut)]
                                        let mut __result13 = __polled;
                                        __value12 = __result13;
                                    }
                                    __local9 = ::core::option::Option::Some(__value12);
                                    __cursor.state = __State::__Join2;
                                    continue '__durable;
                                }
                            }
                            __State::__Join2 => '__state: {
                                {
                                    #[allow(unused_mut)]
                                    let __value12 = ::durable::__private::take(&mut __local9);
                                    let value = __value12;
                                    return ::durable::__private::done::plain::<__Return>(value);
                                }
                            }
                        }
                        ::durable::__private::fell_through();
                    }
                },
                |__frame: &mut __Frame<_, _, _, _, _, _, _, _>, __slots| {
                    let _ = (&__frame, &__slots);
                    __slots
                        .slot::<
                            __variable::a,
                            __await::AwaitF,
                            _,
                        >(0usize, &mut __frame.slot0);
                    __slots
                        .slot::<
                            __variable::b,
                            __await::AwaitF,
                            _,
                        >(1usize, &mut __frame.slot1);
                    __slots
                        .slot::<
                            __variable::value_of_this_expression,
                            __await::AwaitF2,
                            _,
                        >(2usize, &mut __frame.slot2);
                    __slots
                        .slot::<
                            __variable::x,
                            __await::AwaitCheck,
                            _,
                        >(3usize, &mut __frame.slot3);
                    __slots
                        .slot::<
                            __variable::ok,
                            __await::AwaitF3,
                            _,
                        >(4usize, &mut __frame.slot5);
                    __slots
                        .slot::<
                            __variable::list,
                            __await::AwaitF3,
                            _,
                        >(5usize, &mut __frame.slot6);
                    __slots
                        .slot::<
                            __variable::value_of_this_expression,
                            __await::AwaitF5,
                            _,
                        >(6usize, &mut __frame.slot7);
                    __slots
                        .slot::<
                            __variable::value_of_this_expression,
                            __await::AwaitF6,
                            _,
                        >(7usize, &mut __frame.slot8);
                },
            )
        }
    }
};
