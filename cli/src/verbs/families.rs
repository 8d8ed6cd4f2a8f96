//! `mapgrow families`: the table of containers that are known by their functions, and what the
//! user adds to it.

use std::io::Read;
use std::path::Path;

use mapgrow_containers::classify::{catalogue, table};

use crate::failure::Failure;
use crate::load;
use crate::output;

/// The variable that names a file to add.
const VARIABLE: &str = "MAPGROW_FAMILIES";

/// Most bytes of such a file.
const MOST_BYTES: u64 = 1 << 20;

/// What stands below the options.
pub const HELP: &str = "\
MAPGROW_FAMILIES=FILE adds what a file of the same form says, before all others:

  family my_map              the name in reports
      container map          map, vector or tree
      table my_map_grow      asks for the memory of a table
      resize my_map_grow     a whole resize happens within it (last part of its name)
      own my_map_insert      other code of the container
      caller my_map_insert   one must be on the stack, where the names above are common words
      moves step by step     a resize goes on over many calls
  plumbing my_alloc          only hands requests on to the allocator

One pattern to a line: `a::b::` is a prefix, `*::name` any function of that name, `name_*` any C
function that starts so, anything else the whole name, without parameters and template arguments.";

/// Prints the table.
pub fn run() -> Result<(), Failure> {
    output::print(&table::print(catalogue::families(), catalogue::plumbing()))
}

/// Adds what the user's file says.
pub fn extend() -> Result<(), Failure> {
    match std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        Some(path) => add(Path::new(&path)),
        None => Ok(()),
    }
}

fn add(path: &Path) -> Result<(), Failure> {
    let mut text = String::new();
    // Whatever the variable names, this does not block.
    load::open(path, false, true)
        .and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text))
        .map_err(|error| Failure::file("read", path, &error))?;
    catalogue::add(&text).map_err(|error| {
        Failure::new(format!(
            "{VARIABLE}={}, {error}; `mapgrow families --help` shows what it may say",
            path.display()
        ))
    })
}
