//! Frames of interpreted languages: where in which function a stack leads through their code.

use super::index::{Index, Indexed};
use crate::pool::{Commit, Pool, word};
use crate::sync::{AtomicU64, Ordering, fetch_add};
use mapgrow_format::layout::packed::COMPLETE;
use mapgrow_format::layout::{header, region, script};

/// The frames of a recording.
pub(crate) struct ScriptTable<'a, C> {
    records: Pool<'a, C, { script::WORDS }>,
    index: Index<'a, C>,
    dropped: &'a AtomicU64,
}

impl<'a, C: Commit> ScriptTable<'a, C> {
    /// `None` when the header is too short.
    pub(crate) fn new(
        header: &'a [AtomicU64],
        records: &'a [AtomicU64],
        index: &'a [AtomicU64],
        commit: &'a C,
    ) -> Option<Self> {
        Some(Self {
            records: Pool::new(
                header,
                header::SCRIPT_COUNT,
                records,
                region::SCRIPTS,
                commit,
            )?,
            index: Index::new(index, region::SCRIPT_INDEX, commit),
            dropped: word(header, header::SCRIPTS_DROPPED)?,
        })
    }

    /// Makes sure that the frame with this key is on record. `describe` is asked to fill a fresh
    /// record when it was not.
    pub(crate) fn note(&self, key: u64, describe: impl FnOnce(&mut ScriptRecord<'a>)) {
        let matches = |id: u32| {
            let record = self.records.record(id);
            record.is_some_and(|record| record[script::KEY].load(Ordering::Relaxed) == key)
        };
        let create = || {
            let id = self.records.take(1)?;
            let words = self.records.record(id)?;
            words[script::KEY].store(key, Ordering::Relaxed);
            let mut record = ScriptRecord { words, line: 0 };
            describe(&mut record);
            let line = COMPLETE | u64::from(record.line);
            words[script::LINE].store(line, Ordering::Release);
            Some(id)
        };
        if self.index.find_or_insert(key, matches, create) == Indexed::Full {
            fetch_add(self.dropped, 1);
        }
    }
}

/// A record that is being filled. Texts are written byte by byte: whoever records has no room for
/// them on the stack.
pub(crate) struct ScriptRecord<'a> {
    words: &'a [AtomicU64; script::WORDS],
    /// Line, counted from 1; 0: it has none.
    pub(crate) line: u32,
}

impl ScriptRecord<'_> {
    /// Takes the source file, as UTF-8.
    pub(crate) fn file(&self) -> impl FnMut(u8) {
        self.text(script::FILE, script::FILE_WORDS)
    }

    /// Takes the function, as UTF-8.
    pub(crate) fn function(&self) -> impl FnMut(u8) {
        self.text(script::FUNCTION, script::FUNCTION_WORDS)
    }

    fn text(&self, first: usize, count: usize) -> impl FnMut(u8) {
        let mut at = 0;
        move |byte| {
            let words = self.words.get(first..first + count).unwrap_or(&[]);
            if let Some(word) = words.get(at / 8) {
                let before = word.load(Ordering::Relaxed);
                let byte = u64::from(byte) << (at % 8 * 8);
                word.store(before | byte, Ordering::Relaxed);
            }
            at += 1;
        }
    }
}
