//! What `leukd model keygen`, `sign` and `verify` promise, and `leukd check` of a bundle's
//! signature.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use crate::bounded::InTime as _;

use leukd::model::testing;
use serde_json::Value;
use tempfile::TempDir;

/// A laboratory's folder with a bundle and a key without a password.
struct Lab(TempDir);

impl Lab {
    fn new() -> Self {
        let lab = Self(tempfile::tempdir().unwrap());
        fs::write(lab.at("b3.onnx"), testing::tiny_bundle("tiny", 1)).unwrap();
        lab.good(&["model", "keygen", "lab.key", "--no-password"]);
        lab
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("CONFIGURATION_DIRECTORY", self.0.path());
        command.current_dir(self.0.path());
        command
    }

    fn leukd(&self, arguments: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_leukd")).args(arguments).in_time().unwrap()
    }

    /// Standard output of a command that works.
    fn good(&self, arguments: &[&str]) -> String {
        let output = self.leukd(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.good(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// Standard error of a command that ends with this code.
    #[track_caller]
    fn bad(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.leukd(arguments);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        text
    }

    /// The public key of `name`, as the configuration takes it.
    fn public(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap().lines().nth(1).unwrap().to_owned()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_key_is_made_for_nobody_else_to_read_and_never_overwritten() {
    let lab = Lab::new();
    assert_eq!(mode(&lab.at("lab.key")), 0o600);
    let before = fs::read(lab.at("lab.key")).unwrap();
    let text = lab.bad(65, &["model", "keygen", "lab.key", "--no-password"]);
    assert!(text.contains("lab.key is there already"), "{text}");
    assert_eq!(fs::read(lab.at("lab.key")).unwrap(), before);
    let told = lab.good(&["model", "keygen", "second.key", "--no-password"]);
    let public = lab.public("second.key.pub");
    assert!(told.contains(&format!("[model]\ntrusted_keys = [\"{public}\"]")), "{told}");
    let json = lab.json(&["model", "keygen", "third.key", "--no-password"]);
    assert_eq!(json["public_key"], lab.public("third.key.pub"));
    assert_eq!(json["key"].as_str().unwrap().len(), 16);
    let text = lab.bad(64, &["model", "keygen", "fourth.key"]);
    assert!(text.contains("LEUKD_KEY_PASSWORD") && text.contains("--no-password"), "{text}");
    assert!(!lab.at("fourth.key").exists());
}

#[test]
fn a_bundle_is_signed_and_verified_by_key_text_and_by_key_file() {
    let lab = Lab::new();
    let told = lab.good(&["model", "sign", "b3.onnx", "--key", "lab.key"]);
    assert!(told.contains("b3.onnx is signed by key"), "{told}");
    assert_eq!(mode(&lab.at("b3.onnx.minisig")), 0o644);
    let public = lab.public("lab.key.pub");
    for key in [public.as_str(), "lab.key.pub"] {
        let told = lab.good(&["model", "verify", "b3.onnx", "--public-key", key]);
        assert!(told.contains("tiny works: 2 golden inputs"), "{told}");
        assert!(told.contains("\nsignature: signed by key "), "{told}");
        assert!(told.contains("file:b3.onnx\\tmodel:tiny\\thashed"), "{told}");
    }
    let json = lab.json(&["model", "verify", "b3.onnx", "--public-key", &public]);
    assert_eq!(json["signature"]["state"], "signed");
    assert_eq!(json["may_serve"], true);
    assert_eq!((&json["id"], &json["golden_inputs"]), (&"tiny".into(), &2.into()));
    assert!(json["needs"]["memory"].as_u64().unwrap() > 0);
    let signed =
        lab.json(&["model", "sign", "b3.onnx", "--key", "lab.key", "--comment", "release 7"]);
    assert_eq!(signed["trusted_comment"], "release 7");
    assert_eq!(signed["sha256"], json["sha256"]);
    let json = lab.json(&["model", "verify", "b3.onnx", "--public-key", &public]);
    assert_eq!(json["signature"]["trusted_comment"], "release 7");
    assert_eq!(json["signature"]["key"], signed["key"]);
}

#[test]
fn what_is_not_signed_by_the_key_that_is_asked_for_ends_with_65() {
    let lab = Lab::new();
    lab.good(&["model", "keygen", "other.key", "--no-password"]);
    let verify = ["model", "verify", "b3.onnx", "--public-key", "lab.key.pub"];
    assert!(lab.bad(65, &verify).contains("it is not signed"));
    lab.good(&["model", "sign", "b3.onnx", "--key", "other.key"]);
    assert!(lab.bad(65, &verify).contains("which is not among the trusted ones"));
    lab.good(&["model", "sign", "b3.onnx", "--key", "lab.key"]);
    lab.good(&verify);
    let mut bytes = fs::read(lab.at("b3.onnx")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(lab.at("b3.onnx"), bytes).unwrap();
    assert!(lab.bad(65, &verify).contains("its signature is not of these bytes"));
    // A wrong signature is told even where none is asked for, as soon as its key is known.
    fs::write(
        lab.at("leukd.toml"),
        format!("[model]\ntrusted_keys = [{:?}]\n", lab.public("lab.key.pub")),
    )
    .unwrap();
    let text = lab.bad(65, &["model", "verify", "b3.onnx"]);
    assert!(text.contains("its signature is not of these bytes"), "{text}");
    assert!(
        lab.bad(64, &["model", "verify", "b3.onnx", "--public-key", "absent"])
            .contains("--public-key")
    );
}

#[test]
fn verify_tells_whether_the_daemon_of_this_machine_would_serve_it() {
    let lab = Lab::new();
    let output = lab.leukd(&["model", "verify", "b3.onnx"]);
    let told = String::from_utf8(output.stdout).unwrap();
    // It works all the same; but what matters comes first, with a code of its own.
    assert_eq!(output.status.code(), Some(77), "{told}");
    assert!(told.starts_with("b3.onnx: the daemon would not serve it: it is not signed"), "{told}");
    assert!(told.contains(" works: "), "{told}");
    let output = lab.leukd(&["model", "verify", "b3.onnx", "--json"]);
    assert_eq!(output.status.code(), Some(77));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&json["signature"]["state"], &json["may_serve"]),
        (&"unsigned".into(), &false.into())
    );
    fs::write(lab.at("leukd.toml"), "[model]\nallow_unsigned = [\"b3.onnx\"]\n").unwrap();
    let told = lab.good(&["model", "verify", "b3.onnx"]);
    assert!(told.contains("allowed by \"b3.onnx\""), "{told}");
    fs::write(lab.at("leukd.toml"), "[model]\ntrusted_keys = [\"/nowhere/lab.pub\"]\n").unwrap();
    let told = lab.bad(77, &["model", "verify", "b3.onnx"]);
    assert!(told.contains("/nowhere/lab.pub"), "{told}");
}

#[test]
fn a_bundle_that_does_not_work_is_not_signed() {
    let lab = Lab::new();
    fs::write(lab.at("bad.onnx"), testing::golden_failing_bundle("bad", 1)).unwrap();
    let text = lab.bad(65, &["model", "sign", "bad.onnx", "--key", "lab.key"]);
    assert!(text.contains("golden input"), "{text}");
    assert!(!lab.at("bad.onnx.minisig").exists());
    lab.bad(66, &["model", "sign", "absent.onnx", "--key", "lab.key"]);
    lab.bad(66, &["model", "sign", "b3.onnx", "--key", "absent.key"]);
    let text =
        lab.bad(64, &["model", "sign", "b3.onnx", "--key", "lab.key", "--comment", "two\nlines"]);
    assert!(text.contains("--comment"), "{text}");
    assert!(!lab.at("b3.onnx.minisig").exists());
}

#[test]
fn a_locked_key_takes_its_password_from_the_variable_or_a_file_and_no_other() {
    let lab = Lab::new();
    fs::write(lab.at("password"), "correct horse\nsecond line\n").unwrap();
    fs::write(lab.at("wrong"), "battery staple\n").unwrap();
    lab.good(&["model", "keygen", "locked.key", "--password-file", "password"]);
    let sign = ["model", "sign", "b3.onnx", "--key", "locked.key"];
    assert!(lab.bad(64, &sign).contains("is locked"));
    let text = lab.bad(65, &[&sign[..], &["--password-file", "wrong"]].concat());
    assert!(text.contains("Wrong password"), "{text}");
    lab.good(&[&sign[..], &["--password-file", "password"]].concat());
    let mut command = lab.command(env!("CARGO_BIN_EXE_leukd"));
    command.args(sign).env("LEUKD_KEY_PASSWORD", "correct horse");
    assert!(command.in_time().unwrap().status.success());
    lab.good(&["model", "verify", "b3.onnx", "--public-key", "locked.key.pub"]);
}

#[test]
fn check_refuses_a_configured_bundle_that_would_not_be_let_in() {
    let lab = Lab::new();
    let check = |more: &str| {
        let bundle = lab.at("b3.onnx");
        let text = format!(
            "[model]\nbundle = {bundle:?}\n{more}\n[journal]\ndirectory = {:?}\n",
            lab.at("state")
        );
        fs::write(lab.at("leukd.toml"), text).unwrap();
    };
    check("");
    let text = lab.bad(78, &["check"]);
    assert!(
        text.contains("leukd.toml:2: model.bundle: ") && text.contains("it is not signed"),
        "{text}"
    );
    check("allow_unsigned = [\"b3.onnx\"]");
    lab.good(&["check"]);
    check("");
    lab.good(&["check", "--allow-unsigned", "b3.onnx"]);
    lab.good(&["model", "sign", "b3.onnx", "--key", "lab.key"]);
    check(&format!("trusted_keys = [{:?}]", lab.public("lab.key.pub")));
    lab.good(&["check"]);
    check(&format!("trusted_keys = [{:?}]", lab.at("lab.key.pub")));
    lab.good(&["check"]);
    check(&format!("trusted_keys = [{:?}]", lab.at("absent.pub")));
    let text = lab.bad(78, &["check"]);
    assert!(
        text.contains("leukd.toml:3: model.trusted_keys: ") && text.contains("absent.pub"),
        "{text}"
    );
    check("max_file = \"1KiB\"\nallow_unsigned = [\"b3.onnx\"]");
    assert!(lab.bad(78, &["check"]).contains("at most 1024 are allowed"));
}

#[test]
fn settings_that_name_no_key_and_no_bundle_are_refused_with_their_line() {
    let lab = Lab::new();
    for (line, words) in [
        ("trusted_keys = [\"RWQ\"]", "model.trusted_keys: \"RWQ\" is no minisign public key"),
        ("allow_unsigned = [\"a/b.onnx\"]", "model.allow_unsigned: \"a/b.onnx\" names no bundle"),
        ("allow_unsigned = [\"\"]", "names no bundle"),
        ("allow_unsigned = [\"sha256:12\"]", "names no bundle"),
        ("max_file = 1", "model.max_file: "),
        ("max_memory = 1", "model.max_memory: "),
    ] {
        fs::write(lab.at("leukd.toml"), format!("[model]\n{line}\n")).unwrap();
        let text = lab.bad(78, &["check"]);
        assert!(text.contains("leukd.toml:2: ") && text.contains(words), "{text}");
    }
}

/// Where the tool is installed (Debian: `apt-get install minisign`); elsewhere a signature that it
/// made is held in `signed_bundles.rs`.
#[test]
fn minisign_verifies_what_leukd_signs_and_leukd_what_minisign_signs() {
    let lab = Lab::new();
    let minisign = |arguments: &[&str]| lab.command("/usr/bin/minisign").args(arguments).in_time();
    if minisign(&["-v"]).is_err() {
        eprintln!("skipped: minisign is not installed");
        return;
    }
    let works = |arguments: &[&str]| {
        let output = minisign(arguments).unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    lab.good(&["model", "sign", "b3.onnx", "--key", "lab.key", "--comment", "release 7"]);
    let told = works(&["-V", "-p", "lab.key.pub", "-m", "b3.onnx"]);
    assert!(told.contains("Trusted comment: release 7"), "{told}");
    // Its key, and ours in its hands.
    works(&["-G", "-W", "-p", "tool.pub", "-s", "tool.key"]);
    lab.good(&["model", "sign", "b3.onnx", "--key", "tool.key"]);
    works(&["-V", "-p", "tool.pub", "-m", "b3.onnx"]);
    for (secret, public) in [("tool.key", "tool.pub"), ("lab.key", "lab.key.pub")] {
        works(&["-S", "-s", secret, "-m", "b3.onnx", "-t", "by the tool"]);
        let json = lab.json(&["model", "verify", "b3.onnx", "--public-key", public]);
        assert_eq!(json["signature"]["trusted_comment"], "by the tool");
    }
}
