//! `mapgrow look --watch` on a map that grows when it is told to.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::looking::rust_program;
use crate::place::{Place, printed, told};

/// The program that grows.
struct Growing {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Growing {
    fn start(command: &mut Command) -> Growing {
        let mut child = (command.stdin(Stdio::piped()).stdout(Stdio::piped()))
            .spawn()
            .expect("it runs");
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut growing = Growing {
            child,
            input,
            output,
        };
        assert_eq!(growing.line(), "ready");
        growing
    }

    fn line(&mut self) -> String {
        self.output.next().expect("a line").expect("text")
    }

    /// Adds entries; what the program says of its map then.
    fn add(&mut self, entries: u64) -> String {
        writeln!(self.input, "{entries}").expect("it reads");
        self.line()
    }

    /// The same as entries and capacity.
    fn added(&mut self, entries: u64) -> (u64, u64) {
        let line = self.add(entries);
        let (entries, capacity) = line.split_once(' ').expect("two numbers");
        (
            entries.parse().expect("a number"),
            capacity.parse().expect("a number"),
        )
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A watch of it, a line of JSON for each look.
struct Watch {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    fn of(place: &Place, growing: &Growing) -> Watch {
        let mut child = place
            .command()
            .args(["look", "--json", "--watch", "50ms"])
            .arg(growing.child.id().to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Watch { child, lines }
    }

    fn next(&mut self) -> Value {
        let line = self.lines.next().expect("a line").expect("text");
        serde_json::from_str(&line).expect("JSON")
    }

    /// The next look at which the map has so many entries.
    fn with(&mut self, entries: u64) -> Value {
        loop {
            let look = self.next();
            assert!(look["ended"].is_null(), "{look}");
            if sessions(&look).is_some_and(|map| map["entries"] == entries) {
                return look;
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sessions(look: &Value) -> Option<&Value> {
    let maps = look["look"]["maps"].as_array().expect("a list");
    (maps.iter()).find(|map| map["owner"]["symbol"] == "growing::SESSIONS")
}

fn program(place: &Place) -> Command {
    Command::new(rust_program(place, "growing", &["-O"]))
}

#[test]
fn a_watch_sees_resizes_and_foretells_the_next() {
    let place = Place::new();
    let mut growing = Growing::start(&mut program(&place));
    let mut watch = Watch::of(&place, &growing);
    let look = watch.with(1000);
    assert_eq!(sessions(&look).expect("it is there")["resizes_seen"], 0);
    assert_eq!(look["changes"]["resizes"], serde_json::json!([]));
    // From 2,048 buckets to 32,768.
    let (entries, capacity) = growing.added(20_000);
    let mut resizes = Vec::new();
    let look = loop {
        let look = watch.next();
        resizes.extend(
            look["changes"]["resizes"]
                .as_array()
                .expect("a list")
                .clone(),
        );
        if sessions(&look).is_some_and(|map| map["entries"] == entries) {
            break look;
        }
    };
    let buckets = |resize: Option<&Value>, field: &str| resize.expect("one")[field].as_u64();
    assert_eq!(buckets(resizes.first(), "old_buckets"), Some(2048));
    assert_eq!(
        buckets(resizes.last(), "new_buckets"),
        Some(capacity / 7 * 8)
    );
    let map = sessions(&look).expect("it is there");
    assert_eq!(map["resizes_seen"], resizes.len());
    assert_eq!(map["next_resize"]["at_entries"], capacity + 1);
    assert!(map["entries_per_s"].as_f64() > Some(0.0), "{map}");
    assert!(map["next_resize"]["eta_ns"].as_u64() > Some(0), "{map}");
    // What does not change has no next resize in sight.
    let maps = look["look"]["maps"].as_array().expect("a list");
    let still = maps
        .iter()
        .find(|map| map["entries"] == 3000)
        .expect("it is there");
    assert_eq!(still["entries_per_s"], 0.0, "{still}");
    assert!(still["next_resize"]["eta_ns"].is_null(), "{still}");
    growing.child.kill().expect("it runs");
    let ended = loop {
        let line = watch.next();
        if !line["ended"].is_null() {
            break line["ended"].clone();
        }
    };
    assert_eq!(ended["ended_by"], "process");
    let grew = ended["only_grew"].as_array().expect("a list");
    assert_eq!(grew.len(), 1, "{ended}");
    assert_eq!(grew[0]["map"], "static growing::SESSIONS -> map");
    assert_eq!(
        [&grew[0]["entries_first"], &grew[0]["entries_last"]],
        [1000, entries]
    );
    assert!(watch.child.wait().expect("it ends").success());
}

#[test]
fn a_resize_that_will_not_fit_is_foretold_before_it_fails() {
    let place = Place::new();
    let mut command = Command::new("sh");
    // Room for the program, and for a table of 4 MiB beside one of 2, but not for the one after.
    command.args(["-c", "ulimit -v 12000; exec \"$0\""]);
    command.arg(program(&place).get_program());
    let mut growing = Growing::start(&mut command);
    let mut watch = Watch::of(&place, &growing);
    watch.with(1000);
    let mut entries = 1000;
    let warned = loop {
        let line = growing.add(5000);
        assert_ne!(line, "no memory", "nobody said so");
        entries += 5000;
        let look = watch.with(entries);
        let next = &sessions(&look).expect("it is there")["next_resize"];
        if next["fits"] == false && next["eta_ns"].is_u64() {
            break next.clone();
        }
    };
    assert!(warned["short_bytes"].as_u64() > Some(0), "{warned}");
    let at = warned["at_entries"].as_u64().expect("known");
    // Up to there all is well, and there it fails.
    let line = growing.add(at - 1 - entries);
    assert!(line.starts_with(&(at - 1).to_string()), "{line}");
    assert_eq!(growing.add(1), "no memory");
}

#[test]
fn a_watch_for_people_says_the_same() {
    let place = Place::new();
    let growing = Growing::start(&mut program(&place));
    let pid = growing.child.id().to_string();
    let text = printed(&place.run(&["look", &pid, "--watch", "50ms", "--for", "200ms"]));
    assert!(text.contains("growing"), "{text}");
    assert!(text.contains("(as before)"), "{text}");
    assert!(text.contains("No resize was seen."), "{text}");
    assert!(!text.contains("only ever grew"), "{text}");
}

#[test]
fn what_cannot_be_watched_gets_a_sentence() {
    let place = Place::new();
    let core = place.path("core");
    std::fs::write(&core, "no core").expect("written");
    let core = core.to_str().expect("plain").to_owned();
    for (target, sentence) in [
        (core.as_str(), "a core does not change"),
        ("999999999", "no process"),
    ] {
        let said = told(&place.run(&["look", target, "--watch", "1s"]));
        assert!(said.contains(sentence), "{said}");
    }
}
