//! Programs below the command that no library can be loaded into.
//!
//! They leave no recording that would tell of them, so whoever starts a Go server from a script
//! would be left without a word. `/proc` is looked at now and then instead: what ends between two
//! looks is missed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::program::{self, Blind};
use crate::process;

/// Programs looked into, at most: a build may run thousands that it has just made.
const MOST_PROGRAMS: usize = 1024;
/// Processes looked at each time, at most.
const MOST_PROCESSES: usize = 4096;

/// A process that cannot be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnseenProcess {
    /// Process id.
    pub pid: u32,
    /// Name of its program.
    pub program: String,
    /// Why.
    pub blind: Blind,
}

/// What was found so far.
#[derive(Debug, Default)]
pub struct Unseen {
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    programs: HashMap<PathBuf, Option<Blind>>,
    /// The first process of each program, in the order in which they were found.
    processes: Vec<UnseenProcess>,
}

impl Unseen {
    /// Looks at the command's process and all below it.
    pub fn look(&self, main: u32) {
        let mut found = match self.found.lock() {
            Ok(found) => found,
            Err(poisoned) => poisoned.into_inner(),
        };
        let mut family = vec![main];
        let mut at = 0;
        while let Some(&pid) = family.get(at).filter(|_| at < MOST_PROCESSES) {
            at += 1;
            family.extend(process::children(pid));
            if let Some(path) = process::executable(pid) {
                found.note(pid, path);
            }
        }
    }

    /// All that was found, the first process of each program.
    pub fn processes(&self) -> Vec<UnseenProcess> {
        match self.found.lock() {
            Ok(found) => found.processes.clone(),
            Err(poisoned) => poisoned.into_inner().processes.clone(),
        }
    }
}

impl Found {
    fn note(&mut self, pid: u32, path: PathBuf) {
        if self.programs.contains_key(&path) || self.programs.len() == MOST_PROGRAMS {
            return;
        }
        let blind = program::inspect_binary(&path);
        if let Some(blind) = blind {
            self.processes.push(UnseenProcess {
                pid,
                program: name(&path),
                blind,
            });
        }
        self.programs.insert(path, blind);
    }
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}
