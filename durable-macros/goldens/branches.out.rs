#[doc(hidden)]
#[allow(non_camel_case_types)]
#[derive(::core::fmt::Debug)]
struct branches {}
#[allow(clippy::too_many_arguments, clippy::used_underscore_binding)]
fn branches(fail: bool) -> ::durable::Call<branches> {
    ::durable::Call::new((fail,))
}
impl ::durable::__private::Function for branches {
    const NAME: &'static str = "branches";
    const VERSION: &'static str = "";
    const KIND: ::durable::__private::FunctionKind = ::durable::__private::FunctionKind::Orchestration;
    type Input = (bool,);
    type Output = <Result<i64, TaskError> as ::durable::__private::ResultType>::Value;
}
impl branches {
    const GRAPH: &'static ::durable::StateGraph = &::durable::StateGraph {
        name: "branches",
        variables: &["branch", "branch_2", "value", "a", "b"],
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
                name: "AwaitEcho",
                awaits: "echo(1)",
                line: ::core::line!(),
                live: &[],
                ends: true,
                within: ::core::option::Option::Some((4usize, 0usize)),
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitEcho2",
                awaits: "echo(2)",
                line: ::core::line!(),
                live: &[2usize],
                ends: true,
                within: ::core::option::Option::Some((4usize, 0usize)),
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitEcho3",
                awaits: "echo(4)",
                line: ::core::line!(),
                live: &[],
                ends: true,
                within: ::core::option::Option::Some((4usize, 1usize)),
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitAll",
                awaits: "try_join! { async { let a = echo(1).await ?; Ok ::< _, TaskError >(a + echo(2).await ?) }, ...",
                line: ::core::line!(),
                live: &[],
                ends: true,
                within: ::core::option::Option::None,
                branches: &[
                    ::core::option::Option::Some(0usize),
                    ::core::option::Option::Some(1usize),
                ],
            },
            ::durable::StateNode {
                name: "AwaitEcho4",
                awaits: "echo(a)",
                line: ::core::line!(),
                live: &[4usize],
                ends: true,
                within: ::core::option::Option::Some((8usize, 0usize)),
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitTimer",
                awaits: "ctx.sleep(LIMIT)",
                line: ::core::line!(),
                live: &[3usize],
                ends: false,
                within: ::core::option::Option::Some((8usize, 1usize)),
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitLate",
                awaits: "late(a)",
                line: ::core::line!(),
                live: &[],
                ends: true,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitAny",
                awaits: "select! { value = echo(a), if b > 1 => Ok(value ? + b), _ = ctx.sleep(LIMIT) => Err(late(a)...",
                line: ::core::line!(),
                live: &[],
                ends: false,
                within: ::core::option::Option::None,
                branches: &[::core::option::Option::None, ::core::option::Option::None],
            },
        ],
        edges: &[
            (0usize, 4usize),
            (1usize, 2usize),
            (1usize, 4usize),
            (1usize, 8usize),
            (2usize, 4usize),
            (2usize, 8usize),
            (3usize, 4usize),
            (3usize, 8usize),
            (4usize, 1usize),
            (4usize, 3usize),
            (4usize, 4usize),
            (4usize, 8usize),
            (6usize, 7usize),
            (8usize, 5usize),
            (8usize, 6usize),
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
        pub(super) struct value_of_this_expression {}
        pub(super) struct a {}
        pub(super) struct b {}
    }
    #[allow(non_camel_case_types, dead_code)]
    mod __await {
        pub(super) struct AwaitAll {}
        pub(super) struct AwaitEcho2 {}
        pub(super) struct AwaitTimer {}
        pub(super) struct AwaitEcho4 {}
    }
    impl ::durable::__private::Orchestration for branches {
        #[allow(
            unreachable_code,
            unused_labels,
            clippy::needless_late_init,
            clippy::used_underscore_binding,
        )]
        fn program() -> ::std::boxed::Box<dyn ::durable::__private::Program> {
            type __Return = Result<i64, TaskError>;
            #[derive(::core::clone::Clone, ::core::marker::Copy)]
            #[allow(non_camel_case_types)]
            enum __State {
                Start,
                AwaitEcho,
                AwaitEcho2,
                AwaitEcho3,
                AwaitAll,
                AwaitEcho4,
                AwaitTimer,
                AwaitLate,
                AwaitAny,
                __Branch1,
                __Join1,
                __Branch2,
                __Join2,
                __Join3,
                __Join4,
                __Join5,
                __Branch3,
                __Join6,
                __Branch4,
                __Join7,
            }
            impl ::durable::__private::States for __State {
                const ALL: &'static [Self] = &[
                    Self::Start,
                    Self::AwaitEcho,
                    Self::AwaitEcho2,
                    Self::AwaitEcho3,
                    Self::AwaitAll,
                    Self::AwaitEcho4,
                    Self::AwaitTimer,
                    Self::AwaitLate,
                    Self::AwaitAny,
                ];
                fn index(self) -> usize {
                    self as usize
                }
            }
            struct __Frame<T0, T2, T3, T6, T8, T9> {
                slot0: ::core::option::Option<T0>,
                slot2: ::core::option::Option<T2>,
                slot3: ::core::option::Option<T3>,
                slot6: ::core::option::Option<T6>,
                slot8: ::core::option::Option<T8>,
                slot9: ::core::option::Option<T9>,
            }
            ::durable::__private::program_result::<
                Self,
                __State,
                _,
                <__Return as ::durable::__private::ResultType>::Error,
            >(
                Self::GRAPH,
                |__input: ::core::option::Option<(bool,)>| {
                    #[allow(unused_mut)]
                    let mut __made = __Frame {
                        slot0: ::core::option::Option::None,
                        slot2: ::core::option::Option::None,
                        slot3: ::core::option::Option::None,
                        slot6: ::core::option::Option::None,
                        slot8: ::core::option::Option::None,
                        slot9: ::core::option::Option::None,
                    };
                    if let ::core::option::Option::Some((__argument0,)) = __input {
                        __made.slot0 = ::core::option::Option::Some(__argument0);
                    }
                    __made
                },
                |ctx: &OrchestrationContext, __cursor, __frame| {
                    let __link1 = ::durable::__private::Link::new();
                    let __link2 = ::durable::__private::Link::new();
                    let __link3 = ::durable::__private::Link::new();
                    let __link5 = ::durable::__private::Link::new();
                    let __link6 = ::durable::__private::Link::new();
                    let __link7 = ::durable::__private::Link::new();
                    let mut __local1 = ::core::option::Option::None;
                    let mut __local4 = ::core::option::Option::None;
                    let mut __local5 = ::core::option::Option::None;
                    let mut __local7 = ::core::option::Option::None;
                    let mut __local10 = ::core::option::Option::None;
                    let mut __local11 = ::core::option::Option::None;
                    let mut __local12 = ::core::option::Option::None;
                    '__durable: loop {
                        match __cursor.state {
                            __State::Start => '__state: {
                                __cursor
                                    .fork(
                                        __State::AwaitAll,
                                        &[__State::__Branch1, __State::__Branch2],
                                    );
                                continue '__durable;
                            }
                            __State::__Branch1 => '__state: {
                                {
                                    {
                                        {
                                            {
                                                __cursor.begin(&__link1, echo(1));
                                                __cursor.state = __State::AwaitEcho;
                                                continue '__durable;
                                            }
                                        }
                                    }
                                }
                            }
                            __State::AwaitEcho => '__state: {
                                let __polled = match ::durable::__private::poll(
                                    __cursor,
                                    __link1,
                                ) {
                                    ::core::option::Option::Some(output) => output,
                                    ::core::option::Option::None => {
                                        if __cursor.switch() {
                                            continue '__durable;
                                        }
                                        return ::durable::__private::suspended();
                                    }
                                };
                                {
                                    {
                                        #[allow(unused_mut)]
                                        let __value5;
                                        {
                                            {
                                                #[allow(unused_mut)]
                                                let mut __result6 = __polled;
                                                let a = match ::durable::__private::Try::branch(__result6) {
                                                    ::core::ops::ControlFlow::Continue(value) => value,
                                                    ::core::ops::ControlFlow::Break(residual) => {
                                                        __value5 = ::durable::__private::FromResidual::from_residual(
                                                            residual,
                                                        );
                                                        {
                                                            __local5 = ::core::option::Option::Some(__value5);
                                                            __cursor.state = __State::__Join1;
                                                            continue '__durable;
                                                        }
                                                    }
                                                };
                                                let mut __value7 = a;
                                                __cursor.begin(&__link2, echo(2));
                                                __frame.slot6 = ::core::option::Option::Some(__value7);
                                                __cursor.state = __State::AwaitEcho2;
                                                continue '__durable;
                                            }
                                        }
                                    }
                                }
                            }
                            __State::AwaitEcho2 => '__state: {
                                let __polled = match ::durable::__private::poll(
                                    __cursor,
                                    __link2,
                                ) {
                                    ::core::option::Option::Some(output) => output,
                                    ::core::option::Option::None => {
                                        if __cursor.switch() {
                                            continue '__durable;
                                        }
                                        return ::durable::__private::suspended();
                                    }
                                };
                                {
                                    {
                                        #[allow(unused_mut)]
                                        let __value5;
                                        {
                                            {
                                                #[allow(unused_mut)]
                                                let mut __value7 = ::durable::__private::take(
                                                    &mut __frame.slot6,
                                                );
                                                #[allow(unused_mut)]
                                                let mut __result8 = __polled;
                                                __value5 = Ok::<
                                                    _,
                                                    TaskError,
                                                >(
                                                    __value7
                                                        + match ::durable::__private::Try::branch(__result8) {
                                                            ::core::ops::ControlFlow::Continue(value) => value,
                                                            ::core::ops::ControlFlow::Break(residual) => {
                                                                __value5 = ::durable::__private::FromResidual::from_residual(
                                                                    residual,
                                                                );
                                                                {
                                                                    __local5 = ::core::option::Option::Some(__value5);
                                                                    __cursor.state = __State::__Join1;
                                                                    continue '__durable;
                                                                }
                                                            }
                                                        },
                                                );
                                            }
                                        }
                                        __local5 = ::core::option::Option::Some(__value5);
                                        __cursor.state = __State::__Join1;
                                        continue '__durable;
                                    }
                                }
                            }
                            __State::__Join1 => '__state: {
                                {
                                    #[allow(unused_mut)]
                                    let __branch2;
                                    #[allow(unused_mut)]
                                    let __error4;
                                    {
                                        #[allow(unused_mut)]
                                        let __value5 = ::durable::__private::take(&mut __local5);
                                        match __value5 {
                                            ::core::result::Result::Ok(__value9) => {
                                                __branch2 = __value9;
                                            }
                                            ::core::result::Result::Err(__value10) => {
                                                __error4 = __value10;
                                                __frame.slot0 = ::core::option::Option::None;
                                                __frame.slot6 = ::core::option::Option::None;
                                                __local7 = ::core::option::Option::None;
                                                __local4 = ::core::option::Option::Some(__error4);
                                                __cursor.decide(__State::__Join4, false);
                                                continue '__durable;
                                            }
                                        }
                                        __frame.slot2 = ::core::option::Option::Some(__branch2);
                                        if __cursor.end_branch() {
                                            continue '__durable;
                                        }
                                        return ::durable::__private::suspended();
                                    }
                                }
                            }
                            __State::__Branch2 => '__state: {
                                #[allow(unused_mut)]
                                let fail = ::durable::__private::take(&mut __frame.slot0);
                                {
                                    {
                                        {
                                            #[allow(unused_mut, unused_variables)]
                                            let fail = fail;
                                            {
                                                if fail {
                                                    __cursor.begin(&__link3, echo(4));
                                                    __cursor.state = __State::AwaitEcho3;
                                                    continue '__durable;
                                                } else {}
                                                __cursor.state = __State::__Join2;
                                                continue '__durable;
                                            }
                                        }
                                    }
                                }
                            }
                            __State::AwaitEcho3 => '__state: {
                                let __polled = match ::durable::__private::poll(
                                    __cursor,
                                    __link3,
                                ) {
                                    ::core::option::Option::Some(output) => output,
                                    ::core::option::Option::None => {
                                        if __cursor.switch() {
                                            continue '__durable;
                                        }
                                        return ::durable::__private::suspended();
                                    }
                                };
                                {
                                    {
                                        #[allow(unused_mut)]
                                        let __value11;
                                        {
                                            {
                                                {
                                                    #[allow(unused_mut)]
                                                    let mut __result12 = __polled;
                                                    match ::durable::__private::Try::branch(__result12) {
                                                        ::core::ops::ControlFlow::Continue(value) => value,
                                                        ::core::ops::ControlFlow::Break(residual) => {
                                                            __value11 = ::durable::__private::FromResidual::from_residual(
                                                                residual,
                                                            );
                                                            {
                                                                __local7 = ::core::option::Option::Some(__value11);
                                                                __cursor.state = __State::__Join3;
                                                                continue '__durable;
                                                            }
                                                        }
                                                    };
                                                }
                                                __cursor.state = __State::__Join2;
                                                continue '__durable;
                                            }
                                        }
                                    }
                                }
                            }
                            __State::__Join2 => '__state: {
                                {
                                    {
                                        #[allow(unused_mut)]
                                        let __value11;
                                        {
                                            {
                                                __value11 = Ok(10);
                                            }
                                        }
                                        __local7 = ::core::option::Option::Some(__value11);
                                        __cursor.state = __State::__Join3;
                                        continue '__durable;
                                    }
                                }
                            }
                            __State::__Join3 => '__state: {
                                {
                                    #[allow(unused_mut)]
                                    let __branch3;
                                    #[allow(unused_mut)]
                                    let __error4;
                                    {
                                        #[allow(unused_mut)]
                                        let __value11 = ::durable::__private::take(&mut __local7);
                                        match __value11 {
                                            ::core::result::Result::Ok(__value13) => {
                                                __branch3 = __value13;
                                            }
                                            ::core::result::Result::Err(__value14) => {
                                                __error4 = __value14;
                                                __frame.slot0 = ::core::option::Option::None;
                                                __local5 = ::core::option::Option::None;
                                                __frame.slot6 = ::core::option::Option::None;
                                                __local4 = ::core::option::Option::Some(__error4);
                                                __cursor.decide(__State::__Join4, false);
                                                continue '__durable;
                                            }
                                        }
                                        __frame.slot3 = ::core::option::Option::Some(__branch3);
                                        if __cursor.end_branch() {
                                            continue '__durable;
                                        }
                                        return ::durable::__private::suspended();
                                    }
                                }
                            }
                            __State::AwaitAll => '__state: {
                                {
                                    #[allow(unused_mut)]
                                    let __value1;
                                    #[allow(unused_mut)]
                                    let __branch2 = ::durable::__private::take(
                                        &mut __frame.slot2,
                                    );
                                    #[allow(unused_mut)]
                                    let __branch3 = ::durable::__private::take(
                                        &mut __frame.slot3,
                                    );
                                    __value1 = ::core::result::Result::Ok((
                                        __branch2,
                                        __branch3,
                                    ));
                                    __local1 = ::core::option::Option::Some(__value1);
                                    __cursor.state = __State::__Join5;
                                    continue '__durable;
                                }
                            }
                            __State::__Join4 => '__state: {
                                {
                                    #[allow(unused_mut)]
                                    let __value1;
                                    #[allow(unused_mut)]
                                    let __error4 = ::durable::__private::take(&mut __local4);
                                    __value1 = ::core::result::Result::Err(__error4);
                                    __local1 = ::core::option::Option::Some(__value1);
                                    __cursor.state = __State::__Join5;
                                    continue '__durable;
                                }
                            }
                            __State::__Join5 => '__state: {
                                {
                                    #[allow(unused_mut)]
                                    let __value1 = ::durable::__private::take(&mut __local1);
                                    let (a, b) = __value1?;
                                    let mut __value15 = b > 1;
                                    let mut __value16 = echo(a);
                                    let mut __value17 = ctx.sleep(LIMIT);
                                    __cursor.enable(&[__value15, true]);
                                    __frame.slot8 = ::core::option::Option::Some(a);
                                    __frame.slot9 = ::core::option::Option::Some(b);
                                    __local10 = ::core::option::Option::Some(__value16);
                                    __local11 = ::core::option::Option::Some(__value17);
                                    __cursor
                                        .fork(
                                            __State::AwaitAny,
                                            &[__State::__Branch3, __State::__Branch4],
                                        );
                                    continue '__durable;
                                }
                            }
                            __State::__Branch3 => '__state: {
                                {
                                    #[allow(unused_mut)]
                                    let mut __value16 = ::durable::__private::take(
                                        &mut __local10,
                                    );
                                    {
                                        __cursor.begin(&__link5, __value16);
                                        __cursor.state = __State::AwaitEcho4;
                                        continue '__durable;
                                    }
                                }
                            }
                            __State::AwaitEcho4 => '__state: {
                                let __polled = match ::durable::__private::poll(
                                    __cursor,
                                    __link5,
                                ) {
                                    ::core::option::Option::Some(output) => output,
                                    ::core::option::Option::None => {
                                        if __cursor.switch() {
                                            continue '__durable;
                                        }
                                        return ::durable::__private::suspended();
                                    }
                                };
                                {
                                    {
                                        #[allow(unused_mut)]
                                        let __value18;
                                        #[allow(unused_mut)]
                                        let mut __result19 = __polled;
                                        __value18 = __result19;
                                        match __value18 {
                                            value => {
                                                __frame.slot8 = ::core::option::Option::None;
                                                __local10 = ::core::option::Option::None;
                                                __local11 = ::core::option::Option::None;
                                                __local12 = ::core::option::Option::Some(value);
                                                __cursor.decide(__State::__Join6, true);
                                                continue '__durable;
                                            }
                                        }
                                    }
                                }
                            }
                            __State::__Join6 => '__state: {
                                {
                                    #[allow(unused_mut)]
                                    let b = ::durable::__private::take(&mut __frame.slot9);
                                    {
                                        {
                                            #[allow(unused_mut)]
                                            let value = ::durable::__private::take(&mut __local12);
                                            return ::durable::__private::done::result::<
                                                <__Return as ::durable::__private::ResultType>::Value,
                                                <__Return as ::durable::__private::ResultType>::Error,
                                            >(Ok(value? + b));
                                        }
                                    }
                                }
                            }
                            __State::__Branch4 => '__state: {
                                {
                                    #[allow(unused_mut)]
                                    let mut __value17 = ::durable::__private::take(
                                        &mut __local11,
                                    );
                                    {
                                        __cursor.begin(&__link6, __value17);
                                        __cursor.state = __State::AwaitTimer;
                                        continue '__durable;
                                    }
                                }
                            }
                            __State::AwaitTimer => '__state: {
                                let __polled = match ::durable::__private::poll(
                                    __cursor,
                                    __link6,
                                ) {
                                    ::core::option::Option::Some(output) => output,
                                    ::core::option::Option::None => {
                                        if __cursor.switch() {
                                            continue '__durable;
                                        }
                                        return ::durable::__private::suspended();
                                    }
                                };
                                {
                                    {
                                        #[allow(unused_mut)]
                                        let __value20;
                                        #[allow(unused_mut)]
                                        let mut __result21 = __polled;
                                        __value20 = __result21;
                                        match __value20 {
                                            _ => {
                                                __frame.slot9 = ::core::option::Option::None;
                                                __local10 = ::core::option::Option::None;
                                                __local11 = ::core::option::Option::None;
                                                __cursor.decide(__State::__Join7, true);
                                                continue '__durable;
                                            }
                                        }
                                    }
                                }
                            }
                            __State::__Join7 => '__state: {
                                {
                                    #[allow(unused_mut)]
                                    let a = ::durable::__private::take(&mut __frame.slot8);
                                    {
                                        {
                                            __cursor.begin(&__link7, late(a));
                                            __cursor.state = __State::AwaitLate;
                                            continue '__durable;
                                        }
                                    }
                                }
                            }
                            __State::AwaitLate => '__state: {
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
                                    {
                                        {
                                            #[allow(unused_mut)]
                                            let mut __result22 = __polled;
                                            return ::durable::__private::done::result::<
                                                <__Return as ::durable::__private::ResultType>::Value,
                                                <__Return as ::durable::__private::ResultType>::Error,
                                            >(Err(__result22?));
                                        }
                                    }
                                }
                            }
                            __State::AwaitAny => '__state: {
                                {
                                    ::durable::__private::no_branch_left();
                                }
                            }
                        }
                        ::durable::__private::fell_through();
                    }
                },
                |__frame: &mut __Frame<_, _, _, _, _, _>, __slots| {
                    let _ = (&__frame, &__slots);
                    __slots
                        .slot::<
                            __variable::value_of_this_expression,
                            __await::AwaitAll,
                            _,
                        >(0usize, &mut __frame.slot2);
                    __slots
                        .slot::<
                            __variable::value_of_this_expression,
                            __await::AwaitAll,
                            _,
                        >(1usize, &mut __frame.slot3);
                    __slots
                        .slot::<
                            __variable::value_of_this_expression,
                            __await::AwaitEcho2,
                            _,
                        >(2usize, &mut __frame.slot6);
                    __slots
                        .slot::<
                            __variable::a,
                            __await::AwaitTimer,
                            _,
                        >(3usize, &mut __frame.slot8);
                    __slots
                        .slot::<
                            __variable::b,
                            __await::AwaitEcho4,
                            _,
                        >(4usize, &mut __frame.slot9);
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
