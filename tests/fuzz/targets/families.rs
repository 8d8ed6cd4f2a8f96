//! Whatever text is given as a families file, and whatever name a function has: an error with its
//! line, or families that are printed as they are read and asked about the function.
//!
//! The file ends at the first NUL; behind it stands the function's name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mapgrow_containers::classify::catalogue::{
    Around, family_asking, family_of_code, is_containers,
};
use mapgrow_containers::classify::names::Name;
use mapgrow_containers::classify::table::{count, parse, print};

/// What a table holds is kept until the end: of so many texts one is, so that memory suffices.
const KEPT: u32 = 256;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |&byte| byte == 0);
    let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default());
    let (file, name) = (text(), Name::parse(&text()));
    let around = || {
        let of = Around {
            name: &name,
            here: true,
        };
        std::iter::once(of)
    };
    let _ = family_asking(&name, around, true);
    let _ = family_of_code(&name, around);
    let _ = is_containers(&name, around);
    let count = match count(&file) {
        Ok(count) => count,
        Err(error) => {
            assert!((1..=file.lines().count()).contains(&error.line), "{error}");
            return;
        }
    };
    // By the text alone: what fails once fails each time.
    if hash(&file) % KEPT != 0 {
        return;
    }
    let table = parse(&file).expect("it was read before");
    assert_eq!(table.families.len(), count);
    for family in &table.families {
        let _ = (family.resizes_within(&name), family.owns(&name));
    }
    let printed = print(table.families.iter(), table.plumbing.iter().copied());
    let again = parse(&printed).expect("what is printed can be read");
    assert_eq!(table.families, again.families);
    assert_eq!(table.plumbing, again.plumbing);
});

fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash: u32, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
