//! A proxy between the store and its server, which can go wrong.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What goes wrong with what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server never gets it, and the connection ends.
    LoseRequest,
    /// The server does it, and the connection ends before it can say so.
    LoseAnswer,
    /// The server does it, and nobody ever hears of it: the connection stays open.
    Silence,
    /// The server does it, and the connection ends when the test [says](Proxy::release) so, before anybody hears of it.
    Withhold,
}

/// On loopback, until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    plan: Arc<Plan>,
    accepting: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Plan {
    /// For the next requests that bear this text.
    faults: Mutex<Vec<(&'static str, Fault)>>,
    done: AtomicUsize,
    released: Notify,
}

impl Proxy {
    /// Before the server of this port.
    pub(crate) async fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let plan = Arc::new(Plan::default());
        let accepting = tokio::spawn({
            let plan = Arc::clone(&plan);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(Arc::clone(&plan).forward(client, server));
                }
            }
        });
        Self { port, plan, accepting }
    }

    /// The URL of the same database through the proxy.
    pub(crate) fn url(&self, server: u16, url: &str) -> String {
        url.replace(&format!(":{server}/"), &format!(":{}/", self.port))
    }

    /// Has this happen to the next request that bears this text.
    pub(crate) fn plan(&self, text: &'static str, fault: Fault) {
        self.plan.faults.lock().unwrap().push((text, fault));
    }

    /// Ends the connection of an answer that is withheld, or of the next one.
    pub(crate) fn release(&self) {
        self.plan.released.notify_one();
    }

    /// How many faults have happened.
    pub(crate) fn faults(&self) -> usize {
        self.plan.done.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Plan {
    fn next(&self, request: &[u8]) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let is_in = |text: &str| request.windows(text.len()).any(|window| window == text.as_bytes());
        let place = faults.iter().position(|(text, _)| is_in(text))?;
        self.done.fetch_add(1, Ordering::SeqCst);
        Some(faults.remove(place).1)
    }

    async fn forward(self: Arc<Self>, client: TcpStream, server: u16) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        // The protocol takes turns: an answer ends where the next request begins.
        loop {
            tokio::select! {
                answer = some(&mut from_server) => match answer {
                    Some(answer) => if to_client.write_all(&answer).await.is_err() { return },
                    None => return,
                },
                request = request(&mut from_client) => {
                    let Some(request) = request else { return };
                    match self.next(&request) {
                        None => if to_server.write_all(&request).await.is_err() { return },
                        Some(Fault::LoseRequest) => return,
                        Some(fault) => return self.lose_answer(fault, request, from_server, to_server, to_client).await,
                    }
                }
            }
        }
    }

    async fn lose_answer(
        &self,
        fault: Fault,
        request: Vec<u8>,
        mut from_server: OwnedReadHalf,
        mut to_server: OwnedWriteHalf,
        to_client: OwnedWriteHalf,
    ) {
        if to_server.write_all(&request).await.is_err() {
            return;
        }
        // The server answers when it is done.
        some(&mut from_server).await;
        match fault {
            Fault::Silence => std::future::pending().await,
            Fault::Withhold => self.released.notified().await,
            Fault::LoseRequest | Fault::LoseAnswer => {}
        }
        drop(to_client);
    }
}

/// A whole packet: three bytes of length, one of sequence, and what is said.
async fn request(stream: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut packet = vec![0; 4];
    stream.peek(&mut packet[..1]).await.ok().filter(|read| *read > 0)?;
    stream.read_exact(&mut packet).await.ok()?;
    let len = usize::from(packet[0]) | usize::from(packet[1]) << 8 | usize::from(packet[2]) << 16;
    packet.resize(4 + len, 0);
    stream.read_exact(&mut packet[4..]).await.ok()?;
    Some(packet)
}

async fn some(stream: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 16 * 1024];
    let read = stream.read(&mut bytes).await.ok().filter(|read| *read > 0)?;
    bytes.truncate(read);
    Some(bytes)
}
