//! CPython's containers: what the interpreter says of their sizes, to the byte.

use crate::support::Place;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Blocks up to this size come from an arena of the interpreter's.
const ARENA: u64 = 512;

/// Interpreters of this machine: the system's, the one that the user calls, those of other versions,
/// and those that `MAPGROW_TEST_PYTHONS` names, with colons between.
fn interpreters() -> Vec<PathBuf> {
    let more = std::env::var("MAPGROW_TEST_PYTHONS").unwrap_or_default();
    let mut found: Vec<PathBuf> = ["/usr/bin/python3", "python3"]
        .into_iter()
        .chain([
            "python3.11",
            "python3.12",
            "python3.13",
            "python3.14",
            "python3.15",
        ])
        .chain(more.split(':').filter(|name| !name.is_empty()))
        .filter_map(|name| {
            let asked = Command::new(name)
                .args([
                    "-c",
                    "import os, sys; print(os.path.realpath(sys.executable))",
                ])
                .output()
                .ok()?;
            let path = String::from_utf8(asked.stdout).ok()?;
            asked
                .status
                .success()
                .then(|| PathBuf::from(path.trim_end()))
        })
        .collect();
    found.sort();
    found.dedup();
    assert!(!found.is_empty(), "python3 is needed");
    found
}

fn victim(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/victims")
        .join(name)
}

/// The map whose table is of this size now.
fn map(report: &Value, bytes: u64) -> &Value {
    let maps = report["maps"].as_array().unwrap();
    maps.iter()
        .find(|map| map["bytes"] == bytes)
        .unwrap_or_else(|| panic!("no map of {bytes} bytes"))
}

#[test]
fn containers_grow_where_getsizeof_says() {
    for python in interpreters() {
        let place = Place::new();
        let script = victim("containers.py");
        let arguments = [script.to_str().unwrap()];
        let (output, reports) = place.run(&["--exact"], &python, &arguments);
        assert!(output.status.success(), "{output:?}");
        let truth: Value = serde_json::from_slice(&output.stdout).unwrap();
        for (family, sizes) in truth.as_object().unwrap() {
            let sizes: Vec<u64> = sizes
                .as_array()
                .unwrap()
                .iter()
                .flat_map(Value::as_u64)
                .collect();
            let tables: Vec<u64> = sizes.into_iter().filter(|&bytes| bytes > ARENA).collect();
            let what = format!("{} {family}", python.display());
            let map = map(&reports[0], *tables.last().unwrap());
            let shown: Vec<u64> = map["tables"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(Value::as_u64)
                .collect();
            let sites = reports[0]["sites"].as_array().unwrap();
            let of_map = |site: &&Value| [&map["site"], &map["table_site"]].contains(&&site["id"]);
            let figure = |name: &str| -> u64 {
                let sites = sites.iter().filter(of_map);
                sites.flat_map(|site| site[name].as_u64()).sum()
            };
            let known = map["family"] == family.as_str();
            if known && map["history_complete"] == true {
                assert_eq!(shown, tables, "{what}");
            } else {
                // Without symbols the first resizes look like chance, and a long history keeps
                // its end.
                assert!(
                    shown.len() > 3 && tables.ends_with(&shown),
                    "{what}: {shown:?}"
                );
            }
            if known {
                assert_eq!(figure("grows"), tables.len() as u64 - 1, "{what}");
                assert_eq!(
                    figure("allocated_bytes"),
                    tables.iter().sum::<u64>(),
                    "{what}"
                );
                assert_eq!(figure("live_bytes"), *tables.last().unwrap(), "{what}");
            }
            // Their sizes alone tell dicts, whether the interpreter has symbols or not.
            assert!(known || family != "cpython_dict", "{what}: {map}");
        }
    }
}

/// The functions in Python of a site's stack, innermost first: file, line, name.
fn scripted(site: &Value) -> Vec<(String, u64, String)> {
    let frames = site["stack"].as_array().unwrap().iter();
    frames
        .filter(|frame| frame["address"].is_null())
        .map(|frame| {
            let text = |key: &str| frame[key].as_str().unwrap_or_default().to_owned();
            let line = frame["line"].as_u64().unwrap_or(0);
            (text("file"), line, text("function"))
        })
        .collect()
}

#[test]
fn places_are_those_that_traceback_says() {
    for python in interpreters() {
        let place = Place::new();
        let script = victim("lines.py");
        let arguments = [script.to_str().unwrap()];
        let (output, reports) = place.run(&[], &python, &arguments);
        assert!(output.status.success(), "{output:?}");
        let truth: Value = serde_json::from_slice(&output.stdout).unwrap();
        if truth["version"][1].as_u64().unwrap() < 11 {
            continue;
        }
        let sites = reports[0]["sites"].as_array().unwrap();
        let places = truth["places"].as_object().unwrap();
        assert_eq!(places.len(), 11);
        for (name, frames) in places {
            let what = format!("{} {name}", python.display());
            let frames = frames.as_array().unwrap();
            let same = |site: &&Value| {
                let shown = scripted(site);
                shown.len() == frames.len()
                    && shown
                        .iter()
                        .zip(frames)
                        .all(|((file, line, function), frame)| {
                            // `traceback` leaves out what a function is defined in.
                            frame[0] == file.as_str()
                                && frame[1] == *line
                                && function.ends_with(frame[2].as_str().unwrap())
                        })
            };
            let here: Vec<&Value> = sites.iter().filter(same).collect();
            let grows: u64 = here.iter().flat_map(|site| site["grows"].as_u64()).sum();
            // 3,000 entries from 512 bytes on, in steps of two or (sets) four.
            assert!(grows >= 3, "{what}: {grows} of {frames:?}");
            let first = &frames[0];
            for site in here {
                let caller = &site["caller"];
                assert_eq!(caller["file"], first[0], "{what}");
                assert_eq!(caller["line"], first[1], "{what}");
            }
        }
        assert_eq!(reports[0]["honesty"]["stacks_truncated"], 0);
        assert_eq!(reports[0]["honesty"]["memo_mismatches"], 0);
    }
}

/// An interpreter that is none, or a build whose frames lie elsewhere.
#[test]
fn what_only_looks_like_an_interpreter_is_not_believed() {
    let place = Place::new();
    let program = place.compile("pretender.cpp", &["-O1", "-rdynamic"]);
    let (output, reports) = place.run(&["--exact"], &program, &[]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(told, "ok, errno changed 0 times\n", "{output:?}");
    let notes = reports[0]["honesty"]["notes"].to_string();
    assert!(
        notes.contains("this interpreter (3.13) cannot be read"),
        "{notes}"
    );
    assert_eq!(reports[0]["honesty"]["memo_mismatches"], 0);
    let sites = reports[0]["sites"].as_array().unwrap();
    assert!(sites.iter().all(|site| scripted(site).is_empty()));
}

#[test]
fn the_example_is_answered() {
    for python in interpreters() {
        let place = Place::new();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/sessions.py");
        let script = script.canonicalize().unwrap();
        let (output, reports) = place.run(&[], &python, &[script.to_str().unwrap()]);
        assert!(output.status.success(), "{output:?}");
        let version = reports[0]["honesty"]["notes"].to_string();
        if !version.contains("Python keeps objects") {
            // Older than 3.11.
            continue;
        }
        let block = &reports[0]["blocks"][0];
        let caller = &block["caller"];
        assert_eq!(caller["file"], script.to_str().unwrap(), "{block}");
        assert_eq!(
            (&caller["function"], &caller["line"]),
            (&"Sessions.open".into(), &16.into())
        );
        // 390,000 of 400,000 were deleted: nine tenths of the table and more are kept for nothing.
        let figure = |field: &str| block[field].as_u64().unwrap();
        assert!(
            figure("retained_bytes") * 10 > figure("live_bytes") * 9,
            "{block}"
        );
    }
}

/// An interpreter takes down all that the program has before the process ends. What is told is from
/// before that; and where it ends without, what its maps hold is read, too.
#[test]
fn what_a_program_has_at_its_end_is_there() {
    let text = "import os, sys\nCACHE = {}\n\
        for number in range(200_000): CACHE[number] = number\n\
        for number in range(198_000): del CACHE[number]\n\
        print(len(CACHE), flush=True)\n";
    let ends = ["", "sys.exit(0)", "raise SystemExit", "os._exit(0)"];
    for python in interpreters() {
        for end in ends {
            let place = Place::new();
            let script = place.path("cache.py");
            std::fs::write(&script, format!("{text}{end}\n")).unwrap();
            let (output, reports) = place.run(&[], &python, &[script.to_str().unwrap()]);
            assert_eq!(output.stdout, b"2000\n", "{output:?}");
            let notes = reports[0]["honesty"]["notes"].to_string();
            if !notes.contains("Python keeps objects") {
                // Older than 3.11.
                continue;
            }
            let what = format!("{} {end}", python.display());
            let block = &reports[0]["blocks"][0];
            assert_eq!(block["caller"]["file"], script.to_str().unwrap(), "{what}");
            assert_eq!(block["caller"]["line"], 3, "{what}");
            assert_eq!(block["maps_live"], 1, "{what}: {block}");
            assert_eq!(block["entries"], 2000, "{what}: {block}");
            let figure = |field: &str| block[field].as_u64().unwrap();
            assert!(
                figure("retained_bytes") * 10 > figure("live_bytes") * 9,
                "{what}"
            );
            assert_eq!(reports.len(), 1, "{what}: one dump");
        }
    }
}

/// A program that goes on after its interpreter is told as it was at its own end.
#[test]
fn a_program_goes_on_after_its_interpreter() {
    let told = |arguments: &[&str]| {
        let output = Command::new("python3-config").args(arguments).output();
        let output = output.ok().filter(|output| output.status.success())?;
        let text = String::from_utf8(output.stdout).ok()?;
        let flags = text.split_ascii_whitespace().map(str::to_owned);
        Some(flags.collect::<Vec<String>>())
    };
    let place = Place::new();
    let program = place.path("embedded");
    // Where nothing can be linked with an interpreter, nothing is tried.
    let Some(flags) = told(&["--includes"]).zip(told(&["--embed", "--ldflags"])) else {
        return;
    };
    let folders = flags.1.iter().filter_map(|flag| flag.strip_prefix("-L"));
    let found = folders.map(|folder| format!("-Wl,-rpath,{folder}"));
    let compiled = Command::new("g++")
        .args(["-O1", "-g", "-o"])
        .arg(&program)
        .arg(victim("embedded.cpp"))
        .args(&flags.0)
        .args(&flags.1)
        .args(found)
        .output()
        .expect("g++ is needed");
    if !compiled.status.success() {
        return;
    }
    let (output, reports) = place.run(&[], &program, &[]);
    assert!(output.status.success(), "{output:?}");
    let buckets: u64 = String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .unwrap();
    let tables = reports[0]["maps"].as_array().unwrap().iter();
    let mut bytes = tables.map(|map| map["bytes"].as_u64().unwrap());
    assert!(bytes.any(|bytes| bytes == buckets * 8), "{buckets}");
}
