//! The whole heap as a profile, with the kinds of values that Go's heap profiles have, so that
//! tools which know those show it.

use mapgrow_report::Heap;

use super::proto::{Profile, Sample, ValueType};
use super::tables::Tables;

const KINDS: [(&str, &str); 4] = [
    ("alloc_objects", "count"),
    ("alloc_space", "bytes"),
    ("inuse_objects", "count"),
    ("inuse_space", "bytes"),
];

/// The profile of a recording's blocks, containers or not.
#[must_use]
pub fn of_heap(heap: &Heap) -> Profile {
    let mut tables = Tables::new(&KINDS, &heap.modules, heap.exe.as_deref());
    for note in &heap.notes {
        tables.comment(note);
    }
    let samples = heap.stacks.iter().map(|stack| {
        let label = stack.family.map(|family| tables.label("family", family));
        Sample {
            location_id: tables.stack(&stack.frames),
            value: [
                stack.allocated,
                stack.allocated_bytes,
                stack.live,
                stack.live_bytes,
            ]
            .map(|estimate| estimate.round() as i64)
            .to_vec(),
            label: label.into_iter().collect(),
        }
    });
    let samples = samples.collect();
    let period_type = ValueType {
        r#type: tables.string("space"),
        unit: tables.string("bytes"),
    };
    let mut profile = tables.finish();
    profile.sample = samples;
    profile.time_nanos = i64::try_from(heap.start_unix_ns).unwrap_or(i64::MAX);
    profile.duration_nanos = i64::try_from(heap.duration_ns.unwrap_or(0)).unwrap_or(i64::MAX);
    profile.period_type = Some(period_type);
    profile.period = i64::try_from(heap.sample_bytes).unwrap_or(i64::MAX);
    profile.default_sample_type = profile.sample_type[3].r#type;
    profile
}
