//! Bytes that no client sends: broken HTTP/2 (RFC 9113), broken gRPC framing, oversized messages,
//! floods.

use std::time::Duration;

use leukd::grpc::proto;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::ready::{resident, ticks};
use crate::support::process::Process;
use crate::support::{ALL, Folders, PATIENCE, cell_of, until};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frame types of RFC 9113, section 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Header fields as literals without indexing (RFC 7541, section 6.2.2): no table, no Huffman.
fn fields(list: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let string = |bytes: &mut Vec<u8>, text: &str| {
        // The length as an integer with a 7-bit prefix.
        let mut length = text.len();
        if length < 127 {
            bytes.push(u8::try_from(length).unwrap());
        } else {
            bytes.push(127);
            length -= 127;
            while length >= 128 {
                bytes.push(u8::try_from(length % 128 + 128).unwrap());
                length /= 128;
            }
            bytes.push(u8::try_from(length).unwrap());
        }
        bytes.extend(text.as_bytes());
    };
    for (name, value) in list {
        bytes.push(0);
        string(&mut bytes, name);
        string(&mut bytes, value);
    }
    bytes
}

fn call(more: &[(&str, &str)]) -> Vec<u8> {
    let mut list = vec![
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/leukd.v1.Classifier/Classify"),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    list.extend(more);
    fields(&list)
}

fn start() -> Vec<u8> {
    [PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[])].concat()
}

/// A call on stream 1 whose message is `body` as it stands, prefix and all.
fn message(body: &[u8]) -> Vec<u8> {
    let headers = frame(HEADERS, END_HEADERS, 1, &call(&[]));
    let mut bytes = [start(), headers].concat();
    // Frames of the least size that every peer must take.
    for (index, part) in body.chunks(16_384).enumerate() {
        let is_last = (index + 1) * 16_384 >= body.len();
        bytes.extend(frame(DATA, if is_last { END_STREAM } else { 0 }, 1, part));
    }
    bytes
}

fn prefixed(compressed: u8, length: u32, body: &[u8]) -> Vec<u8> {
    [&[compressed], &length.to_be_bytes()[..], body].concat()
}

/// What is sent, by name.
fn attacks() -> Vec<(&'static str, Vec<u8>)> {
    let repeat = |of: Vec<u8>, times: usize| of.repeat(times);
    let long = "x".repeat(60_000);
    let mut odd = Vec::new();
    for stream in 0..4_000_u32 {
        let number = 2 * stream + 1;
        odd.extend(frame(HEADERS, END_HEADERS, number, &call(&[])));
        odd.extend(frame(RST_STREAM, 0, number, &8_u32.to_be_bytes()));
    }
    let with_start = |rest: Vec<u8>| [start(), rest].concat();
    let endless = frame(CONTINUATION, 0, 1, &fields(&[("a", &"b".repeat(16_000))]));
    vec![
        ("nothing", Vec::new()),
        ("half a preface", PREFACE[..11].to_vec()),
        ("HTTP/1.1", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(40)),
        ("noise", (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()),
        ("a preface and noise", [PREFACE, &[0xff; 5_000]].concat()),
        ("a frame longer than allowed", with_start(frame(DATA, 0, 1, &vec![0; 100_000]))),
        ("settings of an odd length", with_start(frame(SETTINGS, 0, 0, &[1, 2, 3]))),
        ("settings on a stream", with_start(frame(SETTINGS, 0, 7, &[]))),
        ("a window that overflows", with_start(frame(WINDOW_UPDATE, 0, 0, &[0x7f, 255, 255, 255]))),
        ("data on a stream that is not open", with_start(frame(DATA, 0, 99, b"x"))),
        ("an even stream", with_start(frame(HEADERS, END_HEADERS, 2, &call(&[])))),
        (
            "headers that HPACK cannot read",
            with_start(frame(HEADERS, END_HEADERS, 1, &[0xff; 900])),
        ),
        (
            "headers beyond the limit",
            with_start(frame(HEADERS, END_HEADERS, 1, &call(&[("x", &long)])[..16_000])),
        ),
        (
            "continuation without end",
            with_start([frame(HEADERS, 0, 1, &call(&[])), repeat(endless, 600)].concat()),
        ),
        (
            "two thousand settings",
            with_start(repeat(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255]), 2_000)),
        ),
        ("ten thousand pings", with_start(repeat(frame(PING, 0, 0, &[0; 8]), 10_000))),
        ("streams opened and reset", with_start(odd)),
        (
            "an unknown method",
            with_start(frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                1,
                &fields(&[
                    (":method", "DELETE"),
                    (":scheme", "http"),
                    (":path", "/x"),
                    (":authority", "a"),
                ]),
            )),
        ),
        ("a message that says 4 GiB", message(&prefixed(0, u32::MAX, b"abc"))),
        ("a message that ends too early", message(&prefixed(0, 500, b"abc"))),
        ("a compressed message that is none", message(&prefixed(1, 3, b"abc"))),
        ("a flag that does not exist", message(&prefixed(77, 3, b"abc"))),
        ("no protobuf", message(&prefixed(0, 400, &[0xff; 400]))),
        (
            "a field that says 2⁶⁴ bytes",
            message(&prefixed(
                0,
                11,
                &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            )),
        ),
        ("an image beyond the limit", message(&prefixed(0, 40 << 20, &vec![7; 4 << 20]))),
        ("an empty message", message(&prefixed(0, 0, b""))),
    ]
}

/// Sends it all, as far as the daemon takes it, and reads what comes back until the daemon ends the
/// connection or has nothing to say for a moment.
async fn send(process: &Process, bytes: &[u8]) {
    let mut stream = TcpStream::connect(process.address).await.unwrap();
    let (mut read, mut write) = stream.split();
    let mut sink = vec![0; 65_536];
    let write = async {
        // The daemon may hang up in the middle: rightly.
        let _ = write.write_all(bytes).await;
        let _ = write.flush().await;
    };
    let read = async {
        let quiet = Duration::from_millis(300);
        while let Ok(Ok(1..)) = tokio::time::timeout(quiet, read.read(&mut sink)).await {}
    };
    let both = async { tokio::join!(write, read) };
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("it takes it or hangs up");
}

async fn is_well(process: &Process, seed: u64, after: &str) {
    let url = format!("http://{}", process.address);
    let mut client = proto::classifier_client::ClassifierClient::connect(url).await.unwrap();
    let request = proto::ClassifyRequest { image: cell_of(ALL, seed), ..Default::default() };
    let answer = tokio::time::timeout(PATIENCE, client.classify(request)).await;
    let answer = answer.unwrap_or_else(|_| panic!("no answer after {after}"));
    let answer = answer.unwrap_or_else(|status| panic!("after {after}: {status}"));
    assert_eq!(answer.into_inner().result.unwrap().label, "all", "{after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_http2_and_grpc_cost_a_connection_and_nothing_else() {
    let folders = Folders::new();
    let process = Process::serve(&folders);
    let mut control = process.control().await;
    until("a model", async || control.get_model(proto::GetModelRequest {}).await.ok()).await;
    let before = resident(&process);
    for (seed, (name, bytes)) in attacks().into_iter().enumerate() {
        send(&process, &bytes).await;
        is_well(&process, seed as u64, name).await;
    }
    let grown = resident(&process).saturating_sub(before);
    println!("{} attacks, {} MB more", attacks().len(), grown >> 20);
    assert!(grown < 64 << 20, "{grown} bytes more");
    let status = control.get_status(proto::GetStatusRequest {}).await.unwrap().into_inner();
    assert!(status.degraded.is_empty(), "{:?}", status.degraded);
}

/// Connections that say nothing, and one that begins an image and never ends it.
#[tokio::test(flavor = "multi_thread")]
async fn callers_that_never_finish_keep_nobody_waiting() {
    let folders = Folders::new();
    let process = Process::serve(&folders);
    let mut control = process.control().await;
    until("a model", async || control.get_model(proto::GetModelRequest {}).await.ok()).await;
    let mut open = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(process.address).await.unwrap();
        let begun = match number % 4 {
            0 => Vec::new(),
            1 => PREFACE[..5].to_vec(),
            2 => start(),
            _ => message(&prefixed(0, 1 << 20, &[1; 1_000])).split_last().unwrap().1.to_vec(),
        };
        stream.write_all(&begun).await.unwrap();
        open.push(stream);
    }
    let before = ticks(&process);
    is_well(&process, 1, "two hundred callers that never finish").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(ticks(&process) - before < 50, "it spins");
    drop(open);
    is_well(&process, 2, "they have gone").await;
}
