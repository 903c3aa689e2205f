#[doc(hidden)]
#[allow(non_camel_case_types)]
#[derive(::core::fmt::Debug)]
struct joins {}
#[allow(clippy::too_many_arguments, clippy::used_underscore_binding)]
fn joins(names: Vec<String>) -> ::durable::Call<joins> {
    ::durable::Call::new((names,))
}
impl ::durable::__private::Function for joins {
    const NAME: &'static str = "joins";
    const VERSION: &'static str = "";
    const KIND: ::durable::__private::FunctionKind = ::durable::__private::FunctionKind::Orchestration;
    type Input = (Vec<String>,);
    type Output = <Result<u64, TaskError> as ::durable::__private::ResultType>::Value;
}
impl joins {
    const GRAPH: &'static ::durable::StateGraph = &::durable::StateGraph {
        name: "joins",
        variables: &["task", "sizes", "a"],
        states: &[
            ::durable::StateNode {
                name: "Start",
                awaits: "",
                line: 0,
                live: &[],
                ends: false,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitAll",
                awaits: "try_join_all(names.into_iter().map(size_of))",
                line: ::core::line!(),
                live: &[0usize],
                ends: true,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitAll2",
                awaits: "join!(size_of(\"a\".to_owned()), ctx.sleep(Duration::from_secs(1)))",
                line: ::core::line!(),
                live: &[0usize, 1usize],
                ends: false,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitAll3",
                awaits: "try_join!(size_of(\"c\".to_owned()), task)",
                line: ::core::line!(),
                live: &[1usize, 2usize],
                ends: true,
                within: ::core::option::Option::None,
                branches: &[],
            },
        ],
        edges: &[(0usize, 1usize), (1usize, 2usize), (2usize, 3usize)],
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
        pub(super) struct task {}
        pub(super) struct sizes {}
        pub(super) struct a {}
    }
    #[allow(non_camel_case_types, dead_code)]
    mod __await {
        pub(super) struct AwaitAll {}
        pub(super) struct AwaitAll2 {}
        pub(super) struct AwaitAll3 {}
    }
    impl ::durable::__private::Orchestration for joins {
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
                AwaitAll,
                AwaitAll2,
                AwaitAll3,
            }
            impl ::durable::__private::States for __State {
                const ALL: &'static [Self] = &[
                    Self::Start,
                    Self::AwaitAll,
                    Self::AwaitAll2,
                    Self::AwaitAll3,
                ];
                fn index(self) -> usize {
                    self as usize
                }
            }
            struct __Frame<T0, T1, T2, T3> {
                slot0: ::core::option::Option<T0>,
                slot1: ::core::option::Option<T1>,
                slot2: ::core::option::Option<T2>,
                slot3: ::core::option::Option<T3>,
            }
            ::durable::__private::program_result::<
                Self,
                __State,
                _,
                <__Return as ::durable::__private::ResultType>::Error,
            >(
                Self::GRAPH,
                |__input: ::core::option::Option<(Vec<String>,)>| {
                    #[allow(unused_mut)]
                    let mut __made = __Frame {
                        slot0: ::core::option::Option::None,
                        slot1: ::core::option::Option::None,
                        slot2: ::core::option::Option::None,
                        slot3: ::core::option::Option::None,
                    };
                    if let ::core::option::Option::Some((__argument0,)) = __input {
                        __made.slot0 = ::core::option::Option::Some(__argument0);
                    }
                    __made
                },
                |ctx: &OrchestrationContext, __cursor, __frame| {
                    let __link0 = ::durable::__private::Link::new();
                    let __link1 = ::durable::__private::Link::new();
                    let __link2 = ::durable::__private::Link::new();
                    '__durable: loop {
                        match __cursor.state {
                            __State::Start => '__state: {
                                #[allow(unused_mut)]
                                let names = ::durable::__private::take(&mut __frame.slot0);
                                let task = ctx.spawn(size_of("x".to_owned()));
                                __cursor
                                    .begin(
                                        &__link0,
                                        try_join_all(names.into_iter().map(size_of)),
                                    );
                                __frame.slot1 = ::core::option::Option::Some(task);
                                __cursor.state = __State::AwaitAll;
                                continue '__durable;
                            }
                            __State::AwaitAll => '__state: {
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
                                    let mut __result1 = __polled;
                                    let sizes = __result1?;
                                    __cursor
                                        .begin(
                                            &__link1,
                                            ::durable::__private::Join((
                                                size_of("a".to_owned()),
                                                ctx.sleep(Duration::from_secs(1)),
                                            )),
                                        );
                                    __frame.slot2 = ::core::option::Option::Some(sizes);
                                    __cursor.state = __State::AwaitAll2;
                                    continue '__durable;
                                }
                            }
                            __State::AwaitAll2 => '__state: {
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
                                    let task = ::durable::__private::take(&mut __frame.slot1);
                                    #[allow(unused_mut)]
                                    let mut __result2 = __polled;
                                    let (a, b) = __result2;
                                    __cursor
                                        .begin(
                                            &__link2,
                                            ::durable::__private::TryJoin((
                                                size_of("c".to_owned()),
                                                task,
                                            )),
                                        );
                                    __frame.slot3 = ::core::option::Option::Some(a);
                                    __cursor.state = __State::AwaitAll3;
                                    continue '__durable;
                                }
                            }
                            __State::AwaitAll3 => '__state: {
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
                                    let sizes = ::durable::__private::take(&mut __frame.slot2);
                                    #[allow(unused_mut)]
                                    let a = ::durable::__private::take(&mut __frame.slot3);
                                    #[allow(unused_mut)]
                                    let mut __result3 = __polled;
                                    let (c, d) = __result3?;
                                    return ::durable::__private::done::result::<
                                        <__Return as ::durable::__private::ResultType>::Value,
                                        <__Return as ::durable::__private::ResultType>::Error,
                                    >(Ok(sizes.iter().sum::<u64>() + a? + c + d));
                                }
                            }
                        }
                        ::durable::__private::fell_through();
                    }
                },
                |__frame: &mut __Frame<_, _, _, _>, __slots| {
                    let _ = (&__frame, &__slots);
                    __slots
                        .slot::<
                            __variable::task,
                            __await::AwaitAll,
                            _,
                        >(0usize, &mut __frame.slot1);
                    __slots
                        .slot::<
                            __variable::sizes,
                            __await::AwaitAll2,
                            _,
                        >(1usize, &mut __frame.slot2);
                    __slots
                        .slot::<
                            __variable::a,
                            __await::AwaitAll3,
                            _,
                        >(2usize, &mut __frame.slot3);
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
