//! `mapgrow serve`: metrics and profiles over HTTP.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::binaries;
use crate::failure::{Failure, plain};
use crate::output;
use crate::quantity;
use crate::serve::{Limits, Targets, serve};

const EXAMPLES: &str = "\
Examples:
  mapgrow serve 4242                           on http://127.0.0.1:9464
  mapgrow serve 4242 4243 --listen [::1]:9000
  go tool pprof http://127.0.0.1:9464/debug/pprof/mapgrow

Pages: /metrics (OpenMetrics), /debug/pprof/mapgrow (containers), /debug/pprof/heap (all blocks),
/healthz, and / which lists the targets. Nothing can be changed through any of them. There is no
password: listen on other than loopback only behind something that has one.";

/// What to serve, and where.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {
    /// Processes, dumps, recordings or saved reports
    #[arg(value_name = "FILE|PID", required = true)]
    sources: Vec<PathBuf>,
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464")]
    listen: SocketAddr,
    /// Places with series of their own, those with the largest peaks; all others share `other`
    #[arg(long, value_name = "N", default_value_t = 100)]
    sites: usize,
    /// Time for which a reading is good, however many ask: `5s`, or `5`
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = quantity::interval)]
    every: Duration,
    /// Connections at a time
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = connections)]
    connections: usize,
    /// A binary to take names from, when its build id is the recorded one; can be repeated
    #[arg(long, value_name = "FILE")]
    binary: Vec<PathBuf>,
}

fn connections(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=10_000) => Ok(count),
        _ => Err("from 1 to 10000".to_owned()),
    }
}

/// Serves until it is interrupted.
pub fn run(args: &ServeArgs) -> Result<(), Failure> {
    let sources = args.sources.iter().map(|path| Some(path.as_path()));
    binaries::check(&args.binary, sources)?;
    let targets = Targets::new(&args.sources, &args.binary, args.every);
    targets.check()?;
    let cannot = |error: std::io::Error| {
        Failure::new(format!(
            "cannot listen on {}: {}; name another with --listen 127.0.0.1:PORT",
            args.listen,
            plain(&error)
        ))
    };
    let listener = TcpListener::bind(args.listen).map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    output::print(&format!("serving on http://{address}/ until interrupted\n"))?;
    let limits = Limits {
        connections: args.connections,
        sites: args.sites,
        loopback: address.ip().is_loopback(),
    };
    match serve(listener, targets, limits) {
        Ok(never) => match never {},
        Err(error) => Err(Failure::new(format!("the server ended: {}", plain(&error)))),
    }
}
