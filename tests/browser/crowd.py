"""A program with a thousand sites and a hundred thousand events, for the page to cope with.

Writes and compiles it, without mapgrow: it is recorded through the preload library. Its source
directory, thread, mark and argument carry names that would run as markup if anything let them.
"""

import pathlib
import subprocess

SITES = 1000
ROUNDS = 12
HOSTILE = "</script><script>window.harmed=1</script><img src=x onerror=window.harmed=2>"

VALUES = ["u64", "[u8; 24]", "(u32, u32)", "Session", "[u64; 8]"]
AREAS = [
    "auth", "billing", "cache", "catalog", "cluster", "config", "crawler", "events", "export",
    "feed", "geo", "graph", "index", "ingest", "jobs", "ledger", "limits", "mail", "media",
    "metrics", "orders", "parser", "peers", "planner", "queue", "ranking", "replica", "router",
    "rules", "schema", "search", "session", "shard", "stock", "store", "sync", "tags", "tenant",
    "trace", "users",
]
VERBS = [
    "admit", "append", "assign", "bind", "build", "collect", "count", "dedupe", "enrich",
    "expand", "fold", "gather", "group", "join", "link", "load", "merge", "note", "pair", "push",
    "rank", "refill", "resolve", "scan", "track",
]

PROLOGUE = """
use std::collections::HashMap;
use std::ffi::{c_char, c_void, CStr};
use std::hint::black_box;

#[derive(Clone, Copy, Default)]
pub struct Session { pub user: u64, pub seen: [u64; 5] }

unsafe extern "C" { fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void; }

fn mark(label: &CStr) {
    let name = c"mapgrow_mark";
    let found = unsafe { dlsym(std::ptr::null_mut(), name.as_ptr()) };
    if !found.is_null() {
        let call: extern "C" fn(*const c_char) = unsafe { std::mem::transmute(found) };
        call(label.as_ptr());
    }
}
"""

FUNCTION = """
    #[inline(never)]
    pub fn {name}(entries: u64) -> usize {{
        let mut map: HashMap<u64, {value}> = HashMap::new();
        for key in 0..entries {{ map.insert(black_box(key), {default}); }}
        let held = map.len();
        {end}
        black_box(held)
    }}
"""

MAIN = """
fn main() {{
    mark(c"{mark}");
    let all: &[fn(u64) -> usize] = &[{functions}];
    for round in 0..{rounds}u64 {{
        for (number, grow) in all.iter().enumerate() {{
            let large = if number % 97 == round as usize {{ 60_000 }} else {{ 0 }};
            grow(1_500 + (number as u64 * 37) % 2_000 + large);
        }}
        mark(CStr::from_bytes_with_nul(format!("round {{round}}\\0").as_bytes()).unwrap());
        std::thread::sleep(std::time::Duration::from_millis(40));
    }}
    let name = "<img onerror=1>".to_owned();
    std::thread::Builder::new().name(name).spawn(|| auth::admit(4_000)).unwrap().join().unwrap();
}}
"""


def source():
    text = [PROLOGUE]
    functions = []
    for number in range(SITES):
        area, verb = AREAS[number // len(VERBS)], VERBS[number % len(VERBS)]
        if number % len(VERBS) == 0:
            text.append(f"{'}' if number else ''}\nmod {area} {{\n    use super::*;")
        value = VALUES[number * 7 % len(VALUES)]
        default = "Default::default()"
        # Every fiftieth is kept, so that something is live at the end.
        end = "std::mem::forget(map);" if number % 50 == 3 else "drop(map);"
        text.append(FUNCTION.format(name=verb, value=value, default=default, end=end))
        functions.append(f"{area}::{verb}")
    text.append("}")
    text.append(MAIN.format(functions=", ".join(functions), rounds=ROUNDS, mark=HOSTILE[:60]))
    return "\n".join(text)


def build(directory):
    """The program's path."""
    hostile = pathlib.Path(directory) / "<img src=x onerror=window.harmed=3>"
    hostile.mkdir(parents=True, exist_ok=True)
    path = hostile / "crowd.rs"
    path.write_text(source())
    program = pathlib.Path(directory) / "crowd"
    subprocess.run(
        ["rustc", "--edition=2024", "-Copt-level=1", "-Cdebuginfo=1", "-Ccodegen-units=8",
         "-o", program, path], check=True,
    )
    return program


def record(mapgrow, directory):
    """A recording of the program."""
    program = build(directory)
    recording = pathlib.Path(directory) / "crowd.mapgrow"
    recording.unlink(missing_ok=True)
    import os
    environment = {**os.environ, "MAPGROW_BUDGET": "0", "MAPGROW_MAX_MEMORY": "160M"}
    subprocess.run([mapgrow, "run", "--quiet", "-o", recording, "--", program, HOSTILE],
                   check=True, env=environment)
    return recording
