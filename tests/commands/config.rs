//! What an administrator is promised about settings: their layers, their errors, their example
//! file.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use leukd::config::units::{Bytes, Span};
use leukd::config::{ConfigError, Flag, Loaded, Origin, Settings, Sources, load};
use tempfile::TempDir;

/// A folder for configuration files.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Loads one `--config` file and nothing else.
    fn load(&self, text: &str) -> Result<Loaded, ConfigError> {
        let file = self.write("leukd.toml", text);
        load(&Sources { file: Some(file), ..Sources::default() })
    }

    /// The error of one file, with the folder's name taken off.
    fn error(&self, text: &str) -> String {
        let error = self.load(text).expect_err(text).to_string();
        error.replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn env(pairs: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let environment =
        pairs.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
    load(&Sources { environment, ..Sources::default() })
}

fn flag(name: &'static str, key: &'static str, values: &[&str]) -> Flag {
    Flag { name, key, values: values.iter().map(ToString::to_string).collect() }
}

#[test]
fn without_any_source_the_defaults_serve() {
    let loaded = load(&Sources::default()).unwrap();
    assert_eq!(loaded.settings, Settings::default());
    assert!(loaded.origins.values().all(|origin| *origin == Origin::Default));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn each_layer_wins_over_the_one_before() {
    let files = Files::new();
    let system = files.write(
        "system.toml",
        "[watch]\nfolders = [\"/a\", \"/b\"]\nsettle_looks = 4\npoll_interval = \"4s\"\n\
         [rpc]\nheartbeat = \"4s\"\ndrain = \"4s\"\n",
    );
    let named = files.write(
        "named.toml",
        "watch.folders = [\"/c\"]\nwatch.settle_looks = 5\nrpc.heartbeat = \"5s\"\n",
    );
    let loaded = load(&Sources {
        system_file: Some(system.clone()),
        file: Some(named.clone()),
        environment: vec![
            ("LEUKD__WATCH__SETTLE_LOOKS".into(), "6".into()),
            ("LEUKD__RPC__LISTEN".into(), "127.0.0.1:6".into()),
            ("LEUKD_SERVER".into(), "http://elsewhere".into()),
        ],
        flags: vec![flag("--listen", "rpc.listen", &["127.0.0.1:7"])],
        state_directory: Some("/state".into()),
    })
    .unwrap();
    let settings = &loaded.settings;
    // A list of a later layer replaces the whole list.
    assert_eq!(settings.watch.folders, [PathBuf::from("/c")]);
    assert_eq!(settings.watch.settle_looks, 6);
    assert_eq!(settings.watch.poll_interval, Span::from_secs(4));
    assert_eq!(settings.rpc.heartbeat, Span::from_secs(5));
    assert_eq!(settings.rpc.drain, Span::from_secs(4));
    assert_eq!(settings.rpc.listen.port(), 7);
    assert_eq!(settings.journal.directory, Path::new("/state"));
    assert_eq!(settings.watch.recursive, Settings::default().watch.recursive);

    let origin = |key: &str| loaded.origins[key].clone();
    assert_eq!(origin("watch.folders"), Origin::File { path: named.clone(), line: 1 });
    assert_eq!(origin("watch.settle_looks"), Origin::Env("LEUKD__WATCH__SETTLE_LOOKS".into()));
    assert_eq!(origin("watch.poll_interval"), Origin::File { path: system, line: 4 });
    assert_eq!(origin("rpc.heartbeat"), Origin::File { path: named, line: 3 });
    assert_eq!(origin("rpc.listen"), Origin::Flag("--listen".into()));
    assert_eq!(origin("journal.directory"), Origin::Env("STATE_DIRECTORY".into()));
    assert_eq!(origin("watch.recursive"), Origin::Default);
}

#[test]
fn an_absent_system_file_is_no_error_and_an_absent_named_file_is() {
    let absent = Some(PathBuf::from("/nonexistent/leukd.toml"));
    assert!(load(&Sources { system_file: absent.clone(), ..Sources::default() }).is_ok());
    let error = load(&Sources { file: absent, ..Sources::default() }).unwrap_err().to_string();
    assert!(error.starts_with("/nonexistent/leukd.toml: no such file"), "{error}");
}

#[test]
fn an_error_names_file_line_and_key() {
    let files = Files::new();
    for (text, expected) in [
        (
            "[watch]\n\nsettle_loks = 3\n",
            "leukd.toml:3: watch.settle_loks: no such setting; did you mean `settle_looks`?",
        ),
        ("[wacth]\n", "leukd.toml:1: wacth: no such section; did you mean `watch`?"),
        ("watch = 3\n", "leukd.toml:1: watch: is a section"),
        ("[watch]\nsettle_looks = \"three\"\n", "leukd.toml:2: watch.settle_looks: invalid type"),
        ("[watch]\nsettle_looks = -3\n", "leukd.toml:2: watch.settle_looks: invalid value"),
        (
            "[watch]\n# a look\nsettle_looks = 1\n",
            "leukd.toml:3: watch.settle_looks: 1 is out of range: write 2",
        ),
        ("[watch]\nsettle_interval = 250\n", "leukd.toml:2: watch.settle_interval: invalid type"),
        ("[watch]\nsettle_interval = \"fast\"\n", "\"fast\" is no length of time"),
        (
            "[image]\nmax_file = \"huge\"\n",
            "leukd.toml:2: image.max_file: \"huge\" is no amount of bytes",
        ),
        (
            "[watch]\nmode = \"sometimes\"\n",
            "leukd.toml:2: watch.mode: unknown variant `sometimes`",
        ),
        ("[watch]\nfolders = \"/export\"\n", "write a list of texts"),
        ("[rpc]\nlisten = \"localhost:50051\"\n", "write an IP address and a port"),
        (
            "[decision]\nreview = [0.7, 0.3]\n",
            "leukd.toml:2: decision.review: [0.7, 0.3] is no band",
        ),
        (
            "[decision]\nreview = [0.3, 1.5]\n",
            "leukd.toml:2: decision.review: [0.3, 1.5] is no band",
        ),
        ("[decision]\nreview = [0.3]\n", "write two numbers, for example [0.3, 0.7]"),
        (
            "[specimen]\nflags = [0.25, 0.2]\n",
            "leukd.toml:2: specimen.flags: [0.25, 0.2] are no fractions",
        ),
        ("[specimen]\nflags = [0.0]\n", "leukd.toml:2: specimen.flags: [0.0] are no fractions"),
        ("[specimen]\nflags = [\"a\"]\n", "write a list of numbers, for example [0.2, 0.25]"),
        ("[watch]\nfolders = [\n", "leukd.toml:2: is not TOML"),
        ("[log]\nlevel = \"info\"\nlevel = \"warn\"\n", "leukd.toml:3: is not TOML: duplicate key"),
    ] {
        let error = files.error(text);
        assert!(error.contains(expected), "{text}\ngave     {error}\nexpected {expected}");
    }
}

#[test]
fn every_problem_is_told_at_once() {
    let error = Files::new().error("[watch]\nbroken_aftr = \"1s\"\nsettle_looks = \"x\"\n[lgo]\n");
    assert_eq!(error.lines().count(), 3, "{error}");
    let error = Files::new().error("[watch]\nsettle_looks = 1\n[rpc]\nlisten = \"0.0.0.0:1\"\n");
    assert_eq!(error.lines().count(), 2, "{error}");
}

#[test]
fn a_variable_takes_plain_text_numbers_and_lists() {
    let settings = env(&[
        ("LEUKD__WATCH__FOLDERS", "/export one"),
        ("LEUKD__WATCH__INCLUDE", r#"["**/*.bmp", "**/*.{tif,tiff}"]"#),
        ("LEUKD__WATCH__RECURSIVE", "false"),
        ("LEUKD__WATCH__SETTLE_INTERVAL", "1s"),
        ("LEUKD__JOURNAL__KEEP_COUNT", "1000"),
        ("LEUKD__JOURNAL__KEEP_FOR", "30d"),
        ("LEUKD__IMAGE__MAX_FILE", "1048576"),
        ("LEUKD__WORKERS__THREADS", "2"),
    ])
    .unwrap()
    .settings;
    assert_eq!(settings.watch.folders, [PathBuf::from("/export one")]);
    assert_eq!(settings.watch.include, ["**/*.bmp", "**/*.{tif,tiff}"]);
    assert!(!settings.watch.recursive);
    assert_eq!(settings.watch.settle_interval, Span::from_secs(1));
    assert_eq!(settings.journal.keep_count, Some(1000));
    assert_eq!(settings.journal.keep_for, Some(Span::from_secs(30 * 86_400)));
    assert_eq!(settings.image.max_file, Bytes::mib(1));
    assert_eq!(settings.workers.threads, 2);
}

#[test]
fn an_error_names_the_variable() {
    for (name, value, expected) in [
        ("LEUKD__WATCH__SETTLE_LOOKS", "many", "LEUKD__WATCH__SETTLE_LOOKS: invalid type"),
        ("LEUKD__WATCH__SETTLE_LOOKS", "1", "LEUKD__WATCH__SETTLE_LOOKS: 1 is out of range"),
        (
            "LEUKD__WATCH__SETTLE_LOKS",
            "3",
            "LEUKD__WATCH__SETTLE_LOKS: no such setting; did you mean `LEUKD__WATCH__SETTLE_LOOKS`?",
        ),
        ("LEUKD__LISTEN", "127.0.0.1:1", "LEUKD__LISTEN: no such setting"),
    ] {
        let error = env(&[(name, value)]).expect_err(name).to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn an_error_names_the_flag() {
    let flags = vec![flag("--listen", "rpc.listen", &["everywhere"])];
    let error = load(&Sources { flags, ..Sources::default() }).unwrap_err().to_string();
    assert!(error.starts_with("--listen: "), "{error}");
}

#[test]
fn a_list_flag_takes_every_value() {
    let flags = vec![flag("--watch", "watch.folders", &["/a", "/b"])];
    let loaded = load(&Sources { flags, ..Sources::default() }).unwrap();
    assert_eq!(loaded.settings.watch.folders, ["/a", "/b"].map(PathBuf::from));
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    let files = Files::new();
    for (text, expected) in [
        ("watch.folders = [\"export\"]", "watch.folders: \"export\" is not an absolute path"),
        ("watch.folders = [\"/a/../b\"]", "is not an absolute path without \"..\""),
        ("watch.folders = [\"/a\", \"/a/\"]", "/a stands in it twice"),
        ("watch.folders = [\"/a\", \"/a/b\"]", "one lies inside the other"),
        ("watch.folders = [\"/a/b\", \"/a\"]", "one lies inside the other"),
        (
            "watch.folders = [\"/a\"]\njournal.directory = \"/a/state\"",
            "leukd.toml:2: journal.directory: /a/state and the watched folder /a must lie apart",
        ),
        ("watch.folders = [\"/a/b\"]\njournal.directory = \"/a\"", "must lie apart"),
        ("watch.include = []", "watch.include: is empty"),
        ("watch.include = [\"**/*.{bmp\"]", "watch.include: \"**/*.{bmp\" is no glob"),
        ("watch.ignore = [\"[\"]", "watch.ignore: \"[\" is no glob"),
        ("watch.name_pattern = \"(\"", "watch.name_pattern: not a regular expression"),
        ("watch.name_pattern = \"(?<patient>x)\"", "the group \"patient\" means nothing"),
        ("watch.settle_interval = \"0s\"", "watch.settle_interval: 0s is out of range"),
        ("watch.settle_interval = \"1m\"", "watch.broken_after: 1m is shorter than settling takes"),
        ("image.max_side = 0", "image.max_side: 0 is out of range"),
        ("image.max_file = 0", "image.max_file: 0B is out of range"),
        ("workers.interactive_queue = 0", "workers.interactive_queue: 0 is out of range"),
        ("journal.keep_count = 0", "journal.keep_count: 0 is out of range"),
        ("journal.keep_for = \"1s\"", "journal.keep_for: 1s is out of range"),
        ("rpc.listen = \"0.0.0.0:50051\"", "without TLS everybody on the way reads along"),
        ("rpc.listen = \"[::]:50051\"", "without TLS everybody on the way reads along"),
        (
            "rpc.listen = \"0.0.0.0:50051\"\ntls.certificate = \"/c\"\ntls.key = \"/k\"",
            "nobody would be asked who he is",
        ),
        ("rpc.tcp = false", "leukd could not be reached"),
        ("rpc.socket = \"leukd.sock\"", "rpc.socket: \"leukd.sock\" is not an absolute path"),
        ("rpc.socket_mode = \"rw\"", "\"rw\" is no mode"),
        ("tls.certificate = \"/c\"", "tls.key: is missing"),
        ("tls.key = \"/k\"", "tls.certificate: is missing"),
        ("tls.client_ca = \"/a\"", "there is no TLS"),
        ("access.file = \"access.toml\"", "access.file: \"access.toml\" cannot be found"),
        ("access.file = \"credential:../x\"", "access.file: \"credential:../x\" cannot be found"),
        ("access.max_bytes = \"1MiB\"", "is less than rpc.max_image_bytes"),
        ("rpc.heartbeat = \"0s\"", "rpc.heartbeat: 0s is out of range"),
        ("log.level = \"leukd=loud\"", "log.level: \"leukd=loud\" is no filter"),
        ("log.level = \"inof\"", "log.level: \"inof\" is no level"),
        ("model.bundle = \"model.onnx\"", "model.bundle: \"model.onnx\" is not an absolute path"),
    ] {
        let error = files.error(text);
        assert!(error.contains(expected), "{text}\ngave     {error}\nexpected {expected}");
    }
    // Names that only begin alike are apart.
    assert!(files.load("watch.folders = [\"/a\", \"/ab\"]\njournal.directory = \"/abc\"").is_ok());
}

#[test]
fn a_rule_that_can_match_nothing_is_refused_with_what_to_write() {
    let own = Files::new();
    let refused = |rules: &str| {
        own.error(&format!("[watch]\nfolders = [\"/exports\", \"/tmp\"]\nrules = [{rules}]\n"))
    };
    for (rules, part) in [
        ("{ glob = \"/tmp\", kind = \"field\" }", "write \"/tmp/**\""),
        ("{ glob = \"a/**\", kind = \"field\" }", "write the folder's absolute path"),
        ("{ glob = \"/tmp/**\" }", "sets nothing"),
        (
            "{ glob = \"/tmp/**\", kind = \"cell\" }, { glob = \"/tmp/a/**\", kind = \"field\" }",
            "never holds",
        ),
        ("\"/tmp/**\"", "write a list of tables"),
    ] {
        let error = refused(rules);
        assert!(error.contains("watch.rules") && error.contains(part), "{part}: {error}");
    }
}

#[test]
fn doubtful_settings_are_warned_of_with_their_place() {
    let files = Files::new();
    for text in ["rpc.max_image_bytes = \"65MiB\"", "rpc.drain = \"40s\"", "journal.disk_floor = 0"]
    {
        let warnings = files.load(text).unwrap().warnings;
        let [warning] = warnings.as_slice() else { panic!("{text}: {warnings:?}") };
        assert!(warning.contains("leukd.toml:1: "), "{warning}");
    }
}

#[test]
fn another_address_takes_tls_and_somebody_who_asks_who_calls() {
    let tls =
        "rpc.listen = \"0.0.0.0:50051\"\ntls.certificate = \"/c\"\ntls.key = \"credential:k\"\n";
    for more in ["access.file = \"/a\"", "tls.client_ca = \"/a\""] {
        assert!(Files::new().load(&format!("{tls}{more}")).is_ok(), "{more}");
    }
}

#[test]
fn the_page_stays_on_loopback_and_says_how_to_reach_it() {
    let files = Files::new();
    let error = files.error("page.listen = \"192.0.2.1:8080\"");
    assert!(error.contains("page.listen: 192.0.2.1:8080 can be reached"), "{error}");
    assert!(error.contains("ssh -L"), "{error}");
    let off = "page = { listen = \"192.0.2.1:8080\", enabled = false }";
    assert!(!files.load(off).unwrap().settings.page.enabled);
    let error = files.error("page.listen = \"127.0.0.1:50051\"");
    assert!(error.contains("is rpc.listen too"), "{error}");
    let error = files.error("page.lock_after = \"1s\"");
    assert!(error.contains("page.lock_after"), "{error}");
}

#[test]
fn the_metrics_endpoint_stays_on_loopback_unless_it_is_allowed_to_leave() {
    let files = Files::new();
    let error = files.error("metrics.listen = \"192.0.2.1:9464\"");
    assert!(error.contains("metrics.listen: 192.0.2.1:9464 can be reached"), "{error}");
    let both = "metrics = { listen = \"192.0.2.1:9464\", allow_remote = true }";
    assert!(files.load(both).unwrap().settings.metrics.allow_remote);
    let off = "metrics = { listen = \"192.0.2.1:9464\", enabled = false }";
    assert!(!files.load(off).unwrap().settings.metrics.enabled);
    let error = files.error("metrics.listen = \"127.0.0.1:50051\"");
    assert!(error.contains("is rpc.listen too"), "{error}");
}

#[test]
fn spans_go_to_a_collector_on_this_machine_and_only_from_a_build_that_can_send_them() {
    let files = Files::new();
    let here = files.load("log.otlp = \"http://127.0.0.1:4317\"");
    let there = files.error("log.otlp = \"http://192.0.2.1:4317\"");
    if cfg!(feature = "otlp") {
        assert!(here.is_ok());
        assert!(there.contains("log.otlp: ") && there.contains("no collector on this machine"));
    } else {
        let error = here.unwrap_err().to_string();
        assert!(error.contains("log.otlp: this leukd was built without OpenTelemetry"), "{error}");
    }
}

#[test]
fn loopback_of_both_families_and_port_0_are_allowed() {
    for listen in ["127.0.0.1:0", "127.8.8.8:1", "[::1]:50051"] {
        assert!(env(&[("LEUKD__RPC__LISTEN", listen)]).is_ok(), "{listen}");
    }
}

#[test]
fn an_overlong_or_binary_file_is_refused() {
    let files = Files::new();
    let error = files.error(&"#\n".repeat(600_000));
    assert!(error.contains("larger than 1 MiB"), "{error}");
    let file = files.0.path().join("binary.toml");
    fs::write(&file, [0xff, 0xfe, 0x00]).unwrap();
    let error = load(&Sources { file: Some(file), ..Sources::default() }).unwrap_err().to_string();
    assert!(error.ends_with("is not UTF-8 text"), "{error}");
    let folder = files.0.path().to_owned();
    let error =
        load(&Sources { file: Some(folder), ..Sources::default() }).unwrap_err().to_string();
    assert!(error.contains("cannot be read"), "{error}");
}

/// The shipped example with its settings un-commented: a setting's line begins with `#` and a
/// letter, a remark's with `# `.
fn example() -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/leukd.toml"))
        .unwrap();
    let mut lines = Vec::new();
    for line in text.lines() {
        let setting = line
            .strip_prefix('#')
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
        assert!(
            setting.is_some()
                || line.is_empty()
                || line.starts_with("# ")
                || line == "#"
                || line.starts_with('['),
            "neither remark, section nor setting: {line}"
        );
        lines.push(setting.unwrap_or(line));
    }
    lines.join("\n")
}

#[test]
fn the_example_file_shows_every_setting_with_its_default() {
    let example = example();
    // Settings that are absent by default are shown with a value; the others with their default.
    let shown: toml::Table = example.parse().unwrap();
    let mut expected = Settings::default();
    // A build without OpenTelemetry refuses that one setting.
    let accepted = if cfg!(feature = "otlp") {
        example
    } else {
        example.lines().filter(|line| !line.starts_with("otlp =")).collect::<Vec<_>>().join("\n")
    };
    let loaded = Files::new().load(&accepted).unwrap();
    expected.watch.micrometres_per_pixel = loaded.settings.watch.micrometres_per_pixel;
    expected.specimen.done_marker = loaded.settings.specimen.done_marker.clone();
    expected.model.bundle = loaded.settings.model.bundle.clone();
    expected.model.folder = loaded.settings.model.folder.clone();
    expected.decision.review = loaded.settings.decision.review;
    expected.rpc.socket = loaded.settings.rpc.socket.clone();
    expected.tls = loaded.settings.tls.clone();
    assert_eq!(expected.tls.client, Default::default());
    expected.access.file = loaded.settings.access.file.clone();
    expected.forward = loaded.settings.forward.clone();
    expected.log.otlp = loaded.settings.log.otlp.clone();
    expected.journal.keep_for = loaded.settings.journal.keep_for;
    expected.journal.keep_count = loaded.settings.journal.keep_count;
    assert_eq!(loaded.settings, expected);
    for key in loaded.origins.keys() {
        let (section, name) = key.split_once('.').unwrap();
        assert!(shown[section].get(name).is_some(), "the example lacks {key}");
    }
}

#[test]
fn the_example_file_as_shipped_changes_nothing() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/leukd.toml");
    let loaded = load(&Sources { file: Some(file), ..Sources::default() }).unwrap();
    assert_eq!(loaded.settings, Settings::default());
    assert!(loaded.origins.values().all(|origin| *origin == Origin::Default));
}
