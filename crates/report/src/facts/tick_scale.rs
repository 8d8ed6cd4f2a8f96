//! Ticks go in, nanoseconds come out.

use mapgrow_format::layout::header;
use mapgrow_format::reader::Recording;

/// Converts the ticks of a recording.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TickScale {
    start: u64,
    /// Nanoseconds and ticks between the two calibrations; `None` when there was only one.
    rate: Option<(u64, u64)>,
}

impl TickScale {
    pub(crate) fn of(recording: &Recording) -> Self {
        let start = recording.header(header::START_TICKS);
        let ticks = recording.header(header::NOW_TICKS).saturating_sub(start);
        let ns = recording
            .header(header::NOW_MONO_NS)
            .saturating_sub(recording.header(header::START_MONO_NS));
        let rate = match recording.header(header::TICK_KIND) {
            0 => Some((1, 1)),
            _ if ticks > 0 && ns > 0 => Some((ns, ticks)),
            _ => None,
        };
        Self { start, rate }
    }

    /// A length of time.
    pub(crate) fn span(&self, ticks: u64) -> Option<u64> {
        let (ns, per_ticks) = self.rate?;
        let exact = u128::from(ticks) * u128::from(ns) / u128::from(per_ticks);
        u64::try_from(exact).ok()
    }

    /// A moment, since the start of the recording.
    pub(crate) fn moment(&self, ticks: u64) -> Option<u64> {
        self.span(ticks.saturating_sub(self.start))
    }

    /// A moment, unless it is 0, which stands for never.
    pub(crate) fn moment_if_set(&self, ticks: u64) -> Option<u64> {
        if ticks == 0 { None } else { self.moment(ticks) }
    }
}
