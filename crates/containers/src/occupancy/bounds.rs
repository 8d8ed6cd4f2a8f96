//! What a table holds at least and at most, where its bytes leave several answers.

use super::survey::{Survey, elements};

/// Two figures of a table, from the smallest that is possible to the largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Entries.
    pub entries: (u64, u64),
    /// Bytes beyond what a table for these entries needs.
    pub retained_bytes: (u64, u64),
}

impl Survey {
    /// Bounds for a table whose elements have one of the sizes for which `possible` is true. `None`
    /// when there is no such table, or nobody knows what one of them would hold.
    #[must_use]
    pub fn bounds_where(&self, possible: &dyn Fn(u64) -> bool) -> Option<Bounds> {
        let block = self.block();
        let mut unsaid = (0..u64::BITS)
            .filter(|log2| self.unsaid() >> log2 & 1 != 0)
            .filter_map(|log2| block.shape(log2));
        if unsaid.any(|shape| elements(&shape, possible).is_some()) {
            return None;
        }
        let mut bounds: Option<Bounds> = None;
        for hypothesis in self.hypotheses() {
            let Some((least, most)) = elements(&hypothesis.shape, possible) else {
                continue;
            };
            let counted = hypothesis.entries;
            let (low, high) = (
                counted.value.saturating_sub(counted.error),
                counted.value.saturating_add(counted.error),
            );
            let kept =
                |element, entries| block.retained(hypothesis.shape.buckets, element, entries);
            let (few, many) = (kept(least, low)?, kept(most, high)?);
            let (few, many) = (few.max(many), few.min(many));
            let wider = bounds.get_or_insert(Bounds {
                entries: (low, high),
                retained_bytes: (many, few),
            });
            wider.entries = (wider.entries.0.min(low), wider.entries.1.max(high));
            let kept = wider.retained_bytes;
            wider.retained_bytes = (kept.0.min(many), kept.1.max(few));
        }
        bounds
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Block, Limits, survey};

    /// A table of `buckets` buckets of 16 bytes with an entry in the last bucket of each `step`.
    fn table(buckets: usize, step: usize) -> Vec<u8> {
        let mut bytes = vec![0; buckets * 16];
        let mut control = vec![0xFF_u8; buckets];
        for (at, byte) in control.iter_mut().skip(step - 1).step_by(step).enumerate() {
            *byte = (at % 100) as u8;
        }
        bytes.extend(&control);
        bytes.extend(&control[..16]);
        bytes
    }

    #[test]
    fn a_table_that_may_be_two_is_bounded() {
        // It may as well be one of half the buckets with elements of 33 bytes, and so on.
        let bytes = table(1 << 12, 1 << 6);
        let block = Block::new(bytes.len() as u64, Some(16), 16).expect("a block");
        let survey = survey(&block, &mut &bytes[..], &Limits::default()).expect("a survey");
        assert_eq!(survey.settle_where(&|_| true), None);
        let bounds = survey.bounds_where(&|_| true).expect("bounds");
        assert_eq!(bounds.entries, (1, 64));
        let (least, most) = bounds.retained_bytes;
        let truth = block.retained(1 << 12, 16, 64).expect("a figure");
        assert!((least..=most).contains(&truth), "{least} {truth} {most}");
        assert!(most - least < bytes.len() as u64 / 10, "{least} {most}");
        let only = survey
            .bounds_where(&|element| element == 16)
            .expect("bounds");
        assert_eq!(only.retained_bytes, (truth, truth));
        assert_eq!(survey.bounds_where(&|element| element == 7), None);
    }
}
