//! Ways of processes to come into being, to work and to end: figures of each, exactly.

use crate::support::{Place, sum};
use serde_json::Value;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::sync::LazyLock;

/// The victims, and where they lie.
static COMPILED: LazyLock<(Place, PathBuf, PathBuf)> = LazyLock::new(|| {
    let place = Place::new();
    let victim = place.compile("ways.cpp", &["-O2", "-g", "-ldl"]);
    let library = place.compile("library.cpp", &["-O2", "-g", "-shared", "-fPIC"]);
    (place, victim, library)
});

/// Runs one way and compares each process that told its figures.
fn check(way: &str, function: &str) -> Vec<Value> {
    let place = Place::new();
    let (_, victim, library) = &*COMPILED;
    for options in [&["--exact"][..], &[]] {
        let (output, reports) = place.run(options, victim, &[way, library.to_str().unwrap()]);
        let stdout = String::from_utf8(output.stdout).unwrap();
        let expected = if way == "killed" { Some(9) } else { None };
        assert_eq!(output.status.signal(), expected, "{way}: {stdout}");
        if way != "killed" {
            assert_eq!(output.status.code(), Some(0), "{way}: {stdout}");
        }
        let mut unmatched: Vec<&Value> = reports.iter().collect();
        for line in stdout.lines() {
            let told: Vec<u64> = line.split(' ').map(|n| n.parse().unwrap()).collect();
            let [pid, resizes, allocated, live] = told[..] else {
                panic!("{line}")
            };
            let found = |report: &&Value| {
                report["process"]["pid"] == pid
                    && sum(report, function, "resizes") == resizes
                    && sum(report, function, "allocated_bytes") == allocated
                    && sum(report, function, "live_bytes") == live
            };
            let Some(at) = unmatched.iter().position(found) else {
                let all: Vec<String> = unmatched
                    .iter()
                    .map(|report| {
                        format!(
                            "{} {} {} {}",
                            report["process"]["pid"],
                            sum(report, function, "resizes"),
                            sum(report, function, "allocated_bytes"),
                            sum(report, function, "live_bytes")
                        )
                    })
                    .collect();
                panic!("{way} {options:?}: told {line}, reports {all:?}");
            };
            unmatched.remove(at);
        }
        if options.is_empty() {
            return reports;
        }
    }
    Vec::new()
}

macro_rules! ways {
    ($($test:ident: $way:literal)*) => {
        $(#[test]
        fn $test() {
            check($way, "grow_table");
        })*
    };
}

ways! {
    a_return_from_main: "return"
    exit: "exit"
    underscore_exit: "_exit"
    quick_exit: "quick_exit"
    kill: "killed"
    exec: "exec"
    an_exec_that_fails: "failed-exec"
    vfork_and_exec: "vfork"
    posix_spawn: "posix_spawn"
    a_daemon_that_closes_its_descriptors: "daemon"
    longjmp_across_frames: "longjmp"
    an_exception_through_frames: "throw"
    a_destructor_of_a_thread: "tls-destructor"
    a_free_on_another_thread: "other-thread"
    a_dump_asked_for_by_the_program: "dumps-itself"
    recording_stopped_and_started: "start-stop"
    a_program_that_owns_the_signal: "signal"
}

/// It cannot say that it ended, but its status tells that it was not killed.
#[test]
fn exit_by_system_call() {
    let reports = check("exit_group", "grow_table");
    assert_eq!(reports[0]["process"]["state"], "ended");
    assert!(reports[0]["process"]["duration_ns"].as_u64() > Some(0));
}

#[test]
fn a_library_that_is_unloaded() {
    check("dlopen", "grow_in_library");
}

/// The child's recording is its own, and names its parent's.
#[test]
fn forks() {
    for way in ["fork", "_Fork", "clone"] {
        let reports = check(way, "grow_table");
        let ids: Vec<&Value> = reports
            .iter()
            .map(|r| &r["process"]["recording_id"])
            .collect();
        let parents: Vec<&Value> = reports
            .iter()
            .map(|r| &r["process"]["parent_recording_id"])
            .filter(|id| !id.is_null())
            .collect();
        assert_eq!(reports.len(), 2, "{way}");
        assert_eq!(parents.len(), 1, "{way}");
        // The child frees the table that it inherited before it has a recording.
        for report in &reports {
            let unknown = report["honesty"]["frees_unknown"].as_u64().unwrap();
            let inherits = !report["process"]["parent_recording_id"].is_null();
            assert_eq!(unknown, u64::from(inherits), "{way}");
        }
        assert!(ids.contains(&parents[0]), "{way}");
    }
}

/// Times are since the process began, not since there was something to record.
#[test]
fn times_are_since_the_process_began() {
    let place = Place::new();
    let program = place.compile("late.cpp", &["-g"]);
    let before = std::time::SystemTime::now();
    let (output, reports) = place.run(&[], &program, &[]);
    assert!(output.status.success());
    let report = &reports[0];
    let first = report["timeline"][0]["t_ns"].as_u64().unwrap();
    assert!(first >= 300_000_000, "{first}");
    let began = report["process"]["start_unix_ns"].as_u64().unwrap();
    let before = before.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(began >= before.as_nanos() as u64);
}
