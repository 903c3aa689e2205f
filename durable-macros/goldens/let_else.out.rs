#[doc(hidden)]
#[allow(non_camel_case_types)]
#[derive(::core::fmt::Debug)]
struct let_else {}
#[allow(clippy::too_many_arguments, clippy::used_underscore_binding)]
fn let_else(map: BTreeMap<String, u64>, k: String) -> ::durable::Call<let_else> {
    ::durable::Call::new((map, k))
}
impl ::durable::__private::Function for let_else {
    const NAME: &'static str = "let_else";
    const VERSION: &'static str = "";
    const KIND: ::durable::__private::FunctionKind = ::durable::__private::FunctionKind::Orchestration;
    type Input = (BTreeMap<String, u64>, String);
    type Output = <Result<u64, TaskError> as ::durable::__private::ResultType>::Value;
}
impl let_else {
    const GRAPH: &'static ::durable::StateGraph = &::durable::StateGraph {
        name: "let_else",
        variables: &[],
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
                name: "AwaitLog",
                awaits: "log(k)",
                line: ::core::line!(),
                live: &[],
                ends: true,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitF",
                awaits: "f(0)",
                line: ::core::line!(),
                live: &[],
                ends: true,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitF2",
                awaits: "f(later)",
                line: ::core::line!(),
                live: &[],
                ends: true,
                within: ::core::option::Option::None,
                branches: &[],
            },
        ],
        edges: &[(0usize, 1usize), (0usize, 2usize), (0usize, 3usize), (2usize, 3usize)],
    };
    /// The states of this orchestrator, what is saved in each, and how they follow.
    #[allow(dead_code)]
    pub const fn state_machine() -> &'static ::durable::StateGraph {
        Self::GRAPH
    }
}
const _: () = {
    impl ::durable::__private::Orchestration for let_else {
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
                AwaitLog,
                AwaitF,
                AwaitF2,
                __Join1,
                __Join2,
            }
            impl ::durable::__private::States for __State {
                const ALL: &'static [Self] = &[
                    Self::Start,
                    Self::AwaitLog,
                    Self::AwaitF,
                    Self::AwaitF2,
                ];
                fn index(self) -> usize {
                    self as usize
                }
            }
            struct __Frame<T0, T1> {
                slot0: ::core::option::Option<T0>,
                slot1: ::core::option::Option<T1>,
            }
            ::durable::__private::program_result::<
                Self,
                __State,
                _,
                <__Return as ::durable::__private::ResultType>::Error,
            >(
                Self::GRAPH,
                |__input: ::core::option::Option<(BTreeMap<String, u64>, String)>| {
                    #[allow(unused_mut)]
                    let mut __made = __Frame {
                        slot0: ::core::option::Option::None,
                        slot1: ::core::option::Option::None,
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
                    let mut __local2 = ::core::option::Option::None;
                    let mut __local3 = ::core::option::Option::None;
                    '__durable: loop {
                        match __cursor.state {
                            __State::Start => '__state: {
                                #[allow(unused_mut)]
                                let map = ::durable::__private::take(&mut __frame.slot0);
                                #[allow(unused_mut)]
                                let k = ::durable::__private::take(&mut __frame.slot1);
                                let Some(x) = map.get(&k) else {
                                    {
                                        __cursor.begin(&__link0, log(k));
                                        __cursor.state = __State::AwaitLog;
                                        continue '__durable;
                                    }
                                    ::durable::__private::fell_through()
                                };
                                #[allow(unused_mut)]
                                let later;
                                match *x {
                                    0 => {
                                        __cursor.begin(&__link1, f(0));
                                        __cursor.state = __State::AwaitF;
                                        continue '__durable;
                                    }
                                    n => {
                                        later = n;
                                    }
                                }
                                __local2 = ::core::option::Option::Some(later);
                                __cursor.state = __State::__Join1;
                                continue '__durable;
                            }
                            __State::AwaitLog => '__state: {
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
                                        {
                                            #[allow(unused_mut)]
                                            let mut __result1 = __polled;
                                            __result1?;
                                            return ::durable::__private::done::result::<
                                                <__Return as ::durable::__private::ResultType>::Value,
                                                <__Return as ::durable::__private::ResultType>::Error,
                                            >(Ok(0));
                                        }
                                    }
                                }
                            }
                            __State::AwaitF => '__state: {
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
                                    let later;
                                    {
                                        #[allow(unused_mut)]
                                        let mut __result2 = __polled;
                                        later = __result2?;
                                    }
                                    __local2 = ::core::option::Option::Some(later);
                                    __cursor.state = __State::__Join1;
                                    continue '__durable;
                                }
                            }
                            __State::__Join1 => '__state: {
                                {
                                    #[allow(unused_mut)]
                                    let later = ::durable::__private::take(&mut __local2);
                                    #[allow(unused_mut)]
                                    let __value3;
                                    {
                                        if later > 1 {
                                            __cursor.begin(&__link2, f(later));
                                            __cursor.state = __State::AwaitF2;
                                            continue '__durable;
                                        } else {}
                                        __value3 = 7;
                                    }
                                    __local3 = ::core::option::Option::Some(__value3);
                                    __cursor.state = __State::__Join2;
                                    continue '__durable;
                                }
                            }
                            __State::AwaitF2 => '__state: {
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
                                    let __value3;
                                    {
                                        {
                                            #[allow(unused_mut)]
                                            let mut __result4 = __polled;
                                            {
                                                __value3 = __result4?;
                                                {
                                                    __local3 = ::core::option::Option::Some(__value3);
                                                    __cursor.state = __State::__Join2;
                                                    continue '__durable;
                                                }
                                            };
                                        }
                                    }
                                }
                            }
                            __State::__Join2 => '__state: {
                                {
                                    #[allow(unused_mut)]
                                    let __value3 = ::durable::__private::take(&mut __local3);
                                    let v = __value3;
                                    return ::durable::__private::done::result::<
                                        <__Return as ::durable::__private::ResultType>::Value,
                                        <__Return as ::durable::__private::ResultType>::Error,
                                    >(Ok(v));
                                }
                            }
                        }
                        ::durable::__private::fell_through();
                    }
                },
                |__frame: &mut __Frame<_, _>, __slots| {
                    let _ = (&__frame, &__slots);
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
