//! Every recorded block by call stack, container or not: the whole heap, as far as it was
//! sampled.

use super::Options;
use super::model::{LoadedModule, StackFrame};
use super::symbols::Symbolizer;
use crate::facts::analysis::Analysis;
use crate::facts::blocks::Blocks;
use crate::facts::modules;
use crate::facts::process;
use crate::facts::resolve::Resolver;
use crate::facts::tick_scale::TickScale;
use crate::rows::sites;
use crate::words::units::bytes;
use mapgrow_format::layout::{WEIGHT_ONE, header, site};
use mapgrow_format::reader::Recording;
use std::collections::HashMap;

/// What the heap of a recorded process consists of.
#[derive(Debug, Clone, PartialEq)]
pub struct Heap {
    /// Blocks by call stack, those that hold most first.
    pub stacks: Vec<HeapStack>,
    /// Loaded objects.
    pub modules: Vec<LoadedModule>,
    /// Path of the executable.
    pub exe: Option<String>,
    /// Wall clock when recording began.
    pub start_unix_ns: u64,
    /// From the start of the recording to its last sign of life.
    pub duration_ns: Option<u64>,
    /// Mean bytes between samples of blocks that are no tables; 0 when every block was recorded.
    pub sample_bytes: u64,
    /// Sentences on what is missing or uncertain.
    pub notes: Vec<String>,
}

/// Blocks allocated from one call stack. Figures are unbiased estimates where blocks were
/// sampled, counts where none was.
#[derive(Debug, Clone, PartialEq)]
pub struct HeapStack {
    /// The call stack, innermost first.
    pub frames: Vec<StackFrame>,
    /// The container that the blocks belong to, if they do.
    pub family: Option<&'static str>,
    /// Blocks allocated.
    pub allocated: f64,
    /// Their bytes.
    pub allocated_bytes: f64,
    /// Blocks live.
    pub live: f64,
    /// Their bytes.
    pub live_bytes: f64,
    /// Sampled blocks among those allocated.
    pub samples: u64,
}

impl Heap {
    /// Reads the blocks of a recording, and gives their stacks names.
    #[must_use]
    pub fn of(recording: &Recording, symbolizer: &mut dyn Symbolizer, options: &Options) -> Self {
        let clock = TickScale::of(recording);
        let mut resolver = Resolver::new(recording, symbolizer);
        let blocks = Blocks::read(recording);
        let analysis = Analysis::of(recording, &blocks, &mut resolver);
        let live = live(&blocks);
        let mut stacks: Vec<HeapStack> = recording
            .sites()
            .filter_map(|site| {
                let fact = analysis.fact(site.id).filter(|fact| fact.used)?;
                let (live, live_bytes) = live.get(&site.id).copied().unwrap_or_default();
                let fixed = |word: usize| site.word(word) as f64 / WEIGHT_ONE as f64;
                Some(HeapStack {
                    frames: sites::stack(fact, &resolver),
                    family: fact.family.map(|family| family.name),
                    allocated: site.word(site::ALLOCS) as f64 + fixed(site::W_ALLOCS),
                    allocated_bytes: site.word(site::ALLOC_BYTES) as f64
                        + site.word(site::W_ALLOC_BYTES) as f64,
                    live,
                    live_bytes,
                    samples: site.word(site::SAMPLED_ALLOCS),
                })
            })
            .collect();
        stacks.sort_by(|a, b| b.live_bytes.total_cmp(&a.live_bytes));
        let process = process::process(recording, &clock, options);
        let exact = recording.header(header::MODE) == 1;
        let sample_bytes = match exact {
            true => 0,
            false => recording.header(header::SAMPLE_HEAP),
        };
        let mut notes = notes(recording, &stacks, sample_bytes);
        notes.extend(resolver.warnings());
        Self {
            stacks,
            modules: modules::loaded(recording),
            exe: process.exe,
            start_unix_ns: process.start_unix_ns,
            duration_ns: process.duration_ns,
            sample_bytes,
            notes,
        }
    }
}

/// By site, what its live blocks stand for: blocks and bytes.
fn live(blocks: &Blocks) -> HashMap<u32, (f64, f64)> {
    let mut live: HashMap<u32, (f64, f64)> = HashMap::new();
    for (&site, alone) in &blocks.alone {
        live.insert(site, (alone.blocks as f64, alone.bytes as f64));
    }
    for block in blocks.told().filter(|block| !block.followed()) {
        let weight = f64::from(block.weight) / WEIGHT_ONE as f64;
        let sum = live.entry(block.site).or_default();
        sum.0 += weight;
        sum.1 += weight * block.bytes as f64;
    }
    live
}

fn notes(recording: &Recording, stacks: &[HeapStack], sample_bytes: u64) -> Vec<String> {
    let mut notes = Vec::new();
    let floor = recording.header(header::FLOOR);
    let plain = stacks.iter().any(|stack| stack.family.is_none());
    if !plain {
        notes.push(
            "the recording has no samples of blocks outside containers: this is not the whole heap"
                .to_owned(),
        );
    }
    if sample_bytes > 0 {
        notes.push(format!(
            "blocks below {} are sampled, about one in {}: figures are estimates",
            bytes(floor),
            bytes(sample_bytes),
        ));
    }
    if recording.header(header::BUDGET_SKIPPED) > 0 {
        notes.push("the CPU budget left out blocks: figures are lower bounds".to_owned());
    }
    notes
}
