//! Whatever bytes are sent to `mapgrow serve`: answers of HTTP, or none.
//!
//! The first byte says in how large pieces the others come, and whether the server listens on
//! loopback alone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mapgrow_cli::fuzzing::Server;

thread_local! {
    static SERVER: Server = Server::new(&[
        include_bytes!("../corpus/json/hashbrown.json"),
        include_bytes!("../corpus/dump/vectors"),
    ]);
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&how, sent)) = bytes.split_first() else {
        return;
    };
    let step = match how >> 1 {
        127 => usize::MAX,
        step => usize::from(step),
    };
    let loopback = how & 1 == 1;
    let said = SERVER.with(|server| server.answers(sent, step, loopback));
    assert!(said.is_empty() || said.starts_with(b"HTTP/1."));
    let has = |text: &[u8]| said.windows(text.len()).any(|window| window == text);
    assert!(!has(b" 500 Internal"), "no report could be made");
});
