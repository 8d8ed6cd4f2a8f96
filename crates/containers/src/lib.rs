//! What a container is: which family a table belongs to, by the functions on its call stack or by
//! its shape ([`classify`]), what is in it, by its bytes ([`occupancy`]), and where tables are in
//! memory that nobody prepared ([`finder`]).
//!
//! ```
//! use mapgrow_containers::occupancy::{Block, capacity_of};
//!
//! // std's map asks for 17 * 2^k + 16 bytes when its elements have 16 bytes. The size alone leaves
//! // several numbers of buckets possible; the control bytes then tell which it is.
//! let block = Block::new(17 * 1024 + 16, Some(16), 16).unwrap();
//! assert!(block.shapes().any(|shape| shape.buckets & 1024 != 0));
//! assert_eq!(capacity_of(1024), 896);
//! ```
#![forbid(unsafe_code)]

pub mod classify;
pub mod finder;
pub mod occupancy;
