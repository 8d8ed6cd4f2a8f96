//! Blocks that have no events: the series of their group and what the others held go in, what these
//! held comes out.

use super::sums::Sums;
use super::told::Told;
use crate::facts::blocks::Blocks;
use crate::facts::groups::Groups;
use crate::model::{Series, Untold};

/// The blocks of each group that have no events; `None` where all have.
pub(super) fn of_groups(groups: &Groups, blocks: &Blocks, sums: &[Sums]) -> Vec<Option<Untold>> {
    let mut all: Vec<Option<Untold>> = sums
        .iter()
        .map(|sums| Untold {
            blocks: sums.untold,
            ..Untold::default()
        })
        .map(|untold| Some(untold).filter(|untold| untold.blocks > 0))
        .collect();
    for (&site, alone) in &blocks.alone {
        let group = groups.index(site);
        if let Some(untold) = group.and_then(|group| all[group].as_mut()) {
            untold.live_bytes = untold.live_bytes.saturating_add(alone.bytes);
        }
    }
    all
}

/// What a group held at the end of each interval, at most, and what its blocks without events held
/// in each.
///
/// In an interval in which something happened these held at most what the group had at most, less the
/// most of the others. Where nothing happened nothing changed: what was there then is no more than
/// either of the intervals around had, and after the last one it is what is live.
pub(super) fn over_time(
    untold: Untold,
    series: &Series,
    told: &Told,
) -> (Vec<Option<u64>>, Option<Untold>) {
    let from = told.from.unwrap_or(usize::MAX);
    let most = |(index, &seen): (usize, &Option<u64>)| {
        let others = u64::try_from(told.most[index].max(0)).unwrap_or(u64::MAX);
        seen.filter(|_| index >= from)
            .map(|seen| seen.saturating_sub(others))
    };
    let most: Vec<Option<u64>> = series.max_live_bytes.iter().enumerate().map(most).collect();
    let mut lasting = vec![untold.live_bytes; most.len()];
    let mut next = None;
    for (lasting, most) in lasting.iter_mut().zip(&most).rev() {
        *lasting = next.unwrap_or(untold.live_bytes);
        next = most.or(next);
    }
    let mut before = 0;
    let mut held = Vec::with_capacity(most.len());
    let mut ends = Vec::with_capacity(most.len());
    let last_active = most.iter().rposition(Option::is_some);
    for (index, most) in most.iter().enumerate() {
        before = most.unwrap_or(before);
        let end = if last_active.is_none_or(|last| index >= last) {
            untold.live_bytes
        } else {
            before.min(lasting[index])
        };
        held.push(most.unwrap_or(end));
        let told = u64::try_from(told.last[index].max(0)).unwrap_or(u64::MAX);
        ends.push(Some(told.saturating_add(end)).filter(|_| index >= from));
    }
    let untold = Untold {
        max_live_bytes: held,
        ..untold
    };
    (ends, Some(untold))
}
