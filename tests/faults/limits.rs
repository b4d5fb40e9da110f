//! Too few file descriptors, too little memory.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use leukd::cell::synthetic;
use leukd::grpc::proto;
use tokio::net::TcpStream;

use crate::ready::{all_once, is_root, newest, resident, skip, ticks};
use crate::support::process::{Process, serve_command};
use crate::support::{ALL, Folders, PATIENCE, all_results, cell_of, reason_of, until};

/// `leukd serve` with a limit of the kernel's on it (prlimit(1) from util-linux).
fn limited(folders: &Folders, limit: &str) -> Command {
    let plain = serve_command(folders, |_| {});
    let mut command = Command::new("prlimit");
    command.arg(limit).arg(plain.get_program()).args(plain.get_args());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn with_no_descriptor_left_it_waits_without_spinning_and_goes_on_when_there_are_some() {
    const DESCRIPTORS: usize = 80;
    let folders = Folders::new();
    let process = Process::serve(&folders);
    folders.drop_capture("before.bmp", &cell_of(ALL, 1));
    all_once(&process, 1).await;
    // Lowered while it runs: one that starts with so few takes no more connections than leave some
    // over.
    let lowered = Command::new("prlimit")
        .args([format!("--pid={}", process.id()), format!("--nofile={DESCRIPTORS}")])
        .status();
    assert!(lowered.unwrap().success());
    // More callers than it can take: the rest wait in the kernel.
    let mut callers = Vec::new();
    for _ in 0..2 * DESCRIPTORS {
        callers.push(TcpStream::connect(process.address).await.unwrap());
    }
    let open = async || {
        let folder = format!("/proc/{}/fd", process.id());
        Some(std::fs::read_dir(folder).unwrap().count())
    };
    until("no descriptor left", async || open().await.filter(|open| *open >= DESCRIPTORS)).await;
    for number in 0..20 {
        folders.drop_capture(&format!("during-{number}.bmp"), &cell_of(ALL, 10 + number));
    }
    let before = (ticks(&process), Instant::now());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let used = Duration::from_millis(10 * (ticks(&process) - before.0));
    assert!(used < before.1.elapsed() / 2, "it spins: {used:?} of {:?}", before.1.elapsed());
    drop(callers);
    all_once(&process, 21).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_do_not_take_the_descriptors_that_captures_need() {
    const DESCRIPTORS: usize = 80;
    let folders = Folders::new();
    let process = Process::spawn(limited(&folders, &format!("--nofile={DESCRIPTORS}")));
    let mut callers = Vec::new();
    for _ in 0..2 * DESCRIPTORS {
        callers.push(TcpStream::connect(process.address).await.unwrap());
    }
    for number in 0..20 {
        folders.drop_capture(&format!("{number}.bmp"), &cell_of(ALL, number));
    }
    // A subscriber from elsewhere finds a place, whatever that one address does.
    let elsewhere = tokio::net::TcpSocket::new_v4().unwrap();
    elsewhere.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let elsewhere = elsewhere.connect(process.address).await.unwrap();
    let open = std::fs::read_dir(format!("/proc/{}/fd", process.id())).unwrap().count();
    assert!(open < DESCRIPTORS, "{open} are open");
    let mut elsewhere = Some(elsewhere);
    let channel = tonic::transport::Endpoint::from_static("http://leukd")
        .connect_with_connector(tower::service_fn(move |_| {
            let stream = elsewhere.take().ok_or_else(|| std::io::Error::other("just one"));
            std::future::ready(stream.map(hyper_util::rt::TokioIo::new))
        }))
        .await
        .unwrap();
    let mut results = proto::results_client::ResultsClient::new(channel);
    until("every result", async || {
        let listed = results.list_results(proto::ListResultsRequest::default()).await.unwrap();
        (listed.into_inner().results.len() == 20).then_some(())
    })
    .await;
    drop(callers);
}

/// A control group that ends with the test. Version 1 or 2, where the superuser may make one.
struct Group(PathBuf);

impl Group {
    fn with_memory(bytes: u64) -> Option<Self> {
        let name = format!("leukd-test-{}", std::process::id());
        for (root, limit) in
            [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")]
        {
            let folder = Path::new(root).join(&name);
            if std::fs::create_dir(&folder).is_ok() {
                let group = Self(folder);
                if std::fs::write(group.0.join(limit), bytes.to_string()).is_ok() {
                    return Some(group);
                }
            }
        }
        None
    }

    fn takes(&self, process: &Process) {
        std::fs::write(self.0.join("cgroup.procs"), process.id().to_string()).unwrap();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        // Its processes may take a moment to be gone.
        while std::fs::remove_dir(&self.0).is_err() && Instant::now() < deadline {
            std::thread::yield_now();
        }
    }
}

/// What the unit's comment on `MemoryMax` counts: an idle daemon, and `image.max_memory` for each
/// worker.
const IDLE: u64 = 128 << 20;
const A_WORKER: u64 = 256 << 20;
const WORKERS: u64 = 2;

/// The largest pictures that the default limits let in, on every worker at once.
#[tokio::test(flavor = "multi_thread")]
async fn the_largest_pictures_on_every_worker_stay_within_what_the_unit_counts_with() {
    let allowed = IDLE + WORKERS * A_WORKER;
    if !is_root() {
        return skip("only the superuser may make a control group");
    }
    let Some(group) = Group::with_memory(allowed) else {
        return skip("no memory control group can be made here");
    };
    let folders = Folders::new();
    // A picture of 64 MiB, the default's largest file, and one that is small as a file and large in
    // memory.
    let large = |number: u8| {
        let mut picture = image::RgbImage::new(4_700, 4_700);
        picture.put_pixel(0, 0, image::Rgb([number, 1, 1]));
        synthetic::bmp(&picture)
    };
    let flat = |number: u8| {
        let mut picture = image::RgbImage::new(8_000, 8_000);
        picture.put_pixel(0, 0, image::Rgb([number, 1, 1]));
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        bytes.into_inner()
    };
    let mut command = serve_command(&folders, |settings| {
        settings.workers.threads = u32::try_from(WORKERS).unwrap();
    });
    // As the unit sets it.
    command.env("MALLOC_ARENA_MAX", "1");
    let process = Process::spawn(command);
    group.takes(&process);
    for number in 0..4 {
        folders.drop_capture(&format!("large-{number}.bmp"), &large(number));
        folders.drop_capture(&format!("flat-{number}.png"), &flat(number));
    }
    folders.drop_capture("small.bmp", &cell_of(ALL, 1));
    until("results", async || newest(&process).await.filter(|newest| *newest == 9)).await;
    for result in all_results(process.results().await).await {
        assert_eq!(reason_of(&result), "", "{result:?}");
    }
    println!("{} MB resident of {} MB", resident(&process) >> 20, allowed >> 20);
    let mut control = process.control().await;
    let status = control.get_status(proto::GetStatusRequest {}).await.unwrap().into_inner();
    assert!(status.degraded.is_empty(), "{:?}", status.degraded);
}
