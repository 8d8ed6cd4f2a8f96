//! Why a command has recorded nothing: each reason is said, and no other.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Output;

use crate::support::Place;
use crate::users::needs_root;

/// What `mapgrow run` says of a command.
fn run(place: &Place, arguments: &[&str]) -> (Output, String) {
    let output = place.mapgrow().arg("run").args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).replace('\n', " ");
    (output, said)
}

const NOTHING_OF_ITS_SIZE: &str = "no block of the floor's size";

#[test]
fn nothing_large_enough() {
    let place = Place::new();
    let program = place.compile_text(
        "small",
        "#include <cstdlib>\nint main() { free(malloc(100)); }",
        &[],
    );
    let (output, said) = run(&place, &["--", program.to_str().unwrap()]);
    assert!(output.status.success(), "{said}");
    assert!(said.contains(NOTHING_OF_ITS_SIZE), "{said}");
}

#[test]
fn killed_before_anything_was_recorded() {
    let place = Place::new();
    let text =
        "#include <csignal>\n#include <cstdlib>\nint main() { free(malloc(100)); raise(SIGKILL); }";
    let program = place.compile_text("killed", text, &[]);
    let (output, said) = run(&place, &["--", program.to_str().unwrap()]);
    assert_eq!(output.status.signal(), Some(libc::SIGKILL), "{said}");
    assert!(
        said.starts_with(&program.display().to_string()),
        "at the front: {said}"
    );
    assert!(said.contains("was killed by SIGKILL"), "{said}");
    assert!(!said.contains(NOTHING_OF_ITS_SIZE), "{said}");
}

#[test]
fn killed_after_something_was_recorded() {
    let place = Place::new();
    let text = "#include <csignal>\n#include <vector>\nint main() {\n\
                std::vector<int> all;\nfor (int n = 0; n < 100000; ++n) all.push_back(n);\n\
                raise(SIGSEGV); }";
    let program = place.compile_text("killed", text, &["-g"]);
    let (output, said) = run(&place, &["--", program.to_str().unwrap()]);
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{said}");
    assert!(said.contains("was killed by SIGSEGV"), "{said}");
    assert!(said.contains("recording: "), "{said}");
}

#[test]
fn a_program_without_a_loader() {
    let place = Place::new();
    let program = place.compile_text("static", "int main() { return 0; }", &["-static"]);
    let (_, said) = run(&place, &["--", program.to_str().unwrap()]);
    assert!(said.contains("statically linked"), "{said}");
    assert!(!said.contains(NOTHING_OF_ITS_SIZE), "{said}");
}

/// For a program with another group's rights the loader takes no library by its path.
#[test]
fn a_program_that_the_library_was_not_loaded_into() {
    if !needs_root() {
        return;
    }
    let place = Place::new();
    let text =
        "#include <vector>\nint main() { std::vector<int> all(100000, 1); return all[0] - 1; }";
    let program = place.compile_text("set-group-id", text, &[]);
    std::os::unix::fs::chown(&program, None, Some(65534)).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o2755)).unwrap();
    let (output, said) = run(&place, &["--", program.to_str().unwrap()]);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("the library was not loaded into it"),
        "{said}"
    );
    assert!(!said.contains(NOTHING_OF_ITS_SIZE), "{said}");
}

/// A sanitizer refuses to start behind another allocator: it is run as without mapgrow.
#[test]
fn a_sanitizer_keeps_its_place() {
    let place = Place::new();
    let text = "#include <cstdio>\n#include <vector>\nint main() {\n\
                std::vector<int> all(100000, 1);\nprintf(\"%d\\n\", all[7]); }";
    for flags in [
        &["-fsanitize=address"][..],
        &["-fsanitize=address", "-static-libasan"],
        &["-fsanitize=thread"],
    ] {
        let program = place.compile_text("sanitized", text, flags);
        let (output, said) = run(&place, &["--", program.to_str().unwrap()]);
        assert_eq!(output.stdout, b"1\n", "{flags:?}: {said}");
        assert!(
            said.contains("Sanitizer, whose own allocator"),
            "{flags:?}: {said}"
        );
        assert!(!said.contains(NOTHING_OF_ITS_SIZE), "{flags:?}: {said}");
        assert!(
            !said.contains("runtime does not come first"),
            "{flags:?}: {said}"
        );
        // Below the command it cannot be known beforehand. AddressSanitizer's starts all the same.
        if flags.contains(&"-fsanitize=thread") {
            continue;
        }
        let script = format!("{}; true", program.display());
        let (output, said) = run(&place, &["--", "sh", "-c", &script]);
        assert_eq!(output.stdout, b"1\n", "{flags:?}: {said}");
    }
}

/// No file can be made for the recording, and then the program is killed.
#[test]
fn a_recording_that_was_lost() {
    if !needs_root() {
        return;
    }
    let place = Place::new();
    let small = place.path("small");
    fs::create_dir(&small).unwrap();
    let text = "#include <csignal>\n#include <vector>\nint main() {\n\
                std::vector<int> all(100000, 1);\nraise(SIGKILL); }";
    let program = place.compile_text("lost", text, &[]);
    let mapgrow = place.mapgrow();
    let script = format!(
        "mount -t tmpfs -o size=4k,mode=700 none {0} && exec {1} run -- {2}",
        small.display(),
        mapgrow.get_program().display(),
        program.display()
    );
    let mut command = std::process::Command::new("unshare");
    for (name, value) in mapgrow.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
        .env("MAPGROW_DIR", &small)
        .args(["--mount", "sh", "-c"]);
    let output = command.arg(script).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).replace('\n', " ");
    let lost = "was killed by SIGKILL (signal 9), and its recording with it";
    assert!(said.contains(lost), "{said}");
    assert!(said.contains(small.to_str().unwrap()), "{said}");
    assert!(!said.contains(NOTHING_OF_ITS_SIZE), "{said}");
}

/// A pipe in the place of a program does not stop the command.
#[test]
fn a_pipe_is_no_program() {
    let place = Place::new();
    let pipe = place.path("pipe");
    let name = std::ffi::CString::new(pipe.to_str().unwrap()).unwrap();
    // SAFETY: a C string.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o755) }, 0);
    let (output, said) = run(&place, &["--", pipe.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(126), "{said}");
}

#[test]
fn a_directory_for_recordings_that_cannot_be_used_is_named() {
    let place = Place::new();
    let file = place.path("file");
    fs::write(&file, b"").unwrap();
    let open = place.path("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    for directory in [file, open, Path::new("/nonexistent").into(), "here".into()] {
        let mut command = place.mapgrow();
        let command = command.env("MAPGROW_DIR", &directory);
        let output = command.args(["run", "--", "true"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let named = format!("MAPGROW_DIR={} cannot be used", directory.display());
        assert_eq!(said.matches(&named).count(), 1, "{said}");
        assert!(output.status.success(), "{said}");
    }
}
