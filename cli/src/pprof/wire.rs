//! The fields of a message, one after the other: reading a profile piece by piece takes no more
//! memory than its pieces, whatever their number says.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// A field of a message.
pub enum Field<'a> {
    /// A number.
    Number(u32, u64),
    /// Bytes: a message, a string or packed numbers.
    Bytes(u32, &'a [u8]),
}

/// Calls `each` with every number and every run of bytes of a message, in order.
///
/// # Errors
/// A sentence, when the bytes are no message, or the first that `each` gives.
pub fn fields<'a>(
    mut message: &'a [u8],
    mut each: impl FnMut(Field<'a>) -> Result<(), String>,
) -> Result<(), String> {
    let broken = |error: prost::DecodeError| format!("it breaks off or is damaged ({error})");
    while !message.is_empty() {
        let (number, wire_type) = decode_key(&mut message).map_err(broken)?;
        match wire_type {
            WireType::Varint => {
                let value = decode_varint(&mut message).map_err(broken)?;
                each(Field::Number(number, value))?;
            }
            WireType::LengthDelimited => {
                let length = decode_varint(&mut message).map_err(broken)?;
                let bytes = usize::try_from(length)
                    .ok()
                    .and_then(|length| message.split_at_checked(length));
                let Some((bytes, rest)) = bytes else {
                    return Err(format!(
                        "it breaks off: {length} bytes are announced where {} are left",
                        message.len()
                    ));
                };
                message = rest;
                each(Field::Bytes(number, bytes))?;
            }
            _ => skip_field(wire_type, number, &mut message, DecodeContext::default())
                .map_err(broken)?,
        }
    }
    Ok(())
}
