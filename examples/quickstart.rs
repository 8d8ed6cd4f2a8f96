//! The ten lines that a program needs, and a map for them to watch.
//!
//! ```text
//! MAPGROW_AT_EXIT=report cargo run --release --example quickstart
//! ```
//!
//! Without the variable the program writes a dump when it ends; `mapgrow report` opens the
//! latest one.

use std::collections::HashMap;

#[global_allocator]
static ALLOC: mapgrow::MapGrow = mapgrow::MapGrow::new();

#[derive(Clone)]
struct Session {
    user: u32,
    _visits: [u64; 6],
}

/// Doubles its table eighteen times on the way; `with_capacity(500_000)` would do it once.
fn load_sessions() -> HashMap<u64, Session> {
    let mut sessions = HashMap::new();
    for id in 0..500_000 {
        let user = (id % 1000) as u32;
        let _visits = [id; 6];
        sessions.insert(id, Session { user, _visits });
    }
    sessions
}

fn main() {
    let sessions = load_sessions();
    let of_user_7 = sessions.values().filter(|s| s.user == 7).count();
    println!("{} sessions, {of_user_7} of user 7", sessions.len());
}
