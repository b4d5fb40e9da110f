//! Bytes that a client sends as a message, to a real daemon over HTTP/2: the first says which
//! method.

use std::sync::OnceLock;

use leukd::clock::Clock;
use leukd::config::settings::Settings;
use leukd::config::units::Bytes;
use leukd::daemon::{self, Running};
use leukd::grpc::proto::{self, ClassifyRequest, ListResultsRequest};
use leukd::model::testing;
use prost::Message as _;
use prost::bytes::{Buf as _, BufMut as _};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

const METHODS: [&str; 4] = [
    "/leukd.v1.Classifier/Classify",
    "/leukd.v1.Results/ListResults",
    "/leukd.v1.Results/GetSpecimen",
    "/leukd.v1.Results/GetResult",
];

/// A request of each method.
pub fn seeds() -> Vec<Vec<u8>> {
    let of = |method: u8, message: Vec<u8>| [vec![method], message].concat();
    let pictures = super::picture::seeds().into_iter().map(|image| {
        let (specimen, slide) = ("11".to_owned(), "2".to_owned());
        of(0, ClassifyRequest { image, specimen, slide, ..Default::default() }.encode_to_vec())
    });
    let filter = proto::Filter {
        specimen: "11".to_owned(),
        path_glob: "**/*.bmp".to_owned(),
        decisions: vec![1, 2],
        ..Default::default()
    };
    let list = ListResultsRequest { page_size: 3, filter: Some(filter), ..Default::default() };
    pictures
        .chain([of(1, list.encode_to_vec()), of(2, vec![0x0a, 2, b'1', b'1']), of(3, vec![8, 1])])
        .collect()
}

/// A message as bytes, both ways.
#[derive(Debug, Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; from.remaining()];
        from.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}

struct Server {
    runtime: tokio::runtime::Runtime,
    channel: Channel,
    // Neither is dropped: they end with the process.
    _daemon: Running,
    _folder: tempfile::TempDir,
}

/// One daemon for all inputs.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let folder = super::ledger::folder();
        let bundle = folder.path().join("tiny.onnx");
        std::fs::write(&bundle, testing::tiny_bundle("tiny", 1)).unwrap();
        let mut settings = Settings::default();
        settings.model.bundle = Some(bundle);
        settings.model.allow_unsigned = vec!["tiny.onnx".to_owned()];
        settings.journal.directory = folder.path().join("state");
        settings.journal.disk_floor = Bytes(0);
        settings.image.max_side = 512;
        settings.image.max_memory = Bytes(4 << 20);
        settings.workers.threads = 2;
        settings.rpc.listen = "127.0.0.1:0".parse().unwrap();
        let (daemon, channel) = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind(settings.rpc.listen).await.unwrap();
            let daemon = daemon::build(settings, listener, Clock::system()).unwrap();
            let daemon = daemon.spawn().unwrap();
            daemon.wait_serving().await;
            let url = format!("http://{}", daemon.address());
            (daemon, Channel::from_shared(url).unwrap().connect().await.unwrap())
        });
        Server { runtime, channel, _daemon: daemon, _folder: folder }
    })
}

/// Every message has an answer in time: a result whose probabilities add up to 1, or a status that
/// says whose fault it is and that is no defect of the daemon's.
pub fn run(bytes: &[u8]) -> String {
    let Some((method, message)) = bytes.split_first() else { return "nothing".to_owned() };
    let method = METHODS[usize::from(*method) % METHODS.len()];
    let server = server();
    let answer = server.runtime.block_on(async {
        let mut client = tonic::client::Grpc::new(server.channel.clone());
        client.ready().await.unwrap();
        let path = PathAndQuery::from_static(method);
        let call = client.unary(Request::new(message.to_vec()), path, Raw);
        tokio::time::timeout(std::time::Duration::from_secs(15), call)
            .await
            .expect("an answer in time")
    });
    match answer {
        Ok(answer) if method.ends_with("Classify") => {
            let answer = proto::ClassifyResponse::decode(&*answer.into_inner()).unwrap();
            let result = answer.result.unwrap();
            let sum: f64 = result.probabilities.iter().map(|class| class.probability).sum();
            assert!((sum - 1.0).abs() < 1e-6, "{result:?}");
            format!("{:?}", result.decision())
        }
        Ok(_) => format!("{method} answers"),
        Err(status) => {
            // tonic's own word for bytes that are no message.
            let no_message = status.message().starts_with("failed to decode Protobuf message");
            let blamed = !matches!(status.code(), Code::Internal | Code::Unknown | Code::DataLoss);
            assert!(blamed || no_message, "{method}: {status:?}");
            format!("{method} {:?} {}", status.code(), super::kind(status.message()))
        }
    }
}
