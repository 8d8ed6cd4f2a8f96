//! The messages of `profile.proto`, package `perftools.profiles`, as published with
//! github.com/google/pprof (`proto/profile.proto`). Numbers and meanings are from there.
//!
//! Strings are indices into [`Profile::string_table`], whose first entry is empty.

use prost::Message;

/// A profile: samples, and the tables that they refer to.
#[derive(Clone, PartialEq, Message)]
pub struct Profile {
    /// What the values of each sample are, in order.
    #[prost(message, repeated, tag = "1")]
    pub sample_type: Vec<ValueType>,
    /// The samples.
    #[prost(message, repeated, tag = "2")]
    pub sample: Vec<Sample>,
    /// Mapped objects; the first is the main binary.
    #[prost(message, repeated, tag = "3")]
    pub mapping: Vec<Mapping>,
    /// Places in the code.
    #[prost(message, repeated, tag = "4")]
    pub location: Vec<Location>,
    /// Functions.
    #[prost(message, repeated, tag = "5")]
    pub function: Vec<Function>,
    /// Every string, each once. Bytes: writers exist that put other encodings here.
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub string_table: Vec<Vec<u8>>,
    /// When it was taken, ns since 1970.
    #[prost(int64, tag = "9")]
    pub time_nanos: i64,
    /// How long it covers, ns.
    #[prost(int64, tag = "10")]
    pub duration_nanos: i64,
    /// What is between two samples.
    #[prost(message, optional, tag = "11")]
    pub period_type: Option<ValueType>,
    /// How much of that.
    #[prost(int64, tag = "12")]
    pub period: i64,
    /// Text for people: indices of strings.
    #[prost(int64, repeated, tag = "13")]
    pub comment: Vec<i64>,
    /// The kind of value to show when nobody asks for another.
    #[prost(int64, tag = "14")]
    pub default_sample_type: i64,
}

/// A kind of value and its unit.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct ValueType {
    /// Name.
    #[prost(int64, tag = "1")]
    pub r#type: i64,
    /// Unit, such as `bytes`.
    #[prost(int64, tag = "2")]
    pub unit: i64,
}

/// A call stack with values.
#[derive(Clone, PartialEq, Message)]
pub struct Sample {
    /// Locations by id, the leaf first.
    #[prost(uint64, repeated, tag = "1")]
    pub location_id: Vec<u64>,
    /// One value for each kind.
    #[prost(int64, repeated, tag = "2")]
    pub value: Vec<i64>,
    /// What else is known of it.
    #[prost(message, repeated, tag = "3")]
    pub label: Vec<Label>,
}

/// A property of a sample: a string or a number.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Label {
    /// Name.
    #[prost(int64, tag = "1")]
    pub key: i64,
    /// Value, if it is a string.
    #[prost(int64, tag = "2")]
    pub str: i64,
    /// Value, if it is a number.
    #[prost(int64, tag = "3")]
    pub num: i64,
    /// Unit of the number.
    #[prost(int64, tag = "4")]
    pub num_unit: i64,
}

/// An object that is mapped into the process.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Mapping {
    /// Number, not 0.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// First address.
    #[prost(uint64, tag = "2")]
    pub memory_start: u64,
    /// End of the addresses, exclusive.
    #[prost(uint64, tag = "3")]
    pub memory_limit: u64,
    /// Offset in the file of the first address.
    #[prost(uint64, tag = "4")]
    pub file_offset: u64,
    /// Path.
    #[prost(int64, tag = "5")]
    pub filename: i64,
    /// Build id, hexadecimal.
    #[prost(int64, tag = "6")]
    pub build_id: i64,
    /// Whether the locations in it have functions.
    #[prost(bool, tag = "7")]
    pub has_functions: bool,
    /// Whether the functions have files.
    #[prost(bool, tag = "8")]
    pub has_filenames: bool,
    /// Whether the lines are known.
    #[prost(bool, tag = "9")]
    pub has_line_numbers: bool,
    /// Whether inlined functions are told.
    #[prost(bool, tag = "10")]
    pub has_inline_frames: bool,
}

/// A place in the code: an address and the functions there.
#[derive(Clone, PartialEq, Message)]
pub struct Location {
    /// Number, not 0.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// Mapping by id; 0 when it is not known.
    #[prost(uint64, tag = "2")]
    pub mapping_id: u64,
    /// Address of an instruction in the process.
    #[prost(uint64, tag = "3")]
    pub address: u64,
    /// The innermost inlined function first, the one that the linker knows last.
    #[prost(message, repeated, tag = "4")]
    pub line: Vec<Line>,
}

/// A function at a location.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Message)]
pub struct Line {
    /// Function by id.
    #[prost(uint64, tag = "1")]
    pub function_id: u64,
    /// Line, 0 when it is not known.
    #[prost(int64, tag = "2")]
    pub line: i64,
}

/// A function.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Function {
    /// Number, not 0.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// Name for people.
    #[prost(int64, tag = "2")]
    pub name: i64,
    /// Name as the linker has it.
    #[prost(int64, tag = "3")]
    pub system_name: i64,
    /// Source file.
    #[prost(int64, tag = "4")]
    pub filename: i64,
    /// First line.
    #[prost(int64, tag = "5")]
    pub start_line: i64,
}
