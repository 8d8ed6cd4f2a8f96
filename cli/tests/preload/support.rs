//! Compiling victims and running them under the command.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of a test's own, removed with it.
pub struct Place(PathBuf);

impl Place {
    pub fn new() -> Place {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("preload-test-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(path.join("work")).unwrap();
        Place(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The directory in which victims run, and leave nothing.
    pub fn work(&self) -> PathBuf {
        self.path("work")
    }

    /// A victim, compiled with these flags.
    pub fn compile(&self, source: &str, flags: &[&str]) -> PathBuf {
        self.compile_with(source, flags, &[])
    }

    /// A victim, compiled with these flags and linked with these libraries.
    pub fn compile_with(&self, source: &str, flags: &[&str], libraries: &[&str]) -> PathBuf {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let target = self.path(source).with_extension("out");
        let compiled = Command::new("g++")
            .args(["-std=c++17", "-Wall", "-Wextra", "-Werror", "-pthread"])
            .args(flags)
            .arg("-I")
            .arg(here.join("../ffi/include"))
            .arg("-o")
            .arg(&target)
            .arg(here.join("tests/victims").join(source))
            .args(libraries)
            .status()
            .expect("g++ is needed");
        assert!(compiled.success(), "{source} does not compile");
        target
    }

    /// A program or a library of a few lines, compiled with these flags.
    pub fn compile_text(&self, name: &str, text: &str, flags: &[&str]) -> PathBuf {
        let source = self.path(name).with_extension("cpp");
        std::fs::write(&source, text).unwrap();
        let target = source.with_extension("out");
        let compiled = Command::new("g++")
            .args(flags)
            .arg("-o")
            .args([&target, &source])
            .status()
            .expect("g++ is needed");
        assert!(compiled.success(), "{name} does not compile");
        target
    }

    /// A command that is kept away from the user's own files.
    pub fn mapgrow(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mapgrow"));
        command
            .current_dir(self.work())
            .env("HOME", self.path("home"))
            // On a loaded machine the budget leaves out what the programs count.
            .env("MAPGROW_BUDGET", "0")
            .env_remove("XDG_STATE_HOME")
            .env_remove("XDG_CACHE_HOME");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MAPGROW") {
                command.env_remove(&name);
            }
        }
        command
    }

    /// Runs a program under `mapgrow run`; its output, and the reports of its processes.
    pub fn run(
        &self,
        options: &[&str],
        program: &Path,
        arguments: &[&str],
    ) -> (Output, Vec<Value>) {
        let reports = self.path("reports.json");
        let output = self
            .mapgrow()
            .args(["run", "--json", "--children", "--report"])
            .arg(&reports)
            .args(options)
            .arg("--")
            .arg(program)
            .args(arguments)
            .output()
            .unwrap();
        let left: Vec<_> = std::fs::read_dir(self.work()).unwrap().collect();
        assert!(left.is_empty(), "something is left behind: {left:?}");
        let text = std::fs::read_to_string(&reports)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        let parsed = serde_json::Deserializer::from_str(&text).into_iter();
        (output, parsed.map(Result::unwrap).collect())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Sum of a figure over the sites whose caller has that name.
pub fn sum(report: &Value, function: &str, field: &str) -> u64 {
    sites(report, function)
        .map(|site| site[field].as_u64().unwrap_or(0))
        .sum()
}

/// Sites whose caller's name contains this.
pub fn sites<'a>(report: &'a Value, function: &'a str) -> impl Iterator<Item = &'a Value> {
    report["sites"]
        .as_array()
        .unwrap()
        .iter()
        .filter(move |site| {
            let caller = site["caller"]["function"].as_str().unwrap_or("");
            caller.contains(function)
        })
}

/// The library that the command carries.
pub fn library(place: &Place) -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let output = place
            .mapgrow()
            .args([
                "run",
                "--quiet",
                "--",
                "sh",
                "-c",
                "printf %s \"$LD_PRELOAD\"",
            ])
            .output()
            .unwrap();
        let carried = PathBuf::from(String::from_utf8(output.stdout).unwrap());
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("libmapgrow-{}.so", std::process::id()));
        std::fs::copy(carried, &kept).unwrap();
        kept
    })
}
