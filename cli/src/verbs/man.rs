//! `mapgrow man`: man pages, for whoever packages the command.

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  mapgrow man ~/.local/share/man/man1   then `man mapgrow-report`";

/// Where to write them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ManArgs {
    /// The directory: mapgrow.1 and one page for each verb
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Writes the pages.
pub fn run(args: &ManArgs, command: clap::Command) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| Failure::file("write to", &args.directory, &error);
    std::fs::create_dir_all(&args.directory).map_err(cannot)?;
    clap_mangen::generate_to(command, &args.directory).map_err(cannot)
}
