//! THE RULES: what an orchestrator may not name, in groups with one reason and one replacement
//! each. Data only; `determinism.rs` looks for it in code. `docs/determinism.md` shows this table,
//! and a test keeps it so.

/// What is forbidden for one reason, and what to write instead.
pub(super) struct Group {
    #[allow(dead_code, reason = "the documentation shows it, and a test compares")]
    pub(super) title: &'static str,
    /// Completes "`x` ..".
    pub(super) does: &'static str,
    /// Completes "use ..".
    pub(super) instead: &'static str,
    /// See [`matches`].
    pub(super) paths: &'static [&'static str],
    pub(super) methods: &'static [Method],
    /// Macros, by the last segment of their path.
    pub(super) macros: &'static [&'static str],
}

/// A method that is known by its name. An operation of an entity may have the same name: a call
/// that is awaited, spawned, joined or signalled is none of these, which its type decides.
pub(super) struct Method {
    /// The name; with a `*` at the end, how it begins.
    pub(super) name: &'static str,
    /// How many arguments it takes, where that tells it from others.
    pub(super) arguments: Option<usize>,
}

const fn method(name: &'static str, arguments: usize) -> Method {
    Method { name, arguments: Some(arguments) }
}

const fn any_method(name: &'static str) -> Method {
    Method { name, arguments: None }
}

const ACTIVITY: &str = "an `#[activity]`, and await its result";

pub(super) const GROUPS: &[Group] = &[
    Group {
        title: "Clocks",
        does: "reads the clock of the machine",
        instead: "`ctx.now()`",
        paths: &[
            "SystemTime::now",
            "Instant::now",
            "Utc::now",
            "Utc::today",
            "Local::now",
            "Local::today",
            "Timestamp::now",
            "Zoned::now",
            "OffsetDateTime::now_utc",
            "OffsetDateTime::now_local",
            "UtcDateTime::now",
            "UtcOffset::current_local_offset",
            "TimeZone::system",
            "coarsetime::*",
            "quanta::*",
        ],
        methods: &[method("elapsed", 0)],
        macros: &[],
    },
    Group {
        title: "Waiting",
        does: "waits outside of the runtime",
        instead: "`ctx.sleep(..).await`",
        paths: &[
            "thread::sleep",
            "thread::sleep_ms",
            "thread::sleep_until",
            "thread::park",
            "thread::park_timeout",
            "thread::yield_now",
            "std::thread::sleep",
            "std::thread::sleep_ms",
            "std::thread::sleep_until",
            "std::thread::park",
            "std::thread::park_timeout",
            "std::thread::yield_now",
            "hint::spin_loop",
            "std::hint::spin_loop",
            "tokio::time::*",
            "tokio::task::yield_now",
            "time::sleep",
            "time::sleep_until",
            "time::timeout",
            "time::timeout_at",
            "time::interval",
            "time::interval_at",
            "async_std::task::sleep",
            "async_std::future::timeout",
            "async_io::*",
            "smol::Timer::*",
            "futures_timer::*",
            "gloo_timers::*",
        ],
        methods: &[],
        macros: &[],
    },
    Group {
        title: "Random ids",
        does: "makes a random id",
        instead: "`ctx.new_uuid()`",
        paths: &[
            "Uuid::new_v1",
            "Uuid::new_v4",
            "Uuid::new_v6",
            "Uuid::new_v7",
            "Uuid::now_v1",
            "Uuid::now_v6",
            "Uuid::now_v7",
            "Ulid::new",
            "Ulid::generate",
            "Ulid::from_datetime",
            "ulid::Generator::*",
            "nanoid::*",
            "cuid2::*",
            "ksuid::*",
            "xid::*",
        ],
        methods: &[],
        macros: &["nanoid"],
    },
    Group {
        title: "Random numbers",
        does: "draws from a random source",
        instead: "`ctx.random()`, or draw it in an `#[activity]`",
        paths: &[
            "rand::*",
            "rand_core::*",
            "fastrand::*",
            "getrandom::*",
            "oorandom::*",
            "OsRng",
            "ThreadRng::*",
            "SmallRng::from_entropy",
            "SmallRng::from_os_rng",
            "SmallRng::from_rng",
            "StdRng::from_entropy",
            "StdRng::from_os_rng",
            "StdRng::from_rng",
            "thread_rng",
            "SystemRandom::*",
            "RandomState::new",
            "RandomState::default",
        ],
        methods: &[],
        macros: &[],
    },
    Group {
        title: "Threads and tasks",
        does: "starts work that nothing saves",
        instead: "`ctx.spawn(..)` for durable calls, an `#[activity]` for other work",
        paths: &[
            "thread::spawn",
            "thread::scope",
            "thread::current",
            "thread::available_parallelism",
            "thread::Builder::new",
            "std::thread::*",
            "tokio::spawn",
            "tokio::task::*",
            "tokio::runtime::*",
            "tokio::select",
            "task::spawn",
            "task::spawn_blocking",
            "task::spawn_local",
            "task::block_in_place",
            "Runtime::new",
            "Handle::current",
            "JoinSet::new",
            "LocalSet::new",
            "async_std::task::*",
            "smol::*",
            "async_executor::*",
            "async_global_executor::*",
            "futures::executor::*",
            "pollster::*",
            "rayon::*",
            "crossbeam::*",
        ],
        methods: &[
            any_method("spawn"),
            any_method("spawn_local"),
            any_method("block_on"),
            any_method("blocking_*"),
            any_method("par_iter"),
            any_method("into_par_iter"),
        ],
        macros: &[],
    },
    Group {
        title: "Environment",
        does: "reads the environment of the process",
        instead: "an argument of the orchestration, or an `#[activity]`",
        paths: &[
            "std::env::*",
            "env::var",
            "env::var_os",
            "env::vars",
            "env::vars_os",
            "env::set_var",
            "env::remove_var",
            "env::args",
            "env::args_os",
            "env::current_dir",
            "env::set_current_dir",
            "env::current_exe",
            "env::home_dir",
            "env::temp_dir",
            "dotenvy::*",
            "dotenv::*",
            "num_cpus::*",
            "gethostname::*",
            "hostname::*",
            "whoami::*",
            "sysinfo::*",
        ],
        methods: &[],
        macros: &[],
    },
    Group {
        title: "Files",
        does: "works on files",
        instead: ACTIVITY,
        paths: &[
            "std::fs::*",
            "tokio::fs::*",
            "async_std::fs::*",
            "async_fs::*",
            "fs_err::*",
            "fs::read",
            "fs::read_to_string",
            "fs::read_dir",
            "fs::read_link",
            "fs::write",
            "fs::copy",
            "fs::rename",
            "fs::hard_link",
            "fs::exists",
            "fs::metadata",
            "fs::symlink_metadata",
            "fs::canonicalize",
            "fs::create_dir",
            "fs::create_dir_all",
            "fs::remove_file",
            "fs::remove_dir",
            "fs::remove_dir_all",
            "fs::set_permissions",
            "File::open",
            "File::create",
            "File::create_new",
            "File::options",
            "OpenOptions::new",
            "tempfile::*",
            "walkdir::*",
            "glob::glob",
        ],
        methods: &[method("read_dir", 0), method("try_exists", 0), method("canonicalize", 0)],
        macros: &[],
    },
    Group {
        title: "Network",
        does: "uses the network",
        instead: ACTIVITY,
        paths: &[
            "std::net::*",
            "std::os::unix::net::*",
            "tokio::net::*",
            "async_std::net::*",
            "TcpStream::connect",
            "TcpStream::connect_timeout",
            "TcpListener::bind",
            "UdpSocket::bind",
            "UnixStream::connect",
            "UnixListener::bind",
            "reqwest::*",
            "hyper::*",
            "hyper_util::*",
            "ureq::*",
            "isahc::*",
            "surf::*",
            "attohttpc::*",
            "minreq::*",
            "curl::*",
            "tonic::*",
            "lettre::*",
            "tungstenite::*",
            "tokio_tungstenite::*",
            "lapin::*",
            "rdkafka::*",
            "async_nats::*",
            "rumqttc::*",
            "aws_config::*",
            "aws_sdk_s3::*",
            "aws_sdk_sqs::*",
            "aws_sdk_sns::*",
            "aws_sdk_dynamodb::*",
            "object_store::*",
            "opendal::*",
        ],
        methods: &[],
        macros: &[],
    },
    Group {
        title: "Databases",
        does: "talks to a database",
        instead: ACTIVITY,
        paths: &[
            "sqlx::*",
            "diesel::*",
            "rusqlite::*",
            "tokio_rusqlite::*",
            "postgres::*",
            "tokio_postgres::*",
            "deadpool_postgres::*",
            "mysql::*",
            "mysql_async::*",
            "tiberius::*",
            "redis::*",
            "fred::*",
            "mongodb::*",
            "sea_orm::*",
            "rocksdb::*",
            "sled::*",
            "redb::*",
        ],
        methods: &[],
        macros: &[],
    },
    Group {
        title: "Processes",
        does: "controls processes",
        instead: ACTIVITY,
        paths: &[
            "std::process::*",
            "tokio::process::*",
            "tokio::signal::*",
            "signal::ctrl_c",
            "async_process::*",
            "async_std::process::*",
            "process::exit",
            "process::abort",
            "process::id",
            "process::Command::new",
            "Command::new",
        ],
        methods: &[],
        macros: &[],
    },
    Group {
        title: "Console",
        does: "uses the console of the process",
        instead: "a logging macro, `ctx.set_custom_status(..)`, or an `#[activity]`",
        paths: &[
            "std::io::stdin",
            "std::io::stdout",
            "std::io::stderr",
            "std::io::read_to_string",
            "io::stdin",
            "io::stdout",
            "io::stderr",
            "tokio::io::*",
            "async_std::io::*",
        ],
        methods: &[],
        macros: &["println", "print", "eprintln", "eprint", "dbg"],
    },
    Group {
        title: "Shared state",
        does: "is for state that threads share",
        instead: "a local variable, which is saved, or an entity for what instances share",
        paths: &[
            "std::sync::atomic::*",
            "std::sync::mpsc::*",
            "std::sync::poison::*",
            "Mutex::new",
            "RwLock::new",
            "ReentrantLock::new",
            "Condvar::new",
            "Barrier::new",
            "Once::new",
            "OnceLock::new",
            "OnceCell::new",
            "LazyLock::new",
            "LazyCell::new",
            "Lazy::new",
            "AtomicBool::new",
            "AtomicPtr::new",
            "AtomicU8::new",
            "AtomicU16::new",
            "AtomicU32::new",
            "AtomicU64::new",
            "AtomicUsize::new",
            "AtomicI8::new",
            "AtomicI16::new",
            "AtomicI32::new",
            "AtomicI64::new",
            "AtomicIsize::new",
            // What names an access to an atomic; `cmp::Ordering` has none of these.
            "Ordering::Relaxed",
            "Ordering::Acquire",
            "Ordering::Release",
            "Ordering::AcqRel",
            "Ordering::SeqCst",
            "atomic::fence",
            "mpsc::channel",
            "mpsc::sync_channel",
            "mpsc::unbounded_channel",
            "oneshot::channel",
            "broadcast::channel",
            "watch::channel",
            "tokio::sync::*",
            "async_std::sync::*",
            "async_std::channel::*",
            "async_channel::*",
            "async_lock::*",
            "event_listener::*",
            "flume::*",
            "kanal::*",
            "parking_lot::*",
            "crossbeam_channel::*",
            "dashmap::*",
            "once_cell::sync::*",
            "Semaphore::new",
        ],
        methods: &[
            method("lock", 0),
            method("try_lock", 0),
            method("try_read", 0),
            method("try_write", 0),
            method("recv", 0),
            method("try_recv", 0),
            method("recv_timeout", 1),
            method("with_borrow", 1),
            method("with_borrow_mut", 1),
        ],
        macros: &["thread_local", "lazy_static"],
    },
];

/// What is data, or follows from its arguments, in a forbidden crate or module.
pub(super) const DATA: &[&str] = &[
    "StdRng::seed_from_u64",
    "SmallRng::seed_from_u64",
    "rand::Rng::*",
    "rand::SeedableRng::*",
    "fastrand::Rng::with_seed",
    "std::env::consts::*",
    "std::env::VarError::*",
    "std::net::IpAddr::*",
    "std::net::Ipv4Addr::*",
    "std::net::Ipv6Addr::*",
    "std::net::SocketAddr::*",
    "std::net::SocketAddrV4::*",
    "std::net::SocketAddrV6::*",
    "std::process::ExitCode::*",
    "tokio::time::Duration::*",
    "reqwest::Method::*",
    "reqwest::StatusCode::*",
    "reqwest::Url::*",
    "reqwest::header::*",
    "hyper::Method::*",
    "hyper::StatusCode::*",
    "hyper::Uri::*",
    "hyper::header::*",
    "tonic::Code::*",
    "tonic::Status::*",
];

/// The types of statics that code can change. Those that begin with `Atomic` belong to them.
pub(super) const MUTABLE_TYPES: &[&str] = &[
    "Mutex",
    "RwLock",
    "ReentrantLock",
    "Condvar",
    "Once",
    "OnceLock",
    "OnceCell",
    "LazyLock",
    "Lazy",
    "Cell",
    "RefCell",
    "UnsafeCell",
    "SyncUnsafeCell",
    "Semaphore",
    "DashMap",
];

/// The group of statics and of what else shares state.
pub(super) fn shared_state() -> &'static Group {
    find(&["Mutex".to_owned(), "new".to_owned()]).unwrap_or(&GROUPS[GROUPS.len() - 1])
}

/// The group that forbids a path; the most telling rule decides.
pub(super) fn find(path: &[String]) -> Option<&'static Group> {
    if DATA.iter().any(|rule| matches(rule, path)) {
        return None;
    }
    GROUPS
        .iter()
        .filter_map(|group| {
            let rules = group.paths.iter().filter(|rule| matches(rule, path));
            rules.map(|rule| (precision(rule), group)).max_by_key(|(precision, _)| *precision)
        })
        .max_by_key(|(precision, _)| *precision)
        .map(|(_, group)| group)
}

/// A rule for one thing goes before a rule for a module.
fn precision(rule: &str) -> (bool, usize) {
    (!rule.ends_with("::*"), rule.len())
}

/// Whether a rule is for a path.
///
/// `krate::module::*` is for all that is in there, and the module itself. `Type::function` is for
/// the type of that name wherever it comes from, for most programs import it at the top of the
/// file, where a macro cannot look. Any other rule is for the path as it stands.
pub(super) fn matches(rule: &str, path: &[String]) -> bool {
    let wanted: Vec<&str> = rule.split("::").collect();
    match wanted.split_last() {
        Some((&"*", module)) => {
            path.len() > module.len() && module.iter().zip(path).all(|(a, b)| a == b)
        }
        _ if rule.starts_with(char::is_uppercase) => {
            path.len() >= wanted.len()
                && wanted.iter().rev().zip(path.iter().rev()).all(|(a, b)| a == b)
        }
        _ => wanted == path,
    }
}

/// The group that forbids a method of this name with so many arguments.
pub(super) fn find_method(name: &str, arguments: usize) -> Option<&'static Group> {
    let fits = |method: &Method| {
        let named = match method.name.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => method.name == name,
        };
        named && method.arguments.is_none_or(|count| count == arguments)
    };
    GROUPS.iter().find(|group| group.methods.iter().any(fits))
}

/// The group that forbids a macro of this path.
pub(super) fn find_macro(path: &[String]) -> Option<&'static Group> {
    let last = path.last()?;
    let by_name = GROUPS.iter().find(|group| group.macros.contains(&last.as_str()));
    // `select!` alone is ours, `tokio::select!` is not; neither is a function.
    by_name.or_else(|| if path.len() > 1 { find(path) } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split("::").map(str::to_owned).collect()
    }

    #[test]
    fn every_rule_is_found_by_an_example_of_it() {
        for group in GROUPS {
            assert!(!group.does.is_empty() && !group.instead.is_empty(), "{}", group.title);
            for rule in group.paths {
                let example = rule.replace('*', "anything");
                let found = find(&path(&example)).map(|found| found.title);
                assert_eq!(found, Some(group.title), "{rule}");
            }
            for method in group.methods {
                let example = method.name.replace('*', "anything");
                let found = find_method(&example, method.arguments.unwrap_or(3));
                assert_eq!(found.map(|found| found.title), Some(group.title), "{example}");
            }
            for name in group.macros {
                let found = find_macro(&path(name)).map(|found| found.title);
                assert_eq!(found, Some(group.title), "{name}!");
            }
        }
    }

    #[test]
    fn no_rule_stands_twice() {
        let mut rules: Vec<&str> = GROUPS.iter().flat_map(|group| group.paths).copied().collect();
        let count = rules.len();
        rules.sort_unstable();
        rules.dedup();
        assert_eq!(rules.len(), count);
    }

    #[test]
    fn data_and_things_of_the_user_are_allowed() {
        for allowed in [
            "Order::now",
            "my::rand",
            "Duration::from_secs",
            "tokio::time::Duration::from_secs",
            "std::net::Ipv4Addr::new",
            "storage::fs::read",
            "HashMap::new",
            "std::sync::Arc::new",
            "std::cmp::Ordering::Less",
            "Uuid::parse_str",
            "Uuid::new_v5",
            "Timestamp::from_second",
        ] {
            assert!(find(&path(allowed)).is_none(), "{allowed}");
        }
        for allowed in ["tracing::info", "log::warn", "format", "select", "join", "json"] {
            assert!(find_macro(&path(allowed)).is_none(), "{allowed}!");
        }
    }
}
