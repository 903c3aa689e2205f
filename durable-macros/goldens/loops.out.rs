#[doc(hidden)]
#[allow(non_camel_case_types)]
#[derive(::core::fmt::Debug)]
struct loops {}
#[allow(clippy::too_many_arguments, clippy::used_underscore_binding)]
fn loops(items: Vec<Item>) -> ::durable::Call<loops> {
    ::durable::Call::new((items,))
}
impl ::durable::__private::Function for loops {
    const NAME: &'static str = "loops";
    const VERSION: &'static str = "";
    const KIND: ::durable::__private::FunctionKind = ::durable::__private::FunctionKind::Orchestration;
    type Input = (Vec<Item>,);
    type Output = <Result<u64, TaskError> as ::durable::__private::ResultType>::Value;
}
impl loops {
    const GRAPH: &'static ::durable::StateGraph = &::durable::StateGraph {
        name: "loops",
        variables: &["total", "rest_of_item"],
        states: &[
            ::durable::StateNode {
                name: "Start",
                awaits: "",
                line: 0,
                live: &[],
                ends: true,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitPrice",
                awaits: "price(item.name.clone())",
                line: ::core::line!(),
                live: &[0usize, 1usize],
                ends: true,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitPrice2",
                awaits: "price(\"filler\".to_owned())",
                line: ::core::line!(),
                live: &[0usize, 1usize],
                ends: true,
                within: ::core::option::Option::None,
                branches: &[],
            },
        ],
        edges: &[
            (0usize, 1usize),
            (1usize, 1usize),
            (1usize, 2usize),
            (2usize, 1usize),
            (2usize, 2usize),
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
        pub(super) struct total {}
        pub(super) struct value_of_this_expression {}
    }
    #[allow(non_camel_case_types, dead_code)]
    mod __await {
        pub(super) struct AwaitPrice {}
    }
    impl ::durable::__private::Orchestration for loops {
        #[allow(
            unreachable_code,
            unused_labels,
            clippy::needless_late_init,
            clippy::used_underscore_binding,
        )]
        fn program() -> ::std::boxed::Box<dyn ::durable::__private::Program> {
            type __Return = Result<u64, TaskError>;
            #[derive(::core::clone::Clone, ::core::marker::Copy)]
            #[allow(non_camel_case_types)]
            enum __State {
                Start,
                AwaitPrice,
                AwaitPrice2,
                __Join1,
                __Join2,
                __Join3,
                __Join4,
                __Join5,
                __Join6,
            }
            impl ::durable::__private::States for __State {
                const ALL: &'static [Self] = &[
                    Self::Start,
                    Self::AwaitPrice,
                    Self::AwaitPrice2,
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
            ::durable::__private::program_result::<
                Self,
                __State,
                _,
                <__Return as ::durable::__private::ResultType>::Error,
            >(
                Self::GRAPH,
                |__input: ::core::option::Option<(Vec<Item>,)>| {
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
                    let mut __local3 = ::core::option::Option::None;
                    '__durable: loop {
                        match __cursor.state {
                            __State::Start => '__state: {
                                #[allow(unused_mut)]
                                let items = ::durable::__private::take(&mut __frame.slot0);
                                let mut total = 0;
                                {
                                    let mut __rest_of_item_1 = ::durable::__private::iterate(
                                        items,
                                    );
                                    __frame.slot1 = ::core::option::Option::Some(total);
                                    __frame.slot2 = ::core::option::Option::Some(
                                        __rest_of_item_1,
                                    );
                                    __cursor.state = __State::__Join1;
                                    continue '__durable;
                                }
                            }
                            __State::__Join1 => '__state: {
                                {
                                    {
                                        #[allow(unused_mut)]
                                        let mut __rest_of_item_1 = ::durable::__private::take(
                                            &mut __frame.slot2,
                                        );
                                        if let ::core::option::Option::Some(item) = ::core::iter::Iterator::next(
                                            &mut __rest_of_item_1,
                                        ) {
                                            __frame.slot2 = ::core::option::Option::Some(
                                                __rest_of_item_1,
                                            );
                                            __local3 = ::core::option::Option::Some(item);
                                            __cursor.state = __State::__Join2;
                                            continue '__durable;
                                        } else {
                                            __cursor.state = __State::__Join6;
                                            continue '__durable;
                                        }
                                    }
                                }
                            }
                            __State::__Join2 => '__state: {
                                {
                                    {
                                        {
                                            #[allow(unused_mut)]
                                            let item = ::durable::__private::take(&mut __local3);
                                            {
                                                {
                                                    __cursor.begin(&__link0, price(item.name.clone()));
                                                    __cursor.state = __State::AwaitPrice;
                                                    continue '__durable;
                                                }
                                            }
                                        }
                                    }
                                }
                            }
                            __State::AwaitPrice => '__state: {
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
                                    #[allow(unused_mut)]
                                    let mut total = ::durable::__private::take(
                                        &mut __frame.slot1,
                                    );
                                    {
                                        {
                                            {
                                                {
                                                    #[allow(unused_mut)]
                                                    let mut __result2 = __polled;
                                                    match __result2? {
                                                        0 => {
                                                            {
                                                                __frame.slot1 = ::core::option::Option::Some(total);
                                                                __cursor.state = __State::__Join1;
                                                                continue '__durable;
                                                            };
                                                        }
                                                        p if p > 100 => {
                                                            {
                                                                __frame.slot2 = ::core::option::Option::None;
                                                                __frame.slot1 = ::core::option::Option::Some(total);
                                                                __cursor.state = __State::__Join6;
                                                                continue '__durable;
                                                            };
                                                        }
                                                        p => {
                                                            {
                                                                total += p;
                                                                if total > 1000 {
                                                                    return ::durable::__private::done::result::<
                                                                        <__Return as ::durable::__private::ResultType>::Value,
                                                                        <__Return as ::durable::__private::ResultType>::Error,
                                                                    >(Ok(total));
                                                                }
                                                                {
                                                                    __frame.slot1 = ::core::option::Option::Some(total);
                                                                    __cursor.state = __State::__Join3;
                                                                    continue '__durable;
                                                                };
                                                            };
                                                        }
                                                    }
                                                }
                                            }
                                        }
                                    }
                                }
                            }
                            __State::__Join3 => '__state: {
                                {
                                    {
                                        {
                                            {
                                                __cursor.state = __State::__Join4;
                                                continue '__durable;
                                            }
                                        }
                                    }
                                }
                            }
                            __State::__Join4 => '__state: {
                                {
                                    #[allow(unused_mut)]
                                    let mut total = ::durable::__private::take(
                                        &mut __frame.slot1,
                                    );
                                    {
                                        {
                                            {
                                                if total < 10 {
                                                    __cursor.begin(&__link1, price("filler".to_owned()));
                                                    __frame.slot1 = ::core::option::Option::Some(total);
                                                    __cursor.state = __State::AwaitPrice2;
                                                    continue '__durable;
                                                } else {
                                                    __frame.slot1 = ::core::option::Option::Some(total);
                                                    __cursor.state = __State::__Join5;
                                                    continue '__durable;
                                                }
                                            }
                                        }
                                    }
                                }
                            }
                            __State::AwaitPrice2 => '__state: {
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
                                    let mut total = ::durable::__private::take(
                                        &mut __frame.slot1,
                                    );
                                    {
                                        {
                                            {
                                                {
                                                    {
                                                        #[allow(unused_mut)]
                                                        let mut __result3 = __polled;
                                                        total += __result3?;
                                                    }
                                                }
                                                __frame.slot1 = ::core::option::Option::Some(total);
                                                __cursor.state = __State::__Join4;
                                                continue '__durable;
                                            }
                                        }
                                    }
                                }
                            }
                            __State::__Join5 => '__state: {
                                {
                                    {
                                        { {} }
                                        __cursor.state = __State::__Join1;
                                        continue '__durable;
                                    }
                                }
                            }
                            __State::__Join6 => '__state: {
                                {
                                    #[allow(unused_mut)]
                                    let mut total = ::durable::__private::take(
                                        &mut __frame.slot1,
                                    );
                                    {}
                                    return ::durable::__private::done::result::<
                                        <__Return as ::durable::__private::ResultType>::Value,
                                        <__Return as ::durable::__private::ResultType>::Error,
                                    >(Ok(total));
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
                            __variable::total,
                            __await::AwaitPrice,
                            _,
                        >(0usize, &mut __frame.slot1);
                    __slots
                        .slot::<
                            __variable::value_of_this_expression,
                            __await::AwaitPrice,
                            _,
                        >(1usize, &mut __frame.slot2);
                },
                |step| ::durable::__private::finish_result::<
                    Self,
                    _,
                >(
                    step,
                    |__error| {
                        #[allow(unused_imports)]
                        use ::durable::__private::describe::{
                            DescribeDynamic as _, DescribePlain as _,
                            DescribeWithData as _,
                        };
                        (&__error).describe_kind().describe(__error)
                    },
                ),
            )
        }
    }
};
