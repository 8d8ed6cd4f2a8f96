//! What a container is: which family a table belongs to ([`classify`]), and what is in it
//! ([`occupancy`]).
#![forbid(unsafe_code)]

pub mod classify;
pub mod occupancy;
