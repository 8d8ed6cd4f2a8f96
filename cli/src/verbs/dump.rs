//! `mapgrow dump`: a copy of a live recording, taken from outside.

use std::path::PathBuf;

use clap::Args;
use mapgrow_format::layout::header;
use mapgrow_system::headroom;

use crate::directory::write_new;
use crate::failure::Failure;
use crate::holder::Life;
use crate::now::Now;
use crate::readings;
use crate::source::calibrate;
use crate::{dumps, load, output, recordings};

const EXAMPLES: &str = "\
Examples:
  mapgrow dump 4242                  into the directory for dumps; prints the path
  mapgrow dump 4242 -o before.mapgrow";

/// Whose recording to copy.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DumpArgs {
    /// The process
    #[arg(value_name = "PID")]
    pid: u32,
    /// Where to put the copy; nothing is overwritten
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Copies the recording and prints where.
pub fn run(args: &DumpArgs) -> Result<(), Failure> {
    let live = recordings::of_process(args.pid, false)?;
    let mut packed = load::read_packed(&live.file, &live.path)?;
    calibrate(&mut packed, &live);
    if live.life == Life::Running {
        // Without the right to read its memory the copy lacks what its maps hold.
        readings::read_into(&mut packed, &live);
        load::set_words(&mut packed, &headroom::of(Some(args.pid)).encode());
        let ticks = Now::read(&live.header).map_or(0, |now| now.ticks);
        load::set_words(
            &mut packed,
            &[
                (header::DUMP_REASON, header::REASON_OUTSIDE),
                (header::DUMP_TICKS, ticks),
            ],
        );
    }
    // Refuses what was caught half set up.
    load::parse(packed.clone(), &live.path)?;
    let path = match &args.output {
        None => dumps::write(&live.header.program(), args.pid, &packed, None)?,
        Some(path) => {
            write_new(path, &packed).map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => Failure::new(format!(
                    "{} is there already and mapgrow overwrites nothing: choose another name",
                    path.display()
                )),
                _ => Failure::file("write", path, &error),
            })?;
            path.clone()
        }
    };
    output::print(&format!("{}\n", path.display()))?;
    Ok(())
}
