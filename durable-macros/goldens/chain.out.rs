#[doc(hidden)]
#[allow(non_camel_case_types)]
#[derive(::core::fmt::Debug)]
struct chain {}
#[allow(clippy::too_many_arguments, clippy::used_underscore_binding)]
fn chain(order: Order) -> ::durable::Call<chain> {
    ::durable::Call::new((order,))
}
impl ::durable::__private::Function for chain {
    const NAME: &'static str = "chain";
    const VERSION: &'static str = "";
    const KIND: ::durable::__private::FunctionKind = ::durable::__private::FunctionKind::Orchestration;
    type Input = (Order,);
    type Output = <Result<
        Receipt,
        CheckoutError,
    > as ::durable::__private::ResultType>::Value;
}
impl chain {
    const GRAPH: &'static ::durable::StateGraph = &::durable::StateGraph {
        name: "chain",
        variables: &["order", "receipt"],
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
                name: "AwaitChargeCard",
                awaits: "charge_card(order.clone())",
                line: ::core::line!(),
                live: &[0usize],
                ends: true,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitAudit",
                awaits: "audit(order.id, receipt.clone())",
                line: ::core::line!(),
                live: &[1usize],
                ends: true,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitTimer",
                awaits: "ctx.sleep(Duration::from_secs(1))",
                line: ::core::line!(),
                live: &[1usize],
                ends: true,
                within: ::core::option::Option::None,
                branches: &[],
            },
        ],
        edges: &[(0usize, 1usize), (1usize, 2usize), (1usize, 3usize), (2usize, 3usize)],
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
        pub(super) struct order {}
        pub(super) struct receipt {}
    }
    #[allow(non_camel_case_types, dead_code)]
    mod __await {
        pub(super) struct AwaitChargeCard {}
        pub(super) struct AwaitAudit {}
    }
    impl ::durable::__private::Orchestration for chain {
        #[allow(
            unreachable_code,
            unused_labels,
            clippy::needless_late_init,
            clippy::used_underscore_binding,
        )]
        fn program() -> ::std::boxed::Box<dyn ::durable::__private::Program> {
            type __Return = Result<Receipt, CheckoutError>;
            #[derive(::core::clone::Clone, ::core::marker::Copy)]
            #[allow(non_camel_case_types)]
            enum __State {
                Start,
                AwaitChargeCard,
                AwaitAudit,
                AwaitTimer,
                __Join1,
            }
            impl ::durable::__private::States for __State {
                const ALL: &'static [Self] = &[
                    Self::Start,
                    Self::AwaitChargeCard,
                    Self::AwaitAudit,
                    Self::AwaitTimer,
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
                |__input: ::core::option::Option<(Order,)>| {
                    #[allow(unused_mut)]
                    let mut __made = __Frame {
                        slot0: ::core::option::Option::None,
                        slot1: ::core::option::Option::None,
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
                                let order = ::durable::__private::take(&mut __frame.slot0);
                                __cursor.begin(&__link0, charge_card(order.clone()));
                                __frame.slot0 = ::core::option::Option::Some(order);
                                __cursor.state = __State::AwaitChargeCard;
                                continue '__durable;
                            }
                            __State::AwaitChargeCard => '__state: {
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
                                let order = ::durable::__private::take(&mut __frame.slot0);
                                {
                                    #[allow(unused_mut)]
                                    let mut __result1 = __polled;
                                    let receipt = __result1?;
                                    if order.total > 100_00 {
                                        __cursor.begin(&__link1, audit(order.id, receipt.clone()));
                                        __frame.slot1 = ::core::option::Option::Some(receipt);
                                        __cursor.state = __State::AwaitAudit;
                                        continue '__durable;
                                    } else {}
                                    __frame.slot1 = ::core::option::Option::Some(receipt);
                                    __cursor.state = __State::__Join1;
                                    continue '__durable;
                                }
                            }
                            __State::AwaitAudit => '__state: {
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
                                    {
                                        #[allow(unused_mut)]
                                        let mut __result2 = __polled;
                                        __result2?;
                                    }
                                    __cursor.state = __State::__Join1;
                                    continue '__durable;
                                }
                            }
                            __State::__Join1 => '__state: {
                                {
                                    __cursor.begin(&__link2, ctx.sleep(Duration::from_secs(1)));
                                    __cursor.state = __State::AwaitTimer;
                                    continue '__durable;
                                }
                            }
                            __State::AwaitTimer => '__state: {
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
                                    let receipt = ::durable::__private::take(
                                        &mut __frame.slot1,
                                    );
                                    #[allow(unused_mut)]
                                    let mut __result3 = __polled;
                                    ::core::mem::drop(__result3);
                                    return ::durable::__private::done::result::<
                                        <__Return as ::durable::__private::ResultType>::Value,
                                        <__Return as ::durable::__private::ResultType>::Error,
                                    >(Ok(receipt));
                                }
                            }
                        }
                        ::durable::__private::fell_through();
                    }
                },
                |__frame: &mut __Frame<_, _>, __slots| {
                    let _ = (&__frame, &__slots);
                    __slots
                        .slot::<
                            __variable::order,
                            __await::AwaitChargeCard,
                            _,
                        >(0usize, &mut __frame.slot0);
                    __slots
                        .slot::<
                            __variable::receipt,
                            __await::AwaitAudit,
                            _,
                        >(1usize, &mut __frame.slot1);
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
