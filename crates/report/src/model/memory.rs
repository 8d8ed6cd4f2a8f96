//! What a process can still have.

use mapgrow_format::headroom::{Headroom, Limiter};

/// What keeps a process from having more memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum LeftUnder {
    /// The limit of a control group: who exceeds it is killed.
    ControlGroup,
    /// `RLIMIT_AS`: a larger allocation fails.
    AddressSpace,
    /// The memory of the machine: somebody is killed.
    Machine,
}

/// What a process could still have when it was recorded. `None`: no limit, or not known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Memory {
    /// Bytes left, by what leaves least.
    pub left_bytes: u64,
    /// What that is.
    pub left_under: LeftUnder,
    /// Limit of the control group, of those around the process, that leaves least.
    pub cgroup_limit_bytes: Option<u64>,
    /// Of that, in use, without page cache that would be given back.
    pub cgroup_used_bytes: Option<u64>,
    /// `RLIMIT_AS`.
    pub address_space_limit_bytes: Option<u64>,
    /// Address space in use.
    pub address_space_used_bytes: Option<u64>,
    /// What the machine has available without swapping.
    pub machine_left_bytes: Option<u64>,
}

impl Memory {
    /// From what was read of a process; `None` where no limit is known.
    #[must_use]
    pub fn of(headroom: &Headroom) -> Option<Self> {
        let (limiter, left_bytes) = headroom.left()?;
        let (group, space) = (headroom.control_group, headroom.address_space);
        Some(Self {
            left_bytes,
            left_under: match limiter {
                Limiter::ControlGroup => LeftUnder::ControlGroup,
                Limiter::AddressSpace => LeftUnder::AddressSpace,
                Limiter::Machine => LeftUnder::Machine,
            },
            cgroup_limit_bytes: group.map(|bound| bound.limit),
            cgroup_used_bytes: group.map(|bound| bound.used),
            address_space_limit_bytes: space.map(|bound| bound.limit),
            address_space_used_bytes: space.map(|bound| bound.used),
            machine_left_bytes: headroom.machine,
        })
    }
}
