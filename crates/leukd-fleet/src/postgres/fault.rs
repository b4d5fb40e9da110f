//! PostgreSQL's errors in the engine's words.

use std::error::Error as _;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::sink::SinkError;

/// What an error of the store at `place` means.
pub(super) fn of(place: &str, error: &Error) -> SinkError {
    let Some(answer) = error.as_db_error() else {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        // A certificate that does not fit stays so until a person acts.
        let text = format!("{place}: {error}{cause}");
        return if cause.contains("certificate") {
            SinkError::Refused(text)
        } else {
            SinkError::Away(text)
        };
    };
    let message = answer.message();
    let (code, class) = (answer.code(), answer.code().code().get(..2).unwrap_or_default());
    let text = format!("{place}: {message}");
    match code.code() {
        "LK001" | "LK002" => return SinkError::Superseded(text),
        "LK003" => {
            return SinkError::Refused(format!("{text}; add it with: leukd lab init --site NAME"));
        }
        _ => {}
    }
    if [
        SqlState::UNDEFINED_FUNCTION,
        SqlState::UNDEFINED_TABLE,
        SqlState::INVALID_SCHEMA_NAME,
        SqlState::INVALID_CATALOG_NAME,
        SqlState::INSUFFICIENT_PRIVILEGE,
    ]
    .contains(code)
    {
        return SinkError::Refused(format!(
            "{text}; the store lacks what leukd needs there: make it with leukd lab init"
        ));
    }
    // 28: authorisation. 22, 23: what was sent does not fit, now or later.
    if matches!(class, "28" | "22" | "23" | "42") {
        return SinkError::Refused(text);
    }
    // 08, 53, 57, 58 and all others: connections, disk full, shutdown, deadlocks. They pass.
    SinkError::Away(text)
}
