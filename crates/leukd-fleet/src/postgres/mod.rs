//! PostgreSQL: the store that a hospital's IT knows, backs up and trusts.

use std::time::Duration;

use tokio_postgres::types::ToSql;

use crate::batch::{Batch, Held};
use crate::engine::Identity;
use crate::sink::{Claim, Sink, SinkError};

mod connect;
mod fault;
mod lab;
mod tls;
mod verify;

pub use connect::Address;
pub use lab::{Lab, LabError, SiteStatus, check_site_name};
pub use tls::TlsFiles;
pub use verify::Verified;

/// The version of the schema that this program makes and uses.
pub(crate) const SCHEMA_VERSION: i32 = 1;

/// Longest wait for an answer. The server ends its statements within 30 s.
const ANSWER: Duration = Duration::from_secs(40);

/// The store as one site writes it.
#[derive(Debug)]
pub struct PostgresSink {
    address: Address,
    site: String,
    identity: Identity,
    open: Option<connect::Open>,
    generation: i64,
    has_warned: bool,
    answer: Duration,
}

impl PostgresSink {
    /// A sink without a connection. `site` is the name that the store must know the user by.
    #[must_use]
    pub const fn new(address: Address, site: String, identity: Identity) -> Self {
        let (open, answer) = (None, ANSWER);
        Self { address, site, identity, open, generation: 0, has_warned: false, answer }
    }

    /// Waits no longer than this for an answer.
    #[must_use]
    pub const fn answering_within(mut self, answer: Duration) -> Self {
        self.answer = answer;
        self
    }

    async fn query(
        &self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<tokio_postgres::Row, SinkError> {
        let place = self.address.place();
        let Some(open) = &self.open else {
            return Err(SinkError::Away(format!("{place}: there is no connection")));
        };
        let asked = async {
            open.client.query_one(sql, values).await.map_err(|error| fault::of(&place, &error))
        };
        let timed = tokio::time::timeout(self.answer, asked).await;
        timed.unwrap_or_else(|_| {
            let seconds = self.answer.as_secs();
            Err(SinkError::Away(format!("{place} did not answer within {seconds} s")))
        })
    }

    async fn check_version(&self) -> Result<(), SinkError> {
        let row = self.query("SELECT schema_version FROM leukd.lab", &[]).await?;
        let version: i32 = row.get(0);
        if version == SCHEMA_VERSION {
            return Ok(());
        }
        Err(SinkError::Refused(format!(
            "{}: the store has schema version {version}, and this leukd needs {SCHEMA_VERSION}: \
             bring both to one version (leukd lab init)",
            self.address.place()
        )))
    }
}

impl Sink for PostgresSink {
    async fn connect(&mut self) -> Result<Held, SinkError> {
        self.open = None;
        self.open = Some(self.address.connect().await?);
        self.check_version().await?;
        let sql = "SELECT site, held, records, is_durable FROM leukd.held($1)";
        let row = self.query(sql, &[&self.identity.epoch]).await?;
        let (site, is_durable): (String, bool) = (row.get(0), row.get(3));
        if site != self.site {
            return Err(SinkError::Refused(format!(
                "{}: the user {} writes as the site {site}, not as {}: use that site's user and password",
                self.address.place(),
                self.address.user(),
                self.site
            )));
        }
        if !is_durable && !std::mem::replace(&mut self.has_warned, true) {
            tracing::warn!(
                "{}: fsync or full_page_writes is off: this server may lose what it has answered",
                self.address.place()
            );
        }
        Ok(Held { events: unsigned(row.get(1)), records: unsigned(row.get(2)) })
    }

    async fn claim(&mut self, claim: &Claim) -> Result<(), SinkError> {
        let Identity { epoch, host, version } = &self.identity;
        let hash = claim.hash.map(|hash| hash.as_bytes().to_vec());
        let row = self
            .query(
                "SELECT refusal, generation FROM leukd.claim($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                &[
                    epoch,
                    &claim.former,
                    host,
                    version,
                    &signed(claim.held.events),
                    &signed(claim.held.records),
                    &hash,
                    &signed(claim.newest),
                    &signed(claim.acknowledged),
                ],
            )
            .await?;
        let refusal: String = row.get(0);
        if !refusal.is_empty() {
            return Err(SinkError::Fenced(format!("{}: {refusal}", self.address.place())));
        }
        self.generation = row.get(1);
        Ok(())
    }

    async fn append(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let kinds: Vec<&str> = batch.events.iter().map(|event| event.kind.as_str()).collect();
        let at: Vec<i64> = batch.events.iter().map(|event| event.at.0).collect();
        let texts: Vec<&str> = batch.events.iter().map(|event| event.payload.as_str()).collect();
        let chain: Vec<&str> = batch.records.iter().map(|sealed| sealed.record.as_str()).collect();
        let hashes: Vec<&[u8]> =
            batch.records.iter().map(|sealed| sealed.hash.as_bytes().as_slice()).collect();
        self.query(
            "SELECT leukd.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            &[
                &self.generation,
                &self.identity.epoch,
                &signed(batch.after.events),
                &signed(batch.after.records),
                &batch.gap_to.map(signed),
                &signed(batch.newest),
                &kinds,
                &at,
                &texts,
                &chain,
                &hashes,
            ],
        )
        .await
        .map(drop)
    }

    fn disconnect(&mut self) {
        self.open = None;
    }
}

/// A sequence as PostgreSQL has numbers.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number of the store, where none is negative.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
