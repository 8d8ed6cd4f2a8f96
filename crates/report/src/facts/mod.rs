//! What a recording says, resolved.

pub(crate) mod analysis;
pub(crate) mod beyond;
pub(crate) mod blocks;
pub(crate) mod callers;
pub(crate) mod chains;
pub(crate) mod clock;
pub(crate) mod context;
pub(crate) mod elements;
pub(crate) mod evidence;
pub(crate) mod groups;
pub(crate) mod modules;
pub(crate) mod owners;
pub(crate) mod process;
pub(crate) mod relations;
pub(crate) mod replacing;
pub(crate) mod resolve;
pub(crate) mod serials;
pub(crate) mod sets;
pub(crate) mod succession;
pub(crate) mod weight;
