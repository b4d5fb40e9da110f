//! `leukd model sign`: a signature beside a bundle.

use std::path::{Path, PathBuf};

use minisign::PublicKey;
use serde_json::json;

use super::super::error::CliError;
use super::super::output::{Output, clean};
use super::{key, unusable};
use crate::clock::Clock;
use crate::journal::atomic_file;
use crate::model::bundle::Bundle;
use crate::model::engine::EngineKind;
use crate::model::file::{BundleFile, signature_path};
use crate::model::gate::Limits;
use crate::model::serving::Model;
use crate::model::trust::{Provenance, Seal, TrustedKey};

/// Sign a bundle, so that daemons that trust the key can serve it
///
/// Loads the bundle and runs its golden inputs first; a bundle that fails is not signed. Writes or
/// replaces BUNDLE.minisig, a minisign signature (`minisign -V` verifies it). The key's password
/// comes from the variable LEUKD_KEY_PASSWORD or from --password-file.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct SignArgs {
    /// The bundle
    bundle: PathBuf,
    /// The secret key's file, from `leukd model keygen` or minisign
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Unlock the key with the first line of this file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Comment that is signed too and shown on the card [default: time, file name and model]
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// One JSON object: files, digest, key, comment
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// The bundle does not work; the key cannot be used; the signature cannot be written.
pub(super) fn run(args: &SignArgs) -> Result<(), CliError> {
    let limits = Limits::default();
    let file = BundleFile::read(&args.bundle, limits.max_bytes).map_err(unusable)?;
    let bundle = Bundle::of(&file, Provenance::Unasked, &limits).map_err(unusable)?;
    let model = Model::load_on(bundle, EngineKind::default())
        .map_err(|error| CliError::Data(format!("{}: {error}", file.origin())))?;
    let comment = match &args.comment {
        Some(comment) => comment.clone(),
        None => {
            let seconds = Clock::system().wall().0.div_euclid(1000);
            let id = &model.manifest().id;
            format!("timestamp:{seconds}\tfile:{}\tmodel:{id}\thashed", file.name())
        }
    };
    // The most that minisign's own reader takes, and one line.
    if comment.len() > 8192 || comment.contains(|c: char| c.is_control() && c != '\t') {
        return Err(CliError::Usage("--comment: write one line of at most 8192 bytes".to_owned()));
    }
    let secret = key::secret(&args.key, args.password_file.as_deref())?;
    let failed = |error: minisign::PError| CliError::Software(format!("not signed: {error}"));
    let public = PublicKey::from_secret_key(&secret).map_err(failed)?;
    let untrusted = "signature from leukd secret key";
    let signed =
        minisign::sign(Some(&public), &secret, file.bytes(), Some(&comment), Some(untrusted));
    let path = signature_path(&args.bundle);
    replace(&path, signed.map_err(failed)?.into_string().as_bytes())?;
    // As the daemon will see it: the file that lies there now.
    let trusted = TrustedKey::parse(&public.to_base64())
        .map_err(|error| CliError::Software(error.to_string()))?;
    let again = BundleFile::read(&args.bundle, limits.max_bytes).map_err(unusable)?;
    let seal = Seal::of(&again, std::slice::from_ref(&trusted));
    if !matches!(seal, Seal::Good { .. }) {
        return Err(CliError::Data(format!("{}: {seal}", again.origin())));
    }
    let out = Output::new();
    if args.json {
        return out.line(
            &json!({
                "bundle": args.bundle,
                "signature_file": path,
                "sha256": file.digest().to_string(),
                "key": trusted.id().to_string(),
                "public_key": public.to_base64(),
                "trusted_comment": comment,
            })
            .to_string(),
        );
    }
    out.line(&clean(&format!(
        "{} is signed by key {}: {}",
        file.origin(),
        trusted.id(),
        path.display()
    )))
}

/// Replaces the file atomically: a reader finds the old or the new one.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let failed = |error: std::io::Error| {
        CliError::Io(format!("{} cannot be written: {error}", path.display()))
    };
    // The daemon's user reads it too.
    atomic_file::write(path, 0o644, |file| std::io::Write::write_all(file, bytes)).map_err(failed)
}
