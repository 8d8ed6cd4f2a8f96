//! What is missing or uncertain: facts and rows go in, figures and sentences come out.

use crate::facts::Facts;
use crate::facts::blocks::Blocks;
use crate::model::{Coverage, Honesty, Site};
use crate::words::units::{bytes, count};
use mapgrow_format::layout::{header, site};
use mapgrow_format::reader::Recording;

pub(crate) fn honesty(facts: &Facts<'_>, sites: &[Site], maps_omitted: u64) -> Honesty {
    let (recording, blocks) = (facts.recording, &facts.blocks);
    let threads = facts.threads.all();
    let lost = |head: usize, kept: usize| recording.header(head).saturating_sub(kept as u64);
    let honesty = Honesty {
        events_dropped: lost(header::RESIZE_HEAD, blocks.resizes.len())
            .saturating_add(lost(header::BIRTH_HEAD, blocks.births.len())),
        timeline_complete_from_ns: facts.complete_from_ns,
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
        // No site or edge is missing: whoever counts at one completes it first, so an incomplete
        // one was abandoned by a thread that lost the race to insert it.
        records_unreadable: blocks.unreadable,
        tables_not_read: recording.header(header::OCCUPANCY_SKIPPED),
        paused: recording.header(header::CONTROL) != 0,
        pauses: recording.header(header::PAUSES),
        conservation_difference_bytes: conservation(recording, blocks),
        maps_omitted,
        notes: Vec::new(),
    };
    let parts = [
        of_stacks(recording),
        of_limits(recording),
        of_pauses(facts, &honesty),
        of_losses(&honesty),
        of_figures(recording, &honesty, sites),
        facts.resolver.warnings(),
    ];
    Honesty {
        notes: parts.concat(),
        ..honesty
    }
}

fn sum(figures: impl Iterator<Item = u64>) -> u64 {
    figures.fold(0, u64::saturating_add)
}

/// Allocated minus freed minus what is there, over all sites and certain blocks.
fn conservation(recording: &Recording, blocks: &Blocks) -> i64 {
    let counted: i128 = recording
        .sites()
        .map(|site| {
            i128::from(site.word(site::ALLOC_BYTES)) - i128::from(site.word(site::FREE_BYTES))
        })
        .sum();
    let live = blocks.told().filter(|block| block.certain());
    let told: i128 = live.map(|block| i128::from(block.bytes)).sum();
    let there = told + i128::from(blocks.alone_bytes());
    i64::try_from(counted - there).unwrap_or(if counted > there { i64::MAX } else { i64::MIN })
}

/// The sentences whose condition holds.
fn true_ones<const N: usize>(notes: [(bool, String); N]) -> Vec<String> {
    let said = notes.into_iter().filter(|(when, _)| *when);
    said.map(|(_, text)| text).collect()
}

/// What is not known of call stacks.
fn of_stacks(recording: &Recording) -> Vec<String> {
    let interpreter = recording.header(header::INTERPRETER);
    let version = interpreter >> 32;
    let why = match interpreter & 0xFFFF_FFFF {
        header::INTERPRETER_UNKNOWN => Some("its version is not known"),
        header::INTERPRETER_REFUSED => Some("its frames are not where this version keeps them"),
        _ => None,
    };
    let dropped = recording.header(header::SCRIPTS_DROPPED);
    true_ones([
        (
            recording.header(header::STATE) & header::STATE_NO_STACKS != 0,
            "stacks cannot be unwound safely on that system, so no call sites are known".into(),
        ),
        (
            why.is_some(),
            format!(
                "the code in Python that runs is not known, for this interpreter ({}.{}) cannot be \
                 read: {}",
                version >> 24,
                version >> 16 & 0xFF,
                why.unwrap_or_default()
            ),
        ),
        (
            interpreter != 0,
            "Python keeps objects of up to 512 bytes in arenas of its own, which no figure here \
             has in it (PYTHONMALLOC=malloc shows them)"
                .into(),
        ),
        (
            dropped > 0,
            format!("{dropped} places in Python found no room, so their functions have no names"),
        ),
    ])
}

/// What the system did not let the recorder have.
fn of_limits(recording: &Recording) -> Vec<String> {
    let state = recording.header(header::STATE);
    let private = format!(
        "the recording lay in private memory{}, so only the process itself could write it out, and \
         nothing is left after `kill -9`",
        if state & header::STATE_DIR_FULL != 0 {
            ", for the directory already held as many recordings as it may (`mapgrow list --prune` \
             removes those of processes that are gone)"
        } else {
            ""
        }
    );
    let limited_by = recording.header(header::LIMITED_BY);
    let limits = LIMITS.iter().filter(|(bit, _)| limited_by & bit != 0);
    let limits = limits
        .map(|(_, what)| format!("the recording was kept small, or out of a file, by {what}"));
    let others = true_ones([
        (
            limited_by & header::LIMIT_TIMELINE != 0,
            "the timeline was left out of the dump, which would have been too large for the limit \
             of file sizes (`ulimit -f`)"
                .into(),
        ),
        (
            state & header::STATE_FORKS_UNSEEN != 0,
            "the system does not let children of `fork` be told from their parent, so they were \
             not recorded"
                .into(),
        ),
    ]);
    let private = true_ones([(state & header::STATE_PRIVATE != 0, private)]);
    private.into_iter().chain(limits).chain(others).collect()
}

/// What kept a recording small, or out of a file.
const LIMITS: [(u64, &str); 6] = [
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
        "that the system refused to make or map its file (an old kernel, a sandbox, no descriptor \
         left)",
    ),
];

/// Sentences on the times in which recording was paused.
fn of_pauses(facts: &Facts<'_>, honesty: &Honesty) -> Vec<String> {
    let ended_pauses = honesty.pauses.saturating_sub(u64::from(honesty.paused));
    let times = match ended_pauses {
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    true_ones([
        (
            facts.clock.span(1).is_none(),
            "the recording holds no calibration of its clock, so times and pauses are unknown"
                .into(),
        ),
        (
            honesty.paused,
            "recording is paused, and what is allocated now is in no figure (`mapgrow on PID` \
             resumes it)"
                .into(),
        ),
        (
            ended_pauses > 0,
            format!(
                "recording was paused {times}, and what was allocated meanwhile is in no figure"
            ),
        ),
    ])
}

/// What found no room, or does not add up.
fn of_losses(honesty: &Honesty) -> Vec<String> {
    let lost = |number: u64, noun: &str, what: &str| {
        (number > 0, format!("{} {what}", count(number, noun)))
    };
    true_ones([
        lost(
            honesty.sites_folded,
            "block",
            "found no room for their call site; they are counted outside the containers",
        ),
        lost(
            honesty.maps_untracked,
            "table",
            "found no room in the recording and are missing from all figures",
        ),
        lost(
            honesty.resizes_folded,
            "resize",
            "could not be told apart by place",
        ),
        lost(
            honesty.history_dropped,
            "table",
            "are missing from the chain of their map",
        ),
        (
            honesty.budget_skipped > 0,
            format!(
                "the CPU budget left out {} ({}), which samples stand for: figures with \"about\" \
                 have them in, within the error told; those without count the others alone",
                count(honesty.budget_skipped, "table"),
                bytes(honesty.budget_skipped_bytes),
            ),
        ),
        (
            honesty.memo_mismatches > 0,
            format!(
                "{} of {} checked stacks were wrong: some figures may stand at the wrong site",
                honesty.memo_mismatches, honesty.memo_checks,
            ),
        ),
        (
            honesty.conservation_difference_bytes != 0,
            format!(
                "counts and live tables differ by {} bytes: tables in flight when this was taken",
                honesty.conservation_difference_bytes,
            ),
        ),
        lost(
            honesty.modules_dropped,
            "loaded object",
            "found no room: their functions have no names",
        ),
        lost(
            honesty.threads_folded,
            "thread",
            "found no slot and are nameless",
        ),
    ])
}

/// Which figures are less than they seem.
fn of_figures(recording: &Recording, honesty: &Honesty, sites: &[Site]) -> Vec<String> {
    let replaced = sites.iter().filter(|site| site.replaces > Some(0));
    let replaces = sum(replaced.clone().filter_map(|site| site.replaces));
    let lineless = |site: &Site| site.caller.as_ref().is_none_or(|at| at.line.is_none());
    let would_tell = match replaced.clone().any(lineless) {
        true => ": line tables would tell (gcc and clang: -g; Rust: debug = \"line-tables-only\")",
        false => "",
    };
    let is_bound = |site: &&Site| site.peak_live_error_bytes.is_some_and(|error| error > 0);
    let bounded = sites.iter().filter(is_bound).count() as u64;
    true_ones([
        (
            replaces > 0,
            format!(
                "{} may be resizes or rebuilds{would_tell}",
                count(replaces, "replacement"),
            ),
        ),
        (
            bounded > 0,
            format!("the peak of {} is an upper bound", count(bounded, "site")),
        ),
        (
            sites.iter().any(|site| site.coverage != Coverage::All),
            format!(
                "tables below {} are sampled, not counted (MAPGROW=exact counts all)",
                bytes(recording.header(header::FLOOR)),
            ),
        ),
        (
            honesty.tables_not_read > 0,
            format!(
                "what {} held was not read, for want of time (MAPGROW_READ_TIME) or room",
                count(honesty.tables_not_read, "smaller live table"),
            ),
        ),
        (
            honesty.maps_omitted > 0,
            format!(
                "{} are counted but not listed",
                count(honesty.maps_omitted, "smaller live container")
            ),
        ),
    ])
}
