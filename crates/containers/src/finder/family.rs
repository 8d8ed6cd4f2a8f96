//! The families that are found.

use super::{boost, glib, ruby};

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
    /// `unordered_flat_map` and `unordered_flat_set` of Boost.
    BoostFlat,
    /// `GHashTable` of GLib.
    GlibHashTable,
    /// Tables of klib's `khash`.
    Khash,
    /// `st_table` of Ruby.
    RubyStTable,
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
            Self::BoostFlat => "boost_flat",
            Self::GlibHashTable => "glib_hash_table",
            Self::Khash => "khash",
            Self::RubyStTable => "ruby_st_table",
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

    /// Whether each entry has a block of its own that is followed ([`nodes`](super::nodes())).
    #[must_use]
    pub fn has_nodes(self) -> bool {
        matches!(self, Self::LibstdcxxHashtable | Self::LibcxxHashtable)
    }

    /// So far behind its beginning a header is noticed: from there on it has addresses.
    pub(super) fn noticed_at(self) -> u64 {
        match self {
            Self::GlibHashTable => glib::BEFORE,
            Self::RubyStTable => ruby::BEFORE,
            Self::BoostFlat => boost::BEFORE,
            _ => 0,
        }
    }
}
