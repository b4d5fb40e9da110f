//! A public key, a NUL, and the signature file beside a bundle.

use std::cell::OnceCell;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leukd::model::file::{BundleFile, signature_path};
use leukd::model::trust::{Seal, TrustedKey};
use minisign::{KeyPair, PublicKey, SecretKey};

/// A key for this target alone: its secret half is no secret.
const KEY: &str = "RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA8R+ezpN/naWIwqrMFPN/l8S4ncg+XSszSKxoDNqauykDK/MmptPw236ZGiI9PSBPomriTL+DqAQRYiuS2MW0sXuigAxViv96AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const BUNDLE: &[u8] = b"what is signed";

fn pair() -> (PublicKey, String) {
    let secret = SecretKey::from_bytes(&STANDARD.decode(KEY).unwrap()).unwrap();
    let public = PublicKey::from_secret_key(&secret).unwrap();
    let signature = minisign::sign(None, &secret, BUNDLE, Some("comment"), None).unwrap();
    (public, signature.into_string())
}

/// A good signature, and one of another key.
pub fn seeds() -> Vec<Vec<u8>> {
    let (public, signature) = pair();
    let other = KeyPair::generate_unencrypted_keypair().unwrap();
    let strange = minisign::sign(None, &other.sk, BUNDLE, Some("comment"), None).unwrap();
    let public = public.to_base64();
    vec![
        format!("{public}\0{signature}").into_bytes(),
        format!("{public}\0{}", strange.into_string()).into_bytes(),
        format!("{}\0{signature}", other.pk.to_base64()).into_bytes(),
    ]
}

thread_local! {
    static GOOD: OnceCell<(tempfile::TempDir, String)> = const { OnceCell::new() };
}

/// Only the comment line that nothing vouches for may differ from what the key signed.
pub fn run(bytes: &[u8]) -> String {
    let (key, signature) = match bytes.iter().position(|byte| *byte == 0) {
        Some(place) => (&bytes[..place], &bytes[place + 1..]),
        None => (bytes, &[][..]),
    };
    GOOD.with(|good| {
        let (folder, public) = good.get_or_init(|| {
            let folder = super::ledger::folder();
            std::fs::write(folder.path().join("b.onnx"), BUNDLE).unwrap();
            (folder, pair().0.to_base64())
        });
        let path = folder.path().join("b.onnx");
        std::fs::write(signature_path(&path), signature).unwrap();
        let file = BundleFile::read(&path, 1 << 20).unwrap();
        let keys: Vec<TrustedKey> = [&String::from_utf8_lossy(key), public.as_str()]
            .iter()
            .filter_map(|text| TrustedKey::parse(text).ok())
            .collect();
        let seal = Seal::of(&file, &keys);
        match &seal {
            Seal::Good { comment, .. } => {
                assert!(comment == "comment", "nobody signed {comment:?}");
                "good".to_owned()
            }
            Seal::UnknownKey { .. } => "unknown key".to_owned(),
            Seal::Absent { .. } | Seal::Bad { .. } => super::kind(&seal.to_string()),
        }
    })
}
