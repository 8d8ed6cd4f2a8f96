//! The command that is run is not changed by it, and a program that cannot be seen is told of.

use crate::support::Place;
use serde_json::Value;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

fn shell(place: &Place, script: &str) -> Command {
    let mut command = place.mapgrow();
    command.args(["run", "--quiet", "--", "sh", "-c", script]);
    command
}

#[test]
fn output_and_status_are_the_commands_own() {
    let place = Place::new();
    let output = shell(&place, "echo out; echo err >&2; cat; exit 7")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"out\n");
    assert_eq!(output.stderr, b"err\n");
    assert_eq!(output.status.code(), Some(7));
}

#[test]
fn it_dies_by_the_same_signal() {
    let place = Place::new();
    let output = shell(&place, "kill -SEGV $$").output().unwrap();
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV));
    assert_eq!(output.stderr, b"");
}

#[test]
fn signals_reach_the_command() {
    let place = Place::new();
    let script = "trap 'echo got; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    let mut child = shell(&place, script)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    assert_eq!(line, "ready\n");
    // SAFETY: our child, not waited for yet.
    unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
    line.clear();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    assert_eq!(line, "got\n");
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn a_command_that_is_not_there_is_named() {
    let place = Place::new();
    let output = place
        .mapgrow()
        .args(["run", "--", "/nonexistent/program"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(127));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("/nonexistent/program"), "{stderr}");
}

/// What cannot be kept there is said before the command runs, not after.
#[test]
fn a_name_that_is_taken_is_refused_beforehand() {
    let place = Place::new();
    std::fs::write(place.path("taken"), "").unwrap();
    for (name, why) in [
        ("taken", "overwrites nothing"),
        ("nowhere/out", "nowhere/out"),
    ] {
        let output = place
            .mapgrow()
            .args(["run", "-o"])
            .arg(place.path(name))
            .args(["--", "echo", "ran"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty(), "it ran");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(why), "{stderr}");
    }
}

/// The report, as JSON on the same stream as what else there is to say, stays in one piece.
#[test]
fn json_on_standard_error_is_whole() {
    let place = Place::new();
    let program = place.compile("containers.cpp", &["-O1"]);
    let output = place
        .mapgrow()
        .args(["run", "--json", "--exact", "--"])
        .arg(&program)
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let start = stderr.find('{').expect("a report");
    let mut values = serde_json::Deserializer::from_str(&stderr[start..]).into_iter();
    let report: serde_json::Value = values.next().unwrap().expect("JSON");
    assert!(
        report["sites"]
            .as_array()
            .is_some_and(|sites| !sites.is_empty())
    );
}

/// What is said, without the breaks of its lines.
fn explanation(place: &Place, program: &Path) -> String {
    let output = place
        .mapgrow()
        .args(["run", "--"])
        .arg(program)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_static_program_gets_an_explanation() {
    let place = Place::new();
    let program = place.compile("containers.cpp", &["-static"]);
    let text = explanation(&place, &program);
    assert!(text.contains("statically linked"), "{text}");
    assert!(!text.contains("honesty"), "{text}");
}

/// No Go is needed to see that a program is one: the section that its linker writes tells.
#[test]
fn a_go_program_gets_an_explanation() {
    for (flags, seen) in [(&["-static"][..], "no library"), (&[], "only its C code")] {
        let place = Place::new();
        let program = place.compile("containers.cpp", flags);
        let marked = Command::new("objcopy")
            .args(["--add-section", ".go.buildinfo=/dev/null"])
            .arg(&program)
            .status()
            .expect("objcopy is needed");
        assert!(marked.success());
        let text = explanation(&place, &program);
        for part in ["is a Go program", seen, "mapgrow report http://"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        // What its C code did is shown where there is any.
        assert_eq!(text.contains("honesty"), flags.is_empty(), "{text}");
    }
}

/// What is said of a server that a script starts, once it says `wanted`. The processes are looked
/// at five times a second; a busy machine may be late.
fn said_of_a_script(place: &Place, script: &str, wanted: &str) -> String {
    let mut text = String::new();
    for seconds in [1, 5, 25] {
        let mut child = place
            .mapgrow()
            .args(["run", "--", "sh", "-c", script])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_secs(seconds));
        drop(child.stdin.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        text = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.contains(wanted) {
            break;
        }
    }
    text
}

#[test]
fn a_static_program_started_by_a_script_gets_an_explanation() {
    let place = Place::new();
    let program = place.compile("waiting.cpp", &["-static"]);
    let script = format!("'{}'; true", program.display());
    let text = said_of_a_script(&place, &script, "waiting.out (process ");
    let told = text.matches("is statically linked").count();
    assert_eq!(told, 1, "{text}");
}

/// Entry points of images like to set `LD_PRELOAD` to an allocator.
#[test]
fn a_script_that_sets_another_preload_gets_an_explanation() {
    let place = Place::new();
    let program = place.compile("waiting.cpp", &[]);
    let allocator = place.compile("own_allocator.cpp", &["-O2", "-shared", "-fPIC"]);
    let (program, allocator) = (program.display(), allocator.display());
    for (script, wanted) in [
        (
            format!("LD_PRELOAD='{allocator}' '{program}'; true"),
            "was started with an LD_PRELOAD of its own",
        ),
        (
            format!("LD_PRELOAD='{allocator}':$LD_PRELOAD '{program}'; true"),
            "was started with an allocator in front of the library",
        ),
        (
            format!("env -i '{program}'; true"),
            "was started with an environment of its own",
        ),
        // The process of the command itself.
        (
            format!("LD_PRELOAD='{allocator}' exec '{program}'"),
            "was started with an LD_PRELOAD of its own",
        ),
    ] {
        let text = said_of_a_script(&place, &script, wanted);
        assert_eq!(text.matches(wanted).count(), 1, "{script}: {text}");
        assert!(text.contains("waiting.out (process "), "{script}: {text}");
    }
    // As it should be.
    for script in [
        format!("LD_PRELOAD=$LD_PRELOAD:'{allocator}' '{program}'; true"),
        format!("'{program}'; true"),
    ] {
        let text = said_of_a_script(&place, &script, "");
        assert!(!text.contains("was started with"), "{script}: {text}");
    }
}

/// Large programs at fixed addresses have such gaps (Node does): there glibc knows the code as a
/// mapping of its own, which does not begin with the program's header.
#[test]
fn a_program_with_gaps_between_its_segments_has_names() {
    let place = Place::new();
    let flags = ["-O2", "-g", "-no-pie", "-Wl,-Ttext=0x900000"];
    let program = place.compile("containers.cpp", &flags);
    let (_, reports) = place.run(&["--exact"], &program, &[]);
    let known = place.run(
        &["--exact"],
        &place.compile("containers.cpp", &["-O2", "-g"]),
        &[],
    );
    let sites = |reports: &[Value]| -> Vec<String> {
        let sites = reports[0]["sites"].as_array().unwrap().iter();
        let mut sites: Vec<String> = sites
            .map(|site| format!("{} {}", site["caller"]["function"], site["resizes"]))
            .collect();
        sites.sort();
        sites
    };
    assert!(!sites(&reports).is_empty());
    assert_eq!(sites(&reports), sites(&known.1));
    assert_eq!(reports[0]["honesty"]["stacks_truncated"], 0);
}

/// What its own language allocates, `malloc` never hears of.
#[test]
fn a_runtime_with_a_heap_of_its_own_gets_an_explanation() {
    let place = Place::new();
    let source = "#include <vector>\nnamespace v8 { void run(std::vector<int> &all) { all.resize(9999); } }\n\
         int main() { std::vector<int> all; v8::run(all); return all[5]; }\n";
    let program = place.compile_text("v8", source, &["-rdynamic"]);
    let text = explanation(&place, &program);
    assert!(text.contains("a heap of V8's own"), "{text}");
}

/// A section that no program header leads to holds its build id: nothing was rebuilt.
#[test]
fn a_build_id_that_is_not_loaded_is_no_other_build() {
    let place = Place::new();
    let program = place.compile("containers.cpp", &["-g", "-Wl,--build-id=none"]);
    // Name, length of the id and kind, then the name and the id.
    let note = place.path("note");
    let bytes = [&[4, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0][..], b"GNU\0", &[7; 4]].concat();
    std::fs::write(&note, bytes).unwrap();
    let section = format!(".note.gnu.build-id={}", note.display());
    let marked = Command::new("objcopy")
        .args(["--add-section", &section])
        .arg(&program)
        .status()
        .expect("objcopy is needed");
    assert!(marked.success());
    let text = explanation(&place, &program);
    assert!(!text.contains("rebuilt since"), "{text}");
    assert!(text.contains("containers.cpp:"), "{text}");
}

#[test]
fn a_program_with_an_allocator_of_its_own_gets_an_explanation() {
    let place = Place::new();
    let source = "#include <stddef.h>\nstatic char heap[1 << 20]; static size_t used;\n\
         extern \"C\" void *malloc(size_t n) { used = (used + n + 15) & ~15ul; return heap + used - n; }\n\
         extern \"C\" void free(void *) {}\nint main() { return malloc(5000) == nullptr; }\n";
    let program = place.compile_text("own", source, &["-rdynamic", "-fno-builtin"]);
    let text = explanation(&place, &program);
    assert!(text.contains("allocator of its own"), "{text}");
}
