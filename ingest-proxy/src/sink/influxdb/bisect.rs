//! Finds what is refused by halving: pure, so that it can be tested without a database.
//!
//! The search has an end: who sends nothing but lines that are refused must not hold the sink up.

use std::ops::Range;

/// How often a range is split in one search. Beyond it, what is refused is refused as a whole.
const SPLITS_LIMIT: usize = 200;

/// The ranges still to be tried, first first.
pub(super) struct Bisect {
    ranges: Vec<Range<usize>>,
    splits: usize,
}

impl Bisect {
    /// Starts with all of `length` points.
    pub(super) fn new(length: usize) -> Self {
        let mut ranges = Vec::new();
        if length > 0 {
            ranges.push(0..length);
        }
        Self { ranges, splits: 0 }
    }

    /// What to try next.
    pub(super) fn next(&mut self) -> Option<Range<usize>> {
        self.ranges.pop()
    }

    /// Puts both halves of a refused range up for trial. `false`: it is one point, or it has to be given
    /// up as it is.
    pub(super) fn split(&mut self, range: Range<usize>) -> bool {
        if range.len() < 2 || self.splits == SPLITS_LIMIT {
            return false;
        }
        self.splits += 1;
        let middle = range.start + range.len() / 2;
        self.ranges.push(middle..range.end);
        self.ranges.push(range.start..middle);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches among `length` points, of which some are bad; returns what was found and in what
    /// order the good ones were written.
    fn search(length: usize, bad: &[usize]) -> (Vec<usize>, Vec<usize>, usize) {
        let (mut found, mut written, mut requests) = (Vec::new(), Vec::new(), 0);
        let mut bisect = Bisect::new(length);
        while let Some(range) = bisect.next() {
            requests += 1;
            if !bad.iter().any(|index| range.contains(index)) {
                written.extend(range);
            } else if !bisect.split(range.clone()) {
                found.extend(range);
            }
        }
        (found, written, requests)
    }

    #[test]
    fn all_bad_ones_are_found_and_all_good_ones_written_in_order() {
        for length in 0..20 {
            for first in 0..length {
                for second in first..length {
                    let mut bad = vec![first, second];
                    bad.dedup();
                    let (found, written, _) = search(length, &bad);
                    assert_eq!(found, bad);
                    let good: Vec<_> = (0..length).filter(|index| !bad.contains(index)).collect();
                    assert_eq!(written, good);
                }
            }
        }
    }

    #[test]
    fn where_nearly_all_are_bad_the_search_ends_and_nothing_is_left_over() {
        let bad: Vec<usize> = (0..1_024).filter(|index| index % 100 != 0).collect();
        let (found, written, requests) = search(1_024, &bad);
        assert!(requests <= 2 * SPLITS_LIMIT + 1, "{requests} requests");
        assert!(bad.iter().all(|index| found.contains(index)));
        assert_eq!(found.len() + written.len(), 1_024);
    }

    #[test]
    fn one_among_many_takes_few_requests() {
        assert_eq!(search(1, &[]).2, 1);
        assert!(search(4096, &[1234]).2 <= 2 * 12 + 1);
    }
}
