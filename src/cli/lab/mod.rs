//! `leukd lab`: the laboratory's store.

mod trial;

use std::path::{Path, PathBuf};

use serde_json::json;

use leukd_fleet::{Address, Lab, LabError, SiteStatus, TlsFiles, Verified, check_site_name};

use super::error::CliError;
use super::output::{Colour, Output, Table, clean};
use super::serve;

/// Bytes of a site's password: 192 bits from the system.
const PASSWORD: usize = 24;

/// Make the laboratory's store and look after it
///
/// The store is a PostgreSQL database into which workstations copy their journals (`[forward]`).
#[derive(Debug, Clone, clap::Args)]
pub(super) struct LabArgs {
    #[command(subcommand)]
    command: LabCommand,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum LabCommand {
    /// Make the tables and roles, add sites, and write their passwords
    ///
    /// What is there already stays. A site that is named again gets a new password.
    Init {
        #[command(flatten)]
        store: StoreArgs,
        /// Add this site; may be repeated
        #[arg(long, value_name = "NAME")]
        site: Vec<String>,
        /// The folder for the sites' passwords, one file each
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Show every site: what is held, what waits, when it was last seen
    Status {
        #[command(flatten)]
        store: StoreArgs,
        /// Verify the audit chains that the store holds, and every event with them
        #[arg(long)]
        verify: bool,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Try a whole laboratory: a store, two sites, drawn cells, and a death of each
    ///
    /// Runs in a temporary folder, with PostgreSQL of this machine's packages. Ends well only when
    /// the store equals the union of the journals.
    Trial {
        /// Number of captures at each site
        #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(2..=10_000))]
        captures: u32,
        /// Leave everything running until Ctrl-C
        #[arg(long)]
        keep: bool,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Let the next journal that comes under a site's name in, after a workstation was replaced
    Accept {
        #[command(flatten)]
        store: StoreArgs,
        /// The site
        #[arg(long, value_name = "NAME")]
        site: String,
    },
}

/// Which store.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Store")]
struct StoreArgs {
    /// The database, as its owner: postgres://USER@HOST/DATABASE
    #[arg(long, value_name = "URL")]
    store: String,
    /// The file with the user's password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The CA that the store's certificate must come from [default: the system's]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The client's certificate
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its private key
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
}

impl StoreArgs {
    fn address(&self) -> Result<Address, CliError> {
        let client = self.certificate.clone().zip(self.key.clone());
        let tls = TlsFiles { ca: self.ca.clone(), client };
        Address::new(&self.store, self.password_file.clone(), tls)
            .map_err(|error| CliError::Usage(format!("--store: {error}")))
    }

    async fn connect(&self) -> Result<Lab, CliError> {
        Lab::connect(self.address()?).await.map_err(failed)
    }
}

fn failed(error: LabError) -> CliError {
    CliError::Unavailable(error.to_string())
}

/// Runs it.
///
/// # Errors
/// The store does not answer or refuses; a file cannot be written.
pub(super) fn run(args: &LabArgs) -> Result<(), CliError> {
    serve::runtime()?.block_on(async {
        match &args.command {
            LabCommand::Init { store, site, out, json } => init(store, site, out, *json).await,
            LabCommand::Status { store, verify, json } => status(store, *verify, *json).await,
            LabCommand::Trial { captures, keep, json } => trial::run(*captures, *keep, *json).await,
            LabCommand::Accept { store, site } => {
                store.connect().await?.accept(site).await.map_err(failed)?;
                Output::new().line(&format!("the next journal that comes as {site} is let in"))
            }
        }
    })
}

async fn init(
    store: &StoreArgs,
    sites: &[String],
    folder: &Path,
    as_json: bool,
) -> Result<(), CliError> {
    for site in sites {
        check_site_name(site).map_err(|error| CliError::Usage(format!("--site: {error}")))?;
    }
    let mut lab = store.connect().await?;
    let is_new = lab.init().await.map_err(failed)?;
    let mut files = Vec::new();
    for site in sites {
        let password = password()?;
        let file = folder.join(format!("{site}.password"));
        write(&file, &password)?;
        lab.add_site(site, &password).await.map_err(failed)?;
        files.push(file);
    }
    let out = Output::new();
    if as_json {
        let made: Vec<_> = sites
            .iter()
            .zip(&files)
            .map(|(site, file)| json!({"site": site, "user": format!("leukd_{site}"), "password_file": file}))
            .collect();
        return out.line(&json!({"made": is_new, "sites": made}).to_string());
    }
    out.line(if is_new { "made the store" } else { "the store is there" })?;
    for (site, file) in sites.iter().zip(&files) {
        let shown = clean(&file.display().to_string());
        out.line(&format!("site {site}: the user leukd_{site}, its password in {shown}"))?;
    }
    Ok(())
}

fn password() -> Result<String, CliError> {
    let mut bytes = [0; PASSWORD];
    getrandom::fill(&mut bytes)
        .map_err(|error| CliError::Io(format!("the system gives no random bytes: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Before the role changes: a password that is nowhere would lock the site out.
fn write(file: &Path, password: &str) -> Result<(), CliError> {
    use std::io::Write as _;
    crate::journal::atomic_file::write(file, 0o600, |file| writeln!(file, "{password}"))
        .map_err(|error| CliError::Io(format!("{}: {error}", file.display())))
}

async fn status(store: &StoreArgs, verify: bool, as_json: bool) -> Result<(), CliError> {
    let lab = store.connect().await?;
    let (epoch, newest) = lab.newest().await.map_err(failed)?;
    let sites = lab.sites().await.map_err(failed)?;
    let mut verified = Vec::new();
    for site in &sites {
        verified.push(match verify {
            true => Some(lab.verify(&site.site, &site.epoch).await.map_err(failed)?),
            false => None,
        });
    }
    let out = Output::new();
    if as_json {
        let rows: Vec<_> = sites.iter().zip(&verified).map(object).collect();
        out.line(&json!({"epoch": epoch, "newest": newest, "sites": rows}).to_string())?;
    } else {
        out.line(&format!("{newest} events of {} sites, epoch {epoch}", sites.len()))?;
        table(&sites, &verified).print(&out)?;
        for site in sites.iter().filter(|site| !site.refused.is_empty()) {
            let age = site.refused_s.map(seconds).unwrap_or_default();
            out.line(&format!("{}: refused {age} ago: {}", site.site, clean(&site.refused)))?;
        }
    }
    let broken: Vec<String> = sites
        .iter()
        .zip(&verified)
        .filter_map(|(site, verified)| {
            let fault = verified.as_ref()?.fault.as_ref()?;
            Some(format!("{}: {fault}", site.site))
        })
        .collect();
    if broken.is_empty() { Ok(()) } else { Err(CliError::Data(broken.join("; "))) }
}

fn object((site, verified): (&SiteStatus, &Option<Verified>)) -> serde_json::Value {
    json!({
        "site": site.site,
        "epoch": site.epoch,
        "host": site.host,
        "version": site.version,
        "held": site.held,
        "waiting": site.behind(),
        "missed": site.missed,
        "audit_records": site.records,
        "seen_seconds_ago": site.seen_s,
        "refused": site.refused,
        "refused_seconds_ago": site.refused_s,
        "verified": verified.as_ref().map(|found| json!({
            "records": found.records,
            "events": found.events,
            "unsealed": found.unsealed,
            "fault": found.fault,
        })),
    })
}

fn table(sites: &[SiteStatus], verified: &[Option<Verified>]) -> Table {
    let mut table =
        Table::new(&["SITE", "HOST", "HELD", "WAIT", "MISSED", "LAST SEEN", "AUDIT CHAIN"]);
    for (site, verified) in sites.iter().zip(verified) {
        let chain = match verified {
            None => format!("{} records", site.records),
            Some(Verified { fault: Some(fault), .. }) => format!("broken: {fault}"),
            Some(found) => format!("{} records, {} events fit", found.records, found.events),
        };
        let broken = verified.as_ref().is_some_and(|found| found.fault.is_some());
        let colour = match (broken, site.refused.is_empty()) {
            (true, _) => Some(Colour::Red),
            (false, false) => Some(Colour::Yellow),
            (false, true) => None,
        };
        let seen = site.seen_s.map_or_else(|| "never".to_owned(), |age| seconds(age) + " ago");
        let counts = [site.held, site.behind(), site.missed].map(|count| count.to_string());
        let [held, wait, missed] = counts;
        let row = vec![site.site.clone(), clean(&site.host), held, wait, missed, seen, chain];
        table.row(row, colour);
    }
    table
}

fn seconds(age: u64) -> String {
    crate::config::units::Span::from_secs(age).to_string()
}
