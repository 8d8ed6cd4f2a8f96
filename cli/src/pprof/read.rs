//! Reads heap profiles: `profile.proto`, gzip or not.
//!
//! Profiles come from files and from the network. Whatever they say, no more memory is taken
//! than a small multiple of their own length, and that is bounded.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use mapgrow_report::LoadedModule;
use mapgrow_report::profile::{HeapProfile, HeapSample, ProfileFunction, ProfilePlace};
use prost::Message;

use super::proto::{Function, Location, Mapping, Sample, ValueType};
use super::wire::{Field, fields};

/// Bytes of a profile at most, unpacked. Those of services with thousands of allocation sites
/// have a few MiB.
pub const MOST_BYTES: u64 = 128 << 20;
/// Bytes of one sample, function, location or mapping at most.
const MOST_PIECE_BYTES: usize = 1 << 20;
/// Pieces at most.
const MOST_PIECES: usize = 4 << 20;
/// Places of a stack that are kept, the innermost.
const MOST_PLACES: usize = 1024;
/// Functions of a place that are kept, the innermost.
const MOST_LINES: usize = 64;
/// Bytes of a name or a path that are kept.
const MOST_NAME_BYTES: usize = 2048;
/// Functions on all stacks together: stacks share places, so that a small file could ask for much
/// work.
const MOST_FRAMES: usize = 32 << 20;

/// Bytes that [`looks_like_profile`] wants to see.
pub const LOOK_BYTES: u64 = 3;

/// Whether bytes may be a profile: gzip, or a message that begins with a kind of value, as
/// sample types (field 1) or, from Go, as the type of the period (field 11).
#[must_use]
pub fn looks_like_profile(start: &[u8]) -> bool {
    /// Two numbers and their keys.
    const MOST_KIND_BYTES: u8 = 22;
    match start {
        [0x1f, 0x8b, ..] => true,
        [0x0a | 0x5a, length, 0x08 | 0x10, ..] => *length <= MOST_KIND_BYTES,
        _ => false,
    }
}

/// Reads a heap profile.
///
/// # Errors
/// A sentence without a subject, when the bytes are no heap profile.
pub fn heap_profile(bytes: &[u8]) -> Result<HeapProfile, String> {
    let unpacked;
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        unpacked = unpack(bytes)?;
        unpacked.as_slice()
    } else {
        bytes
    };
    if bytes.len() as u64 > MOST_BYTES {
        return Err(too_large());
    }
    let mut raw = Raw::default();
    fields(bytes, |field| raw.take(field))?;
    raw.finish()
}

fn unpack(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(bytes)
        .take(MOST_BYTES + 1)
        .read_to_end(&mut unpacked)
        .map_err(|error| format!("it cannot be unpacked ({error})"))?;
    if unpacked.len() as u64 > MOST_BYTES {
        return Err(too_large());
    }
    Ok(unpacked)
}

fn too_large() -> String {
    format!(
        "it has more than {} MiB unpacked, which no heap profile has",
        MOST_BYTES >> 20
    )
}

/// A sample, as compact as it can be kept.
struct RawSample {
    locations: Box<[u64]>,
    values: Box<[i64]>,
    block_bytes: Option<(i64, i64)>,
}

/// What was read so far. Strings come last in most files, so that everything waits for them.
#[derive(Default)]
struct Raw<'a> {
    kinds: Vec<ValueType>,
    samples: Vec<RawSample>,
    mappings: Vec<Mapping>,
    locations: Vec<Location>,
    functions: Vec<Function>,
    strings: Vec<&'a [u8]>,
    period_type: Option<ValueType>,
    period: i64,
    time_nanos: i64,
    pieces: usize,
}

impl<'a> Raw<'a> {
    fn take(&mut self, field: Field<'a>) -> Result<(), String> {
        match field {
            Field::Number(9, value) => self.time_nanos = value as i64,
            Field::Number(12, value) => self.period = value as i64,
            Field::Number(..) => {}
            Field::Bytes(number, bytes) => {
                self.pieces += 1;
                if self.pieces > MOST_PIECES {
                    return Err(format!("it has more than {MOST_PIECES} parts"));
                }
                match number {
                    1 => self.kinds.push(piece(bytes)?),
                    2 => self.samples.push(sample(piece(bytes)?)),
                    3 => self.mappings.push(piece(bytes)?),
                    4 => {
                        let mut location: Location = piece(bytes)?;
                        location.line.shrink_to_fit();
                        self.locations.push(location);
                    }
                    5 => self.functions.push(piece(bytes)?),
                    6 => self.strings.push(bytes),
                    11 => self.period_type = Some(piece(bytes)?),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn string(&self, index: i64) -> Option<String> {
        let bytes = self.strings.get(usize::try_from(index).ok()?)?;
        let kept = &bytes[..bytes.len().min(MOST_NAME_BYTES)];
        (!kept.is_empty()).then(|| String::from_utf8_lossy(kept).into_owned())
    }

    /// The column of a kind of value.
    fn column(&self, names: &[&str]) -> Option<usize> {
        let named = |kind: &ValueType| {
            self.string(kind.r#type)
                .is_some_and(|name| names.contains(&name.as_str()))
        };
        self.kinds.iter().position(named)
    }

    fn finish(self) -> Result<HeapProfile, String> {
        if self.kinds.is_empty() || self.strings.is_empty() {
            return Err("it names no kinds of values".to_owned());
        }
        let columns = [
            self.column(&["alloc_objects"]),
            self.column(&["alloc_space"]),
            self.column(&["inuse_objects", "objects"]),
            self.column(&["inuse_space", "space"]),
        ];
        if columns[3].is_none() {
            let kinds: Vec<String> = self
                .kinds
                .iter()
                .flat_map(|k| self.string(k.r#type))
                .collect();
            return Err(format!(
                "it is a profile of {}, not of a heap (inuse_space)",
                kinds.join(", ").chars().take(100).collect::<String>()
            ));
        }
        let heap_period = self
            .period_type
            .and_then(|kind| self.string(kind.r#type))
            .is_none_or(|kind| kind == "space");
        let modules: Vec<LoadedModule> = self.mappings.iter().map(|m| self.module(m)).collect();
        let module_of = index(self.mappings.iter().map(|mapping| mapping.id));
        let function_of = index(self.functions.iter().map(|function| function.id));
        let place_of = index(self.locations.iter().map(|location| location.id));
        let functions = self.functions.iter().map(|function| ProfileFunction {
            name: self.string(function.name).unwrap_or_default().into(),
            file: self.string(function.filename).map(Arc::from),
        });
        let places = self.locations.iter().map(|location| ProfilePlace {
            address: location.address,
            module: module_of.get(&location.mapping_id).copied(),
            lines: location
                .line
                .iter()
                .take(MOST_LINES)
                .filter_map(|line| {
                    let function = *function_of.get(&line.function_id)?;
                    let number = u32::try_from(line.line).ok().filter(|&number| number > 0);
                    Some((function, number))
                })
                .collect(),
        });
        let places: Vec<ProfilePlace> = places.collect();
        let samples = self.samples.iter();
        let samples = samples.map(|sample| self.sample(sample, &place_of, columns));
        let samples: Vec<HeapSample> = samples.collect();
        let on_stack = samples.iter().flat_map(|sample| &sample.stack);
        let frames = on_stack.map(|&place| places[place as usize].lines.len().max(1));
        if frames.sum::<usize>() > MOST_FRAMES {
            return Err(format!("its stacks have more than {MOST_FRAMES} functions"));
        }
        Ok(HeapProfile {
            program: modules.first().map(|module| module.path.clone()),
            taken_unix_ns: u64::try_from(self.time_nanos).ok().filter(|&ns| ns > 0),
            period_bytes: u64::try_from(self.period)
                .ok()
                .filter(|&period| period > 0 && heap_period),
            functions: functions.collect(),
            samples,
            places,
            modules,
        })
    }

    /// A sample, its stack by the numbers of its places.
    fn sample(
        &self,
        sample: &RawSample,
        place_of: &HashMap<u64, u32>,
        columns: [Option<usize>; 4],
    ) -> HeapSample {
        let value = |column: Option<usize>| {
            let value = column.and_then(|column| sample.values.get(column));
            value.map_or(0, |&value| u64::try_from(value).unwrap_or(0))
        };
        let places = sample.locations.iter().take(MOST_PLACES);
        HeapSample {
            stack: places.filter_map(|id| place_of.get(id).copied()).collect(),
            block_bytes: sample.block_bytes.and_then(|(key, bytes)| {
                let named = self.string(key).is_some_and(|key| key == "bytes");
                u64::try_from(bytes).ok().filter(|_| named)
            }),
            allocated: value(columns[0]),
            allocated_bytes: value(columns[1]),
            live: value(columns[2]),
            live_bytes: value(columns[3]),
        }
    }

    fn module(&self, mapping: &Mapping) -> LoadedModule {
        LoadedModule {
            path: self.string(mapping.filename).unwrap_or_default(),
            build_id: self.string(mapping.build_id),
            start_address: mapping.memory_start,
            end_address: mapping.memory_limit,
        }
    }
}

fn piece<T: Message + Default>(bytes: &[u8]) -> Result<T, String> {
    if bytes.len() > MOST_PIECE_BYTES {
        return Err(format!("one of its parts has {} bytes", bytes.len()));
    }
    T::decode(bytes).map_err(|error| format!("it is damaged ({error})"))
}

fn sample(sample: Sample) -> RawSample {
    // Go's heap profiles tell the size of the blocks.
    let number = sample
        .label
        .iter()
        .find(|label| label.str == 0 && label.num != 0);
    RawSample {
        block_bytes: number.map(|label| (label.key, label.num)),
        locations: sample.location_id.into_boxed_slice(),
        values: sample.value.into_boxed_slice(),
    }
}

/// The index of each id; of ids that are there twice, the first.
fn index(ids: impl Iterator<Item = u64>) -> HashMap<u64, u32> {
    let mut index = HashMap::new();
    for (id, at) in ids.zip(0u32..) {
        index.entry(id).or_insert(at);
    }
    index
}
