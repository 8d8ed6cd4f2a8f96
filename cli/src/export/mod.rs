//! Reports as columnar files, for engines that query many of them.

mod columns;
mod tables;

use std::path::{Path, PathBuf};

use mapgrow_report::merge::Part;

use crate::failure::Failure;
use columns::Writer;
use tables::In;

/// Writes `processes`, `sites`, `maps` and `events` as Parquet files; the paths.
pub fn export(parts: &[Part], directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    std::fs::create_dir_all(directory)
        .map_err(|error| Failure::file("create", directory, &error))?;
    let path = |name: &str| directory.join(format!("{name}.parquet"));
    let paths = ["processes", "sites", "maps", "events"].map(path);
    let mut processes = Writer::create(&paths[0], tables::processes())?;
    let mut sites = Writer::create(&paths[1], tables::sites())?;
    let mut maps = Writer::create(&paths[2], tables::maps())?;
    let mut events = Writer::create(&paths[3], tables::events())?;
    for part in parts {
        processes.write(&[In {
            part,
            row: &part.report,
        }])?;
        sites.write(&In::all(part, &part.report.sites))?;
        maps.write(&In::all(part, &part.report.maps))?;
        events.write(&In::all(part, &part.report.timeline))?;
    }
    processes.finish()?;
    sites.finish()?;
    maps.finish()?;
    events.finish()?;
    Ok(paths.to_vec())
}
