//! A process that runs, looked at once or again and again.

use std::collections::HashMap;

use mapgrow_containers::finder::{Finding, Searched, find_again};
use mapgrow_system::headroom;

use super::mapped::Live;
use super::memory::ProcessRegions;
use super::model::{Known, Look};
use super::owner::Owner;
use super::process::Process;
use super::refusal::{self, Identity};
use super::{GROUP, Wanted, known, resident, searched};
use crate::failure::Failure;

/// A process that runs.
pub struct Running {
    pid: u32,
    identity: Identity,
    /// What was found so far.
    known: Option<Finding>,
    /// Whose the tables are, by their header.
    owners: HashMap<u64, Owner>,
}

impl Running {
    /// Process `pid`. Fails when there is nothing to look at.
    pub fn of(pid: u32) -> Result<Running, Failure> {
        Ok(Running {
            pid,
            identity: refusal::check(pid)?,
            known: None,
            owners: HashMap::new(),
        })
    }

    /// Looks at all of its memory.
    pub fn search(&mut self, wanted: Wanted) -> Result<Look, Failure> {
        let memory = self.memory()?;
        let finding = searched(&memory, memory.regions(), GROUP);
        let swapped = memory.swapped();
        let mapped = Live::of(self.pid);
        let process = Process::live(self.pid);
        let within = (&memory as &dyn Searched, memory.regions());
        let known = known(&process, &mapped, within, &finding, wanted);
        self.owners = (finding.tables.iter().zip(&known.owners))
            .filter_map(|(found, owner)| Some((found.header, owner.clone()?)))
            .collect();
        let resident = resident::resident(self.pid, &memory, &finding);
        let mut look = self.look(finding, known, wanted.most)?;
        look.resident = resident;
        look.honesty.bytes_swapped = swapped;
        Ok(look)
    }

    /// Looks at the maps that the last look found, and nothing else.
    pub fn again(&mut self, most: usize) -> Result<Look, Failure> {
        let Some(known) = self.known.take() else {
            return self.search(Wanted { most, deep: false });
        };
        let memory = self.memory()?;
        let finding = find_again(&memory, memory.regions(), GROUP, known);
        let owners = (finding.tables.iter())
            .map(|found| self.owners.get(&found.header).cloned())
            .collect();
        let known = Known {
            owners,
            ..Known::default()
        };
        self.look(finding, known, most)
    }

    fn memory(&self) -> Result<ProcessRegions, Failure> {
        let memory =
            ProcessRegions::of(self.pid).map_err(|error| refusal::unreadable(self.pid, &error))?;
        refusal::readable(self.pid, &memory)?;
        Ok(memory)
    }

    fn look(&mut self, finding: Finding, known: Known, most: usize) -> Result<Look, Failure> {
        refusal::still(self.pid, &self.identity)?;
        let left = headroom::of(Some(self.pid));
        let look = Look::new(Process::live(self.pid), &finding, known, &left, most);
        self.known = Some(finding);
        Ok(look)
    }
}
