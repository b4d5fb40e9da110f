//! More at once than the kernel's queue of events holds.

use rustix::process::Signal;

use crate::ready::{all_once, newest};
use crate::support::process::Process;
use crate::support::{ALL, Folders, cell_of, until};

const BURST: u64 = 10_000;

/// What the kernel keeps for a watcher that does not read: inotify(7).
fn queue_holds() -> u64 {
    let text = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    text.trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_captures_that_overflow_the_event_queue_all_get_their_result() {
    let folders = Folders::new();
    let process = Process::serve_with(&folders, |settings| {
        settings.watch.mode = leukd::config::settings::WatchMode::Watch;
        // Only the overflow can bring the scan forward in time.
        settings.watch.rescan_interval = leukd::config::units::Span::from_secs(20);
    });
    folders.drop_capture("first.bmp", &cell_of(ALL, BURST));
    until("the first", async || newest(&process).await.filter(|newest| *newest == 1)).await;
    // While the daemon stands still it reads no event; each file is at least three.
    process.signal(Signal::STOP);
    assert!(3 * BURST > queue_holds(), "the burst is too small for this machine's queue");
    let partial = folders.export.join(".partial");
    for number in 0..BURST {
        std::fs::write(&partial, cell_of(ALL, number)).unwrap();
        std::fs::rename(&partial, folders.export.join(format!("{number}.bmp"))).unwrap();
    }
    process.signal(Signal::CONT);
    all_once(&process, usize::try_from(BURST).unwrap() + 1).await;
}
