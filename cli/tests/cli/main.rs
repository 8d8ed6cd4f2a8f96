//! The whole command, and its symbolizer, from outside.

mod binary;
mod builds;
mod files;
mod fleet;
mod gates;
mod go_profile;
mod identity;
mod looking;
mod looking_abroad;
mod looking_deep;
mod looking_families;
mod looking_nodes;
mod looking_owners;
mod looking_page;
mod looking_watch;
mod pages;
mod place;
mod processes;
mod profiles;
mod recorded;
mod serving;
mod symbols;
mod terminal;
mod users;
mod verify;
