//! `leukd token`: makes tokens, lists them, takes them back.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use serde_json::json;

use super::error::CliError;
use super::output::{Output, Table, clean, remark};
use super::settings::SettingsArgs;
use crate::access::edit::{self, EditError, Entry};
use crate::access::kept;
use crate::access::rules::{Rules, check_name};
use crate::access::token::Token;
use crate::access::{Scope, Scopes};
use crate::clock::Clock;
use crate::config::units::Span;
use crate::result::Timestamp;

/// Make, list and revoke clients' tokens
///
/// `new` prints a token once; the access file holds its hash alone. A running daemon loads a
/// changed file within seconds. A revoked token's open streams end too.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum TokenCommand {
    /// Make a token, print it, and add its hash to the access file
    New {
        /// The client's name; its calls are recorded as token:NAME
        name: String,
        /// Its scopes: classify (send images), read (results, reviews, status), review (submit
        /// reviews), admin (load models, change the log level); may be repeated; none includes
        /// another
        #[arg(long, value_name = "SCOPE", required = true, value_delimiter = ',')]
        scope: Vec<Scope>,
        /// Its lifetime, for example 365d
        #[arg(long, value_name = "TIME")]
        expires: Option<Span>,
        /// Write no file; print the entry for the access file after the token
        #[arg(long)]
        print: bool,
        /// One JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: FileArgs,
    },
    /// Show every token's name, scopes and times
    List {
        /// One JSON object a token
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: FileArgs,
    },
    /// Remove a token from the access file
    Revoke {
        /// Its name
        name: String,
        #[command(flatten)]
        file: FileArgs,
    },
}

/// Which access file.
#[derive(Debug, Clone, clap::Args)]
struct FileArgs {
    /// The access file [default: access.file of the configuration]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Read this configuration too; it overrides /etc/leukd/leukd.toml
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
}

impl FileArgs {
    fn path(&self) -> Result<PathBuf, CliError> {
        self.place().map(|(path, _)| path)
    }

    /// The file, and the group that must be able to read it: the group of the daemon's state.
    fn place(&self) -> Result<(PathBuf, Option<u32>), CliError> {
        if let Some(file) = &self.file {
            return Ok((file.clone(), None));
        }
        let settings = SettingsArgs { config: self.config.clone(), ..SettingsArgs::default() };
        let settings = settings.load()?.settings;
        let group = std::fs::metadata(&settings.journal.directory).map(|state| state.gid()).ok();
        let file = settings.access.file.ok_or_else(|| {
            CliError::Usage(
                "the configuration names no access file: set access.file there, for example \
                 \"/etc/leukd/access.toml\", or name a file with --file"
                    .to_owned(),
            )
        })?;
        Ok((file.locate().map_err(CliError::Usage)?, group))
    }

    fn read(&self) -> Result<Rules, CliError> {
        let path = self.path()?;
        let content = kept::content(&path).map_err(CliError::NoInput)?;
        Rules::parse(&content).map_err(|what| CliError::Data(format!("{}: {what}", path.display())))
    }
}

/// Runs it.
///
/// # Errors
/// The access file cannot be read or written; the token already exists, or does not.
pub(super) fn run(args: &TokenArgs) -> Result<(), CliError> {
    match &args.command {
        TokenCommand::New { name, scope, expires, print, json, file } => {
            let place = if *print { None } else { Some(file.place()?) };
            new(name, scope, *expires, place, *json)
        }
        TokenCommand::List { json, file } => list(&file.read()?, *json),
        TokenCommand::Revoke { name, file } => {
            edit::revoke(&file.path()?, name).map_err(failed)?;
            remark(&format!("leukd: {name} is revoked; a running daemon knows within seconds"));
            Ok(())
        }
    }
}

fn failed(error: EditError) -> CliError {
    let text = error.to_string();
    match error {
        EditError::Io(_) => CliError::Io(text),
        EditError::Content(_) => CliError::Data(text),
        EditError::NoToken { .. } => CliError::NoInput(text),
    }
}

fn new(
    name: &str,
    scopes: &[Scope],
    expires: Option<Span>,
    place: Option<(PathBuf, Option<u32>)>,
    as_json: bool,
) -> Result<(), CliError> {
    check_name(name).map_err(CliError::Usage)?;
    let token = Token::new()
        .map_err(|error| CliError::Io(format!("the system gives no random numbers: {error}")))?;
    let created = Clock::system().wall();
    let after = |span: Span| i64::try_from(span.0.as_millis()).unwrap_or(i64::MAX);
    let expires = expires.map(|span| Timestamp(created.0.saturating_add(after(span))));
    let set: Scopes = scopes.iter().copied().collect();
    let scopes: Vec<Scope> = set.iter().collect();
    let entry = Entry { name, scopes: &scopes, hash: token.hash(), created, expires };
    let text = edit::text(&entry).map_err(failed)?;
    if let Some((path, group)) = &place {
        edit::add(path, &entry, *group).map_err(failed)?;
    }
    let out = Output::new();
    if as_json {
        let mut object = json!({
            "name": name,
            "scopes": scopes,
            "token": token.reveal(),
            "expires": expires.map(Timestamp::to_rfc3339),
        });
        if place.is_none() {
            object["entry"] = text.into();
        }
        return out.line(&object.to_string());
    }
    out.line(token.reveal())?;
    match place {
        Some((path, _)) => {
            let shown = path.display();
            remark(&format!(
                "leukd: the line above is the token of {name}; it is not shown again. Its hash is in {shown}, which \
                 leukd's user must be able to read"
            ));
            Ok(())
        }
        None => out.line(&format!("\n{}", text.trim_end())),
    }
}

fn list(rules: &Rules, as_json: bool) -> Result<(), CliError> {
    let out = Output::new();
    let now = Clock::system().wall();
    let mut table = Table::new(&["NAME", "SCOPES", "CREATED", "EXPIRES"]);
    for token in rules.tokens() {
        let scopes: Vec<Scope> = token.scopes.iter().collect();
        let expired = token.is_expired(now);
        if as_json {
            let object = json!({
                "name": token.name,
                "scopes": scopes,
                "created": token.created.to_rfc3339(),
                "expires": token.expires.map(Timestamp::to_rfc3339),
                "expired": expired,
            });
            out.line(&object.to_string())?;
            continue;
        }
        let expires = match token.expires {
            Some(expires) if expired => format!("{} (expired)", expires.to_rfc3339()),
            Some(expires) => expires.to_rfc3339(),
            None => "never".to_owned(),
        };
        let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        table.row(
            vec![clean(&token.name), scopes.join(","), token.created.to_rfc3339(), expires],
            expired.then_some(super::output::Colour::Red),
        );
    }
    if as_json {
        Ok(())
    } else if table.is_empty() {
        out.line("there is no token")
    } else {
        table.print(&out)
    }
}
