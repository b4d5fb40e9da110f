//! The laboratory's side: making the store, its sites, and looking after them.

use tokio_postgres::types::ToSql;
use tokio_postgres::{GenericClient, Row};

use super::connect::{Address, Open};
use super::{SCHEMA_VERSION, fault, signed, unsigned, verify};

/// The schema of a new store.
const SCHEMA: &str = include_str!("schema.sql");

/// PostgreSQL 15 brought views that keep to the row security of their reader.
const MIN_SERVER: i32 = 150_000;

/// Why a command on the store failed: one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LabError(pub(super) String);

/// One site as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteStatus {
    /// Its name.
    pub site: String,
    /// The running journal's epoch; empty before the first connection.
    pub epoch: String,
    /// The machine that last wrote.
    pub host: String,
    /// leukd's version there.
    pub version: String,
    /// Events that the store holds of the running journal, by the newest sequence.
    pub held: u64,
    /// The newest event at the site, as it last said.
    pub newest: u64,
    /// Records of its audit chain that the store holds.
    pub records: u64,
    /// Events that the site's retention removed before the store could take them.
    pub missed: u64,
    /// Seconds since it last said anything, by the store's clock; none before the first connection.
    pub seen_s: Option<u64>,
    /// Why another journal was last refused under this name; empty where none was.
    pub refused: String,
    /// Seconds since then.
    pub refused_s: Option<u64>,
}

impl SiteStatus {
    /// Events at the site that the store does not hold yet.
    #[must_use]
    pub const fn behind(&self) -> u64 {
        self.newest.saturating_sub(self.held)
    }
}

/// A connection as the store's owner, or as a reader.
#[derive(Debug)]
pub struct Lab {
    address: Address,
    open: Open,
}

/// Whether a site may be called so: the name is part of a role's name.
///
/// # Errors
/// One sentence that says what is wrong with it.
pub fn check_site_name(site: &str) -> Result<(), String> {
    let mut letters = site.bytes();
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if letters.next().is_some_and(is_plain)
        && letters.all(|byte| is_plain(byte) || byte == b'_')
        && site.len() <= 40
        && !["site", "reader"].contains(&site)
    {
        return Ok(());
    }
    Err(format!(
        "{site:?} is no name of a site: write 1 to 40 lower-case letters, digits and \"_\", \
         the first no \"_\", and neither \"site\" nor \"reader\""
    ))
}

impl Lab {
    /// Connects to the store.
    ///
    /// # Errors
    /// [`LabError`] when it does not answer or refuses.
    pub async fn connect(address: Address) -> Result<Self, LabError> {
        let open = address.connect().await.map_err(|error| LabError(error.to_string()))?;
        Ok(Self { address, open })
    }

    pub(super) fn failed(&self, error: &tokio_postgres::Error) -> LabError {
        LabError(fault::of(&self.address.place(), error).to_string())
    }

    pub(super) async fn rows(
        &self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, LabError> {
        self.open.client.query(sql, values).await.map_err(|error| self.failed(&error))
    }

    async fn row(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Row, LabError> {
        self.open.client.query_one(sql, values).await.map_err(|error| self.failed(&error))
    }

    /// Makes the schema and its roles where they are not there yet. True when it made them.
    ///
    /// # Errors
    /// [`LabError`]: an older server, another encoding, another version of the schema, or a user
    /// who may not do it. Nothing was changed.
    pub async fn init(&mut self) -> Result<bool, LabError> {
        let place = self.address.place();
        let server = self
            .row(
                "SELECT current_setting('server_version_num')::int, current_setting('server_version'),
                        current_setting('server_encoding')",
                &[],
            )
            .await?;
        let (number, version, encoding): (i32, String, String) =
            (server.get(0), server.get(1), server.get(2));
        if number < MIN_SERVER {
            return Err(LabError(format!(
                "{place}: PostgreSQL {version} is too old: leukd needs 15 or newer"
            )));
        }
        if encoding != "UTF8" {
            return Err(LabError(format!(
                "{place}: the database has the encoding {encoding}: make one with ENCODING 'UTF8'"
            )));
        }
        if self.row("SELECT to_regnamespace('leukd') IS NOT NULL", &[]).await?.get(0) {
            let version: i32 = self.row("SELECT schema_version FROM leukd.lab", &[]).await?.get(0);
            if version != SCHEMA_VERSION {
                return Err(LabError(format!(
                    "{place}: the store has schema version {version}, and this leukd needs \
                     {SCHEMA_VERSION}: use the leukd that made it"
                )));
            }
            return Ok(false);
        }
        let make = async {
            let transaction = self.open.client.transaction().await?;
            for role in ["leukd_site", "leukd_reader"] {
                make_role(&transaction, role, "NOLOGIN").await?;
            }
            transaction.batch_execute(SCHEMA).await?;
            transaction.commit().await
        };
        let made: Result<(), tokio_postgres::Error> = make.await;
        made.map(|()| true).map_err(|error| self.failed(&error))
    }

    /// Adds a site with its role, or gives its role a new password.
    ///
    /// # Errors
    /// [`LabError`]; nothing was changed.
    pub async fn add_site(&mut self, site: &str, password: &str) -> Result<(), LabError> {
        check_site_name(site).map_err(LabError)?;
        let role = format!("leukd_{site}");
        // The server gets the verifier alone: its log would show a password.
        let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
        let add = async {
            let transaction = self.open.client.transaction().await?;
            make_role(&transaction, &role, "LOGIN NOINHERIT").await?;
            transaction
                .batch_execute(&format!(
                    "ALTER ROLE {role} LOGIN INHERIT PASSWORD '{verifier}';
                     GRANT leukd_site TO {role}"
                ))
                .await?;
            transaction
                .execute(
                    "INSERT INTO leukd.sites (site, role) VALUES ($1, $2::text::name)
                     ON CONFLICT (site) DO NOTHING",
                    &[&site, &role],
                )
                .await?;
            transaction.commit().await
        };
        let added: Result<(), tokio_postgres::Error> = add.await;
        added.map_err(|error| self.failed(&error))
    }

    /// Lets the next journal that comes under this name in, whatever its epoch.
    ///
    /// # Errors
    /// [`LabError`]; no such site.
    pub async fn accept(&self, site: &str) -> Result<(), LabError> {
        let sql = "UPDATE leukd.sites SET epoch = NULL, generation = generation + 1,
                          refused = NULL, refused_at = NULL WHERE site = $1";
        let changed = self.open.client.execute(sql, &[&site]).await;
        match changed.map_err(|error| self.failed(&error))? {
            0 => Err(LabError(format!("the store knows no site {site:?}"))),
            _ => Ok(()),
        }
    }

    /// The store's epoch and its newest lab sequence.
    ///
    /// # Errors
    /// [`LabError`].
    pub async fn newest(&self) -> Result<(String, u64), LabError> {
        let row = self.row("SELECT epoch::text, next_sequence - 1 FROM leukd.lab", &[]).await?;
        Ok((row.get(0), unsigned(row.get(1))))
    }

    /// Every site, by name.
    ///
    /// # Errors
    /// [`LabError`].
    pub async fn sites(&self) -> Result<Vec<SiteStatus>, LabError> {
        let rows = self
            .rows(
                "SELECT s.site, coalesce(s.epoch, ''), s.host, s.version, coalesce(j.held, 0), s.newest,
                        coalesce(j.records, 0),
                        (SELECT coalesce(sum(last - first + 1), 0)::bigint FROM leukd.gaps g WHERE g.site = s.site),
                        extract(epoch FROM clock_timestamp() - s.seen_at)::bigint, coalesce(s.refused, ''),
                        extract(epoch FROM clock_timestamp() - s.refused_at)::bigint
                 FROM leukd.sites s LEFT JOIN leukd.journals j USING (site, epoch) ORDER BY s.site",
                &[],
            )
            .await?;
        let site = |row: &Row| SiteStatus {
            site: row.get(0),
            epoch: row.get(1),
            host: row.get(2),
            version: row.get(3),
            held: unsigned(row.get(4)),
            newest: unsigned(row.get(5)),
            records: unsigned(row.get(6)),
            missed: unsigned(row.get(7)),
            seen_s: row.get::<_, Option<i64>>(8).map(unsigned),
            refused: row.get(9),
            refused_s: row.get::<_, Option<i64>>(10).map(unsigned),
        };
        Ok(rows.iter().map(site).collect())
    }

    /// The sequences and texts of a journal's events above `after`, ascending.
    ///
    /// # Errors
    /// [`LabError`].
    pub async fn texts_after(
        &self,
        site: &str,
        epoch: &str,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, String)>, LabError> {
        let rows = self
            .rows(
                "SELECT sequence, text FROM leukd.events
                 WHERE site = $1 AND epoch = $2 AND sequence > $3 ORDER BY sequence LIMIT $4",
                &[&site, &epoch, &signed(after), &i64::from(limit)],
            )
            .await?;
        Ok(rows.iter().map(|row| (unsigned(row.get(0)), row.get(1))).collect())
    }

    /// Verifies the audit chain that the store holds of a site's journal, and compares the events
    /// with it. Blocks nobody.
    ///
    /// # Errors
    /// [`LabError`] when the store cannot be read. A broken chain is no error.
    pub async fn verify(&self, site: &str, epoch: &str) -> Result<verify::Verified, LabError> {
        let mut walk = verify::Walk::default();
        loop {
            let rows = self
                .rows(
                    "SELECT a.number, a.record, a.hash FROM leukd.audit a
                     WHERE site = $1 AND epoch = $2 AND number > $3 ORDER BY number LIMIT 1024",
                    &[&site, &epoch, &signed(walk.records())],
                )
                .await?;
            for row in &rows {
                walk.record(unsigned(row.get(0)), row.get(1), row.get(2));
            }
            if rows.is_empty() || walk.is_broken() {
                break;
            }
        }
        let mut after = 0;
        while !walk.is_broken() {
            let held = self.texts_after(site, epoch, after, 1024).await?;
            let Some((last, _)) = held.last() else { break };
            after = *last;
            for (sequence, text) in &held {
                walk.event(*sequence, text);
            }
        }
        Ok(walk.end())
    }
}

/// Makes a role where there is none: roles belong to the server, not to the database.
async fn make_role(
    client: &impl GenericClient,
    role: &str,
    rights: &str,
) -> Result<(), tokio_postgres::Error> {
    let found = client.query_opt("SELECT 1 FROM pg_roles WHERE rolname = $1", &[&role]).await?;
    if found.is_none() {
        client.batch_execute(&format!("CREATE ROLE {role} {rights}")).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_site_name;

    #[test]
    fn a_site_name_can_stand_in_a_role() {
        for good in ["a", "ward_3", "4west", &"x".repeat(40)] {
            check_site_name(good).unwrap();
        }
        let long = "x".repeat(41);
        for bad in ["", "_a", "Ward", "a-b", "a b", "a\"", "ä", "site", "reader", long.as_str()] {
            check_site_name(bad).unwrap_err();
        }
    }
}
