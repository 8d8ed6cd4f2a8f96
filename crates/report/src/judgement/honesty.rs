//! What is missing or uncertain, in figures and in sentences.

use crate::facts::blocks::Blocks;
use crate::facts::context::Context;
use crate::model::{Coverage, Honesty, Site};
use crate::words::units::{bytes, count};
use mapgrow_format::layout::{header, site};

pub(crate) fn honesty(
    context: &Context<'_>,
    blocks: &Blocks,
    sites: &[Site],
    maps_omitted: u64,
    warnings: Vec<String>,
) -> Honesty {
    let recording = context.recording;
    let threads = context.threads.all();
    let lost = |head: usize, kept: usize| recording.header(head).saturating_sub(kept as u64);
    let mut honesty = Honesty {
        events_dropped: lost(header::RESIZE_HEAD, blocks.resizes.len())
            .saturating_add(lost(header::BIRTH_HEAD, blocks.births.len())),
        timeline_complete_from_ns: complete_from(context, blocks),
        sites_folded: recording.header(header::SITES_FOLDED),
        stacks_truncated: sites.iter().filter(|site| site.stack_truncated).count() as u64,
        maps_untracked: recording.header(header::TABLES_UNTRACKED),
        memo_mismatches: sum(threads.iter().map(|thread| thread.memo_mismatches)),
        memo_checks: sum(threads.iter().map(|thread| thread.memo_checks)),
        self_bytes: sum([header::COMMITTED_BYTES, header::PRIVATE_BYTES]
            .into_iter()
            .map(|word| recording.header(word))),
        resizes_folded: recording.header(header::EDGES_FOLDED),
        history_dropped: recording.header(header::HISTORY_DROPPED),
        budget_skipped: recording.header(header::BUDGET_SKIPPED),
        budget_skipped_bytes: recording.header(header::BUDGET_SKIPPED_BYTES),
        frees_unknown: recording.header(header::FREES_UNKNOWN),
        threads_folded: recording.header(header::THREADS_FOLDED),
        modules_dropped: recording.header(header::MODULES_DROPPED),
        // Of sites and edges nothing is missing: whoever counts at one has completed it first, so
        // one that is incomplete was given up by its maker, whom another came before.
        records_unreadable: blocks.unreadable,
        tables_not_read: recording.header(header::OCCUPANCY_SKIPPED),
        paused: recording.header(header::CONTROL) != 0,
        pauses: recording.header(header::PAUSES),
        conservation_difference_bytes: conservation(context, blocks),
        maps_omitted,
        notes: Vec::new(),
    };
    honesty.notes = notes(context, &honesty, sites);
    honesty.notes.extend(warnings);
    honesty
}

/// From when on both rings have every event. The youngest of the moments at which one that lost
/// events begins.
fn complete_from(context: &Context<'_>, blocks: &Blocks) -> Option<u64> {
    let rings = [
        (header::RESIZE_HEAD, &blocks.resizes),
        (header::BIRTH_HEAD, &blocks.births),
    ];
    let mut from = context.clock.span(0)?;
    for (head, kept) in rings {
        if context.recording.header(head) > kept.len() as u64 {
            let oldest = kept.iter().map(|event| event.ticks).min();
            let newest = context.recording.header(header::NOW_TICKS);
            from = from.max(context.clock.moment(oldest.unwrap_or(newest))?);
        }
    }
    Some(from)
}

fn sum(figures: impl Iterator<Item = u64>) -> u64 {
    figures.fold(0, u64::saturating_add)
}

/// Allocated minus freed minus what is there, over all sites and certain blocks.
fn conservation(context: &Context<'_>, blocks: &Blocks) -> i64 {
    let counted: i128 = context
        .recording
        .sites()
        .map(|site| {
            i128::from(site.word(site::ALLOC_BYTES)) - i128::from(site.word(site::FREE_BYTES))
        })
        .sum();
    let live = blocks.live.iter().filter(|block| block.certain());
    let there: i128 = live.map(|block| i128::from(block.bytes)).sum();
    i64::try_from(counted - there).unwrap_or(if counted > there { i64::MAX } else { i64::MIN })
}

fn notes(context: &Context<'_>, honesty: &Honesty, sites: &[Site]) -> Vec<String> {
    let recording = context.recording;
    let mut notes = Vec::new();
    let mut note = |when: bool, text: String| {
        if when {
            notes.push(text);
        }
    };
    let state = recording.header(header::STATE);
    note(
        state & header::STATE_NO_STACKS != 0,
        "stacks cannot be unwound safely on that system, so no call sites are known".into(),
    );
    let interpreter = recording.header(header::INTERPRETER);
    let version = interpreter >> 32;
    let why = match interpreter & 0xFFFF_FFFF {
        header::INTERPRETER_UNKNOWN => Some("its version is not known"),
        header::INTERPRETER_REFUSED => Some("its frames are not where this version keeps them"),
        _ => None,
    };
    if let Some(why) = why {
        note(
            true,
            format!(
                "the code in Python that runs is not known, for this interpreter ({}.{}) cannot be \
                 read: {why}",
                version >> 24,
                version >> 16 & 0xFF
            ),
        );
    }
    note(
        interpreter != 0,
        "Python keeps objects of up to 512 bytes in arenas of its own, which no figure here has in \
         it (PYTHONMALLOC=malloc shows them)"
            .into(),
    );
    let dropped = recording.header(header::SCRIPTS_DROPPED);
    note(
        dropped > 0,
        format!("{dropped} places in Python found no room, so their functions have no names"),
    );
    note(
        state & header::STATE_PRIVATE != 0,
        format!(
            "the recording lay in private memory{}, so only the process itself could write it out, \
             and nothing is left after `kill -9`",
            if state & header::STATE_DIR_FULL != 0 {
                ", for the directory already held as many recordings as it may (`mapgrow list \
                 --prune` removes those of processes that are gone)"
            } else {
                ""
            }
        ),
    );
    let limited_by = recording.header(header::LIMITED_BY);
    for (bit, what) in [
        (
            header::LIMIT_ADDRESS_SPACE,
            "the address space that the process may have (`ulimit -v`)",
        ),
        (
            header::LIMIT_FILE_SIZE,
            "the size that its files may have (`ulimit -f`)",
        ),
        (
            header::LIMIT_LOCKED,
            "the memory that it may lock (`ulimit -l`)",
        ),
        (
            header::LIMIT_FILE_SYSTEM,
            "the room in the recording's directory (`MAPGROW_DIR` names another)",
        ),
        (
            header::LIMIT_SANDBOX,
            "the sandbox that the program entered",
        ),
        (
            header::LIMIT_REFUSED,
            "that the system refused to make or map its file (an old kernel, a sandbox, no \
             descriptor left)",
        ),
    ] {
        note(
            limited_by & bit != 0,
            format!("the recording was kept small, or out of a file, by {what}"),
        );
    }
    note(
        limited_by & header::LIMIT_TIMELINE != 0,
        "the timeline was left out of the dump, which would have been too large for the limit of \
         file sizes (`ulimit -f`)"
            .into(),
    );
    note(
        state & header::STATE_FORKS_UNSEEN != 0,
        "the system does not let children of `fork` be told from their parent, so they were not \
         recorded"
            .into(),
    );
    note(
        context.clock.span(1).is_none(),
        "the recording holds no calibration of its clock, so times and pauses are unknown".into(),
    );
    note(
        honesty.paused,
        "recording is paused, and what is allocated now is in no figure (`mapgrow on PID` \
         resumes it)"
            .into(),
    );
    let ended_pauses = honesty.pauses.saturating_sub(u64::from(honesty.paused));
    note(
        ended_pauses > 0,
        format!(
            "recording was paused {}, and what was allocated meanwhile is in no figure",
            match ended_pauses {
                1 => "once".to_owned(),
                times => format!("{times} times"),
            }
        ),
    );
    note(
        honesty.sites_folded > 0,
        format!(
            "{} found no room for their call site; they are counted outside the containers",
            count(honesty.sites_folded, "block"),
        ),
    );
    note(
        honesty.maps_untracked > 0,
        format!(
            "{} found no room in the recording and are missing from all figures",
            count(honesty.maps_untracked, "table"),
        ),
    );
    note(
        honesty.resizes_folded > 0,
        format!(
            "{} could not be told apart by place",
            count(honesty.resizes_folded, "resize")
        ),
    );
    note(
        honesty.history_dropped > 0,
        format!(
            "{} are missing from the chain of their map",
            count(honesty.history_dropped, "table"),
        ),
    );
    note(
        honesty.budget_skipped > 0,
        format!(
            "the CPU budget left out {} ({}), which samples stand for: figures with \"about\" have \
             them in, within the error told; those without count the others alone",
            count(honesty.budget_skipped, "table"),
            bytes(honesty.budget_skipped_bytes),
        ),
    );
    note(
        honesty.memo_mismatches > 0,
        format!(
            "{} of {} checked stacks were wrong: some figures may stand at the wrong site",
            honesty.memo_mismatches, honesty.memo_checks,
        ),
    );
    note(
        honesty.conservation_difference_bytes != 0,
        format!(
            "counts and live tables differ by {} bytes: tables in flight when this was taken",
            honesty.conservation_difference_bytes,
        ),
    );
    note(
        honesty.modules_dropped > 0,
        format!(
            "{} found no room: their functions have no names",
            count(honesty.modules_dropped, "loaded object"),
        ),
    );
    note(
        honesty.threads_folded > 0,
        format!(
            "{} found no slot and are nameless",
            count(honesty.threads_folded, "thread")
        ),
    );
    let replaces = sum(sites.iter().filter_map(|site| site.replaces));
    note(
        replaces > 0,
        format!(
            "{} may be resizes or rebuilds: line tables would tell (gcc and clang: \
             -g; Rust: debug = \"line-tables-only\")",
            count(replaces, "replacement"),
        ),
    );
    let bounded = sites
        .iter()
        .filter(|site| site.peak_live_error_bytes.is_some_and(|e| e > 0));
    let bounded = bounded.count() as u64;
    note(
        bounded > 0,
        format!("the peak of {} is an upper bound", count(bounded, "site")),
    );
    let below = sites.iter().any(|site| site.coverage != Coverage::All);
    note(
        below,
        format!(
            "tables below {} are sampled, not counted (MAPGROW=exact counts all)",
            bytes(recording.header(header::FLOOR)),
        ),
    );
    note(
        honesty.tables_not_read > 0,
        format!(
            "what {} held was not read, for want of time or room",
            count(honesty.tables_not_read, "smaller live table"),
        ),
    );
    note(
        honesty.maps_omitted > 0,
        format!(
            "{} are counted but not listed",
            count(honesty.maps_omitted, "smaller live map")
        ),
    );
    notes
}
