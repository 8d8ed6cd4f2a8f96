//! Resizes told from rebuilds, and families without names.
