//! As many blocks as fit a screen: what costs most in full, the next ones in brief, the rest in one
//! line.

use super::blocks::{self, Sum};
use super::page::{Page, Style};
use super::{TextOptions, end};
use crate::model::{Report, Site};
use crate::rows::cost::{harm, held};
use crate::words::units::{bytes, count};

/// A block that costs less than one part in so many of what all do is told with the others.
const MATTERS: u64 = 1000;

/// Fills the page up to so many lines, the end of the report included. `sites`: in the order in
/// which they come.
pub(super) fn fill(
    page: &mut Page,
    report: &Report,
    sites: &[&Site],
    lines: usize,
    options: &TextOptions,
) {
    let all = sites
        .iter()
        .fold(0u64, |sum, site| sum.saturating_add(harm(site)));
    let mut last = page.another();
    end(&mut last, report);
    // A blank line and the one on the others.
    let room = lines.saturating_sub(page.lines() + last.lines() + 2);
    // Who holds most and who wastes most is told, wherever they come: if anybody does.
    let holder = sites.iter().max_by_key(|site| held(site).0);
    let holder = holder.filter(|site| held(site).0 > 0);
    let waste = sites.iter().max_by_key(|site| site.retained_bytes);
    let waste = waste.filter(|site| site.retained_bytes > Some(0));
    let told = holder.into_iter().chain(waste).map(|site| site.id);
    let must: Vec<u32> = told.collect();
    let mut shown = Vec::new();
    let mut used = 0;
    for (at, site) in sites.iter().enumerate().take(options.top) {
        let must_come = at == 0 || must.contains(&site.id);
        if !must_come && harm(site) < all / MATTERS {
            continue;
        }
        let (mut full, mut brief) = (page.another(), page.another());
        blocks::site(&mut full, shown.len() + 1, site);
        blocks::brief(&mut brief, shown.len() + 1, site);
        let waiting = must
            .iter()
            .filter(|id| !shown.contains(*id) && **id != site.id);
        let kept_free = waiting.count() * 3;
        let block = [full, brief]
            .into_iter()
            .find(|block| used + block.lines() + kept_free <= room);
        let block = match block {
            Some(block) => block,
            None if must_come => {
                let mut brief = page.another();
                blocks::brief(&mut brief, shown.len() + 1, site);
                brief
            }
            None => continue,
        };
        used += block.lines();
        page.append(&block);
        shown.push(site.id);
    }
    let mut rest = Sum::default();
    let others = sites.iter().filter(|site| !shown.contains(&site.id));
    others.for_each(|site| rest.add(site));
    tell_rest(page, report, &rest);
}

/// What was not shown, and how much of all it is.
fn tell_rest(page: &mut Page, report: &Report, rest: &Sum) {
    if rest.sites == 0 {
        return;
    }
    let live = rest
        .live_bytes
        .saturating_add(rest.est_small_bytes.max(0.0) as u64);
    let share = match report.totals.est_live_bytes {
        _ if live == 0 => String::new(),
        0 => String::new(),
        all => format!(
            ", {:.2} % of what containers hold",
            live as f64 * 100.0 / all as f64
        ),
    };
    let resizes = match rest.resizes {
        0 => String::new(),
        resizes => format!("{}, ", count(resizes, "resize")),
    };
    let places = count(rest.sites, "other place");
    let text = format!(
        "    {places}: {resizes}{} live{share} (--all shows them)",
        bytes(live)
    );
    page.blank();
    page.paragraph(&text, 4, Style::Plain);
}
