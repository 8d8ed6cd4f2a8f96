//! Stacks that lead through the code of an interpreted language.

use super::kinds::only;
use super::{Names, program, report};
use crate::{Report, Site};
use mapgrow_format::layout::packed::SiteStack;
use mapgrow_format::layout::{edge, header, script, site};

const FILE: &str = "/srv/app/work.py";
const LIBRARY: &str = "/usr/lib/python3.11/json/decoder.py";

/// A dict that grows twice under these functions in Python, between the interpreter's own.
fn grown(functions: &[(&str, &str, u32)], unknown: bool) -> Report {
    let (mut names, mut program) = (Names::default(), program());
    let mut stack: Vec<u64> = ["dictresize", "insertdict", "_PyEval_EvalFrameDefault"]
        .iter()
        .map(|name| names.at(&[name]))
        .collect();
    for (function, file, line) in functions {
        stack.push(program.recording.script(function, file, *line));
    }
    if unknown {
        stack.push(script::MARK | 0x1234);
    }
    stack.push(names.at(&["PyEval_EvalCode"]));
    let free = names.at(&["dictresize"]);
    let place = program.recording.site(site::ENTRY_ALLOC, &stack);
    let edge = program
        .recording
        .edge(edge::KIND_REPLACE, Some(place), place, 0, free);
    let mut block = program.alloc(place, 1128, 4);
    for bytes in [2264, 4528] {
        block = program.replace(block, edge, bytes, 100);
    }
    program.keep(block, 0x7000_0000_1000);
    report(&mut program, &mut names)
}

/// Function, file and line of the place, and what the stack has of scripts.
fn shown(site: &Site) -> (String, Option<u32>, Vec<&str>) {
    let caller = site.caller.as_ref().expect("a place");
    let scripts = site.stack.iter().filter(|frame| frame.address.is_none());
    (
        caller.function.clone(),
        caller.line,
        scripts.map(|frame| &*frame.function).collect(),
    )
}

#[test]
fn the_place_is_the_line_of_the_script() {
    let report = grown(
        &[
            ("Cache.load", FILE, 12),
            ("<module>", FILE, 30),
            ("<interpreter trampoline>", "<shim>", 0),
        ],
        false,
    );
    let site = only(&report);
    assert_eq!(site.family, Some("cpython_dict"));
    assert_eq!(site.resizes, Some(2));
    let stack = vec!["Cache.load", "<module>"];
    assert_eq!(shown(site), ("Cache.load".into(), Some(12), stack));
    let last = site.stack.last().expect("frames");
    assert_eq!(
        &*last.function, "<module>",
        "what runs the script is left out"
    );
}

#[test]
fn libraries_in_the_language_are_not_the_place() {
    // Names that mean something in other languages mean nothing here.
    let functions = [
        ("std::alloc", LIBRARY, 5),
        ("main", FILE, 7),
        ("<module>", FILE, 9),
    ];
    let report = grown(&functions, false);
    let (function, line, _) = shown(only(&report));
    assert_eq!((function.as_str(), line), ("main", Some(7)));
    // Nor does a function that is called so begin the program.
    let functions = [("fill", FILE, 3), ("main", FILE, 7), ("<module>", FILE, 9)];
    let text = crate::text::render(&grown(&functions, false), &Default::default());
    let place = text.find("called by main (").expect("its caller");
    assert!(text[place..].contains("<module> ("), "{text}");
    // The import machinery has no file of its own; where nothing else is there, it is the place.
    let frozen = ("_find_and_load", "<frozen importlib._bootstrap>", 3);
    let (function, ..) = shown(only(&grown(&[frozen], false)));
    assert_eq!(function, "_find_and_load");
}

#[test]
fn frames_without_a_record_are_nobody_s() {
    let report = grown(&[("fill", FILE, 3)], true);
    let (function, _, stack) = shown(only(&report));
    assert_eq!(function, "fill");
    assert_eq!(stack.len(), 2);
    // Nothing but such a frame.
    let report = grown(&[], true);
    let (_, line, stack) = shown(only(&report));
    assert_eq!((line, stack.len()), (None, 1));
}

#[test]
fn stacks_that_were_cut_are_counted() {
    let (mut names, mut program) = (Names::default(), program());
    let mut place = |cut: bool| {
        let stack = [names.at(&["dictresize"]), names.at(&["PyDict_SetItem"])];
        let place = program.recording.site(site::ENTRY_ALLOC, &stack);
        if cut {
            let record = program.recording.site_words(place);
            let word = SiteStack::unpack(record[site::STACK]);
            record[site::STACK] |= SiteStack { marks: 1, ..word }.pack();
        }
        let block = program.alloc(place, 1128, 4);
        program.keep(block, 0x7000_0000_1000 + u64::from(place) * 4096);
    };
    [true, false, true].into_iter().for_each(&mut place);
    let report = report(&mut program, &mut names);
    assert_eq!(report.honesty.stacks_truncated, 2);
}

#[test]
fn an_interpreter_that_cannot_be_read_is_told_of() {
    let note = |told: u64| {
        let (mut names, mut program) = (Names::default(), program());
        let stack = [names.at(&["dictresize"])];
        let place = program.recording.site(site::ENTRY_ALLOC, &stack);
        let block = program.alloc(place, 1128, 4);
        program.keep(block, 0x7000_0000_1000);
        program.recording.set(header::INTERPRETER, told);
        program.recording.set(header::SCRIPTS_DROPPED, 3);
        report(&mut program, &mut names).honesty.notes.join("\n")
    };
    let version = 0x0310_00F0 << 32;
    let unknown = note(header::INTERPRETER_UNKNOWN | version);
    assert!(
        unknown.contains("(3.16)") && unknown.contains("not known"),
        "{unknown}"
    );
    assert!(unknown.contains("3 places in Python"), "{unknown}");
    let refused = note(header::INTERPRETER_REFUSED | version);
    assert!(refused.contains("not where this version"), "{refused}");
    assert!(!note(header::INTERPRETER_READ | version).contains("(3.16)"));
}
