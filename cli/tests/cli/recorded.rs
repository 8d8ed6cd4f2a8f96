//! The command on recordings that a real program makes: `tests/fixtures/victim.rs`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use mapgrow_cli::symbols::{Files, ObjectSymbolizer, Places};
use mapgrow_format::layout::header;
use mapgrow_format::reader::Recording;
use mapgrow_report::symbols::{Module, Symbolizer};
use serde_json::Value;

use crate::place::{Place, copy_program, json, printed, word};

/// The program that most tests here watch.
pub fn victim() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| example("cli_victim"))
}

/// An example program, built on first use: `cargo test --test cli` alone would run an old one, and that
/// of the whole workspace has what the preload library needs of the recorder.
pub fn example(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a path");
    let target = own.ancestors().nth(3).expect("TARGET/PROFILE/deps/test");
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "mapgrow-cli"])
        .args(["--example", name])
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    target.join("debug/examples").join(name)
}

/// The program while it waits, its maps grown.
pub struct Victim {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Victim {
    pub fn start(place: &Place) -> Victim {
        Victim::start_at(place, victim())
    }

    pub fn start_at(place: &Place, binary: &Path) -> Victim {
        let mut command = place.command_of(binary);
        // Whether the smallest tables are in a sample is chance, and these tests count.
        command.env("MAPGROW", "exact");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let mut victim = Victim {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().expect("piped")),
            child,
        };
        victim.expect("1 100000");
        victim
    }

    fn expect(&mut self, expected: &str) {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it tells");
        assert_eq!(line.trim_end(), expected);
    }

    /// Grows the `number`th map.
    pub fn grow(&mut self, number: u32) {
        let input = self.input.as_mut().expect("open");
        input.write_all(b"x").expect("it listens");
        self.expect(&format!("{number} 100000"));
    }

    pub fn pid(&self) -> String {
        self.child.id().to_string()
    }

    pub fn finish(mut self) {
        drop(self.input.take());
        assert!(self.child.wait().expect("it ends").success());
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the stacks of a recording resolve to: for each site, the functions of the program's own
/// and the element type.
fn sites_of(path: &Path) -> Vec<(Vec<String>, Option<String>)> {
    let bytes = std::fs::read(path).expect("read");
    let recording = Recording::parse(bytes).expect("a recording");
    let modules: Vec<Module> = recording.modules().flatten().collect();
    let module_of = |address: u64| modules.iter().find(|m| (m.start..m.end).contains(&address));
    let files = Files::new();
    let mut symbolizer = ObjectSymbolizer::new(&files, Places::default());
    let mut sites = Vec::new();
    for site in recording.sites() {
        let stack: Vec<(&Module, u64)> = recording
            .stack(&site)
            .iter()
            .filter_map(|pc| Some((module_of(pc)?, pc - 1)))
            .collect();
        let functions = stack
            .iter()
            .flat_map(|(module, pc)| symbolizer.frames(module, *pc))
            .filter_map(|frame| frame.function)
            .filter(|function| function.starts_with("cli_victim::"))
            .collect();
        sites.push((functions, symbolizer.element_type_of_stack(&stack)));
    }
    assert_eq!(symbolizer.warnings(), Vec::<String>::new());
    sites
}

fn assert_names(path: &Path) {
    let sites = sites_of(path);
    let grown = sites
        .iter()
        .find(|(functions, _)| *functions == ["cli_victim::fill", "cli_victim::main"]);
    let (_, element) = grown.unwrap_or_else(|| panic!("{sites:?}"));
    assert_eq!(element.as_deref(), Some("(u64, Session)"));
}

#[test]
fn a_running_program_is_listed_and_dumped_with_its_names() {
    let place = Place::new();
    let victim = Victim::start(&place);
    let pid = victim.pid();
    let listed = printed(&place.run(&["list"]));
    let row = listed
        .lines()
        .find(|line| line.contains(&pid))
        .expect("listed");
    assert!(
        row.contains(" cli_victim ") && row.contains(" running "),
        "{row}"
    );

    let report = json(&place.run(&["report", "--json", &pid]));
    assert_eq!(report["process"]["state"], "live");
    let lived = report["process"]["duration_ns"]
        .as_u64()
        .expect("calibrated");
    assert!(lived > 0 && lived < 600_000_000_000, "{lived}");

    let dump = PathBuf::from(printed(&place.run(&["dump", &pid])).trim_end());
    assert_names(&dump);
    victim.finish();
    // The program's own dump, written at its end, is newer.
    let report = json(&place.run(&["report", "--json"]));
    assert_eq!(report["process"]["dump_reason"], "exit");
    assert!(!printed(&place.run(&["list"])).contains(&pid));
}

#[test]
fn a_killed_program_is_read_from_what_it_left() {
    let place = Place::new();
    let victim = Victim::start(&place);
    let pid = victim.pid();
    drop(victim);
    let report = json(&place.run(&["report", "--json", &pid]));
    assert_eq!(report["process"]["state"], "killed");
    assert!(
        report["process"]["duration_ns"].is_u64(),
        "{}",
        report["process"]
    );
    let dump = PathBuf::from(printed(&place.run(&["dump", &pid])).trim_end());
    assert_names(&dump);
    let pruned = printed(&place.run(&["list", "--prune"]));
    assert!(pruned.contains(&format!("mapgrow-{pid}-")), "{pruned}");
}

#[test]
fn a_program_that_is_switched_off_records_nothing() {
    let place = Place::new();
    let mut victim = Victim::start(&place);
    let pid = victim.pid();
    let resizes = || {
        let dump = printed(&place.run(&["dump", &pid]));
        let bytes = std::fs::read(dump.trim_end()).expect("read");
        word(&bytes, header::RESIZE_HEAD)
    };
    let first = resizes();
    // 100,000 entries from 3: buckets double from 4 to 131,072.
    assert_eq!(first, 15);
    printed(&place.run(&["off", &pid]));
    assert!(printed(&place.run(&["list"])).contains(" paused "));
    victim.grow(2);
    assert_eq!(resizes(), first);
    printed(&place.run(&["on", &pid]));
    assert!(printed(&place.run(&["list"])).contains(" running "));
    victim.grow(3);
    assert_eq!(resizes(), 2 * first);
    victim.finish();
}

/// Expects that a report names the map and the line that fills it.
fn assert_map_named(report: &Value) {
    let site = &report["sites"][0];
    assert_eq!(site["type_name"], "HashMap<u64, Session>", "{site}");
    assert_eq!(site["caller"]["function"], "cli_victim::fill", "{site}");
    let source = include_str!("../fixtures/victim.rs");
    let line = source
        .lines()
        .position(|line| line.contains("sessions.insert("));
    assert_eq!(site["caller"]["line"], line.expect("there") as u64 + 1);
}

#[test]
fn a_binary_that_is_gone_is_read_through_its_process() {
    let place = Place::new();
    let binary = place.path("moved-away");
    copy_program(victim(), &binary);
    let victim = Victim::start_at(&place, &binary);
    let pid = victim.pid();
    let report = || json(&place.run(&["report", "--json", &pid]));
    assert_map_named(&report());
    // As an update does it: another file takes the name of the one that runs.
    std::fs::remove_file(&binary).expect("removed");
    assert_map_named(&report());
    std::fs::copy("/bin/true", &binary).expect("copied");
    assert_map_named(&report());
    let dump = printed(&place.run(&["dump", &pid]));
    victim.finish();
    // Afterwards nothing is left that could tell, and the report says so.
    let report = json(&place.run(&["report", "--json", dump.trim_end()]));
    assert_eq!(report["sites"][0]["type_name"], Value::Null);
    let notes = report["honesty"]["notes"].to_string();
    assert!(notes.contains("was rebuilt since the recording"), "{notes}");
}
