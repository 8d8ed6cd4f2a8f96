//! Builds the preload library, so that the command can carry it in itself.
//!
//! `MAPGROW_PRELOAD_LIBRARY` names one that was built before instead: for distributions that
//! build it on its own.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=MAPGROW_PRELOAD_LIBRARY");
    let Some(out) = env::var_os("OUT_DIR").map(PathBuf::from) else {
        return;
    };
    let carried = out.join("libmapgrow.so");
    let built = match env::var_os("MAPGROW_PRELOAD_LIBRARY") {
        Some(given) => {
            let given = PathBuf::from(given);
            println!("cargo::rerun-if-changed={}", given.display());
            Ok(given)
        }
        // (Not this one: it is younger than the run that builds it, so that cargo would run this
        // again, and compile the command again, the next time.)
        None => build(&out),
    };
    let copied = built.and_then(|built| {
        fs::copy(&built, &carried).map_err(|error| format!("{}: {error}", built.display()))
    });
    if let Err(reason) = copied {
        println!("cargo::warning=`mapgrow run` will not work: no preload library ({reason})");
        let _ = fs::write(&carried, []);
    }
}

/// Where cargo builds the library: beside what it builds for the same profile, so that the command
/// with other features, its tests and its lints have the same one (`OUT_DIR` is
/// `<profile>/build/<package>/out`).
fn shared(out: &Path) -> PathBuf {
    let profile = out.ancestors().nth(3);
    let profile = profile.filter(|_| {
        out.ancestors()
            .nth(2)
            .is_some_and(|dir| dir.ends_with("build"))
    });
    profile.unwrap_or(out).join("preload-library")
}

/// Runs cargo on the package beside this one; the library's path.
fn build(out: &Path) -> Result<PathBuf, String> {
    let variable = |name: &str| env::var(name).map_err(|_| format!("{name} is not set"));
    let root = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("..");
    for source in [
        "src",
        "crates/containers",
        "crates/format",
        "crates/report",
        "crates/system",
        "ffi/src",
        "ffi/Cargo.toml",
        "Cargo.toml",
        "Cargo.lock",
    ] {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    if !root.join("ffi/Cargo.toml").exists() {
        return Err("its sources are not beside the command's".to_owned());
    }
    let target = variable("TARGET")?;
    let target_directory = shared(out);
    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .args(["build", "--profile", "preload", "--package", "mapgrow-ffi"])
        .arg("--manifest-path")
        .arg(root.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target_directory)
        .args(["--target", &target]);
    if variable("PROFILE")? == "debug" {
        // Whoever works on the command should not wait for the last nanosecond.
        cargo.args([
            "--config",
            "profile.preload.lto=\"off\"",
            "--config",
            "profile.preload.codegen-units=16",
        ]);
    }
    // Flags that are meant for the command alone (coverage, sanitizers), clippy in place of the
    // compiler, and cargo's own variables for this script.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        let keep = [
            "CARGO_HOME",
            "CARGO_NET_OFFLINE",
            "CARGO_BUILD_JOBS",
            "CARGO_HTTP_PROXY",
        ];
        let foreign = name.starts_with("CARGO_") && !keep.contains(&name.as_ref());
        let clippy = name == "RUSTC_WORKSPACE_WRAPPER" || name == "CLIPPY_ARGS";
        if foreign || clippy || ["RUSTFLAGS", "PROFILE", "TARGET"].contains(&name.as_ref()) {
            cargo.env_remove(name.as_ref());
        }
    }
    let status = cargo.status().map_err(|error| format!("cargo: {error}"))?;
    if !status.success() {
        return Err(format!("cargo ended with {status}"));
    }
    Ok(target_directory.join(target).join("preload/libmapgrow.so"))
}
