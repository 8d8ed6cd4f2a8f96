//! The families that are found.

/// Which implementation a table belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FoundFamily {
    /// Rust's `HashMap`, `HashSet`, and all that is built on hashbrown.
    Hashbrown,
    /// `std::unordered_map` and its like of libstdc++.
    LibstdcxxHashtable,
    /// `std::unordered_map` and its like of libc++.
    LibcxxHashtable,
    /// `dict` of CPython.
    CpythonDict,
    /// `set` and `frozenset` of CPython.
    CpythonSet,
    /// Maps of Go since 1.24.
    GoSwissMap,
    /// Maps of Go before.
    GoMap,
    /// `dict` of Redis.
    RedisDict,
    /// Flat and node maps and sets of Abseil.
    AbseilFlat,
}

impl FoundFamily {
    /// As reports write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hashbrown => "hashbrown",
            Self::LibstdcxxHashtable => "libstdcxx_hashtable",
            Self::LibcxxHashtable => "libcxx_hashtable",
            Self::CpythonDict => "cpython_dict",
            Self::CpythonSet => "cpython_set",
            Self::GoSwissMap | Self::GoMap => "go_map",
            Self::RedisDict => "redis_dict",
            Self::AbseilFlat => "abseil_flat",
        }
    }

    /// Whether deleted entries go on taking room.
    #[must_use]
    pub fn keeps_tombstones(self) -> bool {
        !matches!(
            self,
            Self::LibstdcxxHashtable | Self::LibcxxHashtable | Self::GoMap | Self::RedisDict
        )
    }
}
