//! Keys, rules and limits → the way in; and what keeps them in step with their files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::StartError;
use crate::access::clients::{Allowance, Clients};
use crate::access::gate::Gate;
use crate::access::kept::{Kept, Look, is_open_to_others};
use crate::access::refusals::{Record, Refusal, Refusals};
use crate::access::rules::Rules;
use crate::clock::Clock;
use crate::condition::{Component, Conditions};
use crate::config::files::KeyFile;
use crate::config::settings::{ClientAuth, Settings};
use crate::grpc::transport::{ServerKeys, TlsFiles};
use crate::journal::{AuditEvent, Journal, WeakJournal};
use crate::result::Timestamp;

/// Interval between two checks of the files.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The time before its end in which a certificate is warned of, once a day.
const SOON_MS: i64 = 14 * DAY_MS;
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Gate and TLS of the listeners.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    pub(super) tls: Option<Arc<Kept<ServerKeys>>>,
    pub(super) rules: Option<Arc<Kept<Rules>>>,
    pub(super) gate: Arc<Gate>,
    conditions: Conditions,
    clock: Clock,
    /// Where the audit chain is, once the daemon runs.
    journal: Arc<OnceLock<WeakJournal>>,
}

/// Reads keys and rules. Blocks.
///
/// # Errors
/// One of them cannot be used: there is nothing from before that could stay in force.
pub(super) fn open(
    settings: &Settings,
    conditions: &Conditions,
    clock: &Clock,
) -> Result<(Keys, LoginFailures), StartError> {
    for doubt in doubts(settings) {
        tracing::warn!("{doubt}");
    }
    let tls = tls(settings, conditions, clock)?.map(Arc::new);
    let rules = rules(settings, conditions)?.map(Arc::new);
    let limits = &settings.access;
    let clients = Clients::new(Allowance {
        requests: limits.max_requests,
        streams: limits.max_streams,
        bytes: limits.max_bytes.0,
    });
    let (tell, failures) = mpsc::channel(WAITING);
    let refusals = Refusals::new(clock.clone(), Arc::new(ToAudit(tell, conditions.clone())));
    let certificates = settings.tls.client_ca.is_some();
    let gate = Gate::new(rules.clone(), certificates, clock.clone(), clients, refusals);
    let gate = Arc::new(gate);
    let (conditions, clock) = (conditions.clone(), clock.clone());
    let journal = Arc::default();
    Ok((Keys { tls, rules, gate, conditions, clock, journal }, LoginFailures(failures)))
}

/// Login failures that may wait for the journal: more than a minute records.
const WAITING: usize = 256;

/// Hands login failures to the journal's audit chain.
#[derive(Debug)]
struct ToAudit(mpsc::Sender<Refusal>, Conditions);

impl Record for ToAudit {
    fn refused(&self, refusal: &Refusal) {
        if refusal.is_login_failure() && self.0.try_send(refusal.clone()).is_err() {
            tracing::error!("the journal is too slow: this login failure is in the log alone");
        }
    }

    fn has_room(&self) -> bool {
        !self.1.holds(&Component::Disk)
    }
}

/// Login failures on their way to the audit chain.
#[derive(Debug)]
pub(super) struct LoginFailures(mpsc::Receiver<Refusal>);

impl LoginFailures {
    /// Stores them until there are no more and `last` says that no more will come.
    pub(super) async fn keep(mut self, journal: Journal, last: CancellationToken) {
        loop {
            let refusal = tokio::select! {
                biased;
                refusal = self.0.recv() => refusal,
                () = last.cancelled() => None,
            };
            let Some(refusal) = refusal else { return };
            let Refusal { peer, client, reason, message, count, .. } = refusal;
            let reason = format!("{reason}: {message}");
            let event = AuditEvent::LoginFailure { peer, client, reason, count };
            if let Err(error) = journal.audit(event).await {
                tracing::error!("a login failure is not in the audit chain yet: {error}");
            }
        }
    }
}

fn located(key: &'static str, file: &KeyFile) -> Result<PathBuf, StartError> {
    file.locate().map_err(|message| StartError::Setting { key, message })
}

fn tls(
    settings: &Settings,
    conditions: &Conditions,
    clock: &Clock,
) -> Result<Option<Kept<ServerKeys>>, StartError> {
    let tls = &settings.tls;
    let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) else { return Ok(None) };
    let files = TlsFiles {
        certificate: located("tls.certificate", certificate)?,
        key: located("tls.key", key)?,
        client_ca: match &tls.client_ca {
            Some(file) => Some(located("tls.client_ca", file)?),
            None => None,
        },
        client_required: tls.client == ClientAuth::Required,
    };
    let (paths, clock) = (files.paths(), clock.clone());
    // Whose file the message is about; where it is about two, the key.
    let mut named = vec![("tls.key", files.key.display().to_string())];
    named.extend(files.client_ca.iter().map(|path| ("tls.client_ca", path.display().to_string())));
    let parse = move |contents: &[Vec<u8>], before: Option<&ServerKeys>| {
        let keys = files.load(contents)?;
        // At a start there is nothing better.
        if let Some(before) = before {
            keys.may_replace(before, clock.wall()).map_err(|what| {
                format!("the certificate in {} {what}", files.certificate.display())
            })?;
        }
        Ok(keys)
    };
    let kept = Kept::read(paths, Component::Certificate, conditions.clone(), parse);
    kept.map(Some).map_err(|message| {
        let about = named.iter().find(|(_, path)| message.contains(path));
        StartError::Setting { key: about.map_or("tls.certificate", |(key, _)| key), message }
    })
}

fn rules(settings: &Settings, conditions: &Conditions) -> Result<Option<Kept<Rules>>, StartError> {
    let Some(file) = &settings.access.file else { return Ok(None) };
    let path = located("access.file", file)?;
    let shown = path.display().to_string();
    let parse = move |contents: &[Vec<u8>], _: Option<&Rules>| {
        let content = contents.first().map_or(&[][..], Vec::as_slice);
        Rules::parse(content).map_err(|what| format!("{shown}: {what}"))
    };
    let kept = Kept::read(vec![path], Component::Access, conditions.clone(), parse);
    kept.map(Some).map_err(|message| StartError::Setting { key: "access.file", message })
}

/// Valid but doubtful files: secrets that every user may read.
fn doubts(settings: &Settings) -> Vec<String> {
    let secrets = [("tls.key", &settings.tls.key), ("access.file", &settings.access.file)];
    let located =
        secrets.into_iter().filter_map(|(key, file)| Some((key, file.as_ref()?.locate().ok()?)));
    located
        .filter(|(_, path)| is_open_to_others(path))
        .map(|(key, path)| {
            format!("{key}: every user of this machine may read {}: chmod o-rwx it", path.display())
        })
        .collect()
}

/// Files that systemd hands over to the unit, where this process is not that unit.
fn handed_over(settings: &Settings) -> Vec<(&'static str, &KeyFile)> {
    let (tls, forward) = (&settings.tls, &settings.forward);
    let files = [
        ("tls.certificate", &tls.certificate),
        ("tls.key", &tls.key),
        ("tls.client_ca", &tls.client_ca),
        ("access.file", &settings.access.file),
        ("forward.password_file", &forward.password_file),
        ("forward.ca", &forward.ca),
        ("forward.certificate", &forward.certificate),
        ("forward.key", &forward.key),
    ];
    files
        .into_iter()
        .filter_map(|(key, file)| Some((key, file.as_ref()?)))
        .filter(|(_, file)| file.locate().is_err())
        .collect()
}

/// Reads keys and rules as a start would, and lets them go again: what is doubtful, one sentence
/// each. A file that only the unit is handed is doubtful here, and with it whatever goes with it; a
/// start without it fails.
///
/// # Errors
/// Problems that refuse a start.
pub fn examine(settings: &Settings) -> Result<Vec<String>, StartError> {
    let clock = Clock::system();
    let conditions = Conditions::new(clock.clone());
    let mut doubts = doubts(settings);
    let unseen = handed_over(settings);
    doubts.extend(unseen.iter().map(|(key, file)| {
        format!(
            "{key}: {file} is handed to the unit alone (LoadCredential=), so it was not looked at here; its log tells \
             whether it works"
        )
    }));
    let is_seen = |section: &str| !unseen.iter().any(|(key, _)| key.starts_with(section));
    if is_seen("tls.")
        && let Some(keys) = tls(settings, &conditions, &clock)?
    {
        let end = keys.current().not_after;
        if clock.wall().0 > end.0.saturating_sub(SOON_MS) {
            doubts.push(format!("tls.certificate: ends at {}: renew it", end.to_rfc3339()));
        }
    }
    if is_seen("access.") {
        rules(settings, &conditions)?;
    }
    if is_seen("forward.") {
        super::forward::examine(&settings.forward)?;
    }
    Ok(doubts)
}

/// Descriptors reserved for the journal, captures and everything else but connections.
const KEPT_BACK: u64 = 128;

/// Limit on connections: the configured one, or what the process's descriptors allow.
pub(super) fn connections(configured: u32) -> u32 {
    let Some(limit) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current else {
        return configured;
    };
    let possible = limit.saturating_sub(KEPT_BACK).max(limit / 4);
    let possible = u32::try_from(possible).unwrap_or(u32::MAX);
    if possible < configured {
        tracing::warn!(
            "rpc.max_connections is {configured}, but only {limit} files may be open: at most {possible} connections \
             are taken; raise LimitNOFILE= of the unit (ulimit -n of a shell) or lower the setting"
        );
    }
    configured.min(possible)
}

fn keys_event(keys: &ServerKeys) -> AuditEvent {
    let all: Vec<String> = keys.client_cas.iter().map(ToString::to_string).collect();
    let mut told = serde_json::Map::new();
    told.insert("certificate".to_owned(), keys.fingerprint.to_string().into());
    told.insert("client_ca".to_owned(), all.into());
    AuditEvent::Keys { changed: BTreeMap::new(), keys: told }
}

fn access_event(rules: &Rules) -> AuditEvent {
    let (digest, changed) = (String::new(), BTreeMap::new());
    AuditEvent::Access { digest, changed, entries: rules.told() }
}

impl Keys {
    /// Reads what has changed. Blocks.
    pub(super) fn look(&self, look: Look) {
        if let Some(tls) = &self.tls {
            if tls.look(look) {
                self.audit(&keys_event(&tls.current()));
            }
            self.tell_of_its_end(tls.current().not_after);
        }
        if let Some(rules) = &self.rules
            && rules.look(look)
        {
            self.audit(&access_event(&rules.current()));
        }
    }

    /// Records every change in the audit chain from now on, and the changes since its last record.
    pub(super) fn begin_to_tell(&self, journal: WeakJournal) {
        let _ = self.journal.set(journal);
        if let Some(tls) = &self.tls {
            self.audit(&keys_event(&tls.current()));
        }
        if let Some(rules) = &self.rules {
            self.audit(&access_event(&rules.current()));
        }
    }

    /// Blocks.
    fn audit(&self, event: &AuditEvent) {
        let Some(journal) = self.journal.get().and_then(WeakJournal::upgrade) else { return };
        if let Err(error) = journal.audit_blocking(event.clone()) {
            tracing::error!(%error, "the audit chain has no record yet of changed keys or rights");
        }
    }

    fn tell_of_its_end(&self, not_after: Timestamp) {
        if self.clock.wall() > not_after {
            let message = format!(
                "the server's certificate ended at {}: clients refuse it; put a new one in its place, leukd takes it \
                 over by itself",
                not_after.to_rfc3339()
            );
            self.conditions.raise(Component::CertificateEnd, message);
        } else {
            self.conditions.clear(&Component::CertificateEnd);
        }
    }

    /// Looks at the files, and hands on who was turned away, until the daemon stops.
    pub(super) async fn keep(self, journal: WeakJournal, stop: CancellationToken) {
        let mut warned: Option<Timestamp> = None;
        let keys = self.clone();
        let _ = tokio::task::spawn_blocking(move || keys.begin_to_tell(journal)).await;
        loop {
            let keys = self.clone();
            // A key on a network mount that hangs holds up this loop alone.
            let _ = tokio::task::spawn_blocking(move || keys.look(Look::Passing)).await;
            self.gate.refusals.flush(false);
            if let Some(tls) = &self.tls {
                let (now, end) = (self.clock.wall(), tls.current().not_after);
                let left = end.0.saturating_sub(now.0);
                let due = warned.is_none_or(|warned| now.0.saturating_sub(warned.0) >= DAY_MS);
                if (0..SOON_MS).contains(&left) && due {
                    warned = Some(now);
                    tracing::warn!(
                        "the server's certificate ends at {}: renew it",
                        end.to_rfc3339()
                    );
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}
