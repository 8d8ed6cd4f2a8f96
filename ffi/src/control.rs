//! The C API: see `include/mapgrow.h`.
