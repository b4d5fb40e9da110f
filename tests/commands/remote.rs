//! What `tail`, `results`, `status` and `reload` promise, against a daemon played by the test.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::process::Output;
use std::sync::{Arc, Mutex};

use leukd::grpc::proto::control_server::{Control, ControlServer};
use leukd::grpc::proto::event::Kind;
use leukd::grpc::proto::results_server::{Results, ResultsServer};
use leukd::grpc::proto::subscribe_request::Start;
use leukd::grpc::proto::{self, Cursor, Event, Gap, Heartbeat, Hello, SubscribeRequest};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

type Item = Result<Event, Status>;

/// A daemon that plays one prepared stream for each subscription and remembers what was asked.
#[derive(Clone, Default)]
struct Played {
    streams: Arc<Mutex<VecDeque<Vec<Item>>>>,
    asked: Arc<Mutex<Vec<SubscribeRequest>>>,
    listed: Arc<Mutex<Vec<proto::ListResultsRequest>>>,
}

#[tonic::async_trait]
impl Results for Played {
    type SubscribeStream = tokio_stream::Iter<std::vec::IntoIter<Item>>;

    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        self.asked.lock().unwrap().push(request.into_inner());
        let next = self.streams.lock().unwrap().pop_front();
        match next {
            Some(mut items) if items.len() == 1 && items[0].is_err() => {
                Err(items.remove(0).unwrap_err())
            }
            Some(items) => Ok(Response::new(tokio_stream::iter(items))),
            None => Err(Status::out_of_range("nothing more is prepared")),
        }
    }

    async fn get_result(
        &self,
        request: Request<proto::GetResultRequest>,
    ) -> Result<Response<proto::GetResultResponse>, Status> {
        match request.into_inner().by {
            Some(proto::get_result_request::By::Path(source)) => {
                assert_eq!((source.folder.as_str(), source.path.as_str()), ("/export", "s/1.bmp"));
                Ok(Response::new(proto::GetResultResponse { result: Some(result(1)) }))
            }
            _ => Err(Status::not_found("no such result")),
        }
    }

    async fn list_specimens(
        &self,
        _: Request<proto::ListSpecimensRequest>,
    ) -> Result<Response<proto::ListSpecimensResponse>, Status> {
        Err(Status::unimplemented("not played"))
    }

    async fn list_results(
        &self,
        request: Request<proto::ListResultsRequest>,
    ) -> Result<Response<proto::ListResultsResponse>, Status> {
        let request = request.into_inner();
        let from: u64 = request.page_token.parse().unwrap_or(1);
        self.listed.lock().unwrap().push(request.clone());
        let to = (from + u64::from(request.page_size)).min(501);
        Ok(Response::new(proto::ListResultsResponse {
            results: (from..to).map(result).collect(),
            next_page_token: if to < 501 { to.to_string() } else { String::new() },
        }))
    }

    async fn get_specimen(
        &self,
        request: Request<proto::GetSpecimenRequest>,
    ) -> Result<Response<proto::GetSpecimenResponse>, Status> {
        Ok(Response::new(proto::GetSpecimenResponse {
            specimen: request.into_inner().specimen,
            all: 3,
            hem: 1,
            blast_fraction: Some(proto::Fraction { value: 0.75, lower: 0.3, upper: 0.95 }),
            ..proto::GetSpecimenResponse::default()
        }))
    }
}

#[tonic::async_trait]
impl Control for Played {
    async fn get_model(
        &self,
        _: Request<proto::GetModelRequest>,
    ) -> Result<Response<proto::GetModelResponse>, Status> {
        let model = proto::Model { id: "played".to_owned(), ..proto::Model::default() };
        Ok(Response::new(proto::GetModelResponse { model: Some(model) }))
    }

    async fn reload_model(
        &self,
        request: Request<proto::ReloadModelRequest>,
    ) -> Result<Response<proto::ReloadModelResponse>, Status> {
        match request.into_inner().file.as_str() {
            "" => Ok(Response::new(proto::ReloadModelResponse::default())),
            "broken.onnx" => {
                Err(Status::failed_precondition("golden input 1 gave 0.2 instead of 0.9"))
            }
            _ => Err(Status::aborted("another reload is under way")),
        }
    }

    async fn get_status(
        &self,
        _: Request<proto::GetStatusRequest>,
    ) -> Result<Response<proto::GetStatusResponse>, Status> {
        Ok(Response::new(proto::GetStatusResponse {
            version: "9.9".to_owned(),
            folders: vec![proto::FolderStatus {
                folder: "/export".to_owned(),
                file_system: "ext4".to_owned(),
                ..proto::FolderStatus::default()
            }],
            degraded: vec![proto::Degradation {
                component: "folder".to_owned(),
                message: "/export is missing\x1b[2J".to_owned(),
                since: None,
            }],
            notice: leukd::result::RESEARCH_USE_ONLY.to_owned(),
            ..proto::GetStatusResponse::default()
        }))
    }

    async fn get_log_level(
        &self,
        _: Request<proto::GetLogLevelRequest>,
    ) -> Result<Response<proto::GetLogLevelResponse>, Status> {
        Err(Status::unimplemented("not played; tests/daemon/log_level.rs asks a real daemon"))
    }

    async fn set_log_level(
        &self,
        _: Request<proto::SetLogLevelRequest>,
    ) -> Result<Response<proto::SetLogLevelResponse>, Status> {
        Err(Status::unimplemented("not played; tests/daemon/log_level.rs asks a real daemon"))
    }
}

fn event(kind: Kind) -> Item {
    Ok(Event { kind: Some(kind) })
}

fn hello(newest: u64) -> Item {
    let heartbeat_interval = Some(prost_types::Duration { seconds: 15, nanos: 0 });
    event(Kind::Hello(Hello {
        epoch: "e1".to_owned(),
        oldest: 1,
        newest,
        model: None,
        heartbeat_interval,
    }))
}

fn result(sequence: u64) -> proto::Result {
    proto::Result {
        sequence,
        epoch: "e1".to_owned(),
        label: "all".to_owned(),
        probabilities: vec![proto::ClassProbability {
            label: "all".to_owned(),
            probability: 0.875,
        }],
        decision: proto::Decision::All.into(),
        specimen: "11".to_owned(),
        ..proto::Result::default()
    }
}

fn results(sequences: std::ops::RangeInclusive<u64>) -> impl Iterator<Item = Item> {
    sequences.map(|sequence| event(Kind::Result(result(sequence))))
}

fn after(sequence: u64) -> Option<Start> {
    Some(Start::After(Cursor { epoch: "e1".to_owned(), sequence }))
}

impl Played {
    fn with(streams: impl IntoIterator<Item = Vec<Item>>) -> Self {
        let played = Self::default();
        played.streams.lock().unwrap().extend(streams);
        played
    }

    async fn listen(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tonic::transport::Server::builder()
            .add_service(ResultsServer::new(self.clone()))
            .add_service(ControlServer::new(self.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        address
    }

    async fn leukd(&self, arguments: &[&str]) -> Output {
        let address = self.listen().await;
        let run = tokio::process::Command::new(env!("CARGO_BIN_EXE_leukd"))
            .args(arguments)
            .env("LEUKD_SERVER", format!("http://{address}"))
            .kill_on_drop(true)
            .output();
        tokio::time::timeout(std::time::Duration::from_secs(60), run)
            .await
            .expect("leukd hangs")
            .unwrap()
    }

    fn starts(&self) -> Vec<Option<Start>> {
        self.asked.lock().unwrap().iter().map(|request| request.start.clone()).collect()
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The sequences of the results in `--json` output.
fn sequences(output: &Output) -> Vec<u64> {
    stdout(output)
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter_map(|event| event["result"]["sequence"].as_str()?.parse().ok())
        .collect()
}

#[tokio::test]
async fn tail_goes_on_from_its_cursor_after_a_broken_connection() {
    let broken = || Err(Status::unavailable("the daemon stops"));
    let first = [hello(2)].into_iter().chain(results(1..=3)).chain([broken()]).collect();
    // A connection that ends without a word, and one that is refused, are broken ones too.
    let second = [hello(3)].into_iter().chain(results(4..=4)).collect();
    let third = vec![broken()];
    let beat = event(Kind::Heartbeat(Heartbeat { sequence: 9, at: None }));
    let fourth = [hello(9), beat, Err(Status::resource_exhausted("you did not read"))].into();
    let fifth = [hello(9)].into_iter().chain(results(10..=11)).collect();
    let played = Played::with([first, second, third, fourth, fifth]);
    let output = played.leukd(&["tail", "--earliest", "--count", "6", "--json"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(sequences(&output), [1, 2, 3, 4, 10, 11]);
    let starts = [Some(Start::Earliest(())), after(3), after(4), after(4), after(9)];
    assert_eq!(played.starts(), starts);
}

#[tokio::test]
async fn tail_after_takes_the_epoch_from_hello() {
    let played =
        Played::with([vec![hello(9)], [hello(9)].into_iter().chain(results(6..=6)).collect()]);
    let output = played.leukd(&["tail", "--after", "5", "--count", "1", "--json"]).await;
    assert_eq!(sequences(&output), [6]);
    assert_eq!(played.starts(), [Some(Start::Latest(())), after(5)]);
}

#[tokio::test]
async fn tail_after_with_an_epoch_asks_for_just_that() {
    let played = Played::with([[hello(9)].into_iter().chain(results(6..=6)).collect()]);
    let output =
        played.leukd(&["tail", "--after", "5", "--epoch", "e1", "--count", "1", "--json"]).await;
    assert_eq!(sequences(&output), [6]);
    assert_eq!(played.starts(), [after(5)]);
}

#[tokio::test]
async fn tail_once_ends_when_the_stored_results_are_shown() {
    let gap = event(Kind::Gap(Gap { from: 1, to: 3 }));
    let stream = [hello(5), gap].into_iter().chain(results(4..=7)).collect();
    let played = Played::with([stream]);
    let output = played.leukd(&["tail", "--once", "--after", "0", "--epoch", "e1"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let shown = stdout(&output);
    assert_eq!(shown.lines().count(), 2, "{shown}");
    assert!(shown.contains("0.8750"), "{shown}");
    assert!(stderr(&output).contains("results 1 to 3 are no longer kept"), "{}", stderr(&output));
}

#[tokio::test]
async fn tail_once_of_an_empty_journal_ends_at_once() {
    let output = Played::with([vec![hello(0)]]).leukd(&["tail", "--once"]).await;
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), ""));
}

#[tokio::test]
async fn tail_with_a_foreign_cursor_ends_with_65() {
    let played = Played::with([vec![Err(Status::out_of_range("the cursor is of another epoch"))]]);
    let output = played.leukd(&["tail", "--after", "5", "--epoch", "other"]).await;
    assert_eq!(output.status.code(), Some(65));
    assert!(stderr(&output).contains("another epoch"), "{}", stderr(&output));
}

#[tokio::test]
async fn tail_gives_up_in_time_and_says_how_to_resume() {
    let played = Played::with([
        [hello(2)].into_iter().chain(results(1..=2)).collect(),
        vec![hello(2), Err(Status::internal("no"))],
        vec![Err(Status::unavailable("no"))],
        vec![Err(Status::unavailable("no"))],
    ]);
    let output = played.leukd(&["tail", "--earliest", "--reconnect-for", "300ms"]).await;
    assert_eq!(output.status.code(), Some(69), "{}", stderr(&output));
    let hint = "leukd tail --after 2 --epoch e1";
    assert!(stderr(&output).contains(hint), "{}", stderr(&output));
}

#[tokio::test]
async fn tail_sends_its_filter() {
    let played = Played::with([vec![hello(0)]]);
    let filter = [
        "--specimen",
        "H14",
        "--decision",
        "all",
        "--decision",
        "review",
        "--min-probability",
        "0.9",
    ];
    played.leukd(&[&["tail", "--once"], &filter[..]].concat()).await;
    let asked = played.asked.lock().unwrap();
    let sent = asked[0].filter.as_ref().unwrap();
    assert_eq!(sent.specimen, "H14");
    assert_eq!(sent.decisions, [proto::Decision::All as i32, proto::Decision::Review as i32]);
    assert!((sent.minimum_probability - 0.9).abs() < 1e-12);
}

#[tokio::test]
async fn results_come_page_by_page_up_to_the_limit() {
    let played = Played::default();
    let output = played.leukd(&["results", "--limit", "250", "--newest", "--json"]).await;
    assert_eq!(stdout(&output).lines().count(), 250);
    assert!(stderr(&output).contains(leukd::result::RESEARCH_USE_ONLY));
    {
        let listed = played.listed.lock().unwrap();
        let sizes: Vec<u32> = listed.iter().map(|page| page.page_size).collect();
        assert_eq!(sizes, [200, 50]);
        assert!(listed.iter().all(|page| page.newest_first));
    }
    let output = played.leukd(&["results", "--limit", "0"]).await;
    // The head of each of the three pages' tables, too.
    assert_eq!(stdout(&output).lines().filter(|line| line.contains("0.8750")).count(), 500);
}

#[tokio::test]
async fn results_by_path_finds_the_watched_folder() {
    let played = Played::default();
    let output = played.leukd(&["results", "--path", "/export/s/1.bmp", "--json"]).await;
    assert_eq!(stdout(&output).lines().count(), 1, "{}", stderr(&output));
    let output = played.leukd(&["results", "--path", "/elsewhere/1.bmp"]).await;
    assert_eq!(output.status.code(), Some(64));
    assert!(
        stderr(&output).contains("none of the watched folders: /export"),
        "{}",
        stderr(&output)
    );
    let output = played.leukd(&["results", "--sequence", "8"]).await;
    assert_eq!(output.status.code(), Some(66));
}

#[tokio::test]
async fn results_counts_tell_the_blast_fraction_with_its_interval() {
    let output = Played::default().leukd(&["results", "--counts", "--specimen", "11"]).await;
    let text = stdout(&output);
    assert!(text.contains("blast fraction 0.7500 (95 % interval 0.3000 to 0.9500)"), "{text}");
}

#[tokio::test]
async fn status_shows_what_is_wrong_and_cannot_steer_the_terminal() {
    let played = Played::default();
    let text = stdout(&played.leukd(&["status"]).await);
    assert!(text.contains("leukd 9.9"), "{text}");
    assert!(text.contains("degraded: folder: /export is missing\\u{1b}[2J"), "{text}");
    assert!(text.contains("unreachable"), "{text}");
    assert!(text.contains(leukd::result::RESEARCH_USE_ONLY), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&stdout(&played.leukd(&["status", "--json"]).await)).unwrap();
    assert_eq!(json["folders"][0]["file_system"], "ext4");
    // 64-bit integers are strings in proto3's JSON mapping, and defaults are written.
    assert_eq!(json["folders"][0]["done"], "0");
}

#[tokio::test]
async fn model_show_asks_the_daemon() {
    let text = stdout(&Played::default().leukd(&["model", "show"]).await);
    assert!(text.contains("model      played"), "{text}");
}

#[tokio::test]
async fn reload_tells_why_the_bundle_was_refused() {
    let played = Played::default();
    assert!(played.leukd(&["reload"]).await.status.success());
    let output = played.leukd(&["reload", "--file", "broken.onnx"]).await;
    assert_eq!(output.status.code(), Some(65));
    assert!(stderr(&output).contains("golden input 1 gave 0.2"), "{}", stderr(&output));
    let output = played.leukd(&["reload", "--file", "other.onnx"]).await;
    assert_eq!(output.status.code(), Some(69));
}
