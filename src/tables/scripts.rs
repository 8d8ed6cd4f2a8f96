//! Frames of interpreted languages: where in which function a stack leads through their code.

use super::index::{Index, Indexed};
use crate::pool::{Commit, Pool, word};
use crate::sync::{AtomicU64, Ordering, fetch_add};
use mapgrow_format::layout::packed::COMPLETE;
use mapgrow_format::layout::{header, region, script};

/// What is recorded of a frame when it is first seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScriptText<'t> {
    /// Line, counted from 1; 0: it has none.
    pub(crate) line: u32,
    /// Source file, as UTF-8.
    pub(crate) file: &'t [u8],
    /// Function, as UTF-8.
    pub(crate) function: &'t [u8],
}

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
                word(header, header::SCRIPT_COUNT)?,
                records,
                region::SCRIPTS,
                commit,
            ),
            index: Index::new(index, region::SCRIPT_INDEX, commit),
            dropped: word(header, header::SCRIPTS_DROPPED)?,
        })
    }

    /// Makes sure that the frame with this key is on record. `tell` is asked for what it is only
    /// when it was not, and calls what it is given with it.
    pub(crate) fn note(&self, key: u64, tell: impl FnOnce(&mut dyn FnMut(&ScriptText<'_>))) {
        let matches = |id: u32| {
            let record = self.records.record(id);
            record.is_some_and(|record| record[script::KEY].load(Ordering::Relaxed) == key)
        };
        let create = || {
            let id = self.records.take(1)?;
            let record = self.records.record(id)?;
            record[script::KEY].store(key, Ordering::Relaxed);
            tell(&mut |text| write(record, text));
            Some(id)
        };
        if self.index.find_or_insert(key, matches, create) == Indexed::Full {
            fetch_add(self.dropped, 1);
        }
    }
}

/// Writes a record, and says that it is complete.
fn write(record: &[AtomicU64; script::WORDS], text: &ScriptText<'_>) {
    let store = |first: usize, words: usize, bytes: &[u8]| {
        for (word, chunk) in record.iter().skip(first).take(words).zip(bytes.chunks(8)) {
            let mut padded = [0u8; 8];
            padded
                .iter_mut()
                .zip(chunk)
                .for_each(|(to, from)| *to = *from);
            word.store(u64::from_le_bytes(padded), Ordering::Relaxed);
        }
    };
    store(script::FILE, script::FILE_WORDS, text.file);
    store(script::FUNCTION, script::FUNCTION_WORDS, text.function);
    record[script::LINE].store(COMPLETE | u64::from(text.line), Ordering::Release);
}
