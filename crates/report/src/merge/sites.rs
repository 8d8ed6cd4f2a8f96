//! Sites of many reports, put together.

use super::Peaks;
use crate::judgement::matching;
use crate::model::Site;
use crate::rows::fold::{MOST_ADVICE, fold};
use std::collections::HashMap;

/// The sites so far.
#[derive(Debug, Default)]
pub(super) struct Sites {
    all: Vec<Site>,
    peaks: Vec<Peaks>,
    known: HashMap<String, usize>,
}

impl Sites {
    /// Adds the sites of a report; tells what each is called in the merged one. `label`: whose
    /// advice it is, unless the advice says so itself.
    pub fn add(&mut self, sites: &[Site], label: Option<&str>, shift: u64) -> HashMap<u32, u32> {
        let mut place = vec![None; sites.len()];
        let mut hit = vec![false; self.all.len()];
        for (at, site) in sites.iter().enumerate() {
            let known = self.known.get(&matching::key(site)).copied();
            if let Some(to) = known.filter(|&to| !hit[to]) {
                hit[to] = true;
                place[at] = Some(to);
            }
        }
        self.pair_rest(sites, &mut place, &hit);
        let mut numbers = HashMap::new();
        for (site, place) in sites.iter().zip(place) {
            let to = match place {
                Some(to) => {
                    fold(&mut self.all[to], site, shift);
                    to
                }
                None => self.push(site, shift),
            };
            self.advise(to, site, label);
            let peak = site.peak_live_bytes.unwrap_or(site.live_bytes);
            self.peaks[to].add(peak, site.peak_live_error_bytes.unwrap_or(0));
            for id in site.recorded_sites.iter().chain([&site.id]) {
                numbers.insert(*id, to as u32 + 1);
            }
        }
        numbers
    }

    /// Another build has other lines: what did not meet its like is paired as for a comparison.
    fn pair_rest(&self, sites: &[Site], place: &mut [Option<usize>], hit: &[bool]) {
        let left: Vec<usize> = (0..hit.len()).filter(|&at| !hit[at]).collect();
        let new: Vec<usize> = (0..sites.len()).filter(|&at| place[at].is_none()).collect();
        if left.is_empty() || new.is_empty() {
            return;
        }
        let old: Vec<&Site> = left.iter().map(|&at| &self.all[at]).collect();
        let alone: Vec<&Site> = new.iter().map(|&at| &sites[at]).collect();
        for pair in matching::pair(&old, &alone).pairs {
            if pair.by <= matching::MatchedBy::Functions {
                place[new[pair.new]] = Some(left[pair.old]);
            }
        }
    }

    /// Advice holds for the process that it was made for.
    fn advise(&mut self, to: usize, site: &Site, label: Option<&str>) {
        let advice = &mut self.all[to].advice;
        for line in &site.advice {
            let line = match label {
                Some(label) => format!("{label}: {line}"),
                None => line.clone(),
            };
            if advice.len() < MOST_ADVICE {
                advice.push(line);
            }
        }
    }

    fn push(&mut self, site: &Site, shift: u64) -> usize {
        let to = self.all.len();
        let mut site = site.clone();
        site.advice.clear();
        site.places.clear();
        self.known.entry(matching::key(&site)).or_insert(to);
        site.id = to as u32 + 1;
        site.recorded_sites = vec![site.id];
        for at in [
            &mut site.peak_at_ns,
            &mut site.overlap_peak_at_ns,
            &mut site.first_at_ns,
        ] {
            *at = at.map(|at| at.saturating_add(shift));
        }
        self.all.push(site);
        self.peaks.push(Peaks::default());
        to
    }

    /// The merged sites, most harmful first.
    pub fn finish(mut self) -> Vec<Site> {
        for (site, peaks) in self.all.iter_mut().zip(&self.peaks) {
            if site.peak_live_bytes.is_some() {
                site.peak_live_bytes = Some(peaks.upper);
                site.peak_live_error_bytes = Some(peaks.error());
            }
        }
        self.all.sort_by_key(|site| {
            let harm = crate::rows::cost::harm(site);
            std::cmp::Reverse((harm, site.peak_live_bytes, site.allocated_bytes))
        });
        self.all
    }
}
