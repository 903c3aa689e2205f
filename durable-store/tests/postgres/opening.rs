//! Opening a hub: what is created, what is refused, and what the refusal says.

use durable_store::conformance::Fixture;
use durable_store::conformance::world::{assert_refused, at, own};
use durable_store::{PostgresOptions, PostgresStore, StoreError, StoreErrorKind, limits};

use crate::world::{new_schema, number, options, other, run, store, until, url};

/// The error of opening, which must say `named`.
async fn refusal(options: PostgresOptions, kind: StoreErrorKind, named: &str) -> StoreError {
    let error = options.open().await.expect_err("the store opens");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(named), "{error}");
    error
}

/// The URL of the tests with something after it.
fn url_with(parameters: &str) -> String {
    let url = url();
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{parameters}")
}

/// The URL of the tests with another user.
fn url_of(user: &str) -> String {
    let url = url();
    let (scheme, rest) = url.split_once("://").unwrap();
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{user}@{host}")
}

#[tokio::test]
async fn a_missing_database_is_named() {
    let url = url();
    let missing = format!("{}/no_such_database", url.rsplit_once('/').unwrap().0);
    let options = PostgresStore::options(missing);
    refusal(options, StoreErrorKind::NotFound, "`no_such_database`").await;
}

#[tokio::test]
async fn a_server_that_is_not_there_may_come_back() {
    // The port of a listener that is gone.
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let options = PostgresStore::options(format!("postgres://a:secret@127.0.0.1:{port}/a"));
    let error = refusal(options.clone(), StoreErrorKind::Unavailable, "127.0.0.1").await;
    assert!(error.is_retryable());
    assert!(!error.to_string().contains("secret") && !format!("{options:?}").contains("secret"));
}

#[tokio::test]
async fn a_url_that_cannot_be_read_is_refused() {
    refusal(PostgresStore::options("postgres://:::"), StoreErrorKind::Other, "the URL").await;
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let schema = new_schema();
    store(&schema).await;
    let mut other = other().await;
    run(&mut other, &schema, "INSERT INTO @durable_schema (version) VALUES (4711)").await;
    refusal(options(&schema), StoreErrorKind::SchemaTooNew, "4711").await;
}

#[tokio::test]
async fn the_number_of_partitions_has_limits_and_stays() {
    let schema = new_schema();
    for partitions in [0, limits::MAX_PARTITIONS + 1] {
        refusal(options(&schema).partitions(partitions), StoreErrorKind::Limit, "1024").await;
    }
    let hub = Fixture::from(options(&schema).partitions(3).open().await.unwrap());
    assert_eq!(hub.hub().await.unwrap().partitions, 3);
    assert_eq!(own(&hub, "one").await.len(), 3);
    let hub = Fixture::from(store(&schema).await);
    assert_eq!(hub.hub().await.unwrap().partitions, 3);
    refusal(options(&schema).partitions(5), StoreErrorKind::Conflict, "has 3 partitions").await;
}

#[tokio::test]
async fn the_name_of_a_schema_is_a_plain_one() {
    for name in ["", "a b", "1a", "a\"b", "Ab", "ü", &"a".repeat(60)] {
        refusal(options(name), StoreErrorKind::Limit, "schema").await;
    }
    let none = options("a").max_connections(0);
    refusal(none, StoreErrorKind::Limit, "no connections").await;
}

#[tokio::test]
async fn a_schema_of_another_application_is_left_alone() {
    let schema = new_schema();
    let mut other = other().await;
    run(&mut other, &schema, &format!("CREATE SCHEMA \"{schema}\"")).await;
    run(&mut other, &schema, "CREATE TABLE @hub (mine integer)").await;
    refusal(options(&schema), StoreErrorKind::Corrupt, &schema).await;
    let text = format!("SELECT count(*) FROM pg_tables WHERE schemaname = '{schema}'");
    assert_eq!(number(&mut other, &schema, &text).await, 1);
}

#[tokio::test]
async fn a_server_that_only_answers_is_named() {
    let read_only = url_with("options=-c%20default_transaction_read_only%3Don");
    let schema = new_schema();
    let options = PostgresStore::options(read_only).schema(&schema);
    refusal(options.clone(), StoreErrorKind::ReadOnly, "can only be read").await;
    // No less so if the hub is there.
    store(&schema).await;
    refusal(options, StoreErrorKind::ReadOnly, "default_transaction_read_only").await;
}

/// A user of this test, with these attributes.
async fn user(attributes: &str) -> String {
    let user = new_schema().replace("test", "user");
    let mut other = other().await;
    run(&mut other, "", &format!("CREATE ROLE {user} LOGIN {attributes}")).await;
    user
}

#[tokio::test]
async fn a_user_without_rights_is_told_which() {
    let schema = new_schema();
    let user = user("").await;
    let options = PostgresStore::options(url_of(&user)).schema(&schema);
    refusal(options.clone(), StoreErrorKind::Other, "CREATE SCHEMA").await;
    // A schema of its own is all that it needs.
    let mut other = other().await;
    run(&mut other, "", &format!("CREATE SCHEMA {schema} AUTHORIZATION {user}")).await;
    let hub = Fixture::from(options.open().await.unwrap());
    assert_eq!(own(&hub, "one").await.len(), 8);
}

#[tokio::test]
async fn a_server_without_a_free_connection_is_named() {
    let schema = new_schema();
    store(&schema).await;
    let user = user("SUPERUSER CONNECTION LIMIT 1").await;
    let mut other = other().await;
    // A superuser has no such limit: the rights stay, the exemption goes.
    run(&mut other, "", &format!("GRANT ALL ON SCHEMA {schema} TO {user}")).await;
    let grant = format!("GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {user}");
    run(&mut other, "", &grant).await;
    run(&mut other, "", &format!("ALTER ROLE {user} NOSUPERUSER")).await;
    let options = PostgresStore::options(url_of(&user)).schema(&schema).notifications(false);
    let store = options.clone().open().await.unwrap();
    let hub = Fixture::from(store.clone());
    assert_eq!(own(&hub, "one").await.len(), 8);
    // The one connection is the store's.
    let error = refusal(options.clone(), StoreErrorKind::Unavailable, "max_connections").await;
    assert!(error.is_retryable());
    // Once it is given back, there is one again.
    store.close().await;
    let again = until(async || options.clone().open().await.ok()).await;
    // Of two at once, one waits a little for the connection of the other, maybe in vain.
    let hub = Fixture::from(again);
    let (one, two) = tokio::join!(
        hub.acquire_leases("a", 1, &[], at(0), at(1)),
        hub.acquire_leases("b", 1, &[], at(0), at(1)),
    );
    for error in [one, two].into_iter().filter_map(Result::err) {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_hub_may_be_opened_by_many_at_once() {
    let schema = new_schema();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let options = options(&schema).max_connections(1).notifications(false);
        tasks.spawn(async move {
            let hub = Fixture::from(options.open().await.unwrap());
            hub.reserve_numbers(1).await.unwrap()
        });
    }
    let mut numbers = tasks.join_all().await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
    let mut other = other().await;
    assert_eq!(number(&mut other, &schema, "SELECT count(*) FROM @durable_schema").await, 1);
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let store = store(&new_schema()).await;
    let hub = Fixture::from(store.clone());
    own(&hub, "one").await;
    store.close().await;
    assert_refused(hub.reserve_numbers(1).await, StoreErrorKind::Other);
    assert_refused(hub.read_instances(&[]).await, StoreErrorKind::Other);
    store.close().await;
}

#[tokio::test]
async fn a_hub_behind_a_pooler_works_without_settings_and_notifications() {
    let schema = new_schema();
    let hub = Fixture::from(options(&schema).transaction_pooler(true).open().await.unwrap());
    let leases = own(&hub, "one").await;
    durable_store::conformance::world::create(&hub, &leases[0], "a").await;
    assert_eq!(hub.count_instances(&durable_store::InstanceQuery::default()).await.unwrap(), 1);
    hub.hints();
    let mut other = other().await;
    let text = format!("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%{schema}%'");
    assert_eq!(number(&mut other, &schema, &text).await, 0);
}
