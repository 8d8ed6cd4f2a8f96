//! Programs below the command that no library can be loaded into, or that were started without it.
//!
//! They leave no recording that would tell of them, so whoever starts a Go server from a script
//! would be left without a word. `/proc` is looked at now and then instead: what ends between two
//! looks is missed.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::program::{self, Blind};
use crate::proc;

/// Programs looked into, at most: a build may run thousands that it has just made.
const MOST_PROGRAMS: usize = 1024;
/// Processes whose environment is looked at, at most.
const MOST_ENVIRONMENTS: usize = 1 << 16;
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
#[derive(Debug)]
pub struct Unseen {
    /// The library that they should have loaded, if the command was told to.
    library: Option<PathBuf>,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    programs: HashMap<PathBuf, Option<Blind>>,
    /// Users with whose rights they were seen to run.
    users: HashSet<u32>,
    /// Processes, and their programs, whose environment was looked at.
    environments: HashSet<(u32, PathBuf)>,
    /// The first process of each program, in the order in which they were found.
    processes: Vec<UnseenProcess>,
}

impl Unseen {
    /// Nothing yet.
    pub fn new(library: Option<PathBuf>) -> Unseen {
        Unseen {
            library,
            found: Mutex::default(),
        }
    }

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
            family.extend(proc::children(pid));
            found.users.extend(proc::user(pid));
            if let Some(path) = proc::executable(pid) {
                found.note(pid, path, self.library.as_deref());
            }
        }
    }

    /// The users with whose rights the processes were seen to run.
    pub fn users(&self) -> HashSet<u32> {
        match self.found.lock() {
            Ok(found) => found.users.clone(),
            Err(poisoned) => poisoned.into_inner().users.clone(),
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
    fn note(&mut self, pid: u32, path: PathBuf, library: Option<&Path>) {
        let blind = match self.programs.get(&path) {
            // Told of before, for this process or another.
            Some(Some(_)) => return,
            Some(None) => self.started_without(pid, &path, library),
            None if self.programs.len() == MOST_PROGRAMS => return,
            None => {
                // Below the command they run with the library, behind its back.
                let sanitizer = |blind: &Blind| matches!(blind, Blind::Sanitizer(_));
                let blind = program::inspect_binary(&path).filter(|blind| !sanitizer(blind));
                blind.or_else(|| self.started_without(pid, &path, library))
            }
        };
        if let Some(blind) = blind {
            self.processes.push(UnseenProcess {
                pid,
                program: name(&path),
                blind,
            });
        }
        self.programs.insert(path, blind);
    }

    /// Whether a process could load the library and was not told to.
    fn started_without(&mut self, pid: u32, path: &Path, library: Option<&Path>) -> Option<Blind> {
        let library = library?;
        let key = (pid, path.to_owned());
        if self.environments.contains(&key) || self.environments.len() == MOST_ENVIRONMENTS {
            return None;
        }
        self.environments.insert(key);
        let environment = proc::environment(pid)?;
        let preload = environment.variable("LD_PRELOAD");
        let blind = program::inspect_preload(preload, library)?;
        // Some write their title over their environment: what is loaded, was told to be.
        let loaded = blind != Blind::Behind && proc::maps(pid, library)?;
        // It may have become another program meanwhile.
        let same = proc::executable(pid).as_deref() == Some(path);
        (same && !loaded).then_some(blind)
    }
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}
