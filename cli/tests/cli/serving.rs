//! `mapgrow serve`, with many clients, slow ones and ones that send anything.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

use mapgrow_fixture::Program;
use mapgrow_format::layout::{edge, header};

use crate::place::{Place, json, told};

const CLIENTS: usize = 200;
/// A server that hangs must fail the test, not stop it.
const PATIENCE: Duration = Duration::from_secs(60);

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(place: &Place, arguments: &[&str]) -> Server {
        let mut command = place.command();
        command
            .arg("serve")
            .args(arguments)
            .args(["--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it runs");
        let mut line = String::new();
        let output = child.stdout.take().expect("piped");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("it tells");
        let address = line.split(['/', ' ']).find_map(|word| word.parse().ok());
        let address = address.unwrap_or_else(|| panic!("{line:?}"));
        Server { child, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream
    }

    fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = self.connect();
        // A server may refuse before it has read everything.
        let _ = stream.write_all(bytes);
        stream
    }

    fn ask(&self, request: &str) -> (String, Vec<u8>) {
        answer(
            self.send(
                format!("{request}\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes(),
            ),
        )
    }

    fn get(&self, path: &str) -> (String, Vec<u8>) {
        self.ask(&format!("GET {path} HTTP/1.1"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A recording with one map that grew four times.
fn recording() -> Vec<u8> {
    let mut program = Program::new();
    program
        .recording
        .exe("/opt/app/bin/cache-server", &["cache-server"]);
    program.recording.set(header::PID, 1 << 32 | 4242);
    let site = program.recording.site(1, &[0x1000, 0x2000]);
    let edge = program
        .recording
        .edge(edge::KIND_REPLACE, Some(site), site, 1, 0x1500);
    let mut block = program.alloc(site, 64 * 33 + 16, 16);
    for buckets in [128, 256, 512, 1024] {
        program.now += 1_000_000;
        block = program.replace(block, edge, buckets * 33 + 16, 2_000);
    }
    program.keep(block, 0x7000_0000);
    program.build()
}

/// Head and body of an answer on a connection that ends with it.
fn answer(mut stream: TcpStream) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.map_or(bytes.len(), |end| end + 4);
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    (head, bytes[end..].to_vec())
}

#[test]
fn metrics_have_the_figures_of_the_report() {
    let place = Place::new();
    let file = place.write("app.mapgrow", &recording());
    let server = Server::start(&place, &[file.to_str().expect("text")]);
    let report = json(&place.run(&["report", "--json", file.to_str().expect("text")]));
    let live = report["sites"][0]["live_bytes"].as_u64().expect("known");
    assert_ne!(live, 0);
    let (head, body) = server.ask("GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text");
    let text = String::from_utf8(body).expect("text");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("application/openmetrics-text"));
    let line = text
        .lines()
        .find(|line| line.starts_with("mapgrow_site_live_bytes{"));
    let line = line.expect("a sample");
    assert!(line.ends_with(&format!("}} {live}")), "{line}");
    assert!(
        line.contains("program=\"cache-server\",pid=\"4242\""),
        "{line}"
    );
    assert!(text.ends_with("# EOF\n"));
    // What is not known has no sample.
    assert!(!text.contains("mapgrow_heap_live_bytes{"), "{text}");
    let (head, profile) = server.get("/debug/pprof/mapgrow");
    assert!(head.starts_with("HTTP/1.1 200") && profile.starts_with(&[0x1F, 0x8B]));
    let (head, profile) = server.get("/debug/pprof/heap?seconds=1");
    assert!(head.starts_with("HTTP/1.1 200") && profile.starts_with(&[0x1F, 0x8B]));
    let (_, index) = server.get("/");
    let index = String::from_utf8_lossy(&index);
    assert!(index.contains("cache-server") && index.contains("their peak was "));
}

#[test]
fn two_hundred_clients_slow_readers_and_garbage_are_borne() {
    let place = Place::new();
    let file = place.write("app.mapgrow", &recording());
    let server = Server::start(&place, &[file.to_str().expect("text")]);
    let (_, expected) = server.get("/metrics");
    // Some never finish their request, and some never read their answer.
    let slow: Vec<TcpStream> = (0..20)
        .map(|_| server.send(b"GET /metrics HTTP/1.1\r\nHost: lo"))
        .collect();
    let ask = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let deaf: Vec<TcpStream> = (0..20).map(|_| server.send(&ask.repeat(50))).collect();
    let mut noise = 0x2545_F491_4F6C_DD1Du64;
    for length in 0..60 {
        let bytes: Vec<u8> = (0..length * 97)
            .map(|_| {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                noise as u8
            })
            .collect();
        drop(server.send(&bytes));
    }
    // All at once, each kept open until every one has its answer.
    let close = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let clients: Vec<TcpStream> = (0..CLIENTS).map(|_| server.send(close)).collect();
    for client in clients {
        let (head, body) = answer(client);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert_eq!(body, expected);
    }
    drop((slow, deaf));
    let long = format!("GET /{} HTTP/1.1", "a".repeat(100_000));
    for (request, status) in [
        ("GET /../../etc/passwd HTTP/1.1", "404"),
        ("POST /metrics HTTP/1.1", "405"),
        ("DELETE / HTTP/1.1", "405"),
        ("GET /debug/pprof/heap?target=7 HTTP/1.1", "404"),
        ("GET /debug/pprof/heap?target=-1 HTTP/1.1", "400"),
        ("GET /metrics HTTP/9.9", "400"),
        (long.as_str(), "4"),
    ] {
        let (head, _) = server.ask(request);
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status}")),
            "{request:.60}: {head}"
        );
    }
    let (head, _) =
        answer(server.send(b"GET / HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n"));
    assert!(head.starts_with("HTTP/1.1 403"), "{head}");
    let (head, body) = server.get("/metrics");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(body, expected);
}

#[test]
fn what_cannot_be_served_is_told_at_the_start() {
    let place = Place::new();
    let gone = place.path("gone.mapgrow");
    let text = told(&place.run(&["serve", gone.to_str().expect("text")]));
    assert!(text.contains("gone.mapgrow"), "{text}");
    let file = place.write("app.mapgrow", &recording());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = taken.local_addr().expect("known").to_string();
    let text = told(&place.run(&["serve", file.to_str().expect("text"), "--listen", &address]));
    assert!(text.contains("--listen"), "{text}");
}

/// Clients that begin a request and do not go on take no seat from one that asks.
#[test]
fn slow_clients_do_not_keep_others_waiting() {
    const SEATS: usize = 64;
    const SLOW: usize = 400;
    let place = Place::new();
    let path = place.write("app.mapgrow", &recording());
    let path = path.to_str().expect("plain");
    let server = Server::start(&place, &[path, "--connections", &SEATS.to_string()]);
    let slow: Vec<TcpStream> = (0..SLOW)
        .map(|_| server.send(b"GET /metrics HTTP/1.1\r\nHost: lo"))
        .collect();
    for page in ["/healthz", "/metrics", "/"] {
        let (head, _) = server.get(page);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    }
    // The last of them still have their seats: nobody waited for the time at which all lose them.
    let open = |stream: &TcpStream| {
        stream.set_nonblocking(true).expect("set");
        let read = (&mut &*stream).read(&mut [0; 64]);
        read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    };
    let held = slow.iter().filter(|stream| open(stream)).count();
    assert!((SEATS / 2..=SEATS).contains(&held), "{held}");
    assert!(slow.iter().rev().take(SEATS / 2).all(open));
}

#[test]
fn a_host_that_is_not_of_this_machine_is_refused() {
    let place = Place::new();
    let path = place.write("app.mapgrow", &recording());
    let server = Server::start(&place, &[path.to_str().expect("plain")]);
    let status = |request: &[u8]| {
        let (head, _) = answer(server.send(request));
        head.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    let asked = |host: &[u8]| {
        let parts: [&[u8]; 3] = [b"GET / HTTP/1.1\r\n", host, b"Connection: close\r\n\r\n"];
        status(&parts.concat())
    };
    assert_eq!(asked(b"Host: localhost\r\n"), "200");
    assert_eq!(asked(b"Host: 127.0.0.1:9464\r\n"), "200");
    for host in [
        &b"Host: example.org\r\n"[..],
        b"Host: \xff\xfe\r\n",
        b"Host: localhost\xe9\r\n",
        b"Host:\r\n",
        b"Host: localhost\r\nHost: example.org\r\n",
        b"Host: example.org\r\nHost: localhost\r\n",
    ] {
        assert_eq!(asked(host), "403", "{}", String::from_utf8_lossy(host));
    }
    let absolute =
        b"GET http://example.org/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(status(absolute), "403");
}
