/// An object that addresses of a recording lie in, as the recording tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// First mapped address.
    pub start: u64,
    /// End of the mapped addresses, exclusive.
    pub end: u64,
    /// Load bias: mapped address minus the address in the file's own tables.
    pub bias: u64,
    /// Build id, empty when the object has none.
    pub build_id: Vec<u8>,
    /// Path as the loader knew it.
    pub path: String,
}
