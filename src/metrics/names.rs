//! Every metric by name. docs/reference/metrics.md is written from this table; a test compares it
//! with a real scrape.

/// How a metric's values move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; begins at 0 with the process. Its samples' names end in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets by upper bound, their sum and their number.
    Histogram,
    /// Always 1; its labels hold the information. Its samples' names end in `_info`.
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
    /// The name in queries, with the ending of its kind. A histogram has more endings.
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
    BUILD: Info "leukd_build" ["version"] "Version of leukd";
    MODEL: Info "leukd_model" ["id", "digest", "engine"] "The model in service; absent while none is";
    MODEL_LOADS: Counter "leukd_model_loads" ["outcome"] "Loads of a model bundle by outcome: served, refused (the previous one stays) or busy (another load was running)";
    DEGRADED: Gauge "leukd_degraded" ["component"] "1 while this part is degraded, see leukd status; 0 otherwise";

    CAPTURES: Gauge "leukd_captures" ["folder", "state"] "Captures of a folder: settling, queued and on_disk (beyond what is tracked) wait; done, duplicate and rejected count since the journal began";
    OLDEST_WAITING: Gauge "leukd_oldest_waiting_seconds" ["folder"] "Time since the oldest capture without a result was found; 0 when none waits";
    FILES_IGNORED: Gauge "leukd_ignored_files" ["folder", "kind"] "Files of the last scan that are not captures: by name (pattern), or links, pipes and devices (special)";
    FOLDER_REACHABLE: Gauge "leukd_folder_reachable" ["folder"] "1 while the folder exists and is readable; 0 otherwise";
    LAST_SCAN_AGE: Gauge "leukd_last_scan_age_seconds" ["folder"] "Time since the last full scan of the folder; absent before the first";
    SCAN_DURATION: Gauge "leukd_scan_duration_seconds" ["folder"] "Duration of the last full scan; absent before the first";

    RESULTS: Counter "leukd_results" ["decision", "source"] "Results stored, by decision (all, hem, review, rejected) and source (folder, rpc)";
    REJECTS: Counter "leukd_rejects" ["reason"] "Captures rejected, by the code of the result's first reason; absent before the first";
    REVIEWS: Counter "leukd_reviews" ["verdict"] "Reviews stored: confirmed agrees with leukd's suggestion, corrected does not";
    SPECIMENS_TOLD: Counter "leukd_specimens_told" ["cause"] "Specimen events stored, because nothing more came (quiet) or a done-marker appeared (marker)";
    STAGE: Histogram "leukd_stage_seconds" ["stage"] "Duration of each stage of a result: queue, read, decode, preprocess, infer, and commit (to the disk, with the wait for others of the same flush). Skipped stages are not counted";
    WORKERS: Gauge "leukd_workers" [] "Worker threads";
    WORKERS_BUSY: Gauge "leukd_workers_busy" [] "Workers that are busy";
    QUEUE_LENGTH: Gauge "leukd_queue_length" ["lane"] "Jobs waiting for a worker: requests (interactive) or captures (backlog)";
    QUEUE_CAPACITY: Gauge "leukd_queue_capacity" ["lane"] "Limit on the lane's queue";

    DRIFT_RESULTS: Gauge "leukd_drift_results" ["week", "decision"] "Results of the model in service in the running ISO week (UTC) and in the last one. All of leukd_drift is absent for a week without results, for one that retention has cut, and while the journal is counted after a start";
    DRIFT_DOUBTED: Gauge "leukd_drift_doubted_share" ["week"] "Share of the classified cells under review because of the picture, not of the review band";
    DRIFT_MEAN: Gauge "leukd_drift_mean_score" ["week"] "Mean of P(all), 0 to 1";
    DRIFT_STABILITY: Gauge "leukd_drift_stability_index" ["week"] "Change of the distribution of P(all) against up to four weeks before (population stability index; 0.25 is large); absent with fewer than 200 cells on either side";
    DRIFT_FIGURE: Gauge "leukd_drift_figure_mean" ["week", "figure"] "Mean of a figure of the pictures; units as in Result.quality of the contract";
    DRIFT_SHIFT: Gauge "leukd_drift_figure_shift" ["week", "figure"] "Change of that mean against up to four weeks before, in spreads (0.8 is large); absent with fewer than 200 pictures on either side";
    DRIFT_AGREEMENT: Gauge "leukd_drift_agreement" ["week"] "Share of the reviewed results whose latest review agrees with leukd; absent without reviews";
    DRIFT_STANDS_OUT: Gauge "leukd_drift_stands_out" ["week", "what"] "1 for what stands out, see leukd status: scores, doubted, rejected, agreement, or a figure; absent otherwise";

    JOURNAL_OLDEST: Gauge "leukd_journal_oldest_sequence" [] "Sequence of the oldest stored event; 0 without one";
    JOURNAL_NEWEST: Gauge "leukd_journal_newest_sequence" [] "Sequence of the newest event; 0 without one";
    JOURNAL_SIZE: Gauge "leukd_journal_size_bytes" [] "Size of the journal's files";
    JOURNAL_WAL: Gauge "leukd_journal_wal_bytes" [] "Size of the journal's write-ahead log, part of leukd_journal_size_bytes; it grows without end while another program keeps a reader open on the journal";
    JOURNAL_FREE: Gauge "leukd_journal_disk_free_bytes" [] "Free space on the journal's disk";
    JOURNAL_FLOOR: Gauge "leukd_journal_disk_floor_bytes" [] "Free space below which captures wait (journal.disk_floor)";
    JOURNAL_COMMIT: Histogram "leukd_journal_commit_seconds" [] "Duration of transactions with their flush to the disk; several results share one";
    JOURNAL_FAILURES: Counter "leukd_journal_commit_failures" [] "Transactions that failed or did not begin for lack of disk space; their entries are retried";

    IMAGES_KEPT: Gauge "leukd_kept_images_bytes" [] "Size of the kept images (journal.keep_images)";
    IMAGES_NOT_KEPT: Counter "leukd_images_not_kept" [] "Images that could not be kept; the log says why";

    FORWARD_UP: Gauge "leukd_forward_up" [] "1 while the laboratory's store takes events; 0 otherwise. All of leukd_forward is absent where nothing is forwarded";
    FORWARD_WAITING: Gauge "leukd_forward_waiting_events" [] "Events that the store does not hold yet; absent before the first connection";
    FORWARD_AWAY: Gauge "leukd_forward_away_seconds" [] "Time since the store stopped taking events; 0 while it takes them";
    FORWARD_EVENTS: Counter "leukd_forward_events" [] "Events that the store took from this process";
    FORWARD_BATCHES: Counter "leukd_forward_batches" [] "Transactions that the store took, signs of life included";
    FORWARD_SECONDS: Counter "leukd_forward_seconds" [] "Time that the store needed for them";
    FORWARD_CONNECTIONS: Counter "leukd_forward_connections" [] "Connections to the store";
    FORWARD_FAILURES: Counter "leukd_forward_failures" [] "Connections that failed or were lost";
    FORWARD_MISSED: Counter "leukd_forward_missed_events" [] "Events that retention had removed before the store could take them";

    SUBSCRIBERS: Gauge "leukd_subscribers" [] "Open subscriptions";
    SUBSCRIBERS_CAPACITY: Gauge "leukd_subscribers_capacity" [] "Limit on open subscriptions (rpc.max_subscribers)";
    SUBSCRIBER_LAG: Gauge "leukd_subscriber_lag_results" [] "Results not yet buffered for the subscriber furthest behind";
    SUBSCRIBERS_BEHIND: Gauge "leukd_subscribers_behind" [] "Subscribers that have not yet received every result";
    SUBSCRIBERS_DROPPED: Counter "leukd_subscribers_dropped" [] "Subscribers dropped because they took nothing for rpc.slow_after";
    RPC_CALLS: Counter "leukd_rpc_calls" ["method", "code"] "Ended calls by method and gRPC code; a disconnected client counts as CANCELLED";
    RPC_SECONDS: Histogram "leukd_rpc_seconds" ["method"] "Time from a call's arrival to the end of its answer or stream";
    RPC_OPEN: Gauge "leukd_rpc_open_calls" ["method"] "Open calls and streams";

    PROGRESS_AGE: Gauge "leukd_progress_age_seconds" ["of"] "Time since workers and folders last made progress or were idle; above 60 the watchdog is not fed";
    WATCHDOG_FEEDS: Counter "leukd_watchdog_feeds" [] "Feeds of systemd's watchdog; 0 without one";
    WATCHDOG_AGE: Gauge "leukd_watchdog_age_seconds" [] "Time since it was last fed; absent without one";
    SCRAPE_COMPLETE: Gauge "leukd_scrape_complete" [] "1 when everything answered; 0 when the journal did not answer in time, and its figures and the ledger's in leukd_captures are absent";

    PROCESS_CPU: Counter "process_cpu_seconds" [] "Processor time of this process";
    PROCESS_RSS: Gauge "process_resident_memory_bytes" [] "Resident memory of this process";
    PROCESS_VIRTUAL: Gauge "process_virtual_memory_bytes" [] "Address space of this process";
    PROCESS_THREADS: Gauge "process_threads" [] "Threads of this process";
    PROCESS_FDS: Gauge "process_open_fds" [] "Open file descriptors";
    PROCESS_MAX_FDS: Gauge "process_max_fds" [] "Limit on open file descriptors; absent without one";
    PROCESS_START: Gauge "process_start_time_seconds" [] "Start of this process, in seconds since 1970";
}
