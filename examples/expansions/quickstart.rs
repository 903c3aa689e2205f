// What the macros make of `src/bin/quickstart.rs`, for reading. A test in durable-macros keeps it:
// UPDATE_EXPANSIONS=1 cargo test -p durable-macros expansion

//! Function chaining: an order goes through four activities on an embedded database. Interrupt it
//! (Ctrl-C, or `kill -9`) and run it again: it continues where it was.
use std::path::PathBuf;
use std::time::Duration;
use anyhow::Context;
use clap::Parser;
use durable::prelude::*;
use durable::store::{InstanceKind, InstanceQuery, SqliteStore, Status};
use durable::{Client, Worker};
use serde::{Deserialize, Serialize};
/// Sends an order through reservation, payment, shipping and receipt.
#[derive(Parser)]
struct Options {
    /// The database; it is created if it does not exist.
    #[arg(long, default_value = "quickstart.db")]
    db: PathBuf,
    /// How long each step takes, in milliseconds.
    #[arg(long, default_value_t = 1000)]
    step_ms: u64,
}
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Order {
    number: u64,
    item: String,
    cents: u64,
}
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Receipt {
    payment: String,
    parcel: String,
}
/// How long each step takes; application data of the worker.
struct Pace(Duration);
impl Pace {
    #[allow(clippy::disallowed_methods)]
    async fn work(&self, what: &str) {
        println!("  {what} ...");
        tokio::time::sleep(self.0).await;
    }
}
#[doc(hidden)]
#[allow(non_camel_case_types)]
#[derive(::core::fmt::Debug)]
struct reserve_stock {}
#[allow(clippy::too_many_arguments, clippy::used_underscore_binding)]
fn reserve_stock(order: Order) -> ::durable::Call<reserve_stock> {
    ::durable::Call::new((order,))
}
impl ::durable::__private::Function for reserve_stock {
    const NAME: &'static str = "reserve_stock";
    const VERSION: &'static str = "";
    const KIND: ::durable::__private::FunctionKind = ::durable::__private::FunctionKind::Activity;
    type Input = (Order,);
    type Output = <anyhow::Result<String> as ::durable::__private::ResultType>::Value;
}
impl reserve_stock {
    #[allow(dead_code, clippy::unused_async)]
    async fn body(ctx: &ActivityContext, order: Order) -> anyhow::Result<String> {
        ctx.data::<Pace>()?.work(&format!("reserving one {}", order.item)).await;
        Ok(format!("shelf-{}", order.number % 7))
    }
}
impl ::durable::__private::Activity<()> for reserve_stock {
    fn run(
        __host: ::std::sync::Arc<()>,
        __context: ::durable::ActivityContext,
        __input: Self::Input,
    ) -> ::durable::__private::ActivityFuture {
        ::std::boxed::Box::pin(async move {
            let (__argument0,) = __input;
            let _ = (&__host, &__context);
            #[allow(clippy::let_unit_value)]
            let __output = Self::body(&__context, __argument0).await;
            match __output {
                ::core::result::Result::Ok(value) => {
                    ::durable::__private::encode_output::<Self>(&value)
                }
                ::core::result::Result::Err(__error) => {
                    ::core::result::Result::Err(
                        ::durable::__private::failed({
                            #[allow(unused_imports)]
                            use ::durable::__private::describe::{
                                DescribeDynamic as _, DescribePlain as _,
                                DescribeWithData as _,
                            };
                            (&__error).describe_kind().describe(__error)
                        }),
                    )
                }
            }
        })
    }
    fn describe_error(
        __slot: &mut dyn ::core::any::Any,
    ) -> ::core::option::Option<::durable::Failure> {
        fn taken(
            slot: &mut dyn ::core::any::Any,
        ) -> ::core::option::Option<
            <anyhow::Result<String> as ::durable::__private::ResultType>::Error,
        > {
            slot.downcast_mut::<::core::option::Option<_>>()?.take()
        }
        let __error = taken(__slot)?;
        ::core::option::Option::Some({
            #[allow(unused_imports)]
            use ::durable::__private::describe::{
                DescribeDynamic as _, DescribePlain as _, DescribeWithData as _,
            };
            (&__error).describe_kind().describe(__error)
        })
    }
}
#[doc(hidden)]
#[allow(non_camel_case_types)]
#[derive(::core::fmt::Debug)]
struct charge_card {}
#[allow(clippy::too_many_arguments, clippy::used_underscore_binding)]
fn charge_card(order: Order) -> ::durable::Call<charge_card> {
    ::durable::Call::new((order,))
}
impl ::durable::__private::Function for charge_card {
    const NAME: &'static str = "charge_card";
    const VERSION: &'static str = "";
    const KIND: ::durable::__private::FunctionKind = ::durable::__private::FunctionKind::Activity;
    type Input = (Order,);
    type Output = <anyhow::Result<String> as ::durable::__private::ResultType>::Value;
}
impl charge_card {
    #[allow(dead_code, clippy::unused_async)]
    async fn body(ctx: &ActivityContext, order: Order) -> anyhow::Result<String> {
        let amount = format!("{}.{:02}", order.cents / 100, order.cents % 100);
        ctx.data::<Pace>()?.work(&format!("charging {amount} to the card")).await;
        Ok(format!("payment-{}", order.number))
    }
}
impl ::durable::__private::Activity<()> for charge_card {
    fn run(
        __host: ::std::sync::Arc<()>,
        __context: ::durable::ActivityContext,
        __input: Self::Input,
    ) -> ::durable::__private::ActivityFuture {
        ::std::boxed::Box::pin(async move {
            let (__argument0,) = __input;
            let _ = (&__host, &__context);
            #[allow(clippy::let_unit_value)]
            let __output = Self::body(&__context, __argument0).await;
            match __output {
                ::core::result::Result::Ok(value) => {
                    ::durable::__private::encode_output::<Self>(&value)
                }
                ::core::result::Result::Err(__error) => {
                    ::core::result::Result::Err(
                        ::durable::__private::failed({
                            #[allow(unused_imports)]
                            use ::durable::__private::describe::{
                                DescribeDynamic as _, DescribePlain as _,
                                DescribeWithData as _,
                            };
                            (&__error).describe_kind().describe(__error)
                        }),
                    )
                }
            }
        })
    }
    fn describe_error(
        __slot: &mut dyn ::core::any::Any,
    ) -> ::core::option::Option<::durable::Failure> {
        fn taken(
            slot: &mut dyn ::core::any::Any,
        ) -> ::core::option::Option<
            <anyhow::Result<String> as ::durable::__private::ResultType>::Error,
        > {
            slot.downcast_mut::<::core::option::Option<_>>()?.take()
        }
        let __error = taken(__slot)?;
        ::core::option::Option::Some({
            #[allow(unused_imports)]
            use ::durable::__private::describe::{
                DescribeDynamic as _, DescribePlain as _, DescribeWithData as _,
            };
            (&__error).describe_kind().describe(__error)
        })
    }
}
#[doc(hidden)]
#[allow(non_camel_case_types)]
#[derive(::core::fmt::Debug)]
struct ship {}
#[allow(clippy::too_many_arguments, clippy::used_underscore_binding)]
fn ship(order: Order, shelf: String) -> ::durable::Call<ship> {
    ::durable::Call::new((order, shelf))
}
impl ::durable::__private::Function for ship {
    const NAME: &'static str = "ship";
    const VERSION: &'static str = "";
    const KIND: ::durable::__private::FunctionKind = ::durable::__private::FunctionKind::Activity;
    type Input = (Order, String);
    type Output = <anyhow::Result<String> as ::durable::__private::ResultType>::Value;
}
impl ship {
    #[allow(dead_code, clippy::unused_async)]
    async fn body(
        ctx: &ActivityContext,
        order: Order,
        shelf: String,
    ) -> anyhow::Result<String> {
        ctx.data::<Pace>()?
            .work(&format!("shipping the {} from {shelf}", order.item))
            .await;
        Ok(format!("parcel-{}", order.number))
    }
}
impl ::durable::__private::Activity<()> for ship {
    fn run(
        __host: ::std::sync::Arc<()>,
        __context: ::durable::ActivityContext,
        __input: Self::Input,
    ) -> ::durable::__private::ActivityFuture {
        ::std::boxed::Box::pin(async move {
            let (__argument0, __argument1) = __input;
            let _ = (&__host, &__context);
            #[allow(clippy::let_unit_value)]
            let __output = Self::body(&__context, __argument0, __argument1).await;
            match __output {
                ::core::result::Result::Ok(value) => {
                    ::durable::__private::encode_output::<Self>(&value)
                }
                ::core::result::Result::Err(__error) => {
                    ::core::result::Result::Err(
                        ::durable::__private::failed({
                            #[allow(unused_imports)]
                            use ::durable::__private::describe::{
                                DescribeDynamic as _, DescribePlain as _,
                                DescribeWithData as _,
                            };
                            (&__error).describe_kind().describe(__error)
                        }),
                    )
                }
            }
        })
    }
    fn describe_error(
        __slot: &mut dyn ::core::any::Any,
    ) -> ::core::option::Option<::durable::Failure> {
        fn taken(
            slot: &mut dyn ::core::any::Any,
        ) -> ::core::option::Option<
            <anyhow::Result<String> as ::durable::__private::ResultType>::Error,
        > {
            slot.downcast_mut::<::core::option::Option<_>>()?.take()
        }
        let __error = taken(__slot)?;
        ::core::option::Option::Some({
            #[allow(unused_imports)]
            use ::durable::__private::describe::{
                DescribeDynamic as _, DescribePlain as _, DescribeWithData as _,
            };
            (&__error).describe_kind().describe(__error)
        })
    }
}
#[doc(hidden)]
#[allow(non_camel_case_types)]
#[derive(::core::fmt::Debug)]
struct send_receipt {}
#[allow(clippy::too_many_arguments, clippy::used_underscore_binding)]
fn send_receipt(receipt: Receipt) -> ::durable::Call<send_receipt> {
    ::durable::Call::new((receipt,))
}
impl ::durable::__private::Function for send_receipt {
    const NAME: &'static str = "send_receipt";
    const VERSION: &'static str = "";
    const KIND: ::durable::__private::FunctionKind = ::durable::__private::FunctionKind::Activity;
    type Input = (Receipt,);
    type Output = <anyhow::Result<()> as ::durable::__private::ResultType>::Value;
}
impl send_receipt {
    #[allow(dead_code, clippy::unused_async)]
    async fn body(ctx: &ActivityContext, receipt: Receipt) -> anyhow::Result<()> {
        ctx.data::<Pace>()?
            .work(&format!("sending the receipt for {}", receipt.payment))
            .await;
        Ok(())
    }
}
impl ::durable::__private::Activity<()> for send_receipt {
    fn run(
        __host: ::std::sync::Arc<()>,
        __context: ::durable::ActivityContext,
        __input: Self::Input,
    ) -> ::durable::__private::ActivityFuture {
        ::std::boxed::Box::pin(async move {
            let (__argument0,) = __input;
            let _ = (&__host, &__context);
            #[allow(clippy::let_unit_value)]
            let __output = Self::body(&__context, __argument0).await;
            match __output {
                ::core::result::Result::Ok(value) => {
                    ::durable::__private::encode_output::<Self>(&value)
                }
                ::core::result::Result::Err(__error) => {
                    ::core::result::Result::Err(
                        ::durable::__private::failed({
                            #[allow(unused_imports)]
                            use ::durable::__private::describe::{
                                DescribeDynamic as _, DescribePlain as _,
                                DescribeWithData as _,
                            };
                            (&__error).describe_kind().describe(__error)
                        }),
                    )
                }
            }
        })
    }
    fn describe_error(
        __slot: &mut dyn ::core::any::Any,
    ) -> ::core::option::Option<::durable::Failure> {
        fn taken(
            slot: &mut dyn ::core::any::Any,
        ) -> ::core::option::Option<
            <anyhow::Result<()> as ::durable::__private::ResultType>::Error,
        > {
            slot.downcast_mut::<::core::option::Option<_>>()?.take()
        }
        let __error = taken(__slot)?;
        ::core::option::Option::Some({
            #[allow(unused_imports)]
            use ::durable::__private::describe::{
                DescribeDynamic as _, DescribePlain as _, DescribeWithData as _,
            };
            (&__error).describe_kind().describe(__error)
        })
    }
}
#[doc(hidden)]
#[allow(non_camel_case_types)]
#[derive(::core::fmt::Debug)]
struct place_order {}
#[allow(clippy::too_many_arguments, clippy::used_underscore_binding)]
fn place_order(order: Order) -> ::durable::Call<place_order> {
    ::durable::Call::new((order,))
}
impl ::durable::__private::Function for place_order {
    const NAME: &'static str = "place_order";
    const VERSION: &'static str = "";
    const KIND: ::durable::__private::FunctionKind = ::durable::__private::FunctionKind::Orchestration;
    type Input = (Order,);
    type Output = <Result<
        Receipt,
        TaskError,
    > as ::durable::__private::ResultType>::Value;
}
impl place_order {
    const GRAPH: &'static ::durable::StateGraph = &::durable::StateGraph {
        name: "place_order",
        variables: &["order", "shelf", "payment", "receipt"],
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
                name: "AwaitReserveStock",
                awaits: "reserve_stock(order.clone())",
                line: ::core::line!(),
                live: &[0usize],
                ends: true,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitChargeCard",
                awaits: "charge_card(order.clone())",
                line: ::core::line!(),
                live: &[0usize, 1usize],
                ends: true,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitShip",
                awaits: "ship(order, shelf)",
                line: ::core::line!(),
                live: &[2usize],
                ends: true,
                within: ::core::option::Option::None,
                branches: &[],
            },
            ::durable::StateNode {
                name: "AwaitSendReceipt",
                awaits: "send_receipt(receipt.clone())",
                line: ::core::line!(),
                live: &[3usize],
                ends: true,
                within: ::core::option::Option::None,
                branches: &[],
            },
        ],
        edges: &[(0usize, 1usize), (1usize, 2usize), (2usize, 3usize), (3usize, 4usize)],
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
        pub(super) struct shelf {}
        pub(super) struct payment {}
        pub(super) struct receipt {}
    }
    #[allow(non_camel_case_types, dead_code)]
    mod __await {
        pub(super) struct AwaitReserveStock {}
        pub(super) struct AwaitChargeCard {}
        pub(super) struct AwaitShip {}
        pub(super) struct AwaitSendReceipt {}
    }
    impl ::durable::__private::Orchestration for place_order {
        #[allow(
            unreachable_code,
            unused_labels,
            clippy::needless_late_init,
            clippy::used_underscore_binding,
        )]
        fn program() -> ::std::boxed::Box<dyn ::durable::__private::Program> {
            type __Return = Result<Receipt, TaskError>;
            #[derive(::core::clone::Clone, ::core::marker::Copy)]
            #[allow(non_camel_case_types)]
            enum __State {
                Start,
                AwaitReserveStock,
                AwaitChargeCard,
                AwaitShip,
                AwaitSendReceipt,
            }
            impl ::durable::__private::States for __State {
                const ALL: &'static [Self] = &[
                    Self::Start,
                    Self::AwaitReserveStock,
                    Self::AwaitChargeCard,
                    Self::AwaitShip,
                    Self::AwaitSendReceipt,
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
                |__input: ::core::option::Option<(Order,)>| {
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
                |_, __cursor, __frame| {
                    let __link0 = ::durable::__private::Link::new();
                    let __link1 = ::durable::__private::Link::new();
                    let __link2 = ::durable::__private::Link::new();
                    let __link3 = ::durable::__private::Link::new();
                    '__durable: loop {
                        match __cursor.state {
                            __State::Start => '__state: {
                                #[allow(unused_mut)]
                                let order = ::durable::__private::take(&mut __frame.slot0);
                                __cursor.begin(&__link0, reserve_stock(order.clone()));
                                __frame.slot0 = ::core::option::Option::Some(order);
                                __cursor.state = __State::AwaitReserveStock;
                                continue '__durable;
                            }
                            __State::AwaitReserveStock => '__state: {
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
                                    let shelf = __result1?;
                                    __cursor.begin(&__link1, charge_card(order.clone()));
                                    __frame.slot0 = ::core::option::Option::Some(order);
                                    __frame.slot1 = ::core::option::Option::Some(shelf);
                                    __cursor.state = __State::AwaitChargeCard;
                                    continue '__durable;
                                }
                            }
                            __State::AwaitChargeCard => '__state: {
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
                                let order = ::durable::__private::take(&mut __frame.slot0);
                                {
                                    #[allow(unused_mut)]
                                    let shelf = ::durable::__private::take(&mut __frame.slot1);
                                    #[allow(unused_mut)]
                                    let mut __result2 = __polled;
                                    let payment = __result2?;
                                    __cursor.begin(&__link2, ship(order, shelf));
                                    __frame.slot2 = ::core::option::Option::Some(payment);
                                    __cursor.state = __State::AwaitShip;
                                    continue '__durable;
                                }
                            }
                            __State::AwaitShip => '__state: {
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
                                    let payment = ::durable::__private::take(
                                        &mut __frame.slot2,
                                    );
                                    #[allow(unused_mut)]
                                    let mut __result3 = __polled;
                                    let parcel = __result3?;
                                    let receipt = Receipt { payment, parcel };
                                    __cursor.begin(&__link3, send_receipt(receipt.clone()));
                                    __frame.slot3 = ::core::option::Option::Some(receipt);
                                    __cursor.state = __State::AwaitSendReceipt;
                                    continue '__durable;
                                }
                            }
                            __State::AwaitSendReceipt => '__state: {
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
                                    #[allow(unused_mut)]
                                    let receipt = ::durable::__private::take(
                                        &mut __frame.slot3,
                                    );
                                    #[allow(unused_mut)]
                                    let mut __result4 = __polled;
                                    __result4?;
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
                |__frame: &mut __Frame<_, _, _, _>, __slots| {
                    let _ = (&__frame, &__slots);
                    __slots
                        .slot::<
                            __variable::order,
                            __await::AwaitReserveStock,
                            _,
                        >(0usize, &mut __frame.slot0);
                    __slots
                        .slot::<
                            __variable::shelf,
                            __await::AwaitChargeCard,
                            _,
                        >(1usize, &mut __frame.slot1);
                    __slots
                        .slot::<
                            __variable::payment,
                            __await::AwaitShip,
                            _,
                        >(2usize, &mut __frame.slot2);
                    __slots
                        .slot::<
                            __variable::receipt,
                            __await::AwaitSendReceipt,
                            _,
                        >(3usize, &mut __frame.slot3);
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
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    examples::show_warnings();
    let store = SqliteStore::open(&options.db)
        .await
        .with_context(|| format!("opening {}", options.db.display()))?;
    let worker = Worker::builder(store)
        .orchestrator(place_order)
        .activity(reserve_stock)
        .activity(charge_card)
        .activity(ship)
        .activity(send_receipt)
        .data(Pace(Duration::from_millis(options.step_ms)))
        .start()
        .await?;
    let client = worker.client();
    let id = match unfinished(&client).await? {
        Some(id) => id,
        None => start(&client).await?,
    };
    let receipt = client.orchestration::<Receipt>(&id).result().await?;
    println!("{id} is done: {} and {}", receipt.payment, receipt.parcel);
    worker.shutdown().await;
    Ok(())
}
/// The order that an earlier run left, if there is one.
async fn unfinished(client: &Client) -> anyhow::Result<Option<String>> {
    let query = InstanceQuery {
        kind: Some(InstanceKind::Orchestration),
        statuses: vec![Status::Pending, Status::Running],
        ..InstanceQuery::default()
    };
    let Some(found) = client.list(query).all().await?.into_iter().next() else {
        return Ok(None)
    };
    println!("resuming {} in state {}", found.id, found.state);
    Ok(Some(found.id))
}
async fn start(client: &Client) -> anyhow::Result<String> {
    let number = 1001 + client.count(&InstanceQuery::default()).await?;
    let order = Order {
        number,
        item: "teapot".to_owned(),
        cents: 24_90,
    };
    let id = format!("order-{number}");
    println!("starting {id}");
    client.start(place_order(order).instance_id(&id)).await?;
    Ok(id)
}
