//! How the server stops.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::Signal;

use crate::support::{Site, on_each_framework_and_store};

on_each_framework_and_store!(
    requests_that_were_accepted_are_answered,
    no_answer_is_cut_short,
    a_second_signal_ends_the_wait,
    an_interrupt_stops_it_too,
    the_last_postbacks_are_in_the_log,
);

fn requests_that_were_accepted_are_answered(site: &Site) {
    let mut server = site.start();
    let mut requests: Vec<Accepted> = (0..16).map(|number| Accepted::new(server.address(), number)).collect();

    server.signal(Signal::TERM);
    server.process.wait_for("stopping");
    while TcpStream::connect(server.address()).is_ok() {}

    for request in &mut requests {
        let answer = request.finish();
        assert!(answer.starts_with("HTTP/1.1 201 ") && answer.contains(&request.name), "{answer}");
    }
    let (status, output) = server.finish();
    assert_eq!(status.code(), Some(0), "{output}");
    assert!(output.trim_end().ends_with("stopped"), "{output}");
}

fn no_answer_is_cut_short(site: &Site) {
    let mut server = site.start();
    let answered = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for client in 0..4 {
            let (address, answered) = (server.address().to_owned(), &answered);
            scope.spawn(move || {
                for number in 0.. {
                    let Some(answer) = click(&address, &format!("{client}-{number}")) else { return };
                    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("cut: {answer:?}"));
                    assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
                    assert!(serde_json::from_str::<serde_json::Value>(body).is_ok(), "{answer}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while answered.load(Ordering::Relaxed) < 100 {
            std::thread::yield_now();
        }
        server.signal(Signal::TERM);
        server.process.wait_for("stopped");
    });
    assert_eq!(server.finish().0.code(), Some(0));
}

fn a_second_signal_ends_the_wait(site: &Site) {
    let mut server = site.start();
    let _request = Accepted::new(server.address(), 0);
    server.signal(Signal::TERM);
    server.process.wait_for("stopping");
    server.signal(Signal::INT);
    let (status, output) = server.finish();
    assert_eq!(status.code(), Some(0));
    assert!(output.contains("stopped at once"), "{output}");
}

fn an_interrupt_stops_it_too(site: &Site) {
    let server = site.start();
    // An idle connection is nothing to wait for.
    let mut idle = TcpStream::connect(server.address()).unwrap();
    // Nor is what the tracker does from its first click on.
    idle.write_all(b"GET /click?affiliate_id=1&campaign_id=10 HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    read_until(&mut idle, b"}}");
    server.signal(Signal::INT);
    let (status, output) = server.finish();
    assert_eq!(status.code(), Some(0));
    assert!(output.trim_end().ends_with("stopped"), "{output}");
}

/// They are gathered, and written a second later, or when the server stops.
fn the_last_postbacks_are_in_the_log(site: &Site) {
    let server = site.start();
    let postback = "/postback?affiliate_id=1&amount=1&currency=EUR&click_id=";
    assert_eq!(server.get(&format!("{postback}nobodys")).status(), 404);
    server.get("/click?affiliate_id=1&campaign_id=10&click_id=abc123");
    assert_eq!(server.get(&format!("{postback}abc123")).status(), 200);
    server.stop();
    if let Some(database) = &site.database {
        let statement = format!("SELECT outcome FROM {}.postbacks ORDER BY outcome", database.name);
        assert_eq!(database.execute(&statement), ["accepted", "unknown_click"]);
    }
}

/// A request that the server has begun to answer, as its `100 Continue` proves, and whose body is still to come.
struct Accepted {
    stream: TcpStream,
    name: String,
}

impl Accepted {
    fn new(address: &str, number: usize) -> Self {
        let (mut stream, name) = (TcpStream::connect(address).unwrap(), format!("Affiliate {number:02}"));
        let head = "POST /affiliates HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
                    Content-Length: 23\r\nExpect: 100-continue\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        let begun = read_until(&mut stream, b"\r\n\r\n");
        assert!(begun.starts_with("HTTP/1.1 100 "), "{begun}");
        Self { stream, name }
    }

    fn finish(&mut self) -> String {
        self.stream.write_all(format!(r#"{{"name":"{}"}}"#, self.name).as_bytes()).unwrap();
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

fn read_until(stream: &mut TcpStream, end: &[u8]) -> String {
    let (mut read, mut byte) = (Vec::new(), [0]);
    while !read.ends_with(end) {
        stream.read_exact(&mut byte).unwrap();
        read.push(byte[0]);
    }
    String::from_utf8(read).unwrap()
}

/// The whole answer, or `None` if the server took no request any more.
fn click(address: &str, click_id: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    let request = format!(
        "GET /click?affiliate_id=1&campaign_id=10&click_id={click_id} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
    );
    let mut answer = Vec::new();
    let ended = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_end(&mut answer));
    match ended {
        // A connection that waited to be accepted is reset when the server stops listening.
        Err(error) if answer.is_empty() => {
            let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::ConnectionAborted];
            assert!(kinds.contains(&error.kind()), "{error}");
            None
        }
        Ok(_) if answer.is_empty() => None,
        ended => {
            ended.unwrap();
            Some(String::from_utf8(answer).unwrap())
        }
    }
}
