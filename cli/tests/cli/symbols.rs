//! The symbolizer against programs that are built here, in every form that debug information
//! comes in. Truth: the program's own `line!()`, its own stack walk, and a build id that the
//! test chose.

use std::path::{Path, PathBuf};
use std::process::Command;

use mapgrow_cli::symbols::{Files, ObjectSymbolizer, Places};
use mapgrow_report::symbols::{Frame, Module, Symbolizer};

use crate::place::TempDir;

const BUILD_ID: &[u8] = &[0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 0x07, 0x18];

/// A growth that the fixture told of.
struct Growth {
    what: String,
    line: u32,
    /// Return addresses, innermost first.
    stack: Vec<u64>,
}

/// A fixture that was built and run.
struct Program {
    _directory: TempDir,
    module: Module,
    growths: Vec<Growth>,
}

impl Program {
    fn build(flags: &[&str]) -> Program {
        let directory = TempDir::new();
        let binary = directory.path().join("growth");
        build_fixture(&binary, BUILD_ID, flags);
        Program::run(directory, binary)
    }

    fn run(directory: TempDir, binary: PathBuf) -> Program {
        let output = Command::new(&binary).output().expect("the fixture runs");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        let mut bias = None;
        let mut growths = Vec::new();
        for line in text.lines() {
            let mut words = line.split(' ');
            let what = words.next().expect("a word").to_owned();
            let line: u32 = words.next().expect("a line").parse().expect("a number");
            let stack: Vec<u64> = words
                .map(|word| u64::from_str_radix(word, 16).expect("an address"))
                .collect();
            match what.as_str() {
                "bias" => bias = Some(stack[0]),
                "kept" => {}
                _ => growths.push(Growth { what, line, stack }),
            }
        }
        let bias = bias.expect("the fixture tells its bias");
        assert_eq!(growths.len(), 7, "{text}");
        Program {
            module: Module {
                start: bias,
                end: bias + 0x100_0000,
                bias,
                build_id: BUILD_ID.to_vec(),
                path: binary.to_str().expect("a plain path").to_owned(),
            },
            growths,
            _directory: directory,
        }
    }

    fn growth(&self, what: &str) -> &Growth {
        self.growths.iter().find(|g| g.what == what).expect(what)
    }

    fn places(&self) -> Places {
        Places {
            program: Some(self.module.path.clone()),
            ..Places::default()
        }
    }

    /// All frames of a growth, the inlined ones in their places.
    fn frames(&self, symbolizer: &mut dyn Symbolizer, what: &str) -> Vec<Frame> {
        let growth = self.growth(what);
        growth
            .stack
            .iter()
            .filter(|ip| (self.module.start..self.module.end).contains(ip))
            .flat_map(|ip| symbolizer.frames(&self.module, ip - 1))
            .collect()
    }

    /// The element type that the stack of a growth tells.
    fn element(&self, symbolizer: &mut dyn Symbolizer, what: &str) -> Option<String> {
        let stack: Vec<(&Module, u64)> = self
            .growth(what)
            .stack
            .iter()
            .filter(|ip| (self.module.start..self.module.end).contains(ip))
            .map(|ip| (&self.module, ip - 1))
            .collect();
        symbolizer.element_type_of_stack(&stack)
    }
}

/// Builds the fixture with a build id of the test's choice.
fn build_fixture(binary: &Path, build_id: &[u8], flags: &[&str]) {
    let hex: String = build_id.iter().map(|b| format!("{b:02x}")).collect();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/growth.rs");
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--edition", "2024", "--crate-name", "growth", "-Awarnings"])
        .arg(format!("-Clink-arg=-Wl,--build-id=0x{hex}"))
        .args(flags)
        .arg("-o")
        .arg(binary)
        .arg(&source)
        // Legacy mangling can be asked for by name on a nightly compiler only.
        .env("RUSTC_BOOTSTRAP", "1")
        .output()
        .expect("rustc runs");
    assert!(
        output.status.success(),
        "rustc {flags:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn function(frame: &Frame) -> &str {
    frame.function.as_deref().unwrap_or("")
}

/// Expects that the growing function of the program is found by its whole name, at the line
/// that it says it grew on.
fn assert_caller(frames: &[Frame], name: &str, line: u32, form: &str) {
    let found = frames.iter().find(|f| function(f) == name);
    let found = found.unwrap_or_else(|| panic!("{form}: no {name} in {frames:#?}"));
    assert_eq!(found.line, Some(line), "{form}: {name}");
    let file = found.file.as_deref().unwrap_or("");
    assert!(file.ends_with("fixtures/growth.rs"), "{form}: {file}");
}

const CALLERS: [(&str, &str); 6] = [
    ("strings", "growth::grow_strings"),
    ("map", "growth::nest::grow_map"),
    ("set", "growth::nest::grow_set"),
    ("vec", "growth::grow_vec"),
    ("deque", "growth::grow_deque"),
    ("btree", "growth::grow_tree"),
];

const ELEMENTS: [(&str, &str); 6] = [
    ("strings", "String"),
    ("map", "(u64, Session)"),
    ("set", "(String, ())"),
    ("vec", "Session"),
    ("deque", "(u8, u32)"),
    ("btree", "(u32, Session)"),
];

/// Every form in which lines are there.
const WITH_LINES: [(&str, &[&str]); 6] = [
    ("debug build", &["-Cdebuginfo=2"]),
    ("release, full", &["-O", "-Cdebuginfo=2"]),
    ("release, limited", &["-O", "-Cdebuginfo=1"]),
    ("release, lines", &["-O", "-Cdebuginfo=line-tables-only"]),
    (
        "release, lines, v0",
        &[
            "-O",
            "-Cdebuginfo=line-tables-only",
            "-Csymbol-mangling-version=v0",
        ],
    ),
    (
        "fat, full",
        &[
            "-O",
            "-Cdebuginfo=2",
            "-Clto=fat",
            "-Ccodegen-units=1",
            "-Cpanic=abort",
        ],
    ),
];

#[test]
fn functions_lines_and_types_in_every_form_of_debug_information() {
    for (form, flags) in WITH_LINES {
        let program = Program::build(flags);
        let files = Files::new();
        let mut symbolizer = ObjectSymbolizer::new(&files, program.places());
        for (what, name) in CALLERS {
            let frames = program.frames(&mut symbolizer, what);
            assert_caller(&frames, name, program.growth(what).line, form);
        }
        let growth = program.frames(&mut symbolizer, "map");
        let resizes = |f: &Frame| {
            function(f).starts_with("hashbrown::raw::") && function(f).contains("reserve_rehash")
        };
        assert!(growth.iter().any(resizes), "{form}: {growth:#?}");
        for (what, element) in ELEMENTS {
            assert_eq!(
                program.element(&mut symbolizer, what).as_deref(),
                Some(element),
                "{form}: {what} {:#?}",
                program.frames(&mut symbolizer, what)
            );
        }
        assert_inlined(&program, &mut symbolizer, form);
        assert_eq!(symbolizer.warnings(), Vec::<String>::new(), "{form}");
    }
}

/// Expects that the innermost function stands before the one that it was inlined into.
fn assert_inlined(program: &Program, symbolizer: &mut dyn Symbolizer, form: &str) {
    let frames = program.frames(symbolizer, "inlined");
    let at = |name: &str| frames.iter().position(|f| function(f) == name);
    let inner = at("growth::inlined_growth");
    let outer = at("growth::calls_inlined");
    assert!(
        inner.is_some() && outer.is_some() && inner < outer,
        "{form}: {frames:#?}"
    );
    assert_eq!(
        frames[inner.expect("found")].line,
        Some(program.growth("inlined").line),
        "{form}"
    );
}

#[test]
fn a_symbol_table_alone_gives_names_and_says_what_is_missing() {
    for (form, mangling) in [("legacy", "legacy"), ("v0", "v0")] {
        let mangling = format!("-Csymbol-mangling-version={mangling}");
        let mut flags = vec!["-O", "-Cdebuginfo=0", "-Cstrip=debuginfo", &mangling];
        if form == "legacy" {
            flags.push("-Zunstable-options");
        }
        let program = Program::build(&flags);
        let files = Files::new();
        let mut symbolizer = ObjectSymbolizer::new(&files, program.places());
        let frames = program.frames(&mut symbolizer, "map");
        let caller = frames
            .iter()
            .find(|f| function(f) == "growth::nest::grow_map");
        let caller = caller.unwrap_or_else(|| panic!("{form}: {frames:#?}"));
        assert_eq!((caller.file.as_ref(), caller.line), (None, None), "{form}");
        let expected = (form == "v0").then_some("(u64, Session)");
        assert_eq!(
            program.element(&mut symbolizer, "map").as_deref(),
            expected,
            "{form}"
        );
        let warnings = symbolizer.warnings();
        assert_eq!(warnings.len(), 1, "{form}: {warnings:?}");
        assert!(
            warnings[0].contains("no line tables") && warnings[0].contains("line-tables-only"),
            "{form}: {warnings:?}"
        );
    }
}

#[test]
fn a_stripped_program_gives_addresses_and_one_sentence() {
    let program = Program::build(&["-O", "-Cstrip=symbols"]);
    let files = Files::new();
    let mut symbolizer = ObjectSymbolizer::new(&files, program.places());
    for (what, _) in CALLERS {
        assert_eq!(program.frames(&mut symbolizer, what), [], "{what}");
        assert_eq!(program.element(&mut symbolizer, what), None, "{what}");
    }
    let warnings = symbolizer.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("is stripped"), "{warnings:?}");
}

#[test]
fn a_rebuilt_program_gives_no_names() {
    let program = Program::build(&["-O", "-Cdebuginfo=line-tables-only"]);
    let binary = Path::new(&program.module.path);
    build_fixture(
        binary,
        &[0xc3, 0xd4, 0x55, 0x66],
        &["-O", "-Cdebuginfo=line-tables-only"],
    );
    let files = Files::new();
    let mut symbolizer = ObjectSymbolizer::new(&files, program.places());
    assert_eq!(program.frames(&mut symbolizer, "map"), []);
    assert_eq!(program.element(&mut symbolizer, "map"), None);
    let warnings = symbolizer.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    for part in [
        "was rebuilt since the recording",
        "a1b2c3d4e5f6..",
        "c3d45566 now",
    ] {
        assert!(warnings[0].contains(part), "{part}: {warnings:?}");
    }
}

#[test]
fn a_copy_that_the_user_names_serves_when_the_file_is_gone() {
    let program = Program::build(&["-O", "-Cdebuginfo=line-tables-only"]);
    let copies = TempDir::new();
    let copy = copies.path().join("kept-elsewhere");
    std::fs::rename(&program.module.path, &copy).expect("moved");

    let files = Files::new();
    let mut symbolizer = ObjectSymbolizer::new(&files, program.places());
    assert_eq!(program.frames(&mut symbolizer, "map"), []);
    let warnings = symbolizer.warnings();
    assert!(
        warnings[0].contains("is not there any more"),
        "{warnings:?}"
    );

    let mut places = program.places();
    places.binaries.push(copy);
    let mut symbolizer = ObjectSymbolizer::new(&files, places);
    let frames = program.frames(&mut symbolizer, "map");
    assert_caller(
        &frames,
        "growth::nest::grow_map",
        program.growth("map").line,
        "copy",
    );
    assert_eq!(symbolizer.warnings(), Vec::<String>::new());
}

#[test]
fn separate_debug_information_is_found_by_its_link() {
    let program = Program::build(&["-O", "-Cdebuginfo=line-tables-only"]);
    let binary = Path::new(&program.module.path);
    let debug = binary.with_file_name("growth.debug");
    let objcopy = |arguments: &[&str]| {
        let mut command = Command::new("objcopy");
        command.current_dir(binary.parent().expect("a directory"));
        let status = command.args(arguments).status().expect("objcopy runs");
        assert!(status.success(), "{arguments:?}");
    };
    objcopy(&[
        "--only-keep-debug",
        "--compress-debug-sections=zlib",
        "growth",
        "growth.debug",
    ]);
    objcopy(&["--strip-all", "--add-gnu-debuglink=growth.debug", "growth"]);

    let files = Files::new();
    let mut symbolizer = ObjectSymbolizer::new(&files, program.places());
    let frames = program.frames(&mut symbolizer, "map");
    assert_caller(
        &frames,
        "growth::nest::grow_map",
        program.growth("map").line,
        "linked",
    );
    assert_eq!(
        program.element(&mut symbolizer, "map").as_deref(),
        Some("(u64, Session)")
    );
    assert_eq!(symbolizer.warnings(), Vec::<String>::new());

    std::fs::remove_file(debug).expect("removed");
    let mut symbolizer = ObjectSymbolizer::new(&files, program.places());
    assert_eq!(program.frames(&mut symbolizer, "map"), []);
    assert!(symbolizer.warnings()[0].contains("is stripped"));
}

#[test]
fn paths_that_are_no_object_files_are_told_of_and_never_block() {
    let directory = TempDir::new();
    let fifo = directory.path().join("fifo");
    let made = Command::new("mkfifo")
        .arg(&fifo)
        .status()
        .expect("mkfifo runs");
    assert!(made.success());
    let text = directory.path().join("text");
    std::fs::write(&text, "not an object file").expect("written");
    let empty = directory.path().join("empty");
    std::fs::write(&empty, "").expect("written");
    for path in [
        &fifo,
        &text,
        &empty,
        &directory.path().to_owned(),
        &PathBuf::from("/dev/zero"),
    ] {
        let module = Module {
            start: 0x1000,
            end: 0x2000,
            bias: 0x1000,
            build_id: BUILD_ID.to_vec(),
            path: path.to_str().expect("a plain path").to_owned(),
        };
        let files = Files::new();
        let mut symbolizer = ObjectSymbolizer::new(&files, Places::default());
        assert_eq!(symbolizer.frames(&module, 0x1800), [], "{path:?}");
        let warnings = symbolizer.warnings();
        assert_eq!(warnings.len(), 1, "{path:?}");
        assert!(warnings[0].contains("cannot be read"), "{warnings:?}");
    }
}

#[test]
fn the_vdso_is_no_reason_to_complain() {
    let module = Module {
        start: 0x1000,
        end: 0x2000,
        bias: 0x1000,
        build_id: BUILD_ID.to_vec(),
        path: "linux-vdso.so.1".to_owned(),
    };
    let files = Files::new();
    let mut symbolizer = ObjectSymbolizer::new(&files, Places::default());
    assert_eq!(symbolizer.frames(&module, 0x1800), []);
    assert_eq!(symbolizer.warnings(), Vec::<String>::new());
}
