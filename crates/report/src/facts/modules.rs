//! An address and its moment go in, the loaded object that it belonged to comes out.

use crate::model::LoadedModule;
use crate::symbols::Module;
use mapgrow_format::reader::Recording;
use std::sync::Arc;

/// Objects considered. Recorders keep fewer; the bound keeps the index small.
const MAX_MODULES: usize = 2048;

/// Loaded objects, searchable by address and by how many were known at the time.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    modules: Vec<Option<Module>>,
    /// The path of each, for those who keep it.
    paths: Vec<Option<Arc<str>>>,
    /// First address of each run of addresses that the same objects covered, ascending.
    starts: Vec<u64>,
    /// Those objects, in the order in which they were met.
    covering: Vec<Vec<u16>>,
}

impl Modules {
    pub fn new(modules: impl Iterator<Item = Option<Module>>) -> Self {
        let modules: Vec<_> = modules.take(MAX_MODULES).collect();
        let known = || {
            modules
                .iter()
                .enumerate()
                .filter_map(|(i, m)| Some((i, m.as_ref()?)))
        };
        let mut starts: Vec<u64> = known().flat_map(|(_, m)| [m.start, m.end]).collect();
        starts.sort_unstable();
        starts.dedup();
        let mut covering = vec![Vec::new(); starts.len()];
        for (index, module) in known() {
            let first = starts.partition_point(|&start| start < module.start);
            let end = starts.partition_point(|&start| start < module.end);
            for objects in covering.get_mut(first..end).unwrap_or_default() {
                objects.push(index as u16);
            }
        }
        let path = |module: &Option<Module>| Some(module.as_ref()?.path.as_str().into());
        Self {
            paths: modules.iter().map(path).collect(),
            modules,
            starts,
            covering,
        }
    }

    pub fn get(&self, index: usize) -> Option<&Module> {
        self.modules.get(index)?.as_ref()
    }

    pub fn path(&self, index: usize) -> Option<&Arc<str>> {
        self.paths.get(index)?.as_ref()
    }

    /// The newest of the first `epoch` objects that covers `address`.
    pub fn at(&self, address: u64, epoch: usize) -> Option<usize> {
        let run = self
            .starts
            .partition_point(|&start| start <= address)
            .checked_sub(1)?;
        let objects = &self.covering[run];
        let before = objects.partition_point(|&index| usize::from(index) < epoch);
        objects[..before].last().map(|&index| usize::from(index))
    }
}

/// The objects that a recording knows of, in the order in which they were met.
pub(crate) fn loaded(recording: &Recording) -> Vec<LoadedModule> {
    let known = recording.modules().flatten().take(MAX_MODULES);
    known.map(LoadedModule::from).collect()
}

impl From<Module> for LoadedModule {
    fn from(module: Module) -> Self {
        let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            build_id: (!module.build_id.is_empty()).then(|| hex(&module.build_id)),
            path: module.path,
            start_address: module.start,
            end_address: module.end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(start: u64, end: u64) -> Option<Module> {
        let path = format!("{start:x}");
        Some(Module {
            start,
            end,
            bias: start,
            build_id: Vec::new(),
            path,
        })
    }

    #[test]
    fn the_newest_object_known_at_the_time_wins() {
        let modules = Modules::new(
            [
                module(100, 200),
                None,
                module(150, 300),
                module(120, 160),
                module(500, 400),
            ]
            .into_iter(),
        );
        assert_eq!(modules.at(99, 9), None);
        assert_eq!(modules.at(100, 9), Some(0));
        assert_eq!(modules.at(155, 9), Some(3));
        assert_eq!(modules.at(155, 3), Some(2));
        assert_eq!(modules.at(155, 2), Some(0));
        assert_eq!(modules.at(155, 0), None);
        assert_eq!(modules.at(299, 9), Some(2));
        assert_eq!(modules.at(300, 9), None);
        assert_eq!(modules.at(450, 9), None);
        assert_eq!(modules.at(u64::MAX, 9), None);
    }
}
