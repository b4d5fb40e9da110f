//! The list of degraded parts, shared by health, `GetStatus` and the log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Clock;
use crate::result::Timestamp;

/// Part of the daemon that can be degraded. Each has at most one message a name at a time, so the
/// list is bounded by the number of folders.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// A watched folder.
    Folder(String),
    /// The model: none serves.
    Model,
    /// The journal does not take results.
    Journal,
    /// The journal's name leads to another file, or to none.
    JournalFile,
    /// The disk has less free space than the configured floor.
    Disk,
    /// The workers make no progress.
    Workers,
    /// A replaced certificate, key or clients' CA that does not work.
    Certificate,
    /// The server's certificate has ended.
    CertificateEnd,
    /// The access file.
    Access,
    /// The wall clock jumped ahead: retention does not use it.
    Clock,
    /// The laboratory's store takes no events.
    Store,
}

impl Component {
    /// Every word of [`Component::as_str`].
    pub const WORDS: [&str; 9] = [
        "folder",
        "model",
        "journal",
        "disk",
        "workers",
        "certificate",
        "access",
        "clock",
        "store",
    ];

    /// The word that the contract uses.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Folder(_) => "folder",
            Self::Model => "model",
            Self::Journal | Self::JournalFile => "journal",
            Self::Disk => "disk",
            Self::Workers => "workers",
            Self::Certificate | Self::CertificateEnd => "certificate",
            Self::Access => "access",
            Self::Clock => "clock",
            Self::Store => "store",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Degradation {
    /// What.
    pub component: Component,
    /// One sentence: the problem and what to do.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
}

/// A degradation, and the number of reports of it.
#[derive(Debug)]
struct Held {
    message: String,
    since: Timestamp,
    reports: u64,
}

/// The list. Cheap to clone; every clone is the same list.
#[derive(Debug, Clone)]
pub struct Conditions {
    clock: Clock,
    now: Arc<Mutex<BTreeMap<Component, Held>>>,
}

impl Conditions {
    /// Nothing is wrong yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, now: Arc::default() }
    }

    /// Reports `component` as degraded. Logged only when it was not: a person should act.
    pub fn raise(&self, component: Component, message: impl Into<String>) {
        self.put(component, message.into(), Self::warn);
    }

    /// Reports `component` as degraded for a time that ends by itself, such as a start.
    pub fn raise_expected(&self, component: Component, message: impl Into<String>) {
        self.put(component, message.into(), |component, message| {
            tracing::info!(component = component.as_str(), "not yet ready: {message}");
        });
    }

    fn warn(component: &Component, message: &str) {
        tracing::warn!(component = component.as_str(), "degraded: {message}");
    }

    fn put(&self, component: Component, message: String, log: fn(&Component, &str)) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = now.get_mut(&component) {
            // The message may hold a figure that changes with every check.
            held.message = message;
            held.reports = held.reports.saturating_add(1);
            return;
        }
        log(&component, &message);
        now.insert(component, Held { message, since: self.clock.wall(), reports: 1 });
    }

    /// Reports `component` as well (again).
    pub fn clear(&self, component: &Component) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Held { message, reports, .. }) = now.remove(component) {
            tracing::info!(component = component.as_str(), reports, "recovered from: {message}");
        }
    }

    /// Whether `component` is degraded.
    #[must_use]
    pub fn holds(&self, component: &Component) -> bool {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).contains_key(component)
    }

    /// Everything that is degraded now.
    #[must_use]
    pub fn list(&self) -> Vec<Degradation> {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.iter()
            .map(|(component, held)| Degradation {
                component: component.clone(),
                message: held.message.clone(),
                since: held.since,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_component_has_its_word_in_the_list() {
        let every = [
            Component::Folder("/export".to_owned()),
            Component::Model,
            Component::Journal,
            Component::JournalFile,
            Component::Disk,
            Component::Workers,
            Component::Certificate,
            Component::CertificateEnd,
            Component::Access,
            Component::Clock,
            Component::Store,
        ];
        let words: std::collections::BTreeSet<_> = every.iter().map(Component::as_str).collect();
        assert_eq!(words, Component::WORDS.into());
    }

    #[test]
    fn a_changed_message_keeps_the_time_since_when() {
        let clock = Clock::manual(Timestamp(1_000));
        let conditions = Conditions::new(clock.clone());
        conditions.raise(Component::Disk, "3 MiB free");
        clock.advance(Duration::from_secs(5));
        conditions.raise(Component::Disk, "2 MiB free");
        let list = conditions.list();
        assert_eq!(list.len(), 1);
        assert_eq!((list[0].message.as_str(), list[0].since), ("2 MiB free", Timestamp(1_000)));
        conditions.clear(&Component::Disk);
        assert!(conditions.list().is_empty());
    }
}
