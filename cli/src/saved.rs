//! Reports that were saved as JSON: `mapgrow report --json`, `mapgrow merge -o`.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use mapgrow_report::{Report, VERSION};

use crate::failure::Failure;
use crate::load;

/// No saved report is larger.
const MOST_BYTES: u64 = 1 << 30;

/// What every saved report tells before anything else is believed.
#[derive(serde::Deserialize)]
struct Head {
    format: String,
    version: u32,
}

/// Opens a saved report; `None` when the file is something else than JSON.
pub fn open(path: &Path) -> Result<Option<Report>, Failure> {
    let cannot = |error: std::io::Error| load::open_failure(path, &error);
    let mut file = load::open(path, false, true).map_err(cannot)?;
    if !begins_like_json(&mut file).map_err(cannot)? {
        return Ok(None);
    }
    if file.metadata().map_err(cannot)?.len() > MOST_BYTES {
        return Err(Failure::new(format!(
            "{} is larger than any saved report: give the recording itself",
            path.display()
        )));
    }
    let broken = |error: serde_json::Error| {
        Failure::new(format!(
            "cannot read {} as a report: {error}; save it again with `mapgrow report --json`",
            path.display()
        ))
    };
    // Twice over the text, not over a tree of it: a report of many maps is large.
    let head: Head = serde_json::from_reader(BufReader::new(&file)).map_err(broken)?;
    if head.format != "mapgrow-report" {
        return Err(Failure::new(format!(
            "{} is JSON, but no report: its format is {:?}; save one with `mapgrow report --json`",
            path.display(),
            head.format.chars().take(40).collect::<String>()
        )));
    }
    if head.version > VERSION {
        return Err(Failure::new(format!(
            "{} is a report of version {}, this mapgrow reads up to {VERSION}: update mapgrow",
            path.display(),
            head.version
        )));
    }
    file.rewind().map_err(cannot)?;
    serde_json::from_reader(BufReader::new(&file))
        .map(Some)
        .map_err(broken)
}

/// Whether a file looks like a saved report.
pub fn is_json(path: &Path) -> bool {
    let looked_at = load::open(path, false, true).and_then(|mut file| begins_like_json(&mut file));
    looked_at.unwrap_or(false)
}

fn begins_like_json(file: &mut File) -> std::io::Result<bool> {
    let mut start = [0; 64];
    let count = file.read(&mut start)?;
    file.rewind()?;
    let first = start[..count]
        .iter()
        .find(|byte| !byte.is_ascii_whitespace());
    Ok(first == Some(&b'{'))
}
