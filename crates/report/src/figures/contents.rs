//! Chains and the readings of their tables go in; what the live tables hold comes out, as far as they
//! were read and as far as what is known of their types settles it.

use super::moving::{Gone, Seen, being_filled, took_over};
use crate::facts::analysis::Analysis;
use crate::facts::chains::Chain;
use crate::facts::elements::{ElementTypes, narrowed};
use crate::facts::tick_scale::TickScale;
use foldhash::HashMap;
use mapgrow_containers::classify::catalogue::{Family, HASHBROWN};
use mapgrow_containers::classify::elements::Elements;
use mapgrow_containers::occupancy::{
    Block, Bounds, Count, Foreign, ForeignKind, Heat, Occupancy, Reading,
};
use mapgrow_format::reader::Recording;

/// What a live table held when it was read.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub occupancy: Occupancy,
    pub block: Block,
    /// When it was read.
    pub ticks: u64,
    /// Where its entries lie.
    pub heat: Option<Heat>,
    /// When it was read before, and the entries that it had then.
    pub earlier: Option<(u64, Count)>,
}

/// The least and the most that a figure can be.
pub(crate) type Range = (u64, u64);

/// The contents of all live tables that were read.
pub(crate) struct Contents {
    types: ElementTypes,
    by_serial: HashMap<u64, Content>,
    /// Of tables whose bytes leave several answers.
    bounds: HashMap<u64, Bounds>,
    /// Tables of other containers than hashbrown's.
    foreign: HashMap<u64, Foreign>,
}

/// What a table of a family was read as, if its memory says what it is.
fn kind_of(family: &Family) -> Option<ForeignKind> {
    match family.name {
        "cpython_dict" => Some(ForeignKind::CpythonKeys),
        "cpython_set" => Some(ForeignKind::CpythonSet),
        "abseil_flat" => Some(ForeignKind::Abseil),
        "libstdcxx_hashtable" | "libcxx_hashtable" | "redis_dict" => Some(ForeignKind::Chains),
        _ => None,
    }
}

/// When the resizes ended that filled tables with what was in those before, by table.
fn filled_at(chains: &[Chain]) -> HashMap<u64, u64> {
    let moves = chains.iter().filter_map(|chain| {
        let (_, ended) = chain.replaced().last()?;
        Some((chain.block.serial, ended))
    });
    moves.collect()
}

/// Tables that were read in the middle of a resize of which the recording knows nothing yet, or after
/// it.
fn filling(
    contents: &HashMap<u64, Content>,
    chains: &[&Chain],
    types: &ElementTypes,
    clock: &TickScale,
) -> Vec<u64> {
    /// Tables of one type that could not be read, of so many at most.
    const MOST_GONE: usize = 64;
    let seen = |chain: &Chain| {
        let content = contents.get(&chain.block.serial)?;
        let age = content.ticks.checked_sub(chain.block.ticks);
        Some(Seen {
            serial: chain.block.serial,
            ticks: chain.block.ticks,
            first: chain.replaced().next().is_none(),
            age_ns: age.and_then(|ticks| clock.span(ticks)),
            occupancy: &content.occupancy,
        })
    };
    let mut gone: HashMap<Option<usize>, Vec<Gone>> = HashMap::default();
    for chain in chains {
        let block = &chain.block;
        let of_type = gone.entry(types.class_of(block.site)).or_default();
        if !contents.contains_key(&block.serial) && of_type.len() < MOST_GONE {
            let (ticks, bytes) = (block.ticks, block.bytes);
            of_type.push(Gone { ticks, bytes });
        }
    }
    let after = chains.iter().filter(|chain| {
        let gone = gone.get(&types.class_of(chain.block.site));
        seen(chain)
            .zip(gone)
            .is_some_and(|(table, gone)| took_over(&table, chain.block.bytes, gone))
    });
    let after = after.map(|chain| chain.block.serial);
    let all: Vec<Seen<'_>> = chains.iter().filter_map(|chain| seen(chain)).collect();
    being_filled(&all).into_iter().chain(after).collect()
}

/// Readings of tables by the number of each, and those before of the tables that were read twice: the
/// later one says what they hold.
type Readings = (HashMap<u64, Reading>, HashMap<u64, Reading>);

fn readings(recording: &Recording, chains: &[Chain]) -> Readings {
    let (mut readings, mut earlier): Readings = Default::default();
    let filled = filled_at(chains);
    for reading in Reading::of(recording) {
        let serial = reading.serial;
        // Read while the map was being moved there, it held a part of it.
        if filled.get(&serial).is_some_and(|&at| reading.ticks < at) {
            continue;
        }
        if let Some(before) = readings.insert(serial, reading) {
            earlier.insert(serial, before);
        }
    }
    (readings, earlier)
}

/// What is known of the elements of a map's tables.
fn known(types: &ElementTypes, chain: &Chain) -> Option<Elements> {
    let known = types.of_site(chain.block.site);
    known.map(|known| narrowed(known, &chain.sizes()))
}

/// What a table held, where what is known of its elements leaves one answer.
fn settle(types: &ElementTypes, chain: &Chain, reading: &Reading) -> Option<Occupancy> {
    let known = known(types, chain);
    reading
        .survey
        .settle_where(&|element| known.as_ref().is_none_or(|known| known.allows(element)))
}

/// What is known of elements, with what tables tell: one whose bytes leave one answer tells the size
/// of the elements of all its siblings.
fn with_siblings(mut types: ElementTypes, tables: &[(&Chain, &Reading)]) -> ElementTypes {
    let mut told: HashMap<usize, Option<u64>> = HashMap::default();
    for (chain, reading) in tables {
        let element = settle(&types, chain, reading)
            .and_then(|occupancy| occupancy.element_bytes)
            .zip(types.class_of(chain.block.site));
        if let Some((element, class)) = element {
            let before = told.entry(class).or_insert(Some(element));
            // Siblings that disagree are none.
            *before = before.filter(|&before| before == element);
        }
    }
    for (class, element) in told {
        if let Some(element) = element {
            types.know(class, element);
        }
    }
    types
}

impl Contents {
    pub fn of(
        recording: &Recording,
        analysis: &Analysis,
        chains: &[Chain],
        clock: &TickScale,
    ) -> Self {
        let (readings, earlier) = readings(recording, chains);
        let known_tables: Vec<&Chain> = chains
            .iter()
            .filter(|chain| analysis.family(chain.block.site) == Some(&HASHBROWN))
            .collect();
        let tables: Vec<(&Chain, &Reading)> = known_tables
            .iter()
            .copied()
            .filter_map(|chain| Some((chain, readings.get(&chain.block.serial)?)))
            .collect();
        let types = with_siblings(ElementTypes::of(recording, analysis), &tables);
        let mut by_serial: HashMap<u64, Content> = tables
            .iter()
            .filter_map(|(chain, reading)| {
                let occupancy = settle(&types, chain, reading)?;
                let earlier = earlier.get(&chain.block.serial).and_then(|before| {
                    Some((before.ticks, settle(&types, chain, before)?.entries))
                });
                let content = Content {
                    occupancy,
                    block: *reading.survey.block(),
                    ticks: reading.ticks,
                    heat: reading.survey.heat().copied(),
                    earlier,
                };
                Some((chain.block.serial, content))
            })
            .collect();
        let bounds = tables.iter().filter_map(|(chain, reading)| {
            let serial = chain.block.serial;
            let told = by_serial.get(&serial);
            if told.is_some_and(|told| told.occupancy.retained_bytes.is_some()) {
                return None;
            }
            let known = known(&types, chain);
            let possible = |element| known.as_ref().is_none_or(|known| known.allows(element));
            Some((serial, reading.survey.bounds_where(&possible)?))
        });
        let mut bounds: HashMap<u64, Bounds> = bounds.collect();
        for serial in filling(&by_serial, &known_tables, &types, clock) {
            by_serial.remove(&serial);
            bounds.remove(&serial);
        }
        let foreign = chains.iter().filter_map(|chain| {
            let reading = readings.get(&chain.block.serial)?.foreign?;
            let kind = kind_of(analysis.family(chain.block.site)?)?;
            (reading.kind == kind).then_some((chain.block.serial, reading))
        });
        Self {
            foreign: foreign.collect(),
            types,
            by_serial,
            bounds,
        }
    }

    /// Entries of a live table and bytes that it keeps beyond what they need, each within a range;
    /// `None` where it was not read.
    pub fn bounds(&self, serial: u64, bytes: u64) -> (Option<Range>, Option<Range>) {
        let exactly = |figure: u64| (figure, figure);
        if let Some(foreign) = self.foreign(serial) {
            let emptied = foreign.buckets_used.filter(|&used| used == 0);
            let entries = foreign.entries.or(emptied).map(exactly);
            return (entries, foreign.retained(bytes));
        }
        let bounds = self.bounds.get(&serial);
        let Some(content) = self.of_table(serial) else {
            let bounds = bounds.map(|bounds| (bounds.entries, bounds.retained_bytes));
            return bounds.unzip();
        };
        let told = &content.occupancy;
        let (value, error) = (told.entries.value, told.entries.error);
        let entries = (value.saturating_sub(error), value.saturating_add(error));
        let retained = told.retained_bytes.map(exactly);
        (
            Some(entries),
            retained.or_else(|| bounds.map(|bounds| bounds.retained_bytes)),
        )
    }

    /// What the table with this serial holds, if it is another container's than hashbrown's.
    pub fn foreign(&self, serial: u64) -> Option<&Foreign> {
        self.foreign.get(&serial)
    }

    /// What is known of the elements of a site's tables.
    pub fn elements(&self, site: u32) -> Option<&Elements> {
        self.types.of_site(site)
    }

    /// What the table with this serial holds.
    pub fn of_table(&self, serial: u64) -> Option<&Content> {
        self.by_serial.get(&serial)
    }
}
