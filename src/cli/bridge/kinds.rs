//! The kinds of bridge: their settings, and what these make.

use std::path::PathBuf;

use leukd_bridge::{Code, Codes, Folder, Place, csv, fhir, hl7, mllp::Mllp};

use super::{Bridge, CommonArgs, NetworkArgs, place};
use crate::cli::error::CliError;
use crate::config::files::FileMode;

#[derive(Debug, Clone, clap::Subcommand)]
pub(super) enum KindArgs {
    Hl7(Hl7Args),
    Fhir(FhirArgs),
    Csv(CsvArgs),
}

/// Sends HL7 v2.5.1 over MLLP: OUL^R22, or ORU^R01
///
/// MSH-10 is EPOCH:SEQUENCE. Only AA moves the cursor; AE and AR are refusals.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Hl7Args {
    #[command(flatten)]
    common: CommonArgs,
    /// The receiver: mllp://HOST:PORT, or mllps://HOST:PORT with TLS
    #[arg(long, value_name = "URL", help_heading = "Destination")]
    to: String,
    #[command(flatten)]
    network: NetworkArgs,
    /// Send ORU^R01 instead of OUL^R22
    #[arg(long, help_heading = "Message")]
    oru: bool,
    /// MSH-4, the sending facility
    #[arg(long, value_name = "NAME", default_value = "", help_heading = "Message")]
    facility: String,
    /// MSH-5, the receiving application
    #[arg(long, value_name = "NAME", default_value = "", help_heading = "Message")]
    receiver: String,
    /// MSH-6, the receiving facility
    #[arg(long, value_name = "NAME", default_value = "", help_heading = "Message")]
    receiver_facility: String,
    /// MSH-11: P (production), T (training) or D (debugging)
    #[arg(long, value_name = "CODE", default_value = "P", value_parser = ["P", "T", "D"], help_heading = "Message")]
    processing: String,
    /// SPM-4, the specimen's type [default: smear^Stained smear^99LEUKD]
    #[arg(long, value_name = "CODE^TEXT^SYSTEM", help_heading = "Message")]
    specimen_type: Option<String>,
    /// Keep MSH-10 within the standard's 20 characters: the epoch's first eight digits
    #[arg(long, help_heading = "Message")]
    short_control_id: bool,
    #[command(flatten)]
    codes: CodeArgs,
}

/// Sends FHIR R4 transaction Bundles to a server, or into a folder
///
/// Each resource is created unless its identifier is there, so that a repeat makes no second one.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct FhirArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// The server's base address, https://HOST/PATH; or a folder
    #[arg(long, value_name = "URL|DIR", help_heading = "Destination")]
    to: String,
    #[command(flatten)]
    network: NetworkArgs,
    /// A file with the server's bearer token; it is read for each message
    #[arg(long, value_name = "FILE", help_heading = "Destination")]
    to_token_file: Option<PathBuf>,
    /// The system of the specimens' identifiers
    #[arg(
        long,
        value_name = "URI",
        default_value = "urn:leukd:specimen",
        help_heading = "Message"
    )]
    specimen_system: String,
    /// Permissions of files, where the destination is a folder
    #[arg(long, value_name = "MODE", default_value = "0640", help_heading = "Destination")]
    file_mode: FileMode,
    #[command(flatten)]
    codes: CodeArgs,
}

/// Writes a CSV file for each round of a specimen into a folder
#[derive(Debug, Clone, clap::Args)]
pub(super) struct CsvArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// The folder that the other side imports from
    #[arg(long, value_name = "DIR", help_heading = "Destination")]
    to: String,
    /// Permissions of the files
    #[arg(long, value_name = "MODE", default_value = "0640", help_heading = "Destination")]
    file_mode: FileMode,
}

/// Codes of a site.
#[derive(Debug, Clone, clap::Args)]
struct CodeArgs {
    /// A site's own code of a value, such as "blast-fraction=26446-5^Blasts/Leukocytes^LN"; again
    /// for more [default: leukd's own codes alone]
    #[arg(long = "code", value_name = "NAME=CODE^TEXT^SYSTEM", help_heading = "Message")]
    codes: Vec<String>,
}

impl CodeArgs {
    fn read(&self) -> Result<Codes, CliError> {
        Codes::parse(&self.codes).map_err(|error| CliError::Usage(format!("--code: {error}")))
    }
}

impl KindArgs {
    /// Reads the settings and their files.
    pub(super) fn build(self) -> Result<Bridge, CliError> {
        match self {
            Self::Hl7(args) => args.build(),
            Self::Fhir(args) => args.build(),
            Self::Csv(args) => args.build(),
        }
    }
}

impl Hl7Args {
    fn build(self) -> Result<Bridge, CliError> {
        let Place::Mllp { host, port, tls } = place(&self.to)? else {
            let wanted = "write mllp://HOST:PORT, or mllps://HOST:PORT for TLS";
            return Err(CliError::Usage(format!("--to: {:?}: {wanted}", self.to)));
        };
        if !tls {
            self.network.clear(&self.to)?;
        }
        let keys = self.network.keys();
        let within = (self.network.connect_within.0, self.network.answer_within.0);
        let receiver = Mllp::new(host, port, tls.then_some(&keys), within.0, within.1)
            .map_err(|error| CliError::Data(format!("--to: {error}")))?;
        let kind = if self.oru { hl7::Kind::Oru } else { hl7::Kind::Oul };
        let options = hl7::Options {
            kind,
            facility: self.facility,
            receiver: self.receiver,
            receiver_facility: self.receiver_facility,
            processing: self.processing.chars().next().unwrap_or('P'),
            specimen_type: specimen_type(self.specimen_type.as_deref())?,
            short_id: self.short_control_id,
            codes: self.codes.read()?,
        };
        Ok(Bridge {
            name: "hl7",
            to: self.to,
            common: self.common,
            encode: Box::new(move |round| hl7::encode(round, &options)),
            destination: Box::new(receiver),
        })
    }
}

fn specimen_type(given: Option<&str>) -> Result<Code, CliError> {
    let Some(given) = given else { return Ok(hl7::smear()) };
    match given.split('^').map(str::to_owned).collect::<Vec<_>>() {
        parts if parts.len() == 3 && !parts[0].is_empty() => {
            let [code, text, system] = [0, 1, 2].map(|at| parts[at].clone());
            Ok(Code { code, text, system })
        }
        _ => Err(CliError::Usage(format!("--specimen-type: {given:?}: write CODE^TEXT^SYSTEM"))),
    }
}

impl FhirArgs {
    fn build(self) -> Result<Bridge, CliError> {
        let codes = self.codes.read()?;
        if !self.specimen_system.contains(':') || self.specimen_system.contains(char::is_whitespace)
        {
            let system = self.specimen_system;
            return Err(CliError::Usage(format!("--specimen-system: {system:?} is no URI")));
        }
        let systems = fhir::Systems { specimen: self.specimen_system };
        let destination: Box<dyn leukd_bridge::Destination> = match place(&self.to)? {
            Place::Http { url, tls, near } => {
                if !tls {
                    self.network.clear(&self.to)?;
                }
                if self.to_token_file.is_some() && !tls && !near {
                    let what = "the token would cross the network in the clear: write https://";
                    return Err(CliError::Usage(format!("--to: {}: {what}", self.to)));
                }
                let keys = self.network.keys();
                let credentials = fhir::Credentials { keys, token_file: self.to_token_file };
                let within = (self.network.connect_within.0, self.network.answer_within.0);
                let server = fhir::Server::new(url, tls, credentials, within.0, within.1)
                    .map_err(|error| CliError::Data(format!("--to: {error}")))?;
                Box::new(server)
            }
            Place::Folder(folder) => {
                self.network.clear(&self.to)?;
                Box::new(Folder::new(folder, self.file_mode.0))
            }
            Place::Mllp { .. } => {
                let wanted = "write https://HOST/PATH or a folder";
                return Err(CliError::Usage(format!("--to: {:?}: {wanted}", self.to)));
            }
        };
        Ok(Bridge {
            name: "fhir",
            to: self.to,
            common: self.common,
            encode: Box::new(move |round| fhir::encode(round, &codes, &systems)),
            destination,
        })
    }
}

impl CsvArgs {
    fn build(self) -> Result<Bridge, CliError> {
        let Place::Folder(folder) = place(&self.to)? else {
            return Err(CliError::Usage(format!("--to: {:?}: name a folder", self.to)));
        };
        Ok(Bridge {
            name: "csv",
            to: self.to,
            common: self.common,
            encode: Box::new(csv::encode),
            destination: Box::new(Folder::new(folder, self.file_mode.0)),
        })
    }
}
