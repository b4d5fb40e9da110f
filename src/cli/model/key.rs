//! Signing keys: `leukd model keygen`, and a key's way from its file into memory.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minisign::{KeyPair, SecretKey, SecretKeyBox};
use serde_json::json;

use super::super::error::CliError;
use super::super::output::{Output, clean};
use crate::model::trust::TrustedKey;

/// The variable that a key's password is taken from.
const PASSWORD: &str = "LEUKD_KEY_PASSWORD";

/// A key or password file has a few lines.
const LARGEST_FILE: u64 = 4096;

/// Make a key that signs bundles
///
/// Writes the secret key to FILE, readable for you alone, and the public key to FILE.pub. minisign
/// reads both. The secret key's password comes from the variable LEUKD_KEY_PASSWORD or from
/// --password-file; there is no prompt.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct KeygenArgs {
    /// The secret key's new file
    file: PathBuf,
    /// Lock the key with the first line of this file
    #[arg(long, value_name = "FILE", conflicts_with = "no_password")]
    password_file: Option<PathBuf>,
    /// Make a key without a password: everyone who can read its file can sign
    #[arg(long)]
    no_password: bool,
    /// One JSON object: files, public key, its number
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// A file of the name is there already or cannot be written; no password.
pub(super) fn keygen(args: &KeygenArgs) -> Result<(), CliError> {
    let defect = |error: minisign::PError| CliError::Software(format!("no key was made: {error}"));
    let password = if args.no_password { None } else { password(args.password_file.as_deref())? };
    let pair = match password {
        Some(password) => KeyPair::generate_encrypted_keypair(Some(password)).map_err(defect)?,
        None if args.no_password => KeyPair::generate_unencrypted_keypair().map_err(defect)?,
        None => {
            return Err(CliError::Usage(format!(
                "no password: set {PASSWORD}, or give --password-file FILE or --no-password"
            )));
        }
    };
    let public = pair.pk.to_base64();
    let key = TrustedKey::parse(&public).map_err(|error| CliError::Software(error.to_string()))?;
    let mut beside = args.file.clone().into_os_string();
    beside.push(".pub");
    let beside = PathBuf::from(beside);
    let comment = format!("leukd secret key {}", key.id());
    let secret = pair.sk.to_box(Some(&comment)).map_err(defect)?.into_string();
    let open = pair.pk.to_box().map_err(defect)?.into_string();
    create(&args.file, &secret, 0o600)?;
    create(&beside, &open, 0o644)?;
    let out = Output::new();
    if args.json {
        return out.line(
            &json!({
                "secret_key_file": args.file,
                "public_key_file": beside,
                "public_key": public,
                "key": key.id().to_string(),
            })
            .to_string(),
        );
    }
    out.line(&clean(&format!("key {}: {}", key.id(), args.file.display())))?;
    out.line("to let bundles in that it signs, write into the daemon's configuration:")?;
    out.line(&format!("\n[model]\ntrusted_keys = [\"{public}\"]"))
}

/// Creates a file; one that is there is left alone.
fn create(path: &Path, text: &str, mode: u32) -> Result<(), CliError> {
    let failed = |error: std::io::Error| {
        let shown = path.display();
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            return CliError::Data(format!("{shown} is there already: a key is never overwritten"));
        }
        CliError::Io(format!("{shown} cannot be written: {error}"))
    };
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

/// The password: of the file, else of the variable.
fn password(file: Option<&Path>) -> Result<Option<String>, CliError> {
    match file {
        Some(path) => Ok(Some(text_of(path)?.lines().next().unwrap_or_default().to_owned())),
        None => match std::env::var(PASSWORD) {
            Ok(password) => Ok(Some(password)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(CliError::Usage(format!("{PASSWORD} is no text")))
            }
        },
    }
}

/// A secret key, unlocked.
///
/// # Errors
/// The file cannot be read or holds no secret key; the password is missing or wrong.
pub(super) fn secret(path: &Path, password_file: Option<&Path>) -> Result<SecretKey, CliError> {
    let text = text_of(path)?;
    let shown = path.display();
    // A key without a password is taken as its bytes are: minisign 0.11 leaves such a key's
    // checksum empty. A damaged one shows when its first signature does not verify.
    let blob = text.lines().nth(1).and_then(|line| BASE64.decode(line.trim()).ok());
    if let Some(blob) = blob.filter(|blob| blob.get(2..4) == Some(&[0, 0])) {
        let key = SecretKey::from_bytes(&blob);
        return key.map_err(|error| CliError::Data(format!("the secret key {shown}: {error}")));
    }
    let stored = SecretKeyBox::from(text);
    let Some(password) = password(password_file)? else {
        return Err(CliError::Usage(format!(
            "{shown} is locked, or no secret key: set {PASSWORD}, or give --password-file FILE"
        )));
    };
    stored
        .into_secret_key(Some(password))
        .map_err(|error| CliError::Data(format!("the secret key {shown}: {error}")))
}

fn text_of(path: &Path) -> Result<String, CliError> {
    let shown = path.display();
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => CliError::NoInput(format!("{shown}: {error}")),
        _ => CliError::Io(format!("{shown} cannot be read: {error}")),
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(LARGEST_FILE).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}
