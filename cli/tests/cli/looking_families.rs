//! `mapgrow look` on hash tables of C and C++ libraries and of interpreters, against what their programs
//! say.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::looking::{Truth, Waiting, truth};
use crate::looking_abroad::dicts;
use crate::place::{Place, json};

/// A program of the fixtures, built; `None` where what it needs is not there.
fn built(place: &Place, compiler: &str, source: &str, flags: &[&str]) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = here.join("tests/fixtures").join(source);
    let target = place.path(source.file_stem().and_then(OsStr::to_str)?);
    let compiled = Command::new(compiler)
        .args(["-O2", "-s", "-o"])
        .args([&target, &source])
        .args(flags)
        .stderr(Stdio::null())
        .status();
    compiled
        .is_ok_and(|status| status.success())
        .then_some(target)
}

fn number(map: &Value, name: &str) -> u64 {
    map[name]
        .as_u64()
        .unwrap_or_else(|| panic!("{name}: {map}"))
}

/// Checks every table that the program tells of, which must be there; there may be `others`, of the same
/// family.
fn check(
    place: &Place,
    program: &Path,
    (family, others): (&str, usize),
    each: &dyn Fn(&Value, &Truth),
) {
    let program = Waiting::new(program, &[]);
    let truth = truth(&program.said);
    let look = json(&place.run(&["look", "--json", &program.pid()]));
    let maps = look["maps"].as_array().expect("a list");
    let mut found = 0;
    for map in maps {
        assert_eq!(map["family"], family, "{map}");
        let Some(truth) = truth.get(&number(map, "header_address")) else {
            continue;
        };
        found += 1;
        assert_eq!(number(map, "entries"), truth.entries, "{map}");
        let room = number(map, "capacity") - number(map, "growth_left");
        assert_eq!(room, truth.entries + number(map, "tombstones"), "{map}");
        each(map, truth);
    }
    assert_eq!(found, truth.len());
    assert!(
        maps.len() - found <= others,
        "{} of {}",
        maps.len() - found,
        maps.len()
    );
}

#[test]
fn tables_of_glib_are_found_in_every_state() {
    let place = Place::new();
    let flags = Command::new("pkg-config")
        .args(["--cflags", "--libs", "glib-2.0"])
        .output();
    // Where there is no GLib, nothing is tried.
    let Some(flags) = flags.ok().filter(|output| output.status.success()) else {
        return;
    };
    let flags = String::from_utf8(flags.stdout).expect("text");
    let flags: Vec<&str> = flags.split_ascii_whitespace().collect();
    let program = built(&place, "gcc", "glib.c", &flags).expect("gcc is needed");
    check(&place, &program, ("glib_hash_table", 4), &|map, truth| {
        let taken = number(map, "entries") + number(map, "tombstones");
        assert_eq!(taken, truth.capacity, "{map}");
        if truth.element > 0 {
            assert_eq!(number(map, "element_bytes"), truth.element, "{map}");
            assert_eq!(number(map, "bytes"), number(map, "buckets") * truth.element);
        }
    });
}

#[test]
fn flat_maps_of_boost_are_found_in_every_state() {
    let place = Place::new();
    // Where there is no Boost that has them, nothing is tried.
    let Some(program) = built(&place, "g++", "boost.cpp", &["-std=c++17"]) else {
        return;
    };
    check(&place, &program, ("boost_flat", 0), &|map, truth| {
        assert_eq!(number(map, "element_bytes"), truth.element, "{map}");
        let grows = number(&map["next_resize"], "at_entries");
        assert_eq!(grows, truth.capacity + 1, "{map}");
        let slots = number(map, "buckets") * truth.element;
        let groups = (number(map, "buckets") + 1) / 15 * 16;
        let least = slots + groups;
        assert!(
            (least..least + 16 + truth.element).contains(&number(map, "bytes")),
            "{map}"
        );
    });
}

#[test]
fn tables_of_klib_are_found_in_every_state() {
    let place = Place::new();
    // Where there is no header of it, nothing is tried.
    let Some(program) = built(&place, "gcc", "khash.c", &[]) else {
        return;
    };
    check(&place, &program, ("khash", 0), &|map, truth| {
        let taken = number(map, "entries") + number(map, "tombstones");
        assert_eq!(taken, truth.capacity, "{map}");
    });
}

#[test]
fn hashes_of_ruby_have_their_length() {
    let place = Place::new();
    let text = "kept = []\n\
        200.times do |at|\n\
        h = {}\n\
        (40 + at * 13).times { |k| h[at.odd? ? k : k.to_s] = k }\n\
        (20 + at * 6).times { |k| h.delete(at.odd? ? k * 2 : (k * 2).to_s) } if at % 4 == 1\n\
        kept << h\n\
        end\n\
        kept.each { |h| puts h.size }\n\
        puts 'ready'\n\
        $stdout.flush\n\
        $stdin.read(1)\n";
    let script = place.write("hashes.rb", text.as_bytes());
    // Where there is no Ruby, or one whose hashes are others, nothing is tried.
    let version = Command::new("ruby")
        .args(["-e", "print RUBY_VERSION"])
        .output();
    let version = version.map_or(String::new(), |output| {
        String::from_utf8_lossy(&output.stdout).into_owned()
    });
    if !["2.7", "3.0", "3.1", "3.2"]
        .iter()
        .any(|known| version.starts_with(known))
    {
        return;
    }
    let program = Waiting::new(Path::new("ruby"), &[script.to_str().expect("plain")]);
    let lengths: Vec<u64> = (program.said.iter())
        .map(|line| line.parse().expect("a number"))
        .collect();
    let look = json(&place.run(&["look", "--json", &program.pid()]));
    let maps = look["maps"].as_array().expect("a list");
    for map in maps {
        assert_eq!(map["family"], "ruby_st_table", "{map}");
        assert!(number(map, "entries") + number(map, "tombstones") <= number(map, "capacity"));
    }
    let of_length = |length| {
        maps.iter()
            .filter(|map| number(map, "entries") == length)
            .count()
    };
    let missing: Vec<&u64> = lengths
        .iter()
        .filter(|&&length| of_length(length) == 0)
        .collect();
    assert_eq!(missing, Vec::<&u64>::new());
}

#[test]
fn dicts_of_older_pythons_have_their_length() {
    let home = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".pyenv")));
    let versions = home.and_then(|home| std::fs::read_dir(home.join("versions")).ok());
    // Where there are none, nothing is tried.
    for version in versions.into_iter().flatten().flatten() {
        let name = version.file_name();
        let name = name.to_string_lossy();
        if ["3.8.", "3.9.", "3.10."]
            .iter()
            .any(|known| name.starts_with(known))
        {
            dicts(&version.path().join("bin/python3"));
        }
    }
}
