//! `leukd tls`: a laboratory's own CA, and the certificates that it signs.

use std::path::{Path, PathBuf};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use serde_json::json;
use x509_parser::prelude::{FromDer as _, Pem, X509Certificate};

use super::error::CliError;
use super::output::{Output, clean, remark};

/// Ten years.
const CA_DAYS: i64 = 3650;

/// The longest that Apple's systems trust a server's certificate of a private CA
/// (support.apple.com/103769); others ask for less.
const DAYS: i64 = 825;

const DAY_SECONDS: i64 = 86_400;

/// Make a CA of the laboratory's own, and certificates for leukd and its clients
///
/// Keys are ECDSA on P-256. No file is overwritten. Keep the CA's key off the workstation: whoever
/// has it can pass for any client.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct TlsArgs {
    #[command(subcommand)]
    command: TlsCommand,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum TlsCommand {
    /// Make a CA: ca.pem, which everybody may read, and ca.key
    #[command(name = "new-ca")]
    Ca {
        /// What the CA is called
        #[arg(long, default_value = "leukd laboratory CA")]
        name: String,
        /// How many days it is valid
        #[arg(long, value_name = "N", default_value_t = CA_DAYS, value_parser = days())]
        days: i64,
        #[command(flatten)]
        to: ToArgs,
    },
    /// Make leukd's certificate: server.pem and server.key
    #[command(name = "new-server")]
    Server {
        /// Names and addresses by which clients call it, for example scope3.lab.example 10.0.3.7
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        by: SignedArgs,
    },
    /// Make a client's certificate: NAME.pem and NAME.key; its calls are recorded as cert:NAME
    #[command(name = "new-client")]
    Client {
        /// The client's name, for example lims.hospital.example
        name: String,
        #[command(flatten)]
        by: SignedArgs,
    },
}

#[derive(Debug, Clone, clap::Args)]
struct SignedArgs {
    /// The folder with ca.pem and ca.key
    #[arg(long, value_name = "DIR", default_value = ".")]
    ca: PathBuf,
    /// How many days it is valid
    #[arg(long, value_name = "N", default_value_t = DAYS, value_parser = days())]
    days: i64,
    #[command(flatten)]
    to: ToArgs,
}

#[derive(Debug, Clone, clap::Args)]
struct ToArgs {
    /// The folder to write to, which exists
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

fn days() -> clap::builder::RangedI64ValueParser<i64> {
    clap::value_parser!(i64).range(1..=36_500)
}

/// Runs it.
///
/// # Errors
/// [`CliError::Usage`] for a name that no certificate can hold, a file that exists, or days beyond
/// the CA's; [`CliError::Data`] for a CA that cannot be read; [`CliError::Io`].
pub(super) fn run(args: &TlsArgs) -> Result<(), CliError> {
    match &args.command {
        TlsCommand::Ca { name, days, to } => new_ca(name, *days, to),
        TlsCommand::Server { names, by } => {
            let own = names.iter().map(|name| called(name)).collect::<Result<_, _>>()?;
            let next = "put them in tls.certificate and tls.key of leukd's configuration; clients \
                        trust ca.pem";
            sign("server", own, ExtendedKeyUsagePurpose::ServerAuth, by, next)
        }
        TlsCommand::Client { name, by } => {
            let own = vec![SanType::DnsName(dns(name)?)];
            let next = "give them to the client, and name ca.pem in tls.client_ca of leukd's \
                        configuration";
            sign(name, own, ExtendedKeyUsagePurpose::ClientAuth, by, next)
        }
    }
}

fn new_ca(name: &str, days: i64, to: &ToArgs) -> Result<(), CliError> {
    // X.520's upper bound of a common name.
    if !(1..=64).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        return Err(unusable(name));
    }
    let (mut params, ends) = params(name, days)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().map_err(|error| defect(&error))?;
    let made = params.self_signed(&key).map_err(|error| defect(&error))?;
    let next = "make certificates with `leukd tls new-server` and `leukd tls new-client`, and keep \
                ca.key off the workstation";
    keep("ca", &made.pem(), &key, ends, to, next)
}

fn sign(
    file: &str,
    names: Vec<SanType>,
    purpose: ExtendedKeyUsagePurpose,
    by: &SignedArgs,
    next: &str,
) -> Result<(), CliError> {
    let (mut params, ends) = params(file, by.days)?;
    params.subject_alt_names = names;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    params.use_authority_key_identifier_extension = true;
    let issuer = issuer(&by.ca, ends)?;
    let key = KeyPair::generate().map_err(|error| defect(&error))?;
    let made = params.signed_by(&key, &issuer).map_err(|error| defect(&error))?;
    keep(file, &made.pem(), &key, ends, &by.to, next)
}

/// What every certificate has, and the day on which it ends: yesterday is its first, for clocks
/// that are slow.
fn params(name: &str, days: i64) -> Result<(CertificateParams, jiff::civil::Date), CliError> {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let day = |off: i64| {
        let span = jiff::Span::new().try_days(off).and_then(|span| today.checked_add(span));
        span.map_err(|error| CliError::Usage(format!("--days: {error}")))
    };
    let (begins, ends) = (day(-1)?, day(days)?);
    let at = |day: jiff::civil::Date| {
        let [month, day_of] = [day.month(), day.day()].map(i8::unsigned_abs);
        date_time_ymd(day.year().into(), month, day_of)
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (at(begins), at(ends));
    Ok((params, ends))
}

/// The CA in `folder`, which signs nothing that ends after itself.
fn issuer(folder: &Path, ends: jiff::civil::Date) -> Result<Issuer<'static, KeyPair>, CliError> {
    let [certificate, key] = ["ca.pem", "ca.key"].map(|name| folder.join(name));
    let read = |file: &Path| {
        let missing = |error| {
            let how = "make a CA with `leukd tls new-ca`, or name its folder with --ca";
            CliError::NoInput(format!("{error}: {how}"))
        };
        fs_err::read_to_string(file).map_err(missing)
    };
    let odd = |file: &Path, what: &dyn std::fmt::Display| {
        CliError::Data(format!("{}: this is not usable: {what}", file.display()))
    };
    let (text, secret) = (read(&certificate)?, read(&key)?);
    // Some Windows programs begin a text with a mark.
    let text = text.trim_start_matches('\u{feff}');
    let pair = KeyPair::from_pem(secret.trim_start_matches('\u{feff}')).map_err(|error| {
        let way = "openssl pkcs8 -topk8 -nodes -in ca.key -out good.key writes one that is";
        odd(&key, &format!("{error}; {way}"))
    })?;
    let (_, pem) = x509_parser::pem::parse_x509_pem(text.as_bytes())
        .map_err(|error: x509_parser::nom::Err<_>| odd(&certificate, &error))?;
    let last = last_day(&pem, &pair).map_err(|what| odd(&certificate, &what))?;
    if ends > last {
        return Err(CliError::Usage(format!(
            "the CA in {} ends on {last}: ask for fewer --days, or make a new CA",
            certificate.display()
        )));
    }
    Issuer::from_ca_cert_pem(text, pair).map_err(|error| odd(&certificate, &error))
}

/// The last day of a CA's certificate, UTC.
fn last_day(pem: &Pem, key: &KeyPair) -> Result<jiff::civil::Date, String> {
    let (_, parsed) =
        X509Certificate::from_der(&pem.contents).map_err(|error| error.to_string())?;
    if !parsed.is_ca() {
        return Err("it is no CA's certificate".to_owned());
    }
    if parsed.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
        return Err("the key beside it is another's".to_owned());
    }
    let last = jiff::Timestamp::from_second(parsed.validity().not_after.timestamp());
    let last = last.map_err(|error| error.to_string())?;
    if last.as_second() < jiff::Timestamp::now().as_second() + DAY_SECONDS {
        return Err(format!("it ends on {last}: make a new CA"));
    }
    Ok(last.to_zoned(jiff::tz::TimeZone::UTC).date())
}

/// Writes FILE.key, which nobody else may read, and FILE.pem.
fn keep(
    file: &str,
    certificate: &str,
    key: &KeyPair,
    ends: jiff::civil::Date,
    to: &ToArgs,
    next: &str,
) -> Result<(), CliError> {
    let [shown, secret] = ["pem", "key"].map(|kind| to.out.join(format!("{file}.{kind}")));
    if let Some(there) = [&shown, &secret].into_iter().find(|path| path.exists()) {
        let text = format!("{} exists already: remove it, or name another --out", there.display());
        return Err(CliError::Usage(text));
    }
    for (path, mode, text) in
        [(&secret, 0o600, key.serialize_pem().as_str()), (&shown, 0o644, certificate)]
    {
        let mut options = fs_err::OpenOptions::new();
        let made = options.write(true).create_new(true).mode(mode).open(path);
        made.and_then(|mut made| {
            std::io::Write::write_all(&mut made, text.as_bytes())?;
            made.sync_all()
        })
        .map_err(|error| CliError::Io(error.to_string()))?;
    }
    let out = Output::new();
    if to.json {
        let told = json!({ "certificate": shown, "key": secret, "ends": ends.to_string() });
        return out.line(&told.to_string());
    }
    out.line(&clean(&format!("{}, valid until {ends}", shown.display())))?;
    out.line(&clean(&format!("{}, its key: readable by you alone", secret.display())))?;
    remark(&format!("leukd: {next}"));
    Ok(())
}

/// A name or an address of a server. A name's first label may be `*`.
fn called(name: &str) -> Result<SanType, CliError> {
    if let Ok(address) = name.parse() {
        return Ok(SanType::IpAddress(address));
    }
    let below = name.strip_prefix("*.");
    if below.is_some_and(|below| below.contains('.')) {
        dns(below.unwrap_or(name))?;
        return Ok(SanType::DnsName(Ia5String::try_from(name).map_err(|_| unusable(name))?));
    }
    Ok(SanType::DnsName(dns(name)?))
}

/// A DNS name: labels of 1 to 63 letters, digits, `-` and `_` (RFC 1035; `_` is seen in labs), 253
/// in all.
fn dns(name: &str) -> Result<Ia5String, CliError> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err(unusable(name));
    }
    Ia5String::try_from(name).map_err(|_| unusable(name))
}

fn unusable(name: &str) -> CliError {
    CliError::Usage(format!(
        "{name:?} can be no name in a certificate: write a DNS name such as scope3.lab.example, or an address"
    ))
}

fn defect(error: &rcgen::Error) -> CliError {
    CliError::Software(error.to_string())
}
