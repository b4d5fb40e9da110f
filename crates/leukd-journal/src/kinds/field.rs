//! The end of a field of view.

use serde::Serialize;

use super::{Columns, Facts, Kind};
use crate::result::{Capture, Field, Source, Timestamp};
use crate::sql::{blob, maybe, text};

impl Kind for Field {
    const NAME: &'static str = "field";
    const TABLE: &'static str = "fields";

    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn set_sequence(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    fn at(&self) -> Timestamp {
        self.stored_at
    }

    fn columns(&self) -> Columns<'_> {
        origin(&self.capture).into()
    }

    fn summary(&self) -> impl Serialize {
        #[derive(Serialize)]
        struct Summary<'a> {
            cells: u64,
            #[serde(flatten)]
            capture: CaptureSummary<'a>,
            #[serde(skip_serializing_if = "Option::is_none")]
            supersedes: Option<u64>,
        }
        let cells = self.cells.classified() + self.cells.rejected;
        Summary { cells, capture: CaptureSummary::new(&self.capture), supersedes: self.supersedes }
    }

    fn facts(&self) -> Option<Facts<'_>> {
        None
    }

    fn supersedes(&self) -> Option<(u64, u64)> {
        Some((self.supersedes?, self.sequence))
    }

    fn renumber(
        &mut self,
        new: &dyn Fn(u64) -> rusqlite::Result<Option<u64>>,
    ) -> rusqlite::Result<()> {
        self.supersedes = self.supersedes.map(new).transpose()?.flatten();
        Ok(())
    }
}

/// The index columns of a capture.
pub(super) fn origin(capture: &Capture) -> [(&'static str, rusqlite::types::ValueRef<'_>); 4] {
    let path = capture.path();
    let source = if path.is_some() { "folder" } else { "rpc" };
    [
        ("source", text(source)),
        ("folder", maybe(path.map(|path| path.folder.as_str()))),
        ("path", maybe(path.map(|path| path.path.as_str()))),
        ("digest", blob(capture.digest.as_ref())),
    ]
}

/// A capture's part of a record in the audit chain.
#[derive(Serialize)]
pub(super) struct CaptureSummary<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

impl<'a> CaptureSummary<'a> {
    pub(super) fn new(capture: &'a Capture) -> Self {
        let (file, peer, client) = match &capture.source {
            Source::Folder(path) => (Some(path.to_string()), None, None),
            Source::Rpc { peer, client, .. } => (None, Some(peer.as_str()), Some(client.as_str())),
        };
        let digest = capture.digest.map(|digest| digest.to_string());
        Self { file, peer, client, digest }
    }
}
