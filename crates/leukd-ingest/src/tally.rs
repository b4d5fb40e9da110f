//! What one scan has found so far.

use std::collections::BinaryHeap;

use leukd_journal::types::FileStamp;

/// Counts, problems and, while there is less room than captures, the oldest candidates.
#[derive(Debug, Default)]
pub(super) struct Tally {
    candidates: BinaryHeap<Candidate>,
    /// Captures left on disk.
    pub(super) left: u64,
    /// The journal did not answer: further new files wait for the next scan, instead of a timeout
    /// each.
    pub(super) blind: bool,
    problems: u64,
    first_problem: Option<String>,
}

/// In the order of modification time, then path: the greatest gives way first.
#[derive(Debug, PartialEq, Eq)]
struct Candidate {
    path: String,
    stamp: FileStamp,
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.stamp.mtime_ns, &self.path).cmp(&(other.stamp.mtime_ns, &other.path))
    }
}

impl Tally {
    /// A capture for which there may be room: kept if it is among the `room` oldest of this scan,
    /// so that under a lasting backlog the oldest captures come first whatever order the folder
    /// lists them in.
    pub(super) fn candidate(&mut self, path: String, stamp: FileStamp, room: usize) {
        self.candidates.push(Candidate { path, stamp });
        while self.candidates.len() > room {
            self.candidates.pop();
            self.left += 1;
        }
    }

    /// The candidates that were kept.
    pub(super) fn take_candidates(&mut self) -> impl Iterator<Item = (String, FileStamp)> + use<> {
        std::mem::take(&mut self.candidates).into_iter().map(|one| (one.path, one.stamp))
    }

    /// Something that an administrator should know.
    pub(super) fn problem(&mut self, problem: String) {
        self.problems += 1;
        self.first_problem.get_or_insert(problem);
    }

    /// The problems in one sentence, or else what is wrong `otherwise`.
    pub(super) fn summary(self, otherwise: Option<&str>) -> Option<String> {
        let first = self.first_problem.or_else(|| otherwise.map(str::to_owned))?;
        Some(match self.problems {
            0 | 1 => first,
            more => format!("{first} (and {} more like it)", more - 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_kept_and_the_others_are_counted() {
        let mut tally = Tally::default();
        for (path, mtime_ns) in [("c", 30), ("a", 10), ("d", 40), ("b", 10)] {
            let stamp = FileStamp { size: 1, mtime_ns, ctime_ns: 0, inode: 0 };
            tally.candidate(path.to_owned(), stamp, 2);
        }
        let mut kept: Vec<_> = tally.take_candidates().map(|(path, _)| path).collect();
        kept.sort();
        assert_eq!((kept, tally.left), (vec!["a".to_owned(), "b".to_owned()], 2));
    }

    #[test]
    fn many_problems_become_one_sentence() {
        let mut tally = Tally::default();
        for index in 0..3 {
            tally.problem(format!("problem {index}"));
        }
        assert_eq!(tally.summary(Some("x")).unwrap(), "problem 0 (and 2 more like it)");
        assert_eq!(Tally::default().summary(Some("x")).unwrap(), "x");
        assert_eq!(Tally::default().summary(None), None);
    }
}
