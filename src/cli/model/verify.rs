//! `leukd model verify`: what the daemon would do with a bundle.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;

use super::super::error::CliError;
use super::super::output::{Output, clean};
use super::super::settings::SettingsArgs;
use super::unusable;
use crate::model::bundle::Bundle;
use crate::model::engine::EngineKind;
use crate::model::file::BundleFile;
use crate::model::gate::Limits;
use crate::model::manifest::GOLDEN_TOLERANCE;
use crate::model::serving::Model;
use crate::model::trust::{Provenance, Seal, Trust, TrustedKey};

/// Check a bundle's signature, limits and golden inputs
///
/// Ends with 65 when the signature is wrong, when no key of --public-key signed it, or when the
/// bundle does not work; with 77 when it works, and this machine's configuration would not let the
/// daemon serve it, which is said first. With --public-key the configuration is not asked.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct VerifyArgs {
    /// The bundle
    file: PathBuf,
    /// A key that must have signed it: its text (RWQ…) or its file; may be repeated
    #[arg(long, value_name = "KEY|FILE", conflicts_with = "config")]
    public_key: Vec<String>,
    /// Read this file too; it overrides /etc/leukd/leukd.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Operators that run the network
    #[arg(long, value_enum, default_value_t)]
    engine: EngineKind,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// No such file; a signature that is wrong or missing where one is asked for; a bundle that does
/// not work.
pub(super) fn run(args: &VerifyArgs) -> Result<(), CliError> {
    let started = Instant::now();
    let (trust, limits) = trust(args)?;
    let file = BundleFile::read(&args.file, limits.max_bytes).map_err(unusable)?;
    let (keys, _) = trust.keys();
    let seal = Seal::of(&file, &keys);
    let asked = !args.public_key.is_empty();
    if matches!(seal, Seal::Bad { .. }) || (asked && !matches!(seal, Seal::Good { .. })) {
        return Err(CliError::Data(format!("{}: {seal}", file.origin())));
    }
    let bundle = Bundle::of(&file, Provenance::Unasked, &limits).map_err(unusable)?;
    let needs = bundle.needs();
    let model = Model::load_on(bundle, args.engine)
        .map_err(|error| CliError::Data(format!("{}: {error}", file.origin())))?;
    let golden = model.manifest().golden.len();
    let took = started.elapsed();
    let admitted = trust.admit(&file);
    let refused = admitted
        .as_ref()
        .err()
        .map(|error| format!("{}: the daemon would not serve it: {error}", args.file.display()));
    let out = Output::new();
    if args.json {
        let (state, key, comment) = match &seal {
            Seal::Good { key, comment } => ("signed", Some(key.to_string()), Some(comment)),
            Seal::UnknownKey { key } => ("unknown-key", Some(key.to_string()), None),
            Seal::Absent { .. } => ("unsigned", None, None),
            Seal::Bad { .. } => ("wrong", None, None),
        };
        out.line(
            &json!({
                "file": args.file,
                "id": model.manifest().id,
                "sha256": file.digest().to_string(),
                "golden_inputs": golden,
                "tolerance": GOLDEN_TOLERANCE,
                "took_ms": took.as_secs_f64() * 1e3,
                "engine": args.engine,
                "fusion": model.fusion().to_string(),
                "needs": needs,
                "signature": { "state": state, "key": key, "trusted_comment": comment },
                "may_serve": admitted.is_ok(),
                "trust": admitted.map_or_else(|error| error.to_string(), |how| how.to_string()),
            })
            .to_string(),
        )?;
        return refused.map_or(Ok(()), |refused| Err(CliError::NoPermission(refused)));
    }
    if let Some(refused) = &refused {
        out.line(&clean(refused))?;
    }
    out.line(&clean(&format!(
        "{}: {} works: {golden} golden inputs within {GOLDEN_TOLERANCE:e}, loaded and tested in {took:.1?}; \
         engine {}: {}",
        args.file.display(),
        model.manifest().id,
        args.engine,
        model.fusion(),
    )))?;
    out.line(&clean(&match admitted {
        Ok(how @ Provenance::Signed { .. }) => format!("signature: {how}"),
        Ok(how) => format!("signature: {seal}; {how}"),
        Err(_) => format!("signature: {seal}"),
    }))?;
    refused.map_or(Ok(()), |refused| Err(CliError::NoPermission(refused)))
}

/// The keys that were given, or what the configuration of this machine trusts.
fn trust(args: &VerifyArgs) -> Result<(Trust, Limits), CliError> {
    if args.public_key.is_empty() {
        let settings = SettingsArgs { config: args.config.clone(), ..SettingsArgs::default() };
        let model = settings.load()?.settings.model;
        let trust = Trust::new(&model.trusted_keys, &model.allow_unsigned)
            .map_err(|error| CliError::Data(error.to_string()))?;
        let limits = Limits { max_bytes: model.max_file.0, max_memory: model.max_memory.0 };
        return Ok((trust, limits));
    }
    let key = |text: &String| {
        let key = TrustedKey::parse(text);
        if key.is_ok() || !Path::new(text).exists() {
            key
        } else {
            TrustedKey::read(Path::new(text))
        }
    };
    let keys: Result<Vec<TrustedKey>, _> = args.public_key.iter().map(key).collect();
    let keys = keys.map_err(|error| CliError::Usage(format!("--public-key: {error}")))?;
    Ok((Trust::of(keys), Limits::default()))
}
