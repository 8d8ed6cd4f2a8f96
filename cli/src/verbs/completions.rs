//! `mapgrow completions`: completion for shells.

use clap::Args;
use clap_complete::Shell;

use crate::failure::Failure;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mapgrow completions bash > ~/.local/share/bash-completion/completions/mapgrow
  mapgrow completions fish > ~/.config/fish/completions/mapgrow.fish";

/// Which shell.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the completion script.
pub fn run(args: &CompletionsArgs, command: &mut clap::Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "mapgrow", &mut script);
    output::write_with(|out| out.write_all(&script))?;
    Ok(())
}
