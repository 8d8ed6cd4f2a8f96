//! Loaded objects.

/// An object that was loaded while the recording was made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct LoadedModule {
    /// Path as the loader knew it.
    pub path: String,
    /// Build id, hexadecimal; `None` when the object has none.
    pub build_id: Option<String>,
    /// First mapped address.
    pub start_address: u64,
    /// End of the mapped addresses, exclusive.
    pub end_address: u64,
}
