//! Figures whose 0 stands for unknown: JSON has null for them.

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

/// Writes 0 as null.
pub(super) fn serialize<T, S>(value: &T, writer: S) -> Result<S::Ok, S::Error>
where
    T: Serialize + Default + PartialEq,
    S: Serializer,
{
    Some(value)
        .filter(|&value| *value != T::default())
        .serialize(writer)
}

/// Reads null as 0.
pub(super) fn deserialize<'de, T, D>(reader: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(reader)?.unwrap_or_default())
}
