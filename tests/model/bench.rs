//! What `leukd bench` promises: figures that a program can read, rounds on request, and a ratio
//! that is held to.

use crate::bounded;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::bounded::InTime as _;

use leukd::cell::synthetic::{self, Kind};
use leukd::model::testing;
use serde_json::Value;

const NOTICE: &str = "For Research Use Only. Not for use in diagnostic procedures.";

/// A folder with a small bundle and two cells.
fn lab() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tiny.onnx"), testing::tiny_bundle("tiny", 1)).unwrap();
    fs::create_dir(folder.path().join("cells")).unwrap();
    for (seed, kind) in [(1, Kind::Blast), (2, Kind::Normal)] {
        let bytes = synthetic::bmp(&synthetic::cell(seed, kind));
        fs::write(folder.path().join(format!("cells/{seed}.bmp")), bytes).unwrap();
    }
    folder
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leukd"));
    command.env_clear().env("CONFIGURATION_DIRECTORY", folder).current_dir(folder);
    command.arg("bench").args(arguments);
    command
}

fn bench(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).in_time().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    assert_eq!(stdout(output).lines().count(), 1, "{}", stdout(output));
    serde_json::from_str(&stdout(output)).unwrap()
}

/// The number at this path, which must be above zero.
fn positive(json: &Value, path: &str) -> f64 {
    let number = json.pointer(path).and_then(Value::as_f64);
    let number = number.unwrap_or_else(|| panic!("no number at {path} of {json}"));
    assert!(number > 0.0 && number.is_finite(), "{path}: {number}");
    number
}

#[test]
fn everything_is_measured_and_told_as_one_object() {
    let folder = lab();
    // A daemon that serves on this workstation: its addresses, unless one has them in truth.
    let addresses = leukd::config::settings::Settings::default();
    let addresses = [addresses.rpc.listen, addresses.metrics.listen, addresses.page.listen];
    let _taken = addresses.map(std::net::TcpListener::bind);
    let output = bench(folder.path(), &["--model", "tiny.onnx", "--seconds", "1", "--json"]);
    let report = json(&output);
    for path in [
        "/machine/physical_cores",
        "/model/input_size",
        "/cells",
        "/fused_to_stock",
        "/way_in/decode_us",
        "/way_in/resize_us",
        "/way_in/tensor_us",
        "/daemon/settle_ms",
        "/daemon/rpc_overhead_p50_ms",
        "/daemon/rpc_overhead_p99_ms",
        "/start/to_serving_ms_median",
        "/start/to_serving_ms_min",
        "/start/peak_memory_bytes",
    ] {
        positive(&report, path);
    }
    let settle = positive(&report, "/daemon/settle_ms");
    let [middle, most] =
        ["50", "99"].map(|p| positive(&report, &format!("/daemon/folder_to_event_p{p}_ms")));
    assert!(settle <= middle && middle <= most, "{report}");
    for (at, engine) in ["fused", "stock"].into_iter().enumerate() {
        assert_eq!(report["network"][at]["engine"], engine);
        let figure = |name: &str| positive(&report, &format!("/network/{at}/{name}"));
        assert!(figure("ms_per_cell_min") <= figure("ms_per_cell_median"));
        assert!((figure("cells_per_second") * figure("ms_per_cell_median") - 1e3).abs() < 1e-6);
        assert!(figure("rounds") >= 1.0);
    }
    let default = positive(&report, "/network/0/ms_per_cell_median");
    assert!((positive(&report, "/ms_per_cell") - default).abs() < 1e-12);
    assert_eq!(report["images"], "drawn");
    assert_eq!(report["notice"], NOTICE);
    assert!(stderr(&output).starts_with(NOTICE), "{}", stderr(&output));
}

#[test]
fn one_part_one_engine_two_threads_and_a_folder_s_images() {
    let folder = lab();
    let arguments =
        ["--model", "tiny.onnx", "--seconds", "0.3", "--only", "network", "--images", "cells"];
    let more = ["--engine", "stock", "--threads", "2", "--json"];
    let report = json(&bench(folder.path(), &[&arguments[..], &more].concat()));
    assert_eq!(report["cells"], 2);
    assert_eq!(report["images"], "cells");
    assert_eq!(report["network"].as_array().unwrap().len(), 1);
    assert_eq!(report["network"][0]["threads"], 2);
    // Nothing is said of what was not measured: the default engine did not run.
    for absent in ["ms_per_cell", "fused_to_stock", "way_in", "daemon", "start"] {
        assert!(report.get(absent).is_none(), "{absent}: {report}");
    }
    let output = bench(folder.path(), &arguments);
    assert!(stdout(&output).contains("fused : stock = "), "{}", stdout(&output));
}

#[test]
fn rounds_and_outputs_come_on_request() {
    let folder = lab();
    let arguments = ["--model", "tiny.onnx", "--engine", "fused", "--images", "cells"];
    let mut child = command(folder.path(), &[&arguments[..], &["--serve-rounds"]].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut lines = bounded::lines(child.stdout.take().unwrap());
    let mut line = || lines.next().unwrap();
    assert!(line().starts_with("ready fused: "));
    writeln!(input, "round 5").unwrap();
    assert!(line().parse::<f64>().unwrap() > 0.0);
    writeln!(input, "outputs").unwrap();
    let outputs: Vec<[f64; 2]> = serde_json::from_str(&line()).unwrap();
    assert_eq!(outputs.len(), 2);
    assert!(outputs.iter().all(|[all, hem]| (all + hem - 1.0).abs() < 1e-9));
    writeln!(input, "round none").unwrap();
    assert_eq!(child.in_time().code(), Some(64));
}

#[test]
fn the_network_s_inputs_are_written_as_numpy_reads_them() {
    let folder = lab();
    let arguments = ["--model", "tiny.onnx", "--cells", "3", "--write-inputs", "inputs.npy"];
    let output = bench(folder.path(), &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    let bytes = fs::read(folder.path().join("inputs.npy")).unwrap();
    assert!(bytes.starts_with(b"\x93NUMPY\x01\x00"));
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..10 + length]).unwrap();
    assert!(header.contains("'shape': (3, 3, 64, 64)") && header.ends_with('\n'), "{header}");
    assert_eq!((10 + length) % 64, 0);
    assert_eq!(bytes.len() - 10 - length, 3 * 3 * 64 * 64 * 4);
}

#[test]
fn the_ratio_is_held_against_a_file() {
    let folder = lab();
    let check = |text: &str| {
        fs::write(folder.path().join("ratio.toml"), text).unwrap();
        let arguments = ["--model", "tiny.onnx", "--seconds", "1", "--check", "ratio.toml"];
        bench(folder.path(), &arguments)
    };
    let everywhere = |ratio: &str| {
        let entry = |isa| format!("[[ratio]]\nisa = \"{isa}\"\nfused_to_stock = {ratio}\n");
        ["avx512", "avx2", "portable"].map(entry).concat()
    };
    let output = check("# none yet\n");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("nothing is checked"), "{}", stdout(&output));
    let output = check(&everywhere("100.0"));
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("stored 100.000, at most 105.000"), "{}", stdout(&output));
    let output = check(&everywhere("0.001"));
    assert_eq!(output.status.code(), Some(70), "{}", stderr(&output));
    assert!(stderr(&output).contains("once more"), "{}", stderr(&output));
    assert!(stderr(&output).contains("stored 0.001"), "{}", stderr(&output));
    let elsewhere = everywhere("0.001").replace("isa", "cpu = \"another\"\nisa");
    let output = check(&elsewhere);
    assert!(stdout(&output).contains("nothing is checked"), "{}", stdout(&output));
    for wrong in [everywhere("0.0"), "[avx2]\nratio = 1.0\n".to_owned(), "avx2".to_owned()] {
        assert_eq!(check(&wrong).status.code(), Some(65), "{wrong}");
    }
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let folder = lab();
    fs::write(folder.path().join("broken.onnx"), b"no network").unwrap();
    for (arguments, code) in [
        (&["--seconds", "0"][..], 64),
        (&["--seconds", "soon"], 64),
        (&["--threads", "0"], 64),
        (&["--engine", "quick"], 64),
        (&["--only", "nothing"], 64),
        (&["--serve-rounds"], 64),
        (&["--check", "ratio.toml", "--engine", "fused"], 64),
        (&["--model", "absent.onnx"], 66),
        (&["--model", "broken.onnx"], 65),
        (&["--model", "tiny.onnx", "--images", "absent"], 66),
        (&["--model", "tiny.onnx", "--check", "absent.toml"], 66),
    ] {
        let output = bench(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        assert!(stdout(&output).is_empty(), "{arguments:?}");
    }
}

#[test]
fn the_file_that_is_checked_in_can_be_read() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/ratio.toml");
    let folder = lab();
    let output = command(folder.path(), &["--model", "tiny.onnx", "--seconds", "0.3", "--check"])
        .arg(file)
        .in_time()
        .unwrap();
    // What it says is of the embedded model: here the tiny one may be slower.
    assert!(matches!(output.status.code(), Some(0 | 70)), "{}", stderr(&output));
}
