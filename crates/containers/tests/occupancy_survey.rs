//! Tables composed byte by byte: what cannot be had from real ones.

use mapgrow_containers::occupancy::{Block, BlockReader, Known, Limits, Reading, survey};

fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A table too large to be built: control bytes are made when they are asked for.
struct Vast {
    buckets: u64,
    element: u64,
    /// Of 256 buckets, so many hold an entry, and so many of the rest a tombstone.
    full: u64,
    deleted: u64,
    /// Buckets from here on are empty.
    emptied_from: u64,
}

impl Vast {
    fn bytes(&self) -> u64 {
        self.buckets * (self.element + 1) + 16
    }

    fn control(&self, bucket: u64) -> u8 {
        let random = mix(bucket);
        if bucket >= self.emptied_from {
            0xFF
        } else if random & 0xFF < self.full {
            (random >> 57) as u8
        } else if (random >> 8) & 0xFF < self.deleted {
            0x80
        } else {
            0xFF
        }
    }

    fn counts(&self) -> (u64, u64) {
        let mut counts = (0, 0);
        for bucket in 0..self.buckets {
            match self.control(bucket) {
                0xFF => {}
                0x80 => counts.1 += 1,
                _ => counts.0 += 1,
            }
        }
        counts
    }
}

impl BlockReader for &Vast {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> bool {
        let control = self.buckets * self.element;
        for (at, byte) in (offset..).zip(into) {
            *byte = match at.checked_sub(control) {
                None => mix(at) as u8,
                // The mirror repeats the beginning.
                Some(bucket) => self.control(bucket % self.buckets),
            };
        }
        true
    }
}

#[test]
fn samples_carry_their_error() {
    for table in [
        Vast {
            buckets: 1 << 22,
            element: 24,
            full: 190,
            deleted: 3,
            emptied_from: u64::MAX,
        },
        Vast {
            buckets: 1 << 22,
            element: 16,
            full: 2,
            deleted: 60,
            emptied_from: u64::MAX,
        },
        // Entries in the first third alone: the worst case for a sample.
        Vast {
            buckets: 1 << 22,
            element: 8,
            full: 200,
            deleted: 0,
            emptied_from: 1_400_000,
        },
    ] {
        let (entries, tombstones) = table.counts();
        let block = Block::new(table.bytes(), Some(16), 16).unwrap();
        let (mut squares, mut outside, rounds) = (0.0, 0, 200);
        for seed in 0..rounds {
            let limits = Limits {
                full_bytes: 1 << 20,
                pieces: 4096,
                seed,
            };
            let known = Known {
                element: Some(table.element),
                sizes: &[],
            };
            let surveyed = survey(&block, &mut &table, &limits).unwrap();
            let found = surveyed.settle(&known).expect("a table");
            assert_eq!(found.buckets, Some(table.buckets));
            for (count, truth) in [(found.entries, entries), (found.tombstones, tombstones)] {
                let errors = (count.value as f64 - truth as f64) / count.error.max(1) as f64;
                outside += u32::from(errors.abs() > 3.0);
                squares += errors * errors;
            }
            assert!(found.entries.error < table.buckets / 200, "{found:?}");
        }
        let mean = squares / f64::from(rounds as u32) / 2.0;
        println!("{entries} entries: mean square {mean:.2} errors, {outside} beyond three");
        assert!(outside <= 4 && mean < 1.4, "{mean} {outside}");
    }
}

#[test]
fn a_survey_survives_being_stored() {
    let table = Vast {
        buckets: 1 << 12,
        element: 24,
        full: 190,
        deleted: 3,
        emptied_from: 3000,
    };
    let block = Block::new(table.bytes(), Some(16), 16).unwrap();
    let surveyed = survey(&block, &mut &table, &Limits::default()).unwrap();
    let reading = Reading {
        serial: 77,
        ticks: 1234,
        survey: surveyed,
        foreign: None,
    };
    let words = reading.encode();
    let back = Reading::decode(&words, 16).expect("whole");
    assert_eq!((back.serial, back.ticks), (77, 1234));
    assert_eq!(back.survey.hypotheses(), reading.survey.hypotheses());
    let quality = back.survey.quality().expect("judged");
    let before = reading.survey.quality().expect("judged");
    assert_eq!(quality.verdict, before.verdict);
    assert!((quality.packed - before.packed).abs() < 0.001);
    for word in 0..words.len() {
        let mut torn = words;
        torn[word] ^= 1 << 17;
        assert!(Reading::decode(&torn, 16).is_none(), "word {word}");
    }
}

/// The bytes of an empty table, which could be several: all of them are stored, and what is
/// known from elsewhere settles it afterwards.
#[test]
fn what_is_ambiguous_stays_so() {
    let table = Vast {
        buckets: 1 << 10,
        element: 24,
        full: 0,
        deleted: 0,
        emptied_from: 0,
    };
    let block = Block::new(table.bytes(), Some(16), 16).unwrap();
    let survey = survey(&block, &mut &table, &Limits::default()).unwrap();
    assert!(survey.hypotheses().len() > 3);
    let reading = Reading {
        serial: 1,
        ticks: 1,
        survey,
        foreign: None,
    };
    let survey = Reading::decode(&reading.encode(), 16).unwrap().survey;
    let alone = survey
        .settle(&Known::default())
        .expect("empty, whatever it is");
    assert_eq!((alone.buckets, alone.entries.value), (None, 0));
    assert_eq!(alone.retained_bytes, Some(block.bytes()));
    let known = Known {
        element: Some(24),
        sizes: &[],
    };
    assert_eq!(survey.settle(&known).unwrap().buckets, Some(1 << 10));
    let other = Known {
        element: Some(23),
        sizes: &[],
    };
    assert_eq!(survey.settle(&other), None);
}

#[test]
fn nothing_is_made_of_what_is_no_table() {
    for bytes in (0..4096).chain([65_552, 278_544, 1 << 20]) {
        let block = Block::new(bytes, Some(16), 16).unwrap();
        // Purged pages read as zeros, which look like entries everywhere.
        let zeros = vec![0; bytes as usize];
        let surveyed = survey(&block, &mut zeros.as_slice(), &Limits::default()).unwrap();
        assert!(surveyed.hypotheses().is_empty(), "{bytes} zeros");
        // Tombstones everywhere are as impossible.
        let deleted = vec![0x80; bytes as usize];
        let surveyed = survey(&block, &mut deleted.as_slice(), &Limits::default()).unwrap();
        assert!(surveyed.hypotheses().is_empty(), "{bytes} tombstones");
    }
}

#[test]
fn noise_is_no_table() {
    for round in 0..20_000_u64 {
        let bytes = mix(round) % 3000;
        let group = if round % 2 == 0 { 16 } else { 8 };
        let noise: Vec<u8> = (0..bytes)
            .map(|at| mix(round << 20 | at) as u8 & 0xBF)
            .collect();
        let block = Block::new(bytes, None, group).unwrap();
        let surveyed = survey(&block, &mut noise.as_slice(), &Limits::default()).unwrap();
        assert!(
            surveyed.hypotheses().is_empty(),
            "{bytes} bytes of round {round}"
        );
    }
}

#[test]
fn a_block_that_cannot_be_read_is_not_guessed() {
    let table = Vast {
        buckets: 1 << 12,
        element: 24,
        full: 100,
        deleted: 0,
        emptied_from: 4096,
    };
    let block = Block::new(table.bytes(), Some(16), 16).unwrap();
    let mut short = vec![0xFF; table.bytes() as usize - 1];
    short[0] = 0;
    assert!(survey(&block, &mut short.as_slice(), &Limits::default()).is_none());
    assert!(Block::new(u64::MAX, Some(16), 16).is_none());
    assert!(Block::new(100, Some(8), 16).is_none());
    assert!(Block::new(100, Some(24), 16).is_none());
    assert!(Block::new(100, Some(16), 32).is_none());
}

/// Groups of eight bytes (NEON, generic): the mirror is shorter, the smallest tables differ.
#[test]
fn narrow_groups() {
    for buckets in [4_u64, 8, 16, 64, 1024] {
        for element in [3_u64, 8, 24, 200] {
            let data = (buckets * element).next_multiple_of(8);
            let capacity = if buckets < 8 {
                buckets - 1
            } else {
                buckets / 8 * 7
            };
            let entries = capacity * 3 / 4;
            let mut bytes = vec![0x55; data as usize];
            let mut control = vec![0xFF; buckets as usize];
            // Not in order: a stride that meets every bucket.
            for entry in 0..entries {
                control[(entry * 5 % buckets) as usize] = (mix(entry) >> 57) as u8;
            }
            bytes.extend(&control);
            bytes.extend(vec![0xFF; 8_usize.saturating_sub(control.len())]);
            bytes.extend(&control[..control.len().min(8)]);
            let block = Block::new(bytes.len() as u64, Some(8), 8).unwrap();
            let surveyed = survey(&block, &mut bytes.as_slice(), &Limits::default()).unwrap();
            let known = Known {
                element: Some(element),
                sizes: &[],
            };
            let found = surveyed.settle(&known).expect("a table");
            assert_eq!(found.entries.value, entries, "{buckets} of {element}");
            assert_eq!(found.buckets, Some(buckets));
        }
    }
}
