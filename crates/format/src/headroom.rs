//! How much more memory a process can have, as a recording keeps it in its header.

use crate::layout::header;

/// A limit, and how much of it is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Bytes allowed.
    pub limit: u64,
    /// Bytes in use.
    pub used: u64,
}

impl Bound {
    /// Bytes that can still be had.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// What keeps a process from having more memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limiter {
    /// A control group: who exceeds it is killed.
    ControlGroup,
    /// `RLIMIT_AS`: a larger allocation fails.
    AddressSpace,
    /// The memory of the machine: somebody is killed.
    Machine,
}

/// How much more memory a process can have. `None` where there is no limit, or it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Headroom {
    /// The control group that leaves least.
    pub control_group: Option<Bound>,
    /// The limit of the process' address space.
    pub address_space: Option<Bound>,
    /// Bytes that the machine has available without swapping.
    pub machine: Option<u64>,
}

impl Headroom {
    /// What leaves least, and how much.
    #[must_use]
    pub fn left(&self) -> Option<(Limiter, u64)> {
        let bound = |limiter, bound: Option<Bound>| bound.map(|bound| (limiter, bound.left()));
        [
            bound(Limiter::ControlGroup, self.control_group),
            bound(Limiter::AddressSpace, self.address_space),
            self.machine.map(|left| (Limiter::Machine, left)),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|&(_, left)| left)
    }

    /// Words of a recording's header, and their values.
    #[must_use]
    pub fn encode(&self) -> [(usize, u64); 5] {
        let limit = |bound: Option<Bound>| bound.map_or(0, |bound| bound.limit);
        let used = |bound: Option<Bound>| bound.map_or(0, |bound| bound.used);
        [
            (header::CGROUP_LIMIT, limit(self.control_group)),
            (header::CGROUP_USED, used(self.control_group)),
            (header::ADDRESS_LIMIT, limit(self.address_space)),
            (header::ADDRESS_USED, used(self.address_space)),
            (header::MACHINE_LEFT, self.machine.unwrap_or(0)),
        ]
    }

    /// From the words of a recording's header.
    #[must_use]
    pub fn decode(word: impl Fn(usize) -> u64) -> Self {
        let bound = |limit: usize, used: usize| {
            let limit = word(limit);
            (limit > 0).then(|| Bound {
                limit,
                used: word(used),
            })
        };
        Self {
            control_group: bound(header::CGROUP_LIMIT, header::CGROUP_USED),
            address_space: bound(header::ADDRESS_LIMIT, header::ADDRESS_USED),
            machine: Some(word(header::MACHINE_LEFT)).filter(|&left| left > 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_survives_being_stored() {
        let bound = |limit, used| Some(Bound { limit, used });
        let headroom = Headroom {
            control_group: bound(1 << 30, 5 << 20),
            address_space: None,
            machine: Some(1 << 33),
        };
        let words = headroom.encode();
        let word = |at: usize| words.iter().find(|word| word.0 == at).expect("a word").1;
        assert_eq!(Headroom::decode(word), headroom);
        assert_eq!(
            headroom.left(),
            Some((Limiter::ControlGroup, (1 << 30) - (5 << 20)))
        );
        assert_eq!(Headroom::decode(|_| 0), Headroom::default());
    }
}
