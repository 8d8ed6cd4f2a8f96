//! What whole-process tests share: building programs, running them under MapGrow, reading what
//! they leave behind.

#![allow(dead_code)] // each test target uses its own part

use serde_json::Value;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{LazyLock, Mutex, OnceLock};

/// Where cargo puts what it builds with the profile of this test, whose own executable lies in
/// `TARGET/PROFILE/deps`.
fn profile_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("the test knows its own path");
    let dir = exe.ancestors().nth(2).expect("TARGET/PROFILE/deps/test");
    dir.to_path_buf()
}

/// The directory that cargo builds into.
pub fn target_dir() -> PathBuf {
    let dir = profile_dir();
    dir.parent().expect("TARGET/PROFILE").to_path_buf()
}

/// Runs cargo quietly in the workspace.
fn cargo(args: &[&str]) {
    cargo_with(args, None);
}

/// The same, with a jemalloc that is built already.
fn cargo_with(args: &[&str], jemalloc: Option<&Path>) {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .arg("--quiet")
        .arg("--target-dir")
        .arg(target_dir());
    if let Some(library) = jemalloc {
        command.env("JEMALLOC_OVERRIDE", library);
    }
    let output = command.output().expect("cargo starts");
    assert!(
        output.status.success(),
        "cargo {} failed:\n{}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The `mapgrow` command: `cargo test --workspace` has built it for the command's own tests. Where it
/// has not, it is built on first use; selected like this it is the same one.
pub fn cli() -> &'static Path {
    static CLI: OnceLock<PathBuf> = OnceLock::new();
    CLI.get_or_init(|| {
        let profile = profile_dir();
        let name = profile.file_name().expect("the profile's name");
        let name = name.to_str().expect("plain letters");
        let name = if name == "debug" { "test" } else { name };
        let what = ["--workspace", "--no-run", "--test", "long_lived"];
        cargo(&[["test", "--profile", name].as_slice(), &what].concat());
        profile.join("mapgrow")
    })
}

/// An example program, built on first use: with a profile, or `stripped`, which is `release`
/// without names.
pub fn example(name: &str, profile: &str) -> PathBuf {
    static BUILT: LazyLock<Mutex<HashSet<(String, String)>>> = LazyLock::new(Mutex::default);
    let mut built = BUILT
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let first = built.insert((name.into(), profile.into()));
    let of = |profile: &str| {
        let dir = if profile == "dev" { "debug" } else { profile };
        target_dir().join(dir)
    };
    let path = of(profile).join("examples").join(name);
    if !first {
        return path;
    }
    let build_with = |profile: &str, more: &[&str], jemalloc: Option<&Path>| {
        let what = ["--package", "mapgrow", "--example", name];
        let how = ["build", "--profile", profile];
        cargo_with(&[how.as_slice(), &what, more].concat(), jemalloc);
    };
    let build = |profile: &str| build_with(profile, &[], None);
    match profile {
        "stripped" => {
            build("release");
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
            let named = of("release").join("examples").join(name);
            run(Command::new("strip").arg("-o").arg(&path).arg(named));
        }
        // The recorder alone, which is all that these programs have in them. The same C code with
        // the same flags: the jemalloc of `release` will do.
        "fat" => build_with(
            "fat",
            &["--no-default-features", "--features", "jemalloc"],
            jemalloc_of(&of("release")).as_deref(),
        ),
        profile => build(profile),
    }
    path
}

/// The jemalloc that was built into a directory of cargo's, if one was.
fn jemalloc_of(dir: &Path) -> Option<PathBuf> {
    let builds = std::fs::read_dir(dir.join("build")).ok()?;
    let library = |entry: std::fs::DirEntry| {
        let library = entry.path().join("out/lib/libjemalloc_pic.a");
        library.exists().then_some(library)
    };
    builds.flatten().find_map(library)
}

/// A directory of the test's own, removed at its end.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        let dir = std::env::temp_dir().join(format!("mapgrow-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(dir.join("recordings")).expect("a scratch directory");
        Scratch(dir)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Where programs of this test keep their live recordings.
    pub fn recordings(&self) -> PathBuf {
        self.path("recordings")
    }

    /// Names in a directory, sorted.
    pub fn list(dir: &Path) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(dir) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Copies a program that is then run. By another process: while this one had it open for writing,
/// children that other tests start would hold it open too, and it would be "busy".
pub fn copy_program(from: &Path, to: &Path) {
    let copied = Command::new("cp").args([from, to]).status();
    assert!(copied.expect("cp runs").success(), "{}", to.display());
}

/// A program to be run with its recordings and dumps in `scratch`: the dump is `out.mapgrow`.
/// Without the budget, which on a loaded machine leaves out what the programs count.
pub fn command(program: &Path, scratch: &Scratch) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MAPGROW") {
            command.env_remove(name);
        }
    }
    command
        .env("MAPGROW_DIR", scratch.recordings())
        .env("MAPGROW_OUT", scratch.path("out.mapgrow"))
        .env("MAPGROW_BUDGET", "0")
        .env("XDG_STATE_HOME", scratch.path("state"))
        .stdin(Stdio::null());
    command
}

/// Runs to the end, which has to be a good one.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().expect("the program starts");
    assert!(
        output.status.success(),
        "{command:?} ended with {}\nstdout:\n{}\nstderr:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// What `mapgrow report FILE --json` says.
pub fn report(file: &Path) -> Value {
    let output = run(Command::new(cli()).arg("report").arg(file).arg("--json"));
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("report of {} is no JSON: {e}", file.display()))
}

/// A number of the report; null counts as 0 where sums are made of it.
pub fn number(value: &Value, field: &str) -> u64 {
    match &value[field] {
        Value::Null => 0,
        number => number
            .as_u64()
            .unwrap_or_else(|| panic!("{field} is no whole number: {number}")),
    }
}

/// Elements of an array of the report.
pub fn array<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field]
        .as_array()
        .unwrap_or_else(|| panic!("{field} is no array"))
}

/// The text of a field, empty when it is null.
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or("")
}

/// Whether this test runs as root, as it must to run programs as other users. Where checks are run
/// for a change to land it has to.
pub fn needs_root() -> bool {
    // SAFETY: reads this process's own user.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        assert!(
            std::env::var_os("CI").is_none(),
            "this test has to run as root"
        );
        eprintln!("skipped: only root can run programs as other users");
    }
    root
}
