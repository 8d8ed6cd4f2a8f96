//! Heap profiles as Go writes them.

use mapgrow_cli::pprof::proto::{Function, Label, Line, Location, Profile, Sample, ValueType};

/// A Go heap profile of `(stack, block bytes, [allocated blocks, blocks in use])`; a frame is
/// `function@file:line`.
pub fn go_profile(samples: &[(&[&str], i64, [i64; 2])]) -> Profile {
    let mut profile = Profile::default();
    let mut strings: Vec<String> = vec![String::new()];
    let mut string = |text: &str| match strings.iter().position(|known| known == text) {
        Some(index) => index as i64,
        None => {
            strings.push(text.to_owned());
            strings.len() as i64 - 1
        }
    };
    for (kind, unit) in [
        ("alloc_objects", "count"),
        ("alloc_space", "bytes"),
        ("inuse_objects", "count"),
        ("inuse_space", "bytes"),
    ] {
        let (r#type, unit) = (string(kind), string(unit));
        profile.sample_type.push(ValueType { r#type, unit });
    }
    let key = string("bytes");
    for (stack, bytes, [allocated, live]) in samples {
        let mut sample = Sample {
            value: vec![*allocated, allocated * bytes, *live, live * bytes],
            label: vec![Label {
                key,
                num: *bytes,
                ..Label::default()
            }],
            ..Sample::default()
        };
        for frame in *stack {
            let (function, place) = frame.split_once('@').expect("a place");
            let (file, line) = place.rsplit_once(':').expect("a line");
            let id = profile.location.len() as u64 + 1;
            profile.function.push(Function {
                id,
                name: string(function),
                filename: string(file),
                ..Function::default()
            });
            profile.location.push(Location {
                id,
                address: id * 16,
                line: vec![Line {
                    function_id: id,
                    line: line.parse().expect("a number"),
                }],
                ..Location::default()
            });
            sample.location_id.push(id);
        }
        profile.sample.push(sample);
    }
    profile.period_type = Some(ValueType {
        r#type: string("space"),
        unit: string("bytes"),
    });
    profile.period = 524_288;
    profile.time_nanos = 1_700_000_000_000_000_000;
    profile.string_table = strings.into_iter().map(String::into_bytes).collect();
    profile
}
