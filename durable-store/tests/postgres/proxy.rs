//! Something between a store and its server that loses what it is told to lose.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::url;

/// Everything passes.
const PASS: u8 = 0;
/// The next answer is lost with its connection; then everything passes.
const LOSE_ONE: u8 = 1;
/// The next answer is lost with its connection, and there is no other connection.
const LOSE_ALL: u8 = 2;
/// Connections are not served.
const DOWN: u8 = 3;

/// New connections are not answered.
const DEAF: u8 = 4;

/// See the module.
pub(crate) struct Proxy {
    /// The URL to connect to.
    pub(crate) url: String,
    mode: Arc<AtomicU8>,
    unanswered: Arc<AtomicUsize>,
}

impl Proxy {
    /// A proxy of the server of the tests.
    pub(crate) async fn start() -> Self {
        let url = url();
        let (scheme, rest) = url.split_once("://").unwrap();
        let (user, host) = rest.split_once('@').unwrap();
        let (server, database) = host.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = Arc::new(AtomicU8::new(PASS));
        let unanswered = Arc::default();
        let served = serve(listener, server.to_owned(), Arc::clone(&mode), Arc::clone(&unanswered));
        tokio::spawn(served);
        Self { url: format!("{scheme}://{user}@127.0.0.1:{port}/{database}"), mode, unanswered }
    }

    pub(crate) fn answer_nobody_new(&self) {
        self.mode.store(DEAF, Ordering::SeqCst);
    }

    /// How many connections wait for an answer in vain.
    pub(crate) fn unanswered(&self) -> usize {
        self.unanswered.load(Ordering::SeqCst)
    }

    pub(crate) fn lose_next_answer(&self) {
        self.mode.store(LOSE_ONE, Ordering::SeqCst);
    }

    pub(crate) fn lose_next_answer_and_go_down(&self) {
        self.mode.store(LOSE_ALL, Ordering::SeqCst);
    }

    pub(crate) fn come_up(&self) {
        self.mode.store(PASS, Ordering::SeqCst);
    }
}

async fn serve(
    listener: TcpListener,
    server: String,
    mode: Arc<AtomicU8>,
    unanswered: Arc<AtomicUsize>,
) {
    let mut kept = Vec::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        match mode.load(Ordering::SeqCst) {
            DOWN => continue,
            DEAF => {
                kept.push(client);
                unanswered.store(kept.len(), Ordering::SeqCst);
                continue;
            }
            _ => {}
        }
        let server = TcpStream::connect(&server).await.unwrap();
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        tokio::spawn(pass(client, server, Arc::clone(&mode)));
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, mode: Arc<AtomicU8>) {
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => match read {
                Ok(count) if count > 0 => server.write_all(&up[..count]).await.unwrap(),
                _ => return,
            },
            read = server.read(&mut down) => match read {
                Ok(count) if count > 0 => {
                    // The server answers after it has committed: it is the answer that is lost.
                    let next = match mode.load(Ordering::SeqCst) {
                        LOSE_ONE => PASS,
                        LOSE_ALL => DOWN,
                        DOWN => return,
                        _ => {
                            client.write_all(&down[..count]).await.unwrap();
                            continue;
                        }
                    };
                    mode.store(next, Ordering::SeqCst);
                    return;
                }
                _ => return,
            },
        }
    }
}
