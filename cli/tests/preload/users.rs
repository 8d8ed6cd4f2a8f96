//! `mapgrow run` as root, beside another user of the machine, and with programs that give up
//! root's rights.

use std::ffi::CString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::Place;

const PATIENCE: Duration = Duration::from_secs(60);

/// Whether this test runs as root, as it must to run programs as other users. Where checks are run
/// for a change to land it has to.
pub fn needs_root() -> bool {
    // SAFETY: reads this process's own user.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        let checked = std::env::var_os("CI").is_some();
        assert!(!checked, "this test has to run as root");
        eprintln!("skipped: only root can run programs as other users");
    }
    root
}

/// A user that nobody else is.
fn attacker() -> u32 {
    1_650_000_000 + std::process::id() % 10_000_000
}

fn as_user(user: u32, script: &str) -> String {
    let output = Command::new("sh")
        .args(["-c", script])
        .uid(user)
        .gid(user)
        .current_dir("/")
        .output();
    let output = output.unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// A run of a program that waits until it is told to go on.
struct Run {
    child: Child,
    go: PathBuf,
    /// Directories for recordings and for dumps, as the program was told.
    recordings: PathBuf,
    dumps: PathBuf,
}

impl Run {
    fn start(place: &Place, then: &str) -> Run {
        let (told, go) = (place.path("told"), place.path("go"));
        let script = format!(
            "echo \"$$ $MAPGROW_DIR $MAPGROW_OUT\" > {0}.new; mv {0}.new {0}\n\
             while [ ! -e {1} ]; do sleep 0.05; done\n{then}",
            told.display(),
            go.display()
        );
        let mut command = place.mapgrow();
        let command = command.args(["run", "--", "sh", "-c", &script]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = child.spawn().unwrap();
        let begun = Instant::now();
        let words = loop {
            match fs::read_to_string(&told) {
                Ok(words) => break words,
                Err(_) => assert!(begun.elapsed() < PATIENCE, "it does not start"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let words: Vec<&str> = words.split_ascii_whitespace().collect();
        let out = Path::new(words[2]);
        Run {
            child,
            go,
            recordings: words[1].into(),
            dumps: out.parent().unwrap().into(),
        }
    }

    /// Lets it go on; what was said at the end.
    fn end(self) -> String {
        fs::write(&self.go, b"").unwrap();
        let output = self.child.wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

/// A dump of a program that would be known again.
fn forged(place: &Place) -> Vec<u8> {
    let text = "#include <vector>\nint main() { std::vector<int> all(100000, 1); }";
    let program = place.compile_text("forged_name", text, &["-g"]);
    let dump = place.path("forged.mapgrow");
    let mut command = place.mapgrow();
    let command = command.args(["run", "-q", "-o"]).arg(&dump).arg("--");
    assert!(command.arg(program).status().unwrap().success());
    fs::read(dump).unwrap()
}

#[test]
fn another_user_finds_no_way_into_a_run_of_root_s() {
    if !needs_root() {
        return;
    }
    let place = Place::new();
    let run = Run::start(&place, "true");
    for directory in [&run.recordings, run.dumps.parent().unwrap()] {
        let mode = directory.metadata().unwrap().permissions().mode() & 0o7777;
        assert!(mode == 0o700 || mode == 0o711, "{directory:?} {mode:o}");
        let said = as_user(
            attacker(),
            &format!("ls {0}; echo x > {0}/x; mkdir {0}/y", directory.display()),
        );
        assert_eq!(said.matches("denied").count(), 3, "{said}");
    }
    run.end();
}

/// What another user puts there that has come to know the name all the same.
#[test]
fn what_another_user_puts_into_a_run_is_neither_read_nor_followed() {
    if !needs_root() {
        return;
    }
    let place = Place::new();
    let forged = forged(&place);
    let precious = place.path("precious");
    fs::write(&precious, b"precious").unwrap();
    fs::set_permissions(&precious, Permissions::from_mode(0o600)).unwrap();
    let run = Run::start(&place, "true");
    let user = attacker();
    let put = |name: &str| {
        let path = run.dumps.join(name);
        fs::write(&path, &forged).unwrap();
        lchown(&path, Some(user), Some(user)).unwrap();
        path
    };
    put("4242-1.mapgrow");
    let linked = put("4243-1.mapgrow");
    fs::hard_link(&linked, run.dumps.join("4244-1.mapgrow")).unwrap();
    for name in ["4245-1.mapgrow", "mapgrow-4246-00000000000000aa.rec"] {
        symlink(&precious, run.dumps.join(name)).unwrap();
        lchown(run.dumps.join(name), Some(user), Some(user)).unwrap();
    }
    let pipe = run.dumps.join("4247-1.mapgrow");
    let name = CString::new(pipe.to_str().unwrap()).unwrap();
    // SAFETY: a C string.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o666) }, 0);
    lchown(&pipe, Some(user), Some(user)).unwrap();
    let said = run.end();
    assert!(!said.contains("forged_name"), "{said}");
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
}

/// Programs that give up root's rights are seen all the same, whether they record before or after.
#[test]
fn a_program_that_gives_up_its_rights_is_reported() {
    if !needs_root() {
        return;
    }
    let place = Place::new();
    for directory in ["", "work"] {
        fs::set_permissions(place.path(directory), Permissions::from_mode(0o755)).unwrap();
    }
    let text = "#include <cstdio>\n#include <cstdlib>\n#include <unistd.h>\n#include <vector>\n\
                __attribute__((noinline)) void grow(std::vector<int>& all) {\n\
                for (int n = 0; n < 100000; ++n) all.push_back(n); }\n\
                int main(int count, char** words) {\nstd::vector<int> before, after;\n\
                if (count > 2) grow(before);\n\
                if (setgid(atoi(words[1])) || setuid(atoi(words[1]))) return 9;\n\
                usleep(600000);\ngrow(after);\nprintf(\"%zu\\n\", after.size()); }";
    let program = place.compile_text("drops", text, &["-g"]);
    let user = attacker().to_string();
    for arguments in [&[user.as_str(), "before"][..], &[user.as_str()]] {
        let (output, reports) = place.run(&[], &program, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        assert_eq!(output.stdout, b"100000\n", "{arguments:?}");
        assert_eq!(reports.len(), 1, "{arguments:?}: {said}");
        let allocated = crate::support::sum(&reports[0], "grow", "allocs");
        assert!(allocated > 0, "{arguments:?}: {}", reports[0]["sites"]);
    }
}

/// The library is not loaded from where another user could replace it.
#[test]
fn the_library_is_not_kept_below_another_user_s_directory() {
    if !needs_root() {
        return;
    }
    let place = Place::new();
    let home = place.path("theirs");
    fs::create_dir(&home).unwrap();
    lchown(&home, Some(attacker()), Some(attacker())).unwrap();
    let mut command = place.mapgrow();
    let command = command.env("HOME", &home).args(["run", "--"]);
    let output = command
        .args(["sh", "-c", "echo $LD_PRELOAD"])
        .output()
        .unwrap();
    let library = String::from_utf8(output.stdout).unwrap();
    assert!(library.contains("libmapgrow"), "{library}");
    assert!(!library.contains("theirs"), "{library}");
}
