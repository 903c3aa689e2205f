#[doc(hidden)]
#[allow(non_camel_case_types)]
#[derive(::core::fmt::Debug)]
struct shadowing {}
#[allow(clippy::too_many_arguments, clippy::used_underscore_binding)]
fn shadowing(x: u64) -> ::durable::Call<shadowing> {
    ::durable::Call::new((x,))
}
const _: () = {
    #[allow(unused_imports)]
    use ::durable::__private::NotResult as _;
    ::core::assert!(
        ! ::durable::__private::ReturnProbe:: < u64 > ::IS_RESULT,
        "this return type is a `Result` under another name, so that its errors would not be failures: name the alias `Result`, or write the type out"
    );
};
impl ::durable::__private::Function for shadowing {
    const NAME: &'static str = "shadowing";
    const VERSION: &'static str = "";
    const KIND: ::durable::__private::FunctionKind = ::durable::__private::FunctionKind::Orchestration;
    type Input = (u64,);
    type Output = u64;
}
impl shadowing {
    const GRAPH: &'static ::durable::StateGraph = &::durable::StateGraph {
        name: "shadowing",
        variables: &["x", "x_2", "y"],
        states: &[
            ::durable::StateNode {
                name: "Start",
                awaits: "",
                line: 0,
                live: &[0usize],
                ends: false,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitF",
                awaits: "f(x)",
                line: ::core::line!(),
                live: &[0usize],
                ends: false,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitF2",
                awaits: "f(x)",
                line: ::core::line!(),
                live: &[0usize, 1usize],
                ends: false,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitFind",
                awaits: "find(y.clone())",
                line: ::core::line!(),
                live: &[0usize, 2usize],
                ends: true,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitF3",
                awaits: "f(x)",
                line: ::core::line!(),
                live: &[0usize, 2usize],
                ends: false,
                within: ::core::option::Option::None,
                branches: &[],
            },
        ],
        edges: &[
            (0usize, 1usize),
            (1usize, 2usize),
            (2usize, 3usize),
            (3usize, 3usize),
            (3usize, 4usize),
            (4usize, 3usize),
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
        pub(super) struct x {}
        pub(super) struct y {}
    }
    #[allow(non_camel_case_types, dead_code)]
    mod __await {
        pub(super) struct AwaitF {}
        pub(super) struct AwaitF2 {}
        pub(super) struct AwaitFind {}
    }
    impl ::durable::__private::Orchestration for shadowing {
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
                AwaitFind,
                AwaitF3,
                __Join1,
                __Join2,
                __Join3,
            }
            impl ::durable::__private::States for __State {
                const ALL: &'static [Self] = &[
                    Self::Start,
                    Self::AwaitF,
                    Self::AwaitF2,
                    Self::AwaitFind,
                    Self::AwaitF3,
                ];
                fn index(self) -> usize {
                    self as usize
                }
            }
            struct __Frame<T0, T1, T2> {
                slot0: ::core::option::Option<T0>,
                slot1: ::core::option::Option<T1>,
                slot2: ::core::option::Option<T2>,
            }
            ::durable::__private::program_plain::<
                Self,
                __State,
                _,
            >(
                Self::GRAPH,
                |__input: ::core::option::Option<(u64,)>| {
                    #[allow(unused_mut)]
                    let mut __made = __Frame {
                        slot0: ::core::option::Option::None,
                        slot1: ::core::option::Option::None,
                        slot2: ::core::option::Option::None,
                    };
                    if let ::core::option::Option::Some((__argument0,)) = __input {
                        __made.slot0 = ::core::option::Option::Some(__argument0);
                    }
                    __made
                },
                |_, __cursor, __frame| {
                    let __link0 = ::durable::__private::Link::new();
                    let __link1 = ::durable::__private::Link::new();
                    let __link2 = ::durable::__private::Link::new();
                    let __link3 = ::durable::__private::Link::new();
                    '__durable: loop {
                        match __cursor.state {
                            __State::Start => '__state: {
                                #[allow(unused_mut)]
                                let x = ::durable::__private::take(&mut __frame.slot0);
                                {
                                    __cursor.begin(&__link0, f(x));
                                    __frame.slot0 = ::core::option::Option::Some(x);
                                    __cursor.state = __State::AwaitF;
                                    continue '__durable;
                                }
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
                                {
                                    {
                                        #[allow(unused_mut)]
                                        let mut __result2 = __polled;
                                        let x = __result2;
                                        let x = x + 1;
                                        __cursor.begin(&__link1, f(x));
                                        __frame.slot1 = ::core::option::Option::Some(x);
                                        __cursor.state = __State::AwaitF2;
                                        continue '__durable;
                                    }
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
                                {
                                    #[allow(unused_mut)]
                                    let __value1;
                                    {
                                        #[allow(unused_mut)]
                                        let x = ::durable::__private::take(&mut __frame.slot1);
                                        #[allow(unused_mut)]
                                        let mut __result3 = __polled;
                                        ::core::mem::drop(__result3);
                                        __value1 = format!("{x}");
                                    }
                                    let y = __value1;
                                    __frame.slot2 = ::core::option::Option::Some(y);
                                    __cursor.state = __State::__Join1;
                                    continue '__durable;
                                }
                            }
                            __State::__Join1 => '__state: {
                                {
                                    #[allow(unused_mut)]
                                    let y = ::durable::__private::take(&mut __frame.slot2);
                                    {
                                        __cursor.begin(&__link2, find(y.clone()));
                                        __frame.slot2 = ::core::option::Option::Some(y);
                                        __cursor.state = __State::AwaitFind;
                                        continue '__durable;
                                    }
                                }
                            }
                            __State::AwaitFind => '__state: {
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
                                    {
                                        #[allow(unused_mut)]
                                        let mut __result4 = __polled;
                                        if let Some(x) = __result4 {
                                            if x > 3 {
                                                {
                                                    __frame.slot2 = ::core::option::Option::None;
                                                    __cursor.state = __State::__Join3;
                                                    continue '__durable;
                                                };
                                            }
                                            __cursor.begin(&__link3, f(x));
                                            __cursor.state = __State::AwaitF3;
                                            continue '__durable;
                                        } else {}
                                        __cursor.state = __State::__Join2;
                                        continue '__durable;
                                    }
                                }
                            }
                            __State::AwaitF3 => '__state: {
                                let __polled = match ::durable::__private::poll(
                                    __cursor,
                                    __link3,
                                ) {
                                    ::core::option::Option::Some(output) => output,
                                    ::core::option::Option::None => {
                                        return ::durable::__private::suspended();
                                    }
                                };
                                {
                                    {
                                        {
                                            #[allow(unused_mut)]
                                            let mut __result5 = __polled;
                                            ::core::mem::drop(__result5);
                                        }
                                        __cursor.state = __State::__Join2;
                                        continue '__durable;
                                    }
                                }
                            }
                            __State::__Join2 => '__state: {
                                {
                                    {}
                                    __cursor.state = __State::__Join1;
                                    continue '__durable;
                                }
                            }
                            __State::__Join3 => '__state: {
                                #[allow(unused_mut)]
                                let x = ::durable::__private::take(&mut __frame.slot0);
                                {
                                    return ::durable::__private::done::plain::<__Return>(x);
                                }
                            }
                        }
                        ::durable::__private::fell_through();
                    }
                },
                |__frame: &mut __Frame<_, _, _>, __slots| {
                    let _ = (&__frame, &__slots);
                    __slots
                        .slot::<
                            __variable::x,
                            __await::AwaitF,
                            _,
                        >(0usize, &mut __frame.slot0);
                    __slots
                        .slot::<
                            __variable::x,
                            __await::AwaitF2,
                            _,
                        >(1usize, &mut __frame.slot1);
                    __slots
                        .slot::<
                            __variable::y,
                            __await::AwaitFind,
                            _,
                        >(2usize, &mut __frame.slot2);
                },
            )
        }
    }
};
