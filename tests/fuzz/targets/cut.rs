//! Cuts a dump down to the first bytes of each of its regions, to begin fuzzing from:
//! `cut DUMP SMALL BYTES`.

use mapgrow_format::layout::{header, region};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to, most] = arguments.as_slice() else {
        panic!("cut DUMP SMALL BYTES");
    };
    let most: u64 = most.parse().expect("a number of bytes");
    let dump = std::fs::read(from).expect("a dump");
    let word = |index: usize| {
        let bytes = dump[index * 8..index * 8 + 8].try_into().expect("8 bytes");
        u64::from_le_bytes(bytes)
    };
    let mut small = dump[..header::WORDS * 8].to_vec();
    for kind in 0..region::COUNT {
        let row = header::REGIONS + kind * header::REGION_WORDS;
        let (offset, committed) = (word(row + 1), word(row + 3).min(most));
        let begins = small.len() as u64;
        small.extend_from_slice(&dump[offset as usize..(offset + committed) as usize]);
        for (index, value) in [(row + 1, begins), (row + 3, committed)] {
            small[index * 8..index * 8 + 8].copy_from_slice(&value.to_le_bytes());
        }
    }
    std::fs::write(to, small).expect("written");
}
