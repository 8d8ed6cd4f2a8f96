//! A family goes in; what to call comes out, in the words of its language.

/// The methods of a family. `None` where it has none for it.
pub(crate) struct Methods {
    /// Room from the start; `N` stands for the number. Where there is no such call, nobody is
    /// told to make a container larger at once.
    pub create: Option<&'static str>,
    /// Gives back room.
    pub shrink: Option<&'static str>,
    /// Fills a new one with the entries of the old.
    pub rebuild: &'static str,
    /// Empties it and keeps its table.
    pub clear: &'static str,
    /// Other hashes to take.
    pub hash: &'static str,
}

impl Methods {
    /// `with_capacity(4096)`.
    pub fn create_for(&self, entries: u64) -> Option<String> {
        Some(self.create?.replace('N', &entries.to_string()))
    }
}

const RUST: Methods = Methods {
    create: Some("with_capacity(N)"),
    shrink: Some("shrink_to_fit()"),
    rebuild: "map = std::mem::take(&mut map).into_iter().collect()",
    clear: "clear()",
    hash: "RandomState, foldhash or ahash",
};
const CPP_MAP: Methods = Methods {
    create: Some("reserve(N)"),
    shrink: Some("rehash(0)"),
    rebuild: "map = Map(map.begin(), map.end())",
    clear: "clear()",
    hash: "a hash that mixes all bits of the key",
};
/// It has no room from the start, and what `shrink_to_fit` gives back is hardly ever more than a
/// part of its array of pointers: a block goes as soon as it is empty.
const CPP_DEQUE: Methods = Methods {
    clear: "clear()",
    ..OTHER
};
const CPP_VECTOR: Methods = Methods {
    shrink: Some("shrink_to_fit()"),
    ..CPP_MAP
};
const OTHER: Methods = Methods {
    create: None,
    shrink: None,
    rebuild: "fill a new one with its entries",
    clear: "empty it",
    hash: "a hash that mixes all bits of the key",
};
const QT: Methods = Methods {
    shrink: Some("squeeze()"),
    ..CPP_MAP
};
const SPARSEHASH: Methods = Methods {
    create: Some("resize(N)"),
    shrink: Some("resize(0)"),
    ..CPP_MAP
};
const KHASH: Methods = Methods {
    create: Some("kh_resize(name, h, N)"),
    ..OTHER
};
const GO: Methods = Methods {
    create: Some("make(map[K]V, N)"),
    clear: "clear()",
    ..OTHER
};
const PYTHON: Methods = Methods {
    rebuild: "d = dict(d)",
    shrink: Some("d = dict(d)"),
    ..OTHER
};
const PYTHON_SET: Methods = Methods {
    rebuild: "s = set(s)",
    shrink: Some("s = set(s)"),
    ..OTHER
};
/// What nobody knows by name: the program's own.
const OWN: Methods = Methods {
    create: Some("a table for N entries"),
    ..OTHER
};
const REDIS: Methods = Methods {
    create: Some("dictExpand(d, N)"),
    shrink: Some("dictResize(d)"),
    ..OTHER
};
const PERL: Methods = Methods {
    create: Some("keys(%h) = N"),
    ..OTHER
};
const LUA: Methods = Methods {
    create: Some("lua_createtable(L, 0, N)"),
    ..OTHER
};

/// Whether it is a deque: an array of pointers to blocks, which is neither a vector nor a map.
pub(crate) fn is_deque(family: Option<&str>) -> bool {
    family.is_some_and(|name| name.ends_with("_deque"))
}

/// Those of a family.
pub(crate) fn of(family: Option<&str>) -> &'static Methods {
    match family.unwrap_or_default() {
        "hashbrown" | "raw_vec" | "smallvec" => &RUST,
        "cpython_dict" => &PYTHON,
        "cpython_set" => &PYTHON_SET,
        "unknown_container" => &OWN,
        "go_map" => &GO,
        "redis_dict" => &REDIS,
        "perl_hash" => &PERL,
        "lua_table" => &LUA,
        _ if is_deque(family) => &CPP_DEQUE,
        name if name.ends_with("_vector") => &CPP_VECTOR,
        "libstdcxx_string" | "libcxx_string" => &CPP_VECTOR,
        name if name.starts_with("libstdcxx") || name.starts_with("libcxx") => &CPP_MAP,
        "abseil_flat" | "boost_unordered" | "phmap" | "ska_flat" | "robin_hood"
        | "ankerl_dense" | "tsl_robin" | "tsl_hopscotch" | "tsl_ordered" => &CPP_MAP,
        "emhash" => &CPP_VECTOR,
        "qt_hash" | "qt_array" => &QT,
        "dense_hash_map" | "sparse_hash_map" => &SPARSEHASH,
        "khash" => &KHASH,
        _ => &OTHER,
    }
}

/// What the blocks of a container are that has no tables: all of them, and one.
pub(crate) fn parts(family: Option<&str>) -> (&'static str, &'static str) {
    match family {
        Some("arena") => ("buffers", "buffer"),
        _ => ("nodes", "node"),
    }
}
