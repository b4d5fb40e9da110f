//! The journal on its way into the laboratory's store.

use std::path::PathBuf;
use std::time::Duration;

use leukd_fleet::{
    Address, Figures, Forwarder, Identity, Progress, SinkError, State, StoreSink, TlsFiles,
};
use tokio_util::sync::CancellationToken;

use super::StartError;
use crate::clock::Clock;
use crate::condition::{Component, Conditions};
use crate::config::files::KeyFile;
use crate::config::settings;
use crate::config::units::Span;
use crate::journal::Journal;

/// A store that is away for less is no reason to call a person: it may be restarting.
const PATIENCE: Duration = Duration::from_secs(10);

/// Interval of the look at the forwarder.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What forwards, before it runs.
pub(super) struct Forward {
    forwarder: Forwarder<StoreSink>,
    place: String,
    journal: Journal,
    clock: Clock,
}

/// The configured store; none where none is. Reads no file.
///
/// # Errors
/// The setting's key, and what is wrong with it.
pub(super) fn address(
    own: &settings::Forward,
) -> Result<Option<(String, Address)>, (&'static str, String)> {
    let (Some(url), Some(site)) = (&own.url, &own.site) else { return Ok(None) };
    let locate = |key, file: &Option<KeyFile>| -> Result<Option<PathBuf>, (&'static str, String)> {
        file.as_ref().map(KeyFile::locate).transpose().map_err(|message| (key, message))
    };
    let certificate = locate("forward.certificate", &own.certificate)?;
    let key = locate("forward.key", &own.key)?;
    let tls = TlsFiles { ca: locate("forward.ca", &own.ca)?, client: certificate.zip(key) };
    let password = locate("forward.password_file", &own.password_file)?;
    let address = Address::new(url, password, tls).map_err(|message| ("forward.url", message))?;
    Ok(Some((site.clone(), address)))
}

/// Reads the password and the certificates of the configured store, for `leukd check`.
///
/// # Errors
/// One that names a setting.
pub(super) fn examine(own: &settings::Forward) -> Result<(), StartError> {
    let address = address(own).map_err(|(key, message)| StartError::Setting { key, message })?;
    let Some((_, address)) = address else { return Ok(()) };
    address.check_files().map_err(|message| StartError::Setting { key: "forward.url", message })
}

impl Forward {
    /// Makes ready what the settings ask for. From now on retention leaves what the store does not
    /// hold.
    ///
    /// # Errors
    /// One that names a setting.
    pub(super) fn new(
        own: &settings::Forward,
        journal: &Journal,
        clock: &Clock,
    ) -> Result<Option<Self>, StartError> {
        let address =
            address(own).map_err(|(key, message)| StartError::Setting { key, message })?;
        let Some((site, address)) = address else { return Ok(None) };
        let identity = Identity {
            epoch: journal.epoch().to_owned(),
            host: host(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let place = address.place();
        let sink = StoreSink::new(address, site, identity);
        let forwarder = Forwarder::new(journal.clone(), sink, clock.clone());
        Ok(Some(Self { forwarder, place, journal: journal.clone(), clock: clock.clone() }))
    }

    pub(super) fn progress(&self) -> Progress {
        self.forwarder.progress()
    }

    /// Forwards until `stop`, and keeps the list of conditions in step with how that goes.
    pub(super) async fn run(self, conditions: Conditions, stop: CancellationToken) {
        let progress = self.progress();
        let Self { forwarder, place, journal, clock } = self;
        let watching = async {
            loop {
                match doubt(&progress.figures(), &journal, clock.monotonic(), &place) {
                    Some(message) => conditions.raise(Component::Store, message),
                    None => conditions.clear(&Component::Store),
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::select! {
            () = forwarder.run(&place, stop.clone()) => {}
            () = watching => {}
        }
    }
}

/// What a person should know of it; none where it goes well, or may do so again by itself.
fn doubt(figures: &Figures, journal: &Journal, now: Duration, place: &str) -> Option<String> {
    let State::Failing { error, since_monotonic, .. } = &figures.state else { return None };
    let away = now.saturating_sub(*since_monotonic);
    let passes = matches!(error, SinkError::Away(_) | SinkError::Superseded(_));
    if passes && away < PATIENCE {
        return None;
    }
    let seconds = away.as_secs();
    let away = Span::from_secs(if seconds < 120 { seconds } else { seconds / 60 * 60 });
    let newest = journal.bounds().newest;
    let wait = figures.held.map_or_else(
        || "nothing was forwarded since leukd started".to_owned(),
        |held| format!("{} events wait", thousands(newest.saturating_sub(held))),
    );
    let todo = if passes {
        "They are forwarded when it is back; retention leaves them until then"
    } else {
        "Nothing is forwarded until that is mended; retention leaves what waits"
    };
    Some(format!("the store at {place} away for {away}, {wait}: {error}. {todo}"))
}

/// A number as people write it: 1,204.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// This machine's name, for people; empty where the unit hides it.
fn host() -> String {
    ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .iter()
        .find_map(|path| fs_err::read_to_string(path).ok())
        .map(|name| name.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn numbers_have_commas() {
        let shown = [0, 12, 999, 1_204, 12_345, 1_000_000].map(thousands);
        assert_eq!(shown, ["0", "12", "999", "1,204", "12,345", "1,000,000"]);
    }
}
