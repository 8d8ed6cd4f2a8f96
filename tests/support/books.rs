//! Laying the truth and the report side by side.

use crate::support::{array, number, text};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// Rows that differ, for a person to read.
pub struct Table(Vec<[String; 4]>);

impl Table {
    pub fn new() -> Table {
        Table(Vec::new())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn check<T: PartialEq + std::fmt::Display>(
        &mut self,
        shape: &str,
        what: &str,
        truth: T,
        report: T,
    ) {
        if truth != report {
            self.add(shape, what, truth, report);
        }
    }

    pub fn add(
        &mut self,
        shape: &str,
        what: &str,
        truth: impl std::fmt::Display,
        report: impl std::fmt::Display,
    ) {
        let row = [
            shape.into(),
            what.into(),
            truth.to_string(),
            report.to_string(),
        ];
        self.0.push(row);
    }

    pub fn assert_empty(&self, build: &str) {
        if self.0.is_empty() {
            return;
        }
        let mut message = format!("{build}: {} figures differ\n", self.0.len());
        let head = ["shape", "figure", "truth", "report"].map(String::from);
        for [shape, what, truth, report] in std::iter::once(&head).chain(self.0.iter().take(100)) {
            message += &format!("{shape:<34} {what:<34} {truth:>18} {report:>18}\n");
        }
        panic!("{message}");
    }
}

/// The truth of a run and the report on it.
pub struct Books<'a> {
    truth: &'a Value,
    pub report: &'a Value,
    /// Report sites by the shape and family that they belong to.
    sites: HashMap<(&'a str, &'a str), Vec<&'a Value>>,
    /// Shape and family by number of a site.
    owner: HashMap<u64, (&'a str, &'a str)>,
}

/// Figures that add up over the sites of a shape: name in the truth, name in the report.
const SUMS: [(&str, &str); 8] = [
    ("creates", "maps_created"),
    ("grows", "grows"),
    ("shrinks", "shrinks"),
    ("aborted", "aborted"),
    ("drops", "maps_dropped"),
    ("allocated_bytes", "allocated_bytes"),
    ("copied_bytes", "copied_bytes"),
    ("live_bytes", "live_bytes"),
];

impl<'a> Books<'a> {
    pub fn new(truth: &'a Value, report: &'a Value) -> Books<'a> {
        let mut names: Vec<&str> = array(truth, "shapes")
            .iter()
            .map(|s| text(s, "shape"))
            .collect();
        names.dedup();
        let mut sites: HashMap<_, Vec<&Value>> = HashMap::new();
        let mut owner = HashMap::new();
        for site in array(report, "sites") {
            let function = text(&site["caller"], "function");
            let Some(name) = names.iter().find(|name| function.contains(*name)) else {
                continue;
            };
            let key = (*name, text(site, "family"));
            sites.entry(key).or_default().push(site);
            owner.insert(number(site, "id"), key);
            for id in array(site, "recorded_sites") {
                owner.insert(id.as_u64().unwrap_or(u64::MAX), key);
            }
        }
        Books {
            truth,
            report,
            sites,
            owner,
        }
    }

    pub fn shapes(&self) -> impl Iterator<Item = (&'a str, &'a str, &'a Value)> {
        array(self.truth, "shapes")
            .iter()
            .map(|shape| (text(shape, "shape"), text(shape, "family"), shape))
    }

    pub fn sites_of(&self, shape: &'a str, family: &'a str) -> &[&'a Value] {
        self.sites.get(&(shape, family)).map_or(&[], Vec::as_slice)
    }

    pub fn compare_figures(&self, table: &mut Table) {
        for (shape, family, truth) in self.shapes() {
            let sites = self.sites_of(shape, family);
            if sites.is_empty() {
                table.add(shape, &format!("{family}: sites"), "some", "none");
                continue;
            }
            let sum = |field: &str| -> u64 { sites.iter().map(|s| number(s, field)).sum() };
            if family == "btree" {
                compare_nodes(shape, truth, sites, table);
                continue;
            }
            for (in_truth, in_report) in SUMS {
                let what = format!("{family}: {in_report}");
                table.check(shape, &what, number(truth, in_truth), sum(in_report));
            }
            let live = number(truth, "creates") - number(truth, "drops");
            table.check(
                shape,
                &format!("{family}: maps_live"),
                live,
                sum("maps_live"),
            );
            let resizes = number(truth, "grows") + number(truth, "shrinks");
            table.check(
                shape,
                &format!("{family}: resizes"),
                resizes,
                sum("resizes"),
            );
            table.check(shape, &format!("{family}: replaces"), 0, sum("replaces"));
            if family == "raw_vec" {
                let in_place = number(truth, "in_place");
                table.check(shape, "raw_vec: in_place", in_place, sum("in_place"));
            } else if !LOOKS_LIKE_A_REBUILD.contains(&shape) {
                let rebuilds = number(truth, "rebuilds");
                table.check(shape, "hashbrown: rebuilds", rebuilds, sum("rebuilds"));
            }
            let overlap = sites.iter().map(|s| number(s, "overlap_peak_bytes")).max();
            let what = format!("{family}: overlap_peak_bytes");
            table.check(
                shape,
                &what,
                number(truth, "overlap_peak_bytes"),
                overlap.unwrap_or(0),
            );
            compare_peak(shape, family, truth, sites, table);
        }
    }

    /// The chains of table sizes of the maps that live at the end, as a bag.
    pub fn compare_chains(&self, table: &mut Table) {
        let mut bags: BTreeMap<(&str, String), i64> = BTreeMap::new();
        for chain in array(self.truth, "chains") {
            let key = (text(chain, "shape"), chain["tables"].to_string());
            *bags.entry(key).or_default() += 1;
        }
        for map in array(self.report, "maps") {
            let site = number(map, "table_site");
            if let Some((shape, family)) = self.owner.get(&site)
                && *family != "btree"
                && self.shapes().any(|(s, f, _)| s == *shape && f == *family)
            {
                let key = (*shape, map["tables"].to_string());
                *bags.entry(key).or_default() -= 1;
            }
        }
        let may_miss = number(&self.report["honesty"], "maps_omitted") > 0;
        for ((shape, tables), surplus) in bags {
            let tables = tables.chars().take(60).collect::<String>();
            if surplus < 0 {
                table.add(shape, &format!("chain {tables}"), "no more", -surplus);
            } else if surplus > 0 && !may_miss {
                table.add(shape, &format!("chain {tables}"), surplus, "missing");
            }
        }
    }

    pub fn compare_totals(&self, table: &mut Table) {
        let totals = &self.report["totals"];
        let largest = self
            .shapes()
            .map(|(_, _, t)| number(t, "overlap_peak_bytes"))
            .max();
        let overlap = number(totals, "overlap_peak_bytes");
        table.check(
            "totals",
            "overlap_peak_bytes",
            largest.unwrap_or(0),
            overlap,
        );
        let truth = number(self.truth, "heap_live_bytes");
        let reported = number(totals, "heap_live_bytes");
        // What the program allocates and frees after it has written its truth is small.
        let allowed = number(totals, "heap_live_error_bytes") + (64 << 10);
        if truth.abs_diff(reported) > allowed {
            table.add("totals", "heap_live_bytes", truth, reported);
        }
    }

    /// Stalls over a millisecond, one by one. Left out are those that the machine or the
    /// container prolonged before or after the resize (a thread was put aside, a `VecDeque` moved
    /// its elements within the new buffer): the time between the calls to the allocator, taken
    /// underneath, tells them.
    pub fn compare_pauses(&self, table: &mut Table) {
        let mut recorded: HashMap<(&str, u64, u64), Vec<u64>> = HashMap::new();
        for event in array(self.report, "timeline") {
            let resize = matches!(text(event, "kind"), "grow" | "shrink" | "rehash");
            if let Some((shape, _)) = self.owner.get(&number(event, "site"))
                && resize
            {
                let sizes = (number(event, "old_bytes"), number(event, "new_bytes"));
                let pauses = recorded.entry((shape, sizes.0, sizes.1)).or_default();
                pauses.push(number(event, "pause_ns"));
            }
        }
        let (mut compared, mut all) = (0, 0);
        for pause in array(self.truth, "pauses") {
            let shape = text(pause, "shape");
            let sizes = (number(pause, "old_bytes"), number(pause, "new_bytes"));
            let (truth, inside) = (number(pause, "ns"), number(pause, "inside_ns"));
            all += 1;
            if truth - inside > truth / 20 {
                continue;
            }
            let Some(candidates) = recorded.get_mut(&(shape, sizes.0, sizes.1)) else {
                continue;
            };
            let nearest = (0..candidates.len()).min_by_key(|&i| candidates[i].abs_diff(truth));
            let Some(record) = nearest.map(|i| candidates.swap_remove(i)) else {
                continue;
            };
            compared += 1;
            if truth.abs_diff(record) * 10 > truth {
                let what = format!("pause at {} -> {}", sizes.0, sizes.1);
                table.add(shape, &what, truth, record);
            }
        }
        println!("{compared} of {all} pauses over 1 ms compared");
        if compared < 20 || compared * 2 < all {
            table.add("all", "pauses to compare", all, compared);
        }
    }

    /// Nothing was lost, folded or mistaken on the way.
    pub fn assert_honest(&self) {
        let honesty = &self.report["honesty"];
        for field in [
            "sites_folded",
            "maps_untracked",
            "memo_mismatches",
            "resizes_folded",
            "history_dropped",
            "budget_skipped",
            "threads_folded",
            "conservation_difference_bytes",
        ] {
            assert_eq!(honesty[field], 0, "{field} in {honesty:#}");
        }
    }

    /// Without names a shape is the site, or the sites, with its bytes: every figure of the
    /// truth has to turn up in the report as often as in the truth.
    pub fn compare_sites_by_figures(&self, table: &mut Table) {
        let signature = |value: &Value, fields: &[&str]| -> Vec<u64> {
            fields.iter().map(|field| number(value, field)).collect()
        };
        let mut reported: Vec<Vec<u64>> = array(self.report, "sites")
            .iter()
            .map(|site| {
                let resizes = number(site, "resizes") + number(site, "replaces");
                let mut s = signature(site, &["allocated_bytes", "live_bytes"]);
                s.push(resizes);
                s
            })
            .collect();
        for (shape, family, truth) in self.shapes() {
            if !ONE_SITE.contains(&shape) || family == "btree" {
                continue;
            }
            let mut wanted = signature(truth, &["allocated_bytes", "live_bytes"]);
            wanted.push(number(truth, "grows") + number(truth, "shrinks"));
            if let Some(i) = reported.iter().position(|s| *s == wanted) {
                reported.swap_remove(i);
            } else {
                let what = format!("{family}: bytes, live, resizes");
                table.add(shape, &what, format!("{wanted:?}"), "no such site");
            }
        }
    }

    pub fn compare_above_floor(&self, table: &mut Table) {
        for (shape, family, truth) in self.shapes() {
            let sites = self.sites_of(shape, family);
            if family == "btree" {
                continue;
            }
            // Sites that are estimated from samples say so; all others count what is above.
            let exact = sites.iter().filter(|site| site["coverage"] != "sampled");
            let sum = |field: &str| -> u64 { exact.clone().map(|s| number(s, field)).sum() };
            for (in_truth, in_report) in [
                ("floor_allocs", "allocs"),
                ("floor_bytes", "allocated_bytes"),
                ("floor_live_bytes", "live_bytes"),
                ("floor_live", "maps_live"),
            ] {
                let what = format!("{family}: {in_report}");
                table.check(shape, &what, number(truth, in_truth), sum(in_report));
            }
            let overlap = sites.iter().map(|s| number(s, "overlap_peak_bytes")).max();
            let what = format!("{family}: overlap_peak_bytes");
            table.check(
                shape,
                &what,
                number(truth, "overlap_peak_bytes"),
                overlap.unwrap_or(0),
            );
        }
    }
}

/// Shapes that have one site for each family in every build.
const ONE_SITE: [&str; 9] = [
    "shape_hashmap_u64",
    "shape_hashset_string",
    "shape_indexmap",
    "shape_overaligned_values",
    "shape_hashbrown_crate",
    "shape_vec_u32_push",
    "shape_string_push",
    "shape_binaryheap",
    "shape_vecdeque",
];

/// Shapes that drop a map in the very call in which they made another of its type: only the
/// author's intent tells that from a rebuild.
const LOOKS_LIKE_A_REBUILD: [&str; 2] = ["shape_clone", "shape_reserve_extend_collect"];

fn compare_nodes(shape: &str, truth: &Value, sites: &[&Value], table: &mut Table) {
    let sum = |field: &str| -> u64 { sites.iter().map(|s| number(s, field)).sum() };
    for (in_truth, in_report) in [
        ("creates", "allocs"),
        ("drops", "frees"),
        ("allocated_bytes", "allocated_bytes"),
        ("live_bytes", "live_bytes"),
    ] {
        let what = format!("btree: {in_report}");
        table.check(shape, &what, number(truth, in_truth), sum(in_report));
    }
    for field in ["resizes", "grows", "shrinks", "copied_bytes", "pause_ns"] {
        if sites.iter().any(|site| !site[field].is_null()) {
            table.add(shape, &format!("btree: {field}"), "null", "a figure");
        }
    }
}

/// Peaks of several sites do not add up, but they bound the whole.
fn compare_peak(shape: &str, family: &str, truth: &Value, sites: &[&Value], table: &mut Table) {
    let truth = number(truth, "peak_bytes");
    let peaks = sites.iter().map(|site| number(site, "peak_live_bytes"));
    let error: u64 = sites
        .iter()
        .map(|s| number(s, "peak_live_error_bytes"))
        .sum();
    let high: u64 = peaks.clone().sum();
    let low = peaks.max().unwrap_or(0).saturating_sub(error);
    if truth < low || truth > high {
        let what = format!("{family}: peak_live_bytes");
        table.add(shape, &what, truth, format!("{low}..={high}"));
    }
}
