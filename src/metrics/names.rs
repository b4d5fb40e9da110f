//! Every metric by name. docs/reference/metrics.md is this table for people; a test holds the two and a real scrape together.

/// How a metric's values move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; begins at 0 with the process. Its samples' names end in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets by upper bound, their sum and their number.
    Histogram,
    /// Always 1; its labels tell. Its samples' names end in `_info`.
    Info,
}

impl Kind {
    /// The word of the exposition formats.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}

/// One metric.
#[derive(Debug)]
pub struct Definition {
    /// Its name, without the ending that its kind gives its samples.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its labels' names.
    pub labels: &'static [&'static str],
    /// One sentence, for a person. Times are in seconds, sizes in bytes.
    pub help: &'static str,
}

impl Definition {
    /// The name as it stands in queries: with the ending that its kind asks for. A histogram's has more endings.
    #[must_use]
    pub fn full_name(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.name),
            Kind::Info => format!("{}_info", self.name),
            Kind::Gauge | Kind::Histogram => self.name.to_owned(),
        }
    }
}

macro_rules! metrics {
    ($($constant:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(super) const $constant: Definition =
            Definition { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)*
        /// All of them.
        pub const METRICS: &[&Definition] = &[$(&$constant),*];
    };
}

metrics! {
    BUILD: Info "leukd_build" ["version"] "Which leukd this is";
    MODEL: Info "leukd_model" ["id", "digest", "engine"] "The model in service; absent while none is";
    MODEL_LOADS: Counter "leukd_model_loads" ["outcome"] "Loads of a model bundle, the first one too, by how they ended: served, refused (the one before stays) or busy (another was under way)";
    DEGRADED: Gauge "leukd_degraded" ["component"] "1 while this part is degraded, as leukd status tells it in words; 0 otherwise";

    CAPTURES: Gauge "leukd_captures" ["folder", "state"] "Captures of a folder: settling, queued and on_disk (beyond what is tracked) wait; done, duplicate and rejected are the ledger's, since the journal began";
    OLDEST_WAITING: Gauge "leukd_oldest_waiting_seconds" ["folder"] "How long the oldest capture without a result has been known; 0 when none waits";
    FILES_IGNORED: Gauge "leukd_ignored_files" ["folder", "kind"] "Files of the last scan that are no captures: by name (pattern), or links, pipes and devices (special)";
    FOLDER_REACHABLE: Gauge "leukd_folder_reachable" ["folder"] "1 while the folder is there and can be read; 0 otherwise";
    LAST_SCAN_AGE: Gauge "leukd_last_scan_age_seconds" ["folder"] "Since the last full scan of the folder ended; absent before the first";
    SCAN_DURATION: Gauge "leukd_scan_duration_seconds" ["folder"] "How long the last full scan took; absent before the first";

    RESULTS: Counter "leukd_results" ["decision", "source"] "Results stored, by decision (all, hem, review, rejected) and source (folder, rpc)";
    REJECTS: Counter "leukd_rejects" ["reason"] "Captures rejected, by the code of the result's first reason; absent before the first";
    REVIEWS: Counter "leukd_reviews" ["verdict"] "Reviews stored: confirmed agrees with what leukd suggested, corrected does not";
    SPECIMENS_TOLD: Counter "leukd_specimens_told" ["cause"] "Specimens' events stored, because nothing more came (quiet) or a done-marker appeared (marker)";
    STAGE: Histogram "leukd_stage_seconds" ["stage"] "How long results took in each stage: queue, read, decode, preprocess, infer, and commit (to the disk, with the wait for others that share its flush). A stage that a result did not go through is not counted";
    WORKERS: Gauge "leukd_workers" [] "Worker threads";
    WORKERS_BUSY: Gauge "leukd_workers_busy" [] "Workers that have something in hand";
    QUEUE_LENGTH: Gauge "leukd_queue_length" ["lane"] "Jobs that wait for a worker: requests (interactive) or captures (backlog)";
    QUEUE_CAPACITY: Gauge "leukd_queue_capacity" ["lane"] "The most that may wait in the lane";

    DRIFT_RESULTS: Gauge "leukd_drift_results" ["week", "decision"] "Results of the model in service in the running ISO week (UTC) and in the last one. These, and all of leukd_drift, are absent for a week without any, one that retention has cut, and while the journal is walked through after a start";
    DRIFT_DOUBTED: Gauge "leukd_drift_doubted_share" ["week"] "Of the classified cells the share that is under review because of the picture, not of the model's own doubt";
    DRIFT_MEAN: Gauge "leukd_drift_mean_score" ["week"] "The mean of P(all), 0 to 1";
    DRIFT_STABILITY: Gauge "leukd_drift_stability_index" ["week"] "How far P(all) is distributed from up to four weeks before (population stability index; 0.25 is large); absent with fewer than 200 cells on either side";
    DRIFT_FIGURE: Gauge "leukd_drift_figure_mean" ["week", "figure"] "The mean of a figure of the pictures (Result.quality in the contract has their units)";
    DRIFT_SHIFT: Gauge "leukd_drift_figure_shift" ["week", "figure"] "By how many spreads that mean has moved since up to four weeks before (0.8 is large); absent with fewer than 200 pictures on either side";
    DRIFT_AGREEMENT: Gauge "leukd_drift_agreement" ["week"] "Of the reviewed results the share whose latest review agrees with leukd; absent without reviews";
    DRIFT_STANDS_OUT: Gauge "leukd_drift_stands_out" ["week", "what"] "1 for what stands out as leukd status says it in words: scores, doubted, rejected, agreement, or a figure; absent otherwise";

    JOURNAL_OLDEST: Gauge "leukd_journal_oldest_sequence" [] "The oldest result that is kept; 0 when there is none";
    JOURNAL_NEWEST: Gauge "leukd_journal_newest_sequence" [] "The newest result; 0 when there was none";
    JOURNAL_SIZE: Gauge "leukd_journal_size_bytes" [] "The journal's files";
    JOURNAL_FREE: Gauge "leukd_journal_disk_free_bytes" [] "Free space where the journal lies";
    JOURNAL_FLOOR: Gauge "leukd_journal_disk_floor_bytes" [] "With less free space captures wait (journal.disk_floor)";
    JOURNAL_COMMIT: Histogram "leukd_journal_commit_seconds" [] "How long transactions took, each with its flush to the disk; several results share one";
    JOURNAL_FAILURES: Counter "leukd_journal_commit_failures" [] "Transactions that failed or, for want of disk space, did not begin; what was in them is tried again";

    IMAGES_KEPT: Gauge "leukd_kept_images_bytes" [] "Images that are kept (journal.keep_images)";
    IMAGES_NOT_KEPT: Counter "leukd_images_not_kept" [] "Images that were to be kept and could not be: the log says why";

    SUBSCRIBERS: Gauge "leukd_subscribers" [] "Open subscriptions";
    SUBSCRIBERS_CAPACITY: Gauge "leukd_subscribers_capacity" [] "The most that may be open (rpc.max_subscribers)";
    SUBSCRIBER_LAG: Gauge "leukd_subscriber_lag_results" [] "Results that the subscriber furthest behind has not been given, beyond those that wait in its buffer";
    SUBSCRIBERS_BEHIND: Gauge "leukd_subscribers_behind" [] "Subscribers that have not been given every result";
    SUBSCRIBERS_DROPPED: Counter "leukd_subscribers_dropped" [] "Subscribers dropped because they took nothing for rpc.slow_after";
    RPC_CALLS: Counter "leukd_rpc_calls" ["method", "code"] "Calls that ended, by method and gRPC code; a client that went away counts as CANCELLED";
    RPC_SECONDS: Histogram "leukd_rpc_seconds" ["method"] "From a call's arrival to the end of its answer; for a stream, all of its life";
    RPC_OPEN: Gauge "leukd_rpc_open_calls" ["method"] "Calls that are being answered, open streams too";

    PROGRESS_AGE: Gauge "leukd_progress_age_seconds" ["of"] "Since workers and folders last moved, or had nothing to do; the watchdog is no longer fed when it is over 60";
    WATCHDOG_FEEDS: Counter "leukd_watchdog_feeds" [] "How often systemd's watchdog was fed; 0 where there is none";
    WATCHDOG_AGE: Gauge "leukd_watchdog_age_seconds" [] "Since it was last fed; absent where there is none";
    SCRAPE_COMPLETE: Gauge "leukd_scrape_complete" [] "1 when everything could be asked; 0 when the journal did not answer in time: its figures, and the ledger's in leukd_captures, are then absent";

    PROCESS_CPU: Counter "process_cpu_seconds" [] "Processor time of this process";
    PROCESS_RSS: Gauge "process_resident_memory_bytes" [] "Memory that this process holds";
    PROCESS_VIRTUAL: Gauge "process_virtual_memory_bytes" [] "Address space of this process";
    PROCESS_THREADS: Gauge "process_threads" [] "Threads of this process";
    PROCESS_FDS: Gauge "process_open_fds" [] "Open file descriptors";
    PROCESS_MAX_FDS: Gauge "process_max_fds" [] "The most file descriptors that may be open; absent without a limit";
    PROCESS_START: Gauge "process_start_time_seconds" [] "When this process started, in seconds since 1970";
}
