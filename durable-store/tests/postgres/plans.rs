//! How the server finds rows. It counts the scans of each table itself, of what was really run with
//! the settings of a store, which tells more than the plan of a statement that a test prepares.

use durable_store::conformance::Fixture;
use durable_store::conformance::world::{
    P1, at, change, changes, consuming, creation, due, if_running, message, new_instance,
    number as instance_number, own_two, plain, reopening, replacing, send, starting, strings, text,
};
use durable_store::{
    Batch, InstanceChange, InstanceNo, Lease, Offer, PostgresStore, Receipt, Reply, Status, Store,
};
use sqlx::PgConnection;

use crate::world::{new_schema, number, other, run, store, until, url};

/// Rows of each table.
const ROWS: i64 = 20_000;
/// Instances that are busy, with a side row each.
const BUSY: i64 = 200;
/// Rows that everything that is done here reads at most.
const MAX_READ: i64 = 2_000;

async fn fill_tables(other: &mut PgConnection, schema: &str) {
    let first = InstanceNo::new(P1, 1_000_000).0;
    let every = ROWS / BUSY;
    let rows = format!("generate_series(1, {ROWS}) AS n");
    for (table, columns) in [
        (
            "instance (no, id, kind, name, version, request, created_at, status, busy, updated_at, \
             input)",
            format!(
                "{first} + n, 'i' || n, 0, 'order', '', 'r', n, CASE n WHEN 7 THEN 4 WHEN 8 THEN 3 \
                 WHEN 9 THEN 3 ELSE 1 END, n % {every} = 0, 0, ''"
            ),
        ),
        ("side", format!("{first} + n, 1, ''")),
        ("history", format!("{first} + 20 + n % 10, n, ''")),
        ("inbox", "1, 1000 + n, 'm' || n, '', ''".to_owned()),
        ("scheduled", "1, n, n, 's' || n, '', ''".to_owned()),
        ("receipt", "'x' || n, n".to_owned()),
        ("reply", "'x' || n, '', n".to_owned()),
        (
            "offer",
            "'o' || n, 1, n, 'work', '', CASE WHEN n > 10000 THEN 'w' END,
                CASE WHEN n > 10000 THEN n END"
                .to_owned(),
        ),
    ] {
        let text = format!("INSERT INTO @{table} SELECT {columns} FROM {rows}");
        assert_eq!(run(other, schema, &text).await, ROWS.unsigned_abs());
    }
}

/// What an owner does.
async fn own_side(hub: &Fixture, lease: &Lease, round: i64) {
    let busy = hub.load_partition(lease).await.unwrap();
    assert_eq!(i64::try_from(busy.len()).unwrap(), BUSY);
    let ids = strings(&["i1", "i2", "nobody"]);
    assert_eq!(hub.load_instances(lease, &ids).await.unwrap().len(), 2);
    assert_eq!(hub.poll(lease, at(0), 10).await.unwrap().scheduled.len(), 10);
    let no = instance_number(hub, P1).await;
    let created =
        InstanceChange { put_side: vec![(1, text("a"))], ..creation(no, &format!("c{round}")) };
    hub.commit(lease, changes(vec![created])).await.unwrap();
    let child = new_instance(instance_number(hub, P1).await, &format!("child{round}"));
    let (a, b) = (10 + 10 * round, 11 + 10 * round);
    let everything = Batch {
        instances: vec![InstanceChange {
            put_side: vec![(2, text("b"))],
            delete_side: vec![1],
            history: vec![(1, text("events"))],
            forget_history_before: Some(1),
            ..change(no)
        }],
        consume: strings(&[&format!("m{a}"), &format!("m{b}")]),
        receipts: vec![Receipt { id: format!("direct{round}"), at: at(0) }],
        unschedule: strings(&[&format!("s{a}"), &format!("s{b}")]),
        schedule: vec![due(&format!("timer{round}"), P1, at(9))],
        send: vec![
            plain(message(&format!("sent{round}"), P1, "i1")),
            starting(&format!("start{round}"), child),
        ],
        replies: vec![Reply { request: format!("r{round}"), body: text("reply"), at: at(0) }],
        news: false,
    };
    hub.commit(lease, everything).await.unwrap();
    let cleared = InstanceChange { clear_side: true, ..change(no) };
    hub.commit(lease, changes(vec![cleared])).await.unwrap();
    let next = new_instance(instance_number(hub, P1).await, &format!("none{round}"));
    let send = vec![
        reopening(message(&format!("again{round}"), P1, "i3")),
        replacing(&format!("next{round}"), next, None),
    ];
    hub.commit(lease, Batch { send, ..Batch::default() }).await.unwrap();
    hub.commit(lease, consuming(&[&format!("sent{round}")])).await.unwrap();
}

/// What is done with offers.
async fn offers(hub: &Fixture, lease: &Lease, round: i64) {
    let (work, until) = (strings(&["work"]), durable_store::Timestamp::from_micros(1_000_000));
    let id = format!("offer{round}");
    let (name, body) = ("work".to_owned(), text(""));
    let offer = Offer { id: id.clone(), partition: P1, name, body };
    hub.offer_activities(lease, vec![offer]).await.unwrap();
    let claimed = hub.claim_offers("me", &work, 10, until).await.unwrap();
    let mut ids: Vec<String> = claimed.into_iter().map(|offer| offer.id).collect();
    let first = if round == 0 { 1 } else { 6 };
    assert_eq!(ids.first(), Some(&format!("o{first}")));
    assert_eq!(hub.renew_claims("me", &ids, until).await.unwrap().len(), 10);
    hub.release_claims("me", &ids.split_off(5)).await.unwrap();
    let now = durable_store::Timestamp::from_micros(10_020);
    assert_eq!(hub.lost_offers(lease, now).await.unwrap().len(), 20);
    hub.withdraw_offers(lease, Some(&[id])).await.unwrap();
    assert_eq!(hub.renew_claims("me", &ids, until).await.unwrap().len(), 5);
}

/// What others do.
async fn other_side(hub: &Fixture, round: i64) {
    let id = |text: &str| format!("{text}{round}");
    send(hub, plain(message(&id("out"), P1, "i1"))).await;
    send(hub, plain(due(&id("later"), P1, at(9)))).await;
    send(hub, if_running(message(&id("run"), P1, "i1"))).await;
    send(hub, if_running(message(&id("ended"), P1, "i8"))).await;
    send(hub, reopening(message(&id("reopen"), P1, "i7"))).await;
    let new = new_instance(instance_number(hub, P1).await, &id("new"));
    send(hub, starting(&id("first"), new)).await;
    let new = new_instance(instance_number(hub, P1).await, "i8");
    send(hub, replacing(&id("instead"), new, None)).await;
    assert_eq!(hub.read_instances(&strings(&["i1", "i2"])).await.unwrap().len(), 2);
    let no = InstanceNo::new(P1, 1_000_021);
    assert_eq!(hub.read_history(no, 0, 10).await.unwrap().len(), 10);
    assert_eq!(hub.read_replies(&strings(&["x1", "x2"])).await.unwrap().len(), 2);
    let ended = [InstanceNo(no.0 - 12), no];
    assert_eq!(hub.purge_instances(&ended).await.unwrap().len(), usize::from(round == 0));
    hub.clean(durable_store::Timestamp::from_micros(10), at(-1_800_000_000)).await.unwrap();
}

/// The counts of the server, once it knows of everything that was done: a server process tells of
/// its scans at its end.
async fn scans(other: &mut PgConnection, schema: &str, used: PostgresStore) -> (i64, i64) {
    used.close().await;
    drop(used);
    let open = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{schema}'");
    until(async || (number(other, schema, &open).await == 0).then_some(())).await;
    let of_tables = format!(
        "FROM pg_stat_user_tables WHERE schemaname = '{schema}' AND relname NOT IN ('hub', 'part', 'durable_schema')"
    );
    let scans = format!("SELECT sum(seq_scan)::bigint {of_tables}");
    let read = format!("SELECT sum(seq_tup_read + idx_tup_fetch)::bigint {of_tables}");
    (number(other, schema, &scans).await, number(other, schema, &read).await)
}

/// How often each table was gone through, and how many rows were read, for a message.
async fn of_tables(other: &mut PgConnection, schema: &str) -> String {
    let text = format!(
        "SELECT string_agg(relname || ' ' || seq_scan || ' scans ' || seq_tup_read + idx_tup_fetch
            || ' rows', ', ')
        FROM pg_stat_user_tables WHERE schemaname = '{schema}'"
    );
    sqlx::query_scalar(sqlx::AssertSqlSafe(text)).fetch_one(other).await.unwrap()
}

#[tokio::test]
async fn nothing_that_is_done_for_a_turn_goes_through_a_table() {
    let schema = new_schema();
    // Its connections can be told from those of others.
    let url = url();
    let separator = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{separator}application_name={schema}");
    let connect =
        || PostgresStore::options(url.clone()).schema(&schema).notifications(false).open();
    let mut other = other().await;
    // Making indexes is counted too.
    let made = connect().await.unwrap();
    let mut before = scans(&mut other, &schema, made).await;
    // Plans are made while the tables are empty, and used when they are full.
    let early = connect().await.unwrap();
    let hub = Fixture::from(early.clone());
    let (_, lease) = own_two(&hub).await;
    assert_eq!(hub.poll(&lease, at(0), 10).await.unwrap().inbox.len(), 0);
    hub.commit(&lease, Batch::default()).await.unwrap();
    send(&hub, plain(message("early", P1, "x"))).await;
    fill_tables(&mut other, &schema).await;
    for round in 0..2 {
        let used = if round == 0 { early.clone() } else { connect().await.unwrap() };
        let hub = Fixture::from(used.clone());
        own_side(&hub, &lease, round).await;
        other_side(&hub, round).await;
        offers(&hub, &lease, round).await;
        drop(hub);
        let after = scans(&mut other, &schema, used).await;
        let tables = of_tables(&mut other, &schema).await;
        assert_eq!(after.0, before.0, "round {round}, a table was gone through: {tables}");
        let read = after.1 - before.1;
        assert!(read < MAX_READ, "round {round}, {read} rows were read: {tables}");
        run(&mut other, &schema, "ANALYZE").await;
        before = after;
    }
}

#[tokio::test]
async fn turns_leave_the_indexes_alone() {
    let schema = new_schema();
    let store = store(&schema).await;
    let hub = Fixture::from(store.clone());
    let (_, lease) = own_two(&hub).await;
    let no = instance_number(&hub, P1).await;
    // What stands in the row is copied with it.
    let history = vec![(1, text(&"x".repeat(500)))];
    let new = InstanceChange { history, ..creation(no, "a") };
    hub.commit(&lease, changes(vec![new])).await.unwrap();
    for turn in 2..=101 {
        let state = Some(text(&"x".repeat(500)));
        let history = vec![(turn, text("events"))];
        let turn = InstanceChange { state, history, status: Status::Running, ..change(no) };
        store.commit(&lease, changes(vec![turn])).await.unwrap();
    }
    store.close().await;
    let mut other = other().await;
    let of = |what: &str| {
        format!(
            "SELECT sum({what})::bigint FROM pg_stat_user_tables
            WHERE schemaname = '{schema}' AND relname IN ('instance', 'part')"
        )
    };
    let updates = until(async || {
        Some(number(&mut other, &schema, &of("n_tup_upd")).await).filter(|updates| *updates >= 201)
    })
    .await;
    let hot = number(&mut other, &schema, &of("n_tup_hot_upd")).await;
    assert!(hot * 10 >= updates * 9, "{hot} of {updates} updates stayed on their page");
}
