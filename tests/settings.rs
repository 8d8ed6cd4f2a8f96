//! Environment variables: bad values, and where dumps may and may not go.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use support::{Scratch, command, copy_program, example, report, run};

#[test]
fn a_bad_value_warns_once_and_keeps_the_default() {
    let program = example("victim_ends", "dev");
    for (variable, value) in [
        ("MAPGROW", "sometimes"),
        ("MAPGROW_AT_EXIT", "perhaps"),
        ("MAPGROW_SIGNAL", "USR9"),
        ("MAPGROW_SIGNAL", "KILL"),
        ("MAPGROW_SIGNAL", "9"),
        ("MAPGROW_FLOOR", "-1"),
        ("MAPGROW_SAMPLE", "often"),
        ("MAPGROW_BUDGET", "ten"),
        ("MAPGROW_READ_TIME", "100"),
        ("MAPGROW_MAX_MEMORY", "99999999999999999999999"),
        ("MAPGROW_MAX_MEMORY", "4K"),
    ] {
        let scratch = Scratch::new(&format!("bad-{variable}-{value}"));
        let output = run(command(&program, &scratch)
            .arg("return")
            .env(variable, value));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(stderr.lines().count(), 1, "{variable}={value}: {stderr:?}");
        assert!(stderr.contains(variable), "{variable}={value}: {stderr:?}");
        assert_eq!(output.stdout, b"sum 333328333350000\n");
        let report = report(&scratch.path("out.mapgrow"));
        assert_eq!(report["settings"]["mode"], "default", "{variable}={value}");
        assert_eq!(
            report["settings"]["floor_bytes"], 1024,
            "{variable}={value}"
        );
        assert_eq!(
            report["settings"]["signal"],
            libc::SIGUSR1,
            "{variable}={value}"
        );
    }
}

#[test]
fn good_values_arrive() {
    let program = example("victim_ends", "dev");
    let scratch = Scratch::new("good-values");
    let output = run(command(&program, &scratch)
        .arg("return")
        .env("MAPGROW_FLOOR", "4096")
        .env("MAPGROW_SIGNAL", "USR2")
        .env("MAPGROW_BUDGET", "5"));
    assert_eq!(output.stderr, b"");
    let report = report(&scratch.path("out.mapgrow"));
    // Set before there was anything to record.
    assert_eq!(report["marks"][0]["label"], "main begins");
    let settings = &report["settings"];
    assert_eq!(settings["floor_bytes"], 4096);
    assert_eq!(settings["signal"], libc::SIGUSR2);
    assert_eq!(settings["budget_ppm"], 50_000);
}

#[test]
fn the_pattern_of_the_dump_is_filled_in() {
    let program = example("victim_ends", "dev");
    let scratch = Scratch::new("pattern");
    let mut child = command(&program, &scratch)
        .arg("return")
        .env("MAPGROW_OUT", scratch.path("of-%e-%p-%n-100%%.dump"))
        .spawn()
        .expect("it starts");
    let pid = child.id();
    assert!(child.wait().expect("it ends").success());
    let names: Vec<String> = Scratch::list(&scratch.path(""))
        .into_iter()
        .filter(|name| name.starts_with("of-"))
        .collect();
    assert_eq!(names.len(), 1, "{names:?}");
    let rest = names[0].strip_prefix(&format!("of-victim_ends-{pid}-"));
    let number = rest.and_then(|rest| rest.strip_suffix("-100%.dump"));
    assert!(
        number.is_some_and(|n| n.parse::<u32>().is_ok()),
        "{names:?} does not follow the pattern for pid {pid}"
    );
}

/// A dump never replaces a file, and never writes through a link to one.
#[test]
fn what_exists_stays_as_it_is() {
    let program = example("victim_ends", "dev");
    let scratch = Scratch::new("existing");
    let precious = scratch.path("precious");
    fs::write(&precious, "precious").expect("a file");

    let plain = scratch.path("plain.mapgrow");
    fs::write(&plain, "was here first").expect("a file");
    run(command(&program, &scratch)
        .arg("return")
        .env("MAPGROW_OUT", &plain));
    assert_eq!(fs::read(&plain).expect("still there"), b"was here first");

    let link = scratch.path("link.mapgrow");
    symlink(&precious, &link).expect("a link");
    run(command(&program, &scratch)
        .arg("return")
        .env("MAPGROW_OUT", &link));
    assert!(link.is_symlink(), "the link is gone");
    assert_eq!(fs::read(&precious).expect("still there"), b"precious");

    let dangling = scratch.path("dangling.mapgrow");
    symlink(scratch.path("not-yet"), &dangling).expect("a link");
    run(command(&program, &scratch)
        .arg("return")
        .env("MAPGROW_OUT", &dangling));
    assert!(dangling.is_symlink(), "the link is gone");
    assert!(!scratch.path("not-yet").exists(), "written through a link");

    let leftovers: Vec<String> = Scratch::list(&scratch.path(""))
        .into_iter()
        .filter(|name| name.contains("tmp"))
        .collect();
    assert!(
        leftovers.is_empty(),
        "temporary files remain: {leftovers:?}"
    );
}

/// The program runs as ever where nothing can be written, and a warning says why there is no
/// dump.
#[test]
fn a_directory_that_is_not_there_harms_nobody() {
    let program = example("victim_ends", "dev");
    let scratch = Scratch::new("nowhere");
    let output = run(command(&program, &scratch)
        .arg("return")
        .env("MAPGROW_DIR", "/nonexistent/recordings")
        .env("MAPGROW_OUT", "/nonexistent/dump.mapgrow"));
    assert_eq!(output.stdout, b"sum 333328333350000\n");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("/nonexistent"), "{stderr:?}");
}

/// Where no file can hold the recording it is kept in memory of the process, and the report says
/// what that means.
#[test]
fn a_recording_in_private_memory_says_so() {
    let program = example("victim_ends", "dev");
    let scratch = Scratch::new("private");
    run(command(&program, &scratch)
        .arg("return")
        .env("MAPGROW_DIR", "/nonexistent/recordings"));
    let report = report(&scratch.path("out.mapgrow"));
    let notes = report["honesty"]["notes"].to_string();
    assert!(notes.contains("private memory"), "{notes}");
}

/// A program that runs with another user's rights than its caller's takes nothing from the
/// caller's environment. Needs to be root to make one.
#[test]
fn a_set_user_id_program_takes_no_configuration_from_the_environment() {
    use std::os::unix::fs::{PermissionsExt, chown};
    if !support::needs_root() {
        return;
    }
    const NOBODY: u32 = 65534;
    let scratch = Scratch::new("set-user-id");
    let place = std::env::temp_dir().join(format!("mapgrow-suid-{}", std::process::id()));
    fs::create_dir(&place).expect("a directory");
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).expect("open to all");
    let program = place.join("victim");
    copy_program(&example("victim_ends", "dev"), &program);
    let named = scratch.path("named.mapgrow");
    let runs = |mode: u32| {
        fs::set_permissions(&program, fs::Permissions::from_mode(mode)).expect("own file");
        let output = run(command(&program, &scratch)
            .arg("return")
            .env("MAPGROW", "no such mode")
            .env("MAPGROW_OUT", &named));
        assert_eq!(output.stdout, b"sum 333328333350000\n");
        let told = !output.stderr.is_empty();
        (told, fs::remove_file(&named).is_ok())
    };
    // The same file, first without the bit: its environment counts.
    chown(&program, Some(NOBODY), None).expect("root may");
    assert_eq!(runs(0o755), (true, true));
    assert_eq!(runs(0o4755), (false, false));
    fs::remove_dir_all(&place).expect("our own");
}
