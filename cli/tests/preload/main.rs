//! Programs in C and C++ under `mapgrow run`: what the report says of them against what they
//! say of themselves.

mod containers;
mod contents;
mod cost;
mod dumping;
mod families;
mod host;
mod houses;
mod operators;
mod python;
mod reasons;
mod shapes;
mod support;
mod surroundings;
mod users;
mod ways;
