//! A file that kills whoever decodes it.

use std::process::Command;
use std::time::Duration;

use leukd::config::units::Bytes;
use leukd::grpc::proto::Decision;

use crate::ready::newest;
use crate::support::process::{Process, serve_command};
use crate::support::{ALL, Folders, PATIENCE, all_results, cell_of, path_of, reason_of};

/// Private memory for a process that decodes ordinary captures, and not for one of 8,000 × 8,000
/// pixels.
const MEMORY: u64 = 120 << 20;

fn huge() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(8_000, 8_000).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// The limits allow the picture and the machine has not the memory: Rust ends a process whose
/// allocation fails. The test starts the daemon again each time, as systemd would.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_kills_the_process_is_rejected_after_two_deaths_and_stops_no_other() {
    let folders = Folders::new();
    let start = || {
        let plain = serve_command(&folders, |settings| {
            settings.image.max_memory = Bytes(512 << 20);
            settings.workers.threads = 2;
        });
        let mut command = Command::new("prlimit");
        command
            .arg(format!("--data={MEMORY}"))
            .arg(plain.get_program())
            .args(plain.get_args())
            .env("MALLOC_ARENA_MAX", "1");
        Process::spawn(command)
    };
    let mut process = start();
    folders.drop_capture("guilty.png", &huge());
    for number in 0..10 {
        folders.drop_capture(&format!("{number}.bmp"), &cell_of(ALL, number));
    }
    let mut deaths = 0;
    let all_done = async {
        loop {
            if process.wait(Duration::from_millis(100)).await.is_some() {
                deaths += 1;
                process = start();
            } else if newest(&process).await == Some(11) {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, all_done).await.expect("an end of the deaths");
    assert_eq!(deaths, 2);
    for result in all_results(process.results().await).await {
        if path_of(&result) == "guilty.png" {
            assert_eq!(reason_of(&result), "crashed", "{result:?}");
            assert!(result.reasons[0].message.contains("signal 6"), "{result:?}");
        } else {
            assert_ne!(result.decision(), Decision::Rejected, "{result:?}");
        }
    }
}
