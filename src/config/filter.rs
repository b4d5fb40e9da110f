//! `tracing`'s filters, checked more strictly than `tracing` does.

use tracing_subscriber::EnvFilter;

/// The longest filter that is read, in bytes.
const LONGEST: usize = 1024;

/// The filter that `text` says: a level, or `module=level` for some and a level for the rest.
///
/// # Errors
/// One sentence that says what is wrong and what to write.
pub fn filter(text: &str) -> Result<EnvFilter, String> {
    if text.len() > LONGEST {
        return Err(format!("{} bytes are too long for a filter: at most {LONGEST}", text.len()));
    }
    if text.trim().is_empty() {
        return Err("is empty: write for example \"info\" or \"leukd=debug,info\"".to_owned());
    }
    let filter = EnvFilter::builder().parse(text).map_err(|error| {
        format!(
            "{text:?} is no filter: {error}; write for example \"info\" or \"leukd=debug,info\""
        )
    })?;
    // A misspelt level is a valid filter too: it names a module, and silences all others.
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    for part in text.split(',').map(str::trim) {
        let word = part.bytes().all(|byte| byte.is_ascii_alphabetic());
        if word && !levels.contains(&part.to_ascii_lowercase().as_str()) {
            return Err(format!(
                "{part:?} is no level: write off, error, warn, info, debug or trace, or module=level"
            ));
        }
    }
    Ok(filter)
}
