//! Whether the program is in a sandbox, and whether that is known.

pub(crate) use mapgrow_system::sandbox::entered;

/// Whether the recorder sees the calls by which a program enters one. Where it does not, it must
/// make do with what any sandbox allows whenever it records a block.
pub(crate) const SEEN: bool = cfg!(all(feature = "preload", target_arch = "x86_64"));
