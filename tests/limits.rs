//! The process' limits are the program's: what it could do without the recorder it can do with it.

mod support;

use std::os::unix::process::CommandExt;
use std::process::{Command, Output};
use support::{Scratch, array, command, example, number, report};

/// Has a command run under a limit.
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

fn victim(scratch: &Scratch, arguments: &[&str]) -> Command {
    let mut command = command(&example("victim_limits", "dev"), scratch);
    command.args(arguments);
    command
}

fn numbers(output: &Output) -> Vec<u64> {
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let words = text.split_whitespace();
    words.map(|word| word.parse().expect("a number")).collect()
}

fn notes(scratch: &Scratch) -> String {
    let report = report(&scratch.path("out.mapgrow"));
    let notes = array(&report["honesty"], "notes");
    let notes: Vec<&str> = notes.iter().filter_map(|note| note.as_str()).collect();
    notes.join("\n")
}

/// A longer file raises SIGXFSZ, at the first record or at the dump.
#[test]
fn a_limit_of_file_sizes_ends_nothing() {
    for bytes in [0, 4 << 10, 100 << 10, 1 << 20, 8 << 20, 32 << 20] {
        let scratch = Scratch::new(&format!("fsize-{bytes}"));
        let mut victim = victim(&scratch, &["footprint", "1000"]);
        let output = limited(&mut victim, libc::RLIMIT_FSIZE, bytes)
            .output()
            .expect("it starts");
        let held = numbers(&output)[3];
        assert_eq!(held, 50_000, "{bytes}");
        let dump = scratch.path("out.mapgrow");
        if dump.exists() {
            assert!(notes(&scratch).contains("ulimit -f"), "{bytes}");
        } else {
            assert!(bytes < 4 << 20, "{bytes}: no dump");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("ulimit -f"), "{bytes}: {said}");
        }
        let left: Vec<_> = Scratch::list(&scratch.path(""))
            .into_iter()
            .filter(|name| name.ends_with(".tmp"))
            .collect();
        assert!(left.is_empty(), "{bytes}: {left:?}");
    }
}

fn runs_once(scratch: &Scratch, mode: &str, kibibytes: u64) -> bool {
    let mut victim = victim(scratch, &["hold", "33554432"]);
    victim.env("MAPGROW", mode);
    let output = limited(&mut victim, libc::RLIMIT_AS, kibibytes << 10).output();
    let _ = std::fs::remove_file(scratch.path("out.mapgrow"));
    output.is_ok_and(|output| output.status.code() == Some(7))
}

/// The least limit of the address space under which a program runs, KiB, to within 64. Where its
/// allocator finds room depends on where the kernel puts things, so each limit has a few tries.
fn least_address_space(mode: &str) -> u64 {
    let scratch = Scratch::new(&format!("least-{mode}"));
    let runs = |kibibytes: u64| (0..8).any(|_| runs_once(&scratch, mode, kibibytes));
    let (mut too_small, mut enough) = (32 << 10, 1 << 20);
    assert!(runs(enough));
    while enough - too_small > 64 {
        let middle = u64::midpoint(enough, too_small);
        *(if runs(middle) {
            &mut enough
        } else {
            &mut too_small
        }) = middle;
    }
    enough
}

#[test]
fn the_address_space_is_the_programs() {
    let (off, on) = (least_address_space("off"), least_address_space("on"));
    assert!(on <= off + 1024, "{off} KiB without, {on} KiB with");
}

/// Address space, resident memory and file of a recording, at rest and at work.
#[test]
fn a_recording_takes_what_it_uses() {
    let of = |tables: &str| {
        let scratch = Scratch::new(&format!("footprint-{tables}"));
        let run = |mode: &str| {
            let mut victim = victim(&scratch, &["footprint", tables]);
            numbers(&victim.env("MAPGROW", mode).output().expect("it starts"))
        };
        let (off, on) = (run("off"), run("on"));
        println!(
            "{tables} tables: recording {} KiB, address space +{}, resident +{}",
            on[0],
            on[1] as i64 - off[1] as i64,
            on[2] as i64 - off[2] as i64,
        );
        (on[0], on[1].saturating_sub(off[1]))
    };
    let (recording, all) = of("1");
    assert!(recording <= 512 && all <= 1024, "{recording} {all}");
    let (recording, _) = of("1000");
    assert!(recording <= 768, "{recording}");
    let (recording, _) = of("100000");
    assert!(recording <= 16 << 10, "{recording}");
}

#[test]
fn little_is_locked_with_the_program() {
    let scratch = Scratch::new("locked");
    let run = |mode: &str| {
        let mut victim = victim(&scratch, &["locked"]);
        numbers(&victim.env("MAPGROW", mode).output().expect("it starts"))
    };
    let (off, on) = (run("off"), run("on"));
    assert!(on[0] <= off[0] + 1024, "{off:?} {on:?}");
    assert_eq!(on[1], off[1]);
}

/// In a file system with little room the recording stays in private memory, says so, and leaves
/// no file.
#[test]
fn a_small_file_system_is_left_alone() {
    for size in ["16k", "64k", "256k", "1m"] {
        let scratch = Scratch::new(&format!("small-{size}"));
        let program = example("victim_limits", "dev");
        let directory = scratch.recordings();
        let script = format!(
            "mount -t tmpfs -o size={size},mode=700 small {0} && {1} footprint 1000; \
             status=$?; ls {0} >&2; exit $status",
            directory.display(),
            program.display()
        );
        let output = command("unshare".as_ref(), &scratch)
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
            .output()
            .expect("unshare is there");
        assert_eq!(numbers(&output)[3], 50_000, "{size}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{size}");
        let notes = notes(&scratch);
        assert!(
            notes.contains("room in the recording's directory"),
            "{size}: {notes}"
        );
        assert!(notes.contains("private memory"), "{size}: {notes}");
    }
}

/// What is recorded when memory runs out stays, and what is missing is counted.
#[test]
fn nothing_is_lost_at_a_limit() {
    let scratch = Scratch::new("at-limit");
    let mut victim = victim(&scratch, &["footprint", "100000"]);
    let output = limited(&mut victim, libc::RLIMIT_AS, 300 << 20)
        .output()
        .expect("it starts");
    assert_eq!(numbers(&output)[3], 5_000_000);
    let report = report(&scratch.path("out.mapgrow"));
    let untracked = number(&report["honesty"], "maps_untracked");
    let sites = array(&report, "sites").iter();
    let tables = sites.filter(|site| site["family"] == "hashbrown");
    let seen: u64 = tables.map(|site| number(site, "maps_created")).sum();
    assert!(seen > 0 && untracked > 0, "{seen} {untracked}");
    assert!(notes(&scratch).contains("ulimit -v"));
    assert_eq!(number(&report["honesty"], "memo_mismatches"), 0);
}
