//! The `mapgrow` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    mapgrow_cli::command::main()
}
