//! Frames of interpreted languages.

use super::Capacity;
use mapgrow_format::layout::packed::COMPLETE;
use mapgrow_format::layout::{header, region, script};
use std::sync::atomic::Ordering;

#[test]
fn a_frame_is_written_once_and_counted_where_there_is_no_room() {
    let memory = Capacity::default().memory();
    let tables = memory.tables();
    let mut asked = 0;
    let mut note = |key: u64| {
        tables.scripts.note(key, |record| {
            asked += 1;
            record.line = 7;
            let mut file = record.file();
            // Longer than there is room for.
            b"/srv/wor"
                .iter()
                .cycle()
                .take(1000)
                .for_each(|&byte| file(byte));
            let mut function = record.function();
            b"Cache.load".iter().for_each(|&byte| function(byte));
        });
    };
    // The capacity is four records.
    for key in [1, 2, 1, 3, 2, 4] {
        note(script::MARK | key << 32);
    }
    for key in [5, 6] {
        note(script::MARK | key << 32);
    }
    assert_eq!(asked, 4);
    assert_eq!(memory.header(header::SCRIPT_COUNT), 4);
    assert_eq!(memory.header(header::SCRIPTS_DROPPED), 2);
    let word = |at: usize| memory.region(region::SCRIPTS)[at].load(Ordering::Relaxed);
    assert_eq!(word(script::WORDS + script::KEY), script::MARK | 2 << 32);
    assert_eq!(word(script::WORDS + script::LINE), COMPLETE | 7);
    assert_eq!(word(script::FILE).to_le_bytes(), *b"/srv/wor");
    assert_eq!(word(script::FUNCTION + 1).to_le_bytes(), *b"ad\0\0\0\0\0\0");
}
