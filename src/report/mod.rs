//! From a recording to answers: the model that the command, the in-process API and the test
//! assertions share. Depends on the recording's reader alone, never on the recorder.

pub mod symbols;
