//! Calls of the network's faces, by method and code, with how long they took.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::{Counter, Histogram};

/// Stands for every path that is no method of the daemon's services: clients choose paths.
const OTHER: &str = "other";

/// The code of a call whose client went away before it had a status.
const CANCELLED: usize = 1;

/// gRPC's codes, 0 to 16, as `google/rpc/code.proto` writes them.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The calls of one method.
#[derive(Debug, Default)]
pub struct Method {
    codes: [Counter; CODES.len()],
    /// From the request's arrival to the end of its answer; for a stream, all of its life.
    pub took: Histogram,
    /// Calls that are being answered.
    open: AtomicU64,
}

impl Method {
    /// Every code with how many calls ended in it.
    pub fn codes(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        CODES.iter().zip(&self.codes).map(|(code, count)| (*code, count.get()))
    }

    /// Calls that are being answered now.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }
}

/// Every method of the daemon with its calls.
#[derive(Debug)]
pub struct Calls {
    methods: Vec<(String, Method)>,
    by_path: HashMap<String, usize>,
}

impl Calls {
    /// No call yet of these methods, `package.Service/Method` each.
    #[must_use]
    pub fn new(mut names: Vec<String>) -> Self {
        names.sort();
        names.dedup();
        names.push(OTHER.to_owned());
        let by_path =
            names.iter().enumerate().map(|(index, name)| (format!("/{name}"), index)).collect();
        Self { methods: names.into_iter().map(|name| (name, Method::default())).collect(), by_path }
    }

    /// Every method, `package.Service/Method`; the last one stands for all paths that are none.
    pub fn methods(&self) -> impl Iterator<Item = (&str, &Method)> {
        self.methods.iter().map(|(name, method)| (name.as_str(), method))
    }

    fn index(&self, path: &str) -> usize {
        self.by_path.get(path).copied().unwrap_or(self.methods.len() - 1)
    }
}

/// One call; counted when it is dropped, however it ends.
#[derive(Debug)]
pub struct Call {
    calls: Arc<Calls>,
    index: usize,
    began: Instant,
    /// None until the status is known: then the client went away, or cancelled.
    code: Option<usize>,
}

impl Call {
    /// A call of `/package.Service/Method` begins.
    #[must_use]
    pub fn begin(calls: Arc<Calls>, path: &str) -> Self {
        let index = calls.index(path);
        calls.methods[index].1.open.fetch_add(1, Ordering::Relaxed);
        Self { calls, index, began: Instant::now(), code: None }
    }

    /// It ends in this code, 0 to 16.
    pub fn ends_in(&mut self, code: i32) {
        self.code = usize::try_from(code).ok();
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let method = &self.calls.methods[self.index].1;
        method.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(count) = method.codes.get(self.code.unwrap_or(CANCELLED)) {
            count.one();
        }
        method.took.observe(self.began.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_other_path_shares_one_place() {
        let calls = Calls::new(vec!["p.S/B".to_owned(), "p.S/A".to_owned(), "p.S/A".to_owned()]);
        let names: Vec<_> = calls.methods().map(|(name, _)| name).collect();
        assert_eq!(names, ["p.S/A", "p.S/B", OTHER]);
        assert_eq!(names[calls.index("/p.S/B")], "p.S/B");
        assert_eq!(names[calls.index("/made.up/Path")], OTHER);
        assert_eq!(names[calls.index("")], OTHER);
    }

    #[test]
    fn a_call_that_is_dropped_without_a_status_was_cancelled() {
        let calls = Arc::new(Calls::new(Vec::new()));
        let call = Call::begin(Arc::clone(&calls), "/p.S/A");
        let (_, method) = calls.methods().next().unwrap();
        assert_eq!(method.open(), 1);
        drop(call);
        assert_eq!(method.open(), 0);
        let ended: Vec<_> = method.codes().filter(|(_, count)| *count > 0).collect();
        assert_eq!(ended, [("CANCELLED", 1)]);
        assert_eq!(method.took.now().count(), 1);
    }
}
