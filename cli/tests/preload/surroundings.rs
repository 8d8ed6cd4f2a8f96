//! Programs in narrow surroundings (limits, sandboxes, small stacks, descriptors that changed
//! hands): each does and says what it does without the recorder.

use crate::support::{Place, library};
use serde_json::Value;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What the program ends with when all is as it should be.
pub(crate) const GOOD: Option<i32> = Some(7);

pub(crate) struct Victim {
    pub(crate) place: Place,
    program: PathBuf,
}

impl Victim {
    pub(crate) fn new() -> Victim {
        let place = Place::new();
        let program = place.compile("surroundings.cpp", &["-O1"]);
        Victim { place, program }
    }

    /// Under `mapgrow run`: output and reports.
    pub(crate) fn run(&self, arguments: &[&str]) -> (Output, Vec<Value>) {
        self.place.run(&[], &self.program, arguments)
    }

    /// With the library alone, as a service has it: dumps go to `out-<number>`.
    pub(crate) fn preloaded(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(self.place.work())
            .env("LD_PRELOAD", library(&self.place))
            .env("MAPGROW_DIR", self.place.path("recordings"))
            .env("MAPGROW_OUT", self.place.path("out-%n"))
            .env("MAPGROW_BUDGET", "0");
        command
    }

    /// The same in a pid namespace of its own.
    pub(crate) fn elsewhere(&self, arguments: &[&str]) -> Command {
        let own = self.preloaded(arguments);
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "env"]);
        for (name, value) in own.get_envs() {
            let value = value.expect("set").display();
            command.arg(format!("{}={value}", name.display()));
        }
        command.arg(own.get_program()).args(own.get_args());
        command.current_dir(self.place.work());
        command
    }

    pub(crate) fn dumps(&self) -> Vec<PathBuf> {
        files(&self.place.path(""))
            .filter(|path| starts(path, "out-"))
            .collect()
    }

    pub(crate) fn recordings(&self) -> Vec<PathBuf> {
        files(&self.place.path("recordings")).collect()
    }

    /// The report of a file, as JSON.
    pub(crate) fn report(&self, file: &Path) -> Value {
        let output = self
            .place
            .mapgrow()
            .args(["report", "--json"])
            .arg(file)
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).expect("JSON")
    }
}

pub(crate) fn files(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let found = std::fs::read_dir(directory).into_iter().flatten();
    found.map(|entry| entry.unwrap().path())
}

pub(crate) fn starts(path: &Path, prefix: &str) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
}

fn limited(command: &mut Command, resource: u32, bytes: u64) -> &mut Command {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: bytes,
    };
    // SAFETY: `setrlimit` may be called between fork and exec.
    unsafe {
        command.pre_exec(move || match libc::setrlimit(resource, &raw const limit) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        })
    }
}

pub(crate) fn total(report: &Value, figure: &str) -> u64 {
    report["totals"][figure]
        .as_u64()
        .unwrap_or_else(|| panic!("no {figure} in {report:#}"))
}

#[test]
fn a_limit_of_file_sizes_ends_nothing() {
    let victim = Victim::new();
    for bytes in [0, 64 << 10, 32 << 20] {
        let mut command = victim.preloaded(&["fill"]);
        let output = limited(&mut command, libc::RLIMIT_FSIZE, bytes)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), GOOD, "{bytes}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            said.contains("ulimit -f"),
            bytes < 1 << 20,
            "{bytes}: {said}"
        );
    }
    assert_eq!(victim.dumps().len(), 1, "that of 32 MiB");
}

#[test]
fn little_is_locked() {
    let victim = Victim::new();
    let locked = |command: &mut Command| -> u64 {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), GOOD, "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_whitespace().next().unwrap().parse().unwrap()
    };
    let without = locked(Command::new(&victim.program).arg("locked"));
    let with = locked(&mut victim.preloaded(&["locked"]));
    // The library itself is the larger part of it.
    assert!(
        with <= without + 3072,
        "{without} KiB without, {with} KiB with"
    );
}

/// What it did before, and a good part of what it did inside, is in the recording that is left.
#[test]
fn a_sandbox_is_survived() {
    for how in ["early", "late", "call", "threads"] {
        let victim = Victim::new();
        let (output, reports) = victim.run(&["sandbox", how]);
        assert_eq!(output.status.code(), GOOD, "{how}: {output:?}");
        assert_eq!(output.stdout, b"50000\n", "{how}");
        assert_eq!(reports.len(), 1, "{how}");
        assert!(total(&reports[0], "resizes") >= 8, "{how}");
        for at_exit in ["none", "report"] {
            let status = victim
                .preloaded(&["sandbox", how])
                .env("MAPGROW_AT_EXIT", at_exit)
                .stdout(Stdio::null())
                .status()
                .unwrap();
            assert_eq!(status.code(), GOOD, "{how}, {at_exit}");
        }
    }
}

#[test]
fn a_program_that_forbids_the_counter_goes_on() {
    let victim = Victim::new();
    let (output, reports) = victim.run(&["no-counter"]);
    assert_eq!(output.status.code(), GOOD, "{output:?}");
    assert!(total(&reports[0], "resizes") >= 8);
    assert!(total(&reports[0], "pause_total_ns") < 60_000_000_000);
}

/// A signal handler may allocate after the counter was forbidden and before the call is back.
#[test]
fn the_counter_is_given_up_before_it_is_forbidden() {
    let victim = Victim::new();
    let (output, reports) = victim.run(&["no-counter-in-handler"]);
    assert_eq!(output.status.code(), GOOD, "{output:?}");
    assert!(total(&reports[0], "resizes") >= 8);
}

/// Nothing has come by the recorder before: no block, and not its own constructor.
#[test]
fn a_program_may_run_another_before_anything_else() {
    let place = Place::new();
    let source = "#include <unistd.h>\n\
         static void begin(int count, char **words, char **environment) {\n\
           char again[] = \"again\";\n\
           char *arguments[] = {words[0], again, nullptr};\n\
           if (count == 1) execve(\"/proc/self/exe\", arguments, environment); }\n\
         __attribute__((section(\".preinit_array\"), used))\n\
         static void (*const first)(int, char **, char **) = begin;\n\
         int main(int count, char **) { return count == 2 ? 7 : 1; }\n";
    let program = place.compile_text("early_exec", source, &["-O1", "-Wl,--as-needed"]);
    let mut command = Command::new(program);
    let status = command.env("LD_PRELOAD", library(&place)).status().unwrap();
    assert_eq!(status.code(), GOOD, "{status}");
}

/// The first block comes after what else the recorder looks at.
#[test]
fn the_first_block_may_come_after_a_mark_or_a_sandbox() {
    for first in [
        "if (mapgrow_mark) mapgrow_mark(\"first\");",
        // There is no such filter.
        "prctl(PR_SET_SECCOMP, 2, nullptr, 0, 0);",
    ] {
        let place = Place::new();
        let source = format!(
            "#include <stdlib.h>\n#include <sys/prctl.h>\n\
             extern \"C\" void mapgrow_mark(const char *) __attribute__((weak));\n\
             static void *volatile block;\n\
             __attribute__((constructor)) static void begin() {{ {first} block = malloc(16); }}\n\
             extern \"C\" bool has_block() {{ return block; }}\n"
        );
        let flags = ["-O1", "-shared", "-fPIC", "-Wl,--as-needed"];
        let early = place.compile_text("early_block", &source, &flags);
        let early = early.to_str().unwrap();
        // Its constructor comes before the recorder's; and there is none of the C++ library.
        let flags = ["-O1", "-Wl,--no-as-needed", early, "-Wl,--as-needed"];
        let source = "extern \"C\" bool has_block();\n\
             int main() { return has_block() ? 7 : 1; }\n";
        let program = place.compile_text("host", source, &flags);
        for mode in ["on", "off"] {
            let status = Command::new(&program)
                .env("LD_PRELOAD", library(&place))
                .env("MAPGROW", mode)
                .env("MAPGROW_OUT", place.path("out-%n"))
                .status()
                .unwrap();
            assert_eq!(status.code(), GOOD, "{mode}, {first}: {status}");
        }
    }
}

#[test]
fn the_strict_sandbox_is_survived() {
    let victim = Victim::new();
    let (output, _) = victim.run(&["strict"]);
    assert_eq!(output.status.code(), GOOD, "{output:?}");
}

#[test]
fn small_stacks_are_enough() {
    let victim = Victim::new();
    for what in ["first", "next", "fork"] {
        let (output, _) = victim.run(&["thread", what, "16384"]);
        assert_eq!(output.status.code(), GOOD, "{what}: {output:?}");
    }
    // What it prints is what was written to, with the C library's own part of some 300 bytes.
    for warm in [&["coroutine", "8192"][..], &["coroutine", "8192", "warm"]] {
        let output = victim.preloaded(warm).output().unwrap();
        assert_eq!(output.status.code(), GOOD, "{output:?}");
        if !cfg!(debug_assertions) {
            let used: u64 = String::from_utf8_lossy(&output.stdout)
                .trim()
                .parse()
                .unwrap();
            assert!(used <= 2048 + 300, "{warm:?}: {used}");
        }
    }
}

#[test]
fn a_small_signal_stack_is_not_overrun() {
    let victim = Victim::new();
    let output = victim
        .preloaded(&["storm", "200", "4096"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), GOOD, "{output:?}");
    assert_eq!(output.stdout, b"smashed 0, errno changed 0\n");
    assert!(victim.dumps().len() > 1);
}

/// A file that the program put in the place of standard error is none of ours to write to.
#[test]
fn what_took_the_place_of_standard_error_is_left_alone() {
    let victim = Victim::new();
    let file = victim.place.path("data");
    let status = victim
        .preloaded(&["stderr", file.to_str().unwrap()])
        .env("MAPGROW_OUT", "/nonexistent/directory/%n")
        .status()
        .unwrap();
    assert_eq!(status.code(), GOOD);
    assert_eq!(std::fs::read(&file).unwrap(), b"data\n");
}

#[test]
fn nobody_at_the_other_end_of_standard_error_is_no_death() {
    let victim = Victim::new();
    let mut child = victim
        .preloaded(&["wait"])
        .env("MAPGROW_OUT", "/nonexistent/directory/%n")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    drop(child.stdin.take());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), GOOD, "{status}");
}

/// What a complaint repeats, a terminal would obey.
#[test]
fn no_control_character_gets_through() {
    let victim = Victim::new();
    for (variable, value) in [
        ("MAPGROW", "\u{1b}]0;title\u{7}"),
        ("MAPGROW_OUT", "/nonexistent\u{1b}[2J/\n%e-%n"),
        ("MAPGROW_DIR", "/nonexistent/\r\u{9b}31m"),
    ] {
        let output = victim
            .preloaded(&["fill"])
            .env(variable, value)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), GOOD, "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.starts_with("mapgrow: ") && said.ends_with('\n'),
            "{said:?}"
        );
        assert_eq!(said.lines().count(), 1, "{said:?}");
        assert!(!said.trim_end().chars().any(char::is_control), "{said:?}");
        if variable == "MAPGROW_OUT" {
            assert!(
                said.contains("surroundings.out-1"),
                "the name in full: {said:?}"
            );
        }
    }
}
