//! The frames of interpreted languages.

use super::records::Words;
use crate::layout::packed::COMPLETE;
use crate::layout::script;

/// A place in the code of an interpreted language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptFrame {
    /// What stacks have for it.
    pub key: u64,
    /// Line, counted from 1; `None` when it has none.
    pub line: Option<u32>,
    /// Source file; where it is very long, its end.
    pub file: String,
    /// Function.
    pub function: String,
}

impl ScriptFrame {
    pub(super) fn read(words: &Words<'_>) -> Option<Self> {
        let (key, line) = (words.get(script::KEY), words.get(script::LINE));
        (line & COMPLETE != 0 && key & script::MARK != 0).then(|| Self {
            key,
            line: Some(line as u32).filter(|&line| line > 0),
            file: words.text(script::FILE, script::FILE_WORDS),
            function: words.text(script::FUNCTION, script::FUNCTION_WORDS),
        })
    }
}
