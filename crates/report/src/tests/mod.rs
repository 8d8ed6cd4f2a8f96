//! Whole reports from recordings composed by hand. The figures expected are worked out in the
//! tests, from what the program is said to have done.

mod beyond;
mod blocks;
mod callers;
mod consistent;
pub(super) mod counts;
mod curve;
mod diff;
mod growth;
mod kinds;
mod lead;
mod nameless;
mod readings;
mod scripts;
mod stepwise;
mod text;
mod views;

use super::symbols::{Frame, Module, Symbolizer};
use super::{Options, Report};
use mapgrow_fixture::Program;
use mapgrow_format::reader::Recording;
use std::collections::HashMap;

/// Base address of the object that the functions of these tests lie in.
pub(super) const BASE: u64 = 0x5555_0000_0000;

/// Names of addresses, and types of containers.
#[derive(Debug, Default)]
pub(crate) struct Names {
    frames: HashMap<u64, Vec<Frame>>,
    types: HashMap<u64, String>,
    jumped: HashMap<(u64, u64), Frame>,
    next: u64,
}

impl Names {
    /// A return address with these functions, innermost inlined one first. `file:line` may
    /// follow a name after `@`.
    pub fn at(&mut self, functions: &[&str]) -> u64 {
        self.next += 16;
        let address = BASE + 0x1000 + self.next;
        let frame = |text: &&str| {
            let (name, place) = text.split_once('@').unwrap_or((text, ""));
            let (file, line) = match place.rsplit_once(':') {
                Some((file, line)) => (Some(file.to_owned()), line.parse().ok()),
                None => (None, None),
            };
            Frame {
                function: Some(name.to_owned()),
                file,
                line,
            }
        };
        self.frames
            .insert(address - 1, functions.iter().map(frame).collect());
        address
    }

    /// A return address nobody has a name for.
    pub fn nameless(&mut self) -> u64 {
        self.next += 16;
        BASE + 0x1000 + self.next
    }

    /// A function of code that the process generated, at a return address outside all objects.
    pub fn generates(&mut self, address: u64, function: &str, file: &str) {
        let frame = Frame {
            function: Some(function.to_owned()),
            file: Some(file.to_owned()),
            line: None,
        };
        self.frames.insert(address - 1, vec![frame]);
    }

    /// What was called at `outer` was this function, `function@file:line`, which jumped to that at `inner`.
    pub fn jumps(&mut self, outer: u64, inner: u64, function: &str) {
        let address = self.at(&[function]);
        let frame = self.frames[&(address - 1)][0].clone();
        self.jumped.insert((outer - 1, inner - 1), frame);
    }

    /// The element types of what grows at `address`.
    pub fn holds(&mut self, address: u64, types: &str) {
        self.types.insert(address - 1, types.to_owned());
    }
}

impl Symbolizer for Names {
    fn frames(&mut self, module: &Module, address: u64) -> Vec<Frame> {
        assert!((module.start..module.end).contains(&address));
        self.frames.get(&address).cloned().unwrap_or_default()
    }

    fn generated(&mut self, address: u64) -> Option<Frame> {
        self.frames.get(&address)?.first().cloned()
    }

    fn left_by_jump(&mut self, _module: &Module, outer: u64, inner: u64) -> Vec<Frame> {
        let jumped = self.jumped.get(&(outer, inner));
        jumped.cloned().into_iter().collect()
    }

    fn element_type(&mut self, _module: &Module, address: u64) -> Option<String> {
        self.types.get(&address).cloned()
    }
}

/// Bytes of a hashbrown table, written down from its layout.
pub(crate) fn table(buckets: u64, element: u64) -> u64 {
    (buckets * element).div_ceil(16) * 16 + buckets + 16
}

/// A program with the object that the names lie in, and a thread.
pub(crate) fn program() -> Program {
    let mut program = Program::new();
    program
        .recording
        .module(BASE, BASE + (1 << 30), "/usr/bin/demo");
    program.thread = program.recording.thread(4243, "main", 100 << 20, 60 << 20);
    program
}

pub(super) fn report(program: &mut Program, names: &mut Names) -> Report {
    report_with(program, names, &Options::default())
}

pub(super) fn report_with(program: &mut Program, names: &mut Names, options: &Options) -> Report {
    let recording = Recording::parse(program.build()).expect("a recording");
    let report = Report::build(&recording, names, options);
    consistent::check(&report);
    views::check(&report);
    growth::check(&recording, names, &report);
    report
}
