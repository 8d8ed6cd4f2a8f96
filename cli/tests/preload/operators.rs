//! C++'s `operator new` and `operator delete`: from the C++ library, which goes on to `malloc`,
//! from an allocator that does not, and from a library that came late.

use crate::support::{Place, sum};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// `name resizes bytes`, as the victims tell them.
fn told(stdout: &str) -> Vec<(String, u64, u64)> {
    let line = |line: &str| {
        let mut words = line.split(' ');
        let name = words.next()?.to_owned();
        let mut figure = || words.next()?.parse().ok();
        Some((name, figure()?, figure()?))
    };
    stdout.lines().filter_map(line).collect()
}

/// What the program prints by itself.
fn alone(program: &Path, argument: &str, preloaded: Option<&Path>, place: &Place) -> String {
    let mut command = Command::new(program);
    command.args(Some(argument).filter(|argument| !argument.is_empty()));
    command.current_dir(place.work());
    command.envs(preloaded.map(|library| ("LD_PRELOAD", library)));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn check_honesty(report: &Value) {
    let honesty = &report["honesty"];
    assert_eq!(honesty["frees_unknown"], 0, "{honesty}");
    assert_eq!(honesty["conservation_difference_bytes"], 0, "{honesty}");
}

/// Runs the victim with our own allocator, built with these flags.
fn check_own(flags: &[&str]) {
    let place = Place::new();
    let flags = [&["-O2", "-shared", "-fPIC"], flags].concat();
    check(Some(&place.compile("own_allocator.cpp", &flags)), "");
}

/// Runs the victim with this allocator, by itself and recorded.
fn check(allocator: Option<&Path>, argument: &str) {
    let place = Place::new();
    let victim = place.compile("operators.cpp", &["-O2", "-g"]);
    let expected = alone(&victim, argument, allocator, &place);
    // The command itself does without the allocator.
    let script = allocator.map_or(String::new(), |library| {
        format!("LD_PRELOAD=$LD_PRELOAD:'{}' ", library.display())
    }) + &format!("exec '{}' {argument}", victim.display());
    for options in [&["--exact"][..], &[]] {
        let (output, reports) = place.run(options, Path::new("sh"), &["-c", &script]);
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
        let is_victim = |report: &&Value| {
            let path = report["process"]["exe"].as_str();
            path.is_some_and(|path| path.ends_with("operators.out"))
        };
        let report = reports.iter().rfind(is_victim).expect("it was recorded");
        check_honesty(report);
        let told = told(&expected);
        assert_eq!(told.len(), 2, "{expected}");
        for (name, resizes, bytes) in told {
            let found = ["resizes", "live_bytes"].map(|field| sum(report, &name, field));
            // The first tables lie below the floor.
            let below = if options.is_empty() { 20 } else { 0 };
            assert!(
                (resizes.saturating_sub(below)..=resizes).contains(&found[0]),
                "{name}: {resizes} told, {found:?}"
            );
            // The vector itself was made there too.
            assert!(
                (bytes..bytes + 64).contains(&found[1]),
                "{name}: {bytes} told, {found:?}"
            );
        }
        // Each operator a thousand times, and each block given back: 24 MB once, not twice, of
        // which nothing is left.
        let threads = report["threads"].as_array().unwrap();
        let allocated = threads
            .iter()
            .filter_map(|thread| thread["allocated_bytes"].as_u64());
        let allocated: u64 = allocated.sum();
        let tables = report["totals"]["allocated_bytes"].as_u64().unwrap();
        let others = allocated - tables;
        let pairs = 1000 * 6 * (2000 + 2048);
        assert!(
            (pairs..pairs + 500_000).contains(&others),
            "{others} of {pairs}"
        );
        let live = report["totals"]["heap_live_bytes"].as_u64().unwrap();
        assert!(live < 4_000_000, "{live} live");
    }
}

#[test]
fn operators_of_the_cpp_library_are_recorded() {
    check(None, "");
}

#[test]
fn operators_of_an_allocator_are_recorded() {
    check_own(&[]);
}

#[test]
fn operators_that_go_on_to_malloc_are_recorded_once() {
    check_own(&["-DGOES_ON"]);
}

#[test]
fn operators_that_go_on_to_the_two_of_an_allocator_are_recorded_once() {
    check_own(&["-DPARTLY", "-Wno-sized-deallocation"]);
}

/// Those that people put in front of their services, where they are installed
/// (libjemalloc2, libtcmalloc-minimal4, libmimalloc2.0).
#[test]
fn operators_of_known_allocators_are_recorded() {
    let mut met = 0;
    for (library, argument) in [
        ("libjemalloc.so.2", ""),
        ("libtcmalloc_minimal.so.4", ""),
        // Ends the program where it should throw.
        ("libmimalloc.so.2", "given"),
    ] {
        let path = Path::new("/usr/lib/x86_64-linux-gnu").join(library);
        if path.exists() {
            check(Some(&path), argument);
            met += 1;
        }
    }
    println!("{met} allocators");
}

#[test]
fn cpp_may_come_with_a_library_that_is_loaded() {
    let place = Place::new();
    let host = place.compile(
        "plugin.cpp",
        &["-O2", "-g", "-DHOST", "-Wl,--as-needed", "-ldl"],
    );
    let host = {
        let renamed = host.with_file_name("host.out");
        std::fs::rename(host, &renamed).unwrap();
        renamed
    };
    let plugin = place.compile("plugin.cpp", &["-O2", "-g", "-shared", "-fPIC"]);
    let expected = alone(&host, plugin.to_str().unwrap(), None, &place);
    assert!(expected.ends_with("gone\n"), "{expected}");
    // By its path from the current directory on, as many a program has its plugins.
    let relative = format!("../{}", plugin.file_name().unwrap().display());
    for path in [plugin.to_str().unwrap(), &relative] {
        let (output, reports) = place.run(&["--exact"], &host, &[path]);
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
        let [report] = &reports[..] else {
            panic!("{} reports", reports.len())
        };
        check_honesty(report);
        let told = told(&expected);
        let resizes: u64 = told.iter().map(|(_, resizes, _)| resizes).sum();
        assert_eq!(sum(report, "work", "resizes"), resizes, "{path}");
        assert_eq!(sum(report, "work", "live_bytes"), 0, "{path}");
    }
}
