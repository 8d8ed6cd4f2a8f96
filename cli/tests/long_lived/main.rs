//! Verbs that read the same thing again and again, for days: what a reading took is given back.
//!
//! `READINGS=10000 cargo test -p mapgrow-cli --test long_lived` for the long run. A process of its
//! own, whose memory is nobody else's; one test, for the same reason.

#[path = "../cli/go_profile.rs"]
mod go_profile;
#[allow(dead_code)] // of which this takes a part
#[path = "../cli/place.rs"]
mod place;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mapgrow_cli::symbols::Files;
use mapgrow_cli::top::Readings;
use mapgrow_format::layout::header;

use go_profile::go_profile;
use place::{Place, recording_of};

/// Readings of each verb. What differs from one to the next is not to be seen in fewer.
fn readings() -> usize {
    let asked = std::env::var("READINGS").ok();
    asked.map_or(2_000, |count| count.parse().expect("READINGS is a number"))
}

/// Memory of a process over its readings: what it has touched of its own, and how much it has
/// mapped.
struct Memory {
    pid: u32,
    samples: Vec<(u64, u64)>,
}

impl Memory {
    fn of(pid: u32) -> Memory {
        Memory {
            pid,
            samples: Vec::new(),
        }
    }

    fn look(&mut self) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("RssAnon:"));
        let own = line.and_then(|line| line.split_ascii_whitespace().nth(1)?.parse().ok());
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.pid)).expect("it runs");
        self.samples
            .push((own.expect("a number"), maps.lines().count() as u64));
    }

    /// Expects the last third to have no more than the first: by 2 %, or by what the allocator of a
    /// small process may keep on a busy machine, where its threads wait with memory in hand. (A kilobyte
    /// a reading would be twice that.)
    fn assert_flat(&self, what: &str) {
        let third = self.samples.len() / 3;
        let mean = |samples: &[(u64, u64)], of: fn(&(u64, u64)) -> u64| {
            samples.iter().map(of).sum::<u64>() as f64 / samples.len() as f64
        };
        let (first, last) = (&self.samples[..third], &self.samples[2 * third..]);
        let own = [first, last].map(|part| mean(part, |sample| sample.0));
        let maps = [first, last].map(|part| mean(part, |sample| sample.1));
        println!(
            "{what}: {:.0} and {:.0} KiB, {:.1} and {:.1} mappings",
            own[0], own[1], maps[0], maps[1]
        );
        assert!(
            own[1] <= own[0] * 1.02 + 512.0,
            "{what}: {:?}",
            self.samples
        );
        assert!(
            maps[1] <= maps[0] * 1.02 + 8.0,
            "{what}: {:?}",
            self.samples
        );
    }
}

/// A look for every so many readings.
const LOOK: usize = 20;
/// Readings before the first look.
const WARM: usize = 100;

/// A dump of a program with debug information.
fn dump(place: &Place) -> PathBuf {
    let source = place.write(
        "program.cpp",
        b"#include <vector>\nint main() {\nstd::vector<int> all;\n\
          for (int n = 0; n < 100000; ++n) all.push_back(n);\n}\n",
    );
    let (program, dump) = (place.path("program"), place.path("program.mapgrow"));
    let mut compiler = Command::new("g++");
    let compiled = compiler
        .arg("-g")
        .arg("-o")
        .args([&program, &source])
        .status();
    assert!(compiled.expect("g++ is needed").success());
    let mut command = place.command();
    let command = command.args(["run", "--quiet", "-o"]).arg(&dump).arg("--");
    assert!(command.arg(&program).status().expect("it runs").success());
    dump
}

fn top(dump: &Path) {
    let files = Files::new();
    let mut readings_of_it = Readings::new(dump, &files);
    let mut memory = Memory::of(std::process::id());
    for number in 0..WARM + readings() {
        let reading = readings_of_it.take().expect("read").expect("the same");
        assert!(reading.report.totals.resizes > 0);
        if number >= WARM && number % LOOK == 0 {
            memory.look();
        }
    }
    memory.assert_flat("top");
}

/// The id of a process may be another's by now: what is read then is no reading of the first.
fn another_recording_ends_the_readings(place: &Place) {
    let of = |id: u64| {
        let mut bytes = recording_of(4242, 1);
        bytes[header::RECORDING_ID * 8..][..8].copy_from_slice(&id.to_le_bytes());
        place.write("replaced.mapgrow", &bytes)
    };
    let files = Files::new();
    let mut readings = Readings::new(&of(1), &files);
    assert!(readings.take().expect("read").is_some());
    of(1);
    assert!(readings.take().expect("read").is_some());
    of(2);
    assert!(readings.take().expect("read").is_none());
}

fn ask(address: &str, path: &str) {
    let mut stream = TcpStream::connect(address).expect("it accepts");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("answered");
    answer.push_str(&String::from_utf8_lossy(&bytes[..bytes.len().min(64)]));
    assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
}

fn serve(place: &Place) {
    let path = place.write("app.mapgrow", &recording_of(4242, 1));
    let mut command = place.command();
    let command = command.arg("serve").arg(path);
    let command = command.args(["--listen", "127.0.0.1:0", "--every", "10ms"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it runs");
    let mut line = String::new();
    let output = child.stdout.take().expect("piped");
    BufReader::new(output)
        .read_line(&mut line)
        .expect("it tells");
    let address = line.split('/').nth(2).expect("an address").to_owned();
    let pages = ["/metrics", "/", "/debug/pprof/mapgrow", "/debug/pprof/heap"];
    // Its threads are started when they are first needed.
    std::thread::scope(|scope| {
        for number in 0..WARM {
            let address = &address;
            scope.spawn(move || ask(address, pages[number % pages.len()]));
        }
    });
    let mut memory = Memory::of(child.id());
    for number in 0..readings() {
        ask(&address, pages[number % pages.len()]);
        // So that the next one is another reading.
        std::thread::sleep(std::time::Duration::from_millis(10));
        if number % LOOK == 0 {
            memory.look();
        }
    }
    child.kill().expect("killed");
    child.wait().expect("reaped");
    memory.assert_flat("serve");
}

/// A service that gives a profile of maps that grow whenever it is asked, and counts.
fn service(asked: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = Vec::new();
            let mut byte = [0; 1];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                head.push(byte[0]);
            }
            let body = if head.starts_with(b"GET /debug/pprof/heap HTTP") {
                let count = asked.fetch_add(1, Ordering::SeqCst) as i64 + 1;
                let frames = [
                    "runtime.mallocgc@/go/src/runtime/malloc.go:1",
                    "internal/runtime/maps.(*table).grow@/go/src/internal/runtime/maps/table.go:2",
                    "main.main@/shop/main.go:12",
                ];
                let profile = go_profile(&[(&frames, 1 << 16, [count, count % 7])]);
                mapgrow_cli::pprof::encode(&profile).expect("encoded")
            } else {
                b"heap profile: 0: 0 [0: 0] @ heap/1048576\n".to_vec()
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    format!("http://{address}/debug/pprof/heap")
}

fn watch(place: &Place) {
    let asked = Arc::new(AtomicUsize::new(0));
    let url = service(Arc::clone(&asked));
    let mut command = place.command();
    let command = command.args(["report", "--watch", &url, "--every", "10ms"]);
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("it runs");
    let mut memory = Memory::of(child.id());
    let mut looked = 0;
    while asked.load(Ordering::SeqCst) < WARM + readings() {
        let ended = child.try_wait().expect("ours");
        assert!(ended.is_none(), "it ended after {asked:?} readings");
        let now = asked.load(Ordering::SeqCst) / LOOK;
        if now > looked {
            looked = now;
            if now * LOOK > WARM {
                memory.look();
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().expect("killed");
    child.wait().expect("reaped");
    memory.assert_flat("report --watch");
}

#[test]
fn readings_without_end_take_no_more_memory_than_a_few() {
    let place = Place::new();
    let dump = dump(&place);
    top(&dump);
    another_recording_ends_the_readings(&place);
    serve(&place);
    watch(&place);
}
