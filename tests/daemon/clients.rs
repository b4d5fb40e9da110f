//! Clients in other languages, made from proto/ alone: the scenarios of tests/clients/README.md.

#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use leukd::access::Scope;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::support::keys::{Ca, ask_for_certificates, speak_tls, token};
use crate::support::process::Process;
use crate::support::{self, ALL, Folders, HEM, Harness, cell_of, until};

/// A language that clients are written in.
#[derive(Clone, Copy)]
pub(crate) enum Language {
    Python,
    Node,
    Go,
    Java,
}

impl Language {
    /// The folder of its suite, and the name of its page in docs/clients/.
    fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
            Self::Go => "go",
            Self::Java => "java",
        }
    }

    /// Its interpreter, with the packages that clients need in reach; `file` runs.
    fn command(self, file: &Path) -> Command {
        match self {
            Self::Python => {
                let mut python = interpreter();
                python.arg(file);
                python
            }
            Self::Node => {
                let mut node = Command::new("node");
                if let Ok(modules) = std::env::var("LEUKD_NODE_MODULES") {
                    node.env("NODE_PATH", modules);
                }
                node.arg(file);
                node
            }
            Self::Go => Command::new(self.place_of(file).join("client")),
            Self::Java => {
                let classpath = std::fs::read_to_string(self.place_of(file).join("classpath"));
                let mut java = Command::new("java");
                // Short runs, many beside each other.
                java.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-cp"]);
                java.arg(classpath.unwrap());
                let native = self.place_of(file).join("native");
                java.arg(format!("-Djava.library.path={}", native.display()))
                    .arg(file.file_stem().unwrap());
                java
            }
        }
    }

    /// Runs well where the packages are installed.
    fn probe(self) -> Command {
        let (flag, program) = match self {
            Self::Python => ("-c", "import grpc, grpc_tools, grpc_health, grpc_reflection"),
            Self::Node => ("-e", "require('@grpc/grpc-js'), require('@grpc/proto-loader')"),
            Self::Go | Self::Java => {
                let mut probe = self.build();
                probe.arg("--probe");
                return probe;
            }
        };
        let mut probe = self.command(Path::new(flag));
        probe.arg(program);
        probe
    }

    fn build(self) -> Command {
        let mut build = Command::new("bash");
        build.arg(root().join("tests/clients").join(self.name()).join("build.sh"));
        build
    }

    fn suite(self) -> PathBuf {
        let file = match self {
            Self::Python => "suite.py",
            Self::Node => "suite.cjs",
            Self::Go => "suite.go",
            Self::Java => "Suite.java",
        };
        root().join("tests/clients").join(self.name()).join(file)
    }

    /// Where a client of this file is built; kept between runs.
    fn place_of(self, file: &Path) -> PathBuf {
        let name = format!("client-{}-{}", self.name(), file.file_stem().unwrap().display());
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
    }

    /// Compiles a client, where the language is compiled.
    async fn make(self, file: &Path) {
        if let Self::Go | Self::Java = self {
            let mut build = self.build();
            let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("client-go-cache");
            build.env("GOCACHE", cache).arg(self.place_of(file)).arg(file).kill_on_drop(true);
            // A busy machine compiles for minutes.
            let built = tokio::time::timeout(10 * support::PATIENCE, build.output()).await;
            output_of(built.expect("it compiles in time").unwrap());
        }
    }

    /// Whether it can run here. Says so where not. Compiles its suite once.
    pub(crate) async fn is_here(self) -> bool {
        static MADE: [OnceCell<bool>; 4] = [const { OnceCell::const_new() }; 4];
        let probed = MADE[self as usize].get_or_init(|| async {
            let found = ended(&mut self.probe()).await;
            let is_here = found.is_ok_and(|output| output.status.success());
            if is_here {
                self.make(&self.suite()).await;
            }
            is_here
        });
        if *probed.await {
            return true;
        }
        let missing = format!("{} and its packages are not here", self.name());
        let required = std::env::var("LEUKD_REQUIRE_CLIENTS").unwrap_or_default();
        assert!(!required.split_whitespace().any(|own| own == self.name()), "{missing}");
        println!("skipped: {missing} (tests/clients/README.md)");
        false
    }

    /// Runs one scenario to its end, and tells what it said.
    async fn run(self, scenario: &str, server: &str, more: &[&str]) -> String {
        let mut client = self.command(&self.suite());
        client.args([scenario, "--server", server, "--proto"]).arg(root().join("proto"));
        let said = output_of(ended(client.args(more)).await.unwrap());
        println!("{said}");
        said
    }
}

/// Python with the packages that clients need in reach.
pub(crate) fn interpreter() -> Command {
    let program = std::env::var("LEUKD_PYTHON");
    let mut python = Command::new(program.as_deref().unwrap_or("python3"));
    // The tests' folders are no place for caches.
    python.env("PYTHONDONTWRITEBYTECODE", "1");
    python
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a program to its end, in bounded time.
pub(crate) async fn ended(program: &mut Command) -> std::io::Result<Output> {
    let run = program.kill_on_drop(true).output();
    tokio::time::timeout(2 * support::PATIENCE, run).await.expect("the client ends in time")
}

/// What a program said that ended well.
pub(crate) fn output_of(output: Output) -> String {
    let says = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let both = format!("{}{}", says(&output.stdout), says(&output.stderr));
    assert!(output.status.success(), "{both}");
    both
}

/// An address that nothing listens at, for a daemon that comes again.
pub(crate) fn free_address() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn follow(language: Language) {
    const CAPTURES: u64 = 60;
    if !language.is_here().await {
        return;
    }
    let (folders, address) = (Folders::new(), free_address());
    let serve = || Process::serve_with(&folders, |settings| settings.rpc.listen = address);
    let mut daemon = serve();
    let drop_captures = async {
        for number in 0..CAPTURES {
            let patches = if number % 2 == 0 { ALL } else { HEM };
            folders.drop_capture(&format!("{number}.bmp"), &cell_of(patches, number));
            tokio::time::sleep(Duration::from_millis(20)).await;
            if number == CAPTURES / 2 {
                daemon.kill();
                daemon = serve();
            }
        }
    };
    let (server, expect) = (address.to_string(), CAPTURES.to_string());
    let more = ["--expect", expect.as_str()];
    let run = language.run("follow", &server, &more);
    let (said, ()) = tokio::join!(run, drop_captures);
    assert!(said.contains(&format!("{CAPTURES} results over")), "{said}");
}

async fn classify(language: Language) {
    if !language.is_here().await {
        return;
    }
    let folders = Folders::new();
    let path = |name: &str| folders.root.path().join(name);
    let (socket, capture) = (path("leukd.sock"), path("capture.bmp"));
    std::fs::write(&capture, cell_of(ALL, 7)).unwrap();
    let more = ["--capture", capture.to_str().unwrap()];
    // Debian's Netty has no native library, without which it knows no Unix socket.
    let ways = if let Language::Java = language { &[false][..] } else { &[false, true] };
    for over_socket in ways.iter().copied() {
        let harness = Harness::start_with(|settings| {
            settings.rpc.socket = over_socket.then(|| socket.clone());
        })
        .await;
        let tcp = harness.daemon().address().to_string();
        let server = if over_socket { format!("unix:{}", socket.display()) } else { tcp };
        language.run("classify", &server, &more).await;
    }
}

/// A daemon that speaks TLS, and files of this name in its folder.
pub(crate) async fn secure(
    change: impl FnOnce(&mut leukd::config::settings::Settings, &Path, &Ca),
) -> (Harness, String, impl Fn(&str) -> String) {
    let folders = Folders::new();
    let root: PathBuf = folders.root.path().to_owned();
    let ca = Ca::new("ca");
    std::fs::write(root.join("ca.pem"), &ca.pem).unwrap();
    ca.client("lims.example").write(&root, "client");
    let harness = Harness::start_on(folders, |settings| {
        speak_tls(settings, &root, &ca);
        change(settings, &root, &ca);
    })
    .await;
    let server = format!("localhost:{}", harness.daemon().address().port());
    (harness, server, move |name| root.join(name).to_str().unwrap().to_owned())
}

async fn token_over_tls(language: Language) {
    if !language.is_here().await {
        return;
    }
    let (_daemon, server, path) = secure(|settings, root, _| {
        let access = root.join("access.toml");
        std::fs::write(root.join("token"), token(&access, "reader", &[Scope::Read])).unwrap();
        settings.access.file = Some(access.into());
    })
    .await;
    let more = ["--ca", &path("ca.pem"), "--token-file", &path("token")];
    language.run("token", &server, &more).await;
}

async fn certificate(language: Language) {
    if !language.is_here().await {
        return;
    }
    let (_daemon, server, path) = secure(ask_for_certificates).await;
    let [ca, certificate, key] = ["ca.pem", "client.pem", "client.key"].map(path);
    let more = ["--ca", &ca, "--certificate", &certificate, "--key", &key];
    language.run("certificate", &server, &more).await;
}

async fn pages(language: Language) {
    // A listing's page holds 1,000 results: paths near the longest make that more than 4 MiB.
    const CAPTURES: usize = 1_100;
    if !language.is_here().await {
        return;
    }
    let harness = Harness::start().await;
    let deep = vec!["f".repeat(240); 16].join("/");
    for number in 0..CAPTURES {
        let capture = cell_of(ALL, number as u64);
        harness.drop_capture(&format!("{deep}/{number}.bmp"), &capture);
    }
    until("every result", async || {
        let status = harness.status().await;
        (status.journal?.newest >= CAPTURES as u64).then_some(())
    })
    .await;
    let server = harness.daemon().address().to_string();
    language.run("pages", &server, &["--expect", &CAPTURES.to_string()]).await;
}

async fn streams(language: Language) {
    if !language.is_here().await {
        return;
    }
    let harness = Harness::start().await;
    let server = harness.daemon().address().to_string();
    // docs/clients/integrator.md, "The connection".
    language.run("streams", &server, &["--expect", "112"]).await;
}

/// The first block of code of a language's page, as it stands there.
fn snippet(language: Language) -> String {
    let page = root().join(format!("docs/clients/{}.md", language.name()));
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once("<!-- runs -->").unwrap();
    let (_, code) = rest.split_once("```").unwrap().1.split_once('\n').unwrap();
    code.split_once("\n```").unwrap().0.to_owned()
}

/// What a page shows prints every result, and goes on where it stopped.
async fn page_snippet(language: Language) {
    if !language.is_here().await {
        return;
    }
    let harness = Harness::start().await;
    for number in 0..6 {
        harness.drop_capture(&format!("{number}.bmp"), &cell_of(ALL, number));
    }
    harness.wait_results(6).await;
    let folder = tempfile::tempdir().unwrap();
    let code = snippet(language);
    assert!(code.contains("127.0.0.1:50051"), "{code}");
    let code = code.replace("127.0.0.1:50051", &harness.daemon().address().to_string());
    let file =
        folder.path().join(if let Language::Java = language { "Follow.java" } else { "client" });
    std::fs::write(&file, code).unwrap();
    language.make(&file).await;
    if let Language::Python = language {
        let mut make = language.command(Path::new("-m"));
        make.args(["grpc_tools.protoc", "--python_out=.", "--grpc_python_out=."]);
        make.arg(format!("-I{}", root().join("proto").display()));
        for file in std::fs::read_dir(root().join("proto/leukd/v1")).unwrap() {
            make.arg(Path::new("leukd/v1").join(file.unwrap().file_name()));
        }
        output_of(ended(make.current_dir(folder.path())).await.unwrap());
    }
    for (round, first) in [(1_u64, 1_usize), (2, 7)] {
        let mut client = language.command(&file);
        client.current_dir(folder.path()).env("PROTO", root().join("proto"));
        client.stdout(std::process::Stdio::piped()).kill_on_drop(true);
        let mut child = client.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for sequence in first..first + 6 {
            let line = tokio::time::timeout(support::PATIENCE, lines.next_line()).await;
            let line = line.expect("a line in time").unwrap().expect("a line");
            assert!(line.starts_with(&format!("{sequence} ")), "round {round}: {line}");
        }
        until("the cursor to be kept", async || {
            let cursor = std::fs::read(folder.path().join("cursor.json")).ok()?;
            let cursor: serde_json::Value = serde_json::from_slice(&cursor).ok()?;
            // JSON's numbers have 53 bits: some keep it as text.
            let kept = cursor["sequence"].to_string();
            (kept.trim_matches('"') == (first + 5).to_string()).then_some(())
        })
        .await;
        child.kill().await.unwrap();
        for number in 0..6 {
            harness.drop_capture(
                &format!("{round}-{number}.bmp"),
                &cell_of(HEM, 100 * round + number),
            );
        }
        harness.wait_results(first + 11).await;
    }
}

/// Every scenario as a test of its own for every language.
macro_rules! clients {
    ($($module:ident $language:ident),*) => {$(
        mod $module {
            use super::Language;

            #[tokio::test(flavor = "multi_thread")]
            async fn gets_every_result_just_once_over_broken_connections_and_a_killed_daemon() {
                super::follow(Language::$language).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn classifies_over_tcp_and_over_a_unix_socket() {
                super::classify(Language::$language).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn shows_its_token_over_tls_and_may_what_its_scope_says() {
                super::token_over_tls(Language::$language).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn is_known_by_its_certificate() {
                super::certificate(Language::$language).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn lists_more_than_four_mebibytes_within_its_librarys_limits() {
                super::pages(Language::$language).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn opens_130_streams_and_still_makes_short_calls() {
                super::streams(Language::$language).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn does_what_its_page_shows() {
                super::page_snippet(Language::$language).await;
            }
        }
    )*};
}

clients!(python Python, node Node, go Go, java Java);
