//! Blocks of many reports, put together: by what their first sites have in common.

use super::sites::Sites;
use crate::judgement::blocks::place;
use crate::model::{Report, Site};
use crate::words::names::Callers;
use std::collections::{BTreeMap, HashMap};

/// The blocks so far.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    rows: Sites,
    /// Sites of the merged report, by block; the first one first.
    places: BTreeMap<u32, Vec<u32>>,
    /// The same with those of nodes.
    sites: BTreeMap<u32, Vec<u32>>,
}

impl Blocks {
    /// Adds those of a report. `numbers`: what its sites are called in the merged one.
    pub fn add(
        &mut self,
        report: &Report,
        label: Option<&str>,
        shift: u64,
        numbers: &HashMap<u32, u32>,
    ) {
        let called = self.rows.add(report.blocks(), label, shift);
        for block in report.blocks() {
            let Some(&to) = called.get(&block.id) else {
                continue;
            };
            let places = self.places.entry(to).or_default();
            let own = block.places.iter().map(|place| place.site);
            add(places, [block.id].into_iter().chain(own), numbers);
            let sites = self.sites.entry(to).or_default();
            add(sites, block.sites(), numbers);
        }
    }

    /// The merged blocks, called as their first site is. `sites`: all of the merged report.
    pub fn finish(self, sites: &[Site]) -> Vec<Site> {
        let mut own = self.sites;
        let by_id: HashMap<u32, &Site> = sites.iter().map(|site| (site.id, site)).collect();
        let mut rows = self.rows.finish();
        let mut callers = Callers::default();
        for row in &mut rows {
            row.recorded_sites = own.remove(&row.id).unwrap_or_default();
            let places = self.places.get(&row.id).into_iter().flatten();
            let places: Vec<&Site> = places.filter_map(|id| by_id.get(id).copied()).collect();
            if let Some(first) = places.first() {
                row.id = first.id;
            }
            row.places = places
                .into_iter()
                .map(|site| place(site, &mut callers))
                .collect();
        }
        rows
    }
}

/// Adds what the merged report calls some sites, each once.
fn add(to: &mut Vec<u32>, sites: impl Iterator<Item = u32>, numbers: &HashMap<u32, u32>) {
    for site in sites {
        if let Some(site) = numbers.get(&site).filter(|site| !to.contains(site)) {
            to.push(*site);
        }
    }
}
