//! C++'s `operator new` and `operator delete`: from the C++ library, which goes on to `malloc`,
//! from an allocator that does not, and from a library that came late.

use crate::support::{Place, sum};
use serde_json::Value;
use std::path::{Path, PathBuf};
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
        // which nothing is left. And many small ones that stay.
        let threads = report["threads"].as_array().unwrap();
        let allocated = threads
            .iter()
            .filter_map(|thread| thread["allocated_bytes"].as_u64());
        let allocated: u64 = allocated.sum();
        let total = |field: &str| report["totals"][field].as_u64().unwrap();
        let others = allocated - total("allocated_bytes");
        let small = 200_000 * 100;
        let least = 1000 * 6 * (2000 + 2048) + small;
        assert!(
            (least..least + 500_000).contains(&others),
            "{others} of {least}"
        );
        let live = total("heap_live_bytes").abs_diff(total("live_bytes") + small);
        let error = total("heap_live_error_bytes");
        assert!(
            live < 4 * error + 500_000,
            "{live} off, {error}: {options:?}"
        );
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

/// The first block may be asked for under a lock of the C library's (`newlocale` does), and the
/// search for the program's allocator must not need it, nor leave an error behind.
#[test]
fn the_first_block_may_come_under_a_lock() {
    let place = Place::new();
    let library = place.compile("early.cpp", &["-O2", "-shared", "-fPIC"]);
    let library = {
        let renamed = library.with_file_name("libearly.so");
        std::fs::rename(library, &renamed).unwrap();
        renamed
    };
    let directory = library.parent().unwrap().to_str().unwrap();
    let search = [format!("-L{directory}"), format!("-Wl,-rpath,{directory}")];
    let flags = ["-O2", "-DHOST", "-Wl,--as-needed", &search[0], &search[1]];
    let host = place.compile_with("early.cpp", &flags, &["-learly"]);
    let expected = alone(&host, "", None, &place);
    assert_eq!(expected, "no error\nearly\n");
    let arguments = ["60", host.to_str().unwrap()];
    let (output, _) = place.run(&["--exact"], Path::new("timeout"), &arguments);
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

/// The C library would be asked for the sizes of another allocator's blocks.
#[test]
fn an_allocator_that_does_not_tell_sizes_is_not_asked() {
    let place = Place::new();
    // Blocks behind a page that must not be read.
    let source = "#include <sys/mman.h>\n#include <string.h>\n#include <stddef.h>\n\
         static char *next, *end;\n\
         extern \"C\" void *malloc(size_t n) {\n\
           n = (n + 4095) & ~4095ul; n += n == 0 ? 4096 : 0;\n\
           if ((size_t)(end - next) < n + 4096) {\n\
             size_t all = n + (64ul << 20);\n\
             next = (char *)mmap(0, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);\n\
             end = next + all; }\n\
           mprotect(next, 4096, PROT_NONE); char *block = next + 4096; next = block + n;\n\
           return block; }\n\
         extern \"C\" void free(void *) {}\n\
         extern \"C\" void *calloc(size_t a, size_t b) { return malloc(a * b); }\n\
         extern \"C\" void *realloc(void *old, size_t n) {\n\
           void *block = malloc(n); if (old) memcpy(block, old, n < 4096 ? n : 4096); return block; }\n\
         extern \"C\" void *aligned_alloc(size_t, size_t n) { return malloc(n); }\n\
         extern \"C\" void *memalign(size_t, size_t n) { return malloc(n); }\n";
    let flags = ["-O1", "-fno-builtin", "-shared", "-fPIC"];
    let allocator = place.compile_text("no_sizes", source, &flags);
    let script = format!(
        "LD_PRELOAD=$LD_PRELOAD:'{}' exec sort --version",
        allocator.display()
    );
    for options in [&["--exact"][..], &[]] {
        let (output, _) = place.run(options, Path::new("sh"), &["-c", &script]);
        assert!(output.status.success(), "{output:?}");
        assert!(output.stdout.starts_with(b"sort"), "{output:?}");
    }
}

/// A program with operators of its own that its libraries see, and none of the C++ library.
#[test]
fn operators_of_the_program_come_first() {
    let place = Place::new();
    let flags = [
        "-O2",
        "-g",
        "-DHOST",
        "-DOPERATORS",
        "-static-libstdc++",
        "-rdynamic",
        "-ldl",
    ];
    let host = compile_host(&place, &flags);
    let plugin = place.compile("plugin.cpp", &["-O2", "-g", "-shared", "-fPIC"]);
    let plugin = plugin.to_str().unwrap();
    let expected = alone(&host, plugin, None, &place);
    assert!(expected.starts_with("work "), "{expected}");
    let (output, _) = place.run(&[], &host, &[plugin]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    assert!(output.status.success(), "{output:?}");
}

/// The program that loads the plugin. Both are made from one file.
fn compile_host(place: &Place, flags: &[&str]) -> PathBuf {
    let host = place.compile("plugin.cpp", flags);
    let renamed = host.with_file_name("host.out");
    std::fs::rename(host, &renamed).unwrap();
    renamed
}

#[test]
fn cpp_may_come_with_a_library_that_is_loaded() {
    let place = Place::new();
    let flags = ["-O2", "-g", "-DHOST", "-Wl,--as-needed", "-ldl"];
    let host = compile_host(&place, &flags);
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
