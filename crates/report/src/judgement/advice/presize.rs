//! Giving maps their final size at once.

use super::{WORTHWHILE_BYTES, advice};
use crate::figures::holdings::Holdings;
use crate::model::{Advice, AdviceKind, Saving, Site};
use crate::words::methods;
use crate::words::phrases::noun;
use crate::words::units::{bytes, count};
use mapgrow_containers::classify::elements;
use std::collections::BTreeMap;

/// A map of twice the size is not worth so much more for most of its siblings, as a share of it.
const MOST_RISK: f64 = 0.25;

/// Bytes of a pointer on the machines that are recorded.
const POINTER: u64 = 8;

/// Maps of a site by the size of their last table, log2 of its bytes.
struct Finals {
    /// Size with which they began.
    start: u32,
    by_size: BTreeMap<u32, u64>,
}

impl Finals {
    /// From the tables of each size that ever were. A map that doubles has one of each size from
    /// its first to its last: so of those that had a table of one size and not of the next, it
    /// was the last. `None` where maps did not all begin alike.
    fn of(site: &Site, holdings: &Holdings) -> Option<Self> {
        let mut tables = holdings.sizes().clone();
        // Below the floor there are only samples.
        let counted = |bytes: u64| bytes >= holdings.floor();
        for size in site
            .freed_sizes
            .iter()
            .filter(|size| counted(size.from_bytes))
        {
            *tables.entry(size.from_bytes.ilog2()).or_default() += size.count;
        }
        let (&start, &first) = tables.first_key_value()?;
        let maps = site.maps_created?.saturating_add(site.maps_late?);
        // For a map that went on at another site, its last table here is not its final one.
        let left = site.maps_moved_on.is_some_and(|moved| moved > 0);
        // A single one ended with the largest there was, however it came to that.
        if maps == 1 && site.shrinks == Some(0) && !left {
            let by_size = BTreeMap::from([(site.largest_table_bytes?.ilog2(), 1)]);
            return Some(Self { start, by_size });
        }
        if first != maps || maps == 0 || site.shrinks != Some(0) || left {
            return None;
        }
        let mut by_size = BTreeMap::new();
        for (&size, &here) in &tables {
            let next = tables.get(&(size + 1)).copied().unwrap_or(0);
            let last = here.checked_sub(next)?;
            if last > 0 {
                by_size.insert(size, last);
            }
        }
        Some(Self { start, by_size })
    }

    fn maps(&self) -> u64 {
        self.by_size.values().sum()
    }

    /// The size that so great a share of the maps does not exceed.
    fn quantile(&self, share: f64) -> Option<u32> {
        let wanted = (share * self.maps() as f64).ceil() as u64;
        let mut seen = 0;
        let found = self.by_size.iter().find(|&(_, &maps)| {
            seen += maps;
            seen >= wanted
        });
        found.map(|(&size, _)| size)
    }

    fn largest(&self) -> u32 {
        self.by_size.last_key_value().map_or(0, |(&size, _)| size)
    }

    /// Sums something over all maps, by the size with which they end.
    fn sum(&self, of: impl Fn(u32) -> u64) -> u64 {
        let each = self.by_size.iter();
        each.fold(0, |sum, (&size, &maps)| {
            sum.saturating_add(maps.saturating_mul(of(size)))
        })
    }
}

/// Bytes of tables: those of the largest size are known, each size below has half.
struct Tables {
    largest: u32,
    bytes: u64,
}

impl Tables {
    fn bytes(&self, size: u32) -> u64 {
        self.bytes >> self.largest.saturating_sub(size).min(63)
    }

    /// Of all sizes from `from` to `to`, the last not included.
    fn between(&self, from: u32, to: u32) -> u64 {
        (from..to)
            .map(|size| self.bytes(size))
            .fold(0, u64::saturating_add)
    }
}

/// What the maps of a site should have been given from the start.
pub(super) fn presize(
    site: &Site,
    holdings: &Holdings,
    largest_buckets: Option<u64>,
) -> Option<Advice> {
    // Tables that grow together are of several sizes: what holds for one is nothing for the map.
    if site.tables_of_each.is_some() {
        return None;
    }
    let finals = Finals::of(site, holdings)?;
    let tables = Tables {
        largest: finals.largest(),
        bytes: site.largest_table_bytes?,
    };
    let (half, most) = (finals.quantile(0.5)?, finals.quantile(0.95)?);
    let risk = |to: u32| {
        let more = finals.sum(|size| tables.bytes(to).saturating_sub(tables.bytes(size)));
        more / finals.maps()
    };
    let size = if risk(most) as f64 <= MOST_RISK * tables.bytes(most) as f64 {
        most
    } else {
        half
    };
    // All but those that lead to tables beyond it: the ones from below the floor count, too.
    let beyond = finals.sum(|last| u64::from(last.saturating_sub(size)));
    let resizes = site.grows?.saturating_sub(beyond);
    let copied = match finals.maps() {
        1 => site.copied_bytes?,
        _ => finals
            .sum(|last| tables.between(finals.start, last.min(size)))
            .min(site.copied_bytes?),
    };
    if resizes < 2 || copied < WORTHWHILE_BYTES {
        return None;
    }
    let allocated = copied.saturating_sub(risk(size).saturating_mul(finals.maps()));
    let overlap = site.overlap_peak_bytes?;
    let left = if size < finals.largest() { overlap } else { 0 };
    let call = call(
        site,
        holdings,
        &tables,
        size,
        finals.maps(),
        largest_buckets,
    )?;
    let saves = Saving {
        resizes: Some(resizes),
        copied_bytes: Some(copied),
        allocated_bytes: Some(allocated),
        overlap_bytes: Some(overlap.saturating_sub(left)),
        // The new table is still there.
        peak_bytes: Some(overlap.saturating_sub(left.max(tables.bytes))),
        ..Saving::default()
    };
    let sizes = (tables.bytes(half), tables.bytes(most));
    let text = sentence(site, finals.maps(), &call, &saves, sizes, risk(size));
    Some(Advice {
        call: Some(call),
        saves,
        risks_bytes: Some(risk(size)).filter(|&risk| risk > 0),
        ..advice(AdviceKind::Presize, text)
    })
}

/// What is saved in words: `14 resizes, 8.5 MiB of copying and 4.3 MiB at the peak`.
fn saving(saves: &Saving) -> String {
    let resized = count(saves.resizes.unwrap_or(0), "resize");
    let moved = bytes(saves.copied_bytes.unwrap_or(0));
    match saves.peak_bytes.unwrap_or(0) {
        0 => format!("{resized} and {moved} of copying"),
        less => format!(
            "{resized}, {moved} of copying and {} at the peak",
            bytes(less)
        ),
    }
}

/// Advice for a map whose entries lie in a vector beside its table: who makes the one larger at once
/// makes the other so, too.
pub(in crate::judgement) fn with_vector(mut table: Advice, vector: &Advice) -> Advice {
    let before = saving(&table.saves);
    let own = &mut table.saves;
    for (sum, more) in [
        (&mut own.resizes, vector.saves.resizes),
        (&mut own.copied_bytes, vector.saves.copied_bytes),
        (&mut own.allocated_bytes, vector.saves.allocated_bytes),
        (&mut own.peak_bytes, vector.saves.peak_bytes),
    ] {
        *sum = Some(sum.unwrap_or(0).saturating_add(more.unwrap_or(0)));
    }
    own.overlap_bytes = own.overlap_bytes.max(vector.saves.overlap_bytes);
    table.text = table.text.replacen(&before, &saving(&table.saves), 1);
    table
}

/// The advice in words. `sizes`: of the tables with which half of the maps end at most, and nearly
/// all.
fn sentence(
    site: &Site,
    number: u64,
    call: &str,
    saves: &Saving,
    (half, most): (u64, u64),
    risk: u64,
) -> String {
    let saves = saving(saves);
    let maps = match is_sharded(site) && number.is_power_of_two() {
        true => format!("its {}", count(number, "shard")),
        false => count(number, noun(site.family)),
    };
    // One in twenty of fewer is none.
    let all = if number < 20 { "all" } else { "all but 5 %" };
    let mut text = match number {
        1 => format!("{call} to save {saves}"),
        _ if half == most => format!(
            "{call}: of {maps} {all} end with a table of {} or less; it saves {saves}",
            bytes(most)
        ),
        _ => format!(
            "{call}: of {maps} half end with a table of {} or less, and {all} with one of {} or less; \
             it saves {saves}",
            bytes(half),
            bytes(most),
        ),
    };
    if risk > 0 {
        text.push_str(&format!(", for {} more in each on average", bytes(risk)));
    }
    // What nobody could look into may have been emptied since.
    if site.entries.is_none() && site.maps_live > Some(0) {
        let else_do = methods::of(site.family).shrink.unwrap_or("a smaller one");
        let (it, is) = if number == 1 {
            ("it", "is")
        } else {
            ("they", "are")
        };
        text = format!("if {it} {is} full, {text}; if not, {else_do} gives back what is not used");
    }
    text
}

/// Whether the maps of a site may be the shards of one.
fn is_sharded(site: &Site) -> bool {
    let name = site.type_name.as_deref().unwrap_or_default();
    ["DashMap", "DashSet"]
        .iter()
        .any(|kind| name.starts_with(kind))
}

/// What to do: with a number of entries, where that is known. `None` where the family has no call
/// for it.
fn call(
    site: &Site,
    holdings: &Holdings,
    tables: &Tables,
    size: u32,
    maps: u64,
    largest_buckets: Option<u64>,
) -> Option<String> {
    let methods = methods::of(site.family);
    let largest = site.largest_table_bytes?;
    let of_largest = largest_buckets.or_else(|| holdings.buckets_of(largest));
    let of_size = of_largest.map(|buckets| buckets >> (tables.largest - size).min(63));
    let room = tables.bytes(size);
    let entries = match (of_size, holdings.element(), site.family) {
        // The fewest entries for which one table of this size is made; for many, all it takes.
        (Some(buckets), ..) if maps == 1 => {
            let least = elements::capacity(buckets / 2).saturating_add(1);
            Some(least.max(site.entries.unwrap_or(0)))
        }
        (Some(buckets), ..) => Some(elements::capacity(buckets)),
        // Arrays of pointers, one for each entry.
        (None, _, Some("libstdcxx_hashtable" | "libcxx_hashtable" | "redis_dict")) => {
            let buckets = room / POINTER;
            // It grew to these since its entries did not fit in half of them.
            let known = site.entries.filter(|_| maps == 1);
            Some(known.map_or(buckets, |entries| entries.max(buckets / 2 + 1)))
        }
        (None, Some(element), Some("raw_vec")) => room.checked_div(element),
        _ => None,
    };
    // One that is divided into shards is given the room of all of them.
    let shards = is_sharded(site) && maps > 1 && maps.is_power_of_two();
    let entries = entries.map(|each| match shards {
        true => each.saturating_mul(maps),
        false => each,
    });
    let of_each = if maps == 1 { "" } else { " in each" };
    let create = |call: &str| match call.strip_prefix("with_capacity") {
        Some(_) if maps == 1 || shards => format!("create it {call}"),
        Some(_) => format!("create them {call}"),
        None => format!("begin with {call}{of_each}"),
    };
    match entries {
        Some(entries) => {
            let or_more = if maps == 1 { " or more" } else { "" };
            Some(create(&methods.create_for(entries)?) + or_more)
        }
        // Without a number hashbrown's methods are of no use.
        None if site.family == Some("hashbrown") => None,
        None if site.family == Some("unknown_container") => {
            Some(format!("begin with a table of {}{of_each}", bytes(room)))
        }
        None => Some(format!(
            "{} for the N that it will have (here a table of {})",
            create(methods.create?),
            bytes(room)
        )),
    }
}
