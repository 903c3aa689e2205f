#[doc(hidden)]
#[allow(non_camel_case_types)]
#[derive(::core::fmt::Debug)]
struct empty {}
#[allow(clippy::too_many_arguments, clippy::used_underscore_binding)]
fn empty() -> ::durable::Call<empty> {
    ::durable::Call::new(())
}
const _: () = {
    #[allow(unused_imports)]
    use ::durable::__private::NotResult as _;
    ::core::assert!(
        ! ::durable::__private::ReturnProbe:: < () > ::IS_RESULT,
        "this return type is a `Result` under another name, so that its errors would not be failures: name the alias `Result`, or write the type out"
    );
};
impl ::durable::__private::Function for empty {
    const NAME: &'static str = "empty";
    const VERSION: &'static str = "";
    const KIND: ::durable::__private::FunctionKind = ::durable::__private::FunctionKind::Orchestration;
    type Input = ();
    type Output = ();
}
impl empty {
    const GRAPH: &'static ::durable::StateGraph = &::durable::StateGraph {
        name: "empty",
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
        ],
        edges: &[],
    };
    /// The states of this orchestrator, what is saved in each, and how they follow.
    #[allow(dead_code)]
    pub const fn state_machine() -> &'static ::durable::StateGraph {
        Self::GRAPH
    }
}
const _: () = {
    impl ::durable::__private::Orchestration for empty {
        #[allow(
            unreachable_code,
            unused_labels,
            clippy::needless_late_init,
            clippy::used_underscore_binding,
        )]
        fn program() -> ::std::boxed::Box<dyn ::durable::__private::Program> {
            type __Return = ();
            #[derive(::core::clone::Clone, ::core::marker::Copy)]
            #[allow(non_camel_case_types)]
            enum __State {
                Start,
            }
            impl ::durable::__private::States for __State {
                const ALL: &'static [Self] = &[Self::Start];
                fn index(self) -> usize {
                    self as usize
                }
            }
            struct __Frame {}
            ::durable::__private::program_plain::<
                Self,
                __State,
                _,
            >(
                Self::GRAPH,
                |__input: ::core::option::Option<()>| {
                    #[allow(unused_mut)]
                    let mut __made = __Frame {};
                    if let ::core::option::Option::Some(()) = __input {}
                    __made
                },
                |_, __cursor, __frame| {
                    '__durable: loop {
                        match __cursor.state {
                            __State::Start => '__state: {
                                return ::durable::__private::done::plain::<__Return>(());
                            }
                        }
                        ::durable::__private::fell_through();
                    }
                },
                |__frame: &mut __Frame, __slots| {
                    let _ = (&__frame, &__slots);
                },
            )
        }
    }
};
