//! Words from fixed lists, and reading them back.

/// A word from a fixed list, such as the name of a family.
pub type Word = &'static str;

#[cfg(feature = "json")]
pub(super) use read::{maybe_word, word};

#[cfg(feature = "json")]
mod read {
    use super::Word;
    use serde::de::{Deserialize, Deserializer, Error};
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    /// Words kept at most: a forged report must not make the process grow.
    const MOST_WORDS: usize = 256;
    /// Bytes of a word at most.
    const MOST_BYTES: usize = 64;

    /// Every word met so far. Reports of other versions may use words that this one does not.
    static MET: Mutex<BTreeSet<Word>> = Mutex::new(BTreeSet::new());

    fn keep<E: Error>(text: &str) -> Result<Word, E> {
        let mut met = MET.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(word) = met.get(text) {
            return Ok(word);
        }
        if met.len() == MOST_WORDS || text.len() > MOST_BYTES {
            return Err(E::custom(format!(
                "{:?} is no word of a report",
                text.chars().take(MOST_BYTES).collect::<String>()
            )));
        }
        let word: Word = Box::leak(text.into());
        met.insert(word);
        Ok(word)
    }

    /// Reads a word.
    pub(in super::super) fn word<'de, D: Deserializer<'de>>(reader: D) -> Result<Word, D::Error> {
        keep(&String::deserialize(reader)?)
    }

    /// Reads a word that may not be known.
    pub(in super::super) fn maybe_word<'de, D: Deserializer<'de>>(
        reader: D,
    ) -> Result<Option<Word>, D::Error> {
        Option::<String>::deserialize(reader)?
            .map(|text| keep(&text))
            .transpose()
    }
}
