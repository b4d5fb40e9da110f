//! Which model may run: signed by a trusted key, or allowed by name. Whatever else comes, the model
//! before stays.

use crate::support;
use std::path::{Path, PathBuf};

use crate::support::refusal::{info, reason};
use crate::support::{ALL, Folders, Harness, cell_of};
use leukd::config::settings::Settings;
use leukd::grpc::proto;
use leukd::model::file::{BundleFile, signature_path};
use leukd::model::testing;
use leukd::model::trust::{Seal, Trust, TrustedKey};
use leukd::result::Digest;
use minisign::KeyPair;
use tonic::{Code, Status};

/// A key of a laboratory.
struct Signer(KeyPair);

impl Signer {
    fn new() -> Self {
        Self(KeyPair::generate_unencrypted_keypair().unwrap())
    }

    /// What stands in `model.trusted_keys`.
    fn public(&self) -> String {
        self.0.pk.to_base64()
    }

    fn number(&self) -> String {
        TrustedKey::parse(&self.public()).unwrap().id().to_string()
    }

    fn signature(&self, bytes: &[u8], comment: &str) -> String {
        minisign::sign(None, &self.0.sk, bytes, Some(comment), None).unwrap().into_string()
    }

    /// Writes a bundle with its signature beside it.
    fn put(&self, path: &Path, bytes: &[u8], comment: &str) {
        std::fs::write(path, bytes).unwrap();
        std::fs::write(signature_path(path), self.signature(bytes, comment)).unwrap();
    }
}

/// A daemon that serves a signed bundle, trusts this key and allows nothing else.
async fn daemon(signer: &Signer, change: impl FnOnce(&mut Settings)) -> Harness {
    let folders = Folders::new();
    let tiny = folders.models.join("tiny.onnx");
    signer.put(&tiny, &testing::tiny_bundle("tiny", 1), "for the tests");
    Harness::start_on(folders, |settings| {
        settings.model.trusted_keys = vec![signer.public()];
        settings.model.allow_unsigned.clear();
        change(settings);
    })
    .await
}

async fn reload(harness: &Harness, file: &str) -> Result<proto::Model, Status> {
    let request = proto::ReloadModelRequest { file: file.to_owned() };
    let answer = harness.control().reload_model(request).await?;
    Ok(answer.into_inner().model.unwrap())
}

async fn serving(harness: &Harness) -> proto::Model {
    let model = harness.control().get_model(proto::GetModelRequest {}).await.unwrap();
    model.into_inner().model.unwrap()
}

/// The reload is refused for want of trust, and the model before goes on.
async fn assert_untrusted(harness: &Harness, file: &str, words: &str) {
    let before = serving(harness).await;
    let status = reload(harness, file).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    let (reason, metadata) = info(&status);
    assert_eq!(reason, "UNTRUSTED_BUNDLE", "{status:?}");
    let bytes = std::fs::read(harness.folders.models.join(file)).unwrap();
    assert_eq!(metadata["sha256"], Digest::of(&bytes).to_string());
    for words in [words, file, "model.trusted_keys", "model.allow_unsigned"] {
        assert!(metadata["reason"].contains(words), "{words}: {metadata:?}");
    }
    assert_eq!(serving(harness).await, before);
    let _: proto::Result = harness.classify(cell_of(ALL, 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_bundle_serves_and_its_card_says_who_signed_it() {
    let signer = Signer::new();
    let harness = daemon(&signer, |_| {}).await;
    let model = serving(&harness).await;
    assert_eq!(model.trust, "signed");
    assert_eq!(model.signed_by, signer.number());
    assert_eq!(model.trusted_comment, "for the tests");
    assert_eq!(model.allowed_by, "");
    let next = harness.folders.models.join("next.onnx");
    signer.put(&next, &testing::tiny_bundle("next", 2), "the next one");
    let model = reload(&harness, "next.onnx").await.unwrap();
    assert_eq!((model.id.as_str(), model.trusted_comment.as_str()), ("next", "the next one"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_model_needs_no_signature() {
    let harness = Harness::start_with(|settings| {
        settings.model.bundle = None;
        settings.model.allow_unsigned.clear();
    })
    .await;
    let model = serving(&harness).await;
    assert_eq!((model.origin.as_str(), model.trust.as_str()), ("embedded", "embedded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_bundle_is_refused_unless_its_name_or_its_digest_is_allowed() {
    let signer = Signer::new();
    let bytes = testing::tiny_bundle("lab", 3);
    let digest = format!("sha256:{}", Digest::of(&bytes).to_string().to_uppercase());
    let harness = daemon(&signer, |settings| {
        settings.model.allow_unsigned = vec!["b3-lab.onnx".to_owned(), digest.clone()];
    })
    .await;
    let models = harness.folders.models.clone();
    std::fs::write(models.join("other.onnx"), testing::tiny_bundle("other", 4)).unwrap();
    assert_untrusted(&harness, "other.onnx", "it is not signed (there is no other.onnx.minisig")
        .await;
    // Under the name whatever lies there; by the digest these bytes under any name.
    std::fs::write(models.join("b3-lab.onnx"), testing::tiny_bundle("by-name", 5)).unwrap();
    let model = reload(&harness, "b3-lab.onnx").await.unwrap();
    assert_eq!((model.id.as_str(), model.trust.as_str()), ("by-name", "allowed"));
    assert_eq!((model.allowed_by.as_str(), model.signed_by.as_str()), ("b3-lab.onnx", ""));
    std::fs::write(models.join("whatever.onnx"), &bytes).unwrap();
    let model = reload(&harness, "whatever.onnx").await.unwrap();
    assert_eq!((model.id.as_str(), model.allowed_by.as_str()), ("lab", digest.as_str()));
    let mut changed = bytes;
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(models.join("whatever.onnx"), changed).unwrap();
    assert_untrusted(&harness, "whatever.onnx", "it is not signed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_a_daemon_does_not_serve_an_unsigned_bundle_and_says_what_to_do() {
    let harness = Harness::start_unready(Folders::new(), |settings| {
        settings.model.allow_unsigned.clear();
    })
    .await;
    let degraded = support::until("a refusal", async || {
        let status = harness.status().await;
        status.degraded.into_iter().find(|one| one.message.contains("no model is in service"))
    })
    .await;
    for words in
        ["tiny.onnx", "it is not signed", "leukd model sign", "sha256:", "model.allow_unsigned"]
    {
        assert!(degraded.message.contains(words), "{words}: {}", degraded.message);
    }
    let status = harness.control().get_model(proto::GetModelRequest {}).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "NO_MODEL"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_of_an_unknown_key_or_with_another_bundle_s_signature_is_refused() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let harness = daemon(&signer, |_| {}).await;
    let models = harness.folders.models.clone();
    stranger.put(&models.join("strange.onnx"), &testing::tiny_bundle("strange", 2), "trust me");
    let words = format!("it is signed by key {}, which is not among", stranger.number());
    assert_untrusted(&harness, "strange.onnx", &words).await;
    let other = models.join("other.onnx");
    std::fs::write(&other, testing::tiny_bundle("other", 3)).unwrap();
    std::fs::copy(models.join("tiny.onnx.minisig"), signature_path(&other)).unwrap();
    assert_untrusted(&harness, "other.onnx", "its signature is not of these bytes").await;
    // A stranger who writes the trusted key's number into the signature.
    let forged = forge(&stranger.signature(&std::fs::read(&other).unwrap(), "x"), &signer);
    std::fs::write(signature_path(&other), forged).unwrap();
    assert_untrusted(&harness, "other.onnx", "its signature is not of these bytes").await;
    for (text, words) in [
        ("", "has not the four lines"),
        ("untrusted comment: x\nRWQ\ntrusted comment: y\nAAAA\n", "holds no minisign signature"),
    ] {
        std::fs::write(signature_path(&other), text).unwrap();
        assert_untrusted(&harness, "other.onnx", words).await;
    }
    std::fs::write(signature_path(&other), vec![b'x'; 1 << 20]).unwrap();
    assert_untrusted(&harness, "other.onnx", "too large").await;
}

/// The signature with the number of another key in it.
fn forge(signature: &str, of: &Signer) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let mut lines: Vec<String> = signature.lines().map(str::to_owned).collect();
    let mut blob = STANDARD.decode(&lines[1]).unwrap();
    blob[2..10].copy_from_slice(&STANDARD.decode(of.public()).unwrap()[2..10]);
    lines[1] = STANDARD.encode(blob);
    lines.join("\n") + "\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_with_any_byte_changed_after_it_was_signed_is_refused_and_the_model_before_goes_on()
 {
    let signer = Signer::new();
    let harness = daemon(&signer, |_| {}).await;
    let path = harness.folders.models.join("next.onnx");
    let bytes = testing::tiny_bundle("next", 2);
    signer.put(&path, &bytes, "the next one");
    // Weights, manifest and golden inputs: a byte of each, first and last among them.
    for place in [0, 1, bytes.len() / 3, bytes.len() / 2, 4 * bytes.len() / 5, bytes.len() - 1] {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        std::fs::write(&path, changed).unwrap();
        assert_untrusted(&harness, "next.onnx", "its signature is not of these bytes").await;
    }
    std::fs::write(&path, [&bytes[..], b"\0"].concat()).unwrap();
    assert_untrusted(&harness, "next.onnx", "its signature is not of these bytes").await;
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(reload(&harness, "next.onnx").await.unwrap().id, "next");
}

#[test]
fn every_byte_of_bundle_and_signature_counts() {
    let signer = Signer::new();
    let keys = [TrustedKey::parse(&signer.public()).unwrap()];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.onnx");
    // The gate is not asked: a signature is held against the bytes before anything is decoded.
    let bytes: Vec<u8> = (0..400_u32).map(|i| (i % 251) as u8).collect();
    signer.put(&path, &bytes, "comment");
    let seal = || Seal::of(&BundleFile::read(&path, 1 << 20).unwrap(), &keys);
    assert!(matches!(seal(), Seal::Good { comment, .. } if comment == "comment"));
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1 << (place % 8);
        std::fs::write(&path, changed).unwrap();
        assert!(matches!(seal(), Seal::Bad { .. }), "byte {place} of the bundle");
    }
    std::fs::write(&path, &bytes).unwrap();
    let signature = std::fs::read(signature_path(&path)).unwrap();
    // minisign's first line is called untrusted because nothing vouches for it.
    let first = signature.iter().position(|byte| *byte == b'\n').unwrap();
    let last = signature.len() - 1;
    for place in (first + 1)..last {
        for bit in 0..8 {
            let mut changed = signature.clone();
            changed[place] ^= 1 << bit;
            std::fs::write(signature_path(&path), changed).unwrap();
            let seal = seal();
            assert!(!matches!(seal, Seal::Good { .. }), "bit {bit} of byte {place}: {seal}");
        }
    }
    for text in [&signature[..last / 2], &[&signature[..], b"one more line\n"].concat()] {
        std::fs::write(signature_path(&path), text).unwrap();
        assert!(matches!(seal(), Seal::Bad { .. }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_a_file_is_read_again_at_each_load() {
    let (first, second) = (Signer::new(), Signer::new());
    let folders = Folders::new();
    let key = folders.root.path().join("lab.pub");
    std::fs::write(&key, first.0.pk.to_box().unwrap().into_string()).unwrap();
    first.put(&folders.models.join("tiny.onnx"), &testing::tiny_bundle("tiny", 1), "one");
    second.put(&folders.models.join("next.onnx"), &testing::tiny_bundle("next", 2), "two");
    let harness = Harness::start_on(folders, |settings| {
        settings.model.trusted_keys = vec![key.to_str().unwrap().to_owned()];
        settings.model.allow_unsigned.clear();
    })
    .await;
    assert_untrusted(&harness, "next.onnx", "is not among the trusted ones").await;
    std::fs::write(&key, second.public()).unwrap();
    assert_eq!(reload(&harness, "next.onnx").await.unwrap().signed_by, second.number());
    // The key that is gone is trusted no more; one that cannot be read is named.
    assert_untrusted(&harness, "tiny.onnx", "is not among the trusted ones").await;
    std::fs::remove_file(&key).unwrap();
    assert_untrusted(&harness, "tiny.onnx", "lab.pub").await;
}

/// What minisign 0.11 (Debian) made over [`pattern`].
const TOOL_KEY: &str = "RWTxH57Ok3+dpX6ZGiI9PSBPomriTL+DqAQRYiuS2MW0sXuigAxViv96";
const TOOL_SIGNATURE: &str = "\
untrusted comment: signature from minisign secret key
RUTxH57Ok3+dpb/fgvHH6D/ThEMS1uVCyrFjI+qjaR5Ku7NITbSuQiNp67HrJyqCjvVSKgtdtKHwe1n3HiC8D9pviJ4pgvck1gI=
trusted comment: made by minisign 0.11 for leukd's tests
YSjlGkQxhT2SW2xEG9yhxDhW5hYM2Lni59CTK1pk4c8Ue1jsVa41CJw9Jjq1Qy95S7GvKXKjc6JiYNCKFvL5Bw==
";
const TOOL_OLD_SIGNATURE: &str = "\
untrusted comment: signature from minisign secret key
RWTxH57Ok3+dpSCamF4BN9fDpitU9UrjqYMayXECfc/Ayok+aDW1E1WSvYDNu12aiuDXNqKCd9f6Sa1ChweGLboW1muQVO1l/Ao=
trusted comment: legacy
Z2AajiGneliJrzm7ZY0gTRfahMv8IhQNQyz21wVyEny7bRpjTcdjHFNz3TYeWJvnNimaMAPiWJrYitysLUMBAA==
";

fn pattern() -> Vec<u8> {
    (0..100_000_u64).map(|i| (i * i % 251) as u8).collect()
}

/// A file of these bytes with this signature.
fn signed_file(bytes: &[u8], signature: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pattern.onnx");
    std::fs::write(&path, bytes).unwrap();
    std::fs::write(signature_path(&path), signature).unwrap();
    (folder, path)
}

#[test]
fn a_signature_of_minisign_s_own_making_is_known_and_its_old_kind_is_not() {
    let keys = [TrustedKey::parse(TOOL_KEY).unwrap()];
    let (_folder, path) = signed_file(&pattern(), TOOL_SIGNATURE);
    let seal = Seal::of(&BundleFile::read(&path, 1 << 20).unwrap(), &keys);
    let Seal::Good { key, comment } = seal else { panic!("{seal}") };
    assert_eq!(key, keys[0].id());
    assert_eq!(comment, "made by minisign 0.11 for leukd's tests");
    let (_folder, path) = signed_file(&pattern(), TOOL_OLD_SIGNATURE);
    let seal = Seal::of(&BundleFile::read(&path, 1 << 20).unwrap(), &keys);
    assert!(matches!(&seal, Seal::Bad { why } if why.contains("old kind")), "{seal}");
}

#[test]
fn the_default_trusts_nobody_and_what_is_no_key_is_refused() {
    let (_folder, path) = signed_file(&pattern(), TOOL_SIGNATURE);
    let file = BundleFile::read(&path, 1 << 20).unwrap();
    assert!(Trust::default().admit(&file).is_err());
    let trust = Trust::new(&[TOOL_KEY.to_owned()], &[]).unwrap();
    assert!(trust.admit(&file).is_ok());
    for text in ["", "RWQ", "no key", &TOOL_KEY[1..], &TOOL_KEY.replace('R', "Q")] {
        let error = Trust::new(&[text.to_owned()], &[]).unwrap_err();
        assert!(error.to_string().contains("no minisign public key"), "{error}");
    }
}
