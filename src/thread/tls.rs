//! Where a thread's [`Hot`](super::Hot) lies, and its countdowns. Every file below has the same
//! names.

#[cfg(all(
    target_arch = "x86_64",
    target_os = "linux",
    any(target_env = "gnu", feature = "preload"),
    not(miri)
))]
#[path = "tls/initial_exec.rs"]
mod chosen;
#[cfg(not(all(
    target_arch = "x86_64",
    target_os = "linux",
    any(target_env = "gnu", feature = "preload"),
    not(miri)
)))]
#[path = "tls/standard.rs"]
mod chosen;

#[cfg(feature = "preload")]
pub(crate) use chosen::frees_pass;
pub(crate) use chosen::{HOT, count_allocated, count_freed, count_table};
