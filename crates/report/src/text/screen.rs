//! All blocks that matter, on a screen: what costs most in full, each other one at least in a line, as
//! much more of them as there is room for, the rest in one line.

use super::blocks::{self, Sum};
use super::page::{Page, Style};
use super::{TextOptions, end};
use crate::model::{Report, Site};
use crate::rows::cost::{harm, held};
use crate::words::units::{bytes, count};

/// A block that costs less than one part in so many of what all do is told with the others.
const MATTERS: u64 = 1000;

/// How much of a block is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    Line,
    Brief,
    Full,
}

/// A block on the screen.
struct Shown<'a> {
    site: &'a Site,
    detail: Detail,
}

/// A block as it is told in so much detail, on a page of its own.
fn told(like: &Page, number: usize, site: &Site, detail: Detail) -> Page {
    let mut page = like.another();
    match detail {
        Detail::Line => blocks::line(&mut page, number, site),
        Detail::Brief => blocks::brief(&mut page, number, site),
        Detail::Full => blocks::site(&mut page, number, site),
    }
    page
}

/// Fills the page up to so many lines, the end of the report included. `sites`: in the order in
/// which they come.
pub(super) fn fill(
    page: &mut Page,
    report: &Report,
    sites: &[&Site],
    lines: usize,
    options: &TextOptions,
) {
    let Some(first) = sites.first() else {
        return;
    };
    let mut last = page.another();
    end(&mut last, report);
    // A blank line before blocks in a line each, and one before that on the others.
    let room = lines.saturating_sub(page.lines() + last.lines() + 3);
    let of_first = told(page, 1, first, Detail::Full).lines();
    let mut shown = shown(sites, options.top, 1 + room.saturating_sub(of_first));
    // Each is a line, but the first, as much of which is told as fits beside those that must come.
    let mut used = shown.len() - 1;
    let mut first = Detail::Full;
    if used + of_first > room {
        first = Detail::Brief;
    }
    shown[0].detail = first;
    used += told(page, 1, shown[0].site, first).lines();
    for detail in [Detail::Brief, Detail::Full] {
        for (at, one) in shown.iter_mut().enumerate().skip(1) {
            let lines = |detail| told(page, at + 1, one.site, detail).lines();
            let then = used - lines(one.detail) + lines(detail);
            // No later one is told more of than one before.
            if then > room {
                break;
            }
            used = then;
            one.detail = detail;
        }
    }
    let mut before = Detail::Full;
    for (at, one) in shown.iter().enumerate() {
        if one.detail == Detail::Line && before != Detail::Line {
            page.blank();
        }
        before = one.detail;
        page.append(&told(page, at + 1, one.site, one.detail));
    }
    let is_shown = |site: &Site| shown.iter().any(|one| one.site.id == site.id);
    let mut rest = Sum::default();
    let others = sites.iter().filter(|site| !is_shown(site));
    others.for_each(|site| rest.add(site));
    tell_rest(page, report, &rest);
}

/// The blocks for so many places: the first one, who holds most and who wastes most wherever they come,
/// and of the others that matter the first ones.
fn shown<'a>(sites: &[&'a Site], most: usize, places: usize) -> Vec<Shown<'a>> {
    let all = sites
        .iter()
        .fold(0u64, |sum, site| sum.saturating_add(harm(site)));
    let matter = sites.iter().copied().enumerate();
    let matter = matter.filter(|(at, site)| *at == 0 || harm(site) >= all / MATTERS);
    let matter: Vec<&Site> = matter.map(|(_, site)| site).collect();
    let most_of = |figure: fn(&Site) -> u64| {
        let most = matter.iter().max_by_key(|site| figure(site));
        most.filter(|site| figure(site) > 0).map(|site| site.id)
    };
    let first = matter.first().map(|site| site.id);
    let holder = most_of(|site| held(site).0);
    let waster = most_of(|site| site.retained_bytes.unwrap_or(0));
    let must = [first, holder, waster];
    let must_come = |site: &Site| must.contains(&Some(site.id));
    let mut left = places.min(most);
    left = left.saturating_sub(matter.iter().filter(|site| must_come(site)).count());
    let mut shown = Vec::new();
    for site in matter {
        let comes = must_come(site) || left > 0;
        left -= usize::from(comes && !must_come(site));
        if comes {
            let detail = Detail::Line;
            shown.push(Shown { site, detail });
        }
    }
    shown
}

/// What was not shown, and how much of all it is.
fn tell_rest(page: &mut Page, report: &Report, rest: &Sum) {
    if rest.sites == 0 {
        return;
    }
    let live = rest
        .live_bytes
        .saturating_add(rest.est_small_bytes.max(0.0) as u64);
    let all = report.totals.est_live_bytes;
    // What little is left at the end says nothing about who had most.
    let share = match all > 0 && live > 0 && all >= report.totals.peak_bytes / 10 {
        true => format!(
            ", {:.2} % of what containers hold",
            live as f64 * 100.0 / all as f64
        ),
        false => String::new(),
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
