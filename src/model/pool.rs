//! The worker threads: two bounded lanes, one queue of work.
